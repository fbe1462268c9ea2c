/* SPDX-License-Identifier: MIT */
/* What explain.c knows of Part 2: constants with their names, and the basic types. */
#include "tpm/tools/explain_types.h"
#include "tpm/tools/explain_tables.h"
#include "tpm/tpm2.h"

#define EXACT 0xFFFFFFFFU
#define HANDLE_TYPE                                                                                          \
    0xFF000000U /* the most significant byte of a handle says what kind it is [P2 r1.59 7.2] */

/* ---- Constants --------------------------------------------------------------------------------------------- */

static const struct tpm2_value_name names_st[] = {
    {EXACT, TPM2_ST_NO_SESSIONS, "TPM_ST_NO_SESSIONS", "Without authorizations."},
    {EXACT, TPM2_ST_SESSIONS, "TPM_ST_SESSIONS", "With authorizations."},
    {EXACT, TPM2_ST_CREATION, "TPM_ST_CREATION", "A ticket that says: this TPM created that object."},
    {EXACT, TPM2_ST_AUTH_SECRET, "TPM_ST_AUTH_SECRET",
     "A ticket that says: a secret was proven in a policy."},
    {EXACT, TPM2_ST_HASHCHECK, "TPM_ST_HASHCHECK", "A ticket that says: this TPM computed that digest."},
    {EXACT, TPM2_ST_RSP_COMMAND, "TPM_ST_RSP_COMMAND",
     "A TPM 1.2 answers, or the tag of the command was wrong."},
    {0}};

