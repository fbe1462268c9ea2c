/* SPDX-License-Identifier: MIT */
/* dps-admin import: from the file's bytes to records. A record is a line; of CSV also several lines, if a quoted field
 * holds line ends; of a JSON array or of indented JSON an object. The place in the file is known at each of them. */
#include "port/posix/admin/csv.h"
#include "port/posix/admin/tool.h"
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* ---- Bytes ---- */

static bool is_utf16(const struct import_lines *l)
{
    return l->encoding == PASTE_UTF16_LE || l->encoding == PASTE_UTF16_BE;
}

static ssize_t read_some(int fd, uint8_t *out, size_t capacity)
{
    ssize_t n;
    do {
        n = read(fd, out, capacity);
    } while (n < 0 && errno == EINTR && posix_interrupted == 0);
    return n;
}

static void convert(struct import_lines *l)
{
    size_t taken;
    l->end += paste_utf8_from_utf16(l->encoding, bytes_of(l->raw, l->raw_len), l->buffer + l->end,
                                    l->capacity - l->end, &taken);
    memmove(l->raw, l->raw + taken, l->raw_len - taken);
    l->raw_len -= taken;
}

/* Read on after what is there. Returns false at the end of the file, or when it cannot be read: *error is
 * then set. */
static bool fill(struct import_lines *l, int *error)
{
    const size_t before = l->end - l->begin;
    memmove(l->buffer, l->buffer + l->begin, before);
    l->begin = 0;
    l->end = before;
    ssize_t n = 1;
    if (!is_utf16(l)) {
        n = read_some(l->fd, l->buffer + l->end, l->capacity - l->end);
        l->end += n > 0 ? (size_t)n : 0;
    }
    while (is_utf16(l) && l->end == before && n > 0) {
        n = read_some(l->fd, l->raw + l->raw_len, sizeof l->raw - l->raw_len);
        l->raw_len += n > 0 ? (size_t)n : 0;
        convert(l);
    }
    if (n < 0) {
        *error = BYTES_E_FILE;
    }
    return l->end > before;
}

static void take(struct import_lines *l, size_t len)
{
    const struct bytes taken = bytes_of(l->buffer + l->begin, len);
    l->offset += is_utf16(l) ? paste_utf16_len(taken) : len;
    l->begin += len;
}

/* Files that are not text, by how they begin. */
static const struct {
    uint8_t begin[4];
    const char *says;
} no_texts[] = {
    {{'P', 'K', 3, 4}, "an Excel workbook (or another ZIP file): save it as \"CSV UTF-8\""},
    {{0xD0, 0xCF, 0x11, 0xE0}, "an Excel workbook: save it as \"CSV UTF-8\""},
    {{0x1F, 0x8B, 8, 0}, "compressed (gzip): unpack it"},
};

const char *admin_import_encoding(struct import_lines *l)
{
    size_t mark;
    ssize_t n = 1;
    while (n > 0 && l->raw_len < 64) {
        n = read_some(l->fd, l->raw + l->raw_len, sizeof l->raw - l->raw_len);
        l->raw_len += n > 0 ? (size_t)n : 0;
    }
    for (size_t i = 0; i < sizeof no_texts / sizeof no_texts[0]; i++) {
        if (l->raw_len >= 4 && memcmp(l->raw, no_texts[i].begin, 4) == 0) {
            return no_texts[i].says;
        }
    }
    l->encoding = paste_encoding_of(bytes_of(l->raw, l->raw_len & ~(size_t)1), &mark);
    if (l->encoding == PASTE_UTF32) {
        return "UTF-32: save it as UTF-8";
    }
    if (l->raw_len == 3 && l->encoding == PASTE_UTF8) { /* perhaps a mark alone */
        l->encoding = paste_encoding_of(bytes_of(l->raw, l->raw_len), &mark);
    }
    l->raw_len -= mark;
    memmove(l->raw, l->raw + mark, l->raw_len);
    l->offset = mark;
    if (is_utf16(l)) {
        convert(l);
    } else {
        memcpy(l->buffer, l->raw, l->raw_len);
        l->end = l->raw_len;
        l->raw_len = 0;
    }
    return NULL;
}

/* ---- Lines ---- */

/* *end: where the line ends that begins at from, both counted from the start of the buffer; *last: with the
 * file. Returns: 0; BYTES_E_NOT_FOUND if there is nothing; BYTES_E_SPACE if it is longer than the buffer;
 * BYTES_E_FILE. */
static int find_line_end(struct import_lines *l, size_t from, size_t *end, bool *last)
{
    int error = 0;
    size_t seen = from;
    *last = false;
    for (;;) {
        const uint8_t *begin = l->buffer + l->begin;
        const size_t len = l->end - l->begin;
        const uint8_t *feed = seen < len ? memchr(begin + seen, '\n', len - seen) : NULL;
        if (feed != NULL) {
            *end = (size_t)(feed - begin);
            return 0;
        }
        seen = len;
        if (seen == l->capacity) {
            return BYTES_E_SPACE;
        }
        if (!fill(l, &error)) {
            *end = seen;
            *last = true;
            return error != 0 ? error : seen > from ? 0 : BYTES_E_NOT_FOUND;
        }
    }
}

