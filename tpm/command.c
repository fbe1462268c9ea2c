/* SPDX-License-Identifier: MIT */
#include "tpm/command.h"

/* Header: tag, size, code [P1 r1.59 18.2]. */
#define HEADER_SIZE 10
#define TAG_SIZE 2

/* ---- What all commands share -------------------------------------------------------------------------- */

static void command_begin(struct bytes_writer *w, uint16_t tag, uint32_t command_code)
{
    if (w->len != 0) {
        bytes_writer_fail(w, BYTES_E_USAGE);
    }
    bytes_write_u16(w, tag);
    bytes_write_u32(w, 0); /* commandSize: command_end knows it */
    bytes_write_u32(w, command_code);
}

/* Most commands: one handle, which auth authorizes. */
static void command_begin_authorized(struct bytes_writer *w, uint32_t command_code, uint32_t handle,
                                     const struct tpm2_auth *auth)
{
    command_begin(w, TPM2_ST_SESSIONS, command_code);
    bytes_write_u32(w, handle);
    tpm2_auth_area_write(w, auth, 1);
}

static void command_begin_handle(struct bytes_writer *w, uint32_t command_code, uint32_t handle)
{
    command_begin(w, TPM2_ST_NO_SESSIONS, command_code);
    bytes_write_u32(w, handle);
}

static void command_end(struct bytes_writer *w)
{
    struct bytes_writer size = *w;
    size.len = TAG_SIZE;
    bytes_write_u32(&size, (uint32_t)w->len);
}

static void write_empty_2b(struct bytes_writer *w)
{
    bytes_write_u16(w, 0);
}

/* A refusal is a bare header, without sessions [P3 r1.59 6.1]; a TPM 1.2 answers with its own tag. */
static void read_refusal(struct bytes_reader *r, uint16_t tag, uint32_t code, uint32_t *rc)
{
    if (r->left != 0 || (tag != TPM2_ST_NO_SESSIONS && tag != TPM2_ST_RSP_COMMAND)) {
        bytes_reader_fail(r, BYTES_E_FORMAT);
    }
    if (r->error == 0) {
        *rc = code;
    }
    bytes_reader_fail(r, BYTES_E_TPM_RC);
}

/* Check a response from end to end except for its parameters, and return a reader over exactly these.
 *   auths   how many authorizations the command had
 *   handle  where to put the handle of commands that return one, else null; it is given even if what follows is
 *           broken, because the TPM holds that object and the caller has to flush it
 * Whatever is wrong with the response has failed the reader, so parse functions just read on. */
static struct bytes_reader response_begin(struct bytes response, uint32_t *rc, size_t auths, uint32_t *handle)
{
    struct bytes_reader r = bytes_reader_over(response);
    uint16_t tag = bytes_read_u16(&r);
    uint32_t size = bytes_read_u32(&r);
    uint32_t code = bytes_read_u32(&r);
    *rc = 0;
    if (handle != NULL) {
        *handle = code == TPM2_RC_SUCCESS ? bytes_read_u32(&r) : 0;
    }
    if (size != response.len) {
        bytes_reader_fail(&r, BYTES_E_FORMAT);
    }
    if (code != TPM2_RC_SUCCESS) {
        read_refusal(&r, tag, code, rc);
    }
    if (tag != (auths > 0 ? TPM2_ST_SESSIONS : TPM2_ST_NO_SESSIONS)) {
        bytes_reader_fail(&r, BYTES_E_FORMAT);
    }
    if (auths == 0) {
        return r;
    }

    struct bytes_reader parameters = bytes_reader_over(bytes_read_bytes(&r, bytes_read_u32(&r)));
    tpm2_auth_area_read(&r, auths);
    parameters.error = r.error;
    return parameters;
}

/* Everything read: the result, and empty outputs if it is not 0. Outputs that the command lacks are null. */
static int response_end(const struct bytes_reader *r, struct bytes *first, struct bytes *second)
{
    int error = bytes_reader_end(r);
    if (error == 0) {
        return 0;
    }
    if (first != NULL) {
        *first = (struct bytes){0};
    }
    if (second != NULL) {
        *second = (struct bytes){0};
    }
    return error;
}

/* The responses that have nothing, one TPM2B, or two. */
static int parse_nothing(struct bytes response, uint32_t *rc, size_t auths)
{
    struct bytes_reader r = response_begin(response, rc, auths, NULL);
    return bytes_reader_end(&r);
}