static const struct tpm2_value_name names_cc[] = {
    {EXACT, TPM2_CC_EVICT_CONTROL, "TPM_CC_EvictControl", NULL},
    {EXACT, TPM2_CC_CLEAR, "TPM_CC_Clear", NULL},
    {EXACT, TPM2_CC_HIERARCHY_CHANGE_AUTH, "TPM_CC_HierarchyChangeAuth", NULL},
    {EXACT, TPM2_CC_CREATE_PRIMARY, "TPM_CC_CreatePrimary", NULL},
    {EXACT, TPM2_CC_SEQUENCE_COMPLETE, "TPM_CC_SequenceComplete", NULL},
    {EXACT, TPM2_CC_STARTUP, "TPM_CC_Startup", NULL},
    {EXACT, TPM2_CC_SHUTDOWN, "TPM_CC_Shutdown", NULL},
    {EXACT, TPM2_CC_ACTIVATE_CREDENTIAL, "TPM_CC_ActivateCredential", NULL},
    {EXACT, TPM2_CC_NV_READ, "TPM_CC_NV_Read", NULL},
    {EXACT, TPM2_CC_POLICY_SECRET, "TPM_CC_PolicySecret", NULL},
    {EXACT, TPM2_CC_REWRAP, "TPM_CC_Rewrap", NULL},
    {EXACT, TPM2_CC_CREATE, "TPM_CC_Create", NULL},
    {EXACT, TPM2_CC_HMAC, "TPM_CC_HMAC", NULL},
    {EXACT, TPM2_CC_IMPORT, "TPM_CC_Import", NULL},
    {EXACT, TPM2_CC_LOAD, "TPM_CC_Load", NULL},
    {EXACT, TPM2_CC_HMAC_START, "TPM_CC_HMAC_Start", NULL},
    {EXACT, TPM2_CC_SEQUENCE_UPDATE, "TPM_CC_SequenceUpdate", NULL},
    {EXACT, TPM2_CC_UNSEAL, "TPM_CC_Unseal", NULL},
    {EXACT, TPM2_CC_FLUSH_CONTEXT, "TPM_CC_FlushContext", NULL},
    {EXACT, TPM2_CC_LOAD_EXTERNAL, "TPM_CC_LoadExternal", NULL},
    {EXACT, TPM2_CC_MAKE_CREDENTIAL, "TPM_CC_MakeCredential", NULL},
    {EXACT, TPM2_CC_NV_READ_PUBLIC, "TPM_CC_NV_ReadPublic", NULL},
    {EXACT, TPM2_CC_POLICY_COMMAND_CODE, "TPM_CC_PolicyCommandCode", NULL},
    {EXACT, TPM2_CC_POLICY_OR, "TPM_CC_PolicyOR", NULL},
    {EXACT, TPM2_CC_READ_PUBLIC, "TPM_CC_ReadPublic", NULL},
    {EXACT, TPM2_CC_START_AUTH_SESSION, "TPM_CC_StartAuthSession", NULL},
    {EXACT, TPM2_CC_GET_CAPABILITY, "TPM_CC_GetCapability", NULL},
    {EXACT, TPM2_CC_GET_RANDOM, "TPM_CC_GetRandom", NULL},
    {EXACT, TPM2_CC_POLICY_GET_DIGEST, "TPM_CC_PolicyGetDigest", NULL},
    /* Commands that other programs send: their names only [P2 r1.59 6.5.2]. */
    {EXACT, 0x11F, "TPM_CC_NV_UndefineSpaceSpecial", NULL},
    {EXACT, 0x121, "TPM_CC_HierarchyControl", NULL},
    {EXACT, 0x122, "TPM_CC_NV_UndefineSpace", NULL},
    {EXACT, 0x124, "TPM_CC_ChangeEPS", NULL},
    {EXACT, 0x125, "TPM_CC_ChangePPS", NULL},
    {EXACT, 0x127, "TPM_CC_ClearControl", NULL},
    {EXACT, 0x128, "TPM_CC_ClockSet", NULL},
    {EXACT, 0x12A, "TPM_CC_NV_DefineSpace", NULL},
    {EXACT, 0x12B, "TPM_CC_PCR_Allocate", NULL},
    {EXACT, 0x12C, "TPM_CC_PCR_SetAuthPolicy", NULL},
    {EXACT, 0x12D, "TPM_CC_PP_Commands", NULL},
    {EXACT, 0x12E, "TPM_CC_SetPrimaryPolicy", NULL},
    {EXACT, 0x12F, "TPM_CC_FieldUpgradeStart", NULL},
    {EXACT, 0x130, "TPM_CC_ClockRateAdjust", NULL},
    {EXACT, 0x132, "TPM_CC_NV_GlobalWriteLock", NULL},
    {EXACT, 0x133, "TPM_CC_GetCommandAuditDigest", NULL},
    {EXACT, 0x134, "TPM_CC_NV_Increment", NULL},
    {EXACT, 0x135, "TPM_CC_NV_SetBits", NULL},
    {EXACT, 0x136, "TPM_CC_NV_Extend", NULL},
    {EXACT, 0x137, "TPM_CC_NV_Write", NULL},
    {EXACT, 0x138, "TPM_CC_NV_WriteLock", NULL},
    {EXACT, 0x139, "TPM_CC_DictionaryAttackLockReset", NULL},
    {EXACT, 0x13A, "TPM_CC_DictionaryAttackParameters", NULL},
    {EXACT, 0x13B, "TPM_CC_NV_ChangeAuth", NULL},
    {EXACT, 0x13C, "TPM_CC_PCR_Event", NULL},
    {EXACT, 0x13D, "TPM_CC_PCR_Reset", NULL},
    {EXACT, 0x13F, "TPM_CC_SetAlgorithmSet", NULL},
    {EXACT, 0x140, "TPM_CC_SetCommandCodeAuditStatus", NULL},
    {EXACT, 0x141, "TPM_CC_FieldUpgradeData", NULL},
    {EXACT, 0x142, "TPM_CC_IncrementalSelfTest", NULL},
    {EXACT, 0x143, "TPM_CC_SelfTest", NULL},
    {EXACT, 0x146, "TPM_CC_StirRandom", NULL},
    {EXACT, 0x148, "TPM_CC_Certify", NULL},
    {EXACT, 0x149, "TPM_CC_PolicyNV", NULL},
    {EXACT, 0x14A, "TPM_CC_CertifyCreation", NULL},
    {EXACT, 0x14B, "TPM_CC_Duplicate", NULL},
    {EXACT, 0x14C, "TPM_CC_GetTime", NULL},
    {EXACT, 0x14D, "TPM_CC_GetSessionAuditDigest", NULL},
    {EXACT, 0x14F, "TPM_CC_NV_ReadLock", NULL},
    {EXACT, 0x150, "TPM_CC_ObjectChangeAuth", NULL},
    {EXACT, 0x154, "TPM_CC_ECDH_ZGen", NULL},
    {EXACT, 0x158, "TPM_CC_Quote", NULL},
    {EXACT, 0x159, "TPM_CC_RSA_Decrypt", NULL},
    {EXACT, 0x15D, "TPM_CC_Sign", NULL},
    {EXACT, 0x160, "TPM_CC_PolicySigned", NULL},
    {EXACT, 0x161, "TPM_CC_ContextLoad", NULL},
    {EXACT, 0x162, "TPM_CC_ContextSave", NULL},
    {EXACT, 0x163, "TPM_CC_ECDH_KeyGen", NULL},
    {EXACT, 0x164, "TPM_CC_EncryptDecrypt", NULL},
    {EXACT, 0x16A, "TPM_CC_PolicyAuthorize", NULL},
    {EXACT, 0x16B, "TPM_CC_PolicyAuthValue", NULL},
    {EXACT, 0x16D, "TPM_CC_PolicyCounterTimer", NULL},
    {EXACT, 0x16E, "TPM_CC_PolicyCpHash", NULL},
    {EXACT, 0x16F, "TPM_CC_PolicyLocality", NULL},
    {EXACT, 0x170, "TPM_CC_PolicyNameHash", NULL},
    {EXACT, 0x172, "TPM_CC_PolicyTicket", NULL},
    {EXACT, 0x174, "TPM_CC_RSA_Encrypt", NULL},
    {EXACT, 0x177, "TPM_CC_VerifySignature", NULL},
    {EXACT, 0x178, "TPM_CC_ECC_Parameters", NULL},
    {EXACT, 0x179, "TPM_CC_FirmwareRead", NULL},
    {EXACT, 0x17C, "TPM_CC_GetTestResult", NULL},
    {EXACT, 0x17D, "TPM_CC_Hash", NULL},
    {EXACT, 0x17E, "TPM_CC_PCR_Read", NULL},
    {EXACT, 0x17F, "TPM_CC_PolicyPCR", NULL},
    {EXACT, 0x180, "TPM_CC_PolicyRestart", NULL},
    {EXACT, 0x181, "TPM_CC_ReadClock", NULL},
    {EXACT, 0x182, "TPM_CC_PCR_Extend", NULL},
    {EXACT, 0x183, "TPM_CC_PCR_SetAuthValue", NULL},
    {EXACT, 0x184, "TPM_CC_NV_Certify", NULL},
    {EXACT, 0x185, "TPM_CC_EventSequenceComplete", NULL},
    {EXACT, 0x186, "TPM_CC_HashSequenceStart", NULL},
    {EXACT, 0x187, "TPM_CC_PolicyPhysicalPresence", NULL},
    {EXACT, 0x188, "TPM_CC_PolicyDuplicationSelect", NULL},
    {EXACT, 0x18A, "TPM_CC_TestParms", NULL},
    {EXACT, 0x18B, "TPM_CC_Commit", NULL},
    {EXACT, 0x18C, "TPM_CC_PolicyPassword", NULL},
    {EXACT, 0x18D, "TPM_CC_ZGen_2Phase", NULL},
    {EXACT, 0x18E, "TPM_CC_EC_Ephemeral", NULL},
    {EXACT, 0x18F, "TPM_CC_PolicyNvWritten", NULL},
    {EXACT, 0x190, "TPM_CC_PolicyTemplate", NULL},
    {EXACT, 0x191, "TPM_CC_CreateLoaded", NULL},
    {EXACT, 0x192, "TPM_CC_PolicyAuthorizeNV", NULL},
    {EXACT, 0x193, "TPM_CC_EncryptDecrypt2", NULL},
    {EXACT, 0x194, "TPM_CC_AC_GetCapability", NULL},
    {EXACT, 0x195, "TPM_CC_AC_Send", NULL},
    {EXACT, 0x196, "TPM_CC_Policy_AC_SendSelect", NULL},
    {EXACT, 0x197, "TPM_CC_CertifyX509", NULL},
    {EXACT, 0x198, "TPM_CC_ACT_SetTimeout", NULL},
    {0}};

