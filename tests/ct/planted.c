/* SPDX-License-Identifier: MIT */
/* Two faults that make ct must find: a comparison that stops at the first difference, and a table that a secret
 * indexes. Usage: planted branch|address */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <valgrind/memcheck.h>

static bool equal(const uint8_t *a, const uint8_t *b, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (a[i] != b[i]) {
            return false;
        }
    }
    return true;
}

static uint8_t looked_up(uint8_t secret)
{
    static volatile const uint8_t table[256] = {1, 2, 3};
    return table[secret];
}

int main(int argc, char **argv)
{
    uint8_t secret[32] = {1};
    static const uint8_t other[32] = {2};
    (void)VALGRIND_MAKE_MEM_UNDEFINED(secret, sizeof secret);
    if (argc == 2 && strcmp(argv[1], "branch") == 0) {
        volatile bool verdict = equal(secret, other, sizeof secret);
        (void)verdict;
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "address") == 0) {
        volatile uint8_t found = looked_up(secret[0]);
        (void)found;
        return 0;
    }
    return 2;
}
