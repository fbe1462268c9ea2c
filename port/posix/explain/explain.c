/* SPDX-License-Identifier: MIT */
/* explain: what is this? Takes what people have captured or copied, in the forms in which it is copied, finds out
 * what it is, and shows it field by field. What it carries in base64 (a key in an enrollment, a blob in an answer)
 * is shown behind it. Nothing here needs a TPM. */
#include "tpm/tools/explain.h"
#include "dps/protocol/activation.h"
#include "dps/protocol/json.h"
#include "dps/protocol/registration_id.h"
#include "dps/protocol/sas.h"
#include "dps/protocol/text.h"
#include "dps/service/enrollment.h"
#include "port/posix/device/tool.h"
#include "port/posix/ek_forms.h"
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

/* Nested things are decoded beside each other: JSON in HTTP, base64 in JSON. */
#define DECODED_MAX 16384

struct paste {
    struct device_tool *t;
    struct posix_trace trace;
    uint32_t command_code; /* of the last command seen, or what the user has said; 0: unknown */
    unsigned shown;
    bool broken;
};

static void show(struct paste *p, enum posix_trace_subject subject, const char *what, struct bytes bytes)
{
    if (posix_trace_explain(&p->trace, subject, p->command_code, what, bytes) != 0)
        p->broken = true;
    p->shown++;
}

static void ignore_field(void *context, const struct tpm2_field *field)
{
    (void)context;
    (void)field;
}

/* A remark below what was shown, for people. */
static void __attribute__((format(printf, 2, 3))) remark(struct paste *p, const char *format, ...)
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

static void remark_hex(struct paste *p, const char *what, struct bytes bytes)
{
    uint8_t text[2 * 64];
    struct bytes_writer w = bytes_writer_over(text, sizeof text);
    dps_write_hex(&w, bytes);
    remark(p, "%s %.*s", what, (int)bytes_written(&w).len, (const char *)text);
}

/* ---- Structures -------------------------------------------------------------------------------------------------- */

static bool is_public(struct bytes bytes)
{
    return tpm2_explain_public(bytes, ignore_field, NULL) == 0;
}

static void show_public(struct paste *p, const char *what, struct bytes public_2b)
{
    const struct tpm2_public ek = tpm2_template_ek_l1();
    const struct tpm2_public hmac = tpm2_template_hmac_key(bytes_of(NULL, 0));
    struct tpm2_public area;
    uint8_t name[TPM2_NAME_SIZE];
    show(p, POSIX_TRACE_PUBLIC, what, public_2b);
    if (tpm2_public_parse_2b(public_2b, &area) != 0)
        return;
    tpm2_name_of(public_2b, name);
    remark_hex(p, "Its Name (nameAlg and SHA-256 of all but the size field):", bytes_of(name, sizeof name));
    if (tpm2_public_matches(&area, &ek)) {
        char id[DPS_DEFAULT_REGISTRATION_ID_SIZE];
        dps_registration_id_default(public_2b, id);
        remark(p,
               "It is an endorsement key (EK Credential Profile, template L-1). Registration ID by default:");
        remark(p, "%s", id);
    } else if (area.type == TPM2_ALG_RSA && dps_srk_check(&area) == DPS_ACCEPTED) {
        remark(p, "It is a storage root key that a service may trust: it cannot leave its TPM.");
    } else if (tpm2_public_matches(&area, &hmac)) {
        remark(p, "It is an HMAC key as activation blobs carry it.");
    } else if (area.type == TPM2_ALG_RSA) {
        remark(p, "It is neither an EK (template L-1) nor a storage root key that a service may trust.");
    }
}

static void show_blob(struct paste *p, const char *what, struct bytes blob)
{
    struct dps_activation a;
    show(p, POSIX_TRACE_ACTIVATION_BLOB, what, blob);
    if (dps_activation_parse(blob, &a) == 0)
        remark(p,
               "The EK opens the first two fields, the SRK the next two; both in one TPM (spec-notes.md).");
}

/* ---- TPM messages ------------------------------------------------------------------------------------------------ */

#define MESSAGE_HEADER 10

static uint32_t message_len(struct bytes bytes)
{
    struct bytes_reader r = bytes_reader_over(bytes);
    const uint16_t tag = bytes_read_u16(&r);
    const uint32_t len = bytes_read_u32(&r);
    const bool tagged = tag == TPM2_ST_NO_SESSIONS || tag == TPM2_ST_SESSIONS;
    return r.error == 0 && tagged && len >= MESSAGE_HEADER && len <= bytes.len ? len : 0;
}

/* A command has a code that is in the table; a response that is not TPM_RC_SUCCESS is a header and no more, and of the
 * commands that are only a header none has a code that is also a response code of this length. */
