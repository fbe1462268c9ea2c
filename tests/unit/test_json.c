/* SPDX-License-Identifier: MIT */
/* dps/protocol/json.h. Origin: the examples of RFC 8259 section 13, RFC 8259 section 7 (surrogate pair); the negative
 * corpus is written for this project, one case for each way to leave the grammar, in the manner of JSONTestSuite. */
#include "dps/protocol/json.h"
#include "dps/protocol/limits.h"
#include "tests/unit/test.h"
#include <stdlib.h>
#include <string.h>

struct sample {
    const char *text;
    size_t len;
};
#define SAMPLE(literal)                                                                                      \
    {                                                                                                        \
        literal, sizeof(literal) - 1                                                                         \
    }

/* Check a copy that is allocated to size, so that a sanitizer sees a read beyond the text. */
static int check_sized(const void *text, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    if (copy == NULL) {
        return 1;
    }
    memcpy(copy, text, len);
    struct bytes value;
    int rc = dps_json_check(bytes_of(copy, len), &value);
    if (rc != 0 && value.len != 0) {
        rc = 1;
    }
    free(copy);
    return rc;
}

static const struct sample good[] = {
    SAMPLE("{}"),
    SAMPLE("[]"),
    SAMPLE("\"\""),
    SAMPLE("0"),
    SAMPLE("-0"),
    SAMPLE("true"),
    SAMPLE("false"),
    SAMPLE("null"),
    SAMPLE(" \t\r\n null \t\r\n "),
    SAMPLE("-12.50e+07"),
    SAMPLE("0.0"),
    SAMPLE("0e1"),
    SAMPLE("0E-1"),
    SAMPLE("1e99999"),
    SAMPLE("[ ]"),
    SAMPLE("{ }"),
    SAMPLE("[[],{},[{}]]"),
    SAMPLE("{\"a\":{},\"b\":[]}"),
    SAMPLE("{\"\":0}"),
    SAMPLE("{\"a\":1,\"a\":2}"), /* names SHOULD be unique, so this is JSON [RFC 8259 4] */
    SAMPLE("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\uD834\\uDD1E\""),
    SAMPLE("\"\\u0000\""), /* JSON, but no text: dps_json_string refuses it */
    SAMPLE("\"\x7F\""),    /* DEL is not a control character to JSON */
    SAMPLE("\"\xC3\xBC\xE2\x82\xAC\xF0\x9D\x84\x9E\""),
    SAMPLE("[1 , 2\n,\t3]"),
    SAMPLE("{ \"a\" : [ true , null ] , \"b\" : \"}\" }"),
    /* RFC 8259 section 13 */
    SAMPLE(
        "{\"Image\":{\"Width\":800,\"Height\":600,\"Title\":\"View from 15th Floor\",\"Thumbnail\":{\"Url\":"
        "\"http://www.example.com/image/481989943\",\"Height\":125,\"Width\":100},\"Animated\":false,"
        "\"IDs\":[116,943,234,38793]}}"),
    SAMPLE("[{\"precision\":\"zip\",\"Latitude\":37.7668,\"Longitude\":-122.3959,\"Address\":\"\"},"
           "{\"precision\":\"zip\",\"Latitude\":37.371991,\"Longitude\":-122.026020,\"Zip\":\"94085\"}]"),
    SAMPLE("\"Hello world!\""),
    SAMPLE("42"),
    /* the final answer of the real service, shortened */
    SAMPLE(
        "{\"operationId\":\"4.2e\",\"status\":\"assigned\",\"registrationState\":{\"tpm\":{"
        "\"authenticationKey\":"
        "\"AA==\"},\"assignedHub\":\"h.example\",\"deviceId\":\"d\",\"payload\":{\"x\":[1,{\"y\":null}]}}}"),
};

