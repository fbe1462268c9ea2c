/* SPDX-License-Identifier: MIT */
/* TPM commands, in Part 3's order, with Part 3's names: for each one function that builds the command and one that
 * parses its response.
 *
 * Build: appends one whole command (header, handles, authorizations, parameters) to w, whose start must be
 * empty. Spans are read during the call only. Failure is w->error: BYTES_E_SPACE or BYTES_E_LIMIT. Parse: response
 * is exactly what the TPM sent. Returns 0; BYTES_E_FORMAT if any byte is missing, left over or inconsistent;
 * BYTES_E_TPM_RC if the TPM refused, and then *rc says why (tpm/rc.h); BYTES_E_ALGORITHM where a public area of an
 * unknown kind was returned. *rc is 0 unless BYTES_E_TPM_RC is returned. Out-parameters are empty or zero unless
 * 0 is returned; spans among them view response. A handle is the exception: it is given as soon as the response
 * says success and is long enough to hold it, even if the rest is broken, so that the object can be flushed. */
#ifndef TPM_COMMAND_H
#define TPM_COMMAND_H

#include "tpm/auth.h"
#include "tpm/public.h"

/* TPM2_Startup [P3 r1.59 9.3]. startup_type: TPM2_SU_CLEAR or TPM2_SU_STATE. A TPM that was started already
 * answers TPM_RC_INITIALIZE, which callers take as success. */
void tpm2_startup_build(struct bytes_writer *w, uint16_t startup_type);
int tpm2_startup_parse(struct bytes response, uint32_t *rc);

/* TPM2_Shutdown [P3 r1.59 9.4]. */
void tpm2_shutdown_build(struct bytes_writer *w, uint16_t shutdown_type);
int tpm2_shutdown_parse(struct bytes response, uint32_t *rc);

/* TPM2_StartAuthSession [P3 r1.59 11.1] of a session without a key: not salted, not bound, authHash SHA-256.
 *   nonce_caller  16..32 random bytes      session_type  TPM2_SE_POLICY or TPM2_SE_TRIAL
 * *session is recorded by the caller at once, so that it can be flushed. */
void tpm2_start_auth_session_build(struct bytes_writer *w, uint8_t session_type, struct bytes nonce_caller);
/* The same of a session for tpm/session.h, which also encrypts with AES-128-CFB.
 *   session_type  TPM2_SE_HMAC or TPM2_SE_POLICY
 *   nonce_caller  TPM2_NONCE_SIZE random bytes
 *   salt          the loaded key and what tpm2_seed_wrap made for it; TPM2_RH_NULL and empty: the authValue alone
 *                 is the session's key */
struct tpm2_salt {
    uint32_t key_handle;
    struct bytes encrypted; /* without its size field */
};
void tpm2_start_keyed_session_build(struct bytes_writer *w, uint8_t session_type, struct bytes nonce_caller,
                                    const struct tpm2_salt *salt);
int tpm2_start_auth_session_parse(struct bytes response, uint32_t *rc, uint32_t *session,
                                  struct bytes *nonce_tpm);

/* TPM2_Create [P3 r1.59 12.1]: a child of parent. sensitive_data: what is sealed, empty to let the TPM choose. */
void tpm2_create_build(struct bytes_writer *w, uint32_t parent, const struct tpm2_auth *auth,
                       struct bytes user_auth, struct bytes sensitive_data, const struct tpm2_public *area);
/* Both outputs include their size fields, so that they can be stored and given to tpm2_load_build. */
int tpm2_create_parse(struct bytes response, uint32_t *rc, struct bytes *out_private_2b,
                      struct bytes *out_public_2b);

/* TPM2_Load [P3 r1.59 12.2]. private_2b and public_2b include their size fields. */
void tpm2_load_build(struct bytes_writer *w, uint32_t parent, const struct tpm2_auth *auth,
                     struct bytes private_2b, struct bytes public_2b);
int tpm2_load_parse(struct bytes response, uint32_t *rc, uint32_t *object, struct bytes *name);

/* TPM2_ReadPublic [P3 r1.59 12.4]. public_2b includes its size field. */
void tpm2_read_public_build(struct bytes_writer *w, uint32_t object);
int tpm2_read_public_parse(struct bytes response, uint32_t *rc, struct bytes *public_2b, struct bytes *name);

/* TPM2_ActivateCredential [P3 r1.59 12.5]. auth[0] authorizes activate_handle (ADMIN role), auth[1] key_handle
 * (USER role). blob and secret are contents without size fields. */
void tpm2_activate_credential_build(struct bytes_writer *w, uint32_t activate_handle, uint32_t key_handle,
                                    const struct tpm2_auth auth[2], struct bytes blob, struct bytes secret);
int tpm2_activate_credential_parse(struct bytes response, uint32_t *rc, struct bytes *cert_info);

/* TPM2_Unseal [P3 r1.59 12.7]. */
void tpm2_unseal_build(struct bytes_writer *w, uint32_t object, const struct tpm2_auth *auth);
int tpm2_unseal_parse(struct bytes response, uint32_t *rc, struct bytes *data);

/* TPM2_Import [P3 r1.59 13.3] with an AES-128-CFB inner wrap. public_2b includes its size field; duplicate and
 * secret are contents without sizes. *private_2b includes its size field. */
