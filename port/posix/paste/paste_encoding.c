/* SPDX-License-Identifier: MIT */
#include "dps/protocol/text.h"
#include "port/posix/paste/paste.h"
#include <ctype.h>

#define REPLACEMENT 0xFFFDU /* of what is not a character [Unicode 3.9] */

/* ---- Encoding ---- */

/* Windows tools write UTF-16 without a mark now and then. Then ASCII and zeros alternate; no TPM structure does that
 * with printable bytes. */
static bool looks_utf16(struct bytes start, size_t zero_at)
{
    size_t len = start.len < 64 ? start.len : 64;
    if (len < 8 || start.len % 2 != 0) {
        return false;
    }
    for (size_t i = 0; i + 1 < len; i += 2) {
        uint8_t character = start.p[i + 1 - zero_at];
        if (start.p[i + zero_at] != 0 || (!isprint(character) && !isspace(character))) {
            return false;
        }
    }
    return true;
}

enum paste_encoding paste_encoding_of(struct bytes start, size_t *mark)
{
    static const struct {
        const char *mark;
        size_t len;
        enum paste_encoding encoding;
    } marks[] = {
        {"\xFF\xFE\0\0", 4, PASTE_UTF32}, {"\0\0\xFE\xFF", 4, PASTE_UTF32}, {"\xEF\xBB\xBF", 3, PASTE_UTF8},
        {"\xFF\xFE", 2, PASTE_UTF16_LE},  {"\xFE\xFF", 2, PASTE_UTF16_BE},
    };
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        if (start.len >= marks[i].len && memcmp(start.p, marks[i].mark, marks[i].len) == 0) {
            *mark = marks[i].len;
            return marks[i].encoding;
        }
    }
    *mark = 0;
    return looks_utf16(start, 1) ? PASTE_UTF16_LE : looks_utf16(start, 0) ? PASTE_UTF16_BE : PASTE_UTF8;
}

const char *paste_encoding_name(enum paste_encoding encoding)
{
    static const char *const names[] = {"UTF-8", "UTF-16LE", "UTF-16BE", "UTF-32"};
    return names[encoding];
}

static uint32_t unit_at(enum paste_encoding encoding, const uint8_t *p)
{
    return encoding == PASTE_UTF16_LE ? (uint32_t)(p[1] << 8 | p[0]) : (uint32_t)(p[0] << 8 | p[1]);
}

static bool is_high_surrogate(uint32_t unit)
{
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low_surrogate(uint32_t unit)
{
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* Bytes of UTF-8 [RFC 3629 3]. */
static size_t write_utf8(uint32_t c, uint8_t out[4])
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t first[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = len - 1; i > 0; i--, c >>= 6) {
        out[i] = (uint8_t)(0x80 | (c & 0x3F));
    }
    out[0] = (uint8_t)(first[len] | c);
    return len;
}

size_t paste_utf8_from_utf16(enum paste_encoding encoding, struct bytes in, uint8_t *out, size_t capacity,
                             size_t *taken)
{
    size_t at = 0, written = 0;
    while (at + 1 < in.len) {
        uint8_t bytes[4];
        size_t units = 1;
        uint32_t c = unit_at(encoding, in.p + at);
        if (is_high_surrogate(c)) {
            if (at + 3 >= in.len) {
                break; /* its other half may still come */
            }
            uint32_t low = unit_at(encoding, in.p + at + 2);
            units = is_low_surrogate(low) ? 2 : 1;
            c = units == 2 ? 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00) : REPLACEMENT;
        } else if (is_low_surrogate(c)) {
            c = REPLACEMENT;
        }
        size_t len = write_utf8(c, bytes);
        if (len > capacity - written) {
            break;
        }
        memcpy(out + written, bytes, len);
        written += len;
        at += 2 * units;
    }
    *taken = at;
    return written;
}

size_t paste_utf16_len(struct bytes utf8)
{
    size_t len = 0;
    for (size_t i = 0; i < utf8.len; i++) {
        bool continues = (utf8.p[i] & 0xC0) == 0x80;
        len += continues ? 0 : utf8.p[i] >= 0xF0 ? 4 : 2;
    }
    return len;
}

struct bytes paste_utf8(struct bytes input, uint8_t *out, size_t capacity, enum paste_encoding *encoding)
{
    size_t mark, taken;
    *encoding = paste_encoding_of(input, &mark);
    struct bytes rest = bytes_of(input.p + mark, input.len - mark);
    if (*encoding == PASTE_UTF8) {
        return rest;
    }
    if (*encoding == PASTE_UTF32) {
        return bytes_of(out, 0);
    }
    return bytes_of(out, paste_utf8_from_utf16(*encoding, rest, out, capacity, &taken));
}

/* ---- Text ---- */

#define ESCAPE 0x1B /* terminals colour logs with it */

bool paste_is_text(struct bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        const uint8_t c = bytes.p[i];
        if ((c < 0x20 && !isspace(c) && c != ESCAPE) || c == 0x7F) {
            return false;
        }
    }
    return true;
}

struct bytes paste_trimmed(struct bytes text)
{
    while (text.len > 0 && isspace(text.p[0])) {
        text = bytes_of(text.p + 1, text.len - 1);
    }
    while (text.len > 0 && isspace(text.p[text.len - 1])) {
        text.len--;
    }
    return text;
}

struct bytes paste_next_line(struct bytes *text)
{
    static const uint8_t none[1] = {0};
    const struct bytes whole = text->p != NULL ? *text : bytes_of(none, 0);
    struct bytes line;
    *text = dps_split(whole, '\n', &line);
    if (text->p == NULL) { /* there was no line end */
        *text = bytes_of(whole.p + whole.len, 0);
    }
    while (line.len > 0 && line.p[line.len - 1] == '\r') {
        line.len--;
    }
    return line;
}

bool paste_begins(struct bytes text, const char *part)
{
    const struct bytes wanted = bytes_of_text(part);
    return text.len >= wanted.len && dps_text_equal_nocase(bytes_of(text.p, wanted.len), wanted);
}

size_t paste_find(struct bytes text, const char *part)
{
    size_t at = 0;
    while (at < text.len && !paste_begins(bytes_of(text.p + at, text.len - at), part)) {
        at++;
    }
    return at;
}
