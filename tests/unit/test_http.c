/* SPDX-License-Identifier: MIT */
/* dps/protocol/http.h. Every message of the table is received whole, cut in two at every place, in single bytes,
 * truncated at every place, and with every byte changed. Origin: RFC 9112 section 3 (request) and 7.1 (chunks), RFC
 * 9110 section 4.2.3 and 15; the headers of the real service and of the Node SDK as captured (shortened); the rest is
 * ours. */
#include "dps/protocol/http.h"
#include "dps/protocol/http_message.h"
#include "tests/unit/test.h"
#include <stdlib.h>
#include <string.h>

#define CAPACITY 4096
#define GET "GET / HTTP/1.1\r\nHost: a\r\n"
#define OK "HTTP/1.1 200 OK\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"

enum { REQ = DPS_HTTP_REQUEST, RES = DPS_HTTP_RESPONSE };

struct message {
    uint8_t role;
    bool keep_alive;
    bool until_close; /* complete only when the peer closes */
    const char *text;
    const char *start; /* method or status */
    const char *body;
};

static const struct message messages[] = {
    /* RFC 9112 section 3 and RFC 9110 section 3.9 */
    {REQ, true, false, "GET /hello.txt HTTP/1.1\r\nUser-Agent: curl/7.64.1\r\nHost: www.example.com\r\n\r\n",
     "GET", ""},
    {REQ, true, false, "GET http://www.example.org/pub/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET", ""},
    {REQ, true, false, "OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n", "OPTIONS", ""},
    {REQ, true, false,
     "PUT /0ne0/registrations/d/register?api-version=2019-03-31 HTTP/1.1\r\nAccept: application/json\r\n"
     "Content-Type: application/json; charset=utf-8\r\nContent-Length: 20\r\nHost: a:443\r\n"
     "Connection: keep-alive\r\n\r\n{\"registrationId\":1}",
     "PUT", "{\"registrationId\":1}"},
    /* the Node SDK polls with a body */
    {REQ, true, false, GET "content-length: 2\r\nauthorization: x\r\n\r\n{}", "GET", "{}"},
    {REQ, true, false, GET "Content-Length: 2\r\nCONTENT-LENGTH: 2\r\n\r\n{}", "GET", "{}"},
    {REQ, true, false, "\r\n" GET "\r\n", "GET", ""},
    {REQ, true, false, "M-SEARCH / HTTP/1.9\r\nHost: \t a \t \r\nX-Empty:\r\nX-Text: \xC3\xBC\r\n\r\n",
     "M-SEARCH", ""},
    {REQ, false, false, GET "Connection: x, Close\r\n\r\n", "GET", ""},
    {REQ, false, false, GET "Connection: keep-alive\r\nConnection:,\t,close ,\r\n\r\n", "GET", ""},
    {REQ, true, false, GET "Connection: closed, x-close\r\n\r\n", "GET", ""},
    {REQ, false, false, "GET / HTTP/1.0\r\n\r\n", "GET", ""},
    {REQ, true, false, "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET", ""},
    {REQ, false, false, "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "GET", ""},
    {REQ, true, false, GET CHUNKED "\r\n0\r\n\r\n", "GET", ""},
    {REQ, true, false,
     "POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding:CHUNKED\r\n\r\n4\r\nWiki\r\n5 ;q=\"1\";r\r\npedia\r\n"
     "00B;x\r\n in chunks.\r\n000\r\nX-Sum: 1\r\nContent-Length: 99\r\n\r\n",
     "POST", "Wikipedia in chunks."},
    /* bodies that look like framing */
    {REQ, true, false, GET CHUNKED "\r\n7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", "GET", "\r\n0\r\n\r\n"},
    {REQ, true, false, GET "Content-Length: 4\r\n\r\n\r\n\r\n", "GET", "\r\n\r\n"},
    {RES, true, false, OK "Content-Length: 5\r\n\r\nhello", "200", "hello"},
    {RES, true, false, "HTTP/1.1 200\r\ncontent-length:0\r\n\r\n", "200", ""},
    {RES, true, false, "HTTP/1.1 202 \r\nRetry-After: 3\r\n" CHUNKED "\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
     "202", "{}"},
    {RES, true, false, "HTTP/1.1 204 No Content\r\nDate: Thu, 10 Jan 2019 19:03:53 GMT\r\n\r\n", "204", ""},
    {RES, true, false, "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", "304", ""},
    {RES, true, false, "HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 1\r\n\r\nx", "200", "x"},
    {RES, true, false,
     "HTTP/1.1 100\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" OK CHUNKED
     "\r\n1\r\nx\r\n0\r\n\r\n",
     "200", "x"},
    {RES, false, false, "HTTP/1.0 401 Unauthorized\r\nContent-Length: 1\r\n\r\nx", "401", "x"},
    {RES, false, true, OK "\r\nuntil the end", "200", "until the end"},
    {RES, false, true, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", "200", ""},
};

static bool span_is(struct bytes s, const char *text)
{
    return bytes_equal_public(s, bytes_of_text(text));
}

/* The start of a message as text: the method, or the three digits of the status. */
static bool start_is(const struct dps_http *h, const uint8_t *buffer, const char *start)
{
    if (h->role == REQ) {
        return span_is(dps_http_method(h, buffer), start);
    }
    return h->status == (start[0] - '0') * 100 + (start[1] - '0') * 10 + (start[2] - '0');
}

/* Append and advance. Bytes after *len are garbage on purpose: nothing may depend on them. */
static int feed(struct dps_http *h, uint8_t *buffer, size_t *len, const char *text, size_t count, bool closed)
{
    memset(buffer + *len, '\n', CAPACITY - *len);
    memcpy(buffer + *len, text, count);
    *len += count;
    return dps_http_advance(h, buffer, len, CAPACITY, closed);
}

static bool received(const struct dps_http *h, const uint8_t *buffer, size_t len, const struct message *m)
{
    return start_is(h, buffer, m->start) && span_is(dps_http_body(h, buffer), m->body) &&
           h->consumed == len && h->consumed == h->head_len + h->body_len && h->keep_alive == m->keep_alive;
}

/* In two parts, the second followed by the close if the message needs it. */
static bool receive_split(const struct message *m, size_t first)
{
    uint8_t buffer[CAPACITY];
    struct dps_http h;
    size_t len = 0, total = strlen(m->text);
    dps_http_init(&h, (enum dps_http_role)m->role);
    int rc = feed(&h, buffer, &len, m->text, first, false);
    if (first < total) {
        if (rc != BYTES_E_MORE) {
            return false;
        }
        rc = feed(&h, buffer, &len, m->text + first, total - first, false);
    }
    if (m->until_close && rc == BYTES_E_MORE) {
        rc = feed(&h, buffer, &len, "", 0, true);
    }
    return rc == 0 && received(&h, buffer, len, m) && feed(&h, buffer, &len, "", 0, true) == 0;
}

static int test_whole_and_split(void)
{
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        for (size_t first = 0; first <= strlen(messages[i].text); first++) {
            CHECK(receive_split(&messages[i], first));
        }
    }
    return 0;
}

static int test_single_bytes(void)
{
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        const struct message *m = &messages[i];
        uint8_t buffer[CAPACITY];
        struct dps_http h;
        size_t len = 0, total = strlen(m->text);
        dps_http_init(&h, (enum dps_http_role)m->role);
        for (size_t at = 0; at < total; at++) {
            bool last = at + 1 == total && !m->until_close;
            CHECK_EQUAL(feed(&h, buffer, &len, m->text + at, 1, false), (last ? 0 : BYTES_E_MORE));
        }
        if (m->until_close) {
            CHECK_EQUAL(feed(&h, buffer, &len, "", 0, true), 0);
        }
        CHECK(received(&h, buffer, len, m));
    }
    return 0;
}

