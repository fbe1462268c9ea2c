/* SPDX-License-Identifier: MIT */
/* dps/protocol/text.h. Vectors: RFC 4648 section 10 (base64, base32, hex), RFC 3986 2.3, RFC 9110 5.6.7 and the times
 * that the real service printed; the rest are edge cases of ours, whose times were computed with `date -u -d`. */
#include "dps/protocol/date.h"
#include "dps/protocol/text.h"
#include "tests/unit/test.h"
#include <stdlib.h>
#include <string.h>

typedef void writer_function(struct bytes_writer *w, struct bytes bytes);

/* write gives exactly expected; with every smaller buffer it fails with BYTES_E_SPACE and touches nothing after it. */
static bool writes(writer_function *write, struct bytes input, const char *expected)
{
    uint8_t buffer[256];
    size_t len = strlen(expected);
    for (size_t capacity = 0; capacity <= len; capacity++) {
        memset(buffer, 0xEE, sizeof buffer);
        struct bytes_writer w = bytes_writer_over(buffer, capacity);
        write(&w, input);
        if (buffer[capacity] != 0xEE) {
            return false;
        }
        if (capacity < len && (w.error != BYTES_E_SPACE || bytes_written(&w).len != 0)) {
            return false;
        }
        if (capacity == len &&
            (w.error != 0 || !bytes_equal_public(bytes_written(&w), bytes_of_text(expected)))) {
            return false;
        }
    }
    return true;
}

typedef int decoder_function(struct bytes text, uint8_t *out, size_t capacity, size_t *len);

static int percent_plain(struct bytes text, uint8_t *out, size_t capacity, size_t *len)
{
    return dps_percent_decode(text, false, out, capacity, len);
}

static int percent_form(struct bytes text, uint8_t *out, size_t capacity, size_t *len)
{
    return dps_percent_decode(text, true, out, capacity, len);
}

/* decode gives expected from an allocation of the text's own size (so that a sanitizer sees a read after it), both
 * into another buffer and in place; with less capacity it refuses. */
static bool decodes(decoder_function *decode, const char *text, struct bytes expected)
{
    size_t text_len = strlen(text), len = 99;
    uint8_t *copy = calloc(text_len + 1, 1); /* one byte in front: calloc(0) may be null */
    uint8_t *out = calloc(expected.len + 1, 1);
    bool ok = copy != NULL && out != NULL;
    if (ok) {
        struct bytes input = bytes_of(copy + 1, text_len);
        memcpy(copy + 1, text, text_len);
        ok = decode(input, out, expected.len, &len) == 0 && bytes_equal_public(bytes_of(out, len), expected);
        if (expected.len > 0) {
            ok = ok && decode(input, out, expected.len - 1, &len) == BYTES_E_SPACE && len == 0;
        }
        ok = ok && decode(input, copy + 1, text_len, &len) == 0 &&
             bytes_equal_public(bytes_of(copy + 1, len), expected);
    }
    free(copy);
    free(out);
    return ok;
}

static bool refuses(decoder_function *decode, const char *text)
{
    uint8_t out[64];
    size_t len = 99;
    return decode(bytes_of_text(text), out, sizeof out, &len) == BYTES_E_FORMAT && len == 0;
}

static int test_base64(void)
{
    static const char *const vectors[][2] = {/* RFC 4648 section 10 */
                                             {"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"},
                                             /* the last characters of the alphabet */
                                             {"\xFB\xFF\xBF", "+/+/"}};
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        CHECK(writes(dps_write_base64, bytes_of_text(vectors[i][0]), vectors[i][1]));
        CHECK(decodes(dps_base64_decode, vectors[i][1], bytes_of_text(vectors[i][0])));
    }
    /* RFC 4648 3.5 (pad bits), 3.3 (characters outside), 3.2 (padding), 5 (another alphabet) */
    static const char *const bad[] = {"Zh==",    "Zm9=",       "Zg=",  "Zg",   "Z",      "=",
                                      "====",    "Zg==Zg==",   "Z===", "Zg=v", "Zm9v\n", "Zm9v Zm9v",
                                      "Zm9vZg=", "-_-_",       " Zg=", "Zg= ", "Zm9v=",  "Zm9vYg=v",
                                      "=Zm9",    "Z\xC3\xBCg", "Zm.v"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK(refuses(dps_base64_decode, bad[i]));
    }
    return 0;
}

