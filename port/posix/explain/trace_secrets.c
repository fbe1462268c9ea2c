/* SPDX-License-Identifier: MIT */
/* What the sessions of the device hide and how their HMACs come about, computed once more from what crossed the bus and
 * from the keys in the engine. tpm/session.c is what it must agree with. */
#include "crypto/crypto.h"
#include "port/posix/explain/trace_session.h"
#include "tpm/tpm2.h"
#include <string.h>

#define INPUT_MAX 2048

struct telling {
    const struct dps_device *device;
    const struct trace_sessions *s;
    trace_secret_sink *sink;
    void *context;
    const struct tpm2_session *session; /* the one that is told of */
    uint8_t digest[CRYPTO_SHA256_SIZE]; /* cpHash or rpHash */
    uint8_t nonce[TPM2_NONCE_SIZE];     /* nonceTPM of a new session, which another one has hidden */
};

static void tell(const struct telling *t, const char *name, struct bytes bytes, const char *meaning)
{
    const struct trace_secret secret = {t->session->handle, name, meaning, bytes};
    t->sink(t->context, &secret);
}

static bool is_policy(uint32_t session)
{
    return session >> TPM2_HT_SHIFT == TPM2_HT_POLICY_SESSION;
}

/* The session with a key that has this handle, or null: a password, or a session without a key. */
static const struct tpm2_session *session_of(const struct dps_device *d, uint32_t handle)
{
    if (handle == 0) {
        return NULL;
    }
    return d->session.handle == handle ? &d->session : d->policy.handle == handle ? &d->policy : NULL;
}

/* ---- What the engine knows --------------------------------------------------------------------------------------- */

static struct bytes auth_value_of(const struct dps_device *d, uint32_t handle, bool then)
{
    const struct dps_device_config *c = d->config;
    const bool changes = then && d->guard.code == TPM2_CC_HIERARCHY_CHANGE_AUTH;
    if (d->cleared || (then && d->guard.code == TPM2_CC_CLEAR)) {
        return bytes_of(NULL, 0);
    }
    switch (handle) {
    case TPM2_RH_OWNER:
        return changes || d->owner_changed ? c->new_owner_auth : c->owner_auth;
    case TPM2_RH_ENDORSEMENT:
        return changes || d->endorsement_changed ? c->new_endorsement_auth : c->endorsement_auth;
    case TPM2_RH_LOCKOUT:
        return changes ? c->new_lockout_auth : c->lockout_auth;
    default:
        return bytes_of(NULL, 0); /* no object here has one */
    }
}

/* Of what the i-th session authorizes; the first ones authorize the handles in order. */
static struct bytes auth_value(const struct telling *t, size_t i)
{
    const bool authorizes = i < t->device->guard.built && i < t->s->handle_count;
    return authorizes ? auth_value_of(t->device, t->s->handles[i], !t->s->command) : bytes_of(NULL, 0);
}

static void write_name(const struct dps_device *d, uint32_t handle, struct bytes_writer *w)
{
    const struct {
        uint32_t handle;
        const uint8_t *name;
    } objects[] = {{d->ek_handle, d->ek_name},
                   {d->srk_handle, d->srk_name},
                   {d->loaded[DPS_LOADED_KEY], d->object_name}};
    for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++) {
        if (handle == objects[i].handle) {
            bytes_write_bytes(w, bytes_of(objects[i].name, TPM2_NAME_SIZE));
            return;
        }
    }
    bytes_write_u32(w, handle);
}

/* ---- HMAC [P1 r1.59 18.7, 18.8 and 19.6.5] ----------------------------------------------------------------------- */

static void tell_digest(struct telling *t)
{
    static uint8_t input[INPUT_MAX];
    struct bytes_writer w = bytes_writer_over(input, sizeof input);
    const bool command = t->s->command;
    if (!command) {
        bytes_write_u32(&w, TPM2_RC_SUCCESS);
    }
    bytes_write_u32(&w, t->s->code);
    for (size_t i = 0; command && i < t->s->handle_count; i++) {
        write_name(t->device, t->s->handles[i], &w);
    }
    bytes_write_bytes(&w, t->s->parameters);
    const struct bytes whole = bytes_written(&w);
    crypto_sha256(&whole, 1, t->digest);
    tell(t, command ? "cpHashInput" : "rpHashInput", whole,
         command ? "commandCode, the Names of all handles, and the parameters as they were sent."
                 : "responseCode, commandCode, and the parameters as they came.");
    tell(t, command ? "cpHash" : "rpHash", bytes_of(t->digest, sizeof t->digest), "SHA-256 of that.");
}