static const struct tpm2_value_name names_alg[] = {
    {EXACT, TPM2_ALG_RSA, "TPM_ALG_RSA", "An RSA key."},
    {EXACT, TPM2_ALG_HMAC, "TPM_ALG_HMAC", "A keyed hash [RFC 2104]."},
    {EXACT, TPM2_ALG_AES, "TPM_ALG_AES", "The block cipher AES."},
    {EXACT, TPM2_ALG_KEYEDHASH, "TPM_ALG_KEYEDHASH", "A key for HMAC, or sealed data."},
    {EXACT, TPM2_ALG_XOR, "TPM_ALG_XOR", "Hiding by XOR with a hash."},
    {EXACT, TPM2_ALG_SHA256, "TPM_ALG_SHA256", "The hash SHA-256."},
    {EXACT, TPM2_ALG_SHA384, "TPM_ALG_SHA384", "The hash SHA-384."},
    {EXACT, TPM2_ALG_NULL, "TPM_ALG_NULL", "None."},
    {EXACT, TPM2_ALG_RSASSA, "TPM_ALG_RSASSA", "RSA signatures of PKCS #1 v1.5."},
    {EXACT, TPM2_ALG_RSAES, "TPM_ALG_RSAES", "RSA encryption of PKCS #1 v1.5."},
    {EXACT, TPM2_ALG_RSAPSS, "TPM_ALG_RSAPSS", "RSA-PSS signatures."},
    {EXACT, TPM2_ALG_OAEP, "TPM_ALG_OAEP", "RSA encryption with OAEP padding."},
    {EXACT, TPM2_ALG_ECC, "TPM_ALG_ECC", "An elliptic curve key."},
    {EXACT, TPM2_ALG_CFB, "TPM_ALG_CFB", "Cipher feedback mode."},
    {EXACT, 0x0004, "TPM_ALG_SHA1", "The hash SHA-1, which is broken for signatures."},
    {EXACT, 0x0007, "TPM_ALG_MGF1", "The mask generation function of OAEP and PSS."},
    {EXACT, 0x000D, "TPM_ALG_SHA512", "The hash SHA-512."},
    {EXACT, 0x0018, "TPM_ALG_ECDSA", "ECDSA signatures."},
    {EXACT, 0x0019, "TPM_ALG_ECDH", "Key agreement on an elliptic curve."},
    {EXACT, 0x001A, "TPM_ALG_ECDAA", "Anonymous signatures on an elliptic curve."},
    {EXACT, 0x0022, "TPM_ALG_KDF1_SP800_108", "The TPM's key derivation, KDFa."},
    {EXACT, 0x0025, "TPM_ALG_SYMCIPHER", "A symmetric key."},
    {EXACT, 0x0040, "TPM_ALG_CTR", "Counter mode."},
    {EXACT, 0x0042, "TPM_ALG_CBC", "Cipher block chaining mode."},
    {0}};

