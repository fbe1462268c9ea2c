/* SPDX-License-Identifier: MIT */
/* SVC-S00-020 to 049: HTTP. A malformed request may be answered with 4xx or with the end of the connection: what
 * matters is that it is not taken for a different request. */
#include "dps/protocol/text.h"
#include "tests/conformance/service.h"
#include <string.h>

struct vector {
    const char *name;
    const char *bytes; /* $H: the host; $S: the ID scope */
};

/* Fill in the places of a pattern. */
static size_t fill(const struct service *s, const char *pattern, char *text, size_t size)
{
    struct bytes_writer w = bytes_writer_over((uint8_t *)text, size);
    for (const char *p = pattern; *p != 0; p++) {
        if (*p == '$' && p[1] == 'H') {
            dps_write_text(&w, s->host);
            p++;
        } else if (*p == '$' && p[1] == 'S') {
            dps_write_text(&w, service_given.scope);
            p++;
        } else {
            bytes_write_u8(&w, (uint8_t)*p);
        }
    }
    return bytes_written(&w).len;
}

/* An answer that says that the request is malformed, and not one that a request with this target would get anyway. */
static bool says_malformed(unsigned status)
{
    static const unsigned statuses[] = {400, 408, 411, 413, 414, 431, 501, 505};
    for (size_t i = 0; i < COUNT(statuses); i++) {
        if (statuses[i] == status) {
            return true;
        }
    }
    return false;
}

/* Never a second answer: what follows a malformed request is not another request. */
static bool is_stopped(struct conformance *c, const struct vector *v, size_t len, const char *request,
                       bool answered)
{
    struct service *s = service_of(c);
    /* A proxy that collects the whole request first (tests/faults/front.py) gives up after 10 s. */
    const enum service_outcome came = service_raw(c, bytes_of(request, len), 15000);
    if (!conformance_check(c, came != SERVICE_SILENT, "%s: neither an answer nor the end of the connection",
                           v->name)) {
        return false;
    }
    if (came == SERVICE_CLOSED) {
        return conformance_check(c, true, "%s", v->name);
    }
    if (!conformance_check(c, answered || says_malformed(s->status),
                           "%s: expected 400 or the end, got %u: %s", v->name, s->status, service_shown(s))) {
        return false;
    }
    return conformance_check(c, service_link_receive(&s->other, 1000) != 0,
                             "%s: what followed the malformed request was answered as a request", v->name);
}

/* answered: any answer to the first request will do. */
static void try_stopped(struct conformance *c, const struct vector *vectors, size_t count, bool answered)
{
    char request[4096];
    for (size_t i = 0; i < count; i++) {
        const size_t len = fill(service_of(c), vectors[i].bytes, request, sizeof request);
        if (!is_stopped(c, &vectors[i], len, request, answered)) {
            return;
        }
    }
    service_ask(c, "GET", "/conf-no-such-thing", "", NULL); /* and the service is still there */
}

#define START "POST /$S/registrations/conf-nobody?" SERVICE_API " HTTP/1.1\r\nHost: $H\r\n"
#define SECOND "GET /conf-smuggled HTTP/1.1\r\nHost: $H\r\n\r\n"