/* In the HMAC of a command's first session: nonceTPM of the others that decrypt and encrypt for it. */
static void write_nonces_of_others(const struct telling *t, size_t index, struct bytes_writer *w)
{
    static const uint8_t attributes[] = {TPM2_SESSION_DECRYPT, TPM2_SESSION_ENCRYPT};
    const struct tpm2_session *written = NULL;
    for (size_t k = 0; t->s->command && index == 0 && k < 2; k++) {
        for (size_t i = 1; i < t->s->count; i++) {
            const struct tpm2_session *other = session_of(t->device, t->s->list[i].handle);
            if ((t->s->list[i].attributes & attributes[k]) != 0 && other != NULL && other != written) {
                bytes_write_bytes(w, bytes_of(other->nonce_tpm, TPM2_NONCE_SIZE));
                written = other;
            }
        }
    }
}

static void tell_hmac(const struct telling *t, size_t i, struct bytes key)
{
    uint8_t input[5 * 32 + 1], mac[CRYPTO_SHA256_SIZE];
    const struct trace_session *sent = &t->s->list[i];
    const struct bytes ours = bytes_of(t->session->nonce_caller, TPM2_NONCE_SIZE);
    struct bytes_writer w = bytes_writer_over(input, sizeof input);
    bytes_write_bytes(&w, bytes_of(t->digest, sizeof t->digest));
    bytes_write_bytes(&w, t->s->command ? ours : sent->nonce);
    bytes_write_bytes(&w, t->s->command ? bytes_of(t->session->nonce_tpm, TPM2_NONCE_SIZE) : ours);
    write_nonces_of_others(t, i, &w);
    bytes_write_u8(&w, sent->attributes);
    const struct bytes whole = bytes_written(&w);
    crypto_hmac_sha256(key, &whole, 1, mac);
    tell(t, "hmacKey", key,
         "sessionKey, and the password of what this session authorizes: none in a policy session.");
    tell(t, "hmacInput", whole, "The hash above, both nonces, the newer one first, and the attributes.");
    tell(t, "hmac", bytes_of(mac, sizeof mac),
         bytes_equal_public(sent->hmac, bytes_of(mac, sizeof mac))
             ? "The HMAC, as it was sent."
             : "The HMAC that would be right: another one was sent.");
}

/* ---- Encryption [P1 r1.59 21.3] ---------------------------------------------------------------------------------- */

static void tell_parameter(struct telling *t, size_t i, struct bytes key)
{
    static uint8_t clear[INPUT_MAX], keystream[INPUT_MAX];
    uint8_t symmetric[32];
    const struct trace_session *sent = &t->s->list[i];
    const uint8_t hides = t->s->command ? TPM2_SESSION_DECRYPT : TPM2_SESSION_ENCRYPT;
    const struct bytes ours = bytes_of(t->session->nonce_caller, TPM2_NONCE_SIZE);
    const struct bytes theirs =
        t->s->command ? bytes_of(t->session->nonce_tpm, TPM2_NONCE_SIZE) : sent->nonce;
    const struct bytes content = t->s->content;
    if (t->s->encrypted == NULL || (sent->attributes & hides) == 0 || content.len == 0 ||
        content.len > sizeof clear) {
        return;
    }
    crypto_kdfa_sha256(key, "CFB", t->s->command ? ours : theirs, t->s->command ? theirs : ours, symmetric,
                       sizeof symmetric);
    memcpy(clear, content.p, content.len);
    (void)crypto_aes_cfb_decrypt(bytes_of(symmetric, 16), symmetric + 16, clear, content.len);
    for (size_t at = 0; at < content.len; at++) {
        keystream[at] = clear[at] ^ content.p[at];
    }
    tell(t, "cfbSecret", key, "sessionKey, and the password of what the session authorizes.");
    tell(t, "cfbKey", bytes_of(symmetric, 16),
         "KDFa of cfbSecret, the label CFB and both nonces, the newer one first.");
    tell(t, "cfbIV", bytes_of(symmetric + 16, 16), "What KDFa gave after these 16 bytes: the initial value.");
    tell(t, "keystream", bytes_of(keystream, content.len), "What AES-128-CFB adds to the parameter.");
    tell(t, "clear", bytes_of(clear, content.len), "The parameter, which nobody without the key can read.");
    if (content.len == sizeof t->nonce) {
        memcpy(t->nonce, clear, sizeof t->nonce);
    }
    bytes_wipe(symmetric, sizeof symmetric);
    bytes_wipe(clear, sizeof clear);
    bytes_wipe(keystream, sizeof keystream);
}

