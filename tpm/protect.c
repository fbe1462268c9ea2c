/* SPDX-License-Identifier: MIT */
#include "tpm/protect.h"
#include <string.h>

/* Both structures of this file are the same outer wrap [P1 r1.59 24.3 and 23.3.2.3]: a random seed,
 * encrypted to an RSA key, gives a symmetric key and an HMAC key; the content is encrypted, and the HMAC
 * over the ciphertext and a Name binds it to one object:
 *
 *     sized: { sized: HMAC, ciphertext }        TPM2B_ID_OBJECT or TPM2B_PRIVATE
 *     sized: OAEP(seed)                         TPM2B_ENCRYPTED_SECRET
 *
 * They differ in OAEP's label and in what the content is. */
#define SYMMETRIC_KEY_SIZE 16 /* AES-128, from the key's own parameters: key_is_usable */
#define SEED_SIZE 32          /* a digest of the key's nameAlg, SHA-256 */
#define CREDENTIAL_MAX 32     /* TPM2B_DIGEST as large as the key's nameAlg [P3 r1.59 12.6] */
#define KEY_MAX 64            /* the block size of SHA-256: TPMs take no longer HMAC key */

/* The terminating zero is part of an OAEP label [P1 r1.59 B.4]: hence arrays and sizeof, not text and its
 * length. */
static const char label_identity[] = "IDENTITY";
static const char label_duplicate[] = "DUPLICATE";

static bool key_is_usable(const struct tpm2_public *key)
{
    uint32_t role = TPM2_OBJECT_RESTRICTED | TPM2_OBJECT_DECRYPT;
    return key->type == TPM2_ALG_RSA && key->name_alg == TPM2_ALG_SHA256 &&
           (key->attributes & (role | TPM2_OBJECT_SIGN_ENCRYPT)) == role && key->symmetric == TPM2_ALG_AES &&
           key->symmetric_key_bits == 8 * SYMMETRIC_KEY_SIZE && key->symmetric_mode == TPM2_ALG_CFB &&
           key->unique.len <= CRYPTO_RSA_MAX && 8 * key->unique.len == key->key_bits;
}

/* HMAC over ciphertext and Name, with the key that the seed gives for it [P1 r1.59 24.5 and 23.3.2.3]. */
static void outer_hmac(struct span seed, struct span ciphertext, struct span name,
                       uint8_t mac[CRYPTO_SHA256_SIZE])
{
    uint8_t key[CRYPTO_SHA256_SIZE];
    crypto_kdfa_sha256(seed, "INTEGRITY", (struct span){0}, (struct span){0}, key, sizeof key);
    crypto_hmac_sha256(span_of(key, sizeof key), (const struct span[]){ciphertext, name}, 2, mac);
    crypto_wipe(key, sizeof key);
}

/* The other key of the seed; the Name in it makes it one object's own [P1 r1.59 24.4 and 23.3.2.3]. */
static void outer_symmetric_key(struct span seed, struct span name, uint8_t key[SYMMETRIC_KEY_SIZE])
{
    crypto_kdfa_sha256(seed, "STORAGE", name, (struct span){0}, key, SYMMETRIC_KEY_SIZE);
}

/* Where in the writer's buffer the parts of one outer wrap stand. Null when there was no room. */
struct outer {
    uint8_t *mac;
    uint8_t *content;
    size_t content_len;
    uint8_t *secret;
};

/* Write all sizes and leave room for all contents, so that nothing can be missing once secrets are in the
 * buffer. */
static struct outer outer_begin(struct tpm2_writer *w, const struct tpm2_public *key, size_t content_len)
{
    struct outer outer = {.content_len = content_len};
    if (!key_is_usable(key)) {
        tpm2_writer_fail(w, DPS_E_ALGORITHM);
    }
    size_t size = tpm2_write_size_begin(w);
    tpm2_write_u16(w, CRYPTO_SHA256_SIZE);
    outer.mac = tpm2_write_room(w, CRYPTO_SHA256_SIZE);
    outer.content = tpm2_write_room(w, content_len);
    tpm2_write_size_end(w, size);
    tpm2_write_u16(w, (uint16_t)key->unique.len);
    outer.secret = tpm2_write_room(w, key->unique.len);
    return outer;
}

/* content holds the plain text: encrypt it where it stands, and fill in the rest. */
static void outer_end(struct tpm2_writer *w, const struct outer *outer, const struct tpm2_public *key,
                      struct span label, struct span name, const struct tpm2_wrap_random *random)
{
    uint8_t symmetric_key[SYMMETRIC_KEY_SIZE];
    struct span seed = span_of(random->seed, sizeof random->seed);
    struct crypto_rsa_public rsa = tpm2_public_rsa(key);

