/* SPDX-License-Identifier: MIT */
/* The transcript for Wireshark (`--trace=pcapng:FILE`): a pcapng file [draft-ietf-opsawg-pcapng] of two interfaces.
 *
 *   tpm    every TPM command and response, as swtpm speaks it on TCP port 2321: Wireshark takes them apart by itself
 *   http   every HTTP message in clear, as it was inside TLS, on TCP port 80: to 127.0.0.2, the service, or to
 *          127.0.0.3, the hub; and every packet of MQTT, to the hub on TCP port 1883
 *
 * The IP and TCP headers are invented, since the real ones are different or do not exist. Each packet has a comment:
 * the step, what the message is for, and its sessions with what they hide. Passwords are zeros, as in the other forms
 * (trace.h), unless `passwords` is set after trace_pcapng_open; tokens and HTTP bodies are shown. */
#ifndef PORT_POSIX_EXPLAIN_TRACE_PCAPNG_H
#define PORT_POSIX_EXPLAIN_TRACE_PCAPNG_H

#include "port/port.h"
#include "port/posix/explain/trace_session.h"
#include <stdio.h>

/* Which connection: its next sequence numbers, from device and to device. */
struct trace_pcapng_stream {
    uint32_t sent, received;
};

struct trace_pcapng {
    FILE *out;
    bool passwords;                  /* as they are sent */
    unsigned connection;             /* to the TPM, from 0: who asks it beside the device has another port */
    const struct dps_device *device; /* its secrets stand in the comments; null: none do */
    struct trace_sessions sessions;  /* of the last TPM command */
    uint64_t fixed_seconds;          /* 0: the time of day */
    uint64_t count;                  /* packets so far: with a fixed time, their microseconds */
    struct trace_pcapng_stream streams[4];
};

/* Write the head of the file. out stays the caller's; whether all could be written is what ferror(out) says in the end.
 * fixed_seconds: the time that all packets carry, for reproducible files; 0: the time of day. */
void trace_pcapng_open(struct trace_pcapng *p, FILE *out, uint64_t fixed_seconds);
/* The sink for struct port. */
struct port_trace trace_pcapng_port(struct trace_pcapng *p);

#endif
