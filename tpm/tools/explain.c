/* SPDX-License-Identifier: MIT */
/* The walk over the tables. One function for each layout; each takes its bytes from where the one before stopped. */
#include "tpm/tools/explain.h"
#include "tpm/tools/explain_tables.h"
#include "tpm/tools/rc_text.h"
#include "tpm/tpm2.h"

#define HEADER_SIZE 10 /* tag, size, code [P1 r1.59 18.2] */

struct walk {
    struct bytes input;
    size_t at;    /* next byte */
    size_t end;   /* of the innermost structure that declares its size: nothing inside may read further */
    bool stuck;   /* nothing before end can be read any more */
    bool command; /* what is not understood may contain an authValue */
    int error;
    unsigned depth;
    uint64_t session_attributes; /* of all sessions so far, or-ed */
    tpm2_explain_sink *sink;     /* null while measuring */
    void *context;
};

static void explain(struct walk *w, const struct tpm2_member *m, const char *spec, uint64_t selector,
                    uint64_t *value);

static struct walk walk_over(struct bytes input, tpm2_explain_sink *sink, void *context)
{
    return (struct walk){.input = input, .end = input.len, .sink = sink, .context = context};
}

static void emit(struct walk *w, struct tpm2_field field)
{
    if (w->sink == NULL) {
        return;
    }
    field.leaf = field.kind != TPM2_FIELD_STRUCTURE && field.kind != TPM2_FIELD_BUFFER;
    field.depth = w->depth;
    field.offset = w->at;
    w->sink(w->context, &field);
}

/* Once for each innermost structure: the rest of it is one field. */
static void give_up(struct walk *w, int error)
{
    w->error = w->error == 0 ? error : w->error;
    if (w->stuck) {
        return;
    }
    w->stuck = true;
    if (w->at < w->end) {
        emit(w, (struct tpm2_field){
                    .kind = TPM2_FIELD_UNPARSED,
                    .secret = w->command,
                    .len = w->end - w->at,
                    .name = "unparsed",
                    .type = "",
                    .spec = "",
                    .meaning = error == BYTES_E_ALGORITHM ? "Bytes that this tool does not understand."
                                                          : "Bytes that do not fit what should be here.",
                });
    }
    w->at = w->end;
}

/* ---- Leaves ------------------------------------------------------------------------------------------------ */

static const struct tpm2_value_name *find_value(const struct tpm2_value_name *names, uint64_t value)
{
    for (; names != NULL && names->name != NULL; names++) {
        if ((value & names->mask) == names->wanted) {
            return names;
        }
    }
    return NULL;
}

static void explain_uint(struct walk *w, const struct tpm2_member *m, const char *spec, uint64_t *value)
{
    const struct tpm2_shape *shape = m->shape;
    *value = 0;
    if (w->stuck || w->end - w->at < shape->width) {
        give_up(w, BYTES_E_FORMAT);
        return;
    }
    for (size_t i = 0; i < shape->width; i++) {
        *value = *value << 8 | w->input.p[w->at + i];
    }
    struct tpm2_field field = {
        .kind = TPM2_FIELD_INTEGER,
        .len = shape->width,
        .name = m->name,
        .type = shape->type,
        .spec = spec,
        .meaning = m->meaning,
        .value = *value,
        .bits = shape->bits,
    };
    const struct tpm2_value_name *known = find_value(shape->values, *value);
    if (known != NULL) {
        field.value_name = known->name;
        field.meaning = field.meaning != NULL ? field.meaning : known->meaning;
    }
    if (shape == &tpm2_shape_rc) {
        const uint32_t code = tpm2_rc_decode((uint32_t)*value).code;
        field.value_name = tpm2_rc_name(code);
        field.meaning = tpm2_rc_meaning(code);
    }
    if (shape == &tpm2_shape_session_attributes) {
        w->session_attributes |= *value;
    }
    emit(w, field);
    w->at += shape->width;
}

static void explain_bytes(struct walk *w, const char *name, const struct tpm2_shape *shape, size_t len,
                          const char *spec, const char *meaning)
{
    if (w->stuck || len == 0) {
        return;
    }
    emit(w, (struct tpm2_field){
                .kind = TPM2_FIELD_BYTES,
                .secret = shape->secret,
                .len = len,
                .name = name,
                .type = "BYTE",
                .spec = spec,
                .meaning = meaning,
            });
    w->at += len;
}

/* ---- Containers -------------------------------------------------------------------------------------------- */