static const struct tpm2_value_name names_su[] = {
    {EXACT, TPM2_SU_CLEAR, "TPM_SU_CLEAR", "A fresh start: nothing is taken from before the power went off."},
    {EXACT, TPM2_SU_STATE, "TPM_SU_STATE", "With the state that TPM2_Shutdown has saved."},
    {0}};

static const struct tpm2_value_name names_se[] = {
    {EXACT, TPM2_SE_HMAC, "TPM_SE_HMAC", "Authorizes by an HMAC over each command."},
    {EXACT, TPM2_SE_POLICY, "TPM_SE_POLICY", "Collects proofs, and opens objects that ask for these."},
    {EXACT, TPM2_SE_TRIAL, "TPM_SE_TRIAL", "Only computes what the digest of a policy would be."},
    {0}};

static const struct tpm2_value_name names_cap[] = {
    {EXACT, TPM2_CAP_ALGS, "TPM_CAP_ALGS", "The algorithms that this TPM has."},
    {EXACT, TPM2_CAP_HANDLES, "TPM_CAP_HANDLES", "The handles that are in use."},
    {EXACT, TPM2_CAP_COMMANDS, "TPM_CAP_COMMANDS", "The commands that this TPM has."},
    {EXACT, 3, "TPM_CAP_PP_COMMANDS", "The commands that need physical presence."},
    {EXACT, 4, "TPM_CAP_AUDIT_COMMANDS", "The commands that are audited."},
    {EXACT, 5, "TPM_CAP_PCRS", "The platform configuration registers."},
    {EXACT, TPM2_CAP_TPM_PROPERTIES, "TPM_CAP_TPM_PROPERTIES", "Facts about this TPM and its state."},
    {EXACT, 7, "TPM_CAP_PCR_PROPERTIES", "What is special about which registers."},
    {EXACT, 8, "TPM_CAP_ECC_CURVES", "The elliptic curves that this TPM has."},
    {0}};

