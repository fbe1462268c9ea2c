/* SPDX-License-Identifier: MIT */
/* The interposer as a TPM of the POSIX port: what his name says, and the file that he writes. */
#include "dps/protocol/text.h"
#include "port/posix/explain/explain.h"
#include "port/posix/explain/trace_pcapng.h"
#include "port/posix/private.h"
#include "tests/hostile/interpose.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct interposer state;
static struct trace_pcapng capture, own_capture; /* of one file: two connections in it */

static bool text_is(struct bytes text, const char *word)
{
    return bytes_equal_public(text, bytes_of_text(word));
}

/* Split at the first `at`. Returns what stands before it; *rest is what stands after it, empty if there is none. */
static struct bytes split(struct bytes text, char at, struct bytes *rest)
{
    const uint8_t *end = text.len > 0 ? memchr(text.p, at, text.len) : NULL;
    const size_t len = end != NULL ? (size_t)(end - text.p) : text.len;
    *rest = end != NULL ? bytes_of(end + 1, text.len - len - 1) : bytes_of(NULL, 0);
    return bytes_of(text.p, len);
}

static bool parse_number(struct bytes text, uint32_t *number)
{
    uint64_t value = 0;
    if (dps_decimal_parse(text, UINT32_MAX - 1, &value) != 0) {
        return false;
    }
    *number = (uint32_t)value;
    return true;
}

/* COMMAND[:N][@BYTE] or N[@BYTE]. */
static bool parse_place(struct bytes text, struct interposer_rule *rule)
{
    struct bytes byte, number;
    char name[40] = "";
    const struct bytes first = split(split(text, '@', &byte), ':', &number);
    rule->at = UINT32_MAX;
    rule->nth = 1;
    if (first.len == 0 || first.len >= sizeof name || (byte.len > 0 && !parse_number(byte, &rule->at))) {
        return false;
    }
    if (number.len == 0 && parse_number(first, &rule->nth)) {
        return rule->nth > 0;
    }
    memcpy(name, first.p, first.len);
    rule->code = explain_command_named(name);
    return rule->code != 0 && (number.len == 0 || (parse_number(number, &rule->nth) && rule->nth > 0));
}

static bool parse_rule(struct interposer *i, enum interposer_deed deed, struct bytes place)
{
    if (i->rule_count == INTERPOSER_RULES) {
        return false;
    }
    struct interposer_rule *rule = &i->rules[i->rule_count++];
    rule->deed = deed;
    return parse_place(place, rule);
}

static bool parse_option(struct interposer *i, struct bytes option)
{
    struct bytes value;
    const struct bytes key = split(option, '=', &value);
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {{"own-ek", &i->own_ek},
                 {"own-session", &i->own_session},
                 {"rewrap", &i->rewrap},
                 {"strip", &i->strip},
                 {"log", &i->log}};
    for (size_t k = 0; k < sizeof flags / sizeof flags[0]; k++) {
        if (text_is(option, flags[k].name)) {
            *flags[k].flag = true;
            return true;
        }
    }
    if (text_is(option, "own-session-nonce")) {
        i->own_session = i->own_nonce = true;
        return true;
    }
    if (text_is(key, "flip-command")) {
        return parse_rule(i, INTERPOSER_FLIP_COMMAND, value);
    }
    return text_is(key, "flip-response") ? parse_rule(i, INTERPOSER_FLIP_RESPONSE, value)
                                         : text_is(key, "replay") && parse_rule(i, INTERPOSER_REPLAY, value);
}

/* The slash after which the name of a TPM begins; null: there is none. FILE may have slashes itself. */
static const char *find_tpm(const char *name)
{
    static const char *const prefixes[] = {"/libtpms:", "/swtpm:", "/mssim:", "//"};
    const char *first = NULL;
    for (size_t k = 0; k < sizeof prefixes / sizeof prefixes[0]; k++) {
        const char *found = strstr(name, prefixes[k]);
        first = found != NULL && (first == NULL || found < first) ? found : first;
    }
    return first;
}

/* Passwords will be in it: nobody else may read it. */
static bool open_capture(struct interposer *i, const char *path, char *why, size_t why_size)
{
    char reason[POSIX_FILE_ERROR_MAX];
    const int fd = posix_file_create_private(path);
    FILE *file = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (file == NULL) {
        snprintf(why, why_size, "%s cannot be written: %s", path,
                 posix_file_error(errno, reason, sizeof reason));
        return false;
    }
    if (capture.out != NULL) {
        (void)fclose(capture.out);
    }
    trace_pcapng_open(&capture, file, 0);
    capture.passwords = true;
    i->record = trace_pcapng_port(&capture);
    own_capture = capture;
    own_capture.connection = 1;
    i->own = trace_pcapng_port(&own_capture);
    return true;
}

const char *interposer_open(const char *name, char *why, size_t why_size)
{
    struct interposer *i = &state;
    char path[512];
    const char *end = find_tpm(name);
    struct bytes rest = bytes_of(name, end != NULL ? (size_t)(end - name) : 0);
    const struct bytes file = split(rest, ',', &rest);
    bool good = file.len > 0 && file.len < sizeof path;
    *i = (struct interposer){.code = 0};
    while (good && rest.len > 0) {
        const struct bytes option = split(rest, ',', &rest);
        good = parse_option(i, option);
    }
    if (!good) {
        snprintf(why, why_size,
                 "interpose:%s is not interpose:FILE[,OPTION...]/TPM; the options: flip-command=PLACE "
                 "flip-response=PLACE "
                 "replay=PLACE own-ek own-session own-session-nonce rewrap strip log; a PLACE is "
                 "COMMAND[:N][@BYTE] or "
                 "N[@BYTE]",
                 name);
        return NULL;
    }
    memcpy(path, file.p, file.len);
    path[file.len] = 0;
    return open_capture(i, path, why, why_size) ? end + 1 : NULL;
}

static int ask_inside(void *context, struct bytes command, uint8_t *response, size_t capacity,
                      size_t *response_len, uint32_t timeout_ms)
{
    return posix_tpm_transact(context, command, response, capacity, response_len, timeout_ms);
}

int interposer_wrap(struct posix_tpm *t, struct bytes command, uint8_t *response, size_t capacity,
                    size_t *response_len, uint32_t timeout_ms)
{
    state.tpm = (struct port_tpm){t, ask_inside};
    return interposer_transact(&state, command, response, capacity, response_len, timeout_ms);
}
