/* SPDX-License-Identifier: MIT */
/* dps/protocol/http.h: sizes and limits, what moves in the buffer, headers, targets. Origin: the 401 of the real
 * service, whose first chunk of 0x400 bytes cuts the base64 (headers as captured, values ours); the rest is ours. */
#include "dps/device/limits.h"
#include "dps/protocol/http.h"
#include "dps/protocol/http_message.h"
#include "dps/protocol/text.h"
#include "tests/unit/test.h"
#include <stdlib.h>
#include <string.h>

#define GET "GET / HTTP/1.1\r\nHost: a\r\n"
#define OK "HTTP/1.1 200 OK\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"

static bool span_is(struct bytes s, const char *text)
{
    return bytes_equal_public(s, bytes_of_text(text));
}

/* Give text in pieces of at most `piece` bytes, as far as there is room, to a buffer allocated to capacity. */
static int receive(enum dps_http_role role, struct bytes text, size_t capacity, size_t piece)
{
    uint8_t *buffer = malloc(capacity);
    struct dps_http h;
    size_t len = 0, at = 0;
    int rc = BYTES_E_MORE;
    if (buffer == NULL) {
        return 1;
    }
    dps_http_init(&h, role);
    while (rc == BYTES_E_MORE && at < text.len) {
        size_t count = text.len - at < piece ? text.len - at : piece;
        count = count < capacity - len ? count : capacity - len;
        memcpy(buffer + len, text.p + at, count);
        len += count;
        at += count;
        rc = dps_http_advance(&h, buffer, &len, capacity, false);
    }
    free(buffer);
    return rc;
}

static int receive_text(const char *text, size_t capacity, size_t piece)
{
    return receive(DPS_HTTP_REQUEST, bytes_of_text(text), capacity, piece);
}

/* A message is accepted by exactly those buffers that hold it, whatever the pieces. */
static int test_capacity(void)
{
    static const char with_length[] = GET "Content-Length: 10\r\n\r\n0123456789";
    static const char with_chunks[] = GET CHUNKED "\r\n5;ext\r\n01234\r\n5\r\n56789\r\n0\r\nX: y\r\n\r\n";
    for (size_t piece = 1; piece < 100; piece++) {
        size_t head = strlen(GET "Content-Length: 10\r\n\r\n");
        for (size_t capacity = 1; capacity < head + 10; capacity++) {
            CHECK_EQUAL(receive_text(with_length, capacity, piece), BYTES_E_LIMIT);
        }
        CHECK_EQUAL(receive_text(with_length, head + 10, piece), 0);
        /* Chunk framing is removed as it is parsed, but one of its lines has to fit beside the body so far. */
        head = strlen(GET CHUNKED "\r\n");
        for (size_t capacity = 1; capacity < head + 11; capacity++) {
            CHECK_EQUAL(receive_text(with_chunks, capacity, piece), BYTES_E_LIMIT);
        }
        CHECK_EQUAL(receive_text(with_chunks, head + 10 + 6, piece), 0);
    }
    return 0;
}

