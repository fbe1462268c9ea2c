/* SPDX-License-Identifier: MIT */
/* What trace_message.c, trace_text.c, trace_http.c and trace_mqtt.c share. */
#ifndef PORT_POSIX_EXPLAIN_TRACE_PRIVATE_H
#define PORT_POSIX_EXPLAIN_TRACE_PRIVATE_H

#include "port/posix/explain/trace.h"

/* ---- Layout of the readable form (trace_text.c) ---- */

#define TRACE_COLUMNS 100
#define TRACE_HEX_AT 2
#define TRACE_NAME_AT 26
#define TRACE_TEXT_AT 50

enum trace_style { TRACE_PLAIN, TRACE_HEADING, TRACE_BYTES, TRACE_NAME };
/* Switch to a style, if colours are in use. */
void trace_style(struct trace *t, enum trace_style style);
/* Go to a column, on a new line if it has been passed. */
void trace_column(struct trace *t, size_t column);
void trace_newline(struct trace *t);
/* Our own text: broken between words; further lines begin at indent. */
void trace_words(struct trace *t, const char *text, size_t indent);
/* Text of a peer: unprintable characters are replaced, so that it cannot write to the terminal; long base64 is
 * shortened; broken anywhere. */
void trace_peer_text(struct trace *t, struct bytes text, size_t indent);
/* Hex in at most 22 columns: whole, or the first 8 and the last 2 bytes. */
void trace_short_hex(struct trace *t, struct bytes bytes);

/* " TPM_RC_INTEGRITY (0x1df), parameter 1"; who says it, if that is not the TPM. */
void trace_response_code(struct trace *t, uint32_t rc);

/* ---- Values (trace_values.c) ---- */

struct tpm2_field;
/* Its digits or name, its sentence, and the bits that are set. */
void trace_value(struct trace *t, const struct tpm2_field *field);
void trace_bits(struct trace *t, const struct tpm2_field *field);
/* Of what may be a password: zeros alone, printable alone; not empty. */
bool trace_is_blank(struct bytes content);
bool trace_is_text(struct bytes content);
/* An "hmac" of TPMS_AUTH_COMMAND that is one, and no password. Zeros may be either. */
bool trace_is_hmac(const char *name, struct bytes content);
/* Those of the message that was shown last, whose sessions are in t; t->device is not null. */
void trace_show_secrets(struct trace *t, unsigned step, const char *what);

/* ---- JSON (trace_text.c) ---- */

void trace_json_hex(struct trace *t, struct bytes bytes);
/* A string with its quotes; bytes above ASCII become escapes of Latin-1. */
void trace_json_string(struct trace *t, struct bytes text);

/* ---- HTTP messages (trace_http.c) ---- */

struct trace_http_field {
    struct bytes name; /* views the message or a constant */
    const char *type;
    const char *meaning; /* null: none */
    size_t offset;
    size_t len;
    unsigned depth;
    struct bytes shown; /* the part of the bytes that is worth reading */
};
typedef void trace_http_sink(void *context, const struct trace_http_field *field);
/* Take a message apart: start line, headers, and a body of JSON member by member; JSON; a SAS token pair by pair; or a
 * packet of MQTT: what this subject of trace.h is. All fields are leaves and they cover the message. opaque_body: the
 * body of an HTTP message is not to be looked into, since it is chunked.
 * Returns: 0; BYTES_E_MORE if the head of an HTTP message, or a packet, does not end; BYTES_E_FORMAT, BYTES_E_LIMIT or
 * BYTES_E_ALGORITHM for another text, then it is shown as far as it can be. */
int trace_text_explain(enum trace_subject subject, struct bytes message, bool opaque_body,
                       trace_http_sink *sink, void *context);
/* The start line, without its line end. */
struct bytes trace_http_start(struct bytes message);

/* ---- Packets of MQTT (trace_mqtt.c) ---- */

/* Returns: 0; BYTES_E_FORMAT, BYTES_E_ALGORITHM, BYTES_E_MORE. The fields cover the packet. */
int trace_mqtt_explain(struct bytes packet, bool to_hub, trace_http_sink *sink, void *context);

#endif
