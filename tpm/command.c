/* SPDX-License-Identifier: MIT */
#include "tpm/command.h"
#include "tpm/frame.h"

/* TPM2B_PUBLIC as it came, checked to be one that tpm2_public_parse_2b accepts. */
static struct bytes read_public(struct bytes_reader *r)
{
    struct tpm2_public area;
    struct bytes whole = bytes_read_2b_whole(r);
    if (r->error == 0) {
        bytes_reader_fail(r, tpm2_public_parse_2b(whole, &area));
    }
    return whole;
}

/* What TPM2_Create and TPM2_CreatePrimary have in common. */
static void write_creation(struct bytes_writer *w, struct bytes user_auth, struct bytes sensitive_data,
                           const struct tpm2_public *area)
{
    size_t in_sensitive = bytes_write_size_begin(w); /* TPM2B_SENSITIVE_CREATE */
    bytes_write_2b(w, user_auth);
    bytes_write_2b(w, sensitive_data);
    bytes_write_size_end(w, in_sensitive);
    tpm2_public_write_2b(w, area); /* inPublic */
    tpm2_write_empty_2b(w);        /* outsideInfo */
    bytes_write_u32(w, 0);         /* creationPCR: none */
}

static void read_creation(struct bytes_reader *r)
{
    bytes_read_2b(r); /* creationData */
    bytes_read_2b(r); /* creationHash */
    tpm2_read_ticket(r, TPM2_ST_CREATION);
}

/* ---- Start-up (Part 3, 9) ----------------------------------------------------------------------------- */

/* TPM2_Startup [P3 r1.59 9.3] */
void tpm2_startup_build(struct bytes_writer *w, uint16_t startup_type)
{
    tpm2_command_begin(w, TPM2_ST_NO_SESSIONS, TPM2_CC_STARTUP);
    bytes_write_u16(w, startup_type);
    tpm2_command_end(w);
}

int tpm2_startup_parse(struct bytes response, uint32_t *rc)
{
    return tpm2_parse_nothing(response, rc, 0);
}

/* TPM2_Shutdown [P3 r1.59 9.4] */
void tpm2_shutdown_build(struct bytes_writer *w, uint16_t shutdown_type)
{
    tpm2_command_begin(w, TPM2_ST_NO_SESSIONS, TPM2_CC_SHUTDOWN);
    bytes_write_u16(w, shutdown_type);
    tpm2_command_end(w);
}

int tpm2_shutdown_parse(struct bytes response, uint32_t *rc)
{
    return tpm2_parse_nothing(response, rc, 0);
}

/* ---- Sessions (Part 3, 11) ---------------------------------------------------------------------------- */

/* TPM2_StartAuthSession [P3 r1.59 11.1] */
static void start_session(struct bytes_writer *w, uint8_t session_type, struct bytes nonce_caller,
                          const struct tpm2_salt *salt)
{
    tpm2_command_begin_handle(w, TPM2_CC_START_AUTH_SESSION, salt->key_handle); /* tpmKey */
    bytes_write_u32(w, TPM2_RH_NULL);                                           /* bind: to nothing */
    bytes_write_2b(w, nonce_caller);
    bytes_write_2b(w, salt->encrypted);
    bytes_write_u8(w, session_type);
}

void tpm2_start_auth_session_build(struct bytes_writer *w, uint8_t session_type, struct bytes nonce_caller)
{
    static const struct tpm2_salt no_salt = {.key_handle = TPM2_RH_NULL};
    start_session(w, session_type, nonce_caller, &no_salt);
    bytes_write_u16(w, TPM2_ALG_NULL); /* symmetric */
    bytes_write_u16(w, TPM2_ALG_SHA256);
    tpm2_command_end(w);
}

void tpm2_start_keyed_session_build(struct bytes_writer *w, uint8_t session_type, struct bytes nonce_caller,
                                    const struct tpm2_salt *salt)
{
    start_session(w, session_type, nonce_caller, salt);
    bytes_write_u16(w, TPM2_ALG_AES); /* symmetric: TPMT_SYM_DEF, for the first parameters */
    bytes_write_u16(w, 128);
    bytes_write_u16(w, TPM2_ALG_CFB);
    bytes_write_u16(w, TPM2_ALG_SHA256);
    tpm2_command_end(w);
}

