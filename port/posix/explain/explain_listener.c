/* SPDX-License-Identifier: MIT */
/* What a listener has read on the bus of a capture: in clear, hidden by sessions, and what lets him guess a password at
 * home. */
#include "crypto/crypto.h"
#include "port/posix/explain/explain.h"
#include "port/posix/explain/trace_private.h"
#include "tpm/tools/explain.h"
#include "tpm/tpm2.h"
#include <string.h>

#define HEADER_SIZE 10
#define LIST_AT 4 /* column */

struct hearing {
    struct explain_paste *p;
    struct bytes message;
    const char *command; /* its name */
    uint32_t code;
    char handles[TRACE_HANDLES_MAX][32]; /* what they are called */
    size_t authorizations;               /* so far; the i-th is for the i-th handle */
};

/* "certInfo (TPM2_ActivateCredential)", once. What does not fit is left out. */
static void add(char list[EXPLAIN_HEARD_MAX], const char *what, const char *command)
{
    char item[120];
    const size_t len = strlen(list);
    (void)snprintf(item, sizeof item, "%s (%s)", what, command);
    if (strstr(list, item) == NULL && len + 2 + strlen(item) < EXPLAIN_HEARD_MAX) {
        (void)snprintf(list + len, EXPLAIN_HEARD_MAX - len, "%s%s", len > 0 ? ", " : "", item);
    }
}

/* No password, but as good as one, where no session hides it. */
static bool is_worth_hiding(const struct tpm2_field *f)
{
    return strcmp(f->name, "certInfo") == 0 || strcmp(f->name, "encryptionKey") == 0 ||
           strcmp(f->type, "TPM2B_SENSITIVE_DATA") == 0;
}

static void hear_password(struct hearing *h, const struct tpm2_field *f)
{
    char what[64] = "password";
    const struct bytes content = bytes_of(h->message.p + f->offset + 2, f->len - 2);
    if (strcmp(f->name, "hmac") != 0) {
        add(h->p->heard.in_clear, f->name, h->command);
    } else if (content.len != CRYPTO_SHA256_SIZE || trace_is_text(content)) {
        if (h->authorizations - 1 < TRACE_HANDLES_MAX) {
            (void)snprintf(what, sizeof what, "password of %s", h->handles[h->authorizations - 1]);
        }
        add(h->p->heard.in_clear, what, h->command);
    }
}

static void hear_handle(struct hearing *h, const struct tpm2_field *f)
{
    const size_t i = (f->offset - HEADER_SIZE) / 4;
    if (f->value_name != NULL) {
        (void)snprintf(h->handles[i], sizeof h->handles[i], "%s", f->value_name);
    } else {
        (void)snprintf(h->handles[i], sizeof h->handles[i], "0x%08x", (unsigned)f->value);
    }
    if (h->code == TPM2_CC_START_AUTH_SESSION) {
        h->p->tpm_key = i == 0 ? (uint32_t)f->value : h->p->tpm_key;
        h->p->bind = i == 1 ? (uint32_t)f->value : h->p->bind;
    }
}

static void hear_field(void *context, const struct tpm2_field *f)
{
    struct hearing *h = context;
    if (f->encrypted) {
        add(h->p->heard.encrypted, f->name, h->command);
    } else if (f->kind == TPM2_FIELD_BUFFER && f->len > 2 && f->secret) {
        hear_password(h, f);
    } else if (f->kind == TPM2_FIELD_BUFFER && f->len > 2 && is_worth_hiding(f)) {
        add(h->p->heard.in_clear, f->name, h->command);
    } else if (strcmp(f->type, "TPM_HANDLE") == 0 && f->depth == 0 && f->offset >= HEADER_SIZE &&
               f->offset < HEADER_SIZE + 4 * TRACE_HANDLES_MAX) {
        hear_handle(h, f);
    }
    h->authorizations += strcmp(f->name, "sessionHandle") == 0 && f->depth > 0;
}

