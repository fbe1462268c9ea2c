/* SPDX-License-Identifier: MIT */
/* TLS 1.2 connections: the settings of both sides, and the windows of the engine. Certificates are in tls_chain.c
 * (the client's judge), tls_trust.c and tls_identity.c.
 *
 * The engines are configured piece by piece instead of by BearSSL's profiles: the full profile also brings RSA key
 * exchange, CBC, 3DES and SHA-1, which nobody needs here and which a board would have to store; the short server
 * profiles hard-code slow curves. So the linker takes what is named in this file and nothing else. */
#include "crypto/tls.h"
#include <string.h>

/* Forward secrecy and an AEAD, always. ChaCha20 first: the side without AES instructions, which is the device, is
 * the client, and the server follows the client's order. */
static const uint16_t suites[] = {
#if CRYPTO_TLS_CHACHA20 && CRYPTO_TLS_EC
    BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
#endif
#if CRYPTO_TLS_CHACHA20 && CRYPTO_TLS_RSA
    BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
#endif
#if CRYPTO_TLS_AES_GCM && CRYPTO_TLS_EC
    BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
#endif
#if CRYPTO_TLS_AES_GCM && CRYPTO_TLS_RSA
    BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
#endif
#if CRYPTO_TLS_AES_GCM && CRYPTO_TLS_EC
    BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
#endif
#if CRYPTO_TLS_AES_GCM && CRYPTO_TLS_RSA
    BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
#endif
};

/* RSA certificates of at least 2048 bits, in bytes. */
#define CERTIFICATE_RSA_MIN 256

/* The pieces that crypto/limits.h chooses: each function names what the linker then takes. */
#if CRYPTO_TLS_CHACHA20
static void configure_chacha20(br_ssl_engine_context *e)
{
    br_ssl_engine_set_default_chapol(e);
}
#else
static void configure_chacha20(br_ssl_engine_context *e)
{
    (void)e;
}
#endif

#if CRYPTO_TLS_AES_GCM
static void configure_aes_gcm(br_ssl_engine_context *e)
{
    br_ssl_engine_set_default_aes_gcm(e);
    br_ssl_engine_set_prf_sha384(e, &br_tls12_sha384_prf);
}
#else
static void configure_aes_gcm(br_ssl_engine_context *e)
{
    (void)e;
}
#endif

#if CRYPTO_TLS_COMPACT
/* One code for P-256, P-384 and P-521, instead of one for each fast curve. Its multiplications are of 16 bits, which
 * take constant time even on a Cortex-M3. */
static void configure_curves(br_ssl_engine_context *e)
{
    br_ssl_engine_set_ec(e, &br_ec_prime_i15);
}
#else
static void configure_curves(br_ssl_engine_context *e)
{
    br_ssl_engine_set_default_ec(e);
}
#endif

#if CRYPTO_TLS_RSA && CRYPTO_TLS_COMPACT
static void configure_rsa_certificates(struct crypto_tls_client *c)
{
    br_ssl_engine_set_rsavrfy(&c->client.eng, &br_rsa_i15_pkcs1_vrfy);
    br_x509_minimal_set_rsa(&c->chain.inner, &br_rsa_i15_pkcs1_vrfy);
}
#elif CRYPTO_TLS_RSA
static void configure_rsa_certificates(struct crypto_tls_client *c)
{
    br_ssl_engine_set_default_rsavrfy(&c->client.eng);
    br_x509_minimal_set_rsa(&c->chain.inner, br_ssl_engine_get_rsavrfy(&c->client.eng));
}
#else
static void configure_rsa_certificates(struct crypto_tls_client *c)
{
    (void)c;
}
#endif