static const struct sample bad[] = {
    /* nothing, or no value */
    SAMPLE(""),
    SAMPLE(" "),
    SAMPLE("\n"),
    SAMPLE("\0"),
    SAMPLE(","),
    SAMPLE(":"),
    /* objects */
    SAMPLE("{"),
    SAMPLE("}"),
    SAMPLE("{\"a\":}"),
    SAMPLE("{:}"),
    SAMPLE("{:1}"),
    SAMPLE("{\"a\"}"),
    SAMPLE("{\"a\":1"),
    SAMPLE("{\"a\" 1}"),
    SAMPLE("{\"a\"::1}"),
    SAMPLE("{\"a\":1,}"),
    SAMPLE("{,\"a\":1}"),
    SAMPLE("{,}"),
    SAMPLE("{\"a\":1,,\"b\":2}"),
    SAMPLE("{\"a\":1 \"b\":2}"),
    SAMPLE("{\"a\":1:2}"),
    SAMPLE("{a:1}"),
    SAMPLE("{'a':1}"),
    SAMPLE("{1:1}"),
    SAMPLE("{null:1}"),
    SAMPLE("{[]:1}"),
    SAMPLE("{\"a\",1}"),
    SAMPLE("{\"a\":1]"),
    SAMPLE("{\"a\":[}"),
    SAMPLE("{\"a\":1}}"),
    SAMPLE("{{}}"),
    SAMPLE("{\"a\":1/**/}"),
    SAMPLE("{\"a\":1}//"),
    SAMPLE("{\"a\":1}#"),
    /* arrays */
    SAMPLE("["),
    SAMPLE("]"),
    SAMPLE("[1"),
    SAMPLE("[1 2]"),
    SAMPLE("[1,]"),
    SAMPLE("[,1]"),
    SAMPLE("[,]"),
    SAMPLE("[1,,2]"),
    SAMPLE("[1}"),
    SAMPLE("[1]]"),
    SAMPLE("[\"a\":1]"),
    SAMPLE("[][]"),
    SAMPLE("[],"),
    SAMPLE("[1;2]"),
    SAMPLE("[[]"),
    SAMPLE("[[],[}]"),
    SAMPLE("[\"a\"\"b\"]"),
    /* literals */
    SAMPLE("tru"),
    SAMPLE("True"),
    SAMPLE("TRUE"),
    SAMPLE("truee"),
    SAMPLE("nul"),
    SAMPLE("nan"),
    SAMPLE("NaN"),
    SAMPLE("Infinity"),
    SAMPLE("-Infinity"),
    SAMPLE("undefined"),
    SAMPLE("fals\0"),
    /* numbers */
    SAMPLE("01"),
    SAMPLE("-01"),
    SAMPLE("00"),
    SAMPLE("1."),
    SAMPLE("1.e1"),
    SAMPLE(".5"),
    SAMPLE("-.5"),
    SAMPLE("-"),
    SAMPLE("--1"),
    SAMPLE("+1"),
    SAMPLE("1e"),
    SAMPLE("1e+"),
    SAMPLE("1eE2"),
    SAMPLE("1.2.3"),
    SAMPLE("0x1F"),
    SAMPLE("1_000"),
    SAMPLE("1 000"),
    SAMPLE("- 1"),
    SAMPLE("\xEF\xBC\x91"), /* a full-width 1 */
    /* strings */
    SAMPLE("\""),
    SAMPLE("\"abc"),
    SAMPLE("'a'"),
    SAMPLE("\"\\\""),
    SAMPLE("\"\\"),
    SAMPLE("\"\\x41\""),
    SAMPLE("\"\\a\""),
    SAMPLE("\"\\0\""),
    SAMPLE("\"\\U0041\""),
    SAMPLE("\"\\u\""),
    SAMPLE("\"\\u004\""),
    SAMPLE("\"\\u00G0\""),
    SAMPLE("\"\\u 041\""),
    /* surrogates without the other half */
    SAMPLE("\"\\uD800\""),
    SAMPLE("\"\\udfff\""),
    SAMPLE("\"\\uD800x\""),
    SAMPLE("\"\\uD800\\u0041\""),
    SAMPLE("\"\\uD800\\uD800\""),
    SAMPLE("\"\\uDC00\\uD800\""),
    SAMPLE("\"\\uD834\\n\""),
    SAMPLE("\"\\uD834\\\\uDD1E\""),
    SAMPLE("\"\\uD834\\uDD1E\\uDD1E\""),
    SAMPLE("\"\\uD834\\uDD1\""),
    SAMPLE("{\"\\uDBFF\":1}"),
    SAMPLE("[[{\"a\":\"\\uDBFF\"}]]"),
    SAMPLE("\"\\u0041"),
    SAMPLE("\"a\nb\""),
    SAMPLE("\"a\tb\""),
    SAMPLE("\"a\0b\""),
    SAMPLE("\"\x1F\""),
    SAMPLE("\"a\" \"b\""),
    /* not UTF-8: truncated, overlong, surrogate, above 10FFFF, stray */
    SAMPLE("\"\xC3\""),
    SAMPLE("\"\xC0\xAF\""),
    SAMPLE("\"\xE0\x80\xAF\""),
    SAMPLE("\"\xED\xA0\x80\""),
    SAMPLE("\"\xF4\x90\x80\x80\""),
    SAMPLE("\"\x80\""),
    SAMPLE("\"\xFF\""),
    SAMPLE("\xEF\xBB\xBF{}"), /* a byte order mark */
    SAMPLE("\xFF\xFE{\0}\0"), /* UTF-16 */
    /* other white space, trailing bytes */
    SAMPLE("\f1"),
    SAMPLE("\v1"),
    SAMPLE("\xC2\xA0"
           "1"),
    SAMPLE("1\0"),
    SAMPLE("{}\0"),
    SAMPLE("{} x"),
    SAMPLE("null null"),
};

