/* SPDX-License-Identifier: MIT */
/* Keys are made, loaded and used [P3 r1.59 12, 15, 24.1]. */
#include "tests/tiny_tpm/inside.h"

#define INPUT_BUFFER 1024 /* TPM_PT_INPUT_BUFFER */

static struct tiny_object *object(struct tiny_call *c)
{
    return tiny_object_find(c->tpm, c->handles[0]);
}

/* ---- TPM2_CreatePrimary [P3 r1.59 24.1], TPM2_Create [P3 r1.59 12.1] ---- */

struct creation {
    struct tiny_sensitive sensitive; /* authValue and data, as the caller gives them */
    struct bytes public_2b, outside_info;
    struct tpm2_public area;
};

/* TPM2B_SENSITIVE_CREATE [P2 r1.59 11.1.15] */
static void read_sensitive_create(struct tiny_call *c, struct tiny_sensitive *s)
{
    const struct bytes content = tiny_in_2b(c, 2 + 64 + 2 + TINY_SECRET_MAX);
    struct bytes_reader r = bytes_reader_over(content);
    const struct bytes auth = bytes_read_2b(&r), data = bytes_read_2b(&r);
    *s = (struct tiny_sensitive){.secret_len = data.len};
    if (bytes_reader_end(&r) != 0 || auth.len > sizeof s->auth.bytes || data.len > sizeof s->secret) {
        tiny_in_refuse(c, TPM2_RC_SIZE);
        return;
    }
    tiny_secret_set(&s->auth, auth);
    struct bytes_writer w = bytes_writer_over(s->secret, sizeof s->secret);
    bytes_write_bytes(&w, data);
}

static uint32_t read_creation(struct tiny_call *c, struct creation *p)
{
    read_sensitive_create(c, &p->sensitive);
    p->public_2b = tiny_in_public(c, &p->area);
    p->outside_info = tiny_in_2b(c, 64);
    if (tiny_in_u32(c) != 0) {
        tiny_in_refuse(c, TPM2_RC_SIZE); /* this TPM has no PCRs */
    }
    return tiny_in_end(c);
}

/* TPMS_CREATION_DATA [P2 r1.59 15.1], its hash, and a ticket [P2 r1.59 10.7.3] with which the TPM recognises it. */
static void write_creation(struct tiny_call *c, const struct creation *p, const struct tiny_object *parent,
                           uint32_t hierarchy, const uint8_t name[TPM2_NAME_SIZE])
{
    struct bytes_writer *w = &c->out;
    uint8_t hash[CRYPTO_SHA256_SIZE], ticket[CRYPTO_SHA256_SIZE],
        tag[2] = {TPM2_ST_CREATION >> 8, TPM2_ST_CREATION & 0xFF};
    const struct bytes above = bytes_of(c->handle_bytes[0], 4);
    crypto_sha256(NULL, 0, hash);
    const size_t size = bytes_write_size_begin(w), begin = w->len;
    bytes_write_u32(w, 0); /* pcrSelect */
    bytes_write_2b(w, bytes_of(hash, sizeof hash));
    bytes_write_u8(w, 1); /* locality 0 */
    bytes_write_u16(w, parent != NULL ? TPM2_ALG_SHA256 : TPM2_ALG_NULL);
    bytes_write_2b(w, parent != NULL ? bytes_of(parent->name, sizeof parent->name) : above);
    bytes_write_2b(w,
                   parent != NULL ? bytes_of(parent->qualified_name, sizeof parent->qualified_name) : above);
    bytes_write_2b(w, p->outside_info);
    bytes_write_size_end(w, size);
    const struct bytes data = bytes_of(w->p + begin, w->len - begin);
    crypto_sha256(&data, 1, hash);
    bytes_write_2b(w, bytes_of(hash, sizeof hash));
    bytes_write_u16(w, TPM2_ST_CREATION);
    bytes_write_u32(w, hierarchy);
    const uint8_t *proof = c->tpm->proofs[tiny_hierarchy_index(hierarchy)];
    crypto_hmac_sha256(
        bytes_of(proof, CRYPTO_SHA256_SIZE),
        (const struct bytes[]){bytes_of(tag, 2), bytes_of(name, TPM2_NAME_SIZE), bytes_of(hash, sizeof hash)},
        3, ticket);
    bytes_write_2b(w, bytes_of(ticket, sizeof ticket));
}

