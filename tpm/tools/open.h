/* SPDX-License-Identifier: MIT */
/* What a TPM does with its private keys, in software: tpm/protect.h undone. Real devices leave it to the TPM; this is
 * for tests, for teaching and for simulated devices. */
#ifndef TPM_TOOLS_OPEN_H
#define TPM_TOOLS_OPEN_H

#include "tpm/protect.h"

/* Undo tpm2_credential_make. blob and secret are the contents of the two TPM2Bs, without their size fields.
 * Returns: 0 with *len bytes in credential; BYTES_E_FORMAT; BYTES_E_INTEGRITY if anything was changed or the Name or
 * the key is another; BYTES_E_SPACE. */
int tpm2_credential_open(struct bytes blob, struct bytes secret, const struct crypto_rsa_private *key,
                         struct bytes object_name, uint8_t *credential, size_t capacity, size_t *len);

/* Undo tpm2_duplicate_make. duplicate and secret are contents without size fields. The sensitive area is decrypted
 * into storage (at least duplicate.len bytes), which sensitive's spans then view; the caller wipes it.
 * Returns: 0; BYTES_E_FORMAT; BYTES_E_INTEGRITY; BYTES_E_SPACE. */
int tpm2_duplicate_open(struct bytes duplicate, struct bytes secret, const struct crypto_rsa_private *parent,
                        struct bytes inner_key, struct bytes name, struct tpm2_sensitive *sensitive,
                        uint8_t *storage, size_t capacity);

/* The same for a duplicate that has only its inner wrap: what TPM2_Rewrap to TPM_RH_NULL leaves of it. */
int tpm2_duplicate_open_inner(struct bytes duplicate, struct bytes inner_key, struct bytes name,
                              struct tpm2_sensitive *sensitive, uint8_t *storage, size_t capacity);

#endif
