/* SPDX-License-Identifier: MIT */
/* Step 7 of the flow inside the TPM: a credential is opened by the EK [P1 r1.59 24], a key comes in under the SRK
 * [P1 r1.59 23.3]; and how one command takes that key out again.
 *
 * Both begin alike. A seed, encrypted to the TPM's RSA key, comes beside what is wrapped; only the private half brings
 * it out. Two keys follow from it: one for an HMAC over ciphertext and Name, which is compared first, and one for
 * AES-CFB. */
#include "tests/tiny_tpm/inside.h"
#include "tests/tiny_tpm/rsa.h"
#include "tpm/seed.h"

#define WRAPPED_MAX 512
#define INNER_KEY 16 /* AES-128 */

static struct bytes name_of(const struct tiny_object *o)
{
    return bytes_of(o->name, sizeof o->name);
}

/* The seed, by RSA-OAEP with the label of its purpose [P1 r1.59 B.4]. Returns: a code without number. */
static uint32_t open_seed(const struct tiny_object *key, enum tpm2_seed_use use, struct bytes secret,
                          uint8_t seed[TPM2_SEED_SIZE])
{
    const struct crypto_rsa_private rsa = tiny_rsa_private(key->crt);
    size_t len = 0;
    if (secret.len != TINY_RSA_BYTES) {
        return TPM2_RC_SIZE;
    }
    if (crypto_rsa_oaep_decrypt(&rsa, tpm2_seed_label(use), secret, seed, TPM2_SEED_SIZE, &len) != 0) {
        return TPM2_RC_VALUE;
    }
    return len == TPM2_SEED_SIZE ? TPM2_RC_SUCCESS : TPM2_RC_VALUE;
}

static struct bytes copy(struct bytes wrapped, uint8_t storage[WRAPPED_MAX])
{
    struct bytes_writer w = bytes_writer_over(storage, WRAPPED_MAX);
    bytes_write_bytes(&w, wrapped);
    return bytes_of(storage, w.len);
}

/* The outer layer off: what stands in storage is decrypted there, and content views what is left of it.
 *   name       of the object that the seed was made for
 *   number_..  the parameters to blame */
static uint32_t outer_off(const struct tiny_object *key, enum tpm2_seed_use use, struct bytes secret,
                          struct bytes name, uint8_t *storage, struct bytes *content, unsigned number_secret,
                          unsigned number_wrapped)
{
    uint8_t seed[TPM2_SEED_SIZE];
    uint32_t rc = open_seed(key, use, secret, seed);
    if (rc != 0) {
        return rc | TINY_P(number_secret);
    }
    rc = tiny_outer_open(bytes_of(seed, sizeof seed), name, false, storage, content->len, content);
    bytes_wipe(seed, sizeof seed);
    return rc != 0 ? rc | TINY_P(number_wrapped) : TPM2_RC_SUCCESS;
}

/* ---- TPM2_ActivateCredential [P3 r1.59 12.5] ---- */

/* The first handle is the object that the credential is about (the SRK), the second the key that opens it (the EK). The
 * caller was authorized to use both. That the object is loaded, under this Name, is all that is asked of it: its Name
 * takes part in both keys, so a credential for another object fails at the HMAC. */
uint32_t tiny_activate_credential(struct tiny_call *c)
{
    const struct tiny_object *object = tiny_object_find(c->tpm, c->handles[0]);
    const struct tiny_object *key = tiny_object_find(c->tpm, c->handles[1]);
    uint8_t storage[WRAPPED_MAX];
    const struct bytes blob = tiny_in_2b(c, 2 + 64 + 2 + 64);
    const struct bytes secret = tiny_in_2b(c, TINY_WRAPPED_SEED_MAX);
    if (tiny_in_end(c) != 0) {
        return tiny_in_end(c);
    }
    if (!tiny_is_parent(key)) {
        return TPM2_RC_TYPE | TINY_H(2);
    }
    struct bytes content = copy(blob, storage);
    const uint32_t rc = outer_off(key, TPM2_SEED_IDENTITY, secret, name_of(object), storage, &content, 2, 1);
    if (rc != 0) {
        return rc;
    }
    struct bytes_reader r = bytes_reader_over(content);
    const struct bytes cert_info = bytes_read_2b(&r);
    if (bytes_reader_end(&r) != 0 || cert_info.len > CRYPTO_SHA256_SIZE) {
        return (r.error != 0 ? TPM2_RC_INSUFFICIENT : TPM2_RC_SIZE) | TINY_P(1);
    }
    bytes_write_2b(&c->out, cert_info);
    bytes_wipe(storage, sizeof storage);
    return TPM2_RC_SUCCESS;
}