static int parse_2b(struct bytes response, uint32_t *rc, size_t auths, struct bytes *content)
{
    struct bytes_reader r = response_begin(response, rc, auths, NULL);
    *content = bytes_read_2b(&r);
    return response_end(&r, content, NULL);
}

static int parse_handle_2b(struct bytes response, uint32_t *rc, size_t auths, uint32_t *handle,
                           struct bytes *content)
{
    struct bytes_reader r = response_begin(response, rc, auths, handle);
    *content = bytes_read_2b(&r);
    return response_end(&r, content, NULL);
}

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

/* A ticket: TPMT_TK_CREATION, _HASHCHECK, _AUTH [P2 r1.59 10.7]. This project passes none on. */
static void read_ticket(struct bytes_reader *r, uint16_t tag)
{
    if (bytes_read_u16(r) != tag) {
        bytes_reader_fail(r, BYTES_E_FORMAT);
    }
    bytes_read_u32(r); /* hierarchy */
    bytes_read_2b(r);  /* digest */
}

/* What TPM2_Create and TPM2_CreatePrimary take and return alike. */
static void write_creation(struct bytes_writer *w, struct bytes user_auth, struct bytes sensitive_data,
                           const struct tpm2_public *area)
{
    size_t in_sensitive = bytes_write_size_begin(w); /* TPM2B_SENSITIVE_CREATE */
    bytes_write_2b(w, user_auth);
    bytes_write_2b(w, sensitive_data);
    bytes_write_size_end(w, in_sensitive);
    tpm2_public_write_2b(w, area); /* inPublic */
    write_empty_2b(w);             /* outsideInfo */
    bytes_write_u32(w, 0);         /* creationPCR: none */
}

static void read_creation(struct bytes_reader *r)
{
    bytes_read_2b(r); /* creationData */
    bytes_read_2b(r); /* creationHash */
    read_ticket(r, TPM2_ST_CREATION);
}

size_t tpm2_response_size(struct bytes received, size_t limit, bool *bad)
{
    struct bytes_reader r = bytes_reader_over(received);
    bytes_read_u16(&r); /* tag */
    size_t size = bytes_read_u32(&r);
    *bad = r.error == 0 && (size < HEADER_SIZE || size > limit);
    return r.error == 0 && !*bad ? size : 0;
}

/* ---- Start-up (Part 3, 9) ----------------------------------------------------------------------------- */

/* TPM2_Startup [P3 r1.59 9.3] */
void tpm2_startup_build(struct bytes_writer *w, uint16_t startup_type)
{
    command_begin(w, TPM2_ST_NO_SESSIONS, TPM2_CC_STARTUP);
    bytes_write_u16(w, startup_type);
    command_end(w);
}

int tpm2_startup_parse(struct bytes response, uint32_t *rc)
{
    return parse_nothing(response, rc, 0);
}

/* TPM2_Shutdown [P3 r1.59 9.4] */
void tpm2_shutdown_build(struct bytes_writer *w, uint16_t shutdown_type)
{
    command_begin(w, TPM2_ST_NO_SESSIONS, TPM2_CC_SHUTDOWN);
    bytes_write_u16(w, shutdown_type);
    command_end(w);
}

int tpm2_shutdown_parse(struct bytes response, uint32_t *rc)
{
    return parse_nothing(response, rc, 0);
}

/* ---- Sessions (Part 3, 11) ---------------------------------------------------------------------------- */

/* TPM2_StartAuthSession [P3 r1.59 11.1] */
void tpm2_start_auth_session_build(struct bytes_writer *w, uint8_t session_type, struct bytes nonce_caller)
{
    command_begin_handle(w, TPM2_CC_START_AUTH_SESSION, TPM2_RH_NULL); /* tpmKey: not salted */
    bytes_write_u32(w, TPM2_RH_NULL);                                  /* bind: to nothing */
    bytes_write_2b(w, nonce_caller);
    write_empty_2b(w); /* encryptedSalt */
    bytes_write_u8(w, session_type);
    bytes_write_u16(w, TPM2_ALG_NULL); /* symmetric */
    bytes_write_u16(w, TPM2_ALG_SHA256);
    command_end(w);
}

int tpm2_start_auth_session_parse(struct bytes response, uint32_t *rc, uint32_t *session,
                                  struct bytes *nonce_tpm)
{
    return parse_handle_2b(response, rc, 0, session, nonce_tpm);
}

