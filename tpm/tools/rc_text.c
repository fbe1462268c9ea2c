/* SPDX-License-Identifier: MIT */
/* Response codes in words: a file of its own, so that device firmware does not carry the text. */
#include "tpm/tools/rc_text.h"
#include "tpm/tpm2.h"

/* Codes of the layers above a TPM which people meet, although no TPM sends them. */
#define LAYER_LINUX_UNKNOWN_COMMAND                                                                          \
    0x000B0143                           /* /dev/tpmrm0: TSS2_RESMGR_TPM_RC_LAYER and TPM_RC_COMMAND_CODE */
#define LAYER_WINDOWS_BLOCKED 0x80280400 /* TBS: TPM_E_COMMAND_BLOCKED */

/* Arrays, not pointers: a table of pointers needs relocating, and then it is no longer constant data. */
struct text {
    uint32_t code;
    char name[32];
    char meaning[144];
};

/* In the order of the specification's table [P2 r1.59 6.6.3, Table 16]. */
static const struct text texts[] = {
    {TPM2_RC_SUCCESS, "TPM_RC_SUCCESS", "The TPM executed the command."},
    {TPM2_RC_BAD_TAG, "TPM_RC_BAD_TAG", "This is a TPM 1.2, or it did not understand the command's tag."},
    {TPM2_RC_INITIALIZE, "TPM_RC_INITIALIZE",
     "TPM2_Startup is missing, or it was already done if this is the answer to it."},
    {TPM2_RC_FAILURE, "TPM_RC_FAILURE",
     "A self-test failed: the TPM does nothing more until it is reset, and may be broken."},
    {TPM2_RC_SEQUENCE, "TPM_RC_SEQUENCE", "The handle names no sequence, or a sequence of another kind."},
    {TPM2_RC_DISABLED, "TPM_RC_DISABLED", "This command is disabled in this TPM."},
    {TPM2_RC_EXCLUSIVE, "TPM_RC_EXCLUSIVE", "Another audit session claims the TPM for itself."},
    {TPM2_RC_AUTH_TYPE, "TPM_RC_AUTH_TYPE",
     "The authorization is of a kind that this object does not accept: an EK wants a policy session."},
    {TPM2_RC_AUTH_MISSING, "TPM_RC_AUTH_MISSING",
     "A handle needs an authorization and there is none for it."},
    {TPM2_RC_POLICY, "TPM_RC_POLICY", "The policy session cannot take this assertion."},
    {TPM2_RC_UPGRADE, "TPM_RC_UPGRADE", "The TPM is in the middle of a firmware upgrade."},
    {TPM2_RC_TOO_MANY_CONTEXTS, "TPM_RC_TOO_MANY_CONTEXTS",
     "The TPM's context counter is used up: reset it."},
    {TPM2_RC_AUTH_UNAVAILABLE, "TPM_RC_AUTH_UNAVAILABLE",
     "The object cannot be used with this authorization: it has no private half here, or its authValue or "
     "policy "
     "is not allowed."},
    {TPM2_RC_REBOOT, "TPM_RC_REBOOT", "The TPM must be restarted before it goes on."},
    {TPM2_RC_COMMAND_SIZE, "TPM_RC_COMMAND_SIZE",
     "commandSize is not the number of bytes that arrived: the transport cut or joined commands."},
    {TPM2_RC_COMMAND_CODE, "TPM_RC_COMMAND_CODE", "The TPM does not have this command."},
    {TPM2_RC_AUTHSIZE, "TPM_RC_AUTHSIZE", "authorizationSize does not fit the command."},
    {TPM2_RC_AUTH_CONTEXT, "TPM_RC_AUTH_CONTEXT", "An authorization was given to a command that takes none."},
    {TPM2_RC_NV_RANGE, "TPM_RC_NV_RANGE", "The NV index is shorter than what was asked for."},
    {TPM2_RC_NV_SIZE, "TPM_RC_NV_SIZE", "That is more than the NV index can hold."},
    {TPM2_RC_NV_LOCKED, "TPM_RC_NV_LOCKED", "The NV index is locked."},
    {TPM2_RC_NV_AUTHORIZATION, "TPM_RC_NV_AUTHORIZATION", "This authorization does not open this NV index."},
    {TPM2_RC_NV_UNINITIALIZED, "TPM_RC_NV_UNINITIALIZED", "The NV index exists, but was never written."},
    {TPM2_RC_NV_SPACE, "TPM_RC_NV_SPACE",
     "The TPM's permanent memory is full: evict a persistent object or remove an NV index."},
    {TPM2_RC_NV_DEFINED, "TPM_RC_NV_DEFINED", "That persistent handle or NV index is in use already."},
    {TPM2_RC_NEEDS_TEST, "TPM_RC_NEEDS_TEST", "A self-test must run before this command."},
    {TPM2_RC_SENSITIVE, "TPM_RC_SENSITIVE", "The private part does not decode."},

    {TPM2_RC_ASYMMETRIC, "TPM_RC_ASYMMETRIC", "The TPM does not have this asymmetric algorithm."},
    {TPM2_RC_ATTRIBUTES, "TPM_RC_ATTRIBUTES",
     "The attributes of the object contradict each other or the command."},
    {TPM2_RC_HASH, "TPM_RC_HASH", "The TPM does not have this hash, or does not allow it here."},
    {TPM2_RC_VALUE, "TPM_RC_VALUE", "A value is out of range or does not fit the key."},
    {TPM2_RC_HIERARCHY, "TPM_RC_HIERARCHY", "This hierarchy is disabled or the wrong one."},
    {TPM2_RC_KEY_SIZE, "TPM_RC_KEY_SIZE", "The TPM does not have keys of this size."},
    {TPM2_RC_MODE, "TPM_RC_MODE", "The TPM does not have this cipher mode."},
    {TPM2_RC_TYPE, "TPM_RC_TYPE", "The object is of a different type than the command needs."},
    {TPM2_RC_HANDLE, "TPM_RC_HANDLE",
     "There is no such object: none was ever stored there, it was evicted, or the TPM was cleared."},
    {TPM2_RC_KDF, "TPM_RC_KDF", "The TPM does not have this key derivation."},
    {TPM2_RC_RANGE, "TPM_RC_RANGE", "The handle or value is outside the range that is allowed here."},
    {TPM2_RC_AUTH_FAIL, "TPM_RC_AUTH_FAIL",
     "The authorization is wrong, and this counts towards the dictionary-attack lockout."},
    {TPM2_RC_NONCE, "TPM_RC_NONCE", "The session's nonce has the wrong size or value."},
    {TPM2_RC_SCHEME, "TPM_RC_SCHEME", "The scheme does not fit the key."},
    {TPM2_RC_SIZE, "TPM_RC_SIZE", "A size is wrong: data too long, too short, or left over."},
    {TPM2_RC_SYMMETRIC, "TPM_RC_SYMMETRIC", "The TPM does not have this cipher, or not with this key size."},
    {TPM2_RC_TAG, "TPM_RC_TAG", "A structure has the wrong tag."},
    {TPM2_RC_SELECTOR, "TPM_RC_SELECTOR", "A union has a selector that is not allowed."},
    {TPM2_RC_INSUFFICIENT, "TPM_RC_INSUFFICIENT",
     "The command ended before its last parameter was complete."},
    {TPM2_RC_SIGNATURE, "TPM_RC_SIGNATURE", "The signature does not verify."},
    {TPM2_RC_KEY, "TPM_RC_KEY", "The key does not fit this use."},
    {TPM2_RC_POLICY_FAIL, "TPM_RC_POLICY_FAIL",
     "The policy session does not have the object's policy: PolicySecret is missing, or the EK has another "
     "policy."},
    {TPM2_RC_INTEGRITY, "TPM_RC_INTEGRITY",
     "What is to be opened was changed, or made for another key: the wrong EK, the wrong SRK, or a TPM that "
     "was "
     "cleared since."},
    {TPM2_RC_TICKET, "TPM_RC_TICKET", "The ticket is not valid."},
    {TPM2_RC_RESERVED_BITS, "TPM_RC_RESERVED_BITS", "A reserved bit is set."},
    {TPM2_RC_BAD_AUTH, "TPM_RC_BAD_AUTH", "The password is wrong; this does not count towards a lockout."},
    {TPM2_RC_EXPIRED, "TPM_RC_EXPIRED", "The policy has expired."},
    {TPM2_RC_POLICY_CC, "TPM_RC_POLICY_CC", "The policy is for another command."},
    {TPM2_RC_BINDING, "TPM_RC_BINDING", "The public and the private part do not belong together."},

    {TPM2_RC_CONTEXT_GAP, "TPM_RC_CONTEXT_GAP", "A saved session is too old: flush it."},
    {TPM2_RC_OBJECT_MEMORY, "TPM_RC_OBJECT_MEMORY",
     "No room for another object: flush one, or use the kernel's resource manager."},
    {TPM2_RC_SESSION_MEMORY, "TPM_RC_SESSION_MEMORY", "No room for another session: flush one."},
    {TPM2_RC_MEMORY, "TPM_RC_MEMORY", "The TPM has no memory for this: flush objects or sessions."},
    {TPM2_RC_SESSION_HANDLES, "TPM_RC_SESSION_HANDLES", "Too many sessions exist: flush one."},
    {TPM2_RC_OBJECT_HANDLES, "TPM_RC_OBJECT_HANDLES", "Too many objects exist: flush one."},
    {TPM2_RC_LOCALITY, "TPM_RC_LOCALITY", "Not allowed from this locality."},
    {TPM2_RC_YIELDED, "TPM_RC_YIELDED", "The TPM was interrupted: send the command again."},
    {TPM2_RC_CANCELED, "TPM_RC_CANCELED", "The command was cancelled: send it again."},
    {TPM2_RC_TESTING, "TPM_RC_TESTING", "The TPM is testing itself: send the command again."},
    {TPM2_RC_REFERENCE_H0, "TPM_RC_REFERENCE_H0", "The first handle names an object that is not loaded."},
    {TPM2_RC_REFERENCE_H1, "TPM_RC_REFERENCE_H1", "The second handle names an object that is not loaded."},
    {TPM2_RC_REFERENCE_H2, "TPM_RC_REFERENCE_H2", "The third handle names an object that is not loaded."},
    {TPM2_RC_REFERENCE_S0, "TPM_RC_REFERENCE_S0",
     "The first authorization names a session that does not exist."},
    {TPM2_RC_REFERENCE_S1, "TPM_RC_REFERENCE_S1",
     "The second authorization names a session that does not exist."},
    {TPM2_RC_NV_RATE, "TPM_RC_NV_RATE",
     "The TPM limits writes to its permanent memory: wait and send again."},
    {TPM2_RC_LOCKOUT, "TPM_RC_LOCKOUT",
     "Too many wrong authorizations: the TPM is locked until its recovery time has passed."},
    {TPM2_RC_RETRY, "TPM_RC_RETRY", "The TPM was busy: send the command again."},
    {TPM2_RC_NV_UNAVAILABLE, "TPM_RC_NV_UNAVAILABLE",
     "The permanent memory is not accessible now: send again."},

    {LAYER_LINUX_UNKNOWN_COMMAND, "TSS2_RESMGR_TPM_RC_COMMAND_CODE",
     "The kernel's resource manager does not know this command, or the TPM does not have it."},
    {LAYER_WINDOWS_BLOCKED, "TPM_E_COMMAND_BLOCKED", "Windows blocks this command: run as administrator."},
    {0x80284001, "TBS_E_INTERNAL_ERROR", "Windows' TPM service failed."},
    {0x80284006, "TBS_E_IOERROR", "Windows cannot talk to the TPM."},
    {0x80284008, "TBS_E_SERVICE_NOT_RUNNING", "Windows' TPM service is not running."},
    {0x8028400D, "TBS_E_COMMAND_CANCELED", "The command was cancelled: send it again."},
    {0x8028400F, "TBS_E_TPM_NOT_FOUND",
     "Windows sees no TPM: is it enabled in the firmware's set-up (BIOS)?"},
    {0x80284010, "TBS_E_SERVICE_DISABLED", "Windows' TPM service is disabled."},
    {0x80284012, "TBS_E_ACCESS_DENIED", "Run as administrator."},

    /* TPM 1.2, which Linux reports in the same words. */
    {0x06, "TPM_DEACTIVATED", "A TPM 1.2 that is deactivated; a TPM 2.0 is needed."},
    {0x07, "TPM_DISABLED", "A TPM 1.2 that is disabled; a TPM 2.0 is needed."},
    {0x1C, "TPM_FAILEDSELFTEST", "The self-test of a TPM 1.2 failed; a TPM 2.0 is needed."},
    {0x26, "TPM_INVALID_POSTINIT", "A TPM 1.2 that was started up twice; a TPM 2.0 is needed."},
};

