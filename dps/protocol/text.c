/* SPDX-License-Identifier: MIT */
#include "dps/protocol/text.h"
#include <string.h>

static const uint8_t base64_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const uint8_t base32_alphabet[] =
    "abcdefghijklmnopqrstuvwxyz234567"; /* RFC 4648 table 3 in lower case */
static const uint8_t hex_lower[] = "0123456789abcdef";
static const uint8_t hex_upper[] = "0123456789ABCDEF";

void dps_write_text(struct bytes_writer *w, const char *text)
{
    bytes_write_bytes(w, bytes_of_text(text));
}

void dps_write_decimal(struct bytes_writer *w, uint64_t value)
{
    uint8_t digits[20]; /* 2^64 - 1 has 20 */
    size_t at = sizeof digits;
    /*@ loop invariant 1 <= at <= 20 && value < ten_to(at);
        loop assigns at, value, digits[0 .. 19];
        loop variant at; */
    do {
        digits[--at] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    bytes_write_bytes(w, bytes_of(&digits[at], sizeof digits - at));
}

void dps_write_hex(struct bytes_writer *w, struct bytes bytes)
{
    /*@ loop invariant i <= bytes.len && grew{Pre, Here}(w, 2 * i, 2 * i) && fits{Pre, Here}(w, 2 * i);
        loop assigns i, w->len, w->error, w->p[0 .. w->capacity - 1];
        loop variant bytes.len - i; */
    for (size_t i = 0; i < bytes.len; i++) {
        bytes_write_u8(w, hex_lower[bytes.p[i] >> 4]);
        bytes_write_u8(w, hex_lower[bytes.p[i] & 15]);
    }
}

void dps_write_base64(struct bytes_writer *w, struct bytes bytes)
{
    size_t count;
    /*@ loop invariant i <= bytes.len && (i % 3 == 0 || i == bytes.len);
        loop invariant grew{Pre, Here}(w, (i + 2) / 3 * 4, (i + 2) / 3 * 4) && fits{Pre, Here}(w, (i + 2) / 3 * 4);
        loop assigns i, count, w->len, w->error, w->p[0 .. w->capacity - 1];
        loop variant bytes.len - i; */
    for (size_t i = 0; i < bytes.len; i += count) {
        count = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t bits = 0;
        /*@ loop invariant j <= count;
            loop assigns j, bits;
            loop variant count - j; */
        for (size_t j = 0; j < count; j++) {
            bits |= (uint32_t)bytes.p[i + j] << (16 - 8 * j);
        }
        /* n bytes need n + 1 characters; '=' fills the group up to four. */
        /*@ loop invariant j <= 4 && grew{Pre, Here}(w, (i + 2) / 3 * 4 + j, (i + 2) / 3 * 4 + j);
            loop invariant fits{Pre, Here}(w, (i + 2) / 3 * 4 + j);
            loop assigns j, w->len, w->error, w->p[0 .. w->capacity - 1];
            loop variant 4 - j; */
        for (size_t j = 0; j < 4; j++) {
            bytes_write_u8(w, j <= count ? base64_alphabet[bits >> (18 - 6 * j) & 63] : '=');
        }
    }
}

void dps_write_base32(struct bytes_writer *w, struct bytes bytes)
{
    uint32_t bits = 0; /* only the low `count` bits are still to be written */
    unsigned count = 0;
    /*@ loop invariant i <= bytes.len && count <= 4 && bits <= 0xFFF && (8 * i - count) % 5 == 0;
        loop invariant grew{Pre, Here}(w, (8 * i - count) / 5, (8 * i - count) / 5);
        loop invariant fits{Pre, Here}(w, (8 * i - count) / 5);
        loop assigns i, bits, count, w->len, w->error, w->p[0 .. w->capacity - 1];
        loop variant bytes.len - i; */
    for (size_t i = 0; i < bytes.len; i++) {
        bits = (bits << 8 | bytes.p[i]) & 0xFFF; /* 4 at most are left from the byte before */
        /*@ loop invariant count <= 12 && (8 * (i + 1) - count) % 5 == 0;
            loop invariant grew{Pre, Here}(w, (8 * (i + 1) - count) / 5, (8 * (i + 1) - count) / 5);
            loop invariant fits{Pre, Here}(w, (8 * (i + 1) - count) / 5);
            loop assigns count, w->len, w->error, w->p[0 .. w->capacity - 1];
            loop variant count; */
        for (count += 8; count >= 5; count -= 5) {
            bytes_write_u8(w, base32_alphabet[bits >> (count - 5) & 31]);
        }
    }
    if (count > 0) {
        bytes_write_u8(w, base32_alphabet[bits << (5 - count) & 31]);
    }
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_unreserved(uint8_t c)
{
    return is_digit(c) || (dps_lower(c) >= 'a' && dps_lower(c) <= 'z') || c == '-' || c == '.' || c == '_' ||
           c == '~';
}

void dps_write_percent(struct bytes_writer *w, struct bytes bytes)
{
    /*@ loop invariant i <= bytes.len && grew{Pre, Here}(w, i, 3 * i) && fits{Pre, Here}(w, 3 * i);
        loop assigns i, w->len, w->error, w->p[0 .. w->capacity - 1];
        loop variant bytes.len - i; */
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t c = bytes.p[i];
        if (is_unreserved(c)) {
            bytes_write_u8(w, c);
        } else {
            bytes_write_u8(w, '%');
            bytes_write_u8(w, hex_upper[c >> 4]);
            bytes_write_u8(w, hex_upper[c & 15]);
        }
    }
}

size_t dps_place_in(const uint8_t *set, size_t count, uint8_t c)
{
    const uint8_t *found = memchr(set, c, count);
    return found != NULL ? (size_t)(found - set) : count;
}

/* The letter of the two-character escape for c, 0 if it has none [RFC 8259 7]. */
static uint8_t json_escape_letter(uint8_t c)
{
    static const uint8_t escaped[] = "\"\\\b\f\n\r\t";
    static const uint8_t letters[] = "\"\\bfnrt"; /* and the zero, for all others */
    return letters[dps_place_in(escaped, sizeof escaped - 1, c)];
}

void dps_write_json_string(struct bytes_writer *w, struct bytes bytes)
{
    /* Broken UTF-8 would make the whole document unreadable for its receiver: better no document. */
    if (!dps_utf8_valid(bytes)) {
        bytes_writer_fail(w, BYTES_E_FORMAT);
    }
    bytes_write_u8(w, '"');
    /*@ loop invariant i <= bytes.len && grew{Pre, Here}(w, 1 + i, 1 + 6 * i);
        loop assigns i, w->len, w->error, w->p[0 .. w->capacity - 1];
        loop variant bytes.len - i; */
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t c = bytes.p[i];
        uint8_t letter = json_escape_letter(c);
        if (letter != 0) {
            bytes_write_u8(w, '\\');
            bytes_write_u8(w, letter);
        } else if (c < 0x20) {
            bytes_write_bytes(w, bytes_of("\\u00", 4));
            dps_write_hex(w, bytes_of(&c, 1));
        } else {
            bytes_write_u8(w, c);
        }
    }
    bytes_write_u8(w, '"');
}

