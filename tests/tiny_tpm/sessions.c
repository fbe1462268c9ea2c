/* SPDX-License-Identifier: MIT */
/* Who may do what: the authorizations of a command [P1 r1.59 19], and parameters that nobody reads on the way
 * [P1 r1.59 21]. The other side of these is tpm/session.c. */
#include "tests/tiny_tpm/inside.h"

#define AUTH_MIN 9 /* handle, empty nonce, attributes, empty value */
#define RESERVED_BITS 0x18
#define AUDIT_BITS 0x86 /* no session of this TPM audits */
#define CFB_KEY 16

struct tiny_session *tiny_session_find(struct tiny_tpm *t, uint32_t handle)
{
    for (size_t i = 0; i < TINY_SESSIONS; i++) {
        if (handle != 0 && t->sessions[i].handle == handle) {
            return &t->sessions[i];
        }
    }
    return NULL;
}

static bool is_policy(const struct tiny_session *s)
{
    return s->handle >> TPM2_HT_SHIFT == TPM2_HT_POLICY_SESSION;
}

/* ---- The authorization area [P1 r1.59 18.6] ---- */

static uint32_t read_auth(struct tiny_call *c, struct bytes_reader *r)
{
    const unsigned number = (unsigned)c->auth_count + 1;
    struct tiny_auth *a = &c->auths[c->auth_count];
    const uint32_t handle = bytes_read_u32(r);
    if (r->error != 0) {
        return TPM2_RC_INSUFFICIENT | TINY_S(number);
    }
    if (handle != TPM2_RS_PW && !tiny_is_session(handle, TPM2_HT_HMAC_SESSION) &&
        !tiny_is_session(handle, TPM2_HT_POLICY_SESSION)) {
        return TPM2_RC_VALUE | TINY_S(number);
    }
    a->session = tiny_session_find(c->tpm, handle);
    if (handle != TPM2_RS_PW && a->session == NULL) {
        return TPM2_RC_REFERENCE_S0 + number - 1;
    }
    uint32_t rc = tiny_digest_read(r, &a->nonce_caller);
    if (rc == 0) {
        a->attributes = bytes_read_u8(r);
        rc = (a->attributes & RESERVED_BITS) != 0 ? TPM2_RC_RESERVED_BITS : tiny_digest_read(r, &a->value);
    }
    if (rc != 0) {
        return rc | TINY_S(number);
    }
    const unsigned refused =
        a->session == NULL ? AUDIT_BITS | TPM2_SESSION_DECRYPT | TPM2_SESSION_ENCRYPT : AUDIT_BITS;
    if ((a->attributes & refused) != 0) {
        return TPM2_RC_ATTRIBUTES | TINY_S(number);
    }
    if (a->session == NULL && a->nonce_caller.len > 0) {
        return TPM2_RC_NONCE | TINY_S(number);
    }
    for (size_t i = 0; i < c->auth_count && a->session != NULL; i++) {
        if (c->auths[i].session == a->session) {
            return TPM2_RC_HANDLE | TINY_S(number);
        }
    }
    c->auth_count++;
    return TPM2_RC_SUCCESS;
}

static uint32_t read_auths(struct tiny_call *c)
{
    struct bytes_reader size = c->in;
    const uint32_t len = bytes_read_u32(&size);
    if (size.error != 0) {
        return TPM2_RC_INSUFFICIENT;
    }
    if ((c->command->sessions & TINY_NO_SESSIONS) != 0) {
        return TPM2_RC_AUTH_CONTEXT;
    }
    if (len < AUTH_MIN || len > size.left) {
        return TPM2_RC_SIZE;
    }
    struct bytes_reader r = bytes_reader_over(bytes_read_4b(&c->in));
    while (r.left > 0) {
        if (c->auth_count == TINY_AUTHS_MAX) {
            return TPM2_RC_SIZE | TINY_S(TINY_AUTHS_MAX + 1);
        }
        const uint32_t rc = read_auth(c, &r);
        if (rc != 0) {
            return rc;
        }
    }
    return TPM2_RC_SUCCESS;
}

