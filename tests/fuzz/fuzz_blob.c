/* SPDX-License-Identifier: MIT */
/* The activation blob, and what is inside its encryption.
 * Input: one byte, what the rest is: a blob; or the sensitive area of a duplicate, wrapped here
 * with the keys of the vector, so that its parser is reached after two integrity checks; or an encUriData. */
#include "dps/protocol/activation.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/activation_open.h"
#include "tests/vectors/activation_blob.h"
#include "tpm/protect.h"
#include "tpm/tools/open.h"
#include <string.h>

#define RSA_STORAGE (5 * 256 + 64)

static struct crypto_rsa_private private_key(const unsigned char *der, size_t len,
                                             uint8_t storage[RSA_STORAGE])
{
    struct crypto_rsa_private key;
    HOLDS(crypto_rsa_private_decode(bytes_of(der, len), &key, storage, RSA_STORAGE) == 0);
    return key;
}

static void check_blob(struct bytes blob)
{
    struct dps_activation a;
    uint8_t numbers[2][RSA_STORAGE];
    uint8_t key[DPS_KEY_SIZE];
    const int error = dps_activation_parse(blob, &a);
    HOLDS(error == 0 || error == BYTES_E_FORMAT || error == BYTES_E_ALGORITHM);
    const struct bytes fields[] = {a.id_object,        a.encrypted_secret, a.duplicate,
                                   a.duplicate_secret, a.key_public_2b,    a.enc_uri};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        HOLDS(fuzz_views(fields[i], blob) && (error == 0 || fields[i].len == 0));
    }
    if (error != 0) {
        return;
    }
    const struct crypto_rsa_private ek =
        private_key(vector_ek_private_der, sizeof vector_ek_private_der, numbers[0]);
    const struct crypto_rsa_private srk =
        private_key(vector_srk_private_der, sizeof vector_srk_private_der, numbers[1]);
    /* Whatever still opens after a change must be the very key: everything but the sixth field is protected. */
    if (activation_open(blob, &ek, &srk, bytes_of(vector_srk_name, sizeof vector_srk_name), key) == 0) {
        HOLDS(memcmp(key, vector_hmac_key, sizeof key) == 0);
    }
}

/* TPM2B_PRIVATE's content: outer HMAC, then integrity and sensitive area under two layers of AES
 * [P1 r1.59 23.3]. */
static struct bytes wrap(struct bytes_writer *w, struct bytes sensitive_2b)
{
    const struct bytes name = bytes_of(vector_object_name, sizeof vector_object_name);
    const struct bytes inner[2] = {sensitive_2b, name};
    uint8_t digest[CRYPTO_SHA256_SIZE];
    crypto_sha256(inner, 2, digest);
    bytes_write_u16(w, sizeof digest);
    uint8_t *mac = bytes_write_room(w, sizeof digest);
    const size_t begin = w->len;
    bytes_write_2b(w, bytes_of(digest, sizeof digest));
    bytes_write_bytes(w, sensitive_2b);
    HOLDS(w->error == 0);
    uint8_t *encrypted = w->p + begin;
    const size_t len = w->len - begin;
    HOLDS(crypto_aes_cfb_encrypt(bytes_of(vector_inner_key, 16), NULL, encrypted, len) == 0);
    HOLDS(crypto_aes_cfb_encrypt(bytes_of(vector_dup_sym_key, 16), NULL, encrypted, len) == 0);
    const struct bytes outer[2] = {bytes_of(encrypted, len), name};
    crypto_hmac_sha256(bytes_of(vector_dup_hmac_key, 32), outer, 2, mac);
    return bytes_written(w);
}

static void check_sensitive(struct bytes sensitive_2b)
{
    uint8_t numbers[RSA_STORAGE];
    uint8_t *duplicate = malloc(sensitive_2b.len + 128);
    uint8_t *storage = malloc(sensitive_2b.len + 128);
    HOLDS(duplicate != NULL && storage != NULL);
    struct bytes_writer w = bytes_writer_over(duplicate, sensitive_2b.len + 128);
    const struct bytes wrapped = wrap(&w, sensitive_2b);
    const struct crypto_rsa_private srk =
        private_key(vector_srk_private_der, sizeof vector_srk_private_der, numbers);
    struct tpm2_sensitive s;
    const int error = tpm2_duplicate_open(
        wrapped, bytes_of(vector_dup_secret + 2, sizeof vector_dup_secret - 2), &srk,
        bytes_of(vector_inner_key, 16), bytes_of(vector_object_name, sizeof vector_object_name), &s, storage,
        sensitive_2b.len + 128);
    HOLDS(error == 0 || error == BYTES_E_FORMAT || error == BYTES_E_INTEGRITY);
    HOLDS(fuzz_views(s.key, bytes_of(storage, sensitive_2b.len + 128)));
    HOLDS(fuzz_views(s.seed_value, bytes_of(storage, sensitive_2b.len + 128)));
    if (sensitive_2b.len == sizeof vector_object_sensitive_2b &&
        memcmp(sensitive_2b.p, vector_object_sensitive_2b, sensitive_2b.len) == 0) {
        HOLDS(error == 0 && s.key.len == 32 && memcmp(s.key.p, vector_hmac_key, 32) == 0);
    }
    free(duplicate);
    free(storage);
}

static void check_uri(struct bytes enc_uri)
{
    uint8_t text[DPS_ENC_URI_MAX];
    size_t len = 1;
    const int error = dps_activation_uri(bytes_of(vector_inner_key, 16), enc_uri, text, sizeof text, &len);
    HOLDS(error == 0 || error == BYTES_E_FORMAT || error == BYTES_E_SPACE);
    for (size_t i = 0; error == 0 && i < len; i++) {
        HOLDS(text[i] < 0x80);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_of(data, size);
    switch (fuzz_byte(&input) % 3) {
    case 0:
        check_blob(input);
        break;
    case 1:
        if (input.len <= 1024) {
            check_sensitive(input);
        }
        break;
    default:
        check_uri(input);
        break;
    }
    return 0;
}
