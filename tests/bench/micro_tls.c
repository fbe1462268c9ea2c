/* SPDX-License-Identifier: MIT */
/* TLS by crypto/tls.h on the server's side and OpenSSL on the client's, in memory; only the server's part counts. */
#include "crypto/tls.h"
#include "crypto/tls_identity.h"
#include "tests/bench/micro.h"
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_SIZE 1150 /* a registration with its token */
#define ANSWER_SIZE 1500  /* a challenge */

struct micro_tls {
    struct crypto_identity identity;
    struct crypto_tls_cache cache;
    uint8_t sessions[100 * 16];
    struct crypto_tls_server server;
    uint8_t io[CRYPTO_TLS_BUFFER_BIDI];
    SSL_CTX *context;
    SSL_SESSION *session;
    SSL *client;
    BIO *wire; /* what the client sends and receives */
};

/* A certificate for a day, signed by itself; both as PEM in one text. */
static bool make_identity(struct crypto_identity *identity)
{
    char *text;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    BIO *pem = BIO_new(BIO_s_mem());
    bool done = key != NULL && certificate != NULL && pem != NULL && X509_set_version(certificate, 2) == 1 &&
                ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) == 1 &&
                X509_gmtime_adj(X509_getm_notBefore(certificate), 0) != NULL &&
                X509_gmtime_adj(X509_getm_notAfter(certificate), 86400) != NULL &&
                X509_set_pubkey(certificate, key) == 1 &&
                X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                                           (const unsigned char *)"localhost", -1, -1, 0) == 1 &&
                X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) == 1 &&
                X509_sign(certificate, key, EVP_sha256()) > 0 && PEM_write_bio_X509(pem, certificate) == 1 &&
                PEM_write_bio_PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL) == 1;
    if (done) {
        const long len = BIO_get_mem_data(pem, &text);
        done = len > 0 &&
               crypto_identity_load(identity, bytes_of(text, (size_t)len), bytes_of(text, (size_t)len)) == 0;
    }
    BIO_free(pem);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return done;
}

struct micro_tls *micro_tls_open(void)
{
    struct micro_tls *t = calloc(1, sizeof *t);
    if (t == NULL || !make_identity(&t->identity)) {
        free(t);
        return NULL;
    }
    crypto_tls_cache_init(&t->cache, t->sessions, sizeof t->sessions, NULL);
    t->context = SSL_CTX_new(TLS_client_method());
    if (t->context == NULL || SSL_CTX_set_max_proto_version(t->context, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set1_groups_list(t->context, "X25519:P-256") != 1) {
        return NULL;
    }
    return t;
}

/* All records that there are, to the other side. */
static bool move_records(struct micro_tls *t, crypto_tls_engine *e)
{
    bool moved = false;
    uint8_t bytes[4096];
    while (crypto_tls_want(e) & CRYPTO_TLS_RECORD_OUT) {
        size_t len;
        const uint8_t *out = crypto_tls_record_out(e, &len);
        micro_pause();
        (void)BIO_write(t->wire, out, (int)len);
        micro_resume();
        crypto_tls_record_sent(e, len);
        moved = true;
    }
    while (crypto_tls_want(e) & CRYPTO_TLS_RECORD_IN) {
        size_t room;
        micro_pause();
        uint8_t *in = crypto_tls_record_in(e, &room);
        const int n = BIO_read(t->wire, bytes, (int)(room < sizeof bytes ? room : sizeof bytes));
        micro_resume();
        if (n <= 0) {
            break;
        }
        memcpy(in, bytes, (size_t)n);
        crypto_tls_record_received(e, (size_t)n);
        moved = true;
    }
    return moved;
}

bool micro_tls_request(void *tls)
{
    struct micro_tls *t = tls;
    static uint8_t bytes[REQUEST_SIZE + ANSWER_SIZE];
    crypto_tls_engine *e = crypto_tls_server_engine(&t->server);
    size_t left = REQUEST_SIZE;
    micro_pause();
    bool done = t->client != NULL && SSL_write(t->client, bytes, REQUEST_SIZE) == REQUEST_SIZE;
    micro_resume();
    while (done && left > 0) {
        size_t len = 0;
        (void)move_records(t, e);
        const uint8_t *in = crypto_tls_app_in(e, &len);
        done = in != NULL && len > 0 && len <= left;
        if (done) {
            memcpy(bytes, in, len);
            crypto_tls_app_received(e, len);
            left -= len;
        }
    }
    for (size_t at = 0; done && at < ANSWER_SIZE;) {
        size_t room = 0;
        uint8_t *out = crypto_tls_app_out(e, &room);
        done = out != NULL && room > 0;
        room = room < ANSWER_SIZE - at ? room : ANSWER_SIZE - at;
        if (done) {
            memcpy(out, bytes + at, room);
        }
        crypto_tls_app_sent(e, room);
        at += room;
    }
    crypto_tls_flush(e);
    (void)move_records(t, e);
    micro_pause();
    done = done && SSL_read(t->client, bytes, ANSWER_SIZE) == ANSWER_SIZE;
    micro_resume();
    return done;
}

/* Also a client's: an object for a connection. */
static bool new_client(struct micro_tls *t, bool resume)
{
    BIO *inner;
    if (t->client != NULL) { /* or its session would count as broken off */
        SSL_set_shutdown(t->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    }
    SSL_free(t->client);
    BIO_free(t->wire);
    t->client = SSL_new(t->context);
    if (t->client == NULL || BIO_new_bio_pair(&inner, 65536, &t->wire, 65536) != 1) {
        return false;
    }
    SSL_set_bio(t->client, inner, inner);
    SSL_set_connect_state(t->client);
    return !resume || SSL_set_session(t->client, t->session) == 1;
}

static bool handshake(struct micro_tls *t, bool resume)
{
    static uint32_t number; /* another seed each time, so another session ID */
    uint8_t entropy[32] = {0};
    number++;
    memcpy(entropy, &number, sizeof number);
    micro_pause();
    bool done = new_client(t, resume);
    micro_resume();
    if (!done ||
        crypto_tls_server_start(&t->server, &t->identity, &t->cache, entropy, t->io, sizeof t->io) != 0) {
        return false;
    }
    crypto_tls_engine *e = crypto_tls_server_engine(&t->server);
    for (unsigned i = 0; i < 8; i++) {
        micro_pause();
        (void)SSL_do_handshake(t->client);
        micro_resume();
        (void)move_records(t, e);
    }
    return SSL_is_init_finished(t->client) && (crypto_tls_want(e) & CRYPTO_TLS_APP_OUT) != 0;
}

bool micro_tls_full(void *tls)
{
    struct micro_tls *t = tls;
    if (!handshake(t, false) || !micro_tls_request(t)) {
        return false;
    }
    micro_pause();
    SSL_SESSION_free(t->session);
    t->session = SSL_get1_session(t->client);
    micro_resume();
    return t->session != NULL;
}

bool micro_tls_resumed(void *tls)
{
    struct micro_tls *t = tls;
    return handshake(t, true) && SSL_session_reused(t->client) == 1 && micro_tls_request(t);
}
