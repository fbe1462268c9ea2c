/* SPDX-License-Identifier: MIT */
/* dps-admin: what its files share. dps-admin.c describes the commands and calls one; each returns an exit
 * code, having told the user everything. */
#ifndef PORT_POSIX_ADMIN_TOOL_H
#define PORT_POSIX_ADMIN_TOOL_H

#include "dps/service/limits.h"
#include "port/posix/https_client.h"
#include "port/posix/options.h"
#include "port/posix/paste/paste.h"
#include "port/posix/proxy.h"

/* What the user asked for; zero and null mean "not given". */
struct admin_options {
    const char *connection_string_file, *ca, *connect_to, *proxy, *proxy_auth_file, *format;
    bool help, version;
    const char *arguments[2]; /* what follows the command and is not an option */
    const char *ek, *device_id, *if_match, *json, *srk;
    struct posix_option_list hubs;
    bool disabled, update;
    uint64_t page;
    const char *policy_file, *host, *policy;
    const char *mode, *resume, *report;
    const char *message_id, *content_type;
    struct posix_option_list properties;
    uint64_t lifetime; /* seconds */
};

struct admin_tool {
    struct admin_options options;
    /* the connection string, taken apart */
    char host[DPS_HOST_MAX + 1];
    uint16_t port;
    char key_name[65];
    uint8_t key[64];
    size_t key_len;

    struct crypto_trust trust;
    struct posix_proxy proxy;
    struct https https;
    uint8_t request[DPS_HTTP_HEAD_MAX + DPS_HTTP_BODY_MAX];
    uint8_t body[DPS_HTTP_BODY_MAX];
    uint8_t file[65536];
};

/* ---- tool.c: connection and files ---- */

/* "dps-admin: " and a sentence to standard error. */
void admin_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Connection string and CA. Returns 0 or an exit code, then the user has been told. */
int admin_open(struct admin_tool *t);
/* Wipes everything, so it may also be called after a failed open. */
void admin_close(struct admin_tool *t);
/* A whole file or, for "-", standard input, into t->file. Returns 0 or an exit code. */
int admin_input(struct admin_tool *t, const char *path, struct bytes *content);
/* What errno says about a file. Returns an exit code. */
int admin_file_error(const char *path);

struct admin_request {
    const char *method;
    const char *collection;    /* "enrollments" */
    const char *name;          /* the segment after it */
    const char *part;          /* what follows that, with its slash, or null */
    const char *if_match;      /* or null */
    struct bytes continuation; /* or empty */
    uint64_t page;             /* 0: as many as the service likes */
    struct bytes body;
};
/* Ask the service. Returns 0 if it did what was asked, and then *answer is the body of its answer; or an
 * exit code, and the user has been told. */
int admin_ask(struct admin_tool *t, const struct admin_request *request, struct bytes *answer);
/* The same in two halves, for callers that try again instead of giving up. The answer is in t->https.
 * The first returns: 0; BYTES_E_SPACE if the request is larger than the service accepts; as
 * https_request. The second tells the user what went wrong: error if it is not 0, and otherwise the
 * service's refusal. Returns an exit code. */
int admin_exchange(struct admin_tool *t, const struct admin_request *request);
int admin_explain(const struct admin_tool *t, const struct admin_request *request, int error);
/* Say that an answer of the service makes no sense. Returns an exit code. */
int admin_explain_malformed(void);
/* How many seconds the clock of this machine is ahead of the service's, by the Date of its last answer.
 * False if there is none. */
bool admin_clock_difference(const struct admin_tool *t, int64_t *ahead);

/* ---- print.c: for people ---- */

/* A JSON string without its quotes, control characters made harmless; nothing if there is no such string.
 * Returns how many characters were printed. */
int admin_print_string(FILE *out, struct bytes object, const char *member);
/* One enrollment, or one registration state, one line for each member. */
void admin_print_enrollment(FILE *out, struct bytes enrollment);
void admin_print_registration(FILE *out, struct bytes state, const char *indent);
/* One enrollment in one line. */
void admin_print_line(FILE *out, struct bytes enrollment);

/* ---- batch.c: enrollments, ten at a time ---- */

#define ADMIN_BATCH_MAX 10

enum admin_outcome {
    ADMIN_PENDING,
    ADMIN_DONE,
    ADMIN_UNCHANGED, /* it was to be created, and exists just like this */
    ADMIN_REFUSED
};

struct admin_item {
    uint64_t line; /* of the file that it comes from */
    char id[DPS_REGISTRATION_ID_MAX + 1];
    struct bytes json; /* in text of its batch; empty if it was refused before it came to that */
    enum admin_outcome outcome;
    uint32_t code;     /* why it was refused: errorCode of the service, or 0 if it was not sent */
    char message[400]; /* and in words */
};

struct admin_batch {
    const char *mode;
    bool answered; /* the service is known to be there: it is worth waiting for */
    struct admin_item items[ADMIN_BATCH_MAX];
    size_t count;
    uint8_t text[DPS_HTTP_BODY_MAX - 128]; /* leaves room for what is around the enrollments */
    size_t used;
};

/* Send the pending ones, with retries where waiting may help, and learn what became of each.
 * Returns 0 and none is pending any more; or an exit code, and the user has been told: then nothing is known
 * about those that are still pending. */
int admin_batch_send(struct admin_tool *t, struct admin_batch *b);
/* The key of an enrollment in its one form. Returns its length, 0 if there is none. */
size_t admin_enrollment_key(struct bytes enrollment, uint8_t ek[DPS_EK_PUBLIC_MAX]);

/* ---- import.c reads and sends, import_progress.c keeps and tells how far it is ------------ */

