/* SPDX-License-Identifier: MIT */
/* A blocking HTTPS client for programs: one request, one response, in one buffer. The connection is kept for the next
 * request to the same host. Certificate and host name are always verified. */
#ifndef PORT_POSIX_HTTPS_CLIENT_H
#define PORT_POSIX_HTTPS_CLIENT_H

#include "crypto/tls.h"
#include "dps/protocol/http.h"
#include "dps/service/limits.h"
#include "port/posix/posix.h"

/* One connection, until TLS is established; and one request, until its answer is complete. */
#define HTTPS_TIMEOUT_MS 60000

struct https {
    const struct crypto_trust *trust;
    char host[DPS_HOST_MAX + 1];
    uint16_t port;
    struct posix_stream stream; /* connect_to and proxy may be set before the first request */
    struct port_stream io;
    struct crypto_tls_client tls;
    uint8_t tls_buffer[CRYPTO_TLS_BUFFER_BIDI];
    uint32_t timeout_ms; /* HTTPS_TIMEOUT_MS, unless it is set before the first request */
    uint64_t deadline;   /* of the connection or request under way */
    bool open;
    bool reached;  /* the last connection got as far as TLS; otherwise posix_stream_explain says why not */
    int tls_error; /* after BYTES_E_TLS: for crypto_tls_error_text */
    /* the response */
    struct dps_http http;
    uint8_t buffer[DPS_HTTP_HEAD_MAX + DPS_HTTP_BODY_MAX];
    size_t len;
};

/* Take host and port; nothing is sent yet. trust must outlive c, and c must not be moved. */
void https_init(struct https *c, const char *host, uint16_t port, const struct crypto_trust *trust);

/* Send a whole request, head and body, and receive the whole response into c->http and c->buffer, which then
 * hold it until the next request. A connection that was kept and turns out to be closed before any answer came
 * is made anew and the request sent again: only for requests that may be sent twice.
 * Returns: 0; BYTES_E_TLS,
 * BYTES_E_STREAM, BYTES_E_TIMEOUT, BYTES_E_USAGE, BYTES_E_ENTROPY; BYTES_E_FORMAT or BYTES_E_LIMIT if the response is
 * malformed or too large. After an error the connection is closed. */
int https_request(struct https *c, struct bytes request);

/* Close and wipe everything. */
void https_end(struct https *c);

#endif
