/* SPDX-License-Identifier: MIT */
/* What drive.c has for link.c, too: a stream with TLS, its times and its trace. Internal to port/. */
#ifndef PORT_DRIVE_PRIVATE_H
#define PORT_DRIVE_PRIVATE_H

#include "port/drive.h"

void port_drive_trace(struct port *port, unsigned step, enum port_trace_kind kind, const char *what,
                      struct bytes bytes);
/* Of the port's clock; what is left until then. */
uint64_t port_drive_now(const struct port *port);
uint32_t port_drive_left(const struct port *port, uint64_t end);

/* A connection or a request begins: it has to be complete by part_end, whatever arrives meanwhile. */
void port_drive_begin_part(struct port_drive *drive);
/* Connect, with TLS. Returns: 0; BYTES_E_USAGE without trust; BYTES_E_ENTROPY; as port_drive_move. */
int port_drive_connect(struct port_drive *drive, const char *host, uint16_t port);
/* Move records between the engine and the stream until the engine wants one of `wanted`, CRYPTO_TLS_APP_...
 * Returns: 0; BYTES_E_TLS, BYTES_E_STREAM, BYTES_E_TIMEOUT. */
int port_drive_move(struct port_drive *drive, unsigned wanted);
/* Receive some of a record. Returns: as read of struct port_stream; 0 also if there is no room. */
int port_drive_receive_record(struct port_drive *drive, uint32_t timeout_ms);
void port_drive_close(struct port_drive *drive);

#endif