static uint64_t explain_members(struct walk *w, const struct tpm2_member *members, const char *spec)
{
    uint64_t first = 0;
    uint64_t value = 0;
    for (const struct tpm2_member *m = members; m != NULL && m->name != NULL; m++) {
        explain(w, m, spec, first, &value);
        if (m == members) {
            first = value;
        }
    }
    return first;
}

static void explain_contents(struct walk *w, const struct tpm2_shape *shape)
{
    const struct tpm2_shape count = {.layout = TPM2_UINT, .width = 4, .type = "UINT32"};
    const struct tpm2_member count_member = {"count", &count, "How many follow."};
    uint64_t elements;
    if (shape->layout == TPM2_STRUCT) {
        explain_members(w, shape->members, shape->spec);
        return;
    }
    explain_uint(w, &count_member, shape->spec, &elements);
    for (; elements > 0 && !w->stuck; elements--) {
        explain_members(w, shape->members, shape->spec);
    }
}

/* A structure or list: its length is known only when it has been walked, so it is walked twice. */
static void explain_structure(struct walk *w, const struct tpm2_member *m, const char *spec)
{
    struct walk measured = *w;
    measured.sink = NULL;
    explain_contents(&measured, m->shape);
    if (measured.at > w->at) {
        emit(w, (struct tpm2_field){
                    .kind = TPM2_FIELD_STRUCTURE,
                    .len = measured.at - w->at,
                    .name = m->name,
                    .type = m->shape->type,
                    .spec = spec,
                    .meaning = m->meaning,
                });
    }
    w->depth++;
    explain_contents(w, m->shape);
    w->depth--;
}

/* What is between a size and the end that it declares. */
static void explain_inside(struct walk *w, const struct tpm2_member *m, size_t size, bool buffer)
{
    const struct tpm2_shape *shape = m->shape;
    const size_t outer = w->end;
    const bool truncated = size > outer - w->at;
    w->end = truncated ? outer : w->at + size;
    if (buffer && !truncated) {
        explain_bytes(w, shape->content != NULL ? shape->content : "buffer", shape, size, shape->spec,
                      m->meaning);
    } else if (!buffer && size > 0) {
        explain_members(w, shape->members, shape->spec);
    }
    if (w->at < w->end || truncated) {
        give_up(w, BYTES_E_FORMAT);
    }
    w->end = outer;
    w->stuck = truncated;
}

static void explain_size_and_inside(struct walk *w, const struct tpm2_member *m, bool buffer)
{
    const struct tpm2_shape *shape = m->shape;
    const struct tpm2_shape size_shape = {
        .layout = TPM2_UINT, .width = shape->width, .type = shape->width == 1 ? "UINT8" : "UINT16"};
    const struct tpm2_member size_member = {shape->size != NULL ? shape->size : "size", &size_shape,
                                            buffer ? "How many bytes follow."
                                                   : "How many bytes the structure has, without this field."};
    uint64_t size;
    explain_uint(w, &size_member, shape->spec, &size);
    if (!w->stuck) {
        explain_inside(w, m, (size_t)size, buffer);
    }
}

static void explain_sized(struct walk *w, const struct tpm2_member *m, const char *spec)
{
    bool buffer = m->shape->layout == TPM2_BUFFER;
    struct walk measured = *w;
    measured.sink = NULL;
    measured.error = 0;
    explain_size_and_inside(&measured, m, buffer);
    if (m->shape->layout == TPM2_SIZED_TRY && measured.error != 0) {
        buffer = true;
    }
    if (!w->stuck && w->at < w->end) {
        emit(w, (struct tpm2_field){
                    .kind = buffer ? TPM2_FIELD_BUFFER : TPM2_FIELD_STRUCTURE,
                    .secret = m->shape->secret,
                    .encrypted = m->shape == &tpm2_shape_encrypted_parameter,
                    .len = measured.at - w->at,
                    .name = m->name,
                    .type = m->shape->type,
                    .spec = spec,
                    .meaning = m->meaning,
                });
    }
    w->depth++;
    explain_size_and_inside(w, m, buffer);
    w->depth--;
}

static void explain_union(struct walk *w, const struct tpm2_member *m, const char *spec, uint64_t selector)
{
    uint64_t value;
    for (const struct tpm2_choice *choice = m->shape->choices; !choice->last; choice++) {
        if ((selector & choice->mask) != choice->wanted) {
            continue;
        }
        if (choice->shape != NULL) {
            const struct tpm2_member chosen = {m->name, choice->shape,
                                               choice->meaning != NULL ? choice->meaning : m->meaning};
            explain(w, &chosen, spec, 0, &value);
        }
        return;
    }
    give_up(w, BYTES_E_ALGORITHM);
}