static int test_good(void)
{
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        CHECK_EQUAL(check_sized(good[i].text, good[i].len), 0);
    }
    return 0;
}

static int test_bad(void)
{
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_EQUAL(check_sized(bad[i].text, bad[i].len), BYTES_E_FORMAT);
    }
    return 0;
}

/* Nothing that is cut off may pass, except a number, whose beginning is one, and white space at the end. */
static int test_truncated(void)
{
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char last = good[i].text[good[i].len - 1];
        if (last != '}' && last != ']' && last != '"') {
            continue;
        }
        for (size_t len = 0; len < good[i].len; len++) {
            CHECK_EQUAL(check_sized(good[i].text, len), BYTES_E_FORMAT);
        }
    }
    return 0;
}

/* The whole interface on any text: every member and string, without a fault, and with every view inside the text. */
static bool walk(struct bytes text, struct bytes value)
{
    struct bytes name, item;
    uint8_t out[512];
    size_t len, cursor = 0, rounds = 0;
    uint64_t number;
    (void)dps_json_string(value, out, sizeof out, &len);
    (void)dps_json_uint(value, 1000, &number);
    (void)dps_json_member(value, "status", &item);
    while (dps_json_next(value, &cursor, &name, &item)) {
        if (item.len == 0 || item.p < text.p || item.p + item.len > text.p + text.len ||
            ++rounds > text.len) {
            return false;
        }
        if (!walk(text, item)) {
            return false;
        }
    }
    return true;
}

static int test_every_byte_changed(void)
{
    static const uint8_t values[] = {0,   ' ', '"', '\\', '{',  '}',  '[', ']',
                                     ',', ':', '0', 'u',  0x80, 0xC3, 0xFF};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        uint8_t *copy = malloc(good[i].len);
        CHECK(copy != NULL);
        struct bytes text = bytes_of(copy, good[i].len);
        bool ok = true;
        for (size_t at = 0; at < text.len; at++) {
            for (size_t v = 0; v < sizeof values; v++) {
                struct bytes value;
                memcpy(copy, good[i].text, text.len);
                copy[at] = values[v];
                if (dps_json_check(text, &value) == 0) {
                    ok = ok && walk(text, value);
                }
                ok = ok && walk(text, text); /* a caller that forgot to check must not crash either */
            }
        }
        free(copy);
        CHECK(ok);
    }
    return 0;
}

