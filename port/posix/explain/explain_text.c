/* SPDX-License-Identifier: MIT */
/* Texts of the protocol: SAS tokens, JSON, HTTP messages, also as curl -v shows them. What a text carries in base64 is
 * shown after it. */
#include "dps/protocol/http.h"
#include "dps/protocol/http_message.h"
#include "dps/protocol/json.h"
#include "dps/protocol/sas.h"
#include "dps/protocol/text.h"
#include "port/posix/explain/explain.h"
#include "port/posix/paste/paste.h"
#include <string.h>

static struct bytes behind(struct bytes text, size_t n)
{
    return bytes_of(text.p + n, text.len - n);
}

/* ---- SAS tokens -------------------------------------------------------------------------------------------------- */

#define SCHEME "SharedAccessSignature "

static void show_token(struct explain_paste *p, struct bytes token)
{
    struct dps_sas sas;
    explain_show(p, TRACE_SAS_TOKEN, NULL, token);
    if (dps_sas_parse(token, &sas) == 0) {
        explain_remark(p, "Signed text: printf '%%s\\n%%s' '%.*s' %.*s", (int)sas.sr.len, sas.sr.p,
                       (int)sas.se.len, sas.se.p);
    }
}

/* Up to what cannot be part of a token: a blank, a quote, ";" of a connection string. */
static struct bytes token_at(struct bytes text, size_t scheme)
{
    size_t len = scheme;
    while (len < text.len && text.p[len] > ' ' && text.p[len] < 0x7F &&
           strchr("\"'`;<>", text.p[len]) == NULL) {
        len++;
    }
    return bytes_of(text.p, len);
}

/* Anywhere in the text: in quotes, in a header, in a connection string, in a command line; also without its scheme. */
bool explain_token(struct explain_paste *p, struct bytes text)
{
    uint8_t whole[EXPLAIN_DECODED_MAX];
    struct bytes_writer w = bytes_writer_over(whole, sizeof whole);
    const size_t at = paste_find(text, SCHEME "s");
    if (at < text.len) {
        show_token(p, token_at(behind(text, at), strlen(SCHEME)));
        return true;
    }
    while (text.len > 0 && strchr("\"'`&?", text.p[0]) != NULL && text.p[0] != 0) {
        text = behind(text, 1);
    }
    if (!paste_begins(text, "sr=") && !paste_begins(text, "sig=") && !paste_begins(text, "se=")) {
        return false;
    }
    dps_write_text(&w, SCHEME);
    bytes_write_bytes(&w, token_at(text, 0));
    show_token(p, bytes_written(&w));
    return w.error == 0;
}

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

static void show_member(struct explain_paste *p, struct bytes name, struct bytes value)
{
    static const char *const carriers[] = {"endorsementKey", "storageRootKey", "authenticationKey"};
    uint8_t text[EXPLAIN_DECODED_MAX], bytes[EXPLAIN_DECODED_MAX];
    const char *form;
    size_t len;
    for (size_t i = 0; i < sizeof carriers / sizeof carriers[0]; i++) {
        if (!bytes_equal_public(name, bytes_of_text(carriers[i])) || dps_json_kind(value) == DPS_JSON_NULL) {
            continue;
        }
        if (dps_json_string(value, text, sizeof text, &len) != 0 ||
            paste_bytes(bytes_of(text, len), bytes, sizeof bytes, &len, &form) != 0 ||
            !explain_bytes(p, carriers[i], bytes_of(bytes, len))) {
            explain_say("%s is not base64 of something that is known here", carriers[i]);
            p->broken = true;
        }
    }
}

/* dps_json_check has limited the nesting, and with it this recursion. */
static void show_members(struct explain_paste *p, struct bytes container)
{
    size_t cursor = 0;
    struct bytes name;
    struct bytes value;
    const enum dps_json_kind kind = dps_json_kind(container);
    if (kind != DPS_JSON_OBJECT && kind != DPS_JSON_ARRAY) {
        return;
    }
    while (dps_json_next(container, &cursor, &name, &value)) {
        show_member(p, name, value);
        show_members(p, value);
    }
}

bool explain_json(struct explain_paste *p, struct bytes text)
{
    struct bytes value;
    explain_show(p, TRACE_JSON, NULL, text);
    const unsigned shown = p->shown;
    if (dps_json_check(text, &value) == 0) {
        show_members(p, value);
        if (p->shown == shown) {
            (void)explain_ek(p, NULL, text); /* a key in a member of another name */
        }
    }
    return true;
}

/* ---- HTTP -------------------------------------------------------------------------------------------------------- */

static bool is_request(struct bytes text)
{
    static const char *const methods[] = {"GET /", "PUT /", "POST /", "DELETE /", "HEAD /", "PATCH /"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (paste_begins(text, methods[i])) {
            return true;
        }
    }
    return false;
}

static bool is_answer(struct bytes text)
{
    return paste_begins(text, "HTTP/1.") || paste_begins(text, "HTTP/2 ") || paste_begins(text, "HTTP/3 ");
}

