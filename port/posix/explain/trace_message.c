/* SPDX-License-Identifier: MIT */
/* The transcript. A TPM message is explained twice: its bytes first, with passwords replaced, then its fields. */
#include "crypto/bytes/bytes.h"
#include "port/posix/explain/trace.h"
#include "port/posix/explain/trace_private.h"
#include "tpm/rc.h"
#include "tpm/tools/explain.h"
#include "tpm/tools/explain_types.h"
#include "tpm/tools/rc_text.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One message, on its way to the output. */
struct message {
    struct trace *t;
    struct bytes bytes;
    size_t sent; /* readable form: how many bytes they were when chunked; 0: as many as they are */
    unsigned step;
    enum trace_subject kind; /* the first six are those of enum port_trace_kind */
    const char *what;
    uint32_t code; /* TPM: of the command */
    bool masked;
    bool first;     /* JSON: no field was written yet */
    bool in_buffer; /* readable form: a TPM2B has been shown as one line, and its size and bytes are not */
    unsigned buffer_depth;
    int error;
    char sessions[TRACE_SESSIONS_TEXT]; /* TPM: what it says of them; empty: nothing */
};

/* What the JSON form and the headings call them. */
static const struct {
    const char *kind, *title;
} subjects[] = {
    [TRACE_COMMAND] = {"tpm-command", NULL},
    [TRACE_RESPONSE] = {"tpm-response", NULL},
    [TRACE_HTTP_REQUEST] = {"http-request", NULL},
    [TRACE_HTTP_RESPONSE] = {"http-response", NULL},
    [TRACE_MQTT_SENT] = {"mqtt-sent", NULL},
    [TRACE_MQTT_RECEIVED] = {"mqtt-received", NULL},
    [TRACE_PUBLIC] = {"public", "TPM2B_PUBLIC"},
    [TRACE_ACTIVATION_BLOB] = {"activation-blob", "Activation blob"},
    [TRACE_RESPONSE_CODE] = {"response-code", "Response code"},
    [TRACE_SAS_TOKEN] = {"sas-token", "SAS token"},
    [TRACE_JSON] = {"json", "JSON"},
};

static int explain(struct message *m, tpm2_explain_sink *sink)
{
    switch (m->kind) {
    case TRACE_COMMAND:
        return tpm2_explain_command(m->bytes, sink, m);
    case TRACE_RESPONSE:
        return tpm2_explain_response(m->code, m->bytes, sink, m);
    case TRACE_PUBLIC:
        return tpm2_explain_public(m->bytes, sink, m);
    case TRACE_RESPONSE_CODE:
        return tpm2_explain_response_code(m->bytes, sink, m);
    default:
        return tpm2_explain_activation_blob(m->bytes, sink, m);
    }
}

static bool is_tpm(const struct message *m)
{
    return m->kind == TRACE_COMMAND || m->kind == TRACE_RESPONSE;
}

static bool is_mqtt(const struct message *m)
{
    return m->kind == TRACE_MQTT_SENT || m->kind == TRACE_MQTT_RECEIVED;
}

/* Of a field, without its size, which may be cut off. */
static struct bytes content_of(const struct message *m, const struct tpm2_field *f)
{
    const size_t size_field = f->kind == TPM2_FIELD_BUFFER ? 2 : 0;
    return f->len < size_field ? bytes_of(NULL, 0)
                               : bytes_of(&m->bytes.p[f->offset + size_field], f->len - size_field);
}

/* In a capture a password stands in clear, unless the trace that it comes from has zeros in its place. */
static bool is_hidden(const struct message *m, const struct tpm2_field *f)
{
    return f->secret && m->t->device == NULL && (!m->t->capture || trace_is_blank(content_of(m, f)));
}

/* A policy session gives an HMAC or a password: whoever sees the bytes can tell. */
static struct tpm2_field with_meaning(const struct message *m, const struct tpm2_field *f)
{
    struct tpm2_field shown = *f;
    if (m->t->capture && f->kind == TPM2_FIELD_BUFFER && f->secret &&
        trace_is_hmac(f->name, content_of(m, f))) {
        shown.meaning = "An HMAC over the command, made with the session's key.";
    }
    return shown;
}

