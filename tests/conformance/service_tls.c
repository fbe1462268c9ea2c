/* SPDX-License-Identifier: MIT */
/* SVC-S00-001 to 019: TLS and the connection. */
#include "tests/conformance/service.h"
#include <string.h>

static bool handshake_fails(struct conformance *c, const char *what)
{
    struct service *s = service_of(c);
    const int error = service_link_open(s, &s->other, s->host);
    return conformance_check(c, error != 0, "%s: the handshake must fail, and it succeeded", what);
}

static void certificate(struct conformance *c)
{
    struct service *s = service_of(c);
    const int error = service_link_open(s, &s->other, s->host);
    conformance_check(c, error == 0, "no secure connection: %s",
                      error == BYTES_E_TLS ? crypto_tls_error_text(s->other.tls_error)
                                           : posix_error_text(error));
    conformance_note(c, "the certificate names %s, is in date, and leads to --ca", s->host);
}

static void old_versions(struct conformance *c)
{
    service_of(c)->other.versions_max = BR_TLS10;
    if (handshake_fails(c, "TLS 1.0")) {
        service_of(c)->other.versions_max = BR_TLS11;
        handshake_fails(c, "TLS 1.1");
    }
}

static void no_forward_secrecy(struct conformance *c)
{
    service_of(c)->other.static_rsa = true;
    handshake_fails(c, "cipher suites without forward secrecy");
}

/* The simplest request that has an answer for everybody: a route that does not exist. */
static void write_request(const struct service *s, const char *headers, char *text, size_t size)
{
    snprintf(text, size, "GET /conf-no-such-thing HTTP/1.1\r\nHost: %s\r\n%s\r\n", s->host, headers);
}

static void close_notify(struct conformance *c)
{
    struct service *s = service_of(c);
    char request[512];
    write_request(s, "Connection: close\r\n", request, sizeof request);
    if (!conformance_check(c, service_raw(c, bytes_of_text(request), 10000) == SERVICE_ANSWERED,
                           "a request with Connection: close got no answer")) {
        return;
    }
    conformance_check(c, service_link_ended(&s->other, 10000),
                      "the service did not close after a request with Connection: close");
    conformance_check(c, s->other.orderly, "the connection was closed without close_notify");
}

static void one_byte_records(struct conformance *c)
{
    struct service *s = service_of(c);
    char request[512];
    write_request(s, "", request, sizeof request);
    int error = service_link_open(s, &s->other, s->host);
    for (size_t i = 0; error == 0 && i < strlen(request); i++) {
        error = service_link_send(&s->other, bytes_of(request + i, 1));
        if (error == 0) {
            error = service_link_flush(&s->other);
        }
    }
    if (error == 0) {
        error = service_link_receive(&s->other, 10000);
    }
    conformance_check(c, error == 0, "a request in TLS records of one byte each got no answer: %s",
                      posix_error_text(error));
}

/* An enrollment whose end is missing: the last byte, a blank; or the end of the chunks. */
static size_t write_cut_off(const struct service *s, const struct service_device *d, bool chunked, char *text,
                            size_t size)
{
    char body[SERVICE_TEXT_MAX];
    char token[1024];
    service_enrollment(d, "", body, sizeof body);
    service_policy_token(s, &s->owner, token, sizeof token);
    int n = snprintf(text, size, "PUT /enrollments/%s?%s HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\n",
                     d->id, SERVICE_API, s->host, token);
    if (chunked) {
        n += snprintf(text + n, size - (size_t)n, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n%s\r\n",
                      strlen(body), body);
    } else {
        n += snprintf(text + n, size - (size_t)n, "Content-Length: %zu\r\n\r\n%s", strlen(body) + 1, body);
    }
    return (size_t)n;
}

/* What came before the end must not be taken for the whole, now or later. */
static bool is_without_effect(struct conformance *c, bool chunked, bool abruptly)
{
    const struct port_clock clock = posix_clock();
    struct service *s = service_of(c);
    struct service_device d;
    struct service_snapshot before;
    char request[4096];
    char what[128];
    service_device_name(c, &d);
    service_created(c, d.id);
    if (!service_look(c, d.id, &before)) {
        return false;
    }
    const size_t len = write_cut_off(s, &d, chunked, request, sizeof request);
    if (!conformance_check(c, service_link_open(s, &s->other, s->host) == 0, "no connection") ||
        !conformance_check(c,
                           service_link_send(&s->other, bytes_of(request, len)) == 0 &&
                               service_link_flush(&s->other) == 0,
                           "the request could not be sent")) {
        return false;
    }
    service_link_close(&s->other, abruptly);
    (void)clock.sleep_ms(clock.context, 100);
    snprintf(what, sizeof what, "a request with %s was cut off %s close_notify",
             chunked ? "chunks" : "Content-Length", abruptly ? "without" : "with");
    return service_unchanged(c, d.id, &before, what);
}

static void cut_off(struct conformance *c)
{
    for (unsigned i = 0; i < 4 && service_has_admin(c); i++) {
        if (!is_without_effect(c, (i & 1) != 0, (i & 2) != 0)) {
            return;
        }
    }
}