/* Too large is known from the head or the chunk size, not after a buffer full of body. */
static int test_refused_early(void)
{
    CHECK(receive_text(GET "Content-Length: 4096\r\n\r\n", 4096, 4096) == BYTES_E_LIMIT);
    CHECK(receive_text(GET "Content-Length: 18446744073709551615\r\n\r\n", 4096, 4096) == BYTES_E_LIMIT);
    CHECK(receive_text(GET "Content-Length: 18446744073709551616\r\n\r\n", 4096, 4096) == BYTES_E_LIMIT);
    CHECK(receive_text(GET "Content-Length: 99999999999999999999999\r\n\r\n", 4096, 4096) == BYTES_E_LIMIT);
    CHECK(receive_text(GET CHUNKED "\r\n1000\r\n", 4096, 4096) == BYTES_E_LIMIT);
    CHECK(receive_text(GET CHUNKED "\r\nffffffffffffffff\r\n", 4096, 4096) == BYTES_E_LIMIT);
    CHECK(receive_text(GET CHUNKED "\r\nFFFFFFFFFFFFFFF6\r\n", 4096, 4096) == BYTES_E_LIMIT);
    CHECK(receive_text(GET CHUNKED "\r\n10000000000000000\r\n", 4096, 4096) == BYTES_E_LIMIT);
    CHECK(receive_text(GET CHUNKED "\r\n10000000000000001\r\na\r\n0\r\n\r\n", 4096, 4096) == BYTES_E_LIMIT);
    CHECK(receive_text(GET CHUNKED "\r\n5\r\n01234\r\nfffffffffffffffb\r\n", 4096, 4096) == BYTES_E_LIMIT);
    /* A response without a length cannot be known to be over while the buffer is full. */
    CHECK(receive(DPS_HTTP_RESPONSE, bytes_of_text(OK "\r\nbody"), strlen(OK "\r\nbody"), 100) ==
          BYTES_E_LIMIT);
    CHECK(receive(DPS_HTTP_RESPONSE, bytes_of_text(OK "\r\nbody"), strlen(OK "\r\nbody") + 1, 100) ==
          BYTES_E_MORE);
    return 0;
}

/* begin, then filler up to size bytes. */
static struct bytes padded(uint8_t *buffer, const char *begin, const char *filler, size_t size)
{
    size_t begin_len = strlen(begin), filler_len = strlen(filler);
    memcpy(buffer, begin, begin_len);
    for (size_t i = begin_len; i < size; i++) {
        buffer[i] = (uint8_t)filler[(i - begin_len) % filler_len];
    }
    return bytes_of(buffer, size);
}

/* What a sender could make endless: the head, a chunk extension, the trailers. */
static int test_endless(void)
{
    static uint8_t buffer[4 * DPS_HTTP_HEAD_MAX];
    size_t room = sizeof buffer;
    struct bytes text = padded(buffer, GET "X: ", "a", DPS_HTTP_HEAD_MAX);
    memcpy(buffer + DPS_HTTP_HEAD_MAX - 4, "\r\n\r\n", 4);
    CHECK_EQUAL(receive(DPS_HTTP_REQUEST, text, room, 1000), 0);
    text = padded(buffer, GET "X: ", "a", DPS_HTTP_HEAD_MAX + 1);
    memcpy(buffer + DPS_HTTP_HEAD_MAX - 3, "\r\n\r\n", 4);
    CHECK_EQUAL(receive(DPS_HTTP_REQUEST, text, room, 1000), BYTES_E_LIMIT);
    CHECK(receive(DPS_HTTP_REQUEST, padded(buffer, GET, "A: b\r\n", room), room, 77) == BYTES_E_LIMIT);
    CHECK_EQUAL(receive(DPS_HTTP_REQUEST, padded(buffer, "G", "E", room), room, 77), BYTES_E_LIMIT);

    size_t head = strlen(GET CHUNKED "\r\n");
    text = padded(buffer, GET CHUNKED "\r\n1;", "x", head + 128 + 8);
    memcpy(buffer + head + 126, "\r\na\r\n0\r\n\r\n", 10); /* a line of 128 bytes with its end */
    CHECK_EQUAL(receive(DPS_HTTP_REQUEST, text, room, 7), 0);
    text = padded(buffer, GET CHUNKED "\r\n1;", "x", head + 129 + 8);
    memcpy(buffer + head + 127, "\r\na\r\n0\r\n\r\n", 10);
    CHECK_EQUAL(receive(DPS_HTTP_REQUEST, text, room, 7), BYTES_E_LIMIT);
    CHECK(receive(DPS_HTTP_REQUEST, padded(buffer, GET CHUNKED "\r\n", "0", room), room, 77) ==
          BYTES_E_LIMIT);
    CHECK(receive(DPS_HTTP_REQUEST, padded(buffer, GET CHUNKED "\r\n0\r\n", "A: b\r\n", room), room, 77) ==
          BYTES_E_LIMIT);
    return 0;
}