static int test_depth(void)
{
    char text[4 * DPS_JSON_DEPTH_MAX + 16];
    for (size_t depth = 1; depth <= DPS_JSON_DEPTH_MAX + 1; depth++) {
        int expected = depth <= DPS_JSON_DEPTH_MAX ? 0 : BYTES_E_LIMIT;
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        CHECK_EQUAL(check_sized(text, 2 * depth), expected);
        text[depth] = '}';
        CHECK_EQUAL(check_sized(text, 2 * depth), (expected != 0 ? expected : BYTES_E_FORMAT));
    }
    /* Objects and arrays in turn: each level remembers which it is. */
    static const char mixed[] = "{\"a\":[{\"a\":[{\"a\":[]}]}]}";
    static const char crossed[] = "{\"a\":[{\"a\":[{\"a\":[]}]]}}";
    CHECK_EQUAL(check_sized(mixed, strlen(mixed)), 0);
    CHECK_EQUAL(check_sized(crossed, strlen(crossed)), BYTES_E_FORMAT);
    /* Closing gives levels back: down to the limit, up three, down again, up. */
    memset(text, '[', sizeof text);
    memset(text + DPS_JSON_DEPTH_MAX, ']', 3);
    text[DPS_JSON_DEPTH_MAX + 3] = ',';
    memset(text + DPS_JSON_DEPTH_MAX + 7, ']', DPS_JSON_DEPTH_MAX);
    CHECK_EQUAL(check_sized(text, 2 * DPS_JSON_DEPTH_MAX + 7), 0);
    static char many[SIZE_MAX > UINT16_MAX ? 200000 : 2000];
    memset(many, '[', sizeof many);
    CHECK_EQUAL(check_sized(many, sizeof many), BYTES_E_LIMIT);
    return 0;
}

static struct bytes value_of(const char *text)
{
    struct bytes value;
    (void)dps_json_check(bytes_of_text(text), &value);
    return value;
}

static int test_value_and_kind(void)
{
    CHECK(bytes_equal_public(value_of(" \n[1, 2 ]\t"), bytes_of_text("[1, 2 ]")));
    CHECK(dps_json_kind(value_of("{}")) == DPS_JSON_OBJECT &&
          dps_json_kind(value_of("[]")) == DPS_JSON_ARRAY);
    CHECK(dps_json_kind(value_of("\"\"")) == DPS_JSON_STRING &&
          dps_json_kind(value_of("-1")) == DPS_JSON_NUMBER);
    CHECK(dps_json_kind(value_of("true")) == DPS_JSON_TRUE &&
          dps_json_kind(value_of("false")) == DPS_JSON_FALSE);
    CHECK(dps_json_kind(value_of("null")) == DPS_JSON_NULL && dps_json_kind(value_of("x")) == DPS_JSON_NONE);
    return 0;
}

static bool member_is(const char *text, const char *name, int rc, const char *expected)
{
    struct bytes value = {(const uint8_t *)"x", 1};
    return dps_json_member(value_of(text), name, &value) == rc &&
           bytes_equal_public(value, bytes_of_text(expected));
}