#if CRYPTO_TLS_EC && CRYPTO_TLS_COMPACT
static void configure_ec_certificates(struct crypto_tls_client *c)
{
    br_ssl_engine_set_ecdsa(&c->client.eng, &br_ecdsa_i15_vrfy_asn1);
    br_x509_minimal_set_ecdsa(&c->chain.inner, br_ssl_engine_get_ec(&c->client.eng), &br_ecdsa_i15_vrfy_asn1);
}
#elif CRYPTO_TLS_EC
static void configure_ec_certificates(struct crypto_tls_client *c)
{
    br_ssl_engine_context *e = &c->client.eng;
    br_ssl_engine_set_default_ecdsa(e);
    br_x509_minimal_set_ecdsa(&c->chain.inner, br_ssl_engine_get_ec(e), br_ssl_engine_get_ecdsa(e));
}
#else
static void configure_ec_certificates(struct crypto_tls_client *c)
{
    (void)c;
}
#endif

/* What both sides have in common. The engine is zero before. */
static void engine_configure(br_ssl_engine_context *e)
{
    br_ssl_engine_set_versions(e, BR_TLS12, BR_TLS12);
    br_ssl_engine_set_suites(e, suites, sizeof suites / sizeof suites[0]);
    /* Signatures over SHA-1 and MD5 are refused: those of the handshake here, those of certificates below. */
    br_ssl_engine_set_hash(e, br_sha256_ID, &br_sha256_vtable);
    br_ssl_engine_set_hash(e, br_sha384_ID, &br_sha384_vtable);
    br_ssl_engine_set_hash(e, br_sha512_ID, &br_sha512_vtable);
    br_ssl_engine_set_prf_sha256(e, &br_tls12_sha256_prf);
    configure_aes_gcm(e);
    configure_chacha20(e);
    configure_curves(e);
    /* A second handshake on one connection serves no purpose here and has a history of attacks. */
    br_ssl_engine_set_all_flags(e, BR_OPT_NO_RENEGOTIATION);
}

/* Not BR_SSL_BUFSIZE_BIDI, which is too large for an int of 16 bits. */
_Static_assert(CRYPTO_TLS_BUFFER_MONO == BR_SSL_BUFSIZE_MONO &&
                   CRYPTO_TLS_BUFFER_BIDI - CRYPTO_TLS_BUFFER_MONO == BR_SSL_BUFSIZE_OUTPUT,
               "tls.h repeats BearSSL's numbers");

/* Give the engine its buffer and its only source of randomness. */
static int engine_supply(br_ssl_engine_context *e, const uint8_t entropy[32], uint8_t *io, size_t io_len)
{
    if (io_len < CRYPTO_TLS_BUFFER_MIN) {
        return BYTES_E_USAGE;
    }
    br_ssl_engine_set_buffer(e, io, io_len, io_len >= (size_t)BR_SSL_BUFSIZE_INPUT + BR_SSL_BUFSIZE_OUTPUT);
    br_ssl_engine_inject_entropy(e, entropy, 32);
    /* BearSSL would now also ask the system (RDRAND, /dev/urandom). Telling it that this is done keeps the platform
     * out of this directory and makes a run with known entropy reproducible. There is no function for it. */
    e->rng_os_rand_done = 1;
    return BYTES_OK;
}

/* Take the session that c may offer to host, before c is reused.
 *
 * BearSSL notes the server's session ID before it has verified the server. After a handshake that failed at the
 * certificate, the session is therefore an impostor's ID with a master secret of zeros; offered again, the impostor
 * could resume it without any certificate. So a session counts only if a master secret was agreed, which needs a
 * verified certificate, if no error ended the connection [RFC 5246 7.2.2], and for the same host. */
static bool session_take(const struct crypto_tls_client *c, const char *host,
                         br_ssl_session_parameters *session)
{
    static const unsigned char none[sizeof session->master_secret] = {0};
    br_ssl_engine_get_session_parameters(&c->client.eng, session);
    return br_ssl_engine_last_error(&c->client.eng) == BR_ERR_OK && session->session_id_len > 0 &&
           !bytes_equal_secret(session->master_secret, none, sizeof none) &&
           strcmp(br_ssl_engine_get_server_name(&c->client.eng), host) == 0;
}

