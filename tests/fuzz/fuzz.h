/* SPDX-License-Identifier: MIT */
/* What the fuzz harnesses share. A harness is one file fuzz_NAME.c that defines LLVMFuzzerTestOneInput: libFuzzer calls
 * it with inputs of its own, replay.c with files. It says what must hold for every input by HOLDS. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "crypto/bytes/bytes.h"
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A condition that no input may break. */
#define HOLDS(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                   \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* The next byte of an input that decides what the harness does with the rest; 0 at its end. */
static inline uint8_t fuzz_byte(struct bytes *input)
{
    if (input->len == 0) {
        return 0;
    }
    const uint8_t byte = input->p[0];
    *input = bytes_of(input->p + 1, input->len - 1);
    return byte;
}

/* Does inner view bytes of outer? An empty span views nothing. */
static inline bool fuzz_views(struct bytes inner, struct bytes outer)
{
    return inner.len == 0 || (inner.p >= outer.p && inner.len <= outer.len &&
                              (size_t)(inner.p - outer.p) <= outer.len - inner.len);
}

/* A copy that ends where its bytes end, so that the address sanitizer sees one byte too many. free it. */
static inline uint8_t *fuzz_copy(struct bytes bytes)
{
    uint8_t *copy = malloc(bytes.len > 0 ? bytes.len : 1);
    HOLDS(copy != NULL);
    for (size_t i = 0; i < bytes.len; i++) {
        copy[i] = bytes.p[i];
    }
    return copy;
}

#endif
