/* SPDX-License-Identifier: MIT */
#include "dps/protocol/http_field.h"
#include "dps/protocol/text.h"
#include <string.h>

static bool is_token_char(uint8_t c)
{
    bool letter = dps_lower(c) >= 'a' && dps_lower(c) <= 'z';
    bool digit = c >= '0' && c <= '9';
    return letter || digit || (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL); /* [RFC 9110 5.6.2] */
}

size_t dps_http_token_len(struct bytes text)
{
    size_t len = 0;
    /*@ loop invariant len <= text.len;
        loop assigns len;
        loop variant text.len - len; */
    while (len < text.len && is_token_char(text.p[len])) {
        len++;
    }
    return len;
}

bool dps_http_is(struct bytes a, const char *text)
{
    return dps_text_equal_nocase(a, bytes_of_text(text));
}

bool dps_http_list_has(struct bytes list, const char *option)
{
    /*@ loop invariant view(list);
        loop assigns list;
        loop variant list.len; */
    while (list.len > 0) {
        struct bytes element;
        list = dps_split(list, ',', &element);
        if (dps_http_is(dps_trim(element), option)) {
            return true;
        }
    }
    return false;
}

/* Everything in front of the colon must be a token, which refuses a space before the colon and a folded
 * line alike, as 5.1 and 5.2 demand. */
bool dps_http_field_parse(struct bytes line, struct dps_http_field *f)
{
    size_t name_len = dps_http_token_len(line);
    if (name_len == 0 || name_len == line.len || line.p[name_len] != ':') {
        return false;
    }
    f->name = bytes_of(line.p, name_len);
    f->value = dps_trim(bytes_of(&line.p[name_len + 1], line.len - name_len - 1));
    return true;
}

struct bytes dps_http_line_next(struct bytes *rest)
{
    struct bytes line;
    *rest = dps_split(*rest, '\n', &line);
    if (line.len > 0) {
        line.len--; /* the CR */
    }
    return line;
}
