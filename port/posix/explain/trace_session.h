/* SPDX-License-Identifier: MIT */
/* What a TPM message says of its sessions, and what only somebody with their keys can say (`--trace-secrets`). The
 * engine is read and not asked: it keeps nothing for this, and firmware has none of it. */
#ifndef PORT_POSIX_EXPLAIN_TRACE_SESSION_H
#define PORT_POSIX_EXPLAIN_TRACE_SESSION_H

#include "dps/device/state.h"

#define TRACE_HANDLES_MAX 3

struct trace_session {
    uint32_t handle; /* 0: of a response whose command was not seen */
    uint8_t attributes;
    struct bytes nonce, hmac;
};

/* The handles and authorizations of one command, or of its response. Spans view the message. */
struct trace_sessions {
    bool command;
    uint32_t code;
    uint32_t handles[TRACE_HANDLES_MAX]; /* of the command */
    size_t handle_count;
    struct trace_session list[TPM2_SESSIONS_MAX]; /* passwords among them */
    size_t count;
    struct bytes parameters;
    const char *encrypted;      /* the name of the parameter that is; null: none */
    struct bytes content;       /* its bytes, without the size */
    uint32_t new_session;       /* of TPM2_StartAuthSession's response; 0: none */
    struct bytes session_nonce; /* nonceTPM of that one */
};

/* Read one whole message. A response does not name its sessions: they are those of the command that s was read from
 * last, if it is code. text: "Sessions: policy session 0x03000000. Encrypted: certInfo."; empty if there is none. */
#define TRACE_SESSIONS_TEXT 200
void trace_sessions_read(struct trace_sessions *s, bool command, uint32_t code, struct bytes message,
                         char text[TRACE_SESSIONS_TEXT]);

struct trace_secret {
    uint32_t session;
    const char *name;    /* "sessionKey" */
    const char *meaning; /* one sentence */
    struct bytes bytes;
};
/* Called once for each; valid during the call only. */
typedef void trace_secret_sink(void *context, const struct trace_secret *secret);
/* Each value from which the HMACs of this message and its encrypted parameter follow, in the order in which one is
 * computed from the other. device: the engine as it is between building the command and taking the response. */
void trace_secrets(const struct dps_device *device, const struct trace_sessions *s, trace_secret_sink *sink,
                   void *context);

#endif
