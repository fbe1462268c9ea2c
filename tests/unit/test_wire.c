/* SPDX-License-Identifier: MIT */
#include "crypto/bytes/bytes.h"
#include "tests/unit/test.h"
#include <string.h>

static const uint8_t bytes[] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
                                0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc};

static int test_read_integers(void)
{
    struct bytes_reader r = bytes_reader_over(bytes_of(bytes, sizeof bytes));
    CHECK_EQUAL(bytes_read_u8(&r), 0x01);
    CHECK_EQUAL(bytes_read_u16(&r), 0x2345);
    CHECK_EQUAL(bytes_read_u32(&r), 0x6789abcd);
    CHECK_EQUAL(bytes_reader_end(&r), BYTES_E_FORMAT);
    CHECK_EQUAL(bytes_read_u64(&r), 0xef1032547698badc);
    CHECK_EQUAL(bytes_reader_end(&r), 0);
    return 0;
}

/* The first error is kept, and nothing is read after it, however much is left. */
static int test_reader_is_sticky(void)
{
    struct bytes_reader r = bytes_reader_over(bytes_of(bytes, 3));
    CHECK_EQUAL(bytes_read_u32(&r), 0);
    CHECK(r.error == BYTES_E_FORMAT && r.left == 3);
    bytes_reader_fail(&r, BYTES_E_ALGORITHM);
    CHECK_EQUAL(bytes_read_u8(&r), 0);
    struct bytes s = bytes_read_bytes(&r, 1);
    CHECK(s.len == 0 && bytes_read_2b(&r).len == 0 && bytes_read_2b_whole(&r).len == 0);
    CHECK_EQUAL(bytes_reader_end(&r), BYTES_E_FORMAT);

    r = bytes_reader_over(bytes_of(bytes, 4));
    bytes_reader_fail(&r, BYTES_E_ALGORITHM);
    CHECK(bytes_read_u32(&r) == 0 && bytes_reader_end(&r) == BYTES_E_ALGORITHM);
    return 0;
}

/* A u64 that breaks off in its second half gives nothing of the first. */
static int test_u64_is_whole_or_nothing(void)
{
    for (size_t len = 0; len < 8; len++) {
        struct bytes_reader r = bytes_reader_over(bytes_of(bytes, len));
        CHECK(bytes_read_u64(&r) == 0 && r.error == BYTES_E_FORMAT);
    }
    return 0;
}

static int test_read_2b(void)
{
    static const uint8_t input[] = {0, 2, 'a', 'b', 0, 0, 0, 1, 'c'};
    struct bytes_reader r = bytes_reader_over(bytes_of(input, sizeof input));
    struct bytes s = bytes_read_2b(&r);
    CHECK(s.p == input + 2 && s.len == 2);
    s = bytes_read_2b(&r);
    CHECK(s.len == 0 && r.error == 0);
    s = bytes_read_2b_whole(&r);
    CHECK(s.p == input + 6 && s.len == 3);
    CHECK_EQUAL(bytes_reader_end(&r), 0);
    for (size_t len = 0; len < 4; len++) {
        r = bytes_reader_over(bytes_of(input, len));
        CHECK(bytes_read_2b(&r).len == 0 && r.error == BYTES_E_FORMAT);
        r = bytes_reader_over(bytes_of(input, len));
        CHECK(bytes_read_2b_whole(&r).len == 0 && r.error == BYTES_E_FORMAT);
    }
    return 0;
}

/* A declared size is exact: shorter and longer contents both fail, and so does an inner error. */
/* 0x00010002 bytes are not 2, however long a size_t is. */
static int test_read_4b(void)
{
    static const uint8_t whole[] = {0, 0, 0, 2, 7, 8, 9}, empty[] = {0, 0, 0, 0};
    static const uint8_t broken[][6] = {
        {0, 0, 0, 3, 7, 8}, {0, 1, 0, 2, 7, 8}, {1, 0, 0, 2, 7, 8}, {0xFF, 0xFF, 0xFF, 0xFF, 7, 8}};
    struct bytes_reader r = bytes_reader_over(bytes_of(whole, sizeof whole));
    CHECK(bytes_equal_public(bytes_read_4b(&r), bytes_of(whole + 4, 2)));
    CHECK(r.error == 0 && r.left == 1);
    r = bytes_reader_over(bytes_of(empty, sizeof empty));
    CHECK_EQUAL(bytes_read_4b(&r).len, 0);
    CHECK_EQUAL(bytes_reader_end(&r), 0);
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        r = bytes_reader_over(bytes_of(broken[i], sizeof broken[i]));
        CHECK_EQUAL(bytes_read_4b(&r).len, 0);
        CHECK_EQUAL(r.error, BYTES_E_FORMAT);
    }
    r = bytes_reader_over(bytes_of(whole, 3));
    CHECK_EQUAL(bytes_read_4b(&r).len, 0);
    CHECK_EQUAL(r.error, BYTES_E_FORMAT);
    return 0;
}

static int test_sized(void)
{
    static const uint8_t input[] = {0, 3, 1, 2, 3, 9};
    for (size_t taken = 0; taken <= 4; taken++) {
        struct bytes_reader r = bytes_reader_over(bytes_of(input, sizeof input));
        struct bytes_reader inner = bytes_read_sized(&r);
        for (size_t i = 0; i < taken; i++) {
            bytes_read_u8(&inner);
        }
        bytes_read_sized_end(&r, &inner);
        CHECK(r.error == (taken == 3 ? 0 : BYTES_E_FORMAT));
        CHECK(bytes_read_u8(&r) == (taken == 3 ? 9 : 0));
    }
    struct bytes_reader r = bytes_reader_over(bytes_of(input, 4));
    struct bytes_reader inner = bytes_read_sized(&r);
    CHECK(inner.error == BYTES_E_FORMAT && bytes_read_u8(&inner) == 0);
    r = bytes_reader_over(bytes_of(input, sizeof input));
    inner = bytes_read_sized(&r);
    bytes_reader_fail(&inner, BYTES_E_ALGORITHM);
    bytes_read_sized_end(&r, &inner);
    CHECK_EQUAL(r.error, BYTES_E_ALGORITHM);
    return 0;
}