static bool is_command(struct bytes message)
{
    const uint32_t code = tpm2_explain_command_code(message);
    return tpm2_explain_command_name(code) != NULL &&
           (message.len > MESSAGE_HEADER || tpm2_explain_command(message, ignore_field, NULL) == 0);
}

#define FIRST_COMMAND 0x0000011FU /* TPM_CC_FIRST [P2 r1.59 6.5.2] */
#define LAST_COMMAND 0x0000019FU

/* A response does not say what it answers: the first command that it fits. */
static void guess_command(struct paste *p, struct bytes response)
{
    char others[160] = "";
    p->command_code = 0;
    if (response.len == MESSAGE_HEADER)
        return;
    for (uint32_t code = FIRST_COMMAND; code <= LAST_COMMAND; code++) {
        const char *name = tpm2_explain_command_name(code);
        if (name == NULL || tpm2_explain_response(code, response, ignore_field, NULL) != 0)
            continue;
        if (p->command_code == 0)
            p->command_code = code;
        const size_t len = strlen(others);
        snprintf(others + len, sizeof others - len, "%s%s", len > 0 ? ", " : "", name);
    }
    if (p->command_code == 0)
        device_say(
            "this response fits no command that is known here; --response-to NAME says what it answers");
    else
        device_say("a response does not say what it answers; this one fits %s. --response-to NAME chooses",
                   others);
}

static void show_message(struct paste *p, struct bytes message)
{
    if (is_command(message)) {
        p->command_code = tpm2_explain_command_code(message);
        show(p, POSIX_TRACE_COMMAND, NULL, message);
        return;
    }
    if (p->command_code == 0)
        guess_command(p, message);
    show(p, POSIX_TRACE_RESPONSE, NULL, message);
    p->command_code = 0;
}

/* Commands and responses one behind the other, as a log has them. */
static void show_messages(struct paste *p, struct bytes bytes)
{
    while (bytes.len > 0) {
        const uint32_t len = message_len(bytes);
        if (len == 0) {
            device_say("%zu bytes behind the last whole message are not shown", bytes.len);
            p->broken = true;
            return;
        }
        show_message(p, bytes_of(bytes.p, len));
        bytes = bytes_of(&bytes.p[len], bytes.len - len);
    }
}

/* ---- What is it? ------------------------------------------------------------------------------------------------- */

static bool show_ek(struct paste *p, const char *what, struct bytes bytes)
{
    struct posix_ek ek;
    char why[512];
    if (posix_ek_read(bytes, &ek, why, sizeof why) != 0)
        return false;
    if (!p->trace.json)
        printf("\n  %s, as the TPM2B_PUBLIC that it stands for%s:\n", ek.form,
               ek.from_modulus ? " if it was made from the template L-1" : "");
    show_public(p, what, bytes_of(ek.public_2b, ek.len));
    return true;
}

/* A TPMT_PUBLIC is a TPM2B_PUBLIC without its size. */
static bool show_public_without_size(struct paste *p, const char *what, struct bytes area)
{
    uint8_t whole[1024];
    struct bytes_writer w = bytes_writer_over(whole, sizeof whole);
    bytes_write_u16(&w, (uint16_t)area.len);
    bytes_write_bytes(&w, area);
    if (w.error != 0 || area.len > UINT16_MAX || !is_public(bytes_written(&w)))
        return false;
    show_public(p, what, bytes_written(&w));
    return true;
}

static bool show_binary(struct paste *p, const char *what, struct bytes bytes)
{
    struct dps_activation blob;
    if (message_len(bytes) > 0)
        show_messages(p, bytes);
    else if (is_public(bytes))
        show_public(p, what, bytes);
    else if (dps_activation_parse(bytes, &blob) == 0)
        show_blob(p, what, bytes);
    else if (!show_public_without_size(p, what, bytes))
        return show_ek(p, what, bytes);
    return true;
}

/* What a text carries in base64 is shown behind it. */
static void show_member(struct paste *p, struct bytes name, struct bytes value)
{
    static const char *const carriers[] = {"endorsementKey", "storageRootKey", "authenticationKey"};
    uint8_t bytes[DECODED_MAX];
    size_t len;
    for (size_t i = 0; i < sizeof carriers / sizeof carriers[0]; i++) {
        if (!bytes_equal_public(name, bytes_of_text(carriers[i])))
            continue;
        if (dps_json_string(value, bytes, sizeof bytes, &len) != 0 ||
            dps_base64_decode(bytes_of(bytes, len), bytes, sizeof bytes, &len) != 0 ||
            !show_binary(p, carriers[i], bytes_of(bytes, len))) {
            device_say("%s is no base64 of something that is known here", carriers[i]);
            p->broken = true;
        }
    }
}

