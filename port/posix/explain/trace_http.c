/* SPDX-License-Identifier: MIT */
/* HTTP messages of the flow, taken apart for the transcript. Unlike dps/protocol/http.c, which serves the protocol and
 * refuses what is invalid, this shows whatever was sent. */
#include "dps/protocol/date.h"
#include "dps/protocol/json.h"
#include "dps/protocol/sas.h"
#include "dps/protocol/text.h"
#include "port/posix/explain/trace_private.h"
#include <string.h>

struct splitter {
    struct bytes message;
    size_t at; /* next byte that belongs to no field yet */
    trace_http_sink *sink;
    void *context;
};

static const struct {
    const char *name;
    const char *meaning;
} meanings[] = {
    {"Host", "The server that the request is for."},
    {"Authorization", "The SAS token: what it opens, until when, and the HMAC that proves the key."},
    {"Content-Length", "Bytes of the body."},
    {"Transfer-Encoding", "The body comes in chunks, each after its size."},
    {"Date", "The server's clock: a device without a clock uses it."},
    {"Retry-After", "Seconds to wait before asking again."},
    {"Location", "Where to ask for the result."},
    {"registrationId", "The name under which the device is enrolled."},
    {"tpm", "The public keys of the TPM."},
    {"endorsementKey", "EK_pub: a TPM2B_PUBLIC in base64. It says which TPM this is."},
    {"storageRootKey", "SRK_pub: a TPM2B_PUBLIC in base64. The challenge is wrapped for it."},
    {"authenticationKey", "The activation blob in base64: an HMAC key that only this TPM can unwrap."},
    {"keyName", "The name of this key in the SAS token."},
    {"operationId", "The operation to ask for, to learn how the registration ended."},
    {"status", "How far the registration has come."},
    {"substatus", "How the assignment came about."},
    {"registrationState", "The result of the registration."},
    {"assignedHub", "The hub that the device belongs to from now on."},
    {"deviceId", "The device's name at that hub."},
    {"payload", "What the enrollment or the allocation passes on to the device."},
    {"etag", "Changes whenever the record changes."},
    {"errorCode", "Why the service refused, as a number."},
    {"trackingId", "The number under which the service's log has this request."},
    {"message", "Why, in words."},
    {"scheme", "What kind of Authorization header this is."},
    {"sr", "The audience, percent-encoded: what the token opens."},
    {"sig", "HMAC-SHA-256 over the audience as it is here, a line feed, and the expiry."},
    {"skn", "The name of the key that signed."},
};

static const char *meaning_of(struct bytes name)
{
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
        if (dps_text_equal_nocase(name, bytes_of_text(meanings[i].name))) {
            return meanings[i].meaning;
        }
    }
    return NULL;
}

/* Without the white space around it, which means nothing. */
static struct bytes trimmed(struct bytes text)
{
    while (text.len > 0 && memchr(", \t\r\n", text.p[0], 5) != NULL) {
        text = bytes_of(&text.p[1], text.len - 1);
    }
    while (text.len > 0 && memchr(" \t\r\n", text.p[text.len - 1], 4) != NULL) {
        text.len--;
    }
    return text;
}

/* The next field: all that is left before end. */
static void emit_meaning(struct splitter *s, struct bytes name, const char *type, unsigned depth, size_t end,
                         const char *meaning)
{
    if (end <= s->at) {
        return;
    }
    struct trace_http_field field = {
        .name = name,
        .type = type,
        .meaning = meaning,
        .offset = s->at,
        .len = end - s->at,
        .depth = depth,
    };
    field.shown = trimmed(bytes_of(&s->message.p[s->at], field.len));
    s->at = end;
    s->sink(s->context, &field);
}

static void emit(struct splitter *s, struct bytes name, const char *type, unsigned depth, size_t end,
                 bool explained)
{
    emit_meaning(s, name, type, depth, end, explained ? meaning_of(name) : NULL);
}

static size_t end_of(const struct splitter *s, struct bytes part)
{
    return (size_t)(part.p - s->message.p) + part.len;
}

/* dps_json_check has limited the nesting, and with it this recursion. */
static void split_json(struct splitter *s, struct bytes name, struct bytes value, unsigned depth)
{
    const enum dps_json_kind kind = dps_json_kind(value);
    if (kind != DPS_JSON_OBJECT && kind != DPS_JSON_ARRAY) {
        emit(s, name, "JSON", depth, end_of(s, value), true);
        return;
    }
    size_t cursor = 0;
    struct bytes member_name;
    struct bytes member;
    emit(s, name, "JSON", depth, end_of(s, value) - value.len + 1, true);
    while (dps_json_next(value, &cursor, &member_name, &member)) {
        split_json(s, member_name, member, depth + 1);
    }
    emit(s, name, "JSON", depth, end_of(s, value), false);
}