/* A truncated message is never complete; when the peer closes there it is malformed, and stays so. */
static int test_truncated(void)
{
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        const struct message *m = &messages[i];
        size_t total = strlen(m->text);
        for (size_t cut = 0; cut < total; cut++) {
            uint8_t buffer[CAPACITY];
            struct dps_http h;
            size_t len = 0;
            dps_http_init(&h, (enum dps_http_role)m->role);
            CHECK_EQUAL(feed(&h, buffer, &len, m->text, cut, false), BYTES_E_MORE);
            if (m->until_close && h.head_len > 0) {
                continue;
            }
            CHECK(feed(&h, buffer, &len, "", 0, true) == BYTES_E_FORMAT && !h.keep_alive);
            CHECK_EQUAL(feed(&h, buffer, &len, m->text + cut, total - cut, false), BYTES_E_FORMAT);
        }
    }
    return 0;
}

/* What any outcome must satisfy, so that callers may use the views without a test of their own. */
static bool sane(const struct dps_http *h, const uint8_t *buffer, size_t len, size_t capacity, int rc)
{
    struct bytes value;
    if (rc == 0 && (h->consumed > len || h->consumed != h->head_len + h->body_len)) {
        return false;
    }
    if (rc == BYTES_E_MORE && len >= capacity) {
        return false;
    }
    if (rc != 0 && rc != BYTES_E_MORE && rc != BYTES_E_FORMAT && rc != BYTES_E_LIMIT) {
        return false;
    }
    if (rc == 0 && h->role == REQ && (h->target_len == 0 || h->method_len == 0)) {
        return false;
    }
    (void)dps_http_header(h, buffer, "host", &value);
    return h->head_len + h->body_len <= len && h->target_at + h->target_len <= len && value.len <= len;
}

