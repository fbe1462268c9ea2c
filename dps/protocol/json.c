/* SPDX-License-Identifier: MIT */
#include "dps/protocol/json.h"
#include "dps/protocol/limits.h"
#include "dps/protocol/text.h"
#include <string.h>

/* Every function below moves an index through the text and asks byte_at, which answers 0 after the end. Since no
 * grammar rule accepts a zero byte, running out of text needs no rule of its own: it is the wrong character. */
static uint8_t byte_at(struct bytes text, size_t at)
{
    return at < text.len ? text.p[at] : 0;
}

static struct bytes part(struct bytes text, size_t from, size_t to)
{
    return bytes_of(&text.p[from], to - from);
}

static size_t skip_space(struct bytes text, size_t at)
{
    /*@ loop invariant \at(at, Pre) <= at <= text.len;
        loop assigns at;
        loop variant text.len - at; */
    for (;;) {
        uint8_t c = byte_at(text, at);
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
            return at;
        }
        at++;
    }
}

/* The scanners: each gets the index where its rule of the grammar begins and returns the index after it, or 0 if
 * the text does not follow the rule. */

static size_t digits_end(struct bytes text, size_t at)
{
    size_t begin = at;
    /*@ loop invariant begin <= at <= text.len;
        loop assigns at;
        loop variant text.len - at; */
    while (byte_at(text, at) >= '0' && byte_at(text, at) <= '9') {
        at++;
    }
    return at > begin ? at : 0;
}

/* [RFC 8259 6] */
static size_t number_end(struct bytes text, size_t at)
{
    if (byte_at(text, at) == '-') {
        at++;
    }
    at = byte_at(text, at) == '0' ? at + 1 : digits_end(text, at);
    if (at != 0 && byte_at(text, at) == '.') {
        at = digits_end(text, at + 1);
    }
    if (at != 0 && dps_lower(byte_at(text, at)) == 'e') {
        uint8_t sign = byte_at(text, at + 1);
        at = digits_end(text, sign == '+' || sign == '-' ? at + 2 : at + 1);
    }
    return at;
}

/* What may follow a backslash besides 'u', and what it stands for then [RFC 8259 7]. */
static const uint8_t escape_letters[] = "\"\\/bfnrt";
static const uint8_t escape_meanings[] = "\"\\/\b\f\n\r\t";
#define ESCAPE_LETTERS (sizeof escape_letters - 1)

/* Which of them c is; ESCAPE_LETTERS if none. */
static size_t escape_letter(uint8_t c)
{
    return dps_place_in(escape_letters, ESCAPE_LETTERS, c);
}

/* The four digits of a \uXXXX escape at `at`; -1 if there is no such escape. */
static int32_t code_unit(struct bytes text, size_t at)
{
    int32_t unit = 0;
    if (byte_at(text, at) != '\\' || byte_at(text, at + 1) != 'u') {
        return -1;
    }
    /*@ loop invariant 2 <= i <= 6 && at + i <= text.len && 0 <= unit <= 0xFFFF;
        loop invariant (i <= 2 ==> unit == 0) && (i <= 3 ==> unit <= 0xF) && (i <= 4 ==> unit <= 0xFF);
        loop invariant i <= 5 ==> unit <= 0xFFF;
        loop assigns i, unit;
        loop variant 6 - i; */
    for (size_t i = 2; i < 6; i++) {
        const uint8_t digit = dps_hex_digit(byte_at(text, at + i));
        if (digit > 15) {
            return -1;
        }
        unit = unit * 16 + digit;
    }
    return unit;
}