/* ---- Sessions without a salt ------------------------------------------------------------------------------------- */

/* A handle that is used again is another session. */
static void keep_session(struct explain_paste *p, uint32_t session)
{
    struct explain_heard *heard = &p->heard;
    size_t free_place = EXPLAIN_UNSALTED_MAX;
    for (size_t i = 0; i < EXPLAIN_UNSALTED_MAX; i++) {
        if (heard->unsalted[i].session == session) {
            heard->unsalted[i].session = 0;
        }
        free_place = heard->unsalted[i].session == 0 && free_place == EXPLAIN_UNSALTED_MAX ? i : free_place;
    }
    if (p->tpm_key == TPM2_RH_NULL && free_place < EXPLAIN_UNSALTED_MAX) {
        heard->unsalted[free_place].session = session;
        heard->unsalted[free_place].bind = p->bind;
    }
}

/* Without a salt the key of its HMAC is the password of what it is bound to and of what it authorizes
 * [P1 r1.59 19.6.8]. */
static void hear_hmac(struct hearing *h, const struct trace_session *session, size_t index)
{
    char what[64];
    for (size_t i = 0; i < EXPLAIN_UNSALTED_MAX; i++) {
        if (h->p->heard.unsalted[i].session != session->handle || session->hmac.len == 0) {
            continue;
        }
        if (h->p->heard.unsalted[i].bind != TPM2_RH_NULL) {
            (void)snprintf(what, sizeof what, "password of 0x%08x", (unsigned)h->p->heard.unsalted[i].bind);
            add(h->p->heard.guessable, what, h->command);
        }
        if (session->handle >> TPM2_HT_SHIFT == TPM2_HT_HMAC_SESSION &&
            index < h->p->trace.sessions.handle_count) {
            (void)snprintf(what, sizeof what, "password of %s", h->handles[index]);
            add(h->p->heard.guessable, what, h->command);
        }
    }
}

/* ---- All of it --------------------------------------------------------------------------------------------------- */

void explain_hear(struct explain_paste *p, bool command, struct bytes message)
{
    const char *name = tpm2_explain_command_name(p->command_code);
    struct hearing h = {.p = p, .message = message, .command = name, .code = p->command_code};
    const struct trace_sessions *s = &p->trace.sessions;
    if (!p->trace.capture || name == NULL) {
        return;
    }
    p->heard.messages++;
    if (!command) {
        h.code = 0; /* its handles are none of a command */
        (void)tpm2_explain_response(p->command_code, message, hear_field, &h);
        if (s->new_session != 0) {
            keep_session(p, s->new_session);
        }
        return;
    }
    (void)tpm2_explain_command(message, hear_field, &h);
    for (size_t i = 0; i < s->count; i++) {
        hear_hmac(&h, &s->list[i], i);
    }
}

static void tell(struct trace *t, const char *title, const char *list)
{
    trace_column(t, TRACE_HEX_AT);
    trace_style(t, TRACE_NAME);
    trace_words(t, title, TRACE_HEX_AT);
    trace_style(t, TRACE_PLAIN);
    trace_words(t, " ", LIST_AT);
    trace_words(t, list[0] != 0 ? list : "nothing", LIST_AT);
    trace_newline(t);
}

void explain_tell_heard(struct explain_paste *p)
{
    struct trace *t = &p->trace;
    if (t->json || p->heard.messages == 0) {
        return;
    }
    trace_newline(t);
    trace_style(t, TRACE_HEADING);
    trace_words(t, "What a listener on the TPM's bus read:", TRACE_HEX_AT);
    trace_style(t, TRACE_PLAIN);
    trace_newline(t);
    tell(t, "In clear:", p->heard.in_clear);
    tell(t, "Encrypted by sessions:", p->heard.encrypted);
    tell(t, "Keys of HMACs that can be guessed at home, since the session has no salt:", p->heard.guessable);
}