static const struct tpm2_value_name names_pt[] = {
    {EXACT, TPM2_PT_FAMILY_INDICATOR, "TPM_PT_FAMILY_INDICATOR",
     "The specification's family, \"2.0\" in ASCII."},
    {EXACT, TPM2_PT_LEVEL, "TPM_PT_LEVEL", "The specification's level."},
    {EXACT, TPM2_PT_REVISION, "TPM_PT_REVISION", "The specification's revision, times 100."},
    {EXACT, TPM2_PT_DAY_OF_YEAR, "TPM_PT_DAY_OF_YEAR", "The specification's date: day of the year."},
    {EXACT, TPM2_PT_YEAR, "TPM_PT_YEAR", "The specification's date: year."},
    {EXACT, TPM2_PT_MANUFACTURER, "TPM_PT_MANUFACTURER", "Who made it, four letters in ASCII."},
    {EXACT, TPM2_PT_VENDOR_STRING_1, "TPM_PT_VENDOR_STRING_1", "What the vendor calls it, in ASCII."},
    {EXACT, TPM2_PT_VENDOR_STRING_2, "TPM_PT_VENDOR_STRING_2", "What the vendor calls it, continued."},
    {EXACT, TPM2_PT_VENDOR_STRING_3, "TPM_PT_VENDOR_STRING_3", "What the vendor calls it, continued."},
    {EXACT, TPM2_PT_VENDOR_STRING_4, "TPM_PT_VENDOR_STRING_4", "What the vendor calls it, continued."},
    {EXACT, TPM2_PT_FIRMWARE_VERSION_1, "TPM_PT_FIRMWARE_VERSION_1", "Version of the firmware, upper half."},
    {EXACT, TPM2_PT_FIRMWARE_VERSION_2, "TPM_PT_FIRMWARE_VERSION_2", "Version of the firmware, lower half."},
    {EXACT, TPM2_PT_INPUT_BUFFER, "TPM_PT_INPUT_BUFFER", "The most bytes of data in one command."},
    {EXACT, TPM2_PT_HR_TRANSIENT_MIN, "TPM_PT_HR_TRANSIENT_MIN",
     "Objects that can be loaded at once, at least."},
    {EXACT, TPM2_PT_HR_PERSISTENT_MIN, "TPM_PT_HR_PERSISTENT_MIN",
     "Objects that can be persistent, at least."},
    {EXACT, TPM2_PT_ACTIVE_SESSIONS_MAX, "TPM_PT_ACTIVE_SESSIONS_MAX",
     "Sessions that can be active at once, loaded or saved."},
    {EXACT, TPM2_PT_MAX_COMMAND_SIZE, "TPM_PT_MAX_COMMAND_SIZE", "The longest command."},
    {EXACT, TPM2_PT_MAX_RESPONSE_SIZE, "TPM_PT_MAX_RESPONSE_SIZE", "The longest response."},
    {EXACT, TPM2_PT_NV_BUFFER_MAX, "TPM_PT_NV_BUFFER_MAX", "The most bytes in one NV_Read or NV_Write."},
    {EXACT, TPM2_PT_PERMANENT, "TPM_PT_PERMANENT", "Which hierarchies have a password, and more."},
    {EXACT, TPM2_PT_STARTUP_CLEAR, "TPM_PT_STARTUP_CLEAR", "Which hierarchies are enabled."},
    {EXACT, TPM2_PT_HR_LOADED_AVAIL, "TPM_PT_HR_LOADED_AVAIL", "Sessions that can still be loaded."},
    {EXACT, TPM2_PT_HR_ACTIVE, "TPM_PT_HR_ACTIVE", "Sessions that are active, loaded or saved."},
    {EXACT, TPM2_PT_HR_ACTIVE_AVAIL, "TPM_PT_HR_ACTIVE_AVAIL", "Sessions that can still become active."},
    {EXACT, TPM2_PT_HR_TRANSIENT_AVAIL, "TPM_PT_HR_TRANSIENT_AVAIL", "Objects that can still be loaded."},
    {EXACT, TPM2_PT_HR_PERSISTENT, "TPM_PT_HR_PERSISTENT", "Objects that are persistent."},
    {EXACT, TPM2_PT_HR_PERSISTENT_AVAIL, "TPM_PT_HR_PERSISTENT_AVAIL",
     "Objects that can still become persistent."},
    {EXACT, TPM2_PT_LOCKOUT_COUNTER, "TPM_PT_LOCKOUT_COUNTER", "Wrong passwords so far."},
    {EXACT, TPM2_PT_MAX_AUTH_FAIL, "TPM_PT_MAX_AUTH_FAIL", "Wrong passwords before the TPM locks itself."},
    {EXACT, TPM2_PT_LOCKOUT_INTERVAL, "TPM_PT_LOCKOUT_INTERVAL",
     "Seconds until one wrong password is forgiven."},
    {EXACT, TPM2_PT_LOCKOUT_RECOVERY, "TPM_PT_LOCKOUT_RECOVERY", "Seconds after a wrong lockout password."},
    {0}};

