/* SPDX-License-Identifier: MIT */
/* The blocking driver of dps/device/link.h: it joins a link to a stream with TLS, a clock and a trace. */
#ifndef PORT_LINK_H
#define PORT_LINK_H

#include "dps/device/link.h"
#include "port/drive.h"

/* Do what the link wants, until it is the application's turn:
 *   DPS_LINK_TOKEN      make a token (port_drive, with the same drive), then dps_link_token_made; or dps_link_fail
 *   DPS_LINK_ARRIVED    dps_link_arrived, dps_link_take
 *   DPS_LINK_READY      dps_link_publish, if there is something to send; wait_ms have passed without a message
 *   DPS_LINK_RECEIVE    the hub owes an answer, and
 *   DPS_LINK_WAIT       a failure is waited for to pass (l->error says which): wait_ms have passed
 *   DPS_LINK_ENDED, DPS_LINK_FAILED
 * A connection and its TLS handshake take at most PORT_NET_TIMEOUT_MS, a packet likewise; nothing else takes longer
 * than wait_ms. 0: for an application that waits itself, for the stream and for what it has to send, at most
 * dps_link_rest_ms.
 *   drive   zeros, or as the last port_drive left it; d and drive must not move. tls_error: after BYTES_E_TLS
 *   trust   as for port_drive */
enum dps_link_want port_link(struct port_drive *drive, struct port *port, const struct crypto_trust *trust,
                             struct dps_link *l, uint32_t wait_ms);

#endif