/* ---- TPM2_Import [P3 r1.59 13.3] ---- */

struct import {
    struct bytes inner_key, public_2b, duplicate, secret;
    struct tpm2_public area;
    uint16_t symmetric;
};

static uint32_t read_import(struct tiny_call *c, struct import *p)
{
    p->inner_key = tiny_in_2b(c, 32);
    p->public_2b = tiny_in_public(c, &p->area);
    p->duplicate = tiny_in_2b(c, WRAPPED_MAX);
    p->secret = tiny_in_2b(c, TINY_WRAPPED_SEED_MAX);
    p->symmetric = tiny_in_symmetric(c);
    return tiny_in_end(c);
}

/* What can be said before anything is decrypted. What comes from outside is fixed to nothing. */
static uint32_t check_import(const struct tiny_object *parent, const struct import *p)
{
    if (!tiny_is_parent(parent)) {
        return TPM2_RC_TYPE | TINY_H(1);
    }
    if (p->inner_key.len != (p->symmetric == TPM2_ALG_AES ? INNER_KEY : 0)) {
        return TPM2_RC_SIZE | TINY_P(1);
    }
    if ((p->area.attributes & (TPM2_OBJECT_FIXED_TPM | TPM2_OBJECT_FIXED_PARENT)) != 0) {
        return TPM2_RC_ATTRIBUTES | TINY_P(2);
    }
    if ((p->area.attributes & TPM2_OBJECT_ENCRYPTED_DUPLICATION) != 0 &&
        (p->symmetric == TPM2_ALG_NULL || p->secret.len == 0)) {
        return TPM2_RC_ATTRIBUTES | TINY_P(1);
    }
    return TPM2_RC_SUCCESS;
}

/* The inner layer [P1 r1.59 23.3.2.2]: AES-CFB under a key that the caller knows, over digest and sensitive area. */
static uint32_t inner_open(struct bytes inner_key, struct bytes name, uint8_t *storage, struct bytes *content)
{
    uint8_t expected[CRYPTO_SHA256_SIZE];
    (void)crypto_aes_cfb_decrypt(inner_key, NULL, storage + (content->p - storage), content->len);
    struct bytes_reader r = bytes_reader_over(*content);
    struct bytes digest;
    const uint32_t rc = tiny_digest_read(&r, &digest);
    *content = bytes_of(r.p, r.left);
    if (rc != 0) {
        return rc;
    }
    crypto_sha256((const struct bytes[]){*content, name}, 2, expected);
    return bytes_equal_public(digest, bytes_of(expected, sizeof expected)) ? TPM2_RC_SUCCESS
                                                                           : TPM2_RC_INTEGRITY;
}

/* Both layers off. Either may be missing, if the sender wanted it so. */
static uint32_t unwrap(const struct tiny_object *parent, const struct import *p, struct bytes name,
                       struct tiny_sensitive *sensitive)
{
    uint8_t storage[WRAPPED_MAX];
    struct bytes content = copy(p->duplicate, storage);
    if (p->secret.len > 0) {
        const uint32_t wrong =
            outer_off(parent, TPM2_SEED_DUPLICATE, p->secret, name, storage, &content, 4, 3);
        if (wrong != 0) {
            return wrong;
        }
    }
    uint32_t rc = TPM2_RC_SUCCESS;
    if (p->symmetric == TPM2_ALG_AES) {
        rc = inner_open(p->inner_key, name, storage, &content);
    }
    struct bytes_reader r = bytes_reader_over(content);
    if (rc == 0) {
        rc = tiny_sensitive_read(&r, sensitive);
    }
    if (rc == 0 && r.left > 0) {
        rc = TPM2_RC_SIZE;
    }
    bytes_wipe(storage, sizeof storage);
    return rc != 0 ? rc | TINY_P(3) : TPM2_RC_SUCCESS;
}

/* The key goes out again, wrapped as a child of this parent: from now on TPM2_Load takes it. Under a parent that cannot
 * leave the TPM it is put together first, so that everything about it is checked now. */
