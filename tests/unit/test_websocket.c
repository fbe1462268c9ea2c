/* SPDX-License-Identifier: MIT */
/* dps/protocol/websocket.h. Origin: the examples of RFC 6455 1.3 and 5.7; its rules by section. */
#include "dps/protocol/text.h"
#include "dps/protocol/websocket.h"
#include "tests/unit/test.h"
#include <string.h>

/* The bytes of hexadecimal text, in buffer. */
static struct bytes unhex(const char *hex, uint8_t *buffer, size_t capacity)
{
    size_t len;
    const int error = dps_hex_decode(bytes_of_text(hex), buffer, capacity, &len);
    return bytes_of(buffer, error == 0 ? len : 0);
}

static int read_hex(const char *hex, struct dps_websocket_frame *f)
{
    uint8_t buffer[64];
    return dps_websocket_header_read(unhex(hex, buffer, sizeof buffer), f);
}

/* RFC 6455 1.3, where both values are printed. */
static int test_accept(void)
{
    uint8_t accept[DPS_WEBSOCKET_ACCEPT_SIZE];
    CHECK_EQUAL(dps_websocket_accept(bytes_of_text("dGhlIHNhbXBsZSBub25jZQ=="), accept), 0);
    CHECK(bytes_equal_public(bytes_of(accept, sizeof accept), bytes_of_text("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
    static const char *const wrong[] = {"",
                                        "dGhlIHNhbXBsZSBub25j",
                                        "dGhlIHNhbXBsZSBub25jZQ=",
                                        "dGhlIHNhbXBsZSBub25jZQ==A",
                                        "dGhlIHNhbXBsZSBub25jZQ\r\n",
                                        "dGhlIHNhbXBsZSBub25jZWE=",
                                        "dGhlIHNhbXBsZSBub25jZR=="};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        CHECK_EQUAL(dps_websocket_accept(bytes_of_text(wrong[i]), accept), BYTES_E_FORMAT);
    }
    return 0;
}

/* RFC 6455 5.7: "Hello" in one masked frame, whole and cut anywhere. */
static int test_masked(void)
{
    uint8_t buffer[16];
    struct dps_websocket_frame f;
    const struct bytes frame = unhex("818537fa213d7f9f4d5158", buffer, sizeof buffer);
    for (size_t len = 0; len < 6; len++) {
        CHECK_EQUAL(dps_websocket_header_read(bytes_of(frame.p, len), &f), BYTES_E_MORE);
    }
    CHECK_EQUAL(dps_websocket_header_read(frame, &f), 0);
    CHECK_EQUAL(f.opcode, DPS_WEBSOCKET_TEXT);
    CHECK(f.last);
    CHECK_EQUAL(f.len, 5);
    CHECK_EQUAL(f.header_len, 6);
    for (size_t cut = 0; cut <= 5; cut++) {
        uint8_t content[5];
        memcpy(content, frame.p + 6, 5);
        dps_websocket_unmask(&f, 0, content, cut);
        dps_websocket_unmask(&f, cut, content + cut, 5 - cut);
        CHECK(memcmp(content, "Hello", 5) == 0);
    }
    return 0;
}

/* RFC 6455 5.7: a masked pong; and headers with each form of length. */
static int test_headers(void)
{
    struct dps_websocket_frame f;
    CHECK_EQUAL(read_hex("8a8537fa213d7f9f4d5158", &f), 0);
    CHECK_EQUAL(f.opcode, DPS_WEBSOCKET_PONG);
    CHECK(dps_websocket_is_control(&f));
    CHECK_EQUAL(read_hex("02fe010037fa213d", &f), 0);
    CHECK(!f.last);
    CHECK(!dps_websocket_is_control(&f));
    CHECK_EQUAL(f.len, 256);
    CHECK_EQUAL(f.header_len, 8);
    CHECK_EQUAL(read_hex("80fe007e01020304", &f), 0);
    CHECK_EQUAL(f.opcode, DPS_WEBSOCKET_CONTINUATION);
    CHECK_EQUAL(f.len, 126);
    CHECK_EQUAL(read_hex("82ff000000000001000037fa213d", &f), 0);
    CHECK_EQUAL(f.len, 65536);
    CHECK_EQUAL(f.header_len, DPS_WEBSOCKET_HEADER_MAX);
    CHECK_EQUAL(read_hex("82ff7fffffffffffffff37fa213d", &f), 0);
    CHECK_EQUAL(f.len, INT64_MAX);
    CHECK_EQUAL(read_hex("88fd37fa213d", &f), 0);
    CHECK_EQUAL(f.len, DPS_WEBSOCKET_CONTROL_MAX);
    return 0;
}

/* What a server must refuse, with the section that says so. */
static int test_refused(void)
{
    static const struct {
        const char *hex, *why;
    } wrong[] = {
        {"8105", "5.1: not masked"},
        {"c185", "5.2: the first reserved bit"},
        {"a185", "5.2: the second"},
        {"9185", "5.2: the third"},
        {"8385", "5.2: an opcode of no meaning"},
        {"8785", "5.2: the last of these"},
        {"8b85", "5.2: the first of control"},
        {"8f85", "5.2: the last"},
        {"0985", "5.5: a ping in fragments"},
        {"88fe", "5.5: a long close"},
        {"8aff", "5.5: a longer pong"},
        {"82fe007d00000000", "5.2: 125 in sixteen bits"},
        {"82ff000000000000ffff00000000", "5.2: 65535 in 64 bits"},
        {"82ff800000000000000000000000", "5.2: the highest bit"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct dps_websocket_frame f;
        CHECK_EQUAL(read_hex(wrong[i].hex, &f), BYTES_E_FORMAT);
    }
    return 0;
}

static int test_written(void)
{
    static const struct {
        size_t len;
        const char *hex; /* RFC 6455 5.7 for the first three */
    } rows[] = {{5, "8205"},   {256, "827e0100"}, {65536, "827f0000000000010000"},
                {125, "827d"}, {126, "827e007e"}, {65535, "827effff"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t buffer[16], wanted[16];
        struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
        dps_websocket_header_write(&w, DPS_WEBSOCKET_BINARY, rows[i].len);
        CHECK(bytes_equal_public(bytes_written(&w), unhex(rows[i].hex, wanted, sizeof wanted)));
    }
    return 0;
}

int main(void)
{
    static const struct test tests[] = {{"the answer to a key", test_accept},
                                        {"a masked frame", test_masked},
                                        {"headers", test_headers},
                                        {"what is refused", test_refused},
                                        {"what is written", test_written}};
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