/* ---- Objects (Part 3, 12) ----------------------------------------------------------------------------- */

/* TPM2_Create [P3 r1.59 12.1] */
void tpm2_create_build(struct bytes_writer *w, uint32_t parent, const struct tpm2_auth *auth,
                       struct bytes user_auth, struct bytes sensitive_data, const struct tpm2_public *area)
{
    command_begin_authorized(w, TPM2_CC_CREATE, parent, auth);
    write_creation(w, user_auth, sensitive_data, area);
    command_end(w);
}

int tpm2_create_parse(struct bytes response, uint32_t *rc, struct bytes *out_private_2b,
                      struct bytes *out_public_2b)
{
    struct bytes_reader r = response_begin(response, rc, 1, NULL);
    *out_private_2b = bytes_read_2b_whole(&r);
    *out_public_2b = read_public(&r);
    read_creation(&r);
    return response_end(&r, out_private_2b, out_public_2b);
}

/* TPM2_Load [P3 r1.59 12.2] */
void tpm2_load_build(struct bytes_writer *w, uint32_t parent, const struct tpm2_auth *auth,
                     struct bytes private_2b, struct bytes public_2b)
{
    command_begin_authorized(w, TPM2_CC_LOAD, parent, auth);
    bytes_write_bytes(w, private_2b);
    bytes_write_bytes(w, public_2b);
    command_end(w);
}

int tpm2_load_parse(struct bytes response, uint32_t *rc, uint32_t *object, struct bytes *name)
{
    return parse_handle_2b(response, rc, 1, object, name);
}

/* TPM2_LoadExternal [P3 r1.59 12.3] */
void tpm2_load_external_build(struct bytes_writer *w, struct bytes public_2b, uint32_t hierarchy)
{
    command_begin(w, TPM2_ST_NO_SESSIONS, TPM2_CC_LOAD_EXTERNAL);
    write_empty_2b(w); /* inPrivate: a public area only */
    bytes_write_bytes(w, public_2b);
    bytes_write_u32(w, hierarchy);
    command_end(w);
}

/* inPrivate is TPM2B_SENSITIVE [P2 r1.59 12.3.2.4 and 12.3.3]; of an RSA key it holds one prime. */
void tpm2_load_external_rsa_build(struct bytes_writer *w, struct bytes prime, struct bytes public_2b,
                                  uint32_t hierarchy)
{
    command_begin(w, TPM2_ST_NO_SESSIONS, TPM2_CC_LOAD_EXTERNAL);
    size_t in_private = bytes_write_size_begin(w);
    bytes_write_u16(w, TPM2_ALG_RSA);
    write_empty_2b(w); /* authValue */
    write_empty_2b(w); /* seedValue */
    bytes_write_2b(w, prime);
    bytes_write_size_end(w, in_private);
    bytes_write_bytes(w, public_2b);
    bytes_write_u32(w, hierarchy);
    command_end(w);
}

int tpm2_load_external_parse(struct bytes response, uint32_t *rc, uint32_t *object, struct bytes *name)
{
    return parse_handle_2b(response, rc, 0, object, name);
}

/* TPM2_ReadPublic [P3 r1.59 12.4] */
void tpm2_read_public_build(struct bytes_writer *w, uint32_t object)
{
    command_begin_handle(w, TPM2_CC_READ_PUBLIC, object);
    command_end(w);
}

int tpm2_read_public_parse(struct bytes response, uint32_t *rc, struct bytes *public_2b, struct bytes *name)
{
    struct bytes_reader r = response_begin(response, rc, 0, NULL);
    *public_2b = read_public(&r);
    *name = bytes_read_2b(&r);
    bytes_read_2b(&r); /* qualifiedName */
    return response_end(&r, public_2b, name);
}

/* TPM2_ActivateCredential [P3 r1.59 12.5] */
void tpm2_activate_credential_build(struct bytes_writer *w, uint32_t activate_handle, uint32_t key_handle,
                                    const struct tpm2_auth auth[2], struct bytes blob, struct bytes secret)
{
    command_begin(w, TPM2_ST_SESSIONS, TPM2_CC_ACTIVATE_CREDENTIAL);
    bytes_write_u32(w, activate_handle);
    bytes_write_u32(w, key_handle);
    tpm2_auth_area_write(w, auth, 2);
    bytes_write_2b(w, blob);
    bytes_write_2b(w, secret);
    command_end(w);
}