static const struct tpm2_value_name names_handle[] = {
    {EXACT, TPM2_RH_OWNER, "TPM_RH_OWNER", "The owner's hierarchy, with the storage root key."},
    {EXACT, TPM2_RH_NULL, "TPM_RH_NULL", "None."},
    {EXACT, TPM2_RS_PW, "TPM_RS_PW", "No session: the authValue itself, in clear."},
    {EXACT, TPM2_RH_LOCKOUT, "TPM_RH_LOCKOUT", "The authority that may reset lockout and clear the TPM."},
    {EXACT, TPM2_RH_ENDORSEMENT, "TPM_RH_ENDORSEMENT",
     "The endorsement hierarchy, with the endorsement key."},
    {EXACT, TPM2_RH_PLATFORM, "TPM_RH_PLATFORM", "The platform's hierarchy: the firmware's."},
    {EXACT, TPM2_HANDLE_EK, "persistent object", "Where an endorsement key stands by convention."},
    {EXACT, TPM2_HANDLE_SRK, "persistent object", "Where a storage root key stands by convention."},
    {HANDLE_TYPE, 0x00000000, "PCR", "A platform configuration register."},
    {HANDLE_TYPE, (uint32_t)TPM2_HT_NV_INDEX << TPM2_HT_SHIFT, "NV index",
     "An area of the TPM's permanent memory."},
    {HANDLE_TYPE, (uint32_t)TPM2_HT_HMAC_SESSION << TPM2_HT_SHIFT, "HMAC session", NULL},
    {HANDLE_TYPE, (uint32_t)TPM2_HT_POLICY_SESSION << TPM2_HT_SHIFT, "policy session", NULL},
    {HANDLE_TYPE, TPM2_HR_TRANSIENT, "transient object", "Loaded now; gone with the next flush or reset."},
    {HANDLE_TYPE, TPM2_HR_PERSISTENT, "persistent object", "Stays in the TPM over resets."},
    {0}};

static const struct tpm2_value_name names_yes_no[] = {
    {EXACT, 0, "NO", "That was all."}, {EXACT, 1, "YES", "There is more to ask for."}, {0}};

/* TPMA_SESSION [P2 r1.59 8.4, Table 32] */
static const struct tpm2_bit session_bits[] = {
    {TPM2_SESSION_CONTINUE, "continueSession", "The session is kept after this command."},
    {0x02, "auditExclusive", "The session must audit nothing but this sequence."},
    {0x04, "auditReset", "The audit begins anew."},
    {0x20, "decrypt", "The first parameter of the command is encrypted."},
    {0x40, "encrypt", "The first parameter of the response is encrypted."},
    {0x80, "audit", "The session keeps a digest of the commands."},
    {0}};

/* ---- Integers ---------------------------------------------------------------------------------------------- */

const struct tpm2_shape tpm2_shape_u16 = {.layout = TPM2_UINT, .width = 2, .type = "UINT16"};
const struct tpm2_shape tpm2_shape_u32 = {.layout = TPM2_UINT, .width = 4, .type = "UINT32"};
const struct tpm2_shape tpm2_shape_yes_no = {
    .layout = TPM2_UINT, .width = 1, .type = "TPMI_YES_NO", .values = names_yes_no};
const struct tpm2_shape tpm2_shape_st = {
    .layout = TPM2_UINT, .width = 2, .type = "TPM_ST", .values = names_st};
const struct tpm2_shape tpm2_shape_cc = {
    .layout = TPM2_UINT, .width = 4, .type = "TPM_CC", .values = names_cc};
