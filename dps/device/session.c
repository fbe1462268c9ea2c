/* SPDX-License-Identifier: MIT */
#include "dps/device/session.h"
#include "dps/device/authorization.h"
#include "dps/device/draw.h"
#include "tpm/command.h"
#include <string.h>

#if DPS_WITH_SESSIONS

#define HEADER_SIZE 10 /* tag, size, code */

/* ---- The beginning of a session ---------------------------------------------------------------------------------- */

/* The encrypted salt waits at the end of the buffer in which the command is built: no second buffer. */
#define SECRET_SIZE (2 + 256)

/* Until the answer is here, the salt stands where the session's key will be. */
static void start(struct dps_device *d, struct bytes_writer *w, uint8_t session_type,
                  const struct tpm2_salt *salt)
{
    memcpy(d->session.nonce_caller, dps_draw(d), sizeof d->session.nonce_caller);
    tpm2_start_keyed_session_build(w, session_type,
                                   bytes_of(d->session.nonce_caller, sizeof d->session.nonce_caller), salt);
}

void dps_session_build_salted(struct dps_device *d, struct bytes_writer *w, uint8_t session_type)
{
    const bool ek = d->ek_handle != 0;
    const struct bytes key_2b = ek ? bytes_of(d->ek, d->ek_len) : bytes_of(d->srk, d->srk_len);
    struct tpm2_public key;
    struct tpm2_wrap_random random;
    uint8_t *encrypted = d->tpm + sizeof d->tpm - SECRET_SIZE;
    struct bytes_writer secret = bytes_writer_over(encrypted, SECRET_SIZE);
    bytes_writer_fail(w, tpm2_public_parse_2b(key_2b, &key));
    if (w->error != 0) {
        return;
    }
    memcpy(random.seed, dps_draw(d), sizeof random.seed);
    memcpy(random.oaep, dps_draw(d), sizeof random.oaep);
    tpm2_seed_wrap(&secret, &key, TPM2_SEED_SECRET, &random, d->session.key);
    bytes_wipe(&random, sizeof random);
    bytes_writer_fail(w, secret.error);
    d->session.key_len = sizeof d->session.key;
    const struct tpm2_salt salt = {ek ? d->ek_handle : d->srk_handle,
                                   bytes_of(encrypted + 2, SECRET_SIZE - 2)};
    start(d, w, session_type, &salt);
}

void dps_session_build_unsalted(struct dps_device *d, struct bytes_writer *w)
{
    static const struct tpm2_salt none = {.key_handle = TPM2_RH_NULL};
    d->session.key_len = 0;
    start(d, w, TPM2_SE_HMAC, &none);
}

int dps_session_read(struct dps_device *d, struct bytes response, enum dps_loaded slot)
{
    struct bytes nonce_tpm;
    struct tpm2_session begun;
    int error = tpm2_start_auth_session_parse(response, &d->rc, &d->loaded[slot], &nonce_tpm);
    /* No HMAC covers a handle. 0 would stand for no session, and the next password would cross the bus in clear. */
    const uint32_t kind = slot == DPS_LOADED_SESSION ? TPM2_HT_POLICY_SESSION : TPM2_HT_HMAC_SESSION;
    if (error == 0 && d->loaded[slot] >> TPM2_HT_SHIFT != kind) {
        error = BYTES_E_FORMAT;
    }
    if (error == 0) {
        error = tpm2_session_begin(&begun, d->loaded[slot], d->session.key_len > 0 ? d->session.key : NULL,
                                   d->session.nonce_caller, nonce_tpm);
        d->session = begun;
        bytes_wipe(&begun, sizeof begun);
    }
    return error;
}

/* ---- What a session does to each command ------------------------------------------------------------------------- */