static int test_member(void)
{
    const char *text = " { \"a\" : 1 , \"ab\" : [ 2 , { \"a\" : 3 } ] , \"\\u0061c\" : \"}\" , \"\" : null , "
                       "\"\\uD834\\uDD1E\" : 5 } ";
    CHECK(member_is(text, "a", 0, "1")); /* neither the longer names nor the nested one */
    CHECK(member_is(text, "ab", 0, "[ 2 , { \"a\" : 3 } ]"));
    CHECK(member_is(text, "ac", 0, "\"}\""));
    CHECK(member_is(text, "", 0, "null"));
    CHECK(member_is(text, "\xF0\x9D\x84\x9E", 0, "5"));
    CHECK(member_is(text, "b", BYTES_E_NOT_FOUND, ""));
    CHECK(member_is(text, "A", BYTES_E_NOT_FOUND, ""));
    CHECK(member_is(text, "\\u0061c", BYTES_E_NOT_FOUND, ""));
    CHECK(member_is("{}", "a", BYTES_E_NOT_FOUND, ""));
    CHECK(member_is("{\"a\":1,\"a\":2}", "a", BYTES_E_FORMAT, ""));
    CHECK(member_is("{\"a\":1,\"\\u0061\":2,\"b\":3}", "a", BYTES_E_FORMAT, ""));
    CHECK(member_is("{\"a\":1,\"\\u0061\":2,\"b\":3}", "b", 0, "3"));
    CHECK(member_is("{\"a\\u0000b\":1}", "a", BYTES_E_NOT_FOUND, "")); /* a zero does not end a name */
    CHECK(member_is("[\"a\",1]", "a", BYTES_E_FORMAT, ""));
    CHECK(member_is("\"a\"", "a", BYTES_E_FORMAT, ""));
    CHECK(member_is("", "a", BYTES_E_FORMAT, ""));
    return 0;
}

static int test_next(void)
{
    struct bytes name, value;
    struct bytes text = value_of("{ \"a\\n\" : 1,\"b\":[{},2 ] , \"c\":\",\" }");
    size_t cursor = 0;
    CHECK(dps_json_next(text, &cursor, &name, &value));
    CHECK(bytes_equal_public(name, bytes_of_text("a\\n")) && bytes_equal_public(value, bytes_of_text("1")));
    CHECK(dps_json_next(text, &cursor, &name, &value));
    struct bytes array = value;
    CHECK(bytes_equal_public(name, bytes_of_text("b")) &&
          bytes_equal_public(value, bytes_of_text("[{},2 ]")));
    CHECK(dps_json_next(text, &cursor, &name, &value));
    CHECK(bytes_equal_public(name, bytes_of_text("c")) && bytes_equal_public(value, bytes_of_text("\",\"")));
    CHECK(!dps_json_next(text, &cursor, &name, &value) && name.len == 0 && value.len == 0);
    CHECK(!dps_json_next(text, &cursor, &name, &value)); /* the end stays the end */
    cursor = 0;
    CHECK(dps_json_next(array, &cursor, &name, &value) && name.len == 0 &&
          bytes_equal_public(value, bytes_of_text("{}")));
    CHECK(dps_json_next(array, &cursor, &name, &value) && name.len == 0 &&
          bytes_equal_public(value, bytes_of_text("2")));
    CHECK(!dps_json_next(array, &cursor, &name, &value));
    static const char *const none[] = {"{}", "[]", "[ ]", "{ }", "\"a\"", "1", ""};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        cursor = 0;
        CHECK(!dps_json_next(value_of(none[i]), &cursor, &name, &value));
    }
    return 0;
}

/* Decoding gives expected elsewhere and in place, and BYTES_E_SPACE with one byte less. */
static bool string_gives(const char *text, struct bytes expected)
{
    uint8_t buffer[64], out[64];
    size_t len = 99;
    struct bytes value = value_of(text);
    if (value.len == 0 || dps_json_string(value, out, expected.len, &len) != 0 ||
        !bytes_equal_public(bytes_of(out, len), expected)) {
        return false;
    }
    if (expected.len > 0 &&
        (dps_json_string(value, out, expected.len - 1, &len) != BYTES_E_SPACE || len != 0)) {
        return false;
    }
    memcpy(buffer, value.p, value.len);
    return dps_json_string(bytes_of(buffer, value.len), buffer, value.len, &len) == 0 &&
           bytes_equal_public(bytes_of(buffer, len), expected);
}

static bool string_refused(const char *text)
{
    uint8_t out[64];
    size_t len = 99;
    return value_of(text).len != 0 &&
           dps_json_string(value_of(text), out, sizeof out, &len) == BYTES_E_FORMAT && len == 0;
}