/* A head that arrives byte by byte: others must be served meanwhile. */
static bool drip(struct conformance *c, unsigned seconds, bool *ended)
{
    struct service *s = service_of(c);
    const struct port_clock clock = posix_clock();
    char request[512];
    write_request(s, "X-Slow: ", request, sizeof request);
    request[strlen(request) - 4] = 0; /* the head never ends */
    *ended = false;
    if (!conformance_check(c,
                           service_link_open(s, &s->other, s->host) == 0 &&
                               service_link_send(&s->other, bytes_of_text(request)) == 0 &&
                               service_link_flush(&s->other) == 0,
                           "no connection")) {
        return false;
    }
    for (unsigned i = 0; i < seconds && posix_interrupted == 0; i++) {
        *ended = service_link_ended(&s->other, i == 0 ? 50 : 1000);
        if (*ended) {
            return true;
        }
        const uint64_t begun = clock.monotonic_ms(clock.context);
        if (!service_ask(c, "GET", "/conf-no-such-thing", "", NULL) ||
            !conformance_check(c, clock.monotonic_ms(clock.context) - begun < 5000,
                               "another request took more than 5 seconds meanwhile")) {
            return false;
        }
        *ended = service_link_send(&s->other, bytes_of("x", 1)) != 0 || service_link_flush(&s->other) != 0;
        if (*ended) {
            return true;
        }
    }
    return true;
}

static void slow_others(struct conformance *c)
{
    bool ended;
    drip(c, 2, &ended);
}

static void slow_ended(struct conformance *c)
{
    bool ended;
    if (drip(c, 120, &ended)) {
        conformance_check(c, ended,
                          "a head that comes with one byte a second is still welcome after 2 minutes");
    }
}

static void keep_alive(struct conformance *c)
{
    struct service *s = service_of(c);
    char request[512];
    write_request(s, "", request, sizeof request);
    if (!conformance_check(c, service_raw(c, bytes_of_text(request), 10000) == SERVICE_ANSWERED,
                           "the first request got no answer")) {
        return;
    }
    const int error = service_link_send(&s->other, bytes_of_text(request));
    conformance_check(
        c, error == 0 && service_link_flush(&s->other) == 0 && service_link_receive(&s->other, 10000) == 0,
        "the second request on one connection got no answer");
}

static void pipelined(struct conformance *c)
{
    struct service *s = service_of(c);
    char request[2048];
    char targets[2][512] = {"/conf-no-such-thing", ""};
    unsigned codes[2];
    snprintf(targets[1], sizeof targets[1], "/%s/registrations/conf-nobody/operations/1?%s",
             service_given.scope, SERVICE_API);
    for (size_t i = 0; i < 2; i++) { /* each alone: what tells its answer from the other's */
        if (!service_ask(c, "GET", targets[i], "", NULL)) {
            return;
        }
        codes[i] = service_error_code(s);
    }
    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: %s\r\n\r\nGET %s HTTP/1.1\r\nHost: %s\r\n\r\n", targets[0], s->host,
             targets[1], s->host);
    for (size_t i = 0; i < 2; i++) {
        const bool answered = i == 0 ? service_raw(c, bytes_of_text(request), 10000) == SERVICE_ANSWERED
                                     : service_next(s, &s->other, 10000) == 0;
        if (!conformance_check(c, answered, "two requests were sent at once, and number %zu got no answer",
                               i + 1) ||
            !conformance_check(
                c, service_error_code(s) == codes[i],
                "two requests were sent at once: answer %zu has errorCode %u, and alone it has %u", i + 1,
                service_error_code(s), codes[i])) {
            return;
        }
    }
}

#define SDK "Azure IoT device SDKs: "

const struct conformance_case service_cases_tls[] = {
    {"SVC-S00-001",
     "The service must show a certificate for the name it is asked for, issued under the given CA.",
     "RFC 5246 §7.4.2, RFC 6125 §6", CONFORMANCE_MUST, 0, certificate},
    {"SVC-S00-002", "TLS 1.0 and 1.1 must be refused.", "RFC 8996 §2", CONFORMANCE_MUST, 0, old_versions},
    {"SVC-S00-003", "Key exchange without forward secrecy should be refused: tokens are worth recording.",
     "RFC 9325 §4.1", CONFORMANCE_SHOULD, 0, no_forward_secrecy},
    {"SVC-S00-004", "A connection should be closed with close_notify, so that a cut is seen as one.",
     "RFC 5246 §7.2.1", CONFORMANCE_SHOULD, 0, close_notify},
    {"SVC-S00-005", "A request must be understood however TLS records divide it.", "RFC 5246 §6.2.1",
     CONFORMANCE_MUST, 0, one_byte_records},
    {"SVC-S00-006", "A request that is cut off, with or without close_notify, must have no effect.",
     "RFC 9112 §8", CONFORMANCE_MUST, 0, cut_off},
    {"SVC-S00-007", "A client that sends its request very slowly must not keep others waiting.",
     "spec-notes: Nobody can stall the service", CONFORMANCE_MUST, 0, slow_others},
    {"SVC-S00-008", "The service should give up on a request that never ends.",
     "RFC 9110 §15.5.9; CWE-400 (slowloris)", CONFORMANCE_SHOULD, CONFORMANCE_SLOW, slow_ended},
    {"SVC-S00-009", "A connection should carry more than one request.",
     "RFC 9112 §9.3; " SDK "they keep theirs", CONFORMANCE_SHOULD, 0, keep_alive},
    {"SVC-S00-010", "Requests that are sent without waiting should be answered in their order.",
     "RFC 9112 §9.3.2", CONFORMANCE_SHOULD, 0, pipelined},
    {0},
};