/* Every value of every character of a group is either refused or written back as it was: one value, one spelling. */
static int test_base64_canonical(void)
{
    static const char *const seeds[] = {"Zg==", "Zm8=", "Zm9v"};
    for (size_t s = 0; s < 3; s++) {
        for (size_t at = 0; at < 4; at++) {
            for (unsigned c = 0; c < 256; c++) {
                uint8_t text[4], bytes[3], again[4];
                size_t len;
                memcpy(text, seeds[s], 4);
                text[at] = (uint8_t)c;
                if (dps_base64_decode(bytes_of(text, 4), bytes, sizeof bytes, &len) != 0) {
                    continue;
                }
                struct bytes_writer w = bytes_writer_over(again, sizeof again);
                dps_write_base64(&w, bytes_of(bytes, len));
                CHECK(bytes_equal_public(bytes_written(&w), bytes_of(text, 4)));
            }
        }
    }
    return 0;
}

static int test_base32(void)
{
    /* RFC 4648 section 10, in lower case and without padding */
    static const char *const vectors[][2] = {{"", ""},
                                             {"f", "my"},
                                             {"fo", "mzxq"},
                                             {"foo", "mzxw6"},
                                             {"foob", "mzxw6yq"},
                                             {"fooba", "mzxw6ytb"},
                                             {"foobar", "mzxw6ytboi"}};
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        CHECK(writes(dps_write_base32, bytes_of_text(vectors[i][0]), vectors[i][1]));
    }
    uint8_t ones[32]; /* a digest: 52 characters, the last with one bit of its own */
    memset(ones, 0xFF, sizeof ones);
    CHECK(writes(dps_write_base32, bytes_of(ones, sizeof ones),
                 "777777777777777777777777777777777777777777777777777q"));
    return 0;
}

static int test_hex(void)
{
    CHECK(writes(dps_write_hex, bytes_of_text("foobar"), "666f6f626172")); /* RFC 4648 section 10 */
    CHECK(decodes(dps_hex_decode, "666F6F626172", bytes_of_text("foobar")));
    CHECK(decodes(dps_hex_decode, "", bytes_of_text("")));
    CHECK(decodes(dps_hex_decode, "00ffFFa9", bytes_of("\x00\xFF\xFF\xA9", 4)));
    static const char *const bad[] = {"0", "0g", "g0", "0x", " 0", "00 ", "0:", "@0", "0`"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK(refuses(dps_hex_decode, bad[i]));
    }
    return 0;
}

static int test_percent(void)
{
    CHECK(writes(dps_write_percent, bytes_of_text("AZaz09-._~"), "AZaz09-._~")); /* RFC 3986 2.3 */
    CHECK(writes(dps_write_percent, bytes_of_text("0ne00000000/registrations/my-dev"),
                 "0ne00000000%2Fregistrations%2Fmy-dev"));
    CHECK(writes(dps_write_percent, bytes_of_text("+/= %\xFF"), "%2B%2F%3D%20%25%FF"));
    CHECK(decodes(percent_plain, "a%2fB%2Fc+%25", bytes_of_text("a/B/c+%")));
    CHECK(decodes(percent_form, "a+b%2B", bytes_of_text("a b+")));
    CHECK(decodes(percent_plain, "%FF", bytes_of_text("\xFF")));
    CHECK(decodes(percent_plain, "%252F", bytes_of_text("%2F"))); /* once only [RFC 3986 2.4] */
    static const char *const bad[] = {"%", "%2", "a%", "%2G", "%G2", "%%41", "%00", "a%00b", "% 1", "%+1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK(refuses(percent_plain, bad[i]));
    }
    uint8_t out[4];
    size_t len;
    CHECK(dps_percent_decode(bytes_of("a\0b", 3), false, out, sizeof out, &len) == BYTES_E_FORMAT &&
          len == 0);
    return 0;
}