int admin_import_line(struct import_lines *l, struct import_record *line)
{
    size_t end;
    bool last;
    int error;
    *line = (struct import_record){.line = l->number + 1};
    while ((error = find_line_end(l, 0, &end, &last)) == BYTES_E_SPACE) {
        line->cut = true;
        take(l, l->end - l->begin);
    }
    if (error != 0 && !(error == BYTES_E_NOT_FOUND && line->cut)) {
        return error;
    }
    line->text = bytes_of(l->buffer + l->begin, end);
    take(l, end + (last ? 0 : 1));
    l->number++;
    return 0;
}

/* What comes next, without taking more than blank lines: the first character tells, and for JSON whether an object
 * ends in its line. */
enum import_kind admin_import_kind(struct import_lines *l)
{
    int error = 0;
    while (l->begin < l->end || fill(l, &error)) {
        const uint8_t c = l->buffer[l->begin];
        if (!isspace(c)) {
            break;
        }
        l->number += c == '\n';
        take(l, 1);
    }
    const struct bytes rest = bytes_of(l->buffer + l->begin, l->end - l->begin);
    struct bytes after = rest;
    const bool alone = paste_trimmed(paste_next_line(&after)).len == 1;
    if (rest.len == 0 || (rest.p[0] != '{' && rest.p[0] != '[')) {
        return IMPORT_CSV;
    }
    return rest.p[0] == '[' || alone ? IMPORT_JSON_OBJECTS : IMPORT_JSON_LINES;
}

/* ---- CSV: a quoted field may hold line ends ---- */

static size_t count_of(struct bytes text, uint8_t c)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        count += text.p[i] == c;
    }
    return count;
}

/* A missing quote must spoil only its own line: lines are joined only if they then make a record, and no more of them
 * than one enrollment can have. */
static bool joined_len(struct import *m, size_t *joined)
{
    enum { LONGEST = 32768 };
    struct import_lines *l = &m->lines;
    struct csv csv;
    const char *why;
    size_t end, from = 0;
    bool last = false;
    while (!last && find_line_end(l, from, &end, &last) == 0 && end <= LONGEST) {
        const struct bytes text = bytes_of(l->buffer + l->begin, end);
        if (count_of(text, '"') % 2 == 0) {
            if (from == 0) {
                return false; /* as nearly always */
            }
            memcpy(m->copy, text.p, text.len);
            *joined = end;
            return csv_read(m->copy, text.len, m->separator, &csv, &why) == 0;
        }
        from = end + 1;
    }
    return false;
}

static int next_csv(struct import *m, struct import_record *record)
{
    struct import_lines *l = &m->lines;
    size_t len;
    if (!joined_len(m, &len)) {
        return admin_import_line(l, record);
    }
    *record = (struct import_record){.line = l->number + 1, .text = bytes_of(l->buffer + l->begin, len)};
    l->number += 1 + count_of(record->text, '\n');
    take(l, len < l->end - l->begin ? len + 1 : len);
    return 0;
}

/* ---- JSON: objects, wherever their lines end ---- */

/* How far an object has been looked at. */
struct object {
    size_t at, depth;
    bool string, escape;
};

/* True at its end, or at the end of the buffer if it goes on. */
static bool object_ends(struct object *o, struct bytes text)
{
    for (; o->at < text.len; o->at++) {
        const uint8_t c = text.p[o->at];
        if (o->escape) {
            o->escape = false;
        } else if (o->string) {
            o->escape = c == '\\';
            o->string = c != '"';
        } else if (c == '"') {
            o->string = true;
        } else if (c == '{') {
            o->depth++;
        } else if (c == '}' && --o->depth == 0) {
            o->at++;
            return true;
        }
    }
    return false;
}

/* What is between objects: blanks, commas, the brackets of the array. */
static int pass_between(struct import_lines *l)
{
    int error = 0;
    for (;;) {
        while (l->begin < l->end &&
               (isspace(l->buffer[l->begin]) || strchr(",[]", l->buffer[l->begin]) != NULL) &&
               l->buffer[l->begin] != 0) {
            l->number += l->buffer[l->begin] == '\n';
            take(l, 1);
        }
        if (l->begin < l->end) {
            return 0;
        }
        if (!fill(l, &error)) {
            return error != 0 ? error : BYTES_E_NOT_FOUND;
        }
    }
}

static int next_object(struct import_lines *l, struct import_record *record)
{
    struct object o = {.at = 0};
    int error = pass_between(l);
    if (error != 0) {
        return error;
    }
    if (l->buffer[l->begin] != '{') {
        return admin_import_line(l, record); /* no object: it is refused */
    }
    *record = (struct import_record){.line = l->number + 1};
    while (!object_ends(&o, bytes_of(l->buffer + l->begin, l->end - l->begin))) {
        if (l->end - l->begin == l->capacity) {
            record->cut = true;
            l->number += count_of(bytes_of(l->buffer + l->begin, o.at), '\n');
            take(l, o.at);
            o.at = 0;
        }
        if (!fill(l, &error)) {
            break; /* an object that does not end is refused like any that is malformed */
        }
    }
    record->text = bytes_of(l->buffer + l->begin, o.at);
    l->number += count_of(record->text, '\n');
    take(l, o.at);
    return error;
}

int admin_import_record(struct import *m, struct import_record *record)
{
    switch (m->kind) {
    case IMPORT_CSV:
        return next_csv(m, record);
    case IMPORT_JSON_OBJECTS:
        return next_object(&m->lines, record);
    default:
        return admin_import_line(&m->lines, record);
    }
}
