/* SPDX-License-Identifier: MIT */
/* RSA-2048 private keys: only a TPM has them, so crypto/ does not. A TPM keeps one prime [P2 r1.59 12.3.2.3]; the rest
 * follows from it and the modulus. */
#ifndef TESTS_TINY_TPM_RSA_H
#define TESTS_TINY_TPM_RSA_H

#include "tests/tiny_tpm/tiny_tpm.h"

/* A key from a seed, always the same, with exponent 65537. Returns: whether there is one. */
bool tiny_rsa_make(struct bytes seed, uint8_t modulus[TINY_RSA_BYTES], uint8_t prime[TINY_PRIME_BYTES]);

/* p, q, dp, dq, iq of a key. Returns: false if prime does not divide modulus. */
bool tiny_rsa_complete(const uint8_t modulus[TINY_RSA_BYTES], const uint8_t prime[TINY_PRIME_BYTES],
                       uint8_t crt[5 * TINY_PRIME_BYTES]);

/* The same, as crypto/ wants it. */
struct crypto_rsa_private tiny_rsa_private(const uint8_t crt[5 * TINY_PRIME_BYTES]);

#endif