const struct tpm2_shape tpm2_shape_rc = {.layout = TPM2_UINT, .width = 4, .type = "TPM_RC"};
const struct tpm2_shape tpm2_shape_su = {
    .layout = TPM2_UINT, .width = 2, .type = "TPM_SU", .values = names_su};
const struct tpm2_shape tpm2_shape_se = {
    .layout = TPM2_UINT, .width = 1, .type = "TPM_SE", .values = names_se};
const struct tpm2_shape tpm2_shape_cap = {
    .layout = TPM2_UINT, .width = 4, .type = "TPM_CAP", .values = names_cap};
const struct tpm2_shape tpm2_shape_pt = {
    .layout = TPM2_UINT, .width = 4, .type = "TPM_PT", .values = names_pt};
const struct tpm2_shape tpm2_shape_alg = {
    .layout = TPM2_UINT, .width = 2, .type = "TPM_ALG_ID", .values = names_alg};
const struct tpm2_shape tpm2_shape_alg_hash = {
    .layout = TPM2_UINT, .width = 2, .type = "TPMI_ALG_HASH", .values = names_alg};
const struct tpm2_shape tpm2_shape_handle = {
    .layout = TPM2_UINT, .width = 4, .type = "TPM_HANDLE", .values = names_handle};
const struct tpm2_shape tpm2_shape_session_attributes = {
    .layout = TPM2_UINT, .width = 1, .type = "TPMA_SESSION", .bits = session_bits};

/* ---- Sized buffers ----------------------------------------------------------------------------------------- */

const struct tpm2_shape tpm2_shape_digest = {
    .layout = TPM2_BUFFER, .width = 2, .type = "TPM2B_DIGEST", .spec = "P2 r1.59 10.4.2"};
const struct tpm2_shape tpm2_shape_data = {
    .layout = TPM2_BUFFER, .width = 2, .type = "TPM2B_DATA", .spec = "P2 r1.59 10.4.3"};
const struct tpm2_shape tpm2_shape_nonce = {
    .layout = TPM2_BUFFER, .width = 2, .type = "TPM2B_NONCE", .spec = "P2 r1.59 10.4.4"};
const struct tpm2_shape tpm2_shape_auth = {
    .layout = TPM2_BUFFER, .width = 2, .type = "TPM2B_AUTH", .spec = "P2 r1.59 10.4.5", .secret = true};
const struct tpm2_shape tpm2_shape_max_buffer = {
    .layout = TPM2_BUFFER, .width = 2, .type = "TPM2B_MAX_BUFFER", .spec = "P2 r1.59 10.4.8"};
const struct tpm2_shape tpm2_shape_max_nv_buffer = {
    .layout = TPM2_BUFFER, .width = 2, .type = "TPM2B_MAX_NV_BUFFER", .spec = "P2 r1.59 10.4.9"};
const struct tpm2_shape tpm2_shape_timeout = {
    .layout = TPM2_BUFFER, .width = 2, .type = "TPM2B_TIMEOUT", .spec = "P2 r1.59 10.4.10"};
const struct tpm2_shape tpm2_shape_sensitive_data = {
    .layout = TPM2_BUFFER, .width = 2, .type = "TPM2B_SENSITIVE_DATA", .spec = "P2 r1.59 11.1.14"};
const struct tpm2_shape tpm2_shape_encrypted_secret = {.layout = TPM2_BUFFER,
                                                       .width = 2,
                                                       .type = "TPM2B_ENCRYPTED_SECRET",
                                                       .spec = "P2 r1.59 11.4.3",
                                                       .content = "secret"};
const struct tpm2_shape tpm2_shape_encrypted_parameter = {
    .layout = TPM2_BUFFER, .width = 2, .type = "TPM2B", .spec = "P1 r1.59 21"};

/* ---- Names, registers, tickets ----------------------------------------------------------------------------- */

/* A hash of the public area after the algorithm that made it; of a hierarchy or register its handle alone. */
const struct tpm2_shape tpm2_shape_rest = {.layout = TPM2_REST, .type = "BYTE"};
const struct tpm2_shape tpm2_shape_name = {
    .layout = TPM2_SIZED_TRY,
    .width = 2,
    .type = "TPM2B_NAME",
    .spec = "P2 r1.59 10.5.3",
    .content = "name",
    .members = TPM2_MEMBERS({"nameAlg", &tpm2_shape_alg_hash, "The hash that makes this Name."},
                            {"digest", &tpm2_shape_rest, "That hash over the public area."})};

