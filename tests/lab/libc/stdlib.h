/* SPDX-License-Identifier: MIT */
/* Declared for sources of which the lab takes a part. There is no heap: who asks for one does not link. */
#ifndef TESTS_LAB_LIBC_STDLIB_H
#define TESTS_LAB_LIBC_STDLIB_H

#include <stddef.h>

char *getenv(const char *name); /* null */
void *calloc(size_t count, size_t size);
void free(void *memory);

#endif