static int test_json_string(void)
{
    CHECK(writes(dps_write_json_string, bytes_of_text(""), "\"\""));
    CHECK(writes(dps_write_json_string, bytes_of_text("a/b"), "\"a/b\""));
    CHECK(writes(dps_write_json_string, bytes_of_text("\"\\\b\f\n\r\t\x1F\x7F"),
                 "\"\\\"\\\\\\b\\f\\n\\r\\t\\u001f\x7F\""));
    CHECK(writes(dps_write_json_string, bytes_of("\0", 1), "\"\\u0000\""));
    CHECK(writes(dps_write_json_string, bytes_of_text("\xF0\x9D\x84\x9E"),
                 "\"\xF0\x9D\x84\x9E\"")); /* G clef */
    uint8_t buffer[16];
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    dps_write_json_string(&w, bytes_of_text("a\xFF"));
    CHECK(w.error == BYTES_E_FORMAT && bytes_written(&w).len == 0);
    return 0;
}

static bool writes_decimal(uint64_t value, const char *expected)
{
    uint8_t buffer[20];
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    dps_write_decimal(&w, value);
    return bytes_equal_public(bytes_written(&w), bytes_of_text(expected));
}

static int decimal(const char *text, uint64_t maximum, uint64_t *value)
{
    return dps_decimal_parse(bytes_of_text(text), maximum, value);
}

static int test_decimal(void)
{
    uint64_t v;
    CHECK(writes_decimal(0, "0") && writes_decimal(10, "10") &&
          writes_decimal(UINT64_MAX, "18446744073709551615"));
    CHECK(decimal("0", 0, &v) == 0 && v == 0);
    CHECK(decimal("18446744073709551615", UINT64_MAX, &v) == 0 && v == UINT64_MAX);
    CHECK(decimal("18446744073709551616", UINT64_MAX, &v) == BYTES_E_LIMIT && v == 0);
    CHECK(decimal("99999999999999999999999", UINT64_MAX, &v) == BYTES_E_LIMIT && v == 0);
    CHECK(decimal("65535", 65535, &v) == 0 && v == 65535);
    CHECK_EQUAL(decimal("65536", 65535, &v), BYTES_E_LIMIT);
    CHECK(decimal("7", 5, &v) == BYTES_E_LIMIT && decimal("1", 0, &v) == BYTES_E_LIMIT);
    CHECK(decimal("15", 9, &v) == BYTES_E_LIMIT && decimal("9", 9, &v) == 0 && v == 9);
    static const char *const bad[] = {"",    "00",  "01",  "+1",  "-1", " 1", "1 ",
                                      "1.0", "1e1", "0x1", "1,0", "/",  ":",  "99999999999999999999999x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK(decimal(bad[i], UINT64_MAX, &v) == BYTES_E_FORMAT && v == 0);
    }
    return 0;
}

/* Both spellings of one second, and back. */
static bool time_is(uint64_t seconds, const char *rfc3339, const char *http)
{
    uint8_t buffer[64];
    uint64_t back = 1;
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    dps_write_time(&w, seconds);
    if (!bytes_equal_public(bytes_written(&w), bytes_of_text(rfc3339))) {
        return false;
    }
    w = bytes_writer_over(buffer, sizeof buffer);
    dps_write_http_date(&w, seconds);
    return bytes_equal_public(bytes_written(&w), bytes_of_text(http)) &&
           dps_http_date_parse(bytes_of_text(http), &back) == 0 && back == seconds;
}

