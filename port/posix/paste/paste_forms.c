/* SPDX-License-Identifier: MIT */
/* The forms in which text stands for bytes: one reader each, tried in the order of the table at the end. A reader takes
 * the whole text or nothing. */
#include "dps/protocol/text.h"
#include "port/posix/paste/paste.h"
#include <ctype.h>

static bool is_one_of(uint8_t c, const char *set)
{
    return c != 0 && strchr(set, c) != NULL;
}

static bool fail(struct bytes_writer *w)
{
    bytes_writer_fail(w, BYTES_E_FORMAT);
    return false;
}

static bool complete(const struct bytes_writer *w)
{
    return w->error == 0 && w->len > 0;
}

/* ---- Hexdump ---- */

/* Exactly one block with offsets: of several the caller must choose. */
static bool read_hexdump(struct bytes text, struct bytes_writer *w)
{
    struct paste_dump d = {.rest = text};
    uint8_t *room = w->p + w->len;
    size_t capacity = w->capacity - w->len, len = 0;
    int error;
    do {
        error = paste_dump_next(&d, room, capacity, &len);
    } while (error == 0 && !d.offsets);
    if (error != 0) {
        return error == BYTES_E_NOT_FOUND ? false : fail(w);
    }
    w->len += len;
    room += len;
    capacity -= len;
    while ((error = paste_dump_next(&d, room, capacity, &len)) != BYTES_E_NOT_FOUND) {
        if (error != 0 || d.offsets) {
            return fail(w);
        }
    }
    return complete(w);
}

/* ---- Escaped string: C, shell, Python, Wireshark, JSON ---- */

/* Up to count digits of a base, at *at. */
static unsigned escaped_number(struct bytes text, size_t *at, size_t count, unsigned base)
{
    unsigned value = 0;
    for (; count > 0 && *at < text.len && dps_hex_digit(text.p[*at]) < base; count--, ++*at) {
        value = value * base + dps_hex_digit(text.p[*at]);
    }
    return value;
}

/* *at is after the backslash. */
static void read_escape(struct bytes text, size_t *at, struct bytes_writer *w)
{
    static const char names[] = "abtnvfr", values[] = "\a\b\t\n\v\f\r";
    if (*at == text.len) {
        bytes_writer_fail(w, BYTES_E_FORMAT);
        return;
    }
    const uint8_t c = text.p[*at];
    unsigned value = c; /* the character itself: a backslash or quote */
    if (c >= '0' && c <= '7') {
        value = escaped_number(text, at, 3, 8);
    } else {
        ++*at;
        if (c == 'x') {
            value = escaped_number(text, at, 2, 16);
        } else if (c == 'u') {
            value = escaped_number(text, at, 4, 16);
        } else if (is_one_of(c, names)) {
            value = (unsigned)values[strchr(names, c) - names];
        }
    }
    if (value > 0xFF) {
        bytes_writer_fail(w, BYTES_E_FORMAT);
    }
    bytes_write_u8(w, (uint8_t)value);
}

/* Between quotes a blank is a byte; outside of them, or where there are none, it is not. */
static bool read_escaped(struct bytes text, struct bytes_writer *w)
{
    const size_t first = paste_find(text, "\\");
    if (first == text.len || (paste_find(text, "\\x") == text.len && paste_find(text, "\\u00") == text.len)) {
        return false;
    }
    size_t at = 0;
    while (at < first && text.p[at] != '"' && text.p[at] != '\'') {
        at++;
    }
    const uint8_t quote = at < first ? text.p[at] : 0;
    bool inside = false;
    at = quote != 0 ? at : 0;
    while (at < text.len && w->error == 0) {
        const uint8_t c = text.p[at++];
        if (c == '\\' && at < text.len && (text.p[at] == '\n' || text.p[at] == '\r')) {
            continue; /* a line goes on */
        }
        if (quote != 0 && c == quote) {
            inside = !inside;
        } else if (c == '\\') {
            read_escape(text, &at, w);
        } else if (inside) {
            bytes_write_u8(w, c);
        } else if (!isspace(c)) {
            if (quote == 0) {
                return fail(w);
            }
            break; /* what follows a string: ";" or ")" */
        }
    }
    return complete(w);
}

/* ---- Numbers with something between them ---- */

#define BETWEEN " \t\r\n\f\v,;:-{}[]()\"'\\"