/* dps_json_check has limited the nesting, and with it this recursion. */
static void show_members(struct paste *p, struct bytes container)
{
    size_t cursor = 0;
    struct bytes name;
    struct bytes value;
    const enum dps_json_kind kind = dps_json_kind(container);
    if (kind != DPS_JSON_OBJECT && kind != DPS_JSON_ARRAY)
        return;
    while (dps_json_next(container, &cursor, &name, &value)) {
        show_member(p, name, value);
        show_members(p, value);
    }
}

static void show_json(struct paste *p, struct bytes text)
{
    struct bytes value;
    show(p, POSIX_TRACE_JSON, NULL, text);
    if (dps_json_check(text, &value) == 0)
        show_members(p, value);
}

static void show_token(struct paste *p, struct bytes token)
{
    struct dps_sas sas;
    uint8_t text[64];
    struct bytes_writer w = bytes_writer_over(text, sizeof text);
    show(p, POSIX_TRACE_SAS_TOKEN, NULL, token);
    if (dps_sas_parse(token, &sas) != 0)
        return;
    dps_write_http_date(&w, sas.expiry);
    if (w.error == 0)
        remark(p, "It expires on %.*s.", (int)bytes_written(&w).len, (const char *)text);
    remark(p, "Signed text: printf '%%s\\n%%s' '%.*s' %.*s", (int)sas.sr.len, sas.sr.p, (int)sas.se.len,
           sas.se.p);
}

static void show_http(struct paste *p, enum posix_trace_subject subject, struct bytes message)
{
    struct dps_http http;
    uint8_t whole[DECODED_MAX];
    size_t len = message.len;
    struct bytes token;
    struct bytes value;
    show(p, subject, NULL, message);
    if (len > sizeof whole)
        return;
    memcpy(whole, message.p, len);
    dps_http_init(&http, subject == POSIX_TRACE_HTTP_REQUEST ? DPS_HTTP_REQUEST : DPS_HTTP_RESPONSE);
    if (dps_http_advance(&http, whole, &len, sizeof whole, true) != 0)
        return;
    if (dps_http_header(&http, whole, "Authorization", &token) == 0)
        show_token(p, token);
    const struct bytes body = dps_http_body(&http, whole);
    if (dps_json_check(body, &value) == 0)
        show_members(p, value);
}

static bool begins(struct bytes text, const char *start)
{
    const struct bytes s = bytes_of_text(start);
    return text.len >= s.len && dps_text_equal_nocase(bytes_of(text.p, s.len), s);
}

static struct bytes trimmed(struct bytes text)
{
    while (text.len > 0 && memchr(" \t\r\n", text.p[0], 4) != NULL)
        text = bytes_of(&text.p[1], text.len - 1);
    while (text.len > 0 && memchr(" \t\r\n", text.p[text.len - 1], 4) != NULL)
        text.len--;
    return text;
}

/* Hex and base64 are copied with line ends, blanks, quotes and colons in them; hex also as 0x80, 0x01. */
static struct bytes digits_of(struct bytes text, bool hex, uint8_t *out, size_t capacity)
{
    size_t digits = 0;
    for (size_t i = 0; i < text.len && digits < capacity; i++) {
        const bool prefix = hex && text.p[i] == '0' && i + 1 < text.len && dps_lower(text.p[i + 1]) == 'x';
        if (prefix)
            i++;
        else if (memchr(" \t\r\n\"',:;{}\\", text.p[i], 12) == NULL)
            out[digits++] = text.p[i];
    }
    return bytes_of(out, digits);
}

static struct bytes decoded(struct bytes text, uint8_t *out, size_t capacity)
{
    size_t len = 0;
    bool hex = true;
    const struct bytes digits = digits_of(text, true, out, capacity);
    for (size_t i = 0; i < digits.len; i++)
        hex = hex && dps_hex_digit(digits.p[i]) < 16;
    const int error = hex ? dps_hex_decode(digits, out, capacity, &len)
                          : dps_base64_decode(digits_of(text, false, out, capacity), out, capacity, &len);
    return error == 0 ? bytes_of(out, len) : bytes_of(NULL, 0);
}

static bool is_request(struct bytes text)
{
    static const char *const methods[] = {"GET /", "PUT /", "POST /", "DELETE /", "HEAD /", "PATCH /"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (begins(text, methods[i]))
            return true;
    }
    return false;
}

static bool show_text(struct paste *p, struct bytes text)
{
    const struct bytes token =
        begins(text, "Authorization:") ? trimmed(bytes_of(&text.p[14], text.len - 14)) : text;
    if (begins(token, "SharedAccessSignature "))
        show_token(p, token);
    else if (begins(text, "HTTP/1."))
        show_http(p, POSIX_TRACE_HTTP_RESPONSE, text);
    else if (is_request(text))
        show_http(p, POSIX_TRACE_HTTP_REQUEST, text);
    else if (begins(text, "{") || begins(text, "["))
        show_json(p, text);
    else if (begins(text, "-----BEGIN"))
        return show_ek(p, NULL, text);
    else {
        const struct bytes binary = decoded(text, p->t->pasted, sizeof p->t->pasted);
        return binary.len > 0 && show_binary(p, NULL, binary);
    }
    return true;
}

