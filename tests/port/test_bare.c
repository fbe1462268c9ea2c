/* SPDX-License-Identifier: MIT */
/* What boards share, with lines, flash and clock simulated by this file: power cuts at every byte, and peers that
 * are silent, late or wrong. The same code on boards: tests/firmware. */
#include "port/bare/bare.h"
#include "tests/unit/test.h"
#include <string.h>

/* ---- A serial line whose other end is a script, and a clock that moves only when it is read ---------------- */

static struct {
    uint8_t sent[4096];
    size_t sent_len;
    const uint8_t *answer; /* given out once answer_at bytes have been sent */
    size_t answer_len, answer_at, given;
    bool stuck;          /* takes no byte */
    bool endless;        /* after the answer, zeros for ever */
    uint64_t every, due; /* between two bytes of the answer; when the next one comes */
    uint64_t now;
} line;

static bool line_put(void *context, uint8_t byte)
{
    (void)context;
    if (line.stuck || line.sent_len == sizeof line.sent) {
        return false;
    }
    line.sent[line.sent_len++] = byte;
    return true;
}

static bool line_get(void *context, uint8_t *byte)
{
    (void)context;
    const bool over = line.given == line.answer_len;
    if (line.sent_len < line.answer_at || (over && !line.endless) || line.now < line.due) {
        return false;
    }
    line.due = line.now + line.every;
    *byte = over ? 0 : line.answer[line.given++];
    return true;
}

static uint64_t clock_ms(void *context)
{
    (void)context;
    return line.now++;
}

static const struct port_bare_uart uart = {NULL, line_put, line_get};
static const struct port_clock clock = {.monotonic_ms = clock_ms};

static void line_script(size_t answer_at, const void *answer, size_t answer_len)
{
    memset(&line, 0, sizeof line);
    line.answer_at = answer_at;
    line.answer = answer;
    line.answer_len = answer_len;
}

/* ---- The TPM ---------------------------------------------------------------------------------------------------- */

static const uint8_t command[] = {0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0};

static int tpm_exchange(const uint8_t *answer, size_t answer_len, size_t capacity, size_t *len)
{
    struct port_bare_tpm context = {uart, &clock};
    const struct port_tpm tpm = port_bare_tpm(&context);
    static uint8_t response[64];
    line_script(sizeof command, answer, answer_len);
    return tpm.transact(tpm.context, bytes_of(command, sizeof command), response, capacity, len, 5000);
}

static int tpm_answers(void)
{
    static const uint8_t good[] = {0x80, 1, 0, 0, 0, 10, 0, 0, 1, 0};
    static const uint8_t shorter[] = {0x80, 1, 0, 0, 0, 9, 0, 0, 0, 0};
    static const uint8_t larger[] = {0x80, 1, 0, 0, 1, 0, 0, 0, 0, 0};
    size_t len;
    CHECK(tpm_exchange(good, sizeof good, 64, &len) == 0 && len == sizeof good);
    CHECK(line.sent_len == sizeof command && memcmp(line.sent, command, sizeof command) == 0);
    CHECK(tpm_exchange(shorter, sizeof shorter, 64, &len) == BYTES_E_FORMAT && len == 0);
    CHECK(tpm_exchange(larger, sizeof larger, 64, &len) == BYTES_E_SPACE && len == 0);
    CHECK(tpm_exchange(good, sizeof good, 9, &len) == BYTES_E_SPACE && len == 0);
    for (size_t cut = 0; cut < sizeof good; cut++) {
        CHECK(tpm_exchange(good, cut, 64, &len) == BYTES_E_TIMEOUT && len == 0);
    }
    CHECK(line.now < 7000);
    return 0;
}

/* A byte now and then does not prolong the time that an exchange has. */
static int tpm_drips(void)
{
    static const uint8_t begun[] = {0x80, 1, 0, 0, 0, 64, 0, 0};
    struct port_bare_tpm context = {uart, &clock};
    const struct port_tpm tpm = port_bare_tpm(&context);
    uint8_t response[64];
    size_t len;
    for (uint32_t timeout_ms = 5000; timeout_ms <= 120000; timeout_ms *= 24) {
        line_script(sizeof command, begun, sizeof begun);
        line.every = 900;
        line.endless = true;
        CHECK_EQUAL(tpm.transact(tpm.context, bytes_of(command, sizeof command), response, sizeof response,
                                 &len, timeout_ms),
                    BYTES_E_TIMEOUT);
        CHECK(len == 0 && line.now < 12000);
    }
    return 0;
}