static int test_time(void)
{
    CHECK(time_is(784111777, "1994-11-06T08:49:37.0000000Z",
                  "Sun, 06 Nov 1994 08:49:37 GMT")); /* RFC 9110 5.6.7 */
    CHECK(time_is(1547147033, "2019-01-10T19:03:53.0000000Z", "Thu, 10 Jan 2019 19:03:53 GMT"));
    CHECK(time_is(0, "1970-01-01T00:00:00.0000000Z", "Thu, 01 Jan 1970 00:00:00 GMT"));
    CHECK(time_is(951782400, "2000-02-29T00:00:00.0000000Z", "Tue, 29 Feb 2000 00:00:00 GMT"));
    CHECK(time_is(1735689599, "2024-12-31T23:59:59.0000000Z", "Tue, 31 Dec 2024 23:59:59 GMT"));
    CHECK(time_is(2147483648, "2038-01-19T03:14:08.0000000Z", "Tue, 19 Jan 2038 03:14:08 GMT"));
    CHECK(time_is(4107542400, "2100-03-01T00:00:00.0000000Z", "Mon, 01 Mar 2100 00:00:00 GMT"));
    CHECK(time_is(253402300799, "9999-12-31T23:59:59.0000000Z", "Fri, 31 Dec 9999 23:59:59 GMT"));
    uint8_t buffer[64];
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    dps_write_time(&w, 253402300800);
    CHECK_EQUAL(w.error, BYTES_E_LIMIT);
    w = bytes_writer_over(buffer, sizeof buffer);
    dps_write_http_date(&w, UINT64_MAX);
    CHECK_EQUAL(w.error, BYTES_E_LIMIT);
    return 0;
}

/* Every day of 400 years, the period of the calendar, is the one after the day before, and parses back. */
static int test_time_every_day(void)
{
    uint64_t weekday_names_seen = 0;
    for (uint64_t day = 0; day < 146097; day++) {
        uint8_t buffer[32];
        uint64_t back;
        struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
        dps_write_http_date(&w, day * 86400 + 86399);
        CHECK(dps_http_date_parse(bytes_written(&w), &back) == 0 && back == day * 86400 + 86399);
        weekday_names_seen += memcmp(buffer, "Thu", 3) == 0 ? 1 : 0;
    }
    CHECK_EQUAL(weekday_names_seen, 20871); /* 146097 / 7: the period is whole weeks */
    return 0;
}

static int test_http_date_bad(void)
{
    static const char *const bad[] = {
        "",
        "Thu, 10 Jan 2019 19:03:53 GM",
        "Thu, 10 Jan 2019 19:03:53 GMT ",
        "Fri, 10 Jan 2019 19:03:53 GMT",
        "thu, 10 Jan 2019 19:03:53 GMT",
        "Thu, 10 jan 2019 19:03:53 GMT",
        "Thu, 10 Jan 2019 19:03:53 UTC",
        "Thu, 10 Jan 2019 24:00:00 GMT",
        "Thu, 10 Jan 2019 19:60:00 GMT",
        "Thu, 10 Jan 2019 19:03:60 GMT",
        "Fri, 29 Feb 2019 00:00:00 GMT",
        "Thu, 00 Jan 1970 00:00:00 GMT",
        "Wed, 31 Dec 1969 23:59:59 GMT",
        "Fri, 00 Feb 2019 00:00:00 GMT",
        "Thu, 1: Jan 2019 19:03:53 GMT",
        "Thu, 10 Jan 2019 1p:03:53 GMT",
        "Thu, 10-Jan-2019 19:03:53 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT", /* the obsolete forms of RFC 9110 5.6.7 */
        "Sun Nov  6 08:49:37 1994"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t seconds = 1;
        CHECK(dps_http_date_parse(bytes_of_text(bad[i]), &seconds) == BYTES_E_FORMAT && seconds == 0);
    }
    return 0;
}

static void write_guid(struct bytes_writer *w, struct bytes random)
{
    dps_write_guid(w, random.p);
}

static int test_guid(void)
{
    uint8_t random[16] = {0};
    CHECK(writes(write_guid, bytes_of(random, 16), "00000000-0000-4000-8000-000000000000"));
    memset(random, 0xFF, sizeof random);
    CHECK(writes(write_guid, bytes_of(random, 16), "ffffffff-ffff-4fff-bfff-ffffffffffff"));
    /* RFC 9562 appendix A.3 */
    static const uint8_t example[16] = {0x91, 0x91, 0x08, 0xF7, 0x52, 0xD1, 0x33, 0x20,
                                        0x5B, 0xAC, 0xF8, 0x47, 0xDB, 0x41, 0x48, 0xA8};
    CHECK(writes(write_guid, bytes_of(example, 16), "919108f7-52d1-4320-9bac-f847db4148a8"));
    return 0;
}

