/* SPDX-License-Identifier: MIT */
/* What the portable sources take from stddef.h; it is short enough for any compiler to have. */
#ifndef TESTS_CROSS_FREESTANDING_STDDEF_H
#define TESTS_CROSS_FREESTANDING_STDDEF_H

typedef __SIZE_TYPE__ size_t;

#define NULL ((void *)0)
#define offsetof(type, member) __builtin_offsetof(type, member)

#endif
