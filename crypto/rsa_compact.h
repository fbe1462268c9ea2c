/* SPDX-License-Identifier: MIT */
/* RSAES-OAEP encryption for small stacks: crypto.h's crypto_rsa_oaep_encrypt is this with CRYPTO_RSA_COMPACT=1.
 * Internal to crypto/.
 *
 * BearSSL gives each RSA operation room for four numbers of 4096 bits, 2216 bytes of stack. This takes three of 2048
 * bits, and needs no 64-bit integers; what is secret is multiplied 16 by 16 bits only, since longer multiplications
 * take a time that depends on the operands on processors such as the Cortex-M3. It is some times slower than BearSSL;
 * the TPM that has the private key is slower still. No branch and no address depends on seed or message (`make ct`). */
#ifndef CRYPTO_RSA_COMPACT_H
#define CRYPTO_RSA_COMPACT_H

#include "crypto/crypto.h"

#define CRYPTO_RSA_COMPACT_MAX 256 /* the largest modulus: RSA-2048, that of EK and SRK */

/* As crypto_rsa_oaep_encrypt, which has checked key and message before: modulus and exponent odd, no leading zero,
 * message.len at most modulus.len - 66.
 * Returns: 0; BYTES_E_LIMIT for a modulus of more than CRYPTO_RSA_COMPACT_MAX bytes, BYTES_E_ALGORITHM for one of an
 * odd number of bytes: then nothing is written. */
int crypto_rsa_oaep_compact(const struct crypto_rsa_public *key, struct bytes label,
                            const uint8_t seed[CRYPTO_SHA256_SIZE], struct bytes message, uint8_t *out);

#endif