static void smuggling(struct conformance *c)
{
    /* These may be answered as chunks say, if nothing is read after them. */
    static const struct vector ambiguous[] = {
        {"Content-Length beside Transfer-Encoding",
         START "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SECOND},
        {"Transfer-Encoding before Content-Length",
         START "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" SECOND},
    };
    static const struct vector vectors[] = {
        {"two different Content-Lengths", START "Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}" SECOND},
        {"a list of different lengths", START "Content-Length: 2, 40\r\n\r\n{}" SECOND},
        {"Transfer-Encoding that is not chunked",
         START "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" SECOND},
        {"chunked that is not the last coding",
         START "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" SECOND},
        {"a space before the colon", START "Content-Length : 2\r\n\r\n{}" SECOND},
    };
    try_stopped(c, ambiguous, COUNT(ambiguous), true);
    try_stopped(c, vectors, COUNT(vectors), false);
}

static void lengths(struct conformance *c)
{
    static const struct vector vectors[] = {
        {"negative", START "Content-Length: -1\r\n\r\n"},
        {"with a sign", START "Content-Length: +2\r\n\r\n{}"},
        {"hexadecimal", START "Content-Length: 0x2\r\n\r\n{}"},
        {"not a number", START "Content-Length: two\r\n\r\n{}"},
        {"2^64 and more", START "Content-Length: 18446744073709551618\r\n\r\n{}"},
    };
    try_stopped(c, vectors, COUNT(vectors), false);
}

static void chunk_sizes(struct conformance *c)
{
    static const struct vector vectors[] = {
        {"not a number", START "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"},
        {"negative", START "Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n"},
        {"with 0x", START "Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n"},
        {"empty", START "Transfer-Encoding: chunked\r\n\r\n\r\n{}\r\n0\r\n\r\n"},
        {"2^64 and more", START "Transfer-Encoding: chunked\r\n\r\n10000000000000002\r\n{}\r\n0\r\n\r\n"},
        {"no line end after the chunk", START "Transfer-Encoding: chunked\r\n\r\n2\r\n{}0\r\n\r\n" SECOND},
    };
    try_stopped(c, vectors, COUNT(vectors), false);
}

/* A service that waits for all of it can be made to wait for ever. */
static void gigabytes(struct conformance *c)
{
    static const struct vector vectors[] = {
        {"Content-Length", START "Content-Length: 1073741824\r\n\r\n"},
        {"a chunk", START "Transfer-Encoding: chunked\r\n\r\n40000000\r\n{}"},
    };
    try_stopped(c, vectors, COUNT(vectors), false);
}

static void hosts(struct conformance *c)
{
    static const struct vector vectors[] = {
        {"no Host", "GET /conf-no-such-thing HTTP/1.1\r\n\r\n"},
        {"two Hosts", "GET /conf-no-such-thing HTTP/1.1\r\nHost: $H\r\nHost: other.example\r\n\r\n"},
    };
    try_stopped(c, vectors, COUNT(vectors), false);
}

static void request_lines(struct conformance *c)
{
    static const struct vector vectors[] = {
        {"no target", "GET HTTP/1.1\r\nHost: $H\r\n\r\n"},
        {"no version", "GET /conf-no-such-thing\r\nHost: $H\r\n\r\n"},
        {"HTTP/3.7", "GET /conf-no-such-thing HTTP/3.7\r\nHost: $H\r\n\r\n"},
        {"a method that is not a token", "G(T /conf-no-such-thing HTTP/1.1\r\nHost: $H\r\n\r\n"},
        {"not HTTP at all", "\x16\x03\x01 hello, is this a service?\r\n\r\n"},
    };
    try_stopped(c, vectors, COUNT(vectors), false);
}

static void many_headers(struct conformance *c)
{
    static char request[100000];
    static const struct vector one_large = {"one header of 64 KiB", ""};
    static const struct vector many_small = {"2000 headers", ""};
    size_t len =
        fill(service_of(c), "GET /conf-no-such-thing HTTP/1.1\r\nHost: $H\r\n", request, sizeof request);
    const size_t begin = len;
    len += (size_t)snprintf(request + len, sizeof request - len, "X-Large: %065536d\r\n\r\n", 0);
    if (!is_stopped(c, &one_large, len, request, true)) {
        return;
    }
    len = begin;
    for (unsigned i = 0; i < 2000; i++) {
        len += (size_t)snprintf(request + len, sizeof request - len, "X-Small-%u: value of it\r\n", i);
    }
    len += (size_t)snprintf(request + len, sizeof request - len, "\r\n");
    if (is_stopped(c, &many_small, len, request, true)) {
        service_ask(c, "GET", "/conf-no-such-thing", "", NULL);
    }
}

static void chunked(struct conformance *c)
{
    static const struct vector vectors[] = {
        {"one chunk", "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"},
        {"two chunks", "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"},
        {"upper-case and leading zeros", "Transfer-Encoding: Chunked\r\n\r\n00A\r\n        {}\r\n0\r\n\r\n"},
        {"an extension", "Transfer-Encoding: chunked\r\n\r\n2;name=\"value\"\r\n{}\r\n0\r\n\r\n"},
        {"a trailer", "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-Trailer: value\r\n\r\n"},
    };
    const struct service *s = service_of(c);
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct service_device d;
        char request[2048];
        char target[512];
        service_device_name(c, &d);
        service_target(&d, "/register", target, sizeof target);
        /* The body lacks the keys, or the device is not known: the answer must be the same however the body comes. */
        if (!service_ask(c, "PUT", target, "Content-Type: application/json\r\n", "{}")) {
            return;
        }
        const unsigned status = s->status, code = service_error_code(s);
        size_t len = (size_t)snprintf(request, sizeof request,
                                      "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n",
                                      target, s->host);
        len += fill(s, vectors[i].bytes, request + len, sizeof request - len);
        if (!conformance_check(c, service_raw(c, bytes_of(request, len), 10000) == SERVICE_ANSWERED,
                               "%s: no answer", vectors[i].name) ||
            !conformance_check(c, s->status == status && service_error_code(s) == code,
                               "%s: got %u and errorCode %u; the same body with Content-Length got %u and %u",
                               vectors[i].name, s->status, service_error_code(s), status, code)) {
            return;
        }
    }
}

