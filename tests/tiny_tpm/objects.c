/* SPDX-License-Identifier: MIT */
/* Objects: what is loaded, what a public area may say, and how a child is kept outside of the TPM [P1 r1.59 22, 27]. */
#include "tests/tiny_tpm/inside.h"
#include "tests/tiny_tpm/rsa.h"
#include "tpm/protect.h"

#define IV_SIZE 16
#define BLOCK 64 /* of SHA-256: the longest HMAC key */

/* ---- What is loaded ---- */

struct tiny_object *tiny_object_find(struct tiny_tpm *t, uint32_t handle)
{
    for (size_t i = 0; i < TINY_OBJECTS + TINY_PERSISTENT; i++) {
        if (handle != 0 && t->objects[i].handle == handle) {
            return &t->objects[i];
        }
    }
    return NULL;
}

/* A free place for transient or for persistent objects. */
struct tiny_object *tiny_object_place(struct tiny_tpm *t, uint32_t first_handle)
{
    const bool transient = first_handle == TPM2_HR_TRANSIENT;
    const size_t begin = transient ? 0 : TINY_OBJECTS,
                 end = transient ? TINY_OBJECTS : TINY_OBJECTS + TINY_PERSISTENT;
    for (size_t i = begin; i < end; i++) {
        if (t->objects[i].handle == 0) {
            return &t->objects[i];
        }
    }
    return NULL;
}

static bool has(const struct tpm2_public *area, uint32_t attribute)
{
    return (area->attributes & attribute) != 0;
}

static bool stores(const struct tpm2_public *area)
{
    return area->type == TPM2_ALG_RSA && has(area, TPM2_OBJECT_RESTRICTED) && has(area, TPM2_OBJECT_DECRYPT);
}

bool tiny_is_parent(const struct tiny_object *o)
{
    return stores(&o->area) && o->has_sensitive;
}

/* ---- What a public area may say [P1 r1.59 27.2; P2 r1.59 8.3] ---- */

/* What signs has the scheme HMAC; data, and what signs and decrypts, has none; what decrypts only would have one that
 * this TPM does not know [P2 r1.59 12.2.3.4]. */
static uint32_t check_keyedhash(const struct tpm2_public *area)
{
    const bool sign = has(area, TPM2_OBJECT_SIGN_ENCRYPT), decrypt = has(area, TPM2_OBJECT_DECRYPT);
    const bool right =
        sign == decrypt ? area->scheme == TPM2_ALG_NULL : sign && area->scheme == TPM2_ALG_HMAC;
    return right ? TPM2_RC_SUCCESS : TPM2_RC_SCHEME;
}

/* A storage key says how its children are encrypted, and has no scheme of its own [P2 r1.59 12.2.3.5]. */
static uint32_t check_rsa(const struct tpm2_public *area)
{
    if (stores(area)) {
        if (area->symmetric != TPM2_ALG_AES || area->symmetric_key_bits != 128 ||
            area->symmetric_mode != TPM2_ALG_CFB) {
            return TPM2_RC_SYMMETRIC;
        }
        return area->scheme == TPM2_ALG_NULL ? TPM2_RC_SUCCESS : TPM2_RC_SCHEME;
    }
    const bool needs_scheme = has(area, TPM2_OBJECT_RESTRICTED) && has(area, TPM2_OBJECT_SIGN_ENCRYPT);
    if (needs_scheme && area->scheme == TPM2_ALG_NULL) {
        return TPM2_RC_SCHEME;
    }
    return area->symmetric == TPM2_ALG_NULL ? TPM2_RC_SUCCESS : TPM2_RC_SYMMETRIC;
}

uint32_t tiny_scheme_check(const struct tpm2_public *area)
{
    return area->type == TPM2_ALG_RSA ? check_rsa(area) : check_keyedhash(area);
}

uint32_t tiny_public_check(const struct tpm2_public *area, bool fixed)
{
    const bool fixed_tpm = has(area, TPM2_OBJECT_FIXED_TPM),
               fixed_parent = has(area, TPM2_OBJECT_FIXED_PARENT);
    if (area->auth_policy.len != 0 && area->auth_policy.len != CRYPTO_SHA256_SIZE) {
        return TPM2_RC_SIZE;
    }
    /* What cannot leave its parent cannot leave the TPM, if its parent cannot; and what can, can. */
    if (fixed_parent ? fixed_tpm != fixed : fixed_tpm) {
        return TPM2_RC_ATTRIBUTES;
    }
    if (has(area, TPM2_OBJECT_RESTRICTED) &&
        has(area, TPM2_OBJECT_SIGN_ENCRYPT) == has(area, TPM2_OBJECT_DECRYPT)) {
        return TPM2_RC_ATTRIBUTES;
    }
    if (fixed_tpm && has(area, TPM2_OBJECT_ENCRYPTED_DUPLICATION)) {
        return TPM2_RC_ATTRIBUTES;
    }
    if (area->type == TPM2_ALG_RSA && !has(area, TPM2_OBJECT_SIGN_ENCRYPT) &&
        !has(area, TPM2_OBJECT_DECRYPT)) {
        return TPM2_RC_ATTRIBUTES;
    }
    return tiny_scheme_check(area);
}

