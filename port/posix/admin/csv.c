/* SPDX-License-Identifier: MIT */
#include "port/posix/admin/csv.h"
#include "dps/protocol/text.h"
#include <string.h>

static int refuse(const char **why, const char *what)
{
    *why = what;
    return BYTES_E_FORMAT;
}

static bool is_control(uint8_t c)
{
    return (c < 0x20 && c != '\t') || c == 0x7F;
}

static bool is_blank(uint8_t c, char separator)
{
    return (c == ' ' || c == '\t') && c != (uint8_t)separator;
}

static size_t behind_blanks(struct bytes record, size_t at, char separator)
{
    while (at < record.len && is_blank(record.p[at], separator)) {
        at++;
    }
    return at;
}

/* From the quote at record[*at] to after the closing one and its blanks; doubled quotes become one. */
static int read_quoted(uint8_t *record, size_t len, char separator, size_t *at, struct bytes *field,
                       const char **why)
{
    size_t from = *at + 1, to = from, begin = from;
    for (;; from++) {
        if (from == len) {
            *why = "a quoted field does not end";
            return BYTES_E_MORE;
        }
        if (record[from] == '"') {
            if (from + 1 == len || record[from + 1] != '"') {
                break;
            }
            from++;
        } else if (is_control(record[from]) && record[from] != '\r' && record[from] != '\n') {
            return refuse(why, "there is a control character in it");
        }
        record[to++] = record[from];
    }
    *field = bytes_of(record + begin, to - begin);
    *at = behind_blanks(bytes_of(record, len), from + 1, separator);
    return *at == len || record[*at] == (uint8_t)separator
               ? 0
               : refuse(why, "after a closing quote there is more than a separator");
}

static int read_plain(const uint8_t *record, size_t len, char separator, size_t *at, struct bytes *field,
                      const char **why)
{
    size_t begin = *at;
    while (*at < len && record[*at] != (uint8_t)separator) {
        if (record[*at] == '"') {
            return refuse(why, "there is a quote inside a field that does not begin with one");
        }
        if (is_control(record[*at])) {
            return refuse(why, "there is a control character in it");
        }
        ++*at;
    }
    *field = bytes_of(record + begin, *at - begin);
    return 0;
}

int csv_read(uint8_t *record, size_t len, char separator, struct csv *csv, const char **why)
{
    csv->count = 0;
    if (len > 0 && record[len - 1] == '\r') {
        len--;
    }
    for (size_t at = 0;; at++) {
        struct bytes field;
        if (csv->count == CSV_FIELDS_MAX) {
            *why = "it has too many fields";
            return BYTES_E_LIMIT;
        }
        const size_t quote = behind_blanks(bytes_of(record, len), at, separator);
        const bool quoted = quote < len && record[quote] == '"';
        at = quoted ? quote : at;
        int error = quoted ? read_quoted(record, len, separator, &at, &field, why)
                           : read_plain(record, len, separator, &at, &field, why);
        if (error != 0) {
            return error;
        }
        csv->fields[csv->count++] = field;
        if (at == len) {
            return 0;
        }
    }
}

void csv_write(FILE *out, struct bytes field)
{
    bool utf8 = dps_utf8_valid(field), quoted = false;
    for (size_t i = 0; i < field.len; i++) {
        quoted = quoted || field.p[i] == '"' || field.p[i] == ',';
    }
    if (quoted) {
        fputc('"', out);
    }
    for (size_t i = 0; i < field.len; i++) {
        uint8_t c = field.p[i];
        if (c == '"') {
            fputc('"', out);
        }
        fputc(is_control(c) || (c > 0x7F && !utf8) ? '?' : c, out);
    }
    if (quoted) {
        fputc('"', out);
    }
}