static const struct tpm2_shape pcr_select = {.layout = TPM2_BUFFER,
                                             .width = 1,
                                             .type = "TPMS_PCR_SELECT",
                                             .spec = "P2 r1.59 10.6.1",
                                             .size = "sizeofSelect",
                                             .content = "pcrSelect"};
const struct tpm2_shape tpm2_shape_pcr_selection = {
    .layout = TPM2_STRUCT,
    .type = "TPMS_PCR_SELECTION",
    .spec = "P2 r1.59 10.6.2",
    .members = TPM2_MEMBERS({"hash", &tpm2_shape_alg_hash, "The bank of registers."},
                            {"select", &pcr_select, "One bit a register, the lowest first."})};
const struct tpm2_shape tpm2_shape_pcr_selections = {
    .layout = TPM2_LIST,
    .type = "TPML_PCR_SELECTION",
    .spec = "P2 r1.59 10.9.7",
    .members = TPM2_MEMBERS({"pcrSelections", &tpm2_shape_pcr_selection, "Registers of one bank."})};

#define TICKET(NAME, SECTION)                                                                                \
    {                                                                                                        \
        .layout = TPM2_STRUCT, .type = NAME, .spec = SECTION, .members = ticket_members                      \
    }
static const struct tpm2_member ticket_members[] = {
    {"tag", &tpm2_shape_st, NULL},
    {"hierarchy", &tpm2_shape_handle, "Whose proof value the ticket was made with."},
    {"digest", &tpm2_shape_digest,
     "An HMAC that only this TPM can make and check; empty: there is no ticket."},
    {0}};
const struct tpm2_shape tpm2_shape_tk_creation = TICKET("TPMT_TK_CREATION", "P2 r1.59 10.7.3");
const struct tpm2_shape tpm2_shape_tk_auth = TICKET("TPMT_TK_AUTH", "P2 r1.59 10.7.5");
const struct tpm2_shape tpm2_shape_tk_hashcheck = TICKET("TPMT_TK_HASHCHECK", "P2 r1.59 10.7.6");

/* ---- Authorizations ---------------------------------------------------------------------------------------- */

static const struct tpm2_shape hmac_or_password = {
    .layout = TPM2_UNION,
    .choices = (const struct tpm2_choice[]){
        {EXACT, TPM2_RS_PW, &tpm2_shape_auth, "The authValue itself: who listens on the bus reads it.",
         false},
        {HANDLE_TYPE, (uint32_t)TPM2_HT_POLICY_SESSION << TPM2_HT_SHIFT, &tpm2_shape_auth,
         "Nothing if the policy is proof enough; else an HMAC, or the authValue that it asks for.", false},
        {0, 0, &tpm2_shape_digest, "An HMAC over the command, made with the session's key.", false},
        {.last = true}}};
const struct tpm2_shape tpm2_shape_auth_command = {
    .layout = TPM2_STRUCT,
    .type = "TPMS_AUTH_COMMAND",
    .spec = "P2 r1.59 10.13.2",
    .members = TPM2_MEMBERS({"sessionHandle", &tpm2_shape_handle, NULL},
                            {"nonce", &tpm2_shape_nonce, "Fresh random bytes of the caller, or none."},
                            {"sessionAttributes", &tpm2_shape_session_attributes, "How the session is used."},
                            {"hmac", &hmac_or_password, NULL})};
const struct tpm2_shape tpm2_shape_auth_response = {
    .layout = TPM2_STRUCT,
    .type = "TPMS_AUTH_RESPONSE",
    .spec = "P2 r1.59 10.13.3",
    .members =
        TPM2_MEMBERS({"nonce", &tpm2_shape_nonce, "Fresh random bytes of the TPM, or none."},
                     {"sessionAttributes", &tpm2_shape_session_attributes, "How the session was used."},
                     {"hmac", &tpm2_shape_digest, "The TPM's HMAC over the response, or empty."})};

const char *tpm2_explain_code_name(uint32_t command_code)
{
    for (const struct tpm2_value_name *n = names_cc; n->name != NULL; n++) {
        if (n->wanted == command_code) {
            return n->name;
        }
    }
    return NULL;
}
