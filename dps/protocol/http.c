/* SPDX-License-Identifier: MIT */
/* Where the bytes of one message stand in the buffer:
 *
 *     0           head_len          head_len + body_len      raw_at              *len
 *     | head      | body so far     | gap                    | not yet parsed    |
 *
 * Without chunks there is no gap and raw_at stays 0. With chunks, head_len + body_len <= raw_at <= *len always holds:
 * a chunk's data moves down over the chunk-size lines already parsed, and before dps_http_advance returns the rest
 * moves down too, so that framing never uses up the caller's room. */
#include "dps/protocol/http.h"
#include "dps/protocol/http_field.h"
#include "dps/protocol/text.h"
#include <string.h>

/* The longest chunk-size line, with its extensions and its line end. Extensions are ignored, so without a limit one
 * byte of data could cost any amount of line [RFC 9112 7.1.1]. */
#define CHUNK_LINE_MAX 128

enum phase {
    PHASE_START, /* a request may be preceded by one empty line */
    PHASE_HEAD,
    PHASE_LENGTH, /* a body of `remaining` more bytes */
    PHASE_UNTIL_CLOSE,
    PHASE_CHUNK_SIZE,
    PHASE_CHUNK_DATA, /* `remaining` more bytes of this chunk */
    PHASE_CHUNK_END,
    PHASE_TRAILERS, /* `remaining` more bytes are allowed */
    PHASE_DONE
};

/* What the headers say about the length of the message and about the connection. */
struct framing {
    size_t hosts;
    bool has_length, chunked;
    size_t length;
    bool close, keep_alive; /* options of the Connection header */
    bool expect_continue;
    bool old; /* HTTP/1.0 */
};

/* A device receives no requests. */
static bool is_request(const struct dps_http *h)
{
#if DPS_WITH_SERVICE
    return h->role == DPS_HTTP_REQUEST;
#else
    (void)h;
    return false;
#endif
}

/* Nothing of the message has been seen. */
static void start(struct dps_http *h)
{
    h->phase = PHASE_START;
    h->keep_alive = h->expect_continue = false;
    h->status = 0;
    h->scanned = h->head_len = 0;
    h->target_at = h->target_len = h->method_len = 0;
    h->body_len = h->raw_at = h->remaining = h->consumed = 0;
}

void dps_http_init(struct dps_http *h, enum dps_http_role role)
{
    h->role = (uint8_t)role;
    h->error = 0;
    h->head_request = false;
    h->interim = 0;
    start(h);
}

/* Take count bytes out of the buffer. */
static void remove_bytes(uint8_t *buffer, size_t *len, size_t at, size_t count)
{
    memmove(&buffer[at], &buffer[at + count], *len - at - count);
    *len -= count;
}

/* May c stand in a line, after the byte before it (a line feed for the first byte of all)? Lines end with CR LF and
 * with nothing else: a bare CR or LF that one reader takes for a line end and the next one does not is how messages
 * are smuggled [RFC 9112 2.2, 11.2]. Neither may other control characters occur [RFC 9110 5.5]. */
static bool may_follow(uint8_t before, uint8_t c)
{
    if (before == '\r') {
        return c == '\n';
    }
    return c == '\r' || c == '\t' || (c >= 0x20 && c != 0x7F);
}

/* Reads on from where the last call stopped, so that a head that arrives in single bytes is still read once. */
static int find_head_end(struct dps_http *h, const uint8_t *buffer, size_t len)
{
    /*@ loop invariant h->scanned <= len && h->head_len == \at(h->head_len, Pre);
        loop assigns h->scanned, h->head_len;
        loop variant len - h->scanned; */
    while (h->scanned < len) {
        size_t i = h->scanned;
        if (i >= DPS_HTTP_HEAD_MAX) {
            return BYTES_E_LIMIT;
        }
        if (!may_follow(i == 0 ? '\n' : buffer[i - 1], buffer[i])) {
            return BYTES_E_FORMAT;
        }
        h->scanned++;
        /* may_follow has seen that only a CR can be between the two. */
        if (buffer[i] == '\n' && i >= 2 && buffer[i - 2] == '\n') {
            h->head_len = i + 1;
            return BYTES_OK;
        }
    }
    return BYTES_E_MORE;
}

