/* SPDX-License-Identifier: MIT */
/* `explain`, in the order in which a paste is taken apart: explain.c decides which kind of text it is;
 * explain_text.c tokens, JSON, HTTP; explain_log.c response codes and logs; explain_bytes.c TPM messages, keys, blobs;
 * explain_capture.c captures; explain_listener.c what a listener has read in them. */
#ifndef PORT_POSIX_EXPLAIN_EXPLAIN_H
#define PORT_POSIX_EXPLAIN_EXPLAIN_H

#include "port/posix/explain/trace.h"

/* What `explain` reads: a capture of many registrations, a log in UTF-16. */
#define EXPLAIN_PASTE_MAX 1048576
/* Nested things are decoded beside each other: JSON in HTTP, base64 in JSON. */
#define EXPLAIN_DECODED_MAX 16384

/* One connection to a TPM in a capture: its answers are to its own commands. */
#define EXPLAIN_FLOWS_MAX 16
struct explain_flow {
    uint32_t ports;                  /* both; 0: this place is free */
    uint32_t command_code, answered; /* as below */
    uint32_t tpm_key, bind;          /* of TPM2_StartAuthSession under way */
    struct trace_sessions sessions;
};

/* What a listener has read: lists in words, each thing once. */
#define EXPLAIN_HEARD_MAX 1024
#define EXPLAIN_UNSALTED_MAX 16
struct explain_heard {
    unsigned messages;
    char in_clear[EXPLAIN_HEARD_MAX], encrypted[EXPLAIN_HEARD_MAX], guessable[EXPLAIN_HEARD_MAX];
    struct {
        uint32_t session, bind; /* 0: this place is free */
    } unsalted[EXPLAIN_UNSALTED_MAX];
};

#define EXPLAIN_COMMENT_MAX 160

struct explain_paste {
    struct trace trace;
    uint32_t command_code;  /* of the last command seen, or what the user has said; 0: unknown */
    uint32_t answered;      /* out of many: that of the last response, which may come in two versions */
    const char *comment;    /* of the packet that it is in; null: none */
    uint32_t tpm_key, bind; /* of the last TPM2_StartAuthSession */
    struct explain_flow flows[EXPLAIN_FLOWS_MAX];
    struct explain_heard heard;
    char comments[3][EXPLAIN_COMMENT_MAX]; /* of a TPM message, a request, an answer that comes in pieces */
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
/* TPM messages, one after the other; also as a simulator's protocol has them. */
bool explain_messages(struct explain_paste *p, struct bytes bytes);
/* A TPM message whose kind is known: nothing is guessed. False if it is not one whole message. */
bool explain_message(struct explain_paste *p, bool command, struct bytes bytes);
/* A key in one of the forms of ek_forms.h. If it is a key that is not an EK of DPS, the reason is the explanation. */
bool explain_ek(struct explain_paste *p, const char *what, struct bytes text);
/* explain_capture.c */
bool explain_capture(struct explain_paste *p, struct bytes file);
/* explain_text.c */
bool explain_token(struct explain_paste *p, struct bytes text);
bool explain_http(struct explain_paste *p, struct bytes text);
bool explain_curl(struct explain_paste *p, struct bytes text);
bool explain_json(struct explain_paste *p, struct bytes text);
/* explain_log.c */
bool explain_code(struct explain_paste *p, struct bytes text);
bool explain_codes_in_lines(struct explain_paste *p, struct bytes text);
bool explain_dumps(struct explain_paste *p, struct bytes text);

/* explain_listener.c. One message of a capture, after it was shown; and the lists, for people. */
void explain_hear(struct explain_paste *p, bool command, struct bytes message);
void explain_tell_heard(struct explain_paste *p);

/* The command of that name, with TPM2_ or without; 0 if there is none. */
uint32_t explain_command_named(const char *name);

#endif
