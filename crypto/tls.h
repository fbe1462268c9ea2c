/* SPDX-License-Identifier: MIT */
/* TLS over a byte stream that somebody else moves: an engine behind four buffers. Here it is BearSSL's, for TLS 1.2;
 * port/openssl/ has OpenSSL's.
 *
 * Sans I/O: crypto_tls_want says what the engine can do now; the driver moves bytes. Records travel between the
 * engine and the network, application bytes between the engine and the protocol above:
 *     network -> record_in / record_received      record_out / record_sent -> network
 *     app_in / app_received -> protocol           protocol -> app_out / app_sent, then crypto_tls_flush
 * Certificates are always verified by the client (crypto/tls_chain.h); there is no option
 * to switch that off. The structures (crypto/tls_engine.h) hold interior pointers, so they must not be moved or copied
 * while in use. All memory is in them, or, with OpenSSL, behind them; they contain key material. Whoever began one ends
 * it with crypto_tls_client_wipe, crypto_tls_server_wipe or crypto_identity_wipe. */
#ifndef CRYPTO_TLS_H
#define CRYPTO_TLS_H

#include "crypto/crypto.h"
#include "crypto/limits.h"
#include "crypto/lock.h"
#include "crypto/tls_engine.h"
#include "crypto/tls_error.h"
#include "crypto/tls_trust.h"

/* The receive and the send buffer are the caller's, so that a board can choose: half duplex, or both ways at once. Less
 * than these, where CRYPTO_TLS_BUFFER_MIN allows it, asks the server for shorter records [RFC 6066 4]. */
#define CRYPTO_TLS_BUFFER_MONO 16709
#define CRYPTO_TLS_BUFFER_BIDI 33178

/* Start a client connection.
 *   c            zero at first; an earlier connection in it ends
 *   host         name that the certificate must carry, and that is sent as SNI; zero-terminated, 1..CRYPTO_HOST_MAX
 *                characters, kept by reference until this function returns. Only a certificate's dNSName
 *                entries count, neither its common name nor its iPAddress entries: a certificate that is to serve for
 *                an IP address carries it as a dNSName.
 *   now          seconds since 1970, against which certificate dates are checked; 0: unknown (crypto/tls_dates.h)
 *   entropy      32 fresh random bytes; with BearSSL the only randomness of the connection
 *   resume       true: offer the session of the previous connection in this same context, which then must not have
 *                been wiped. It is offered only to the same host and only if that connection did not fail; otherwise,
 *                and if the server declines, the handshake is a full one
 * trust must outlive the connection.
 * Returns: 0; BYTES_E_USAGE if the buffer is too small, host is empty or too
 * long, or now is beyond the calendar; BYTES_E_TLS. */
int crypto_tls_client_start(struct crypto_tls_client *c, const struct crypto_trust *trust, const char *host,
                            uint64_t now, const uint8_t entropy[32], uint8_t *io, size_t io_len, bool resume);

/* What the server's connections need to resume sessions, in storage given by the caller (100 bytes a session), who
 * wipes both: they hold secrets. Cache and storage may lie in memory that several processes share, at the same address
 * in each; then lock guards both (its functions are called from within the handshake; null: nobody shares), and
 * whoever finds that the holder of the lock has died calls init again. Neither may be moved. */
void crypto_tls_cache_init(struct crypto_tls_cache *cache, uint8_t *storage, size_t storage_len,
                           const struct crypto_lock *lock);

/* Start a server connection, in s that is zero or wiped. ECDHE suites only, with X25519, P-256 and larger curves. cache
 * may be null: no resumption.
 * Returns: 0; BYTES_E_USAGE if the buffer is too small; BYTES_E_TLS. */
int crypto_tls_server_start(struct crypto_tls_server *s, const struct crypto_identity *identity,
                            struct crypto_tls_cache *cache, const uint8_t entropy[32], uint8_t *io,
                            size_t io_len);

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
unsigned crypto_tls_want(const crypto_tls_engine *e);

/* The four windows. Each gives the engine's own buffer and its size (0: not now); the second function says how
 * many bytes of it were used, 1..len. */
uint8_t *crypto_tls_record_out(const crypto_tls_engine *e, size_t *len);
void crypto_tls_record_sent(crypto_tls_engine *e, size_t len);
uint8_t *crypto_tls_record_in(const crypto_tls_engine *e, size_t *len);
void crypto_tls_record_received(crypto_tls_engine *e, size_t len);
uint8_t *crypto_tls_app_out(const crypto_tls_engine *e, size_t *len);
void crypto_tls_app_sent(crypto_tls_engine *e, size_t len);
uint8_t *crypto_tls_app_in(const crypto_tls_engine *e, size_t *len);
void crypto_tls_app_received(crypto_tls_engine *e, size_t len);

/* Make records of the application bytes given so far. */
void crypto_tls_flush(crypto_tls_engine *e);
/* Begin an orderly close (close_notify). The engine still wants RECORD_OUT until it is CLOSED. */
void crypto_tls_close(crypto_tls_engine *e);

/* 0 while open or after a clean close; else a number that crypto/tls_error.h has the words for. */
int crypto_tls_error(const crypto_tls_engine *e);

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
