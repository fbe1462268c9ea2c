/* SPDX-License-Identifier: MIT */
/* What the TPM says about itself, and how it reads commands that are broken. */
#include "tests/conformance/tpm.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
/* The longest text that the flow has signed is shorter than the engine's buffer for a token. */
#define STRING_TO_SIGN_MAX DPS_TOKEN_MAX
/* TPMA_STARTUP_CLEAR */
#define OWNER_ENABLED 0x00000002U
#define ENDORSEMENT_ENABLED 0x00000004U

/* ---- Capabilities ---- */

static void needs_all(struct conformance *c, uint32_t capability, const uint32_t *values,
                      const char *const *names, size_t count)
{
    for (size_t i = 0; i < count && !c->failed; i++) {
        conformance_check(c, tpm_has(c, capability, values[i]), "%s is not implemented", names[i]);
    }
}

static void family(struct conformance *c)
{
    uint32_t value = 0, manufacturer = 0, version = 0;
    bool there = tpm_property(c, TPM2_PT_FAMILY_INDICATOR, &value);
    conformance_check(c, there && value == 0x322E3000U,
                      "TPM_PT_FAMILY_INDICATOR is 0x%08x instead of \"2.0\"", value);
    if (tpm_property(c, TPM2_PT_MANUFACTURER, &manufacturer) &&
        tpm_property(c, TPM2_PT_FIRMWARE_VERSION_1, &version)) {
        char name[5] = {0};
        for (int i = 0; i < 4; i++) {
            char letter = (char)(manufacturer >> (24 - 8 * i));
            name[i] = letter >= ' ' && letter <= '~' ? letter : ' ';
        }
        conformance_note(c, "manufacturer %s, firmware %u.%u", name, version >> 16, version & 0xFFFF);
    }
    if (tpm_property(c, TPM2_PT_REVISION, &value)) {
        conformance_note(c, "specification revision %u.%02u", value / 100, value % 100);
    }
}

static void flow_commands(struct conformance *c)
{
    static const char *const names[TPM_FLOW_COMMANDS] = {
        "TPM2_ReadPublic",   "TPM2_StartAuthSession",
        "TPM2_PolicySecret", "TPM2_ActivateCredential",
        "TPM2_Import",       "TPM2_Load",
        "TPM2_HMAC",         "TPM2_FlushContext",
    };
    needs_all(c, TPM2_CAP_COMMANDS, tpm_flow_commands, names, TPM_FLOW_COMMANDS);
}

static void create_primary(struct conformance *c)
{
    conformance_check(c, tpm_has(c, TPM2_CAP_COMMANDS, TPM2_CC_CREATE_PRIMARY),
                      "TPM2_CreatePrimary is not implemented: EK and SRK must then be persistent");
}

static void owner_commands(struct conformance *c)
{
    static const uint32_t codes[] = {TPM2_CC_EVICT_CONTROL, TPM2_CC_CLEAR, TPM2_CC_HIERARCHY_CHANGE_AUTH,
                                     TPM2_CC_NV_READ_PUBLIC, TPM2_CC_NV_READ};
    static const char *const names[] = {"TPM2_EvictControl", "TPM2_Clear", "TPM2_HierarchyChangeAuth",
                                        "TPM2_NV_ReadPublic", "TPM2_NV_Read"};
    needs_all(c, TPM2_CAP_COMMANDS, codes, names, COUNT(codes));
}

static void algorithms(struct conformance *c)
{
    static const uint32_t codes[] = {TPM2_ALG_RSA, TPM2_ALG_SHA256, TPM2_ALG_AES,
                                     TPM2_ALG_CFB, TPM2_ALG_HMAC,   TPM2_ALG_KEYEDHASH};
    static const char *const names[] = {"TPM_ALG_RSA", "TPM_ALG_SHA256", "TPM_ALG_AES",
                                        "TPM_ALG_CFB", "TPM_ALG_HMAC",   "TPM_ALG_KEYEDHASH"};
    needs_all(c, TPM2_CAP_ALGS, codes, names, COUNT(codes));
}

