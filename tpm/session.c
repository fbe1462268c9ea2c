/* SPDX-License-Identifier: MIT */
#include "tpm/session.h"
#include <string.h>

#define HEADER_SIZE 10
#define PASSWORD_SIZE 9 /* of an authorization without nonce and value: handle, size, attributes, size */
#define SYMMETRIC_SIZE (16 + 16) /* AES-128 key and initial value */

/* Trailing zeros of an authValue do not count [P1 r1.59 19.6.4.3]. */
static struct bytes without_zeros(struct bytes value)
{
    while (value.len > 0 && value.p[value.len - 1] == 0) {
        value.len--;
    }
    return value;
}

int tpm2_session_begin(struct tpm2_session *s, uint32_t handle, const uint8_t *salt,
                       const uint8_t nonce_caller[TPM2_NONCE_SIZE], struct bytes nonce_tpm)
{
    memset(s, 0, sizeof *s);
    s->handle = handle;
    if (nonce_tpm.len != sizeof s->nonce_tpm) {
        return BYTES_E_FORMAT;
    }
    memcpy(s->nonce_tpm, nonce_tpm.p, sizeof s->nonce_tpm);
    if (salt != NULL) {
        s->key_len = sizeof s->key;
        crypto_kdfa_sha256(bytes_of(salt, TPM2_SEED_SIZE), "ATH", nonce_tpm,
                           bytes_of(nonce_caller, TPM2_NONCE_SIZE), s->key, sizeof s->key);
    }
    return 0;
}

/* ---- Keys ---- */

/* sessionKey || authValue: the key of HMACs and, through KDFa, of encryption. */
struct key {
    uint8_t bytes[CRYPTO_SHA256_SIZE + TPM2_AUTH_VALUE_MAX];
    size_t len;
};

static bool is_policy(const struct tpm2_session *s)
{
    return s->handle >> TPM2_HT_SHIFT == TPM2_HT_POLICY_SESSION;
}

static void join(struct key *key, const struct tpm2_session *s, struct bytes auth_value)
{
    struct bytes_writer w = bytes_writer_over(key->bytes, sizeof key->bytes);
    bytes_write_bytes(&w, bytes_of(s->key, s->key_len));
    bytes_write_bytes(&w, without_zeros(auth_value));
    key->len = bytes_written(&w).len;
}

/* CFB with key and initial value from both nonces, the newer first [P1 r1.59 21.3]. The authValue takes part even in a
 * policy session, whose HMAC leaves it out. */
static void crypt(const struct tpm2_use *use, struct bytes auth_value, const uint8_t *newer,
                  const uint8_t *older, bool encrypt, uint8_t *data, size_t len)
{
    uint8_t symmetric[SYMMETRIC_SIZE];
    struct key key;
    join(&key, use->session, auth_value);
    crypto_kdfa_sha256(bytes_of(key.bytes, key.len), "CFB", bytes_of(newer, TPM2_NONCE_SIZE),
                       bytes_of(older, TPM2_NONCE_SIZE), symmetric, sizeof symmetric);
    const struct bytes aes = bytes_of(symmetric, 16);
    if (encrypt) {
        (void)crypto_aes_cfb_encrypt(aes, symmetric + 16, data, len);
    } else {
        (void)crypto_aes_cfb_decrypt(aes, symmetric + 16, data, len);
    }
    bytes_wipe(symmetric, sizeof symmetric);
    bytes_wipe(&key, sizeof key);
}

/* The authorization HMAC [P1 r1.59 19.6.5]: over cpHash or rpHash, both nonces, the newer first, and the attributes.
 * others: nonceTPM of sessions that decrypt and encrypt for this one. */
static void authorize(const struct tpm2_use *use, struct bytes auth_value, const uint8_t *hash,
                      const uint8_t *newer, const uint8_t *older, const struct bytes others[2],
                      uint8_t attributes, uint8_t mac[CRYPTO_SHA256_SIZE])
{
    struct key key;
    join(&key, use->session, is_policy(use->session) ? bytes_of(NULL, 0) : auth_value);
    const struct bytes pieces[] = {bytes_of(hash, CRYPTO_SHA256_SIZE),
                                   bytes_of(newer, TPM2_NONCE_SIZE),
                                   bytes_of(older, TPM2_NONCE_SIZE),
                                   others[0],
                                   others[1],
                                   bytes_of(&attributes, 1)};
    crypto_hmac_sha256(bytes_of(key.bytes, key.len), pieces, sizeof pieces / sizeof pieces[0], mac);
    bytes_wipe(&key, sizeof key);
}