int tpm2_activate_credential_parse(struct bytes response, uint32_t *rc, struct bytes *cert_info)
{
    return parse_2b(response, rc, 2, cert_info);
}

/* TPM2_MakeCredential [P3 r1.59 12.6] */
void tpm2_make_credential_build(struct bytes_writer *w, uint32_t key_handle, struct bytes credential,
                                struct bytes object_name)
{
    command_begin_handle(w, TPM2_CC_MAKE_CREDENTIAL, key_handle);
    bytes_write_2b(w, credential);
    bytes_write_2b(w, object_name);
    command_end(w);
}

int tpm2_make_credential_parse(struct bytes response, uint32_t *rc, struct bytes *blob, struct bytes *secret)
{
    struct bytes_reader r = response_begin(response, rc, 0, NULL);
    *blob = bytes_read_2b(&r);
    *secret = bytes_read_2b(&r);
    return response_end(&r, blob, secret);
}

/* TPM2_Unseal [P3 r1.59 12.7] */
void tpm2_unseal_build(struct bytes_writer *w, uint32_t object, const struct tpm2_auth *auth)
{
    command_begin_authorized(w, TPM2_CC_UNSEAL, object, auth);
    command_end(w);
}

int tpm2_unseal_parse(struct bytes response, uint32_t *rc, struct bytes *data)
{
    return parse_2b(response, rc, 1, data);
}

/* ---- Duplication (Part 3, 13) ------------------------------------------------------------------------- */

/* TPM2_Import [P3 r1.59 13.3] */
void tpm2_import_build(struct bytes_writer *w, uint32_t parent, const struct tpm2_auth *auth,
                       struct bytes inner_key, struct bytes public_2b, struct bytes duplicate,
                       struct bytes secret)
{
    command_begin_authorized(w, TPM2_CC_IMPORT, parent, auth);
    bytes_write_2b(w, inner_key); /* encryptionKey */
    bytes_write_bytes(w, public_2b);
    bytes_write_2b(w, duplicate);
    bytes_write_2b(w, secret);        /* inSymSeed */
    bytes_write_u16(w, TPM2_ALG_AES); /* symmetricAlg: TPMT_SYM_DEF_OBJECT */
    bytes_write_u16(w, 128);
    bytes_write_u16(w, TPM2_ALG_CFB);
    command_end(w);
}

int tpm2_import_parse(struct bytes response, uint32_t *rc, struct bytes *private_2b)
{
    struct bytes_reader r = response_begin(response, rc, 1, NULL);
    *private_2b = bytes_read_2b_whole(&r);
    return response_end(&r, private_2b, NULL);
}

/* ---- Symmetric primitives, random numbers, sequences (Part 3, 15 to 17) ------------------------------- */

/* TPM2_HMAC [P3 r1.59 15.5] */
void tpm2_hmac_build(struct bytes_writer *w, uint32_t key, const struct tpm2_auth *auth, struct bytes data)
{
    command_begin_authorized(w, TPM2_CC_HMAC, key, auth);
    bytes_write_2b(w, data);
    bytes_write_u16(w, TPM2_ALG_NULL); /* hashAlg: the key's own */
    command_end(w);
}

int tpm2_hmac_parse(struct bytes response, uint32_t *rc, struct bytes *mac)
{
    return parse_2b(response, rc, 1, mac);
}

/* TPM2_GetRandom [P3 r1.59 16.1] */
void tpm2_get_random_build(struct bytes_writer *w, uint16_t bytes_requested)
{
    command_begin(w, TPM2_ST_NO_SESSIONS, TPM2_CC_GET_RANDOM);
    bytes_write_u16(w, bytes_requested);
    command_end(w);
}

int tpm2_get_random_parse(struct bytes response, uint32_t *rc, struct bytes *random)
{
    return parse_2b(response, rc, 0, random);
}

/* TPM2_HMAC_Start [P3 r1.59 17.2] */
void tpm2_hmac_start_build(struct bytes_writer *w, uint32_t key, const struct tpm2_auth *auth)
{
    command_begin_authorized(w, TPM2_CC_HMAC_START, key, auth);
    write_empty_2b(w);                 /* auth of the sequence */
    bytes_write_u16(w, TPM2_ALG_NULL); /* hashAlg: the key's own */
    command_end(w);
}

int tpm2_hmac_start_parse(struct bytes response, uint32_t *rc, uint32_t *sequence)
{
    struct bytes_reader r = response_begin(response, rc, 1, sequence);
    return bytes_reader_end(&r);
}

