/* SPDX-License-Identifier: MIT */
/* The primitives of a blob by libcrypto, as fast as it goes: contexts are made once, hashes are the low-level ones, RSA
 * is Montgomery arithmetic without the layers above it. Only the keys are new for each blob, as they are for each
 * device. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "dps/service/activation_make.h"
#include "tests/bench/micro.h"
#include "tpm/protect.h"
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

static struct {
    BN_CTX *scratch;
    BN_MONT_CTX *mont;
    BIGNUM *n, *e, *m;
    EVP_CIPHER_CTX *cipher;
    EVP_CIPHER *aes;
} once;

static bool begin(void)
{
    if (once.scratch != NULL) {
        return true;
    }
    once.scratch = BN_CTX_new();
    once.mont = BN_MONT_CTX_new();
    once.n = BN_new();
    once.e = BN_new();
    once.m = BN_new();
    once.cipher = EVP_CIPHER_CTX_new();
    once.aes = EVP_CIPHER_fetch(NULL, "AES-128-CFB", NULL);
    return once.scratch != NULL && once.mont != NULL && once.n != NULL && once.e != NULL && once.m != NULL &&
           once.cipher != NULL && once.aes != NULL && BN_set_word(once.e, 65537) == 1;
}

static void sha256(const uint8_t *bytes, size_t len, uint8_t out[32])
{
    SHA256_CTX c;
    (void)SHA256_Init(&c);
    (void)SHA256_Update(&c, bytes, len);
    (void)SHA256_Final(out, &c);
}

static void hmac(const uint8_t key[32], const uint8_t *bytes, size_t len, uint8_t out[32])
{
    SHA256_CTX c;
    uint8_t pad[64];
    memset(pad, 0x36, sizeof pad);
    for (size_t i = 0; i < 32; i++) {
        pad[i] ^= key[i];
    }
    (void)SHA256_Init(&c);
    (void)SHA256_Update(&c, pad, sizeof pad);
    (void)SHA256_Update(&c, bytes, len);
    (void)SHA256_Final(out, &c);
    for (size_t i = 0; i < sizeof pad; i++) {
        pad[i] ^= 0x36 ^ 0x5c;
    }
    (void)SHA256_Init(&c);
    (void)SHA256_Update(&c, pad, sizeof pad);
    (void)SHA256_Update(&c, out, 32);
    (void)SHA256_Final(out, &c);
}

static bool cfb(const uint8_t key[16], uint8_t *bytes, size_t len)
{
    static const uint8_t iv[16];
    int written;
    return EVP_EncryptInit_ex2(once.cipher, once.aes, key, iv, NULL) == 1 &&
           EVP_EncryptUpdate(once.cipher, bytes, &written, bytes, (int)len) == 1;
}

/* XOR MGF1 of a seed into bytes [RFC 8017 B.2.1]. The seed is hashed once. */
static void mgf(const uint8_t *seed, size_t seed_len, uint8_t *bytes, size_t len)
{
    SHA256_CTX begun;
    (void)SHA256_Init(&begun);
    (void)SHA256_Update(&begun, seed, seed_len);
    for (size_t at = 0; at < len; at += 32) {
        SHA256_CTX c = begun;
        uint8_t mask[32];
        const uint8_t counter[4] = {0, 0, 0, (uint8_t)(at / 32)};
        (void)SHA256_Update(&c, counter, sizeof counter);
        (void)SHA256_Final(mask, &c);
        for (size_t i = 0; i < 32 && at + i < len; i++) {
            bytes[at + i] ^= mask[i];
        }
    }
}

static bool oaep(struct bytes modulus, const uint8_t seed[32], const uint8_t message[32], const char *label,
                 size_t label_len, uint8_t out[256])
{
    uint8_t em[256] = {0};
    memcpy(em + 1, seed, 32);
    sha256((const uint8_t *)label, label_len, em + 33);
    em[sizeof em - 33] = 1;
    memcpy(em + sizeof em - 32, message, 32);
    mgf(em + 1, 32, em + 33, sizeof em - 33);
    mgf(em + 33, sizeof em - 33, em + 1, 32);
    return BN_bin2bn(modulus.p, (int)modulus.len, once.n) != NULL &&
           BN_bin2bn(em, sizeof em, once.m) != NULL &&
           BN_MONT_CTX_set(once.mont, once.n, once.scratch) == 1 &&
           BN_mod_exp_mont(once.m, once.m, once.e, once.n, once.scratch, once.mont) == 1 &&
           BN_bn2binpad(once.m, out, 256) == 256;
}

static bool wrap(const struct tpm2_public *key, const struct tpm2_wrap_random *random, uint8_t *content,
                 size_t len, const char *label, size_t label_len)
{
    uint8_t secret[256];
    uint8_t keys[2][32];
    uint8_t bytes[MICRO_DUPLICATE_SIZE + MICRO_NAME_SIZE] = {0};
    hmac(random->seed, bytes, 4 + 8 + MICRO_NAME_SIZE + 4, keys[0]); /* KDFa: counter, label, Name, bits */
    hmac(random->seed, bytes, 4 + 10 + 4, keys[1]);
    const bool encrypted = cfb(keys[0], content, len);
    memcpy(bytes, content, len);
    hmac(keys[1], bytes, len + MICRO_NAME_SIZE, keys[0]);
    return encrypted && oaep(key->unique, random->oaep, random->seed, label, label_len, secret);
}

bool micro_blob_libcrypto(void *blob)
{
    const struct micro_blob *b = blob;
    struct dps_activation_random random;
    uint8_t content[MICRO_DUPLICATE_SIZE] = {0};
    uint8_t digest[32];
    if (!begin() || b->entropy.fill(b->entropy.context, (uint8_t *)&random, sizeof random) != 0) {
        return false;
    }
    sha256(content, 64, digest);
    sha256(content, 46, digest);
    sha256(content, sizeof content, digest);
    return cfb(random.inner_key, content, MICRO_DUPLICATE_SIZE) &&
           cfb(random.inner_key, content, MICRO_URI_SIZE) &&
           wrap(&b->ek, &random.credential, content, MICRO_CREDENTIAL_SIZE, "IDENTITY", sizeof "IDENTITY") &&
           wrap(&b->srk, &random.duplicate, content, MICRO_DUPLICATE_SIZE, "DUPLICATE", sizeof "DUPLICATE");
}
