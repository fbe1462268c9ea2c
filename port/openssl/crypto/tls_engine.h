/* SPDX-License-Identifier: MIT */
/* The structures of crypto/tls.h, as OpenSSL's libssl needs them. It takes memory of its own: what it holds ends with
 * crypto_tls_client_wipe, crypto_tls_server_wipe and crypto_identity_wipe.
 *
 * TLS 1.3 and 1.2. Suites: those of crypto/tls.c, and their counterparts in TLS 1.3. Groups: X25519, P-256, P-384,
 * P-521. Renegotiation, compression, early data and client certificates are off. The options CRYPTO_TLS_ of
 * crypto/limits.h are for boards, and change nothing here. */
#ifndef CRYPTO_TLS_ENGINE_H
#define CRYPTO_TLS_ENGINE_H

#include "crypto/limits.h"
#include "crypto/lock.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* For sentences: which keys a certificate of ours may have, and which one of a CA. */
#define CRYPTO_TLS_OWN_KEYS                                                                                  \
    "RSA and RSA-PSS (2048 to 4096 bits), EC on P-256, P-384 or P-521, Ed25519 and Ed448"
#define CRYPTO_TLS_CA_KEYS                                                                                   \
    "RSA and RSA-PSS keys up to 4096 bits, EC keys on P-256, P-384 and P-521, Ed25519 and Ed448"

struct crypto_trust;
struct crypto_tls_cache;

/* libssl copies whole records out of one half of the caller's buffer and into the other one (half duplex: one and the
 * same). Application bytes stand in the same places, before they are records and after. */
typedef struct crypto_tls_engine {
    struct ssl_st *ssl;
    uint8_t *in, *out;
    size_t out_size;
    size_t in_len, in_taken;   /* of the record that arrives; what libssl has of it */
    size_t out_len, out_taken; /* of the records to be sent; what the network has of them */
    size_t heard_at, heard;    /* application bytes in `in`: where they begin, and how many */
    size_t said;               /* application bytes in `out` */
    size_t shaken;             /* bytes of the peer's handshake */
    size_t shaken_max;
    struct crypto_tls_cache *cache;
    bool half;          /* in and out are the same */
    bool open;          /* the handshake is over */
    bool blocked;       /* libssl has more to send than there is room */
    bool closing;       /* close_notify was sent */
    bool ended;         /* nothing more arrives */
    uint8_t alert_sent; /* if fatal; else 0 */
    int error;
} crypto_tls_engine;

struct crypto_identity {
    struct ssl_ctx_st *context;
    size_t chain_len;
};

struct crypto_tls_client {
    crypto_tls_engine engine;
    const struct crypto_trust *trust;
    uint64_t now, not_after;
    char host[CRYPTO_HOST_MAX + 1];
};

struct crypto_tls_server {
    crypto_tls_engine engine;
};

/* A session is in its ticket, which the client keeps [RFC 8446 4.6.1; RFC 5077]; here are only the keys of tickets. The
 * first one makes new tickets for an hour; the second one, its predecessor, still opens tickets for another hour, and is
 * wiped by the first handshake after it. */
struct crypto_tls_ticket_key {
    uint8_t name[16];
    uint8_t cipher[32], mac[32];
    uint64_t made; /* in seconds; 0: there is none */
};
struct crypto_tls_cache {
    struct crypto_tls_ticket_key keys[2];
    struct crypto_lock lock;
};

static inline crypto_tls_engine *crypto_tls_client_engine(struct crypto_tls_client *c)
{
    return &c->engine;
}
static inline crypto_tls_engine *crypto_tls_server_engine(struct crypto_tls_server *s)
{
    return &s->engine;
}

/* For tests: as in the other header of this name. */
#define CRYPTO_TLS_OPENSSL 1

#endif