/* The first authorizations belong to those handles that need one, in order. */
static uint32_t assign_entities(struct tiny_call *c)
{
    size_t next = 0;
    for (size_t i = 0; i < TINY_HANDLES_MAX; i++) {
        if (c->command->roles[i] == TINY_NOBODY) {
            continue;
        }
        if (next == c->auth_count) {
            return TPM2_RC_AUTH_MISSING;
        }
        c->auths[next++].entity = c->handles[i];
    }
    return TPM2_RC_SUCCESS;
}

/* ---- authValues and policies of entities ---- */

static struct bytes auth_value_of(struct tiny_tpm *t, uint32_t entity)
{
    const int hierarchy = tiny_hierarchy_index(entity);
    const struct tiny_object *o = tiny_object_find(t, entity);
    const struct tiny_secret *s = hierarchy >= 0 ? &t->auths[hierarchy]
                                  : o != NULL    ? &o->sensitive.auth
                                                 : NULL;
    return s != NULL ? bytes_of(s->bytes, s->len) : bytes_of(NULL, 0);
}

/* A wrong password of a key without noDA is one that a TPM would count [P1 r1.59 19.8]. */
static uint32_t wrong_auth(struct tiny_tpm *t, uint32_t entity)
{
    const struct tiny_object *o = tiny_object_find(t, entity);
    const bool counts =
        entity == TPM2_RH_LOCKOUT || (o != NULL && (o->area.attributes & TPM2_OBJECT_NO_DA) == 0);
    return counts ? TPM2_RC_AUTH_FAIL : TPM2_RC_BAD_AUTH;
}

/* Is the authValue enough [P1 r1.59 19.2]? For USER role userWithAuth says so, for ADMIN role adminWithPolicy that it
 * is not. What has no private half has no authValue either. */
static uint32_t by_value(const struct tiny_call *c, uint32_t entity, enum tiny_role role)
{
    const struct tiny_object *o = tiny_object_find(c->tpm, entity);
    if (o == NULL) {
        return TPM2_RC_SUCCESS;
    }
    if (role == TINY_ADMIN && (o->area.attributes & TPM2_OBJECT_ADMIN_WITH_POLICY) != 0) {
        return TPM2_RC_AUTH_TYPE;
    }
    const bool user = role == TINY_ADMIN || (o->area.attributes & TPM2_OBJECT_USER_WITH_AUTH) != 0;
    return o->has_sensitive && user ? TPM2_RC_SUCCESS : TPM2_RC_AUTH_UNAVAILABLE;
}

/* Has the session proved what the entity demands, and for this command [P1 r1.59 19.7]? */
static uint32_t by_policy(const struct tiny_call *c, uint32_t entity, enum tiny_role role,
                          const struct tiny_session *s, unsigned number)
{
    const struct tiny_object *o = tiny_object_find(c->tpm, entity);
    if (o == NULL || !o->has_sensitive) {
        return TPM2_RC_AUTH_UNAVAILABLE;
    }
    if (!bytes_equal_public(o->area.auth_policy, bytes_of(s->policy, sizeof s->policy)) ||
        (role == TINY_ADMIN && s->command_code == 0 &&
         (o->area.attributes & TPM2_OBJECT_ADMIN_WITH_POLICY) != 0)) {
        return TPM2_RC_POLICY_FAIL | TINY_S(number);
    }
    return s->command_code == 0 || s->command_code == c->command->code ? TPM2_RC_SUCCESS
                                                                       : TPM2_RC_POLICY_CC | TINY_S(number);
}

/* ---- HMACs and encryption ---- */

