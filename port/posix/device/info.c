/* SPDX-License-Identifier: MIT */
/* `info`: what this TPM is, what it can do, and what of that matters for the flow. */
#include "port/posix/device/tool.h"
#include "tpm/explain.h"
#include <string.h>

#define COMMANDS_MAX 400
#define ALGORITHMS_MAX 100
#define LINE_END 100

struct name {
    uint32_t number;
    const char *text;
};

/* TPM_ALG_ID [TCG Algorithm Registry r1.32], those that a reader of `info` may look for. */
static const struct name algorithms[] = {
    {0x0001, "RSA"},       {0x0003, "TDES"},
    {0x0004, "SHA1"},      {0x0005, "HMAC"},
    {0x0006, "AES"},       {0x0007, "MGF1"},
    {0x0008, "KEYEDHASH"}, {0x000A, "XOR"},
    {0x000B, "SHA256"},    {0x000C, "SHA384"},
    {0x000D, "SHA512"},    {0x0012, "SM3_256"},
    {0x0013, "SM4"},       {0x0014, "RSASSA"},
    {0x0015, "RSAES"},     {0x0016, "RSAPSS"},
    {0x0017, "OAEP"},      {0x0018, "ECDSA"},
    {0x0019, "ECDH"},      {0x001A, "ECDAA"},
    {0x001B, "SM2"},       {0x001C, "ECSCHNORR"},
    {0x001D, "ECMQV"},     {0x0020, "KDF1_SP800_56A"},
    {0x0021, "KDF2"},      {0x0022, "KDF1_SP800_108"},
    {0x0023, "ECC"},       {0x0025, "SYMCIPHER"},
    {0x0026, "CAMELLIA"},  {0x0027, "SHA3_256"},
    {0x0028, "SHA3_384"},  {0x0029, "SHA3_512"},
    {0x003F, "CMAC"},      {0x0040, "CTR"},
    {0x0041, "OFB"},       {0x0042, "CBC"},
    {0x0043, "CFB"},       {0x0044, "ECB"},
};

/* Values of one run of `info`; what the TPM does not tell is 0. */
struct facts {
    uint32_t transient_min, input_buffer, permanent;
    size_t commands_missing;
    bool certificate;
};

static uint32_t property(struct device_tool *t, uint32_t number)
{
    uint32_t value;
    return device_property(t, number, &value) == 0 ? value : 0;
}

/* Four characters of the vendor's, which need not be characters. */
static void print_characters(uint32_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8) {
        char c = (char)((value >> shift) & 0xff);
        if (c >= 0x20 && c < 0x7f)
            putchar(c);
    }
}

static void print_vendor(struct device_tool *t)
{
    const uint32_t high = property(t, TPM2_PT_FIRMWARE_VERSION_1);
    const uint32_t low = property(t, TPM2_PT_FIRMWARE_VERSION_2);
    const uint32_t revision = property(t, TPM2_PT_REVISION);
    printf("TPM           %s\nVendor        ", t->options.tpm);
    print_characters(property(t, TPM2_PT_MANUFACTURER));
    fputs(" \"", stdout);
    for (uint32_t i = TPM2_PT_VENDOR_STRING_1; i <= TPM2_PT_VENDOR_STRING_4; i++)
        print_characters(property(t, i));
    printf("\"\nFirmware      %u.%u.%u.%u\n", (unsigned)(high >> 16), (unsigned)(high & 0xffff),
           (unsigned)(low >> 16), (unsigned)(low & 0xffff));
    printf("Specification TPM ");
    print_characters(property(t, TPM2_PT_FAMILY_INDICATOR));
    printf(" revision %u.%02u, day %u of %u\n", (unsigned)(revision / 100), (unsigned)(revision % 100),
           (unsigned)property(t, TPM2_PT_DAY_OF_YEAR), (unsigned)property(t, TPM2_PT_YEAR));
}

static void print_buffers(struct device_tool *t, struct facts *f)
{
    f->input_buffer = property(t, TPM2_PT_INPUT_BUFFER);
    f->transient_min = property(t, TPM2_PT_HR_TRANSIENT_MIN);
    printf("Buffers       command %u, response %u, data %u, NV %u bytes\n",
           (unsigned)property(t, TPM2_PT_MAX_COMMAND_SIZE), (unsigned)property(t, TPM2_PT_MAX_RESPONSE_SIZE),
           (unsigned)f->input_buffer, (unsigned)property(t, TPM2_PT_NV_BUFFER_MAX));
    printf(
        "Room          %u objects at least, %u free now; %u sessions free; %u persistent keys, %u more fit\n",
        (unsigned)f->transient_min, (unsigned)property(t, TPM2_PT_HR_TRANSIENT_AVAIL),
        (unsigned)property(t, TPM2_PT_HR_LOADED_AVAIL), (unsigned)property(t, TPM2_PT_HR_PERSISTENT),
        (unsigned)property(t, TPM2_PT_HR_PERSISTENT_AVAIL));
}