/* The hierarchy's seed and the template are all that the key depends on: so it need not be stored [P1 r1.59 14.3]. */
uint32_t tiny_create_primary(struct tiny_call *c)
{
    const uint32_t hierarchy = c->handles[0];
    const uint8_t *hierarchy_seed = c->tpm->seeds[tiny_hierarchy_index(hierarchy)];
    struct creation p;
    struct crypto_drbg derived;
    uint8_t public_2b[TINY_PUBLIC_MAX], hash[CRYPTO_SHA256_SIZE], seed[CRYPTO_SHA256_SIZE];
    size_t public_len = 0;
    uint32_t rc = read_creation(c, &p);
    if (rc == 0) {
        const uint32_t wrong = tiny_creation_check(&p.area, true, p.sensitive.secret_len);
        rc = wrong != 0 ? wrong | TINY_P(2) : TPM2_RC_SUCCESS;
    }
    if (rc == 0 && tiny_object_place(c->tpm, TPM2_HR_TRANSIENT) == NULL) {
        rc = TPM2_RC_OBJECT_MEMORY;
    }
    if (rc != 0) {
        return rc;
    }
    crypto_sha256((const struct bytes[]){p.public_2b, bytes_of(p.sensitive.secret, p.sensitive.secret_len)},
                  2, hash);
    crypto_kdfa_sha256(bytes_of(hierarchy_seed, CRYPTO_SHA256_SIZE), "PRIMARY", bytes_of(hash, sizeof hash),
                       bytes_of(NULL, 0), seed, sizeof seed);
    crypto_drbg_init(&derived, bytes_of(seed, sizeof seed));
    rc = tiny_object_make(&p.area, &derived, &p.sensitive, public_2b, &public_len);
    if (rc == 0) {
        rc = tiny_object_load(c, hierarchy, NULL, bytes_of(public_2b, public_len), &p.sensitive);
    }
    if (rc == 0) {
        const struct tiny_object *o = tiny_object_find(c->tpm, c->out_handle);
        bytes_write_bytes(&c->out, bytes_of(o->public_2b, o->public_len));
        write_creation(c, &p, NULL, hierarchy, o->name);
        bytes_write_2b(&c->out, bytes_of(o->name, sizeof o->name));
    }
    bytes_wipe(&p, sizeof p);
    bytes_wipe(&derived, sizeof derived);
    bytes_wipe(seed, sizeof seed);
    return rc;
}

/* A child: from random bytes, and not loaded. */
uint32_t tiny_create(struct tiny_call *c)
{
    const struct tiny_object *parent = object(c);
    struct creation p;
    uint8_t public_2b[TINY_PUBLIC_MAX], name[TPM2_NAME_SIZE];
    size_t public_len = 0;
    uint32_t rc = read_creation(c, &p);
    if (rc == 0 && !tiny_is_parent(parent)) {
        rc = TPM2_RC_TYPE | TINY_H(1);
    }
    if (rc == 0) {
        const bool fixed = (parent->area.attributes & TPM2_OBJECT_FIXED_TPM) != 0;
        const uint32_t wrong = tiny_creation_check(&p.area, fixed, p.sensitive.secret_len);
        rc = wrong != 0 ? wrong | TINY_P(2) : TPM2_RC_SUCCESS;
    }
    if (rc == 0) {
        rc = tiny_object_make(&p.area, &c->tpm->random, &p.sensitive, public_2b, &public_len);
    }
    if (rc == 0) {
        tpm2_name_of(bytes_of(public_2b, public_len), name);
        tiny_private_write(c, parent, bytes_of(name, sizeof name), &p.sensitive);
        bytes_write_bytes(&c->out, bytes_of(public_2b, public_len));
        write_creation(c, &p, parent, parent->hierarchy, name);
    }
    bytes_wipe(&p, sizeof p);
    return rc;
}