static int test_write(void)
{
    uint8_t buffer[32];
    static const uint8_t expected[] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x10, 0x32, 0x54,
                                       0x76, 0x98, 0xba, 0xdc, 0,    3,    0,    1,    'x',  'y'};
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    bytes_write_u8(&w, 0x01);
    bytes_write_u16(&w, 0x2345);
    bytes_write_u32(&w, 0x6789abcd);
    bytes_write_u64(&w, 0xef1032547698badc);
    size_t size = bytes_write_size_begin(&w);
    bytes_write_2b(&w, bytes_of_text("x"));
    bytes_write_size_end(&w, size);
    bytes_write_bytes(&w, (struct bytes){0});
    uint8_t *room = bytes_write_room(&w, 1);
    CHECK(room != NULL);
    *room = 'y';
    CHECK(bytes_equal_public(bytes_written(&w), bytes_of(expected, sizeof expected)));
    /* A span without an address is zeros. */
    memset(buffer, 0xAA, sizeof buffer);
    w = bytes_writer_over(buffer, 3);
    bytes_write_2b(&w, bytes_of(NULL, 1));
    CHECK(w.error == 0 && w.len == 3 && buffer[1] == 1 && buffer[2] == 0 && buffer[3] == 0xAA);
    bytes_write_bytes(&w, bytes_of(NULL, 1));
    CHECK(w.error == BYTES_E_SPACE && buffer[3] == 0xAA);
    return 0;
}

/* Whatever the capacity: no byte beyond it is touched, and what does not fit yields nothing. */
static int test_write_without_space(void)
{
    for (size_t capacity = 0; capacity <= 14; capacity++) {
        uint8_t buffer[16];
        memset(buffer, 0xAA, sizeof buffer);
        struct bytes_writer w = bytes_writer_over(buffer, capacity);
        size_t size = bytes_write_size_begin(&w);
        bytes_write_u32(&w, 1);
        bytes_write_2b(&w, bytes_of_text("abc"));
        bytes_write_size_end(&w, size);
        bytes_write_u8(&w, 2);
        CHECK(w.len <= capacity);
        CHECK_EQUAL(w.error, (capacity < 12 ? BYTES_E_SPACE : 0));
        CHECK_EQUAL(bytes_written(&w).len, (capacity < 12 ? 0 : 12));
        for (size_t i = capacity; i < sizeof buffer; i++) {
            CHECK_EQUAL(buffer[i], 0xAA);
        }
    }
    struct bytes_writer w = bytes_writer_over(NULL, 0);
    CHECK(bytes_write_room(&w, 1) == NULL && w.error == BYTES_E_SPACE);
    bytes_writer_fail(&w, BYTES_E_LIMIT);
    CHECK_EQUAL(w.error, BYTES_E_SPACE);
    return 0;
}

/* A size_t of 16 bits has none that 16 bits cannot tell. */
#define BEYOND_16_BITS (SIZE_MAX > UINT16_MAX)

/* Sizes that 16 bits cannot tell are refused, not cut. */
static int test_write_limit(void)
{
    static uint8_t buffer[BEYOND_16_BITS ? 0x10010 : 1];
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    if (!BEYOND_16_BITS) {
        return 0;
    }
    bytes_write_2b(&w, bytes_of(buffer, 0x10000));
    CHECK(w.error == BYTES_E_LIMIT && bytes_written(&w).len == 0);

    w = bytes_writer_over(buffer, sizeof buffer);
    size_t size = bytes_write_size_begin(&w);
    CHECK(bytes_write_room(&w, 0xFFFF) != NULL);
    bytes_write_size_end(&w, size);
    CHECK(w.error == 0 && buffer[0] == 0xFF && buffer[1] == 0xFF);

    w = bytes_writer_over(buffer, sizeof buffer);
    size = bytes_write_size_begin(&w);
    CHECK(bytes_write_room(&w, 0x10000) != NULL);
    bytes_write_size_end(&w, size);
    CHECK_EQUAL(w.error, BYTES_E_LIMIT);
    return 0;
}

static int test_spans(void)
{
    CHECK_EQUAL(bytes_of_text("abc").len, 3);
    CHECK(bytes_equal_public(bytes_of_text("abc"), bytes_of("abc", 3)));
    CHECK(!bytes_equal_public(bytes_of_text("abc"), bytes_of_text("abd")));
    CHECK(!bytes_equal_public(bytes_of_text("abc"), bytes_of_text("ab")));
    CHECK(bytes_equal_public((struct bytes){0}, bytes_of_text("")));
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"integers are read big-endian", test_read_integers},
        {"a reader keeps its first error", test_reader_is_sticky},
        {"a 64-bit integer is whole or nothing", test_u64_is_whole_or_nothing},
        {"TPM2B with and without its size", test_read_2b},
        {"a 32-bit size", test_read_4b},
        {"a sized structure is consumed exactly", test_sized},
        {"writing", test_write},
        {"writing stops at the capacity", test_write_without_space},
        {"sizes above 65535 are refused", test_write_limit},
        {"spans", test_spans},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