/* The 401 of the real service: 0x400 bytes, then the rest; the cut is inside the base64 of authenticationKey. */
static int test_real_401(void)
{
    static const char head[] =
        "HTTP/1.1 401 Unauthorized\r\nDate: Thu, 10 Jan 2019 19:03:51 GMT\r\n"
        "Content-Type: application/json; charset=utf-8\r\nTransfer-Encoding: chunked\r\n"
        "x-ms-request-id: 6e1b0a53-0000-0000-0000-000000000000\r\n"
        "Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n\r\n";
    static const char begin[] = "{\"authenticationKey\":\"";
    static const char end[] = "\",\"unencodedAuthenticationKey\":null,\"keyName\":\"registration\"}";
    char body[1500];
    size_t base64_len = 1296, body_len = strlen(begin) + base64_len + strlen(end);
    memcpy(body, begin, strlen(begin));
    for (size_t i = 0; i < base64_len; i++) {
        body[strlen(begin) + i] = (char)('a' + i % 26);
    }
    memcpy(body + strlen(begin) + base64_len, end, strlen(end));

    uint8_t wire[DPS_NET_BUFFER];
    struct bytes_writer w = bytes_writer_over(wire, sizeof wire);
    dps_write_text(&w, head);
    dps_write_text(&w, "400\r\n");
    bytes_write_bytes(&w, bytes_of(body, 0x400));
    uint8_t rest_len[2] = {(uint8_t)((body_len - 0x400) >> 8), (uint8_t)(body_len - 0x400)};
    dps_write_text(&w, "\r\n");
    dps_write_hex(&w, bytes_of(rest_len, 2));
    dps_write_text(&w, "\r\n");
    bytes_write_bytes(&w, bytes_of(body + 0x400, body_len - 0x400));
    dps_write_text(&w, "\r\n0\r\n\r\n");
    CHECK_EQUAL(w.error, 0);

    for (size_t piece = 1; piece <= w.len; piece += piece < 20 ? 1 : 97) {
        uint8_t buffer[DPS_NET_BUFFER];
        struct dps_http h;
        struct bytes value;
        size_t len = 0;
        int rc = BYTES_E_MORE;
        dps_http_init(&h, DPS_HTTP_RESPONSE);
        for (size_t at = 0; at < w.len; at += piece) {
            size_t count = w.len - at < piece ? w.len - at : piece;
            CHECK_EQUAL(rc, BYTES_E_MORE);
            memcpy(buffer + len, wire + at, count);
            len += count;
            rc = dps_http_advance(&h, buffer, &len, sizeof buffer, false);
        }
        CHECK(rc == 0 && h.status == 401 && h.keep_alive);
        CHECK(bytes_equal_public(dps_http_body(&h, buffer), bytes_of(body, body_len)));
        CHECK(dps_http_header(&h, buffer, "date", &value) == 0 &&
              span_is(value, "Thu, 10 Jan 2019 19:03:51 GMT"));
    }
    return 0;
}

/* Two messages and the beginning of a third in one buffer; the second is unchunked without losing the third. */
static int test_pipelined(void)
{
    static const char first[] = GET "Content-Length: 1\r\n\r\nx";
    static const char second[] =
        "PUT /2 HTTP/1.1\r\nHost: a\r\n" CHUNKED "\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n";
    static const char third[] = "\r\nDELETE /3 HT";
    uint8_t buffer[512];
    struct dps_http h;
    size_t len = 0;
    for (size_t i = 0; i < 3; i++) {
        const char *text = i == 0 ? first : i == 1 ? second : third;
        memcpy(buffer + len, text, strlen(text));
        len += strlen(text);
    }
    dps_http_init(&h, DPS_HTTP_REQUEST);
    CHECK(dps_http_advance(&h, buffer, &len, sizeof buffer, false) == 0 && h.consumed == strlen(first));
    CHECK(dps_http_advance(&h, buffer, &len, sizeof buffer, true) == 0 && h.consumed == strlen(first));
    len -= h.consumed;
    memmove(buffer, buffer + h.consumed, len);
    dps_http_init(&h, DPS_HTTP_REQUEST);
    CHECK(dps_http_advance(&h, buffer, &len, sizeof buffer, false) == 0 &&
          span_is(dps_http_target(&h, buffer), "/2"));
    CHECK(span_is(dps_http_body(&h, buffer), "abc"));
    CHECK(len - h.consumed == strlen(third) && memcmp(buffer + h.consumed, third, strlen(third)) == 0);
    len -= h.consumed;
    memmove(buffer, buffer + h.consumed, len);
    dps_http_init(&h, DPS_HTTP_REQUEST);
    CHECK(dps_http_advance(&h, buffer, &len, sizeof buffer, false) == BYTES_E_MORE && h.head_len == 0);
    return 0;
}