int tpm2_start_auth_session_parse(struct bytes response, uint32_t *rc, uint32_t *session,
                                  struct bytes *nonce_tpm)
{
    return tpm2_parse_handle_2b(response, rc, 0, session, nonce_tpm);
}

/* ---- Objects (Part 3, 12) ----------------------------------------------------------------------------- */

/* TPM2_Create [P3 r1.59 12.1] */
void tpm2_create_build(struct bytes_writer *w, uint32_t parent, const struct tpm2_auth *auth,
                       struct bytes user_auth, struct bytes sensitive_data, const struct tpm2_public *area)
{
    tpm2_command_begin_authorized(w, TPM2_CC_CREATE, parent, auth);
    write_creation(w, user_auth, sensitive_data, area);
    tpm2_command_end(w);
}

int tpm2_create_parse(struct bytes response, uint32_t *rc, struct bytes *out_private_2b,
                      struct bytes *out_public_2b)
{
    struct bytes_reader r = tpm2_response_begin(response, rc, 1, NULL);
    *out_private_2b = bytes_read_2b_whole(&r);
    *out_public_2b = read_public(&r);
    read_creation(&r);
    return tpm2_response_end(&r, out_private_2b, out_public_2b);
}

/* TPM2_Load [P3 r1.59 12.2] */
void tpm2_load_build(struct bytes_writer *w, uint32_t parent, const struct tpm2_auth *auth,
                     struct bytes private_2b, struct bytes public_2b)
{
    tpm2_command_begin_authorized(w, TPM2_CC_LOAD, parent, auth);
    bytes_write_bytes(w, private_2b);
    bytes_write_bytes(w, public_2b);
    tpm2_command_end(w);
}

int tpm2_load_parse(struct bytes response, uint32_t *rc, uint32_t *object, struct bytes *name)
{
    return tpm2_parse_handle_2b(response, rc, 1, object, name);
}

/* TPM2_ReadPublic [P3 r1.59 12.4] */
void tpm2_read_public_build(struct bytes_writer *w, uint32_t object)
{
    tpm2_command_begin_handle(w, TPM2_CC_READ_PUBLIC, object);
    tpm2_command_end(w);
}

int tpm2_read_public_parse(struct bytes response, uint32_t *rc, struct bytes *public_2b, struct bytes *name)
{
    struct bytes_reader r = tpm2_response_begin(response, rc, 0, NULL);
    *public_2b = read_public(&r);
    *name = bytes_read_2b(&r);
    bytes_read_2b(&r); /* qualifiedName */
    return tpm2_response_end(&r, public_2b, name);
}

/* TPM2_ActivateCredential [P3 r1.59 12.5] */
void tpm2_activate_credential_build(struct bytes_writer *w, uint32_t activate_handle, uint32_t key_handle,
                                    const struct tpm2_auth auth[2], struct bytes blob, struct bytes secret)
{
    tpm2_command_begin(w, TPM2_ST_SESSIONS, TPM2_CC_ACTIVATE_CREDENTIAL);
    bytes_write_u32(w, activate_handle);
    bytes_write_u32(w, key_handle);
    tpm2_auth_area_write(w, auth, 2);
    bytes_write_2b(w, blob);
    bytes_write_2b(w, secret);
    tpm2_command_end(w);
}

int tpm2_activate_credential_parse(struct bytes response, uint32_t *rc, struct bytes *cert_info)
{
    return tpm2_parse_2b(response, rc, 2, cert_info);
}

/* TPM2_Unseal [P3 r1.59 12.7] */
void tpm2_unseal_build(struct bytes_writer *w, uint32_t object, const struct tpm2_auth *auth)
{
    tpm2_command_begin_authorized(w, TPM2_CC_UNSEAL, object, auth);
    tpm2_command_end(w);
}

int tpm2_unseal_parse(struct bytes response, uint32_t *rc, struct bytes *data)
{
    return tpm2_parse_2b(response, rc, 1, data);
}

