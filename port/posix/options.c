/* SPDX-License-Identifier: MIT */
#include "port/posix/options.h"
#include "dps/protocol/registration_id.h"
#include "dps/protocol/text.h"
#include "dps/protocol/version.h"
#include "port/limits.h"
#include "port/posix/private.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define HELP_COLUMN 30

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* How many characters must be inserted, removed or changed to make b of a (Levenshtein), row by row. Words longer than
 * a row are never similar to anything. */
static size_t edit_distance(const char *a, const char *b)
{
    enum { WORD_MAX = 32 };
    size_t row[WORD_MAX + 1];
    size_t b_len = strlen(b);
    if (b_len > WORD_MAX || strlen(a) > WORD_MAX) {
        return WORD_MAX;
    }
    for (size_t j = 0; j <= b_len; j++) {
        row[j] = j;
    }
    for (size_t i = 0; a[i] != 0; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < b_len; j++) {
            size_t change = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            row[j + 1] = smallest(row[j + 1] + 1, row[j] + 1, change);
        }
    }
    return row[b_len];
}

/* A third of the word may be wrong: beyond that a guess confuses more than it helps. */
void options_nearest(struct posix_nearest *n, const char *candidate)
{
    size_t distance = edit_distance(n->word, candidate);
    bool near = distance <= strlen(candidate) / 3 + 1 && distance < strlen(candidate);
    if (near && (n->best == NULL || distance < n->distance)) {
        n->best = candidate;
        n->distance = distance;
    }
}

static const struct posix_option *find(const struct posix_option_group *groups, size_t group_count,
                                       const char *name, size_t len)
{
    for (size_t g = 0; g < group_count; g++) {
        for (size_t i = 0; i < groups[g].count; i++) {
            const struct posix_option *o = &groups[g].options[i];
            if (strlen(o->name) == len && memcmp(o->name, name, len) == 0) {
                return o;
            }
        }
    }
    return NULL;
}

static int unknown_option(const struct posix_option_group *groups, size_t group_count, const char *argument,
                          size_t name_len, char *why, size_t why_size)
{
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)(name_len < sizeof name ? name_len : sizeof name - 1),
             argument + 2);
    struct posix_nearest nearest = {.word = name};
    for (size_t g = 0; g < group_count; g++) {
        for (size_t i = 0; i < groups[g].count; i++) {
            options_nearest(&nearest, groups[g].options[i].name);
        }
    }
    if (nearest.best != NULL) {
        snprintf(why, why_size, "there is no option --%s here; did you mean --%s?", name, nearest.best);
    } else {
        snprintf(why, why_size, "there is no option --%s here; --help lists them", name);
    }
    return BYTES_E_USAGE;
}

static int take_number(const struct posix_option *o, const char *value, char *why, size_t why_size)
{
    if (dps_decimal_parse(bytes_of_text(value), o->maximum, o->number) == 0) {
        return 0;
    }
    snprintf(why, why_size, "--%s takes a number from 0 to %llu, not \"%s\"", o->name,
             (unsigned long long)o->maximum, value);
    return BYTES_E_USAGE;
}

/* value is null if there was none. */
static int take(const struct posix_option *o, const char *value, char *why, size_t why_size)
{
    if (o->flag != NULL) {
        if (value != NULL) {
            snprintf(why, why_size, "--%s takes no value: leave \"=%s\" out", o->name, value);
        }
        *o->flag = true;
        return value != NULL ? BYTES_E_USAGE : 0;
    }
    if (value == NULL || (value[0] == 0 && !o->value_optional)) {
        snprintf(why, why_size, "--%s needs a value: --%s %s", o->name, o->name, o->argument);
        return BYTES_E_USAGE;
    }
    if (o->number != NULL) {
        return take_number(o, value, why, why_size);
    }
    if (o->list != NULL) {
        if (o->list->count == POSIX_OPTION_LIST_MAX) {
            snprintf(why, why_size, "--%s may be given %d times at most", o->name, POSIX_OPTION_LIST_MAX);
            return BYTES_E_USAGE;
        }
        o->list->values[o->list->count++] = value;
        return 0;
    }
    if (o->maximum > 0 && strlen(value) > o->maximum) {
        snprintf(why, why_size, "--%s has %zu bytes; it may have %llu at most", o->name, strlen(value),
                 (unsigned long long)o->maximum);
        return BYTES_E_USAGE;
    }
    *o->text = value;
    return 0;
}

/* How long the name in "--name" or "--name=VALUE" is. */
static size_t name_length(const char *argument)
{
    return strcspn(argument + 2, "=");
}

/* Searched in the arguments before it, not in the option's target, which may hold a default. No value begins with two
 * dashes, and what follows a lone "--" is not an option. */
static bool given_before(const struct posix_option *o, char *const *argv, int at)
{
    for (int i = 0; i < at; i++) {
        if (strcmp(argv[i], "--") == 0) {
            i++;
        } else if (strncmp(argv[i], "--", 2) == 0 && strlen(o->name) == name_length(argv[i]) &&
                   memcmp(o->name, argv[i] + 2, name_length(argv[i])) == 0) {
            return true;
        }
    }
    return false;
}

