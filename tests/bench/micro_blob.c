/* SPDX-License-Identifier: MIT */
#include "dps/protocol/activation.h"
#include "dps/service/activation_make.h"
#include "tests/bench/micro.h"
#include "tpm/protect.h"
#include "tpm/public.h"
#include <string.h>

bool micro_blob_init(struct micro_blob *b, const struct load_keys *keys)
{
    b->keys = keys;
    b->entropy = posix_entropy();
    return tpm2_public_parse_2b(bytes_of(keys->ek_2b, keys->ek_len), &b->ek) == 0 &&
           tpm2_public_parse_2b(bytes_of(keys->srk_2b, keys->srk_len), &b->srk) == 0;
}

bool micro_blob_ours(void *blob)
{
    const struct micro_blob *b = blob;
    struct dps_activation_random random;
    static const uint8_t key[DPS_KEY_SIZE] = {1};
    uint8_t out[DPS_ACTIVATION_BLOB_MAX];
    struct bytes_writer w = bytes_writer_over(out, sizeof out);
    if (b->entropy.fill(b->entropy.context, (uint8_t *)&random, sizeof random) != 0) {
        return false;
    }
    dps_activation_make(&w, &b->ek, &b->srk, b->keys->srk_name, key, bytes_of_text("localhost"),
                        bytes_of_text("bench-0000001"), &random);
    return w.error == 0;
}

/* Of one key: the seed to it, two keys from the seed, content encrypted, HMAC over that and a Name. */
static bool wrap(const struct tpm2_public *key, const struct tpm2_wrap_random *random, uint8_t *content,
                 size_t len, const char *label, size_t label_len)
{
    static const uint8_t name[MICRO_NAME_SIZE] = {0};
    uint8_t symmetric[16];
    uint8_t mac_key[32];
    uint8_t mac[32];
    uint8_t secret[256];
    const struct bytes seed = bytes_of(random->seed, sizeof random->seed);
    const struct bytes pieces[2] = {bytes_of(content, len), bytes_of(name, sizeof name)};
    const struct crypto_rsa_public rsa = tpm2_public_rsa(key);
    crypto_kdfa_sha256(seed, "STORAGE", pieces[1], bytes_of(NULL, 0), symmetric, sizeof symmetric);
    crypto_kdfa_sha256(seed, "INTEGRITY", bytes_of(NULL, 0), bytes_of(NULL, 0), mac_key, sizeof mac_key);
    const int error = crypto_aes_cfb_encrypt(bytes_of(symmetric, sizeof symmetric), NULL, content, len);
    crypto_hmac_sha256(bytes_of(mac_key, sizeof mac_key), pieces, 2, mac);
    return error == 0 &&
           crypto_rsa_oaep_encrypt(&rsa, bytes_of(label, label_len), random->oaep, seed, secret) == 0;
}

bool micro_blob_crypto(void *blob)
{
    const struct micro_blob *b = blob;
    struct dps_activation_random random;
    uint8_t content[MICRO_DUPLICATE_SIZE] = {0};
    uint8_t digest[32];
    if (b->entropy.fill(b->entropy.context, (uint8_t *)&random, sizeof random) != 0) {
        return false;
    }
    const struct bytes inner = bytes_of(random.inner_key, sizeof random.inner_key);
    const struct bytes unique = bytes_of(content, 64);
    const struct bytes area = bytes_of(content, 46);
    const struct bytes integrity = bytes_of(content, MICRO_DUPLICATE_SIZE);
    crypto_sha256(&unique, 1, digest);
    crypto_sha256(&area, 1, digest);
    crypto_sha256(&integrity, 1, digest);
    return crypto_aes_cfb_encrypt(inner, NULL, content, MICRO_DUPLICATE_SIZE) == 0 &&
           crypto_aes_cfb_encrypt(inner, NULL, content, MICRO_URI_SIZE) == 0 &&
           wrap(&b->ek, &random.credential, content, MICRO_CREDENTIAL_SIZE, "IDENTITY", sizeof "IDENTITY") &&
           wrap(&b->srk, &random.duplicate, content, MICRO_DUPLICATE_SIZE, "DUPLICATE", sizeof "DUPLICATE");
}
