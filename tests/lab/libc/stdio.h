/* SPDX-License-Identifier: MIT */
/* What the explanations take from stdio.h, for a machine without files: a FILE is memory. */
#ifndef TESTS_LAB_LIBC_STDIO_H
#define TESTS_LAB_LIBC_STDIO_H

#include <stdarg.h>
#include <stddef.h>

typedef struct lab_file FILE;
extern FILE *const stderr; /* what is written to it is lost */

/* There is one file at a time. mode is ignored. What does not fit is lost. */
FILE *fmemopen(void *memory, size_t size, const char *mode);
long ftell(FILE *f);
int fclose(FILE *f);
int fflush(FILE *f);
int fileno(FILE *f);

/* Conversions: d u x c s, with l, ll and z, with 0 and a width, and %.*s. */
int snprintf(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
int fprintf(FILE *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
int fputs(const char *text, FILE *f);
int fputc(int c, FILE *f);
size_t fwrite(const void *bytes, size_t size, size_t count, FILE *f);

#endif
