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

#define HANDLES_SIZE 8 /* of TPM2_StartAuthSession: tpmKey, bind */

/* The HMAC session takes part in the beginning of the policy session, which needs no authorization: the command gets an
 * area for authorizations, still empty. */
static void take_sessions(struct bytes_writer *w)
{
    const size_t at = HEADER_SIZE + HANDLES_SIZE;
    if (bytes_write_room(w, 4) != NULL) {
        memmove(w->p + at + 4, w->p + at, w->len - 4 - at);
        memset(w->p + at, 0, 4);
        struct bytes_writer begin = bytes_writer_over(w->p, HEADER_SIZE);
        bytes_write_u16(&begin, TPM2_ST_SESSIONS);
        bytes_write_u32(&begin, (uint32_t)w->len);
    }
}

/* Until the answer is here, the salt stands where the session's key will be. */
static void start(struct dps_device *d, struct bytes_writer *w, uint8_t session_type,
                  const struct tpm2_salt *salt)
{
    struct tpm2_session *s = session_type == TPM2_SE_POLICY ? &d->policy : &d->session;
    dps_draw(d, s->nonce_caller);
    tpm2_start_keyed_session_build(w, session_type, bytes_of(s->nonce_caller, sizeof s->nonce_caller), salt);
    if (d->session.handle != 0) {
        take_sessions(w);
    }
}

void dps_session_build_salted(struct dps_device *d, struct bytes_writer *w, uint8_t session_type)
{
    const bool ek = d->ek_handle != 0;
    const struct bytes key_2b = ek ? bytes_of(d->ek, d->ek_len) : bytes_of(d->srk, d->srk_len);
    struct tpm2_public key;
    struct tpm2_wrap_random random;
    struct tpm2_session *s = session_type == TPM2_SE_POLICY ? &d->policy : &d->session;
    uint8_t *encrypted = d->tpm + sizeof d->tpm - SECRET_SIZE;
    struct bytes_writer secret = bytes_writer_over(encrypted, SECRET_SIZE);
    /* The command, into which the secret is copied, does not reach it. */
    w->capacity = sizeof d->tpm - SECRET_SIZE;
    bytes_writer_fail(w, tpm2_public_parse_2b(key_2b, &key));
    if (w->error != 0) {
        return;
    }
    dps_draw(d, random.seed);
    dps_draw(d, random.oaep);
    tpm2_seed_wrap(&secret, &key, TPM2_SEED_SECRET, &random, s->key);
    bytes_wipe(&random, sizeof random);
    bytes_writer_fail(w, secret.error);
    s->keyed = true;
    const struct tpm2_salt salt = {ek ? d->ek_handle : d->srk_handle,
                                   bytes_of(encrypted + 2, SECRET_SIZE - 2)};
    start(d, w, session_type, &salt);
}

void dps_session_build_unsalted(struct dps_device *d, struct bytes_writer *w)
{
    static const struct tpm2_salt none = {.key_handle = TPM2_RH_NULL};
    d->session.keyed = false;
    start(d, w, TPM2_SE_HMAC, &none);
}