/* In an allocation of the message's size, so that a sanitizer sees any byte read or written after it. */
static int test_every_byte_changed(void)
{
    static const uint8_t values[] = {0, '\t', '\n', '\r', ' ', '0', '9', ':', ';', 'F', 'x', 0x7F, 0xFF};
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        size_t total = strlen(messages[i].text);
        bool ok = true;
        for (size_t at = 0; at < total; at++) {
            for (size_t v = 0; v < sizeof values; v++) {
                uint8_t *buffer = malloc(total);
                CHECK(buffer != NULL);
                memcpy(buffer, messages[i].text, total);
                buffer[at] = values[v];
                struct dps_http h;
                size_t len = at; /* the changed byte is the first of the second part */
                dps_http_init(&h, (enum dps_http_role)messages[i].role);
                int rc = dps_http_advance(&h, buffer, &len, total, false);
                ok = ok && sane(&h, buffer, len, total, rc);
                size_t removed = at - len;
                memmove(buffer + len, buffer + at, total - at);
                len = total - removed;
                rc = dps_http_advance(&h, buffer, &len, total, v % 2 == 0);
                ok = ok && sane(&h, buffer, len, total, rc);
                free(buffer);
            }
        }
        CHECK(ok);
    }
    return 0;
}

static int outcome(uint8_t role, const char *text, size_t count)
{
    uint8_t buffer[CAPACITY];
    struct dps_http h;
    size_t len = 0;
    dps_http_init(&h, (enum dps_http_role)role);
    return feed(&h, buffer, &len, text, count, false);
}

