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
#include <sys/stat.h>

static struct interposer state;
static struct trace_pcapng capture, own_capture; /* of one file: two connections in it */

static bool text_is(struct bytes text, const char *word)
{
    return bytes_equal_public(text, bytes_of_text(word));
}

/* Split at the first `at`. Returns what stands before it; *rest is what stands after it, null if there is none. */
static struct bytes split(struct bytes text, char at, struct bytes *rest)
{
    const uint8_t *end = text.len > 0 ? memchr(text.p, at, text.len) : NULL;
    const size_t len = end != NULL ? (size_t)(end - text.p) : text.len;
    *rest = end != NULL ? bytes_of(end + 1, text.len - len - 1) : bytes_of(NULL, 0);
    return bytes_of(text.p, len);
}

/* What is wrong with his name, for whoever gave it. */
struct complaint {
    char *text;
    size_t size;
};

static bool complain(const struct complaint *c, struct bytes part, const char *what)
{
    snprintf(c->text, c->size, "interpose: \"%.*s\": %s", (int)part.len, (const char *)part.p, what);
    return false;
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

/* COMMAND[:N][@BYTE] or N[@BYTE]. What a separator announces must be there. */
static bool parse_place(struct bytes text, struct interposer_rule *rule)
{
    struct bytes byte, number;
    char name[40] = "";
    const struct bytes first = split(split(text, '@', &byte), ':', &number);
    rule->at = UINT32_MAX;
    rule->nth = 1;
    if (first.len == 0 || first.len >= sizeof name || (byte.p != NULL && !parse_number(byte, &rule->at))) {
        return false;
    }
    if (number.p == NULL && parse_number(first, &rule->nth)) {
        return rule->nth > 0;
    }
    memcpy(name, first.p, first.len);
    rule->code = explain_command_named(name);
    return rule->code != 0 && (number.p == NULL || (parse_number(number, &rule->nth) && rule->nth > 0));
}

static bool parse_rule(struct interposer *i, enum interposer_deed deed, struct bytes place,
                       const struct complaint *c)
{
    if (i->rule_count == INTERPOSER_RULES) {
        return complain(c, place, "one place too many: he takes four");
    }
    struct interposer_rule *rule = &i->rules[i->rule_count++];
    rule->deed = deed;
    return parse_place(place, rule) ||
           complain(c, place,
                    "a PLACE is COMMAND[:N][@BYTE] or N[@BYTE], with the name of a command, and N from 1");
}

static bool parse_option(struct interposer *i, struct bytes option, const struct complaint *c)
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
        return parse_rule(i, INTERPOSER_FLIP_COMMAND, value, c);
    }
    if (text_is(key, "flip-response")) {
        return parse_rule(i, INTERPOSER_FLIP_RESPONSE, value, c);
    }
    if (text_is(key, "replay")) {
        return parse_rule(i, INTERPOSER_REPLAY, value, c);
    }
    return complain(c, option,
                    "no such option: there are flip-command=PLACE flip-response=PLACE replay=PLACE own-ek "
                    "own-session own-session-nonce rewrap strip log");
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

/* ---- The file ---------------------------------------------------------------------------------------------------- */

static char path[512];
static bool broken; /* it has been said that the file is not complete */

/* Did all get there that was written? Each packet is flushed. */
static bool is_written(char *reason, size_t size)
{
    if (capture.out == NULL || (ferror(capture.out) == 0 && fflush(capture.out) == 0)) {
        return true;
    }
    errno = EIO;
    (void)fflush(capture.out); /* for its errno */
    (void)posix_file_error(errno, reason, size);
    return false;
}

/* Passwords will be in it: nobody else may read it. A pipe would wait for a reader. */
static bool open_capture(struct interposer *i, const struct complaint *c)
{
    char reason[POSIX_FILE_ERROR_MAX];
    struct stat st;
    if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        return complain(c, bytes_of_text(path), "cannot be written: it is not a regular file");
    }
    const int fd = posix_file_create_private(path);
    FILE *file = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (file == NULL) {
        snprintf(c->text, c->size, "%s cannot be written: %s", path,
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
    broken = false;
    return true;
}

static bool parse_name(struct interposer *i, struct bytes name, const struct complaint *c)
{
    struct bytes rest;
    const struct bytes file = split(name, ',', &rest);
    if (file.len == 0 || file.len >= sizeof path) {
        return complain(c, name, "FILE is missing or too long in interpose:FILE[,OPTION...]/TPM");
    }
    while (rest.p != NULL) {
        const struct bytes option = split(rest, ',', &rest);
        if (option.len == 0) {
            return complain(c, name, "there is nothing after a comma");
        }
        if (!parse_option(i, option, c)) {
            return false;
        }
    }
    memcpy(path, file.p, file.len);
    path[file.len] = 0;
    return true;
}

const char *interposer_open(const char *name, char *why, size_t why_size)
{
    const struct complaint c = {why, why_size};
    const char *end = find_tpm(name);
    state = (struct interposer){.code = 0};
    if (end == NULL) {
        (void)complain(&c, bytes_of_text(name),
                       "no TPM is behind him: the name ends with /libtpms:DIR, /swtpm:HOST:PORT, "
                       "/swtpm:/SOCKET, /mssim:HOST:PORT, or a slash and a device, //dev/tpmrm0");
        return NULL;
    }
    const bool good =
        parse_name(&state, bytes_of(name, (size_t)(end - name)), &c) && open_capture(&state, &c);
    return good ? end + 1 : NULL;
}

static int ask_inside(void *context, struct bytes command, uint8_t *response, size_t capacity,
                      size_t *response_len, uint32_t timeout_ms)
{
    return posix_tpm_transact(context, command, response, capacity, response_len, timeout_ms);
}

int interposer_wrap(struct posix_tpm *t, struct bytes command, uint8_t *response, size_t capacity,
                    size_t *response_len, uint32_t timeout_ms)
{
    char reason[POSIX_FILE_ERROR_MAX];
    state.tpm = (struct port_tpm){t, ask_inside};
    const int error = interposer_transact(&state, command, response, capacity, response_len, timeout_ms);
    if (is_written(reason, sizeof reason)) {
        return error;
    }
    if (!broken) {
        broken = true;
        fprintf(stderr, "interpose: %s is not complete, so nothing more is passed on: %s\n", path, reason);
    }
    return BYTES_E_TPM_TRANSPORT;
}
