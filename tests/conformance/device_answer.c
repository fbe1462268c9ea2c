/* SPDX-License-Identifier: MIT */
/* One answer of the service: a template filled in, framed, cut into pieces, ended.
 *
 * In a template, % and a letter stand for
 *   K  the blob in base64             E  the same, with what JSON may escape escaped
 *   U  in the alphabet for URLs       P  without padding       S  with a space in its middle
 *   N  with an escaped line feed there                         Z  with pad bits that are not zero
 *   O  operationId    I  registrationId    H  the hub          J  https://HOST:PORT of another origin
 *   D  the date       L  length of the body   M  one more      C  an errorCode that goes with the status
 *   A  65536 letters  [ and ]  20000 of these */
#include "dps/protocol/date.h"
#include "dps/protocol/text.h"
#include "tests/conformance/device.h"
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define LETTERS 65536
#define BRACKETS 20000
#define CHUNK 1024
#define ENDLESS (4 * 1024 * 1024) /* what a client may be sent before it has given up at the latest */

/* ---- Templates ---- */

static void write_many(struct bytes_writer *w, uint8_t letter, size_t count)
{
    uint8_t *room = bytes_write_room(w, count);
    if (room != NULL) {
        memset(room, letter, count);
    }
}

static void write_blob(struct client_bench *b, struct bytes_writer *w, char form)
{
    static uint8_t base64[sizeof b->blob / 3 * 4 + 8];
    struct bytes_writer encoded = bytes_writer_over(base64, sizeof base64);
    dps_write_base64(&encoded, bytes_of(b->blob, b->blob_len));
    size_t len = encoded.len;
    while (form == 'P' && len > 0 && base64[len - 1] == '=') {
        len--;
    }
    /* 856 bytes: two characters of the last four are padding, and four bits of the one before belong to nothing. */
    if (form == 'Z' && len >= 3 && base64[len - 2] == '=') {
        base64[len - 3]++;
    }
    for (size_t i = 0; i < len; i++) {
        uint8_t character = base64[i];
        if (i == len / 2 && form == 'S') {
            dps_write_text(w, " ");
        }
        if (i == len / 2 && form == 'N') {
            dps_write_text(w, "\\n");
        }
        if (form == 'E' && character == '/') {
            dps_write_text(w, "\\/");
        } else if (form == 'E' && character == '+') {
            dps_write_text(w, "\\u002B");
        } else if (form == 'E' && character == '=') {
            dps_write_text(w, "\\u003d");
        } else if (form == 'U' && (character == '+' || character == '/')) {
            dps_write_text(w, character == '+' ? "-" : "_");
        } else {
            bytes_write_u8(w, character);
        }
    }
}

/* Inside of a JSON string that stands in the template. */
static void write_escaped(struct bytes_writer *w, const char *text)
{
    uint8_t quoted[1024];
    struct bytes_writer q = bytes_writer_over(quoted, sizeof quoted);
    dps_write_json_string(&q, bytes_of_text(text));
    if (q.error == 0) {
        bytes_write_bytes(w, bytes_of(quoted + 1, q.len - 2));
    }
}

static void write_placeholder(struct client_bench *b, struct bytes_writer *w, char letter, size_t body_len,
                              const char *status)
{
    switch (letter) {
    case 'O':
        write_escaped(w, b->operation);
        break;
    case 'I':
        dps_write_text(w, b->id);
        break;
    case 'H':
        dps_write_text(w, client_options.hub);
        break;
    case 'J':
        dps_write_text(w, "https://");
        dps_write_text(w, client_options.host);
        dps_write_text(w, ":");
        dps_write_decimal(w, b->other_port);
        break;
    case 'D':
        dps_write_http_date(w, (uint64_t)time(NULL));
        break;
    case 'L':
        dps_write_decimal(w, body_len);
        break;
    case 'M':
        dps_write_decimal(w, body_len + 1);
        break;
    case 'C':
        bytes_write_bytes(w, bytes_of(status, strcspn(status, " ")));
        dps_write_text(w, "001");
        break;
    case 'A':
        write_many(w, 'a', LETTERS);
        break;
    case '[':
    case ']':
        write_many(w, (uint8_t)letter, BRACKETS);
        break;
    default:
        write_blob(b, w, letter);
        break;
    }
}

static void fill_in(struct client_bench *b, struct bytes_writer *w, const char *text, size_t body_len,
                    const char *status)
{
    for (; *text != 0; text++) {
        if (*text == '%' && text[1] != 0) {
            write_placeholder(b, w, *++text, body_len, status);
        } else {
            bytes_write_u8(w, (uint8_t)*text);
        }
    }
}