void dps_write_guid(struct bytes_writer *w, const uint8_t random[16])
{
    uint8_t guid[16];
    memcpy(guid, random, sizeof guid);
    guid[6] = (uint8_t)((guid[6] & 0x0F) | 0x40); /* version 4 */
    guid[8] = (uint8_t)((guid[8] & 0x3F) | 0x80); /* variant 10 */
    /*@ loop invariant i <= 16 && grew{Pre, Here}(w, 2 * i + hyphens(i), 2 * i + hyphens(i));
        loop invariant fits{Pre, Here}(w, 2 * i + hyphens(i));
        loop assigns i, w->len, w->error, w->p[0 .. w->capacity - 1];
        loop variant 16 - i; */
    for (size_t i = 0; i < sizeof guid; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            bytes_write_u8(w, '-');
        }
        dps_write_hex(w, bytes_of(&guid[i], 1));
    }
}

/* 0..63; 64 if c is not in the alphabet. */
static uint32_t base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return (uint32_t)c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return (uint32_t)c - 'a' + 26;
    }
    if (is_digit(c)) {
        return (uint32_t)c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : 64;
}

int dps_base64_decode(struct bytes text, uint8_t *out, size_t capacity, size_t *len)
{
    *len = 0;
    if (text.len % 4 != 0) {
        return BYTES_E_FORMAT;
    }
    size_t padding = 0;
    /*@ loop invariant padding <= 2 && padding <= text.len;
        loop assigns padding;
        loop variant 2 - padding; */
    while (padding < 2 && padding < text.len && text.p[text.len - 1 - padding] == '=') {
        padding++;
    }
    if (text.len / 4 * 3 - padding > capacity) {
        return BYTES_E_SPACE;
    }
    size_t total = 0;
    /*@ loop invariant i <= text.len && i % 4 == 0 && total == i / 4 * 3 - (0 < i == text.len ? padding : 0);
        loop assigns i, total, out[0 .. capacity - 1];
        loop variant text.len - i; */
    for (size_t i = 0; i < text.len; i += 4) {
        size_t count = i + 4 == text.len ? 4 - padding : 4;
        uint32_t bits = 0;
        /*@ loop invariant j <= count;
            loop assigns j, bits;
            loop variant count - j; */
        for (size_t j = 0; j < count; j++) {
            uint32_t value = base64_value(text.p[i + j]);
            if (value > 63) {
                return BYTES_E_FORMAT;
            }
            bits |= value << (18 - 6 * j);
        }
        /* Bits that no byte takes must be zero, or one value would have several spellings [RFC 4648 3.5]. */
        if ((bits & (UINT32_C(0xFFFFFF) >> (8 * (count - 1)))) != 0) {
            return BYTES_E_FORMAT;
        }
        /*@ loop invariant j < count && total == i / 4 * 3 + j;
            loop assigns j, total, out[0 .. capacity - 1];
            loop variant count - j; */
        for (size_t j = 0; j + 1 < count; j++) {
            out[total++] = (uint8_t)(bits >> (16 - 8 * j) & 0xFF);
        }
    }
    *len = total;
    return BYTES_OK;
}

