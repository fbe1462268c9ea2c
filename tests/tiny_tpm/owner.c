/* SPDX-License-Identifier: MIT */
/* Hierarchies and who owns them, what is loaded and stays, and what this TPM says about itself. */
#include "tests/tiny_tpm/inside.h"

int tiny_hierarchy_index(uint32_t handle)
{
    switch (handle) {
    case TPM2_RH_OWNER:
        return TINY_OWNER;
    case TPM2_RH_ENDORSEMENT:
        return TINY_ENDORSEMENT;
    case TPM2_RH_PLATFORM:
        return TINY_PLATFORM;
    case TPM2_RH_NULL:
        return TINY_NULL;
    case TPM2_RH_LOCKOUT:
        return TINY_LOCKOUT;
    default:
        return -1;
    }
}

/* Trailing zeros do not count [P1 r1.59 19.6.4.3]. */
void tiny_secret_set(struct tiny_secret *s, struct bytes value)
{
    bytes_wipe(s, sizeof *s);
    while (value.len > 0 && value.p[value.len - 1] == 0) {
        value.len--;
    }
    struct bytes_writer w = bytes_writer_over(s->bytes, sizeof s->bytes);
    bytes_write_bytes(&w, value);
    s->len = w.len;
}

/* ---- Power ---- */

void tiny_tpm_make(struct tiny_tpm *t, struct bytes seed)
{
    memset(t, 0, sizeof *t);
    crypto_drbg_init(&t->random, seed);
    crypto_drbg_generate(&t->random, &t->seeds[0][0], sizeof t->seeds);
    crypto_drbg_generate(&t->random, &t->proofs[0][0], sizeof t->proofs);
}

void tiny_tpm_power_on(struct tiny_tpm *t)
{
    t->started = false;
    bytes_wipe(t->objects, TINY_OBJECTS * sizeof t->objects[0]);
    bytes_wipe(t->sessions, sizeof t->sessions);
}

/* TPM2_Startup [P3 r1.59 9.3]. Nothing was saved, so nothing is resumed. The NULL hierarchy is a new one each time, and
 * the platform's password is empty [P1 r1.59 14.2]. */
uint32_t tiny_startup(struct tiny_call *c)
{
    struct tiny_tpm *t = c->tpm;
    const uint16_t type = tiny_in_u16(c);
    if (type != TPM2_SU_CLEAR) {
        tiny_in_refuse(c, TPM2_RC_VALUE);
    }
    if (tiny_in_end(c) == 0) {
        crypto_drbg_generate(&t->random, t->seeds[TINY_NULL], sizeof t->seeds[TINY_NULL]);
        bytes_wipe(&t->auths[TINY_PLATFORM], sizeof t->auths[TINY_PLATFORM]);
        t->started = true;
    }
    return tiny_in_end(c);
}

/* TPM2_Shutdown [P3 r1.59 9.4]: there is nothing to save. */
uint32_t tiny_shutdown(struct tiny_call *c)
{
    if (tiny_in_u16(c) > TPM2_SU_STATE) {
        tiny_in_refuse(c, TPM2_RC_VALUE);
    }
    return tiny_in_end(c);
}

/* TPM2_SelfTest [P3 r1.59 10.2] */
uint32_t tiny_self_test(struct tiny_call *c)
{
    if (tiny_in_u8(c) > 1) {
        tiny_in_refuse(c, TPM2_RC_VALUE);
    }
    return tiny_in_end(c);
}

/* TPM2_GetRandom [P3 r1.59 16.1] */
uint32_t tiny_get_random(struct tiny_call *c)
{
    uint8_t bytes[64];
    size_t len = tiny_in_u16(c);
    len = len < sizeof bytes ? len : sizeof bytes;
    if (tiny_in_end(c) == 0) {
        crypto_drbg_generate(&c->tpm->random, bytes, len);
        bytes_write_2b(&c->out, bytes_of(bytes, len));
    }
    return tiny_in_end(c);
}

/* ---- Ownership ---- */

/* TPM2_Clear [P3 r1.59 24.6]: the owner goes, with his seed and all that hangs on it. The endorsement seed stays: it is
 * still the same chip. */