/* What must not be read on the bus: in the command, or in the response. All else is only authorized and verified. */
static uint8_t hides(uint32_t code)
{
    switch (code) {
    case TPM2_CC_IMPORT:                /* the inner key */
    case TPM2_CC_HIERARCHY_CHANGE_AUTH: /* a new password */
    case TPM2_CC_CREATE:                /* what is sealed */
        return TPM2_SESSION_DECRYPT;
    case TPM2_CC_ACTIVATE_CREDENTIAL: /* the inner key */
    case TPM2_CC_HMAC:                /* with it anybody has the token */
    case TPM2_CC_UNSEAL:              /* what was sealed */
        return TPM2_SESSION_ENCRYPT;
    default:
        return 0;
    }
}

static bool returns_handle(uint32_t code)
{
    return code == TPM2_CC_LOAD || code == TPM2_CC_CREATE_PRIMARY;
}

static size_t handle_count(uint32_t code)
{
    return code == TPM2_CC_ACTIVATE_CREDENTIAL || code == TPM2_CC_POLICY_SECRET ||
                   code == TPM2_CC_EVICT_CONTROL
               ? 2
               : 1;
}

/* The authValue of what a command's first handle names. No object here has one. */
static struct bytes auth_value(const struct dps_device *d, uint32_t handle)
{
    switch (handle) {
    case TPM2_RH_OWNER:
        return dps_owner_auth(d);
    case TPM2_RH_ENDORSEMENT:
        return dps_endorsement_auth(d);
    case TPM2_RH_LOCKOUT:
        return d->config->lockout_auth;
    default:
        return bytes_of(NULL, 0);
    }
}

/* And after success: with that the TPM signs its response. */
static struct bytes auth_value_then(const struct dps_device *d, uint32_t handle)
{
    if (d->guard.code == TPM2_CC_CLEAR) {
        return bytes_of(NULL, 0);
    }
    if (d->guard.code != TPM2_CC_HIERARCHY_CHANGE_AUTH) {
        return auth_value(d, handle);
    }
    return handle == TPM2_RH_OWNER         ? d->config->new_owner_auth
           : handle == TPM2_RH_ENDORSEMENT ? d->config->new_endorsement_auth
                                           : d->config->new_lockout_auth;
}

/* The protection of the command under way, but for the Names, which only the command needs. */
static void complete(struct dps_device *d, struct tpm2_protection *p)
{
    const struct dps_guard *g = &d->guard;
    struct tpm2_use *use = &p->uses[g->at];
    p->command_code = g->code;
    p->built = g->built;
    p->use_count = g->at < g->built ? g->built : g->at + 1u;
    p->returns_handle = returns_handle(g->code);
    use->session = &d->session;
    use->attributes = g->attributes;
    if (g->at < g->built) { /* else it authorizes nothing, and only encrypts */
        use->auth_value = auth_value(d, d->asked_handle);
        use->auth_value_then = auth_value_then(d, d->asked_handle);
    }
}

/* Where our session stands among the authorizations of a command: in the place of a password if it is an HMAC session,
 * in its own if it is the policy session, else behind the others, if there is something to hide.
 * Returns: false if it has nothing to do with this command. */
static bool take_place(struct dps_device *d, struct bytes auth_area)
{
    struct bytes_reader r = bytes_reader_over(auth_area);
    struct dps_guard *g = &d->guard;
    const uint32_t replaced = dps_session_is_policy(d) ? d->session.handle : TPM2_RS_PW;
    bool found = false;
    while (r.left > 0 && r.error == 0) {
        const bool here = bytes_read_u32(&r) == replaced && !found;
        (void)bytes_read_2b(&r);
        (void)bytes_read_u8(&r);
        (void)bytes_read_2b(&r);
        g->at = here ? g->built : g->at;
        found = found || here;
        g->built++;
    }
    if (!found) {
        g->at = g->built;
    }
    g->attributes = (uint8_t)(hides(g->code) | (d->session_ends ? 0 : TPM2_SESSION_CONTINUE));
    return found || hides(g->code) != 0;
}

