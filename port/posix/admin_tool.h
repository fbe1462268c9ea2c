/* SPDX-License-Identifier: MIT */
/* dps-admin: what its files share. dps-admin.c describes the commands and calls one; each returns an exit code, having told
 * the user everything. */
#ifndef PORT_POSIX_ADMIN_TOOL_H
#define PORT_POSIX_ADMIN_TOOL_H

#include "port/posix/https_client.h"
#include "port/posix/options.h"

/* What the user asked for; zero and null mean "not given". */
struct admin_options {
    const char *connection_string_file, *ca, *connect_to, *format;
    bool help;
    const char *arguments[2]; /* what stands behind the command and is no option */
    const char *ek, *device_id, *if_match, *json;
    struct posix_option_list hubs;
    bool disabled, update;
    uint64_t page;
    const char *policy_file, *host, *policy;
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
    struct posix_https https;
    uint8_t request[DPS_HTTP_HEAD_MAX + DPS_HTTP_BODY_MAX];
    uint8_t body[DPS_HTTP_BODY_MAX];
    uint8_t file[65536];
};

/* ---- admin_tool.c: connection and files ---- */

/* "dps-admin: " and a sentence to standard error. */
void admin_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Connection string and CA. Returns 0 or an exit code, then the user has been told. */
int admin_open(struct admin_tool *t);
/* Wipes everything, so it is also right after a failed open. */
void admin_close(struct admin_tool *t);
/* A whole file or, for "-", standard input, into t->file. Returns 0 or an exit code. */
int admin_input(struct admin_tool *t, const char *path, struct span *content);

struct admin_request {
    const char *method;
    const char *collection;   /* "enrollments" */
    const char *name;         /* the segment behind it */
    const char *if_match;     /* or null */
    struct span continuation; /* or empty */
    uint64_t page;            /* 0: as many as the service likes */
    struct span body;
};
/* Ask the service. Returns 0 if it did what was asked, and then *answer is the body of its answer; or an exit code, and the user
 * has been told. */
int admin_ask(struct admin_tool *t, const struct admin_request *request, struct span *answer);

/* ---- admin_print.c: for people ---- */

/* A JSON string without its quotes, control characters made harmless; nothing if there is no such string. Returns how many
 * characters were printed. */
int admin_print_string(FILE *out, struct span object, const char *member);
/* One enrollment, or one registration state, a line a member. */
void admin_print_enrollment(FILE *out, struct span enrollment);
void admin_print_registration(FILE *out, struct span state, const char *indent);
/* One enrollment in one line. */
void admin_print_line(FILE *out, struct span enrollment);

/* ---- admin_enroll.c and admin_commands.c ---- */

int admin_enroll(struct admin_tool *t);
int admin_get(struct admin_tool *t);
int admin_list(struct admin_tool *t);
int admin_delete(struct admin_tool *t);
int admin_registration(struct admin_tool *t);
int admin_connection_string(struct admin_tool *t);

/* Is output to be JSON? */
bool admin_json(const struct admin_tool *t);
/* Exit code POSIX_EXIT_USAGE, and the user told, unless id is a registrationId. */
int admin_check_id(const char *id);

#endif