uint32_t tiny_clear(struct tiny_call *c)
{
    struct tiny_tpm *t = c->tpm;
    if (tiny_in_end(c) != 0) {
        return tiny_in_end(c);
    }
    for (size_t i = 0; i < TINY_OBJECTS + TINY_PERSISTENT; i++) {
        if (t->objects[i].hierarchy == TPM2_RH_OWNER || t->objects[i].hierarchy == TPM2_RH_ENDORSEMENT) {
            bytes_wipe(&t->objects[i], sizeof t->objects[i]);
        }
    }
    crypto_drbg_generate(&t->random, t->seeds[TINY_OWNER], sizeof t->seeds[TINY_OWNER]);
    crypto_drbg_generate(&t->random, t->proofs[TINY_OWNER], sizeof t->proofs[TINY_OWNER]);
    crypto_drbg_generate(&t->random, t->proofs[TINY_ENDORSEMENT], sizeof t->proofs[TINY_ENDORSEMENT]);
    bytes_wipe(&t->auths[TINY_OWNER], sizeof t->auths[TINY_OWNER]);
    bytes_wipe(&t->auths[TINY_ENDORSEMENT], sizeof t->auths[TINY_ENDORSEMENT]);
    bytes_wipe(&t->auths[TINY_LOCKOUT], sizeof t->auths[TINY_LOCKOUT]);
    return TPM2_RC_SUCCESS;
}

/* TPM2_HierarchyChangeAuth [P3 r1.59 24.8] */
uint32_t tiny_hierarchy_change_auth(struct tiny_call *c)
{
    const struct bytes value = tiny_in_2b(c, TINY_AUTH_MAX);
    if (tiny_in_end(c) == 0) {
        tiny_secret_set(&c->tpm->auths[tiny_hierarchy_index(c->handles[0])], value);
    }
    return tiny_in_end(c);
}

/* ---- What stays and what goes ---- */

/* TPM2_FlushContext [P3 r1.59 28.4] */
uint32_t tiny_flush_context(struct tiny_call *c)
{
    const uint32_t handle = tiny_in_u32(c);
    struct tiny_object *o = tiny_object_find(c->tpm, handle);
    struct tiny_session *s = tiny_session_find(c->tpm, handle);
    if ((!tiny_is_object(handle) || handle >> TPM2_HT_SHIFT == TPM2_HT_PERSISTENT) &&
        !tiny_is_session(handle, TPM2_HT_HMAC_SESSION) && !tiny_is_session(handle, TPM2_HT_POLICY_SESSION)) {
        tiny_in_refuse(c, TPM2_RC_VALUE);
    }
    if (tiny_in_end(c) != 0) {
        return tiny_in_end(c);
    }
    if (o == NULL && s == NULL) {
        return TPM2_RC_HANDLE | TINY_P(1);
    }
    if (o != NULL) {
        bytes_wipe(o, sizeof *o);
    } else {
        bytes_wipe(s, sizeof *s);
    }
    return TPM2_RC_SUCCESS;
}

/* TPM2_EvictControl [P3 r1.59 28.5] */
uint32_t tiny_evict_control(struct tiny_call *c)
{
    struct tiny_object *o = tiny_object_find(c->tpm, c->handles[1]);
    const bool persistent = o->handle >> TPM2_HT_SHIFT == TPM2_HT_PERSISTENT;
    const bool platform = c->handles[0] == TPM2_RH_PLATFORM;
    const uint32_t at = tiny_in_u32(c);
    if (at >> TPM2_HT_SHIFT != TPM2_HT_PERSISTENT) {
        tiny_in_refuse(c, TPM2_RC_VALUE);
    }
    if (tiny_in_end(c) != 0) {
        return tiny_in_end(c);
    }
    if (!o->has_sensitive || (o->area.attributes & TPM2_OBJECT_ST_CLEAR) != 0) {
        return TPM2_RC_ATTRIBUTES | TINY_H(2);
    }
    if (o->hierarchy == TPM2_RH_NULL || platform != (o->hierarchy == TPM2_RH_PLATFORM)) {
        return TPM2_RC_HIERARCHY | TINY_H(2);
    }
    if (platform != (at >= TPM2_HR_PLATFORM_PERSISTENT)) {
        return TPM2_RC_RANGE | TINY_P(1);
    }
    if (persistent && at != o->handle) {
        return TPM2_RC_HANDLE | TINY_H(2);
    }
    if (persistent) {
        bytes_wipe(o, sizeof *o);
        return TPM2_RC_SUCCESS;
    }
    if (tiny_object_find(c->tpm, at) != NULL) {
        return TPM2_RC_NV_DEFINED;
    }
    struct tiny_object *place = tiny_object_place(c->tpm, TPM2_HR_PERSISTENT);
    if (place == NULL) {
        return TPM2_RC_NV_SPACE;
    }
    *place = *o;
    place->handle = at;
    (void)tpm2_public_parse_2b(bytes_of(place->public_2b, place->public_len), &place->area);
    return TPM2_RC_SUCCESS;
}