/* sessionKey || authValue [P1 r1.59 19.6.5]. */
static struct bytes session_key(const struct tiny_session *s, struct bytes auth_value,
                                uint8_t bytes[CRYPTO_SHA256_SIZE + TINY_AUTH_MAX])
{
    struct bytes_writer w = bytes_writer_over(bytes, CRYPTO_SHA256_SIZE + TINY_AUTH_MAX);
    bytes_write_bytes(&w, bytes_of(s->key, s->keyed ? sizeof s->key : 0));
    bytes_write_bytes(&w, auth_value);
    return bytes_written(&w);
}

/* A policy session leaves the authValue out: its policy stands for it. Without any key it has no HMAC. */
static size_t auth_hmac(struct tiny_tpm *t, const struct tiny_auth *a, const uint8_t *digest,
                        struct bytes newer, struct bytes older, const struct bytes others[2],
                        uint8_t mac[CRYPTO_SHA256_SIZE])
{
    uint8_t bytes[CRYPTO_SHA256_SIZE + TINY_AUTH_MAX];
    const bool policy = is_policy(a->session);
    const struct bytes key =
        session_key(a->session, policy ? bytes_of(NULL, 0) : auth_value_of(t, a->entity), bytes);
    const struct bytes pieces[] = {bytes_of(digest, CRYPTO_SHA256_SIZE), newer, older, others[0], others[1],
                                   bytes_of(&a->attributes, 1)};
    if (policy && key.len == 0) {
        return 0;
    }
    crypto_hmac_sha256(key, pieces, sizeof pieces / sizeof pieces[0], mac);
    bytes_wipe(bytes, sizeof bytes);
    return CRYPTO_SHA256_SIZE;
}

static struct bytes nonce_of(const struct tiny_session *s)
{
    return bytes_of(s->nonce_tpm, s->nonce_len);
}

/* The content of a first parameter, by the session that says so [P1 r1.59 21.3]. */
static void crypt(struct tiny_tpm *t, const struct tiny_auth *a, bool decrypt, uint8_t *content, size_t len)
{
    uint8_t bytes[CRYPTO_SHA256_SIZE + TINY_AUTH_MAX], symmetric[2 * CFB_KEY];
    const struct bytes key = session_key(a->session, auth_value_of(t, a->entity), bytes);
    const struct bytes nonce_tpm = nonce_of(a->session);
    crypto_kdfa_sha256(key, "CFB", decrypt ? a->nonce_caller : nonce_tpm,
                       decrypt ? nonce_tpm : a->nonce_caller, symmetric, sizeof symmetric);
    if (decrypt) {
        (void)crypto_aes_cfb_decrypt(bytes_of(symmetric, CFB_KEY), symmetric + CFB_KEY, content, len);
    } else {
        (void)crypto_aes_cfb_encrypt(bytes_of(symmetric, CFB_KEY), symmetric + CFB_KEY, content, len);
    }
    bytes_wipe(bytes, sizeof bytes);
    bytes_wipe(symmetric, sizeof symmetric);
}

/* Null if no session has this attribute. */
static struct tiny_auth *auth_with(struct tiny_call *c, uint8_t attribute)
{
    for (size_t i = 0; i < c->auth_count; i++) {
        if (c->auths[i].session != NULL && (c->auths[i].attributes & attribute) != 0) {
            return &c->auths[i];
        }
    }
    return NULL;
}

/* cpHash [P1 r1.59 18.7]: command code, Names, and the parameters as they came. */
static void command_hash(struct tiny_call *c, uint8_t digest[CRYPTO_SHA256_SIZE])
{
    uint8_t code[4];
    struct bytes names[TINY_HANDLES_MAX] = {{0}};
    struct bytes_writer w = bytes_writer_over(code, sizeof code);
    bytes_write_u32(&w, c->command->code);
    for (size_t i = 0; i < TINY_HANDLES_MAX && c->command->kinds[i] != TINY_NO_HANDLE; i++) {
        const struct tiny_object *o = tiny_object_find(c->tpm, c->handles[i]);
        names[i] = o != NULL ? bytes_of(o->name, sizeof o->name) : bytes_of(c->handle_bytes[i], 4);
    }
    crypto_sha256(
        (const struct bytes[]){bytes_of(code, 4), names[0], names[1], bytes_of(c->in.p, c->in.left)}, 4,
        digest);
}