/* ---- Framing ---- */

static void write_hex(struct bytes_writer *w, const char *format, size_t size)
{
    char line[32];
    snprintf(line, sizeof line, format, size);
    dps_write_text(w, line);
}

static void write_chunk(struct bytes_writer *w, enum client_framing framing, struct bytes data,
                        unsigned number)
{
    static const char *const odd[] = {"%zx\r\n", "%04zX\r\n", "%zx;a=b;c=\"d\"\r\n", "%zX ;x\r\n"};
    if (framing == CLIENT_CHUNK_SIZE_BAD) {
        dps_write_text(w, "12z\r\n");
    } else if (framing == CLIENT_CHUNK_SIZE_HUGE) {
        write_hex(w, "10000000000000%04zx\r\n", data.len);
    } else if (framing == CLIENT_CHUNK_SIZE_SIGNED) {
        write_hex(w, "-%zx\r\n", data.len);
    } else {
        write_hex(w, framing == CLIENT_CHUNKED_ODDLY ? odd[number % 3] : "%zx\r\n", data.len);
    }
    bytes_write_bytes(w, data);
    dps_write_text(w, framing == CLIENT_CHUNK_NO_LINE_END ? "XX" : "\r\n");
}

static bool is_chunked(enum client_framing framing)
{
    return framing >= CLIENT_CHUNKED && framing <= CLIENT_CHUNK_NO_LAST;
}

static void write_body(struct bytes_writer *w, enum client_framing framing, struct bytes body)
{
    if (!is_chunked(framing)) {
        bytes_write_bytes(w, body);
        return;
    }
    unsigned number = 0;
    for (size_t at = 0; at < body.len; number++) {
        size_t most = framing == CLIENT_CHUNKED_ODDLY ? number + 1 : CHUNK;
        size_t part = body.len - at < most ? body.len - at : most;
        write_chunk(w, framing, bytes_of(body.p + at, part), number);
        at += part;
    }
    if (framing == CLIENT_CHUNKED_ODDLY) {
        dps_write_text(w, "000;end\r\nX-Trailer: 1\r\n\r\n");
    } else if (framing != CLIENT_CHUNK_NO_LAST) {
        dps_write_text(w, "0\r\n\r\n");
    }
}

static void write_head(struct client_bench *b, struct bytes_writer *w, const char *status,
                       const char *headers, const struct client_answer *a, size_t body_len)
{
    dps_write_text(w, "HTTP/1.1 ");
    dps_write_text(w, status);
    fill_in(b, w, "\r\nDate: %D\r\nContent-Type: application/json; charset=utf-8\r\n", 0, status);
    if (headers != NULL) {
        fill_in(b, w, headers, body_len, status);
    }
    if (is_chunked(a->framing) || a->framing == CLIENT_ENDLESS_CHUNKS) {
        dps_write_text(w, "Transfer-Encoding: chunked\r\n");
    } else if (a->framing == CLIENT_ENDLESS_BODY) {
        dps_write_text(w, "Content-Length: 99999999999\r\n");
    } else if (a->framing != CLIENT_UNTIL_CLOSE) {
        fill_in(b, w, "Content-Length: %L\r\n", body_len, status);
    }
    if (a->ending == CLIENT_CLOSE) {
        dps_write_text(w, "Connection: close\r\n");
    }
}

/* ---- Sending ---- */

/* The beginning has been sent; now go on sending until the client ends the connection. */
static void send_endless(struct client_bench *b, struct client_connection *k, enum client_framing framing)
{
    static const char *const unit[] = {
        [CLIENT_ENDLESS_HEAD] = "X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
        [CLIENT_ENDLESS_LINE] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        [CLIENT_ENDLESS_BODY] = "                                                                   ",
        [CLIENT_ENDLESS_CHUNKS] = "20;x\r\n                                \r\n",
        [CLIENT_ENDLESS_INTERIM] = "HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n",
    };
    struct bytes_writer w = bytes_writer_over(b->answer, 16000);
    while (w.len + 100 < w.capacity) {
        dps_write_text(&w, unit[framing]);
    }
    for (size_t sent = 0; sent < ENDLESS; sent += w.len) {
        if (!client_send(k, w.p, w.len, 0)) {
            return;
        }
    }
}

