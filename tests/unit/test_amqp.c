/* SPDX-License-Identifier: MIT */
/* dps/protocol/amqp.h: what others have sent is read; whatever breaks a rule is refused; what is written is read again,
 * and has the sizes that were measured. Origin: tests/vectors/amqp.c, and the tables of the standard (OASIS AMQP 1.0,
 * 2012), by whose sections the rows below go. Other people's readers get what is written in tests/e2e/amqp_test.py and
 * tests/peers/node/amqp_test.js. */
#include "dps/protocol/amqp_write.h"
#include "dps/protocol/text.h"
#include "tests/unit/test.h"
#include "tests/vectors/amqp.h"
#include <stdio.h>
#include <string.h>

#define FORMAT BYTES_E_FORMAT
#define MORE BYTES_E_MORE
#define MAXIMUM 2048

static uint8_t buffer[MAXIMUM];

static bool span_is(struct bytes s, const char *text)
{
    return bytes_equal_public(s, bytes_of_text(text));
}

static struct bytes unhex(const char *hex)
{
    size_t len;
    const int error = dps_hex_decode(bytes_of_text(hex), buffer, sizeof buffer, &len);
    return bytes_of(buffer, error == 0 ? len : 0);
}

/* What reading a frame gives in the end, its performative included. */
static int read_performative(const struct dps_amqp_frame *f)
{
    struct dps_amqp_sasl_init init;
    struct dps_amqp_begin begin;
    struct dps_amqp_attach attach;
    struct dps_amqp_flow flow;
    struct dps_amqp_transfer transfer;
    struct dps_amqp_message message;
    struct bytes response;
    uint32_t number;
    switch (f->kind) {
    case DPS_AMQP_SASL_INIT:
        return dps_amqp_sasl_init_read(f, &init);
    case DPS_AMQP_SASL_RESPONSE:
        return dps_amqp_sasl_response_read(f, &response);
    case DPS_AMQP_OPEN:
        return dps_amqp_open_read(f, &number);
    case DPS_AMQP_BEGIN:
        return dps_amqp_begin_read(f, &begin);
    case DPS_AMQP_ATTACH:
        return dps_amqp_attach_read(f, &attach);
    case DPS_AMQP_FLOW:
        return dps_amqp_flow_read(f, &flow);
    case DPS_AMQP_TRANSFER:
        return dps_amqp_transfer_read(f, &transfer) != 0 ? FORMAT
                                                         : dps_amqp_message_read(f->payload, &message);
    case DPS_AMQP_DISPOSITION:
        return dps_amqp_disposition_read(f);
    case DPS_AMQP_DETACH:
        return dps_amqp_detach_read(f, &number);
    case DPS_AMQP_END:
    case DPS_AMQP_CLOSE:
        return dps_amqp_end_read(f);
    default:
        return 0;
    }
}

static int read_whole(struct bytes input, size_t maximum)
{
    struct dps_amqp_frame f;
    const int error = dps_amqp_frame_read(input, maximum, &f);
    return error != 0 ? error : read_performative(&f);
}

/* ---- What others have sent ---- */

static int test_vectors(void)
{
    for (size_t i = 0; i < VECTOR_AMQP_COUNT; i++) {
        const struct bytes bytes = unhex(vector_amqp[i].hex);
        struct dps_amqp_frame f;
        CHECK_EQUAL(dps_amqp_frame_read(bytes, MAXIMUM, &f), 0);
        CHECK_EQUAL(f.kind, vector_amqp[i].kind);
        CHECK_EQUAL(f.len, bytes.len);
        CHECK_EQUAL(f.channel, 0);
        CHECK_EQUAL(read_performative(&f), 0);
    }
    return 0;
}

/* Byte by byte there is more to come, until it is all there; what follows is left alone; none is too long. */
static int test_pieces(void)
{
    for (size_t i = 0; i < VECTOR_AMQP_COUNT; i++) {
        const struct bytes bytes = unhex(vector_amqp[i].hex);
        struct dps_amqp_frame f;
        for (size_t len = 0; len < bytes.len; len++) {
            CHECK_EQUAL(dps_amqp_frame_read(bytes_of(bytes.p, len), bytes.len, &f), MORE);
            CHECK(f.len == 0 || f.len == bytes.len);
        }
        CHECK(dps_amqp_frame_read(bytes_of(bytes.p, bytes.len + 1), bytes.len, &f) == 0 &&
              f.len == bytes.len);
        if (vector_amqp[i].kind > DPS_AMQP_SASL_HEADER) {
            CHECK_EQUAL(dps_amqp_frame_read(bytes, bytes.len - 1, &f), BYTES_E_LIMIT);
        }
    }
    return 0;
}

