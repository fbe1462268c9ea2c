/* SPDX-License-Identifier: MIT */
/* A seed: a secret that is wrapped to one key, from which both sides derive the keys of one exchange. The
 * credential, the duplicate and the salt of a session begin with one; they differ in its label.
 *
 * This is the one place that knows how a seed reaches a key: RSA-OAEP for RSA keys [P1 r1.59 B.4 and B.10]. With an
 * elliptic curve the seed would come out of the exchange [P1 r1.59 C.6], hence the seed is a result here. */
#ifndef TPM_SEED_H
#define TPM_SEED_H

#include "crypto/crypto.h"
#include "tpm/public.h"

#define TPM2_SEED_SIZE 32           /* a digest of the key's nameAlg, SHA-256 */
#define TPM2_SEED_SYMMETRIC_SIZE 16 /* AES-128, from the key's own parameters */

/* What a seed is for: the label of its encryption. */
enum tpm2_seed_use {
    TPM2_SEED_IDENTITY,  /* TPM2_ActivateCredential [P1 r1.59 24.3] */
    TPM2_SEED_DUPLICATE, /* TPM2_Import [P1 r1.59 23.3.2.3] */
    TPM2_SEED_SECRET     /* TPM2_StartAuthSession: the salt [P1 r1.59 B.10.2] */
};

/* The random bytes of one wrap: the seed from which keys are derived, and OAEP's own. */
struct tpm2_wrap_random {
    uint8_t seed[TPM2_SEED_SIZE];
    uint8_t oaep[CRYPTO_SHA256_SIZE];
};

/* The whole label, with its terminating zero, which is part of it [P1 r1.59 B.4]. */
struct bytes tpm2_seed_label(enum tpm2_seed_use use);

/* Append TPM2B_ENCRYPTED_SECRET: a seed that only key's private half brings out.
 *   key   a restricted decryption key with nameAlg SHA-256 and AES-128-CFB
 *   seed  the seed; the caller wipes it
 * Failure is w->error: BYTES_E_SPACE; BYTES_E_ALGORITHM if key is of another kind. seed is then zero. */
void tpm2_seed_wrap(struct bytes_writer *w, const struct tpm2_public *key, enum tpm2_seed_use use,
                    const struct tpm2_wrap_random *random, uint8_t seed[TPM2_SEED_SIZE]);

/* The two keys of an outer wrap [P1 r1.59 24.4, 24.5 and 23.3.2.3]. name makes the symmetric one an object's own; the
 * other is used at once, for the HMAC over ciphertext and Name. */
void tpm2_seed_symmetric_key(struct bytes seed, struct bytes name, uint8_t key[TPM2_SEED_SYMMETRIC_SIZE]);
void tpm2_seed_hmac(struct bytes seed, struct bytes ciphertext, struct bytes name,
                    uint8_t mac[CRYPTO_SHA256_SIZE]);

#endif
