/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/rsa_operations.h"
#include "crypto/crypto.h"

unsigned rsa_operations;

int __real_crypto_rsa_oaep_encrypt(const struct crypto_rsa_public *key, struct bytes label,
                                   const uint8_t seed[32], struct bytes message, uint8_t *out);
int __wrap_crypto_rsa_oaep_encrypt(const struct crypto_rsa_public *key, struct bytes label,
                                   const uint8_t seed[32], struct bytes message, uint8_t *out);

int __wrap_crypto_rsa_oaep_encrypt(const struct crypto_rsa_public *key, struct bytes label,
                                   const uint8_t seed[32], struct bytes message, uint8_t *out)
{
    rsa_operations++;
    return __real_crypto_rsa_oaep_encrypt(key, label, seed, message, out);
}