/* ---- Duplication (Part 3, 13) ------------------------------------------------------------------------- */

/* TPM2_Import [P3 r1.59 13.3] */
void tpm2_import_build(struct bytes_writer *w, uint32_t parent, const struct tpm2_auth *auth,
                       struct bytes inner_key, struct bytes public_2b, struct bytes duplicate,
                       struct bytes secret)
{
    tpm2_command_begin_authorized(w, TPM2_CC_IMPORT, parent, auth);
    bytes_write_2b(w, inner_key); /* encryptionKey */
    bytes_write_bytes(w, public_2b);
    bytes_write_2b(w, duplicate);
    bytes_write_2b(w, secret);        /* inSymSeed */
    bytes_write_u16(w, TPM2_ALG_AES); /* symmetricAlg: TPMT_SYM_DEF_OBJECT */
    bytes_write_u16(w, 128);
    bytes_write_u16(w, TPM2_ALG_CFB);
    tpm2_command_end(w);
}

int tpm2_import_parse(struct bytes response, uint32_t *rc, struct bytes *private_2b)
{
    struct bytes_reader r = tpm2_response_begin(response, rc, 1, NULL);
    *private_2b = bytes_read_2b_whole(&r);
    return tpm2_response_end(&r, private_2b, NULL);
}

/* ---- Symmetric primitives, random numbers (Part 3, 15 and 16) ----------------------------------------- */

/* TPM2_HMAC [P3 r1.59 15.5] */
void tpm2_hmac_build(struct bytes_writer *w, uint32_t key, const struct tpm2_auth *auth, struct bytes data)
{
    tpm2_command_begin_authorized(w, TPM2_CC_HMAC, key, auth);
    bytes_write_2b(w, data);
    bytes_write_u16(w, TPM2_ALG_NULL); /* hashAlg: the key's own */
    tpm2_command_end(w);
}

int tpm2_hmac_parse(struct bytes response, uint32_t *rc, struct bytes *mac)
{
    return tpm2_parse_2b(response, rc, 1, mac);
}

/* TPM2_GetRandom [P3 r1.59 16.1] */
void tpm2_get_random_build(struct bytes_writer *w, uint16_t bytes_requested)
{
    tpm2_command_begin(w, TPM2_ST_NO_SESSIONS, TPM2_CC_GET_RANDOM);
    bytes_write_u16(w, bytes_requested);
    tpm2_command_end(w);
}

int tpm2_get_random_parse(struct bytes response, uint32_t *rc, struct bytes *random)
{
    return tpm2_parse_2b(response, rc, 0, random);
}

/* ---- Policy (Part 3, 23) ------------------------------------------------------------------------------ */

/* TPM2_PolicySecret [P3 r1.59 23.4] */
void tpm2_policy_secret_build(struct bytes_writer *w, uint32_t auth_handle, uint32_t session,
                              const struct tpm2_auth *auth, struct bytes nonce_tpm)
{
    tpm2_command_begin(w, TPM2_ST_SESSIONS, TPM2_CC_POLICY_SECRET);
    bytes_write_u32(w, auth_handle);
    bytes_write_u32(w, session); /* policySession: needs no authorization */
    tpm2_auth_area_write(w, auth, 1);
    bytes_write_2b(w, nonce_tpm);
    tpm2_write_empty_2b(w); /* cpHashA */
    tpm2_write_empty_2b(w); /* policyRef */
    bytes_write_u32(w, 0);  /* expiration: no ticket wanted */
    tpm2_command_end(w);
}

int tpm2_policy_secret_parse(struct bytes response, uint32_t *rc)
{
    struct bytes_reader r = tpm2_response_begin(response, rc, 1, NULL);
    bytes_read_2b(&r);                         /* timeout */
    tpm2_read_ticket(&r, TPM2_ST_AUTH_SECRET); /* policyTicket: the null ticket */
    return bytes_reader_end(&r);
}