/* ---- Layers above the TPM -------------------------------------------------------------------------------- */

#define LAYER_SHIFT 16
#define LAYER_LINUX_RESOURCE_MANAGER 0x000BU
#define LAYER_RESOURCE_MANAGER_TPM 0x000CU
#define LAYER_WINDOWS 0x8028U
#define LOWEST_TPM2_CODE 0x80U
#define TPM_CODE_BITS 0xFFFU

static const struct {
    uint32_t layer;
    char name[48];
} layers[] = {
    {0x0006, "FAPI (tpm2-tss)"},
    {0x0007, "ESAPI (tpm2-tss)"},
    {0x0008, "SAPI (tpm2-tss)"},
    {0x0009, "marshalling (tpm2-tss)"},
    {0x000A, "TCTI (tpm2-tss): the transport to the TPM"},
    {LAYER_LINUX_RESOURCE_MANAGER, "the resource manager (/dev/tpmrm0, tpm2-abrmd)"},
    {LAYER_RESOURCE_MANAGER_TPM, "the resource manager, from the TPM"},
    {LAYER_WINDOWS, "Windows (TBS)"},
};

/* What all layers of tpm2-tss say: the lower half of their codes, in order from 1. */
static const struct {
    char name[40];
    char meaning[112];
} base_codes[] = {
    {"TSS2_BASE_RC_GENERAL_FAILURE",
     "It failed for a reason that has no code: the log lines before it say more."},
    {"TSS2_BASE_RC_NOT_IMPLEMENTED", "This version of the library does not have that function."},
    {"TSS2_BASE_RC_BAD_CONTEXT", "The library was not initialized, or its context was overwritten."},
    {"TSS2_BASE_RC_ABI_MISMATCH", "The program was built for another version of tpm2-tss."},
    {"TSS2_BASE_RC_BAD_REFERENCE", "The program passed a null pointer."},
    {"TSS2_BASE_RC_INSUFFICIENT_BUFFER", "The program's buffer is too small."},
    {"TSS2_BASE_RC_BAD_SEQUENCE", "The program called functions in the wrong order."},
    {"TSS2_BASE_RC_NO_CONNECTION", "The layer below cannot be reached."},
    {"TSS2_BASE_RC_TRY_AGAIN", "Nothing has arrived yet: ask again."},
    {"TSS2_BASE_RC_IO_ERROR", "The TPM's device or socket failed: is it there, and may this user open it?"},
    {"TSS2_BASE_RC_BAD_VALUE", "The program passed a value that is not allowed."},
    {"TSS2_BASE_RC_NOT_PERMITTED", "This is not allowed here."},
    {"TSS2_BASE_RC_INVALID_SESSIONS", "The command does not take these sessions."},
    {"TSS2_BASE_RC_NO_DECRYPT_PARAM", "The command has no parameter that a session could encrypt."},
    {"TSS2_BASE_RC_NO_ENCRYPT_PARAM", "The response has no parameter that a session could encrypt."},
    {"TSS2_BASE_RC_BAD_SIZE", "A size is wrong."},
    {"TSS2_BASE_RC_MALFORMED_RESPONSE", "What came back is not a TPM response."},
    {"TSS2_BASE_RC_INSUFFICIENT_CONTEXT", "The library's context is too small."},
    {"TSS2_BASE_RC_INSUFFICIENT_RESPONSE", "The response is cut off."},
    {"TSS2_BASE_RC_INCOMPATIBLE_TCTI", "The TCTI is of a different version than the library."},
    {"TSS2_BASE_RC_NOT_SUPPORTED", "The layer below cannot do this."},
    {"TSS2_BASE_RC_BAD_TCTI_STRUCTURE", "The TCTI context is broken."},
    {"TSS2_BASE_RC_MEMORY", "Out of memory."},
    {"TSS2_BASE_RC_BAD_TR", "There is no such ESYS_TR object: it was flushed, or never loaded."},
    {"TSS2_BASE_RC_MULTIPLE_DECRYPT_SESSIONS", "More than one session is to decrypt."},
    {"TSS2_BASE_RC_MULTIPLE_ENCRYPT_SESSIONS", "More than one session is to encrypt."},
    {"TSS2_BASE_RC_RSP_AUTH_FAILED",
     "The HMAC of the response is wrong: it was changed on the way from the TPM."},
};
#define BASE_CODES (sizeof base_codes / sizeof base_codes[0])