uint32_t tiny_creation_check(const struct tpm2_public *area, bool fixed, size_t data_len)
{
    const bool origin = has(area, TPM2_OBJECT_SENSITIVE_DATA_ORIGIN);
    const bool key = has(area, TPM2_OBJECT_SIGN_ENCRYPT) || has(area, TPM2_OBJECT_DECRYPT);
    const bool from_outside = !has(area, TPM2_OBJECT_FIXED_TPM) || !has(area, TPM2_OBJECT_RESTRICTED);
    if (origin ? !key : data_len == 0 || !from_outside || area->type == TPM2_ALG_RSA) {
        return TPM2_RC_ATTRIBUTES;
    }
    const uint32_t rc = tiny_public_check(area, fixed);
    return rc == 0 && origin && data_len > 0 ? TPM2_RC_ATTRIBUTES : rc;
}

/* ---- Both halves belong together [P1 r1.59 27.5.3] ---- */

static void unique_of(const struct tiny_sensitive *s, uint8_t unique[CRYPTO_SHA256_SIZE])
{
    const struct tpm2_sensitive both = {bytes_of(s->seed_value.bytes, s->seed_value.len),
                                        bytes_of(s->secret, s->secret_len)};
    tpm2_keyedhash_unique(&both, unique);
}

static uint32_t bind_keyedhash(const struct tiny_object *o)
{
    const struct tiny_sensitive *s = &o->sensitive;
    uint8_t digest[CRYPTO_SHA256_SIZE];
    if (s->seed_value.len != CRYPTO_SHA256_SIZE ||
        (o->area.scheme == TPM2_ALG_HMAC && s->secret_len > BLOCK)) {
        return TPM2_RC_KEY_SIZE;
    }
    unique_of(s, digest);
    return bytes_equal_public(o->area.unique, bytes_of(digest, sizeof digest)) ? TPM2_RC_SUCCESS
                                                                               : TPM2_RC_BINDING;
}

static uint32_t bind_rsa(struct tiny_object *o)
{
    const struct tiny_sensitive *s = &o->sensitive;
    if (s->secret_len != TINY_PRIME_BYTES || (stores(&o->area) && s->seed_value.len != CRYPTO_SHA256_SIZE)) {
        return TPM2_RC_KEY_SIZE;
    }
    return tiny_rsa_complete(o->area.unique.p, s->secret, o->crt) ? TPM2_RC_SUCCESS : TPM2_RC_BINDING;
}

/* The qualified Name: the Names of all that is above it, hashed [P1 r1.59 16]. */
static void qualify(struct tiny_object *o, const struct tiny_object *parent)
{
    uint8_t hierarchy[4];
    struct bytes_writer w = bytes_writer_over(hierarchy, sizeof hierarchy);
    bytes_write_u32(&w, o->hierarchy);
    const struct bytes above = parent != NULL
                                   ? bytes_of(parent->qualified_name, sizeof parent->qualified_name)
                                   : bytes_of(hierarchy, sizeof hierarchy);
    memcpy(o->qualified_name, o->name, 2);
    crypto_sha256((const struct bytes[]){above, bytes_of(o->name, sizeof o->name)}, 2, o->qualified_name + 2);
}

static uint32_t bind(struct tiny_object *o, unsigned number_public, unsigned number_private)
{
    const bool rsa = o->area.type == TPM2_ALG_RSA;
    if (rsa && !tpm2_public_modulus_is_sane(&o->area)) {
        return TPM2_RC_KEY | TINY_P(number_public);
    }
    if (!o->has_sensitive) {
        return TPM2_RC_SUCCESS;
    }
    if (o->sensitive.type != o->area.type) {
        return TPM2_RC_TYPE | TINY_P(number_private);
    }
    const uint32_t rc = rsa ? bind_rsa(o) : bind_keyedhash(o);
    return rc != 0 && rc != TPM2_RC_BINDING ? rc | TINY_P(number_private) : rc;
}

