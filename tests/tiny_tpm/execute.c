/* SPDX-License-Identifier: MIT */
/* From the bytes of a command to the function that carries it out [P3 r1.59 5]: header, handles, authorizations,
 * parameters; each may refuse. */
#include "tests/tiny_tpm/inside.h"

#define HEADER_SIZE 10U
#define CC_SELF_TEST 0x143
#define CC_POLICY_RESTART 0x180
/* TPMA_CC [P2 r1.59 8.9] */
#define NV 0x00400000U
#define EXTENSIVE 0x00800000U
#define FLUSHED 0x01000000U
#define R_HANDLE 0x10000000U

/* By number, as TPM2_GetCapability lists them. */
const struct tiny_command tiny_commands[] = {
    {TPM2_CC_EVICT_CONTROL, NV, tiny_evict_control, {TINY_PROVISIONS, TINY_KEY}, {TINY_USER}, false, false, false},
    {TPM2_CC_CLEAR, NV | EXTENSIVE, tiny_clear, {TINY_CLEARS}, {TINY_USER}, false, false, false},
    {TPM2_CC_HIERARCHY_CHANGE_AUTH, NV, tiny_hierarchy_change_auth, {TINY_OWNED}, {TINY_USER}, true, false, false},
    {TPM2_CC_CREATE_PRIMARY, R_HANDLE, tiny_create_primary, {TINY_HIERARCHY}, {TINY_USER}, true, true, false},
    {CC_SELF_TEST, NV, tiny_self_test, {0}, {0}, false, false, false},
    {TPM2_CC_STARTUP, NV, tiny_startup, {0}, {0}, false, false, true},
    {TPM2_CC_SHUTDOWN, NV, tiny_shutdown, {0}, {0}, false, false, false},
    {TPM2_CC_ACTIVATE_CREDENTIAL, 0, tiny_activate_credential, {TINY_KEY, TINY_KEY}, {TINY_ADMIN, TINY_USER}, true,
     true, false},
    {TPM2_CC_POLICY_SECRET, 0, tiny_policy_secret, {TINY_ENTITY, TINY_POLICY}, {TINY_USER}, true, true, false},
    {TPM2_CC_REWRAP, 0, tiny_rewrap, {TINY_KEY_OR_NULL, TINY_KEY_OR_NULL}, {TINY_USER}, true, true, false},
    {TPM2_CC_CREATE, 0, tiny_create, {TINY_KEY}, {TINY_USER}, true, true, false},
    {TPM2_CC_HMAC, 0, tiny_hmac, {TINY_KEY}, {TINY_USER}, true, true, false},
    {TPM2_CC_IMPORT, 0, tiny_import, {TINY_KEY}, {TINY_USER}, true, true, false},
    {TPM2_CC_LOAD, R_HANDLE, tiny_load, {TINY_KEY}, {TINY_USER}, true, true, false},
    {TPM2_CC_UNSEAL, 0, tiny_unseal, {TINY_KEY}, {TINY_USER}, false, true, false},
    {TPM2_CC_FLUSH_CONTEXT, 0, tiny_flush_context, {0}, {0}, false, false, true},
    {TPM2_CC_LOAD_EXTERNAL, R_HANDLE, tiny_load_external, {0}, {0}, true, true, false},
    {TPM2_CC_POLICY_COMMAND_CODE, 0, tiny_policy_command_code, {TINY_POLICY}, {0}, false, false, false},
    {TPM2_CC_POLICY_OR, 0, tiny_policy_or, {TINY_POLICY}, {0}, false, false, false},
    {TPM2_CC_READ_PUBLIC, 0, tiny_read_public, {TINY_KEY}, {0}, false, true, false},
    {TPM2_CC_START_AUTH_SESSION, R_HANDLE, tiny_start_auth_session, {TINY_KEY_OR_NULL, TINY_ENTITY_OR_NULL}, {0},
     true, true, false},
    {TPM2_CC_GET_CAPABILITY, 0, tiny_get_capability, {0}, {0}, false, false, false},
    {TPM2_CC_GET_RANDOM, 0, tiny_get_random, {0}, {0}, false, true, false},
    {CC_POLICY_RESTART, 0, tiny_policy_restart, {TINY_POLICY}, {0}, false, false, false},
    {TPM2_CC_POLICY_GET_DIGEST, 0, tiny_policy_get_digest, {TINY_POLICY}, {0}, false, true, false},
};
const size_t tiny_commands_count = sizeof tiny_commands / sizeof tiny_commands[0];

const struct tiny_command *tiny_command_find(uint32_t code)
{
    for (size_t i = 0; i < tiny_commands_count; i++) {
        if (tiny_commands[i].code == code) {
            return &tiny_commands[i];
        }
    }
    return NULL;
}

/* ---- Parameters ---- */

void tiny_in_refuse(struct tiny_call *c, uint32_t rc)
{
    if (c->rc == 0) {
        c->rc = rc | TINY_P(c->parameter);
    }
}

/* After the next parameter has been read: was it there? */
static void count(struct tiny_call *c)
{
    c->parameter++;
    if (c->in.error != 0) {
        tiny_in_refuse(c, TPM2_RC_INSUFFICIENT);
    }
}

