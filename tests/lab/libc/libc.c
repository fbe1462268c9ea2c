/* SPDX-License-Identifier: MIT */
/* The little that the lab takes from a C library beyond port/bare/libc. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct lab_file {
    char *to;
    size_t size, len;
};

static FILE nowhere, memory_file;
FILE *const stderr = &nowhere;

/* ---- Files ------------------------------------------------------------------------------------------------------- */

FILE *fmemopen(void *memory, size_t size, const char *mode)
{
    (void)mode;
    memory_file = (FILE){.to = memory, .size = size};
    return &memory_file;
}

long ftell(FILE *f)
{
    return (long)f->len;
}

int fclose(FILE *f)
{
    (void)f;
    return 0;
}

int fflush(FILE *f)
{
    (void)f;
    return 0;
}

int fileno(FILE *f)
{
    (void)f;
    return -1;
}

int isatty(int fd)
{
    (void)fd;
    return 0;
}

char *getenv(const char *name)
{
    (void)name;
    return NULL;
}

int fputc(int c, FILE *f)
{
    if (f->len < f->size) {
        f->to[f->len++] = (char)c;
    }
    return c;
}

size_t fwrite(const void *bytes, size_t size, size_t count, FILE *f)
{
    const char *p = bytes;
    for (size_t i = 0; i < size * count; i++) {
        (void)fputc(p[i], f);
    }
    return count;
}

int fputs(const char *text, FILE *f)
{
    (void)fwrite(text, 1, strlen(text), f);
    return 0;
}

/* ---- Formats ----------------------------------------------------------------------------------------------------- */

/* A va_list may be an array, and then cannot be passed on by its address. */
struct arguments {
    va_list list;
};

struct conversion {
    bool zeros;
    size_t width, precision;
    unsigned longs;
    char kind;
};

static const char *read_conversion(const char *p, struct conversion *c, struct arguments *arguments)
{
    *c = (struct conversion){.precision = SIZE_MAX};
    c->zeros = *p == '0';
    for (; *p >= '0' && *p <= '9'; p++) {
        c->width = c->width * 10 + (size_t)(*p - '0');
    }
    if (p[0] == '.' && p[1] == '*') {
        c->precision = (size_t)va_arg(arguments->list, int);
        p += 2;
    }
    for (; *p == 'l' || *p == 'z'; p++) {
        c->longs += *p == 'l';
    }
    c->kind = *p;
    return p + 1;
}

static void put_text(FILE *f, const char *text, size_t max)
{
    for (size_t i = 0; i < max && text[i] != '\0'; i++) {
        (void)fputc(text[i], f);
    }
}

static void put_number(FILE *f, const struct conversion *c, uint64_t value, bool negative)
{
    char digits[24];
    const unsigned base = c->kind == 'x' ? 16 : 10;
    size_t count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value > 0);
    if (negative) {
        (void)fputc('-', f);
    }
    for (size_t i = count; i < c->width; i++) {
        (void)fputc(c->zeros ? '0' : ' ', f);
    }
    while (count > 0) {
        (void)fputc(digits[--count], f);
    }
}

static void put_value(FILE *f, const struct conversion *c, struct arguments *arguments)
{
    if (c->kind == 's') {
        put_text(f, va_arg(arguments->list, const char *), c->precision);
    } else if (c->kind == 'c') {
        (void)fputc(va_arg(arguments->list, int), f);
    } else if (c->kind == 'd') {
        const long long value =
            c->longs > 1 ? va_arg(arguments->list, long long) : va_arg(arguments->list, int);
        put_number(f, c, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0);
    } else if (c->kind == 'u' || c->kind == 'x') {
        const unsigned long long value =
            c->longs > 1 ? va_arg(arguments->list, unsigned long long) : va_arg(arguments->list, unsigned);
        put_number(f, c, value, false);
    } else {
        (void)fputc(c->kind, f); /* %% */
    }
}

static void format_to(FILE *f, const char *format, struct arguments *arguments)
{
    struct conversion c;
    while (*format != '\0') {
        if (*format != '%') {
            (void)fputc(*format++, f);
            continue;
        }
        format = read_conversion(format + 1, &c, arguments);
        put_value(f, &c, arguments);
    }
}

int fprintf(FILE *f, const char *format, ...)
{
    struct arguments arguments;
    va_start(arguments.list, format);
    format_to(f, format, &arguments);
    va_end(arguments.list);
    return 0;
}

/* Returns what was written: unlike in the standard, not what there was no room for. */
int snprintf(char *text, size_t size, const char *format, ...)
{
    FILE f = {.to = text, .size = size > 0 ? size - 1 : 0};
    struct arguments arguments;
    va_start(arguments.list, format);
    format_to(&f, format, &arguments);
    va_end(arguments.list);
    if (size > 0) {
        text[f.len] = '\0';
    }
    return (int)f.len;
}

/* ---- Strings ----------------------------------------------------------------------------------------------------- */

void *memmem(const void *where, size_t where_len, const void *what, size_t what_len)
{
    const uint8_t *p = where;
    for (size_t at = 0; at + what_len <= where_len; at++) {
        if (memcmp(&p[at], what, what_len) == 0) {
            return memchr(&p[at], p[at], 1);
        }
    }
    return NULL;
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n > 0 && *a != '\0' && *a == *b; n--) {
        a++;
        b++;
    }
    return n == 0 ? 0 : (uint8_t)*a - (uint8_t)*b;
}

size_t strcspn(const char *s, const char *set)
{
    size_t n = 0;
    while (s[n] != '\0' && strchr(set, s[n]) == NULL) {
        n++;
    }
    return n;
}

size_t strspn(const char *s, const char *set)
{
    size_t n = 0;
    while (s[n] != '\0' && strchr(set, s[n]) != NULL) {
        n++;
    }
    return n;
}
