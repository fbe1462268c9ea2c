/* SPDX-License-Identifier: MIT */
/* dps-admin import: many enrollments from a file.
 *
 * Lines are read, checked and put into a batch; a full batch is sent, and the outcome of each line is counted
 * and reported in the order of the file. Only then does the place after its last line become the place to
 * continue from. So an import that is stopped at any moment has done everything before that place, and perhaps
 * the batch after it: that one is sent again, and what exists and is the same counts as already enrolled. */
#include "dps/protocol/json.h"
#include "dps/protocol/registration_id.h"
#include "dps/protocol/text.h"
#include "port/posix/admin/csv.h"
#include "port/posix/admin/tool.h"
#include "port/posix/paste/ek_forms.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Nothing, or what a spreadsheet makes of an empty row: only separators, and quotes with nothing between them. */
static bool is_blank(const struct import *m, struct bytes line)
{
    line = paste_trimmed(line);
    for (size_t i = 0; i < line.len; i++) {
        const uint8_t c = line.p[i];
        if (m->kind != IMPORT_CSV || (c != (uint8_t)m->separator && c != '"' && c != ' ' && c != '\t')) {
            return false;
        }
    }
    return true;
}

/* ---- What kind of file is it? ---- */

static int read_header(struct import *m)
{
    struct import_record line = {.line = 0};
    int error = admin_import_line(&m->lines, &line);
    if (error == 0 && admin_import_separator_line(line.text, &m->separator)) {
        error = admin_import_line(&m->lines, &line);
    }
    if (error == BYTES_E_NOT_FOUND) {
        return admin_import_refuse_file(m, "the first line is missing");
    }
    if (error != 0) {
        return admin_file_error(m->t->options.arguments[0]);
    }
    return line.cut ? admin_import_refuse_file(m, "the first line is too long")
                    : admin_import_columns(m, line.text);
}

static int read_kind(struct import *m)
{
    const char *what = admin_import_encoding(&m->lines);
    if (what != NULL) {
        admin_say("%s is %s", m->t->options.arguments[0], what);
        return POSIX_EXIT_STORE;
    }
    m->kind = admin_import_kind(&m->lines);
    return m->kind == IMPORT_CSV ? read_header(m) : 0;
}

/* ---- One line ---- */

/* Returns null or why not. */
static const char *take_id(struct admin_item *item, struct bytes id)
{
    if (id.p == NULL || id.len == 0) {
        return "it has no registrationId";
    }
    if (id.len < sizeof item->id) {
        memcpy(item->id, id.p, id.len);
        item->id[id.len] = 0;
    }
    if (!dps_registration_id_valid(id)) {
        return "registrationId must be 1 to 128 letters, digits, '-', '.', '_' or ':', and end with a "
               "letter, digit or "
               "'-'";
    }
    return NULL;
}

static struct bytes column(const struct import *m, const struct csv *record, size_t which)
{
    return m->columns[which] == 0 ? bytes_of(NULL, 0) : paste_trimmed(record->fields[m->columns[which] - 1]);
}

