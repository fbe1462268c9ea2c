/* SPDX-License-Identifier: MIT */
/* The rule of tpm/tools/explain.h: whatever the input, its leaves cover every byte exactly once. Tried on what
 * tpm2-tss and a TPM exchanged (tests/vectors/commands.c), on a blob, on all of their beginnings, and with every byte
 * changed. */
#include "crypto/bytes/bytes.h"
#include "tests/unit/test.h"
#include "tests/vectors/activation_blob.h"
#include "tests/vectors/commands.h"
#include "tpm/tools/explain.h"
#include "tpm/tpm2.h"
#include <string.h>

#define DEPTH_MAX 12
#define MESSAGE_MAX 1024

/* What the sink sees: where the next leaf must begin, and where each open container ends. */
struct seen {
    size_t next;
    size_t end[DEPTH_MAX];
    unsigned depth;
    size_t fields;
    size_t unparsed;
    size_t secret; /* bytes */
    bool wrong;
    const char *wanted; /* a field to look for */
    struct tpm2_field found;
    size_t found_count;
};

static bool texts_are_complete(const struct tpm2_field *f)
{
    if (f->kind == TPM2_FIELD_UNPARSED) {
        return f->meaning != NULL;
    }
    return f->name != NULL && f->name[0] != 0 && f->type != NULL && f->type[0] != 0 && f->spec != NULL &&
           f->spec[0] != 0 && (f->meaning != NULL || f->value_name != NULL || f->leaf);
}

static void look(void *context, const struct tpm2_field *f)
{
    struct seen *s = context;
    s->fields++;
    if (f->offset != s->next || f->depth >= DEPTH_MAX || f->depth > s->depth || !texts_are_complete(f)) {
        s->wrong = true;
        return;
    }
    /* Containers of this depth and deeper end here, exactly; the ones around reach at least as far. */
    for (unsigned d = f->depth; d < s->depth; d++) {
        if (s->end[d] != f->offset) {
            s->wrong = true;
        }
    }
    if (f->depth > 0 && f->offset + f->len > s->end[f->depth - 1]) {
        s->wrong = true;
    }
    s->depth = f->depth;
    if (!f->leaf) {
        s->end[s->depth++] = f->offset + f->len;
    } else {
        if (f->len == 0) {
            s->wrong = true;
        }
        s->next += f->len;
        s->unparsed += f->kind == TPM2_FIELD_UNPARSED ? f->len : 0;
        s->secret += f->secret ? f->len : 0;
    }
    if (s->wanted != NULL && strcmp(f->name, s->wanted) == 0 && s->found_count++ == 0) {
        s->found = *f;
    }
}

static bool covered(const struct seen *s, size_t len)
{
    for (unsigned d = 0; d < s->depth; d++) {
        if (s->end[d] != len) {
            return false;
        }
    }
    return !s->wrong && s->next == len;
}

/* One way to explain bytes. */
struct subject {
    struct bytes bytes;
    int (*explain)(uint32_t code, struct bytes bytes, tpm2_explain_sink *sink, void *context);
    uint32_t code;
};

static int as_command(uint32_t code, struct bytes bytes, tpm2_explain_sink *sink, void *context)
{
    (void)code;
    return tpm2_explain_command(bytes, sink, context);
}
static int as_public(uint32_t code, struct bytes bytes, tpm2_explain_sink *sink, void *context)
{
    (void)code;
    return tpm2_explain_public(bytes, sink, context);
}
static int as_blob(uint32_t code, struct bytes bytes, tpm2_explain_sink *sink, void *context)
{
    (void)code;
    return tpm2_explain_activation_blob(bytes, sink, context);
}

/* All subjects, one after the other; false after the last. */
static bool subject_at(size_t i, struct subject *s)
{
    if (i < 2 * captured_commands_count) {
        const struct captured *c = &captured_commands[i / 2];
        *s = (struct subject){i % 2 == 0 ? c->request : c->response,
                              i % 2 == 0 ? as_command : tpm2_explain_response,
                              tpm2_explain_command_code(c->request)};
        return true;
    }
    const struct subject others[] = {
        {bytes_of(vector_blob, sizeof vector_blob), as_blob, 0},
        {bytes_of(vector_ek_public_2b, sizeof vector_ek_public_2b), as_public, 0},
        {bytes_of(vector_public, sizeof vector_public), as_public, 0},
    };
    i -= 2 * captured_commands_count;
    if (i >= sizeof others / sizeof others[0]) {
        return false;
    }
    *s = others[i];
    return true;
}

static bool known(const struct subject *s)
{
    return s->code == 0 || tpm2_explain_command_name(s->code) != NULL;
}

