/* SPDX-License-Identifier: MIT */
/* The one blocking loop that joins the device engine to a port: TPM, stream with TLS, clock, storage, trace. */
#ifndef PORT_DRIVE_H
#define PORT_DRIVE_H

#include "crypto/tls.h"
#include "dps/device/state.h"
#include "port/port.h"

/* What a run needs besides the engine. All memory is the caller's; it must not move during the run. Wipe it
 * afterwards. The caller sets flow_timeout_ms, port_drive the rest. */
struct port_drive {
    uint32_t flow_timeout_ms; /* how long the whole run may take; 0: PORT_FLOW_TIMEOUT_MS */
    bool open;                /* a stream is connected */
    int tls_error;            /* BearSSL's number after BYTES_E_TLS */
    uint64_t tpm_ms;          /* time spent in the TPM, for tools */
    uint64_t flow_end,
        part_end; /* of the run, and of its current connection or request, on the port's clock */
    struct port *port;
    const struct crypto_trust *trust;
    struct crypto_tls_client tls;
    uint8_t io[PORT_TLS_BUFFER];
};

/* Run the engine that one of dps_device_register ... has begun until it is done or has failed. Connections are
 * always TLS with certificate and host name verified against trust; trust may be null if the flow uses no
 * network. Certificate dates are checked against the port's clock, or without one against what the chain itself says
 * (crypto/tls_dates.h); the token's time then comes from the service's Date header.
 * Nobody can stall it for ever: a TPM command has PORT_TPM_TIMEOUT_MS, a connection with its TLS handshake
 * PORT_NET_TIMEOUT_MS, a request until the end of its answer the same again, the whole run flow_timeout_ms; then it
 * fails with BYTES_E_TIMEOUT (d->late: it was the run's time that was over), after what was loaded is flushed. The
 * port's functions must keep to the times that they are given.
 * Returns: 0; the engine's error otherwise (d->error). */
int port_drive(struct port_drive *drive, struct port *port, const struct crypto_trust *trust,
               struct dps_device *d);
#ifdef port_drive /* Installed, it is a macro, which only sees calls (crypto/bytes/names.h). This has an address. */
static inline int(port_drive)(struct port_drive *drive, struct port *port, const struct crypto_trust *trust,
                              struct dps_device *d)
{
    return port_drive(drive, port, trust, d);
}
#endif

/* Send one command outside of any flow and receive its response (GetCapability, NV_Read, ... of tools), with the same
 * retries as the engine has. command must not be in the buffer response.
 * Returns: 0; the transport's error. */
int port_tpm_ask(struct port *port, unsigned step, const char *what, struct bytes command, uint8_t *response,
                 size_t capacity, struct bytes *answer);

/* ---- What port/link.c has in common with it ---- */

/* Give a message to the trace, if there is one. */
void port_drive_trace(struct port *port, unsigned step, enum port_trace_kind kind, const char *what,
                      struct bytes bytes);
/* Of the port's clock. */
uint64_t port_drive_now(const struct port *port);
/* What is left until then. */
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
/* Close the stream, if it is open. */
void port_drive_close(struct port_drive *drive);

#endif