enum { IMPORT_ID, IMPORT_KEY, IMPORT_DEVICE, IMPORT_HUB, IMPORT_STATUS, IMPORT_COLUMNS };
enum { IMPORT_CREATED, IMPORT_UNCHANGED, IMPORT_REFUSED, IMPORT_COUNTS };

enum import_kind {
    IMPORT_CSV,
    IMPORT_JSON_LINES,  /* one object in each line */
    IMPORT_JSON_OBJECTS /* an array, or objects over several lines */
};

struct import_lines {
    int fd;
    enum paste_encoding encoding;
    uint8_t *buffer; /* UTF-8 */
    size_t capacity, begin, end;
    uint64_t offset;   /* of buffer[begin] in the file */
    uint64_t number;   /* lines taken so far */
    uint8_t raw[4096]; /* of UTF-16: what is not converted yet */
    size_t raw_len;
};

/* One enrollment of the file. */
struct import_record {
    struct bytes text; /* in the buffer of the lines, until the next one is read */
    uint64_t line;     /* where it begins */
    bool cut;          /* it is longer than the buffer; its rest was passed over */
};

/* How far it is: everything before this place is done and reported. This is what --resume keeps. */
struct import_progress {
    uint64_t offset, line;
    uint64_t counts[IMPORT_COUNTS];
    uint64_t report_len; /* bytes of the report that belong to it */
};

/* Which keys were seen, to find one under several registration IDs. By 8 bytes of their
 * hashes. */
#define IMPORT_KEYS_MAX 65536 /* a power of two; of more than half as many, the rest is not compared */
struct import_keys {
    struct {
        uint64_t key, id, line; /* key 0: free */
    } seen[IMPORT_KEYS_MAX];
    size_t count;
    uint64_t repeated;                /* lines with the key of another registration ID */
    uint64_t first_line, line_before; /* the first of them, and the line whose key it has */
};

struct import {
    struct admin_tool *t;
    struct import_lines lines;
    enum import_kind kind;
    char separator;
    size_t columns[IMPORT_COLUMNS]; /* 1 and on: the number of the field; 0: there is no such column */
    size_t field_count;
    struct admin_batch batch;
    uint64_t pending_offset, pending_line; /* after the last line of the batch */
    struct import_progress progress;
    bool begun; /* something may have been sent */
    bool complete;
    uint64_t assumed_keys; /* of which only the RSA key was given */
    struct import_keys keys;
    FILE *report;
    bool regular;  /* the input is a file, not a pipe */
    uint64_t size; /* of it */
    uint64_t begun_ms, told_ms, saved_ms;
    uint64_t line_at_begin;
    unsigned told_refusals;
    uint8_t converted[2 * DPS_RECORD_MAX]; /* with what the service does not keep */
    uint8_t copy[65536];
};

/* import_lines.c: what is in the file, in which encoding, record by record. */
/* Find out the encoding. Returns null, or what the file is that cannot be read. */
const char *admin_import_encoding(struct import_lines *l);
/* Then: what kind of file it is. Blank lines are passed. */
enum import_kind admin_import_kind(struct import_lines *l);
/* Returns: 0; BYTES_E_NOT_FOUND at the end; BYTES_E_FILE. A line is one without its line feed. */
int admin_import_line(struct import_lines *l, struct import_record *line);
int admin_import_record(struct import *m, struct import_record *record);

/* import_columns.c: the header line, with the separator that it has. Returns 0 or an exit code, and then the user
 * has been told. */
int admin_import_columns(struct import *m, struct bytes line);
const char *admin_import_column_name(size_t column);
/* "sep=;", which Excel takes from the first line. */
bool admin_import_separator_line(struct bytes line, char *separator);
int admin_import_refuse_file(const struct import *m, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* import_keys.c: note the key of a line, and at the end tell which keys occurred more than once. */
void admin_import_note_key(struct import_keys *keys, const struct admin_item *item);
void admin_import_tell_keys(const struct import_keys *keys);

/* import_progress.c. All that return an int return 0 or an exit code, and then the user has been told. */

/* The input is open: look at it, and open the report. */
int admin_import_begin(struct import *m);
/* The header line is read: if an earlier import was stopped, go to where it was. */
int admin_import_go_on(struct import *m);
/* One refused line. If it cannot be written, the next tick reports that. */
void admin_import_report(struct import *m, const struct admin_item *item);
/* A batch is done: tell and keep how far it is, if it is time. */
int admin_import_tick(struct import *m);
/* An enrollment that does not even fit alone. */
int admin_import_impossible(const struct import *m);
/* Whether it was finished, stopped or failed: keep how far it is and tell the result. Returns the exit code
 * of the program. */
int admin_import_end(struct import *m, int exit_code);

/* ---- The commands ---- */

int admin_enroll(struct admin_tool *t);
int admin_import(struct admin_tool *t);
int admin_get(struct admin_tool *t);
int admin_list(struct admin_tool *t);
int admin_delete(struct admin_tool *t);
int admin_enable(struct admin_tool *t);
int admin_disable(struct admin_tool *t);
int admin_status(struct admin_tool *t);
int admin_registration(struct admin_tool *t);
int admin_message(struct admin_tool *t);
int admin_connection_string(struct admin_tool *t);

/* Read all enrollments, page after page; take gets each page, a JSON array, and returns 0 or an exit code. */
int admin_each_page(struct admin_tool *t, int (*take)(void *context, struct bytes page), void *context);
/* Is output to be JSON? */
bool admin_json(const struct admin_tool *t);
/* Exit code POSIX_EXIT_USAGE, and the user told, unless id is a registrationId. */
int admin_check_id(const char *id);

#endif
