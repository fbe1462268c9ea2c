/* SPDX-License-Identifier: MIT */
/* What is said about it all, as JSON. */
#include "tests/lab/inside.h"
#include "tpm/rc.h"
#include "tpm/tools/explain.h"
#include "tpm/tools/rc_text.h"
#include <stdio.h>
#include <string.h>

#define TEXT 262144

static char text[TEXT];
static FILE *out;
static struct trace trace;

const char *lab_text(void)
{
    return text;
}

static size_t end(void)
{
    (void)fflush(out);
    const long len = ftell(out);
    (void)fclose(out);
    return (size_t)len;
}

static void string(const char *name, const char *value)
{
    (void)fprintf(out, "\"%s\":\"", name);
    for (const char *p = value != NULL ? value : ""; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\') {
            (void)fputc('\\', out);
        }
        (void)fputc(*p, out);
    }
    (void)fputc('"', out);
}

static void hex(const char *name, struct bytes bytes)
{
    (void)fprintf(out, "\"%s\":\"", name);
    for (size_t i = 0; i < bytes.len; i++) {
        (void)fprintf(out, "%02x", bytes.p[i]);
    }
    (void)fputc('"', out);
}

static const char *truth(bool value)
{
    return value ? "true" : "false";
}

/* ---- Layers ------------------------------------------------------------------------------------------------------ */

/* The wraps of an activation blob, each with the answer by which the TPM says that it was this one. */
static const struct {
    uint32_t command, rc;
    const char *layer;
} layers[] = {
    {TPM2_CC_ACTIVATE_CREDENTIAL, TPM2_RC_VALUE | 0x240, "the EK's OAEP padding"},
    {TPM2_CC_ACTIVATE_CREDENTIAL, TPM2_RC_INTEGRITY | 0x140,
     "the credential's HMAC, over the inner key and the SRK's Name"},
    {TPM2_CC_IMPORT, TPM2_RC_VALUE | 0x440, "the SRK's OAEP padding"},
    {TPM2_CC_IMPORT, TPM2_RC_INTEGRITY | 0x340, "the outer HMAC, over the wrapped key and its Name"},
    {TPM2_CC_ACTIVATE_CREDENTIAL, TPM2_RC_SIZE | 0x140, "a size field in the credential"},
    {TPM2_CC_IMPORT, TPM2_RC_SIZE | 0x340, "a size field in the wrapped key"},
    {TPM2_CC_LOAD, TPM2_RC_INTEGRITY | 0x140, "the TPM's own HMAC over what it keeps outside"},
};

const char *lab_layer(uint32_t command_code, uint32_t rc)
{
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        if (layers[i].command == command_code && layers[i].rc == rc) {
            return layers[i].layer;
        }
    }
    return NULL;
}

/* ---- Secrets ----------------------------------------------------------------------------------------------------- */

static void learn(struct lab_world *w, const char *name, const char *how, struct bytes bytes)
{
    for (size_t i = 0; i < w->secret_count; i++) {
        if (w->secrets[i].len == bytes.len && memcmp(w->secrets[i].bytes, bytes.p, bytes.len) == 0) {
            return;
        }
    }
    if (w->secret_count < LAB_SECRETS && bytes.len > 0 && bytes.len <= sizeof w->secrets[0].bytes) {
        struct lab_secret *s = &w->secrets[w->secret_count++];
        s->name = name;
        s->how = how;
        s->len = bytes.len;
        memcpy(s->bytes, bytes.p, bytes.len);
    }
}

struct listening {
    struct lab_world *w;
    struct bytes message;
    const char *command;
    bool password; /* the authorization at hand is one */
};

static void hear(void *context, const struct tpm2_field *f)
{
    static const struct {
        const char *field, *name;
    } worth[] = {{"certInfo", "the inner key"}, {"newAuth", "a new password"}};
    struct listening *l = context;
    for (size_t i = 0; i < sizeof worth / sizeof worth[0]; i++) {
        if (strcmp(f->name, worth[i].field) == 0 && f->len > 2 && !f->encrypted) {
            learn(l->w, worth[i].name, l->command, bytes_of(&l->message.p[f->offset + 2], f->len - 2));
        }
    }
    if (strcmp(f->name, "sessionHandle") == 0) {
        l->password = f->value == TPM2_RS_PW;
    }
    if (strcmp(f->name, "hmac") == 0 && f->len > 2 && l->password) {
        learn(l->w, "a password", l->command, bytes_of(&l->message.p[f->offset + 2], f->len - 2));
    }
}

