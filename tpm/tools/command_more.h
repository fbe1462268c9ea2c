/* SPDX-License-Identifier: MIT */
/* Commands that the flow does not need: tests and tools ask for them. The rules are those of tpm/command.h. */
#ifndef TPM_TOOLS_COMMAND_MORE_H
#define TPM_TOOLS_COMMAND_MORE_H

#include "tpm/command.h"

/* TPM2_LoadExternal [P3 r1.59 12.3]: a public area only, without authorization. public_2b includes its size. */
void tpm2_load_external_build(struct bytes_writer *w, struct bytes public_2b, uint32_t hierarchy);
int tpm2_load_external_parse(struct bytes response, uint32_t *rc, uint32_t *object, struct bytes *name);
/* The same with the private half of an RSA key (prime): used by the test of the software-SRK attack. */
void tpm2_load_external_rsa_build(struct bytes_writer *w, struct bytes prime, struct bytes public_2b,
                                  uint32_t hierarchy);

/* TPM2_MakeCredential [P3 r1.59 12.6]: the TPM makes what tpm/protect makes in software. Outputs without sizes. */
void tpm2_make_credential_build(struct bytes_writer *w, uint32_t key_handle, struct bytes credential,
                                struct bytes object_name);
int tpm2_make_credential_parse(struct bytes response, uint32_t *rc, struct bytes *blob, struct bytes *secret);

/* TPM2_Rewrap [P3 r1.59 13.2]: removes the outer wrap of a duplicate with old_parent's private half and adds one for
 * new_parent, or none if that is TPM2_RH_NULL. auth authorizes old_parent. Contents without sizes. */
void tpm2_rewrap_build(struct bytes_writer *w, uint32_t old_parent, uint32_t new_parent,
                       const struct tpm2_auth *auth, struct bytes duplicate, struct bytes name,
                       struct bytes secret);
int tpm2_rewrap_parse(struct bytes response, uint32_t *rc, struct bytes *duplicate, struct bytes *secret);

/* TPM2_HMAC_Start [P3 r1.59 17.2]: a sequence for data of any length. The sequence gets an empty authValue. */
void tpm2_hmac_start_build(struct bytes_writer *w, uint32_t key, const struct tpm2_auth *auth);
int tpm2_hmac_start_parse(struct bytes response, uint32_t *rc, uint32_t *sequence);

/* TPM2_SequenceUpdate [P3 r1.59 17.5]. */
void tpm2_sequence_update_build(struct bytes_writer *w, uint32_t sequence, const struct tpm2_auth *auth,
                                struct bytes data);
int tpm2_sequence_update_parse(struct bytes response, uint32_t *rc);

/* TPM2_SequenceComplete [P3 r1.59 17.6]; the sequence object is gone afterwards. */
void tpm2_sequence_complete_build(struct bytes_writer *w, uint32_t sequence, const struct tpm2_auth *auth,
                                  struct bytes data);
int tpm2_sequence_complete_parse(struct bytes response, uint32_t *rc, struct bytes *mac);

/* TPM2_PolicyGetDigest [P3 r1.59 23.19]. */
void tpm2_policy_get_digest_build(struct bytes_writer *w, uint32_t session);
int tpm2_policy_get_digest_parse(struct bytes response, uint32_t *rc, struct bytes *digest);

#endif