static int test_utf8(void)
{
    static const char *const good[] = {"",
                                       "a",
                                       "\x7F",
                                       "\xC2\x80",
                                       "\xDF\xBF",
                                       "\xE0\xA0\x80",
                                       "\xED\x9F\xBF",
                                       "\xEE\x80\x80",
                                       "\xEF\xBF\xBF",
                                       "\xF0\x90\x80\x80",
                                       "\xF4\x8F\xBF\xBF",
                                       "A\xE2\x89\xA2\xCE\x91."}; /* RFC 3629 section 7 */
    /* Overlong forms, surrogates, above 10FFFF, cut off, stray continuation. */
    static const char *const bad[] = {"\x80",
                                      "\xBF",
                                      "\xC0\x80",
                                      "\xC1\xBF",
                                      "\xC2",
                                      "\xC2\x41",
                                      "\xC2\xC2",
                                      "\xE0\x80\x80",
                                      "\xE0\x9F\xBF",
                                      "\xE2\x89",
                                      "\xE2\x89\x41",
                                      "\xED\xA0\x80",
                                      "\xED\xBF\xBF",
                                      "\xF0\x80\x80\x80",
                                      "\xF0\x8F\xBF\xBF",
                                      "\xF0\x9D\x84",
                                      "\xF0\x9D\x84\x41",
                                      "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80",
                                      "\xF8\x88\x80\x80\x80",
                                      "\xFE",
                                      "\xFF"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        CHECK(dps_utf8_valid(bytes_of_text(good[i])));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK(!dps_utf8_valid(bytes_of_text(bad[i])));
        size_t len = strlen(bad[i]);
        uint8_t *copy = malloc(len);
        CHECK(copy != NULL);
        memcpy(copy, bad[i], len);
        bool valid = dps_utf8_valid(bytes_of(copy, len));
        free(copy);
        CHECK(!valid);
    }
    return 0;
}

static int test_small(void)
{
    for (unsigned c = 0; c < 256; c++) {
        CHECK(dps_lower((uint8_t)c) == (c >= 'A' && c <= 'Z' ? c + 32 : c));
    }
    CHECK(dps_hex_digit('0') == 0 && dps_hex_digit('9') == 9 && dps_hex_digit('a') == 10 &&
          dps_hex_digit('F') == 15);
    CHECK(dps_hex_digit('g') == 16 && dps_hex_digit('/') == 16 && dps_hex_digit(':') == 16 &&
          dps_hex_digit(0) == 16);
    CHECK(dps_text_equal_nocase(bytes_of_text("Content-LENGTH"), bytes_of_text("content-length")));
    CHECK(!dps_text_equal_nocase(bytes_of_text("["),
                                 bytes_of_text("{"))); /* differ by the case bit, are not letters */
    CHECK(!dps_text_equal_nocase(bytes_of_text("a"), bytes_of_text("ab")));

    struct bytes head, rest;
    rest = dps_split(bytes_of_text("a=b=c"), '=', &head);
    CHECK(bytes_equal_public(head, bytes_of_text("a")) && bytes_equal_public(rest, bytes_of_text("b=c")));
    rest = dps_split(bytes_of_text("abc"), '=', &head);
    CHECK(bytes_equal_public(head, bytes_of_text("abc")) && rest.len == 0);
    rest = dps_split(bytes_of_text("="), '=', &head);
    CHECK(head.len == 0 && rest.len == 0);
    rest = dps_split((struct bytes){NULL, 0}, '=', &head);
    CHECK(head.len == 0 && rest.len == 0);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {{"base64", test_base64},
                                        {"base64 is canonical", test_base64_canonical},
                                        {"base32", test_base32},
                                        {"hex", test_hex},
                                        {"percent-encoding", test_percent},
                                        {"JSON string", test_json_string},
                                        {"decimal", test_decimal},
                                        {"time", test_time},
                                        {"every day of 400 years", test_time_every_day},
                                        {"malformed dates", test_http_date_bad},
                                        {"GUID", test_guid},
                                        {"UTF-8", test_utf8},
                                        {"small functions", test_small}};
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