static const char *algorithm_name(uint32_t algorithm)
{
    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++)
        if (algorithms[i].number == algorithm)
            return algorithms[i].text;
    return NULL;
}

static int print_algorithms(struct device_tool *t)
{
    uint32_t found[ALGORITHMS_MAX];
    size_t count;
    int error = device_list(t, TPM2_CAP_ALGS, 0, found, ALGORITHMS_MAX, &count);
    if (error != 0)
        return error;
    int column = printf("Algorithms   ");
    for (size_t i = 0; i < count; i++) {
        char number[16];
        const char *name = algorithm_name(found[i]);
        snprintf(number, sizeof number, "0x%04X", (unsigned)found[i]);
        name = name != NULL ? name : number;
        if (column + (int)strlen(name) + 1 > LINE_END)
            column = printf("\n             ") - 1;
        column += printf(" %s", name);
    }
    putchar('\n');
    return 0;
}

static bool contains(const uint32_t *values, size_t count, uint32_t value)
{
    for (size_t i = 0; i < count; i++)
        if (values[i] == value)
            return true;
    return false;
}

/* In the order in which the flow needs them; behind them what only some commands of this program use. */
static int print_commands(struct device_tool *t, struct facts *f)
{
    static const uint32_t needed[] = {
        TPM2_CC_READ_PUBLIC,
        TPM2_CC_CREATE_PRIMARY,
        TPM2_CC_START_AUTH_SESSION,
        TPM2_CC_POLICY_SECRET,
        TPM2_CC_ACTIVATE_CREDENTIAL,
        TPM2_CC_IMPORT,
        TPM2_CC_LOAD,
        TPM2_CC_HMAC,
        TPM2_CC_FLUSH_CONTEXT,
        TPM2_CC_EVICT_CONTROL,
        TPM2_CC_HIERARCHY_CHANGE_AUTH,
        TPM2_CC_CLEAR,
        TPM2_CC_CREATE,
        TPM2_CC_UNSEAL,
        TPM2_CC_NV_READ,
    };
    enum { FLOW = 9 };
    uint32_t commands[COMMANDS_MAX];
    size_t count;
    int error = device_list(t, TPM2_CAP_COMMANDS, 0, commands, COMMANDS_MAX, &count);
    if (error != 0)
        return error;
    printf("Commands      %zu", count);
    size_t missing = 0;
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        if (contains(commands, count, needed[i]))
            continue;
        printf("%s %s%s", missing++ == 0 ? "; missing:" : ",", tpm2_explain_command_name(needed[i]),
               i < FLOW ? "" : " (not of the flow)");
        f->commands_missing += i < FLOW;
    }
    puts(missing == 0 ? "; none of the flow's is missing" : "");
    return 0;
}

static int print_persistent(struct device_tool *t)
{
    uint32_t handles[DEVICE_HANDLES_MAX];
    size_t count;
    int error = device_list(t, TPM2_CAP_HANDLES, TPM2_HR_PERSISTENT, handles, DEVICE_HANDLES_MAX, &count);
    if (error != 0)
        return error;
    if (count == 0)
        puts("Persistent    no keys: EK and SRK are derived when they are needed (own --persist would keep "
             "them)");
    for (size_t i = 0; i < count; i++) {
        char kind[DEVICE_KIND_MAX] = "a key that cannot be read";
        (void)device_key_kind(t, handles[i], kind, sizeof kind);
        printf("%s0x%08X %s\n", i == 0 ? "Persistent    " : "              ", (unsigned)handles[i], kind);
    }
    return 0;
}

static void print_ownership(struct device_tool *t, struct facts *f)
{
    f->permanent = property(t, TPM2_PT_PERMANENT);
    printf("Authorization owner %s, endorsement %s, lockout %s\n",
           (f->permanent & TPM2_PERMANENT_OWNER_AUTH_SET) != 0 ? "set" : "empty",
           (f->permanent & TPM2_PERMANENT_ENDORSEMENT_AUTH_SET) != 0 ? "set" : "empty",
           (f->permanent & TPM2_PERMANENT_LOCKOUT_AUTH_SET) != 0 ? "set" : "empty");
    printf("Lockout       %s; %u of %u wrong tries, one forgiven every %u s; lockout authority locked for %u "
           "s after a "
           "wrong try\n",
           (f->permanent & TPM2_PERMANENT_IN_LOCKOUT) != 0 ? "LOCKED" : "not locked",
           (unsigned)property(t, TPM2_PT_LOCKOUT_COUNTER), (unsigned)property(t, TPM2_PT_MAX_AUTH_FAIL),
           (unsigned)property(t, TPM2_PT_LOCKOUT_INTERVAL), (unsigned)property(t, TPM2_PT_LOCKOUT_RECOVERY));
}

