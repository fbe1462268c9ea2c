/* SPDX-License-Identifier: MIT */
/* crypto/tls.h on OpenSSL's libssl. One record at a time goes to libssl, and only when it is whole. */
#include "port/openssl/ssl.h"
#include "crypto/tls_dates.h"
#include <openssl/bio.h>
#include <openssl/err.h>
#include <string.h>

#define RECORD_HEADER 5
#define CONTENT_MAX 16384 /* of a record [RFC 8446 5.1] */

/* Of a handshake, bytes of the client, of the server: the former has no certificates. */
#define CLIENT_SHAKES_MAX 32768
#define SERVER_SHAKES_MAX 131072

/* ---- Settings ---- */

static const char suites_1_2[] = "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
                                 "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                 "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
static const char suites_1_3[] = "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384";

/* libssl tells of alerts; the number of the one that we send is in no error of its own. */
static void note_alert(const SSL *ssl, int where, int value)
{
    crypto_tls_engine *e = SSL_get_app_data(ssl);
    if ((where & SSL_CB_WRITE_ALERT) == SSL_CB_WRITE_ALERT && value >> 8 == SSL3_AL_FATAL) {
        e->alert_sent = (uint8_t)value;
    }
}

SSL_CTX *crypto_ssl_context_new(const SSL_METHOD *method)
{
    SSL_CTX *context = SSL_CTX_new(method);
    if (context == NULL || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(context, suites_1_2) != 1 ||
        SSL_CTX_set_ciphersuites(context, suites_1_3) != 1 ||
        SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384:P-521") != 1) {
        SSL_CTX_free(context);
        return NULL;
    }
    SSL_CTX_set_security_level(context, 2); /* RSA from 2048 bits, no SHA-1 */
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_cert_list(context, SERVER_SHAKES_MAX);
    SSL_CTX_set_info_callback(context, note_alert);
    return context;
}

/* ---- Records between libssl and the buffer ---- */

static int records_read(BIO *bio, char *to, int room)
{
    crypto_tls_engine *e = BIO_get_data(bio);
    size_t len = e->in_len - e->in_taken;
    BIO_clear_retry_flags(bio);
    if (len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    len = len < (size_t)room ? len : (size_t)room;
    memcpy(to, e->in + e->in_taken, len);
    e->in_taken += len;
    if (e->in_taken == e->in_len) {
        e->in_taken = e->in_len = 0;
    }
    return (int)len;
}

static int records_write(BIO *bio, const char *from, int count)
{
    crypto_tls_engine *e = BIO_get_data(bio);
    const size_t room = e->out_size - e->out_len;
    const size_t len = (size_t)count < room ? (size_t)count : room;
    BIO_clear_retry_flags(bio);
    e->blocked = len < (size_t)count;
    if (len == 0) {
        BIO_set_retry_write(bio);
        return -1;
    }
    memcpy(e->out + e->out_len, from, len);
    e->out_len += len;
    return (int)len;
}

static long records_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *records;
static CRYPTO_ONCE records_once = CRYPTO_ONCE_STATIC_INIT;
static void make_records(void)
{
    records = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "records");
    if (records != NULL &&
        (BIO_meth_set_read(records, records_read) != 1 || BIO_meth_set_write(records, records_write) != 1 ||
         BIO_meth_set_ctrl(records, records_control) != 1)) {
        BIO_meth_free(records);
        records = NULL;
    }
}

/* ---- Errors: BearSSL's numbers ---- */

static const struct {
    int reason, error;
} reasons[] = {
    {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, BR_ERR_BAD_MAC},
    {SSL_R_WRONG_VERSION_NUMBER, BR_ERR_BAD_VERSION},
    {SSL_R_UNSUPPORTED_PROTOCOL, BR_ERR_UNSUPPORTED_VERSION},
    {SSL_R_WRONG_SSL_VERSION, BR_ERR_UNSUPPORTED_VERSION},
    {SSL_R_PACKET_LENGTH_TOO_LONG, BR_ERR_TOO_LARGE},
    {SSL_R_ENCRYPTED_LENGTH_TOO_LONG, BR_ERR_TOO_LARGE},
    {SSL_R_DATA_LENGTH_TOO_LONG, BR_ERR_TOO_LARGE},
    {SSL_R_WRONG_CIPHER_RETURNED, BR_ERR_BAD_CIPHER_SUITE},
    {SSL_R_UNKNOWN_CIPHER_RETURNED, BR_ERR_BAD_CIPHER_SUITE},
    {SSL_R_DIGEST_CHECK_FAILED, BR_ERR_BAD_FINISHED},
    {SSL_R_BAD_SIGNATURE, BR_ERR_BAD_SIGNATURE},
    {SSL_R_UNEXPECTED_MESSAGE, BR_ERR_UNEXPECTED},
    {SSL_R_UNEXPECTED_RECORD, BR_ERR_UNEXPECTED},
};

