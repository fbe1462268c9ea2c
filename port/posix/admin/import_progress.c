/* SPDX-License-Identifier: MIT */
/* dps-admin import: how far it is, for the user and for the next time. */
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include "port/posix/admin/csv.h"
#include "port/posix/admin/tool.h"
#include "port/posix/private.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TERMINAL_MS 200  /* between two looks of a person */
#define LOG_MS 10000     /* between two lines of a log */
#define SAVE_MS 200      /* what a kill costs: the work of this time is sent again */
#define TOLD_REFUSALS 20 /* without a report; after these only numbers are printed */

/* The file is recognised by the bytes before the place to continue from: a changed or exchanged file must not be
 * continued in the middle. */
#define BEFORE_MAX 1024
#define DIGEST_HEX ((size_t)2 * CRYPTO_SHA256_SIZE)

/* ---- The file of --resume ---- */

static bool digest_before(const struct import *m, uint64_t offset, uint8_t hex[DIGEST_HEX])
{
    uint8_t bytes[BEFORE_MAX], digest[CRYPTO_SHA256_SIZE];
    size_t len = offset < sizeof bytes ? (size_t)offset : sizeof bytes;
    struct bytes_writer w = bytes_writer_over(hex, DIGEST_HEX);
    if (pread(m->lines.fd, bytes, len, (off_t)(offset - len)) != (ssize_t)len) {
        return false;
    }
    const struct bytes piece = bytes_of(bytes, len);
    crypto_sha256(&piece, 1, digest);
    dps_write_hex(&w, bytes_of(digest, sizeof digest));
    return true;
}

static const struct {
    const char *name;
    size_t at;
} numbers[] = {
    {"offset", offsetof(struct import_progress, offset)},
    {"line", offsetof(struct import_progress, line)},
    {"enrolled", offsetof(struct import_progress, counts[IMPORT_CREATED])},
    {"unchanged", offsetof(struct import_progress, counts[IMPORT_UNCHANGED])},
    {"refused", offsetof(struct import_progress, counts[IMPORT_REFUSED])},
    {"report", offsetof(struct import_progress, report_len)},
};
#define NUMBERS (sizeof numbers / sizeof numbers[0])

/* The report is on the disk before the place after its lines is. */
static int save(struct import *m)
{
    uint8_t text[1024], before[DIGEST_HEX];
    struct bytes_writer w = bytes_writer_over(text, sizeof text);
    const char *path = m->t->options.resume;
    if (m->report != NULL) {
        if (fflush(m->report) != 0 || (path != NULL && fsync(fileno(m->report)) != 0 && errno != EINVAL)) {
            return admin_file_error(m->t->options.report);
        }
        off_t len = ftello(m->report); /* -1 of a pipe, which cannot be cut either */
        m->progress.report_len = len > 0 ? (uint64_t)len : 0;
    }
    m->saved_ms = posix_monotonic_ms();
    if (path == NULL) {
        return 0;
    }
    if (!digest_before(m, m->progress.offset, before)) {
        return admin_file_error(m->t->options.arguments[0]);
    }
    dps_write_text(&w, "{");
    for (size_t i = 0; i < NUMBERS; i++) {
        uint64_t number;
        memcpy(&number, (const uint8_t *)&m->progress + numbers[i].at, sizeof number);
        dps_write_text(&w, "\"");
        dps_write_text(&w, numbers[i].name);
        dps_write_text(&w, "\":");
        dps_write_decimal(&w, number);
        dps_write_text(&w, ",");
    }
    dps_write_text(&w, "\"before\":\"");
    bytes_write_bytes(&w, bytes_of(before, sizeof before));
    dps_write_text(&w, "\"}\n");
    return posix_file_replace(path, bytes_written(&w), 0600) != 0 ? admin_file_error(path) : 0;
}

static int read_saved(const char *path, struct import_progress *p, char before[DIGEST_HEX + 1])
{
    uint8_t text[1024];
    struct bytes root, value;
    size_t len, before_len = 0;
    int error = posix_file_read(path, text, sizeof text, &len);
    if (error == BYTES_E_NOT_FOUND) {
        return error;
    }
    bool good = error == 0 && dps_json_check(bytes_of(text, len), &root) == 0;
    for (size_t i = 0; good && i < NUMBERS; i++) {
        uint64_t number = 0;
        good = dps_json_member(root, numbers[i].name, &value) == 0 &&
               dps_json_uint(value, INT64_MAX, &number) == 0;
        memcpy((uint8_t *)p + numbers[i].at, &number, sizeof number);
    }
    good = good && dps_json_member(root, "before", &value) == 0 &&
           dps_json_string(value, (uint8_t *)before, DIGEST_HEX, &before_len) == 0;
    before[before_len] = 0;
    return good ? 0 : BYTES_E_FORMAT;
}