/* The indexes of the EK Credential Profile [TCG EK Credential Profile v2.3 2.2.1.4 and 2.2.1.5]. */
static int print_nv(struct device_tool *t, struct facts *f)
{
    static const struct {
        uint32_t index;
        const char *what;
    } known[] = {
        {TPM2_NV_EK_CERTIFICATE_RSA2048, "EK certificate, RSA-2048"},
        {TPM2_NV_EK_NONCE_RSA2048, "EK nonce, RSA-2048"},
        {TPM2_NV_EK_TEMPLATE_RSA2048, "EK template, RSA-2048"},
        {TPM2_NV_EK_CERTIFICATE_ECC_P256, "EK certificate, ECC P-256: not for this program"},
        {TPM2_NV_EK_CERTIFICATE_RSA2048_HIGH, "EK certificate, RSA-2048, high range"},
        {0x01C00014, "EK certificate, ECC P-256, high range: not for this program"},
        {0x01C00016, "EK certificate, ECC P-384: not for this program"},
        {0x01C0001C, "EK certificate, RSA-3072: not for this program"},
    };
    uint32_t indexes[DEVICE_HANDLES_MAX];
    size_t count;
    size_t shown = 0;
    int error = device_list(t, TPM2_CAP_HANDLES, (uint32_t)TPM2_HT_NV_INDEX << TPM2_HT_SHIFT, indexes,
                            DEVICE_HANDLES_MAX, &count);
    if (error != 0)
        return error;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (!contains(indexes, count, known[i].index))
            continue;
        printf("%s0x%08X %s\n", shown++ == 0 ? "NV            " : "              ", (unsigned)known[i].index,
               known[i].what);
        f->certificate = f->certificate || known[i].index == TPM2_NV_EK_CERTIFICATE_RSA2048 ||
                         known[i].index == TPM2_NV_EK_CERTIFICATE_RSA2048_HIGH;
    }
    printf("%s%zu indexes in all\n", shown == 0 ? "NV            " : "              ", count);
    return 0;
}

static int print_loaded(struct device_tool *t)
{
    uint32_t handles[DEVICE_HANDLES_MAX];
    size_t objects;
    size_t sessions = 0;
    int error = device_list(t, TPM2_CAP_HANDLES, TPM2_HR_TRANSIENT, handles, DEVICE_HANDLES_MAX, &objects);
    if (error == 0)
        error =
            device_list(t, TPM2_CAP_HANDLES, DEVICE_LOADED_SESSIONS, handles, DEVICE_HANDLES_MAX, &sessions);
    if (error == 0)
        printf("Loaded        %zu objects, %zu sessions%s\n", objects, sessions,
               objects + sessions > 0
                   ? ": of other programs, or left by one that was killed (flush removes them)"
                   : "");
    return error;
}

/* At once in the TPM: EK, SRK and the nonce key; those that are persistent take no slot. */
#define SLOTS_NEEDED 3

static void print_quirks(const struct device_tool *t, const struct facts *f)
{
    const struct {
        bool applies;
        const char *text;
    } quirks[] = {
        {t->tpm.kind != POSIX_TPM_DEVICE, "this TPM is software: its keys are files; for tests only"},
        {f->transient_min > 0 && f->transient_min < SLOTS_NEEDED,
         "few object slots: keep EK and SRK persistent (own --persist)"},
        {f->input_buffer > 0 && f->input_buffer < DPS_TOKEN_MAX,
         "short data buffer: tokens of long names cannot be signed"},
        {f->commands_missing > 0, "without the missing commands it cannot register"},
        {(f->permanent & TPM2_PERMANENT_DISABLE_CLEAR) != 0,
         "TPM2_Clear is disabled: only the firmware can clear it"},
        {!f->certificate, "no RSA-2048 EK certificate: nothing in it proves who made it"},
    };
    size_t count = 0;
    for (size_t i = 0; i < sizeof quirks / sizeof quirks[0]; i++)
        if (quirks[i].applies)
            printf("%s%s\n", count++ == 0 ? "Quirks        " : "              ", quirks[i].text);
    if (count == 0)
        puts("Quirks        none that matter here");
}

int device_info(struct device_tool *t)
{
    struct facts facts = {0};
    uint32_t manufacturer;
    int exit_code = device_open(t);
    if (exit_code != 0)
        return exit_code;
    /* The first question tells whether there is a TPM that answers; later ones may lack an answer. */
    int error = device_property(t, TPM2_PT_MANUFACTURER, &manufacturer);
    if (error == 0) {
        print_vendor(t);
        print_buffers(t, &facts);
        error = print_algorithms(t);
    }
    if (error == 0)
        error = print_commands(t, &facts);
    if (error == 0)
        error = print_persistent(t);
    if (error == 0) {
        print_ownership(t, &facts);
        error = print_nv(t, &facts);
    }
    if (error == 0)
        error = print_loaded(t);
    if (error != 0)
        return device_report_tpm(t, "what this TPM is", error);
    print_quirks(t, &facts);
    return 0;
}