/* libssl numbers received alerts like other reasons, from 1000 on. A server says with an alert what it misses. */
static int error_number(const crypto_tls_engine *e)
{
    const int reason = ERR_GET_REASON(ERR_peek_error());
    if (reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) {
        return BR_ERR_RECV_FATAL_ALERT + reason - SSL_AD_REASON_OFFSET;
    }
    if (SSL_is_server(e->ssl) == 1 && !e->open && e->alert_sent != 0) {
        return BR_ERR_SEND_FATAL_ALERT + e->alert_sent;
    }
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (reasons[i].reason == reason) {
            return reasons[i].error;
        }
    }
    return e->alert_sent != 0 ? BR_ERR_SEND_FATAL_ALERT + e->alert_sent : BR_ERR_BAD_STATE;
}

/* For good. What libssl has to say about it is still sent. */
static void fail(crypto_tls_engine *e, int error)
{
    e->error = e->error != 0 ? e->error : error;
    e->ended = true;
    e->heard = e->said = 0;
}

/* ---- The engine ---- */

/* A function of libssl has returned this. */
static void settle(crypto_tls_engine *e, int result)
{
    switch (result > 0 ? SSL_ERROR_NONE : SSL_get_error(e->ssl, result)) {
    case SSL_ERROR_NONE:
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        break;
    case SSL_ERROR_ZERO_RETURN: /* close_notify, which is answered with ours */
        if (!e->closing) {
            (void)SSL_shutdown(e->ssl);
        }
        e->ended = true;
        break;
    default:
        fail(e, error_number(e));
    }
}

/* Let libssl do what it can with the record that it has got. It may have to answer, so what was said goes first. */
static void go_on(crypto_tls_engine *e)
{
    crypto_tls_flush(e);
    ERR_clear_error();
    if (!e->open) {
        const int result = SSL_do_handshake(e->ssl);
        e->open = result == 1;
        settle(e, result);
    } else if (!e->ended) {
        const int result = SSL_read(e->ssl, e->in, CONTENT_MAX);
        e->heard_at = 0;
        e->heard = result > 0 && !e->closing ? (size_t)result : 0;
        settle(e, result);
    }
}

static int engine_start(crypto_tls_engine *e, SSL_CTX *context, uint8_t *io, size_t io_len)
{
    (void)CRYPTO_THREAD_run_once(&records_once, make_records);
    BIO *bio = records != NULL ? BIO_new(records) : NULL;
    e->ssl = SSL_new(context);
    if (bio == NULL || e->ssl == NULL) {
        BIO_free(bio);
        return BYTES_E_TLS;
    }
    e->half = io_len < CRYPTO_TLS_BUFFER_BIDI;
    e->in = io;
    e->out = e->half ? io : io + CRYPTO_TLS_BUFFER_MONO;
    e->out_size = e->half ? io_len : io_len - CRYPTO_TLS_BUFFER_MONO;
    BIO_set_data(bio, e);
    BIO_set_init(bio, 1);
    SSL_set_bio(e->ssl, bio, bio);
    return SSL_set_app_data(e->ssl, e) == 1 ? BYTES_OK : BYTES_E_TLS;
}