/* The content of the first parameter, a TPM2B: what is encrypted. Null if there is none. */
static uint8_t *first_parameter(uint8_t *parameters, size_t len, size_t *content_len)
{
    struct bytes_reader r = bytes_reader_over(bytes_of(parameters, len));
    *content_len = bytes_read_2b(&r).len;
    return r.error == 0 ? parameters + 2 : NULL;
}

static const struct tpm2_use *use_with(const struct tpm2_protection *p, uint8_t attribute)
{
    for (size_t i = 0; i < p->use_count; i++) {
        if (p->uses[i].session != NULL && (p->uses[i].attributes & attribute) != 0) {
            return &p->uses[i];
        }
    }
    return NULL;
}

/* ---- Commands ---- */

/* Where the parts of a built command stand. */
struct command {
    size_t auths;      /* first byte of the authorizations, after their size */
    size_t parameters; /* first byte of the parameters */
};

static void take_apart(struct bytes_writer *w, const struct tpm2_protection *p, struct command *c)
{
    struct bytes_reader r = bytes_reader_over(bytes_written(w));
    const uint16_t tag = bytes_read_u16(&r);
    (void)bytes_read_u32(&r); /* commandSize */
    const uint32_t code = bytes_read_u32(&r);
    (void)bytes_read_bytes(&r, 4 * p->name_count);
    const size_t auths_len = bytes_read_u32(&r);
    c->auths = w->len - r.left;
    (void)bytes_read_bytes(&r, auths_len);
    c->parameters = w->len - r.left;
    if (r.error != 0 || tag != TPM2_ST_SESSIONS || code != p->command_code) {
        bytes_writer_fail(w, BYTES_E_FORMAT);
    }
}

/* The next authorization as it was built. */
static struct bytes built_auth(struct bytes_reader *r)
{
    const uint8_t *begin = r->p;
    const size_t before = r->left;
    (void)bytes_read_u32(r);
    (void)bytes_read_2b(r);
    (void)bytes_read_u8(r);
    (void)bytes_read_2b(r);
    return bytes_of(begin, before - r->left);
}

/* Write the authorizations anew over the built ones, the HMACs still empty: hmacs says where they go. */
static void rewrite_auths(struct bytes_writer *w, const struct tpm2_protection *p, struct command *c,
                          size_t hmacs[TPM2_SESSIONS_MAX])
{
    uint8_t buffer[TPM2_SESSIONS_MAX * (PASSWORD_SIZE + TPM2_NONCE_SIZE + CRYPTO_SHA256_SIZE)];
    struct bytes_writer area = bytes_writer_over(buffer, sizeof buffer);
    struct bytes_reader built = bytes_reader_over(bytes_of(w->p + c->auths, c->parameters - c->auths));
    for (size_t i = 0; i < p->use_count; i++) {
        const struct tpm2_use *use = &p->uses[i];
        const struct bytes as_built = i < p->built ? built_auth(&built) : (struct bytes){0};
        if (use->session == NULL) {
            bytes_write_bytes(&area, as_built);
            continue;
        }
        bytes_write_u32(&area, use->session->handle);
        bytes_write_2b(&area, bytes_of(use->session->nonce_caller, TPM2_NONCE_SIZE));
        bytes_write_u8(&area, use->attributes);
        bytes_write_u16(&area, CRYPTO_SHA256_SIZE);
        hmacs[i] = c->auths + area.len;
        (void)bytes_write_room(&area, CRYPTO_SHA256_SIZE);
    }
    bytes_writer_fail(w, built.error);
    bytes_writer_fail(w, area.error);

    const size_t old_len = c->parameters - c->auths;
    const size_t parameters_len = w->len - c->parameters;
    if (area.len > old_len) {
        (void)bytes_write_room(w, area.len - old_len);
    } else {
        w->len -= old_len - area.len;
    }
    if (w->error == 0) {
        memmove(w->p + c->auths + area.len, w->p + c->parameters, parameters_len);
        memcpy(w->p + c->auths, buffer, area.len);
        c->parameters = c->auths + area.len;
        struct bytes_writer sizes = bytes_writer_over(w->p, c->auths);
        (void)bytes_write_room(&sizes, 2);
        bytes_write_u32(&sizes, (uint32_t)w->len); /* commandSize */
        sizes.len = c->auths - 4;
        bytes_write_u32(&sizes, (uint32_t)area.len); /* authorizationSize */
    }
    bytes_wipe(buffer, sizeof buffer);
}

