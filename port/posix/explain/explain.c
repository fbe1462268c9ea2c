/* SPDX-License-Identifier: MIT */
/* explain: what is this? Takes what people have captured or copied, in whatever form, finds out
 * what it is, and shows it field by field. Nothing here needs a TPM. */
#include "port/posix/explain/explain.h"
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include "port/posix/options.h"
#include "port/posix/paste/paste.h"
#include "tpm/tools/explain.h"
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

void explain_say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    options_say("dps-device", format, arguments);
    va_end(arguments);
}

void explain_show(struct explain_paste *p, enum trace_subject subject, const char *what, struct bytes bytes)
{
    const int error = trace_explain(&p->trace, subject, p->command_code, what, bytes);
    if (error != 0 && !(error == BYTES_E_ALGORITHM && p->many)) {
        p->broken = true;
    }
    p->shown++;
}

void explain_remark(struct explain_paste *p, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (!p->trace.json) {
        printf("  ");
        vprintf(format, arguments);
        printf("\n");
    }
    va_end(arguments);
}

/* ---- What is it? ------------------------------------------------------------------------------------------------- */

static bool is_pem(struct explain_paste *p, struct bytes text)
{
    return paste_find(text, "-----BEGIN") < text.len && explain_ek(p, NULL, text);
}

static bool is_byte_array(struct bytes text)
{
    struct bytes root, name, first;
    size_t cursor = 0;
    return dps_json_check(text, &root) == 0 && dps_json_kind(root) == DPS_JSON_ARRAY &&
           dps_json_next(root, &cursor, &name, &first) && dps_json_kind(first) == DPS_JSON_NUMBER;
}

static bool is_json(struct explain_paste *p, struct bytes text)
{
    struct bytes root;
    const bool begins = text.len > 0 && (text.p[0] == '{' || text.p[0] == '[');
    return begins && dps_json_check(text, &root) == 0 && !is_byte_array(text) && explain_json(p, text);
}

static bool is_broken_json(struct explain_paste *p, struct bytes text)
{
    return text.len > 0 && text.p[0] == '{' && explain_json(p, text);
}

static bool is_form(struct explain_paste *p, struct bytes text)
{
    const char *form;
    size_t len;
    return paste_bytes(text, p->bytes, sizeof p->bytes, &len, &form) == 0 &&
           explain_bytes(p, NULL, bytes_of(p->bytes, len));
}

static bool is_key(struct explain_paste *p, struct bytes text)
{
    return explain_ek(p, NULL, text);
}

/* The first that knows the text explains it. */
static const struct {
    const char *example;
    bool (*explain)(struct explain_paste *p, struct bytes text);
} kinds_of_text[] = {
    {"PUT /... HTTP/1.1; HTTP/1.1 401", explain_http},
    {"> PUT /... HTTP/1.1, as curl -v shows it", explain_curl},
    {"{\"registrationId\":...}", is_json},
    {"-----BEGIN PUBLIC KEY-----", is_pem},
    {"SharedAccessSignature sr=...&sig=...&se=...", explain_token},
    {"0x98e, 2446, TPM_RC_AUTH_FAIL", explain_code},
    {"8001..., gAEA..., 80-01-..., { 0x80, 0x01 }, a hexdump", is_form},
    {"SWTPM_IO_Read: length 10, and lines of bytes after it", explain_dumps},
    {"Modulus=...; what tpm2_readpublic prints; Endorsement Key: ...", is_key},
    {"tpm tpm0: A TPM error (2446) occurred ...; ErrorCode (0x000001df)", explain_codes_in_lines},
    {"{\"registrationId\":... cut off", is_broken_json},
};

static bool explain_text(struct explain_paste *p, struct bytes text)
{
    text = paste_trimmed(text);
    for (size_t i = 0; i < sizeof kinds_of_text / sizeof kinds_of_text[0]; i++) {
        if (kinds_of_text[i].explain(p, text)) {
            return true;
        }
    }
    return false;
}

static bool explain_whole(struct explain_paste *p, struct bytes input, struct bytes text)
{
    if (paste_is_text(text)) {
        return explain_text(p, text);
    }
    return explain_capture(p, input) || explain_bytes(p, NULL, input);
}

/* ---- The user knows what it is: then it is shown as that, even if it is broken ----------------------------------- */

