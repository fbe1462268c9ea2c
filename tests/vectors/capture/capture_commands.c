/* SPDX-License-Identifier: MIT */
/* Records what tpm2-tss sends to a TPM and what the TPM answers, as C arrays: the golden bytes of
 * test_command.c. Not part of any target, since it needs libtss2-dev; ../README-commands.md says how it
 * was built and run.
 *
 * It uses tpm2-tss's lowest layer, the System API, because ESAPI and tpm2-tools put a nonce into every
 * authorization, and this project leaves it empty where the TPM ignores it. */
#include "tests/vectors/activation_blob.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_sys.h>
#include <tss2/tss2_tctildr.h>

/* ---- A transport that passes everything on and writes it down ----------------------------------------- */

struct recorder {
    TSS2_TCTI_CONTEXT_COMMON_V2 common;
    TSS2_TCTI_CONTEXT *inner;
};

static const char *label; /* null: set-up, not recorded */

static void dump(const char *what, const uint8_t *p, size_t len)
{
    if (label == NULL)
        return;
    printf("static const unsigned char %s_%s[] = {", label, what);
    for (size_t i = 0; i < len; i++)
        printf("%s0x%02x,", i % 16 == 0 ? "\n    " : " ", p[i]);
    printf("\n};\n");
}

static TSS2_RC transmit(TSS2_TCTI_CONTEXT *context, size_t size, const uint8_t *command)
{
    dump("request", command, size);
    return Tss2_Tcti_Transmit(((struct recorder *)context)->inner, size, command);
}

static TSS2_RC receive(TSS2_TCTI_CONTEXT *context, size_t *size, uint8_t *response, int32_t timeout)
{
    uint8_t buffer[4096]; /* in one piece, however the caller asks */
    static uint8_t kept[4096];
    static size_t kept_size;
    if (response == NULL) {
        kept_size = sizeof buffer;
        TSS2_RC rc = Tss2_Tcti_Receive(((struct recorder *)context)->inner, &kept_size, buffer, timeout);
        memcpy(kept, buffer, kept_size);
        *size = kept_size;
        return rc;
    }
    if (kept_size == 0) {
        kept_size = sizeof kept;
        TSS2_RC rc = Tss2_Tcti_Receive(((struct recorder *)context)->inner, &kept_size, kept, timeout);
        if (rc != 0)
            return rc;
    }
    memcpy(response, kept, kept_size);
    *size = kept_size;
    dump("response", kept, kept_size);
    kept_size = 0;
    return 0;
}

static char names[64][40];
static size_t name_count;
static TSS2_SYS_CONTEXT *sys;

static void record(const char *name)
{
    label = name;
    if (name != NULL)
        snprintf(names[name_count++], sizeof names[0], "%s", name);
}

static void expect_rc(TSS2_RC rc, TSS2_RC wanted, int line)
{
    if (rc != wanted) {
        fprintf(stderr, "line %d, %s: 0x%x instead of 0x%x\n", line, label ? label : "set-up", rc, wanted);
        exit(1);
    }
}
#define OK(call) expect_rc((call), 0, __LINE__)
#define REFUSED(call, wanted) expect_rc((call), (wanted), __LINE__)

/* ---- Authorizations ----------------------------------------------------------------------------------- */

static TPMS_AUTH_COMMAND one_auth(TPM2_HANDLE handle, const char *value, TPMA_SESSION attributes)
{
    TPMS_AUTH_COMMAND auth = {.sessionHandle = handle, .sessionAttributes = attributes};
    auth.hmac.size = (UINT16)strlen(value);
    memcpy(auth.hmac.buffer, value, strlen(value));
    return auth;
}

static TSS2L_SYS_AUTH_COMMAND password(const char *value)
{
    TSS2L_SYS_AUTH_COMMAND auths = {.count = 1};
    auths.auths[0] = one_auth(TPM2_RS_PW, value, TPMA_SESSION_CONTINUESESSION);
    return auths;
}

static TSS2L_SYS_AUTH_RESPONSE answer;
static TSS2L_SYS_AUTH_COMMAND empty_password;

/* ---- Public areas ------------------------------------------------------------------------------------- */

