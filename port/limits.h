/* SPDX-License-Identifier: MIT */
/* The buffer and the deadlines of port_drive: default, meaning and cost. How to set them: crypto/limits.h. */
#ifndef PORT_LIMITS_H
#define PORT_LIMITS_H

#include "crypto/limits.h"

/* TLS records, in struct port_drive, half duplex. Smaller buffers: CRYPTO_TLS_BUFFER_MIN, and the same for both. */
#ifndef PORT_TLS_BUFFER
#define PORT_TLS_BUFFER 16709
#endif

/* ---- Deadlines of port_drive, in milliseconds ------------------------------------------------------------------ */

/* All are absolute: a peer that sends one byte, one empty record or one warning after the other gains nothing by it. */

/* One TPM command. CreatePrimary of RSA-2048 takes 2 to 9 s on discrete TPMs, rarely much more. */
#ifndef PORT_TPM_TIMEOUT_MS
#define PORT_TPM_TIMEOUT_MS 120000
#endif
/* One connection, until its TLS handshake is done; and one request, until its answer is complete. */
#ifndef PORT_NET_TIMEOUT_MS
#define PORT_NET_TIMEOUT_MS 60000
#endif
/* One flow, with all the waiting that the TPM and the service ask for. What was loaded is flushed after it, and a TPM
 * command that is under way is waited for: only whoever gets its answer can flush what it made. */
#ifndef PORT_FLOW_TIMEOUT_MS
#define PORT_FLOW_TIMEOUT_MS 900000
#endif

/* ---- Contradictions ---------------------------------------------------------------------------------------------- */

#if PORT_TLS_BUFFER < CRYPTO_TLS_BUFFER_MIN
#error "port/limits.h: PORT_TLS_BUFFER is below CRYPTO_TLS_BUFFER_MIN: no connection would start"
#endif

#endif
