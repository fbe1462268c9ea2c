/* SPDX-License-Identifier: MIT */
#include "port/posix/explain/trace_session.h"
#include "tpm/tools/explain.h"
#include "tpm/tpm2.h"
#include <stdio.h>
#include <string.h>

#define HEADER_SIZE 10

/* Where things stand is what explain.c knows. */
struct places {
    size_t authorizations; /* after their size; 0: there are none */
    size_t parameters;     /* of a response: after parameterSize; 0: it has no sessions */
    size_t encrypted_at;   /* the parameter, with its size */
    const char *encrypted;
};

static void find_places(void *context, const struct tpm2_field *field)
{
    struct places *p = context;
    if (strcmp(field->name, "authorizationSize") == 0) {
        p->authorizations = field->offset + field->len;
    } else if (strcmp(field->name, "parameterSize") == 0) {
        p->parameters = field->offset + field->len;
    } else if (field->encrypted) {
        p->encrypted = field->name;
        p->encrypted_at = field->offset;
    }
}

static void take_encrypted(struct trace_sessions *s, const struct places *p, struct bytes message)
{
    s->encrypted = p->encrypted;
    if (p->encrypted != NULL) {
        struct bytes_reader r =
            bytes_reader_over(bytes_of(message.p + p->encrypted_at, message.len - p->encrypted_at));
        s->content = bytes_read_2b(&r);
    }
}

static void read_session(struct bytes_reader *r, struct trace_session *session)
{
    session->nonce = bytes_read_2b(r);
    session->attributes = bytes_read_u8(r);
    session->hmac = bytes_read_2b(r);
}

static void read_command(struct trace_sessions *s, struct bytes command)
{
    struct places p = {0};
    (void)tpm2_explain_command(command, find_places, &p);
    *s = (struct trace_sessions){.command = true, .code = tpm2_explain_command_code(command)};
    if (p.authorizations < HEADER_SIZE + 4) {
        return;
    }
    struct bytes_reader r = bytes_reader_over(command);
    bytes_skip(&r, HEADER_SIZE);
    for (; s->handle_count < (p.authorizations - 4 - HEADER_SIZE) / 4 && s->handle_count < TRACE_HANDLES_MAX;
         s->handle_count++) {
        s->handles[s->handle_count] = bytes_read_u32(&r);
    }
    struct bytes_reader auths = bytes_reader_over(bytes_read_bytes(&r, bytes_read_u32(&r)));
    while (auths.left > 0 && auths.error == 0 && s->count < TPM2_SESSIONS_MAX) {
        s->list[s->count].handle = bytes_read_u32(&auths);
        read_session(&auths, &s->list[s->count++]);
    }
    s->parameters = bytes_of(r.p, r.left);
    take_encrypted(s, &p, command);
}

static void take_new_session(struct trace_sessions *s, struct bytes response, bool with_sessions)
{
    struct bytes_reader r = bytes_reader_over(response);
    bytes_skip(&r, HEADER_SIZE);
    s->new_session = bytes_read_u32(&r);
    bytes_skip(&r, with_sessions ? 4 : 0);
    s->session_nonce = bytes_read_2b(&r);
    s->new_session = r.error == 0 ? s->new_session : 0;
}

static void read_response(struct trace_sessions *s, struct bytes response)
{
    struct places p = {0};
    (void)tpm2_explain_response(s->code, response, find_places, &p);
    s->command = false;
    s->encrypted = NULL;
    s->new_session = 0;
    if (s->code == TPM2_CC_START_AUTH_SESSION && response.len > HEADER_SIZE) {
        take_new_session(s, response, p.parameters > 0);
    }
    if (p.parameters == 0) {
        s->count = 0;
        return;
    }
    struct bytes_reader r = bytes_reader_over(response);
    bytes_skip(&r, p.parameters - 4);
    s->parameters = bytes_read_bytes(&r, bytes_read_u32(&r));
    for (size_t i = 0; i < s->count; i++) {
        read_session(&r, &s->list[i]);
    }
    s->count = r.error == 0 ? s->count : 0;
    take_encrypted(s, &p, response);
}

static const char *kind_of(uint32_t session)
{
    return session >> TPM2_HT_SHIFT == TPM2_HT_POLICY_SESSION ? "policy session" : "HMAC session";
}

static void write_text(const struct trace_sessions *s, char text[TRACE_SESSIONS_TEXT])
{
    size_t len = 0;
    text[0] = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (s->list[i].handle != TPM2_RS_PW) {
            len += (size_t)snprintf(text + len, TRACE_SESSIONS_TEXT - len, "%s%s 0x%08x",
                                    len == 0 ? "Sessions: " : ", ", kind_of(s->list[i].handle),
                                    (unsigned)s->list[i].handle);
        }
    }
    if (len > 0) {
        len += (size_t)snprintf(text + len, TRACE_SESSIONS_TEXT - len, ". ");
    }
    if (s->encrypted != NULL || len > 0) {
        len += (size_t)snprintf(text + len, TRACE_SESSIONS_TEXT - len, "Encrypted: %s.",
                                s->encrypted != NULL ? s->encrypted : "nothing");
    }
    if (s->new_session != 0) {
        (void)snprintf(text + len, TRACE_SESSIONS_TEXT - len, "%sNew: %s 0x%08x.", len > 0 ? " " : "",
                       kind_of(s->new_session), (unsigned)s->new_session);
    }
}

void trace_sessions_read(struct trace_sessions *s, bool command, uint32_t code, struct bytes message,
                         char text[TRACE_SESSIONS_TEXT])
{
    if (command) {
        read_command(s, message);
    } else {
        s->count = s->code == code ? s->count : 0;
        s->code = code;
        read_response(s, message);
    }
    write_text(s, text);
}
