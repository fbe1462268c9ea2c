/* SPDX-License-Identifier: MIT */
/* TLS 1.2 over a byte stream that somebody else moves: BearSSL's engine behind four buffers.
 *
 * Sans I/O: crypto_tls_want says what the engine can do now; the driver moves bytes. Records travel between the
 * engine and the network, application bytes between the engine and the protocol above:
 *     network -> record_in / record_received      record_out / record_sent -> network
 *     app_in / app_received -> protocol           protocol -> app_out / app_sent, then crypto_tls_flush
 * Certificates are always verified by the client (crypto/tls_chain.h); there is no option
 * to switch that off. Contexts hold interior pointers (BearSSL's), so they must not be moved or copied while in use.
 * All memory is in these structures; they contain key material and are wiped by
 * crypto_tls_client_wipe and crypto_tls_server_wipe. */
#ifndef CRYPTO_TLS_H
#define CRYPTO_TLS_H

#include "crypto/crypto.h"
#include "crypto/limits.h"
#include "crypto/lock.h"
#include "crypto/tls_chain.h"
#include <bearssl.h>

/* A server's certificate chain and private key, decoded from PEM. */
struct crypto_identity {
    br_x509_certificate chain[CRYPTO_CHAIN_MAX];
    size_t chain_len;
    unsigned issuer_key_type; /* BR_KEYTYPE_RSA or BR_KEYTYPE_EC: how the leaf is signed; 0: otherwise */
    int key_type;             /* BR_KEYTYPE_RSA or BR_KEYTYPE_EC: the private key's own */
    br_rsa_private_key rsa;
    br_ec_private_key ec;
    uint8_t storage[CRYPTO_CHAIN_STORAGE];
};

/* One connection, client side. The receive and the send buffer are the caller's, so that a board can choose:
 * io_len of at least BR_SSL_BUFSIZE_MONO (16 709, half duplex) or BR_SSL_BUFSIZE_BIDI (33 178); less, where
 * CRYPTO_TLS_BUFFER_MIN allows it, asks the server for shorter records [RFC 6066 4]. */
struct crypto_tls_client {
    br_ssl_client_context client;
    struct crypto_tls_chain chain;
    uint8_t offered[32]; /* the session ID that was offered for resumption */
    uint8_t offered_len; /* 0: none */
};

/* Start a client connection.
 *   host         name that the certificate must carry, and that is sent as SNI; zero-terminated, 1..CRYPTO_HOST_MAX
 *                characters, kept by reference until this function returns. Only a certificate's dNSName
 *                entries count, neither its common name nor its iPAddress entries: a certificate that is to serve for
 *                an IP address carries it as a dNSName.
 *   now          seconds since 1970, against which certificate dates are checked; 0: unknown (crypto/tls_dates.h)
 *   entropy      32 fresh random bytes, the only randomness of the connection
 *   resume       true: offer the session of the previous connection in this same context, which then must not have
 *                been wiped. It is offered only to the same host and only if that connection did not fail; otherwise,
 *                and if the server declines, the handshake is a full one. false: c may be uninitialised
 * trust must outlive the connection.
 * Returns: 0; BYTES_E_USAGE if the buffer is too small, host is empty or too
 * long, or now is beyond the calendar; BYTES_E_TLS. */
int crypto_tls_client_start(struct crypto_tls_client *c, const struct crypto_trust *trust, const char *host,
                            uint64_t now, const uint8_t entropy[32], uint8_t *io, size_t io_len, bool resume);

/* Session cache shared by the server's connections, in storage given by the caller (100 bytes a session), who wipes
 * it: it holds master secrets. Cache and storage may lie in memory that several processes share, at the same address
 * in each; then lock guards both (its functions are called from within the handshake; null: nobody shares), and
 * whoever finds that the holder of the lock has died calls init again. Neither may be moved. */
struct crypto_tls_cache {
    const br_ssl_session_cache_class *vtable;
    br_ssl_session_cache_class locked;
    br_ssl_session_cache_lru lru;
    struct crypto_lock lock;
};
void crypto_tls_cache_init(struct crypto_tls_cache *cache, uint8_t *storage, size_t storage_len,
                           const struct crypto_lock *lock);