static size_t digits_at(struct bytes text, size_t at, uint8_t base)
{
    size_t len = 0;
    while (at + len < text.len && dps_hex_digit(text.p[at + len]) < base) {
        len++;
    }
    return len;
}

/* Comments of C, and Java's casts: how many characters of text, from at on, are one. */
static size_t remark_at(struct bytes text, size_t at)
{
    static const char *const remarks[][2] = {{"/*", "*/"}, {"//", "\n"}, {"(byte)", ""}};
    const struct bytes rest = bytes_of(text.p + at, text.len - at);
    for (size_t i = 0; i < sizeof remarks / sizeof remarks[0]; i++) {
        if (paste_begins(rest, remarks[i][0])) {
            const size_t end = paste_find(rest, remarks[i][1]) + strlen(remarks[i][1]);
            const size_t least = strlen(remarks[i][0]);
            return end > rest.len ? rest.len : end < least ? least : end;
        }
    }
    return 0;
}

/* "80 01", "80:01", "80-01", "0x80, 0x1", "8001 0000": groups are whole bytes, but for 0x1. */
static bool read_hex(struct bytes text, struct bytes_writer *w)
{
    for (size_t at = 0; at < text.len;) {
        const size_t remark = remark_at(text, at);
        if (remark > 0 || is_one_of(text.p[at], BETWEEN)) {
            at += remark > 0 ? remark : 1;
            continue;
        }
        const bool prefix = text.p[at] == '0' && at + 1 < text.len && dps_lower(text.p[at + 1]) == 'x';
        at += prefix ? 2 : 0;
        const size_t digits = digits_at(text, at, 16);
        if (digits == 0 || (digits % 2 != 0 && !(prefix && digits == 1))) {
            return fail(w);
        }
        for (size_t i = digits % 2; i < digits; i += 2) {
            bytes_write_u8(w,
                           (uint8_t)(dps_hex_digit(text.p[at + i]) << 4 | dps_hex_digit(text.p[at + i + 1])));
        }
        if (digits == 1) {
            bytes_write_u8(w, dps_hex_digit(text.p[at]));
        }
        at += digits;
    }
    return complete(w);
}

/* Hex that was folded in the middle of a byte: nothing but digits and line ends, and long lines. */
static bool read_folded_hex(struct bytes text, struct bytes_writer *w)
{
    enum { LONG_LINE = 16 };
    bool high = true;
    uint8_t byte = 0;
    if (digits_at(text, 0, 16) < LONG_LINE) {
        return fail(w);
    }
    for (size_t at = 0; at < text.len; at++) {
        const uint8_t digit = dps_hex_digit(text.p[at]);
        if (digit > 15 && !isspace(text.p[at])) {
            return fail(w);
        }
        if (digit > 15) {
            continue;
        }
        byte = (uint8_t)(byte << 4 | digit);
        if (!high) {
            bytes_write_u8(w, byte);
        }
        high = !high;
    }
    return high && complete(w);
}

/* What Go, Python, PowerShell and Java print of a byte array; Java's bytes have a sign. */
static bool read_decimal(struct bytes text, struct bytes_writer *w)
{
    enum { FEWEST = 8 }; /* fewer numbers are not bytes of a TPM */
    for (size_t at = 0; at < text.len;) {
        const bool minus = text.p[at] == '-' && digits_at(text, at + 1, 10) > 0;
        if (!minus && is_one_of(text.p[at], " \t\r\n,;{}[]()")) {
            at++;
            continue;
        }
        at += minus ? 1 : 0;
        const size_t digits = digits_at(text, at, 10);
        unsigned value = 0;
        for (size_t i = 0; i < digits && i < 4; i++) {
            value = value * 10 + dps_hex_digit(text.p[at + i]);
        }
        if (digits == 0 || digits > 3 || value > (minus ? 128 : 255)) {
            return fail(w);
        }
        bytes_write_u8(w, (uint8_t)(minus ? 256 - value : value));
        at += digits;
    }
    return w->len >= FEWEST && complete(w);
}

/* ---- Base64 ---- */

/* Four characters at a time, whatever is between them. */
struct base64 {
    struct bytes_writer *w;
    bool url;
    uint8_t group[4];
    size_t count, padding;
};

static void end_group(struct base64 *b)
{
    uint8_t bytes[3];
    size_t len;
    while (b->count > 1 && b->count < 4) {
        b->group[b->count++] = '=';
    }
    if (dps_base64_decode(bytes_of(b->group, b->count), bytes, sizeof bytes, &len) != 0) {
        bytes_writer_fail(b->w, BYTES_E_FORMAT);
        return;
    }
    bytes_write_bytes(b->w, bytes_of(bytes, len));
    b->count = 0;
}

