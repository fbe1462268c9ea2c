/* SPDX-License-Identifier: MIT */
/* What is shown of a value: of a field, in the readable form, and of a secret, in both. */
#include "crypto/crypto.h"
#include "port/posix/explain/trace_private.h"
#include "tpm/tools/explain.h"
#include <string.h>

/* The value of a field without a sentence of its own, in digits or as a name. */
void trace_value(struct trace *t, const struct tpm2_field *f)
{
    char text[64] = "";
    if (f->kind == TPM2_FIELD_INTEGER && f->value_name != NULL) {
        (void)snprintf(text, sizeof text, "%s", f->value_name);
    } else if (f->kind == TPM2_FIELD_INTEGER && (f->bits == NULL || f->value == 0)) {
        (void)snprintf(text, sizeof text, "%llu", (unsigned long long)f->value);
    } else if (f->kind == TPM2_FIELD_BUFFER || f->leaf) {
        const size_t size_field = f->kind == TPM2_FIELD_BUFFER ? 2 : 0;
        if (f->kind != TPM2_FIELD_INTEGER && f->len > size_field) {
            (void)snprintf(text, sizeof text, "%zu bytes", f->len - size_field);
        } else if (f->kind == TPM2_FIELD_BUFFER) {
            (void)snprintf(text, sizeof text, "empty");
        }
    }
    trace_words(t, text, TRACE_TEXT_AT);
    if (f->meaning != NULL) {
        trace_words(t, text[0] != 0 ? ": " : "", TRACE_TEXT_AT);
        trace_words(t, f->meaning, TRACE_TEXT_AT);
    }
}

void trace_bits(struct trace *t, const struct tpm2_field *f)
{
    for (const struct tpm2_bit *bit = f->bits; bit != NULL && bit->name != NULL; bit++) {
        if ((f->value & bit->mask) == 0) {
            continue;
        }
        trace_column(t, TRACE_NAME_AT + 2 * (size_t)f->depth + 2);
        trace_style(t, TRACE_NAME);
        trace_words(t, bit->name, TRACE_NAME_AT);
        trace_style(t, TRACE_PLAIN);
        if (bit->meaning != NULL) {
            trace_column(t, TRACE_TEXT_AT);
            trace_words(t, bit->meaning, TRACE_TEXT_AT);
        }
        trace_newline(t);
    }
}

/* ---- Passwords --------------------------------------------------------------------------------------------------- */

bool trace_is_blank(struct bytes content)
{
    uint8_t all = 0;
    for (size_t i = 0; i < content.len; i++) {
        all |= content.p[i];
    }
    return content.len > 0 && all == 0;
}

bool trace_is_text(struct bytes content)
{
    for (size_t i = 0; i < content.len; i++) {
        if (content.p[i] < 0x20 || content.p[i] >= 0x7F) {
            return false;
        }
    }
    return content.len > 0;
}

bool trace_is_hmac(const char *name, struct bytes content)
{
    return strcmp(name, "hmac") == 0 && content.len == CRYPTO_SHA256_SIZE && !trace_is_blank(content) &&
           !trace_is_text(content);
}

/* ---- Secrets ----------------------------------------------------------------------------------------------------- */

#define SECRET_LINE 32 /* bytes */

struct secrets {
    struct trace *t;
    unsigned step;
    const char *what;
    bool begun;
};

static void write_secret(void *context, const struct trace_secret *secret)
{
    struct secrets *all = context;
    struct trace *t = all->t;
    trace_column(t, TRACE_HEX_AT);
    trace_style(t, TRACE_NAME);
    trace_words(t, all->begun ? "        " : "Secret: ", TRACE_HEX_AT);
    trace_words(t, secret->name, TRACE_HEX_AT);
    trace_style(t, TRACE_PLAIN);
    trace_column(t, TRACE_NAME_AT);
    trace_words(t, secret->meaning, TRACE_NAME_AT);
    trace_newline(t);
    for (size_t at = 0; at < secret->bytes.len; at += SECRET_LINE) {
        const size_t left = secret->bytes.len - at;
        trace_column(t, TRACE_NAME_AT);
        trace_style(t, TRACE_BYTES);
        trace_json_hex(t, bytes_of(&secret->bytes.p[at], left < SECRET_LINE ? left : SECRET_LINE));
        trace_style(t, TRACE_PLAIN);
        trace_newline(t);
    }
    all->begun = true;
}

static void json_secret(void *context, const struct trace_secret *secret)
{
    struct secrets *all = context;
    FILE *out = all->t->out;
    if (!all->begun) {
        const char *name = tpm2_explain_command_name(all->t->sessions.code);
        (void)fprintf(out, "{\"step\":%u,\"kind\":\"secrets\",\"what\":", all->step);
        trace_json_string(all->t, bytes_of_text(all->what != NULL ? all->what : ""));
        (void)fprintf(out, ",\"name\":\"%s\",\"values\":[", name != NULL ? name : "");
    }
    (void)fprintf(out, "%s{\"session\":%u,\"name\":\"%s\",\"hex\":\"", all->begun ? "," : "",
                  (unsigned)secret->session, secret->name);
    trace_json_hex(all->t, secret->bytes);
    (void)fprintf(out, "\",\"meaning\":\"%s\"}", secret->meaning);
    all->begun = true;
}

void trace_show_secrets(struct trace *t, unsigned step, const char *what)
{
    struct secrets all = {.t = t, .step = step, .what = what};
    trace_secrets(t->device, &t->sessions, t->json ? json_secret : write_secret, &all);
    if (all.begun && t->json) {
        (void)fputs("]}\n", t->out);
    }
}