static void split_body(struct splitter *s, bool opaque)
{
    struct bytes value;
    const struct bytes body = bytes_of(&s->message.p[s->at], s->message.len - s->at);
    if (!opaque && body.len > 0 && dps_json_check(body, &value) == 0) {
        split_json(s, bytes_of_text("body"), value, 0);
        emit(s, bytes_of_text("white space"), "text", 0, s->message.len, false);
    } else {
        emit(s, bytes_of_text(opaque ? "body in chunks" : "body"), "bytes", 0, s->message.len, false);
    }
}

static int explain_json(struct bytes text, trace_http_sink *sink, void *context)
{
    struct splitter s = {.message = text, .sink = sink, .context = context};
    struct bytes value;
    const int error = dps_json_check(text, &value);
    split_body(&s, false);
    return error;
}

/* Seconds since 1970, as a date. */
static void emit_expiry(struct splitter *s, struct bytes name, struct bytes value, size_t end)
{
    char meaning[128];
    uint8_t date[32];
    uint64_t seconds;
    struct bytes_writer w = bytes_writer_over(date, sizeof date);
    if (dps_decimal_parse(value, INT64_MAX, &seconds) == 0) {
        dps_write_http_date(&w, seconds);
    }
    const struct bytes text = bytes_written(&w);
    (void)snprintf(meaning, sizeof meaning, text.len > 0 ? "The expiry: %.*s." : "The expiry: not a time.",
                   (int)text.len, (const char *)text.p);
    emit_meaning(s, name, "text", 1, end, meaning);
}

static int explain_sas(struct bytes token, trace_http_sink *sink, void *context)
{
    struct splitter s = {.message = token, .sink = sink, .context = context};
    struct dps_sas sas;
    struct bytes pairs;
    struct bytes scheme;
    pairs = dps_split(token, ' ', &scheme);
    emit(&s, bytes_of_text("scheme"), "text", 0, token.len - pairs.len, true);
    while (pairs.len > 0) {
        struct bytes name;
        struct bytes pair;
        pairs = dps_split(pairs, '&', &pair);
        const struct bytes value = dps_split(pair, '=', &name);
        if (bytes_equal_public(name, bytes_of_text("se"))) {
            emit_expiry(&s, name, value, token.len - pairs.len);
        } else {
            emit(&s, name, "text", 1, token.len - pairs.len, true);
        }
    }
    return dps_sas_parse(token, &sas);
}

/* After the next line end, or 0 if there is none. */
static size_t line_end(struct bytes message, size_t at)
{
    for (; at + 1 < message.len; at++) {
        if (message.p[at] == '\r' && message.p[at + 1] == '\n') {
            return at + 2;
        }
    }
    return 0;
}

static int explain_http(struct bytes message, bool opaque_body, trace_http_sink *sink, void *context)
{
    struct splitter s = {.message = message, .sink = sink, .context = context};
    size_t end;
    while ((end = line_end(message, s.at)) != 0) {
        const struct bytes line = bytes_of(&message.p[s.at], end - s.at);
        if (line.len == 2) {
            emit(&s, bytes_of_text("empty line"), "text", 0, end, false);
            split_body(&s, opaque_body);
            return 0;
        }
        struct bytes name = bytes_of_text("start line");
        if (s.at > 0) {
            dps_split(line, ':', &name);
        }
        emit(&s, name, "text", 0, end, s.at > 0);
    }
    emit(&s, bytes_of_text("unparsed"), "text", 0, message.len, false);
    return BYTES_E_MORE;
}

struct bytes trace_http_start(struct bytes message)
{
    const size_t end = line_end(message, 0);
    return bytes_of(message.p, end > 0 ? end - 2 : 0);
}

int trace_text_explain(enum trace_subject subject, struct bytes message, bool opaque_body,
                       trace_http_sink *sink, void *context)
{
    switch (subject) {
    case TRACE_SAS_TOKEN:
        return explain_sas(message, sink, context);
    case TRACE_JSON:
        return explain_json(message, sink, context);
    case TRACE_MQTT_SENT:
    case TRACE_MQTT_RECEIVED:
        return trace_mqtt_explain(message, subject == TRACE_MQTT_SENT, sink, context);
    default:
        return explain_http(message, opaque_body, sink, context);
    }
}
