/* SPDX-License-Identifier: MIT */
#include "tpm/tools/open.h"
#include <string.h>

/* Undo both: decrypt into storage, after the HMAC was checked. *content then views storage. */
static int outer_open(struct bytes wrapped, struct bytes secret, const struct crypto_rsa_private *key,
                      enum tpm2_seed_use use, struct bytes name, uint8_t *storage, size_t capacity,
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

    uint8_t seed[TPM2_SEED_SIZE], expected[CRYPTO_SHA256_SIZE], symmetric_key[TPM2_SEED_SYMMETRIC_SIZE];
    size_t seed_len = 0;
    int error = crypto_rsa_oaep_decrypt(key, tpm2_seed_label(use), secret, seed, sizeof seed, &seed_len);
    if (error == BYTES_E_SPACE) { /* longer than any seed can be, so it is not one */
        error = BYTES_E_INTEGRITY;
    }
    if (error == 0) {
        tpm2_seed_hmac(bytes_of(seed, seed_len), ciphertext, name, expected);
        error = bytes_equal_secret(mac.p, expected, sizeof expected) ? 0 : BYTES_E_INTEGRITY;
    }
    if (error == 0) {
        if (ciphertext.len > 0) {
            memcpy(storage, ciphertext.p, ciphertext.len);
        }
        tpm2_seed_symmetric_key(bytes_of(seed, seed_len), name, symmetric_key);
        error = crypto_aes_cfb_decrypt(bytes_of(symmetric_key, sizeof symmetric_key), NULL, storage,
                                       ciphertext.len);
        *content = bytes_of(storage, ciphertext.len);
    }
    bytes_wipe(seed, sizeof seed);
    bytes_wipe(expected, sizeof expected);
    bytes_wipe(symmetric_key, sizeof symmetric_key);
    return error;
}

int tpm2_credential_open(struct bytes blob, struct bytes secret, const struct crypto_rsa_private *key,
                         struct bytes object_name, uint8_t *credential, size_t capacity, size_t *len)
{
    uint8_t storage[2 + TPM2_CREDENTIAL_MAX];
    struct bytes content;
    *len = 0;
    int error =
        outer_open(blob, secret, key, TPM2_SEED_IDENTITY, object_name, storage, sizeof storage, &content);
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

/* The inner wrap is taken off where it stands. */
static int inner_open(struct bytes inner_key, struct bytes name, struct tpm2_sensitive *sensitive,
                      uint8_t *storage, size_t len)
{
    int error = crypto_aes_cfb_decrypt(inner_key, NULL, storage, len);
    if (error == 0) {
        error = read_inner(bytes_of(storage, len), name, sensitive);
    }
    if (error != 0) {
        *sensitive = (struct tpm2_sensitive){0};
        bytes_wipe(storage, len);
    }
    return error;
}

int tpm2_duplicate_open(struct bytes duplicate, struct bytes secret, const struct crypto_rsa_private *parent,
                        struct bytes inner_key, struct bytes name, struct tpm2_sensitive *sensitive,
                        uint8_t *storage, size_t capacity)
{
    struct bytes content = {0};
    const int error =
        outer_open(duplicate, secret, parent, TPM2_SEED_DUPLICATE, name, storage, capacity, &content);
    if (error != 0) {
        *sensitive = (struct tpm2_sensitive){0};
        bytes_wipe(storage, content.len);
        return error;
    }
    return inner_open(inner_key, name, sensitive, storage, content.len);
}

int tpm2_duplicate_open_inner(struct bytes duplicate, struct bytes inner_key, struct bytes name,
                              struct tpm2_sensitive *sensitive, uint8_t *storage, size_t capacity)
{
    *sensitive = (struct tpm2_sensitive){0};
    if (duplicate.len == 0 || duplicate.len > capacity) {
        return duplicate.len == 0 ? BYTES_E_FORMAT : BYTES_E_SPACE;
    }
    memcpy(storage, duplicate.p, duplicate.len);
    return inner_open(inner_key, name, sensitive, storage, duplicate.len);
}