/* A frame that ends before its performative does. */
static int test_cut(void)
{
    for (size_t i = 0; i < VECTOR_AMQP_COUNT; i++) {
        const size_t whole = unhex(vector_amqp[i].hex).len;
        if (vector_amqp[i].kind <= DPS_AMQP_SASL_HEADER) {
            continue;
        }
        for (size_t len = 9; len < whole; len++) {
            const bool transfer = vector_amqp[i].kind == DPS_AMQP_TRANSFER;
            (void)unhex(vector_amqp[i].hex);
            buffer[0] = buffer[1] = 0;
            buffer[2] = (uint8_t)(len >> 8);
            buffer[3] = (uint8_t)len;
            const int error = read_whole(bytes_of(buffer, len), MAXIMUM);
            CHECK(error == FORMAT || (transfer && error == 0)); /* a message may end after any section */
        }
    }
    return 0;
}

/* Whatever byte is changed: it is read, or refused; and nothing outside of it is read (by the sanitizers). */
static int test_changed(void)
{
    for (size_t i = 0; i < VECTOR_AMQP_COUNT; i++) {
        const size_t len = unhex(vector_amqp[i].hex).len;
        for (size_t at = 0; at < len; at++) {
            for (unsigned mask = 1; mask < 256; mask <<= 1) {
                (void)unhex(vector_amqp[i].hex);
                buffer[at] ^= (uint8_t)mask;
                const int error = read_whole(bytes_of(buffer, len), MAXIMUM);
                CHECK(error == 0 || error == FORMAT || error == MORE || error == BYTES_E_LIMIT ||
                      error == BYTES_E_ALGORITHM);
            }
        }
    }
    return 0;
}

/* ---- Their fields ---- */

static struct dps_amqp_frame vector_of(const char *source, enum dps_amqp_kind kind, size_t number)
{
    struct dps_amqp_frame f = {0};
    for (size_t i = 0; i < VECTOR_AMQP_COUNT; i++) {
        if (strcmp(vector_amqp[i].source, source) == 0 && vector_amqp[i].kind == kind && number-- == 0) {
            (void)dps_amqp_frame_read(unhex(vector_amqp[i].hex), MAXIMUM, &f);
        }
    }
    return f;
}

static int test_sasl_fields(void)
{
    struct dps_amqp_sasl_init init;
    struct bytes response;
    struct dps_amqp_frame f = vector_of("rhea", DPS_AMQP_SASL_INIT, 0);
    CHECK_EQUAL(dps_amqp_sasl_init_read(&f, &init), 0);
    CHECK(span_is(init.mechanism, "TPM"));
    CHECK_EQUAL(init.initial_response.len, 1 + 11 + 1 + 8 + 1 + 316);
    f = vector_of("rhea", DPS_AMQP_SASL_RESPONSE, 0);
    CHECK(dps_amqp_sasl_response_read(&f, &response) == 0 && response.len == 1 + 284);
    f = vector_of("rhea", DPS_AMQP_SASL_RESPONSE, 1);
    CHECK(dps_amqp_sasl_response_read(&f, &response) == 0 && response.len == 1 && response.p[0] == 0);
    f = vector_of("rhea", DPS_AMQP_SASL_RESPONSE, 2);
    CHECK(dps_amqp_sasl_response_read(&f, &response) == 0 &&
          memcmp(response.p + 1, "SharedAccessSignature ", 22) == 0);
    return 0;
}

