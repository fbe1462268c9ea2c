/* SPDX-License-Identifier: MIT */
/* Plain loops: small, and fast enough for messages of a few hundred bytes. Built without builtins and with
 * -fno-tree-loop-distribute-patterns, or the compiler would replace each loop by a call of the function that it
 * implements. */
#include <stdint.h>
#include <string.h>

void *memchr(const void *s, int c, size_t n)
{
    const uint8_t *p = s;
    for (; n > 0; n--, p++) {
        if (*p == (uint8_t)c) {
            const union {
                const uint8_t *in;
                void *out;
            } found = {p};
            return found.out;
        }
    }
    return NULL;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *p = a;
    const uint8_t *q = b;
    for (; n > 0; n--, p++, q++) {
        if (*p != *q) {
            return *p - *q;
        }
    }
    return 0;
}

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    uint8_t *out = to;
    const uint8_t *in = from;
    while (n-- > 0) {
        *out++ = *in++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    uint8_t *out = to;
    const uint8_t *in = from;
    /* As numbers: pointers into different objects must not be compared. */
    if ((uintptr_t)out <= (uintptr_t)in) {
        return memcpy(to, from, n);
    }
    while (n-- > 0) {
        out[n] = in[n];
    }
    return to;
}

void *memset(void *s, int c, size_t n)
{
    uint8_t *out = s;
    while (n-- > 0) {
        *out++ = (uint8_t)c;
    }
    return s;
}

char *strchr(const char *s, int c)
{
    for (;; s++) {
        if (*s == (char)c) {
            const union {
                const char *in;
                char *out;
            } found = {s};
            return found.out;
        }
        if (*s == '\0') {
            return NULL;
        }
    }
}

int strcmp(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return (uint8_t)*a - (uint8_t)*b;
}

size_t strlen(const char *s)
{
    size_t n = 0;
    while (s[n] != '\0') {
        n++;
    }
    return n;
}
