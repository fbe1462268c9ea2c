/* SPDX-License-Identifier: MIT */
/* Every command against what tpm2-tss sent and a TPM answered (vectors/commands.c), and every response
 * parser against damaged answers: cut, lengthened, and with each byte changed. Copies are made with malloc
 * so that the address sanitizer sees a read of one byte too many. */
#include "dps/device/limits.h"
#include "tests/unit/test.h"
#include "tests/vectors/activation_blob.h"
#include "tests/vectors/commands.h"
#include "tpm/command.h"
#include "tpm/frame.h"
#include "tpm/tools/command_more.h"
#include <stdlib.h>
#include <string.h>

#define EK 0x80000000
#define SRK 0x80000001

/* ---- Access to the recording -------------------------------------------------------------------------- */

static const struct captured *captured(const char *name)
{
    for (size_t i = 0; i < captured_commands_count; i++) {
        if (strcmp(captured_commands[i].name, name) == 0) {
            return &captured_commands[i];
        }
    }
    abort();
}

/* The n-th TPM2B of a recorded request or response, counting from offset. */
static struct bytes field(struct bytes message, size_t offset, size_t n, bool whole)
{
    struct bytes_reader r = bytes_reader_over(message);
    bytes_read_bytes(&r, offset);
    while (n-- > 0) {
        bytes_read_2b(&r);
    }
    return whole ? bytes_read_2b_whole(&r) : bytes_read_2b(&r);
}

/* Where the parameters of a request begin: after one or two handles and the authorizations. */
#define AFTER_HANDLE 14
#define AFTER_HANDLE_PASSWORD (10 + 4 + 4 + 9)
#define AFTER_2_HANDLES_2_AUTHS (10 + 8 + 4 + 18)
/* ... and those of a response with authorizations, with and without a handle */
#define AFTER_PARAMETER_SIZE 14
#define AFTER_HANDLE_PARAMETER_SIZE 18

static const struct tpm2_auth empty_password = {.handle = TPM2_RS_PW, .attributes = TPM2_SESSION_CONTINUE};

static struct bytes inner_key(void)
{
    return bytes_of_text("@ABCDEFGHIJKLMNO");
}

/* ---- Builders: the inputs of capture_commands.c ------------------------------------------------------- */

static void startup(struct bytes_writer *w)
{
    tpm2_startup_build(w, TPM2_SU_CLEAR);
}

static void shutdown_clear(struct bytes_writer *w)
{
    tpm2_shutdown_build(w, TPM2_SU_CLEAR);
}

static void start_policy(struct bytes_writer *w)
{
    tpm2_start_auth_session_build(w, TPM2_SE_POLICY, bytes_of_text("0123456789abcdef"));
}

static void start_trial(struct bytes_writer *w)
{
    tpm2_start_auth_session_build(w, TPM2_SE_TRIAL, bytes_of_text("0123456789abcdef"));
}

static void create(struct bytes_writer *w)
{
    struct tpm2_public area = tpm2_template_sealed_data();
    tpm2_create_build(w, SRK, &empty_password, bytes_of_text("auth"), bytes_of_text("sealed data"), &area);
}

static void load(struct bytes_writer *w)
{
    struct bytes request = captured("load")->request;
    tpm2_load_build(w, SRK, &empty_password, field(request, AFTER_HANDLE_PASSWORD, 0, true),
                    field(request, AFTER_HANDLE_PASSWORD, 1, true));
}

static void load_external(struct bytes_writer *w)
{
    tpm2_load_external_build(w, bytes_of(vector_ek_public_2b, sizeof vector_ek_public_2b), TPM2_RH_OWNER);
}

static void load_external_rsa(struct bytes_writer *w)
{
    struct bytes request = captured("load_external_rsa")->request;
    /* header, size, sensitiveType, authValue, seedValue */
    tpm2_load_external_rsa_build(w, field(request, 10 + 2 + 2 + 2 + 2, 0, false), field(request, 10, 1, true),
                                 TPM2_RH_NULL);
}

static void read_public(struct bytes_writer *w)
{
    tpm2_read_public_build(w, SRK);
}

static void read_public_absent(struct bytes_writer *w)
{
    tpm2_read_public_build(w, 0x81000100);
}

static void activate(struct bytes_writer *w, const char *name, bool keep)
{
    struct bytes request = captured(name)->request;
    struct tpm2_auth auths[2] = {tpm2_auth_password((struct bytes){0}), tpm2_auth_policy(0x03000000, keep)};
    tpm2_activate_credential_build(w, SRK, EK, auths, field(request, AFTER_2_HANDLES_2_AUTHS, 0, false),
                                   field(request, AFTER_2_HANDLES_2_AUTHS, 1, false));
}

static void activate_credential(struct bytes_writer *w)
{
    activate(w, "activate_credential", false);
}

static void activate_credential_changed(struct bytes_writer *w)
{
    activate(w, "activate_credential_changed", true);
}

static void make_credential(struct bytes_writer *w)
{
    tpm2_make_credential_build(w, EK, inner_key(), field(captured("read_public")->response, 10, 1, false));
}

static void unseal(struct bytes_writer *w)
{
    struct tpm2_auth auth = tpm2_auth_password(bytes_of_text("auth"));
    tpm2_unseal_build(w, EK, &auth);
}

