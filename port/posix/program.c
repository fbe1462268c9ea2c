/* SPDX-License-Identifier: MIT */
#include "port/posix/program.h"
#include "port/posix/posix.h"
#include <string.h>

#define NO_COMMAND SIZE_MAX

static void say(const struct posix_program *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(const struct posix_program *p, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    options_say(p->name, format, arguments);
    va_end(arguments);
}

static void program_help(const struct posix_program *p)
{
    const struct posix_option_group groups[] = {p->every, p->most};
    const struct posix_command *c;
    int width = 0;
    for (size_t i = 0; (c = p->command(i)) != NULL; i++) {
        width = (int)strlen(c->name) > width ? (int)strlen(c->name) : width;
    }
    printf("Usage: %s %s COMMAND [options]\n\n%s. Commands, each with its own --help:\n", p->name, p->needs,
           p->purpose);
    for (size_t i = 0; (c = p->command(i)) != NULL; i++) {
        printf("  %-*s  %.*s\n", width, c->name, (int)strcspn(c->summary, "\n"), c->summary);
    }
    options_help(stdout, groups, 2);
    printf("\nExample: %s\n\nExit codes: %s.\n", p->example, p->exit_codes);
}

static void command_help(const struct posix_program *p, const struct posix_command *c)
{
    const struct posix_option_group groups[] = {{"Options:", c->options, c->count}, p->every, p->most};
    printf("Usage: %s %s%s%s%s%s%s\n\n%s.\n\nExample:\n  %s\n", p->name, c->alone ? "" : p->needs,
           c->alone ? "" : " ", c->name, c->arguments != NULL ? " " : "",
           c->arguments != NULL ? c->arguments : "", c->count > 0 ? " [options]" : "", c->summary,
           c->example);
    options_help(stdout, groups, c->alone ? 2 : 3);
}

static size_t find_command(const struct posix_program *p, const char *name)
{
    struct posix_nearest nearest = {.word = name};
    const struct posix_command *c;
    for (size_t i = 0; (c = p->command(i)) != NULL; i++) {
        if (strcmp(c->name, name) == 0) {
            return i;
        }
        options_nearest(&nearest, c->name);
    }
    if (p->elsewhere.name != NULL && strcmp(p->elsewhere.name, name) == 0) {
        say(p, "there is no command \"%s\"; %s", name, p->elsewhere.where);
    } else if (nearest.best != NULL) {
        say(p, "there is no command \"%s\"; did you mean %s?", name, nearest.best);
    } else {
        say(p, "there is no command \"%s\"; %s --help lists them", name, p->name);
    }
    return NO_COMMAND;
}

/* What follows the command: options and arguments in any order. */
static int parse_after(const struct posix_program *p, const struct posix_command *c, int argc,
                       char *const *argv, int at)
{
    const struct posix_option_group after[] = {{"", c->options, c->count}, p->every, p->most};
    char why[512];
    for (size_t count = 0;; count++) {
        if (options_parse(after, 3, argc, argv, &at, why, sizeof why) != 0) {
            say(p, "%s: %s", c->name, why);
            return POSIX_EXIT_USAGE;
        }
        if (at == argc) {
            if (count >= c->arguments_min || *p->help || *p->version) {
                return 0;
            }
            say(p, "%s: it needs %s; %s %s --help explains it", c->name, c->arguments, p->name, c->name);
            return POSIX_EXIT_USAGE;
        }
        if (count == c->arguments_max) {
            say(p, "%s: what is \"%s\"? Values follow their option; --help lists what may stand here",
                c->name, argv[at]);
            return POSIX_EXIT_USAGE;
        }
        p->arguments[count] = argv[at++];
    }
}

static int parse(const struct posix_program *p, int argc, char *const *argv, size_t *command)
{
    const struct posix_option_group before[] = {p->every, p->most};
    char why[512];
    int at = 1;
    *command = NO_COMMAND;
    if (options_parse(before, 2, argc, argv, &at, why, sizeof why) != 0) {
        say(p, "%s", why);
        return POSIX_EXIT_USAGE;
    }
    if (at == argc) {
        if (!*p->help && !*p->version) {
            say(p, "no command given; %s --help lists them", p->name);
        }
        return *p->help || *p->version ? 0 : POSIX_EXIT_USAGE;
    }
    *command = find_command(p, argv[at]);
    return *command == NO_COMMAND ? POSIX_EXIT_USAGE
                                  : parse_after(p, p->command(*command), argc, argv, at + 1);
}

int posix_program_run(const struct posix_program *p, int argc, char *const *argv)
{
    size_t command;
    posix_keep_memory_private();
    int exit_code = parse(p, argc, argv, &command);
    if (exit_code == 0 && *p->version) {
        options_version(p->name);
    } else if (exit_code == 0 && command == NO_COMMAND) {
        program_help(p);
    } else if (exit_code == 0 && *p->help) {
        command_help(p, p->command(command));
    } else if (exit_code == 0) {
        posix_catch_signals();
        exit_code = p->run(command);
    }
    return options_printed(p->name, exit_code);
}
