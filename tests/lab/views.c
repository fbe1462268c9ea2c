/* SPDX-License-Identifier: MIT */
/* What is inside of HTTP messages: keys, blobs, tokens. */
#include "dps/protocol/text.h"
#include "tests/lab/inside.h"
#include <string.h>

static const struct {
    enum port_trace_kind kind;
    enum trace_subject subject;
    const char *before;
    char end;
    bool base64;
} places[LAB_VIEWS] = {
    {PORT_TRACE_HTTP_REQUEST, TRACE_PUBLIC, "\"endorsementKey\":\"", '"', true},
    {PORT_TRACE_HTTP_REQUEST, TRACE_PUBLIC, "\"storageRootKey\":\"", '"', true},
    {PORT_TRACE_HTTP_REQUEST, TRACE_SAS_TOKEN, "Authorization: ", '\r', false},
    {PORT_TRACE_HTTP_RESPONSE, TRACE_ACTIVATION_BLOB, "\"authenticationKey\":\"", '"', true},
};

/* Where it stands in the message, as it is written there; empty: nowhere. */
static struct bytes find(enum port_trace_kind kind, struct bytes message, unsigned view)
{
    const struct bytes nothing = {0};
    if (view == 0 || view > LAB_VIEWS || places[view - 1].kind != kind) {
        return nothing;
    }
    const char *before = places[view - 1].before;
    const uint8_t *at = memmem(message.p, message.len, before, strlen(before));
    if (at == NULL) {
        return nothing;
    }
    at += strlen(before);
    const uint8_t *end = memchr(at, places[view - 1].end, message.len - (size_t)(at - message.p));
    return end == NULL ? nothing : bytes_of(at, (size_t)(end - at));
}

int lab_view(enum port_trace_kind kind, struct bytes message, unsigned view, uint8_t *out, size_t capacity,
             size_t *len)
{
    struct bytes text = view == 0 ? message : find(kind, message, view);
    *len = 0;
    if (text.len == 0) {
        return -1;
    }
    if (view > 0 && places[view - 1].base64) {
        return dps_base64_decode(text, out, capacity, len) == 0 ? (int)places[view - 1].subject : -1;
    }
    if (text.len > capacity) {
        return -1;
    }
    memcpy(out, text.p, text.len);
    *len = text.len;
    return view == 0 ? (int)kind : (int)places[view - 1].subject;
}

bool lab_view_set(enum port_trace_kind kind, uint8_t *message, size_t len, unsigned view, size_t offset,
                  uint8_t value)
{
    static uint8_t decoded[LAB_HTTP_MAX];
    size_t decoded_len = 0;
    if (lab_view(kind, bytes_of(message, len), view, decoded, sizeof decoded, &decoded_len) < 0 ||
        offset >= decoded_len) {
        return false;
    }
    const bool changes = decoded[offset] != value;
    decoded[offset] = value;
    const struct bytes text = view == 0 ? bytes_of(message, len) : find(kind, bytes_of(message, len), view);
    struct bytes_writer w = bytes_writer_over(message + (text.p - message), text.len);
    if (view > 0 && places[view - 1].base64) {
        dps_write_base64(&w, bytes_of(decoded, decoded_len));
    } else {
        bytes_write_bytes(&w, bytes_of(decoded, decoded_len));
    }
    return changes && w.error == 0;
}
