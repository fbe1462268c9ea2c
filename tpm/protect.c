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
static void outer_hmac(struct bytes seed, struct bytes ciphertext, struct bytes name,
                       uint8_t mac[CRYPTO_SHA256_SIZE])
{
    uint8_t key[CRYPTO_SHA256_SIZE];
    crypto_kdfa_sha256(seed, "INTEGRITY", (struct bytes){0}, (struct bytes){0}, key, sizeof key);
    crypto_hmac_sha256(bytes_of(key, sizeof key), (const struct bytes[]){ciphertext, name}, 2, mac);
    bytes_wipe(key, sizeof key);
}

/* The other key of the seed; the Name in it makes it one object's own [P1 r1.59 24.4 and 23.3.2.3]. */
static void outer_symmetric_key(struct bytes seed, struct bytes name, uint8_t key[SYMMETRIC_KEY_SIZE])
{
    crypto_kdfa_sha256(seed, "STORAGE", name, (struct bytes){0}, key, SYMMETRIC_KEY_SIZE);
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
static struct outer outer_begin(struct bytes_writer *w, const struct tpm2_public *key, size_t content_len)
{
    struct outer outer = {.content_len = content_len};
    if (!key_is_usable(key)) {
        bytes_writer_fail(w, BYTES_E_ALGORITHM);
    }
    size_t size = bytes_write_size_begin(w);
    bytes_write_u16(w, CRYPTO_SHA256_SIZE);
    outer.mac = bytes_write_room(w, CRYPTO_SHA256_SIZE);
    outer.content = bytes_write_room(w, content_len);
    bytes_write_size_end(w, size);
    bytes_write_u16(w, (uint16_t)key->unique.len);
    outer.secret = bytes_write_room(w, key->unique.len);
    return outer;
}

/* content holds the plain text: encrypt it where it stands, and fill in the rest. */
static void outer_end(struct bytes_writer *w, const struct outer *outer, const struct tpm2_public *key,
                      struct bytes label, struct bytes name, const struct tpm2_wrap_random *random)
{
    uint8_t symmetric_key[SYMMETRIC_KEY_SIZE];
    struct bytes seed = bytes_of(random->seed, sizeof random->seed);
    struct crypto_rsa_public rsa = tpm2_public_rsa(key);

    outer_symmetric_key(seed, name, symmetric_key);
    int error = crypto_aes_cfb_encrypt(bytes_of(symmetric_key, sizeof symmetric_key), outer->content,
                                       outer->content_len);
    outer_hmac(seed, bytes_of(outer->content, outer->content_len), name, outer->mac);
    if (error == 0) {
        error = crypto_rsa_oaep_encrypt(&rsa, label, random->oaep, seed, outer->secret);
    }
    bytes_writer_fail(w, error);
    bytes_wipe(symmetric_key, sizeof symmetric_key);
}

/* Undo both: decrypt into storage, after the HMAC was checked. *content then views storage. */
static int outer_open(struct bytes wrapped, struct bytes secret, const struct crypto_rsa_private *key,
                      struct bytes label, struct bytes name, uint8_t *storage, size_t capacity,
                      struct bytes *content)
{
    struct bytes_reader r = bytes_reader_over(wrapped);
    struct bytes mac = bytes_read_2b(&r);
    struct bytes ciphertext = bytes_read_bytes(&r, r.left);
    if (r.error != 0) {
        return r.error;
    }
    if (mac.len != CRYPTO_SHA256_SIZE) {
        return BYTES_E_FORMAT;
    }
    if (ciphertext.len > capacity) {
        return BYTES_E_SPACE;
    }

    uint8_t seed[SEED_SIZE], expected[CRYPTO_SHA256_SIZE], symmetric_key[SYMMETRIC_KEY_SIZE];
    size_t seed_len = 0;
    int error = crypto_rsa_oaep_decrypt(key, label, secret, seed, sizeof seed, &seed_len);
    if (error == BYTES_E_SPACE) { /* longer than any seed can be: whatever it is, it is none */
        error = BYTES_E_INTEGRITY;
    }
    if (error == 0) {
        outer_hmac(bytes_of(seed, seed_len), ciphertext, name, expected);
        error = bytes_equal_secret(mac.p, expected, sizeof expected) ? 0 : BYTES_E_INTEGRITY;
    }
    if (error == 0) {
        if (ciphertext.len > 0) {
            memcpy(storage, ciphertext.p, ciphertext.len);
        }
        outer_symmetric_key(bytes_of(seed, seed_len), name, symmetric_key);
        error =
            crypto_aes_cfb_decrypt(bytes_of(symmetric_key, sizeof symmetric_key), storage, ciphertext.len);
        *content = bytes_of(storage, ciphertext.len);
    }
    bytes_wipe(seed, sizeof seed);
    bytes_wipe(expected, sizeof expected);
    bytes_wipe(symmetric_key, sizeof symmetric_key);
    return error;
}

/* ---- Credentials [P1 r1.59 24] ------------------------------------------------------------------------ */

void tpm2_credential_make(struct bytes_writer *w, const struct tpm2_public *key, struct bytes credential,
                          struct bytes object_name, const struct tpm2_wrap_random *random)
{
    if (credential.len > CREDENTIAL_MAX) {
        bytes_writer_fail(w, BYTES_E_LIMIT);
    }
    struct outer outer = outer_begin(w, key, 2 + credential.len);
    if (w->error != 0) {
        return;
    }
    struct bytes_writer content = bytes_writer_over(outer.content, outer.content_len);
    bytes_write_2b(&content, credential);
    outer_end(w, &outer, key, bytes_of(label_identity, sizeof label_identity), object_name, random);
}

int tpm2_credential_open(struct bytes blob, struct bytes secret, const struct crypto_rsa_private *key,
                         struct bytes object_name, uint8_t *credential, size_t capacity, size_t *len)
{
    uint8_t storage[2 + CREDENTIAL_MAX];
    struct bytes content;
    *len = 0;
    int error = outer_open(blob, secret, key, bytes_of(label_identity, sizeof label_identity), object_name,
                           storage, sizeof storage, &content);
    if (error == BYTES_E_SPACE) { /* longer than any credential: the caller's capacity is not the reason */
        return BYTES_E_FORMAT;
    }
    if (error != 0) {
        return error;
    }

    struct bytes_reader r = bytes_reader_over(content);
    struct bytes value = bytes_read_2b(&r);
    error = bytes_reader_end(&r);
    if (error == 0) {
        struct bytes_writer out = bytes_writer_over(credential, capacity);
        bytes_write_bytes(&out, value);
        *len = bytes_written(&out).len;
        error = out.error;
    }
    bytes_wipe(storage, sizeof storage);
    return error;
}

/* ---- Duplicates [P1 r1.59 23.3] ----------------------------------------------------------------------- */

void tpm2_keyedhash_unique(const struct tpm2_sensitive *sensitive, uint8_t unique[32])
{
    crypto_sha256((const struct bytes[]){sensitive->seed_value, sensitive->key}, 2, unique);
}

/* TPM2B_SENSITIVE: type, authValue, seedValue, and the key [P2 r1.59 12.3.2.4 and 12.3.3]. */
static size_t sensitive_2b_size(const struct tpm2_sensitive *sensitive)
{
    return 2 + 2 + 2 + 2 + sensitive->seed_value.len + 2 + sensitive->key.len;
}

static void write_sensitive_2b(struct bytes_writer *w, const struct tpm2_sensitive *sensitive)
{
    size_t size = bytes_write_size_begin(w);
    bytes_write_u16(w, TPM2_ALG_KEYEDHASH);
    bytes_write_u16(w, 0); /* authValue: empty */
    bytes_write_2b(w, sensitive->seed_value);
    bytes_write_2b(w, sensitive->key);
    bytes_write_size_end(w, size);
}

/* Trailing zeros of an authValue do not count, and TPMs fill it with zeros up to the size of a digest when
 * they duplicate: so these are the forms of the empty one. */
static bool is_empty_auth(struct bytes auth)
{
    uint8_t any = 0;
    for (size_t i = 0; i < auth.len; i++) {
        any |= auth.p[i];
    }
    return any == 0 && auth.len <= CRYPTO_SHA256_SIZE;
}

static int read_sensitive_2b(struct bytes whole, struct tpm2_sensitive *sensitive)
{
    struct bytes_reader r = bytes_reader_over(whole);
    struct bytes_reader inner = bytes_read_sized(&r);
    uint16_t type = bytes_read_u16(&inner);
    struct bytes auth = bytes_read_2b(&inner);
    sensitive->seed_value = bytes_read_2b(&inner);
    sensitive->key = bytes_read_2b(&inner);
    bytes_read_sized_end(&r, &inner);
    if (type != TPM2_ALG_KEYEDHASH || !is_empty_auth(auth)) {
        bytes_reader_fail(&r, BYTES_E_FORMAT);
    }
    return bytes_reader_end(&r);
}

/* The inner wrap [P1 r1.59 23.3.2.2]: a digest over the sensitive area and the Name, and the sensitive
 * area, both encrypted with the key that the credential delivers. The outer wrap then encrypts them a
 * second time. */
void tpm2_duplicate_make(struct bytes_writer *w, const struct tpm2_public *parent, struct bytes inner_key,
                         struct bytes name, const struct tpm2_sensitive *sensitive,
                         const struct tpm2_wrap_random *random)
{
    size_t sensitive_len = sensitive_2b_size(sensitive);
    if (sensitive->seed_value.len > SEED_SIZE || sensitive->key.len > KEY_MAX) {
        bytes_writer_fail(w, BYTES_E_LIMIT);
    }
    if (inner_key.len != SYMMETRIC_KEY_SIZE) {
        bytes_writer_fail(w, BYTES_E_ALGORITHM);
    }
    struct outer outer = outer_begin(w, parent, 2 + CRYPTO_SHA256_SIZE + sensitive_len);
    if (w->error != 0) {
        return;
    }

    struct bytes_writer content = bytes_writer_over(outer.content, outer.content_len);
    bytes_write_u16(&content, CRYPTO_SHA256_SIZE);
    uint8_t *integrity = bytes_write_room(&content, CRYPTO_SHA256_SIZE);
    struct bytes_writer sensitive_2b =
        bytes_writer_over(bytes_write_room(&content, sensitive_len), sensitive_len);
    write_sensitive_2b(&sensitive_2b, sensitive);
    crypto_sha256((const struct bytes[]){bytes_written(&sensitive_2b), name}, 2, integrity);
    bytes_writer_fail(w, crypto_aes_cfb_encrypt(inner_key, outer.content, outer.content_len));
    outer_end(w, &outer, parent, bytes_of(label_duplicate, sizeof label_duplicate), name, random);
}

/* Both layers are off: content is what tpm2_duplicate_make wrote before it encrypted. */
static int read_inner(struct bytes content, struct bytes name, struct tpm2_sensitive *sensitive)
{
    uint8_t expected[CRYPTO_SHA256_SIZE];
    struct bytes_reader r = bytes_reader_over(content);
    struct bytes integrity = bytes_read_2b(&r);
    struct bytes sensitive_2b = bytes_read_bytes(&r, r.left);
    if (r.error != 0 || integrity.len != sizeof expected) {
        return BYTES_E_INTEGRITY; /* as a TPM says when the inner key is the wrong one */
    }
    crypto_sha256((const struct bytes[]){sensitive_2b, name}, 2, expected);
    if (!bytes_equal_secret(integrity.p, expected, sizeof expected)) {
        return BYTES_E_INTEGRITY;
    }
    return read_sensitive_2b(sensitive_2b, sensitive);
}

int tpm2_duplicate_open(struct bytes duplicate, struct bytes secret, const struct crypto_rsa_private *parent,
                        struct bytes inner_key, struct bytes name, struct tpm2_sensitive *sensitive,
                        uint8_t *storage, size_t capacity)
{
    struct bytes content = {0};
    int error = outer_open(duplicate, secret, parent, bytes_of(label_duplicate, sizeof label_duplicate), name,
                           storage, capacity, &content);
    if (error == 0) {
        error = crypto_aes_cfb_decrypt(inner_key, storage, content.len);
    }
    if (error == 0) {
        error = read_inner(content, name, sensitive);
    }
    if (error != 0) {
        *sensitive = (struct tpm2_sensitive){0};
        bytes_wipe(storage, content.len);
    }
    return error;
}
