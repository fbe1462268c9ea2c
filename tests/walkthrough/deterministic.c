/* SPDX-License-Identifier: MIT */
/* libcrypto's random numbers, as libtpms asks for them, from a fixed seed: the same TPM in every run. The dynamic
 * linker takes these in place of libcrypto's own, because they stand in the program. For the walk-through only. */
#include "crypto/crypto.h"

int RAND_bytes(unsigned char *buffer, int count);
int RAND_priv_bytes(unsigned char *buffer, int count);
void RAND_add(const void *buffer, int count, double entropy);

static struct crypto_drbg drbg;
static bool seeded;

int RAND_bytes(unsigned char *buffer, int count)
{
    if (!seeded) {
        crypto_drbg_init(&drbg, (struct bytes){(const uint8_t *)"walk-through TPM", 16});
        seeded = true;
    }
    for (int at = 0; at < count; at++) {
        crypto_drbg_generate(&drbg, &buffer[at], 1);
    }
    return 1;
}

int RAND_priv_bytes(unsigned char *buffer, int count)
{
    return RAND_bytes(buffer, count);
}

void RAND_add(const void *buffer, int count, double entropy)
{
    (void)buffer, (void)count, (void)entropy;
}