/* TPM2_PolicyOR [P3 r1.59 23.6] */
void tpm2_policy_or_build(struct bytes_writer *w, uint32_t session, const struct bytes *digests, size_t count)
{
    tpm2_command_begin_handle(w, TPM2_CC_POLICY_OR, session);
    bytes_write_u32(w, (uint32_t)count); /* pHashList: TPML_DIGEST */
    /*@ loop invariant 0 <= i <= count && writes(w) && sources(w, digests, count) && w->len >= \at(w->len, Pre);
        loop invariant w->error == 0 ==> \at(w->len, Pre) == 0 && w->len >= 10;
        loop invariant sticky(\at(w->error, Pre), w->error);
        loop invariant \at(w->error, Pre) != 0 ==> w->len == \at(w->len, Pre);
        loop assigns i, w->len, w->error, w->p[0 .. w->capacity - 1];
        loop variant count - i; */
    for (size_t i = 0; i < count; i++) {
        bytes_write_2b(w, digests[i]);
    }
    tpm2_command_end(w);
}

int tpm2_policy_or_parse(struct bytes response, uint32_t *rc)
{
    return tpm2_parse_nothing(response, rc, 0);
}

/* TPM2_PolicyCommandCode [P3 r1.59 23.11] */
void tpm2_policy_command_code_build(struct bytes_writer *w, uint32_t session, uint32_t code)
{
    tpm2_command_begin_handle(w, TPM2_CC_POLICY_COMMAND_CODE, session);
    bytes_write_u32(w, code);
    tpm2_command_end(w);
}

int tpm2_policy_command_code_parse(struct bytes response, uint32_t *rc)
{
    return tpm2_parse_nothing(response, rc, 0);
}

/* ---- Hierarchies (Part 3, 24) ------------------------------------------------------------------------- */

/* TPM2_CreatePrimary [P3 r1.59 24.1] */
void tpm2_create_primary_build(struct bytes_writer *w, uint32_t hierarchy, const struct tpm2_auth *auth,
                               const struct tpm2_public *area)
{
    tpm2_command_begin_authorized(w, TPM2_CC_CREATE_PRIMARY, hierarchy, auth);
    write_creation(w, (struct bytes){0}, (struct bytes){0}, area);
    tpm2_command_end(w);
}

int tpm2_create_primary_parse(struct bytes response, uint32_t *rc, uint32_t *object, struct bytes *public_2b,
                              struct bytes *name)
{
    struct bytes_reader r = tpm2_response_begin(response, rc, 1, object);
    *public_2b = read_public(&r);
    read_creation(&r);
    *name = bytes_read_2b(&r);
    return tpm2_response_end(&r, public_2b, name);
}

/* TPM2_Clear [P3 r1.59 24.6] */
void tpm2_clear_build(struct bytes_writer *w, uint32_t auth_handle, const struct tpm2_auth *auth)
{
    tpm2_command_begin_authorized(w, TPM2_CC_CLEAR, auth_handle, auth);
    tpm2_command_end(w);
}

int tpm2_clear_parse(struct bytes response, uint32_t *rc)
{
    return tpm2_parse_nothing(response, rc, 1);
}

/* TPM2_HierarchyChangeAuth [P3 r1.59 24.8] */
void tpm2_hierarchy_change_auth_build(struct bytes_writer *w, uint32_t hierarchy,
                                      const struct tpm2_auth *auth, struct bytes new_auth)
{
    tpm2_command_begin_authorized(w, TPM2_CC_HIERARCHY_CHANGE_AUTH, hierarchy, auth);
    bytes_write_2b(w, new_auth);
    tpm2_command_end(w);
}

int tpm2_hierarchy_change_auth_parse(struct bytes response, uint32_t *rc)
{
    return tpm2_parse_nothing(response, rc, 1);
}

/* ---- Contexts and capabilities (Part 3, 28 and 30) ---------------------------------------------------- */

/* TPM2_FlushContext [P3 r1.59 28.4]. flushHandle is a parameter, not in the handle area; the bytes are the
 * same. */
void tpm2_flush_context_build(struct bytes_writer *w, uint32_t handle)
{
    tpm2_command_begin_handle(w, TPM2_CC_FLUSH_CONTEXT, handle);
    tpm2_command_end(w);
}

int tpm2_flush_context_parse(struct bytes response, uint32_t *rc)
{
    return tpm2_parse_nothing(response, rc, 0);
}