uint32_t tiny_object_fill(struct tiny_object *o, struct bytes public_2b,
                          const struct tiny_sensitive *sensitive, unsigned number_public,
                          unsigned number_private)
{
    *o = (struct tiny_object){.has_sensitive = sensitive != NULL, .public_len = public_2b.len};
    memcpy(o->public_2b, public_2b.p, public_2b.len);
    (void)tpm2_public_parse_2b(bytes_of(o->public_2b, o->public_len), &o->area);
    tpm2_name_of(public_2b, o->name);
    if (sensitive != NULL) {
        o->sensitive = *sensitive;
    }
    const uint32_t rc = bind(o, number_public, number_private);
    if (rc != 0) {
        bytes_wipe(o, sizeof *o);
    }
    return rc;
}

uint32_t tiny_object_load(struct tiny_call *c, uint32_t hierarchy, const struct tiny_object *parent,
                          struct bytes public_2b, const struct tiny_sensitive *sensitive)
{
    struct tiny_object *o = tiny_object_place(c->tpm, TPM2_HR_TRANSIENT);
    if (o == NULL) {
        return TPM2_RC_OBJECT_MEMORY;
    }
    const uint32_t rc = tiny_object_fill(o, public_2b, sensitive, 2, 1);
    if (rc == 0) {
        o->hierarchy = hierarchy;
        qualify(o, parent);
        o->handle = TPM2_HR_TRANSIENT + (uint32_t)(o - c->tpm->objects);
        c->out_handle = o->handle;
    }
    return rc;
}

/* ---- New objects ---- */

static void random_secret(struct crypto_drbg *random, struct tiny_secret *s)
{
    s->len = sizeof s->bytes;
    crypto_drbg_generate(random, s->bytes, s->len);
}

/* The prime is secret, the modulus is unique. */
static bool make_rsa(struct crypto_drbg *random, struct tiny_sensitive *s, uint8_t modulus[TINY_RSA_BYTES])
{
    uint8_t seed[CRYPTO_SHA256_SIZE];
    crypto_drbg_generate(random, seed, sizeof seed);
    const bool made = tiny_rsa_make(bytes_of(seed, sizeof seed), modulus, s->secret);
    s->secret_len = TINY_PRIME_BYTES;
    bytes_wipe(seed, sizeof seed);
    return made;
}

uint32_t tiny_object_make(const struct tpm2_public *template_area, struct crypto_drbg *random,
                          struct tiny_sensitive *s, uint8_t *public_2b, size_t *public_len)
{
    struct tpm2_public area = *template_area;
    uint8_t unique[TINY_RSA_BYTES];
    const bool rsa = area.type == TPM2_ALG_RSA, origin = has(&area, TPM2_OBJECT_SENSITIVE_DATA_ORIGIN);
    s->type = area.type;
    area.unique = bytes_of(unique, rsa ? sizeof unique : CRYPTO_SHA256_SIZE);
    if (rsa && !make_rsa(random, s, unique)) {
        return TPM2_RC_FAILURE;
    }
    if (!rsa || stores(&area)) {
        random_secret(random, &s->seed_value);
    }
    if (!rsa && origin) {
        s->secret_len = CRYPTO_SHA256_SIZE;
        crypto_drbg_generate(random, s->secret, s->secret_len);
    }
    if (!rsa) {
        unique_of(s, unique);
    }
    struct bytes_writer w = bytes_writer_over(public_2b, TINY_PUBLIC_MAX);
    tpm2_public_write_2b(&w, &area);
    *public_len = w.len;
    return w.error == 0 ? TPM2_RC_SUCCESS : TPM2_RC_SIZE | TINY_P(2);
}

/* ---- Outside of the TPM ---- */

/* TPM2B_SENSITIVE [P2 r1.59 12.3.2.5] */
static void write_sensitive(struct bytes_writer *w, const struct tiny_sensitive *s)
{
    const size_t size = bytes_write_size_begin(w);
    bytes_write_u16(w, s->type);
    bytes_write_2b(w, bytes_of(s->auth.bytes, sizeof s->auth.bytes)); /* with zeros, which do not count */
    bytes_write_2b(w, bytes_of(s->seed_value.bytes, s->seed_value.len));
    bytes_write_2b(w, bytes_of(s->secret, s->secret_len));
    bytes_write_size_end(w, size);
}

static bool read_secret(struct bytes_reader *r, uint8_t *bytes, size_t capacity, size_t *len)
{
    struct bytes_reader size = *r;
    const bool fits = bytes_read_u16(&size) <= capacity;
    struct bytes_writer w = bytes_writer_over(bytes, capacity);
    if (fits) {
        bytes_write_bytes(&w, bytes_read_2b(r));
    }
    *len = w.len;
    return fits;
}