void tpm2_import_build(struct bytes_writer *w, uint32_t parent, const struct tpm2_auth *auth,
                       struct bytes inner_key, struct bytes public_2b, struct bytes duplicate,
                       struct bytes secret);
int tpm2_import_parse(struct bytes response, uint32_t *rc, struct bytes *private_2b);

/* TPM2_HMAC [P3 r1.59 15.5] with the key's own hash. data: at most TPM_PT_INPUT_BUFFER bytes (1024 as a rule). */
void tpm2_hmac_build(struct bytes_writer *w, uint32_t key, const struct tpm2_auth *auth, struct bytes data);
int tpm2_hmac_parse(struct bytes response, uint32_t *rc, struct bytes *mac);

/* TPM2_GetRandom [P3 r1.59 16.1]. The TPM may return fewer bytes than asked for, at most one digest. */
void tpm2_get_random_build(struct bytes_writer *w, uint16_t bytes_requested);
int tpm2_get_random_parse(struct bytes response, uint32_t *rc, struct bytes *random);

/* TPM2_PolicySecret [P3 r1.59 23.4] with empty cpHashA and policyRef and expiration 0. auth authorizes auth_handle
 * (here the endorsement hierarchy). nonce_tpm: of the policy session, if no other session may be meant; else empty. */
void tpm2_policy_secret_build(struct bytes_writer *w, uint32_t auth_handle, uint32_t session,
                              const struct tpm2_auth *auth, struct bytes nonce_tpm);
int tpm2_policy_secret_parse(struct bytes response, uint32_t *rc);

/* TPM2_PolicyOR [P3 r1.59 23.6]: the session's digest must be one of digests (2 to 8), and becomes that of all. */
void tpm2_policy_or_build(struct bytes_writer *w, uint32_t session, const struct bytes *digests,
                          size_t count);
int tpm2_policy_or_parse(struct bytes response, uint32_t *rc);

/* TPM2_PolicyCommandCode [P3 r1.59 23.11]: the session authorizes this command only. */
void tpm2_policy_command_code_build(struct bytes_writer *w, uint32_t session, uint32_t code);
int tpm2_policy_command_code_parse(struct bytes response, uint32_t *rc);

/* TPM2_CreatePrimary [P3 r1.59 24.1]: empty user authValue, no outside information, no PCRs.
 * *public_2b includes its size field; *object is recorded by the caller at once. */
void tpm2_create_primary_build(struct bytes_writer *w, uint32_t hierarchy, const struct tpm2_auth *auth,
                               const struct tpm2_public *area);
int tpm2_create_primary_parse(struct bytes response, uint32_t *rc, uint32_t *object, struct bytes *public_2b,
                              struct bytes *name);

/* TPM2_Clear [P3 r1.59 24.6]. auth_handle: TPM2_RH_LOCKOUT or TPM2_RH_PLATFORM. */
void tpm2_clear_build(struct bytes_writer *w, uint32_t auth_handle, const struct tpm2_auth *auth);
int tpm2_clear_parse(struct bytes response, uint32_t *rc);

/* TPM2_HierarchyChangeAuth [P3 r1.59 24.8]. new_auth: at most 32 bytes; trailing zeros are not significant. */
void tpm2_hierarchy_change_auth_build(struct bytes_writer *w, uint32_t hierarchy,
                                      const struct tpm2_auth *auth, struct bytes new_auth);
int tpm2_hierarchy_change_auth_parse(struct bytes response, uint32_t *rc);

/* TPM2_FlushContext [P3 r1.59 28.4]. */
void tpm2_flush_context_build(struct bytes_writer *w, uint32_t handle);
int tpm2_flush_context_parse(struct bytes response, uint32_t *rc);

/* TPM2_EvictControl [P3 r1.59 28.5]. hierarchy: TPM2_RH_OWNER. object: a transient object to make persistent at
 * persistent_handle, or the persistent handle itself, to evict it. */
void tpm2_evict_control_build(struct bytes_writer *w, uint32_t hierarchy, const struct tpm2_auth *auth,
                              uint32_t object, uint32_t persistent_handle);
int tpm2_evict_control_parse(struct bytes response, uint32_t *rc);

/* TPM2_GetCapability [P3 r1.59 30.2]. *data is TPMU_CAPABILITIES, to be read with a reader according to
 * *capability; *more says that there are further values. */
void tpm2_get_capability_build(struct bytes_writer *w, uint32_t capability, uint32_t property,
                               uint32_t count);
int tpm2_get_capability_parse(struct bytes response, uint32_t *rc, bool *more, uint32_t *capability,
                              struct bytes *data);

/* TPM2_NV_ReadPublic [P3 r1.59 31.6]. *data_size: bytes in the index. */
void tpm2_nv_read_public_build(struct bytes_writer *w, uint32_t nv_index);
int tpm2_nv_read_public_parse(struct bytes response, uint32_t *rc, uint32_t *attributes, uint16_t *data_size);

/* TPM2_NV_Read [P3 r1.59 31.13]. auth_handle: TPM2_RH_OWNER or the index itself. size: at most
 * TPM_PT_NV_BUFFER_MAX bytes at a time (as low as 512). */
void tpm2_nv_read_build(struct bytes_writer *w, uint32_t auth_handle, uint32_t nv_index,
                        const struct tpm2_auth *auth, uint16_t size, uint16_t offset);
int tpm2_nv_read_parse(struct bytes response, uint32_t *rc, struct bytes *data);

#endif
