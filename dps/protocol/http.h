/* SPDX-License-Identifier: MIT */
/* HTTP/1.1 [RFC 9112], both roles: one message at a time in one buffer of the caller.
 *
 * Bytes are appended to the buffer as they arrive and dps_http_advance is called with the new total. The head is
 * parsed once, when its end has been seen; a chunked body is unchunked in place. Nothing is copied. Offsets, not
 * pointers: the structure may be copied and the buffer may move between calls.
 *
 * Strict where smuggling starts [RFC 9112 11.2]. Refused are: Content-Length and Transfer-Encoding together, several
 * differing Content-Lengths, any transfer coding but chunked, chunks under HTTP/1.0, a chunk size with extensions
 * longer than the line limit, white space before a colon, folded lines, bare CR, bare LF, NUL, and a request of
 * HTTP/1.1 without Host or of any version with two. */
#ifndef DPS_PROTOCOL_HTTP_H
#define DPS_PROTOCOL_HTTP_H

#include "crypto/bytes/bytes.h"
#include "dps/protocol/limits.h"

/* Interim responses before a final one: the known ones (100, 102, 103) come once or a few times. */
#define DPS_HTTP_INTERIM_MAX 16

enum dps_http_role { DPS_HTTP_REQUEST, DPS_HTTP_RESPONSE };

struct dps_http {
    uint8_t role; /* enum dps_http_role: what is being received */
    uint8_t phase;
    int error;            /* 0 or the first failure: every later advance returns it */
    bool keep_alive;      /* the connection may be used again after this message */
    bool expect_continue; /* request: the client waits for "100 Continue" before it sends the body */
    bool head_request;    /* response: there is no body. Set by the caller after init if it asked with HEAD or
                             CONNECT, and here for 204 and 304 */
    uint8_t interim;      /* response: how many interim ones came before it */
    uint16_t status;      /* response */
    size_t scanned;       /* bytes already searched for the end of the head */
    size_t head_len;      /* start line and headers with the final empty line; 0 until it was seen */
    size_t target_at, target_len; /* request: offset and length of the target in the buffer */
    size_t method_len;            /* request: the method is the first method_len bytes */
    size_t body_len;              /* bytes of body so far, unchunked, right after the head */
    size_t raw_at;                /* chunked: first byte not yet unchunked */
    size_t remaining;             /* bytes of the body or chunk still to come */
    size_t consumed; /* once complete: bytes of the buffer that belong to this message; a pipelined
                                     successor begins there */
};

/* Begin to receive one message. */
void dps_http_init(struct dps_http *h, enum dps_http_role role);

/* Parse on. buffer holds *len bytes of the message so far; unchunking moves bytes and lowers *len, and so does the
 * skipping of at most DPS_HTTP_INTERIM_MAX interim 1xx responses (but 101 is malformed: nobody asked for an upgrade).
 * Call again with every increase of *len, and once with closed.
 *   capacity   size of the buffer: a message that cannot fit is refused as soon as that is known
 *   closed     the peer has closed: no more bytes will come
 * Requires: *len <= capacity, and *len is never lowered by the caller before the message is complete.
 * Returns: 0 when the message is complete, and what follows it begins at h->consumed; BYTES_E_MORE, and then there is
 * room for more (*len < capacity); BYTES_E_FORMAT if it is malformed or closed too early (a response without length
 * ends at the close); BYTES_E_LIMIT if head or body is too large for the buffer or DPS_HTTP_HEAD_MAX, or
 * there are more interim responses than that. An error stays. */
int dps_http_advance(struct dps_http *h, uint8_t *buffer, size_t *len, size_t capacity, bool closed);

#endif