/* Parse text, which must give rc; the caller looks at h. */
static bool parsed(struct dps_http *h, uint8_t buffer[512], enum dps_http_role role, const char *text, int rc)
{
    size_t len = strlen(text);
    memcpy(buffer, text, len);
    dps_http_init(h, role);
    return dps_http_advance(h, buffer, &len, 512, false) == rc;
}

static int test_expect_continue(void)
{
    struct dps_http h;
    uint8_t b[512];
    CHECK(parsed(&h, b, DPS_HTTP_REQUEST, GET "Content-Length: 1\r\nExpect: 100-Continue\r\n\r\n",
                 BYTES_E_MORE));
    CHECK(h.expect_continue && h.head_len > 0);
    CHECK(parsed(&h, b, DPS_HTTP_REQUEST, GET CHUNKED "Expect: 100-continue\r\n\r\n", BYTES_E_MORE) &&
          h.expect_continue);
    CHECK(parsed(&h, b, DPS_HTTP_REQUEST, GET "Expect: 100-continue\r\n\r\n", 0) && !h.expect_continue);
    CHECK(parsed(&h, b, DPS_HTTP_REQUEST, GET "Content-Length: 1\r\nExpect: x\r\n\r\n", BYTES_E_MORE) &&
          !h.expect_continue);
    CHECK(parsed(&h, b, DPS_HTTP_REQUEST,
                 "PUT / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n", BYTES_E_MORE));
    CHECK(!h.expect_continue);
    return 0;
}

/* A caller that asked with HEAD or CONNECT says so; it survives a skipped interim response. */
static int test_head_request(void)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 9\r\n\r\nNEXT";
    uint8_t buffer[512];
    struct dps_http h;
    size_t len = strlen(text);
    memcpy(buffer, text, len);
    dps_http_init(&h, DPS_HTTP_RESPONSE);
    h.head_request = true;
    CHECK(dps_http_advance(&h, buffer, &len, sizeof buffer, false) == 0 && h.status == 200 &&
          h.body_len == 0);
    CHECK(len - h.consumed == 4 && memcmp(buffer + h.consumed, "NEXT", 4) == 0);
    return 0;
}

static int test_header(void)
{
    struct dps_http h;
    struct bytes v;
    uint8_t b[512];
    CHECK(parsed(&h, b, DPS_HTTP_REQUEST, "GET /x HTTP/1.1\r\nHost: a", BYTES_E_MORE));
    CHECK(dps_http_header(&h, b, "Host", &v) == BYTES_E_NOT_FOUND && v.len == 0);
    CHECK(parsed(&h, b, DPS_HTTP_REQUEST,
                 GET
                 "auTHorization:\t SharedAccessSignature sr=a&sig=b%3d&se=1 \t\r\nEmpty:\r\nSpace: \t \r\n"
                 "Twice: 1\r\nContent-Length: 9\r\nTWICE: 2\r\n\r\nLast: x\r\n",
                 0));
    CHECK(dps_http_header(&h, b, "Authorization", &v) == 0 &&
          span_is(v, "SharedAccessSignature sr=a&sig=b%3d&se=1"));
    CHECK(dps_http_header(&h, b, "HOST", &v) == 0 && span_is(v, "a"));
    CHECK(dps_http_header(&h, b, "empty", &v) == 0 && v.len == 0);
    CHECK(dps_http_header(&h, b, "space", &v) == 0 && v.len == 0);
    CHECK(dps_http_header(&h, b, "twice", &v) == BYTES_E_FORMAT && v.len == 0);
    CHECK(dps_http_header(&h, b, "hos", &v) == BYTES_E_NOT_FOUND &&
          dps_http_header(&h, b, "hostt", &v) == BYTES_E_NOT_FOUND);
    CHECK_EQUAL(dps_http_header(&h, b, "", &v), BYTES_E_NOT_FOUND);
    CHECK_EQUAL(dps_http_header(&h, b, "last", &v), BYTES_E_NOT_FOUND); /* the body is not a header */
    CHECK_EQUAL(dps_http_header(&h, b, "GET /", &v), BYTES_E_NOT_FOUND);
    return 0;
}