static void expect_continue(struct conformance *c)
{
    struct service *s = service_of(c);
    char request[1024];
    snprintf(request, sizeof request,
             "POST /%s/registrations/conf-nobody?%s HTTP/1.1\r\nHost: %s\r\nContent-Length: 2\r\n"
             "Expect: 100-continue\r\n\r\n",
             service_given.scope, SERVICE_API, s->host);
    int error = service_link_open(s, &s->other, s->host);
    if (error == 0) {
        error = service_link_send(&s->other, bytes_of_text(request));
    }
    if (error == 0) {
        error = service_link_flush(&s->other);
    }
    /* Interim answers are skipped by the parser; the body follows after a pause, as an impatient client sends it. */
    if (error == 0 && service_link_receive(&s->other, 300) != 0) {
        error = service_link_send(&s->other, bytes_of_text("{}"));
        if (error == 0) {
            error = service_link_flush(&s->other);
        }
        if (error == 0) {
            error = service_link_receive(&s->other, 10000);
        }
    }
    conformance_check(c, error == 0, "a request with Expect: 100-continue got no answer: %s",
                      posix_error_text(error));
}

static void absolute_form(struct conformance *c)
{
    const struct service *s = service_of(c);
    struct service_device d;
    char target[512];
    char body[SERVICE_TEXT_MAX];
    if (!service_device_new(c, &d, "")) {
        return;
    }
    snprintf(target, sizeof target, "https://%s/%s/registrations/%s/register?%s", s->host,
             service_given.scope, d.id, SERVICE_API);
    service_body(&d, body, sizeof body);
    if (service_ask(c, "PUT", target, "Content-Type: application/json\r\n", body)) {
        service_status(c, "a target in absolute form", 401);
    }
}

static void http_1_0(struct conformance *c)
{
    struct service *s = service_of(c);
    char request[512];
    snprintf(request, sizeof request, "GET /conf-no-such-thing HTTP/1.0\r\nHost: %s\r\n\r\n", s->host);
    conformance_check(c, service_raw(c, bytes_of_text(request), 10000) == SERVICE_ANSWERED,
                      "a request of HTTP/1.0 got no answer");
    conformance_check(c, service_link_ended(&s->other, 10000), "HTTP/1.0: the connection was not closed");
}

/* ---- Answers ------------------------------------------------------------------------------------------- */

static void unknown_method(struct conformance *c)
{
    static const char *const methods[] = {"DELETE", "PATCH", "POST", "GET"};
    struct service_device d;
    char target[512];
    service_device_name(c, &d);
    service_target(&d, "/register", target, sizeof target);
    for (size_t i = 0; i < COUNT(methods); i++) {
        if (!service_ask(c, methods[i], target, "", "{}") || !service_refused(c, methods[i], 0)) {
            return;
        }
    }
}

/* 404, or 400 from a service that reads the path before it looks whether there is such a thing. */
static void unknown_route(struct conformance *c)
{
    const struct service *s = service_of(c);
    if (service_ask(c, "GET", "/conf-no-such-thing", "", NULL) &&
        conformance_check(c, s->status == 404 || s->status == 400,
                          "a path that means nothing: expected status 404 or 400, got %u: %.200s", s->status,
                          service_shown(s))) {
        service_refused_in_form(c, "a path that means nothing", 0);
    }
}

