/* SPDX-License-Identifier: MIT */
/* The client that fuzz_tls attacks and that seeds.c records servers for: always the same randomness, so that what a
 * server has once sent to it fits again. */
#ifndef TESTS_FUZZ_FUZZ_TLS_H
#define TESTS_FUZZ_FUZZ_TLS_H

#include "crypto/tls.h"
#include "port/limits.h"
#include "tests/vectors/tls_pem.h"

enum { TLS_NO_CLOCK = 1, TLS_SMALL_PIECES = 2, TLS_RSA = 4 };

/* One flags byte decides: what is in an input's first byte. Returns what crypto_tls_client_start returns. */
static inline int fuzz_tls_start(struct crypto_tls_client *client, struct crypto_trust *trust, uint8_t flags,
                                 uint8_t io[PORT_TLS_BUFFER])
{
    static const uint8_t entropy[] = "the same for every fuzz input..."; /* the first 32 bytes */
    const uint64_t now = flags & TLS_NO_CLOCK ? 0 : 1800000000;
    const int error = crypto_trust_load(trust, bytes_of_text(vector_tls_ca));
    return error != 0
               ? error
               : crypto_tls_client_start(client, trust, flags & TLS_RSA ? "rsa.example" : "dps.example", now,
                                         entropy, io, PORT_TLS_BUFFER, false);
}

#endif