static int tpm_is_started(void)
{
    static const uint8_t again[] = {0x80, 1, 0, 0, 0, 10, 0, 0, 1, 0}; /* TPM_RC_INITIALIZE */
    static const uint8_t failure[] = {0x80, 1, 0, 0, 0, 10, 0, 0, 1, 1};
    struct port_bare_tpm context = {uart, &clock};
    struct port port = {.tpm = port_bare_tpm(&context), .clock = clock};
    uint32_t rc;
    line_script(sizeof command, again, sizeof again);
    CHECK(port_bare_tpm_startup(&port, &rc) == 0 && rc == 0);
    CHECK(line.sent_len == sizeof command && memcmp(line.sent, command, sizeof command) == 0);
    line_script(sizeof command, failure, sizeof failure);
    CHECK(port_bare_tpm_startup(&port, &rc) == BYTES_E_TPM_RC && rc == 0x101);
    return 0;
}

static int no_entropy(void)
{
    struct port_bare_tpm context = {uart, &clock};
    struct port port = {.tpm = port_bare_tpm(&context), .clock = clock};
    struct port_bare_entropy state;
    const struct crypto_entropy entropy = port_bare_entropy(&state, &port, bytes_of_text("board 1"));
    uint8_t bytes[32] = {0};
    /* A TPM that gives fewer bytes than were asked for. */
    static const uint8_t four[] = {0x80, 1, 0, 0, 0, 16, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4};
    line_script(12, four, sizeof four);
    CHECK_EQUAL(entropy.fill(entropy.context, bytes, sizeof bytes), BYTES_E_ENTROPY);
    line_script(12, NULL, 0);
    CHECK_EQUAL(entropy.fill(entropy.context, bytes, sizeof bytes), BYTES_E_ENTROPY);
    for (size_t i = 0; i < sizeof bytes; i++) {
        CHECK_EQUAL(bytes[i], 0);
    }
    return 0;
}

/* ---- The modem -------------------------------------------------------------------------------------------------- */

static struct port_bare_modem modem = {{NULL, line_put, line_get}, &clock, 0};

static int modem_connects(void)
{
    static const uint8_t question[] = {0x7e, 1, 'C', 0, 7, 0, 0, 0x13, 0x88, 0x01, 0xbb, 'h'};
    static const uint8_t done[] = {0x7e, 1, 0, 0, 0};
    static const uint8_t refused[] = {0x7e, 1, 1, 0, 0};
    static const uint8_t timed_out[] = {0x7e, 1, 2, 0, 0};
    static const uint8_t unknown[] = {0x7e, 1, 3, 0, 0};
    static const struct {
        const uint8_t *answer;
        int error;
    } cases[] = {
        {done, 0}, {refused, BYTES_E_STREAM}, {timed_out, BYTES_E_TIMEOUT}, {unknown, BYTES_E_STREAM}};
    const struct port_stream stream = port_bare_modem(&modem);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        modem.sequence = 0;
        line_script(sizeof question, cases[i].answer, sizeof done);
        CHECK_EQUAL(stream.connect(stream.context, "h", 443, 5000), cases[i].error);
        CHECK(line.sent_len == sizeof question && memcmp(line.sent, question, sizeof question) == 0);
    }
    return 0;
}