static const char *write_key(struct import *m, struct bytes text, struct admin_item *item,
                             struct bytes_writer *w)
{
    struct ek ek;
    char why[256];
    if (text.len == 0) {
        return "it has no endorsementKey";
    }
    if (ek_read(text, &ek, why, sizeof why) != 0) {
        snprintf(item->message, sizeof item->message, "endorsementKey: %s", why);
        return item->message;
    }
    m->assumed_keys += ek.from_modulus;
    dps_write_text(w, ",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"");
    dps_write_base64(w, bytes_of(ek.public_2b, ek.len));
    dps_write_text(w, "\"}}");
    return NULL;
}

static const char *write_optional(const struct import *m, const struct csv *record, struct bytes_writer *w)
{
    struct bytes device = column(m, record, IMPORT_DEVICE), hub = column(m, record, IMPORT_HUB);
    struct bytes status = column(m, record, IMPORT_STATUS);
    bool disabled = dps_text_equal_nocase(status, bytes_of_text("disabled"));
    if (device.len > 0 && !dps_device_id_valid(device)) {
        return "deviceId must be 1 to 128 characters out of A-Z a-z 0-9 - . + % _ # * ? ! ( ) , : = @ $ '";
    }
    if (hub.len > 0 && !dps_host_valid(hub)) {
        return "iotHub must be a host name";
    }
    if (status.len > 0 && !disabled && !dps_text_equal_nocase(status, bytes_of_text("enabled"))) {
        return "provisioningStatus must be enabled or disabled";
    }
    if (device.len > 0) {
        dps_write_text(w, ",\"deviceId\":");
        dps_write_json_string(w, device);
    }
    if (hub.len > 0) {
        dps_write_text(w, ",\"iotHubs\":[");
        dps_write_json_string(w, hub);
        dps_write_text(w, "]");
    }
    dps_write_text(w, disabled ? ",\"provisioningStatus\":\"disabled\"}"
                               : ",\"provisioningStatus\":\"enabled\"}");
    return NULL;
}

/* Spreadsheets end short lines with separators of their own. */
static size_t count_fields(const struct import *m, const struct csv *record)
{
    size_t count = record->count;
    while (count > m->field_count && paste_trimmed(record->fields[count - 1]).len == 0) {
        count--;
    }
    return count;
}

/* Of the columns that are used. If not, item->message says so. */
static bool is_utf8(const struct import *m, const struct csv *record, struct admin_item *item)
{
    for (size_t i = 0; i < IMPORT_COLUMNS; i++) {
        if (!dps_utf8_valid(column(m, record, i))) {
            snprintf(item->message, sizeof item->message,
                     "its %s is not UTF-8: save the file as \"CSV UTF-8\", not in an encoding of Windows",
                     admin_import_column_name(i));
            return false;
        }
    }
    return true;
}

static const char *convert_csv(struct import *m, struct bytes line, struct admin_item *item,
                               struct bytes_writer *w)
{
    struct csv record;
    const char *why;
    if (csv_read(m->lines.buffer + (line.p - m->lines.buffer), line.len, m->separator, &record, &why) != 0) {
        return why;
    }
    const size_t count = count_fields(m, &record);
    if (count != m->field_count) {
        snprintf(item->message, sizeof item->message, "it has %zu fields, and the first line %zu columns",
                 count, m->field_count);
        return item->message;
    }
    if (!is_utf8(m, &record, item)) {
        return item->message;
    }
    why = take_id(item, column(m, &record, IMPORT_ID));
    if (why != NULL) {
        return why;
    }
    dps_write_text(w, "{\"registrationId\":");
    dps_write_json_string(w, bytes_of_text(item->id));
    why = write_key(m, column(m, &record, IMPORT_KEY), item, w);
    return why != NULL ? why : write_optional(m, &record, w);
}

static const char *convert_json(struct bytes line, struct admin_item *item, struct bytes_writer *w)
{
    struct bytes root, value;
    uint8_t id[1024];
    size_t len;
    if (dps_json_check(line, &root) != 0 || dps_json_kind(root) != DPS_JSON_OBJECT) {
        return "it is not one JSON object";
    }
    if (dps_json_member(root, "registrationId", &value) != 0 ||
        dps_json_string(value, id, sizeof id, &len) != 0) {
        return "it has no registrationId, or one that is not text";
    }
    bytes_write_bytes(w, root);
    return take_id(item, bytes_of(id, len));
}

/* Judge a line and write its enrollment after those of the batch, if it fits. A line that cannot be sent
 * becomes a refused item, so that the report stays in the order of the file. Returns false if it does not
 * fit. */
static bool add_record(struct import *m, const struct import_record *record)
{
    struct admin_batch *b = &m->batch;
    struct admin_item *item = &b->items[b->count];
    const char *why = "it is longer than any enrollment may be";
    struct bytes_writer w = bytes_writer_over(m->converted, sizeof m->converted);
    const uint64_t assumed_keys = m->assumed_keys;
    memset(item, 0, sizeof *item);
    item->line = record->line;
    if (!record->cut) {
        why = m->kind == IMPORT_CSV ? convert_csv(m, record->text, item, &w)
                                    : convert_json(record->text, item, &w);
    }
    if (why == NULL && w.error != 0) {
        why = "it is longer than any enrollment may be";
    }
    b->count++;
    if (why != NULL) {
        if (why != item->message) {
            snprintf(item->message, sizeof item->message, "%s", why);
        }
        item->outcome = ADMIN_REFUSED;
        return true;
    }
    bool fits = w.len <= sizeof b->text - b->used - b->count; /* commas */
    for (size_t i = 0; i + 1 < b->count; i++) {
        fits = fits && (b->items[i].outcome != ADMIN_PENDING ||
                        !dps_text_equal_nocase(bytes_of_text(b->items[i].id), bytes_of_text(item->id)));
    }
    if (!fits) {
        b->count--;
        m->assumed_keys = assumed_keys;
        return false;
    }
    memcpy(b->text + b->used, m->converted, w.len);
    item->json = bytes_of(b->text + b->used, w.len);
    b->used += w.len;
    admin_import_note_key(&m->keys, item);
    return true;
}

/* ---- The whole ---- */

static int flush(struct import *m)
{
    struct admin_batch *b = &m->batch;
    int exit_code = admin_batch_send(m->t, b);
    if (exit_code != 0) {
        return exit_code;
    }
    for (size_t i = 0; i < b->count; i++) {
        m->progress.counts[IMPORT_CREATED] += b->items[i].outcome == ADMIN_DONE;
        m->progress.counts[IMPORT_UNCHANGED] += b->items[i].outcome == ADMIN_UNCHANGED;
        m->progress.counts[IMPORT_REFUSED] += b->items[i].outcome == ADMIN_REFUSED;
        if (b->items[i].outcome == ADMIN_REFUSED) {
            admin_import_report(m, &b->items[i]);
        }
    }
    m->progress.offset = m->pending_offset;
    m->progress.line = m->pending_line;
    b->count = 0;
    b->used = 0;
    return admin_import_tick(m);
}

/* Taken apart in place, so it is kept in case that it has to wait for the next batch. */
static int take_record(struct import *m, const struct import_record *record)
{
    const struct bytes text = record->text;
    memcpy(m->copy, text.p, text.len);
    if (add_record(m, record)) {
        return 0;
    }
    const int exit_code = flush(m);
    memcpy(m->lines.buffer + (text.p - m->lines.buffer), m->copy, text.len);
    return exit_code == 0 && !add_record(m, record) ? admin_import_impossible(m) : exit_code;
}

static int run(struct import *m)
{
    int exit_code = 0;
    while (exit_code == 0 && posix_interrupted == 0) {
        struct import_record record;
        int error = admin_import_record(m, &record);
        if (error == BYTES_E_NOT_FOUND) {
            m->pending_offset = m->lines.offset;
            m->pending_line = m->lines.number;
            exit_code = flush(m);
            m->complete = exit_code == 0;
            return exit_code;
        }
        if (error != 0 && posix_interrupted != 0) {
            break;
        }
        if (error != 0) {
            return admin_file_error(m->t->options.arguments[0]);
        }
        if (record.cut || !is_blank(m, record.text)) {
            exit_code = take_record(m, &record);
        }
        m->pending_offset = m->lines.offset;
        m->pending_line = m->lines.number;
        if (exit_code == 0 && m->batch.count == ADMIN_BATCH_MAX) {
            exit_code = flush(m);
        }
    }
    return exit_code;
}

static int open_and_run(struct import *m)
{
    const char *path = m->t->options.arguments[0];
    m->lines.fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (m->lines.fd < 0) {
        return admin_file_error(path);
    }
    int exit_code = admin_import_begin(m);
    if (exit_code == 0) {
        exit_code = read_kind(m);
    }
    if (exit_code == 0) {
        exit_code = admin_import_go_on(m);
    }
    if (exit_code == 0) {
        exit_code = run(m);
    }
    exit_code = admin_import_end(m, exit_code);
    if (m->lines.fd != STDIN_FILENO) {
        (void)close(m->lines.fd);
    }
    return exit_code;
}

int admin_import(struct admin_tool *t)
{
    static struct import m; /* too large for a stack */
    const struct admin_options *o = &t->options;
    m.t = t;
    m.batch.mode = o->mode != NULL ? o->mode : "create";
    if (strcmp(m.batch.mode, "create") != 0 && strcmp(m.batch.mode, "update") != 0) {
        admin_say("import: --mode is create or update, not \"%s\"", o->mode);
        return POSIX_EXIT_USAGE;
    }
    int exit_code = admin_open(t);
    if (exit_code != 0) {
        return exit_code;
    }
    /* From here on t->file is free: the connection string and the CA have been read. */
    m.lines.buffer = t->file;
    m.lines.capacity = sizeof t->file;
    return open_and_run(&m);
}
