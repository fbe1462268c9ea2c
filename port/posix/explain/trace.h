/* SPDX-License-Identifier: MIT */
/* The transcript of a run (`--trace`, `--trace=json`): every TPM, HTTP and MQTT message, taken apart and explained.
 *
 * authValues (passwords) never reach the output: their bytes are replaced before anything is written. So are the HMACs
 * of policy sessions, which may be passwords, too. Everything else is shown as it was sent, the Authorization header
 * included: whoever reads a transcript can use that token until it expires. So are keys and data that a command or
 * response carries in clear, as on the bus: the inner key, what is sealed or unsealed, if no session hides it. Each
 * message says which sessions it is in and what they hide. Of a command that this program does not know only the header
 * is shown, since the rest may hold an authValue.
 *
 * `--trace-secrets`, for teaching: nothing is replaced, and what sessions hide is shown with the keys that hide it.
 *
 * The readable form: for each message a heading and one indented line per field, at most 100 columns, with colours if
 * out is a terminal and NO_COLOR is not set [no-color.org].
 *
 * The JSON form: one object per message, each on a line, in the order in which the messages were sent:
 *   step    number, 1..10; 0 outside of the flow
 *   kind    "tpm-command", "tpm-response", "http-request", "http-response", "mqtt-sent" or "mqtt-received"; of what
 *           trace_explain was given also "public", "activation-blob", "response-code", "sas-token" or "json"
 *   what    string: what the message is for; of a packet that `explain` has found in a capture, the first line of its
 *           comment
 *   name    string: "TPM2_Load", "PUBLISH", of an HTTP message its first line, else what it is
 *   len     number: its bytes
 *   hex     string, 2 * len lower-case digits; passwords are zeros
 *   masked  true if bytes of hex were replaced, else false. In a capture nothing is, but zeros count as replaced
 *   sessions  of a TPM message, string: "Sessions: policy session 0x03000000. Encrypted: certInfo."; absent if it has
 *           none
 *   error   number: 0, or a negative value of enum bytes_error: the message is malformed or incomplete, and fields
 *           says how far it could be explained
 *   fields  array, in the order of the bytes, containers before what they contain:
 *     name    string, as the specification writes it
 *     type    string: "UINT32", "TPM2B_PUBLIC" ...; in HTTP messages "text", "JSON" or "bytes";
 *             in packets of MQTT also "number"
 *     offset, len, depth    numbers; the leaves cover all bytes exactly once
 *     leaf    true or false
 *     value   number: of an integer, else absent
 *     valueName   string: "TPM_ALG_SHA256"; absent if the value has no name
 *     meaning     string: one plain sentence; absent if there is nothing to say
 *     spec        string: "P2 r1.59 12.2.5"; absent in HTTP and MQTT
 *     masked      true if the bytes of this field were replaced, else absent
 *     encrypted   true if a session hides this parameter, else absent
 * With --trace-secrets a TPM message is followed by another object if something in it is computed from a secret:
 *   step, what, name   as above; kind is "secrets"
 *   values  array, each computed from those before it:
 *     session   number: its handle; 0: it has none yet
 *     name      string: "salt", "nonceTPM", "nonceCaller", "sessionKey"; "cpHashInput", "cpHash" ("rpHashInput",
 *               "rpHash"), "hmacKey", "hmacInput", "hmac"; "cfbSecret", "cfbKey", "cfbIV", "keystream", "clear"
 *     hex, meaning   strings
 * New members may be added; these stay. */
#ifndef PORT_POSIX_EXPLAIN_TRACE_H
#define PORT_POSIX_EXPLAIN_TRACE_H

#include "dps/device/limits.h"
#include "dps/protocol/http.h"
#include "port/port.h"
#include "port/posix/explain/trace_session.h"
#include <stdio.h>

struct trace {
    FILE *out;
    bool json;
    bool colour;
    bool capture;          /* explain: passwords as they stand in the file, and each packet's comment */
    size_t column;         /* readable form: where the next character goes, from 0 */
    uint32_t command_code; /* of the last TPM command: its response does not repeat it */
    struct trace_sessions sessions;  /* likewise */
    const struct dps_device *device; /* its secrets are shown; null: none are */
    /* An HTTP response comes in pieces and is shown when it is complete. */
    struct dps_http http;
    unsigned http_step;
    const char *http_what;
    bool http_broken; /* the rest is passed on unexplained, until the next request */
    size_t raw_len;
    size_t http_len;
    uint8_t raw[DPS_NET_BUFFER];       /* as it was sent */
    uint8_t unchunked[DPS_NET_BUFFER]; /* as dps_http_advance leaves it */
};

/* out stays the caller's, and open until trace_close. */
void trace_open(struct trace *t, FILE *out, bool json);
/* Show what is left of an HTTP response that ended with its connection, and flush. */
void trace_close(struct trace *t);
/* The sink for struct port. */
struct port_trace trace_port(struct trace *t);

/* One thing outside of any run, in the same form. */
enum trace_subject { /* the first six as in enum port_trace_kind */
                     TRACE_COMMAND,
                     TRACE_RESPONSE,
                     TRACE_HTTP_REQUEST,
                     TRACE_HTTP_RESPONSE,
                     TRACE_MQTT_SENT,
                     TRACE_MQTT_RECEIVED,
                     TRACE_PUBLIC,          /* TPM2B_PUBLIC with its size field */
                     TRACE_ACTIVATION_BLOB, /* dps/protocol/activation.h */
                     TRACE_RESPONSE_CODE,   /* four bytes: TPM_RC, or a layer's */
                     TRACE_SAS_TOKEN,       /* "SharedAccessSignature sr=..." */
                     TRACE_JSON
};
/*   command_code  of a command and of what a response answers; else ignored
 *   what          for the heading; may be null
 * Returns: 0; BYTES_E_FORMAT, BYTES_E_ALGORITHM or BYTES_E_MORE: it is malformed, of an unknown kind or cut off, and
 * was shown as far as it can be explained. */
int trace_explain(struct trace *t, enum trace_subject subject, uint32_t command_code, const char *what,
                  struct bytes bytes);

/* The name of a packet of MQTT: "PUBLISH"; "MQTT" if it is none. */
const char *trace_mqtt_name(struct bytes packet);

#endif