static void import(struct bytes_writer *w)
{
    struct bytes request = captured("import")->request;
    tpm2_import_build(w, SRK, &empty_password, inner_key(), field(request, AFTER_HANDLE_PASSWORD, 1, true),
                      field(request, AFTER_HANDLE_PASSWORD, 2, false),
                      field(request, AFTER_HANDLE_PASSWORD, 3, false));
}

static void hmac(struct bytes_writer *w)
{
    tpm2_hmac_build(w, EK, &empty_password, bytes_of_text("signed"));
}

static void get_random(struct bytes_writer *w)
{
    tpm2_get_random_build(w, 16);
}

static void hmac_start(struct bytes_writer *w)
{
    tpm2_hmac_start_build(w, EK, &empty_password);
}

static void sequence_update(struct bytes_writer *w)
{
    tpm2_sequence_update_build(w, 0x80000002, &empty_password, bytes_of_text("signed"));
}

static void sequence_complete(struct bytes_writer *w)
{
    tpm2_sequence_complete_build(w, 0x80000002, &empty_password, bytes_of_text("signed"));
}

static void policy_secret(struct bytes_writer *w)
{
    tpm2_policy_secret_build(w, TPM2_RH_ENDORSEMENT, 0x03000000, &empty_password, bytes_of(NULL, 0));
}

static void policy_secret_bad_auth(struct bytes_writer *w)
{
    struct tpm2_auth auth = tpm2_auth_password(bytes_of_text("wrong"));
    tpm2_policy_secret_build(w, TPM2_RH_ENDORSEMENT, 0x03000000, &auth, bytes_of(NULL, 0));
}

static void policy_get_digest(struct bytes_writer *w)
{
    tpm2_policy_get_digest_build(w, 0x03000000);
}

static void create_primary_ek(struct bytes_writer *w)
{
    struct tpm2_public area = tpm2_template_ek_l1();
    tpm2_create_primary_build(w, TPM2_RH_ENDORSEMENT, &empty_password, &area);
}

static void create_primary_srk(struct bytes_writer *w)
{
    struct tpm2_public area = tpm2_template_srk();
    tpm2_create_primary_build(w, TPM2_RH_OWNER, &empty_password, &area);
}

static void clear(struct bytes_writer *w)
{
    tpm2_clear_build(w, TPM2_RH_LOCKOUT, &empty_password);
}

static void hierarchy_change_auth(struct bytes_writer *w)
{
    tpm2_hierarchy_change_auth_build(w, TPM2_RH_OWNER, &empty_password, bytes_of_text("owner"));
}

static void hierarchy_change_auth_back(struct bytes_writer *w)
{
    struct tpm2_auth auth = tpm2_auth_password(bytes_of_text("owner"));
    tpm2_hierarchy_change_auth_build(w, TPM2_RH_OWNER, &auth, (struct bytes){0});
}

static void flush_context(struct bytes_writer *w)
{
    tpm2_flush_context_build(w, EK);
}

static void evict_control(struct bytes_writer *w)
{
    tpm2_evict_control_build(w, TPM2_RH_OWNER, &empty_password, SRK, TPM2_HANDLE_SRK);
}

static void evict_control_again(struct bytes_writer *w)
{
    tpm2_evict_control_build(w, TPM2_RH_OWNER, &empty_password, TPM2_HANDLE_SRK, TPM2_HANDLE_SRK);
}

static void get_capability(struct bytes_writer *w)
{
    tpm2_get_capability_build(w, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_FAMILY_INDICATOR, 3);
}

static void nv_read_public(struct bytes_writer *w)
{
    tpm2_nv_read_public_build(w, 0x01800001);
}

static void nv_read(struct bytes_writer *w)
{
    tpm2_nv_read_build(w, 0x01800001, 0x01800001, &empty_password, 11, 2);
}

/* ---- Parsers, in one form ---------------------------------------------------------------------------- */

struct outputs {
    uint32_t number[2];
    struct bytes span[2];
};

static int parse_startup(struct bytes s, uint32_t *rc, struct outputs *o)
{
    (void)o;
    return tpm2_startup_parse(s, rc);
}

static int parse_shutdown(struct bytes s, uint32_t *rc, struct outputs *o)
{
    (void)o;
    return tpm2_shutdown_parse(s, rc);
}

static int parse_start_auth_session(struct bytes s, uint32_t *rc, struct outputs *o)
{
    return tpm2_start_auth_session_parse(s, rc, &o->number[0], &o->span[0]);
}

static int parse_create(struct bytes s, uint32_t *rc, struct outputs *o)
{
    return tpm2_create_parse(s, rc, &o->span[0], &o->span[1]);
}

static int parse_load(struct bytes s, uint32_t *rc, struct outputs *o)
{
    return tpm2_load_parse(s, rc, &o->number[0], &o->span[0]);
}

static int parse_load_external(struct bytes s, uint32_t *rc, struct outputs *o)
{
    return tpm2_load_external_parse(s, rc, &o->number[0], &o->span[0]);
}

static int parse_read_public(struct bytes s, uint32_t *rc, struct outputs *o)
{
    return tpm2_read_public_parse(s, rc, &o->span[0], &o->span[1]);
}

static int parse_activate_credential(struct bytes s, uint32_t *rc, struct outputs *o)
{
    return tpm2_activate_credential_parse(s, rc, &o->span[0]);
}

