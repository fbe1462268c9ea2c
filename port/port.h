/* SPDX-License-Identifier: MIT */
/* What a platform supplies to the device side: six small interfaces, each a context and one or a few functions.
 * port/none answers "not provided" to all of them, so that it links everywhere and proves this list complete;
 * port/posix is the one to read next. The service's store is in dps/service/store.h.
 *
 * Every function returns 0 or a negative value of enum bytes_error, except where it says that it returns a count. */
#ifndef PORT_PORT_H
#define PORT_PORT_H

#include "crypto/bytes/bytes.h"
#include "crypto/entropy.h"
#include "port/limits.h"

/* The TPM: one command in, one response out. */
struct port_tpm {
    void *context;
    /* Send command with ONE write (swtpm and the kernel take what one write brought as the whole command), and receive
     * the whole response into the same or another buffer of the given capacity.
     *   timeout_ms  for the whole exchange; CreatePrimary takes many seconds on a discrete TPM: 120 000 is reasonable
     * Returns: 0 and *response_len; BYTES_E_TPM_TRANSPORT if the TPM cannot be reached or broke off; BYTES_E_TIMEOUT;
     * BYTES_E_FORMAT if the header announces an impossible size; BYTES_E_SPACE if it is larger than capacity. After one
     * of these the next call may reconnect. BYTES_E_TPM_DRIVER if a driver or resource manager refused this command
     * without a response: what is loaded stays loaded. */
    int (*transact)(void *context, struct bytes command, uint8_t *response, size_t capacity,
                    size_t *response_len, uint32_t timeout_ms);
};

/* One byte stream at a time to a host. */
struct port_stream {
    void *context;
    /* Returns: 0; BYTES_E_STREAM; BYTES_E_TIMEOUT. */
    int (*connect)(void *context, const char *host, uint16_t port, uint32_t timeout_ms);
    /* Return the number of bytes moved (> 0); 0: nothing yet, try again (after at most timeout_ms of waiting);
     * BYTES_E_STREAM: failed or closed by the peer. 0 never means closed. */
    int (*read)(void *context, uint8_t *out, size_t capacity, uint32_t timeout_ms);
    int (*write)(void *context, const uint8_t *bytes, size_t len, uint32_t timeout_ms);
    void (*close)(void *context);
};

struct port_clock {
    void *context;
    /* Seconds since 1970, or 0 if this device has no clock: then the service's Date header is used. */
    uint64_t (*unix_seconds)(void *context);
    /* Milliseconds of a clock that never goes back; only differences count. */
    uint64_t (*monotonic_ms)(void *context);
    /* Wait. Returns: 0; BYTES_E_TIMEOUT if interrupted (a signal): the caller then gives up. */
    int (*sleep_ms)(void *context, uint32_t ms);
};

/* The device's few hundred bytes, replaced atomically: after a power cut there is the old or the new record. */
struct port_storage {
    void *context;
    /* Returns: 0 and *len; BYTES_E_NOT_FOUND if nothing was ever saved; BYTES_E_SPACE; BYTES_E_FILE. */
    int (*load)(void *context, uint8_t *record, size_t capacity, size_t *len);
    int (*save)(void *context, struct bytes record);
};

/* A trace: an optional sink of every message, with its step (1..10; 0: outside of a flow) and what it is
 * for. TPM messages, HTTP requests and packets of MQTT come whole; an HTTP response comes in the pieces in which it
 * arrived. TPM
 * commands may contain authorization values: a sink that writes to a file must say so. */
enum port_trace_kind {
    PORT_TRACE_TPM_COMMAND,
    PORT_TRACE_TPM_RESPONSE,
    PORT_TRACE_HTTP_REQUEST,
    PORT_TRACE_HTTP_RESPONSE,
    PORT_TRACE_MQTT_SENT,
    PORT_TRACE_MQTT_RECEIVED
};
struct port_trace {
    void *context;
    void (*message)(void *context, unsigned step, enum port_trace_kind kind, const char *what,
                    struct bytes bytes);
};

/* All of them. trace.message may be null. */
struct port {
    struct port_tpm tpm;
    struct port_stream stream;
    struct port_clock clock;
    struct port_storage storage;
    struct crypto_entropy entropy;
    struct port_trace trace;
};

#endif
