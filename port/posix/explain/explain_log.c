/* SPDX-License-Identifier: MIT */
/* Response codes as kernels, libraries and tools print them, and TPM messages in logs.
 *
 *   alone      0x98e, 0x0000098E, 98e, 2446, -2144862208, TPM_RC_AUTH_FAIL, rc 0x000b0143
 *   Linux      tpm tpm0: A TPM error (2446) occurred attempting to ...
 *   tpm2-tss   ERROR:esys:...:Esys_Load() Esys Finish ErrorCode (0x000001df)
 *   tpm2-tools ERROR: Esys_Load(0x1DF) - tpm:parameter(1):integrity check failed
 *   wolfTPM    TPM2_Load failed 479: TPM_RC_INTEGRITY
 *   ibmtss     load: failed, rc 000001df */
#include "dps/protocol/text.h"
#include "port/posix/explain/explain.h"
#include "port/posix/paste/paste.h"
#include "tpm/rc.h"
#include "tpm/tools/rc_text.h"
#include <ctype.h>
#include <string.h>

#define CODES_MAX 32 /* different ones of one text: more are not shown */

struct codes {
    struct explain_paste *p;
    uint32_t seen[CODES_MAX];
    size_t count;
};

static bool is_known(uint32_t rc)
{
    return tpm2_rc_name(tpm2_rc_decode(rc).code) != NULL;
}

static void show_code(struct explain_paste *p, uint32_t rc)
{
    uint8_t bytes[4];
    struct bytes_writer w = bytes_writer_over(bytes, sizeof bytes);
    bytes_write_u32(&w, rc);
    explain_show(p, TRACE_RESPONSE_CODE, NULL, bytes_written(&w));
}

/* Each once, however often it is logged. */
static void show_once(struct codes *c, uint32_t rc)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->seen[i] == rc) {
            return;
        }
    }
    if (c->count < CODES_MAX) {
        c->seen[c->count++] = rc;
        show_code(c->p, rc);
    }
}

/* ---- Numbers ----------------------------------------------------------------------------------------------------- */

static struct bytes behind(struct bytes text, size_t n)
{
    return bytes_of(text.p + n, text.len - n);
}

static bool is_name(uint8_t c)
{
    return isalnum(c) || c == '_';
}

/* Of a base, the whole word; at most 32 bits. */
static bool read_digits(struct bytes word, unsigned base, uint32_t *value)
{
    uint64_t n = 0;
    for (size_t i = 0; i < word.len; i++) {
        const uint8_t digit = dps_hex_digit(word.p[i]);
        if (digit >= base || (n = n * base + digit) > UINT32_MAX) {
            return false;
        }
    }
    *value = (uint32_t)n;
    return word.len > 0;
}

static bool has_prefix(struct bytes word)
{
    return word.len > 2 && word.p[0] == '0' && dps_lower(word.p[1]) == 'x';
}

/* "TPM_RC_INTEGRITY", also TPM2_RC_ as tpm2-tss and RC_ as some write it. */
static bool read_name(struct bytes word, uint32_t *value)
{
    char name[40];
    const size_t at = paste_find(word, "RC_");
    if (at > strlen("TPM2_") || at == word.len || word.len - at > 32) {
        return false;
    }
    snprintf(name, sizeof name, "TPM_%.*s", (int)(word.len - at), (const char *)word.p + at);
    return tpm2_rc_named(bytes_of_text(name), value);
}

/* A word where a code is expected. Decimal before hex: Linux prints decimal, and whatever prints hex adds
 * 0x or writes all eight digits. */
static bool read_code(struct bytes word, uint32_t *value)
{
    enum { ALL_DIGITS = 8, FEWEST_DIGITS = 3 };
    const bool minus = word.len > 1 && word.p[0] == '-';
    if (has_prefix(word)) {
        return read_digits(behind(word, 2), 16, value);
    }
    if (minus && read_digits(behind(word, 1), 10, value)) { /* an HRESULT of Windows */
        *value = ~*value + 1;
        return is_known(*value);
    }
    if (word.len == ALL_DIGITS && read_digits(word, 16, value) && is_known(*value)) {
        return true;
    }
    if (read_digits(word, 10, value)) {
        uint32_t hex;
        if (!is_known(*value) && read_digits(word, 16, &hex) && word.len >= FEWEST_DIGITS && is_known(hex)) {
            *value = hex;
        }
        return true;
    }
    return (word.len >= FEWEST_DIGITS && read_digits(word, 16, value)) || read_name(word, value);
}

/* ---- One code ---------------------------------------------------------------------------------------------------- */