/* "HTTP/1.1", or a later minor version, which speaks 1.1 to us [RFC 9110 2.5]; *old for HTTP/1.0. */
static bool parse_version(struct bytes text, bool *old)
{
    if (text.len != 8 || memcmp(text.p, "HTTP/1.", 7) != 0 || text.p[7] < '0' || text.p[7] > '9') {
        return false;
    }
    *old = text.p[7] == '0';
    return true;
}

/* [RFC 9112 3]: single spaces, no white space or fragment in the target. */
static bool parse_request_line(struct dps_http *h, struct bytes line, bool *old)
{
    struct bytes method, target;
    struct bytes version = dps_split(dps_split(line, ' ', &method), ' ', &target);
    if (method.len == 0 || dps_http_token_len(method) != method.len || target.len == 0) {
        return false;
    }
    /*@ loop invariant i <= target.len; loop assigns i; loop variant target.len - i; */
    for (size_t i = 0; i < target.len; i++) {
        if (target.p[i] <= 0x20 || target.p[i] > 0x7E || target.p[i] == '#') {
            return false;
        }
    }
    h->method_len = method.len;
    h->target_at = method.len + 1;
    h->target_len = target.len;
    return parse_version(version, old);
}

/* [RFC 9112 4]. The space after the code is required even without a reason, but often left out. That is not ambiguous,
 * so both are accepted. */
static bool parse_status_line(struct dps_http *h, struct bytes line, bool *old)
{
    struct bytes version, code;
    (void)dps_split(dps_split(line, ' ', &version), ' ', &code);
    uint64_t status;
    if (code.len != 3 || dps_decimal_parse(code, 599, &status) != 0 || status < 100) {
        return false;
    }
    h->status = (uint16_t)status;
    return parse_version(version, old);
}

/*@ requires \valid(f) && \valid_read(field) && view(field->name) && view(field->value) && \separated(f, field);
    requires f->hosts < SIZE_MAX;
    CHANGES *f;
    ensures f->hosts <= \old(f->hosts) + 1 && \result != BYTES_E_MORE; */
static int note_field(struct framing *f, const struct dps_http_field *field)
{
    if (dps_http_is(field->name, "host")) {
        f->hosts++;
    } else if (dps_http_is(field->name, "content-length")) {
        /* A repeated equal length is harmless and may be accepted [RFC 9112 6.3, item 5]. */
        uint64_t length;
        int rc = dps_decimal_parse(field->value, SIZE_MAX, &length);
        if (rc != 0) {
            return rc;
        }
        if (f->has_length && (size_t)length != f->length) {
            return BYTES_E_FORMAT;
        }
        f->has_length = true;
        f->length = (size_t)length;
    } else if (dps_http_is(field->name, "transfer-encoding")) {
        if (f->chunked || !dps_http_is(field->value, "chunked")) {
            return BYTES_E_FORMAT;
        }
        f->chunked = true;
    } else if (dps_http_is(field->name, "connection")) {
        f->close = f->close || dps_http_list_has(field->value, "close");
        f->keep_alive = f->keep_alive || dps_http_list_has(field->value, "keep-alive");
    } else if (dps_http_is(field->name, "expect")) {
        f->expect_continue = dps_http_is(field->value, "100-continue");
    }
    return BYTES_OK;
}

/* What the sender asks of the connection [RFC 9112 9.3]. An HTTP/1.0 client cannot wait for 100 [RFC 9110 10.1.1]. */
/*@ requires \valid(h) && \valid_read(f) && \separated(h, f);
    CHANGES h->keep_alive, h->expect_continue; */
static void note_connection(struct dps_http *h, const struct framing *f)
{
    h->keep_alive = !f->close && (!f->old || f->keep_alive);
    h->expect_continue = is_request(h) && f->expect_continue && !f->old && (f->chunked || f->length > 0);
}