/* TPM2_SequenceUpdate [P3 r1.59 17.5] */
void tpm2_sequence_update_build(struct bytes_writer *w, uint32_t sequence, const struct tpm2_auth *auth,
                                struct bytes data)
{
    command_begin_authorized(w, TPM2_CC_SEQUENCE_UPDATE, sequence, auth);
    bytes_write_2b(w, data);
    command_end(w);
}

int tpm2_sequence_update_parse(struct bytes response, uint32_t *rc)
{
    return parse_nothing(response, rc, 1);
}

/* TPM2_SequenceComplete [P3 r1.59 17.6] */
void tpm2_sequence_complete_build(struct bytes_writer *w, uint32_t sequence, const struct tpm2_auth *auth,
                                  struct bytes data)
{
    command_begin_authorized(w, TPM2_CC_SEQUENCE_COMPLETE, sequence, auth);
    bytes_write_2b(w, data);
    bytes_write_u32(w, TPM2_RH_NULL); /* hierarchy: of a ticket, which an HMAC does not have */
    command_end(w);
}

int tpm2_sequence_complete_parse(struct bytes response, uint32_t *rc, struct bytes *mac)
{
    struct bytes_reader r = response_begin(response, rc, 1, NULL);
    *mac = bytes_read_2b(&r);
    read_ticket(&r, TPM2_ST_HASHCHECK); /* validation: the null ticket */
    return response_end(&r, mac, NULL);
}

/* ---- Policy (Part 3, 23) ------------------------------------------------------------------------------ */

/* TPM2_PolicySecret [P3 r1.59 23.4] */
void tpm2_policy_secret_build(struct bytes_writer *w, uint32_t auth_handle, uint32_t session,
                              const struct tpm2_auth *auth)
{
    command_begin(w, TPM2_ST_SESSIONS, TPM2_CC_POLICY_SECRET);
    bytes_write_u32(w, auth_handle);
    bytes_write_u32(w, session); /* policySession: needs no authorization */
    tpm2_auth_area_write(w, auth, 1);
    write_empty_2b(w);     /* nonceTPM */
    write_empty_2b(w);     /* cpHashA */
    write_empty_2b(w);     /* policyRef */
    bytes_write_u32(w, 0); /* expiration: no ticket wanted */
    command_end(w);
}

int tpm2_policy_secret_parse(struct bytes response, uint32_t *rc)
{
    struct bytes_reader r = response_begin(response, rc, 1, NULL);
    bytes_read_2b(&r);                    /* timeout */
    read_ticket(&r, TPM2_ST_AUTH_SECRET); /* policyTicket: the null ticket */
    return bytes_reader_end(&r);
}

/* TPM2_PolicyGetDigest [P3 r1.59 23.19] */
void tpm2_policy_get_digest_build(struct bytes_writer *w, uint32_t session)
{
    command_begin_handle(w, TPM2_CC_POLICY_GET_DIGEST, session);
    command_end(w);
}

int tpm2_policy_get_digest_parse(struct bytes response, uint32_t *rc, struct bytes *digest)
{
    return parse_2b(response, rc, 0, digest);
}

/* ---- Hierarchies (Part 3, 24) ------------------------------------------------------------------------- */

/* TPM2_CreatePrimary [P3 r1.59 24.1] */
void tpm2_create_primary_build(struct bytes_writer *w, uint32_t hierarchy, const struct tpm2_auth *auth,
                               const struct tpm2_public *area)
{
    command_begin_authorized(w, TPM2_CC_CREATE_PRIMARY, hierarchy, auth);
    write_creation(w, (struct bytes){0}, (struct bytes){0}, area);
    command_end(w);
}

int tpm2_create_primary_parse(struct bytes response, uint32_t *rc, uint32_t *object, struct bytes *public_2b,
                              struct bytes *name)
{
    struct bytes_reader r = response_begin(response, rc, 1, object);
    *public_2b = read_public(&r);
    read_creation(&r);
    *name = bytes_read_2b(&r);
    return response_end(&r, public_2b, name);
}

/* TPM2_Clear [P3 r1.59 24.6] */
void tpm2_clear_build(struct bytes_writer *w, uint32_t auth_handle, const struct tpm2_auth *auth)
{
    command_begin_authorized(w, TPM2_CC_CLEAR, auth_handle, auth);
    command_end(w);
}