int dps_session_read(struct dps_device *d, struct bytes response, enum dps_loaded slot)
{
    struct bytes nonce_tpm;
    struct tpm2_session begun;
    struct tpm2_session *s = slot == DPS_LOADED_SESSION ? &d->policy : &d->session;
    int error = tpm2_start_auth_session_parse(response, &d->rc, &d->loaded[slot], &nonce_tpm);
    /* 0 would stand for no session, and the next password would cross the bus in clear. */
    const uint32_t kind = slot == DPS_LOADED_SESSION ? TPM2_HT_POLICY_SESSION : TPM2_HT_HMAC_SESSION;
    if (error == 0 && !dps_is_of_kind(d->loaded[slot], kind)) {
        error = BYTES_E_FORMAT;
    }
    if (error == 0) {
        error =
            tpm2_session_begin(&begun, d->loaded[slot], s->keyed ? s->key : NULL, s->nonce_caller, nonce_tpm);
        *s = begun;
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
    case TPM2_CC_START_AUTH_SESSION:  /* nothing, but its nonceTPM has to be believed */
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
    return code == TPM2_CC_LOAD || code == TPM2_CC_CREATE_PRIMARY || code == TPM2_CC_START_AUTH_SESSION;
}

static uint8_t handle_count(uint32_t code)
{
    return code == TPM2_CC_ACTIVATE_CREDENTIAL || code == TPM2_CC_POLICY_SECRET ||
                   code == TPM2_CC_EVICT_CONTROL || code == TPM2_CC_START_AUTH_SESSION
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
    const uint8_t last = g->session_at > g->policy_at ? g->session_at : g->policy_at;
    p->command_code = g->code;
    p->built = g->built;
    p->use_count = last > g->built ? last : g->built;
    p->returns_handle = returns_handle(g->code);
    if (g->policy_at > 0) {
        p->uses[g->policy_at - 1].session = &d->policy;
        p->uses[g->policy_at - 1].attributes = g->policy_attributes;
    }
    if (g->session_at > 0) {
        struct tpm2_use *use = &p->uses[g->session_at - 1];
        use->session = &d->session;
        use->attributes = g->session_attributes;
        if (g->session_at <= g->built) { /* else it authorizes nothing, and only encrypts */
            use->auth_value = auth_value(d, d->asked_handle);
            use->auth_value_then = auth_value_then(d, d->asked_handle);
        }
    }
}

/* The sessions whose places the row has written: the HMAC session in the place of a password, the policy session in its
 * own. */
static void take_places(struct dps_device *d, struct bytes auth_area)
{
    struct bytes_reader r = bytes_reader_over(auth_area);
    struct dps_guard *g = &d->guard;
    while (r.left > 0 && r.error == 0) {
        const uint32_t handle = bytes_read_u32(&r);
        bytes_skip(&r, bytes_read_u16(&r));
        const uint8_t attributes = bytes_read_u8(&r);
        bytes_skip(&r, bytes_read_u16(&r));
        g->built++;
        if (handle == TPM2_RS_PW && d->session.handle != 0 && g->session_at == 0) {
            g->session_at = g->built;
        } else if (handle == d->policy.handle) {
            g->policy_at = g->built;
            g->policy_attributes = attributes;
        }
    }
}

/* Who encrypts? The policy session, wherever the TPM demands it: whoever stands on the bus could put an empty password
 * in the place of the other one, and would read the answer. If neither has a place, one stands behind what was built,
 * and authorizes nothing. */
static void hide(struct dps_device *d)
{
    struct dps_guard *g = &d->guard;
    const uint8_t hidden = hides(g->code);
    const uint8_t going_on = d->session_ends ? 0 : TPM2_SESSION_CONTINUE;
    g->session_attributes = going_on;
    if (hidden == 0) {
        return;
    }
    if (g->policy_at > 0) {
        g->policy_attributes |= hidden;
    } else if (d->session.handle != 0) {
        g->session_at = g->session_at > 0 ? g->session_at : (uint8_t)(g->built + 1);
        g->session_attributes |= hidden;
    } else {
        g->policy_at = (uint8_t)(g->built + 1);
        g->policy_attributes = hidden | going_on;
    }
}

/* What a handle of the command stands for: an object's Name, or the handle itself [P1 r1.59 16]. */
static struct bytes name_of(const struct dps_device *d, struct bytes_reader *handles)
{
    const struct bytes itself = bytes_read_bytes(handles, 4);
    struct bytes_reader r = bytes_reader_over(itself);
    const uint32_t handle = bytes_read_u32(&r);
    if (handle == d->ek_handle) {
        return bytes_of(d->ek_name, sizeof d->ek_name);
    }
    if (handle == d->srk_handle) {
        return bytes_of(d->srk_name, sizeof d->srk_name);
    }
    if (handle == d->loaded[DPS_LOADED_KEY]) {
        return bytes_of(d->object_name, sizeof d->object_name);
    }
    return itself;
}

void dps_session_protect(struct dps_device *d, struct bytes_writer *w)
{
    struct bytes_reader r = bytes_reader_over(bytes_of(w->p, w->len));
    const uint16_t tag = bytes_read_u16(&r);
    (void)bytes_read_u32(&r); /* commandSize */
    memset(&d->guard, 0, sizeof d->guard);
    if ((d->session.handle == 0 && d->policy.handle == 0) || tag != TPM2_ST_SESSIONS) {
        return;
    }
    d->guard.code = bytes_read_u32(&r);
    const uint8_t handles = handle_count(d->guard.code);
    struct tpm2_protection p = {.name_count = handles};
    for (size_t i = 0; i < handles; i++) {
        p.names[i] = name_of(d, &r);
    }
    take_places(d, bytes_read_4b(&r));
    hide(d);
    if (d->guard.session_at == 0 && d->guard.policy_at == 0) { /* neither has to do with this command */
        d->guard.code = 0;
        return;
    }
    complete(d, &p);
    for (size_t i = 0; i < p.use_count; i++) {
        if (p.uses[i].session != NULL) {
            dps_draw(d, p.uses[i].session->nonce_caller);
        }
    }
    tpm2_session_protect(w, &p);
}

/* ---- Responses --------------------------------------------------------------------------------------------------- */

static bool succeeded(struct bytes response)
{
    struct bytes_reader r = bytes_reader_over(response);
    bytes_skip(&r, HEADER_SIZE - 4);
    return bytes_read_u32(&r) == TPM2_RC_SUCCESS && r.error == 0;
}

/* What the TPM has closed with this command need not be flushed. */
static void forget_closed(struct dps_device *d)
{
    const struct dps_guard *g = &d->guard;
    if (g->session_at > 0 && (g->session_attributes & TPM2_SESSION_CONTINUE) == 0) {
        d->loaded[DPS_LOADED_HMAC_SESSION] = 0;
        bytes_wipe(&d->session, sizeof d->session);
    }
    if (g->policy_at > 0 && (g->policy_attributes & TPM2_SESSION_CONTINUE) == 0) {
        d->loaded[DPS_LOADED_SESSION] = 0;
        bytes_wipe(&d->policy, sizeof d->policy);
    }
}

/* An answer that is not believed may still tell what the TPM holds by now. */
static void record_handle(struct dps_device *d, struct bytes response)
{
    const enum dps_loaded slot = d->guard.code == TPM2_CC_LOAD                 ? DPS_LOADED_KEY
                                 : d->guard.code == TPM2_CC_START_AUTH_SESSION ? DPS_LOADED_SESSION
                                 : d->asked_handle == TPM2_RH_ENDORSEMENT      ? DPS_LOADED_EK
                                                                               : DPS_LOADED_SRK;
    struct bytes_reader r = bytes_reader_over(response);
    bytes_skip(&r, HEADER_SIZE);
    if (returns_handle(d->guard.code) && succeeded(response)) {
        d->loaded[slot] = bytes_read_u32(&r);
    }
}

/* The row reads its response as if no session had taken part: without parameterSize. Returns its length. */
static size_t leave_sessions(uint8_t *response, size_t len)
{
    const size_t at = HEADER_SIZE + 4;
    struct bytes_writer begin = bytes_writer_over(response, HEADER_SIZE);
    bytes_write_u16(&begin, TPM2_ST_NO_SESSIONS);
    bytes_write_u32(&begin, (uint32_t)(len - 4));
    memmove(response + at, response + at + 4, len - at - 4);
    return len - 4;
}

int dps_session_open(struct dps_device *d, struct bytes *response)
{
    if (d->guard.code == 0) {
        return 0;
    }
    if (response->len > sizeof d->tpm) {
        record_handle(d, *response);
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
    } else if (succeeded(*response)) {
        forget_closed(d);
    }
    if (error == 0 && d->guard.code == TPM2_CC_START_AUTH_SESSION && succeeded(*response)) {
        len = leave_sessions(d->tpm, len);
    }
    response->len = len;
    d->guard.code = 0;
    return error;
}

#endif
