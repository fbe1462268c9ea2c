/* SPDX-License-Identifier: MIT */
#include "tpm/session.h"
#include <string.h>

#define HEADER_SIZE 10
/* An authorization of a session: handle, nonce, attributes, HMAC. */
#define AUTH_SIZE (4 + 2 + TPM2_NONCE_SIZE + 1 + 2 + CRYPTO_SHA256_SIZE)
#define KEY_SIZE 16                    /* AES-128 */
#define SYMMETRIC_SIZE (KEY_SIZE + 16) /* and the initial value */

/* Trailing zeros of an authValue do not count [P1 r1.59 19.6.4.3]. */
static size_t len_without_zeros(struct bytes value)
{
    size_t len = value.len;
    /*@ loop invariant 0 <= len <= value.len;
        loop assigns len;
        loop variant len; */
    while (len > 0 && value.p[len - 1] == 0) {
        len--;
    }
    return len;
}

int tpm2_session_begin(struct tpm2_session *s, uint32_t handle, const uint8_t *salt,
                       const uint8_t nonce_caller[TPM2_NONCE_SIZE], struct bytes nonce_tpm)
{
    *s = (struct tpm2_session){.handle = handle, .keyed = salt != NULL};
    if (nonce_tpm.len != sizeof s->nonce_tpm) {
        return BYTES_E_FORMAT;
    }
    memcpy(s->nonce_tpm, nonce_tpm.p, sizeof s->nonce_tpm);
    if (salt != NULL) {
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

/*@ requires \valid(key) && \valid_read(s) && view(auth_value);
    requires \separated(key, s) && \separated(key, auth_value.p + (0 .. auth_value.len - 1));
    CHANGES *key; ensures key->len <= CRYPTO_SHA256_SIZE + TPM2_AUTH_VALUE_MAX; */
static void join(struct key *key, const struct tpm2_session *s, struct bytes auth_value)
{
    struct bytes_writer w = bytes_writer_over(key->bytes, sizeof key->bytes);
    bytes_write_bytes(&w, bytes_of(s->key, s->keyed ? sizeof s->key : 0));
    bytes_write_bytes(&w, bytes_of(auth_value.p, len_without_zeros(auth_value)));
    key->len = w.len;
}

/* Key and initial value of CFB, from both nonces, the newer first [P1 r1.59 21.3]. The authValue takes part even in a
 * policy session, whose HMAC leaves it out. */
static void cfb_key(const struct tpm2_use *use, struct bytes auth_value, const uint8_t *newer,
                    const uint8_t *older, uint8_t symmetric[SYMMETRIC_SIZE])
{
    struct key key;
    join(&key, use->session, auth_value);
    crypto_kdfa_sha256(bytes_of(key.bytes, key.len), "CFB", bytes_of(newer, TPM2_NONCE_SIZE),
                       bytes_of(older, TPM2_NONCE_SIZE), symmetric, SYMMETRIC_SIZE);
    bytes_wipe(key.bytes, sizeof key.bytes);
}

/* The authorization HMAC [P1 r1.59 19.6.5]: over cpHash or rpHash, both nonces, the newer first, and the attributes.
 * others: nonceTPM of sessions that decrypt and encrypt for this one. */
static void authorize(const struct tpm2_use *use, struct bytes auth_value, const uint8_t *digest,
                      const uint8_t *newer, const uint8_t *older, const struct bytes others[2],
                      uint8_t attributes, uint8_t mac[CRYPTO_SHA256_SIZE])
{
    struct key key;
    join(&key, use->session, is_policy(use->session) ? bytes_of(NULL, 0) : auth_value);
    const struct bytes pieces[] = {bytes_of(digest, CRYPTO_SHA256_SIZE),
                                   bytes_of(newer, TPM2_NONCE_SIZE),
                                   bytes_of(older, TPM2_NONCE_SIZE),
                                   others[0],
                                   others[1],
                                   bytes_of(&attributes, 1)};
    crypto_hmac_sha256(bytes_of(key.bytes, key.len), pieces, sizeof pieces / sizeof pieces[0], mac);
    bytes_wipe(key.bytes, sizeof key.bytes);
}

/* What the HMACs cover, with the parameters as they are on the bus: cpHash [P1 r1.59 18.7] over command code, Names
 * and parameters, or rpHash [P1 r1.59 18.8] over response code, command code and parameters. */
static void hash(const struct tpm2_protection *p, bool response, struct bytes parameters,
                 uint8_t digest[CRYPTO_SHA256_SIZE])
{
    uint8_t codes[8];
    struct bytes_writer w = bytes_writer_over(codes, sizeof codes);
    bytes_write_u32(&w, TPM2_RC_SUCCESS);
    bytes_write_u32(&w, p->command_code);
    const struct bytes answer[] = {bytes_of(codes, 8), parameters};
    const struct bytes command[] = {bytes_of(codes + 4, 4), p->names[0], p->names[1], p->names[2],
                                    parameters};
    if (response) {
        crypto_sha256(answer, sizeof answer / sizeof answer[0], digest);
    } else {
        crypto_sha256(command, sizeof command / sizeof command[0], digest);
    }
}

/* The content of the first parameter, a TPM2B: what is encrypted. Null if there is none. */
static uint8_t *first_parameter(uint8_t *parameters, size_t len, size_t *content_len)
{
    struct bytes_reader r = bytes_reader_over(bytes_of(parameters, len));
    *content_len = bytes_read_u16(&r);
    bytes_skip(&r, *content_len);
    return r.error == 0 ? parameters + 2 : NULL;
}

static const struct tpm2_use *use_with(const struct tpm2_protection *p, uint8_t attribute)
{
    /*@ loop invariant 0 <= i <= p->use_count;
        loop assigns i;
        loop variant p->use_count - i; */
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

/*@ requires writes(w) && protection_ok(p) && \valid(c) && \separated(c, w) && \separated(w, p);
    CHANGES *c, w->error; ensures sticky(\old(w->error), w->error);
    ensures w->error == 0 ==> 14 <= c->auths <= c->parameters <= w->len; */
static void take_apart(struct bytes_writer *w, const struct tpm2_protection *p, struct command *c)
{
    struct bytes_reader r = bytes_reader_over(bytes_written(w));
    const uint16_t tag = bytes_read_u16(&r);
    (void)bytes_read_u32(&r); /* commandSize */
    const uint32_t code = bytes_read_u32(&r);
    bytes_skip(&r, (size_t)4 * p->name_count);
    const size_t auths_len = bytes_read_4b(&r).len;
    c->parameters = w->len - r.left;
    c->auths = c->parameters - auths_len;
    if (r.error != 0 || tag != TPM2_ST_SESSIONS || code != p->command_code) {
        bytes_writer_fail(w, BYTES_E_FORMAT);
    }
}

/* The size of the authorization that was built at this place; 0 if there is none. */
static size_t size_of_auth(const uint8_t *bytes, size_t len)
{
    struct bytes_reader r = bytes_reader_over(bytes_of(bytes, len));
    (void)bytes_read_u32(&r);
    bytes_skip(&r, bytes_read_u16(&r));
    (void)bytes_read_u8(&r);
    bytes_skip(&r, bytes_read_u16(&r));
    return r.error == 0 ? len - r.left : 0;
}

/* Make old_len bytes at a place of the command new_len. */
static void resize(struct bytes_writer *w, size_t at, size_t old_len, size_t new_len)
{
    const size_t rest = w->len - at - old_len;
    if (new_len > old_len) {
        (void)bytes_write_room(w, new_len - old_len);
    }
    if (w->error == 0) {
        memmove(w->p + at + new_len, w->p + at + old_len, rest);
        w->len = at + new_len + rest;
    }
}

/* Write the authorization anew in the place of the built one, the HMAC still empty. Returns where that goes. */
static size_t rewrite_auth(struct bytes_writer *w, const struct tpm2_use *use, size_t at, size_t built)
{
    resize(w, at, built, AUTH_SIZE);
    struct bytes_writer auth = bytes_writer_over(w->p + at, w->error == 0 ? AUTH_SIZE : 0);
    bytes_write_u32(&auth, use->session->handle);
    bytes_write_2b(&auth, bytes_of(use->session->nonce_caller, TPM2_NONCE_SIZE));
    bytes_write_u8(&auth, use->attributes);
    bytes_write_u16(&auth, CRYPTO_SHA256_SIZE);
    return at + auth.len;
}

/* All authorizations, and the sizes. hmacs says where the HMACs go. */
/*@ requires protected(w, p) && 14 <= c->auths <= c->parameters <= w->len && w->error == 0;
    requires \valid(c) && \separated(c, w) && \separated(c, p) && \separated(c, w->p + (0 .. w->capacity - 1));
    requires \valid(hmacs + (0 .. 2)) && \separated(hmacs + (0 .. 2), w) && \separated(hmacs + (0 .. 2), p);
    requires \separated(hmacs + (0 .. 2), c) && \separated(hmacs + (0 .. 2), w->p + (0 .. w->capacity - 1));
    CHANGES w->len, w->error, w->p[0 .. w->capacity - 1], c->parameters, hmacs[0 .. 2];
    ensures writes(w) && (w->error == 0 ==> 14 <= c->parameters <= w->len);
    ensures w->error == 0 ==> \forall integer i; 0 <= i < p->use_count && p->uses[i].session != \null ==>
      hmacs[i] + 32 <= w->len; */
static void rewrite_auths(struct bytes_writer *w, const struct tpm2_protection *p, struct command *c,
                          size_t hmacs[TPM2_SESSIONS_MAX])
{
    size_t at = c->auths;
    /*@ loop invariant 0 <= i <= p->use_count && writes(w) && \at(c->auths, Pre) <= at <= 0xFFFFFFFF + 73 * i;
        loop invariant w->error == 0 ==> at <= c->parameters <= w->len;
        loop invariant w->error == 0 ==> \forall integer j; 0 <= j < i && p->uses[j].session != \null ==>
          hmacs[j] + 32 <= at;
        loop assigns i, at, w->len, w->error, w->p[0 .. w->capacity - 1], c->parameters, hmacs[0 .. 2];
        loop variant p->use_count - i; */
    for (size_t i = 0; i < p->use_count && w->error == 0; i++) {
        const size_t built = i < p->built ? size_of_auth(w->p + at, c->parameters - at) : 0;
        if (i < p->built && built == 0) {
            bytes_writer_fail(w, BYTES_E_FORMAT);
        } else if (p->uses[i].session != NULL) {
            hmacs[i] = rewrite_auth(w, &p->uses[i], at, built);
            c->parameters = c->parameters - built + AUTH_SIZE;
            at += AUTH_SIZE;
        } else {
            at += built;
        }
    }
    if (w->error != 0) {
        return;
    }
    struct bytes_writer sizes = bytes_writer_over(w->p, c->auths);
    (void)bytes_write_room(&sizes, 2);
    bytes_write_u32(&sizes, (uint32_t)w->len); /* commandSize */
    sizes.len = c->auths - 4;
    bytes_write_u32(&sizes, (uint32_t)(c->parameters - c->auths)); /* authorizationSize */
}

/*@ requires protected(w, p) && \valid_read(c) && 14 <= c->parameters <= w->len && w->error == 0;
    CHANGES w->error, w->p[0 .. w->capacity - 1]; ensures writes(w); */
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
    uint8_t symmetric[SYMMETRIC_SIZE];
    cfb_key(use, use->auth_value, use->session->nonce_caller, use->session->nonce_tpm, symmetric);
    (void)crypto_aes_cfb_encrypt(bytes_of(symmetric, KEY_SIZE), symmetric + KEY_SIZE, content, len);
    bytes_wipe(symmetric, sizeof symmetric);
}

static struct bytes nonce_of(const struct tpm2_use *use)
{
    return bytes_of(use->session->nonce_tpm, TPM2_NONCE_SIZE);
}

/* The HMAC of the first session covers the sessions that decrypt or encrypt for it, so that none can be removed. */
static void authorize_command(const struct tpm2_protection *p, size_t index, const uint8_t *digest,
                              uint8_t mac[CRYPTO_SHA256_SIZE])
{
    const struct tpm2_use *use = &p->uses[index];
    const struct tpm2_use *decrypt = use_with(p, TPM2_SESSION_DECRYPT);
    const struct tpm2_use *encrypt = use_with(p, TPM2_SESSION_ENCRYPT);
    struct bytes others[2] = {{0}};
    if (index == 0 && decrypt != NULL && decrypt != use) {
        others[0] = nonce_of(decrypt);
    }
    if (index == 0 && encrypt != NULL && encrypt != use && encrypt != decrypt) {
        others[1] = nonce_of(encrypt);
    }
    authorize(use, use->auth_value, digest, use->session->nonce_caller, use->session->nonce_tpm, others,
              use->attributes, mac);
}

void tpm2_session_protect(struct bytes_writer *w, const struct tpm2_protection *p)
{
    struct command c;
    size_t hmacs[TPM2_SESSIONS_MAX] = {0};
    uint8_t digest[CRYPTO_SHA256_SIZE];
    /*@ loop invariant 0 <= i <= p->use_count && sticky(\at(w->error, Pre), w->error);
        loop assigns i, w->error;
        loop variant p->use_count - i; */
    for (size_t i = 0; i < p->use_count; i++) {
        if (len_without_zeros(p->uses[i].auth_value) > TPM2_AUTH_VALUE_MAX ||
            len_without_zeros(p->uses[i].auth_value_then) > TPM2_AUTH_VALUE_MAX) {
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
    hash(p, false, bytes_of(w->p + c.parameters, w->len - c.parameters), digest);
    /*@ loop invariant 0 <= i <= p->use_count && protected(w, p);
        loop assigns i, w->p[0 .. w->capacity - 1];
        loop variant p->use_count - i; */
    for (size_t i = 0; i < p->use_count; i++) {
        if (p->uses[i].session != NULL) {
            authorize_command(p, i, digest, w->p + hmacs[i]);
        }
    }
}

/* ---- Responses ---- */

/* One authorization of the response belongs to the session, and the session's key made it. */
static int verify(const struct tpm2_use *use, struct bytes_reader *r, const uint8_t *digest,
                  struct bytes *nonce_tpm)
{
    static const struct bytes nobody[2];
    uint8_t expected[CRYPTO_SHA256_SIZE];
    *nonce_tpm = bytes_read_2b(r);
    const uint8_t attributes = bytes_read_u8(r);
    const struct bytes mac = bytes_read_2b(r);
    if (r->error != 0 || use->session == NULL) {
        return r->error;
    }
    if (nonce_tpm->len != TPM2_NONCE_SIZE || mac.len != sizeof expected) {
        return BYTES_E_INTEGRITY;
    }
    authorize(use, use->auth_value_then, digest, nonce_tpm->p, use->session->nonce_caller, nobody, attributes,
              expected);
    const bool right = bytes_equal_secret(mac.p, expected, sizeof expected);
    bytes_wipe(expected, sizeof expected);
    return right ? 0 : BYTES_E_INTEGRITY;
}

/* Where the parameters of a successful response stand. */
struct parameters {
    size_t begin;
    size_t len;
};

/* Returns a reader over the authorizations, failed if the response is broken. */
/*@ requires readable(response, len) && \valid_read(p) && \valid(found) && \separated(p, found);
    CHANGES *found; ensures readable(\result.p, \result.left) && within(\result.p, \result.left, response, len);
    ensures found->begin + found->len <= len && \result.left <= len;
    ensures \result.error == 0 ==> 10 <= len <= 0xFFFFFFFF; */
static struct bytes_reader take_response_apart(const uint8_t *response, size_t len,
                                               const struct tpm2_protection *p, struct parameters *found)
{
    struct bytes_reader r = bytes_reader_over(bytes_of(response, len));
    const uint16_t tag = bytes_read_u16(&r);
    const uint32_t size = bytes_read_u32(&r);
    (void)bytes_read_u32(&r); /* responseCode */
    if (p->returns_handle) {
        (void)bytes_read_u32(&r);
    }
    found->len = bytes_read_4b(&r).len;
    found->begin = len - r.left - found->len;
    if (tag != TPM2_ST_SESSIONS || size != len) {
        bytes_reader_fail(&r, BYTES_E_FORMAT);
    }
    return r;
}

static bool is_refusal(const uint8_t *response, size_t len)
{
    struct bytes_reader r = bytes_reader_over(bytes_of(response, len));
    bytes_skip(&r, 6); /* tag, responseSize */
    /* 0, as of success, if it is not there: that the response is too short is found later. */
    return bytes_read_u32(&r) != TPM2_RC_SUCCESS;
}

/* All sessions agree: take their new nonces, and decrypt. */
static int believe(uint8_t *parameters, size_t parameters_len, const struct tpm2_protection *p,
                   const struct bytes nonces[TPM2_SESSIONS_MAX])
{
    const struct tpm2_use *use = use_with(p, TPM2_SESSION_ENCRYPT);
    /*@ loop invariant 0 <= i <= p->use_count && protection_ok(p) && agreed(p, nonces, p->use_count);
        loop assigns i, NONCES(p);
        loop variant p->use_count - i; */
    for (size_t i = 0; i < p->use_count; i++) {
        if (p->uses[i].session != NULL) {
            memcpy(p->uses[i].session->nonce_tpm, nonces[i].p, TPM2_NONCE_SIZE);
        }
    }
    if (use == NULL) {
        return 0;
    }
    size_t len;
    uint8_t *content = first_parameter(parameters, parameters_len, &len);
    if (content == NULL) {
        return BYTES_E_FORMAT;
    }
    uint8_t symmetric[SYMMETRIC_SIZE];
    cfb_key(use, use->auth_value_then, use->session->nonce_tpm, use->session->nonce_caller, symmetric);
    (void)crypto_aes_cfb_decrypt(bytes_of(symmetric, KEY_SIZE), symmetric + KEY_SIZE, content, len);
    bytes_wipe(symmetric, sizeof symmetric);
    return 0;
}

int tpm2_session_open(uint8_t *response, size_t *len, const struct tpm2_protection *p)
{
    struct parameters parameters;
    uint8_t digest[CRYPTO_SHA256_SIZE];
    struct bytes nonces[TPM2_SESSIONS_MAX];
    const size_t whole = *len;
    if (is_refusal(response, whole)) {
        return 0;
    }
    struct bytes_reader auths = take_response_apart(response, whole, p, &parameters);
    if (auths.error != 0) {
        return auths.error;
    }
    hash(p, true, bytes_of(response + parameters.begin, parameters.len), digest);
    size_t kept = whole - auths.left;
    int error = 0;
    /*@ loop invariant 0 <= i <= p->use_count && reads(&auths) && kept <= whole && auths.left <= whole;
        loop invariant within(auths.p, auths.left, response, whole);
        loop invariant error == 0 ==> agreed(p, &nonces[0], i);
        loop assigns i, error, kept, auths, nonces[0 .. 2];
        loop variant p->use_count - i; */
    for (size_t i = 0; i < p->use_count; i++) {
        const int wrong = verify(&p->uses[i], &auths, digest, &nonces[i]);
        error = error != 0 ? error : wrong;
        kept = i < p->built ? whole - auths.left : kept;
    }
    error = error != 0 ? error : bytes_reader_end(&auths);
    if (error != 0) {
        return error;
    }
    error = believe(response + parameters.begin, parameters.len, p, nonces);
    struct bytes_writer size = bytes_writer_over(response, whole);
    (void)bytes_write_room(&size, 2);
    bytes_write_u32(&size, (uint32_t)kept);
    *len = kept;
    return error;
}
