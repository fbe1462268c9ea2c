/* SPDX-License-Identifier: MIT */
/* Bytes: TPM messages, keys and activation blobs. */
#include "dps/protocol/activation.h"
#include "dps/protocol/registration_id.h"
#include "dps/protocol/text.h"
#include "dps/service/enrollment.h"
#include "port/posix/explain/explain.h"
#include "port/posix/paste/capture.h"
#include "port/posix/paste/ek_forms.h"
#include "port/posix/paste/paste.h"
#include "port/posix/pki/pem.h"
#include "tpm/tools/explain.h"
#include <string.h>

static void ignore_field(void *context, const struct tpm2_field *field)
{
    (void)context;
    (void)field;
}

static void remark_hex(struct explain_paste *p, const char *what, struct bytes bytes)
{
    uint8_t text[2 * 64];
    struct bytes_writer w = bytes_writer_over(text, sizeof text);
    dps_write_hex(&w, bytes);
    explain_remark(p, "%s %.*s", what, (int)bytes_written(&w).len, (const char *)text);
}

/* ---- Structures -------------------------------------------------------------------------------------------------- */

static bool is_public(struct bytes bytes)
{
    return tpm2_explain_public(bytes, ignore_field, NULL) == 0;
}

/* Why it is not an EK, if it is a key at all. */
static void remark_other_key(struct explain_paste *p, struct bytes public_2b)
{
    struct ek ek;
    char why[256];
    if (ek_read(public_2b, &ek, why, sizeof why) == BYTES_E_ALGORITHM) {
        explain_remark(p, "%s.", why);
    }
}

static void show_public(struct explain_paste *p, const char *what, struct bytes public_2b)
{
    const struct tpm2_public ek = tpm2_template_ek_l1();
    const struct tpm2_public hmac = tpm2_template_hmac_key(bytes_of(NULL, 0));
    struct tpm2_public area;
    uint8_t name[TPM2_NAME_SIZE];
    explain_show(p, TRACE_PUBLIC, what, public_2b);
    if (tpm2_public_parse_2b(public_2b, &area) != 0) {
        remark_other_key(p, public_2b);
        return;
    }
    tpm2_name_of(public_2b, name);
    remark_hex(p, "Its Name (nameAlg and SHA-256 of all but the size field):", bytes_of(name, sizeof name));
    if (tpm2_public_matches(&area, &ek)) {
        char id[DPS_DEFAULT_REGISTRATION_ID_SIZE];
        dps_registration_id_default(public_2b, id);
        explain_remark(
            p, "It is an endorsement key (EK Credential Profile, template L-1). Registration ID by default:");
        explain_remark(p, "%s", id);
    } else if (area.type == TPM2_ALG_RSA && dps_srk_check(&area) == DPS_ACCEPTED) {
        explain_remark(p, "It is a storage root key that a service may trust: it cannot leave its TPM.");
        explain_remark(
            p, dps_srk_is_hardened(&area)
                   ? "It is the hardened one: good for TPM2_Import and TPM2_Load only."
                   : "It is the standard one: TPM2_Rewrap, where a TPM has it, takes keys out of it.");
    } else if (tpm2_public_matches(&area, &hmac)) {
        explain_remark(p, "It is an HMAC key as activation blobs carry it.");
    } else if (area.type == TPM2_ALG_RSA) {
        explain_remark(p,
                       "It is neither an EK (template L-1) nor a storage root key that a service may trust.");
    }
}