static TPM2B_PUBLIC public_from(const unsigned char *bytes, size_t len)
{
    TPM2B_PUBLIC area = {0};
    size_t offset = 0;
    OK(Tss2_MU_TPM2B_PUBLIC_Unmarshal(bytes, len, &offset, &area));
    return area;
}

/* Storage templates: the L-1 EK and the SRK, written down here a second time, by Part 2's names. */
static TPM2B_PUBLIC storage_template(TPMA_OBJECT attributes)
{
    TPM2B_PUBLIC t = {0};
    t.publicArea.type = TPM2_ALG_RSA;
    t.publicArea.nameAlg = TPM2_ALG_SHA256;
    t.publicArea.objectAttributes = attributes | TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                    TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_RESTRICTED |
                                    TPMA_OBJECT_DECRYPT;
    t.publicArea.parameters.rsaDetail.symmetric.algorithm = TPM2_ALG_AES;
    t.publicArea.parameters.rsaDetail.symmetric.keyBits.aes = 128;
    t.publicArea.parameters.rsaDetail.symmetric.mode.aes = TPM2_ALG_CFB;
    t.publicArea.parameters.rsaDetail.scheme.scheme = TPM2_ALG_NULL;
    t.publicArea.parameters.rsaDetail.keyBits = 2048;
    return t;
}

static TPM2B_PUBLIC ek_template(TPM2_HANDLE trial_session)
{
    TPM2B_PUBLIC t = storage_template(TPMA_OBJECT_ADMINWITHPOLICY);
    TPM2B_NONCE none = {0};
    TPM2B_DIGEST empty = {0};
    OK(Tss2_Sys_PolicySecret(sys, TPM2_RH_ENDORSEMENT, trial_session, &empty_password, &none, &empty, &none,
                             0, NULL, NULL, &answer));
    OK(Tss2_Sys_PolicyGetDigest(sys, trial_session, NULL, &t.publicArea.authPolicy, NULL));
    t.publicArea.unique.rsa.size = 256;
    return t;
}

static TPM2B_PUBLIC keyedhash_template(TPMA_OBJECT attributes, TPM2_ALG_ID scheme)
{
    TPM2B_PUBLIC t = {0};
    t.publicArea.type = TPM2_ALG_KEYEDHASH;
    t.publicArea.nameAlg = TPM2_ALG_SHA256;
    t.publicArea.objectAttributes = attributes | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA;
    t.publicArea.parameters.keyedHashDetail.scheme.scheme = scheme;
    t.publicArea.parameters.keyedHashDetail.scheme.details.hmac.hashAlg = TPM2_ALG_SHA256;
    return t;
}

static TPM2_HANDLE start_session(const char *name, TPM2_SE type)
{
    TPM2B_NONCE caller = {.size = 16, .buffer = "0123456789abcdef"}, tpm = {.size = sizeof tpm.buffer};
    TPM2B_ENCRYPTED_SECRET salt = {0};
    TPMT_SYM_DEF none = {.algorithm = TPM2_ALG_NULL};
    TPM2_HANDLE session;
    record(name);
    OK(Tss2_Sys_StartAuthSession(sys, TPM2_RH_NULL, TPM2_RH_NULL, NULL, &caller, &salt, type, &none,
                                 TPM2_ALG_SHA256, &session, &tpm, NULL));
    record(NULL);
    return session;
}

/* ---- The commands, in an order in which each has what it needs ---------------------------------------- */

static TPM2_HANDLE ek, srk;
static TPM2B_NAME srk_name = {.size = sizeof srk_name.name};

