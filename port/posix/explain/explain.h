/* SPDX-License-Identifier: MIT */
/* `explain`, in the order in which a paste is taken apart: explain.c decides which kind of text it is;
 * explain_text.c tokens, JSON, HTTP; explain_log.c response codes and logs; explain_bytes.c TPM messages, keys, blobs,
 * captures. */
#ifndef PORT_POSIX_EXPLAIN_EXPLAIN_H
#define PORT_POSIX_EXPLAIN_EXPLAIN_H

#include "port/posix/explain/trace.h"

/* What `explain` reads: a capture of many registrations, a log in UTF-16. */
#define EXPLAIN_PASTE_MAX 1048576
/* Nested things are decoded beside each other: JSON in HTTP, base64 in JSON. */
#define EXPLAIN_DECODED_MAX 16384

struct explain_paste {
    struct trace trace;
    uint32_t command_code; /* of the last command seen, or what the user has said; 0: unknown */
    uint32_t answered;     /* out of many: that of the last response, which may come in two versions */
    unsigned shown;
    bool broken;
    char refusal[512]; /* why the certificate or key in it, a CA's for one, is not an EK; "": there is none */
    bool many;         /* out of a log or a capture, which may hold commands that are not explained here */
    uint8_t input[EXPLAIN_PASTE_MAX];
    uint8_t utf8[EXPLAIN_PASTE_MAX / 2 * 3];
    uint8_t bytes[EXPLAIN_PASTE_MAX]; /* decoded */
};

/* What the user asked for; null means "not given". */
struct explain_options {
    const char *path;        /* "-" or null: standard input */
    const char *as;          /* what it is */
    const char *response_to; /* the command that a response answers */
    const char *format;      /* text (default) or json */
};
/* The whole command. Returns: its exit code; the user has been told. */
int explain_run(const struct explain_options *o);

/* A sentence for the user, on standard error. */
void explain_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Take it apart on standard output; if something in it is malformed, the exit code is that of a refusal. */
void explain_show(struct explain_paste *p, enum trace_subject subject, const char *what, struct bytes bytes);
/* A remark below what was shown, for people. */
void explain_remark(struct explain_paste *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Each returns whether it knew what that is; if so, it has shown it. */
/* explain_bytes.c */
bool explain_bytes(struct explain_paste *p, const char *what, struct bytes bytes);
bool explain_capture(struct explain_paste *p, struct bytes file);
/* A TPM message whose kind is known: nothing is guessed. False if it is not one whole message. */
bool explain_message(struct explain_paste *p, bool command, struct bytes bytes);
/* A key in one of the forms of ek_forms.h. If it is a key that is not an EK of DPS, the reason is the explanation. */
bool explain_ek(struct explain_paste *p, const char *what, struct bytes text);
/* explain_text.c */
bool explain_token(struct explain_paste *p, struct bytes text);
bool explain_http(struct explain_paste *p, struct bytes text);
bool explain_curl(struct explain_paste *p, struct bytes text);
bool explain_json(struct explain_paste *p, struct bytes text);
/* explain_log.c */
bool explain_code(struct explain_paste *p, struct bytes text);
bool explain_codes_in_lines(struct explain_paste *p, struct bytes text);
bool explain_dumps(struct explain_paste *p, struct bytes text);

/* The command of that name, with TPM2_ or without; 0 if there is none. */
uint32_t explain_command_named(const char *name);

#endif