/* ---- TPM2_GetCapability [P3 r1.59 30.2] ---- */

struct pair {
    uint32_t number, value;
};

/* TPMA_ALGORITHM [P2 r1.59 8.2] beside each. */
static const struct pair algorithms[] = {
    {TPM2_ALG_RSA, 0x009},    {TPM2_ALG_HMAC, 0x104}, {TPM2_ALG_AES, 0x002}, {TPM2_ALG_KEYEDHASH, 0x30C},
    {TPM2_ALG_SHA256, 0x004}, {TPM2_ALG_OAEP, 0x201}, {TPM2_ALG_CFB, 0x202},
};

static uint32_t permanent(const struct tiny_tpm *t)
{
    return (t->auths[TINY_OWNER].len > 0 ? TPM2_PERMANENT_OWNER_AUTH_SET : 0U) |
           (t->auths[TINY_ENDORSEMENT].len > 0 ? TPM2_PERMANENT_ENDORSEMENT_AUTH_SET : 0U) |
           (t->auths[TINY_LOCKOUT].len > 0 ? TPM2_PERMANENT_LOCKOUT_AUTH_SET : 0U);
}

#define PROPERTIES 19
static void properties(const struct tiny_tpm *t, struct pair all[PROPERTIES])
{
    const struct pair values[PROPERTIES] = {
        {TPM2_PT_FAMILY_INDICATOR, 0x322E3000}, /* "2.0" */
        {TPM2_PT_LEVEL, 0},
        {TPM2_PT_REVISION, 159},
        {TPM2_PT_MANUFACTURER, 0x54494E59},    /* "TINY" */
        {TPM2_PT_VENDOR_STRING_1, 0x746F2072}, /* "to read" */
        {TPM2_PT_VENDOR_STRING_2, 0x65616400},
        {TPM2_PT_FIRMWARE_VERSION_1, 0x00010000},
        {TPM2_PT_INPUT_BUFFER, 1024},
        {TPM2_PT_HR_TRANSIENT_MIN, TINY_OBJECTS},
        {TPM2_PT_HR_PERSISTENT_MIN, TINY_PERSISTENT},
        {TPM2_PT_ACTIVE_SESSIONS_MAX, TINY_SESSIONS},
        {TPM2_PT_MAX_COMMAND_SIZE, TINY_BUFFER},
        {TPM2_PT_MAX_RESPONSE_SIZE, TINY_BUFFER},
        {TPM2_PT_PERMANENT, permanent(t)},
        {TPM2_PT_STARTUP_CLEAR,
         TPM2_STARTUP_CLEAR_PH_ENABLE | TPM2_STARTUP_CLEAR_SH_ENABLE | TPM2_STARTUP_CLEAR_EH_ENABLE},
        {TPM2_PT_LOCKOUT_COUNTER, 0}, /* nothing is counted */
        {TPM2_PT_MAX_AUTH_FAIL, 0xFFFFFFFF},
        {TPM2_PT_LOCKOUT_INTERVAL, 0},
        {TPM2_PT_LOCKOUT_RECOVERY, 0},
    };
    memcpy(all, values, sizeof values);
}