/* Sample number `variant` of `variants`, from 1 to size - 1. */
static size_t cut_at(const struct client_bench *b, size_t size)
{
    unsigned variants = b->script->variants == 0 ? 1 : b->script->variants;
    return 1 + (size - 2) * (b->variant + 1) / (variants + 1);
}

static void reset(const struct client_connection *k)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(k->transport.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

/* Returns: false if the connection has ended. */
static bool send_all(struct client_bench *b, struct client_connection *k, const struct client_answer *a,
                     struct bytes whole, size_t head_len)
{
    switch (a->ending) {
    case CLIENT_CUT_HEAD:
        (void)client_send(k, whole.p, cut_at(b, head_len), a->piece);
        return false;
    case CLIENT_CUT_BODY:
        (void)client_send(k, whole.p, head_len + cut_at(b, whole.len - head_len), a->piece);
        return false;
    case CLIENT_CUT_BEFORE:
        return false;
    case CLIENT_RESET:
        reset(k);
        return false;
    default:
        break;
    }
    if (!client_send(k, whole.p, whole.len, a->piece)) {
        return false;
    }
    if (a->framing >= CLIENT_ENDLESS_HEAD) {
        send_endless(b, k, a->framing);
        return false;
    }
    if (a->after != NULL && !client_send(k, bytes_of_text(a->after).p, strlen(a->after), 0)) {
        return false;
    }
    if (a->ending == CLIENT_HANG_UP || a->framing == CLIENT_CHUNK_NO_LAST) {
        return false;
    }
    if (a->ending == CLIENT_CLOSE || a->framing == CLIENT_UNTIL_CLOSE) {
        (void)server_transport_finish(&k->transport);
        return false;
    }
    return true;
}

static bool send_answer(struct client_bench *b, struct client_connection *k, const struct client_answer *a,
                        const char *status, const char *headers, const char *body)
{
    struct bytes_writer text = bytes_writer_over(b->text, sizeof b->text);
    struct bytes_writer w = bytes_writer_over(b->answer, sizeof b->answer);
    fill_in(b, &text, body, 0, status);
    if (a->before != NULL) {
        fill_in(b, &w, a->before, 0, status);
    }
    if (a->head != NULL) {
        fill_in(b, &w, a->head, text.len, status);
    } else {
        write_head(b, &w, status, headers, a, text.len);
    }
    bool head_goes_on = a->framing == CLIENT_ENDLESS_HEAD || a->framing == CLIENT_ENDLESS_LINE;
    if (a->framing == CLIENT_ENDLESS_LINE) {
        dps_write_text(&w, "X-Filler: ");
    }
    if (a->framing == CLIENT_ENDLESS_INTERIM) {
        w.len = 0;
    } else if (!head_goes_on) {
        dps_write_text(&w, "\r\n");
    }
    size_t head_len = w.len;
    if (a->framing < CLIENT_ENDLESS_HEAD) {
        write_body(&w, a->framing, bytes_written(&text));
    }
    return send_all(b, k, a, bytes_written(&w), head_len);
}

bool client_answer_text(struct client_bench *b, struct client_connection *k, const char *status,
                        const char *headers, const char *body)
{
    static const struct client_answer plain = {.framing = CLIENT_LENGTH};
    return send_answer(b, k, &plain, status, headers, body);
}

bool client_answer(struct client_bench *b, struct client_connection *k, enum client_stage stage,
                   const struct client_answer *special)
{
    static const struct client_answer right = {.framing = CLIENT_LENGTH};
    static const char *const statuses[] = {"401 Unauthorized", "202 Accepted", "200 OK", "204 No Content"};
    static const char *const bodies[] = {CLIENT_BODY_CHALLENGE, CLIENT_BODY_ACCEPTED, CLIENT_BODY_ASSIGNED,
                                         ""};
    static const char refusal[] = "{\"errorCode\":%C,\"trackingId\":\"4d0d2a6c-1f67-4a5c-8d0b-6e5f1a2b3c4d\","
                                  "\"message\":\"Said by the conformance suite.\","
                                  "\"timestampUtc\":\"2019-01-10T19:03:53.4156117Z\"}";
    const struct client_answer *a = special == NULL ? &right : special;
    const char *status = a->status != NULL ? a->status : statuses[stage];
    const char *body = a->status != NULL && a->body == NULL ? refusal : a->body;
    const char *headers = a->headers;
    if (headers == NULL && (stage == CLIENT_ACCEPTED || stage == CLIENT_ASSIGNED)) {
        headers = "Retry-After: 0\r\n";
    }
    return send_answer(b, k, a, status, headers, body != NULL ? body : bodies[stage]);
}