static const struct {
    const char *name;
    enum trace_subject subject;
    bool binary;
} kinds[] = {
    {"command", TRACE_COMMAND, true},       {"response", TRACE_RESPONSE, true},
    {"public", TRACE_PUBLIC, true},         {"blob", TRACE_ACTIVATION_BLOB, true},
    {"token", TRACE_SAS_TOKEN, false},      {"json", TRACE_JSON, false},
    {"request", TRACE_HTTP_REQUEST, false}, {"answer", TRACE_HTTP_RESPONSE, false},
};

static int show_as(struct explain_paste *p, const char *kind, struct bytes input, struct bytes text)
{
    const bool is_text = paste_is_text(text);
    const char *form;
    size_t len = 0;
    text = is_text ? paste_trimmed(text) : input;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kind, kinds[i].name) != 0) {
            continue;
        }
        if (kinds[i].binary && is_text) {
            (void)paste_bytes(text, p->bytes, sizeof p->bytes, &len, &form);
            text = bytes_of(p->bytes, len);
        }
        if (kinds[i].subject == TRACE_COMMAND) {
            p->command_code = tpm2_explain_command_code(text);
        }
        explain_show(p, kinds[i].subject, NULL, text);
        return 0;
    }
    explain_say("--as is command, response, public, blob, token, json, request or answer, not \"%s\"", kind);
    return POSIX_EXIT_USAGE;
}

/* ---- The command ------------------------------------------------------------------------------------------------- */

static int read_options(struct explain_paste *p, const struct explain_options *o)
{
    if (o->response_to != NULL) {
        p->command_code = explain_command_named(o->response_to);
    }
    if (o->response_to != NULL && p->command_code == 0) {
        explain_say("--response-to: no command \"%s\" is known here", o->response_to);
        return POSIX_EXIT_USAGE;
    }
    if (o->format != NULL && strcmp(o->format, "json") != 0 && strcmp(o->format, "text") != 0) {
        explain_say("--format is text or json, not \"%s\"", o->format);
        return POSIX_EXIT_USAGE;
    }
    return 0;
}

static int unknown(const struct explain_paste *p, struct bytes bytes)
{
    if (p->refusal[0] != 0) {
        explain_say("%s", p->refusal);
        return POSIX_EXIT_REFUSED;
    }
    uint8_t text[2 * 16];
    struct bytes_writer w = bytes_writer_over(text, sizeof text);
    dps_write_hex(&w, bytes_of(bytes.p, bytes.len < 16 ? bytes.len : 16));
    explain_say(
        "what is this? %zu bytes that begin with %.*s are, as raw bytes, hex, base64, a hexdump or a log, no "
        "TPM "
        "command or response, response code, key, activation blob, SAS token, enrollment, HTTP message or "
        "capture; --as KIND shows how far it can be read as one",
        bytes.len, (int)bytes_written(&w).len, (const char *)text);
    return POSIX_EXIT_REFUSED;
}

int explain_run(const struct explain_options *o)
{
    static struct explain_paste paste;
    const char *path = o->path != NULL ? o->path : "-";
    char why[512];
    struct bytes input;
    enum paste_encoding encoding;
    int exit_code = read_options(&paste, o);
    if (exit_code == 0 && strcmp(path, "-") == 0 && isatty(STDIN_FILENO) == 1) {
        explain_say("paste it here, and end with Ctrl-D on a line of its own");
    }
    if (exit_code == 0) {
        exit_code = options_input(path, paste.input, sizeof paste.input, &input, why, sizeof why);
        if (exit_code != 0) {
            explain_say("%s", why);
        }
    }
    if (exit_code != 0) {
        return exit_code;
    }
    trace_open(&paste.trace, stdout, o->format != NULL && strcmp(o->format, "json") == 0);
    const struct bytes text = paste_utf8(input, paste.utf8, sizeof paste.utf8, &encoding);
    if (o->as != NULL) {
        exit_code = show_as(&paste, o->as, input, text);
    } else if (!explain_whole(&paste, input, text)) {
        exit_code = unknown(&paste, input);
    }
    trace_close(&paste.trace);
    return exit_code == 0 && paste.broken ? POSIX_EXIT_REFUSED : exit_code;
}