static void client_configure(struct crypto_tls_client *c, const struct crypto_trust *trust, uint64_t now)
{
    br_ssl_engine_context *e = &c->client.eng;
    engine_configure(e);
    crypto_tls_chain_init(&c->chain, trust, now);
    br_ssl_engine_set_x509(e, &c->chain.vtable);
    configure_rsa_certificates(c);
    configure_ec_certificates(c);
    br_x509_minimal_set_hash(&c->chain.inner, br_sha256_ID, &br_sha256_vtable);
    br_x509_minimal_set_hash(&c->chain.inner, br_sha384_ID, &br_sha384_vtable);
    br_x509_minimal_set_hash(&c->chain.inner, br_sha512_ID, &br_sha512_vtable);
    br_x509_minimal_set_minrsa(&c->chain.inner, CERTIFICATE_RSA_MIN);
}

int crypto_tls_client_start(struct crypto_tls_client *c, const struct crypto_trust *trust, const char *host,
                            uint64_t now, const uint8_t entropy[32], uint8_t *io, size_t io_len, bool resume)
{
    /* BearSSL takes an empty name as "do not compare names". */
    size_t host_len = strlen(host);
    if (host_len == 0 || host_len > CRYPTO_HOST_MAX || now / 86400 > UINT32_MAX - CRYPTO_TLS_DAYS_TO_1970) {
        return BYTES_E_USAGE;
    }

    br_ssl_session_parameters session = {0};
    resume = resume && session_take(c, host, &session);
    bytes_wipe(c, sizeof *c);
    client_configure(c, trust, now);
    if (resume) {
        br_ssl_engine_set_session_parameters(&c->client.eng, &session);
        memcpy(c->offered, session.session_id, session.session_id_len);
        c->offered_len = session.session_id_len;
    }
    bytes_wipe(&session, sizeof session);

    int error = engine_supply(&c->client.eng, entropy, io, io_len);
    if (error == BYTES_OK && br_ssl_client_reset(&c->client, host, resume) != 1) {
        error = BYTES_E_TLS;
    }
    return error;
}

uint64_t crypto_tls_client_not_after(const struct crypto_tls_client *c)
{
    return c->chain.not_after;
}

bool crypto_tls_client_resumed(const struct crypto_tls_client *c)
{
    /* A server that resumes repeats the ID that it was offered [RFC 5246 7.4.1.3]. */
    br_ssl_session_parameters session;
    br_ssl_engine_get_session_parameters(&c->client.eng, &session);
    bool same = c->offered_len > 0 && session.session_id_len == c->offered_len &&
                memcmp(session.session_id, c->offered, c->offered_len) == 0;
    bytes_wipe(&session, sizeof session);
    return same;
}

/* BearSSL calls these with a pointer to the vtable pointer, which is where the cache begins. */
static void cache_save(const br_ssl_session_cache_class **context, br_ssl_server_context *server,
                       const br_ssl_session_parameters *session)
{
    struct crypto_tls_cache *cache = (struct crypto_tls_cache *)(void *)context;
    crypto_lock_take(&cache->lock);
    cache->lru.vtable->save(&cache->lru.vtable, server, session);
    crypto_lock_leave(&cache->lock);
}

static int cache_load(const br_ssl_session_cache_class **context, br_ssl_server_context *server,
                      br_ssl_session_parameters *session)
{
    struct crypto_tls_cache *cache = (struct crypto_tls_cache *)(void *)context;
    crypto_lock_take(&cache->lock);
    const int found = cache->lru.vtable->load(&cache->lru.vtable, server, session);
    crypto_lock_leave(&cache->lock);
    return found;
}

void crypto_tls_cache_init(struct crypto_tls_cache *cache, uint8_t *storage, size_t storage_len,
                           const struct crypto_lock *lock)
{
    cache->locked = (br_ssl_session_cache_class){sizeof *cache, cache_save, cache_load};
    cache->vtable = &cache->locked;
    cache->lock = lock != NULL ? *lock : (struct crypto_lock){0};
    br_ssl_session_cache_lru_init(&cache->lru, storage, storage_len);
}