/* ---- TPM2_Load [P3 r1.59 12.2] ---- */

static uint32_t open_private(const struct tiny_object *parent, struct bytes private_area, struct bytes name,
                             struct tiny_sensitive *sensitive)
{
    uint8_t storage[512];
    struct bytes content = {0};
    memcpy(storage, private_area.p, private_area.len);
    const struct bytes seed = bytes_of(parent->sensitive.seed_value.bytes, parent->sensitive.seed_value.len);
    uint32_t rc = tiny_outer_open(seed, name, true, storage, private_area.len, &content);
    struct bytes_reader r = bytes_reader_over(content);
    if (rc == 0) {
        rc = tiny_sensitive_read(&r, sensitive);
    }
    bytes_wipe(storage, sizeof storage);
    return rc;
}

uint32_t tiny_load(struct tiny_call *c)
{
    const struct tiny_object *parent = object(c);
    struct tiny_sensitive sensitive = {0};
    struct tpm2_public area;
    uint8_t name[TPM2_NAME_SIZE];
    const struct bytes private_area = tiny_in_2b(c, 512);
    if (private_area.len == 0) {
        tiny_in_refuse(c, TPM2_RC_SIZE);
    }
    const struct bytes public_2b = tiny_in_public(c, &area);
    uint32_t rc = tiny_in_end(c);
    if (rc == 0 && !tiny_is_parent(parent)) {
        rc = TPM2_RC_TYPE | TINY_H(1);
    }
    if (rc != 0) {
        return rc;
    }
    tpm2_name_of(public_2b, name);
    rc = open_private(parent, private_area, bytes_of(name, sizeof name), &sensitive);
    const uint32_t wrong = tiny_public_check(&area, (parent->area.attributes & TPM2_OBJECT_FIXED_TPM) != 0);
    rc = rc != 0      ? rc | TINY_P(1)
         : wrong != 0 ? wrong | TINY_P(2)
                      : tiny_object_load(c, parent->hierarchy, parent, public_2b, &sensitive);
    bytes_write_2b(&c->out, bytes_of(name, sizeof name));
    bytes_wipe(&sensitive, sizeof sensitive);
    return rc;
}

/* TPM2_LoadExternal [P3 r1.59 12.3]: what did not come out of a TPM must not claim that it cannot leave one, nor be
 * used on the TPM's own structures. A public area alone may claim what it likes: nothing secret can be done with it. */
uint32_t tiny_load_external(struct tiny_call *c)
{
    struct tiny_sensitive sensitive;
    struct tpm2_public area;
    tiny_in_sensitive(c, &sensitive);
    const bool whole = sensitive.type != 0;
    const struct bytes public_2b = tiny_in_public(c, &area);
    const uint32_t hierarchy = tiny_in_u32(c);
    if (tiny_hierarchy_index(hierarchy) < 0 || hierarchy == TPM2_RH_LOCKOUT) {
        tiny_in_refuse(c, TPM2_RC_VALUE);
    }
    uint32_t rc = tiny_in_end(c);
    if (rc == 0 && whole && hierarchy != TPM2_RH_NULL) {
        rc = TPM2_RC_HIERARCHY | TINY_P(3);
    }
    if (rc == 0 && whole &&
        (area.attributes & (TPM2_OBJECT_FIXED_TPM | TPM2_OBJECT_FIXED_PARENT | TPM2_OBJECT_RESTRICTED)) !=
            0) {
        rc = TPM2_RC_ATTRIBUTES | TINY_P(2);
    }
    if (rc == 0) {
        const uint32_t wrong = whole ? tiny_public_check(&area, false) : tiny_scheme_check(&area);
        rc = wrong != 0 ? wrong | TINY_P(2) : TPM2_RC_SUCCESS;
    }
    if (rc == 0) {
        rc = tiny_object_load(c, hierarchy, NULL, public_2b, whole ? &sensitive : NULL);
    }
    if (rc == 0) {
        struct tiny_object *o = tiny_object_find(c->tpm, c->out_handle);
        memcpy(o->qualified_name, o->name, sizeof o->name); /* nothing of this TPM is above it */
        bytes_write_2b(&c->out, bytes_of(o->name, sizeof o->name));
    }
    bytes_wipe(&sensitive, sizeof sensitive);
    return rc;
}

