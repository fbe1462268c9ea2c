/* SPDX-License-Identifier: MIT */
/* The engine without port_drive: for an event loop, in which nothing may wait. Portable; loop.c is a loop around it.
 *
 * The loop calls example_turn, which does all that can be done at once and says when to call it again:
 *
 *   EXAMPLE_WORK      give t to a worker (a task, a thread), which calls example_work; when that has returned
 *   EXAMPLE_READABLE  when the stream has bytes, or after t->wait_ms
 *   EXAMPLE_WRITABLE  when the stream takes bytes, or after t->wait_ms
 *   EXAMPLE_LATER     after t->wait_ms
 *   EXAMPLE_ENDED     not at all: t->device->error is 0 or says why it failed
 *
 * What takes long is the worker's: a TPM command (seconds) and a connection (name lookup). While it works, the loop
 * must leave t and the device alone. The loop's part calls the stream's read and write with a time-out of 0, and
 * storage.save. */
#ifndef PORT_EXAMPLE_TURN_H
#define PORT_EXAMPLE_TURN_H

#include "crypto/tls.h"
#include "dps/device/engine.h"
#include "port/port.h"

enum example_next { EXAMPLE_WORK, EXAMPLE_READABLE, EXAMPLE_WRITABLE, EXAMPLE_LATER, EXAMPLE_ENDED };

/* Set port, trust and device; all else 0. Must not move. */
struct example_turn {
    struct port *port;
    const struct crypto_trust *trust;
    struct dps_device *device; /* begun: dps_device_register, ... */

    uint32_t wait_ms;       /* set by example_turn */
    int tls_error;          /* BearSSL's number after BYTES_E_TLS */
    enum example_next next; /* what stopped the stream */
    enum dps_want wanted;   /* in the turn before */
    uint64_t flow_end;      /* of the run, on the port's clock; 0: it has not begun */
    uint64_t part_end;      /* of the connection, the request or the wait */
    bool open;              /* the stream is connected */
    bool connecting;        /* ... and the TLS handshake goes on */
    struct crypto_tls_client tls;
    uint8_t io[PORT_TLS_BUFFER];
};

enum example_next example_turn(struct example_turn *t);
void example_work(struct example_turn *t);

#endif
