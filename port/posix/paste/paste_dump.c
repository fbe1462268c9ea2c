/* SPDX-License-Identifier: MIT */
/* Hexdumps, line by line. What ends a line's bytes is the next line's offset; of the last line, the gap before the
 * characters beside them.
 *
 *   xxd            00000000: 8001 0000 000c 0000 017b 0020            .........{.
 *   hexdump -C     00000000  80 01 00 00 00 0c 00 00  01 7b 00 20              |.........{. |
 *   Wireshark      0000   80 01 00 00 00 0c 00 00 01 7b 00 20               .........{.
 *   certutil       0000  80 01 00 00 00 0c 00 00  01 7b 00 20               .........{.
 *   Format-Hex     00000000   80 01 00 00 00 0C 00 00 01 7B 00 20              .........{.
 *   od -tx1        0000000 80 01 00 00 00 0c 00 00 01 7b 00 20              offsets are octal
 *   od -x, hexdump 0000000 0180 0000 0c00 0000 7b01 2000                    words of the machine: little-endian
 *   od             0000000 000600 000000 006000 000000 075401 020000        octal words
 *   od -b          0000000 200 001 000 000 000 014 000 000 001 173 000 040  octal bytes
 *   logs           80 01 00 00 00 0C 00 00 01 7B 00 20                      no offsets, perhaps words before it */
#include "dps/protocol/text.h"
#include "port/posix/paste/paste.h"
#include <ctype.h>

#define OFFSET_DIGITS_OD 7 /* od and hexdump without -C, which show words of the machine */
#define LINE_MAX_BYTES 1024
#define GAP_BEFORE_CHARACTERS 3
#define HALF_LINE 8 /* bytes in front of a gap of two blanks, in hexdump -C and certutil */

struct line {
    bool has_offset;
    bool machine; /* of od and hexdump: groups are words, and there are no characters beside them */
    size_t offset_digits;
    struct bytes digits; /* of the offset */
    struct bytes rest;   /* after the offset, or all */
};

struct taken {
    uint8_t bytes[LINE_MAX_BYTES];
    size_t len;
};

/* ---- One line ---- */

static size_t count_blanks(struct bytes text)
{
    size_t n = 0;
    while (n < text.len && (text.p[n] == ' ' || text.p[n] == '\t')) {
        n++;
    }
    return n;
}

static struct bytes behind(struct bytes text, size_t n)
{
    return bytes_of(text.p + n, text.len - n);
}

static size_t count_digits(struct bytes text)
{
    size_t n = 0;
    while (n < text.len && dps_hex_digit(text.p[n]) < 16) {
        n++;
    }
    return n;
}

static struct line split_line(struct bytes text)
{
    struct line line = {.rest = text};
    text = behind(text, count_blanks(text));
    if (text.len > 2 && text.p[0] == '0' && dps_lower(text.p[1]) == 'x') {
        text = behind(text, 2);
    }
    const size_t digits = count_digits(text);
    const struct bytes after = behind(text, digits);
    const bool colon = after.len > 0 && after.p[0] == ':';
    if (digits < 4 || digits > 16 || (after.len > (colon ? 1 : 0) && !isspace(after.p[colon ? 1 : 0]))) {
        return line;
    }
    line.has_offset = true;
    line.machine = digits == OFFSET_DIGITS_OD && !colon;
    line.digits = bytes_of(text.p, digits);
    line.rest = behind(after, colon ? 1 : 0);
    return line;
}

static uint64_t offset_of(const struct line *line, unsigned base)
{
    uint64_t value = 0;
    for (size_t i = 0; i < line->digits.len; i++) {
        value = value * base + dps_hex_digit(line->digits.p[i]);
    }
    return value;
}

static uint32_t number_of(struct bytes digits, unsigned base)
{
    uint32_t value = 0;
    for (size_t i = 0; i < digits.len; i++) {
        value = value * base + dps_hex_digit(digits.p[i]);
    }
    return value;
}