/* TPM2_ReadPublic [P3 r1.59 12.4] */
uint32_t tiny_read_public(struct tiny_call *c)
{
    const struct tiny_object *o = object(c);
    bytes_write_bytes(&c->out, bytes_of(o->public_2b, o->public_len));
    bytes_write_2b(&c->out, bytes_of(o->name, sizeof o->name));
    bytes_write_2b(&c->out, bytes_of(o->qualified_name, sizeof o->qualified_name));
    return tiny_in_end(c);
}

/* TPM2_Unseal [P3 r1.59 12.7]: data only, never a key. */
uint32_t tiny_unseal(struct tiny_call *c)
{
    const struct tiny_object *o = object(c);
    if (tiny_in_end(c) != 0) {
        return tiny_in_end(c);
    }
    if (o->area.type != TPM2_ALG_KEYEDHASH) {
        return TPM2_RC_TYPE | TINY_H(1);
    }
    if ((o->area.attributes & (TPM2_OBJECT_DECRYPT | TPM2_OBJECT_SIGN_ENCRYPT | TPM2_OBJECT_RESTRICTED)) !=
        0) {
        return TPM2_RC_ATTRIBUTES | TINY_H(1);
    }
    bytes_write_2b(&c->out, bytes_of(o->sensitive.secret, o->sensitive.secret_len));
    return TPM2_RC_SUCCESS;
}

/* TPM2_HMAC [P3 r1.59 15.5] */
uint32_t tiny_hmac(struct tiny_call *c)
{
    const struct tiny_object *o = object(c);
    uint8_t mac[CRYPTO_SHA256_SIZE];
    const struct bytes data = tiny_in_2b(c, INPUT_BUFFER);
    const uint16_t hash = tiny_in_u16(c);
    if (hash != TPM2_ALG_SHA256 && hash != TPM2_ALG_NULL) {
        tiny_in_refuse(c, hash == TPM2_ALG_SHA384 ? TPM2_RC_VALUE : TPM2_RC_SYMMETRIC);
    }
    if (tiny_in_end(c) != 0) {
        return tiny_in_end(c);
    }
    if (o->area.type != TPM2_ALG_KEYEDHASH) {
        return TPM2_RC_TYPE | TINY_H(1);
    }
    if ((o->area.attributes & TPM2_OBJECT_RESTRICTED) != 0) {
        return TPM2_RC_ATTRIBUTES | TINY_H(1);
    }
    if (o->area.scheme == TPM2_ALG_NULL && hash == TPM2_ALG_NULL) {
        return TPM2_RC_VALUE | TINY_P(2);
    }
    if ((o->area.attributes & TPM2_OBJECT_SIGN_ENCRYPT) == 0) {
        return TPM2_RC_KEY | TINY_H(1);
    }
    crypto_hmac_sha256(bytes_of(o->sensitive.secret, o->sensitive.secret_len), &data, 1, mac);
    bytes_write_2b(&c->out, bytes_of(mac, sizeof mac));
    return TPM2_RC_SUCCESS;
}
