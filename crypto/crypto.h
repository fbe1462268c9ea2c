/* SPDX-License-Identifier: MIT */
/* The primitives that tpm/ and dps/ call, and nothing more. crypto_bearssl.c implements them with BearSSL.
 *
 * Conventions of this directory: no heap, no globals, no I/O. Pointers are never null unless the entry says so;
 * a length of 0 allows any pointer. Sizes are bytes. Buffers do not overlap unless the entry says "in place".
 * Whatever holds key material on the stack is wiped before the function returns. */
#ifndef CRYPTO_CRYPTO_H
#define CRYPTO_CRYPTO_H

#include "crypto/bytes/bytes.h"

#define CRYPTO_SHA256_SIZE 32
#define CRYPTO_SHA1_SIZE 20
#define CRYPTO_RSA_MAX 512 /* the largest modulus: RSA-4096 */

/* SHA-256 [FIPS 180-4] of the concatenation of count pieces. Cannot fail. */
void crypto_sha256(const struct bytes *pieces, size_t count, uint8_t digest[CRYPTO_SHA256_SIZE]);

/* SHA-1, likewise. It is broken, and nothing secret or trusted rests on it: WebSocket's handshake has it in its answer
 * [RFC 6455 4.2.2]. */
void crypto_sha1(const struct bytes *pieces, size_t count, uint8_t digest[CRYPTO_SHA1_SIZE]);

/* HMAC-SHA-256 [RFC 2104] of the concatenation of count pieces. The key may have any length. Cannot fail. */
void crypto_hmac_sha256(struct bytes key, const struct bytes *pieces, size_t count,
                        uint8_t mac[CRYPTO_SHA256_SIZE]);

/* KDFa with SHA-256 [P1 r1.59 11.4.10.2]: SP 800-108 counter mode over HMAC.
 *   label    text without its terminating zero; the zero byte that the TPM hashes is added here
 *   out_len  1..128 bytes; "bits" of the specification is 8 * out_len
 * Cannot fail. */
void crypto_kdfa_sha256(struct bytes key, const char *label, struct bytes context_u, struct bytes context_v,
                        uint8_t *out, size_t out_len);

/* AES in CFB-128 mode without padding, in place [SP 800-38A 6.3].
 *   key  16 or 32 bytes
 *   iv   16 bytes; null: zeros, as in TPM protected storage
 * Returns: 0; BYTES_E_ALGORITHM for another key size, and then data is unchanged. */
int crypto_aes_cfb_encrypt(struct bytes key, const uint8_t *iv, uint8_t *data, size_t len);
int crypto_aes_cfb_decrypt(struct bytes key, const uint8_t *iv, uint8_t *data, size_t len);

/* An RSA public key: modulus big-endian without leading zeros, exponent as a number. Views the caller's bytes. */
struct crypto_rsa_public {
    struct bytes modulus;
    uint32_t exponent;
};

/* RSAES-OAEP encryption with SHA-256 and MGF1-SHA-256 [RFC 8017 7.1.1], with the seed given by the caller, so
 * that the construction can have known-answer tests.
 *   label    the whole label, for a TPM with its terminating zero byte [P1 r1.59 B.4]
 *   message  at most modulus.len - 66 bytes
 *   out      modulus.len bytes are written
 * Returns: 0; BYTES_E_ALGORITHM if the key is unusable (modulus even or below 1024 bits, exponent even or below 3);
 * BYTES_E_LIMIT if the message or modulus is too long. out is zeroed unless 0 is returned. With CRYPTO_RSA_COMPACT
 * (crypto/limits.h) a modulus has at most 256 bytes, and an even number of them. */
int crypto_rsa_oaep_encrypt(const struct crypto_rsa_public *key, struct bytes label,
                            const uint8_t seed[CRYPTO_SHA256_SIZE], struct bytes message, uint8_t *out);

/* An RSA private key in CRT form, big-endian, for tests, teaching and load generation: devices keep theirs in a
 * TPM. Views the caller's bytes. */
struct crypto_rsa_private {
    uint32_t modulus_bits;
    struct bytes p, q, dp, dq, iq;
};

/* Undo crypto_rsa_oaep_encrypt. cipher.len must equal the modulus size.
 * Returns: 0 and *out_len; BYTES_E_INTEGRITY if it does not decrypt; BYTES_E_SPACE if capacity is too small. */
int crypto_rsa_oaep_decrypt(const struct crypto_rsa_private *key, struct bytes label, struct bytes cipher,
                            uint8_t *out, size_t capacity, size_t *out_len);

/* Decode a DER private key (PKCS#1, or PKCS#8 around it) into key, whose spans then view storage.
 *   storage  at least 5 * 256 + 64 bytes for RSA-2048; holds the numbers; the caller wipes it
 * Returns: 0; BYTES_E_FORMAT; BYTES_E_SPACE. */
int crypto_rsa_private_decode(struct bytes der, struct crypto_rsa_private *key, uint8_t *storage,
                              size_t capacity);

/* HMAC-DRBG with SHA-256 [SP 800-90A 10.1.2]. Deterministic: the same seed gives the same bytes.
 * The structure is plain storage; its content belongs to the implementation. Wipe it after use. */
struct crypto_drbg {
    uint64_t storage[24];
};
void crypto_drbg_init(struct crypto_drbg *d, struct bytes seed);
void crypto_drbg_update(struct crypto_drbg *d, struct bytes seed);
void crypto_drbg_generate(struct crypto_drbg *d, uint8_t *out, size_t len);

#endif