static int parse_make_credential(struct bytes s, uint32_t *rc, struct outputs *o)
{
    return tpm2_make_credential_parse(s, rc, &o->span[0], &o->span[1]);
}

static int parse_unseal(struct bytes s, uint32_t *rc, struct outputs *o)
{
    return tpm2_unseal_parse(s, rc, &o->span[0]);
}

static int parse_import(struct bytes s, uint32_t *rc, struct outputs *o)
{
    return tpm2_import_parse(s, rc, &o->span[0]);
}

static int parse_hmac(struct bytes s, uint32_t *rc, struct outputs *o)
{
    return tpm2_hmac_parse(s, rc, &o->span[0]);
}

static int parse_get_random(struct bytes s, uint32_t *rc, struct outputs *o)
{
    return tpm2_get_random_parse(s, rc, &o->span[0]);
}

static int parse_hmac_start(struct bytes s, uint32_t *rc, struct outputs *o)
{
    return tpm2_hmac_start_parse(s, rc, &o->number[0]);
}

static int parse_sequence_update(struct bytes s, uint32_t *rc, struct outputs *o)
{
    (void)o;
    return tpm2_sequence_update_parse(s, rc);
}

static int parse_sequence_complete(struct bytes s, uint32_t *rc, struct outputs *o)
{
    return tpm2_sequence_complete_parse(s, rc, &o->span[0]);
}

static int parse_policy_secret(struct bytes s, uint32_t *rc, struct outputs *o)
{
    (void)o;
    return tpm2_policy_secret_parse(s, rc);
}

static int parse_policy_get_digest(struct bytes s, uint32_t *rc, struct outputs *o)
{
    return tpm2_policy_get_digest_parse(s, rc, &o->span[0]);
}

static int parse_create_primary(struct bytes s, uint32_t *rc, struct outputs *o)
{
    return tpm2_create_primary_parse(s, rc, &o->number[0], &o->span[0], &o->span[1]);
}

static int parse_clear(struct bytes s, uint32_t *rc, struct outputs *o)
{
    (void)o;
    return tpm2_clear_parse(s, rc);
}

static int parse_hierarchy_change_auth(struct bytes s, uint32_t *rc, struct outputs *o)
{
    (void)o;
    return tpm2_hierarchy_change_auth_parse(s, rc);
}

static int parse_flush_context(struct bytes s, uint32_t *rc, struct outputs *o)
{
    (void)o;
    return tpm2_flush_context_parse(s, rc);
}

static int parse_evict_control(struct bytes s, uint32_t *rc, struct outputs *o)
{
    (void)o;
    return tpm2_evict_control_parse(s, rc);
}

static int parse_get_capability(struct bytes s, uint32_t *rc, struct outputs *o)
{
    bool more;
    int error = tpm2_get_capability_parse(s, rc, &more, &o->number[0], &o->span[0]);
    o->number[1] = more;
    return error;
}

static int parse_nv_read_public(struct bytes s, uint32_t *rc, struct outputs *o)
{
    uint16_t size;
    int error = tpm2_nv_read_public_parse(s, rc, &o->number[0], &size);
    o->number[1] = size;
    return error;
}

static int parse_nv_read(struct bytes s, uint32_t *rc, struct outputs *o)
{
    return tpm2_nv_read_parse(s, rc, &o->span[0]);
}

struct command {
    const char *name; /* in the recording */
    void (*build)(struct bytes_writer *w);
    int (*parse)(struct bytes response, uint32_t *rc, struct outputs *outputs);
    size_t spans; /* how many of the outputs the parser has */
    uint32_t rc;  /* what the TPM answered */
    size_t
        open_end; /* from here on the response may end anywhere, as far as command.c can tell; 0: nowhere */
};

static const struct command commands[] = {
    {"startup", startup, parse_startup, 0, 0, 0},
    {"startup_again", startup, parse_startup, 0, TPM2_RC_INITIALIZE, 0},
    {"shutdown", shutdown_clear, parse_shutdown, 0, 0, 0},
    {"start_auth_session", start_policy, parse_start_auth_session, 1, 0, 0},
    {"start_trial_session", start_trial, parse_start_auth_session, 1, 0, 0},
    {"create", create, parse_create, 2, 0, 0},
    {"load", load, parse_load, 1, 0, 0},
    {"load_external", load_external, parse_load_external, 1, 0, 0},
    {"load_external_rsa", load_external_rsa, parse_load_external, 1, 0, 0},
    {"read_public", read_public, parse_read_public, 2, 0, 0},
    {"read_public_absent", read_public_absent, parse_read_public, 2, 0x18B, 0},
    {"activate_credential", activate_credential, parse_activate_credential, 1, 0, 0},
    {"activate_credential_changed", activate_credential_changed, parse_activate_credential, 1, 0x1DF, 0},
    {"make_credential", make_credential, parse_make_credential, 2, 0, 0},
    {"unseal", unseal, parse_unseal, 1, 0, 0},
    {"import", import, parse_import, 1, 0, 0},
    {"hmac", hmac, parse_hmac, 1, 0, 0},
    {"get_random", get_random, parse_get_random, 1, 0, 0},
    {"get_random_too_early", get_random, parse_get_random, 1, TPM2_RC_INITIALIZE, 0},
    {"hmac_start", hmac_start, parse_hmac_start, 0, 0, 0},
    {"sequence_update", sequence_update, parse_sequence_update, 0, 0, 0},
    {"sequence_complete", sequence_complete, parse_sequence_complete, 1, 0, 0},
    {"policy_secret", policy_secret, parse_policy_secret, 0, 0, 0},
    {"policy_secret_bad_auth", policy_secret_bad_auth, parse_policy_secret, 0, 0x9A2, 0},
    {"policy_get_digest", policy_get_digest, parse_policy_get_digest, 1, 0, 0},
    {"create_primary_ek", create_primary_ek, parse_create_primary, 2, 0, 0},
    {"create_primary_srk", create_primary_srk, parse_create_primary, 2, 0, 0},
    {"clear", clear, parse_clear, 0, 0, 0},
    {"hierarchy_change_auth", hierarchy_change_auth, parse_hierarchy_change_auth, 0, 0, 0},
    {"hierarchy_change_auth_back", hierarchy_change_auth_back, parse_hierarchy_change_auth, 0, 0, 0},
    {"flush_context", flush_context, parse_flush_context, 0, 0, 0},
    {"evict_control", evict_control, parse_evict_control, 0, 0, 0},
    {"evict_control_again", evict_control_again, parse_evict_control, 0, 0, 0},
    {"get_capability", get_capability, parse_get_capability, 1, 0, 10 + 1 + 4},
    {"nv_read_public", nv_read_public, parse_nv_read_public, 0, 0, 0},
    {"nv_read", nv_read, parse_nv_read, 1, 0, 0},
};
#define COMMANDS (sizeof commands / sizeof commands[0])