/* "rc=", "RC:", "error " in front of it, quotes and brackets around it. */
bool explain_code(struct explain_paste *p, struct bytes text)
{
    static const char *const labels[] = {
        "responseCode", "response code", "return code", "error code", "errorcode",
        "error",        "code",          "tss2_rc",     "tpm_rc ",    "rc"};
    enum { LONGEST = 60 };
    uint32_t rc;
    struct bytes word = text;
    if (text.len > LONGEST) {
        return false;
    }
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        const size_t len = strlen(labels[i]);
        if (paste_begins(word, labels[i]) && word.len > len && !is_name(word.p[len])) {
            word = behind(word, len);
        }
    }
    while (word.len > 0 && strchr(" \t\"'`([=:", word.p[0]) != NULL && word.p[0] != 0) {
        word = behind(word, 1);
    }
    while (word.len > 0 && strchr(" \t\"'`)],;.", word.p[word.len - 1]) != NULL &&
           word.p[word.len - 1] != 0) {
        word.len--;
    }
    if (!read_code(word, &rc)) {
        return false;
    }
    show_code(p, rc);
    if (!has_prefix(word) && word.len > 0 && isdigit(word.p[0]) && word.len != 8) {
        explain_remark(p, "Read as 0x%x; put 0x in front of hexadecimal digits.", (unsigned)rc);
    }
    return true;
}

/* ---- Lines of logs ----------------------------------------------------------------------------------------------- */

static bool says_failure(struct bytes line)
{
    static const char *const words[] = {"error",  "fail",     "rc",     "code",
                                        "return", "response", "status", "TPM_E_"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (paste_find(line, words[i]) < line.len) {
            return true;
        }
    }
    return false;
}

static size_t word_len(struct bytes text)
{
    size_t len = 0;
    while (len < text.len && is_name(text.p[len])) {
        len++;
    }
    return len;
}

/* A number without 0x is a code only where one is expected: "TPM error (2446)", "rc 000001df", "failed 479". */
static bool is_due(struct bytes before)
{
    static const char *const words[] = {"error", "rc", "failed", "code", "failure"};
    while (before.len > 0 && strchr(" \t(:=", before.p[before.len - 1]) != NULL &&
           before.p[before.len - 1] != 0) {
        before.len--;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const size_t len = strlen(words[i]);
        if (before.len >= len &&
            dps_text_equal_nocase(bytes_of(before.p + before.len - len, len), bytes_of_text(words[i]))) {
            return true;
        }
    }
    return false;
}

static void show_codes_of(struct codes *c, struct bytes line)
{
    for (size_t at = 0; at < line.len;) {
        uint32_t rc = 0;
        const size_t len = word_len(behind(line, at));
        const struct bytes word = bytes_of(line.p + at, len);
        const bool found = len > 0 && (has_prefix(word)               ? read_code(word, &rc) && rc > 0xFF
                                       : is_due(bytes_of(line.p, at)) ? read_code(word, &rc)
                                                                      : read_name(word, &rc));
        if (found && rc != 0 && is_known(rc)) {
            show_once(c, rc);
        }
        at += len > 0 ? len : 1;
    }
}

bool explain_codes_in_lines(struct explain_paste *p, struct bytes text)
{
    struct codes c = {.p = p};
    while (text.len > 0) {
        const struct bytes line = paste_next_line(&text);
        if (says_failure(line)) {
            show_codes_of(&c, line);
        }
    }
    return c.count > 0;
}

/* ---- Messages in logs -------------------------------------------------------------------------------------------- */

/* What the line before a block of bytes says of it. The first that is in it counts. */
enum label { LABEL_NONE, LABEL_COMMAND, LABEL_RESPONSE, LABEL_CONTROL };
static const struct {
    const char *words;
    enum label label;
} block_labels[] = {
    {"Ctrl Cmd", LABEL_CONTROL},      {"Ctrl Rsp", LABEL_CONTROL}, /* swtpm's control channel */
    {"SWTPM_IO_Read", LABEL_COMMAND}, {"SWTPM_IO_Write", LABEL_RESPONSE}, {"response", LABEL_RESPONSE},
    {"receiv", LABEL_RESPONSE},       {"command", LABEL_COMMAND},         {"sending", LABEL_COMMAND},
};

static enum label label_of(struct bytes line)
{
    for (size_t i = 0; i < sizeof block_labels / sizeof block_labels[0]; i++) {
        if (paste_find(line, block_labels[i].words) < line.len) {
            return block_labels[i].label;
        }
    }
    return LABEL_NONE;
}

static bool explain_block(struct explain_paste *p, enum label label, struct bytes bytes)
{
    const bool known = label == LABEL_COMMAND || label == LABEL_RESPONSE;
    return (known && explain_message(p, label == LABEL_COMMAND, bytes)) || explain_bytes(p, NULL, bytes);
}

/* A simulator's log, a hexdump beside other text: every block of bytes is looked at by itself. */
bool explain_dumps(struct explain_paste *p, struct bytes text)
{
    enum { HEADER = 10 }; /* of a TPM message */
    struct paste_dump d = {.rest = text};
    unsigned others = 0;
    size_t len;
    int error;
    bool any = false;
    p->many = true;
    while ((error = paste_dump_next(&d, p->bytes, sizeof p->bytes, &len)) != BYTES_E_NOT_FOUND) {
        const enum label label = label_of(d.label);
        if (error != 0) {
            explain_say("a hexdump in it has lines that are missing or cut off, and is not shown");
            p->broken = true;
            any = true;
        } else if (label != LABEL_CONTROL && len >= HEADER &&
                   explain_block(p, label, bytes_of(p->bytes, len))) {
            any = true;
        } else {
            others += label != LABEL_CONTROL && len >= HEADER;
        }
    }
    if (any && others > 0) {
        explain_say("%u blocks of bytes in it are nothing that is known here, and are not shown", others);
    }
    return any;
}