int crypto_tls_server_start(struct crypto_tls_server *s, const struct crypto_identity *identity,
                            struct crypto_tls_cache *cache, const uint8_t entropy[32], uint8_t *io,
                            size_t io_len)
{
    bytes_wipe(s, sizeof *s);
    br_ssl_engine_context *e = &s->server.eng;
    engine_configure(e);
    if (identity->key_type == BR_KEYTYPE_EC) {
        br_ssl_server_set_single_ec(&s->server, identity->chain, identity->chain_len, &identity->ec,
                                    BR_KEYTYPE_SIGN, identity->issuer_key_type, br_ssl_engine_get_ec(e),
                                    br_ecdsa_sign_asn1_get_default());
    } else {
        br_ssl_server_set_single_rsa(&s->server, identity->chain, identity->chain_len, &identity->rsa,
                                     BR_KEYTYPE_SIGN, br_rsa_private_get_default(),
                                     br_rsa_pkcs1_sign_get_default());
    }
    if (cache != NULL) {
        br_ssl_server_set_cache(&s->server, &cache->vtable);
    }

    int error = engine_supply(e, entropy, io, io_len);
    if (error == BYTES_OK && br_ssl_server_reset(&s->server) != 1) {
        error = BYTES_E_TLS;
    }
    return error;
}

unsigned crypto_tls_want(const crypto_tls_engine *e)
{
    unsigned state = br_ssl_engine_current_state(e);
    unsigned want = 0;
    if (state & BR_SSL_SENDREC) {
        want |= CRYPTO_TLS_RECORD_OUT;
    }
    if (state & BR_SSL_RECVREC) {
        want |= CRYPTO_TLS_RECORD_IN;
    }
    if (state & BR_SSL_SENDAPP) {
        want |= CRYPTO_TLS_APP_OUT;
    }
    if (state & BR_SSL_RECVAPP) {
        want |= CRYPTO_TLS_APP_IN;
    }
    if (state & BR_SSL_CLOSED) {
        want |= CRYPTO_TLS_CLOSED;
    }
    return want;
}

uint8_t *crypto_tls_record_out(const crypto_tls_engine *e, size_t *len)
{
    return br_ssl_engine_sendrec_buf(e, len);
}

void crypto_tls_record_sent(crypto_tls_engine *e, size_t len)
{
    br_ssl_engine_sendrec_ack(e, len);
}

uint8_t *crypto_tls_record_in(const crypto_tls_engine *e, size_t *len)
{
    return br_ssl_engine_recvrec_buf(e, len);
}

void crypto_tls_record_received(crypto_tls_engine *e, size_t len)
{
    br_ssl_engine_recvrec_ack(e, len);
}

uint8_t *crypto_tls_app_out(const crypto_tls_engine *e, size_t *len)
{
    return br_ssl_engine_sendapp_buf(e, len);
}

void crypto_tls_app_sent(crypto_tls_engine *e, size_t len)
{
    br_ssl_engine_sendapp_ack(e, len);
}

uint8_t *crypto_tls_app_in(const crypto_tls_engine *e, size_t *len)
{
    return br_ssl_engine_recvapp_buf(e, len);
}

void crypto_tls_app_received(crypto_tls_engine *e, size_t len)
{
    br_ssl_engine_recvapp_ack(e, len);
}

void crypto_tls_flush(crypto_tls_engine *e)
{
    br_ssl_engine_flush(e, 0);
}

void crypto_tls_close(crypto_tls_engine *e)
{
    br_ssl_engine_close(e);
}

int crypto_tls_error(const crypto_tls_engine *e)
{
    return br_ssl_engine_last_error(e);
}

void crypto_tls_client_wipe(struct crypto_tls_client *c)
{
    bytes_wipe(c, sizeof *c);
}

void crypto_tls_server_wipe(struct crypto_tls_server *s)
{
    bytes_wipe(s, sizeof *s);
}