/* ---- The readable form ------------------------------------------------------------------------------------------- */

static void write_field(void *context, const struct tpm2_field *f)
{
    struct message *m = context;
    struct trace *t = m->t;
    if (m->in_buffer && f->depth > m->buffer_depth && f->kind != TPM2_FIELD_UNPARSED) {
        return;
    }
    m->in_buffer = f->kind == TPM2_FIELD_BUFFER;
    m->buffer_depth = f->depth;
    const struct bytes content = content_of(m, f);
    const bool hidden_now = is_hidden(m, f) && content.len > 0;
    trace_column(t, TRACE_HEX_AT);
    trace_style(t, TRACE_BYTES);
    if (hidden_now) {
        char hidden[40];
        (void)snprintf(hidden, sizeof hidden, "hidden: %zu bytes", content.len);
        trace_words(t, hidden, TRACE_HEX_AT);
    } else if (f->kind != TPM2_FIELD_STRUCTURE) {
        trace_short_hex(t, bytes_of(&m->bytes.p[f->offset], f->len));
    }
    trace_column(t, TRACE_NAME_AT + 2 * (size_t)f->depth);
    trace_style(t, TRACE_NAME);
    trace_words(t, f->name, TRACE_NAME_AT);
    trace_style(t, TRACE_PLAIN);
    trace_column(t, TRACE_TEXT_AT);
    const struct tpm2_field shown = with_meaning(m, f);
    trace_value(t, &shown);
    if (f->secret && !hidden_now && trace_is_text(content)) {
        trace_words(t, " Its text:", TRACE_TEXT_AT);
        trace_words(t, " ", TRACE_TEXT_AT);
        trace_peer_text(t, content, TRACE_TEXT_AT);
    }
    trace_newline(t);
    trace_bits(t, f);
}

static void write_text_field(void *context, const struct trace_http_field *f)
{
    struct trace *t = ((struct message *)context)->t;
    const size_t indent = TRACE_HEX_AT + 2 * (size_t)f->depth;
    if (f->shown.len == 0) {
        return;
    }
    trace_column(t, indent);
    trace_peer_text(t, f->shown, indent + 2);
    if (f->meaning != NULL) {
        trace_column(t, t->column + 2 <= TRACE_TEXT_AT ? TRACE_TEXT_AT : t->column);
        if (t->column > TRACE_TEXT_AT) {
            trace_newline(t);
            trace_column(t, TRACE_TEXT_AT);
        }
        trace_style(t, TRACE_NAME);
        trace_words(t, f->meaning, TRACE_TEXT_AT);
        trace_style(t, TRACE_PLAIN);
    }
    trace_newline(t);
}

static uint32_t response_code_of(const struct message *m)
{
    struct bytes_reader r = bytes_reader_over(m->bytes);
    return m->kind == TRACE_RESPONSE ? tpm2_explain_command_code(m->bytes) /* it is at the same place */
                                     : bytes_read_u32(&r);
}

static void write_addressee(const struct message *m)
{
    static const char *const arrows[] = {" → TPM", " ← TPM", " → service", " ← service", " → hub", " ← hub"};
    const bool hub = !is_tpm(m) && m->step == 10; /* the last step is between the device and its hub */
    struct trace *t = m->t;
    char code[32];
    const char *name = is_tpm(m)    ? tpm2_explain_command_name(m->code)
                       : is_mqtt(m) ? trace_mqtt_name(m->bytes)
                                    : "HTTP";
    name = name != NULL ? name : tpm2_explain_code_name(m->code);
    (void)snprintf(code, sizeof code, "TPM command 0x%08x", (unsigned)m->code);
    trace_words(t, is_mqtt(m) ? "MQTT " : "", TRACE_HEX_AT);
    trace_words(t, name != NULL ? name : code, TRACE_HEX_AT);
    trace_words(t, arrows[is_mqtt(m) ? m->kind : m->kind + (hub ? 2U : 0U)], TRACE_HEX_AT);
}

