/* SPDX-License-Identifier: MIT */
/* HTTP, both roles: a message that comes in pieces is the same message as one that comes whole.
 * Input: one byte of flags, one from which the sizes of the pieces follow; the bytes of the peer. */
#include "dps/protocol/http.h"
#include "dps/protocol/http_message.h"
#include "dps/service/limits.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

#define RESPONSE_ROLE 1
#define PEER_CLOSES 2
#define HEAD_REQUEST 4
#define SMALL_BUFFER 8

struct reception {
    struct dps_http http;
    uint8_t *buffer;
    size_t capacity;
    size_t len;
    size_t taken; /* of the peer's bytes */
    int result;
};

static void check_promises(const struct reception *r, size_t before)
{
    HOLDS(r->len <= before && r->len <= r->capacity);
    HOLDS(r->result == 0 || r->result == BYTES_E_MORE || r->result == BYTES_E_FORMAT ||
          r->result == BYTES_E_LIMIT);
    if (r->result == BYTES_E_MORE) {
        HOLDS(r->len < r->capacity);
    }
    if (r->result == 0) {
        HOLDS(r->http.consumed <= r->len);
        HOLDS(r->http.head_len > 0 && r->http.head_len + r->http.body_len <= r->len);
    }
}

/* Give the bytes to the parser, in pieces of a size that changes; step 0: all at once. */
static void receive(struct reception *r, struct bytes bytes, uint8_t flags, uint8_t step)
{
    unsigned turn = step;
    r->capacity = flags & SMALL_BUFFER ? 200 : DPS_HTTP_HEAD_MAX + DPS_HTTP_BODY_MAX;
    r->buffer = malloc(r->capacity);
    HOLDS(r->buffer != NULL);
    r->len = r->taken = 0;
    r->result = BYTES_E_MORE;
    dps_http_init(&r->http, flags & RESPONSE_ROLE ? DPS_HTTP_RESPONSE : DPS_HTTP_REQUEST);
    r->http.head_request = (flags & (HEAD_REQUEST | RESPONSE_ROLE)) == (HEAD_REQUEST | RESPONSE_ROLE);
    while (r->result == BYTES_E_MORE && r->taken < bytes.len) {
        size_t piece = step == 0 ? bytes.len : 1 + turn % 7;
        turn = turn * 5 + 3;
        piece = piece < bytes.len - r->taken ? piece : bytes.len - r->taken;
        piece = piece < r->capacity - r->len ? piece : r->capacity - r->len;
        memcpy(r->buffer + r->len, bytes.p + r->taken, piece);
        r->len += piece;
        r->taken += piece;
        const size_t before = r->len;
        r->result = dps_http_advance(&r->http, r->buffer, &r->len, r->capacity, false);
        check_promises(r, before);
    }
    if (r->result == BYTES_E_MORE && (flags & PEER_CLOSES) != 0) {
        r->result = dps_http_advance(&r->http, r->buffer, &r->len, r->capacity, true);
        HOLDS(r->result != BYTES_E_MORE);
    }
    if (r->result < 0 && r->result != BYTES_E_MORE) {
        HOLDS(dps_http_advance(&r->http, r->buffer, &r->len, r->capacity, false) ==
              r->result); /* an error stays */
    }
}

static void check_same(const struct reception *a, const struct reception *b)
{
    HOLDS(a->result == b->result);
    if (a->result != 0) {
        return;
    }
    HOLDS(a->http.status == b->http.status && a->http.keep_alive == b->http.keep_alive);
    HOLDS(a->http.expect_continue == b->http.expect_continue && a->http.head_len == b->http.head_len);
    HOLDS(memcmp(a->buffer, b->buffer, a->http.head_len) == 0);
    HOLDS(bytes_equal_public(dps_http_body(&a->http, a->buffer), dps_http_body(&b->http, b->buffer)));
    HOLDS(bytes_equal_public(dps_http_target(&a->http, a->buffer), dps_http_target(&b->http, b->buffer)));
    HOLDS(bytes_equal_public(dps_http_method(&a->http, a->buffer), dps_http_method(&b->http, b->buffer)));
    /* What follows the message has been left alone: as many bytes of the peer belong to it either way. */
    HOLDS(a->taken - (a->len - a->http.consumed) == b->taken - (b->len - b->http.consumed));
}

static void look_around(const struct reception *r)
{
    static const char *const names[] = {"Host", "Content-Length", "Transfer-Encoding", "Authorization",
                                        "Date"};
    const struct bytes head = bytes_of(r->buffer, r->http.head_len);
    struct bytes value;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const int error = dps_http_header(&r->http, r->buffer, names[i], &value);
        HOLDS(error == 0 || error == BYTES_E_NOT_FOUND || error == BYTES_E_FORMAT);
        HOLDS(fuzz_views(value, head) && (error == 0 || value.len == 0));
        HOLDS(value.len == 0 || (value.p[0] > ' ' && value.p[value.len - 1] > ' '));
    }
    const struct bytes target = dps_http_target(&r->http, r->buffer);
    HOLDS(fuzz_views(target, head) && fuzz_views(dps_http_method(&r->http, r->buffer), head));
    if (dps_http_query(target, "api-version", &value) == 0) {
        HOLDS(fuzz_views(value, target));
    }
    (void)dps_http_path(target);
    (void)dps_http_reason(r->http.status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes bytes = bytes_of(data, size);
    struct reception whole;
    struct reception pieces;
    const uint8_t flags = fuzz_byte(&bytes);
    const uint8_t step = fuzz_byte(&bytes);
    receive(&whole, bytes, flags, 0);
    receive(&pieces, bytes, flags, step == 0 ? 1 : step);
    check_same(&whole, &pieces);
    if (whole.http.head_len > 0 && whole.result == 0) {
        look_around(&whole);
    }
    free(whole.buffer);
    free(pieces.buffer);
    return 0;
}