static void at_least(struct conformance *c, uint32_t property, const char *name, uint32_t least)
{
    uint32_t value = 0;
    bool there = tpm_property(c, property, &value);
    conformance_check(c, there, "the TPM does not tell its %s", name);
    conformance_check(c, !there || value >= least, "%s is %u, less than %u", name, value, least);
    conformance_note(c, "%s: %u", name, value);
}

static void command_size(struct conformance *c)
{
    at_least(c, TPM2_PT_MAX_COMMAND_SIZE, "TPM_PT_MAX_COMMAND_SIZE", DPS_TPM_BUFFER);
    at_least(c, TPM2_PT_MAX_RESPONSE_SIZE, "TPM_PT_MAX_RESPONSE_SIZE", DPS_TPM_BUFFER);
}

static void input_buffer(struct conformance *c)
{
    at_least(c, TPM2_PT_INPUT_BUFFER, "TPM_PT_INPUT_BUFFER", STRING_TO_SIGN_MAX);
}

/* Loaded together, and each still there. What the TPM says about its slots is worth a note: with a resource manager
 * before it there are more. */
static void transient_slots(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    const struct tpm_key *ek = tpm_ek(c), *srk = tpm_srk(c);
    struct tpm_wrapped k;
    uint32_t slots = 0;
    if (tpm_property(c, TPM2_PT_HR_TRANSIENT_MIN, &slots)) {
        conformance_note(c, "TPM_PT_HR_TRANSIENT_MIN: %u", slots);
    }
    tpm_new_key(c, &k);
    if (ek == NULL || srk == NULL || !tpm_bring_in(c, &k)) {
        return;
    }
    const struct {
        const char *what;
        uint32_t handle;
    } three[] = {{"TPM2_ReadPublic of the EK, with all three loaded", ek->handle},
                 {"TPM2_ReadPublic of the SRK, with all three loaded", srk->handle},
                 {"TPM2_ReadPublic of the HMAC key, with all three loaded", k.handle}};
    for (size_t i = 0; i < COUNT(three); i++) {
        struct bytes public_2b, name;
        tpm2_read_public_build(tpm_begin(c), three[i].handle);
        tpm_ok(c, tpm2_read_public_parse(tpm_send(c), &t->rc, &public_2b, &name), three[i].what);
    }
}

static void not_locked(struct conformance *c)
{
    uint32_t value = 0;
    conformance_check(c, tpm_property(c, TPM2_PT_PERMANENT, &value),
                      "the TPM does not tell TPM_PT_PERMANENT");
    conformance_check(c, (value & TPM2_PERMANENT_IN_LOCKOUT) == 0,
                      "the TPM is in lockout after too many wrong authorizations");
    conformance_note(c, "authorizations that are set: owner %s, endorsement %s, lockout %s",
                     (value & TPM2_PERMANENT_OWNER_AUTH_SET) != 0 ? "yes" : "no",
                     (value & TPM2_PERMANENT_ENDORSEMENT_AUTH_SET) != 0 ? "yes" : "no",
                     (value & TPM2_PERMANENT_LOCKOUT_AUTH_SET) != 0 ? "yes" : "no");
}

static void hierarchies_enabled(struct conformance *c)
{
    uint32_t value = 0;
    conformance_check(c, tpm_property(c, TPM2_PT_STARTUP_CLEAR, &value),
                      "the TPM does not tell TPM_PT_STARTUP_CLEAR");
    conformance_check(c, (value & OWNER_ENABLED) != 0, "the owner hierarchy is disabled (shEnable is clear)");
    conformance_check(c, (value & ENDORSEMENT_ENABLED) != 0,
                      "the endorsement hierarchy is disabled (ehEnable is clear)");
}

