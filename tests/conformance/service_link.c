/* SPDX-License-Identifier: MIT */
/* The connection to the service: TLS whose settings a case may spoil, and HTTP that may be broken on purpose. */
#include "dps/protocol/http.h"
#include "dps/protocol/http_message.h"
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include "port/posix/private.h"
#include "tests/conformance/service.h"
#include <string.h>

static crypto_tls_engine *engine_of(struct service_link *l)
{
    return crypto_tls_client_engine(&l->tls);
}

/* Move records until the engine wants one of `wanted`. Returns: 0; BYTES_E_STREAM; BYTES_E_TLS; BYTES_E_TIMEOUT. */
static int move_records(struct service_link *l, unsigned wanted, uint64_t deadline)
{
    crypto_tls_engine *engine = engine_of(l);
    for (;;) {
        size_t len;
        int moved;
        const unsigned want = crypto_tls_want(engine);
        const uint64_t now = posix_monotonic_ms();
        const uint32_t left = deadline > now ? (uint32_t)(deadline - now) : 0;
        if (want & CRYPTO_TLS_CLOSED) {
            l->tls_error = crypto_tls_error(engine);
            l->orderly = l->tls_error == 0;
            return l->tls_error != 0 ? BYTES_E_TLS : BYTES_E_STREAM;
        }
        if (want & CRYPTO_TLS_RECORD_OUT) {
            const uint8_t *out = crypto_tls_record_out(engine, &len);
            moved = l->io.write(l->io.context, out, len, left);
            if (moved > 0) {
                crypto_tls_record_sent(engine, (size_t)moved);
            }
        } else if (want & wanted) {
            return 0;
        } else {
            uint8_t *in = crypto_tls_record_in(engine, &len);
            moved = l->io.read(l->io.context, in, len, left);
            if (moved > 0) {
                crypto_tls_record_received(engine, (size_t)moved);
            }
        }
        if (moved < 0) {
            return moved;
        }
        if (moved == 0 && (posix_interrupted != 0 || posix_monotonic_ms() >= deadline)) {
            return BYTES_E_TIMEOUT;
        }
    }
}

int service_link_open(struct service *s, struct service_link *l, const char *host)
{
    const struct crypto_entropy source = posix_entropy();
    uint8_t entropy[32];
    service_link_close(l, true);
    l->tls_error = 0;
    l->orderly = false;
    l->len = 0;
    l->io = posix_stream_port(&l->stream);
    l->stream.connect_to =
        l == &s->hub && service_given.hub[0] != 0 ? service_given.hub : service_given.connect_to;
    if (l == &s->road) {
        l->stream.connect_to = s->road_at[0] != 0 ? s->road_at : NULL;
    }
    int error = source.fill(source.context, entropy, sizeof entropy);
    if (error == 0) {
        const uint16_t port = l == &s->hub ? 443 : l == &s->road ? s->road_port : s->port;
        error = l->io.connect(l->io.context, host, port, (uint32_t)service_given.timeout * 1000);
    }
    if (error == 0) {
        l->open = true;
        error = crypto_tls_client_start(&l->tls, &s->trust, host, service_now(), entropy, l->tls_buffer,
                                        sizeof l->tls_buffer, false);
    }
    if (error == 0 && (l->versions_max != 0 || l->static_rsa)) {
        error = service_spoil(l, host);
    }
    if (error == 0) {
        error = move_records(l, CRYPTO_TLS_APP_OUT, posix_deadline((uint32_t)service_given.timeout * 1000));
    }
    if (error != 0) {
        service_link_close(l, true);
    }
    return error;
}

int service_link_send(struct service_link *l, struct bytes bytes)
{
    while (bytes.len > 0) {
        size_t room;
        const int error =
            move_records(l, CRYPTO_TLS_APP_OUT, posix_deadline((uint32_t)service_given.timeout * 1000));
        if (error != 0) {
            return error;
        }
        uint8_t *out = crypto_tls_app_out(engine_of(l), &room);
        const size_t part = bytes.len < room ? bytes.len : room;
        memcpy(out, bytes.p, part);
        crypto_tls_app_sent(engine_of(l), part);
        bytes = bytes_of(bytes.p + part, bytes.len - part);
    }
    return 0;
}