static void show_http(struct explain_paste *p, struct bytes message)
{
    struct dps_http http;
    uint8_t whole[EXPLAIN_DECODED_MAX];
    size_t len = message.len;
    struct bytes value;
    const bool request = is_request(message);
    explain_show(p, request ? TRACE_HTTP_REQUEST : TRACE_HTTP_RESPONSE, NULL, message);
    if (len > sizeof whole) {
        return;
    }
    memcpy(whole, message.p, len);
    dps_http_init(&http, request ? DPS_HTTP_REQUEST : DPS_HTTP_RESPONSE);
    if (dps_http_advance(&http, whole, &len, sizeof whole, true) != 0) {
        return;
    }
    if (dps_http_header(&http, whole, "Authorization", &value) == 0) {
        (void)explain_token(p, value);
    }
    const struct bytes body = dps_http_body(&http, whole);
    if (dps_json_check(body, &value) == 0) {
        show_members(p, value);
    }
}

/* One message of which lines were copied: with line ends of any kind, and a length that no longer fits. */
struct copied {
    uint8_t message[EXPLAIN_DECODED_MAX];
    struct bytes_writer w;
};

static void begin_copied(struct copied *c)
{
    c->w = bytes_writer_over(c->message, sizeof c->message);
}

/* "HTTP/2 401" has no reason phrase, and our parser does not take it. */
static void add_start_line(struct copied *c, struct bytes line)
{
    if (paste_begins(line, "HTTP/2 ") || paste_begins(line, "HTTP/3 ")) {
        dps_write_text(&c->w, "HTTP/1.1 ");
        line = paste_trimmed(behind(line, strlen("HTTP/2 ")));
        bytes_write_bytes(&c->w, line);
        dps_write_text(&c->w, line.len == 3 ? " " : "");
    } else {
        bytes_write_bytes(&c->w, line);
    }
    dps_write_text(&c->w, "\r\n");
}

static void add_header_line(struct copied *c, struct bytes line)
{
    if (!paste_begins(line, "content-length:") && !paste_begins(line, "transfer-encoding:")) {
        bytes_write_bytes(&c->w, line);
        dps_write_text(&c->w, "\r\n");
    }
}

static void show_copied(struct explain_paste *p, struct copied *c, struct bytes body)
{
    if (body.len > 0) {
        dps_write_text(&c->w, "Content-Length: ");
        dps_write_decimal(&c->w, body.len);
        dps_write_text(&c->w, "\r\n");
    }
    dps_write_text(&c->w, "\r\n");
    bytes_write_bytes(&c->w, body);
    if (c->w.error != 0) {
        explain_say("an HTTP message of more than %d bytes is not shown", EXPLAIN_DECODED_MAX);
        p->broken = true;
    } else {
        show_http(p, bytes_written(&c->w));
    }
    begin_copied(c);
}

bool explain_http(struct explain_paste *p, struct bytes text)
{
    struct copied c;
    if (!is_request(text) && !is_answer(text)) {
        return false;
    }
    if (paste_find(text, "\r\n\r\n") < text.len && !paste_begins(text, "HTTP/2") &&
        !paste_begins(text, "HTTP/3")) {
        show_http(p, text);
        return true;
    }
    begin_copied(&c);
    add_start_line(&c, paste_next_line(&text));
    while (text.len > 0) {
        const struct bytes line = paste_next_line(&text);
        if (line.len == 0) {
            break;
        }
        add_header_line(&c, line);
    }
    show_copied(p, &c, paste_trimmed(text));
    return true;
}

/* ---- curl -v: what was sent has "> " in front, what was received "< ", remarks "* " ------------------------------ */

static bool is_curl_line(struct bytes line)
{
    return line.len > 0 && strchr("><*{}", line.p[0]) != NULL && line.p[0] != 0 &&
           (line.len == 1 || line.p[1] == ' ');
}

static bool is_remark(struct bytes line)
{
    return is_curl_line(line) && line.len > 1 && (line.p[0] == '*' || paste_find(line, "data]") < line.len);
}

/* The lines up to the next of curl's, whose remark may follow in the last of them; remarks before them are passed. */
static struct bytes copied_body(struct bytes *text)
{
    struct bytes body = bytes_of(text->p, 0);
    while (text->len > 0) {
        struct bytes after = *text;
        const struct bytes line = paste_next_line(&after);
        const bool head = is_curl_line(line) && (line.p[0] == '>' || line.p[0] == '<');
        if (head || (is_remark(line) && body.len > 0)) {
            break;
        }
        if (!is_remark(line)) {
            body = bytes_of(body.len > 0 ? body.p : line.p,
                            body.len > 0 ? (size_t)(line.p + line.len - body.p) : line.len);
        }
        *text = after;
    }
    return paste_trimmed(bytes_of(body.p, paste_find(body, "* Connection #")));
}

bool explain_curl(struct explain_paste *p, struct bytes text)
{
    struct copied c;
    char direction = 0; /* of the message whose head is being read */
    bool any = false;
    begin_copied(&c);
    while (text.len > 0) {
        const struct bytes line = paste_next_line(&text);
        const bool marked = line.len > 0 && (line.p[0] == '>' || line.p[0] == '<') && is_curl_line(line);
        const struct bytes content = paste_trimmed(marked ? behind(line, 1) : bytes_of(line.p, 0));
        if (!marked) {
            continue;
        }
        if (is_request(content) || is_answer(content)) {
            direction = (char)line.p[0];
            begin_copied(&c);
            add_start_line(&c, content);
        } else if (direction == (char)line.p[0] && content.len > 0) {
            add_header_line(&c, content);
        } else if (direction == (char)line.p[0]) {
            show_copied(p, &c, direction == '<' ? copied_body(&text) : bytes_of(NULL, 0));
            if (direction == '>') {
                explain_remark(p, "curl -v shows no body of a request.");
            }
            direction = 0;
            any = true;
        }
    }
    return any;
}