    outer_symmetric_key(seed, name, symmetric_key);
    int error = crypto_aes_cfb_encrypt(span_of(symmetric_key, sizeof symmetric_key), outer->content,
                                       outer->content_len);
    outer_hmac(seed, span_of(outer->content, outer->content_len), name, outer->mac);
    if (error == 0) {
        error = crypto_rsa_oaep_encrypt(&rsa, label, random->oaep, seed, outer->secret);
    }
    tpm2_writer_fail(w, error);
    crypto_wipe(symmetric_key, sizeof symmetric_key);
}

/* Undo both: decrypt into storage, after the HMAC was checked. *content then views storage. */
static int outer_open(struct span wrapped, struct span secret, const struct crypto_rsa_private *key,
                      struct span label, struct span name, uint8_t *storage, size_t capacity,
                      struct span *content)
{
    struct tpm2_reader r = tpm2_reader_over(wrapped);
    struct span mac = tpm2_read_2b(&r);
    struct span ciphertext = tpm2_read_bytes(&r, r.left);
    if (r.error != 0) {
        return r.error;
    }
    if (mac.len != CRYPTO_SHA256_SIZE) {
        return DPS_E_FORMAT;
    }
    if (ciphertext.len > capacity) {
        return DPS_E_SPACE;
    }

    uint8_t seed[SEED_SIZE], expected[CRYPTO_SHA256_SIZE], symmetric_key[SYMMETRIC_KEY_SIZE];
    size_t seed_len = 0;
    int error = crypto_rsa_oaep_decrypt(key, label, secret, seed, sizeof seed, &seed_len);
    if (error == DPS_E_SPACE) { /* longer than any seed can be: whatever it is, it is none */
        error = DPS_E_INTEGRITY;
    }
    if (error == 0) {
        outer_hmac(span_of(seed, seed_len), ciphertext, name, expected);
        error = crypto_equal(mac.p, expected, sizeof expected) ? 0 : DPS_E_INTEGRITY;
    }
    if (error == 0) {
        if (ciphertext.len > 0) {
            memcpy(storage, ciphertext.p, ciphertext.len);
        }
        outer_symmetric_key(span_of(seed, seed_len), name, symmetric_key);
        error = crypto_aes_cfb_decrypt(span_of(symmetric_key, sizeof symmetric_key), storage, ciphertext.len);
        *content = span_of(storage, ciphertext.len);
    }
    crypto_wipe(seed, sizeof seed);
    crypto_wipe(expected, sizeof expected);
    crypto_wipe(symmetric_key, sizeof symmetric_key);
    return error;
}

/* ---- Credentials [P1 r1.59 24] ------------------------------------------------------------------------ */

void tpm2_credential_make(struct tpm2_writer *w, const struct tpm2_public *key, struct span credential,
                          struct span object_name, const struct tpm2_wrap_random *random)
{
    if (credential.len > CREDENTIAL_MAX) {
        tpm2_writer_fail(w, DPS_E_LIMIT);
    }
    struct outer outer = outer_begin(w, key, 2 + credential.len);
    if (w->error != 0) {
        return;
    }
    struct tpm2_writer content = tpm2_writer_over(outer.content, outer.content_len);
    tpm2_write_2b(&content, credential);
    outer_end(w, &outer, key, span_of(label_identity, sizeof label_identity), object_name, random);
}

int tpm2_credential_open(struct span blob, struct span secret, const struct crypto_rsa_private *key,
                         struct span object_name, uint8_t *credential, size_t capacity, size_t *len)
{
    uint8_t storage[2 + CREDENTIAL_MAX];
    struct span content;
    *len = 0;
    int error = outer_open(blob, secret, key, span_of(label_identity, sizeof label_identity), object_name,
                           storage, sizeof storage, &content);
    if (error == DPS_E_SPACE) { /* longer than any credential: the caller's capacity is not the reason */
        return DPS_E_FORMAT;
    }
    if (error != 0) {
        return error;
    }

    struct tpm2_reader r = tpm2_reader_over(content);
    struct span value = tpm2_read_2b(&r);
    error = tpm2_reader_end(&r);
    if (error == 0) {
        struct tpm2_writer out = tpm2_writer_over(credential, capacity);
        tpm2_write_bytes(&out, value);
        *len = tpm2_written(&out).len;
        error = out.error;
    }
    crypto_wipe(storage, sizeof storage);
    return error;
}

/* ---- Duplicates [P1 r1.59 23.3] ----------------------------------------------------------------------- */

void tpm2_keyedhash_unique(const struct tpm2_sensitive *sensitive, uint8_t unique[32])
{
    crypto_sha256((const struct span[]){sensitive->seed_value, sensitive->key}, 2, unique);
}

/* TPM2B_SENSITIVE: type, authValue, seedValue, and the key [P2 r1.59 12.3.2.4 and 12.3.3]. */
static size_t sensitive_2b_size(const struct tpm2_sensitive *sensitive)
{
    return 2 + 2 + 2 + 2 + sensitive->seed_value.len + 2 + sensitive->key.len;
}