static bool query_is(const char *target, const char *name, int rc, const char *expected)
{
    struct bytes value = {(const uint8_t *)"x", 1};
    return dps_http_query(bytes_of_text(target), name, &value) == rc && span_is(value, expected);
}

static bool path_is(const char *target, const char *expected)
{
    return span_is(dps_http_path(bytes_of_text(target)), expected);
}

static int test_target(void)
{
    CHECK(query_is("/a?b=c", "b", 0, "c"));
    CHECK(query_is("/a?x=1&API-version=2019-03-31", "api-version", 0, "2019-03-31"));
    CHECK(query_is("/a?b=c=d&e", "b", 0, "c=d") && query_is("/a?b=c=d&e", "e", 0, ""));
    CHECK(query_is("/a?b=", "b", 0, "") && query_is("/a?b=%26", "b", 0, "%26"));
    CHECK(query_is("/a?&&b=c&", "b", 0, "c") && query_is("/a?b=/?x", "b", 0, "/?x"));
    CHECK(query_is("/a?b=1&B=2", "b", BYTES_E_FORMAT, "") && query_is("/a?b&b", "b", BYTES_E_FORMAT, ""));
    CHECK(query_is("/a", "b", BYTES_E_NOT_FOUND, "") && query_is("/a?", "b", BYTES_E_NOT_FOUND, ""));
    CHECK(query_is("/b=c", "b", BYTES_E_NOT_FOUND, "") &&
          query_is("/a?ab=1&ba=2", "b", BYTES_E_NOT_FOUND, ""));
    CHECK(query_is("http://h/a?b=c", "b", 0, "c") && query_is("", "b", BYTES_E_NOT_FOUND, ""));

    CHECK(path_is("/a/b?c=/d", "/a/b") && path_is("/", "/") && path_is("*", "*") &&
          path_is("h:443", "h:443"));
    CHECK(path_is("http://h:80/a?b", "/a") && path_is("HTTPS://h/a/", "/a/"));
    /* RFC 9110 4.2.3: an empty path is the root */
    CHECK(path_is("http://example.com", "/") && path_is("https://example.com?x=/y", "/"));
    CHECK(path_is("/http://h/a", "/http://h/a") && path_is("ftp://h/a", "ftp://h/a") && path_is("", ""));
    return 0;
}

static int test_reason(void)
{
    CHECK(strcmp(dps_http_reason(200), "OK") == 0 && strcmp(dps_http_reason(401), "Unauthorized") == 0);
    CHECK_EQUAL(dps_http_reason(431), "Request Header Fields Too Large");
    CHECK(strcmp(dps_http_reason(0), "Unknown") == 0 && strcmp(dps_http_reason(65736), "Unknown") == 0);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"capacity", test_capacity},           {"too large is known early", test_refused_early},
        {"nothing is endless", test_endless},  {"the 401 of the real service", test_real_401},
        {"pipelined", test_pipelined},         {"expect continue", test_expect_continue},
        {"answer to HEAD", test_head_request}, {"headers", test_header},
        {"query and path", test_target},       {"reason", test_reason}};
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