uint32_t tiny_sensitive_read(struct bytes_reader *r, struct tiny_sensitive *s)
{
    const size_t size = bytes_read_u16(r);
    const uint8_t *begin = r->p;
    struct tiny_secret auth;
    s->type = bytes_read_u16(r);
    if (r->error == 0 && s->type != TPM2_ALG_RSA && s->type != TPM2_ALG_KEYEDHASH) {
        return TPM2_RC_TYPE;
    }
    if (!read_secret(r, auth.bytes, sizeof auth.bytes, &auth.len) ||
        !read_secret(r, s->seed_value.bytes, sizeof s->seed_value.bytes, &s->seed_value.len) ||
        !read_secret(r, s->secret, sizeof s->secret, &s->secret_len)) {
        return TPM2_RC_SIZE;
    }
    tiny_secret_set(&s->auth, bytes_of(auth.bytes, auth.len));
    bytes_wipe(&auth, sizeof auth);
    return r->error != 0                    ? TPM2_RC_INSUFFICIENT
           : (size_t)(r->p - begin) != size ? TPM2_RC_SIZE
                                            : TPM2_RC_SUCCESS;
}

void tiny_private_write(struct tiny_call *c, const struct tiny_object *parent, struct bytes name,
                        const struct tiny_sensitive *sensitive)
{
    struct bytes_writer *w = &c->out;
    const struct bytes seed = bytes_of(parent->sensitive.seed_value.bytes, parent->sensitive.seed_value.len);
    uint8_t key[TPM2_SEED_SYMMETRIC_SIZE], iv[IV_SIZE];
    const size_t size = bytes_write_size_begin(w);
    bytes_write_u16(w, CRYPTO_SHA256_SIZE);
    uint8_t *mac = bytes_write_room(w, CRYPTO_SHA256_SIZE);
    const size_t begin = w->len;
    crypto_drbg_generate(&c->tpm->random, iv, sizeof iv);
    bytes_write_2b(w, bytes_of(iv, sizeof iv));
    const size_t content = w->len;
    write_sensitive(w, sensitive);
    bytes_write_size_end(w, size);
    if (w->error != 0 || mac == NULL) {
        return;
    }
    tpm2_seed_symmetric_key(seed, name, key);
    (void)crypto_aes_cfb_encrypt(bytes_of(key, sizeof key), iv, w->p + content, w->len - content);
    tpm2_seed_hmac(seed, bytes_of(w->p + begin, w->len - begin), name, mac);
    bytes_wipe(key, sizeof key);
}

uint32_t tiny_digest_read(struct bytes_reader *r, struct bytes *digest)
{
    struct bytes_reader size = *r;
    if (bytes_read_u16(&size) > TINY_DIGEST_MAX) {
        return TPM2_RC_SIZE;
    }
    *digest = bytes_read_2b(r);
    return r->error != 0 ? TPM2_RC_INSUFFICIENT : TPM2_RC_SUCCESS;
}

uint32_t tiny_outer_open(struct bytes seed, struct bytes name, bool with_iv, uint8_t *wrapped, size_t len,
                         struct bytes *content)
{
    static const uint8_t zeros[IV_SIZE];
    struct bytes_reader r = bytes_reader_over(bytes_of(wrapped, len));
    uint8_t expected[CRYPTO_SHA256_SIZE], key[TPM2_SEED_SYMMETRIC_SIZE];
    struct bytes iv = bytes_of(zeros, sizeof zeros);
    struct bytes mac;
    const uint32_t rc = tiny_digest_read(&r, &mac);
    if (rc != 0) {
        return rc;
    }
    tpm2_seed_hmac(seed, bytes_of(r.p, r.left), name, expected);
    if (mac.len != sizeof expected || !bytes_equal_secret(mac.p, expected, sizeof expected)) {
        return TPM2_RC_INTEGRITY;
    }
    if (with_iv) {
        iv = bytes_read_2b(&r);
    }
    if (r.error != 0 || iv.len != IV_SIZE) {
        return TPM2_RC_SIZE;
    }
    tpm2_seed_symmetric_key(seed, name, key);
    (void)crypto_aes_cfb_decrypt(bytes_of(key, sizeof key), iv.p, wrapped + (len - r.left), r.left);
    *content = bytes_of(r.p, r.left);
    bytes_wipe(key, sizeof key);
    return TPM2_RC_SUCCESS;
}