static void write_sensitive_2b(struct tpm2_writer *w, const struct tpm2_sensitive *sensitive)
{
    size_t size = tpm2_write_size_begin(w);
    tpm2_write_u16(w, TPM2_ALG_KEYEDHASH);
    tpm2_write_u16(w, 0); /* authValue: empty */
    tpm2_write_2b(w, sensitive->seed_value);
    tpm2_write_2b(w, sensitive->key);
    tpm2_write_size_end(w, size);
}

/* Trailing zeros of an authValue do not count, and TPMs fill it with zeros up to the size of a digest when
 * they duplicate: so these are the forms of the empty one. */
static bool is_empty_auth(struct span auth)
{
    uint8_t any = 0;
    for (size_t i = 0; i < auth.len; i++) {
        any |= auth.p[i];
    }
    return any == 0 && auth.len <= CRYPTO_SHA256_SIZE;
}

static int read_sensitive_2b(struct span whole, struct tpm2_sensitive *sensitive)
{
    struct tpm2_reader r = tpm2_reader_over(whole);
    struct tpm2_reader inner = tpm2_read_sized(&r);
    uint16_t type = tpm2_read_u16(&inner);
    struct span auth = tpm2_read_2b(&inner);
    sensitive->seed_value = tpm2_read_2b(&inner);
    sensitive->key = tpm2_read_2b(&inner);
    tpm2_read_sized_end(&r, &inner);
    if (type != TPM2_ALG_KEYEDHASH || !is_empty_auth(auth)) {
        tpm2_reader_fail(&r, DPS_E_FORMAT);
    }
    return tpm2_reader_end(&r);
}

/* The inner wrap [P1 r1.59 23.3.2.2]: a digest over the sensitive area and the Name, and the sensitive
 * area, both encrypted with the key that the credential delivers. The outer wrap then encrypts them a
 * second time. */
void tpm2_duplicate_make(struct tpm2_writer *w, const struct tpm2_public *parent, struct span inner_key,
                         struct span name, const struct tpm2_sensitive *sensitive,
                         const struct tpm2_wrap_random *random)
{
    size_t sensitive_len = sensitive_2b_size(sensitive);
    if (sensitive->seed_value.len > SEED_SIZE || sensitive->key.len > KEY_MAX) {
        tpm2_writer_fail(w, DPS_E_LIMIT);
    }
    if (inner_key.len != SYMMETRIC_KEY_SIZE) {
        tpm2_writer_fail(w, DPS_E_ALGORITHM);
    }
    struct outer outer = outer_begin(w, parent, 2 + CRYPTO_SHA256_SIZE + sensitive_len);
    if (w->error != 0) {
        return;
    }

    struct tpm2_writer content = tpm2_writer_over(outer.content, outer.content_len);
    tpm2_write_u16(&content, CRYPTO_SHA256_SIZE);
    uint8_t *integrity = tpm2_write_room(&content, CRYPTO_SHA256_SIZE);
    struct tpm2_writer sensitive_2b =
        tpm2_writer_over(tpm2_write_room(&content, sensitive_len), sensitive_len);
    write_sensitive_2b(&sensitive_2b, sensitive);
    crypto_sha256((const struct span[]){tpm2_written(&sensitive_2b), name}, 2, integrity);
    tpm2_writer_fail(w, crypto_aes_cfb_encrypt(inner_key, outer.content, outer.content_len));
    outer_end(w, &outer, parent, span_of(label_duplicate, sizeof label_duplicate), name, random);
}

/* Both layers are off: content is what tpm2_duplicate_make wrote before it encrypted. */
static int read_inner(struct span content, struct span name, struct tpm2_sensitive *sensitive)
{
    uint8_t expected[CRYPTO_SHA256_SIZE];
    struct tpm2_reader r = tpm2_reader_over(content);
    struct span integrity = tpm2_read_2b(&r);
    struct span sensitive_2b = tpm2_read_bytes(&r, r.left);
    if (r.error != 0 || integrity.len != sizeof expected) {
        return DPS_E_INTEGRITY; /* as a TPM says when the inner key is the wrong one */
    }
    crypto_sha256((const struct span[]){sensitive_2b, name}, 2, expected);
    if (!crypto_equal(integrity.p, expected, sizeof expected)) {
        return DPS_E_INTEGRITY;
    }
    return read_sensitive_2b(sensitive_2b, sensitive);
}

int tpm2_duplicate_open(struct span duplicate, struct span secret, const struct crypto_rsa_private *parent,
                        struct span inner_key, struct span name, struct tpm2_sensitive *sensitive,
                        uint8_t *storage, size_t capacity)
{
    struct span content = {0};
    int error = outer_open(duplicate, secret, parent, span_of(label_duplicate, sizeof label_duplicate), name,
                           storage, capacity, &content);
    if (error == 0) {
        error = crypto_aes_cfb_decrypt(inner_key, storage, content.len);
    }
    if (error == 0) {
        error = read_inner(content, name, sensitive);
    }
    if (error != 0) {
        *sensitive = (struct tpm2_sensitive){0};
        crypto_wipe(storage, content.len);
    }
    return error;
}
