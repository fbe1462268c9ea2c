/* SPDX-License-Identifier: MIT */
/* From the bytes of a command to the function that carries it out [P3 r1.59 5]: header, handles, authorizations,
 * parameters; each may refuse. */
#include "tests/tiny_tpm/inside.h"

#define HEADER_SIZE 10U
#define CC_SELF_TEST 0x143
#define CC_POLICY_RESTART 0x180
/* TPMA_CC [P2 r1.59 8.9] */
#define NV 0x00400000U
#define WIDE (NV | 0x00800000U) /* extensive: it may flush many */
#define MADE 0x10000000U        /* rHandle: it returns a handle */
/* What sessions may do with it */
#define IN TINY_IN_2B
#define OUT TINY_OUT_2B
#define BOTH (TINY_IN_2B | TINY_OUT_2B)
#define NONE TINY_NO_SESSIONS
#define USER TINY_USER
#define ADMIN TINY_ADMIN
#define OR_NULL TINY_KEY_OR_NULL
#define ENTITY_OR_NULL TINY_ENTITY_OR_NULL

/* By number, as TPM2_GetCapability lists them. */
/* clang-format off */
const struct tiny_command tiny_commands[] = {
    /* code                         attr  carried out by              handles                      roles          2B */
    {TPM2_CC_EVICT_CONTROL,         NV,   tiny_evict_control,         {TINY_PROVISIONS, TINY_KEY}, {USER},        0},
    {TPM2_CC_CLEAR,                 WIDE, tiny_clear,                 {TINY_CLEARS},               {USER},        0},
    {TPM2_CC_HIERARCHY_CHANGE_AUTH, NV,   tiny_hierarchy_change_auth, {TINY_OWNED},                {USER},        IN},
    {TPM2_CC_CREATE_PRIMARY,        MADE, tiny_create_primary,        {TINY_HIERARCHY},            {USER},        BOTH},
    {CC_SELF_TEST,                  NV,   tiny_self_test,             {0},                         {0},           0},
    {TPM2_CC_STARTUP,               NV,   tiny_startup,               {0},                         {0},           NONE},
    {TPM2_CC_SHUTDOWN,              NV,   tiny_shutdown,              {0},                         {0},           0},
    {TPM2_CC_ACTIVATE_CREDENTIAL,   0,    tiny_activate_credential,   {TINY_KEY, TINY_KEY},        {ADMIN, USER}, BOTH},
    {TPM2_CC_POLICY_SECRET,         0,    tiny_policy_secret,         {TINY_ENTITY, TINY_POLICY},  {USER},        BOTH},
    {TPM2_CC_REWRAP,                0,    tiny_rewrap,                {OR_NULL, OR_NULL},          {USER},        BOTH},
    {TPM2_CC_CREATE,                0,    tiny_create,                {TINY_KEY},                  {USER},        BOTH},
    {TPM2_CC_HMAC,                  0,    tiny_hmac,                  {TINY_KEY},                  {USER},        BOTH},
    {TPM2_CC_IMPORT,                0,    tiny_import,                {TINY_KEY},                  {USER},        BOTH},
    {TPM2_CC_LOAD,                  MADE, tiny_load,                  {TINY_KEY},                  {USER},        BOTH},
    {TPM2_CC_UNSEAL,                0,    tiny_unseal,                {TINY_KEY},                  {USER},        OUT},
    {TPM2_CC_FLUSH_CONTEXT,         0,    tiny_flush_context,         {0},                         {0},           NONE},
    {TPM2_CC_LOAD_EXTERNAL,         MADE, tiny_load_external,         {0},                         {0},           BOTH},
    {TPM2_CC_POLICY_COMMAND_CODE,   0,    tiny_policy_command_code,   {TINY_POLICY},               {0},           0},
    {TPM2_CC_POLICY_OR,             0,    tiny_policy_or,             {TINY_POLICY},               {0},           0},
    {TPM2_CC_READ_PUBLIC,           0,    tiny_read_public,           {TINY_KEY},                  {0},           OUT},
    {TPM2_CC_START_AUTH_SESSION,    MADE, tiny_start_auth_session,    {OR_NULL, ENTITY_OR_NULL},   {0},           BOTH},
    {TPM2_CC_GET_CAPABILITY,        0,    tiny_get_capability,        {0},                         {0},           0},
    {TPM2_CC_GET_RANDOM,            0,    tiny_get_random,            {0},                         {0},           OUT},
    {CC_POLICY_RESTART,             0,    tiny_policy_restart,        {TINY_POLICY},               {0},           0},
    {TPM2_CC_POLICY_GET_DIGEST,     0,    tiny_policy_get_digest,     {TINY_POLICY},               {0},           OUT},
};
/* clang-format on */
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

/* A size that is too large is seen before bytes that are missing. */
struct bytes tiny_in_2b(struct tiny_call *c, size_t max)
{
    struct bytes_reader size = c->in;
    const bool too_long = bytes_read_u16(&size) > max && size.error == 0;
    const struct bytes value = too_long ? bytes_of(NULL, 0) : bytes_read_2b(&c->in);
    count(c);
    if (too_long) {
        tiny_in_refuse(c, TPM2_RC_SIZE);
    }
    return value;
}

