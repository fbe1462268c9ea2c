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

/* From the quote at line[*at] to behind the closing one; doubled quotes become one. */
static int read_quoted(uint8_t *line, size_t len, size_t *at, struct bytes *field, const char **why)
{
    size_t from = *at + 1, to = from, begin = from;
    for (;; from++) {
        if (from == len)
            return refuse(why, "a quoted field does not end in this line");
        if (line[from] == '"') {
            if (from + 1 == len || line[from + 1] != '"')
                break;
            from++;
        }
        line[to++] = line[from];
    }
    *field = bytes_of(line + begin, to - begin);
    *at = from + 1;
    return *at == len || line[*at] == ',' ? 0
                                          : refuse(why, "behind a closing quote there is more than a comma");
}

static int read_plain(const uint8_t *line, size_t len, size_t *at, struct bytes *field, const char **why)
{
    size_t begin = *at;
    while (*at < len && line[*at] != ',') {
        if (line[*at] == '"')
            return refuse(why, "there is a quote inside a field that does not begin with one");
        ++*at;
    }
    *field = bytes_of(line + begin, *at - begin);
    return 0;
}

int posix_csv_read(uint8_t *line, size_t len, struct posix_csv *record, const char **why)
{
    record->count = 0;
    if (len > 0 && line[len - 1] == '\r')
        len--;
    if (!dps_utf8_valid(bytes_of(line, len)))
        return refuse(why, "it is not UTF-8");
    for (size_t i = 0; i < len; i++) {
        if (is_control(line[i]))
            return refuse(why, "there is a control character in it");
    }
    for (size_t at = 0;; at++) {
        struct bytes field;
        if (record->count == POSIX_CSV_FIELDS_MAX) {
            *why = "it has too many fields";
            return BYTES_E_LIMIT;
        }
        int error = at < len && line[at] == '"' ? read_quoted(line, len, &at, &field, why)
                                                : read_plain(line, len, &at, &field, why);
        if (error != 0)
            return error;
        record->fields[record->count++] = field;
        if (at == len)
            return 0;
    }
}

void posix_csv_write(FILE *out, struct bytes field)
{
    bool utf8 = dps_utf8_valid(field), quoted = false;
    for (size_t i = 0; i < field.len; i++)
        quoted = quoted || field.p[i] == '"' || field.p[i] == ',';
    if (quoted)
        fputc('"', out);
    for (size_t i = 0; i < field.len; i++) {
        uint8_t c = field.p[i];
        if (c == '"')
            fputc('"', out);
        fputc(is_control(c) || (c > 0x7F && !utf8) ? '?' : c, out);
    }
    if (quoted)
        fputc('"', out);
}