/* One connection, server side. */
struct crypto_tls_server {
    br_ssl_server_context server;
};

/* Start a server connection. ECDHE suites only, with X25519, P-256 and larger curves in BearSSL's default
 * implementation (m31 in 0.6: the short profiles hard-code a slower one). cache may be null: no resumption.
 * Returns: 0; BYTES_E_USAGE if the buffer is too small; BYTES_E_TLS. */
int crypto_tls_server_start(struct crypto_tls_server *s, const struct crypto_identity *identity,
                            struct crypto_tls_cache *cache, const uint8_t entropy[32], uint8_t *io,
                            size_t io_len);

/* Both sides share the engine. */
static inline br_ssl_engine_context *crypto_tls_client_engine(struct crypto_tls_client *c)
{
    return &c->client.eng;
}
static inline br_ssl_engine_context *crypto_tls_server_engine(struct crypto_tls_server *s)
{
    return &s->server.eng;
}

enum {
    CRYPTO_TLS_RECORD_OUT = 1, /* bytes wait to be sent to the network */
    CRYPTO_TLS_RECORD_IN = 2,  /* bytes from the network are welcome */
    CRYPTO_TLS_APP_OUT = 4,    /* application bytes may be given for sending: the handshake is over */
    CRYPTO_TLS_APP_IN = 8,     /* application bytes have arrived */
    CRYPTO_TLS_CLOSED = 16     /* finished; crypto_tls_error says whether cleanly */
};
/* What the engine can do now: a mask of the values above. The engine cannot see that the network connection ended:
 * when that happens before CLOSED, the peer's message may be cut short, and the driver reports BYTES_E_STREAM. A peer
 * may also close cleanly before APP_OUT was ever wanted. */
unsigned crypto_tls_want(const br_ssl_engine_context *e);

/* The four windows. Each gives the engine's own buffer and its size (0: not now); the second function says how
 * many bytes of it were used, 1..len. */
uint8_t *crypto_tls_record_out(const br_ssl_engine_context *e, size_t *len);
void crypto_tls_record_sent(br_ssl_engine_context *e, size_t len);
uint8_t *crypto_tls_record_in(const br_ssl_engine_context *e, size_t *len);
void crypto_tls_record_received(br_ssl_engine_context *e, size_t len);
uint8_t *crypto_tls_app_out(const br_ssl_engine_context *e, size_t *len);
void crypto_tls_app_sent(br_ssl_engine_context *e, size_t len);
uint8_t *crypto_tls_app_in(const br_ssl_engine_context *e, size_t *len);
void crypto_tls_app_received(br_ssl_engine_context *e, size_t len);

/* Make records of the application bytes given so far. */
void crypto_tls_flush(br_ssl_engine_context *e);
/* Begin an orderly close (close_notify). The engine still wants RECORD_OUT until it is CLOSED. */
void crypto_tls_close(br_ssl_engine_context *e);

/* BearSSL's error number, or one of crypto/tls_chain.h: 0 while open or after a clean close. crypto_tls_error_text
 * gives a sentence that says what was wrong with the peer ("the certificate is for another host name"); never null. The
 * engine itself never reports BR_ERR_IO (31): it is there for drivers that want the sentence of a connection that ended
 * too early. */
int crypto_tls_error(const br_ssl_engine_context *e);
const char *crypto_tls_error_text(int error);

/* When the server's certificate ends, in seconds since 1970: a time that this server tells and that is later cannot be
 * right. 0 if the client has not seen the certificate. */
uint64_t crypto_tls_client_not_after(const struct crypto_tls_client *c);

/* True when the current connection resumed an earlier session (valid once APP_OUT is wanted). Client only. */
bool crypto_tls_client_resumed(const struct crypto_tls_client *c);

/* Wipe a finished connection, keys and session included. The buffer is the caller's, who wipes it: it holds
 * decrypted records. */
void crypto_tls_client_wipe(struct crypto_tls_client *c);
void crypto_tls_server_wipe(struct crypto_tls_server *s);

#endif