#define KNOWN_ATTRIBUTES                                                                                     \
    (TPM2_OBJECT_FIXED_TPM | TPM2_OBJECT_ST_CLEAR | TPM2_OBJECT_FIXED_PARENT |                               \
     TPM2_OBJECT_SENSITIVE_DATA_ORIGIN | TPM2_OBJECT_USER_WITH_AUTH | TPM2_OBJECT_ADMIN_WITH_POLICY |        \
     TPM2_OBJECT_NO_DA | TPM2_OBJECT_ENCRYPTED_DUPLICATION | TPM2_OBJECT_RESTRICTED | TPM2_OBJECT_DECRYPT |  \
     TPM2_OBJECT_SIGN_ENCRYPT)

static bool is_scheme(uint16_t type, uint16_t scheme)
{
    return scheme == TPM2_ALG_NULL ||
           (type == TPM2_ALG_KEYEDHASH ? scheme == TPM2_ALG_HMAC
                                       : scheme == TPM2_ALG_RSAES || scheme == TPM2_ALG_OAEP ||
                                             scheme == TPM2_ALG_RSASSA || scheme == TPM2_ALG_RSAPSS);
}

/* Is the field that was read last one that this TPM knows? The first that is not, or is not there, decides. */
static void expect(const struct bytes_reader *r, bool known, uint32_t code, uint32_t *rc)
{
    if (*rc == 0 && (r->error != 0 || !known)) {
        *rc = r->error != 0 ? TPM2_RC_INSUFFICIENT : code;
    }
}

static void expect_2b(struct bytes_reader *r, size_t max, uint32_t *rc)
{
    struct bytes_reader size = *r;
    const bool fits = bytes_read_u16(&size) <= max;
    expect(&size, fits, TPM2_RC_SIZE, rc);
    (void)bytes_read_2b(r);
    expect(r, true, 0, rc);
}

/* TPMT_SYM_DEF_OBJECT [P2 r1.59 11.1.7]: AES-128-CFB or none. */
static void expect_symmetric(struct bytes_reader *r, uint32_t *rc)
{
    const uint16_t symmetric = bytes_read_u16(r);
    expect(r, symmetric == TPM2_ALG_AES || symmetric == TPM2_ALG_NULL, TPM2_RC_SYMMETRIC, rc);
    if (symmetric == TPM2_ALG_AES) {
        expect(r, bytes_read_u16(r) == 128, TPM2_RC_VALUE, rc);
        expect(r, bytes_read_u16(r) == TPM2_ALG_CFB, TPM2_RC_MODE, rc);
    }
}

/* TPMT_PUBLIC, field by field [P2 r1.59 12.2.4]. Returns: a code without number. */
static uint32_t walk_public(struct bytes_reader *r)
{
    uint32_t rc = TPM2_RC_SUCCESS;
    const uint16_t type = bytes_read_u16(r);
    const bool rsa = type == TPM2_ALG_RSA;
    expect(r, rsa || type == TPM2_ALG_KEYEDHASH, TPM2_RC_TYPE, &rc);
    expect(r, bytes_read_u16(r) == TPM2_ALG_SHA256, TPM2_RC_HASH, &rc);
    expect(r, (bytes_read_u32(r) & ~(uint32_t)KNOWN_ATTRIBUTES) == 0, TPM2_RC_RESERVED_BITS, &rc);
    expect_2b(r, TINY_DIGEST_MAX, &rc);
    if (rsa) {
        expect_symmetric(r, &rc);
    }
    const uint16_t scheme = bytes_read_u16(r);
    expect(r, is_scheme(type, scheme), TPM2_RC_VALUE, &rc);
    if (scheme != TPM2_ALG_NULL && scheme != TPM2_ALG_RSAES) {
        expect(r, bytes_read_u16(r) == TPM2_ALG_SHA256, TPM2_RC_HASH, &rc);
    }
    if (rsa) {
        expect(r, bytes_read_u16(r) == 8 * TINY_RSA_BYTES, TPM2_RC_VALUE, &rc);
        const uint32_t exponent = bytes_read_u32(r);
        expect(r, exponent == 0 || exponent == 65537, TPM2_RC_VALUE, &rc);
    }
    expect_2b(r, rsa ? TINY_WRAPPED_SEED_MAX : TINY_DIGEST_MAX, &rc);
    return rc;
}

uint16_t tiny_in_symmetric(struct tiny_call *c)
{
    struct bytes_reader peek = c->in;
    uint32_t rc = TPM2_RC_SUCCESS;
    expect_symmetric(&c->in, &rc);
    c->parameter++;
    if (rc != 0) {
        tiny_in_refuse(c, rc);
    }
    return bytes_read_u16(&peek);
}