/* ---- Requests ----------------------------------------------------------------------------------------- */

static int test_requests(void)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        uint8_t buffer[DPS_TPM_BUFFER];
        struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
        commands[i].build(&w);
        CHECK_EQUAL(w.error, 0);
        CHECK(bytes_equal_public(bytes_written(&w), captured(commands[i].name)->request));
    }
    return 0;
}

static int test_requests_without_space(void)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        size_t size = captured(commands[i].name)->request.len;
        for (size_t capacity = 0; capacity <= size; capacity++) {
            uint8_t *buffer = malloc(capacity + 1);
            struct bytes_writer w = bytes_writer_over(buffer, capacity);
            buffer[capacity] = 0xAA;
            commands[i].build(&w);
            bool held = buffer[capacity] == 0xAA && w.error == (capacity < size ? BYTES_E_SPACE : 0) &&
                        bytes_written(&w).len == (capacity < size ? 0 : size);
            free(buffer);
            CHECK(held);
        }
    }
    return 0;
}

/* A size_t of 16 bits has no size that 16 bits cannot tell. */
#define BEYOND_16_BITS (SIZE_MAX > UINT16_MAX)

static int test_request_misuse(void)
{
    static uint8_t buffer[BEYOND_16_BITS ? 0x11000 : 64];
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    bytes_write_u8(&w, 0);
    startup(&w);
    CHECK_EQUAL(w.error, BYTES_E_USAGE);
    if (!BEYOND_16_BITS) {
        return 0;
    }
    w = bytes_writer_over(buffer, sizeof buffer);
    tpm2_hmac_build(&w, EK, &empty_password, bytes_of(buffer, 0x10000));
    CHECK(w.error == BYTES_E_LIMIT && bytes_written(&w).len == 0);
    return 0;
}

/* ---- Responses ---------------------------------------------------------------------------------------- */

static bool inside(struct bytes part, struct bytes whole)
{
    return part.len == 0 || (part.p >= whole.p && part.p + part.len <= whole.p + whole.len);
}

/* Parse a copy that ends where the heap block ends. Outputs are poisoned first. True if what holds for all
 * answers held: outputs inside the answer or empty, rc only with BYTES_E_TPM_RC, no other errors. */
/* A handle is given even by a broken response, if it says success and is long enough: the object must be flushed. */
static uint32_t handle_to_flush(const struct command *c, struct bytes response)
{
    const bool loads = c->parse == parse_start_auth_session || c->parse == parse_load ||
                       c->parse == parse_load_external || c->parse == parse_hmac_start ||
                       c->parse == parse_create_primary;
    struct bytes_reader r = bytes_reader_over(response);
    bytes_read_bytes(&r, 6);
    const uint32_t rc = bytes_read_u32(&r);
    return loads && rc == 0 ? bytes_read_u32(&r) : 0;
}

static bool parse_copy(const struct command *c, const uint8_t *response, size_t len, int *error)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    memcpy(copy, response, len);
    struct bytes s = bytes_of(copy, len);
    uint32_t rc = 0xAAAAAAAA;
    struct outputs o = {.number = {0}, .span = {bytes_of("poison", 6), bytes_of("poison", 6)}};
    *error = c->parse(s, &rc, &o);
    bool held;
    if (*error == 0) {
        held = rc == 0;
        for (size_t i = 0; i < c->spans; i++) {
            held = held && inside(o.span[i], s);
        }
    } else {
        held = (*error == BYTES_E_TPM_RC) == (rc != 0);
        held = held && (*error == BYTES_E_FORMAT || *error == BYTES_E_TPM_RC || *error == BYTES_E_ALGORITHM);
        held = held && o.number[0] == handle_to_flush(c, s) && o.number[1] == 0;
        for (size_t i = 0; i < c->spans; i++) {
            held = held && o.span[i].len == 0;
        }
    }
    free(copy);
    return held;
}