static void explain(struct walk *w, const struct tpm2_member *m, const char *spec, uint64_t selector,
                    uint64_t *value)
{
    switch (m->shape->layout) {
    case TPM2_UINT:
        explain_uint(w, m, spec, value);
        return;
    case TPM2_BUFFER:
    case TPM2_SIZED:
    case TPM2_SIZED_TRY:
        explain_sized(w, m, spec);
        return;
    case TPM2_STRUCT:
    case TPM2_LIST:
        explain_structure(w, m, spec);
        return;
    case TPM2_UNION:
        explain_union(w, m, spec, selector);
        return;
    case TPM2_REST:
        explain_bytes(w, m->name, m->shape, w->end - w->at, spec, m->meaning);
        return;
    }
}

static int finish(struct walk *w)
{
    if (w->at < w->end) {
        give_up(w, BYTES_E_FORMAT);
    }
    return w->error;
}

/* ---- Commands and responses -------------------------------------------------------------------------------- */

/* The three fields of both headers [P1 r1.59 18.2]. Afterwards the message ends where its size says. */
static uint64_t explain_header(struct walk *w, const char *size_name, const struct tpm2_member *code,
                               uint64_t *tag)
{
    static const char spec[] = "P1 r1.59 18";
    static const struct tpm2_member tag_member = {"tag", &tpm2_shape_st, NULL};
    const struct tpm2_member size_member = {size_name, &tpm2_shape_u32, "Bytes of the whole message."};
    uint64_t size;
    uint64_t value;
    explain_uint(w, &tag_member, spec, tag);
    explain_uint(w, &size_member, spec, &size);
    explain_uint(w, code, spec, &value);
    if (w->stuck) {
        return 0;
    }
    if (size > w->end || size < HEADER_SIZE) {
        w->error = BYTES_E_FORMAT;
    } else {
        w->end = (size_t)size;
    }
    return value;
}

/* Nothing may follow after the size that the header declares. */
static int finish_message(struct walk *w)
{
    finish(w);
    if (w->end < w->input.len) {
        w->end = w->input.len;
        w->stuck = false;
    }
    return finish(w);
}

/* Sessions stand one after the other up to the end of their area; the first ones authorize the handles in order. */
static void explain_sessions(struct walk *w, const struct tpm2_shape *shape,
                             const struct tpm2_command_table *command)
{
    static const char *const meanings[] = {
        "Authorizes the use of the first handle.",
        "Authorizes the use of the second handle.",
        "Authorizes no handle: it encrypts or audits.",
    };
    for (size_t i = 0; w->at < w->end && !w->stuck; i++) {
        const struct tpm2_member session = {"session", shape,
                                            shape == &tpm2_shape_auth_response
                                                ? "The TPM's answer to one session."
                                                : meanings[i < command->auths ? i : 2]};
        explain(w, &session, "P1 r1.59 18", 0, &(uint64_t){0});
    }
}

static void explain_parameters(struct walk *w, const struct tpm2_member *members, const char *spec,
                               bool encrypted)
{
    uint64_t value;
    const bool has_size =
        members != NULL && members->shape->layout >= TPM2_BUFFER &&
        members->shape->layout <= TPM2_SIZED_TRY; /* only these are encrypted [P1 r1.59 21.1] */
    if (!encrypted || !has_size) {
        explain_members(w, members, spec);
        return;
    }
    const struct tpm2_member first = {members->name, &tpm2_shape_encrypted_parameter,
                                      "Encrypted by a session: only someone with its key can read it."};
    explain(w, &first, spec, 0, &value);
    explain_members(w, members + 1, spec);
}

int tpm2_explain_command(struct bytes command, tpm2_explain_sink *sink, void *context)
{
    static const struct tpm2_member code_member = {"commandCode", &tpm2_shape_cc,
                                                   "What the TPM is asked to do."};
    struct walk w = walk_over(command, sink, context);
    w.command = true;
    uint64_t tag;
    const uint64_t code = explain_header(&w, "commandSize", &code_member, &tag);
    const struct tpm2_command_table *c = tpm2_explain_find_command((uint32_t)code);
    if (w.stuck) {
        return w.error;
    }
    if (c == NULL || (tag != TPM2_ST_SESSIONS && tag != TPM2_ST_NO_SESSIONS)) {
        give_up(&w, BYTES_E_ALGORITHM);
        return finish_message(&w);
    }
    explain_members(&w, c->handles, c->spec);
    if (tag == TPM2_ST_SESSIONS) {
        static const struct tpm2_member size_member = {"authorizationSize", &tpm2_shape_u32,
                                                       "Bytes of all authorizations that follow."};
        uint64_t size;
        explain_uint(&w, &size_member, "P1 r1.59 18", &size);
        const size_t outer = w.end;
        const bool truncated = size > outer - w.at;
        w.end = truncated ? outer : w.at + (size_t)size;
        explain_sessions(&w, &tpm2_shape_auth_command, c);
        w.end = outer;
        w.stuck = truncated;
        if (truncated && w.error == 0) {
            w.error = BYTES_E_FORMAT;
        }
    }
    explain_parameters(&w, c->parameters, c->spec, (w.session_attributes & TPM2_SESSION_DECRYPT) != 0);
    return finish_message(&w);
}