/* Whatever is refused, whoever refuses it. */
static const struct vector refusals[] = {
    {"GET", "/conf-no-such-thing"},
    {"PUT", "/conf-other-scope/registrations/conf-nobody/register?" SERVICE_API},
    {"GET", "/enrollments/conf-nobody?" SERVICE_API},
    {"POST", "/enrollments/query?" SERVICE_API},
    {"GET", "/registrations/conf-nobody?" SERVICE_API},
};

static void refusal_form(struct conformance *c)
{
    for (size_t i = 0; i < COUNT(refusals); i++) {
        if (!service_ask(c, refusals[i].name, refusals[i].bytes, "Content-Type: application/json\r\n",
                         "{}") ||
            !service_refused_in_form(c, refusals[i].bytes, 0)) {
            return;
        }
    }
}

static bool starts_with(struct bytes text, const char *prefix)
{
    return text.len >= strlen(prefix) &&
           dps_text_equal_nocase(bytes_of(text.p, strlen(prefix)), bytes_of_text(prefix));
}

static void content_type(struct conformance *c)
{
    const struct service *s = service_of(c);
    for (size_t i = 0; i < COUNT(refusals); i++) {
        if (!service_ask(c, refusals[i].name, refusals[i].bytes, "", "{}") ||
            !conformance_check(c, starts_with(service_header(s, "Content-Type"), "application/json"),
                               "%s: Content-Type must be application/json", refusals[i].bytes)) {
            return;
        }
    }
}

static void tracking(struct conformance *c)
{
    const struct service *s = service_of(c);
    char id[128];
    for (size_t i = 0; i < COUNT(refusals); i++) {
        if (!service_ask(c, refusals[i].name, refusals[i].bytes, "", "{}")) {
            return;
        }
        const struct bytes header = service_header(s, "x-ms-request-id");
        (void)service_text(s, "trackingId", id, sizeof id);
        if (!conformance_check(c, header.len > 0 && bytes_equal_public(header, bytes_of_text(id)),
                               "%s: x-ms-request-id and trackingId must be there and the same: %s",
                               refusals[i].bytes, service_shown(s))) {
            return;
        }
    }
}

static void api_versions(struct conformance *c)
{
    static const char *const versions[] = {"2017-11-15", "2018-04-01", "2018-11-01",
                                           "2019-03-31", "2021-06-01", "2021-10-01"};
    struct service_device d;
    char target[512];
    char body[SERVICE_TEXT_MAX];
    if (!service_device_new(c, &d, "")) {
        return;
    }
    service_body(&d, body, sizeof body);
    for (size_t i = 0; i < COUNT(versions); i++) {
        snprintf(target, sizeof target, "/%s/registrations/%s/register?api-version=%s", service_given.scope,
                 d.id, versions[i]);
        if (!service_ask(c, "PUT", target, "Content-Type: application/json\r\n", body) ||
            !service_status(c, versions[i], 401)) {
            return;
        }
    }
}

static void no_api_version(struct conformance *c)
{
    static const char *const queries[] = {"", "?api-version=", "?api-version=latest",
                                          "?api-version=2021-06-01x"};
    struct service_device d;
    char target[512];
    char body[SERVICE_TEXT_MAX];
    if (!service_device_new(c, &d, "")) {
        return;
    }
    service_body(&d, body, sizeof body);
    for (size_t i = 0; i < COUNT(queries); i++) {
        snprintf(target, sizeof target, "/%s/registrations/%s/register%s", service_given.scope, d.id,
                 queries[i]);
        if (!service_ask(c, "PUT", target, "Content-Type: application/json\r\n", body) ||
            !service_refused(c, queries[i], 400)) {
            return;
        }
    }
}

/* Each challenge costs the service RSA work, and only EK_pub and an id are needed to ask for one. */
static void rate(struct conformance *c)
{
    struct service *s = service_of(c);
    struct service_device d;
    char body[SERVICE_TEXT_MAX];
    uint64_t seconds;
    unsigned i = 0;
    if (!service_device_new(c, &d, "")) {
        return;
    }
    service_body(&d, body, sizeof body);
    s->obey_rate_off = true;
    do {
        if (!service_ask_challenge(c, &d, body)) {
            return;
        }
    } while (s->status == 401 && ++i < 100);
    if (!conformance_check(c, s->status == 429,
                           "100 challenges for one device, one after the other, and no end")) {
        return;
    }
    conformance_note(c, "limited after %u challenges", i);
    service_refused(c, "too many challenges", 429);
    conformance_check(c, dps_decimal_parse(service_header(s, "Retry-After"), 86400, &seconds) == 0,
                      "429 must say in Retry-After how many seconds to wait, in digits");
}