static const char *const refused_requests[] = {
    /* framing [RFC 9112 6.1, 6.3, 11.2] */
    GET "Content-Length: 4\r\n" CHUNKED "\r\n0\r\n\r\n",
    GET CHUNKED "Content-Length: 4\r\n\r\n0\r\n\r\n",
    GET "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
    GET "Content-Length: 4, 4\r\n\r\nabcd",
    GET "Content-Length: +4\r\n\r\nabcd",
    GET "Content-Length: -1\r\n\r\n",
    GET "Content-Length: 0x4\r\n\r\nabcd",
    GET "Content-Length: 4 4\r\n\r\nabcd",
    GET "Content-Length:\r\n\r\n",
    GET "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    GET "Transfer-Encoding: identity\r\n\r\n",
    GET "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    GET "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
    GET "Transfer-Encoding:\r\n\r\n",
    GET CHUNKED CHUNKED "\r\n0\r\n\r\n",
    "GET / HTTP/1.0\r\n" CHUNKED "\r\n0\r\n\r\n",
    /* fields [RFC 9112 5, 3.2] */
    GET "Content-Length : 4\r\n\r\nabcd",
    GET "X: 1\r\n folded\r\n\r\n",
    GET "X: 1\r\n\tfolded\r\n\r\n",
    "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    GET ": x\r\n\r\n",
    GET "X\r\n\r\n",
    GET "X Y: 1\r\n\r\n",
    GET "X(Y): 1\r\n\r\n",
    GET "X\xC3\xBC: 1\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    GET "Host: a\r\n\r\n",
    "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
    /* line ends and control characters [RFC 9112 2.2] */
    "GET / HTTP/1.1\nHost: a\n\n",
    GET "X: 1\n\r\n",
    GET "\n",
    GET "X: 1\rY: 2\r\n\r\n",
    GET "X: a\r\r\n\r\n",
    GET "X: \x01\r\n\r\n",
    GET "X: \x7F\r\n\r\n",
    "\r\n\r\n" GET "\r\n",
    "\n" GET "\r\n",
    /* the request line [RFC 9112 3] */
    " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
    "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /#f HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /\xC3\xBC HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /\r\nHost: a\r\n\r\n",
    "GET\r\n\r\n",
    "G{T / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / http/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.x\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.10\r\nHost: a\r\n\r\n",
    "GET / HTTP/0.9\r\nHost: a\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "\x16\x03\x01\x02", /* TLS on the wrong port */
    /* chunks [RFC 9112 7.1] */
    GET CHUNKED "\r\n\r\n",
    GET CHUNKED "\r\n;x\r\n",
    GET CHUNKED "\r\ng\r\n",
    GET CHUNKED "\r\n-1\r\n",
    GET CHUNKED "\r\n0x1\r\na\r\n0\r\n\r\n",
    GET CHUNKED "\r\n 1\r\na\r\n0\r\n\r\n",
    GET CHUNKED "\r\n1 \r\na\r\n0\r\n\r\n",
    GET CHUNKED "\r\n1 1\r\na\r\n0\r\n\r\n",
    GET CHUNKED "\r\n1\na\r\n0\r\n\r\n",
    GET CHUNKED "\r\n1;a\rb\r\na\r\n0\r\n\r\n",
    GET CHUNKED "\r\n1\r\na0\r\n\r\n",
    GET CHUNKED "\r\n1\r\nab\r\n0\r\n\r\n",
    GET CHUNKED "\r\n1\r\na\n0\r\n\r\n",
    GET CHUNKED "\r\n1\r\na\r0\r\n\r\n",
    GET CHUNKED "\r\n0\r\nX\r\n\r\n",
    GET CHUNKED "\r\n0\r\nX : 1\r\n\r\n",
    GET CHUNKED "\r\n0\r\n\n",
};

static int test_refused_requests(void)
{
    for (size_t i = 0; i < sizeof refused_requests / sizeof refused_requests[0]; i++) {
        CHECK_EQUAL(outcome(REQ, refused_requests[i], strlen(refused_requests[i])), BYTES_E_FORMAT);
    }
    CHECK(outcome(REQ, GET "X: a\0b\r\n\r\n", sizeof(GET "X: a\0b\r\n\r\n") - 1) == BYTES_E_FORMAT);
    CHECK(outcome(REQ, "GET /\0 HTTP/1.1\r\n", 17) ==
          BYTES_E_FORMAT); /* at once, without the end of the head */
    return 0;
}

static int test_refused_responses(void)
{
    static const char *const refused[] = {"HTTP/1.1 20 OK\r\n\r\n",
                                          "HTTP/1.1 2000 OK\r\n\r\n",
                                          "HTTP/1.1  200 OK\r\n\r\n",
                                          "HTTP/1.1 099 OK\r\n\r\n",
                                          "HTTP/1.1 600 OK\r\n\r\n",
                                          "HTTP/1.1 2x0 OK\r\n\r\n",
                                          "HTTP/1.1\r\n\r\n",
                                          "HTTP/2 200\r\n\r\n",
                                          "ICY 200 OK\r\n\r\n",
                                          "\r\n" OK "\r\n",
                                          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
                                          OK "Content-Length: 1\r\n" CHUNKED "\r\n",
                                          "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n" CHUNKED "\r\n",
                                          "HTTP/1.0 200 OK\r\n" CHUNKED "\r\n",
                                          "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 x\r\n\r\n"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        CHECK_EQUAL(outcome(RES, refused[i], strlen(refused[i])), BYTES_E_FORMAT);
    }
    return 0;
}

int main(void)
{
    static const struct test tests[] = {{"whole and cut in two", test_whole_and_split},
                                        {"in single bytes", test_single_bytes},
                                        {"truncated", test_truncated},
                                        {"every byte changed", test_every_byte_changed},
                                        {"refused requests", test_refused_requests},
                                        {"refused responses", test_refused_responses}};
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