static int test_link_fields(void)
{
    struct dps_amqp_begin begin;
    struct dps_amqp_attach a;
    struct dps_amqp_flow flow;
    uint32_t size;
    struct dps_amqp_frame f = vector_of("rhea", DPS_AMQP_OPEN, 0);
    CHECK(dps_amqp_open_read(&f, &size) == 0 && size == UINT32_MAX);
    f = vector_of("proton", DPS_AMQP_OPEN, 0);
    CHECK(dps_amqp_open_read(&f, &size) == 0 && size == 32768);
    f = vector_of("rhea", DPS_AMQP_BEGIN, 0);
    CHECK(dps_amqp_begin_read(&f, &begin) == 0 && begin.next_outgoing_id == 0 &&
          begin.incoming_window == 2048);
    f = vector_of("rhea", DPS_AMQP_ATTACH, 0);
    CHECK_EQUAL(dps_amqp_attach_read(&f, &a), 0);
    CHECK(a.receives && a.handle == 0 && span_is(a.address, "0ne00000A0A/registrations/boiler-7"));
    CHECK(span_is(a.api_version, "2019-03-31") && memcmp(a.name.p, "rheaReceiver_", 13) == 0);
    f = vector_of("proton", DPS_AMQP_ATTACH, 1);
    CHECK_EQUAL(dps_amqp_attach_read(&f, &a), 0);
    CHECK(!a.receives && a.handle == 1 && span_is(a.address, "0ne00000A0A/registrations/boiler-7"));
    CHECK(span_is(a.name, "sender_link") && a.api_version.len == 0);
    f = vector_of("rhea", DPS_AMQP_FLOW, 0);
    CHECK_EQUAL(dps_amqp_flow_read(&f, &flow), 0);
    CHECK(flow.incoming_window == 2048 && flow.has_handle && flow.handle == 0 && flow.credit == 1000);
    CHECK(!flow.echo && !flow.drain && flow.delivery_count == 0 && flow.outgoing_window == UINT32_MAX);
    return 0;
}

static int test_message_fields(void)
{
    struct dps_amqp_transfer t;
    struct dps_amqp_message m;
    struct bytes_reader r = bytes_reader_over(bytes_of(NULL, 0));
    struct dps_amqp_frame f = vector_of("rhea", DPS_AMQP_TRANSFER, 1);
    CHECK(dps_amqp_transfer_read(&f, &t) == 0 && t.handle == 1 && t.delivery_id == 1);
    CHECK(!t.settled && !t.more && !t.aborted);
    CHECK_EQUAL(dps_amqp_message_read(f.payload, &m), 0);
    CHECK_EQUAL(m.correlation_id.inside.len, 36);
    CHECK(
        span_is(dps_amqp_map_text(&r, &m.properties, "iotdps-operation-type"), "iotdps-get-operationstatus"));
    CHECK(dps_amqp_map_text(&r, &m.properties, "iotdps-operation-id").len == 34);
    CHECK(dps_amqp_map_text(&r, &m.properties, "iotdps").len == 0 && r.error == 0);
    f = vector_of("proton", DPS_AMQP_TRANSFER, 0);
    CHECK_EQUAL(dps_amqp_message_read(f.payload, &m), 0);
    CHECK(span_is(m.correlation_id.inside, "c-1"));
    CHECK(dps_amqp_map_text(&r, &m.properties, "iotdps-forceRegistration").len == 0 &&
          r.error == 0); /* no text */
    struct bytes_reader twice = bytes_reader_over(unhex("c10d04a10161a10162a10161a10163"));
    const struct dps_amqp_value map = dps_amqp_value_read(&twice);
    CHECK(map.count == 4 && dps_amqp_map_text(&r, &map, "b").len == 0 && r.error == 0);
    (void)dps_amqp_map_text(&r, &map, "a");
    CHECK_EQUAL(r.error, FORMAT);
    return 0;
}

/* ---- Rules ---- */

/* ff: the size, which is filled in. */
#define FRAME(type, rest) "ff00000002" type "0000" rest