/* The content is read first, its declared size is compared afterwards. */
struct bytes tiny_in_public(struct tiny_call *c, struct tpm2_public *area)
{
    const uint8_t *begin = c->in.p;
    const uint16_t size = bytes_read_u16(&c->in);
    struct bytes_reader r = c->in;
    *area = (struct tpm2_public){0};
    count(c);
    if (c->rc != 0) {
        return bytes_of(begin, 0);
    }
    uint32_t rc = size > 0 ? walk_public(&r) : TPM2_RC_SIZE;
    if (rc == 0 && (size_t)(r.p - c->in.p) != size) {
        rc = TPM2_RC_SIZE;
    }
    if (rc != 0) {
        tiny_in_refuse(c, rc);
        return bytes_of(begin, 0);
    }
    *area = tpm2_public_read(&c->in);
    return bytes_of(begin, 2U + size);
}

void tiny_in_sensitive(struct tiny_call *c, struct tiny_sensitive *sensitive)
{
    struct bytes_reader size = c->in;
    const bool empty = bytes_read_u16(&size) == 0 && size.error == 0;
    *sensitive = (struct tiny_sensitive){0};
    const uint32_t rc = empty ? TPM2_RC_SUCCESS : tiny_sensitive_read(&c->in, sensitive);
    c->in = empty ? size : c->in;
    c->parameter++;
    if (rc != 0) {
        tiny_in_refuse(c, rc);
    }
}

uint32_t tiny_in_end(struct tiny_call *c)
{
    return c->rc != 0 ? c->rc : c->in.left > 0 ? TPM2_RC_SIZE : TPM2_RC_SUCCESS;
}

/* ---- Handles ---- */

bool tiny_is_object(uint32_t handle)
{
    return handle - TPM2_HR_TRANSIENT < TINY_OBJECTS || handle >> TPM2_HT_SHIFT == TPM2_HT_PERSISTENT;
}

/* 64 numbers for active sessions, as many TPMs have, although fewer are loaded at a time. */
bool tiny_is_session(uint32_t handle, uint32_t type)
{
    return handle >> TPM2_HT_SHIFT == type && (handle & 0x00FFFFFF) < 64;
}

static bool is_of_kind(uint32_t handle, enum tiny_kind kind)
{
    const bool hierarchy = tiny_hierarchy_index(handle) >= 0;
    switch (kind) {
    case TINY_KEY:
        return tiny_is_object(handle);
    case TINY_KEY_OR_NULL:
        return tiny_is_object(handle) || handle == TPM2_RH_NULL;
    case TINY_ENTITY:
        return tiny_is_object(handle) || (hierarchy && handle != TPM2_RH_NULL);
    case TINY_ENTITY_OR_NULL:
        return tiny_is_object(handle) || hierarchy;
    case TINY_HIERARCHY:
        return hierarchy && handle != TPM2_RH_LOCKOUT;
    case TINY_OWNED:
        return hierarchy && handle != TPM2_RH_NULL;
    case TINY_CLEARS:
        return handle == TPM2_RH_LOCKOUT || handle == TPM2_RH_PLATFORM;
    case TINY_PROVISIONS:
        return handle == TPM2_RH_OWNER || handle == TPM2_RH_PLATFORM;
    case TINY_POLICY:
        return tiny_is_session(handle, TPM2_HT_POLICY_SESSION);
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
        const bool object = tiny_is_object(c->handles[i]);
        if (object
                ? tiny_object_find(c->tpm, c->handles[i]) == NULL
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
    return c->tpm->started != (code == TPM2_CC_STARTUP) ? TPM2_RC_SUCCESS : TPM2_RC_INITIALIZE;
}

size_t tiny_tpm_execute(struct tiny_tpm *t, struct bytes command, uint8_t *response)
{
    struct tiny_call c = {.tpm = t};
    struct bytes_writer w = bytes_writer_over(response, TINY_BUFFER);
    const size_t len = command.len < sizeof t->command ? command.len : sizeof t->command;
    bool sessions = false;
    memcpy(t->command, command.p, len);
    c.in = bytes_reader_over(bytes_of(t->command, len));
    t->reached = TINY_AT_HEADER;
    uint32_t rc = read_header(&c, command.len, &sessions);
    if (rc == 0) {
        t->reached = TINY_AT_HANDLES;
        rc = read_handles(&c);
    }
    if (rc == 0) {
        t->reached = TINY_AT_SESSIONS;
        rc = tiny_sessions_begin(&c, sessions);
    }
    const bool returns_handle = rc == 0 && (c.command->attributes & MADE) != 0;
    const size_t begin = HEADER_SIZE + (returns_handle ? 4U : 0U) + (sessions ? 4U : 0U);
    c.out = bytes_writer_over(response + begin, TINY_BUFFER - begin);
    if (rc == 0) {
        t->reached = TINY_AT_COMMAND;
        rc = c.command->run(&c);
    }
    const bool success = rc == 0;
    bytes_write_u16(&w, success && sessions ? TPM2_ST_SESSIONS : TPM2_ST_NO_SESSIONS);
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