static void set_size(uint8_t *response, size_t len)
{
    struct bytes_writer w = bytes_writer_over(response, 6);
    w.len = 2;
    bytes_write_u32(&w, (uint32_t)len);
}

static int test_responses(void)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        struct bytes response = captured(commands[i].name)->response;
        struct outputs o = {0};
        uint32_t rc;
        int error;
        CHECK(parse_copy(&commands[i], response.p, response.len, &error));
        CHECK(error == (commands[i].rc == 0 ? 0 : BYTES_E_TPM_RC));
        CHECK_EQUAL(commands[i].parse(response, &rc, &o), error);
        CHECK_EQUAL(rc, commands[i].rc);
    }
    return 0;
}

/* Cut at every byte, once as a transport would cut it, once with a header that fits the shorter length. */
static int test_truncated(void)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        struct bytes response = captured(commands[i].name)->response;
        for (size_t len = 0; len < response.len; len++) {
            uint8_t buffer[DPS_TPM_BUFFER];
            int error;
            memcpy(buffer, response.p, len);
            CHECK(parse_copy(&commands[i], buffer, len, &error));
            CHECK_EQUAL(error, BYTES_E_FORMAT);
            if (len < 10 || (commands[i].open_end != 0 && len >= commands[i].open_end)) {
                continue;
            }
            set_size(buffer, len);
            CHECK(parse_copy(&commands[i], buffer, len, &error));
            CHECK_EQUAL(error, BYTES_E_FORMAT);
        }
    }
    return 0;
}

static int test_trailing(void)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        struct bytes response = captured(commands[i].name)->response;
        for (size_t more = 1; more <= 16; more++) {
            uint8_t buffer[DPS_TPM_BUFFER] = {0};
            int error;
            memcpy(buffer, response.p, response.len);
            CHECK(parse_copy(&commands[i], buffer, response.len + more, &error));
            CHECK_EQUAL(error, BYTES_E_FORMAT);
            if (commands[i].open_end != 0) {
                continue;
            }
            set_size(buffer, response.len + more);
            CHECK(parse_copy(&commands[i], buffer, response.len + more, &error));
            CHECK_EQUAL(error, BYTES_E_FORMAT);
        }
    }
    return 0;
}

static int test_every_byte_changed(void)
{
    static const uint8_t values[] = {0x00, 0x01, 0x02, 0x7F, 0x80, 0x81, 0xC4, 0xFE, 0xFF};
    for (size_t i = 0; i < COMMANDS; i++) {
        struct bytes response = captured(commands[i].name)->response;
        for (size_t at = 0; at < response.len; at++) {
            for (size_t v = 0; v < sizeof values + 10; v++) {
                uint8_t buffer[DPS_TPM_BUFFER];
                int error;
                memcpy(buffer, response.p, response.len);
                if (v < sizeof values) {
                    buffer[at] = values[v];
                } else if (v < sizeof values + 8) {
                    buffer[at] ^= (uint8_t)(1U << (v - sizeof values));
                } else {
                    buffer[at] = (uint8_t)(buffer[at] + (v == sizeof values + 8 ? 1 : 255));
                }
                CHECK(parse_copy(&commands[i], buffer, response.len, &error));
                if (at < 6 && buffer[at] != response.p[at] && error != BYTES_E_FORMAT) {
                    CHECK(at < 2 && error == BYTES_E_TPM_RC); /* the tag of a refusal turned into TPM 1.2's */
                }
            }
        }
    }
    return 0;
}

/* Refusals have one form for all commands. */
static int test_refusals(void)
{
    static const struct {
        uint8_t bytes[12];
        size_t len;
        int error;
        uint32_t rc;
    } refusals[] = {
        {{0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x01, 0xDF}, 10, BYTES_E_TPM_RC, 0x1DF},
        {{0x80, 0x01, 0, 0, 0, 10, 0, 0x0B, 0x01, 0x43}, 10, BYTES_E_TPM_RC, 0x000B0143},
        {{0x00, 0xC4, 0, 0, 0, 10, 0, 0, 0x00, 0x1E}, 10, BYTES_E_TPM_RC, 0x1E},
        {{0x00, 0xC4, 0, 0, 0, 10, 0, 0, 0x00, 0x00}, 10, BYTES_E_FORMAT, 0},
        {{0x80, 0x02, 0, 0, 0, 10, 0, 0, 0x01, 0xDF}, 10, BYTES_E_FORMAT, 0},
        {{0x80, 0x01, 0, 0, 0, 11, 0, 0, 0x01, 0xDF, 0}, 11, BYTES_E_FORMAT, 0},
        {{0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x01, 0xDF, 0}, 11, BYTES_E_FORMAT, 0},
        {{0x80, 0x01, 0, 0, 0, 11, 0, 0, 0x01, 0xDF}, 10, BYTES_E_FORMAT, 0},
    };
    for (size_t i = 0; i < COMMANDS; i++) {
        for (size_t k = 0; k < sizeof refusals / sizeof refusals[0]; k++) {
            struct outputs o;
            uint32_t rc = 1;
            int error;
            CHECK(parse_copy(&commands[i], refusals[k].bytes, refusals[k].len, &error));
            CHECK_EQUAL(error, refusals[k].error);
            CHECK_EQUAL(commands[i].parse(bytes_of(refusals[k].bytes, refusals[k].len), &rc, &o), error);
            CHECK_EQUAL(rc, refusals[k].rc);
        }
    }
    return 0;
}