static void encrypt_parameter(struct bytes_writer *w, const struct tpm2_protection *p,
                              const struct command *c)
{
    const struct tpm2_use *use = use_with(p, TPM2_SESSION_DECRYPT);
    size_t len;
    uint8_t *content = first_parameter(w->p + c->parameters, w->len - c->parameters, &len);
    if (use == NULL) {
        return;
    }
    if (content == NULL) {
        bytes_writer_fail(w, BYTES_E_FORMAT);
        return;
    }
    crypt(use, use->auth_value, use->session->nonce_caller, use->session->nonce_tpm, true, content, len);
}

/* cpHash [P1 r1.59 18.7]: what the HMACs cover, with the parameters as they are sent. */
static void hash_command(const struct bytes_writer *w, const struct tpm2_protection *p,
                         const struct command *c, uint8_t hash[CRYPTO_SHA256_SIZE])
{
    uint8_t code[4];
    struct bytes_writer code_writer = bytes_writer_over(code, sizeof code);
    bytes_write_u32(&code_writer, p->command_code);
    const struct bytes pieces[] = {bytes_of(code, sizeof code), p->names[0], p->names[1], p->names[2],
                                   bytes_of(w->p + c->parameters, w->len - c->parameters)};
    crypto_sha256(pieces, sizeof pieces / sizeof pieces[0], hash);
}

/* The HMAC of the first session covers the sessions that decrypt or encrypt for it, so that none can be removed. */
static void nonces_of_others(const struct tpm2_protection *p, size_t index, struct bytes others[2])
{
    const struct tpm2_use *decrypt = use_with(p, TPM2_SESSION_DECRYPT);
    const struct tpm2_use *encrypt = use_with(p, TPM2_SESSION_ENCRYPT);
    others[0] = others[1] = (struct bytes){0};
    if (index != 0) {
        return;
    }
    if (decrypt != NULL && decrypt != &p->uses[0]) {
        others[0] = bytes_of(decrypt->session->nonce_tpm, TPM2_NONCE_SIZE);
    }
    if (encrypt != NULL && encrypt != &p->uses[0] && encrypt != decrypt) {
        others[1] = bytes_of(encrypt->session->nonce_tpm, TPM2_NONCE_SIZE);
    }
}

void tpm2_session_protect(struct bytes_writer *w, const struct tpm2_protection *p)
{
    struct command c;
    size_t hmacs[TPM2_SESSIONS_MAX] = {0};
    uint8_t hash[CRYPTO_SHA256_SIZE];
    for (size_t i = 0; i < p->use_count; i++) {
        if (without_zeros(p->uses[i].auth_value).len > TPM2_AUTH_VALUE_MAX ||
            without_zeros(p->uses[i].auth_value_then).len > TPM2_AUTH_VALUE_MAX) {
            bytes_writer_fail(w, BYTES_E_LIMIT);
        }
    }
    take_apart(w, p, &c);
    if (w->error == 0) {
        rewrite_auths(w, p, &c, hmacs);
    }
    if (w->error == 0) {
        encrypt_parameter(w, p, &c);
    }
    if (w->error != 0) {
        return;
    }
    hash_command(w, p, &c, hash);
    for (size_t i = 0; i < p->use_count; i++) {
        const struct tpm2_use *use = &p->uses[i];
        struct bytes others[2];
        if (use->session != NULL) {
            nonces_of_others(p, i, others);
            authorize(use, use->auth_value, hash, use->session->nonce_caller, use->session->nonce_tpm, others,
                      use->attributes, w->p + hmacs[i]);
        }
    }
}

/* ---- Responses ---- */

/* One authorization of the response belongs to the session, and the session's key made it. */
static int verify(const struct tpm2_use *use, struct bytes_reader *auths, const uint8_t *hash,
                  uint8_t nonce_tpm[TPM2_NONCE_SIZE])
{
    static const struct bytes nobody[2];
    uint8_t expected[CRYPTO_SHA256_SIZE];
    const struct bytes nonce = bytes_read_2b(auths);
    const uint8_t attributes = bytes_read_u8(auths);
    const struct bytes mac = bytes_read_2b(auths);
    if (auths->error != 0 || use->session == NULL) {
        return auths->error;
    }
    if (nonce.len != TPM2_NONCE_SIZE || mac.len != sizeof expected) {
        return BYTES_E_INTEGRITY;
    }
    memcpy(nonce_tpm, nonce.p, TPM2_NONCE_SIZE);
    authorize(use, use->auth_value_then, hash, nonce_tpm, use->session->nonce_caller, nobody, attributes,
              expected);
    const bool right = bytes_equal_secret(mac.p, expected, sizeof expected);
    bytes_wipe(expected, sizeof expected);
    return right ? 0 : BYTES_E_INTEGRITY;
}

