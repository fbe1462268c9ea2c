/* SPDX-License-Identifier: MIT */
#include "tpm/seed.h"
#include <string.h>

static bool key_is_usable(const struct tpm2_public *key)
{
    const uint32_t role = TPM2_OBJECT_RESTRICTED | TPM2_OBJECT_DECRYPT;
    return key->type == TPM2_ALG_RSA && key->name_alg == TPM2_ALG_SHA256 &&
           (key->attributes & (role | TPM2_OBJECT_SIGN_ENCRYPT)) == role && key->symmetric == TPM2_ALG_AES &&
           key->symmetric_key_bits == 8 * TPM2_SEED_SYMMETRIC_SIZE && key->symmetric_mode == TPM2_ALG_CFB &&
           key->unique.len <= CRYPTO_RSA_MAX && 8 * key->unique.len == key->key_bits;
}

struct bytes tpm2_seed_label(enum tpm2_seed_use use)
{
    /* Arrays and sizeof, not text and its length: the zero belongs to the label. */
    static const char identity[] = "IDENTITY";
    static const char duplicate[] = "DUPLICATE";
    static const char secret[] = "SECRET";
    if (use == TPM2_SEED_IDENTITY) {
        return bytes_of(identity, sizeof identity);
    }
    if (use == TPM2_SEED_DUPLICATE) {
        return bytes_of(duplicate, sizeof duplicate);
    }
    return bytes_of(secret, sizeof secret);
}

void tpm2_seed_wrap(struct bytes_writer *w, const struct tpm2_public *key, enum tpm2_seed_use use,
                    const struct tpm2_wrap_random *random, uint8_t seed[TPM2_SEED_SIZE])
{
    memset(seed, 0, TPM2_SEED_SIZE);
    if (!key_is_usable(key)) {
        bytes_writer_fail(w, BYTES_E_ALGORITHM);
    }
    const struct crypto_rsa_public rsa = tpm2_public_rsa(key);
    bytes_write_u16(w, (uint16_t)rsa.modulus.len);
    uint8_t *encrypted = bytes_write_room(w, rsa.modulus.len);
    if (encrypted == NULL) {
        return;
    }
    const int error = crypto_rsa_oaep_encrypt(&rsa, tpm2_seed_label(use), random->oaep,
                                              bytes_of(random->seed, sizeof random->seed), encrypted);
    bytes_writer_fail(w, error);
    if (w->error == 0) {
        memcpy(seed, random->seed, TPM2_SEED_SIZE);
    }
}

void tpm2_seed_symmetric_key(struct bytes seed, struct bytes name, uint8_t key[TPM2_SEED_SYMMETRIC_SIZE])
{
    crypto_kdfa_sha256(seed, "STORAGE", name, (struct bytes){0}, key, TPM2_SEED_SYMMETRIC_SIZE);
}

void tpm2_seed_hmac(struct bytes seed, struct bytes ciphertext, struct bytes name,
                    uint8_t mac[CRYPTO_SHA256_SIZE])
{
    uint8_t key[CRYPTO_SHA256_SIZE];
    crypto_kdfa_sha256(seed, "INTEGRITY", (struct bytes){0}, (struct bytes){0}, key, sizeof key);
    crypto_hmac_sha256(bytes_of(key, sizeof key), (const struct bytes[]){ciphertext, name}, 2, mac);
    bytes_wipe(key, sizeof key);
}
