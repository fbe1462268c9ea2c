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
 * They differ in OAEP's label and in their content. */
#define KEY_MAX 64 /* the block size of SHA-256: TPMs take no HMAC key longer than that */
#define INTEGRITY_SIZE (2 + CRYPTO_SHA256_SIZE)

/* Where in the writer's buffer the parts of one outer wrap stand, and its seed. */
struct outer {
    size_t mac;
    size_t content;
    size_t content_len;
    uint8_t seed[TPM2_SEED_SIZE];
};

/*@ predicate stands(struct bytes_writer *w, struct outer *o) = writes(w) && w->capacity > 0 && \valid(o) &&
      \separated(o, w) && \separated(o, w->p + (0 .. w->capacity - 1)) &&
      o->content == o->mac + 32 && o->content + o->content_len <= w->len; */

/* Write all sizes and the encrypted seed, and leave room for the rest, so that nothing can be missing once secrets are
 * in the buffer. */
/*@ WRAP(key) requires \valid(outer) && \separated(outer, w) && \separated(outer, w->p + (0 .. w->capacity - 1));
    requires \separated(outer, key) && \separated(outer, random) && 1 <= content_len <= 1000;
    requires \separated(outer, key->unique.p + (0 .. key->unique.len - 1));
    WRITER assigns *outer;
    ensures w->error == 0 ==> stands(w, outer) && outer->content_len == content_len;
    ensures zero: w->error != 0 ==> \forall integer i; 0 <= i < 32 ==> outer->seed[i] == 0; */
static void outer_begin(struct outer *outer, struct bytes_writer *w, const struct tpm2_public *key,
                        enum tpm2_seed_use use, size_t content_len, const struct tpm2_wrap_random *random)
{
    const size_t size = bytes_write_size_begin(w);
    bytes_write_u16(w, CRYPTO_SHA256_SIZE);
    outer->mac = w->len;
    (void)bytes_write_room(w, CRYPTO_SHA256_SIZE);
    outer->content = w->len;
    outer->content_len = content_len;
    (void)bytes_write_room(w, content_len);
    bytes_write_size_end(w, size);
    tpm2_seed_wrap(w, key, use, random, outer->seed);
}

/* content holds the plain text: encrypt it where it stands, and fill in the HMAC. */
/*@ requires stands(w, outer) && view(name) && w->error == 0;
    CHANGES w->error, w->p[0 .. w->capacity - 1], outer->seed[0 .. 31];
    ensures writes(w) && w->error == 0;
    ensures wiped: \forall integer i; 0 <= i < 32 ==> outer->seed[i] == 0; */
static void outer_end(struct bytes_writer *w, struct outer *outer, struct bytes name)
{
    uint8_t symmetric_key[TPM2_SEED_SYMMETRIC_SIZE];
    const struct bytes seed = bytes_of(outer->seed, sizeof outer->seed);
    uint8_t *content = w->p + outer->content;
    tpm2_seed_symmetric_key(seed, name, symmetric_key);
    bytes_writer_fail(w, crypto_aes_cfb_encrypt(bytes_of(symmetric_key, sizeof symmetric_key), NULL, content,
                                                outer->content_len));
    tpm2_seed_hmac(seed, bytes_of(content, outer->content_len), name, w->p + outer->mac);
    bytes_wipe(symmetric_key, sizeof symmetric_key);
    bytes_wipe(outer->seed, sizeof outer->seed);
}

/* ---- Credentials [P1 r1.59 24] ------------------------------------------------------------------------ */

void tpm2_credential_make(struct bytes_writer *w, const struct tpm2_public *key, struct bytes credential,
                          struct bytes object_name, const struct tpm2_wrap_random *random)
{
    if (credential.len > TPM2_CREDENTIAL_MAX) {
        bytes_writer_fail(w, BYTES_E_LIMIT);
        return;
    }
    struct outer outer;
    outer_begin(&outer, w, key, TPM2_SEED_IDENTITY, 2 + credential.len, random);
    if (w->error != 0) {
        return;
    }
    struct bytes_writer content = bytes_writer_over(w->p + outer.content, outer.content_len);
    bytes_write_2b(&content, credential);
    outer_end(w, &outer, object_name);
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

/* The inner wrap [P1 r1.59 23.3.2.2]: a digest over the sensitive area and the Name, and the sensitive
 * area, both encrypted with the key that the credential delivers. The outer wrap then encrypts them a
 * second time. content has INTEGRITY_SIZE bytes more than the sensitive area. */
static int inner_wrap(uint8_t *content, size_t len, struct bytes inner_key, struct bytes name,
                      const struct tpm2_sensitive *sensitive)
{
    struct bytes_writer w = bytes_writer_over(content, len);
    bytes_write_u16(&w, CRYPTO_SHA256_SIZE);
    uint8_t *integrity = bytes_write_room(&w, CRYPTO_SHA256_SIZE);
    write_sensitive_2b(&w, sensitive);
    const struct bytes sensitive_2b = bytes_of(content + INTEGRITY_SIZE, len - INTEGRITY_SIZE);
    crypto_sha256((const struct bytes[]){sensitive_2b, name}, 2, integrity);
    return crypto_aes_cfb_encrypt(inner_key, NULL, content, len);
}

void tpm2_duplicate_make(struct bytes_writer *w, const struct tpm2_public *parent, struct bytes inner_key,
                         struct bytes name, const struct tpm2_sensitive *sensitive,
                         const struct tpm2_wrap_random *random)
{
    if (sensitive->seed_value.len > TPM2_SEED_SIZE || sensitive->key.len > KEY_MAX) {
        bytes_writer_fail(w, BYTES_E_LIMIT);
        return;
    }
    if (inner_key.len != TPM2_SEED_SYMMETRIC_SIZE) {
        bytes_writer_fail(w, BYTES_E_ALGORITHM);
    }
    struct outer outer;
    outer_begin(&outer, w, parent, TPM2_SEED_DUPLICATE, INTEGRITY_SIZE + sensitive_2b_size(sensitive),
                random);
    if (w->error == 0) {
        bytes_writer_fail(w, inner_wrap(w->p + outer.content, outer.content_len, inner_key, name, sensitive));
        outer_end(w, &outer, name);
    }
}