/* ---- Beginning ---- */

/* The report replaces an old one, or continues after the part that belongs to the place where the import
 * continues. */
static int open_report(struct import *m)
{
    const char *path = m->t->options.report;
    struct stat input, report;
    if (path == NULL) {
        return 0;
    }
    if (fstat(m->lines.fd, &input) == 0 && stat(path, &report) == 0 && input.st_dev == report.st_dev &&
        input.st_ino == report.st_ino) {
        admin_say("the report would overwrite what is imported");
        return POSIX_EXIT_USAGE;
    }
    m->report = m->progress.report_len > 0 ? fopen(path, "r+") : NULL;
    if (m->report != NULL) {
        if (ftruncate(fileno(m->report), (off_t)m->progress.report_len) != 0 ||
            fseeko(m->report, 0, SEEK_END) != 0) {
            return admin_file_error(path);
        }
        return 0;
    }
    m->report = fopen(path, "w");
    if (m->report == NULL) {
        return admin_file_error(path);
    }
    fputs("line,registrationId,errorCode,message\n", m->report);
    return 0;
}

int admin_import_begin(struct import *m)
{
    struct stat st;
    m->regular = fstat(m->lines.fd, &st) == 0 && S_ISREG(st.st_mode);
    m->size = m->regular ? (uint64_t)st.st_size : 0;
    if (m->t->options.resume != NULL && !m->regular) {
        admin_say("import: --resume needs a file: only a file can be continued in the middle");
        return POSIX_EXIT_USAGE;
    }
    m->begun_ms = m->told_ms = m->saved_ms = posix_monotonic_ms();
    return 0;
}

static int seek(struct import *m, const struct import_progress *saved, const char *before)
{
    char hex[DIGEST_HEX + 1] = "";
    if (saved->offset > m->size || !digest_before(m, saved->offset, (uint8_t *)hex) ||
        strcmp(hex, before) != 0) {
        admin_say(
            "%s is not, or is no longer, the file whose progress is in %s; to start from the beginning, "
            "delete the latter",
            m->t->options.arguments[0], m->t->options.resume);
        return POSIX_EXIT_STORE;
    }
    /* Nothing was done yet, not even the header line: stay after it. */
    if (saved->offset <= m->lines.offset) {
        return 0;
    }
    if (lseek(m->lines.fd, (off_t)saved->offset, SEEK_SET) < 0) {
        return admin_file_error(m->t->options.arguments[0]);
    }
    m->progress = *saved;
    m->lines.begin = m->lines.end = m->lines.raw_len = 0;
    m->lines.offset = saved->offset;
    m->lines.number = saved->line;
    return 0;
}

int admin_import_go_on(struct import *m)
{
    char before[DIGEST_HEX + 1];
    struct import_progress saved = {.offset = 0};
    const char *path = m->t->options.resume;
    int error = path != NULL ? read_saved(path, &saved, before) : BYTES_E_NOT_FOUND;
    m->progress.offset = m->lines.offset;
    m->progress.line = m->lines.number;
    if (error == BYTES_E_FORMAT || error == BYTES_E_SPACE) {
        admin_say("%s is not what import --resume keeps", path);
        return POSIX_EXIT_STORE;
    }
    if (error != 0 && error != BYTES_E_NOT_FOUND) {
        return admin_file_error(path);
    }
    int exit_code = error == 0 ? seek(m, &saved, before) : 0;
    m->line_at_begin = m->progress.line;
    if (exit_code == 0) {
        exit_code = open_report(m);
    }
    m->begun = exit_code == 0;
    return exit_code;
}

/* ---- Telling ---- */

static unsigned long long n(uint64_t number)
{
    return number;
}