uint8_t tiny_in_u8(struct tiny_call *c)
{
    const uint8_t value = bytes_read_u8(&c->in);
    count(c);
    return value;
}

uint16_t tiny_in_u16(struct tiny_call *c)
{
    const uint16_t value = bytes_read_u16(&c->in);
    count(c);
    return value;
}

uint32_t tiny_in_u32(struct tiny_call *c)
{
    const uint32_t value = bytes_read_u32(&c->in);
    count(c);
    return value;
}

struct bytes tiny_in_2b(struct tiny_call *c, size_t max)
{
    struct bytes_reader size = c->in;
    const bool too_long = bytes_read_u16(&size) > max;
    const struct bytes value = bytes_read_2b(&c->in);
    if (too_long && c->rc == 0 && size.error == 0) {
        c->in.error = 0;
        count(c);
        tiny_in_refuse(c, TPM2_RC_SIZE);
        return value;
    }
    count(c);
    return value;
}

/* What exactly could not be read [P2 r1.59 12.2]. */
static uint32_t public_error(struct bytes whole)
{
    struct bytes_reader r = bytes_reader_over(whole);
    bytes_skip(&r, 2);
    const uint16_t type = bytes_read_u16(&r);
    const uint16_t name_alg = bytes_read_u16(&r);
    return r.error != 0                                              ? TPM2_RC_INSUFFICIENT
           : type != TPM2_ALG_RSA && type != TPM2_ALG_KEYEDHASH      ? TPM2_RC_TYPE
           : name_alg != TPM2_ALG_SHA256                             ? TPM2_RC_HASH
                                                                     : TPM2_RC_VALUE;
}

#define KNOWN_ATTRIBUTES                                                                                     \
    (TPM2_OBJECT_FIXED_TPM | TPM2_OBJECT_ST_CLEAR | TPM2_OBJECT_FIXED_PARENT | TPM2_OBJECT_SENSITIVE_DATA_ORIGIN |  \
     TPM2_OBJECT_USER_WITH_AUTH | TPM2_OBJECT_ADMIN_WITH_POLICY | TPM2_OBJECT_NO_DA |                         \
     TPM2_OBJECT_ENCRYPTED_DUPLICATION | TPM2_OBJECT_RESTRICTED | TPM2_OBJECT_DECRYPT | TPM2_OBJECT_SIGN_ENCRYPT)

struct bytes tiny_in_public(struct tiny_call *c, struct tpm2_public *area)
{
    const struct bytes whole = bytes_read_2b_whole(&c->in);
    count(c);
    *area = (struct tpm2_public){0};
    if (c->rc != 0) {
        return whole;
    }
    const int error = tpm2_public_parse_2b(whole, area);
    if (whole.len == 2 || whole.len > TINY_PUBLIC_MAX) {
        tiny_in_refuse(c, TPM2_RC_SIZE);
    } else if (error == BYTES_E_ALGORITHM) {
        tiny_in_refuse(c, public_error(whole));
    } else if (error != 0) {
        tiny_in_refuse(c, TPM2_RC_SIZE);
    } else if ((area->attributes & ~(uint32_t)KNOWN_ATTRIBUTES) != 0) {
        tiny_in_refuse(c, TPM2_RC_RESERVED_BITS);
    } else if (area->type == TPM2_ALG_RSA && area->key_bits != 8 * TINY_RSA_BYTES) {
        tiny_in_refuse(c, TPM2_RC_VALUE);
    }
    return whole;
}

void tiny_in_sensitive(struct tiny_call *c, bool may_be_empty, struct tiny_sensitive *sensitive)
{
    const struct bytes whole = bytes_read_2b_whole(&c->in);
    count(c);
    *sensitive = (struct tiny_sensitive){0};
    if (c->rc == 0 && !(may_be_empty && whole.len == 2) && tiny_sensitive_read(whole, sensitive) != 0) {
        tiny_in_refuse(c, TPM2_RC_SIZE);
    }
}

uint32_t tiny_in_end(struct tiny_call *c)
{
    return c->rc != 0 ? c->rc : c->in.left > 0 ? TPM2_RC_SIZE : TPM2_RC_SUCCESS;
}

/* ---- Handles ---- */

static bool is_object(uint32_t handle)
{
    return handle >> TPM2_HT_SHIFT == TPM2_HT_TRANSIENT || handle >> TPM2_HT_SHIFT == TPM2_HT_PERSISTENT;
}