/* ---- All of it --------------------------------------------------------------------------------------------------- */

/* sessionKey, and behind it a password. */
static struct bytes join(const struct tpm2_session *session, struct bytes value, uint8_t *key)
{
    while (value.len > 0 && value.p[value.len - 1] == 0) {
        value.len--; /* [P1 r1.59 19.6.4.3] */
    }
    const size_t key_len = session->keyed ? sizeof session->key : 0;
    memcpy(key, session->key, key_len);
    if (value.len > 0) {
        memcpy(key + key_len, value.p, value.len);
    }
    return bytes_of(key, key_len + value.len);
}

static void tell_session(struct telling *t, size_t i)
{
    uint8_t key[CRYPTO_SHA256_SIZE + TPM2_AUTH_VALUE_MAX];
    const struct bytes value = auth_value(t, i);
    t->session = session_of(t->device, t->s->list[i].handle);
    if (t->session == NULL || value.len > TPM2_AUTH_VALUE_MAX) {
        return;
    }
    const struct bytes none = bytes_of(NULL, 0);
    if (t->s->command) {
        tell_parameter(t, i, join(t->session, value, key));
    }
    tell_digest(t);
    tell_hmac(t, i, join(t->session, is_policy(t->session->handle) ? none : value, key));
    if (!t->s->command) {
        tell_parameter(t, i, join(t->session, value, key));
    }
    bytes_wipe(key, sizeof key);
}

/* A session begins. Until the answer is here, the salt stands where its key will be; handle 0: it has none yet. */
static void tell_beginning(struct telling *t)
{
    const struct dps_device *d = t->device;
    struct tpm2_session begun = {0};
    const bool first = d->session.handle == 0 && d->session.keyed;
    const struct tpm2_session *s = first ? &d->session : &d->policy;
    if (s->handle != 0 || !s->keyed) {
        return;
    }
    const struct bytes salt = bytes_of(s->key, sizeof s->key);
    const struct bytes nonce =
        t->s->encrypted != NULL ? bytes_of(t->nonce, sizeof t->nonce) : t->s->session_nonce;
    t->session = s;
    if (t->s->command) {
        tell(t, "salt", salt, "What encryptedSalt holds: RSA-OAEP with the label SECRET and a zero byte.");
    } else if (t->s->new_session != 0 &&
               tpm2_session_begin(&begun, t->s->new_session, s->key, s->nonce_caller, nonce) == 0) {
        t->session = &begun;
        tell(t, "salt", salt, "As before.");
        tell(t, "nonceTPM", nonce, "Of this answer.");
        tell(t, "nonceCaller", bytes_of(s->nonce_caller, TPM2_NONCE_SIZE), "Of the command that it answers.");
        tell(t, "sessionKey", bytes_of(begun.key, sizeof begun.key),
             "KDFa of the salt, the label ATH, nonceTPM and nonceCaller, in this order.");
    }
    t->session = s;
    bytes_wipe(&begun, sizeof begun);
}

void trace_secrets(const struct dps_device *device, const struct trace_sessions *s, trace_secret_sink *sink,
                   void *context)
{
    struct telling t = {.device = device, .s = s, .sink = sink, .context = context};
    for (size_t i = 0; i < s->count; i++) {
        tell_session(&t, i);
    }
    if (s->code == TPM2_CC_START_AUTH_SESSION) {
        tell_beginning(&t);
    }
    bytes_wipe(&t, sizeof t);
}
