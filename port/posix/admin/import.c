/* SPDX-License-Identifier: MIT */
/* dps-admin import: many enrollments from a file.
 *
 * Lines are read, judged and put into a batch; a full batch is sent, and what became of each line is counted
 * and reported in the order of the file. Only then the place behind its last line becomes the place to go on
 * from. So an import that is ended at any moment has done everything before that place, and perhaps the
 * batch behind it: that one is sent again, and what exists and is the same counts as there already. */
#include "dps/protocol/json.h"
#include "dps/protocol/registration_id.h"
#include "dps/protocol/text.h"
#include "port/posix/admin/csv.h"
#include "port/posix/admin/tool.h"
#include "port/posix/ek_forms.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* ---- Lines ---- */

/* Read on behind what is there. Returns false at the end of the file, or when it cannot be read: *error is
 * then set. */
static bool fill(struct import_lines *l, int *error)
{
    if (l->begin > 0) {
        memmove(l->buffer, l->buffer + l->begin, l->end - l->begin);
        l->end -= l->begin;
        l->begin = 0;
    }
    ssize_t n;
    do
        n = read(l->fd, l->buffer + l->end, l->capacity - l->end);
    while (n < 0 && errno == EINTR && posix_interrupted == 0);
    if (n < 0)
        *error = BYTES_E_FILE;
    if (n <= 0)
        return false;
    l->end += (size_t)n;
    return true;
}

static void take(struct import_lines *l, size_t len)
{
    l->begin += len;
    l->offset += len;
}

/* The next line without its line feed; what is longer than the buffer is cut, and its rest passed over.
 * Returns: 0; BYTES_E_NOT_FOUND at the end; BYTES_E_FILE. */
static int next_line(struct import_lines *l, struct bytes *line, bool *cut)
{
    int error = 0;
    size_t seen = 0;
    const uint8_t *end;
    *cut = false;
    for (;;) {
        end = memchr(l->buffer + l->begin + seen, '\n', l->end - l->begin - seen);
        if (end != NULL)
            break;
        seen = l->end - l->begin;
        if (seen == l->capacity) {
            *cut = true;
            take(l, seen);
            seen = 0;
        }
        if (!fill(l, &error)) {
            if (error != 0)
                return error;
            end = l->buffer + l->end;
            break;
        }
    }
    *line = bytes_of(l->buffer + l->begin, (size_t)(end - (l->buffer + l->begin)));
    bool at_end = end == l->buffer + l->end;
    if (at_end && line->len == 0 && !*cut)
        return BYTES_E_NOT_FOUND;
    take(l, line->len + (at_end ? 0 : 1));
    l->number++;
    return 0;
}

static bool is_blank(struct bytes line)
{
    size_t i = 0;
    while (i < line.len && (line.p[i] == ' ' || line.p[i] == '\t' || line.p[i] == '\r'))
        i++;
    return i == line.len;
}

/* ---- The header line ---- */

static const char *const column_names[IMPORT_COLUMNS] = {"registrationId", "endorsementKey", "deviceId",
                                                         "iotHub", "provisioningStatus"};

static int refuse_header(const struct import *m, const char *what)
{
    admin_say(
        "%s: the first line is %s; it must name the columns registrationId and endorsementKey, and may name "
        "deviceId, iotHub and provisioningStatus; or the file holds JSON enrollments, one a line",
        m->t->options.arguments[0], what);
    return POSIX_EXIT_STORE;
}

static int read_columns(struct import *m, struct bytes line)
{
    struct posix_csv header;
    const char *why;
    if (posix_csv_read(m->lines.buffer + (line.p - m->lines.buffer), line.len, &header, &why) != 0)
        return refuse_header(m, "no line of column names");
    m->field_count = header.count;
    for (size_t i = 0; i < header.count; i++) {
        size_t column = 0;
        while (column < IMPORT_COLUMNS &&
               !dps_text_equal_nocase(header.fields[i], bytes_of_text(column_names[column])))
            column++;
        if (column == IMPORT_COLUMNS)
            return refuse_header(m, "no line of these column names");
        if (m->columns[column] != 0)
            return refuse_header(m, "one that names a column twice");
        m->columns[column] = i + 1;
    }
    if (m->columns[IMPORT_ID] == 0 || m->columns[IMPORT_KEY] == 0)
        return refuse_header(m, "one without registrationId or endorsementKey");
    return 0;
}

