/* SPDX-License-Identifier: MIT */
#include "dps/protocol/http_message.h"
#include "dps/protocol/http_field.h"
#include "dps/protocol/text.h"
#include <string.h>

struct bytes dps_http_method(const struct dps_http *h, const uint8_t *buffer)
{
    return bytes_of(buffer, h->method_len);
}

struct bytes dps_http_target(const struct dps_http *h, const uint8_t *buffer)
{
    return bytes_of(&buffer[h->target_at], h->target_len);
}

struct bytes dps_http_body(const struct dps_http *h, const uint8_t *buffer)
{
    return bytes_of(&buffer[h->head_len], h->body_len);
}

size_t dps_http_header_last(const struct dps_http *h, const uint8_t *buffer, const char *name,
                            struct bytes *last)
{
    const struct bytes head = bytes_of(buffer, h->head_len);
    struct bytes rest = head;
    size_t count = 0;
    *last = (struct bytes){NULL, 0};
    (void)dps_http_line_next(&rest);
    /*@ loop invariant inside(rest, head);
        loop invariant inside(line, head);
        loop invariant inside(*last, head);
        loop invariant count <= head.len - rest.len - (line.len > 0 ? 1 : 0);
        loop assigns line, rest, count, *last;
        loop variant line.len == 0 ? 0 : rest.len + 1; */
    for (struct bytes line = dps_http_line_next(&rest); line.len > 0; line = dps_http_line_next(&rest)) {
        struct dps_http_field field;
        if (dps_http_field_parse(line, &field) && dps_text_equal_nocase(field.name, bytes_of_text(name))) {
            *last = field.value;
            count++;
        }
    }
    return count;
}

int dps_http_header(const struct dps_http *h, const uint8_t *buffer, const char *name, struct bytes *value)
{
    const size_t count = dps_http_header_last(h, buffer, name, value);
    if (count > 1) {
        *value = (struct bytes){NULL, 0};
    }
    return count == 0 ? BYTES_E_NOT_FOUND : count == 1 ? BYTES_OK : BYTES_E_FORMAT;
}

int dps_http_query(struct bytes target, const char *name, struct bytes *value)
{
    *value = (struct bytes){NULL, 0};
    bool found = false;
    struct bytes path;
    struct bytes query = dps_split(target, '?', &path);
    /*@ loop invariant inside(query, target) && inside(*value, target);
        loop assigns query, found, *value;
        loop variant query.len; */
    while (query.len > 0) {
        struct bytes parameter, key;
        query = dps_split(query, '&', &parameter);
        struct bytes text = dps_split(parameter, '=', &key);
        if (!dps_text_equal_nocase(key, bytes_of_text(name))) {
            continue;
        }
        if (found) {
            *value = (struct bytes){NULL, 0};
            return BYTES_E_FORMAT;
        }
        found = true;
        *value = text;
    }
    return found ? BYTES_OK : BYTES_E_NOT_FOUND;
}

/* What follows prefix, if text begins with it in any case. */
static bool strip_prefix(struct bytes *text, const char *prefix)
{
    size_t len = strlen(prefix);
    if (text->len < len || !dps_text_equal_nocase(bytes_of(text->p, len), bytes_of_text(prefix))) {
        return false;
    }
    *text = bytes_of(&text->p[len], text->len - len);
    return true;
}

struct bytes dps_http_path(struct bytes target)
{
    struct bytes path;
    (void)dps_split(target, '?', &path);
    /* A server must accept the absolute form although only proxies need it [RFC 9112 3.2.2]. */
    if (!strip_prefix(&path, "http://") && !strip_prefix(&path, "https://")) {
        return path;
    }
    struct bytes authority;
    (void)dps_split(path, '/', &authority);
    /* An absolute URI without a path means the root [RFC 9110 4.2.3]. */
    return authority.len == path.len ? bytes_of_text("/")
                                     : bytes_of(&path.p[authority.len], path.len - authority.len);
}

const char *dps_http_reason(unsigned status)
{
    static const struct {
        uint16_t status;
        char reason[32];
    } reasons[] = {
        /* [RFC 9110 15]; 429 and 431 from [RFC 6585] */
        {100, "Continue"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    /*@ loop invariant i <= 27;
        loop assigns i;
        loop variant 27 - i; */
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (reasons[i].status == status) {
            return reasons[i].reason;
        }
    }
    return "Unknown";
}