uint8_t dps_hex_digit(uint8_t c)
{
    if (is_digit(c)) {
        return (uint8_t)(c - '0');
    }
    c = dps_lower(c);
    return c >= 'a' && c <= 'f' ? (uint8_t)(c - 'a' + 10) : 16;
}

int dps_percent_decode(struct bytes text, bool plus_is_space, uint8_t *out, size_t capacity, size_t *len)
{
    *len = 0;
    size_t total = 0;
    /*@ loop invariant i <= text.len && total <= i && total <= capacity;
        loop assigns i, total, out[0 .. capacity - 1];
        loop variant text.len - i; */
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.p[i];
        if (c == '%') {
            if (text.len - i < 3) {
                return BYTES_E_FORMAT;
            }
            uint8_t high = dps_hex_digit(text.p[i + 1]);
            uint8_t low = dps_hex_digit(text.p[i + 2]);
            if (high > 15 || low > 15) {
                return BYTES_E_FORMAT;
            }
            c = (uint8_t)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        /* A zero would let "a%00b" pass one check as "a" and another as a longer name. */
        if (c == 0) {
            return BYTES_E_FORMAT;
        }
        if (total == capacity) {
            return BYTES_E_SPACE;
        }
        out[total++] = c;
    }
    *len = total;
    return BYTES_OK;
}

int dps_hex_decode(struct bytes text, uint8_t *out, size_t capacity, size_t *len)
{
    *len = 0;
    if (text.len % 2 != 0) {
        return BYTES_E_FORMAT;
    }
    if (text.len / 2 > capacity) {
        return BYTES_E_SPACE;
    }
    /*@ loop invariant i <= text.len && i % 2 == 0;
        loop assigns i, out[0 .. capacity - 1];
        loop variant text.len - i; */
    for (size_t i = 0; i < text.len; i += 2) {
        uint8_t high = dps_hex_digit(text.p[i]);
        uint8_t low = dps_hex_digit(text.p[i + 1]);
        if (high > 15 || low > 15) {
            return BYTES_E_FORMAT;
        }
        out[i / 2] = (uint8_t)(high << 4 | low);
    }
    *len = text.len / 2;
    return BYTES_OK;
}