/* What kind of file is it? JSON lines have no header, so the first line is given back. */
static int read_kind(struct import *m)
{
    struct bytes line;
    bool cut;
    int error = next_line(&m->lines, &line, &cut);
    if (error == BYTES_E_NOT_FOUND)
        return refuse_header(m, "missing");
    if (error != 0)
        return admin_file_error(m->t->options.arguments[0]);
    size_t mark = line.len >= 3 && memcmp(line.p, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    struct bytes text = bytes_of(line.p + mark, line.len - mark);
    size_t blank = 0;
    while (blank < text.len && (text.p[blank] == ' ' || text.p[blank] == '\t'))
        blank++;
    m->json = blank < text.len && text.p[blank] == '{';
    if (!m->json)
        return cut ? refuse_header(m, "too long") : read_columns(m, text);
    if (!cut) {
        m->lines.begin = mark;
        m->lines.offset = mark;
        m->lines.number = 0;
    }
    return 0;
}

/* ---- One line ---- */

/* Returns null or why not. */
static const char *take_id(struct admin_item *item, struct bytes id)
{
    if (id.len == 0)
        return "it has no registrationId";
    if (id.len < sizeof item->id) {
        memcpy(item->id, id.p, id.len);
        item->id[id.len] = 0;
    }
    if (!dps_registration_id_valid(id))
        return "registrationId must be 1 to 128 letters, digits, '-', '.', '_' or ':', and end with a "
               "letter, digit or "
               "'-'";
    return NULL;
}

static struct bytes column(const struct import *m, const struct posix_csv *record, size_t which)
{
    return m->columns[which] == 0 ? bytes_of(NULL, 0) : record->fields[m->columns[which] - 1];
}

static const char *write_key(struct import *m, struct bytes text, struct admin_item *item,
                             struct bytes_writer *w)
{
    struct posix_ek ek;
    char why[256];
    if (text.len == 0)
        return "it has no endorsementKey";
    if (posix_ek_read(text, &ek, why, sizeof why) != 0) {
        snprintf(item->message, sizeof item->message, "endorsementKey: %s", why);
        return item->message;
    }
    m->assumed_keys += ek.from_modulus;
    dps_write_text(w, ",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"");
    dps_write_base64(w, bytes_of(ek.public_2b, ek.len));
    dps_write_text(w, "\"}}");
    return NULL;
}

static const char *write_optional(const struct import *m, const struct posix_csv *record,
                                  struct bytes_writer *w)
{
    struct bytes device = column(m, record, IMPORT_DEVICE), hub = column(m, record, IMPORT_HUB);
    struct bytes status = column(m, record, IMPORT_STATUS);
    bool disabled = dps_text_equal_nocase(status, bytes_of_text("disabled"));
    if (device.len > 0 && !dps_device_id_valid(device))
        return "deviceId must be 1 to 128 characters out of A-Z a-z 0-9 - . + % _ # * ? ! ( ) , : = @ $ '";
    if (hub.len > 0 && !dps_host_valid(hub))
        return "iotHub must be a host name";
    if (status.len > 0 && !disabled && !dps_text_equal_nocase(status, bytes_of_text("enabled")))
        return "provisioningStatus must be enabled or disabled";
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

static const char *convert_csv(struct import *m, struct bytes line, struct admin_item *item,
                               struct bytes_writer *w)
{
    struct posix_csv record;
    const char *why;
    if (posix_csv_read(m->lines.buffer + (line.p - m->lines.buffer), line.len, &record, &why) != 0)
        return why;
    if (record.count != m->field_count)
        return "it has not as many fields as the first line";
    why = take_id(item, column(m, &record, IMPORT_ID));
    if (why != NULL)
        return why;
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
    if (dps_json_check(line, &root) != 0 || dps_json_kind(root) != DPS_JSON_OBJECT)
        return "it is not one JSON object";
    if (dps_json_member(root, "registrationId", &value) != 0 ||
        dps_json_string(value, id, sizeof id, &len) != 0)
        return "it has no registrationId, or one that is no text";
    bytes_write_bytes(w, root);
    return take_id(item, bytes_of(id, len));
}

/* Judge a line and write its enrollment behind those of the batch, if it fits. A line that cannot be sent
 * becomes a refused item, so that the report stays in the order of the file. Returns false if it does not
 * fit. */
static bool add_line(struct import *m, struct bytes line, bool cut)
{
    struct admin_batch *b = &m->batch;
    struct admin_item *item = &b->items[b->count];
    const char *why = "it is longer than any enrollment may be";
    struct bytes_writer w = bytes_writer_over(m->converted, sizeof m->converted);
    const uint64_t assumed_keys = m->assumed_keys;
    memset(item, 0, sizeof *item);
    item->line = m->lines.number;
    if (!cut)
        why = m->json ? convert_json(line, item, &w) : convert_csv(m, line, item, &w);
    if (why == NULL && w.error != 0)
        why = "it is longer than any enrollment may be";
    b->count++;
    if (why != NULL) {
        if (why != item->message)
            snprintf(item->message, sizeof item->message, "%s", why);
        item->outcome = ADMIN_REFUSED;
        return true;
    }
    bool fits = w.len <= sizeof b->text - b->used - b->count; /* commas */
    for (size_t i = 0; i + 1 < b->count; i++)
        fits = fits && (b->items[i].outcome != ADMIN_PENDING ||
                        !dps_text_equal_nocase(bytes_of_text(b->items[i].id), bytes_of_text(item->id)));
    if (!fits) {
        b->count--;
        m->assumed_keys = assumed_keys;
        return false;
    }
    memcpy(b->text + b->used, m->converted, w.len);
    item->json = bytes_of(b->text + b->used, w.len);
    b->used += w.len;
    return true;
}

/* ---- The whole ---- */

static int flush(struct import *m)
{
    struct admin_batch *b = &m->batch;
    int exit_code = admin_batch_send(m->t, b);
    if (exit_code != 0)
        return exit_code;
    for (size_t i = 0; i < b->count; i++) {
        m->progress.counts[IMPORT_CREATED] += b->items[i].outcome == ADMIN_DONE;
        m->progress.counts[IMPORT_UNCHANGED] += b->items[i].outcome == ADMIN_UNCHANGED;
        m->progress.counts[IMPORT_REFUSED] += b->items[i].outcome == ADMIN_REFUSED;
        if (b->items[i].outcome == ADMIN_REFUSED)
            admin_import_report(m, &b->items[i]);
    }
    m->progress.offset = m->pending_offset;
    m->progress.line = m->pending_line;
    b->count = 0;
    b->used = 0;
    return admin_import_tick(m);
}

static int run(struct import *m)
{
    int exit_code = 0;
    while (exit_code == 0 && posix_interrupted == 0) {
        struct bytes line;
        bool cut;
        int error = next_line(&m->lines, &line, &cut);
        if (error == BYTES_E_NOT_FOUND) {
            m->pending_offset = m->lines.offset;
            m->pending_line = m->lines.number;
            exit_code = flush(m);
            m->complete = exit_code == 0;
            return exit_code;
        }
        if (error != 0 && posix_interrupted != 0)
            break;
        if (error != 0)
            return admin_file_error(m->t->options.arguments[0]);
        if (cut || !is_blank(line)) {
            /* Taken apart in place, so it is kept in case that it has to wait for the next batch. */
            struct bytes copy = bytes_of(m->copy, line.len);
            memcpy(m->copy, line.p, line.len);
            if (!add_line(m, line, cut)) {
                exit_code = flush(m);
                memcpy(m->lines.buffer + (line.p - m->lines.buffer), copy.p, copy.len);
                if (exit_code == 0 && !add_line(m, line, cut))
                    exit_code = admin_import_impossible(m);
            }
        }
        m->pending_offset = m->lines.offset;
        m->pending_line = m->lines.number;
        if (exit_code == 0 && m->batch.count == ADMIN_BATCH_MAX)
            exit_code = flush(m);
    }
    return exit_code;
}

static int open_and_run(struct import *m)
{
    const char *path = m->t->options.arguments[0];
    m->lines.fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (m->lines.fd < 0)
        return admin_file_error(path);
    int exit_code = admin_import_begin(m);
    if (exit_code == 0)
        exit_code = read_kind(m);
    if (exit_code == 0)
        exit_code = admin_import_go_on(m);
    if (exit_code == 0)
        exit_code = run(m);
    exit_code = admin_import_end(m, exit_code);
    if (m->lines.fd != STDIN_FILENO)
        (void)close(m->lines.fd);
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
    if (exit_code != 0)
        return exit_code;
    /* From here on t->file is free: the connection string and the CA have been read. */
    m.lines.buffer = t->file;
    m.lines.capacity = sizeof t->file;
    return open_and_run(&m);
}
