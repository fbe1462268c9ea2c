/* SPDX-License-Identifier: MIT */
/* What the core and BearSSL take from a C library, for boards that have none; memory.c implements it. */
#ifndef PORT_BARE_LIBC_STRING_H
#define PORT_BARE_LIBC_STRING_H

#include <stddef.h>

/* As the standard says. */
void *memchr(const void *s, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *s, int c, size_t n);
char *strchr(const char *s, int c);
int strcmp(const char *a, const char *b);
size_t strlen(const char *s);

#endif