void lab_listen(struct lab_world *w, enum port_trace_kind kind, uint32_t command_code, struct bytes message)
{
    struct listening l = {.w = w, .message = message, .command = tpm2_explain_command_name(command_code)};
    if (kind == PORT_TRACE_TPM_COMMAND) {
        (void)tpm2_explain_command(message, hear, &l);
    } else {
        (void)tpm2_explain_response(command_code, message, hear, &l);
    }
}

/* What the one who acts has got. */
static void write_secrets(const struct lab_world *w)
{
    const struct interposer *i = &w->interposer;
    const char *separator = "";
    (void)fputs(",\"secrets\":[", out);
    for (size_t k = 0; k < w->secret_count; k++) {
        (void)fprintf(out, "%s{", separator);
        string("name", w->secrets[k].name);
        (void)fputc(',', out);
        string("how", w->secrets[k].how);
        (void)fputc(',', out);
        hex("hex", bytes_of(w->secrets[k].bytes, w->secrets[k].len));
        (void)fputc('}', out);
        separator = ",";
    }
    if (i->keys > 0) {
        (void)fprintf(out, "%s{\"name\":\"the last of these keys\",\"how\":\"TPM2_Rewrap\",", separator);
        hex("hex", bytes_of(i->key, i->key_len));
        (void)fputc('}', out);
    }
    (void)fprintf(out, "],\"stolen\":{\"innerKeys\":%u,\"keys\":%u,\"refused\":%u}", i->inner_keys, i->keys,
                  i->refusals);
}

/* ---- Scenes and things ------------------------------------------------------------------------------------------- */

size_t lab_scenes(void)
{
    out = fmemopen(text, sizeof text, "w");
    (void)fputc('[', out);
    for (size_t i = 0; i < lab_scene_count; i++) {
        (void)fputs(i > 0 ? ",{" : "{", out);
        string("name", lab_scene_list[i].name);
        (void)fputc(',', out);
        string("title", lab_scene_list[i].title);
        (void)fputc(',', out);
        string("text", lab_scene_list[i].text);
        (void)fputc(',', out);
        string("lesson", lab_scene_list[i].lesson);
        (void)fputc('}', out);
    }
    (void)fputc(']', out);
    return end();
}

size_t lab_things(unsigned stage)
{
    static const char *const kinds[] = {"bytes", "words", "clock"};
    struct lab_world *w = lab_at(stage);
    if (w == NULL) {
        return 0;
    }
    out = fmemopen(text, sizeof text, "w");
    (void)fputc('[', out);
    for (size_t i = 0; i < lab_thing_count; i++) {
        size_t len = 0;
        const uint8_t *bytes = lab_thing_list[i].find(w, &len);
        (void)fputs(i > 0 ? ",{" : "{", out);
        string("name", lab_thing_list[i].name);
        (void)fputc(',', out);
        string("text", lab_thing_list[i].text);
        (void)fputc(',', out);
        string("kind", kinds[lab_thing_list[i].kind]);
        (void)fputc(',', out);
        hex("hex", bytes_of(bytes, bytes != NULL ? len : 0));
        (void)fputc('}', out);
    }
    (void)fputc(']', out);
    return end();
}

/* ---- One message ------------------------------------------------------------------------------------------------- */

static void write_bits(void *context, const struct tpm2_field *field)
{
    const char *separator = "";
    (void)context;
    if (field->bits == NULL || field->value == 0) {
        return;
    }
    (void)fprintf(out, "{\"kind\":\"bits\",\"offset\":%zu,\"name\":\"%s\",\"bits\":[", field->offset,
                  field->name);
    for (const struct tpm2_bit *bit = field->bits; bit->name != NULL; bit++) {
        if ((field->value & bit->mask) != 0) {
            (void)fprintf(out, "%s{\"name\":\"%s\",\"meaning\":\"%s\"}", separator, bit->name,
                          bit->meaning != NULL ? bit->meaning : "");
            separator = ",";
        }
    }
    (void)fputs("]}\n", out);
}