int service_link_flush(struct service_link *l)
{
    crypto_tls_flush(engine_of(l));
    return move_records(l, CRYPTO_TLS_APP_OUT | CRYPTO_TLS_APP_IN,
                        posix_deadline((uint32_t)service_given.timeout * 1000));
}

/* Take what belongs to the last answer out of the buffer; the beginning of the next one may follow. */
static void forget_answer(struct service_link *l)
{
    const size_t consumed = l->http.consumed < l->len ? l->http.consumed : l->len;
    memmove(l->buffer, l->buffer + consumed, l->len - consumed);
    l->len -= consumed;
    dps_http_init(&l->http, DPS_HTTP_RESPONSE);
}

int service_link_more(struct service_link *l, uint32_t timeout_ms)
{
    size_t len;
    const int error = move_records(l, CRYPTO_TLS_APP_IN, posix_deadline(timeout_ms));
    if (error != 0) {
        return error;
    }
    const uint8_t *in = crypto_tls_app_in(engine_of(l), &len);
    const size_t part = sizeof l->buffer - l->len < len ? sizeof l->buffer - l->len : len;
    memcpy(l->buffer + l->len, in, part);
    l->len += part;
    crypto_tls_app_received(engine_of(l), part);
    return 0;
}

int service_link_receive(struct service_link *l, uint32_t timeout_ms)
{
    const uint64_t deadline = posix_deadline(timeout_ms);
    forget_answer(l);
    int state = dps_http_advance(&l->http, l->buffer, &l->len, sizeof l->buffer, false);
    while (state == BYTES_E_MORE) {
        const uint64_t now = posix_monotonic_ms();
        const int error = service_link_more(l, deadline > now ? (uint32_t)(deadline - now) : 0);
        if (error == BYTES_E_STREAM &&
            l->len > 0) { /* a response without a length ends with the connection */
            return dps_http_advance(&l->http, l->buffer, &l->len, sizeof l->buffer, true);
        }
        if (error != 0) {
            return error;
        }
        state = dps_http_advance(&l->http, l->buffer, &l->len, sizeof l->buffer, false);
    }
    return state;
}

bool service_link_ended(struct service_link *l, uint32_t timeout_ms)
{
    const uint64_t deadline = posix_deadline(timeout_ms);
    for (;;) {
        size_t len;
        const int error = move_records(l, CRYPTO_TLS_APP_IN, deadline);
        if (error != 0) {
            return error != BYTES_E_TIMEOUT;
        }
        (void)crypto_tls_app_in(engine_of(l), &len); /* nobody asked for it */
        crypto_tls_app_received(engine_of(l), len);
    }
}

void service_link_close(struct service_link *l, bool abruptly)
{
    if (!l->open) {
        return;
    }
    if (!abruptly) {
        crypto_tls_close(engine_of(l));
        (void)move_records(l, 0, posix_deadline(1000));
    }
    l->io.close(l->io.context);
    l->open = false;
}

/* ---- Requests ------------------------------------------------------------------------------------------ */

static void take_answer(struct service *s, struct service_link *l)
{
    s->status = l->http.status;
    s->body = dps_http_body(&l->http, l->buffer);
    s->head = &l->http;
    s->head_bytes = l->buffer;
    if (dps_json_check(s->body, &s->json) != 0) {
        s->json = bytes_of(NULL, 0);
    }
}

int service_next(struct service *s, struct service_link *l, uint32_t timeout_ms)
{
    const int error = service_link_receive(l, timeout_ms);
    if (error == 0) {
        take_answer(s, l);
    }
    return error;
}

