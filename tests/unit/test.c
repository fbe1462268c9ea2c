/* SPDX-License-Identifier: MIT */
#include "tests/unit/test.h"
#include <stdio.h>
#include <string.h>

bool test_is_zero(const void *memory, size_t len)
{
    const unsigned char *bytes = memory;
    size_t at = 0;
    while (at < len && bytes[at] == 0) {
        at++;
    }
    return at == len;
}

int test_run(const struct test *tests, size_t count)
{
    int failed = 0;
    printf("1..%u\n", (unsigned)count);
    for (unsigned i = 0; i < count; i++) {
        int line = tests[i].run();
        if (line == 0) {
            printf("ok %u - %s\n", i + 1, tests[i].name);
        } else {
            printf("not ok %u - %s\n# failed at line %d\n", i + 1, tests[i].name, line);
            failed++;
        }
        fflush(stdout);
    }
    return failed == 0 && count > 0 ? 0 : 1;
}

/* ---- Two values ---- */

struct test_value test_value_bool(bool value)
{
    return (struct test_value){.kind = TEST_BOOL, .number = value};
}

struct test_value test_value_signed(long long value)
{
    return (struct test_value){.kind = value < 0 ? TEST_SIGNED : TEST_UNSIGNED,
                               .number = (unsigned long long)value};
}

struct test_value test_value_unsigned(unsigned long long value)
{
    return (struct test_value){.kind = TEST_UNSIGNED, .number = value};
}

struct test_value test_value_text(const char *value)
{
    return (struct test_value){.kind = value == NULL ? TEST_POINTER : TEST_TEXT, .pointer = value};
}

struct test_value test_value_pointer(const void *value)
{
    return (struct test_value){.kind = TEST_POINTER, .pointer = value};
}

/* One line of TAP, whatever is in the text. */
static void print_text(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        putchar(*text >= ' ' && *text <= '~' ? *text : '.');
    }
    putchar('"');
}

/* The C libraries of small machines print neither long long nor size_t. */
static void print_number(unsigned long long number, unsigned base)
{
    char digits[20]; /* 2^64 - 1 has as many */
    size_t count = 0;
    do {
        digits[count++] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0);
    while (count > 0) {
        putchar(digits[--count]);
    }
}

static void print(const struct test_value *v)
{
    switch (v->kind) {
    case TEST_SIGNED:
        putchar('-');
        print_number(0 - v->number, 10);
        break;
    case TEST_UNSIGNED:
        print_number(v->number, 10);
        printf(" (0x");
        print_number(v->number, 16);
        putchar(')');
        break;
    case TEST_BOOL:
        printf("%s", v->number != 0 ? "true" : "false");
        break;
    case TEST_TEXT:
        print_text(v->pointer);
        break;
    case TEST_POINTER:
        printf("the pointer %p", v->pointer);
        break;
    }
}

static bool is_number(const struct test_value *v)
{
    return v->kind == TEST_UNSIGNED || v->kind == TEST_BOOL;
}

static bool equal(const struct test_value *a, const struct test_value *b)
{
    if (a->kind == TEST_TEXT && b->kind == TEST_TEXT) {
        return strcmp(a->pointer, b->pointer) == 0;
    }
    return (a->kind == b->kind || (is_number(a) && is_number(b))) && a->number == b->number &&
           a->pointer == b->pointer;
}

bool test_equal(const char *file, int line, struct test_value got, struct test_value wanted)
{
    if (equal(&got, &wanted)) {
        return true;
    }
    printf("# %s:%d: got ", file, line);
    print(&got);
    printf(", wanted ");
    print(&wanted);
    printf("\n");
    return false;
}
