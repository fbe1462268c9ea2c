/* SPDX-License-Identifier: MIT */
/* Long options, exit codes and files that the programs of this directory share.
 *
 * A program describes its options in tables; parsing and --help both come from them, so that neither can forget one. */
#ifndef PORT_POSIX_OPTIONS_H
#define PORT_POSIX_OPTIONS_H

#include "crypto/bytes/bytes.h"
#include <stdarg.h>
#include <stdio.h>

/* The programs' exit codes. */
enum posix_exit {
    POSIX_EXIT_OK = 0,
    POSIX_EXIT_REFUSED = 1, /* the other side said no */
    POSIX_EXIT_USAGE = 2,
    POSIX_EXIT_TPM = 3,
    POSIX_EXIT_NETWORK = 4, /* or TLS */
    POSIX_EXIT_STORE = 5    /* or another file */
};

#define POSIX_OPTION_LIST_MAX 32
struct posix_option_list {
    const char *values[POSIX_OPTION_LIST_MAX];
    size_t count;
};

/* One option, "--name", "--name VALUE" or "--name=VALUE". Where its value goes says what kind it is: exactly one of the
 * four pointers is set. The value there beforehand is the default; each but a list may be given once. */
struct posix_option {
    const char *name;     /* without its two dashes */
    const char *argument; /* what --help calls its value; null for a flag */
    const char *help;     /* lines are separated by '\n' */
    bool *flag;
    const char **text;
    struct posix_option_list *list;
    uint64_t *number;
    uint64_t maximum;    /* of number; the length of text in bytes, or 0: any; --help names it */
    bool value_optional; /* text only: "--name" alone gives "", and a value needs the '=' */
};

struct posix_option_group {
    const char *title; /* for --help */
    const struct posix_option *options;
    size_t count;
};

/* Read options from argv[*at] on, until the first argument that is none; *at then points to it, or is argc.
 * "--" ends them and is skipped. What is before *at was read earlier, and counts as given. Texts view argv.
 * why receives a sentence for the user when it fails.
 * Returns: 0; BYTES_E_USAGE. */
int options_parse(const struct posix_option_group *groups, size_t group_count, int argc, char *const *argv,
                  int *at, char *why, size_t why_size);
void options_help(FILE *out, const struct posix_option_group *groups, size_t group_count);

/* "PROGRAM: SENTENCE" on standard error. */
void options_say(const char *program, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
/* The content of a file or, for "-", of standard input; *content views buffer.
 * Returns: 0, or an exit code with a sentence in why. */
int options_input(const char *path, uint8_t *buffer, size_t capacity, struct bytes *content, char *why,
                  size_t why_size);

/* --version: which program, which version. */
void options_version(const char *program);
/* At the end: was all of standard output written? Returns: exit_code; if that is 0 and it was not, another one, and the
 * user has been told. */
int options_printed(const char *program, int exit_code);

/* What did the user mean? Offer candidates one after the other; best is null if none is near. */
struct posix_nearest {
    const char *word;
    const char *best;
    size_t distance;
};
void options_nearest(struct posix_nearest *n, const char *candidate);

/* "HostName=HOST[:PORT];SharedAccessKeyName=NAME;SharedAccessKey=BASE64": names in any case, in any order; what is not
 * there is empty. All view text. */
struct posix_connection_string {
    struct bytes host, key_name, key;
};
struct posix_connection_string options_connection_string(struct bytes text);

/* "https://HOST[:PORT]", with nothing after it but one '/'. host is zero-terminated; the port is 443 unless given.
 * Returns: 0; BYTES_E_USAGE with a sentence in why. */
int options_service_url(const char *url, char *host, size_t host_size, uint16_t *port, char *why,
                        size_t why_size);

#endif