static int test_string(void)
{
    CHECK(string_gives("\"\"", bytes_of_text("")));
    CHECK(string_gives("\"Hello world!\"", bytes_of_text("Hello world!")));
    CHECK(string_gives("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", bytes_of_text("\"\\/\b\f\n\r\t")));
    CHECK(string_gives("\"\\uD834\\uDD1E\"", bytes_of_text("\xF0\x9D\x84\x9E"))); /* RFC 8259 section 7 */
    CHECK(string_gives("\"\\u0041\\u005C\\u0022\"", bytes_of_text("A\\\"")));
    CHECK(
        string_gives("\"\\u007f\\u0080\\u07ff\\u0800\"", bytes_of_text("\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80")));
    CHECK(string_gives("\"\\uD7FF\\uE000\\uFFFF\"", bytes_of_text("\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF")));
    CHECK(
        string_gives("\"\\ud800\\udc00\\uDBFF\\uDFFF\"", bytes_of_text("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF")));
    CHECK(string_gives("\"\xC3\xBC\xE2\x82\xAC\"", bytes_of_text("\xC3\xBC\xE2\x82\xAC")));
    CHECK(string_gives("\"\\u00fcnul\"", bytes_of_text("\xC3\xBCnul")));
    static const char *const refused[] = {"\"\\u0000\"", "\"a\\u0000b\"", "1", "null", "{}", "[\"a\"]"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        CHECK(string_refused(refused[i]));
    }
    return 0;
}

static int test_string_is(void)
{
    CHECK(dps_json_string_is(value_of("\"assigned\""), "assigned"));
    CHECK(dps_json_string_is(value_of("\"\\u0061ssigned\""), "assigned"));
    CHECK(dps_json_string_is(value_of("\"\\uD834\\uDD1E\""), "\xF0\x9D\x84\x9E"));
    CHECK(dps_json_string_is(value_of("\"\""), ""));
    CHECK(!dps_json_string_is(value_of("\"assigned\""), "assign"));
    CHECK(!dps_json_string_is(value_of("\"assign\""), "assigned"));
    CHECK(!dps_json_string_is(value_of("\"assigned\\u0000\""), "assigned"));
    CHECK(!dps_json_string_is(value_of("\"Assigned\""), "assigned"));
    CHECK(!dps_json_string_is(value_of("1"), "1"));
    CHECK(!dps_json_string_is(value_of("x"), ""));
    return 0;
}

static int test_uint(void)
{
    uint64_t n = 1;
    CHECK(dps_json_uint(value_of("0"), 0, &n) == 0 && n == 0);
    CHECK(dps_json_uint(value_of(" 3600 "), 3600, &n) == 0 && n == 3600);
    CHECK(dps_json_uint(value_of("3601"), 3600, &n) == BYTES_E_LIMIT && n == 0);
    CHECK(dps_json_uint(value_of("18446744073709551615"), UINT64_MAX, &n) == 0 && n == UINT64_MAX);
    CHECK(dps_json_uint(value_of("18446744073709551616"), UINT64_MAX, &n) == BYTES_E_LIMIT && n == 0);
    static const char *const refused[] = {"-1",    "-0",   "1.0",  "1e2", "1E0", "0.5",
                                          "\"1\"", "true", "null", "[1]", "x"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        CHECK(dps_json_uint(value_of(refused[i]), 100, &n) == BYTES_E_FORMAT && n == 0);
    }
    return 0;
}

int main(void)
{
    static const struct test tests[] = {{"accepted", test_good},
                                        {"refused", test_bad},
                                        {"truncated at every byte", test_truncated},
                                        {"every byte changed", test_every_byte_changed},
                                        {"nesting", test_depth},
                                        {"value and kind", test_value_and_kind},
                                        {"member by name", test_member},
                                        {"walk", test_next},
                                        {"decode strings", test_string},
                                        {"compare strings", test_string_is},
                                        {"numbers", test_uint}};
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
