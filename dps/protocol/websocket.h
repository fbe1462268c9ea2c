/* SPDX-License-Identifier: MIT */
/* WebSocket [RFC 6455], the server's side: its answer to the handshake, and frames. There is no state and no I/O.
 *
 * Reading is strict: a client's frames are masked [RFC 6455 5.1], have no extension and the shortest length, and
 * those of control are whole and short [RFC 6455 5.5]. Whether fragments make a message is the caller's to follow. */
#ifndef DPS_PROTOCOL_WEBSOCKET_H
#define DPS_PROTOCOL_WEBSOCKET_H

#include "crypto/bytes/bytes.h"

/* ---- The handshake [RFC 6455 4.2] ---- */

#define DPS_WEBSOCKET_ACCEPT_SIZE 28

/* The value of Sec-WebSocket-Accept for that of Sec-WebSocket-Key, as text without a terminating zero.
 * Returns: 0; BYTES_E_FORMAT if key is not 16 bytes in base64. */
int dps_websocket_accept(struct bytes key, uint8_t accept[DPS_WEBSOCKET_ACCEPT_SIZE]);

/* ---- Frames [RFC 6455 5.2] ---- */

enum dps_websocket_opcode {
    DPS_WEBSOCKET_CONTINUATION = 0,
    DPS_WEBSOCKET_TEXT = 1,
    DPS_WEBSOCKET_BINARY = 2,
    DPS_WEBSOCKET_CLOSE = 8,
    DPS_WEBSOCKET_PING = 9,
    DPS_WEBSOCKET_PONG = 10
};

/* Why a connection is closed [RFC 6455 7.4.1]. */
#define DPS_WEBSOCKET_CLOSE_NORMAL 1000
#define DPS_WEBSOCKET_CLOSE_PROTOCOL 1002
#define DPS_WEBSOCKET_CLOSE_NOT_TEXT 1003

/* The longest header that a client sends; the longest content of a frame of control. */
#define DPS_WEBSOCKET_HEADER_MAX 14
#define DPS_WEBSOCKET_CONTROL_MAX 125

struct dps_websocket_frame {
    uint8_t opcode; /* enum dps_websocket_opcode */
    bool last;      /* of its message */
    uint8_t mask[4];
    uint64_t len;      /* of the content */
    size_t header_len; /* the content begins here */
};

/* Read the header that input begins with, of a frame from a client.
 * Returns: 0; BYTES_E_MORE if it is not all there; BYTES_E_FORMAT as soon as it breaks a rule. */
int dps_websocket_header_read(struct bytes input, struct dps_websocket_frame *f);

/* Is it a frame of control? Those may come between the fragments of a message. */
bool dps_websocket_is_control(const struct dps_websocket_frame *f);

/* Take the mask off, in place [RFC 6455 5.3].
 *   at   the place of data in the frame's content */
void dps_websocket_unmask(const struct dps_websocket_frame *f, uint64_t at, uint8_t *data, size_t len);

/* Append the header of a server's frame, which is a whole message with len bytes of content. */
void dps_websocket_header_write(struct bytes_writer *w, enum dps_websocket_opcode opcode, size_t len);

#endif