static void write_heading(const struct message *m)
{
    struct trace *t = m->t;
    char text[64];
    trace_newline(t);
    trace_style(t, TRACE_HEADING);
    if (m->step > 0) {
        (void)snprintf(text, sizeof text, "Step %u  ", m->step);
        trace_words(t, text, TRACE_HEX_AT);
    }
    if (m->kind <= TRACE_MQTT_RECEIVED) {
        write_addressee(m);
    } else {
        trace_words(t, subjects[m->kind].title, TRACE_HEX_AT);
    }
    (void)snprintf(text, sizeof text, ", %zu bytes:", m->sent > 0 ? m->sent : m->bytes.len);
    trace_words(t, text, TRACE_HEX_AT);
    if (m->kind == TRACE_RESPONSE || m->kind == TRACE_RESPONSE_CODE) {
        trace_response_code(t, response_code_of(m));
    }
    if (m->what != NULL && (m->kind != TRACE_RESPONSE || t->capture)) {
        trace_words(t, m->kind == TRACE_RESPONSE ? "; " : " ", TRACE_HEX_AT);
        trace_words(t, m->what, TRACE_HEX_AT);
    }
    trace_style(t, TRACE_PLAIN);
    trace_newline(t);
    if (m->sessions[0] != 0) {
        trace_column(t, TRACE_HEX_AT);
        trace_words(t, m->sessions, TRACE_HEX_AT);
        trace_newline(t);
    }
}

static void write_error(const struct message *m)
{
    if (m->error == 0) {
        return;
    }
    trace_column(m->t, TRACE_HEX_AT);
    trace_words(m->t,
                m->error == BYTES_E_ALGORITHM
                    ? "This program does not explain messages of this kind."
                    : "Malformed or incomplete: this is how far it can be explained.",
                TRACE_HEX_AT);
    trace_newline(m->t);
}

static void ignore_text_field(void *context, const struct trace_http_field *f)
{
    (void)context;
    (void)f;
}

/* ---- The JSON form ----------------------------------------------------------------------------------------------- */

static void json_hex(void *context, const struct tpm2_field *f)
{
    struct message *m = context;
    if (!f->leaf) {
        return;
    }
    if (!is_hidden(m, f)) {
        trace_json_hex(m->t, bytes_of(&m->bytes.p[f->offset], f->len));
        return;
    }
    m->masked = true;
    for (size_t i = 0; i < f->len; i++) {
        (void)fputs("00", m->t->out);
    }
}

static void json_text(struct trace *t, const char *member, const char *text)
{
    if (text != NULL) {
        (void)fprintf(t->out, ",\"%s\":", member);
        trace_json_string(t, bytes_of_text(text));
    }
}

static void json_field(void *context, const struct tpm2_field *f)
{
    struct message *m = context;
    FILE *out = m->t->out;
    (void)fprintf(out, "%s{\"name\":\"%s\"", m->first ? "" : ",", f->name);
    m->first = false;
    json_text(m->t, "type", f->type);
    (void)fprintf(out, ",\"offset\":%zu,\"len\":%zu,\"depth\":%u,\"leaf\":%s", f->offset, f->len, f->depth,
                  f->leaf ? "true" : "false");
    if (f->kind == TPM2_FIELD_INTEGER) {
        (void)fprintf(out, ",\"value\":%llu", (unsigned long long)f->value);
    }
    json_text(m->t, "valueName", f->value_name);
    json_text(m->t, "meaning", with_meaning(m, f).meaning);
    json_text(m->t, "spec", f->spec);
    (void)fprintf(out, "%s%s}", is_hidden(m, f) && f->leaf ? ",\"masked\":true" : "",
                  f->encrypted ? ",\"encrypted\":true" : "");
}