const struct conformance_case service_cases_http[] = {
    {"SVC-S00-020",
     "A request whose length is ambiguous must be refused, and nothing after it may count as a request.",
     "RFC 9112 §6.1, §6.3, §11.2, §5.1", CONFORMANCE_MUST, 0, smuggling},
    {"SVC-S00-021", "An impossible Content-Length must be refused.", "RFC 9112 §6.3", CONFORMANCE_MUST, 0,
     lengths},
    {"SVC-S00-022", "An impossible chunk must be refused.", "RFC 9112 §7.1", CONFORMANCE_MUST, 0,
     chunk_sizes},
    {"SVC-S00-023", "An HTTP/1.1 request without Host or with two must be refused.", "RFC 9112 §3.2",
     CONFORMANCE_MUST, 0, hosts},
    {"SVC-S00-024", "Anything that is not a request must be refused.", "RFC 9112 §3", CONFORMANCE_MUST, 0,
     request_lines},
    {"SVC-S00-025",
     "A head of any size must not harm the service: it is answered or cut off, and others are answered.",
     "RFC 6585 §5; RFC 9112 §3, §5", CONFORMANCE_MUST, 0, many_headers},
    {"SVC-S00-026", "A chunked body must be understood, with extensions and trailers.",
     "RFC 9112 §7.1; Node SDK: sends chunks", CONFORMANCE_MUST, 0, chunked},
    {"SVC-S00-027",
     "A client that expects 100 (Continue) must get an answer, whether or not it gets the 100.",
     "RFC 9110 §10.1.1", CONFORMANCE_MUST, 0, expect_continue},
    {"SVC-S00-028", "A target in absolute form must be understood.", "RFC 9112 §3.2.2", CONFORMANCE_MUST, 0,
     absolute_form},
    {"SVC-S00-029", "An HTTP/1.0 request should be answered, and the connection closed after it.",
     "RFC 9112 §9.3", CONFORMANCE_SHOULD, 0, http_1_0},
    {"SVC-S00-030", "A path that means nothing must be answered with 404 or 400 and the error JSON.",
     "DPS ProvisioningServiceErrorDetails", CONFORMANCE_MUST, 0, unknown_route},
    {"SVC-S00-031", "Methods that the device API does not have must be refused.", "DPS \"Register device\"",
     CONFORMANCE_MUST, 0, unknown_method},
    {"SVC-S00-032",
     "Every refusal must be JSON with an integer errorCode that begins with the status, and a message.",
     "DPS ProvisioningServiceErrorDetails; iot-identity-service: demands both", CONFORMANCE_MUST, 0,
     refusal_form},
    {"SVC-S00-033", "Every refusal must have the type application/json.",
     "Node SDK: does not parse anything else, and dies", CONFORMANCE_MUST, 0, content_type},
    {"SVC-S00-034",
     "x-ms-request-id and trackingId should be the same id, so that a user's report can be found.",
     "DPS ProvisioningServiceErrorDetails", CONFORMANCE_SHOULD, 0, tracking},
    {"SVC-S00-035", "All api-versions that device SDKs send must be accepted.",
     "C 2021-06-01, Node, C#, Java, Python 2019-03-31; older ones in the field", CONFORMANCE_MUST, 0,
     api_versions},
    {"SVC-S00-036", "A missing or impossible api-version should be refused with 400.",
     "spec-notes: Error codes", CONFORMANCE_SHOULD, 0, no_api_version},
    {"SVC-S00-037", "Challenges for one device should be limited, with 429 and Retry-After in seconds.",
     "RFC 6585 §4; C SDK: reads digits only; spec-notes: Error codes", CONFORMANCE_SHOULD, 0, rate},
    {"SVC-S00-038", "A body of a gigabyte should be refused before it arrives.", "RFC 9110 §15.5.14; CWE-400",
     CONFORMANCE_SHOULD, 0, gigabytes},
    {0},
};
