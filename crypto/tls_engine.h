/* SPDX-License-Identifier: MIT */
/* The structures of crypto/tls.h, as BearSSL needs them. All memory is in them.
 *
 * Another implementation of crypto/tls.h has a header of this name, which the compiler has to find first: what includes
 * crypto/tls.h knows these structures by name only. */
#ifndef CRYPTO_TLS_ENGINE_H
#define CRYPTO_TLS_ENGINE_H

#include "crypto/limits.h"
#include "crypto/lock.h"
#include "crypto/tls_chain.h"
#include <bearssl.h>

/* For sentences: which keys a certificate of ours may have, and which one of a CA. */
#define CRYPTO_TLS_OWN_KEYS "RSA (2048 to 4096 bits) and EC on P-256 or P-384"
#define CRYPTO_TLS_CA_KEYS "RSA keys up to 4096 bits and EC keys on P-256, P-384 and P-521"

/* What both sides of a connection have. */
typedef br_ssl_engine_context crypto_tls_engine;

struct crypto_identity {
    br_x509_certificate chain[CRYPTO_CHAIN_MAX];
    size_t chain_len;
    unsigned issuer_key_type; /* BR_KEYTYPE_RSA or BR_KEYTYPE_EC: how the leaf is signed; 0: otherwise */
    int key_type;             /* BR_KEYTYPE_RSA or BR_KEYTYPE_EC: the private key's own */
    br_rsa_private_key rsa;
    br_ec_private_key ec;
    uint8_t storage[CRYPTO_CHAIN_STORAGE];
};

struct crypto_tls_client {
    br_ssl_client_context client;
    struct crypto_tls_chain chain;
    uint8_t offered[32]; /* the session ID that was offered for resumption */
    uint8_t offered_len; /* 0: none */
};

struct crypto_tls_server {
    br_ssl_server_context server;
};

/* BearSSL's, 100 bytes a session. */
struct crypto_tls_cache {
    const br_ssl_session_cache_class *vtable;
    br_ssl_session_cache_class locked;
    br_ssl_session_cache_lru lru;
    struct crypto_lock lock;
};

static inline crypto_tls_engine *crypto_tls_client_engine(struct crypto_tls_client *c)
{
    return &c->client.eng;
}
static inline crypto_tls_engine *crypto_tls_server_engine(struct crypto_tls_server *s)
{
    return &s->server.eng;
}

/* For tests: 1 if it is OpenSSL's, which has TLS 1.3, Ed25519, RSA-PSS and randomness of its own. */
#define CRYPTO_TLS_OPENSSL 0

#endif