static void create_primaries(void)
{
    TPM2B_SENSITIVE_CREATE sensitive = {0};
    TPM2B_DATA outside = {0};
    TPML_PCR_SELECTION pcrs = {0};
    TPM2_HANDLE trial = start_session("start_trial_session", TPM2_SE_TRIAL);
    TPM2B_PUBLIC in = ek_template(trial);
    OK(Tss2_Sys_FlushContext(sys, trial));
    record("create_primary_ek");
    OK(Tss2_Sys_CreatePrimary(sys, TPM2_RH_ENDORSEMENT, &empty_password, &sensitive, &in, &outside, &pcrs,
                              &ek, NULL, NULL, NULL, NULL, NULL, &answer));
    in = storage_template(TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA);
    record("create_primary_srk");
    OK(Tss2_Sys_CreatePrimary(sys, TPM2_RH_OWNER, &empty_password, &sensitive, &in, &outside, &pcrs, &srk,
                              NULL, NULL, NULL, NULL, &srk_name, &answer));
    record("read_public");
    OK(Tss2_Sys_ReadPublic(sys, srk, NULL, NULL, NULL, NULL, NULL));
    record("evict_control");
    OK(Tss2_Sys_EvictControl(sys, TPM2_RH_OWNER, srk, &empty_password, 0x81000001, &answer));
    record("read_public_absent");
    REFUSED(Tss2_Sys_ReadPublic(sys, 0x81000100, NULL, NULL, NULL, NULL, NULL), 0x18B);
    record(NULL);
}

static void activate(void)
{
    TPM2B_NONCE none = {0};
    TPM2B_DIGEST empty = {0}, credential = {.size = 16, .buffer = "@ABCDEFGHIJKLMNO"}, out = {.size = 64};
    TPM2B_ID_OBJECT blob = {.size = sizeof blob.credential};
    TPM2B_ENCRYPTED_SECRET secret = {.size = sizeof secret.secret};
    TPM2_HANDLE session = start_session("start_auth_session", TPM2_SE_POLICY);
    TSS2L_SYS_AUTH_COMMAND wrong = password("wrong");
    record("policy_secret_bad_auth");
    REFUSED(Tss2_Sys_PolicySecret(sys, TPM2_RH_ENDORSEMENT, session, &wrong, &none, &empty, &none, 0, NULL,
                                  NULL, &answer),
            0x9A2);
    record("policy_secret");
    OK(Tss2_Sys_PolicySecret(sys, TPM2_RH_ENDORSEMENT, session, &empty_password, &none, &empty, &none, 0,
                             NULL, NULL, &answer));
    record("policy_get_digest");
    OK(Tss2_Sys_PolicyGetDigest(sys, session, NULL, &out, NULL));
    record("make_credential");
    OK(Tss2_Sys_MakeCredential(sys, ek, NULL, &credential, &srk_name, &blob, &secret, NULL));
    TSS2L_SYS_AUTH_COMMAND auths = {.count = 2};
    auths.auths[0] = one_auth(TPM2_RS_PW, "", TPMA_SESSION_CONTINUESESSION);
    auths.auths[1] = one_auth(session, "", TPMA_SESSION_CONTINUESESSION);
    record("activate_credential_changed");
    blob.credential[40] ^= 1;
    REFUSED(Tss2_Sys_ActivateCredential(sys, srk, ek, &auths, &blob, &secret, &out, &answer), 0x1DF);
    blob.credential[40] ^= 1;
    /* The refusal above restarted nothing: a policy session survives a failed command. */
    auths.auths[1].sessionAttributes = 0;
    out.size = sizeof out.buffer;
    record("activate_credential");
    OK(Tss2_Sys_ActivateCredential(sys, srk, ek, &auths, &blob, &secret, &out, &answer));
    record(NULL);
    OK(Tss2_Sys_FlushContext(sys, ek));
}

/* A key that the TPM itself duplicates, to its own SRK for Import, and to the vector's SRK, whose private
 * half the tests have. */