/* A Name, or the 4 bytes of what is no object [P1 r1.59 16]. */
static struct bytes name_of(const struct dps_device *d, uint32_t handle, uint8_t storage[4])
{
    if (handle == d->ek_handle) {
        return bytes_of(d->ek_name, sizeof d->ek_name);
    }
    if (handle == d->srk_handle) {
        return bytes_of(d->srk_name, sizeof d->srk_name);
    }
    if (handle == d->loaded[DPS_LOADED_KEY]) {
        return bytes_of(d->object_name, sizeof d->object_name);
    }
    struct bytes_writer w = bytes_writer_over(storage, 4);
    bytes_write_u32(&w, handle);
    return bytes_written(&w);
}

void dps_session_protect(struct dps_device *d, struct bytes_writer *w)
{
    uint8_t no_objects[2][4];
    struct bytes_reader r = bytes_reader_over(bytes_written(w));
    const uint16_t tag = bytes_read_u16(&r);
    (void)bytes_read_u32(&r); /* commandSize */
    memset(&d->guard, 0, sizeof d->guard);
    if (d->session.handle == 0 || tag != TPM2_ST_SESSIONS) {
        return;
    }
    d->guard.code = bytes_read_u32(&r);
    const size_t handles = handle_count(d->guard.code);
    struct tpm2_protection p = {.name_count = handles};
    for (size_t i = 0; i < handles; i++) {
        p.names[i] = name_of(d, bytes_read_u32(&r), no_objects[i]);
    }
    if (!take_place(d, bytes_read_bytes(&r, bytes_read_u32(&r)))) {
        d->guard.code = 0;
        return;
    }
    complete(d, &p);
    memcpy(d->session.nonce_caller, dps_draw(d), sizeof d->session.nonce_caller);
    tpm2_session_protect(w, &p);
}

/* ---- Responses --------------------------------------------------------------------------------------------------- */

static bool succeeded(struct bytes response)
{
    struct bytes_reader r = bytes_reader_over(response);
    (void)bytes_read_bytes(&r, HEADER_SIZE - 4);
    return bytes_read_u32(&r) == TPM2_RC_SUCCESS && r.error == 0;
}

/* The TPM has closed the session with this command: there is nothing left to flush. */
static void forget(struct dps_device *d)
{
    d->loaded[dps_session_is_policy(d) ? DPS_LOADED_SESSION : DPS_LOADED_HMAC_SESSION] = 0;
    bytes_wipe(&d->session, sizeof d->session);
}

/* An answer that is not believed may still tell what the TPM holds by now. */
static void record_handle(struct dps_device *d, struct bytes response)
{
    const enum dps_loaded slot = d->guard.code == TPM2_CC_LOAD            ? DPS_LOADED_KEY
                                 : d->asked_handle == TPM2_RH_ENDORSEMENT ? DPS_LOADED_EK
                                                                          : DPS_LOADED_SRK;
    struct bytes_reader r = bytes_reader_over(response);
    (void)bytes_read_bytes(&r, HEADER_SIZE);
    if (returns_handle(d->guard.code) && succeeded(response)) {
        d->loaded[slot] = bytes_read_u32(&r);
    }
}

int dps_session_open(struct dps_device *d, struct bytes *response)
{
    if (d->guard.code == 0) {
        return 0;
    }
    if (response->len > sizeof d->tpm) {
        return BYTES_E_LIMIT;
    }
    size_t len = response->len;
    memmove(d->tpm, response->p, len);
    *response = bytes_of(d->tpm, len);
    struct tpm2_protection p = {0};
    complete(d, &p);
    const int error = tpm2_session_open(d->tpm, &len, &p);
    if (error != 0) {
        record_handle(d, *response);
    } else if (succeeded(*response) && (d->guard.attributes & TPM2_SESSION_CONTINUE) == 0) {
        forget(d);
    }
    response->len = len;
    d->guard.code = 0;
    return error;
}

#endif