static int modem_reads(void)
{
    /* Noise, the late answer to an earlier question with a mark inside, then the answer. */
    static const uint8_t answer[] = {0, 0xff, 0x7e, 1, 0, 0, 3, 0x7e, 2, 0, 0x7e, 2, 0, 0, 2, 'o', 'k'};
    static const uint8_t nothing[] = {0x7e, 2, 0, 0, 0};
    static const uint8_t closed[] = {0x7e, 2, 1, 0, 0};
    static const uint8_t too_much[] = {0x7e, 2, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    uint8_t in[8];
    const struct port_stream stream = port_bare_modem(&modem);
    modem.sequence = 1;
    line_script(11, answer, sizeof answer);
    CHECK(stream.read(stream.context, in, sizeof in, 100) == 2 && memcmp(in, "ok", 2) == 0);
    modem.sequence = 1;
    line_script(11, nothing, sizeof nothing);
    CHECK_EQUAL(stream.read(stream.context, in, sizeof in, 100), 0);
    modem.sequence = 1;
    line_script(11, closed, sizeof closed);
    CHECK_EQUAL(stream.read(stream.context, in, sizeof in, 100), BYTES_E_STREAM);
    modem.sequence = 1;
    line_script(11, too_much, sizeof too_much);
    CHECK_EQUAL(stream.read(stream.context, in, sizeof in, 100), BYTES_E_STREAM);
    for (size_t cut = 0; cut < sizeof answer; cut++) {
        modem.sequence = 1;
        line_script(11, answer, cut);
        CHECK_EQUAL(stream.read(stream.context, in, sizeof in, 100), BYTES_E_TIMEOUT);
    }
    return 0;
}

static int modem_is_gone(void)
{
    uint8_t bytes[2000] = {0};
    const struct port_stream stream = port_bare_modem(&modem);
    line_script(0, NULL, 0);
    CHECK_EQUAL(stream.connect(stream.context, "h", 443, 5000), BYTES_E_TIMEOUT);
    CHECK(line.now > 5000 && line.now < 5000 + PORT_BARE_MESSAGE_TIMEOUT_MS + 100);
    CHECK_EQUAL(stream.write(stream.context, bytes, sizeof bytes, 5000), BYTES_E_TIMEOUT);
    line_script(0, NULL, 0);
    line.stuck = true;
    CHECK_EQUAL(stream.write(stream.context, bytes, sizeof bytes, 5000), BYTES_E_TIMEOUT);
    CHECK_EQUAL(stream.read(stream.context, bytes, sizeof bytes, 5000), BYTES_E_TIMEOUT);
    stream.close(stream.context);
    CHECK(line.now < 4 * PORT_BARE_MESSAGE_TIMEOUT_MS); /* three questions */
    /* A peer that never stops talking. */
    memset(bytes, 0x55, sizeof bytes);
    line_script(11, bytes, sizeof bytes);
    CHECK_EQUAL(stream.read(stream.context, bytes, 16, 100), BYTES_E_TIMEOUT);
    /* The same from the start, even while leftover bytes are thrown away. */
    line_script(0, NULL, 0);
    line.endless = true;
    CHECK_EQUAL(stream.read(stream.context, bytes, 16, 100), BYTES_E_TIMEOUT);
    return 0;
}

/* The longest answer, and the longest one to an earlier question, at a byte every 900 ms; at once, and at the last
 * moment. */
static int modem_drips(void)
{
    static const uint8_t answers[2][5] = {{0x7e, 2, 0, 4, 0}, {0x7e, 1, 0, 0xff, 0xff}};
    uint8_t in[PORT_BARE_MODEM_MAX];
    const struct port_stream stream = port_bare_modem(&modem);
    for (size_t i = 0; i < 4; i++) {
        modem.sequence = 1;
        line_script(11, answers[i % 2], sizeof answers[0]);
        line.every = 900;
        line.due = i < 2 ? 0 : 5000 + PORT_BARE_MESSAGE_TIMEOUT_MS - 100;
        line.endless = true;
        CHECK_EQUAL(stream.read(stream.context, in, sizeof in, 5000), BYTES_E_TIMEOUT);
        CHECK(line.now < 5000 + PORT_BARE_MESSAGE_TIMEOUT_MS + 100);
    }
    return 0;
}

/* ---- The record ------------------------------------------------------------------------------------------------- */

/* Flash of two slots. The power fails after `power` more bytes have been written: an erased byte counts too. */
static uint8_t flash[2][PORT_BARE_SLOT_SIZE];
static size_t power;

static int flash_read(void *context, unsigned slot, uint8_t bytes[PORT_BARE_SLOT_SIZE])
{
    (void)context;
    memcpy(bytes, flash[slot], PORT_BARE_SLOT_SIZE);
    return 0;
}

static int flash_write(void *context, unsigned slot, const uint8_t bytes[PORT_BARE_SLOT_SIZE])
{
    (void)context;
    for (size_t i = 0; i < PORT_BARE_SLOT_SIZE && power > 0; i++, power--) {
        flash[slot][i] = 0xff;
    }
    for (size_t i = 0; i < PORT_BARE_SLOT_SIZE && power > 0; i++, power--) {
        flash[slot][i] = bytes[i];
    }
    return power > 0 ? 0 : BYTES_E_FILE;
}

static const struct port_bare_flash two_slots = {NULL, flash_read, flash_write};

static bool holds(const char *text)
{
    struct port_bare_storage state = {&two_slots, {0}};
    const struct port_storage storage = port_bare_storage(&state);
    uint8_t record[64];
    size_t len;
    return storage.load(storage.context, record, sizeof record, &len) == 0 &&
           bytes_equal_public(bytes_of(record, len), bytes_of_text(text));
}

static int save(const char *text, size_t until)
{
    struct port_bare_storage state = {&two_slots, {0}};
    const struct port_storage storage = port_bare_storage(&state);
    power = until;
    return storage.save(storage.context, bytes_of_text(text));
}

static int record_survives(void)
{
    static const char *const records[] = {"first", "second one", "3rd", "and the fourth"};
    memset(flash, 0xff, sizeof flash);
    CHECK(!holds(""));
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        uint8_t before[sizeof flash];
        memcpy(before, flash, sizeof flash);
        bool old = true;
        for (size_t until = 0; until <= 2 * sizeof flash[0]; until++) {
            memcpy(flash, before, sizeof flash);
            CHECK_EQUAL(save(records[i], until), BYTES_E_FILE);
            /* The old record first, the new one from some byte on, and nothing else ever. */
            old = old && !holds(records[i]);
            CHECK(!old || i == 0 || holds(records[i - 1]));
            CHECK(old || holds(records[i]));
            /* And the next save works, whatever the last one left. */
            CHECK(save("again", SIZE_MAX) == 0 && holds("again"));
        }
        CHECK(!old);
        memcpy(flash, before, sizeof flash);
        CHECK(save(records[i], SIZE_MAX) == 0 && holds(records[i]));
    }
    return 0;
}