static const struct rule {
    const char *section, *hex;
    int error;
} rules[] = {
    {"2.2 the header of TLS", "414d515002010000", BYTES_E_ALGORITHM},
    {"2.2 another version", "414d515000010100", BYTES_E_ALGORITHM},
    {"2.2 another protocol", "4142434445464748", BYTES_E_ALGORITHM},
    {"2.3.1 a size below 8", "0000000702000000", FORMAT},
    {"2.3.1 an offset below 2", "0000000801000000", FORMAT},
    {"2.3.1 an offset beyond the end", "0000000803000000", FORMAT},
    {"2.3.1 a type that nobody knows", "0000000802020000", FORMAT},
    {"2.3.1 an extended header is passed over", "00000010030000000102030400531845", 0},
    {"2.4.5 a heartbeat", FRAME("00", ""), 0},
    {"5.3.1 an empty frame of SASL", FRAME("01", ""), FORMAT},
    {"5.3.1 a SASL frame of type 0", FRAME("00", "005343c0030100"), FORMAT},
    {"2.3.1 a close of type 1", FRAME("01", "00531845"), FORMAT},
    {"2.7 no performative of this number", FRAME("00", "00531945"), FORMAT},
    {"2.7 no list", FRAME("00", "0053185001"), FORMAT},
    {"2.7 not described", FRAME("00", "45"), FORMAT},
    {"1.2 described as an unsigned long of eight bytes", FRAME("00", "0080000000000000001845"), 0},
    {"1.2 described as a symbol", FRAME("00", "00a30f616d71703a636c6f73653a6c69737445"), FORMAT},
    {"2.7.9 something after a close", FRAME("00", "0053184540"), FORMAT},
    {"1.6.22 a list of more elements than bytes", FRAME("00", "005318c0020240"), FORMAT},
    {"1.6.22 a list of fewer elements than there are", FRAME("00", "005318c003014040"), FORMAT},
    {"1.6.22 a list that is longer than its frame", FRAME("00", "005318c0050140"), FORMAT},
    {"1.6.22 a list without room for its count", FRAME("00", "005318c000"), FORMAT},
    {"1.6.23 a map with a key and no value", FRAME("00", "005318c00501c1020140"), FORMAT},
    {"1.6.2 a boolean that is 2", FRAME("00", "005318c003015602"), FORMAT},
    {"1.6.20 a string that is no UTF-8", FRAME("00", "005318c00401a101ff"), FORMAT},
    {"1.6.21 a symbol that is no ASCII", FRAME("00", "005318c00401a301ff"), FORMAT},
    {"1.2 an encoding that does not exist", FRAME("00", "005318c002015f"), FORMAT},
    {"1.2 twice described", FRAME("00", "005318c0080100530100530240"), FORMAT},
    {"2.7.1 open without a container-id", FRAME("00", "00531045"), FORMAT},
    {"2.7.1 container-id is no symbol", FRAME("00", "005310c00401a30161"), FORMAT},
    {"2.7.2 begin without windows", FRAME("00", "005311c003024043"), FORMAT},
    {"2.7.2 begin with a remote-channel", FRAME("00", "005311c00704600000434343"), FORMAT},
    {"2.7.3 attach with a role that is no boolean", FRAME("00", "005312c00603a101614343"), FORMAT},
    {"2.7.3 a sender without initial-delivery-count", FRAME("00", "005312c00603a101614342"), FORMAT},
    {"2.7.4 flow without windows", FRAME("00", "005313c0020140"), FORMAT},
    {"2.7.5 transfer without a handle", FRAME("00", "005314c0020140"), FORMAT},
    {"2.7.7 detach without a handle", FRAME("00", "00531645"), FORMAT},
    {"2.7.7 a handle of eight bytes", FRAME("00", "005316c003015301"), FORMAT},
    {"5.3.3.2 sasl-init without a mechanism", FRAME("01", "00534145"), FORMAT},
    {"5.3.3.2 a mechanism that is a string", FRAME("01", "005341c00401a10161"), FORMAT},
    {"5.3.3.4 sasl-response without a response", FRAME("01", "00534345"), FORMAT},
};

static int test_rules(void)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        const struct bytes bytes = unhex(rules[i].hex);
        if (buffer[0] == 0xff) {
            buffer[0] = 0;
            buffer[3] = (uint8_t)bytes.len;
        }
        const int got = read_whole(bytes, MAXIMUM);
        if (got != rules[i].error) {
            printf("# %s\n", rules[i].section);
        }
        CHECK_EQUAL(got, rules[i].error);
    }
    return 0;
}

/* Sections of a message [3.2]: in order, once, of known kinds. */
static int test_sections(void)
{
    static const struct {
        const char *hex;
        int error;
    } messages[] = {
        {"", 0},
        {"005375a000", 0},
        {"005377a100", 0},
        {"00537045005371c10100005372c1010000537345005374c1010000537540", 0},
        {"005375a000005375a000", 0},
        {"00537345005373450053754041", FORMAT},
        {"00537345005373455375a000", FORMAT},
        {"005374c1010000537345", FORMAT},
        {"005379a000", FORMAT},
        {"00536f45", FORMAT},
        {"a000", FORMAT},
        {"005375a001", FORMAT},
        {"005373c0080640404040405001", FORMAT}, /* correlation-id: a byte */
        {"005373c00806404040404053ff", 0},
    };
    struct dps_amqp_message m;
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        const int got = dps_amqp_message_read(unhex(messages[i].hex), &m);
        if (got != messages[i].error) {
            printf("# %s\n", messages[i].hex);
        }
        CHECK_EQUAL(got, messages[i].error);
    }
    return 0;
}

/* ---- Writing ---- */

static uint8_t written[1024];
static struct bytes_writer w;