/* TPM2_EvictControl [P3 r1.59 28.5] */
void tpm2_evict_control_build(struct bytes_writer *w, uint32_t hierarchy, const struct tpm2_auth *auth,
                              uint32_t object, uint32_t persistent_handle)
{
    tpm2_command_begin(w, TPM2_ST_SESSIONS, TPM2_CC_EVICT_CONTROL);
    bytes_write_u32(w, hierarchy);
    bytes_write_u32(w, object); /* objectHandle: needs no authorization */
    tpm2_auth_area_write(w, auth, 1);
    bytes_write_u32(w, persistent_handle);
    tpm2_command_end(w);
}

int tpm2_evict_control_parse(struct bytes response, uint32_t *rc)
{
    return tpm2_parse_nothing(response, rc, 1);
}

/* TPM2_GetCapability [P3 r1.59 30.2] */
void tpm2_get_capability_build(struct bytes_writer *w, uint32_t capability, uint32_t property, uint32_t count)
{
    tpm2_command_begin(w, TPM2_ST_NO_SESSIONS, TPM2_CC_GET_CAPABILITY);
    bytes_write_u32(w, capability);
    bytes_write_u32(w, property);
    bytes_write_u32(w, count);
    tpm2_command_end(w);
}

int tpm2_get_capability_parse(struct bytes response, uint32_t *rc, bool *more, uint32_t *capability,
                              struct bytes *data)
{
    struct bytes_reader r = tpm2_response_begin(response, rc, 0, NULL);
    uint8_t more_data = bytes_read_u8(&r);
    if (more_data > 1) { /* TPMI_YES_NO has two values [P2 r1.59 9.2] */
        bytes_reader_fail(&r, BYTES_E_FORMAT);
    }
    *capability = bytes_read_u32(&r);
    *data = bytes_read_bytes(&r, r.left); /* its inside depends on *capability */
    int error = tpm2_response_end(&r, data, NULL);
    *more = error == 0 && more_data != 0;
    return error;
}

/* ---- Non-volatile storage (Part 3, 31) ---------------------------------------------------------------- */

/* TPM2_NV_ReadPublic [P3 r1.59 31.6] */
void tpm2_nv_read_public_build(struct bytes_writer *w, uint32_t nv_index)
{
    tpm2_command_begin_handle(w, TPM2_CC_NV_READ_PUBLIC, nv_index);
    tpm2_command_end(w);
}

int tpm2_nv_read_public_parse(struct bytes response, uint32_t *rc, uint32_t *attributes, uint16_t *data_size)
{
    struct bytes_reader r = tpm2_response_begin(response, rc, 0, NULL);
    struct bytes_reader nv_public = bytes_read_sized(&r);
    bytes_read_u32(&nv_public); /* nvIndex */
    bytes_read_u16(&nv_public); /* nameAlg */
    *attributes = bytes_read_u32(&nv_public);
    bytes_read_2b(&nv_public); /* authPolicy */
    *data_size = bytes_read_u16(&nv_public);
    bytes_read_sized_end(&r, &nv_public);
    bytes_read_2b(&r); /* nvName */
    int error = bytes_reader_end(&r);
    if (error != 0) {
        *attributes = 0;
        *data_size = 0;
    }
    return error;
}

/* TPM2_NV_Read [P3 r1.59 31.13] */
void tpm2_nv_read_build(struct bytes_writer *w, uint32_t auth_handle, uint32_t nv_index,
                        const struct tpm2_auth *auth, uint16_t size, uint16_t offset)
{
    tpm2_command_begin(w, TPM2_ST_SESSIONS, TPM2_CC_NV_READ);
    bytes_write_u32(w, auth_handle);
    bytes_write_u32(w, nv_index); /* needs no authorization */
    tpm2_auth_area_write(w, auth, 1);
    bytes_write_u16(w, size);
    bytes_write_u16(w, offset);
    tpm2_command_end(w);
}

int tpm2_nv_read_parse(struct bytes response, uint32_t *rc, struct bytes *data)
{
    return tpm2_parse_2b(response, rc, 1, data);
}