uint32_t tiny_import(struct tiny_call *c)
{
    const struct tiny_object *parent = tiny_object_find(c->tpm, c->handles[0]);
    struct import p;
    struct tiny_object key;
    struct tiny_sensitive sensitive = {0};
    uint8_t name[TPM2_NAME_SIZE];
    uint32_t rc = read_import(c, &p);
    if (rc == 0) {
        rc = check_import(parent, &p);
    }
    if (rc != 0) {
        return rc;
    }
    tpm2_name_of(p.public_2b, name);
    rc = unwrap(parent, &p, bytes_of(name, sizeof name), &sensitive);
    if (rc == 0 && (parent->area.attributes & TPM2_OBJECT_FIXED_TPM) != 0) {
        const uint32_t wrong = tiny_public_check(&p.area, false);
        rc = wrong != 0 ? wrong | TINY_P(2) : tiny_object_fill(&key, p.public_2b, &sensitive, 2, 3);
    }
    if (rc == 0) {
        tiny_private_write(c, parent, bytes_of(name, sizeof name), &sensitive);
    }
    bytes_wipe(&sensitive, sizeof sensitive);
    bytes_wipe(&key, sizeof key);
    return rc;
}

/* ---- TPM2_Rewrap [P3 r1.59 13.2] ---- */

/* An outer layer for a new parent, with a seed of its own, as tpm/protect.c makes it outside of a TPM. */
static uint32_t outer_on(struct tiny_call *c, const struct tiny_object *new_parent, struct bytes name,
                         uint8_t *content, size_t len)
{
    struct tpm2_wrap_random random;
    uint8_t seed[TPM2_SEED_SIZE], key[TPM2_SEED_SYMMETRIC_SIZE], mac[CRYPTO_SHA256_SIZE];
    uint8_t secret[2 + TINY_RSA_BYTES];
    struct bytes_writer out_secret = bytes_writer_over(secret, sizeof secret);
    crypto_drbg_generate(&c->tpm->random, random.seed, sizeof random.seed);
    crypto_drbg_generate(&c->tpm->random, random.oaep, sizeof random.oaep);
    tpm2_seed_wrap(&out_secret, &new_parent->area, TPM2_SEED_DUPLICATE, &random, seed);
    if (out_secret.error != 0) {
        return TPM2_RC_TYPE | TINY_H(2);
    }
    tpm2_seed_symmetric_key(bytes_of(seed, sizeof seed), name, key);
    (void)crypto_aes_cfb_encrypt(bytes_of(key, sizeof key), NULL, content, len);
    tpm2_seed_hmac(bytes_of(seed, sizeof seed), bytes_of(content, len), name, mac);
    const size_t size = bytes_write_size_begin(&c->out);
    bytes_write_2b(&c->out, bytes_of(mac, sizeof mac));
    bytes_write_bytes(&c->out, bytes_of(content, len));
    bytes_write_size_end(&c->out, size);
    bytes_write_bytes(&c->out, bytes_written(&out_secret));
    bytes_wipe(&random, sizeof random);
    bytes_wipe(seed, sizeof seed);
    bytes_wipe(key, sizeof key);
    return TPM2_RC_SUCCESS;
}

/* The outer layer of a duplicate goes off with the old parent's private half and on again for the new parent, or for
 * nobody. The object itself, its public area and so its attributes, are not looked at: whoever may use the old parent
 * may do this. That is the attack of spec-notes.md, "Which SRK may be trusted". */
uint32_t tiny_rewrap(struct tiny_call *c)
{
    const struct tiny_object *old_parent = tiny_object_find(c->tpm, c->handles[0]);
    const struct tiny_object *new_parent = tiny_object_find(c->tpm, c->handles[1]);
    uint8_t storage[WRAPPED_MAX];
    const struct bytes duplicate = tiny_in_2b(c, WRAPPED_MAX);
    const struct bytes name = tiny_in_2b(c, 2 + TINY_DIGEST_MAX);
    const struct bytes secret = tiny_in_2b(c, TINY_WRAPPED_SEED_MAX);
    if (tiny_in_end(c) != 0) {
        return tiny_in_end(c);
    }
    if ((old_parent != NULL) != (secret.len > 0)) {
        return TPM2_RC_HANDLE | TINY_H(1);
    }
    if (old_parent != NULL && !tiny_is_parent(old_parent)) {
        return TPM2_RC_TYPE | TINY_H(1);
    }
    struct bytes content = copy(duplicate, storage);
    uint32_t rc = TPM2_RC_SUCCESS;
    if (old_parent != NULL) {
        rc = outer_off(old_parent, TPM2_SEED_DUPLICATE, secret, name, storage, &content, 3, 1);
    }
    if (rc == 0 && new_parent != NULL) {
        rc = outer_on(c, new_parent, name, storage + (content.p - storage), content.len);
    } else if (rc == 0) {
        bytes_write_2b(&c->out, content);
        bytes_write_u16(&c->out, 0); /* no seed */
    }
    bytes_wipe(storage, sizeof storage);
    return rc;
}