/* A group of digits as bytes. Returns how many; 0 if it is not a group. */
static size_t read_group(const struct line *line, struct bytes digits, uint8_t *out)
{
    static const struct {
        size_t digits, bytes;
        unsigned base;
    } words[] = {{2, 1, 16}, {3, 1, 8}, {4, 2, 16}, {6, 2, 8}, {8, 4, 16}, {11, 4, 8}};
    size_t len = 0;
    if (!line->machine) {
        return dps_hex_decode(digits, out, LINE_MAX_BYTES, &len) == 0 ? len : 0;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (words[i].digits == digits.len) {
            const uint32_t word = number_of(digits, words[i].base);
            for (; len < words[i].bytes; len++) {
                out[len] = (uint8_t)(word >> (8 * len));
            }
        }
    }
    return len;
}

/* Two blanks in the middle of hexdump -C's line, or already the characters? */
static bool goes_on_after_two(struct bytes rest, size_t len)
{
    const size_t digits = count_digits(rest);
    return len == HALF_LINE && digits == 2 && (rest.len == 2 || rest.p[2] == ' ');
}

/* The bytes of a line, at most limit. */
static void read_bytes(const struct line *line, size_t limit, struct taken *b)
{
    struct bytes rest = line->rest;
    b->len = 0;
    while (b->len < limit) {
        const size_t blanks = count_blanks(rest);
        uint8_t group[LINE_MAX_BYTES];
        rest = behind(rest, blanks);
        const size_t digits = count_digits(rest);
        const bool ends = rest.len == digits || isspace(rest.p[digits]);
        if (digits == 0 || !ends || digits > LINE_MAX_BYTES) {
            return;
        }
        if (b->len > 0 && !line->machine &&
            (blanks >= GAP_BEFORE_CHARACTERS ||
             (blanks == 2 && limit == LINE_MAX_BYTES && !goes_on_after_two(rest, b->len)))) {
            return;
        }
        const size_t len = read_group(line, bytes_of(rest.p, digits), group);
        if (len == 0 || (len > limit - b->len && !line->machine)) {
            return;
        }
        for (size_t i = 0; i < len && b->len < limit; i++) {
            b->bytes[b->len++] = group[i];
        }
        rest = behind(rest, digits);
    }
}

/* ---- A block with offsets ---- */

struct block {
    struct bytes rest; /* after the lines taken */
    unsigned base;     /* of the offsets */
    size_t usual;      /* how many bytes a line has; LINE_MAX_BYTES: not known yet */
    uint64_t offset;   /* where the next line has to begin */
    struct taken last;
};

static bool is_repetition(struct bytes text)
{
    text = paste_trimmed(text);
    return text.len == 1 && text.p[0] == '*';
}

static bool starts_block(const struct line *line)
{
    struct taken b;
    if (!line->has_offset || offset_of(line, 16) != 0) {
        return false;
    }
    read_bytes(line, LINE_MAX_BYTES, &b);
    return b.len > 0;
}

/* The offset that the next line has, if it has one and it lies ahead. */
static bool peek_offset(const struct block *b, uint64_t *offset)
{
    struct bytes rest = b->rest;
    const struct line next = split_line(paste_next_line(&rest));
    *offset = next.has_offset ? offset_of(&next, b->base) : 0;
    return *offset > b->offset;
}

/* od writes octal offsets, hexdump hexadecimal ones; the second line's tells which. */
static unsigned base_of(const struct line *first, struct bytes rest)
{
    struct taken b;
    const struct line second = split_line(paste_next_line(&rest));
    read_bytes(first, LINE_MAX_BYTES, &b);
    if (!first->machine || !second.has_offset) {
        return 16;
    }
    /* A word may be half filled at the end. */
    const uint64_t octal = offset_of(&second, 8);
    return octal <= b.len && octal + 4 > b.len ? 8 : 16;
}

static void write_repetition(struct block *b, struct bytes_writer *w)
{
    uint64_t end;
    if (!peek_offset(b, &end) || b->last.len == 0) {
        bytes_writer_fail(w, BYTES_E_FORMAT);
        return;
    }
    while (b->offset < end && w->error == 0) {
        bytes_write_bytes(w, bytes_of(b->last.bytes, b->last.len));
        b->offset += b->last.len;
    }
    if (b->offset != end) {
        bytes_writer_fail(w, BYTES_E_FORMAT);
    }
}