static void duplicate(TPM2_HANDLE vector_srk)
{
    TPM2_HANDLE session = start_session(NULL, TPM2_SE_TRIAL), key, imported, sequence;
    TPM2B_PUBLIC in =
        keyedhash_template(TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_SENSITIVEDATAORIGIN, TPM2_ALG_HMAC);
    TPM2B_SENSITIVE_CREATE sensitive = {0};
    TPM2B_DATA outside = {0}, key_in = {.size = 16, .buffer = "@ABCDEFGHIJKLMNO"}, key_out = {0};
    TPML_PCR_SELECTION pcrs = {0};
    TPM2B_PRIVATE private = {.size = sizeof private.buffer}, dup = {.size = sizeof dup.buffer};
    TPM2B_PUBLIC public = {0};
    TPM2B_ENCRYPTED_SECRET seed = {.size = sizeof seed.secret};
    TPM2B_NAME name = {.size = sizeof name.name};
    TPMT_SYM_DEF_OBJECT wrap = {.algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB};
    OK(Tss2_Sys_PolicyCommandCode(sys, session, NULL, TPM2_CC_Duplicate, NULL));
    OK(Tss2_Sys_PolicyGetDigest(sys, session, NULL, &in.publicArea.authPolicy, NULL));
    OK(Tss2_Sys_FlushContext(sys, session));
    OK(Tss2_Sys_Create(sys, srk, &empty_password, &sensitive, &in, &outside, &pcrs, &private, &public, NULL,
                       NULL, NULL, &answer));
    OK(Tss2_Sys_Load(sys, srk, &empty_password, &private, &public, &key, &name, &answer));
    session = start_session(NULL, TPM2_SE_POLICY);
    TSS2L_SYS_AUTH_COMMAND policy = {.count = 1};
    policy.auths[0] = one_auth(session, "", TPMA_SESSION_CONTINUESESSION);
    OK(Tss2_Sys_PolicyCommandCode(sys, session, NULL, TPM2_CC_Duplicate, NULL));
    record("duplicate_to_vector");
    OK(Tss2_Sys_Duplicate(sys, key, vector_srk, &policy, &key_in, &wrap, NULL, &dup, &seed, &answer));
    record(NULL);
    OK(Tss2_Sys_FlushContext(sys, vector_srk));
    dup.size = sizeof dup.buffer;
    seed.size = sizeof seed.secret;
    OK(Tss2_Sys_PolicyCommandCode(sys, session, NULL, TPM2_CC_Duplicate, NULL));
    OK(Tss2_Sys_Duplicate(sys, key, srk, &policy, &key_in, &wrap, &key_out, &dup, &seed, &answer));
    OK(Tss2_Sys_FlushContext(sys, session));
    private.size = sizeof private.buffer;
    name.size = sizeof name.name;
    public.size = 0;
    record("import");
    OK(Tss2_Sys_Import(sys, srk, &empty_password, &key_in, &public, &dup, &seed, &wrap, &private, &answer));
    record("load");
    OK(Tss2_Sys_Load(sys, srk, &empty_password, &private, &public, &imported, &name, &answer));
    record(NULL);
    OK(Tss2_Sys_FlushContext(sys, key));
    TPM2B_MAX_BUFFER text = {.size = 6, .buffer = "signed"};
    TPM2B_DIGEST mac = {.size = sizeof mac.buffer};
    TPM2B_AUTH none = {0};
    record("hmac");
    OK(Tss2_Sys_HMAC(sys, imported, &empty_password, &text, TPM2_ALG_NULL, &mac, &answer));
    record("hmac_start");
    OK(Tss2_Sys_HMAC_Start(sys, imported, &empty_password, &none, TPM2_ALG_NULL, &sequence, &answer));
    record("sequence_update");
    OK(Tss2_Sys_SequenceUpdate(sys, sequence, &empty_password, &text, &answer));
    mac.size = sizeof mac.buffer;
    record("sequence_complete");
    OK(Tss2_Sys_SequenceComplete(sys, sequence, &empty_password, &text, TPM2_RH_NULL, &mac, NULL, &answer));
    record("flush_context");
    OK(Tss2_Sys_FlushContext(sys, imported));
    record(NULL);
}

static void seal(void)
{
    TPM2B_PUBLIC in = keyedhash_template(TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT, TPM2_ALG_NULL),
                 public = {0};
    TPM2B_SENSITIVE_CREATE sensitive = {0};
    TPM2B_DATA outside = {0};
    TPML_PCR_SELECTION pcrs = {0};
    TPM2B_PRIVATE private = {.size = sizeof private.buffer};
    TPM2B_SENSITIVE_DATA data = {.size = sizeof data.buffer};
    TPM2_HANDLE object;
    sensitive.sensitive.userAuth.size = 4;
    memcpy(sensitive.sensitive.userAuth.buffer, "auth", 4);
    sensitive.sensitive.data.size = 11;
    memcpy(sensitive.sensitive.data.buffer, "sealed data", 11);
    record("create");
    OK(Tss2_Sys_Create(sys, srk, &empty_password, &sensitive, &in, &outside, &pcrs, &private, &public, NULL,
                       NULL, NULL, &answer));
    record(NULL);
    OK(Tss2_Sys_Load(sys, srk, &empty_password, &private, &public, &object, NULL, &answer));
    TSS2L_SYS_AUTH_COMMAND auth = password("auth");
    record("unseal");
    OK(Tss2_Sys_Unseal(sys, object, &auth, &data, &answer));
    record(NULL);
    OK(Tss2_Sys_FlushContext(sys, object));
}