static void forget_last(struct service *s)
{
    s->status = 0;
    s->body = s->json = bytes_of(NULL, 0);
    s->head = NULL;
}

static int exchange(struct service *s, struct service_link *l, const char *host, struct bytes head,
                    struct bytes body)
{
    int error = l->open ? 0 : service_link_open(s, l, host);
    if (error == 0) {
        error = service_link_send(l, head);
    }
    if (error == 0) {
        error = service_link_send(l, body);
    }
    if (error == 0) {
        crypto_tls_flush(engine_of(l));
        error = service_next(s, l, (uint32_t)service_given.timeout * 1000);
    }
    if (error != 0 || !l->http.keep_alive) {
        service_link_close(l, error != 0);
    }
    return error;
}

/* A connection that was open already may have been closed meanwhile, also before it was ever used: then once more on a
 * new one. */
static int exchange_again(struct service *s, struct service_link *l, const char *host, struct bytes head,
                          struct bytes body)
{
    const bool kept = l->open;
    const int error = exchange(s, l, host, head, body);
    return error == BYTES_E_STREAM && kept && l->len == 0 ? exchange(s, l, host, head, body) : error;
}

/* Seconds that a 429 asks to wait, at least one. */
static uint32_t patience(const struct service *s)
{
    uint64_t seconds = 1;
    (void)dps_decimal_parse(service_header(s, "Retry-After"), 60, &seconds);
    return seconds == 0 ? 1 : (uint32_t)seconds;
}

bool service_ask_on(struct conformance *c, struct service_link *l, const char *host, const char *method,
                    const char *target, const char *headers, struct bytes body)
{
    struct service *s = service_of(c);
    const struct port_clock clock = posix_clock();
    char head[DPS_HTTP_HEAD_MAX];
    forget_last(s);
    const int n = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: %s\r\n%sContent-Length: %zu\r\n\r\n",
                           method, target, host, headers, body.len);
    if (n < 0 || (size_t)n >= sizeof head) {
        return conformance_check(c, false, "%s: the request of this case is too long", method);
    }
    for (unsigned tries = 0;; tries++) {
        const int error = exchange_again(s, l, host, bytes_of_text(head), body);
        if (error == BYTES_E_LIMIT) { /* ours, not the service's */
            conformance_skip(c, "%s %.80s: the answer is larger than the %zu bytes that this suite reads",
                             method, target, sizeof l->buffer);
            return false;
        }
        if (error != 0) {
            return conformance_check(c, false, "%s %.80s: no answer: %s", method, target,
                                     error == BYTES_E_TLS ? crypto_tls_error_text(l->tls_error)
                                                          : posix_error_text(error));
        }
        if (s->status != 429 || s->obey_rate_off || tries == 5 ||
            clock.sleep_ms(clock.context, patience(s) * 1000) != 0) {
            return true;
        }
    }
}

bool service_ask(struct conformance *c, const char *method, const char *target, const char *headers,
                 const char *body)
{
    struct service *s = service_of(c);
    return service_ask_on(c, &s->link, s->host, method, target, headers,
                          bytes_of_text(body != NULL ? body : ""));
}

enum service_outcome service_raw(struct conformance *c, struct bytes bytes, uint32_t timeout_ms)
{
    struct service *s = service_of(c);
    struct service_link *l = &s->other;
    forget_last(s);
    int error = service_link_open(s, l, s->host);
    if (error != 0) {
        conformance_check(c, false, "no connection: %s", posix_error_text(error));
        return SERVICE_SILENT;
    }
    /* A service that refuses early may close before all is sent: that is an answer too, if it said why. */
    if (service_link_send(l, bytes) == 0) {
        crypto_tls_flush(engine_of(l));
    }
    error = service_next(s, l, timeout_ms);
    if (error == 0) {
        return SERVICE_ANSWERED;
    }
    return error == BYTES_E_TIMEOUT ? SERVICE_SILENT : SERVICE_CLOSED;
}