/* rpHash [P1 r1.59 18.8]: over the parameters as received, without handle and size. */
static void hash_response(uint32_t command_code, struct bytes parameters, uint8_t hash[CRYPTO_SHA256_SIZE])
{
    uint8_t codes[8];
    struct bytes_writer w = bytes_writer_over(codes, sizeof codes);
    bytes_write_u32(&w, TPM2_RC_SUCCESS);
    bytes_write_u32(&w, command_code);
    crypto_sha256((const struct bytes[]){bytes_of(codes, sizeof codes), parameters}, 2, hash);
}

/* The parts of a successful response. */
struct response {
    size_t parameters; /* first byte */
    size_t parameters_len;
    struct bytes_reader auths;
};

static int take_response_apart(const uint8_t *response, size_t len, const struct tpm2_protection *p,
                               struct response *parts)
{
    struct bytes_reader r = bytes_reader_over(bytes_of(response, len));
    const uint16_t tag = bytes_read_u16(&r);
    const uint32_t size = bytes_read_u32(&r);
    (void)bytes_read_u32(&r); /* responseCode */
    if (p->returns_handle) {
        (void)bytes_read_u32(&r);
    }
    const uint32_t parameters_len = bytes_read_u32(&r);
    parts->parameters = len - r.left;
    parts->parameters_len = bytes_read_bytes(&r, parameters_len).len;
    parts->auths = r;
    return r.error != 0 || tag != TPM2_ST_SESSIONS || size != len ? BYTES_E_FORMAT : 0;
}

static bool is_refusal(const uint8_t *response, size_t len)
{
    struct bytes_reader r = bytes_reader_over(bytes_of(response, len));
    (void)bytes_read_bytes(&r, 6); /* tag, responseSize */
    return bytes_read_u32(&r) != TPM2_RC_SUCCESS && r.error == 0;
}

/* All sessions agree: take their new nonces, and decrypt. */
static int believe(uint8_t *response, const struct response *parts, const struct tpm2_protection *p,
                   uint8_t nonces[TPM2_SESSIONS_MAX][TPM2_NONCE_SIZE])
{
    const struct tpm2_use *use = use_with(p, TPM2_SESSION_ENCRYPT);
    for (size_t i = 0; i < p->use_count; i++) {
        if (p->uses[i].session != NULL) {
            memcpy(p->uses[i].session->nonce_tpm, nonces[i], TPM2_NONCE_SIZE);
        }
    }
    if (use == NULL) {
        return 0;
    }
    size_t len;
    uint8_t *content = first_parameter(response + parts->parameters, parts->parameters_len, &len);
    if (content == NULL) {
        return BYTES_E_FORMAT;
    }
    crypt(use, use->auth_value_then, use->session->nonce_tpm, use->session->nonce_caller, false, content,
          len);
    return 0;
}

int tpm2_session_open(uint8_t *response, size_t *len, const struct tpm2_protection *p)
{
    struct response parts;
    uint8_t hash[CRYPTO_SHA256_SIZE];
    uint8_t nonces[TPM2_SESSIONS_MAX][TPM2_NONCE_SIZE];
    if (is_refusal(response, *len)) {
        return 0;
    }
    int error = take_response_apart(response, *len, p, &parts);
    if (error != 0) {
        return error;
    }
    hash_response(p->command_code, bytes_of(response + parts.parameters, parts.parameters_len), hash);
    struct bytes_reader auths = parts.auths;
    size_t kept = *len - auths.left;
    for (size_t i = 0; i < p->use_count; i++) {
        const int wrong = verify(&p->uses[i], &auths, hash, nonces[i]);
        error = error != 0 ? error : wrong;
        kept = i < p->built ? *len - auths.left : kept;
    }
    error = error != 0 ? error : bytes_reader_end(&auths);
    if (error != 0) {
        return error;
    }
    error = believe(response, &parts, p, nonces);
    struct bytes_writer size = bytes_writer_over(response, *len);
    (void)bytes_write_room(&size, 2);
    bytes_write_u32(&size, (uint32_t)kept);
    *len = kept;
    return error;
}