/* The n-th INTEGER of an RSA key in PKCS#8 DER; 4 is the first prime. All lengths in it have two bytes or
 * fewer. */
static TPM2B_PRIVATE_KEY_RSA prime_of(const unsigned char *der)
{
    TPM2B_PRIVATE_KEY_RSA prime = {0};
    const unsigned char *p =
        der + 4 + 3 + 15 + 4 + 4; /* SEQUENCE, version, algorithm, OCTET STRING, SEQUENCE */
    for (int i = 0;; i++) {
        size_t len = p[1], head = 2;
        if (len > 0x80) {
            head += len & 0x7F;
            len = len == 0x81 ? p[2] : (size_t)(p[2] << 8 | p[3]);
        }
        if (i == 4) {
            prime.size = (UINT16)(len - 1); /* without the sign byte */
            memcpy(prime.buffer, p + head + 1, len - 1);
            return prime;
        }
        p += head + len;
    }
}

static void load_external(void)
{
    TPM2B_PUBLIC public = public_from(vector_ek_public_2b, sizeof vector_ek_public_2b);
    TPM2B_SENSITIVE sensitive = {0};
    TPM2B_NAME name = {.size = sizeof name.name}, object_name = {.size = 34};
    TPM2B_DIGEST credential = {.size = 16, .buffer = "@ABCDEFGHIJKLMNO"};
    TPM2B_ID_OBJECT blob = {.size = sizeof blob.credential};
    TPM2B_ENCRYPTED_SECRET secret = {.size = sizeof secret.secret};
    TPM2_HANDLE object;
    memcpy(object_name.name, vector_srk_name, 34);
    record("load_external");
    OK(Tss2_Sys_LoadExternal(sys, NULL, NULL, &public, TPM2_RH_OWNER, &object, &name, NULL));
    record("make_credential_to_vector");
    OK(Tss2_Sys_MakeCredential(sys, object, NULL, &credential, &object_name, &blob, &secret, NULL));
    record(NULL);
    OK(Tss2_Sys_FlushContext(sys, object));
    /* With a private half, TPMs load no restricted key: the software key of the attack is a plain
     * decryption key. */
    public = public_from(vector_srk_public_2b, sizeof vector_srk_public_2b);
    TPM2B_PUBLIC parent = public;
    public.publicArea.objectAttributes = TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_DECRYPT;
    public.publicArea.parameters.rsaDetail.symmetric.algorithm = TPM2_ALG_NULL;
    sensitive.sensitiveArea.sensitiveType = TPM2_ALG_RSA;
    sensitive.sensitiveArea.sensitive.rsa = prime_of(vector_srk_private_der);
    name.size = sizeof name.name;
    record("load_external_rsa");
    OK(Tss2_Sys_LoadExternal(sys, NULL, &sensitive, &public, TPM2_RH_NULL, &object, &name, NULL));
    record(NULL);
    OK(Tss2_Sys_FlushContext(sys, object));
    OK(Tss2_Sys_LoadExternal(sys, NULL, NULL, &parent, TPM2_RH_OWNER, &object, NULL, NULL));
    duplicate(object);
}

