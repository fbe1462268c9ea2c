/* SPDX-License-Identifier: MIT */
/* Captures: each packet with its comment, and each answer with the command of its own connection. */
#include "port/posix/explain/explain.h"
#include "port/posix/paste/capture.h"
#include <string.h>

#define PORT_HTTP 80 /* in clear: what trace_pcapng.c makes of HTTPS */

/* ---- Connections ------------------------------------------------------------------------------------------------- */

/* The same in both directions. */
static uint32_t ports_of(const struct capture_packet *packet)
{
    const uint32_t from = packet->from_port, to = packet->to_port;
    return from < to ? to << 16 | from : from << 16 | to;
}

/* Null: there are too many. */
static struct explain_flow *flow_of(struct explain_paste *p, uint32_t ports)
{
    for (size_t i = 0; i < EXPLAIN_FLOWS_MAX; i++) {
        if (p->flows[i].ports == ports || p->flows[i].ports == 0) {
            return &p->flows[i];
        }
    }
    return NULL;
}

/* A connection that is new goes on where the last one was: some captures have other ports for each packet. */
static void enter(struct explain_paste *p, const struct explain_flow *flow)
{
    if (flow != NULL && flow->ports != 0) {
        p->command_code = flow->command_code;
        p->answered = flow->answered;
        p->tpm_key = flow->tpm_key;
        p->bind = flow->bind;
        p->trace.sessions = flow->sessions;
    }
}

static void leave(const struct explain_paste *p, uint32_t ports, struct explain_flow *flow)
{
    if (flow != NULL) {
        *flow = (struct explain_flow){
            .ports = ports,
            .command_code = p->command_code,
            .answered = p->answered,
            .tpm_key = p->tpm_key,
            .bind = p->bind,
            .sessions = p->trace.sessions,
        };
    }
}

/* ---- Packets ----------------------------------------------------------------------------------------------------- */

/* Its first line: what follows in our own files is shown anyway. A file may come from anybody, so nothing in it may
 * write to the terminal. Null: there is none. */
static const char *keep_comment(char out[EXPLAIN_COMMENT_MAX], struct bytes comment)
{
    size_t len = 0;
    while (len < comment.len && len < EXPLAIN_COMMENT_MAX - 1 && comment.p[len] != '\n' &&
           comment.p[len] != '\r') {
        out[len] = comment.p[len] >= 0x20 && comment.p[len] < 0x7F ? (char)comment.p[len] : '?';
        len++;
    }
    out[len] = 0;
    return len > 0 ? out : NULL;
}

/* The trace keeps the words of an answer until its last piece is there. */
static const char *comment_of_http(struct explain_paste *p, bool request, struct bytes comment)
{
    char *out = p->comments[request ? 1 : 2];
    return request || p->trace.raw_len == 0 ? keep_comment(out, comment) : out;
}

/* TPM messages are recognised by their form, on any port; HTTP by its port, since an answer may come in pieces. */
static bool show_packet(struct explain_paste *p, const struct capture_packet *packet)
{
    const struct port_trace http = trace_port(&p->trace);
    const bool request = packet->to_port == PORT_HTTP, answer = packet->from_port == PORT_HTTP;
    struct explain_flow *flow = flow_of(p, ports_of(packet));
    enter(p, flow);
    p->comment = keep_comment(p->comments[0], packet->comment);
    if (explain_messages(p, packet->payload)) {
        leave(p, ports_of(packet), flow);
        return true;
    }
    if (request || answer) {
        http.message(http.context, 0, request ? PORT_TRACE_HTTP_REQUEST : PORT_TRACE_HTTP_RESPONSE,
                     comment_of_http(p, request, packet->comment), packet->payload);
        p->shown++;
        return true;
    }
    return false;
}

bool explain_capture(struct explain_paste *p, struct bytes file)
{
    struct capture c;
    struct capture_packet packet;
    unsigned others = 0, packets = 0;
    int error;
    if (!capture_open(&c, file)) {
        return false;
    }
    p->many = p->trace.capture = true;
    while ((error = capture_next(&c, &packet)) == 0) {
        if (packet.payload.len > 0) {
            packets++;
            others += !show_packet(p, &packet);
        }
    }
    explain_tell_heard(p);
    if (error != BYTES_E_NOT_FOUND) {
        explain_say("this capture is cut off: %zu bytes at its end are not shown", c.rest.len);
        p->broken = true;
    }
    if (others > 0) {
        explain_say(
            "%u of %u packets with data are neither a whole TPM message nor HTTP in clear, and are not shown",
            others, packets);
    }
    if (p->shown == 0) {
        explain_say("there is no TPM message and no HTTP in clear in this capture");
        p->broken = true;
    }
    return true;
}
