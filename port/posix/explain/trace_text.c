/* SPDX-License-Identifier: MIT */
/* The layout of the transcript: columns, words, colours, and the strings of JSON. */
#include "port/posix/explain/trace_private.h"
#include "tpm/rc.h"
#include "tpm/tools/rc_text.h"
#include <stdlib.h>
#include <string.h>

#define BASE64_LONG 72 /* a SAS signature with its percent-encoding stays whole */
#define BASE64_HEAD 24
#define BASE64_TAIL 8

void trace_style(struct trace *t, enum trace_style style)
{
    static const char *const codes[] = {"\033[0m", "\033[1m", "\033[33m", "\033[36m"};
    if (t->colour) {
        (void)fputs(codes[style], t->out);
    }
}

void trace_newline(struct trace *t)
{
    (void)fputc('\n', t->out);
    t->column = 0;
}

void trace_column(struct trace *t, size_t column)
{
    if (t->column > column) {
        trace_newline(t);
    }
    while (t->column < column) {
        (void)fputc(' ', t->out);
        t->column++;
    }
}

/* Columns of UTF-8: continuation bytes have none. Our own texts use no wide characters. */
static size_t columns_of(const char *text, size_t len)
{
    size_t columns = 0;
    for (size_t i = 0; i < len; i++) {
        columns += ((unsigned char)text[i] & 0xC0) != 0x80;
    }
    return columns;
}

void trace_words(struct trace *t, const char *text, size_t indent)
{
    const char *const end = text + strlen(text);
    while (text < end) {
        const size_t blanks = strspn(text, " ");
        const size_t len = strcspn(text + blanks, " ");
        const size_t columns = columns_of(text + blanks, len);
        if (t->column > indent && t->column + blanks + columns > TRACE_COLUMNS) {
            trace_newline(t);
            trace_column(t, indent);
        } else {
            trace_column(t, t->column + blanks);
        }
        (void)fwrite(text + blanks, 1, len, t->out);
        t->column += columns;
        text += blanks + len;
    }
}

static void put_anywhere(struct trace *t, const char *character, size_t len, size_t indent)
{
    if (t->column >= TRACE_COLUMNS) {
        trace_newline(t);
        trace_column(t, indent);
    }
    (void)fwrite(character, 1, len, t->out);
    t->column++;
}

/* A line is broken before a blank or the & of a token or query, where that is possible. */
static size_t columns_of_part(struct bytes text, size_t at)
{
    size_t part = 1;
    while (at + part < text.len && text.p[at + part] != ' ' && text.p[at + part] != '&') {
        part++;
    }
    return part;
}

static void put_peer(struct trace *t, struct bytes text, size_t indent)
{
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.p[i] >= 0x20 && text.p[i] < 0x7F ? (char)text.p[i] : '?';
        if (c == ' ' || c == '&') {
            const size_t part = columns_of_part(text, i);
            if (t->column + part > TRACE_COLUMNS && indent + part <= TRACE_COLUMNS) {
                trace_newline(t);
                trace_column(t, indent);
            }
        }
        put_anywhere(t, &c, 1, indent);
    }
}

static bool is_base64(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/' || c == '=';
}

static size_t base64_run(struct bytes text, size_t at)
{
    size_t run = 0;
    while (at + run < text.len && is_base64(text.p[at + run])) {
        run++;
    }
    return run;
}

static void put_shortened(struct trace *t, struct bytes base64, size_t indent)
{
    char count[40];
    const int len = snprintf(count, sizeof count, " (%zu characters)", base64.len);
    put_peer(t, bytes_of(base64.p, BASE64_HEAD), indent);
    put_anywhere(t, "…", strlen("…"), indent);
    put_peer(t, bytes_of(&base64.p[base64.len - BASE64_TAIL], BASE64_TAIL), indent);
    put_peer(t, bytes_of(count, (size_t)len), indent);
}

void trace_peer_text(struct trace *t, struct bytes text, size_t indent)
{
    size_t shown = 0; /* what is after it was looked at, and is to be shown as it is */
    for (size_t at = 0; at < text.len;) {
        const size_t run = base64_run(text, at);
        if (run >= BASE64_LONG) {
            put_peer(t, bytes_of(&text.p[shown], at - shown), indent);
            put_shortened(t, bytes_of(&text.p[at], run), indent);
            shown = at + run;
        }
        at += run > 0 ? run : 1;
    }
    put_peer(t, bytes_of(&text.p[shown], text.len - shown), indent);
}

static void put_hex(struct trace *t, struct bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        (void)fprintf(t->out, "%02x", bytes.p[i]);
    }
    t->column += 2 * bytes.len;
}

void trace_short_hex(struct trace *t, struct bytes bytes)
{
    if (bytes.len <= 11) {
        put_hex(t, bytes);
        return;
    }
    put_hex(t, bytes_of(bytes.p, 8));
    (void)fputs("…", t->out);
    t->column++;
    put_hex(t, bytes_of(&bytes.p[bytes.len - 2], 2));
}

void trace_json_hex(struct trace *t, struct bytes bytes)
{
    put_hex(t, bytes);
}

void trace_json_string(struct trace *t, struct bytes text)
{
    (void)fputc('"', t->out);
    for (size_t i = 0; i < text.len; i++) {
        const uint8_t c = text.p[i];
        if (c < 0x20 || c >= 0x7F) {
            (void)fprintf(t->out, "\\u%04x", c);
        } else if (c == '"' || c == '\\') {
            (void)fprintf(t->out, "\\%c", c);
        } else {
            (void)fputc(c, t->out);
        }
    }
    (void)fputc('"', t->out);
}

void trace_response_code(struct trace *t, uint32_t rc)
{
    static const char *const numbered[] = {
        [TPM2_RC_KIND_HANDLE] = "handle",
        [TPM2_RC_KIND_PARAMETER] = "parameter",
        [TPM2_RC_KIND_SESSION] = "session",
    };
    char text[80] = "";
    uint32_t below = 0;
    const char *layer = tpm2_rc_layer(rc, &below);
    const struct tpm2_rc decoded = tpm2_rc_decode(below != 0 ? below : rc);
    const char *name = tpm2_rc_name(tpm2_rc_decode(rc).code);
    (void)snprintf(text, sizeof text, " %s (0x%03x)", name != NULL ? name : "unknown code", (unsigned)rc);
    trace_words(t, text, TRACE_HEX_AT);
    if (decoded.number > 0 && decoded.kind >= TPM2_RC_KIND_HANDLE) {
        (void)snprintf(text, sizeof text, ", %s %u", numbered[decoded.kind], decoded.number);
        trace_words(t, text, TRACE_HEX_AT);
    }
    if (layer != NULL) {
        trace_words(t, ", said by ", TRACE_HEX_AT);
        trace_words(t, layer, TRACE_HEX_AT);
    }
}