static int test_every_byte_has_one_leaf(void)
{
    struct subject s;
    size_t i = 0;
    for (; subject_at(i, &s); i++) {
        struct seen seen = {0};
        const int error = s.explain(s.code, s.bytes, look, &seen);
        CHECK(covered(&seen, s.bytes.len));
        CHECK(!known(&s) || error == 0);
        CHECK(!known(&s) || seen.unparsed == 0);
        CHECK(known(&s) || error == BYTES_E_ALGORITHM);
    }
    CHECK(i > 60);
    return 0;
}

static int test_truncated_at_every_byte(void)
{
    struct subject s;
    for (size_t i = 0; subject_at(i, &s); i++) {
        for (size_t len = 0; len < s.bytes.len; len++) {
            struct seen seen = {0};
            const int error = s.explain(s.code, bytes_of(s.bytes.p, len), look, &seen);
            CHECK(covered(&seen, len));
            CHECK(error == BYTES_E_FORMAT || (!known(&s) && error == BYTES_E_ALGORITHM));
        }
    }
    return 0;
}

static int test_every_byte_changed(void)
{
    static const uint8_t flips[] = {0x01, 0x80, 0xFF};
    uint8_t bytes[MESSAGE_MAX];
    struct subject s;
    for (size_t i = 0; subject_at(i, &s); i++) {
        CHECK(s.bytes.len <= sizeof bytes);
        memcpy(bytes, s.bytes.p, s.bytes.len);
        for (size_t at = 0; at < s.bytes.len; at++) {
            for (size_t flip = 0; flip < sizeof flips; flip++) {
                struct seen seen = {0};
                bytes[at] ^= flips[flip];
                s.explain(s.code, bytes_of(bytes, s.bytes.len), look, &seen);
                CHECK(covered(&seen, s.bytes.len));
                bytes[at] ^= flips[flip];
            }
        }
    }
    return 0;
}

static int test_bytes_left_over(void)
{
    uint8_t bytes[MESSAGE_MAX + 3];
    struct subject s;
    for (size_t i = 0; subject_at(i, &s); i++) {
        struct seen seen = {0};
        memcpy(bytes, s.bytes.p, s.bytes.len);
        memset(&bytes[s.bytes.len], 0xEE, 3);
        const int error = s.explain(s.code, bytes_of(bytes, s.bytes.len + 3), look, &seen);
        CHECK(covered(&seen, s.bytes.len + 3));
        if (known(&s) && s.explain != as_blob) {
            CHECK_EQUAL(error, BYTES_E_FORMAT);
            CHECK_EQUAL(seen.unparsed, 3);
        }
    }
    return 0;
}

static const struct captured *captured(const char *name)
{
    for (size_t i = 0; i < captured_commands_count; i++) {
        if (strcmp(captured_commands[i].name, name) == 0) {
            return &captured_commands[i];
        }
    }
    return NULL;
}

/* The same name may stand in several structures: the first one counts. */
static struct seen find_in_command(const char *message, const char *field)
{
    struct seen seen = {.wanted = field};
    tpm2_explain_command(captured(message)->request, look, &seen);
    return seen;
}

static struct seen find_in_response(const char *message, const char *field)
{
    struct seen seen = {.wanted = field};
    const struct captured *c = captured(message);
    tpm2_explain_response(tpm2_explain_command_code(c->request), c->response, look, &seen);
    return seen;
}

static int test_names_and_values(void)
{
    struct seen s = find_in_command("activate_credential", "commandCode");
    CHECK_EQUAL(s.found.value, TPM2_CC_ACTIVATE_CREDENTIAL);
    CHECK_EQUAL(s.found.value_name, "TPM_CC_ActivateCredential");
    s = find_in_command("activate_credential", "sessionHandle");
    CHECK(s.found_count == 2 && strcmp(s.found.value_name, "TPM_RS_PW") == 0);
    s = find_in_command("activate_credential", "encIdentity");
    CHECK(s.found_count == 1 && s.found.leaf && strcmp(s.found.spec, "P2 r1.59 12.4.3") == 0);
    s = find_in_response("create_primary_ek", "objectAttributes");
    CHECK(s.found.value == 0x000300B2 && s.found.bits != NULL &&
          s.found.bits[0].mask == TPM2_OBJECT_FIXED_TPM);
    s = find_in_response("create_primary_ek", "objectHandle");
    CHECK(s.found_count == 1 && strcmp(s.found.value_name, "transient object") == 0);
    s = find_in_response("create_primary_srk", "parentName");
    CHECK(s.found_count == 1 && s.found.kind == TPM2_FIELD_BUFFER && s.found.len == 6);
    s = find_in_response("get_capability", "tpmProperty");
    CHECK_EQUAL(s.found_count, 3);
    s = find_in_response("activate_credential_changed", "responseCode");
    CHECK(s.found.value == 0x1DF && strcmp(s.found.value_name, "TPM_RC_INTEGRITY") == 0);
    CHECK(s.found.meaning != NULL);
    CHECK(tpm2_explain_command_name(TPM2_CC_NV_READ) != NULL && tpm2_explain_command_name(0) == NULL);
    CHECK(tpm2_explain_command_code(bytes_of("\x80\x01\0\0\0\x0C\0\0\x01", 9)) == 0);
    return 0;
}