int tpm2_clear_parse(struct bytes response, uint32_t *rc)
{
    return parse_nothing(response, rc, 1);
}

/* TPM2_HierarchyChangeAuth [P3 r1.59 24.8] */
void tpm2_hierarchy_change_auth_build(struct bytes_writer *w, uint32_t hierarchy,
                                      const struct tpm2_auth *auth, struct bytes new_auth)
{
    command_begin_authorized(w, TPM2_CC_HIERARCHY_CHANGE_AUTH, hierarchy, auth);
    bytes_write_2b(w, new_auth);
    command_end(w);
}

int tpm2_hierarchy_change_auth_parse(struct bytes response, uint32_t *rc)
{
    return parse_nothing(response, rc, 1);
}

/* ---- Contexts and capabilities (Part 3, 28 and 30) ---------------------------------------------------- */

/* TPM2_FlushContext [P3 r1.59 28.4]. flushHandle is a parameter, not in the handle area; the bytes are the
 * same. */
void tpm2_flush_context_build(struct bytes_writer *w, uint32_t handle)
{
    command_begin_handle(w, TPM2_CC_FLUSH_CONTEXT, handle);
    command_end(w);
}

int tpm2_flush_context_parse(struct bytes response, uint32_t *rc)
{
    return parse_nothing(response, rc, 0);
}

/* TPM2_EvictControl [P3 r1.59 28.5] */
void tpm2_evict_control_build(struct bytes_writer *w, uint32_t hierarchy, const struct tpm2_auth *auth,
                              uint32_t object, uint32_t persistent_handle)
{
    command_begin(w, TPM2_ST_SESSIONS, TPM2_CC_EVICT_CONTROL);
    bytes_write_u32(w, hierarchy);
    bytes_write_u32(w, object); /* objectHandle: needs no authorization */
    tpm2_auth_area_write(w, auth, 1);
    bytes_write_u32(w, persistent_handle);
    command_end(w);
}

int tpm2_evict_control_parse(struct bytes response, uint32_t *rc)
{
    return parse_nothing(response, rc, 1);
}

/* TPM2_GetCapability [P3 r1.59 30.2] */
void tpm2_get_capability_build(struct bytes_writer *w, uint32_t capability, uint32_t property, uint32_t count)
{
    command_begin(w, TPM2_ST_NO_SESSIONS, TPM2_CC_GET_CAPABILITY);
    bytes_write_u32(w, capability);
    bytes_write_u32(w, property);
    bytes_write_u32(w, count);
    command_end(w);
}

int tpm2_get_capability_parse(struct bytes response, uint32_t *rc, bool *more, uint32_t *capability,
                              struct bytes *data)
{
    struct bytes_reader r = response_begin(response, rc, 0, NULL);
    uint8_t more_data = bytes_read_u8(&r);
    if (more_data > 1) { /* TPMI_YES_NO has two values [P2 r1.59 9.2] */
        bytes_reader_fail(&r, BYTES_E_FORMAT);
    }
    *capability = bytes_read_u32(&r);
    *data = bytes_read_bytes(&r, r.left); /* its inside depends on *capability */
    int error = response_end(&r, data, NULL);
    *more = error == 0 && more_data != 0;
    *capability = error == 0 ? *capability : 0;
    return error;
}

/* ---- Non-volatile storage (Part 3, 31) ---------------------------------------------------------------- */

/* TPM2_NV_ReadPublic [P3 r1.59 31.6] */
void tpm2_nv_read_public_build(struct bytes_writer *w, uint32_t nv_index)
{
    command_begin_handle(w, TPM2_CC_NV_READ_PUBLIC, nv_index);
    command_end(w);
}

int tpm2_nv_read_public_parse(struct bytes response, uint32_t *rc, uint32_t *attributes, uint16_t *data_size)
{
    struct bytes_reader r = response_begin(response, rc, 0, NULL);
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
    command_begin(w, TPM2_ST_SESSIONS, TPM2_CC_NV_READ);
    bytes_write_u32(w, auth_handle);
    bytes_write_u32(w, nv_index); /* needs no authorization */
    tpm2_auth_area_write(w, auth, 1);
    bytes_write_u16(w, size);
    bytes_write_u16(w, offset);
    command_end(w);
}

int tpm2_nv_read_parse(struct bytes response, uint32_t *rc, struct bytes *data)
{
    return parse_2b(response, rc, 1, data);
}