/* The length of the message [RFC 9112 6.3], by the items of that section in their order. */
/*@ requires \valid(h) && \valid_read(f) && h->head_len <= capacity && \separated(h, f) && h->raw_at == 0;
    CHANGES h->keep_alive, h->head_request, h->phase, h->raw_at, h->remaining, h->expect_continue;
    ensures (h->raw_at == 0 || h->raw_at == h->head_len) && \result != BYTES_E_MORE;
    ensures \result == 0 ==> (h->phase == 4 && h->raw_at == h->head_len) ||
      ((h->phase == 2 || h->phase == 3 || h->phase == 8) && h->raw_at == 0);
    ensures \result == 0 && h->phase == 2 ==> h->remaining <= capacity - h->head_len; */
static int begin_body(struct dps_http *h, const struct framing *f, size_t capacity)
{
    bool request = is_request(h);
    /* Chunks under HTTP/1.0 [RFC 9112 6.1] and a length beside chunks [RFC 9112 6.3] are faulty framing; neither
     * comes from an honest sender, so they are refused before it matters whether there is a body. */
    if (f->chunked && (f->has_length || f->old)) {
        return BYTES_E_FORMAT;
    }
    /* Exactly one Host, which only HTTP/1.0 may leave out [RFC 9112 3.2]. */
    if (request && (f->hosts > 1 || (f->hosts == 0 && !f->old))) {
        return BYTES_E_FORMAT;
    }
    note_connection(h, f);
    h->head_request = h->head_request || h->status == 204 || h->status == 304;
    if (!request && h->head_request) {
        h->phase = PHASE_DONE;
    } else if (f->chunked) {
        h->phase = PHASE_CHUNK_SIZE;
        h->raw_at = h->head_len;
    } else if (f->has_length || request) {
        if (f->length > capacity - h->head_len) {
            return BYTES_E_LIMIT;
        }
        h->phase = PHASE_LENGTH;
        h->remaining = f->length;
    } else {
        h->phase = PHASE_UNTIL_CLOSE;
        h->keep_alive = false;
    }
    return BYTES_OK;
}

static int parse_head(struct dps_http *h, const uint8_t *buffer, size_t capacity)
{
    struct framing framing = {0};
    struct bytes rest = bytes_of(buffer, h->head_len);
    struct bytes line = dps_http_line_next(&rest);
    bool ok =
        is_request(h) ? parse_request_line(h, line, &framing.old) : parse_status_line(h, line, &framing.old);
    if (!ok) {
        return BYTES_E_FORMAT;
    }
    /*@ loop invariant view(rest) && view(line) && framing.hosts <= h->head_len - rest.len - (line.len > 0 ? 1 : 0);
        loop assigns line, rest, framing;
        loop variant line.len == 0 ? 0 : rest.len + 1; */
    for (line = dps_http_line_next(&rest); line.len > 0; line = dps_http_line_next(&rest)) {
        struct dps_http_field field;
        if (!dps_http_field_parse(line, &field)) {
            return BYTES_E_FORMAT;
        }
        int rc = note_field(&framing, &field);
        if (rc != 0) {
            return rc;
        }
    }
    return begin_body(h, &framing, capacity);
}

/* A server should ignore "at least one empty line" before the request [RFC 9112 2.2]: here, exactly one. */
static int step_start(struct dps_http *h, uint8_t *buffer, size_t *len)
{
    if (*len == 0) {
        return BYTES_E_MORE;
    }
    if (is_request(h) && buffer[0] == '\r') {
        if (*len == 1) {
            return BYTES_E_MORE;
        }
        if (buffer[1] == '\n') {
            remove_bytes(buffer, len, 0, 2);
        }
    }
    h->phase = PHASE_HEAD;
    return BYTES_OK;
}

static void skip_interim(struct dps_http *h, uint8_t *buffer, size_t *len)
{
    remove_bytes(buffer, len, 0, h->head_len);
    h->interim++;
    start(h);
}

