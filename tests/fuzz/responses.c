/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/responses.h"
#include "tpm/tools/command_more.h"

/* The parse functions differ in what they give; they are brought to one shape here. */
#define NOTHING(name)                                                                                        \
    static void parse_##name(struct bytes bytes, struct response *r)                                         \
    {                                                                                                        \
        r->error = tpm2_##name##_parse(bytes, &r->rc);                                                       \
    }
#define ONE_SPAN(name)                                                                                       \
    static void parse_##name(struct bytes bytes, struct response *r)                                         \
    {                                                                                                        \
        r->error = tpm2_##name##_parse(bytes, &r->rc, &r->spans[0]);                                         \
    }
#define TWO_SPANS(name)                                                                                      \
    static void parse_##name(struct bytes bytes, struct response *r)                                         \
    {                                                                                                        \
        r->error = tpm2_##name##_parse(bytes, &r->rc, &r->spans[0], &r->spans[1]);                           \
    }
#define HANDLE_AND_SPAN(name)                                                                                \
    static void parse_##name(struct bytes bytes, struct response *r)                                         \
    {                                                                                                        \
        r->error = tpm2_##name##_parse(bytes, &r->rc, &r->handle, &r->spans[0]);                             \
    }

NOTHING(startup)
NOTHING(shutdown)
HANDLE_AND_SPAN(start_auth_session)
TWO_SPANS(create)
HANDLE_AND_SPAN(load)
HANDLE_AND_SPAN(load_external)
TWO_SPANS(read_public)
ONE_SPAN(activate_credential)
TWO_SPANS(make_credential)
ONE_SPAN(unseal)
ONE_SPAN(import)
ONE_SPAN(hmac)
ONE_SPAN(get_random)
NOTHING(sequence_update)
ONE_SPAN(sequence_complete)
NOTHING(policy_secret)
ONE_SPAN(policy_get_digest)
NOTHING(clear)
NOTHING(hierarchy_change_auth)
NOTHING(flush_context)
NOTHING(evict_control)
ONE_SPAN(nv_read)

static void parse_hmac_start(struct bytes bytes, struct response *r)
{
    r->error = tpm2_hmac_start_parse(bytes, &r->rc, &r->handle);
}

static void parse_create_primary(struct bytes bytes, struct response *r)
{
    r->error = tpm2_create_primary_parse(bytes, &r->rc, &r->handle, &r->spans[0], &r->spans[1]);
}

static void parse_get_capability(struct bytes bytes, struct response *r)
{
    bool more = false;
    r->error = tpm2_get_capability_parse(bytes, &r->rc, &more, &r->numbers[1], &r->spans[0]);
    r->numbers[0] = more;
}

static void parse_nv_read_public(struct bytes bytes, struct response *r)
{
    uint16_t size = 0;
    r->error = tpm2_nv_read_public_parse(bytes, &r->rc, &r->numbers[0], &size);
    r->numbers[1] = size;
}

/* The first byte of the fuzz inputs is a place in this table, so new entries go to its end. */
const struct response_kind response_kinds[] = {
    {"TPM2_Startup", TPM2_CC_STARTUP, parse_startup},
    {"TPM2_Shutdown", TPM2_CC_SHUTDOWN, parse_shutdown},
    {"TPM2_StartAuthSession", TPM2_CC_START_AUTH_SESSION, parse_start_auth_session},
    {"TPM2_Create", TPM2_CC_CREATE, parse_create},
    {"TPM2_Load", TPM2_CC_LOAD, parse_load},
    {"TPM2_LoadExternal", TPM2_CC_LOAD_EXTERNAL, parse_load_external},
    {"TPM2_ReadPublic", TPM2_CC_READ_PUBLIC, parse_read_public},
    {"TPM2_ActivateCredential", TPM2_CC_ACTIVATE_CREDENTIAL, parse_activate_credential},
    {"TPM2_MakeCredential", TPM2_CC_MAKE_CREDENTIAL, parse_make_credential},
    {"TPM2_Unseal", TPM2_CC_UNSEAL, parse_unseal},
    {"TPM2_Import", TPM2_CC_IMPORT, parse_import},
    {"TPM2_HMAC", TPM2_CC_HMAC, parse_hmac},
    {"TPM2_GetRandom", TPM2_CC_GET_RANDOM, parse_get_random},
    {"TPM2_HMAC_Start", TPM2_CC_HMAC_START, parse_hmac_start},
    {"TPM2_SequenceUpdate", TPM2_CC_SEQUENCE_UPDATE, parse_sequence_update},
    {"TPM2_SequenceComplete", TPM2_CC_SEQUENCE_COMPLETE, parse_sequence_complete},
    {"TPM2_PolicySecret", TPM2_CC_POLICY_SECRET, parse_policy_secret},
    {"TPM2_PolicyGetDigest", TPM2_CC_POLICY_GET_DIGEST, parse_policy_get_digest},
    {"TPM2_CreatePrimary", TPM2_CC_CREATE_PRIMARY, parse_create_primary},
    {"TPM2_Clear", TPM2_CC_CLEAR, parse_clear},
    {"TPM2_HierarchyChangeAuth", TPM2_CC_HIERARCHY_CHANGE_AUTH, parse_hierarchy_change_auth},
    {"TPM2_FlushContext", TPM2_CC_FLUSH_CONTEXT, parse_flush_context},
    {"TPM2_EvictControl", TPM2_CC_EVICT_CONTROL, parse_evict_control},
    {"TPM2_GetCapability", TPM2_CC_GET_CAPABILITY, parse_get_capability},
    {"TPM2_NV_ReadPublic", TPM2_CC_NV_READ_PUBLIC, parse_nv_read_public},
    {"TPM2_NV_Read", TPM2_CC_NV_READ, parse_nv_read},
};
const size_t response_kinds_count = sizeof response_kinds / sizeof response_kinds[0];

const struct response_kind *response_kind_of(uint32_t command_code)
{
    for (size_t i = 0; i < response_kinds_count; i++) {
        if (response_kinds[i].command_code == command_code) {
            return &response_kinds[i];
        }
    }
    return NULL;
}