/* Passwords: in authorizations, as a new one, and in what a TPM2_Create carries. */
static int test_secrets_are_marked(void)
{
    CHECK_EQUAL(find_in_command("hierarchy_change_auth", "newAuth").secret, strlen("owner"));
    CHECK_EQUAL(find_in_command("hierarchy_change_auth_back", "hmac").secret, strlen("owner"));
    CHECK_EQUAL(find_in_command("create", "userAuth").secret, strlen("auth"));
    CHECK_EQUAL(find_in_command("unseal", "hmac").secret, strlen("auth"));
    CHECK_EQUAL(find_in_command("policy_secret_bad_auth", "hmac").secret, strlen("wrong"));
    CHECK_EQUAL(find_in_command("hmac", "hmac").secret, 0);
    struct seen s = find_in_response("unseal", "outData");
    CHECK(s.secret == 0 && !s.found.secret);
    return 0;
}

/* However a command is cut or broken, a password in it is in no field that is not marked. */
static int test_no_password_escapes(void)
{
    const struct bytes whole = captured("hierarchy_change_auth_back")->request;
    for (size_t len = 0; len < whole.len; len++) {
        struct seen seen = {0};
        tpm2_explain_command(bytes_of(whole.p, len), look, &seen);
        const size_t begin = whole.len - 2 - strlen("owner"); /* before the empty newAuth */
        CHECK(seen.secret >= (len > begin && len < begin + strlen("owner") ? len - begin : 0));
    }
    return 0;
}

/* A session with TPMA_SESSION.decrypt: the first parameter is opaque, what follows is not [P1 r1.59 21]. */
static int test_encrypted_parameter(void)
{
    uint8_t bytes[MESSAGE_MAX];
    const struct captured *c = captured("create");
    memcpy(bytes, c->request.p, c->request.len);
    bytes[10 + 4 + 4 + 4 + 2] |= 0x20;
    memset(&bytes[10 + 4 + 4 + 9 + 2], 0x5A, 4 + 11 + 4);
    struct seen seen = {.wanted = "inSensitive"};
    CHECK_EQUAL(tpm2_explain_command(bytes_of(bytes, c->request.len), look, &seen), 0);
    CHECK(covered(&seen, c->request.len));
    CHECK(seen.found.kind == TPM2_FIELD_BUFFER && seen.unparsed == 0);

    memcpy(bytes, c->response.p, c->response.len);
    bytes[c->response.len - 3] |= 0x40; /* sessionAttributes, before an empty hmac */
    seen = (struct seen){.wanted = "outPrivate"};
    CHECK_EQUAL(tpm2_explain_response(TPM2_CC_CREATE, bytes_of(bytes, c->response.len), look, &seen), 0);
    CHECK_EQUAL(seen.found.type, "TPM2B");
    return 0;
}

static int test_blob(void)
{
    struct seen seen = {.wanted = "trailing"};
    uint8_t bytes[sizeof vector_blob + 1] = {0};
    memcpy(bytes, vector_blob, sizeof vector_blob);
    CHECK_EQUAL(tpm2_explain_activation_blob(bytes_of(bytes, sizeof bytes), look, &seen), 0);
    CHECK(seen.found_count == 1 && seen.found.len == 1 && covered(&seen, sizeof bytes));
    seen = (struct seen){.wanted = "integrityOuter"};
    CHECK_EQUAL(tpm2_explain_activation_blob(bytes_of(bytes, sizeof vector_blob), look, &seen), 0);
    CHECK(seen.found_count == 1 &&
          seen.found.offset == sizeof vector_id_object + sizeof vector_enc_secret + 2);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"every byte has exactly one leaf", test_every_byte_has_one_leaf},
        {"truncated at every byte", test_truncated_at_every_byte},
        {"every byte changed", test_every_byte_changed},
        {"bytes left over", test_bytes_left_over},
        {"names and values", test_names_and_values},
        {"secrets are marked", test_secrets_are_marked},
        {"no password escapes", test_no_password_escapes},
        {"an encrypted parameter", test_encrypted_parameter},
        {"an activation blob", test_blob},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