static void json_text_field(void *context, const struct trace_http_field *f)
{
    struct message *m = context;
    FILE *out = m->t->out;
    (void)fprintf(out, "%s{\"name\":", m->first ? "" : ",");
    m->first = false;
    trace_json_string(m->t, f->name);
    (void)fprintf(out, ",\"type\":\"%s\",\"offset\":%zu,\"len\":%zu,\"depth\":%u,\"leaf\":true", f->type,
                  f->offset, f->len, f->depth);
    json_text(m->t, "meaning", f->meaning);
    (void)fputc('}', out);
}

static void json_begin(const struct message *m)
{
    FILE *out = m->t->out;
    char code[32];
    (void)fprintf(out, "{\"step\":%u,\"kind\":\"%s\"", m->step, subjects[m->kind].kind);
    json_text(m->t, "what", m->what != NULL ? m->what : "");
    (void)fputs(",\"name\":", out);
    if (is_tpm(m)) {
        const char *name = tpm2_explain_command_name(m->code);
        (void)snprintf(code, sizeof code, "0x%08x", (unsigned)m->code);
        trace_json_string(m->t, bytes_of_text(name != NULL ? name : code));
    } else if (m->kind <= TRACE_MQTT_RECEIVED) {
        trace_json_string(m->t,
                          is_mqtt(m) ? bytes_of_text(trace_mqtt_name(m->bytes)) : trace_http_start(m->bytes));
    } else {
        trace_json_string(m->t, bytes_of_text(subjects[m->kind].title));
    }
    if (m->sessions[0] != 0) {
        json_text(m->t, "sessions", m->sessions);
    }
    (void)fprintf(out, ",\"len\":%zu,\"hex\":\"", m->bytes.len);
}

static void json_middle(const struct message *m)
{
    (void)fprintf(m->t->out, "\",\"masked\":%s,\"error\":%d,\"fields\":[", m->masked ? "true" : "false",
                  m->error);
}

/* ---- Messages ---------------------------------------------------------------------------------------------------- */

static void show_structure(struct message *m)
{
    if (is_tpm(m)) {
        trace_sessions_read(&m->t->sessions, m->kind == TRACE_COMMAND, m->code, m->bytes, m->sessions);
    }
    if (m->t->json) {
        json_begin(m);
        m->error = explain(m, json_hex);
        json_middle(m);
        explain(m, json_field);
        (void)fputs("]}\n", m->t->out);
    } else {
        write_heading(m);
        m->error = explain(m, write_field);
        write_error(m);
    }
}

static void show_tpm(struct message *m)
{
    if (m->kind == TRACE_COMMAND) {
        m->t->command_code = tpm2_explain_command_code(m->bytes);
    }
    m->code = m->t->command_code;
    show_structure(m);
    if (m->t->device != NULL) {
        trace_show_secrets(m->t, m->step, m->what);
    }
}

static void show_text(struct message *m, bool chunked)
{
    if (m->t->json) {
        json_begin(m);
        trace_json_hex(m->t, m->bytes);
        json_middle(m);
        (void)trace_text_explain(m->kind, m->bytes, chunked, json_text_field, m);
        (void)fputs("]}\n", m->t->out);
    } else {
        write_heading(m);
        (void)trace_text_explain(m->kind, m->bytes, false, write_text_field, m);
        write_error(m);
    }
}

/* unchunked: the same message with its body in one piece, for people; the same bytes if it was not chunked. */
static void show_http(struct message *m, struct bytes unchunked)
{
    const bool chunked = !bytes_equal_public(m->bytes, unchunked);
    if (!m->t->json) {
        m->sent = m->bytes.len;
        m->bytes = unchunked;
    }
    show_text(m, chunked);
}

/* Show the response that was collected. */
static void finish_response(struct trace *t, int error)
{
    struct message m = {
        .t = t,
        .bytes = bytes_of(t->raw, t->raw_len),
        .step = t->http_step,
        .kind = TRACE_HTTP_RESPONSE,
        .what = t->http_what,
        .first = true,
        .error = error,
    };
    const struct bytes unchunked =
        error == 0 ? bytes_of(t->unchunked, t->http.head_len + t->http.body_len) : m.bytes;
    show_http(&m, unchunked);
    t->http_broken = error != 0;
    t->raw_len = 0;
    t->http_len = 0;
}

