/* SPDX-License-Identifier: MIT */
/* tpm2-tss has chosen the same prefix for the specification's names as this project, so this file knows nothing of
 * tpm/. */
#include "tests/differential/marshalled.h"
#include <string.h>
#include <tss2/tss2_mu.h>

/* Read a structure, and write it again. */
#define STRUCTURE(type)                                                                                      \
    static bool read_##type(const uint8_t *p, size_t len, size_t *used, bool *canonical)                     \
    {                                                                                                        \
        static type value;                                                                                   \
        static uint8_t again[2 * sizeof value];                                                              \
        size_t written = 0;                                                                                  \
        memset(&value, 0, sizeof value);                                                                     \
        *used = 0;                                                                                           \
        if (Tss2_MU_##type##_Unmarshal(p, len, used, &value) != 0)                                           \
            return false;                                                                                    \
        *canonical = MARSHAL(type) == 0 && written == *used && memcmp(p, again, written) == 0;               \
        return true;                                                                                         \
    }
#define MARSHAL(type) Tss2_MU_##type##_Marshal(&value, again, sizeof again, &written)

STRUCTURE(TPM2B_DIGEST)
STRUCTURE(TPM2B_NONCE)
STRUCTURE(TPM2B_NAME)
STRUCTURE(TPM2B_PRIVATE)
STRUCTURE(TPM2B_PUBLIC)
STRUCTURE(TPM2B_ID_OBJECT)
STRUCTURE(TPM2B_ENCRYPTED_SECRET)
STRUCTURE(TPM2B_SENSITIVE_DATA)
STRUCTURE(TPM2B_CREATION_DATA)
STRUCTURE(TPM2B_MAX_NV_BUFFER)
STRUCTURE(TPM2B_TIMEOUT)
STRUCTURE(TPMT_TK_CREATION)
STRUCTURE(TPMT_TK_HASHCHECK)
STRUCTURE(TPMT_TK_AUTH)
STRUCTURE(TPMS_CAPABILITY_DATA)
STRUCTURE(TPM2B_NV_PUBLIC)
STRUCTURE(TPMS_AUTH_RESPONSE)

/* TPMI_YES_NO, of which the library knows only that it is a byte, and TPMS_CAPABILITY_DATA. */
static bool read_capability(const uint8_t *p, size_t len, size_t *used, bool *canonical)
{
    BYTE more_data;
    size_t offset = 0;
    if (Tss2_MU_BYTE_Unmarshal(p, len, &offset, &more_data) != 0 ||
        !read_TPMS_CAPABILITY_DATA(p + offset, len - offset, used, canonical)) {
        return false;
    }
    *used += offset;
    return true;
}

static const struct {
    bool (*read)(const uint8_t *p, size_t len, size_t *used, bool *canonical);
    size_t room; /* of a TPM2B without inner structure */
} structures[] = {
    [FIELD_DIGEST] = {read_TPM2B_DIGEST, sizeof(TPM2B_DIGEST) - sizeof(UINT16)},
    [FIELD_NONCE] = {read_TPM2B_NONCE, sizeof(TPM2B_NONCE) - sizeof(UINT16)},
    [FIELD_NAME] = {read_TPM2B_NAME, sizeof(TPM2B_NAME) - sizeof(UINT16)},
    [FIELD_PRIVATE] = {read_TPM2B_PRIVATE, sizeof(TPM2B_PRIVATE) - sizeof(UINT16)},
    [FIELD_PUBLIC] = {read_TPM2B_PUBLIC, SIZE_MAX},
    [FIELD_ID_OBJECT] = {read_TPM2B_ID_OBJECT, sizeof(TPM2B_ID_OBJECT) - sizeof(UINT16)},
    [FIELD_ENCRYPTED_SECRET] = {read_TPM2B_ENCRYPTED_SECRET, sizeof(TPM2B_ENCRYPTED_SECRET) - sizeof(UINT16)},
    [FIELD_SENSITIVE_DATA] = {read_TPM2B_SENSITIVE_DATA, sizeof(TPM2B_SENSITIVE_DATA) - sizeof(UINT16)},
    [FIELD_CREATION_DATA] = {read_TPM2B_CREATION_DATA, SIZE_MAX},
    [FIELD_MAX_NV_BUFFER] = {read_TPM2B_MAX_NV_BUFFER, sizeof(TPM2B_MAX_NV_BUFFER) - sizeof(UINT16)},
    [FIELD_TIMEOUT] = {read_TPM2B_TIMEOUT, sizeof(TPM2B_TIMEOUT) - sizeof(UINT16)},
    [FIELD_TK_CREATION] = {read_TPMT_TK_CREATION, SIZE_MAX},
    [FIELD_TK_HASHCHECK] = {read_TPMT_TK_HASHCHECK, SIZE_MAX},
    [FIELD_TK_AUTH] = {read_TPMT_TK_AUTH, SIZE_MAX},
    [FIELD_CAPABILITY] = {read_capability, SIZE_MAX},
    [FIELD_NV_PUBLIC] = {read_TPM2B_NV_PUBLIC, SIZE_MAX},
};

const struct layout layouts[] = {
    /* command, sessions, handle, parameters */
    {TPM2_CC_Startup, 0, false, {FIELD_END}},
    {TPM2_CC_Shutdown, 0, false, {FIELD_END}},
    {TPM2_CC_StartAuthSession, 0, true, {FIELD_NONCE}},
    {TPM2_CC_Create,
     1,
     false,
     {FIELD_PRIVATE, FIELD_PUBLIC, FIELD_CREATION_DATA, FIELD_DIGEST, FIELD_TK_CREATION}},
    {TPM2_CC_Load, 1, true, {FIELD_NAME}},
    {TPM2_CC_LoadExternal, 0, true, {FIELD_NAME}},
    {TPM2_CC_ReadPublic, 0, false, {FIELD_PUBLIC, FIELD_NAME, FIELD_NAME}},
    {TPM2_CC_ActivateCredential, 2, false, {FIELD_DIGEST}},
    {TPM2_CC_MakeCredential, 0, false, {FIELD_ID_OBJECT, FIELD_ENCRYPTED_SECRET}},
    {TPM2_CC_Unseal, 1, false, {FIELD_SENSITIVE_DATA}},
    {TPM2_CC_Import, 1, false, {FIELD_PRIVATE}},
    {TPM2_CC_HMAC, 1, false, {FIELD_DIGEST}},
    {TPM2_CC_GetRandom, 0, false, {FIELD_DIGEST}},
    {TPM2_CC_HMAC_Start, 1, true, {FIELD_END}},
    {TPM2_CC_SequenceUpdate, 1, false, {FIELD_END}},
    {TPM2_CC_SequenceComplete, 1, false, {FIELD_DIGEST, FIELD_TK_HASHCHECK}},
    {TPM2_CC_PolicySecret, 1, false, {FIELD_TIMEOUT, FIELD_TK_AUTH}},
    {TPM2_CC_PolicyGetDigest, 0, false, {FIELD_DIGEST}},
    {TPM2_CC_CreatePrimary,
     1,
     true,
     {FIELD_PUBLIC, FIELD_CREATION_DATA, FIELD_DIGEST, FIELD_TK_CREATION, FIELD_NAME}},
    {TPM2_CC_Clear, 1, false, {FIELD_END}},
    {TPM2_CC_HierarchyChangeAuth, 1, false, {FIELD_END}},
    {TPM2_CC_FlushContext, 0, false, {FIELD_END}},
    {TPM2_CC_EvictControl, 1, false, {FIELD_END}},
    {TPM2_CC_GetCapability, 0, false, {FIELD_CAPABILITY}},
    {TPM2_CC_NV_ReadPublic, 0, false, {FIELD_NV_PUBLIC, FIELD_NAME}},
    {TPM2_CC_NV_Read, 1, false, {FIELD_MAX_NV_BUFFER}},
};
const size_t layouts_count = sizeof layouts / sizeof layouts[0];

static bool read_field(enum field_kind kind, struct bytes bytes, size_t *used, bool *canonical)
{
    /* The library refuses null even where there is nothing to read. */
    return structures[kind].read(bytes.p != NULL ? bytes.p : (const uint8_t *)"", bytes.len, used, canonical);
}

size_t marshalled_room(enum field_kind kind)
{
    return structures[kind].room;
}

static uint32_t number(struct bytes bytes, size_t at)
{
    UINT32 value = 0;
    return Tss2_MU_UINT32_Unmarshal(bytes.p, bytes.len, &at, &value) == 0 ? value : 0;
}

/* Header and sizes, which the library leaves to its System API [P1 r1.59 18.2 to 18.6]. Returns false if they do not
 * fit; *parameters and *sessions are the two areas. */
static bool split(const struct layout *layout, struct bytes r, struct bytes *parameters,
                  struct bytes *sessions)
{
    const size_t header = layout->handle ? 14 : 10;
    UINT16 tag = 0;
    size_t at = 0;
    if (r.len < header || Tss2_MU_UINT16_Unmarshal(r.p, r.len, &at, &tag) != 0 || number(r, 2) != r.len ||
        number(r, 6) != TPM2_RC_SUCCESS ||
        tag != (layout->auths > 0 ? TPM2_ST_SESSIONS : TPM2_ST_NO_SESSIONS)) {
        return false;
    }
    *parameters = (struct bytes){r.p + header, r.len - header};
    *sessions = (struct bytes){r.p + r.len, 0};
    if (layout->auths == 0) {
        return true;
    }
    if (r.len < header + 4 || number(r, header) > r.len - header - 4) {
        return false;
    }
    *parameters = (struct bytes){r.p + header + 4, number(r, header)};
    *sessions = (struct bytes){parameters->p + parameters->len, r.len - header - 4 - parameters->len};
    return true;
}

static bool read_sessions(const struct layout *layout, struct bytes sessions, bool *canonical)
{
    for (unsigned i = 0; i < layout->auths; i++) {
        size_t used = 0;
        bool same = false;
        if (!read_TPMS_AUTH_RESPONSE(sessions.p, sessions.len, &used, &same)) {
            return false;
        }
        *canonical = *canonical && same;
        sessions = (struct bytes){sessions.p + used, sessions.len - used};
    }
    return sessions.len == 0;
}

void marshalled_read(const struct layout *layout, struct bytes response, struct marshalled *m)
{
    struct bytes rest;
    struct bytes sessions;
    memset(m, 0, sizeof *m);
    m->canonical = true;
    if (!split(layout, response, &rest, &sessions) || !read_sessions(layout, sessions, &m->canonical)) {
        return;
    }
    m->handle = layout->handle ? number(response, 10) : 0;
    for (size_t i = 0; layout->fields[i] != FIELD_END; i++) {
        size_t used = 0;
        bool same = false;
        if (!read_field(layout->fields[i], rest, &used, &same)) {
            m->refused = layout->fields[i];
            m->refused_at = rest;
            return;
        }
        m->canonical = m->canonical && same;
        m->fields[i] = (struct bytes){rest.p, used};
        rest = (struct bytes){rest.p + used, rest.len - used};
    }
    m->left_over = rest.len > 0;
    m->accepted = rest.len == 0;
}
