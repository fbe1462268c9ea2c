/* SPDX-License-Identifier: MIT */
/* The commands that begin a session and prove something in it [P3 r1.59 11, 23]. */
#include "tests/tiny_tpm/inside.h"
#include "tests/tiny_tpm/rsa.h"
#include "tpm/seed.h"

#define CC_FIRST_NONCE_MIN 16
#define POLICY_OR_MAX 8

/* ---- TPM2_StartAuthSession [P3 r1.59 11.1] ---- */

/* The salt that the caller has encrypted to a key of ours. */
static uint32_t open_salt(struct tiny_call *c, struct bytes encrypted, uint8_t *salt, size_t *len)
{
    const struct tiny_object *key = tiny_object_find(c->tpm, c->handles[0]);
    if (key == NULL) {
        return encrypted.len == 0 ? TPM2_RC_SUCCESS : TPM2_RC_VALUE | TINY_P(2);
    }
    if (key->area.type != TPM2_ALG_RSA) {
        return TPM2_RC_KEY | TINY_H(1);
    }
    if ((key->area.attributes & TPM2_OBJECT_DECRYPT) == 0) {
        return TPM2_RC_ATTRIBUTES | TINY_H(1);
    }
    if (!key->has_sensitive) {
        return TPM2_RC_HANDLE | TINY_H(1);
    }
    const struct crypto_rsa_private rsa = tiny_rsa_private(key->crt);
    return crypto_rsa_oaep_decrypt(&rsa, tpm2_seed_label(TPM2_SEED_SECRET), encrypted, salt,
                                   CRYPTO_SHA256_SIZE, len) == 0
               ? TPM2_RC_SUCCESS
               : TPM2_RC_VALUE | TINY_P(2);
}

struct start {
    struct bytes nonce_caller, salt;
    uint8_t type;
    uint16_t symmetric;
};

static uint32_t read_start(struct tiny_call *c, struct start *p)
{
    p->nonce_caller = tiny_in_2b(c, 64);
    p->salt = tiny_in_2b(c, TINY_WRAPPED_SEED_MAX);
    p->type = tiny_in_u8(c);
    if (p->type != TPM2_SE_HMAC && p->type != TPM2_SE_POLICY && p->type != TPM2_SE_TRIAL) {
        tiny_in_refuse(c, TPM2_RC_VALUE);
    }
    p->symmetric = tiny_in_symmetric(c);
    const uint16_t hash = tiny_in_u16(c);
    if (hash != TPM2_ALG_SHA256) {
        tiny_in_refuse(c, TPM2_RC_HASH);
    }
    if (c->rc != 0 || tiny_in_end(c) != 0) {
        return tiny_in_end(c);
    }
    return p->nonce_caller.len < CC_FIRST_NONCE_MIN || p->nonce_caller.len > CRYPTO_SHA256_SIZE
               ? TPM2_RC_SIZE | TINY_P(1)
               : TPM2_RC_SUCCESS;
}

uint32_t tiny_start_auth_session(struct tiny_call *c)
{
    struct start p;
    uint8_t salt[CRYPTO_SHA256_SIZE];
    size_t salt_len = 0, place = 0;
    uint32_t rc = read_start(c, &p);
    if (rc == 0) {
        rc = open_salt(c, p.salt, salt, &salt_len);
    }
    if (rc == 0 && c->handles[1] != TPM2_RH_NULL) {
        rc = TPM2_RC_VALUE | TINY_H(2); /* none is bound to an entity here */
    }
    while (rc == 0 && place < TINY_SESSIONS && c->tpm->sessions[place].handle != 0) {
        place++;
    }
    if (rc == 0 && place == TINY_SESSIONS) {
        rc = TPM2_RC_SESSION_MEMORY;
    }
    if (rc != 0) {
        return rc;
    }
    const uint32_t kind = p.type == TPM2_SE_HMAC ? TPM2_HT_HMAC_SESSION : TPM2_HT_POLICY_SESSION;
    struct tiny_session *s = &c->tpm->sessions[place];
    *s = (struct tiny_session){.handle = kind << TPM2_HT_SHIFT | (uint32_t)place,
                               .trial = p.type == TPM2_SE_TRIAL,
                               .keyed = salt_len > 0,
                               .encrypts = p.symmetric == TPM2_ALG_AES,
                               .nonce_len = p.nonce_caller.len};
    crypto_drbg_generate(&c->tpm->random, s->nonce_tpm, s->nonce_len);
    const struct bytes nonce_tpm = bytes_of(s->nonce_tpm, s->nonce_len);
    crypto_kdfa_sha256(bytes_of(salt, salt_len), "ATH", nonce_tpm, p.nonce_caller, s->key, sizeof s->key);
    bytes_wipe(salt, sizeof salt);
    c->out_handle = s->handle;
    bytes_write_2b(&c->out, nonce_tpm);
    return TPM2_RC_SUCCESS;
}

/* ---- Policies: a digest that grows with what is proved [P1 r1.59 19.7] ---- */

static void hash_on(struct tiny_session *s, struct bytes first, struct bytes second)
{
    uint8_t next[CRYPTO_SHA256_SIZE];
    crypto_sha256((const struct bytes[]){bytes_of(s->policy, sizeof s->policy), first, second}, 3, next);
    memcpy(s->policy, next, sizeof next);
}

