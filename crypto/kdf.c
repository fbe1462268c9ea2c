/* SPDX-License-Identifier: MIT */
/* KDFa of TPM 2.0 [P1 r1.59 11.4.10.2], which is SP 800-108 in counter mode with HMAC and a 32-bit counter:
 *     K(i) = HMAC(key, i || label || 0x00 || contextU || contextV || bits)   for i = 1, 2, ...
 * The zero byte is both the end of the TPM's label string and the separator that SP 800-108 asks for: one byte. */
#include "crypto/crypto.h"
#include <string.h>

static void store_be32(uint8_t out[4], uint32_t value)
{
    out[0] = (uint8_t)(value >> 24);
    out[1] = (uint8_t)(value >> 16);
    out[2] = (uint8_t)(value >> 8);
    out[3] = (uint8_t)value;
}

void crypto_kdfa_sha256(struct bytes key, const char *label, struct bytes context_u, struct bytes context_v,
                        uint8_t *out, size_t out_len)
{
    uint8_t counter[4];
    uint8_t bits[4];
    uint8_t block[CRYPTO_SHA256_SIZE];
    const struct bytes pieces[] = {
        {counter, sizeof counter}, {(const uint8_t *)label, strlen(label) + 1}, context_u, context_v,
        {bits, sizeof bits},
    };
    store_be32(bits, (uint32_t)(8 * out_len));

    uint32_t i = 1;
    for (size_t at = 0; at < out_len; at += sizeof block) {
        store_be32(counter, i++);
        crypto_hmac_sha256(key, pieces, sizeof pieces / sizeof pieces[0], block);
        size_t take = out_len - at < sizeof block ? out_len - at : sizeof block;
        memcpy(out + at, block, take);
    }
    bytes_wipe(block, sizeof block);
}
