/* SPDX-License-Identifier: MIT */
/* More of string.h than boards need. */
#ifndef TESTS_LAB_LIBC_STRING_H
#define TESTS_LAB_LIBC_STRING_H

#include "port/bare/libc/string.h"

void *memmem(const void *where, size_t where_len, const void *what, size_t what_len);
int strncmp(const char *a, const char *b, size_t n);
size_t strspn(const char *s, const char *set);
size_t strcspn(const char *s, const char *set);

#endif