/* Nothing more comes: without a length, a response ends with its connection [RFC 9112 6.3]. */
static void end_response(struct trace *t)
{
    if (t->raw_len > 0) {
        finish_response(t, dps_http_advance(&t->http, t->unchunked, &t->http_len, sizeof t->unchunked, true));
    }
}

static void collect_response(struct trace *t, const struct message *m)
{
    if (t->raw_len == 0) {
        dps_http_init(&t->http, DPS_HTTP_RESPONSE);
        t->http_step = m->step;
        t->http_what = m->what;
    }
    const size_t room = sizeof t->raw - t->raw_len;
    const size_t len = m->bytes.len < room ? m->bytes.len : room;
    memcpy(&t->raw[t->raw_len], m->bytes.p, len);
    memcpy(&t->unchunked[t->http_len], m->bytes.p, len);
    t->raw_len += len;
    t->http_len += len;
    const int error = dps_http_advance(&t->http, t->unchunked, &t->http_len, sizeof t->unchunked, false);
    if (error != BYTES_E_MORE) {
        finish_response(t, error);
    } else if (t->raw_len == sizeof t->raw) {
        finish_response(t, BYTES_E_LIMIT);
    }
    if (len < m->bytes.len) {
        struct message rest = *m;
        rest.bytes = bytes_of(&m->bytes.p[len], m->bytes.len - len);
        rest.error = BYTES_E_LIMIT;
        show_http(&rest, rest.bytes);
    }
}

static void show(void *context, unsigned step, enum port_trace_kind kind, const char *what,
                 struct bytes bytes)
{
    struct trace *t = context;
    struct message m = {
        .t = t, .bytes = bytes, .step = step, .kind = (enum trace_subject)kind, .what = what, .first = true};
    if (bytes.len == 0) {
        return;
    }
    if (kind != PORT_TRACE_HTTP_RESPONSE) {
        end_response(t);
        t->http_broken = false;
    }
    if (is_tpm(&m)) {
        show_tpm(&m);
    } else if (is_mqtt(&m)) {
        m.error = trace_text_explain(m.kind, bytes, false, ignore_text_field, NULL);
        show_text(&m, false);
    } else if (kind == PORT_TRACE_HTTP_REQUEST) {
        show_http(&m, bytes);
    } else if (t->http_broken) {
        m.error = BYTES_E_FORMAT;
        show_http(&m, bytes);
    } else {
        collect_response(t, &m);
    }
    (void)fflush(t->out);
}

int trace_explain(struct trace *t, enum trace_subject subject, uint32_t command_code, const char *what,
                  struct bytes bytes)
{
    struct message m = {
        .t = t, .bytes = bytes, .kind = subject, .what = what, .code = command_code, .first = true};
    const bool text =
        subject >= TRACE_SAS_TOKEN || (subject >= TRACE_HTTP_REQUEST && subject <= TRACE_MQTT_RECEIVED);
    if (text) {
        m.error = trace_text_explain(subject, bytes, false, ignore_text_field, NULL);
        show_text(&m, false);
    } else {
        show_structure(&m);
    }
    (void)fflush(t->out);
    return m.error;
}

void trace_open(struct trace *t, FILE *out, bool json)
{
    const char *no_colour = getenv("NO_COLOR");
    memset(t, 0, sizeof *t);
    t->out = out;
    t->json = json;
    t->colour = !json && isatty(fileno(out)) == 1 && (no_colour == NULL || no_colour[0] == 0);
}

void trace_close(struct trace *t)
{
    end_response(t);
    (void)fflush(t->out);
}

struct port_trace trace_port(struct trace *t)
{
    return (struct port_trace){.context = t, .message = show};
}