int options_parse(const struct posix_option_group *groups, size_t group_count, int argc, char *const *argv,
                  int *at, char *why, size_t why_size)
{
    while (*at < argc) {
        const char *argument = argv[*at];
        if (argument[0] != '-' || argument[1] == 0) {
            return 0;
        }
        if (argument[1] != '-') {
            snprintf(why, why_size, "%s: options are written with two dashes and in full; --help lists them",
                     argument);
            return BYTES_E_USAGE;
        }
        ++*at;
        if (argument[2] == 0) {
            return 0;
        }
        const size_t name_len = name_length(argument);
        const struct posix_option *o = find(groups, group_count, argument + 2, name_len);
        if (o == NULL) {
            return unknown_option(groups, group_count, argument, name_len, why, why_size);
        }
        if (o->list == NULL && given_before(o, argv, *at - 1)) {
            snprintf(why, why_size, "--%s is given twice; leave one of them out", o->name);
            return BYTES_E_USAGE;
        }
        const char *value = argument[2 + name_len] == '=' ? argument + 3 + name_len : NULL;
        if (value == NULL && o->flag == NULL) {
            /* "--state --verbose" is a missing value, not a file of that name; for such a file, write '='. */
            if (o->value_optional) {
                value = "";
            } else if (*at < argc && strncmp(argv[*at], "--", 2) != 0) {
                value = argv[(*at)++];
            }
        }
        int error = take(o, value, why, why_size);
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

static void help_one(FILE *out, const struct posix_option *o)
{
    int column = fprintf(out, "  --%s", o->name);
    if (o->argument != NULL) {
        column +=
            fprintf(out, "%s%s%s", o->value_optional ? "[=" : " ", o->argument, o->value_optional ? "]" : "");
    }
    if (column > HELP_COLUMN - 2) {
        fputc('\n', out);
        column = 0;
    }
    for (const char *line = o->help; line != NULL;) {
        const char *end = strchr(line, '\n');
        size_t len = end != NULL ? (size_t)(end - line) : strlen(line);
        fprintf(out, "%*s%.*s", HELP_COLUMN - column, "", (int)len, line);
        column = 0;
        line = end != NULL ? end + 1 : NULL;
        if (line == NULL && o->maximum > 0) {
            fprintf(out, "; at most %llu%s", (unsigned long long)o->maximum, o->text != NULL ? " bytes" : "");
        }
        fputc('\n', out);
    }
}

void options_help(FILE *out, const struct posix_option_group *groups, size_t group_count)
{
    for (size_t g = 0; g < group_count; g++) {
        if (groups[g].count == 0) {
            continue;
        }
        fprintf(out, "\n%s\n", groups[g].title);
        for (size_t i = 0; i < groups[g].count; i++) {
            help_one(out, &groups[g].options[i]);
        }
    }
}

void options_say(const char *program, const char *format, va_list arguments)
{
    fprintf(stderr, "%s: ", program);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

int options_input(const char *path, uint8_t *buffer, size_t capacity, struct bytes *content, char *why,
                  size_t why_size)
{
    bool standard = strcmp(path, "-") == 0;
    const char *name = standard ? "standard input" : path;
    char reason[POSIX_FILE_ERROR_MAX];
    size_t len;
    int error = standard ? posix_read_all(STDIN_FILENO, buffer, capacity, &len)
                         : posix_file_read(path, buffer, capacity, &len);
    *content = bytes_of(buffer, len);
    if (error == BYTES_E_SPACE) {
        snprintf(why, why_size, "%s is longer than the %zu bytes that this command takes", name, capacity);
        return POSIX_EXIT_USAGE;
    }
    if (error != 0) {
        snprintf(why, why_size, "%s: %s", name, posix_file_error(errno, reason, sizeof reason));
        return POSIX_EXIT_STORE;
    }
    return 0;
}

void options_version(const char *program)
{
    printf("%s %s\n", program, dps_version());
}

int options_printed(const char *program, int exit_code)
{
    if ((fflush(stdout) == 0 && !ferror(stdout)) || exit_code != 0) {
        return exit_code;
    }
    fprintf(stderr, "%s: the result could not be written to standard output\n", program);
    return POSIX_EXIT_STORE;
}

struct posix_connection_string options_connection_string(struct bytes text)
{
    struct posix_connection_string found = {.host = {NULL, 0}};
    while (text.len > 0) {
        struct bytes pair, word;
        text = dps_split(text, ';', &pair);
        const struct bytes value = dps_split(pair, '=', &word); /* the rest may hold more '=' */
        if (dps_text_equal_nocase(word, bytes_of_text("HostName"))) {
            found.host = value;
        } else if (dps_text_equal_nocase(word, bytes_of_text("SharedAccessKeyName"))) {
            found.key_name = value;
        } else if (dps_text_equal_nocase(word, bytes_of_text("SharedAccessKey"))) {
            found.key = value;
        }
    }
    return found;
}

int options_service_url(const char *url, char *host, size_t host_size, uint16_t *port, char *why,
                        size_t why_size)
{
    static const char scheme[] = "https://";
    char text[DPS_HOST_MAX + 16];
    if (strncmp(url, scheme, strlen(scheme)) != 0) {
        snprintf(why, why_size,
                 "\"%s\" is not an address of a service: it must be https://HOST or https://HOST:PORT", url);
        return BYTES_E_USAGE;
    }
    const char *authority = url + strlen(scheme);
    size_t len = strlen(authority);
    if (len > 0 && authority[len - 1] == '/') {
        len--;
    }
    int written = -1;
    if (len < sizeof text && memchr(authority, '/', len) == NULL) {
        written = snprintf(text, sizeof text, "%.*s%s", (int)len, authority,
                           memchr(authority, ':', len) != NULL ? "" : ":443");
    }
    if (written < 0 || (size_t)written >= sizeof text || posix_host_port(text, host, host_size, port) != 0 ||
        !dps_host_valid(bytes_of_text(host))) {
        snprintf(why, why_size,
                 "\"%s\" is not an address of a service: after https:// comes a host name and perhaps "
                 ":PORT, and nothing else",
                 url);
        return BYTES_E_USAGE;
    }
    return 0;
}