static int read_written(struct dps_amqp_frame *f)
{
    const struct bytes bytes = bytes_written(&w);
    const int error = dps_amqp_frame_read(bytes, bytes.len, f);
    return error == 0 && f->len != bytes.len ? FORMAT : error;
}

/* Measured with rhea 1.0.24, and [5.3.1]: a challenge of 487 bytes makes a frame of 512. */
static int test_challenge(void)
{
    static const uint8_t data[DPS_AMQP_CHALLENGE_MAX];
    struct dps_amqp_frame f;
    w = bytes_writer_over(written, sizeof written);
    dps_amqp_sasl_challenge_write(&w, 0x80, bytes_of(data, DPS_AMQP_CHALLENGE_MAX - 1));
    CHECK_EQUAL(w.len, 512);
    CHECK(read_written(&f) == 0 && f.kind == DPS_AMQP_SASL_CHALLENGE);
    w = bytes_writer_over(written, sizeof written);
    dps_amqp_sasl_challenge_write(&w, 0x80, bytes_of(data, DPS_AMQP_CHALLENGE_MAX));
    CHECK(w.error != 0);
    w = bytes_writer_over(written, sizeof written);
    dps_amqp_sasl_challenge_write(&w, 0, bytes_of(NULL, 0));
    CHECK(
        bytes_equal_public(bytes_written(&w), unhex("0000001a02010000005342d00000000a00000001b00000000100")));
    return 0;
}

static int test_written(void)
{
    const struct dps_amqp_error why = {"amqp:not-found", bytes_of_text("{}"), true, 7};
    const struct dps_amqp_error none = {0};
    struct dps_amqp_delivery delivery = {.handle = 1, .delivery_id = 5, .data = bytes_of_text("{\"a\":1}")};
    struct dps_amqp_frame f;
    struct dps_amqp_transfer t;
    struct dps_amqp_message m;
    uint32_t number;
    w = bytes_writer_over(written, sizeof written);
    dps_amqp_open_write(&w, "a", 65536);
    CHECK(read_written(&f) == 0 && dps_amqp_open_read(&f, &number) == 0 && number == 65536);
    w = bytes_writer_over(written, sizeof written);
    dps_amqp_disposition_write(&w, 5, &why);
    CHECK(read_written(&f) == 0 && dps_amqp_disposition_read(&f) == 0);
    w = bytes_writer_over(written, sizeof written);
    dps_amqp_close_write(&w, &none);
    CHECK(read_written(&f) == 0 && dps_amqp_end_read(&f) == 0 && f.kind == DPS_AMQP_CLOSE);
    struct bytes_reader r = bytes_reader_over(unhex("5307"));
    delivery.correlation_id = dps_amqp_value_read(&r);
    delivery.has_retry_after = true;
    w = bytes_writer_over(written, sizeof written);
    dps_amqp_delivery_write(&w, &delivery);
    CHECK(read_written(&f) == 0 && dps_amqp_transfer_read(&f, &t) == 0 && t.handle == 1 &&
          t.delivery_id == 5);
    CHECK(dps_amqp_message_read(f.payload, &m) == 0);
    CHECK(bytes_equal_public(m.correlation_id.whole, bytes_of("\x53\x07", 2)));
    CHECK(span_is(dps_amqp_map_text(&r, &m.properties, "retry-after"), "0"));
    CHECK(span_is(dps_amqp_map_text(&r, &m.properties, "Retry-After"), "0"));
    return 0;
}

/* Too little room is an error, and nothing is written beyond it. */
static int test_room(void)
{
    const struct dps_amqp_error why = {"amqp:not-found", bytes_of_text("{}"), true, 7};
    for (size_t room = 0; room < 130; room++) {
        memset(written, 0xee, sizeof written);
        w = bytes_writer_over(written, room);
        dps_amqp_close_write(&w, &why);
        CHECK(w.error == 0 ? w.len <= room : w.error == BYTES_E_SPACE);
        CHECK_EQUAL(written[room], 0xee);
    }
    CHECK_EQUAL(w.error, 0);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {{"frames that others sent", test_vectors},
                                        {"in pieces", test_pieces},
                                        {"cut anywhere", test_cut},
                                        {"one bit changed", test_changed},
                                        {"the fields of SASL", test_sasl_fields},
                                        {"the fields of links", test_link_fields},
                                        {"the fields of messages", test_message_fields},
                                        {"the rules", test_rules},
                                        {"the sections of a message", test_sections},
                                        {"writing a challenge", test_challenge},
                                        {"writing the others", test_written},
                                        {"writing without room", test_room}};
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