int dps_decimal_parse(struct bytes text, uint64_t maximum, uint64_t *value)
{
    *value = 0;
    if (text.len == 0 || (text.len > 1 && text.p[0] == '0')) {
        return BYTES_E_FORMAT;
    }
    /* Before any value: "99999999999999999999x" is malformed, not merely large. */
    /*@ loop invariant i <= text.len && \forall integer k; 0 <= k < i ==> '0' <= text.p[k] <= '9';
        loop assigns i;
        loop variant text.len - i; */
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(text.p[i])) {
            return BYTES_E_FORMAT;
        }
    }
    uint64_t sum = 0;
    /*@ loop invariant i <= text.len && sum <= maximum;
        loop assigns i, sum;
        loop variant text.len - i; */
    for (size_t i = 0; i < text.len; i++) {
        uint8_t digit = (uint8_t)(text.p[i] - '0');
        if (digit > maximum || sum > (maximum - digit) / 10) {
            return BYTES_E_LIMIT;
        }
        sum = sum * 10 + digit;
    }
    *value = sum;
    return BYTES_OK;
}

uint8_t dps_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

bool dps_text_equal_nocase(struct bytes a, struct bytes b)
{
    if (a.len != b.len) {
        return false;
    }
    /*@ loop invariant i <= a.len;
        loop assigns i;
        loop variant a.len - i; */
    for (size_t i = 0; i < a.len; i++) {
        if (dps_lower(a.p[i]) != dps_lower(b.p[i])) {
            return false;
        }
    }
    return true;
}

/* The length of the well-formed sequence at text.p[at], 0 if there is none [RFC 3629 4]. What excludes overlong
 * forms, surrogates and numbers above 10FFFF is the second byte, whose range is narrower after E0, ED, F0 and F4. */
static size_t utf8_sequence(struct bytes text, size_t at)
{
    uint8_t lead = text.p[at];
    uint8_t low = 0x80, high = 0xBF;
    size_t len;
    if (lead < 0x80) {
        return 1;
    } else if (lead >= 0xC2 && lead <= 0xDF) {
        len = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        len = 3;
        low = lead == 0xE0 ? 0xA0 : low;
        high = lead == 0xED ? 0x9F : high;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        len = 4;
        low = lead == 0xF0 ? 0x90 : low;
        high = lead == 0xF4 ? 0x8F : high;
    } else {
        return 0;
    }
    if (len > text.len - at || text.p[at + 1] < low || text.p[at + 1] > high) {
        return 0;
    }
    /*@ loop invariant 2 <= i <= len;
        loop assigns i;
        loop variant len - i; */
    for (size_t i = 2; i < len; i++) {
        if ((text.p[at + i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return len;
}

bool dps_utf8_valid(struct bytes text)
{
    /*@ loop invariant at <= text.len;
        loop assigns at;
        loop variant text.len - at; */
    for (size_t at = 0; at < text.len;) {
        size_t len = utf8_sequence(text, at);
        if (len == 0) {
            return false;
        }
        at += len;
    }
    return true;
}

struct bytes dps_split(struct bytes text, uint8_t separator, struct bytes *head)
{
    /*@ loop invariant i <= text.len;
        loop assigns i;
        loop variant text.len - i; */
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] == separator) {
            *head = bytes_of(text.p, i);
            return bytes_of(&text.p[i + 1], text.len - i - 1);
        }
    }
    *head = text;
    return (struct bytes){NULL, 0};
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

struct bytes dps_trim(struct bytes text)
{
    size_t from = 0, to = text.len;
    /*@ loop invariant from <= to;
        loop assigns from;
        loop variant to - from; */
    while (from < to && is_blank(text.p[from])) {
        from++;
    }
    /*@ loop invariant from <= to <= text.len;
        loop assigns to;
        loop variant to; */
    while (to > from && is_blank(text.p[to - 1])) {
        to--;
    }
    return from == to ? (struct bytes){NULL, 0} : bytes_of(&text.p[from], to - from);
}
