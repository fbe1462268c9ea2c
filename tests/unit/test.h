/* SPDX-License-Identifier: MIT */
/* Unit tests: plain functions returning 0 or the line that failed, run by a table, reported as TAP. No framework, so
 * that the same objects also run on a board. */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

#include <stdbool.h>
#include <stddef.h>

struct test {
    const char *name;
    int (*run)(void);
};

/* Run them all, print TAP to standard output. Returns the exit status: 0 if all held and there was at least one. */
int test_run(const struct test *tests, size_t count);

/* Is all of it zero, as what was wiped is? Also of a structure with padding, which memcmp is not for. */
bool test_is_zero(const void *memory, size_t len);

/* In a test function: return the line number if the condition does not hold. */
#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            return __LINE__;                                                                                 \
    } while (0)

/* Likewise when the two are not equal, which are then printed: numbers, bool, pointers, and texts by what they say. */
#ifdef __clang_analyzer__ /* which does not see through the function */
#define CHECK_EQUAL(got, wanted) CHECK((got) == (wanted))
#else
#define CHECK_EQUAL(got, wanted)                                                                             \
    do {                                                                                                     \
        if (!test_equal(__FILE__, __LINE__, TEST_VALUE(got), TEST_VALUE(wanted)))                            \
            return __LINE__;                                                                                 \
    } while (0)
#endif

struct test_value {
    enum test_kind { TEST_SIGNED, TEST_UNSIGNED, TEST_BOOL, TEST_TEXT, TEST_POINTER } kind;
    unsigned long long number;
    const void *pointer;
};

/* clang-format off */
#ifdef CPPCHECK /* which does not parse _Generic */
#define TEST_VALUE(x) test_value_unsigned((unsigned long long)(x))
#else
#define TEST_VALUE(x)                                                                                        \
    _Generic((x),                                                                                            \
        bool: test_value_bool,                                                                               \
        char: test_value_signed,                                                                             \
        signed char: test_value_signed,                                                                      \
        short: test_value_signed,                                                                            \
        int: test_value_signed,                                                                              \
        long: test_value_signed,                                                                             \
        long long: test_value_signed,                                                                        \
        unsigned char: test_value_unsigned,                                                                  \
        unsigned short: test_value_unsigned,                                                                 \
        unsigned: test_value_unsigned,                                                                       \
        unsigned long: test_value_unsigned,                                                                  \
        unsigned long long: test_value_unsigned,                                                             \
        char *: test_value_text,                                                                             \
        const char *: test_value_text,                                                                       \
        default: test_value_pointer)(x)
#endif
/* clang-format on */

struct test_value test_value_bool(bool value);
struct test_value test_value_signed(long long value);
struct test_value test_value_unsigned(unsigned long long value);
struct test_value test_value_text(const char *value);
struct test_value test_value_pointer(const void *value);

/* Are they equal? If not, it prints where, and both. */
bool test_equal(const char *file, int line, struct test_value got, struct test_value wanted);

#endif