/* A success with the other tag has authorizations missing, or some that nobody asked for. */
static int test_wrong_tag(void)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        struct bytes response = captured(commands[i].name)->response;
        uint8_t buffer[DPS_TPM_BUFFER];
        int error;
        if (commands[i].rc != 0) {
            continue;
        }
        memcpy(buffer, response.p, response.len);
        buffer[1] ^= 0x01 ^ 0x02;
        CHECK(parse_copy(&commands[i], buffer, response.len, &error));
        CHECK_EQUAL(error, BYTES_E_FORMAT);
    }
    return 0;
}

/* ---- Values ------------------------------------------------------------------------------------------- */

static int test_object_values(void)
{
    uint32_t rc, handle;
    struct bytes public_2b, name, private_2b, again;
    struct tpm2_public area, ek = tpm2_template_ek_l1(), srk = tpm2_template_srk();
    uint8_t computed[TPM2_NAME_SIZE];

    CHECK_EQUAL(
        tpm2_create_primary_parse(captured("create_primary_ek")->response, &rc, &handle, &public_2b, &name),
        0);
    CHECK(handle == EK && public_2b.len == 316);
    CHECK(tpm2_public_parse_2b(public_2b, &area) == 0 && tpm2_public_matches(&area, &ek));
    CHECK(!tpm2_public_matches(&area, &srk));
    tpm2_name_of(public_2b, computed);
    CHECK(bytes_equal_public(name, bytes_of(computed, sizeof computed)));

    CHECK_EQUAL(
        tpm2_create_primary_parse(captured("create_primary_srk")->response, &rc, &handle, &public_2b, &name),
        0);
    CHECK(handle == SRK && public_2b.len == 284);
    CHECK_EQUAL(tpm2_read_public_parse(captured("read_public")->response, &rc, &again, &name), 0);
    CHECK(bytes_equal_public(public_2b, again));
    CHECK(tpm2_public_parse_2b(public_2b, &area) == 0 && tpm2_public_matches(&area, &srk));
    tpm2_name_of(public_2b, computed);
    CHECK(bytes_equal_public(name, bytes_of(computed, sizeof computed)));

    CHECK_EQUAL(tpm2_import_parse(captured("import")->response, &rc, &private_2b), 0);
    CHECK(private_2b.len == 160 && private_2b.len <= DPS_WRAPPED_KEY_MAX);
    CHECK(bytes_equal_public(private_2b, field(captured("load")->request, AFTER_HANDLE_PASSWORD, 0, true)));
    CHECK(tpm2_load_parse(captured("load")->response, &rc, &handle, &name) == 0 && handle == 0x80000000);
    tpm2_name_of(field(captured("load")->request, AFTER_HANDLE_PASSWORD, 1, true), computed);
    CHECK(bytes_equal_public(name, bytes_of(computed, sizeof computed)));

    CHECK_EQUAL(tpm2_load_external_parse(captured("load_external")->response, &rc, &handle, &name), 0);
    CHECK(handle == 0x80000000 && bytes_equal_public(name, bytes_of(vector_ek_name, sizeof vector_ek_name)));

    CHECK_EQUAL(tpm2_create_parse(captured("create")->response, &rc, &private_2b, &public_2b), 0);
    CHECK(bytes_equal_public(private_2b, field(captured("create")->response, AFTER_PARAMETER_SIZE, 0, true)));
    CHECK_EQUAL(tpm2_public_parse_2b(public_2b, &area), 0);
    struct tpm2_public sealed = tpm2_template_sealed_data();
    CHECK(tpm2_public_matches(&area, &sealed) && area.unique.len == 32);
    return 0;
}

static int test_flow_values(void)
{
    static const uint8_t ek_policy[32] = TPM2_EK_POLICY_SHA256;
    uint32_t rc, handle;
    struct bytes a, b;

    CHECK_EQUAL(tpm2_start_auth_session_parse(captured("start_auth_session")->response, &rc, &handle, &a), 0);
    CHECK(handle == 0x03000000 && a.len == 16);
    CHECK(bytes_equal_public(a, field(captured("start_auth_session")->response, AFTER_HANDLE, 0, false)));
    CHECK_EQUAL(tpm2_policy_get_digest_parse(captured("policy_get_digest")->response, &rc, &a), 0);
    CHECK(bytes_equal_public(a, bytes_of(ek_policy, sizeof ek_policy)));
    CHECK_EQUAL(tpm2_make_credential_parse(captured("make_credential")->response, &rc, &a, &b), 0);
    CHECK(a.len == 52 && b.len == 256);
    CHECK(bytes_equal_public(
        a, field(captured("activate_credential")->request, AFTER_2_HANDLES_2_AUTHS, 0, false)));
    CHECK_EQUAL(tpm2_activate_credential_parse(captured("activate_credential")->response, &rc, &a), 0);
    CHECK(bytes_equal_public(a, inner_key()));
    CHECK(tpm2_hmac_parse(captured("hmac")->response, &rc, &a) == 0 && a.len == 32);
    CHECK(bytes_equal_public(a, field(captured("hmac")->response, AFTER_PARAMETER_SIZE, 0, false)));
    CHECK(tpm2_hmac_start_parse(captured("hmac_start")->response, &rc, &handle) == 0 && handle == 0x80000002);
    CHECK(tpm2_sequence_complete_parse(captured("sequence_complete")->response, &rc, &b) == 0 && b.len == 32);
    CHECK(!bytes_equal_public(a, b));
    return 0;
}

