/* SPDX-License-Identifier: MIT */
#include "port/posix/device_tool.h"

struct name {
    uint32_t number;
    const char *text;
};

static const struct name commands[] = {
    {TPM2_CC_EVICT_CONTROL, "TPM2_EvictControl"},
    {TPM2_CC_CLEAR, "TPM2_Clear"},
    {TPM2_CC_HIERARCHY_CHANGE_AUTH, "TPM2_HierarchyChangeAuth"},
    {TPM2_CC_CREATE_PRIMARY, "TPM2_CreatePrimary"},
    {TPM2_CC_SEQUENCE_COMPLETE, "TPM2_SequenceComplete"},
    {TPM2_CC_STARTUP, "TPM2_Startup"},
    {TPM2_CC_SHUTDOWN, "TPM2_Shutdown"},
    {TPM2_CC_ACTIVATE_CREDENTIAL, "TPM2_ActivateCredential"},
    {TPM2_CC_NV_READ, "TPM2_NV_Read"},
    {TPM2_CC_POLICY_SECRET, "TPM2_PolicySecret"},
    {TPM2_CC_CREATE, "TPM2_Create"},
    {TPM2_CC_HMAC, "TPM2_HMAC"},
    {TPM2_CC_IMPORT, "TPM2_Import"},
    {TPM2_CC_LOAD, "TPM2_Load"},
    {TPM2_CC_HMAC_START, "TPM2_HMAC_Start"},
    {TPM2_CC_SEQUENCE_UPDATE, "TPM2_SequenceUpdate"},
    {TPM2_CC_UNSEAL, "TPM2_Unseal"},
    {TPM2_CC_FLUSH_CONTEXT, "TPM2_FlushContext"},
    {TPM2_CC_LOAD_EXTERNAL, "TPM2_LoadExternal"},
    {TPM2_CC_MAKE_CREDENTIAL, "TPM2_MakeCredential"},
    {TPM2_CC_NV_READ_PUBLIC, "TPM2_NV_ReadPublic"},
    {TPM2_CC_READ_PUBLIC, "TPM2_ReadPublic"},
    {TPM2_CC_START_AUTH_SESSION, "TPM2_StartAuthSession"},
    {TPM2_CC_GET_CAPABILITY, "TPM2_GetCapability"},
    {TPM2_CC_GET_RANDOM, "TPM2_GetRandom"},
    {TPM2_CC_POLICY_GET_DIGEST, "TPM2_PolicyGetDigest"},
};

/* TPM_ALG_ID [TCG Algorithm Registry r1.32], those that a reader of `info` may look for. */
static const struct name algorithms[] = {
    {0x0001, "RSA"},       {0x0003, "TDES"},    {0x0004, "SHA1"},     {0x0005, "HMAC"},      {0x0006, "AES"},
    {0x0007, "MGF1"},      {0x0008, "KEYEDHASH"}, {0x000A, "XOR"},    {0x000B, "SHA256"},    {0x000C, "SHA384"},
    {0x000D, "SHA512"},    {0x0012, "SM3_256"}, {0x0013, "SM4"},      {0x0014, "RSASSA"},    {0x0015, "RSAES"},
    {0x0016, "RSAPSS"},    {0x0017, "OAEP"},    {0x0018, "ECDSA"},    {0x0019, "ECDH"},      {0x001A, "ECDAA"},
    {0x001B, "SM2"},       {0x001C, "ECSCHNORR"}, {0x001D, "ECMQV"},  {0x0020, "KDF1_SP800_56A"}, {0x0021, "KDF2"},
    {0x0022, "KDF1_SP800_108"}, {0x0023, "ECC"}, {0x0025, "SYMCIPHER"}, {0x0026, "CAMELLIA"}, {0x0027, "SHA3_256"},
    {0x0028, "SHA3_384"},  {0x0029, "SHA3_512"}, {0x003F, "CMAC"},    {0x0040, "CTR"},       {0x0041, "OFB"},
    {0x0042, "CBC"},       {0x0043, "CFB"},     {0x0044, "ECB"},
};

static const char *find(const struct name *names, size_t count, uint32_t number)
{
    for (size_t i = 0; i < count; i++)
        if (names[i].number == number)
            return names[i].text;
    return NULL;
}

const char *device_command_name(uint32_t command)
{
    return find(commands, sizeof commands / sizeof commands[0], command);
}

const char *device_algorithm_name(uint32_t algorithm)
{
    return find(algorithms, sizeof algorithms / sizeof algorithms[0], algorithm);
}