const char *tpm2_rc_layer(uint32_t rc, uint32_t *below)
{
    const uint32_t layer = rc >> LAYER_SHIFT, low = rc & 0xFFFF;
    const bool passes = layer == LAYER_LINUX_RESOURCE_MANAGER || layer == LAYER_RESOURCE_MANAGER_TPM ||
                        layer == LAYER_WINDOWS;
    *below = passes && low >= LOWEST_TPM2_CODE && low <= TPM_CODE_BITS ? low : 0;
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        if (layers[i].layer == layer) {
            return layers[i].name;
        }
    }
    return NULL;
}

/* ---- Names and meanings ----------------------------------------------------------------------------------- */

static const struct text *find_exactly(uint32_t code)
{
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].code == code) {
            return &texts[i];
        }
    }
    return NULL;
}

/* Also what a layer passes on. */
static const struct text *find(uint32_t code)
{
    uint32_t below;
    const struct text *text = find_exactly(code);
    return text == NULL && tpm2_rc_layer(code, &below) != NULL && below != 0
               ? find_exactly(tpm2_rc_decode(below).code)
               : text;
}

/* The place in base_codes; BASE_CODES if it is none of a layer of tpm2-tss. */
static size_t base_code(uint32_t code)
{
    uint32_t below;
    const uint32_t layer = code >> LAYER_SHIFT, low = code & 0xFFFF;
    const bool tss = tpm2_rc_layer(code, &below) != NULL && layer != LAYER_WINDOWS && below == 0;
    return tss && low >= 1 && low <= BASE_CODES ? (size_t)(low - 1) : BASE_CODES;
}

const char *tpm2_rc_name(uint32_t code)
{
    const struct text *text = find(code);
    const size_t base = base_code(code);
    if (text != NULL) {
        return text->name;
    }
    return base < BASE_CODES ? base_codes[base].name : NULL;
}

const char *tpm2_rc_meaning(uint32_t code)
{
    const struct text *text = find(code);
    const size_t base = base_code(code);
    if (text != NULL) {
        return text->meaning;
    }
    return base < BASE_CODES ? base_codes[base].meaning : NULL;
}

bool tpm2_rc_named(struct bytes name, uint32_t *code)
{
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (bytes_equal_public(name, bytes_of_text(texts[i].name))) {
            *code = texts[i].code;
            return true;
        }
    }
    return false;
}