void admin_import_report(struct import *m, const struct admin_item *item)
{
    if (m->report != NULL) {
        fprintf(m->report, "%llu,", n(item->line));
        csv_write(m->report, bytes_of_text(item->id));
        fprintf(m->report, ",%u,", (unsigned)item->code);
        csv_write(m->report, bytes_of_text(item->message));
        fputc('\n', m->report);
        return;
    }
    if (m->told_refusals == TOLD_REFUSALS) {
        admin_say("more lines are refused; --report FILE would keep all of them");
    }
    if (m->told_refusals++ >= TOLD_REFUSALS) {
        return;
    }
    fprintf(stderr, "%sline %llu, ", isatty(STDERR_FILENO) ? "\r\033[K" : "", n(item->line));
    csv_write(stderr, bytes_of_text(item->id));
    fprintf(stderr, ": %u ", (unsigned)item->code);
    csv_write(stderr, bytes_of_text(item->message));
    fputc('\n', stderr);
}

static void tell(struct import *m)
{
    const struct import_progress *p = &m->progress;
    bool terminal = isatty(STDERR_FILENO) != 0;
    uint64_t now = posix_monotonic_ms(), ms = now - m->begun_ms;
    if (now - m->told_ms < (terminal ? TERMINAL_MS : LOG_MS)) {
        return;
    }
    m->told_ms = now;
    fputs(terminal ? "\r\033[K" : "dps-admin: ", stderr);
    if (m->size > 0) {
        fprintf(stderr, "%3llu %%  ", n(p->offset < m->size ? p->offset * 100 / m->size : 100));
    }
    fprintf(stderr, "%llu lines: %llu enrolled, %llu there already, %llu refused; %llu lines/s", n(p->line),
            n(p->counts[IMPORT_CREATED]), n(p->counts[IMPORT_UNCHANGED]), n(p->counts[IMPORT_REFUSED]),
            n((p->line - m->line_at_begin) * 1000 / (ms + 1)));
    if (!terminal) {
        fputc('\n', stderr);
    }
    (void)fflush(stderr);
}

int admin_import_tick(struct import *m)
{
    tell(m);
    return posix_monotonic_ms() - m->saved_ms >= SAVE_MS ? save(m) : 0;
}

int admin_import_impossible(const struct import *m)
{
    admin_say("line %llu does not fit into a request", n(m->lines.number));
    return POSIX_EXIT_STORE;
}

static void print_result(const struct import *m)
{
    const struct import_progress *p = &m->progress;
    if (admin_json(m->t)) {
        printf("{\"complete\":%s,\"lines\":%llu,\"enrolled\":%llu,\"unchanged\":%llu,\"refused\":%llu}\n",
               m->complete ? "true" : "false", n(p->line), n(p->counts[IMPORT_CREATED]),
               n(p->counts[IMPORT_UNCHANGED]), n(p->counts[IMPORT_REFUSED]));
        return;
    }
    printf("%s %llu lines: %llu %s, %llu there already, %llu refused\n", m->complete ? "all" : "the first",
           n(p->line), n(p->counts[IMPORT_CREATED]),
           strcmp(m->batch.mode, "create") == 0 ? "enrolled" : "updated", n(p->counts[IMPORT_UNCHANGED]),
           n(p->counts[IMPORT_REFUSED]));
}

static void print_notes(const struct import *m)
{
    if (m->assumed_keys > 0) {
        fprintf(
            stderr,
            "Note: of %llu keys only the RSA key was given. They were taken for EKs of the TCG's template "
            "L-1, which\n"
            "is what EK certificates are for. A device that is refused because its key does not match uses\n"
            "another template: then enroll what \"dps-device ek\" prints on it.\n",
            n(m->assumed_keys));
    }
    admin_import_tell_keys(&m->keys);
    if (!m->complete) {
        admin_say(m->t->options.resume != NULL ? "stopped; the same command continues from there"
                                               : "stopped; the same command starts from the beginning and "
                                                 "skips what exists and is the same");
    }
}

int admin_import_end(struct import *m, int exit_code)
{
    if (m->begun) {
        int saved = save(m);
        exit_code = exit_code != 0 ? exit_code : saved;
    }
    if (isatty(STDERR_FILENO)) {
        fputs("\r\033[K", stderr);
    }
    if (m->report != NULL && fclose(m->report) != 0 && exit_code == 0) {
        exit_code = admin_file_error(m->t->options.report);
    }
    if (m->begun) {
        print_result(m);
        print_notes(m);
    }
    if (!m->complete && posix_interrupted != 0) {
        return 128 + posix_interrupted;
    }
    if (exit_code == 0 && m->progress.counts[IMPORT_REFUSED] > 0) {
        return POSIX_EXIT_REFUSED;
    }
    return exit_code;
}
