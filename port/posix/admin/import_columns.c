/* SPDX-License-Identifier: MIT */
/* dps-admin import: the header line. Names are compared as people write them: "Registration Id", "registration_id",
 * "attestation.tpm.endorsementKey". */
#include "dps/protocol/text.h"
#include "port/posix/admin/csv.h"
#include "port/posix/admin/tool.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const names[IMPORT_COLUMNS] = {"registrationId", "endorsementKey", "deviceId", "iotHub",
                                                  "provisioningStatus"};

/* What spreadsheets and exports put between the columns, by name for messages. */
static const struct {
    char separator;
    const char *name;
} separators[] = {{',', "comma"}, {';', "semicolon"}, {'\t', "tab"}, {'|', "bar"}};
#define SEPARATORS (sizeof separators / sizeof separators[0])

const char *admin_import_column_name(size_t column)
{
    return names[column];
}

static const char *separator_name(char separator)
{
    for (size_t i = 0; i < SEPARATORS; i++) {
        if (separators[i].separator == separator) {
            return separators[i].name;
        }
    }
    return "separator of the line sep=";
}

int admin_import_refuse_file(const struct import *m, const char *format, ...)
{
    char what[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    admin_say(
        "%s (%s): %s. The first line must name the columns registrationId and endorsementKey, and may name "
        "deviceId, iotHub, provisioningStatus and others, which are not used; or the file holds JSON "
        "enrollments, "
        "one a line or in an array",
        m->t->options.arguments[0], paste_encoding_name(m->lines.encoding), what);
    return POSIX_EXIT_STORE;
}

bool admin_import_separator_line(struct bytes line, char *separator)
{
    while (line.len > 0 && strchr("\"\r ", line.p[line.len - 1]) != NULL && line.p[line.len - 1] != 0) {
        line.len--;
    }
    const size_t quote = line.len > 0 && line.p[0] == '"' ? 1 : 0;
    if (line.len != quote + 5 || paste_find(line, "sep=") != quote || line.p[quote + 4] == '"') {
        return false;
    }
    *separator = (char)line.p[quote + 4];
    return true;
}

/* ---- Names ---- */

static bool is_name(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* The last part of a path, letters and digits only. */
static struct bytes plain_name(struct bytes name, uint8_t out[32])
{
    size_t len = 0;
    for (size_t i = 0; i < name.len; i++) {
        const uint8_t c = dps_lower(name.p[i]);
        if (c == '.' || c == '/') {
            len = 0;
        } else if (c > 0x7F || (is_name(c) && len == 32)) {
            return bytes_of(out, 0); /* none of ours */
        } else if (is_name(c)) {
            out[len++] = c;
        }
    }
    return bytes_of(out, len);
}

static size_t column_of(struct bytes name)
{
    uint8_t plain[32];
    size_t column = 0;
    while (column < IMPORT_COLUMNS &&
           !dps_text_equal_nocase(plain_name(name, plain), bytes_of_text(names[column]))) {
        column++;
    }
    return column;
}

/* ---- The line ---- */

/* Its fields with this separator, in a copy. False if it cannot be taken apart. */
static bool split(struct import *m, struct bytes line, char separator, struct csv *csv, const char **why)
{
    memcpy(m->copy, line.p, line.len);
    return csv_read(m->copy, line.len, separator, csv, why) == 0;
}

static size_t count_known(const struct csv *csv)
{
    size_t count = 0;
    for (size_t i = 0; i < csv->count; i++) {
        count += column_of(csv->fields[i]) < IMPORT_COLUMNS;
    }
    return count;
}

/* The separator that gives most of our columns; if none gives any of them, the one that gives most columns. */
static char find_separator(struct import *m, struct bytes line)
{
    struct csv csv;
    const char *why;
    char best = separators[0].separator;
    size_t best_known = 0, best_count = 1;
    for (size_t i = 0; i < SEPARATORS; i++) {
        if (!split(m, line, separators[i].separator, &csv, &why)) {
            continue;
        }
        const size_t known = count_known(&csv);
        if (known > best_known || (known == best_known && csv.count > best_count)) {
            best = separators[i].separator;
            best_known = known;
            best_count = csv.count;
        }
    }
    return best;
}

/* "a", "b": the file is somebody else's, so its text is made harmless. */
static void list_fields(const struct csv *csv, bool unused_only, char *out, size_t capacity)
{
    memset(out, 0, capacity);
    FILE *list = fmemopen(out, capacity - 1, "w");
    if (list == NULL) {
        return;
    }
    const char *between = "";
    for (size_t i = 0; i < csv->count; i++) {
        if (!unused_only || column_of(csv->fields[i]) == IMPORT_COLUMNS) {
            fprintf(list, "%s\"", between);
            csv_write(list, paste_trimmed(csv->fields[i]));
            fputc('"', list);
            between = ", ";
        }
    }
    (void)fclose(list);
}

static void tell_unused(const struct csv *csv)
{
    char list[256];
    list_fields(csv, true, list, sizeof list);
    if (list[0] != 0) {
        admin_say("columns that are not used: %s", list);
    }
}

int admin_import_columns(struct import *m, struct bytes line)
{
    struct csv csv;
    const char *why = "";
    char list[256];
    if (m->separator == 0) {
        m->separator = find_separator(m, line);
    }
    if (!split(m, line, m->separator, &csv, &why)) {
        return admin_import_refuse_file(m, "the first line is not a line of column names: %s", why);
    }
    m->field_count = csv.count;
    list_fields(&csv, false, list, sizeof list);
    for (size_t i = 0; i < csv.count; i++) {
        const size_t column = column_of(csv.fields[i]);
        if (column < IMPORT_COLUMNS && m->columns[column] != 0) {
            return admin_import_refuse_file(m, "the first line names the column %s twice", names[column]);
        }
        if (column < IMPORT_COLUMNS) {
            m->columns[column] = i + 1;
        }
    }
    for (size_t column = IMPORT_ID; column <= IMPORT_KEY; column++) {
        if (m->columns[column] == 0) {
            return admin_import_refuse_file(
                m,
                "the first line, with the %s as separator, has the columns %s, and none "
                "that is called %s",
                separator_name(m->separator), list, names[column]);
        }
    }
    tell_unused(&csv);
    return 0;
}