static void extend(struct tiny_session *s, uint32_t code, struct bytes what)
{
    uint8_t number[4];
    struct bytes_writer w = bytes_writer_over(number, sizeof number);
    bytes_write_u32(&w, code);
    hash_on(s, bytes_of(number, sizeof number), what);
}

/* TPM2_PolicyRestart [P3 r1.59 11.2] */
uint32_t tiny_policy_restart(struct tiny_call *c)
{
    struct tiny_session *s = tiny_session_find(c->tpm, c->handles[0]);
    if (tiny_in_end(c) == 0) {
        memset(s->policy, 0, sizeof s->policy);
        s->command_code = 0;
    }
    return tiny_in_end(c);
}

/* TPM2_PolicySecret [P3 r1.59 23.4]: the caller has proved that he knows the authValue of the first handle, since this
 * command was authorized. Its Name, not the secret, goes into the digest. */
uint32_t tiny_policy_secret(struct tiny_call *c)
{
    struct tiny_session *s = tiny_session_find(c->tpm, c->handles[1]);
    const struct tiny_object *o = tiny_object_find(c->tpm, c->handles[0]);
    const struct bytes nonce_tpm = tiny_in_2b(c, 64);
    const struct bytes cp_hash = tiny_in_2b(c, 64);
    if (cp_hash.len > 0) {
        tiny_in_refuse(c, TPM2_RC_SIZE); /* no policy of this TPM is for certain parameters only */
    }
    const struct bytes policy_ref = tiny_in_2b(c, 64);
    if (tiny_in_u32(c) != 0) {
        tiny_in_refuse(c, TPM2_RC_VALUE); /* it has no clock */
    }
    const uint32_t rc = tiny_in_end(c);
    if (rc != 0) {
        return rc;
    }
    if (!s->trial && nonce_tpm.len > 0 &&
        !bytes_equal_public(nonce_tpm, bytes_of(s->nonce_tpm, s->nonce_len))) {
        return TPM2_RC_NONCE | TINY_P(1);
    }
    extend(s, TPM2_CC_POLICY_SECRET,
           o != NULL ? bytes_of(o->name, sizeof o->name) : bytes_of(c->handle_bytes[0], 4));
    hash_on(s, policy_ref, bytes_of(NULL, 0));
    bytes_write_u16(&c->out, 0); /* timeout: none */
    bytes_write_u16(&c->out, TPM2_ST_AUTH_SECRET);
    bytes_write_u32(&c->out, TPM2_RH_NULL); /* and so no ticket */
    bytes_write_u16(&c->out, 0);
    return TPM2_RC_SUCCESS;
}

/* TPM2_PolicyOR [P3 r1.59 23.6]: what was proved is one of these; from now on it counts as all of them together. */
uint32_t tiny_policy_or(struct tiny_call *c)
{
    struct tiny_session *s = tiny_session_find(c->tpm, c->handles[0]);
    struct bytes branches[POLICY_OR_MAX] = {{0}};
    const uint32_t count = tiny_in_u32(c);
    bool found = s->trial;
    if (count < 2 || count > POLICY_OR_MAX) {
        tiny_in_refuse(c, TPM2_RC_SIZE);
    }
    for (uint32_t i = 0; i < count && c->rc == 0; i++) {
        const uint32_t rc = tiny_digest_read(&c->in, &branches[i]);
        if (rc != 0) {
            tiny_in_refuse(c, rc);
        }
        found = found || bytes_equal_public(branches[i], bytes_of(s->policy, sizeof s->policy));
    }
    if (tiny_in_end(c) != 0) {
        return tiny_in_end(c);
    }
    if (!found) {
        return TPM2_RC_VALUE | TINY_P(1);
    }
    uint8_t all[POLICY_OR_MAX * 64];
    struct bytes_writer w = bytes_writer_over(all, sizeof all);
    for (uint32_t i = 0; i < count; i++) {
        bytes_write_bytes(&w, branches[i]);
    }
    memset(s->policy, 0, sizeof s->policy);
    extend(s, TPM2_CC_POLICY_OR, bytes_written(&w));
    return TPM2_RC_SUCCESS;
}

/* TPM2_PolicyCommandCode [P3 r1.59 23.11] */
uint32_t tiny_policy_command_code(struct tiny_call *c)
{
    struct tiny_session *s = tiny_session_find(c->tpm, c->handles[0]);
    uint8_t bytes[4];
    struct bytes_writer w = bytes_writer_over(bytes, sizeof bytes);
    const uint32_t code = tiny_in_u32(c);
    if (tiny_in_end(c) != 0) {
        return tiny_in_end(c);
    }
    if (s->command_code != 0 && s->command_code != code) {
        return TPM2_RC_VALUE | TINY_P(1);
    }
    if (tiny_command_find(code) == NULL) {
        return TPM2_RC_POLICY_CC | TINY_P(1);
    }
    bytes_write_u32(&w, code);
    extend(s, TPM2_CC_POLICY_COMMAND_CODE, bytes_of(bytes, sizeof bytes));
    s->command_code = code;
    return TPM2_RC_SUCCESS;
}

/* TPM2_PolicyGetDigest [P3 r1.59 23.19] */
uint32_t tiny_policy_get_digest(struct tiny_call *c)
{
    const struct tiny_session *s = tiny_session_find(c->tpm, c->handles[0]);
    bytes_write_2b(&c->out, bytes_of(s->policy, sizeof s->policy));
    return tiny_in_end(c);
}