static int record_is_checked(void)
{
    struct port_bare_storage state = {&two_slots, {0}};
    const struct port_storage storage = port_bare_storage(&state);
    static const uint8_t zeros[PORT_BARE_SLOT_SIZE];
    uint8_t record[64];
    size_t len;
    memset(flash, 0xff, sizeof flash);
    CHECK(storage.load(storage.context, record, sizeof record, &len) == BYTES_E_NOT_FOUND && len == 0);
    CHECK(save("old", SIZE_MAX) == 0 && save("newer", SIZE_MAX) == 0);
    CHECK(storage.load(storage.context, record, 4, &len) == BYTES_E_SPACE && len == 0);
    /* Any one byte of the newer slot, up to its CRC's last. */
    for (size_t i = 0; i < 12 + strlen("newer") + 4; i++) {
        flash[1][i] ^= 0x10;
        CHECK(holds("old"));
        flash[1][i] ^= 0x10;
        CHECK(holds("newer"));
    }
    power = SIZE_MAX;
    CHECK_EQUAL(storage.save(storage.context, bytes_of(zeros, PORT_BARE_SLOT_SIZE - 16)), 0);
    CHECK_EQUAL(storage.save(storage.context, bytes_of(zeros, PORT_BARE_SLOT_SIZE - 15)), BYTES_E_SPACE);
    return 0;
}

static int stack_is_measured(void)
{
    uint8_t stack[64];
    memset(stack, PORT_BARE_STACK_FILL, sizeof stack);
    CHECK_EQUAL(port_bare_stack_used(stack, stack + sizeof stack), 0);
    stack[40] = 0;
    CHECK_EQUAL(port_bare_stack_used(stack, stack + sizeof stack), 24);
    stack[0] = 0;
    CHECK_EQUAL(port_bare_stack_used(stack, stack + sizeof stack), 64);
    return 0;
}

static int console_text(void)
{
    static const char wanted[] = "a\r\nb0 18446744073709551615 0x0012abcd x?y?";
    static const uint8_t foreign[] = {'x', 0x1b, 'y', 0xc3};
    line_script(0, NULL, 0);
    port_bare_text(&uart, "a\nb");
    port_bare_number(&uart, 0);
    port_bare_text(&uart, " ");
    port_bare_number(&uart, UINT64_MAX);
    port_bare_text(&uart, " ");
    port_bare_hex(&uart, 0x12abcd);
    port_bare_text(&uart, " ");
    port_bare_bytes(&uart, bytes_of(foreign, sizeof foreign));
    CHECK(line.sent_len == strlen(wanted) && memcmp(line.sent, wanted, line.sent_len) == 0);
    /* Nobody reads: the output is given up. */
    line.stuck = true;
    port_bare_text(&uart, "lost");
    return 0;
}

/* A message that no packet has room for is refused before the TPM or the network is asked. */
static int message_too_long(void)
{
    static const uint8_t large[DPS_NET_BUFFER];
    static struct port_bare_run run;
    static struct port_bare_board board;
    board.config.data = bytes_of(large, sizeof large);
    run.board = &board;
    CHECK_EQUAL(port_bare_send_mqtt(&run), BYTES_E_LIMIT);
    CHECK_EQUAL(run.connections, 0);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"TPM on a line: whole, wrong, cut at every byte", tpm_answers},
        {"TPM on a line: a byte now and then", tpm_drips},
        {"TPM on a line: start-up, once and twice", tpm_is_started},
        {"entropy: none if the TPM gives none", no_entropy},
        {"modem: connect, and what it may answer", modem_connects},
        {"modem: read, after noise and late answers, cut at every byte", modem_reads},
        {"modem: silent, stuck, or babbling", modem_is_gone},
        {"modem: a byte now and then", modem_drips},
        {"record: power cut at every byte of every write", record_survives},
        {"record: every byte is checked", record_is_checked},
        {"stack: the deepest byte ever used", stack_is_measured},
        {"console", console_text},
        {"a message that is too long for MQTT", message_too_long},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
