/* SPDX-License-Identifier: MIT */
#include "tests/unit/test.h"
#include <stdio.h>

int test_run(const struct test *tests, size_t count)
{
    int failed = 0;
    printf("1..%zu\n", count);
    for (size_t i = 0; i < count; i++) {
        int line = tests[i].run();
        if (line == 0) {
            printf("ok %zu - %s\n", i + 1, tests[i].name);
        } else {
            printf("not ok %zu - %s\n# failed at line %d\n", i + 1, tests[i].name, line);
            failed++;
        }
        fflush(stdout);
    }
    return failed == 0 && count > 0 ? 0 : 1;
}