#define VALUES_MAX 64
/* All values of a capability, in order. Returns: how many. */
static size_t list(struct tiny_tpm *t, uint32_t capability, uint32_t type, struct pair all[VALUES_MAX])
{
    size_t count = 0;
    if (capability == TPM2_CAP_TPM_PROPERTIES) {
        properties(t, all);
        count = PROPERTIES;
    }
    if (capability == TPM2_CAP_ALGS) {
        memcpy(all, algorithms, sizeof algorithms);
        count = sizeof algorithms / sizeof algorithms[0];
    }
    for (size_t i = 0; capability == TPM2_CAP_COMMANDS && i < tiny_commands_count; i++) {
        const struct tiny_command *command = &tiny_commands[i];
        const uint32_t handles = (command->kinds[0] != 0 ? 1U : 0U) + (command->kinds[1] != 0 ? 1U : 0U);
        all[count++] = (struct pair){command->code, command->code | command->attributes | handles << 25};
    }
    for (size_t i = 0; capability == TPM2_CAP_HANDLES && i < TINY_OBJECTS + TINY_PERSISTENT; i++) {
        if (t->objects[i].handle >> TPM2_HT_SHIFT == type && t->objects[i].handle != 0) {
            all[count++] = (struct pair){t->objects[i].handle, 0};
        }
    }
    for (size_t i = 0; capability == TPM2_CAP_HANDLES && type == TPM2_HT_LOADED_SESSION && i < TINY_SESSIONS;
         i++) {
        if (t->sessions[i].handle != 0) {
            all[count++] = (struct pair){t->sessions[i].handle, 0};
        }
    }
    return count;
}

/* Sessions of both kinds share their numbers, and persistent objects are in no order. */
static uint32_t rank(uint32_t capability, uint32_t number, uint32_t type)
{
    return capability == TPM2_CAP_HANDLES && type == TPM2_HT_LOADED_SESSION ? number & 0x00FFFFFF : number;
}

static void sort(struct pair *all, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        for (size_t k = i; k > 0 && all[k].number < all[k - 1].number; k--) {
            const struct pair smaller = all[k];
            all[k] = all[k - 1];
            all[k - 1] = smaller;
        }
    }
}

static void write_value(struct bytes_writer *w, uint32_t capability, const struct pair *value)
{
    if (capability == TPM2_CAP_ALGS) {
        bytes_write_u16(w, (uint16_t)value->number);
        bytes_write_u32(w, value->value);
    } else if (capability == TPM2_CAP_COMMANDS) {
        bytes_write_u32(w, value->value);
    } else {
        bytes_write_u32(w, value->number);
        if (capability == TPM2_CAP_TPM_PROPERTIES) {
            bytes_write_u32(w, value->value);
        }
    }
}

uint32_t tiny_get_capability(struct tiny_call *c)
{
    struct pair all[VALUES_MAX];
    const uint32_t capability = tiny_in_u32(c);
    if (capability > TPM2_CAP_COMMANDS && capability != TPM2_CAP_TPM_PROPERTIES) {
        tiny_in_refuse(c, TPM2_RC_VALUE);
    }
    const uint32_t property = tiny_in_u32(c), wanted = tiny_in_u32(c);
    if (tiny_in_end(c) != 0) {
        return tiny_in_end(c);
    }
    const uint32_t type = property >> TPM2_HT_SHIFT;
    const uint32_t first = rank(capability, property, type);
    const size_t count = list(c->tpm, capability, type, all);
    size_t begin = 0;
    if (capability != TPM2_CAP_HANDLES || type != TPM2_HT_LOADED_SESSION) {
        sort(all, count);
    }
    while (begin < count && rank(capability, all[begin].number, type) < first) {
        begin++;
    }
    const size_t left = count - begin, given = left < wanted ? left : wanted;
    bytes_write_u8(&c->out, given < left);
    bytes_write_u32(&c->out, capability);
    bytes_write_u32(&c->out, (uint32_t)given);
    for (size_t i = 0; i < given; i++) {
        write_value(&c->out, capability, &all[begin + i]);
    }
    return TPM2_RC_SUCCESS;
}