static void write_view(const struct lab_message_head *m, unsigned view, int subject, struct bytes bytes)
{
    (void)fprintf(out, "{\"kind\":\"view\",\"view\":%u}\n", view);
    (void)trace_explain(&trace, (enum trace_subject)subject, m->command_code, m->what, bytes);
    if (subject == TRACE_COMMAND) {
        (void)tpm2_explain_command(bytes, write_bits, NULL);
    } else if (subject == TRACE_RESPONSE) {
        (void)tpm2_explain_response(m->command_code, bytes, write_bits, NULL);
    } else if (subject == TRACE_PUBLIC) {
        (void)tpm2_explain_public(bytes, write_bits, NULL);
    } else if (subject == TRACE_ACTIVATION_BLOB) {
        (void)tpm2_explain_activation_blob(bytes, write_bits, NULL);
    }
}

/* A response is explained with the sessions of its command, which is the last one of its code before it. */
static void read_command_before(unsigned message)
{
    const struct lab_message_head *m = &lab_world.messages[message];
    char unused[TRACE_SESSIONS_TEXT];
    for (unsigned i = message; i > 0 && m->kind == PORT_TRACE_TPM_RESPONSE; i--) {
        const struct lab_message_head *c = &lab_world.messages[i - 1];
        if (c->kind == PORT_TRACE_TPM_COMMAND && c->command_code == m->command_code &&
            c->attacker == m->attacker) {
            trace_sessions_read(&trace.sessions, true, c->command_code, lab_message_bytes(i - 1), unused);
            return;
        }
    }
}

static void write_hidden(unsigned message)
{
    const char *separator = "";
    (void)fputs("{\"kind\":\"secrets\",\"values\":[", out);
    for (size_t i = 0; i < lab_world.hidden_count; i++) {
        const struct lab_hidden *h = &lab_world.hidden[i];
        if (h->message == message) {
            (void)fprintf(out, "%s{\"session\":%u,", separator, (unsigned)h->session);
            string("name", h->name);
            (void)fputc(',', out);
            hex("hex", h->bytes);
            (void)fputc(',', out);
            string("meaning", h->meaning);
            (void)fputc('}', out);
            separator = ",";
        }
    }
    (void)fputs("]}\n", out);
}

size_t lab_message(unsigned message)
{
    static uint8_t bytes[LAB_HTTP_MAX];
    size_t len;
    if (message >= lab_world.message_count) {
        return 0;
    }
    const struct lab_message_head *m = &lab_world.messages[message];
    out = fmemopen(text, sizeof text, "w");
    trace_open(&trace, out, true);
    trace.capture = true; /* nothing is secret here */
    for (unsigned view = 0; view <= LAB_VIEWS; view++) {
        const int subject = lab_view((enum port_trace_kind)m->kind, lab_message_bytes(message), view, bytes,
                                     sizeof bytes, &len);
        read_command_before(message);
        if (subject >= 0) {
            write_view(m, view, subject, bytes_of(bytes, len));
        }
    }
    write_hidden(message);
    return end();
}

/* ---- Everything else --------------------------------------------------------------------------------------------- */

static void write_name(const struct lab_message_head *m, struct bytes bytes)
{
    const char *name = tpm2_explain_command_name(m->command_code);
    if (m->kind == PORT_TRACE_TPM_COMMAND || m->kind == PORT_TRACE_TPM_RESPONSE) {
        string("name", name != NULL ? name : "an unknown command");
        return;
    }
    (void)fputs("\"name\":\"", out);
    for (size_t i = 0; i < bytes.len && bytes.p[i] != '\r'; i++) {
        const uint8_t c = bytes.p[i];
        (void)fputc(c >= ' ' && c < 0x7F && c != '"' && c != '\\' ? c : '?', out);
    }
    (void)fputc('"', out);
}

