/* SPDX-License-Identifier: MIT */
/* Where randomness comes from: an interface that a port implements. */
#ifndef CRYPTO_ENTROPY_H
#define CRYPTO_ENTROPY_H

#include <stddef.h>
#include <stdint.h>

/* Fill or fail, never a weak substitute. Returns: 0; BYTES_E_ENTROPY. */
struct crypto_entropy {
    void *context;
    int (*fill)(void *context, uint8_t *out, size_t len);
};

#endif
