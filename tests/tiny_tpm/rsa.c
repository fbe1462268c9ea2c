/* SPDX-License-Identifier: MIT */
#include "tests/tiny_tpm/rsa.h"
#include <bearssl.h>

#define EXPONENT 65537U
#define HALF TINY_PRIME_BYTES

bool tiny_rsa_make(struct bytes seed, uint8_t modulus[TINY_RSA_BYTES], uint8_t prime[TINY_PRIME_BYTES])
{
    uint8_t private_bytes[BR_RSA_KBUF_PRIV_SIZE(8 * TINY_RSA_BYTES)];
    uint8_t public_bytes[BR_RSA_KBUF_PUB_SIZE(8 * TINY_RSA_BYTES)];
    br_hmac_drbg_context random;
    br_rsa_private_key private_key;
    br_rsa_public_key public_key;
    br_hmac_drbg_init(&random, &br_sha256_vtable, seed.p, seed.len);
    if (br_rsa_keygen_get_default()(&random.vtable, &private_key, private_bytes, &public_key, public_bytes,
                                    8 * TINY_RSA_BYTES, EXPONENT) == 0 ||
        public_key.nlen != TINY_RSA_BYTES || private_key.plen != HALF) {
        return false;
    }
    memcpy(modulus, public_key.n, TINY_RSA_BYTES);
    memcpy(prime, private_key.p, HALF);
    return true;
}

/* ---- Big numbers, big-endian, as at school ---- */

static bool is_zero(const uint8_t *a, size_t len)
{
    uint8_t any = 0;
    for (size_t i = 0; i < len; i++) {
        any |= a[i];
    }
    return any == 0;
}

static void subtract(uint8_t *a, const uint8_t *b, size_t len)
{
    int borrow = 0;
    for (size_t i = len; i-- > 0;) {
        const int d = a[i] - b[i] - borrow;
        borrow = d < 0;
        a[i] = (uint8_t)(d & 0xFF);
    }
}

/* a / b, bit by bit: quotient as long as a, rest as long as b with a zero byte before it. */
static void divide(const uint8_t *a, size_t len, const uint8_t b[HALF], uint8_t *quotient,
                   uint8_t rest[1 + HALF])
{
    uint8_t wide[1 + HALF] = {0};
    memcpy(wide + 1, b, HALF);
    memset(rest, 0, 1 + HALF);
    memset(quotient, 0, len);
    for (size_t bit = 0; bit < 8 * len; bit++) {
        for (size_t i = 0; i < HALF; i++) {
            rest[i] = (uint8_t)(rest[i] << 1 | rest[i + 1] >> 7);
        }
        rest[HALF] = (uint8_t)(rest[HALF] << 1 | (a[bit / 8] >> (7 - bit % 8) & 1));
        if (memcmp(rest, wide, sizeof wide) >= 0) {
            subtract(rest, wide, sizeof wide);
            quotient[bit / 8] |= (uint8_t)(1U << (7 - bit % 8));
        }
    }
}

/* d of the exponent modulo prime - 1. e * d = 1 + k * (prime - 1), and k, which is smaller than e, is soon found. */
static void private_exponent(const uint8_t prime[HALF], uint8_t d[HALF])
{
    uint8_t product[HALF + 4];
    uint64_t rest = 0, k = 1, carry = 1; /* the 1 of 1 + k * (prime - 1) */
    for (size_t i = 0; i < HALF; i++) {
        rest = (rest << 8 | (uint64_t)(prime[i] - (i == HALF - 1))) % EXPONENT;
    }
    while (k < EXPONENT && (k * rest + 1) % EXPONENT != 0) {
        k++;
    }
    for (size_t i = HALF; i-- > 0;) {
        carry += k * (uint64_t)(prime[i] - (i == HALF - 1));
        product[i + 4] = (uint8_t)carry;
        carry >>= 8;
    }
    for (size_t i = 4; i-- > 0; carry >>= 8) {
        product[i] = (uint8_t)carry;
    }
    rest = 0;
    for (size_t i = 0; i < sizeof product; i++) {
        rest = rest << 8 | product[i];
        if (i >= 4) {
            d[i - 4] = (uint8_t)(rest / EXPONENT);
        }
        rest %= EXPONENT;
    }
}

/* a^-1 modulo the prime p, as a^(p - 2) [Fermat]. */
static bool invert(uint8_t a[HALF], const uint8_t p[HALF])
{
    uint8_t modulus[HALF], exponent[HALF], two[HALF] = {0};
    two[HALF - 1] = 2;
    memcpy(modulus, p, HALF);
    memcpy(exponent, p, HALF);
    subtract(exponent, two, HALF);
    const br_rsa_public_key key = {modulus, HALF, exponent, HALF};
    return br_rsa_public_get_default()(a, HALF, &key) != 0;
}

bool tiny_rsa_complete(const uint8_t modulus[TINY_RSA_BYTES], const uint8_t prime[TINY_PRIME_BYTES],
                       uint8_t crt[5 * TINY_PRIME_BYTES])
{
    uint8_t *p = crt, *q = crt + HALF, *dp = crt + 2 * HALF, *dq = crt + 3 * HALF, *iq = crt + 4 * HALF;
    uint8_t quotient[TINY_RSA_BYTES], rest[1 + HALF];
    divide(modulus, TINY_RSA_BYTES, prime, quotient, rest);
    if ((prime[0] & 0x80) == 0 || !is_zero(rest, sizeof rest) || !is_zero(quotient, HALF) ||
        (prime[HALF - 1] & quotient[TINY_RSA_BYTES - 1] & 1) == 0) {
        return false;
    }
    memcpy(p, prime, HALF);
    memcpy(q, quotient + HALF, HALF);
    private_exponent(p, dp);
    private_exponent(q, dq);
    divide(q, HALF, p, quotient, rest);
    memcpy(iq, rest + 1, HALF);
    return invert(iq, p);
}

struct crypto_rsa_private tiny_rsa_private(const uint8_t crt[5 * TINY_PRIME_BYTES])
{
    return (struct crypto_rsa_private){.modulus_bits = 8 * TINY_RSA_BYTES,
                                       .p = bytes_of(crt, HALF),
                                       .q = bytes_of(crt + HALF, HALF),
                                       .dp = bytes_of(crt + 2 * HALF, HALF),
                                       .dq = bytes_of(crt + 3 * HALF, HALF),
                                       .iq = bytes_of(crt + 4 * HALF, HALF)};
}