static uint32_t check_hmac(struct tiny_call *c, size_t index, const uint8_t *digest)
{
    const struct tiny_auth *a = &c->auths[index];
    const struct tiny_auth *decrypt = auth_with(c, TPM2_SESSION_DECRYPT),
                           *encrypt = auth_with(c, TPM2_SESSION_ENCRYPT);
    uint8_t expected[CRYPTO_SHA256_SIZE];
    struct bytes others[2] = {{0}};
    /* The first one answers for sessions that encrypt for it, so that nobody can remove them. */
    if (index == 0 && a->entity != 0 && decrypt != NULL && decrypt != a) {
        others[0] = nonce_of(decrypt->session);
    }
    if (index == 0 && a->entity != 0 && encrypt != NULL && encrypt != a && encrypt != decrypt) {
        others[1] = nonce_of(encrypt->session);
    }
    const size_t len = auth_hmac(c->tpm, a, digest, a->nonce_caller, nonce_of(a->session), others, expected);
    const bool right = a->value.len == len && bytes_equal_secret(a->value.p, expected, len);
    return right ? TPM2_RC_SUCCESS : wrong_auth(c->tpm, a->entity) | TINY_S(index + 1);
}

static uint32_t check_password(struct tiny_call *c, size_t index)
{
    const struct tiny_auth *a = &c->auths[index];
    const struct bytes wanted = auth_value_of(c->tpm, a->entity);
    struct tiny_secret given = {.len = 0};
    if (a->value.len > sizeof given.bytes) {
        return wrong_auth(c->tpm, a->entity) | TINY_S(index + 1);
    }
    tiny_secret_set(&given, a->value); /* trailing zeros do not count */
    const bool right = given.len == wanted.len && bytes_equal_secret(given.bytes, wanted.p, wanted.len);
    return right ? TPM2_RC_SUCCESS : wrong_auth(c->tpm, a->entity) | TINY_S(index + 1);
}

static uint32_t check_auth(struct tiny_call *c, size_t index, const uint8_t *digest)
{
    const struct tiny_auth *a = &c->auths[index];
    const unsigned number = (unsigned)index + 1;
    uint32_t rc = TPM2_RC_SUCCESS;
    if (a->entity != 0) {
        const enum tiny_role role = c->command->roles[index];
        if (a->session != NULL && a->session->trial) {
            return TPM2_RC_ATTRIBUTES | TINY_S(number);
        }
        rc = a->session != NULL && is_policy(a->session) ? by_policy(c, a->entity, role, a->session, number)
                                                         : by_value(c, a->entity, role);
    } else if (a->session == NULL) {
        return TPM2_RC_HANDLE | TINY_S(number);
    } else if ((a->attributes & (TPM2_SESSION_DECRYPT | TPM2_SESSION_ENCRYPT)) == 0) {
        return TPM2_RC_ATTRIBUTES | TINY_S(number);
    }
    return rc != 0 ? rc : a->session == NULL ? check_password(c, index) : check_hmac(c, index, digest);
}

/* At most one session decrypts and one encrypts, if there is something that can be [P1 r1.59 21.1]. */
static uint32_t check_encryption(const struct tiny_call *c)
{
    unsigned count[2] = {0};
    for (size_t i = 0; i < c->auth_count; i++) {
        const bool wants[2] = {(c->auths[i].attributes & TPM2_SESSION_DECRYPT) != 0,
                               (c->auths[i].attributes & TPM2_SESSION_ENCRYPT) != 0};
        const uint8_t can[2] = {TINY_IN_2B, TINY_OUT_2B};
        for (size_t k = 0; k < 2; k++) {
            count[k] += wants[k];
            if (wants[k] && ((c->command->sessions & can[k]) == 0 || count[k] > 1)) {
                return TPM2_RC_ATTRIBUTES | TINY_S(i + 1);
            }
        }
        if ((wants[0] || wants[1]) && !c->auths[i].session->encrypts) {
            return TPM2_RC_SYMMETRIC | TINY_S(i + 1);
        }
    }
    return TPM2_RC_SUCCESS;
}

