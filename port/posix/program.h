/* SPDX-License-Identifier: MIT */
/* A program that runs one of several commands: PROGRAM [options] COMMAND [arguments and options].
 *
 * The program describes itself and its commands; reading the command line, both kinds of --help, and the messages about
 * mistakes are the same for all. */
#ifndef PORT_POSIX_PROGRAM_H
#define PORT_POSIX_PROGRAM_H

#include "port/posix/options.h"

struct posix_command {
    const char *name;
    const char *summary; /* without a full stop; the program's --help shows its first line */
    const char *example;
    const struct posix_option *options;
    size_t count;          /* of options */
    const char *arguments; /* what follows it and is not an option, for --help; null: nothing */
    size_t arguments_min, arguments_max;
    bool alone; /* needs nothing of `needs` and `most` */
};

struct posix_program {
    const char *name;
    const char *needs;                          /* options that a command needs, such as "--tpm TPM" */
    const char *purpose, *example, *exit_codes; /* for --help, without a full stop */
    struct posix_option_group every;            /* options of every command, before or after it */
    struct posix_option_group most;             /* the same, for which a command that is alone has no use */
    const bool *help, *version;                 /* where POSIX_OPTIONS_PROGRAM, in `every`, puts them */
    const char **arguments;                     /* receives those of the command, in their order */
    const struct posix_command *(*command)(size_t i); /* null: there are no more */
    struct {
        const char *name, *where;
    } elsewhere;          /* a command that people look for here, and where it is; null: none */
    int (*run)(size_t i); /* Returns: an exit code; the user has been told */
};

#define POSIX_OPTIONS_PROGRAM(help_, version_)                                                               \
    {.name = "help", .flag = (help_), .help = "print this, or the help of a command"},                       \
    {                                                                                                        \
        .name = "version", .flag = (version_), .help = "print the version"                                   \
    }

/* Read the command line and run what it names: SIGINT and SIGTERM set posix_interrupted meanwhile. Returns: the exit
 * code. */
int posix_program_run(const struct posix_program *p, int argc, char *const *argv);

#endif