static bool is_text(struct bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.p[i] < 0x20 && memchr("\t\r\n", bytes.p[i], 3) == NULL)
            return false;
    }
    return true;
}

/* The user knows what it is: then it is shown as that, also if it is broken. */
static int show_as(struct paste *p, const char *kind, struct bytes bytes)
{
    static const struct {
        const char *name;
        enum posix_trace_subject subject;
    } kinds[] = {
        {"command", POSIX_TRACE_COMMAND},      {"response", POSIX_TRACE_RESPONSE},
        {"public", POSIX_TRACE_PUBLIC},        {"blob", POSIX_TRACE_ACTIVATION_BLOB},
        {"token", POSIX_TRACE_SAS_TOKEN},      {"json", POSIX_TRACE_JSON},
        {"request", POSIX_TRACE_HTTP_REQUEST}, {"answer", POSIX_TRACE_HTTP_RESPONSE},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kind, kinds[i].name) != 0)
            continue;
        const bool binary = kinds[i].subject <= POSIX_TRACE_RESPONSE ||
                            kinds[i].subject == POSIX_TRACE_PUBLIC ||
                            kinds[i].subject == POSIX_TRACE_ACTIVATION_BLOB;
        const struct bytes raw =
            binary && is_text(bytes) ? decoded(bytes, p->t->pasted, sizeof p->t->pasted) : bytes;
        if (kinds[i].subject == POSIX_TRACE_COMMAND)
            p->command_code = tpm2_explain_command_code(raw);
        show(p, kinds[i].subject, NULL, raw);
        return 0;
    }
    device_say("--as is command, response, public, blob, token, json, request or answer, not \"%s\"", kind);
    return POSIX_EXIT_USAGE;
}

static int command_named(const char *name, uint32_t *code)
{
    *code = 0;
    for (uint32_t c = FIRST_COMMAND; name != NULL && c <= LAST_COMMAND && *code == 0; c++) {
        const char *known = tpm2_explain_command_name(c);
        if (known != NULL && (strcmp(name, known) == 0 || strcmp(name, known + strlen("TPM2_")) == 0))
            *code = c;
    }
    if (name != NULL && *code == 0)
        device_say("--response-to: no command \"%s\" is known here", name);
    return name != NULL && *code == 0 ? POSIX_EXIT_USAGE : 0;
}

static int unknown(struct bytes bytes)
{
    uint8_t text[2 * 16];
    struct bytes_writer w = bytes_writer_over(text, sizeof text);
    dps_write_hex(&w, bytes_of(bytes.p, bytes.len < 16 ? bytes.len : 16));
    device_say(
        "what is this? %zu bytes that begin with %.*s are, as raw bytes, hex or base64, no TPM command or "
        "response, TPM2B_PUBLIC, activation blob, SAS token, enrollment or HTTP message; "
        "--as KIND shows how far it can be read as one",
        bytes.len, (int)bytes_written(&w).len, (const char *)text);
    return POSIX_EXIT_REFUSED;
}

int device_explain(struct device_tool *t)
{
    static struct paste paste;
    const struct device_options *o = &t->options;
    const char *path = o->operand != NULL ? o->operand : "-";
    struct bytes input;
    int exit_code = command_named(o->response_to, &paste.command_code);
    if (exit_code == 0 && o->format != NULL && strcmp(o->format, "json") != 0 &&
        strcmp(o->format, "text") != 0) {
        device_say("--format is text or json, not \"%s\"", o->format);
        exit_code = POSIX_EXIT_USAGE;
    }
    if (exit_code == 0 && strcmp(path, "-") == 0 && isatty(STDIN_FILENO) == 1)
        device_say("paste it here, and end with Ctrl-D on a line of its own");
    if (exit_code == 0)
        exit_code = device_input(path, t->paste, sizeof t->paste, &input);
    if (exit_code != 0)
        return exit_code;
    paste.t = t;
    posix_trace_open(&paste.trace, stdout, o->format != NULL && strcmp(o->format, "json") == 0);
    const struct bytes bytes = is_text(input) ? trimmed(input) : input;
    if (o->as != NULL)
        exit_code = show_as(&paste, o->as, bytes);
    else if (!(is_text(bytes) ? show_text(&paste, bytes) : show_binary(&paste, NULL, bytes)))
        exit_code = unknown(bytes);
    posix_trace_close(&paste.trace);
    return exit_code == 0 && paste.broken ? POSIX_EXIT_REFUSED : exit_code;
}
