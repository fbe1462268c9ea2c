/* SPDX-License-Identifier: MIT */
/* RSA for small stacks gives what the library gives that implements crypto.h. */
#include "crypto/rsa_compact.h"
#include "tests/unit/test.h"
#include "tests/vectors/activation_blob.h"
#include <string.h>

#define LARGEST CRYPTO_RSA_COMPACT_MAX
#define SMALLEST 128

static const struct bytes label = {(const uint8_t *)"SECRET", sizeof "SECRET"};
static const struct bytes empty = {NULL, 0};
/* SHA-256 of what came out. */
static const uint8_t vector_digest[] = {
    0x80, 0x45, 0xc7, 0x0c, 0x3a, 0x76, 0x28, 0x2d, 0xe9, 0xd0, 0x42, 0x4d, 0x88, 0x69, 0x28, 0x44,
    0xd7, 0xb7, 0x7a, 0x95, 0xe2, 0x05, 0x37, 0x19, 0x29, 0x1a, 0x9b, 0xf1, 0x44, 0xb6, 0xf3, 0xc9,
};

enum shape { RANDOM, ONES_FIRST, ZEROS_FIRST, ZEROS_LAST, POWER_OF_TWO_AND_ONE, ALL_ONES, SHAPES };

/* A modulus that makes carries and the last subtraction rare or certain. It need not have two prime factors. */
static void modulus(uint8_t *n, size_t len, enum shape shape, struct crypto_drbg *random)
{
    crypto_drbg_generate(random, n, len);
    if (shape == ONES_FIRST || shape == ALL_ONES) {
        memset(n, 0xff, shape == ALL_ONES ? len : len / 2);
    } else if (shape == ZEROS_FIRST || shape == POWER_OF_TWO_AND_ONE) {
        memset(n, 0, shape == ZEROS_FIRST ? len / 2 : len);
        n[0] = 1;
    } else if (shape == ZEROS_LAST) {
        memset(n + len / 2, 0, len / 2);
    }
    n[0] |= 1;
    n[len - 1] |= 1;
}

static int test_same(void)
{
    static const uint32_t exponents[] = {3, 5, 257, 65537, 0x80000001, 0xffffffff};
    uint8_t n[LARGEST], seed[CRYPTO_SHA256_SIZE], message[LARGEST], expected[LARGEST], out[LARGEST + 1];
    struct crypto_drbg random;
    crypto_drbg_init(&random, label);
    for (size_t len = SMALLEST, i = 0; len <= LARGEST; len += 2) {
        for (enum shape shape = RANDOM; shape < SHAPES; shape++, i++) {
            modulus(n, len, shape, &random);
            crypto_drbg_generate(&random, seed, sizeof seed);
            crypto_drbg_generate(&random, message, sizeof message);
            const struct crypto_rsa_public key = {{n, len},
                                                  exponents[i % (sizeof exponents / sizeof exponents[0])]};
            const struct bytes text = {message, i * 29 % (len - 65)};
            memset(out, 0xa5, sizeof out);
            CHECK_EQUAL(crypto_rsa_oaep_encrypt(&key, label, seed, text, expected), 0);
            CHECK_EQUAL(crypto_rsa_oaep_compact(&key, label, seed, text, out), 0);
            CHECK(memcmp(out, expected, len) == 0 && out[len] == 0xa5);
        }
    }
    return 0;
}

/* The vector of test_crypto.c: opened with OpenSSL, and computed in Python. */
static int test_vector(void)
{
    static const struct bytes identity = {(const uint8_t *)"IDENTITY", sizeof "IDENTITY"};
    const struct crypto_rsa_public key = {
        {vector_ek_public_2b + sizeof vector_ek_public_2b - LARGEST, LARGEST}, 65537};
    uint8_t seed[CRYPTO_SHA256_SIZE], out[LARGEST], digest[CRYPTO_SHA256_SIZE];
    const struct bytes result = {out, sizeof out};
    for (size_t i = 0; i < sizeof seed; i++) {
        seed[i] = (uint8_t)(0xc0 + i);
    }
    CHECK_EQUAL(crypto_rsa_oaep_compact(&key, identity, seed,
                                        bytes_of(vector_cred_seed, sizeof vector_cred_seed), out),
                0);
    crypto_sha256(&result, 1, digest);
    CHECK(memcmp(digest, vector_digest, sizeof digest) == 0);
    return 0;
}

static int test_too_large(void)
{
    uint8_t n[LARGEST + 2], out[LARGEST + 2];
    memset(n, 0xff, sizeof n);
    memset(out, 0xa5, sizeof out);
    const struct crypto_rsa_public longer = {{n, LARGEST + 2}, 3}, odd = {{n, SMALLEST + 1}, 3};
    CHECK_EQUAL(crypto_rsa_oaep_compact(&longer, label, vector_dup_seed, empty, out), BYTES_E_LIMIT);
    CHECK_EQUAL(crypto_rsa_oaep_compact(&odd, label, vector_dup_seed, empty, out), BYTES_E_ALGORITHM);
    for (size_t i = 0; i < sizeof out; i++) {
        CHECK(out[i] == 0xa5);
    }
    return 0;
}

static const struct test tests[] = {
    {"the same bytes as crypto_rsa_oaep_encrypt, for every size and kind of modulus", test_same},
    {"a vector from outside", test_vector},
    {"a key that is too long is refused, and nothing is written", test_too_large},
};

int main(void)
{
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