uint32_t tiny_sessions_begin(struct tiny_call *c, bool there)
{
    uint8_t digest[CRYPTO_SHA256_SIZE];
    uint32_t rc = there ? read_auths(c) : TPM2_RC_SUCCESS;
    if (rc == 0) {
        rc = assign_entities(c);
    }
    if (rc == 0) {
        rc = check_encryption(c);
    }
    command_hash(c, digest);
    for (size_t i = 0; i < c->auth_count && rc == 0; i++) {
        rc = check_auth(c, i, digest);
    }
    const struct tiny_auth *decrypt = auth_with(c, TPM2_SESSION_DECRYPT);
    if (rc == 0 && decrypt != NULL) {
        struct bytes_reader r = c->in;
        const struct bytes content = bytes_read_2b(&r);
        if (r.error != 0) {
            return TPM2_RC_INSUFFICIENT | TINY_P(1);
        }
        uint8_t *first = c->tpm->command + (c->in.p - c->tpm->command) + 2; /* after its size */
        crypt(c->tpm, decrypt, true, first, content.len);
    }
    return rc;
}

/* A session that has authorized something begins anew; one that is not to go on ends. */
static void after_use(const struct tiny_auth *a)
{
    struct tiny_session *s = a->session;
    if (a->entity != 0 && is_policy(s)) {
        memset(s->policy, 0, sizeof s->policy);
        s->command_code = 0;
    }
    if ((a->attributes & TPM2_SESSION_CONTINUE) == 0) {
        bytes_wipe(s, sizeof *s);
    }
}

/* Each session gets a new nonceTPM, and with it the HMAC over rpHash [P1 r1.59 18.8]. */
void tiny_sessions_end(struct tiny_call *c, uint8_t *parameters, size_t len, struct bytes_writer *w)
{
    static const struct bytes nobody[2];
    uint8_t digest[CRYPTO_SHA256_SIZE], mac[CRYPTO_SHA256_SIZE], codes[8];
    struct bytes_writer both = bytes_writer_over(codes, sizeof codes);
    for (size_t i = 0; i < c->auth_count; i++) {
        struct tiny_session *s = c->auths[i].session;
        if (s != NULL) {
            crypto_drbg_generate(&c->tpm->random, s->nonce_tpm, s->nonce_len);
        }
    }
    const struct tiny_auth *encrypt = auth_with(c, TPM2_SESSION_ENCRYPT);
    if (encrypt != NULL && len >= 2) {
        struct bytes_reader r = bytes_reader_over(bytes_of(parameters, len));
        crypt(c->tpm, encrypt, false, parameters + 2, bytes_read_2b(&r).len);
    }
    bytes_write_u32(&both, TPM2_RC_SUCCESS);
    bytes_write_u32(&both, c->command->code);
    crypto_sha256((const struct bytes[]){bytes_of(codes, 8), bytes_of(parameters, len)}, 2, digest);
    for (size_t i = 0; i < c->auth_count; i++) {
        const struct tiny_auth *a = &c->auths[i];
        if (a->session == NULL) { /* an empty nonce, continueSession, an empty value */
            bytes_write_u16(w, 0);
            bytes_write_u8(w, TPM2_SESSION_CONTINUE);
            bytes_write_u16(w, 0);
            continue;
        }
        const size_t mac_len =
            auth_hmac(c->tpm, a, digest, nonce_of(a->session), a->nonce_caller, nobody, mac);
        bytes_write_2b(w, nonce_of(a->session));
        bytes_write_u8(w, a->attributes);
        bytes_write_2b(w, bytes_of(mac, mac_len));
        after_use(a);
    }
}