static void write_messages(const struct lab_world *w)
{
    static const char *const kinds[] = {"tpm-command", "tpm-response", "http-request", "http-response"};
    (void)fputs(",\"messages\":[", out);
    for (unsigned i = 0; i < w->message_count; i++) {
        const struct lab_message_head *m = &w->messages[i];
        (void)fprintf(
            out, "%s{\"kind\":\"%s\",\"stage\":%u,\"step\":%u,\"len\":%u,\"attacker\":%s,\"changed\":%s,",
            i > 0 ? "," : "", kinds[m->kind], m->stage, m->step, (unsigned)m->len, truth(m->attacker),
            truth(m->changed));
        string("what", m->what);
        (void)fputc(',', out);
        write_name(m, lab_message_bytes(i));
        (void)fputc('}', out);
    }
    (void)fputc(']', out);
}

static void write_tpm_refusal(const struct lab_refusal *r)
{
    static const char *const numbered[] = {[TPM2_RC_KIND_HANDLE] = "handle",
                                           [TPM2_RC_KIND_PARAMETER] = "parameter",
                                           [TPM2_RC_KIND_SESSION] = "session"};
    const struct tpm2_rc rc = tpm2_rc_decode(r->code);
    string("command", tpm2_explain_command_name(r->command_code));
    (void)fputc(',', out);
    string("name", tpm2_rc_name(rc.code));
    (void)fputc(',', out);
    string("text", tpm2_rc_meaning(rc.code));
    (void)fputc(',', out);
    string("layer", lab_layer(r->command_code, r->code));
    (void)fprintf(out, ",\"reached\":%u", r->reached);
    if (rc.kind >= TPM2_RC_KIND_HANDLE && rc.number > 0) {
        (void)fprintf(out, ",\"about\":\"%s %u\"", numbered[rc.kind], rc.number);
    }
}

static void write_refusal(const struct lab_refusal *r)
{
    static const char *const who[] = {"TPM", "service", "hub", "device"};
    (void)fprintf(out,
                  "{\"message\":%u,\"who\":\"%s\",\"stage\":%u,\"attacker\":%s,\"fatal\":%s,\"code\":%u,",
                  r->message, who[r->who], r->stage, truth(r->attacker), truth(r->fatal), (unsigned)r->code);
    string("what", r->what);
    (void)fputc(',', out);
    if (r->who == LAB_TPM) {
        write_tpm_refusal(r);
    } else if (r->who == LAB_DEVICE) {
        string("text", "");
    } else {
        const struct dps_refusal_text *t = dps_refusal_text((enum dps_refusal)r->code);
        (void)fprintf(out, "\"status\":%u,\"errorCode\":%u,", t->status, (unsigned)t->code);
        string("text", t->message);
        (void)fputc(',', out);
        string("detail", r->detail);
    }
    (void)fputc('}', out);
}

static void write_outcomes(const struct lab_world *w)
{
    (void)fputs(",\"refusals\":[", out);
    for (size_t i = 0; i < w->refusal_count; i++) {
        (void)fputs(i > 0 ? "," : "", out);
        write_refusal(&w->refusals[i]);
    }
    (void)fputs("],\"outcomes\":[", out);
    for (size_t i = 0; i < w->outcome_count; i++) {
        (void)fprintf(out, "%s{\"stage\":%u,\"ok\":%s,", i > 0 ? "," : "", w->outcomes[i].stage,
                      truth(w->outcomes[i].ok));
        string("what", w->outcomes[i].what);
        (void)fputc('}', out);
    }
    (void)fputc(']', out);
}

size_t lab_state(void)
{
    const struct lab_world *w = &lab_world;
    out = fmemopen(text, sizeof text, "w");
    (void)fprintf(out, "{\"scene\":%u,\"stage\":%u,\"over\":%s,\"changes\":%u,", w->scene, w->stage,
                  truth(w->phase == LAB_OVER), (unsigned)lab_change_count());
    string("hub", w->device.assigned_hub);
    (void)fputc(',', out);
    string("substatus", w->device.substatus);
    write_messages(w);
    write_outcomes(w);
    write_secrets(w);
    (void)fputs("}", out);
    return end();
}