static bool is_low_surrogate(int32_t unit)
{
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

static bool is_high_surrogate(int32_t unit)
{
    return unit >= 0xD800 && unit <= 0xDBFF;
}

/* [RFC 3629 3] */
static size_t utf8_encode(uint32_t code, uint8_t out[4])
{
    static const uint8_t lead[5] = {0, 0, 0xC0, 0xE0, 0xF0}; /* as many leading ones as there are bytes */
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    /*@ loop invariant i < len && 1 <= len <= 4;
        loop invariant (i <= 0 ==> code <= 0x1F) && (i <= 1 ==> code <= 0x7FF) && (i <= 2 ==> code <= 0x1FFFF);
        loop invariant i <= 3 ==> code <= 0x1FFFFF;
        loop assigns i, code, out[1 .. 3];
        loop variant i; */
    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    out[0] = (uint8_t)(lead[len] | code);
    return len;
}

/* The character of a \uXXXX escape, or of the two that form a surrogate pair [RFC 8259 7]: one alone is not a
 * character, and readers differ in what they make of it [RFC 8259 8.2]. */
static size_t decode_unicode(struct bytes text, size_t *at, uint8_t out[4])
{
    const int32_t unit = code_unit(text, *at);
    if (unit < 0 || is_low_surrogate(unit)) {
        return 0;
    }
    *at += 6;
    if (!is_high_surrogate(unit)) {
        return utf8_encode((uint32_t)unit, out);
    }
    const int32_t low = code_unit(text, *at);
    if (!is_low_surrogate(low)) {
        return 0;
    }
    *at += 6;
    return utf8_encode((uint32_t)(0x10000 + (unit - 0xD800) * 0x400 + (low - 0xDC00)), out);
}

/* The bytes that the escape or the plain byte of a string at *at stands for; *at is moved past it. Returns how many
 * they are, 0 if there is neither. */
static size_t decode_next(struct bytes text, size_t *at, uint8_t out[4])
{
    out[0] = byte_at(text, *at);
    if (out[0] < 0x20) {
        return 0;
    }
    if (out[0] != '\\') {
        *at += 1;
        return 1;
    }
    if (byte_at(text, *at + 1) == 'u') {
        return decode_unicode(text, at, out);
    }
    const size_t letter = escape_letter(byte_at(text, *at + 1));
    if (letter == ESCAPE_LETTERS) {
        return 0;
    }
    out[0] = escape_meanings[letter];
    *at += 2;
    return 1;
}

/* The next piece of what a string means, at least a byte: all plain bytes at *at, which are nearly all of every string,
 * or those of an escape. Empty if there is neither. */
static struct bytes decode_piece(struct bytes text, size_t *at, uint8_t out[4])
{
    const size_t begin = *at;
    /*@ loop invariant begin <= *at <= text.len;
        loop assigns *at;
        loop variant text.len - *at; */
    while (*at < text.len && text.p[*at] >= 0x20 && text.p[*at] != '"' && text.p[*at] != '\\') {
        *at += 1;
    }
    return *at > begin ? part(text, begin, *at) : bytes_of(out, decode_next(text, at, out));
}

static size_t string_end(struct bytes text, size_t at)
{
    if (byte_at(text, at) != '"') {
        return 0;
    }
    at++;
    /*@ loop invariant \at(at, Pre) < at <= text.len;
        loop assigns at;
        loop variant text.len - at; */
    while (byte_at(text, at) != '"') {
        uint8_t meaning[4];
        if (decode_piece(text, &at, meaning).len == 0) {
            return 0;
        }
    }
    return at + 1;
}

static size_t literal_end(struct bytes text, size_t at, struct bytes literal)
{
    if (literal.len > text.len - at || !bytes_equal_public(part(text, at, at + literal.len), literal)) {
        return 0;
    }
    return at + literal.len;
}

static size_t scalar_end(struct bytes text, size_t at)
{
    const uint8_t c = byte_at(text, at);
    if (c == '"') {
        return string_end(text, at);
    }
    if (c == 't') {
        return literal_end(text, at, bytes_of("true", 4));
    }
    if (c == 'f') {
        return literal_end(text, at, bytes_of("false", 5));
    }
    return c == 'n' ? literal_end(text, at, bytes_of("null", 4)) : number_end(text, at);
}

/* A member's name, raw between its quotes, and its colon, up to the value. */
static size_t name_end(struct bytes text, size_t at, struct bytes *name)
{
    const size_t end = string_end(text, at);
    if (end == 0) {
        return 0;
    }
    *name = part(text, at + 1, end - 1);
    at = skip_space(text, end);
    return byte_at(text, at) == ':' ? skip_space(text, at + 1) : 0;
}

/* The containers that are open around the current place. */
struct nesting {
    bool is_object[DPS_JSON_DEPTH_MAX]; /* or else an array; the innermost last */
    size_t depth;
};
/*@ predicate nested(struct nesting *n) = \valid(n) && n->depth <= DPS_JSON_DEPTH_MAX; */

/*@ requires \valid_read(n) && 1 <= n->depth <= DPS_JSON_DEPTH_MAX; CHANGES \nothing; */
static bool in_object(const struct nesting *n)
{
    return n->is_object[n->depth - 1];
}

/* Leave every container that ends here. Returns the index of what follows, white space skipped while still inside
 * one. */
/*@ requires follows(text, at) && nested(n); CHANGES n->depth;
    ensures at <= \result <= text.len && n->depth <= \old(n->depth); */
static size_t close_containers(struct bytes text, size_t at, struct nesting *n)
{
    /*@ loop invariant \at(at, Pre) <= at <= text.len && n->depth <= \at(n->depth, Pre);
        loop assigns at, n->depth;
        loop variant n->depth; */
    while (n->depth > 0) {
        at = skip_space(text, at);
        if (byte_at(text, at) != (in_object(n) ? '}' : ']')) {
            break;
        }
        at++;
        n->depth--;
    }
    return at;
}

/* The one value that begins at *at, moved past it. A loop and not a recursion, so that the stack does not depend on
 * the sender. Returns: 0; BYTES_E_FORMAT; BYTES_E_LIMIT. */
static int skip_value(struct bytes text, size_t *at)
{
    struct nesting n;
    struct bytes name;
    n.depth = 0;
    /*@ loop invariant \at(*at, Pre) <= *at <= text.len && nested(&n);
        loop assigns *at, n, name;
        loop variant text.len - *at; */
    for (;;) {
        uint8_t c = byte_at(text, *at);
        bool opened = c == '{' || c == '[';
        if (opened) {
            if (n.depth == DPS_JSON_DEPTH_MAX) {
                return BYTES_E_LIMIT;
            }
            n.is_object[n.depth++] = c == '{';
            *at = skip_space(text, *at + 1);
        } else {
            *at = scalar_end(text, *at);
            if (*at == 0) {
                return BYTES_E_FORMAT;
            }
        }
        size_t depth = n.depth;
        *at = close_containers(text, *at, &n);
        if (n.depth == 0) {
            return BYTES_OK;
        }
        /* Only the first member of a container that has just been opened has no comma before it. */
        if (!opened || n.depth < depth) {
            if (byte_at(text, *at) != ',') {
                return BYTES_E_FORMAT;
            }
            *at = skip_space(text, *at + 1);
        }
        if (in_object(&n)) {
            *at = name_end(text, *at, &name);
            if (*at == 0) {
                return BYTES_E_FORMAT;
            }
        }
    }
}

int dps_json_check(struct bytes text, struct bytes *value)
{
    *value = (struct bytes){NULL, 0};
    if (!dps_utf8_valid(text)) {
        return BYTES_E_FORMAT;
    }
    size_t begin = skip_space(text, 0);
    size_t end = begin;
    int rc = skip_value(text, &end);
    if (rc != 0) {
        return rc;
    }
    if (skip_space(text, end) != text.len) {
        return BYTES_E_FORMAT;
    }
    *value = part(text, begin, end);
    return BYTES_OK;
}

enum dps_json_kind dps_json_kind(struct bytes value)
{
    if (value.len == 0) {
        return DPS_JSON_NONE;
    }
    switch (value.p[0]) {
    case '{':
        return DPS_JSON_OBJECT;
    case '[':
        return DPS_JSON_ARRAY;
    case '"':
        return DPS_JSON_STRING;
    case 't':
        return DPS_JSON_TRUE;
    case 'f':
        return DPS_JSON_FALSE;
    case 'n':
        return DPS_JSON_NULL;
    default:
        return DPS_JSON_NUMBER;
    }
}

bool dps_json_next(struct bytes container, size_t *cursor, struct bytes *name, struct bytes *value)
{
    *name = (struct bytes){NULL, 0};
    *value = (struct bytes){NULL, 0};
    enum dps_json_kind kind = dps_json_kind(container);
    if (kind != DPS_JSON_OBJECT && kind != DPS_JSON_ARRAY) {
        return false;
    }
    /* *cursor stands on the opening bracket, or after the value before: there must be a comma then. */
    size_t at = *cursor;
    if (at != 0) {
        at = skip_space(container, at);
        if (byte_at(container, at) != ',') {
            return false;
        }
    }
    /* An empty container needs no rule: its closing bracket is neither a name nor a value. */
    at = skip_space(container, at + 1);
    size_t value_at = at;
    if (kind == DPS_JSON_OBJECT) {
        value_at = name_end(container, at, name);
        if (value_at == 0) {
            return false;
        }
    }
    size_t end = value_at;
    if (skip_value(container, &end) != 0) {
        return false;
    }
    *value = part(container, value_at, end);
    *cursor = end;
    return true;
}

/* Does the raw text of a string or name, between its quotes, mean text? */
static bool raw_is(struct bytes raw, const char *text)
{
    struct bytes rest = bytes_of_text(text);
    size_t at = 0;
    /*@ loop invariant view(rest) && at <= raw.len;
        loop assigns at, rest;
        loop variant raw.len - at; */
    while (at < raw.len) {
        uint8_t bytes[4];
        const struct bytes piece = decode_piece(raw, &at, bytes);
        if (piece.len == 0 || piece.len > rest.len || memcmp(piece.p, rest.p, piece.len) != 0) {
            return false;
        }
        rest = part(rest, piece.len, rest.len);
    }
    return rest.len == 0;
}

int dps_json_member(struct bytes object, const char *name, struct bytes *value)
{
    *value = (struct bytes){NULL, 0};
    if (dps_json_kind(object) != DPS_JSON_OBJECT) {
        return BYTES_E_FORMAT;
    }
    struct bytes found = {NULL, 0};
    struct bytes raw, candidate;
    size_t cursor = 0;
    /*@ loop invariant cursor <= object.len && inside(found, object);
        loop assigns cursor, raw, candidate, found;
        loop variant object.len - cursor; */
    while (dps_json_next(object, &cursor, &raw, &candidate)) {
        if (!raw_is(raw, name)) {
            continue;
        }
        /* Two readers that pick different ones would act on different documents [RFC 8259 4]. */
        if (found.len != 0) {
            return BYTES_E_FORMAT;
        }
        found = candidate;
    }
    *value = found;
    return found.len != 0 ? BYTES_OK : BYTES_E_NOT_FOUND;
}

/* What is between the quotes of a string value. */
static bool string_raw(struct bytes value, struct bytes *raw)
{
    if (dps_json_kind(value) != DPS_JSON_STRING || value.len < 2) {
        return false;
    }
    *raw = part(value, 1, value.len - 1);
    return true;
}

int dps_json_string(struct bytes value, uint8_t *out, size_t capacity, size_t *len)
{
    *len = 0;
    struct bytes raw;
    if (!string_raw(value, &raw)) {
        return BYTES_E_FORMAT;
    }
    size_t at = 0, total = 0;
    /*@ loop invariant total <= capacity && at <= raw.len;
        loop assigns at, total, out[0 .. capacity - 1];
        loop variant raw.len - at; */
    while (at < raw.len) {
        uint8_t bytes[4];
        const struct bytes piece = decode_piece(raw, &at, bytes);
        if (piece.len == 0 || piece.p[0] == 0) { /* a zero would end the text early in C */
            return BYTES_E_FORMAT;
        }
        if (piece.len > capacity - total) {
            return BYTES_E_SPACE;
        }
        memmove(&out[total], piece.p, piece.len);
        total += piece.len;
    }
    *len = total;
    return BYTES_OK;
}

bool dps_json_string_is(struct bytes value, const char *text)
{
    struct bytes raw;
    return string_raw(value, &raw) && raw_is(raw, text);
}

bool dps_json_word_is(struct bytes value, const char *word)
{
    uint8_t text[DPS_JSON_WORD_MAX];
    size_t len;
    return dps_json_string(value, text, sizeof text, &len) == 0 &&
           dps_text_equal_nocase(bytes_of(text, len), bytes_of_text(word));
}

int dps_json_uint(struct bytes value, uint64_t maximum, uint64_t *number)
{
    *number = 0;
    if (dps_json_kind(value) != DPS_JSON_NUMBER) {
        return BYTES_E_FORMAT;
    }
    /* Besides plain digits, the grammar allows only a sign, a fraction and an exponent. */
    return dps_decimal_parse(value, maximum, number);
}