/* A response with sessions: its parameters have a size of their own, since the sessions stand after them. */
static void explain_response_area(struct walk *w, const struct tpm2_command_table *c)
{
    static const struct tpm2_member size_member = {
        "parameterSize", &tpm2_shape_u32, "Bytes of the parameters; the sessions' answers follow them."};
    uint64_t size;
    explain_uint(w, &size_member, "P1 r1.59 18", &size);
    if (w->stuck || size > w->end - w->at) {
        give_up(w, BYTES_E_FORMAT);
        return;
    }
    struct walk ahead = *w; /* only the sessions say whether the first parameter is encrypted */
    ahead.sink = NULL;
    ahead.at += (size_t)size;
    explain_sessions(&ahead, &tpm2_shape_auth_response, c);

    const size_t outer = w->end;
    w->end = w->at + (size_t)size;
    explain_parameters(w, c->response, c->spec, (ahead.session_attributes & TPM2_SESSION_ENCRYPT) != 0);
    finish(w);
    w->end = outer;
    w->stuck = false;
    explain_sessions(w, &tpm2_shape_auth_response, c);
}

int tpm2_explain_response(uint32_t command_code, struct bytes response, tpm2_explain_sink *sink,
                          void *context)
{
    static const struct tpm2_member code_member = {"responseCode", &tpm2_shape_rc, NULL};
    struct walk w = walk_over(response, sink, context);
    uint64_t tag;
    const uint64_t code = explain_header(&w, "responseSize", &code_member, &tag);
    const struct tpm2_command_table *c = tpm2_explain_find_command(command_code);
    if (w.stuck) {
        return w.error;
    }
    if (code != TPM2_RC_SUCCESS) { /* a refusal is a bare header [P3 r1.59 6.1] */
        return finish_message(&w);
    }
    if (c == NULL) {
        if (w.at < w.end) {
            give_up(&w, BYTES_E_ALGORITHM);
        }
        return finish_message(&w);
    }
    explain_members(&w, c->response_handle, c->spec);
    if (tag == TPM2_ST_SESSIONS) {
        explain_response_area(&w, c);
    } else {
        explain_members(&w, c->response, c->spec);
    }
    return finish_message(&w);
}

/* ---- Single structures ------------------------------------------------------------------------------------- */

int tpm2_explain_response_code(struct bytes code, tpm2_explain_sink *sink, void *context)
{
    struct walk w = walk_over(code, sink, context);
    explain_uint(&w, &(struct tpm2_member){"responseCode", &tpm2_shape_rc, NULL}, "P2 r1.59 6.6",
                 &(uint64_t){0});
    return finish(&w);
}

int tpm2_explain_public(struct bytes public_2b, tpm2_explain_sink *sink, void *context)
{
    static const struct tpm2_member public_member[] = {
        {"public", &tpm2_shape_public,
         "The public area of an object: what it is and may do, and its public key."},
        {0}};
    struct walk w = walk_over(public_2b, sink, context);
    explain_members(&w, public_member, "P2 r1.59 12.2.5");
    return finish(&w);
}

int tpm2_explain_activation_blob(struct bytes blob, tpm2_explain_sink *sink, void *context)
{
    struct walk w = walk_over(blob, sink, context);
    explain_members(&w, tpm2_activation_blob_members, "spec-notes.md");
    return finish(&w);
}

uint32_t tpm2_explain_command_code(struct bytes command)
{
    struct bytes_reader r = bytes_reader_over(command);
    bytes_read_u16(&r);
    bytes_read_u32(&r);
    return bytes_read_u32(&r);
}

const char *tpm2_explain_command_name(uint32_t command_code)
{
    const struct tpm2_command_table *c = tpm2_explain_find_command(command_code);
    return c != NULL ? c->name : NULL;
}