static int step_head(struct dps_http *h, uint8_t *buffer, size_t *len, size_t capacity)
{
    int rc = find_head_end(h, buffer, *len);
    if (rc != 0) {
        return rc;
    }
    rc = parse_head(h, buffer, capacity);
    if (rc != 0 || is_request(h) || h->status >= 200) {
        return rc;
    }
    /* Interim responses may precede the final one, asked for or not, and may be ignored [RFC 9110 15.2], but their
     * number is limited; and 101 would mean another protocol from here on, which was not asked for. */
    if (h->status == 101 || h->interim == DPS_HTTP_INTERIM_MAX) {
        return h->status == 101 ? BYTES_E_FORMAT : BYTES_E_LIMIT;
    }
    skip_interim(h, buffer, len);
    return BYTES_OK;
}

static int step_length(struct dps_http *h, size_t len)
{
    size_t have = len - h->head_len - h->body_len;
    size_t take = have < h->remaining ? have : h->remaining;
    h->body_len += take;
    h->remaining -= take;
    if (h->remaining > 0) {
        return BYTES_E_MORE;
    }
    h->phase = PHASE_DONE;
    return BYTES_OK;
}

/* The line at raw_at, without its line end, of at most maximum bytes with it. */
static int raw_line(const struct dps_http *h, const uint8_t *buffer, size_t len, size_t maximum,
                    struct bytes *line)
{
    uint8_t before = '\n';
    /*@ loop invariant h->raw_at <= i <= len && (before == '\r' ==> i > h->raw_at);
        loop assigns i, before;
        loop variant len - i; */
    for (size_t i = h->raw_at; i < len; i++) {
        if (i - h->raw_at >= maximum) {
            return BYTES_E_LIMIT;
        }
        if (!may_follow(before, buffer[i])) {
            return BYTES_E_FORMAT;
        }
        if (buffer[i] == '\n') {
            *line = bytes_of(&buffer[h->raw_at], i - 1 - h->raw_at);
            return BYTES_OK;
        }
        before = buffer[i];
    }
    return BYTES_E_MORE;
}

/* chunk-size [ chunk-ext ] CRLF [RFC 9112 7.1] */
static int step_chunk_size(struct dps_http *h, const uint8_t *buffer, size_t len, size_t capacity)
{
    struct bytes line, digits;
    int rc = raw_line(h, buffer, len, CHUNK_LINE_MAX, &line);
    if (rc != 0) {
        return rc;
    }
    (void)dps_split(line, ';', &digits);
    /* "Bad" white space must be understood, but only between the size and an extension [RFC 9112 7.1.1]. */
    if (digits.len < line.len) {
        digits = dps_trim(digits);
    }
    if (digits.len == 0 || digits.p != line.p) {
        return BYTES_E_FORMAT;
    }
    bool too_large = false;
    size_t size = 0;
    /*@ loop invariant i <= digits.len; loop assigns i, size, too_large; loop variant digits.len - i; */
    for (size_t i = 0; i < digits.len; i++) {
        uint8_t digit = dps_hex_digit(digits.p[i]);
        if (digit > 15) {
            return BYTES_E_FORMAT;
        }
        too_large = too_large || size > SIZE_MAX / 16;
        size = too_large ? 0 : size * 16 + digit;
    }
    if (too_large || size > capacity - h->head_len - h->body_len) {
        return BYTES_E_LIMIT;
    }
    h->raw_at += line.len + 2;
    h->phase = size > 0 ? PHASE_CHUNK_DATA : PHASE_TRAILERS;
    h->remaining = size > 0 ? size : DPS_HTTP_HEAD_MAX;
    return BYTES_OK;
}

static int step_chunk_data(struct dps_http *h, uint8_t *buffer, size_t len)
{
    size_t have = len - h->raw_at;
    size_t take = have < h->remaining ? have : h->remaining;
    memmove(&buffer[h->head_len + h->body_len], &buffer[h->raw_at], take);
    h->body_len += take;
    h->raw_at += take;
    h->remaining -= take;
    if (h->remaining > 0) {
        return BYTES_E_MORE;
    }
    h->phase = PHASE_CHUNK_END;
    return BYTES_OK;
}

