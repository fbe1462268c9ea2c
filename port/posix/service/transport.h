/* SPDX-License-Identifier: MIT */
/* Bytes through one socket, with or without TLS. */
#ifndef PORT_POSIX_SERVICE_TRANSPORT_H
#define PORT_POSIX_SERVICE_TRANSPORT_H

#include "crypto/tls.h"

/* A non-blocking socket. Functions that move bytes return how many (> 0), 0 if the socket must become ready
 * first (server_transport_events says for what) or this event has had its share, or a negative error: BYTES_E_STREAM if
 * the connection failed or the peer closed it, BYTES_E_TLS if TLS refused it, BYTES_E_LIMIT if the peer sent too many
 * records that bring nothing. */
struct server_transport {
    int fd;
    crypto_tls_engine *tls; /* null: plain HTTP, or not begun */
    size_t bytes_left;      /* of this event's budget */
    unsigned reads_left;
    bool spoke;        /* the peer was sent something */
    bool established;  /* the handshake is over */
    uint8_t header[5]; /* of the TLS record that arrives */
    uint8_t header_len;
    size_t record_left; /* what is missing of the record after its header */
    unsigned barren;    /* records without content, of this handshake or request */
    unsigned handshake_records;
    bool out_blocked; /* the socket did not take all: wait until it does */
    bool closing;     /* close_notify was given to the engine */
    bool ended;       /* nothing will come from the peer any more, and perhaps nothing can be sent */
    bool midway;      /* a part of a TLS record has arrived */
};

/* An event begins: it has its budget. */
void server_transport_event(struct server_transport *t);
/* Returns: 1 when the handshake is over; 0; a negative error. */
int server_transport_handshake(struct server_transport *t);
int server_transport_read(struct server_transport *t, uint8_t *out, size_t room);
/* more: further bytes follow at once, so do not send a packet for these alone. */
int server_transport_write(struct server_transport *t, const uint8_t *bytes, size_t len, bool more);
/* An answer's head and its body, which may be empty. Returns how many bytes of both went. */
int server_transport_write_both(struct server_transport *t, struct bytes first, struct bytes second);
/* Returns: 1 when all is with the kernel; 0; a negative error. */
int server_transport_flush(struct server_transport *t);
/* Say that nothing more will be sent (close_notify, FIN). Returns as flush does. Call again until it is not 0. */
int server_transport_finish(struct server_transport *t);
/* Throw away what arrives. Returns: true if the peer has closed. */
bool server_transport_discard(struct server_transport *t);
/* Is there a byte to be read from the socket? Returns: 1; 0; BYTES_E_STREAM. */
int server_transport_peek(struct server_transport *t);
/* Has anything arrived that was not read yet? */
bool server_transport_pending(struct server_transport *t);
/* Were bytes received that only have to be read from the TLS engine? Then no event will tell. */
bool server_transport_holds(const struct server_transport *t);
uint32_t server_transport_events(const struct server_transport *t);

#endif