static void write_line(struct block *b, const struct line *line, struct bytes_writer *w)
{
    uint64_t next;
    const bool known = peek_offset(b, &next);
    const uint64_t ahead = known ? next - b->offset : b->usual;
    read_bytes(line, ahead < LINE_MAX_BYTES ? (size_t)ahead : LINE_MAX_BYTES, &b->last);
    bytes_write_bytes(w, bytes_of(b->last.bytes, b->last.len));
    b->offset += b->last.len;
    if (known && b->offset != next) {
        bytes_writer_fail(w, BYTES_E_FORMAT); /* a line is missing, or cut off */
    }
    b->usual = known ? b->last.len : b->usual;
}

/* The lines from the one that starts a block to the one that does not go on. d->rest ends up after them. */
static int read_block(struct paste_dump *d, struct bytes_writer *w)
{
    struct block b = {.rest = d->rest, .usual = LINE_MAX_BYTES};
    while (b.rest.len > 0) {
        struct bytes after = b.rest;
        const struct bytes text = paste_next_line(&after);
        const struct line line = split_line(text);
        const bool first = b.base == 0;
        if (first) {
            b.base = base_of(&line, after);
        } else if (is_repetition(text)) {
            b.rest = after;
            write_repetition(&b, w);
            continue;
        } else if (!line.has_offset || offset_of(&line, b.base) != b.offset) {
            break;
        }
        b.rest = after;
        write_line(&b, &line, w);
    }
    d->rest = b.rest;
    return w->error;
}

/* ---- Lines without offsets ---- */

/* Pairs of digits, and perhaps the characters after a bar. */
static bool read_pairs(struct bytes text, struct taken *b)
{
    struct bytes rest = text;
    b->len = 0;
    for (;;) {
        rest = behind(rest, count_blanks(rest));
        if (rest.len == 0 || (b->len > 0 && rest.p[0] == '|')) {
            return b->len > 0;
        }
        if (count_digits(rest) != 2 || (rest.len > 2 && !isspace(rest.p[2])) || b->len == LINE_MAX_BYTES) {
            return false;
        }
        b->bytes[b->len++] = (uint8_t)number_of(bytes_of(rest.p, 2), 16);
        rest = behind(rest, 2);
    }
}

/* In a log, the time and the program's name may come first: then *prefix is set. */
static bool read_log_line(struct bytes text, struct taken *b, bool *prefix)
{
    *prefix = false;
    if (read_pairs(text, b)) {
        return true;
    }
    *prefix = true;
    for (size_t i = text.len; i > 1; i--) {
        if (text.p[i - 1] == ' ' && text.p[i - 2] == ':') {
            return read_pairs(behind(text, i), b);
        }
    }
    return false;
}

/* All lines have a prefix, or none: "length: 12" is not the first byte of the lines below it. */
static int read_pair_lines(struct paste_dump *d, bool prefix, struct bytes_writer *w)
{
    while (d->rest.len > 0) {
        struct taken b;
        bool has_prefix;
        struct bytes after = d->rest;
        const struct bytes text = paste_next_line(&after);
        const struct line line = split_line(text);
        if (starts_block(&line) || !read_log_line(text, &b, &has_prefix) || has_prefix != prefix) {
            break;
        }
        bytes_write_bytes(w, bytes_of(b.bytes, b.len));
        d->rest = after;
    }
    return w->error;
}

/* ---- Blocks ---- */

int paste_dump_next(struct paste_dump *d, uint8_t *out, size_t capacity, size_t *len)
{
    struct bytes_writer w = bytes_writer_over(out, capacity);
    struct taken b;
    bool prefix;
    *len = 0;
    d->label = bytes_of(NULL, 0);
    while (d->rest.len > 0) {
        struct bytes after = d->rest;
        const struct bytes text = paste_next_line(&after);
        const struct line line = split_line(text);
        d->offsets = starts_block(&line);
        if (d->offsets || read_log_line(text, &b, &prefix)) {
            const int error = d->offsets ? read_block(d, &w) : read_pair_lines(d, prefix, &w);
            *len = error == 0 ? w.len : 0;
            return error;
        }
        d->label = paste_trimmed(text);
        d->rest = after;
    }
    return BYTES_E_NOT_FOUND;
}