static bool is_of_kind(uint32_t handle, enum tiny_kind kind)
{
    const bool hierarchy = tiny_hierarchy_index(handle) >= 0;
    switch (kind) {
    case TINY_KEY:
        return is_object(handle);
    case TINY_KEY_OR_NULL:
        return is_object(handle) || handle == TPM2_RH_NULL;
    case TINY_ENTITY:
        return is_object(handle) || (hierarchy && handle != TPM2_RH_NULL);
    case TINY_ENTITY_OR_NULL:
        return is_object(handle) || hierarchy;
    case TINY_HIERARCHY:
        return hierarchy && handle != TPM2_RH_LOCKOUT;
    case TINY_OWNED:
        return hierarchy && handle != TPM2_RH_NULL;
    case TINY_CLEARS:
        return handle == TPM2_RH_LOCKOUT || handle == TPM2_RH_PLATFORM;
    case TINY_PROVISIONS:
        return handle == TPM2_RH_OWNER || handle == TPM2_RH_PLATFORM;
    case TINY_POLICY:
        return handle >> TPM2_HT_SHIFT == TPM2_HT_POLICY_SESSION;
    case TINY_NO_HANDLE:
        break;
    }
    return false;
}

/* Each must be of its kind, and then what it names must be there. */
static uint32_t read_handles(struct tiny_call *c)
{
    size_t n = 0;
    for (; n < TINY_HANDLES_MAX && c->command->kinds[n] != TINY_NO_HANDLE; n++) {
        struct bytes_writer w = bytes_writer_over(c->handle_bytes[n], sizeof c->handle_bytes[n]);
        c->handles[n] = bytes_read_u32(&c->in);
        bytes_write_u32(&w, c->handles[n]);
        if (c->in.error != 0) {
            return TPM2_RC_INSUFFICIENT | TINY_H(n + 1);
        }
        if (!is_of_kind(c->handles[n], c->command->kinds[n])) {
            return TPM2_RC_VALUE | TINY_H(n + 1);
        }
    }
    for (size_t i = 0; i < n; i++) {
        const bool persistent = c->handles[i] >> TPM2_HT_SHIFT == TPM2_HT_PERSISTENT;
        const bool object = is_object(c->handles[i]);
        if (object ? tiny_object_find(c->tpm, c->handles[i]) == NULL
                   : c->command->kinds[i] == TINY_POLICY && tiny_session_find(c->tpm, c->handles[i]) == NULL) {
            return persistent ? TPM2_RC_HANDLE | TINY_H(i + 1) : TPM2_RC_REFERENCE_H0 + (uint32_t)i;
        }
    }
    return TPM2_RC_SUCCESS;
}

/* ---- The whole ---- */

/* Returns: 0, and *sessions says whether there is an authorization area. */
static uint32_t read_header(struct tiny_call *c, size_t len, bool *sessions)
{
    const uint16_t tag = bytes_read_u16(&c->in);
    const uint32_t size = bytes_read_u32(&c->in);
    const uint32_t code = bytes_read_u32(&c->in);
    *sessions = tag == TPM2_ST_SESSIONS;
    if (tag != TPM2_ST_SESSIONS && tag != TPM2_ST_NO_SESSIONS) {
        return TPM2_RC_BAD_TAG;
    }
    if (c->in.error != 0 || size != len) {
        return TPM2_RC_COMMAND_SIZE;
    }
    c->command = tiny_command_find(code);
    if (c->command == NULL) {
        return TPM2_RC_COMMAND_CODE;
    }
    return c->tpm->started || code == TPM2_CC_STARTUP ? TPM2_RC_SUCCESS : TPM2_RC_INITIALIZE;
}

size_t tiny_tpm_execute(struct tiny_tpm *t, struct bytes command, uint8_t *response)
{
    struct tiny_call c = {.tpm = t};
    struct bytes_writer w = bytes_writer_over(response, TINY_BUFFER);
    const size_t len = command.len < sizeof t->command ? command.len : sizeof t->command;
    bool sessions = false;
    memcpy(t->command, command.p, len);
    c.in = bytes_reader_over(bytes_of(t->command, len));
    uint32_t rc = read_header(&c, command.len, &sessions);
    if (rc == 0) {
        rc = read_handles(&c);
    }
    if (rc == 0) {
        rc = tiny_sessions_begin(&c, sessions);
    }
    const bool returns_handle = rc == 0 && (c.command->attributes & R_HANDLE) != 0;
    const size_t begin = HEADER_SIZE + (returns_handle ? 4U : 0U) + (sessions ? 4U : 0U);
    c.out = bytes_writer_over(response + begin, TINY_BUFFER - begin);
    if (rc == 0) {
        rc = c.command->run(&c);
    }
    const bool success = rc == 0;
    bytes_write_u16(&w, rc == TPM2_RC_BAD_TAG       ? TPM2_ST_RSP_COMMAND
                        : success && sessions ? TPM2_ST_SESSIONS
                                                    : TPM2_ST_NO_SESSIONS);
    bytes_write_u32(&w, 0);
    bytes_write_u32(&w, rc);
    if (success && returns_handle) {
        bytes_write_u32(&w, c.out_handle);
    }
    if (success && sessions) {
        bytes_write_u32(&w, (uint32_t)c.out.len);
    }
    if (success) {
        w.len += c.out.len; /* they stand there already */
        if (sessions) {
            tiny_sessions_end(&c, c.out.p, c.out.len, &w);
        }
    }
    struct bytes_writer size = bytes_writer_over(response + 2, 4);
    bytes_write_u32(&size, (uint32_t)w.len);
    bytes_wipe(t->command, len);
    return w.len;
}
