/* SPDX-License-Identifier: MIT */
/* Numbers are limbs of 16 bits, the lowest first. Products are Montgomery's [Modular Multiplication Without Trial
 * Division, 1985]: a * b / R mod n with R = 2^(16 * limbs), so that the only division is by limbs of zeros. */
#include "crypto/rsa_compact.h"

#define LIMBS_MAX (CRYPTO_RSA_COMPACT_MAX / 2)

struct modulus {
    const uint8_t *p; /* as the key has it: big-endian */
    size_t limbs;
    uint16_t inverse; /* -1 / n mod 2^16 */
};

static uint16_t limb_of(const uint8_t *number, size_t limbs, size_t i)
{
    const uint8_t *p = number + 2 * (limbs - 1 - i);
    return (uint16_t)((uint32_t)p[0] << 8 | p[1]);
}

/* Newton's iteration doubles the bits that are right; of an odd number's inverse three are right in itself. */
static uint16_t minus_inverse(uint16_t n)
{
    uint32_t x = n;
    for (int bits = 3; bits < 16; bits *= 2) {
        x = (x * (2 - n * x)) & 0xffff;
    }
    return (uint16_t)(0x10000 - x);
}

/* a + top * R, which is below 2n, becomes what it is mod n. Both passes are always made. */
static void reduce(uint16_t *a, uint32_t top, const struct modulus *n)
{
    uint32_t borrow = 0;
    for (size_t i = 0; i < n->limbs; i++) {
        borrow = ((uint32_t)a[i] - limb_of(n->p, n->limbs, i) - borrow) >> 31;
    }
    const uint32_t mask = 0 - (top | (borrow ^ 1));
    borrow = 0;
    for (size_t i = 0; i < n->limbs; i++) {
        const uint32_t difference = (uint32_t)a[i] - (limb_of(n->p, n->limbs, i) & mask) - borrow;
        a[i] = (uint16_t)(difference & 0xffff);
        borrow = difference >> 31;
    }
}

/* a = 2a mod n */
static void twice(uint16_t *a, const struct modulus *n)
{
    uint32_t carry = 0;
    for (size_t i = 0; i < n->limbs; i++) {
        carry |= (uint32_t)a[i] << 1;
        a[i] = (uint16_t)(carry & 0xffff);
        carry >>= 16;
    }
    reduce(a, carry, n);
}

/* a = a * b / R mod n. For each limb of b: add a times it, then the multiple of n that makes the lowest limb zero,
 * and drop that limb. What is added up stays below 2n, so top is 0 or 1. */
static void multiply(uint16_t *a, const uint16_t *b, const struct modulus *n)
{
    uint16_t sum[LIMBS_MAX] = {0};
    uint32_t top = 0;
    for (size_t k = 0; k < n->limbs; k++) {
        const uint32_t factor = b[k];
        const uint32_t lowest = (sum[0] + a[0] * factor) & 0xffff;
        const uint32_t multiple = (lowest * n->inverse) & 0xffff;
        uint32_t with_a = 0, with_n = 0;
        for (size_t i = 0; i < n->limbs; i++) {
            with_a = sum[i] + a[i] * factor + (with_a >> 16);
            with_n = (with_a & 0xffff) + limb_of(n->p, n->limbs, i) * multiple + (with_n >> 16);
            if (i > 0) {
                sum[i - 1] = (uint16_t)(with_n & 0xffff);
            }
        }
        top += (with_a >> 16) + (with_n >> 16);
        sum[n->limbs - 1] = (uint16_t)(top & 0xffff);
        top >>= 16;
    }
    reduce(sum, top, n);
    memcpy(a, sum, 2 * n->limbs);
    bytes_wipe(sum, sizeof sum);
}

/* block = block^exponent mod n. The exponent is public, and its highest bit is the first factor. */
static void power(uint8_t *block, uint32_t exponent, struct bytes modulus)
{
    const size_t limbs = modulus.len / 2;
    const struct modulus number = {modulus.p, limbs, minus_inverse(limb_of(modulus.p, limbs, 0))},
                         *n = &number;
    uint16_t base[LIMBS_MAX] = {0}, result[LIMBS_MAX];
    for (size_t i = 0; i < n->limbs; i++) {
        base[i] = limb_of(block, n->limbs, i);
    }
    for (size_t bit = 0; bit < 16 * n->limbs; bit++) { /* times R */
        twice(base, n);
    }
    memcpy(result, base, sizeof result);
    uint32_t bit = UINT32_C(1) << 31;
    while ((exponent & bit) == 0) {
        bit >>= 1;
    }
    while ((bit >>= 1) != 0) {
        multiply(result, result, n);
        if ((exponent & bit) != 0) {
            multiply(result, base, n);
        }
    }
    memset(base, 0, sizeof base);
    base[0] = 1;
    multiply(result, base, n); /* divided by R */
    for (size_t i = 0; i < n->limbs; i++) {
        uint8_t *p = block + 2 * (n->limbs - 1 - i);
        p[0] = (uint8_t)(result[i] >> 8);
        p[1] = (uint8_t)(result[i] & 0xff);
    }
    bytes_wipe(base, sizeof base);
    bytes_wipe(result, sizeof result);
}

/* MGF1 [RFC 8017 B.2.1], laid over data. */
static void mask_with(struct bytes seed, uint8_t *data, size_t len)
{
    uint8_t counter[4] = {0};
    uint8_t mask[CRYPTO_SHA256_SIZE];
    const struct bytes pieces[] = {seed, {counter, sizeof counter}};
    for (size_t at = 0; at < len; at++) {
        if (at % sizeof mask == 0) {
            counter[3] = (uint8_t)(at / sizeof mask);
            crypto_sha256(pieces, 2, mask);
        }
        data[at] ^= mask[at % sizeof mask];
    }
    bytes_wipe(mask, sizeof mask);
}

/* EM = 00 || masked seed || masked DB, and DB = hash of the label || zeros || 01 || message [RFC 8017 7.1.1]. */
static void encode(struct bytes label, const uint8_t *seed, struct bytes message, uint8_t *out, size_t len)
{
    uint8_t *out_seed = out + 1, *block = out_seed + CRYPTO_SHA256_SIZE;
    const size_t block_len = len - 1 - CRYPTO_SHA256_SIZE;
    memset(out, 0, len);
    memcpy(out_seed, seed, CRYPTO_SHA256_SIZE);
    crypto_sha256(&label, 1, block);
    block[block_len - message.len - 1] = 1;
    if (message.len > 0) {
        memcpy(block + block_len - message.len, message.p, message.len);
    }
    mask_with(bytes_of(out_seed, CRYPTO_SHA256_SIZE), block, block_len);
    mask_with(bytes_of(block, block_len), out_seed, CRYPTO_SHA256_SIZE);
}

int crypto_rsa_oaep_compact(const struct crypto_rsa_public *key, struct bytes label,
                            const uint8_t seed[CRYPTO_SHA256_SIZE], struct bytes message, uint8_t *out)
{
    const struct bytes modulus = key->modulus;
    if (modulus.len > CRYPTO_RSA_COMPACT_MAX) {
        return BYTES_E_LIMIT;
    }
    if (modulus.len % 2 != 0) {
        return BYTES_E_ALGORITHM;
    }
    encode(label, seed, message, out, modulus.len);
    power(out, key->exponent, modulus);
    return BYTES_OK;
}
