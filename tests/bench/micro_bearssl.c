/* SPDX-License-Identifier: MIT */
/* The primitives of a blob by BearSSL's own functions: the fastest that it has for this machine. */
#include "dps/service/activation_make.h"
#include "tests/bench/micro.h"
#include "tpm/protect.h"
#include <bearssl.h>
#include <string.h>

struct fixed {
    const br_prng_class *vtable;
    const uint8_t *seed;
};

static void generate(const br_prng_class **context, void *out, size_t len)
{
    memcpy(out, ((const struct fixed *)(const void *)context)->seed, len);
}
static const br_prng_class fixed_vtable = {sizeof(struct fixed), NULL, generate, NULL};

static void sha256(const uint8_t *bytes, size_t len, uint8_t out[32])
{
    br_sha256_context c;
    br_sha256_init(&c);
    br_sha256_update(&c, bytes, len);
    br_sha256_out(&c, out);
}

static void hmac(const uint8_t *key, size_t key_len, const uint8_t *bytes, size_t len, uint8_t out[32])
{
    br_hmac_key_context k;
    br_hmac_context c;
    br_hmac_key_init(&k, &br_sha256_vtable, key, key_len);
    br_hmac_init(&c, &k, 0);
    br_hmac_update(&c, bytes, len);
    br_hmac_out(&c, out);
}

/* CFB of whole blocks: each is the encryption of the ciphertext before it, which CBC of a zero block gives. */
static void cfb(const uint8_t key[16], uint8_t *bytes, size_t len)
{
    br_aes_gen_cbcenc_keys k;
    uint8_t iv[16] = {0};
    uint8_t stream[16];
    const br_block_cbcenc_class *aes = br_aes_x86ni_cbcenc_get_vtable();
    aes = aes != NULL ? aes : &br_aes_ct_cbcenc_vtable;
    aes->init(&k.vtable, key, 16);
    for (size_t at = 0; at < len; at += 16) {
        memset(stream, 0, sizeof stream);
        aes->run(&k.vtable, iv, stream, sizeof stream);
        for (size_t i = 0; i < 16 && at + i < len; i++) {
            bytes[at + i] ^= stream[i];
            iv[i] = bytes[at + i];
        }
    }
}

static bool wrap(const struct tpm2_public *key, const struct tpm2_wrap_random *random, uint8_t *content,
                 size_t len, const char *label, size_t label_len)
{
    unsigned char modulus[256];
    unsigned char e[3] = {1, 0, 1};
    uint8_t secret[256];
    uint8_t keys[2][32];
    struct fixed prng = {&fixed_vtable, random->oaep};
    uint8_t bytes[MICRO_DUPLICATE_SIZE + MICRO_NAME_SIZE] = {0};
    memcpy(modulus, key->unique.p, sizeof modulus);
    const br_rsa_public_key rsa = {modulus, sizeof modulus, e, sizeof e};
    hmac(random->seed, 32, bytes, 4 + 8 + MICRO_NAME_SIZE + 4,
         keys[0]); /* KDFa: counter, label, Name, bits */
    hmac(random->seed, 32, bytes, 4 + 10 + 4, keys[1]);
    cfb(keys[0], content, len);
    memcpy(bytes, content, len);
    hmac(keys[1], 32, bytes, len + MICRO_NAME_SIZE, keys[0]);
    return br_rsa_oaep_encrypt_get_default()(&prng.vtable, &br_sha256_vtable, label, label_len, &rsa, secret,
                                             sizeof secret, random->seed, 32) == sizeof secret;
}

bool micro_blob_bearssl(void *blob)
{
    const struct micro_blob *b = blob;
    struct dps_activation_random random;
    uint8_t content[MICRO_DUPLICATE_SIZE] = {0};
    uint8_t digest[32];
    if (b->entropy.fill(b->entropy.context, (uint8_t *)&random, sizeof random) != 0) {
        return false;
    }
    sha256(content, 64, digest);
    sha256(content, 46, digest);
    sha256(content, sizeof content, digest);
    cfb(random.inner_key, content, MICRO_DUPLICATE_SIZE);
    cfb(random.inner_key, content, MICRO_URI_SIZE);
    return wrap(&b->ek, &random.credential, content, MICRO_CREDENTIAL_SIZE, "IDENTITY", sizeof "IDENTITY") &&
           wrap(&b->srk, &random.duplicate, content, MICRO_DUPLICATE_SIZE, "DUPLICATE", sizeof "DUPLICATE");
}