static int test_other_values(void)
{
    uint32_t rc, number;
    struct bytes a;
    bool more;
    uint16_t size;

    CHECK_EQUAL(tpm2_get_random_parse(captured("get_random")->response, &rc, &a), 0);
    CHECK(bytes_equal_public(a, field(captured("get_random")->response, 10, 0, false)) && a.len == 16);
    CHECK_EQUAL(tpm2_unseal_parse(captured("unseal")->response, &rc, &a), 0);
    CHECK(bytes_equal_public(a, bytes_of_text("sealed data")));
    CHECK_EQUAL(tpm2_nv_read_public_parse(captured("nv_read_public")->response, &rc, &number, &size), 0);
    CHECK(size == 20 && number == (TPM2_NV_WRITTEN | TPM2_NV_AUTH_READ | TPM2_NV_OWNER_READ | 0x02000002));
    CHECK_EQUAL(tpm2_nv_read_parse(captured("nv_read")->response, &rc, &a), 0);
    CHECK(bytes_equal_public(a, bytes_of_text("certificate")));

    CHECK_EQUAL(tpm2_get_capability_parse(captured("get_capability")->response, &rc, &more, &number, &a), 0);
    CHECK(more && number == TPM2_CAP_TPM_PROPERTIES);
    struct bytes_reader r = bytes_reader_over(a);
    CHECK_EQUAL(bytes_read_u32(&r), 3);
    CHECK(bytes_read_u32(&r) == TPM2_PT_FAMILY_INDICATOR && bytes_read_u32(&r) == 0x322E3000); /* "2.0" */
    CHECK(bytes_read_u32(&r) == TPM2_PT_LEVEL && bytes_read_u32(&r) == 0);
    CHECK(bytes_read_u32(&r) == TPM2_PT_REVISION && bytes_read_u32(&r) >= 138);
    CHECK_EQUAL(bytes_reader_end(&r), 0);
    return 0;
}

static int parse_with(const char *name, size_t at, uint8_t value)
{
    struct bytes response = captured(name)->response;
    uint8_t buffer[DPS_TPM_BUFFER];
    int error = 0;
    memcpy(buffer, response.p, response.len);
    buffer[at] = value;
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0 && !parse_copy(&commands[i], buffer, response.len, &error)) {
            return 1;
        }
    }
    return error;
}

/* Fields that nobody reads on are checked nevertheless: a response that gets them wrong is not trusted
 * elsewhere. */
static int test_unread_fields(void)
{
    CHECK_EQUAL(parse_with("get_capability", 10, 0), 0);
    CHECK_EQUAL(parse_with("get_capability", 10, 2), BYTES_E_FORMAT);   /* TPMI_YES_NO */
    CHECK_EQUAL(parse_with("policy_secret", 17, 0x25), BYTES_E_FORMAT); /* the ticket's tag */
    CHECK_EQUAL(parse_with("sequence_complete", 14 + 34 + 1, 0x23), BYTES_E_FORMAT);
    return 0;
}

/* Nonce and HMAC of an answer are digests: at most 64 bytes each. */
static int test_long_auth(void)
{
    for (size_t which = 0; which < 2; which++) {
        for (size_t len = 63; len <= 65; len++) {
            uint8_t buffer[256] = {0}, zeros[65] = {0};
            struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
            uint32_t rc;
            bytes_write_u16(&w, TPM2_ST_SESSIONS);
            bytes_write_u32(&w, 0);
            bytes_write_u32(&w, 0);
            bytes_write_u32(&w, 0); /* parameterSize */
            bytes_write_2b(&w, bytes_of(zeros, which == 0 ? len : 0));
            bytes_write_u8(&w, 1);
            bytes_write_2b(&w, bytes_of(zeros, which == 1 ? len : 0));
            set_size(buffer, w.len);
            CHECK_EQUAL(tpm2_clear_parse(bytes_written(&w), &rc), (len <= 64 ? 0 : BYTES_E_FORMAT));
        }
    }
    return 0;
}

/* An ECC key at a handle is a well-formed answer that this project cannot use: it must not read as broken
 * bytes. */
static int test_unknown_kind(void)
{
    struct bytes response = captured("read_public")->response;
    uint8_t buffer[DPS_TPM_BUFFER];
    struct bytes public_2b, name;
    uint32_t rc;
    memcpy(buffer, response.p, response.len);
    buffer[13] = TPM2_ALG_ECC;
    CHECK_EQUAL(tpm2_read_public_parse(bytes_of(buffer, response.len), &rc, &public_2b, &name),
                BYTES_E_ALGORITHM);
    CHECK(public_2b.len == 0 && name.len == 0 && rc == 0);
    return 0;
}