/* The second of two questions must go on where the first ended, and say the same as one question for both. */
static void capability_pages(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    uint32_t pages[2] = {0}, whole[2] = {0}, capability;
    bool more = false;
    for (int i = 0; i < 3; i++) {
        struct bytes data;
        tpm2_get_capability_build(tpm_begin(c), TPM2_CAP_COMMANDS, i == 1 ? (pages[0] & 0x2000FFFFU) + 1 : 0,
                                  i == 2 ? 2 : 1);
        if (!tpm_ok(c, tpm2_get_capability_parse(tpm_send(c), &t->rc, &more, &capability, &data),
                    "TPM2_GetCapability")) {
            return;
        }
        struct bytes_reader r = bytes_reader_over(data);
        uint32_t count = bytes_read_u32(&r);
        conformance_check(c, count == (i == 2 ? 2U : 1U) && more, "the TPM gave %u values for %d, and %s",
                          count, i == 2 ? 2 : 1, more ? "more" : "no more");
        uint32_t *to = i == 2 ? whole : &pages[i];
        for (uint32_t k = 0; k < count && k < 2 && (i == 2 || k == 0); k++) {
            to[k] = bytes_read_u32(&r);
        }
    }
    conformance_check(c, memcmp(pages, whole, sizeof pages) == 0,
                      "two questions for one value and one for two differ");
}

const struct conformance_case tpm_cases_about[] = {
    {"TPM-S00-001", "The TPM must be of family 2.0.", "TPM 2.0 Part 2 r1.59 6.13", CONFORMANCE_MUST, 0,
     family},
    {"TPM-S00-002", "The TPM must implement the eight commands of a registration.",
     "spec-notes: Few TPM commands, no NV writes", CONFORMANCE_MUST, 0, flow_commands},
    {"TPM-S00-003", "The TPM should implement TPM2_CreatePrimary, so that EK and SRK need not be persistent.",
     "spec-notes: A guest in the TPM", CONFORMANCE_SHOULD, 0, create_primary},
    {"TPM-S00-004",
     "The TPM should implement what owners use: EvictControl, Clear, HierarchyChangeAuth, NV_Read.",
     "TCG Provisioning Guidance 1.0 r1.0", CONFORMANCE_SHOULD, 0, owner_commands},
    {"TPM-S00-005", "The TPM must implement RSA, SHA-256, AES in CFB mode, HMAC and keyed hashes.",
     "spec-notes: The activation blob", CONFORMANCE_MUST, 0, algorithms},
    {"TPM-S00-006", "The TPM must say that commands and responses may have 1024 bytes.",
     "TPM 2.0 Part 2 r1.59 6.13", CONFORMANCE_MUST, 0, command_size},
    {"TPM-S00-007",
     "The TPM must say that a buffer may have 640 bytes: a string to sign goes into one command.",
     "TPM 2.0 Part 2 r1.59 6.13", CONFORMANCE_MUST, 0, input_buffer},
    {"TPM-S00-008", "Three transient objects must be possible at a time: EK, SRK and the HMAC key.",
     "spec-notes: A guest in the TPM", CONFORMANCE_MUST, 0, transient_slots},
    {"TPM-S00-009", "The TPM should not be in lockout.", "TPM 2.0 Part 2 r1.59 8.6", CONFORMANCE_SHOULD, 0,
     not_locked},
    {"TPM-S00-010", "Owner and endorsement hierarchy must be enabled.", "TPM 2.0 Part 2 r1.59 8.7",
     CONFORMANCE_MUST, 0, hierarchies_enabled},
    {"TPM-S00-011", "TPM2_GetCapability must go on where the last answer ended.", "TPM 2.0 Part 3 r1.59 30.2",
     CONFORMANCE_MUST, 0, capability_pages},
    {0},
};

/* ---- At the very end ---- */

static void as_found(struct conformance *c)
{
    struct tpm_suite *t = tpm_of(c);
    conformance_check(c, t->left[0] == 0, "%s", t->left);
    for (int i = 0; i < 2; i++) {
        struct tpm_key *key = i == 0 ? &t->ek : &t->srk;
        if (key->handle != 0 && tpm_flush(c, key->handle)) {
            key->handle = 0;
        }
    }
    /* Now that they are flushed, nobody misses them after the case. */
    (void)tpm_list_handles(c, &t->before);
    conformance_check(c, tpm_as_found(c, &t->at_open), "the TPM is not as it was found");
}

const struct conformance_case tpm_cases_last[] = {
    {"TPM-S00-900", "After all cases the TPM must hold the handles that it held before them, and no others.",
     "spec-notes: A guest in the TPM", CONFORMANCE_MUST, 0, as_found},
    {0},
};