static void nv(void)
{
    TPM2B_NV_PUBLIC public = {0};
    TPM2B_AUTH none = {0};
    TPM2B_MAX_NV_BUFFER data = {.size = 20, .buffer = "a certificate, maybe"};
    public.nvPublic.nvIndex = 0x01800001;
    public.nvPublic.nameAlg = TPM2_ALG_SHA256;
    public.nvPublic.attributes = TPMA_NV_OWNERREAD | TPMA_NV_OWNERWRITE | TPMA_NV_AUTHREAD | TPMA_NV_NO_DA;
    public.nvPublic.dataSize = 20;
    OK(Tss2_Sys_NV_DefineSpace(sys, TPM2_RH_OWNER, &empty_password, &none, &public, &answer));
    OK(Tss2_Sys_NV_Write(sys, TPM2_RH_OWNER, 0x01800001, &empty_password, &data, 0, &answer));
    record("nv_read_public");
    OK(Tss2_Sys_NV_ReadPublic(sys, 0x01800001, NULL, NULL, NULL, NULL));
    record("nv_read");
    OK(Tss2_Sys_NV_Read(sys, 0x01800001, 0x01800001, &empty_password, 11, 2, &data, &answer));
    record(NULL);
}

static void start_up(void)
{
    TPMI_YES_NO more;
    TPMS_CAPABILITY_DATA capability;
    TPM2B_DIGEST random = {.size = sizeof random.buffer};
    record("get_random_too_early");
    REFUSED(Tss2_Sys_GetRandom(sys, NULL, 16, &random, NULL), 0x100);
    record("startup");
    OK(Tss2_Sys_Startup(sys, TPM2_SU_CLEAR));
    record("startup_again");
    REFUSED(Tss2_Sys_Startup(sys, TPM2_SU_CLEAR), 0x100);
    record("get_random");
    OK(Tss2_Sys_GetRandom(sys, NULL, 16, &random, NULL));
    record("get_capability");
    OK(Tss2_Sys_GetCapability(sys, NULL, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_FAMILY_INDICATOR, 3, &more,
                              &capability, NULL));
    TSS2L_SYS_AUTH_COMMAND owner = password("owner");
    TPM2B_AUTH new_auth = {.size = 5, .buffer = "owner"}, none = {0};
    record("hierarchy_change_auth");
    OK(Tss2_Sys_HierarchyChangeAuth(sys, TPM2_RH_OWNER, &empty_password, &new_auth, &answer));
    record("hierarchy_change_auth_back");
    OK(Tss2_Sys_HierarchyChangeAuth(sys, TPM2_RH_OWNER, &owner, &none, &answer));
    record(NULL);
}

int main(int argc, char **argv)
{
    static struct recorder recorder;
    if (argc != 2)
        return 2;
    OK(Tss2_TctiLdr_Initialize(argv[1], &recorder.inner));
    recorder.common = *(TSS2_TCTI_CONTEXT_COMMON_V2 *)recorder.inner;
    recorder.common.v1.transmit = transmit;
    recorder.common.v1.receive = receive;
    size_t size = Tss2_Sys_GetContextSize(0);
    TSS2_ABI_VERSION version = TSS2_ABI_VERSION_CURRENT;
    sys = malloc(size);
    OK(Tss2_Sys_Initialize(sys, size, (TSS2_TCTI_CONTEXT *)&recorder, &version));
    empty_password = password("");

    printf("/* SPDX-License-Identifier: MIT */\n/* Recorded by capture/capture_commands.c; "
           "README-commands.md says how. */\n"
           "/* clang-format off */\n#include \"tests/vectors/commands.h\"\n\n");
    start_up();
    create_primaries();
    activate();
    load_external();
    seal();
    nv();
    record("evict_control_again");
    OK(Tss2_Sys_EvictControl(sys, TPM2_RH_OWNER, 0x81000001, &empty_password, 0x81000001, &answer));
    record("clear");
    OK(Tss2_Sys_Clear(sys, TPM2_RH_LOCKOUT, &empty_password, &answer));
    record("shutdown");
    OK(Tss2_Sys_Shutdown(sys, NULL, TPM2_SU_CLEAR, NULL));
    printf("\nconst struct captured captured_commands[] = {\n");
    for (size_t i = 0; i < name_count; i++)
        printf("    {\"%s\", {%s_request, sizeof %s_request}, {%s_response, sizeof %s_response}},\n",
               names[i], names[i], names[i], names[i], names[i]);
    printf("};\nconst size_t captured_commands_count = sizeof captured_commands / sizeof "
           "captured_commands[0];\n");
    return 0;
}
