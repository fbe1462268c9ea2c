/* SPDX-License-Identifier: MIT */
/* What a message's sessions hide, and how their HMACs come about: computed when the message passes, since the device
 * forgets its sessions. */
#include "tests/lab/inside.h"
#include <string.h>

static uint8_t memory[LAB_HIDDEN_BYTES];
static struct trace_sessions sessions; /* of the last command: its response does not name them */

static void keep(void *context, const struct trace_secret *secret)
{
    struct lab_world *w = context;
    if (w->hidden_count == LAB_HIDDEN || secret->bytes.len > sizeof memory - w->hidden_used) {
        return;
    }
    struct lab_hidden *h = &w->hidden[w->hidden_count++];
    *h = (struct lab_hidden){(uint16_t)(w->message_count - 1), secret->session, secret->name, secret->meaning,
                             bytes_of(&memory[w->hidden_used], secret->bytes.len)};
    memcpy(&memory[w->hidden_used], secret->bytes.p, secret->bytes.len);
    w->hidden_used += secret->bytes.len;
}

void lab_keep_hidden(struct lab_world *w, enum port_trace_kind kind, uint32_t command_code,
                     struct bytes message)
{
    char unused[TRACE_SESSIONS_TEXT];
    trace_sessions_read(&sessions, kind == PORT_TRACE_TPM_COMMAND, command_code, message, unused);
    trace_secrets(&w->device, &sessions, keep, w);
}
