/* SPDX-License-Identifier: MIT */
/* The derivation is the service's own and static: this file is the service with one function more. */
#include "tests/ct/nonce.h"
#include "dps/service/service.c" /* NOLINT(bugprone-suspicious-include) */
#include <valgrind/memcheck.h>

void ct_derive_nonce(uint8_t derived[32])
{
    static struct dps_service_config config;
    static struct registering r;
    struct dps_service s = {.config = &config};
    struct dps_secret secret = {.epoch = 1, .key = {9}};
    static const uint8_t challenge_of[CRYPTO_SHA256_SIZE] = {1};
    (void)VALGRIND_MAKE_MEM_UNDEFINED(secret.key, sizeof secret.key);
    derive_nonce(&s, &secret, &r, challenge_of, derived);
}