static void take_base64(struct base64 *b, uint8_t c)
{
    if (c == '=') {
        b->padding++;
        return;
    }
    if (b->padding > 0 || (b->url && is_one_of(c, "+/"))) {
        bytes_writer_fail(b->w, BYTES_E_FORMAT); /* something follows the end; or two alphabets */
        return;
    }
    b->group[b->count++] = b->url && c == '-' ? '+' : b->url && c == '_' ? '/' : c;
    if (b->count == 4) {
        end_group(b);
    }
}

/* Folded, in quotes, with or without padding, percent-encoded as in a URL. */
static bool read_any_base64(struct bytes text, bool url, struct bytes_writer *w)
{
    struct base64 b = {.w = w, .url = url};
    for (size_t at = 0; at < text.len && w->error == 0; at++) {
        uint8_t c = text.p[at];
        if (isspace(c) || is_one_of(c, "\"',;")) {
            continue;
        }
        if (c == '%') {
            at++;
            c = (uint8_t)escaped_number(text, &at, 2, 16);
            at--;
        }
        take_base64(&b, c);
    }
    if (b.count > 0) {
        end_group(&b);
    }
    return b.padding < 3 && complete(w);
}

static bool read_base64(struct bytes text, struct bytes_writer *w)
{
    return read_any_base64(text, false, w);
}

static bool read_base64url(struct bytes text, struct bytes_writer *w)
{
    return read_any_base64(text, true, w);
}

/* ---- The table ---- */

/* Hex before base64: its digits are base64 as well, but nothing that we look for does without all other letters. */
static const struct {
    const char *name;
    const char *example;
    bool (*read)(struct bytes text, struct bytes_writer *w);
} forms[] = {
    {"hexdump", "00000000: 8001 0000 000c 0000  ........", read_hexdump},
    {"escaped string", "b'\\x80\\x01\\x00'", read_escaped},
    {"hex", "80010000, 80:01:00:00, 80-01-00-00, { 0x80, 0x01, 0x0 }", read_hex},
    {"hex", "lines of 79 digits", read_folded_hex},
    {"decimal bytes", "[128, 1, 0, 0, 0, 12, 0, 0]", read_decimal},
    {"base64", "gAEAAAAM, folded, without padding", read_base64},
    {"base64url", "AToA_-8", read_base64url},
};

/* What is around the numbers in a program or a file: the text is taken from the first open to the last close. */
static const struct {
    const char *open, *close;
} around[] = {
    {"", ""},     {"{", "}"}, /* uint8_t command[] = { 0x80, 0x01 }; []byte{128, 1} */
    {"[", "]"},               /* bytearray([128, 1]) */
    {"(", ")"},               /* [byte[]](0x80, 0x01); bytes.fromhex("8001") */
    {"hex:", ""},             /* a value of Windows' registry */
    {"\"", "\""},             /* ek = "AToA" */
    {"`", "`"},
};

static bool inside_of(struct bytes text, size_t i, struct bytes *inside)
{
    size_t begin = paste_find(text, around[i].open), end = text.len;
    if (begin == text.len) {
        return false;
    }
    begin += strlen(around[i].open);
    while (end > begin && around[i].close[0] != 0 && text.p[end - 1] != (uint8_t)around[i].close[0]) {
        end--;
    }
    end -= around[i].close[0] != 0 && end > begin ? 1 : 0;
    *inside = paste_trimmed(bytes_of(text.p + begin, end - begin));
    return around[i].close[0] == 0 ? inside->len > 0
                                   : inside->len > text.len / 2; /* else what is around matters */
}

int paste_bytes(struct bytes text, uint8_t *out, size_t capacity, size_t *len, const char **form)
{
    int error = BYTES_E_FORMAT;
    *len = 0;
    *form = "";
    for (size_t i = 0; i < sizeof around / sizeof around[0]; i++) {
        struct bytes inside;
        for (size_t f = 0; inside_of(text, i, &inside) && f < sizeof forms / sizeof forms[0]; f++) {
            struct bytes_writer w = bytes_writer_over(out, capacity);
            if (forms[f].read(inside, &w)) {
                *len = w.len;
                *form = forms[f].name;
                return 0;
            }
            error = w.error == BYTES_E_SPACE ? BYTES_E_SPACE : error;
        }
    }
    return error;
}