static void engine_end(crypto_tls_engine *e)
{
    if (e->ssl != NULL && e->error == 0) { /* or the session would count as broken off */
        SSL_set_shutdown(e->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    }
    SSL_free(e->ssl);
    e->ssl = NULL;
}

/* ---- The two sides ---- */

/* The session that c may offer to host, or null. It counts only if no error ended its connection. */
static SSL_SESSION *session_take(const struct crypto_tls_client *c, const char *host)
{
    const bool usable =
        c->engine.ssl != NULL && c->engine.open && c->engine.error == 0 && strcmp(c->host, host) == 0;
    SSL_SESSION *session = usable ? SSL_get1_session(c->engine.ssl) : NULL;
    if (session != NULL && SSL_SESSION_is_resumable(session) != 1) {
        SSL_SESSION_free(session);
        session = NULL;
    }
    return session;
}

static int client_start(struct crypto_tls_client *c, SSL_SESSION *session, uint8_t *io, size_t io_len)
{
    crypto_tls_engine *e = &c->engine;
    SSL_CTX *context = crypto_ssl_context_new(TLS_client_method());
    if (context == NULL) {
        return BYTES_E_TLS;
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(context, crypto_ssl_judge, c);
    int error = engine_start(e, context, io, io_len);
    SSL_CTX_free(context); /* the connection holds it, too */
    if (error != BYTES_OK || SSL_set_tlsext_host_name(e->ssl, c->host) != 1 ||
        (session != NULL && SSL_set_session(e->ssl, session) != 1)) {
        return BYTES_E_TLS;
    }
    SSL_set_connect_state(e->ssl);
    e->shaken_max = SERVER_SHAKES_MAX;
    go_on(e);
    return e->error == 0 ? BYTES_OK : BYTES_E_TLS;
}

int crypto_tls_client_start(struct crypto_tls_client *c, const struct crypto_trust *trust, const char *host,
                            uint64_t now, const uint8_t entropy[32], uint8_t *io, size_t io_len, bool resume)
{
    (void)entropy; /* libcrypto has its own */
    const size_t host_len = strlen(host);
    if (host_len == 0 || host_len > CRYPTO_HOST_MAX || io_len < CRYPTO_TLS_BUFFER_MONO ||
        now / 86400 > UINT32_MAX - CRYPTO_TLS_DAYS_TO_1970) {
        return BYTES_E_USAGE;
    }
    SSL_SESSION *session = resume ? session_take(c, host) : NULL;
    crypto_tls_client_wipe(c);
    c->trust = trust;
    c->now = now;
    memcpy(c->host, host, host_len);
    const int error = client_start(c, session, io, io_len);
    SSL_SESSION_free(session);
    return error;
}

uint64_t crypto_tls_client_not_after(const struct crypto_tls_client *c)
{
    return c->not_after;
}

bool crypto_tls_client_resumed(const struct crypto_tls_client *c)
{
    return c->engine.ssl != NULL && SSL_session_reused(c->engine.ssl) == 1;
}

int crypto_tls_server_start(struct crypto_tls_server *s, const struct crypto_identity *identity,
                            struct crypto_tls_cache *cache, const uint8_t entropy[32], uint8_t *io,
                            size_t io_len)
{
    (void)entropy;
    crypto_tls_server_wipe(s);
    if (io_len < CRYPTO_TLS_BUFFER_MONO) {
        return BYTES_E_USAGE;
    }
    const int error = engine_start(&s->engine, identity->context, io, io_len);
    if (error != BYTES_OK) {
        return error;
    }
    s->engine.cache = cache;
    s->engine.shaken_max = CLIENT_SHAKES_MAX;
    if (cache == NULL) {
        SSL_set_options(s->engine.ssl, SSL_OP_NO_TICKET);
        SSL_set_num_tickets(s->engine.ssl, 0);
    }
    SSL_set_accept_state(s->engine.ssl);
    return BYTES_OK;
}

void crypto_tls_client_wipe(struct crypto_tls_client *c)
{
    engine_end(&c->engine);
    bytes_wipe(c, sizeof *c);
}

void crypto_tls_server_wipe(struct crypto_tls_server *s)
{
    engine_end(&s->engine);
    bytes_wipe(s, sizeof *s);
}

/* ---- The windows ---- */

unsigned crypto_tls_want(const crypto_tls_engine *e)
{
    unsigned want = e->out_len > 0 ? CRYPTO_TLS_RECORD_OUT : 0;
    if (e->ended) {
        return want != 0 ? want : CRYPTO_TLS_CLOSED;
    }
    const bool sends = e->out_len > 0 || e->said > 0;
    const bool receives = e->in_len > 0 || e->heard > 0;
    if (e->heard > 0) {
        want |= CRYPTO_TLS_APP_IN;
    } else if (!e->blocked && (!e->half || !sends)) {
        want |= CRYPTO_TLS_RECORD_IN;
    }
    if (e->open && !e->closing && e->out_len == 0 && (!e->half || !receives)) {
        want |= CRYPTO_TLS_APP_OUT;
    }
    return want;
}

/* Its bytes, if it is wanted now. */
static uint8_t *window(const crypto_tls_engine *e, unsigned wanted, uint8_t *bytes, size_t room, size_t *len)
{
    const bool now = (crypto_tls_want(e) & wanted) != 0;
    *len = now ? room : 0;
    return now ? bytes : NULL;
}

uint8_t *crypto_tls_record_out(const crypto_tls_engine *e, size_t *len)
{
    return window(e, CRYPTO_TLS_RECORD_OUT, e->out + e->out_taken, e->out_len - e->out_taken, len);
}

void crypto_tls_record_sent(crypto_tls_engine *e, size_t len)
{
    e->out_taken += len;
    if (e->out_taken == e->out_len) {
        e->out_taken = e->out_len = 0;
        if (e->blocked && !e->ended) {
            e->blocked = false;
            go_on(e);
        }
    }
}

/* The length of the record that arrives, header included; of the header alone so long as that is not there. */
static size_t record_size(const crypto_tls_engine *e)
{
    return e->in_len < RECORD_HEADER ? RECORD_HEADER : RECORD_HEADER + ((size_t)e->in[3] << 8 | e->in[4]);
}

uint8_t *crypto_tls_record_in(const crypto_tls_engine *e, size_t *len)
{
    return window(e, CRYPTO_TLS_RECORD_IN, e->in + e->in_len, record_size(e) - e->in_len, len);
}

/* [RFC 8446 5.1]: what is no record never reaches libssl, which would also take hellos of SSL 2. */
static int header_error(const crypto_tls_engine *e)
{
    if (e->in[0] < SSL3_RT_CHANGE_CIPHER_SPEC || e->in[0] > SSL3_RT_APPLICATION_DATA) {
        return BR_ERR_UNKNOWN_TYPE;
    }
    if (e->in[1] != SSL3_VERSION_MAJOR) {
        return BR_ERR_BAD_VERSION;
    }
    return record_size(e) > CRYPTO_TLS_BUFFER_MONO ? BR_ERR_TOO_LARGE : 0;
}

void crypto_tls_record_received(crypto_tls_engine *e, size_t len)
{
    const bool had_header = e->in_len >= RECORD_HEADER;
    e->in_len += len;
    e->shaken += e->open ? 0 : len;
    if (e->in_len < RECORD_HEADER) {
        return;
    }
    const int error = had_header ? 0 : header_error(e);
    if (error != 0 || e->shaken > e->shaken_max) {
        fail(e, error != 0 ? error : BR_ERR_TOO_LARGE);
        e->out_len = e->out_taken = 0;
    } else if (e->in_len == record_size(e)) {
        go_on(e);
    }
}

uint8_t *crypto_tls_app_out(const crypto_tls_engine *e, size_t *len)
{
    return window(e, CRYPTO_TLS_APP_OUT, e->out + e->said, CONTENT_MAX - e->said, len);
}

void crypto_tls_app_sent(crypto_tls_engine *e, size_t len)
{
    e->said += len;
    if (e->said == CONTENT_MAX) {
        crypto_tls_flush(e);
    }
}

uint8_t *crypto_tls_app_in(const crypto_tls_engine *e, size_t *len)
{
    return window(e, CRYPTO_TLS_APP_IN, e->in + e->heard_at, e->heard, len);
}

void crypto_tls_app_received(crypto_tls_engine *e, size_t len)
{
    e->heard_at += len;
    e->heard -= len;
}

/* libssl has encrypted all into memory of its own before it writes the record to where the bytes were. */
void crypto_tls_flush(crypto_tls_engine *e)
{
    const size_t len = e->said;
    if (len == 0 || e->ended) {
        return;
    }
    e->said = 0;
    ERR_clear_error();
    settle(e, SSL_write(e->ssl, e->out, (int)len));
}

void crypto_tls_close(crypto_tls_engine *e)
{
    if (e->ended || e->closing) {
        return;
    }
    crypto_tls_flush(e);
    e->heard = 0;
    e->closing = true;
    if (e->open) {
        ERR_clear_error();
        /* Half duplex: close_notify is written over the part of a record that has arrived: nothing more is read. */
        e->ended = e->half && e->in_len > 0;
        e->in_len = e->ended ? 0 : e->in_len;
        (void)SSL_shutdown(e->ssl);
    } else {
        e->ended = true;
    }
}

int crypto_tls_error(const crypto_tls_engine *e)
{
    return e->error;
}
