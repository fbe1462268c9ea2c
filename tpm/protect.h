/* SPDX-License-Identifier: MIT */
/* Protected storage of Part 1, in software: what the service wraps and the TPM opens. It needs public keys only. All
 * random bytes are arguments, so that known-answer tests are possible. Both keys are storage keys of the kind that
 * tpm/seed.h takes. */
#ifndef TPM_PROTECT_H
#define TPM_PROTECT_H

#include "tpm/seed.h"

#define TPM2_CREDENTIAL_MAX 32 /* TPM2B_DIGEST as large as the key's nameAlg [P3 r1.59 12.6] */

/* TPM2_MakeCredential without a TPM [P1 r1.59 24]: appends TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET.
 *   key          public area of the key that will open it (the EK)
 *   credential   what is protected (here the inner wrap key), at most 32 bytes
 *   object_name  Name of the object that must be loaded beside the key (here the SRK's Name)
 * Failure is w->error: BYTES_E_SPACE; BYTES_E_ALGORITHM if key is not an RSA storage key with AES-128-CFB;
 * BYTES_E_LIMIT if credential is too long. */
void tpm2_credential_make(struct bytes_writer *w, const struct tpm2_public *key, struct bytes credential,
                          struct bytes object_name, const struct tpm2_wrap_random *random);

/* TPMT_SENSITIVE of a keyed hash [P2 r1.59 12.3.2.4]: empty authValue, a 32-byte seedValue that blinds unique,
 * and the key itself, at most 64 bytes (the block size of SHA-256). */
struct tpm2_sensitive {
    struct bytes seed_value;
    struct bytes key;
};

/* unique of a keyed hash: SHA-256(seedValue || key) [P1 r1.59 27.5.3]. */
void tpm2_keyedhash_unique(const struct tpm2_sensitive *sensitive, uint8_t unique[32]);

/* A duplicate made outside of a TPM, with inner and outer wrap [P1 r1.59 23.3]: appends TPM2B_PRIVATE and
 * TPM2B_ENCRYPTED_SECRET, as TPM2_Import takes them.
 *   parent     public area of the storage key that will import it (the SRK)
 *   inner_key  16 bytes, AES-128: the inner wrap
 *   name       Name of the duplicated object
 * Failure is w->error, as above. */
void tpm2_duplicate_make(struct bytes_writer *w, const struct tpm2_public *parent, struct bytes inner_key,
                         struct bytes name, const struct tpm2_sensitive *sensitive,
                         const struct tpm2_wrap_random *random);

#endif
