/* SPDX-License-Identifier: MIT */
/* Unit tests: plain functions returning 0 or the line that failed, run by a table, reported as TAP. No framework, so
 * that the same objects also run on a board. */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

#include <stddef.h>

struct test {
    const char *name;
    int (*run)(void);
};

/* Run them all, print TAP to standard output. Returns the exit status: 0 if all held and there was at least one. */
int test_run(const struct test *tests, size_t count);

/* In a test function: leave with the line number when the condition does not hold. */
#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            return __LINE__;                                                                                 \
    } while (0)

#endif
