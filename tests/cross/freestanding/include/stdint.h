/* SPDX-License-Identifier: MIT */
/* What the portable sources take from stdint.h. Which type has which size, the compiler says. */
#ifndef TESTS_CROSS_FREESTANDING_STDINT_H
#define TESTS_CROSS_FREESTANDING_STDINT_H

typedef __INT8_TYPE__ int8_t;
typedef __INT16_TYPE__ int16_t;
typedef __INT32_TYPE__ int32_t;
typedef __INT64_TYPE__ int64_t;
typedef __UINT8_TYPE__ uint8_t;
typedef __UINT16_TYPE__ uint16_t;
typedef __UINT32_TYPE__ uint32_t;
typedef __UINT64_TYPE__ uint64_t;
typedef __UINTPTR_TYPE__ uintptr_t;

#define UINT8_MAX 0xff
#define UINT16_MAX 0xffff
#define INT64_MAX 0x7fffffffffffffffLL
#define UINT32_MAX 0xffffffffU
#define UINT64_MAX 0xffffffffffffffffULL
#define SIZE_MAX __SIZE_MAX__

#define UINT32_C(value) value##U
#define UINT64_C(value) value##ULL

#endif