static int test_response_size(void)
{
    static const struct {
        uint8_t bytes[6];
        size_t len, size;
        bool bad;
    } cases[] = {
        {{0x80, 0x01, 0, 0, 0, 10}, 6, 10, false},  {{0x80, 0x01, 0, 0, 0, 10}, 5, 0, false},
        {{0x80, 0x01, 0, 0, 0, 9}, 6, 0, true},     {{0x80, 0x01, 0, 0, 4, 0}, 6, 1024, false},
        {{0x80, 0x01, 0, 0, 4, 1}, 6, 0, true},     {{0}, 0, 0, false},
        {{0x80, 0x01, 0xFF, 0, 0, 10}, 6, 0, true}, {{0x80, 0x01, 0, 1, 0, 10}, 6, 0, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool bad = !cases[i].bad;
        CHECK_EQUAL(tpm2_response_size(bytes_of(cases[i].bytes, cases[i].len), 1024, &bad), cases[i].size);
        CHECK_EQUAL(bad, cases[i].bad);
    }
    return 0;
}

/* Right in their lower 16 bits, which is all that a short size_t has. */
static int test_large_sizes(void)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        const struct bytes response = captured(commands[i].name)->response;
        uint8_t buffer[DPS_TPM_BUFFER];
        int error;
        memcpy(buffer, response.p, response.len);
        buffer[3] ^= 1; /* responseSize */
        CHECK(parse_copy(&commands[i], buffer, response.len, &error));
        CHECK_EQUAL(error, BYTES_E_FORMAT);
    }
    uint8_t buffer[DPS_TPM_BUFFER];
    const struct bytes response = captured("hmac")->response;
    uint32_t rc;
    struct bytes mac;
    memcpy(buffer, response.p, response.len);
    buffer[AFTER_PARAMETER_SIZE - 3] ^= 1;
    CHECK_EQUAL(tpm2_hmac_parse(bytes_of(buffer, response.len), &rc, &mac), BYTES_E_FORMAT);
    return 0;
}

/* Commands that no recording has: bytes by hand, from Part 3's tables. */
static int test_not_recorded(void)
{
    static const uint8_t policy_or[] = {0x80, 0x01, 0, 0, 0, 26, 0, 0, 0x01, 0x71, 3, 0, 0,
                                        1,    0,    0, 0, 2, 0,  2, 1, 2,    0,    2, 3, 4};
    static const uint8_t policy_command_code[] = {0x80, 0x01, 0, 0, 0, 18, 0, 0, 0x01,
                                                  0x6C, 3,    0, 0, 1, 0,  0, 1, 0x53};
    static const uint8_t rewrap[] = {0x80, 0x02, 0, 0, 0, 40,   0, 0, 0x01, 0x52, 0x80, 0,   0, 1,
                                     0x40, 0,    0, 7, 0, 0,    0, 9, 0x40, 0,    0,    9,   0, 0,
                                     1,    0,    0, 0, 1, 0xDD, 0, 1, 0xAA, 0,    1,    0x5E};
    static const uint8_t answer[] = {0x80, 0x02, 0, 0, 0, 25, 0, 0, 0, 0, 0, 0, 0,
                                     6,    0,    1, 9, 0, 1,  8, 0, 0, 1, 0, 0};
    const struct bytes digests[] = {bytes_of(policy_or + 20, 2), bytes_of(policy_or + 24, 2)};
    const struct tpm2_auth auth = tpm2_auth_password((struct bytes){0});
    uint8_t buffer[64];
    struct bytes_writer w = bytes_writer_over(buffer, sizeof buffer);
    tpm2_policy_or_build(&w, 0x03000001, digests, 2);
    CHECK(bytes_equal_public(bytes_written(&w), bytes_of(policy_or, sizeof policy_or)));
    w = bytes_writer_over(buffer, sizeof buffer);
    tpm2_policy_command_code_build(&w, 0x03000001, TPM2_CC_CREATE);
    CHECK(bytes_equal_public(bytes_written(&w), bytes_of(policy_command_code, sizeof policy_command_code)));
    w = bytes_writer_over(buffer, sizeof buffer);
    tpm2_rewrap_build(&w, SRK, TPM2_RH_NULL, &auth, bytes_of("\xDD", 1), bytes_of("\xAA", 1),
                      bytes_of("\x5E", 1));
    CHECK(bytes_equal_public(bytes_written(&w), bytes_of(rewrap, sizeof rewrap)));
    uint32_t rc;
    struct bytes duplicate, secret;
    CHECK(tpm2_rewrap_parse(bytes_of(answer, sizeof answer), &rc, &duplicate, &secret) == 0);
    CHECK(bytes_equal_public(duplicate, bytes_of("\x09", 1)));
    CHECK(bytes_equal_public(secret, bytes_of("\x08", 1)));
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"every request is what tpm2-tss sends", test_requests},
        {"requests stop at the buffer's end", test_requests_without_space},
        {"a used writer and an endless TPM2B are refused", test_request_misuse},
        {"every response of the TPM is read", test_responses},
        {"truncated responses", test_truncated},
        {"responses with bytes left over", test_trailing},
        {"responses with one byte changed", test_every_byte_changed},
        {"refusals", test_refusals},
        {"commands that were not recorded", test_not_recorded},
        {"a success with the wrong tag", test_wrong_tag},
        {"values: objects", test_object_values},
        {"values: the flow", test_flow_values},
        {"values: random, NV, capabilities", test_other_values},
        {"fields that are not passed on", test_unread_fields},
        {"nonces and HMACs that are not digests", test_long_auth},
        {"a key of an unknown kind", test_unknown_kind},
        {"the size that a header announces", test_response_size},
        {"sizes of more than 16 bits", test_large_sizes},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