static int step_chunk_end(struct dps_http *h, const uint8_t *buffer, size_t len)
{
    static const uint8_t line_end[2] = {'\r', '\n'};
    size_t have = len - h->raw_at < 2 ? len - h->raw_at : 2;
    if (memcmp(&buffer[h->raw_at], line_end, have) != 0) {
        return BYTES_E_FORMAT;
    }
    if (have < 2) {
        return BYTES_E_MORE;
    }
    h->raw_at += 2;
    h->phase = PHASE_CHUNK_SIZE;
    return BYTES_OK;
}

/* Trailers are parsed and discarded: merged into the headers they could contradict what was decided from those
 * [RFC 9110 6.5.1]. */
static int step_trailers(struct dps_http *h, const uint8_t *buffer, size_t len)
{
    struct bytes line;
    struct dps_http_field field;
    int rc = raw_line(h, buffer, len, h->remaining, &line);
    if (rc != 0) {
        return rc;
    }
    if (line.len > 0 && !dps_http_field_parse(line, &field)) {
        return BYTES_E_FORMAT;
    }
    h->raw_at += line.len + 2;
    h->remaining -= line.len + 2;
    if (line.len == 0) {
        h->phase = PHASE_DONE;
    }
    return BYTES_OK;
}

/* One step: 0 if the phase has ended, BYTES_E_MORE if it needs bytes, or the error. */
static int step(struct dps_http *h, uint8_t *buffer, size_t *len, size_t capacity, bool closed)
{
    switch ((enum phase)h->phase) {
    case PHASE_START:
        return step_start(h, buffer, len);
    case PHASE_HEAD:
        return step_head(h, buffer, len, capacity);
    case PHASE_LENGTH:
        return step_length(h, *len);
    case PHASE_CHUNK_SIZE:
        return step_chunk_size(h, buffer, *len, capacity);
    case PHASE_CHUNK_DATA:
        return step_chunk_data(h, buffer, *len);
    case PHASE_CHUNK_END:
        return step_chunk_end(h, buffer, *len);
    case PHASE_TRAILERS:
        return step_trailers(h, buffer, *len);
    case PHASE_UNTIL_CLOSE:
        h->body_len = *len - h->head_len;
        if (!closed) {
            return BYTES_E_MORE;
        }
        h->phase = PHASE_DONE;
        return BYTES_OK;
    case PHASE_DONE:
        break;
    }
    return BYTES_E_FORMAT;
}

int dps_http_advance(struct dps_http *h, uint8_t *buffer, size_t *len, size_t capacity, bool closed)
{
    /*@ loop invariant message(h, *len) && (h->error == 0 ==> parsing(h, *len)) && *len <= \at(*len, Pre);
        loop assigns *h, *len, buffer[0 .. capacity - 1];
        loop variant h->error != 0 ? 0 : TO_DO(*len); */
    while (h->error == 0 && h->phase != PHASE_DONE) {
        /*@ assert TO_DO(*len) > 0; */
        int rc = step(h, buffer, len, capacity, closed);
        if (rc == BYTES_E_MORE) {
            break;
        }
        h->error = rc;
    }
    if (h->raw_at > 0) {
        size_t end = h->head_len + h->body_len;
        remove_bytes(buffer, len, end, h->raw_at - end);
        h->raw_at = end;
    }
    /*@ assert message(h, *len) && *len <= \at(*len, Pre) && (h->error == 0 ==> parsing(h, *len)); */
    if (h->error == 0 && h->phase == PHASE_DONE) {
        h->consumed = h->head_len + h->body_len;
        return BYTES_OK;
    }
    if (h->error == 0 && closed) {
        h->error = BYTES_E_FORMAT;
    }
    /* Without room the caller cannot give more: asking for it again would be asking forever. */
    if (h->error == 0 && *len >= capacity) {
        h->error = BYTES_E_LIMIT;
    }
    if (h->error == 0) {
        return BYTES_E_MORE;
    }
    h->keep_alive = false;
    return h->error;
}
