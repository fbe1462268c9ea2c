/* SPDX-License-Identifier: MIT */
#include "port/posix/https_client.h"
#include "port/posix/private.h"
#include <string.h>

void https_init(struct https *c, const char *host, uint16_t port, const struct crypto_trust *trust)
{
    memset(c, 0, sizeof *c);
    c->trust = trust;
    c->port = port;
    c->timeout_ms = HTTPS_TIMEOUT_MS;
    strncpy(c->host, host, sizeof c->host - 1);
    c->io = posix_stream_port(&c->stream);
}

static void close_stream(struct https *c)
{
    if (c->open) {
        c->io.close(c->io.context);
    }
    c->open = false;
}

/* Move records until the engine wants one of `wanted`, or the deadline of the connection or request has come, whatever
 * arrives meanwhile: a peer that sends a byte now and then cannot stall us. */
static int move_records(struct https *c, unsigned wanted)
{
    crypto_tls_engine *engine = crypto_tls_client_engine(&c->tls);
    for (;;) {
        size_t len;
        int moved;
        const uint64_t now = posix_monotonic_ms();
        unsigned want = crypto_tls_want(engine);
        if (want & CRYPTO_TLS_CLOSED) {
            c->tls_error = crypto_tls_error(engine);
            return c->tls_error != 0 ? BYTES_E_TLS : BYTES_E_STREAM;
        }
        if ((want & CRYPTO_TLS_RECORD_OUT) == 0 && (want & wanted)) {
            return 0;
        }
        if (posix_interrupted != 0 || now >= c->deadline) {
            return BYTES_E_TIMEOUT;
        }
        const uint32_t left = (uint32_t)(c->deadline - now);
        if (want & CRYPTO_TLS_RECORD_OUT) {
            const uint8_t *out = crypto_tls_record_out(engine, &len);
            moved = c->io.write(c->io.context, out, len, left);
            if (moved > 0) {
                crypto_tls_record_sent(engine, (size_t)moved);
            }
        } else {
            uint8_t *in = crypto_tls_record_in(engine, &len);
            moved = c->io.read(c->io.context, in, len, left);
            if (moved > 0) {
                crypto_tls_record_received(engine, (size_t)moved);
            }
        }
        if (moved < 0) {
            return moved;
        }
    }
}

static int open_connection(struct https *c)
{
    struct crypto_entropy source = posix_entropy();
    struct port_clock clock = posix_clock();
    uint8_t entropy[32];
    c->reached = false;
    c->deadline = posix_deadline(c->timeout_ms);
    int error = source.fill(source.context, entropy, sizeof entropy);
    if (error == 0) {
        error = c->io.connect(c->io.context, c->host, c->port, c->timeout_ms);
    }
    if (error == 0) {
        c->open = c->reached = true;
        error = crypto_tls_client_start(&c->tls, c->trust, c->host, clock.unix_seconds(clock.context),
                                        entropy, c->tls_buffer, sizeof c->tls_buffer, false);
    }
    bytes_wipe(entropy, sizeof entropy);
    return error != 0 ? error : move_records(c, CRYPTO_TLS_APP_OUT);
}

static int send_request(struct https *c, struct bytes request)
{
    crypto_tls_engine *engine = crypto_tls_client_engine(&c->tls);
    while (request.len > 0) {
        size_t room;
        int error = move_records(c, CRYPTO_TLS_APP_OUT);
        if (error != 0) {
            return error;
        }
        uint8_t *out = crypto_tls_app_out(engine, &room);
        size_t part = request.len < room ? request.len : room;
        memcpy(out, request.p, part);
        crypto_tls_app_sent(engine, part);
        request = bytes_of(request.p + part, request.len - part);
    }
    crypto_tls_flush(engine);
    return 0;
}

static int receive_response(struct https *c)
{
    crypto_tls_engine *engine = crypto_tls_client_engine(&c->tls);
    int state = BYTES_E_MORE;
    while (state == BYTES_E_MORE) {
        size_t len;
        int error = move_records(c, CRYPTO_TLS_APP_IN);
        if (error == BYTES_E_STREAM &&
            c->len > 0) { /* a response without a length ends with the connection */
            return dps_http_advance(&c->http, c->buffer, &c->len, sizeof c->buffer, true);
        }
        if (error != 0) {
            return error;
        }
        const uint8_t *in = crypto_tls_app_in(engine, &len);
        size_t part = sizeof c->buffer - c->len < len ? sizeof c->buffer - c->len : len;
        memcpy(c->buffer + c->len, in, part);
        c->len += part;
        crypto_tls_app_received(engine, part);
        state = dps_http_advance(&c->http, c->buffer, &c->len, sizeof c->buffer, false);
    }
    return state;
}

static int exchange(struct https *c, struct bytes request)
{
    dps_http_init(&c->http, DPS_HTTP_RESPONSE);
    c->len = 0;
    int error = c->open ? 0 : open_connection(c);
    c->deadline = posix_deadline(c->timeout_ms);
    if (error == 0) {
        error = send_request(c, request);
    }
    if (error == 0) {
        error = receive_response(c);
    }
    if (error != 0 || !c->http.keep_alive) {
        close_stream(c);
    }
    return error;
}

int https_request(struct https *c, struct bytes request)
{
    bool kept = c->open;
    int error = exchange(c, request);
    /* A server may close an idle connection at any time, and we learn it only now. */
    if (error == BYTES_E_STREAM && kept && c->len == 0) {
        error = exchange(c, request);
    }
    return error;
}

void https_end(struct https *c)
{
    close_stream(c);
    crypto_tls_client_wipe(&c->tls);
    bytes_wipe(c, sizeof *c);
}