static void show_blob(struct explain_paste *p, const char *what, struct bytes blob)
{
    struct dps_activation a;
    explain_show(p, TRACE_ACTIVATION_BLOB, what, blob);
    if (dps_activation_parse(blob, &a) == 0) {
        explain_remark(
            p, "The EK opens the first two fields, the SRK the next two; both in one TPM (spec-notes.md).");
    }
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

uint32_t explain_command_named(const char *name)
{
    for (uint32_t c = FIRST_COMMAND; c <= LAST_COMMAND; c++) {
        const char *known = tpm2_explain_command_name(c);
        if (known != NULL && (strcmp(name, known) == 0 || strcmp(name, known + strlen("TPM2_")) == 0)) {
            return c;
        }
    }
    return 0;
}

/* A response does not say what it answers: take the first command that it fits. */
static void guess_command(struct explain_paste *p, struct bytes response)
{
    char others[160] = "";
    p->command_code = 0;
    if (response.len == MESSAGE_HEADER) {
        return;
    }
    for (uint32_t code = FIRST_COMMAND; code <= LAST_COMMAND; code++) {
        const char *name = tpm2_explain_command_name(code);
        if (name == NULL || tpm2_explain_response(code, response, ignore_field, NULL) != 0) {
            continue;
        }
        if (p->command_code == 0) {
            p->command_code = code;
        }
        const size_t len = strlen(others);
        snprintf(others + len, sizeof others - len, "%s%s", len > 0 ? ", " : "", name);
    }
    if (p->command_code == 0) {
        explain_say(
            "this response fits no command that is known here; --response-to NAME says what it answers");
    } else {
        explain_say("a response does not say what it answers; this one fits %s. --response-to NAME chooses",
                    others);
    }
}

static void show_message(struct explain_paste *p, struct bytes message)
{
    if (is_command(message)) {
        p->command_code = tpm2_explain_command_code(message);
        p->answered = 0;
        explain_show(p, TRACE_COMMAND, p->comment, message);
        explain_hear(p, true, message);
        return;
    }
    if (p->command_code == 0) {
        p->command_code = p->answered;
    }
    if (p->command_code == 0) {
        guess_command(p, message);
    }
    explain_show(p, TRACE_RESPONSE, p->comment, message);
    explain_hear(p, false, message);
    p->answered = p->many ? p->command_code : 0;
    p->command_code = 0;
}

/* Commands and responses, one after the other, as a log has them. */
static void show_messages(struct explain_paste *p, struct bytes bytes)
{
    while (bytes.len > 0) {
        const uint32_t len = message_len(bytes);
        if (len == 0) {
            explain_say("%zu bytes after the last whole message are not shown", bytes.len);
            p->broken = true;
            return;
        }
        show_message(p, bytes_of(bytes.p, len));
        bytes = bytes_of(&bytes.p[len], bytes.len - len);
    }
}

bool explain_message(struct explain_paste *p, bool command, struct bytes bytes)
{
    if (message_len(bytes) != bytes.len || bytes.len == 0) {
        return false;
    }
    if (command) {
        p->command_code = tpm2_explain_command_code(bytes);
    }
    explain_show(p, command ? TRACE_COMMAND : TRACE_RESPONSE, NULL, bytes);
    return true;
}

/* Remove what the TPM simulator's protocol (port/posix/tpm.c) puts around a message, if it is there. */
static struct bytes without_simulator(struct bytes bytes)
{
    enum { SEND_COMMAND = 8, COMMAND_HEADER = 9, ANSWER_HEADER = 4, ANSWER_END = 4 };
    struct bytes_reader r = bytes_reader_over(bytes);
    const uint32_t first = bytes_read_u32(&r);
    if (first == SEND_COMMAND && bytes.len > COMMAND_HEADER) {
        return bytes_of(bytes.p + COMMAND_HEADER, bytes.len - COMMAND_HEADER);
    }
    if (bytes.len > ANSWER_HEADER &&
        first == message_len(bytes_of(bytes.p + ANSWER_HEADER, bytes.len - ANSWER_HEADER)) &&
        (first == bytes.len - ANSWER_HEADER || first == bytes.len - ANSWER_HEADER - ANSWER_END)) {
        return bytes_of(bytes.p + ANSWER_HEADER, first);
    }
    return bytes;
}

bool explain_messages(struct explain_paste *p, struct bytes bytes)
{
    const struct bytes messages = without_simulator(bytes);
    if (message_len(messages) == 0) {
        return false;
    }
    show_messages(p, messages);
    return true;
}

/* ---- What is it? ------------------------------------------------------------------------------------------------- */

bool explain_ek(struct explain_paste *p, const char *what, struct bytes text)
{
    struct ek ek;
    char why[sizeof p->refusal];
    const int error = ek_read(text, &ek, why, sizeof why);
    if (error == BYTES_E_ALGORITHM) { /* it is a key */
        explain_say("%s", why);
        p->broken = true;
        p->shown++;
        return true;
    }
    if (error != 0) {
        if (paste_find(text, "-----BEGIN") < text.len || pem_label_of_der(text) != NULL) {
            memcpy(p->refusal, why, sizeof why);
        }
        return false;
    }
    if (!p->trace.json) {
        printf("\n  %s, as TPM2B_PUBLIC%s:\n", ek.form,
               ek.from_modulus ? " if it was made from the template L-1" : "");
    }
    show_public(p, what, bytes_of(ek.public_2b, ek.len));
    return true;
}

/* A TPMT_PUBLIC is a TPM2B_PUBLIC without its size. */
static bool show_public_without_size(struct explain_paste *p, const char *what, struct bytes area)
{
    uint8_t whole[1024];
    struct bytes_writer w = bytes_writer_over(whole, sizeof whole);
    bytes_write_2b(&w, area);
    if (w.error != 0 || !is_public(bytes_written(&w))) {
        return false;
    }
    show_public(p, what, bytes_written(&w));
    return true;
}

bool explain_bytes(struct explain_paste *p, const char *what, struct bytes bytes)
{
    struct dps_activation blob;
    struct capture_packet packet;
    if (explain_messages(p, bytes)) {
        return true;
    }
    if (is_public(bytes)) {
        show_public(p, what, bytes);
    } else if (dps_activation_parse(bytes, &blob) == 0) {
        show_blob(p, what, bytes);
    } else if (capture_packet_of(bytes, &packet) && packet.payload.len > 0) {
        return explain_bytes(p, what, packet.payload); /* shorter each time */
    } else if (paste_is_text(bytes)) {
        return explain_http(p, bytes) || explain_ek(p, what, bytes); /* base64 of a PEM file */
    } else if (!show_public_without_size(p, what, bytes)) {
        return explain_ek(p, what, bytes);
    }
    return true;
}
