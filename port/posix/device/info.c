/* SPDX-License-Identifier: MIT */
/* `info`: what this TPM is, what it can do, and which of that matters for the flow. */
#include "port/posix/device/tool.h"
#include "tpm/tools/explain.h"
#include <string.h>

#define COMMANDS_MAX 400
/* With passwords a registration has one that proves them and one for the policy of the EK. */
#define SESSIONS_NEEDED 2

/* Values of one run of `info`; what the TPM does not tell is 0. */
struct facts {
    uint32_t transient_min, input_buffer, permanent;
    size_t commands_missing;
    bool untold; /* a '?' was printed */
    bool sessions_used_up;
    bool owner_disabled, endorsement_disabled;
    bool certificate;             /* of the RSA-2048 EK */
    char other_certificates[128]; /* of which others, for people */
};

/* False if this TPM does not tell. */
static bool property(struct device_tool *t, struct facts *f, uint32_t number, uint32_t *value)
{
    const bool told = device_property(t, number, value) == 0;
    f->untold = f->untold || !told;
    return told;
}

/* The number as text, or "?". */
struct number {
    char text[12];
};
static struct number number_of(struct device_tool *t, struct facts *f, uint32_t which)
{
    struct number n = {"?"};
    uint32_t value;
    if (property(t, f, which, &value)) {
        snprintf(n.text, sizeof n.text, "%u", (unsigned)value);
    }
    return n;
}

/* Four bytes that should be characters, but the vendor may have put in anything. */
static void print_characters(struct device_tool *t, struct facts *f, uint32_t which)
{
    uint32_t value;
    if (!property(t, f, which, &value)) {
        putchar('?');
        return;
    }
    for (int shift = 24; shift >= 0; shift -= 8) {
        char c = (char)((value >> shift) & 0xff);
        if (c >= 0x20 && c < 0x7f) {
            putchar(c);
        }
    }
}

static void print_version(struct device_tool *t, struct facts *f, uint32_t which)
{
    uint32_t value;
    if (property(t, f, which, &value)) {
        printf("%u.%u", (unsigned)(value >> 16), (unsigned)(value & 0xffff));
    } else {
        putchar('?');
    }
}

static void print_vendor(struct device_tool *t, struct facts *f)
{
    uint32_t revision;
    printf("TPM           %s\nVendor        ", t->options.tpm);
    print_characters(t, f, TPM2_PT_MANUFACTURER);
    fputs(" \"", stdout);
    for (uint32_t i = TPM2_PT_VENDOR_STRING_1; i <= TPM2_PT_VENDOR_STRING_4; i++) {
        print_characters(t, f, i);
    }
    fputs("\"\nFirmware      ", stdout);
    print_version(t, f, TPM2_PT_FIRMWARE_VERSION_1);
    putchar('.');
    print_version(t, f, TPM2_PT_FIRMWARE_VERSION_2);
    fputs("\nSpecification TPM ", stdout);
    print_characters(t, f, TPM2_PT_FAMILY_INDICATOR);
    if (property(t, f, TPM2_PT_REVISION, &revision)) {
        printf(" revision %u.%02u", (unsigned)(revision / 100), (unsigned)(revision % 100));
    } else {
        fputs(" revision ?", stdout);
    }
    printf(", day %s of %s\n", number_of(t, f, TPM2_PT_DAY_OF_YEAR).text, number_of(t, f, TPM2_PT_YEAR).text);
}

static void print_buffers(struct device_tool *t, struct facts *f)
{
    uint32_t sessions_left;
    (void)property(t, f, TPM2_PT_INPUT_BUFFER, &f->input_buffer);
    (void)property(t, f, TPM2_PT_HR_TRANSIENT_MIN, &f->transient_min);
    printf("Buffers       command %s, response %s, data %s, NV %s bytes\n",
           number_of(t, f, TPM2_PT_MAX_COMMAND_SIZE).text, number_of(t, f, TPM2_PT_MAX_RESPONSE_SIZE).text,
           number_of(t, f, TPM2_PT_INPUT_BUFFER).text, number_of(t, f, TPM2_PT_NV_BUFFER_MAX).text);
    printf(
        "Room          %s objects at least, %s free now; %s sessions free; %s persistent keys, %s more fit\n",
        number_of(t, f, TPM2_PT_HR_TRANSIENT_MIN).text, number_of(t, f, TPM2_PT_HR_TRANSIENT_AVAIL).text,
        number_of(t, f, TPM2_PT_HR_LOADED_AVAIL).text, number_of(t, f, TPM2_PT_HR_PERSISTENT).text,
        number_of(t, f, TPM2_PT_HR_PERSISTENT_AVAIL).text);
    printf("Sessions      %s active of all programs, loaded or saved outside; %s more can be\n",
           number_of(t, f, TPM2_PT_HR_ACTIVE).text, number_of(t, f, TPM2_PT_HR_ACTIVE_AVAIL).text);
    f->sessions_used_up =
        property(t, f, TPM2_PT_HR_ACTIVE_AVAIL, &sessions_left) && sessions_left < SESSIONS_NEEDED;
}

static bool contains(const uint32_t *values, size_t count, uint32_t value)
{
    for (size_t i = 0; i < count; i++) {
        if (values[i] == value) {
            return true;
        }
    }
    return false;
}

/* In the order in which the flow needs them; after them what only some commands of this program use. */
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
        TPM2_CC_POLICY_COMMAND_CODE, /* both for --srk hardened */
        TPM2_CC_POLICY_OR,
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
    if (error != 0) {
        return error;
    }
    printf("Commands      %zu", count);
    size_t missing = 0;
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        if (contains(commands, count < COMMANDS_MAX ? count : COMMANDS_MAX, needed[i])) {
            continue;
        }
        printf("%s %s%s", missing++ == 0 ? "; missing:" : ",", tpm2_explain_command_name(needed[i]),
               i < FLOW ? "" : " (not of the flow)");
        f->commands_missing += i < FLOW;
    }
    puts(missing == 0 ? "; none of the flow's is missing" : "");
    const bool rewrap = contains(commands, count < COMMANDS_MAX ? count : COMMANDS_MAX, TPM2_CC_REWRAP);
    printf("TPM2_Rewrap   %s\n",
           rewrap ? "listed: software on this machine can take nonce and hub key out of the standard SRK "
                    "(register --srk hardened)"
                  : "not listed: nobody takes keys out of either SRK with it");
    return 0;
}

static int print_persistent(struct device_tool *t)
{
    uint32_t handles[DEVICE_HANDLES_MAX];
    size_t count;
    int error = device_list(t, TPM2_CAP_HANDLES, TPM2_HR_PERSISTENT, handles, DEVICE_HANDLES_MAX, &count);
    if (error != 0) {
        return error;
    }
    if (count == 0) {
        puts("Persistent    no keys: EK and SRK are derived when they are needed (own --persist would keep "
             "them)");
    }
    for (size_t i = 0; i < count && i < DEVICE_HANDLES_MAX; i++) {
        char kind[DEVICE_KIND_MAX] = "a key that cannot be read";
        (void)device_key_kind(t, handles[i], kind, sizeof kind);
        printf("%s0x%08X %s\n", i == 0 ? "Persistent    " : "              ", (unsigned)handles[i], kind);
    }
    if (count > DEVICE_HANDLES_MAX) {
        printf("              and %zu more\n", count - DEVICE_HANDLES_MAX);
    }
    return 0;
}

/* A bit of a word that the TPM may not tell. */
static const char *either(bool told, uint32_t word, uint32_t bit, const char *yes, const char *no)
{
    return !told ? "?" : (word & bit) != 0 ? yes : no;
}

static void print_hierarchies(struct device_tool *t, struct facts *f)
{
    uint32_t word;
    const bool told = property(t, f, TPM2_PT_STARTUP_CLEAR, &word);
    f->owner_disabled = told && (word & TPM2_STARTUP_CLEAR_SH_ENABLE) == 0;
    f->endorsement_disabled = told && (word & TPM2_STARTUP_CLEAR_EH_ENABLE) == 0;
    printf("Hierarchies   owner %s, endorsement %s, platform %s\n",
           either(told, word, TPM2_STARTUP_CLEAR_SH_ENABLE, "enabled", "DISABLED"),
           either(told, word, TPM2_STARTUP_CLEAR_EH_ENABLE, "enabled", "DISABLED"),
           either(told, word, TPM2_STARTUP_CLEAR_PH_ENABLE, "enabled", "disabled"));
}

static void print_ownership(struct device_tool *t, struct facts *f)
{
    const bool told = property(t, f, TPM2_PT_PERMANENT, &f->permanent);
    const uint32_t word = f->permanent;
    printf("Authorization owner %s, endorsement %s, lockout %s\n",
           either(told, word, TPM2_PERMANENT_OWNER_AUTH_SET, "set", "empty"),
           either(told, word, TPM2_PERMANENT_ENDORSEMENT_AUTH_SET, "set", "empty"),
           either(told, word, TPM2_PERMANENT_LOCKOUT_AUTH_SET, "set", "empty"));
    printf("Lockout       %s; %s of %s wrong tries, one forgiven every %s s; lockout authority locked for %s "
           "s after a "
           "wrong try\n",
           either(told, word, TPM2_PERMANENT_IN_LOCKOUT, "LOCKED", "not locked"),
           number_of(t, f, TPM2_PT_LOCKOUT_COUNTER).text, number_of(t, f, TPM2_PT_MAX_AUTH_FAIL).text,
           number_of(t, f, TPM2_PT_LOCKOUT_INTERVAL).text, number_of(t, f, TPM2_PT_LOCKOUT_RECOVERY).text);
}

/* ---- NV [TCG EK Credential Profile v2.5 2.2.1.4 and 2.2.1.5] ---- */

/* The EKs that have indexes: the certificate's, and whether the low range's form is meant, where nonce and template are
 * the next two; in the high range the template is the next one. */
static const struct ek_index {
    const char *kind;
    uint32_t certificate;
    bool low;
} ek_indexes[] = {
    {"RSA-2048", TPM2_NV_EK_CERTIFICATE_RSA2048, true},
    {"ECC P-256", TPM2_NV_EK_CERTIFICATE_ECC_P256, true},
    {"RSA-2048", TPM2_NV_EK_CERTIFICATE_RSA2048_HIGH, false},
    {"ECC P-256", 0x01C00014, false},
    {"ECC P-384", 0x01C00016, false},
    {"ECC P-521", 0x01C00018, false},
    {"ECC SM2 P-256", 0x01C0001A, false},
    {"RSA-3072", 0x01C0001C, false},
    {"RSA-4096", 0x01C0001E, false},
};
#define EK_RANGE_FIRST 0x01C00000U
#define EK_RANGE_LAST 0x01C07FFFU
#define EK_CHAIN_FIRST 0x01C00100U
#define EK_CHAIN_LAST 0x01C001FFU

/* What is at an index of the EK range; null: the profile leaves it open. */
static const char *ek_index_content(uint32_t index, const struct ek_index **ek)
{
    *ek = NULL;
    for (size_t i = 0; i < sizeof ek_indexes / sizeof ek_indexes[0]; i++) {
        const uint32_t at = index - ek_indexes[i].certificate;
        *ek = &ek_indexes[i];
        if (at == 0) {
            return "EK certificate, ";
        }
        if (at == 1) {
            return ek_indexes[i].low ? "EK nonce, " : "EK template, ";
        }
        if (at == 2 && ek_indexes[i].low) {
            return "EK template, ";
        }
    }
    *ek = NULL;
    if (index >= EK_CHAIN_FIRST && index <= EK_CHAIN_LAST) {
        return "certificates of those who issued the EK certificates";
    }
    return NULL;
}

/* Keeps which certificates there are. */
static void note_certificate(struct facts *f, const struct ek_index *ek)
{
    char *others = f->other_certificates;
    if (strcmp(ek->kind, ek_indexes[0].kind) == 0) {
        f->certificate = true;
    } else if (strstr(others, ek->kind) == NULL) {
        snprintf(others + strlen(others), sizeof f->other_certificates - strlen(others), "%s%s",
                 others[0] != 0 ? ", " : "", ek->kind);
    }
}

static bool print_index(struct facts *f, uint32_t index, bool first)
{
    const struct ek_index *ek;
    const char *content = ek_index_content(index, &ek);
    if (content == NULL) {
        return false;
    }
    printf("%s0x%08X %s%s%s\n", first ? "NV            " : "              ", (unsigned)index, content,
           ek != NULL ? ek->kind : "", ek == NULL || ek->low ? "" : ", high range");
    if (ek != NULL && index == ek->certificate) {
        note_certificate(f, ek);
    }
    return true;
}

static int print_nv(struct device_tool *t, struct facts *f)
{
    uint32_t indexes[DEVICE_HANDLES_MAX];
    size_t count;
    size_t all;
    bool first = true;
    int error = device_list(t, TPM2_CAP_HANDLES, EK_RANGE_FIRST, indexes, DEVICE_HANDLES_MAX, &count);
    if (error == 0) {
        error = device_list(t, TPM2_CAP_HANDLES, (uint32_t)TPM2_HT_NV_INDEX << TPM2_HT_SHIFT, NULL, 0, &all);
    }
    if (error != 0) {
        return error;
    }
    for (size_t i = 0; i < count && i < DEVICE_HANDLES_MAX && indexes[i] <= EK_RANGE_LAST; i++) {
        first = !print_index(f, indexes[i], first) && first;
    }
    printf("%s%zu indexes in all\n", first ? "NV            " : "              ", all);
    return 0;
}

static int print_loaded(struct device_tool *t)
{
    static const uint32_t kinds[] = {TPM2_HR_TRANSIENT, DEVICE_LOADED_SESSIONS, DEVICE_SAVED_SESSIONS};
    size_t count[3] = {0};
    int error = 0;
    for (size_t i = 0; i < 3 && error == 0; i++) {
        error = device_list(t, TPM2_CAP_HANDLES, kinds[i], NULL, 0, &count[i]);
    }
    if (error != 0) {
        return error;
    }
    printf("Loaded        %zu objects, %zu sessions; %zu sessions saved outside%s\n", count[0], count[1],
           count[2],
           count[0] + count[1] + count[2] == 0 ? ""
           : device_is_shared(t)
               ? ": of other programs, whose resource manager cleans up"
               : ": of other programs, or left by one that was killed (flush removes them)");
    return 0;
}

/* At once in the TPM: EK, SRK and the nonce key; those that are persistent take no slot. */
#define SLOTS_NEEDED 3

/* An EK certificate of another kind proves the chip's origin, but not that of the EK with which it registers. */
static void print_provenance(const struct facts *f, size_t *count)
{
    if (f->certificate) {
        return;
    }
    printf("%s", (*count)++ == 0 ? "Quirks        " : "              ");
    if (f->other_certificates[0] != 0) {
        printf("EK certificates only for %s: they say who made this TPM, but nothing in it proves that its "
               "RSA-2048 EK, "
               "with which it registers, is of the same chip\n",
               f->other_certificates);
    } else {
        puts("no EK certificate: nothing in it proves who made it");
    }
}

static void print_quirks(const struct device_tool *t, const struct facts *f)
{
    const struct {
        bool applies;
        const char *text;
    } quirks[] = {
        {t->tpm.kind != POSIX_TPM_DEVICE, "this TPM is software: its keys are files; for tests only"},
        {f->owner_disabled,
         "the owner hierarchy is disabled: no SRK, so it cannot register; the firmware (BIOS) "
         "enables it"},
        {f->endorsement_disabled,
         "the endorsement hierarchy is disabled: no EK, so it cannot register; the firmware "
         "(BIOS) enables it"},
        {f->transient_min > 0 && f->transient_min < SLOTS_NEEDED,
         "few object slots: keep EK and SRK persistent (own --persist)"},
        {f->sessions_used_up,
         "(nearly) all the sessions that this TPM can have are active: end the programs that hold them; on "
         "Linux `fuser -v /dev/tpm*` lists who has it open"},
        {f->input_buffer > 0 && f->input_buffer < DPS_TOKEN_MAX,
         "short data buffer: tokens of long names cannot be signed"},
        {f->commands_missing > 0, "without the missing commands it cannot register"},
        {(f->permanent & TPM2_PERMANENT_DISABLE_CLEAR) != 0,
         "TPM2_Clear is disabled: only the firmware can clear it"},
        {f->untold, "a ? means that this TPM does not report it"},
    };
    size_t count = 0;
    for (size_t i = 0; i < sizeof quirks / sizeof quirks[0]; i++) {
        if (quirks[i].applies) {
            printf("%s%s\n", count++ == 0 ? "Quirks        " : "              ", quirks[i].text);
        }
    }
    print_provenance(f, &count);
    if (count == 0) {
        puts("Quirks        none that matter here");
    }
}

int device_info(struct device_tool *t)
{
    struct facts facts = {0};
    uint32_t manufacturer;
    int exit_code = device_open(t);
    if (exit_code != 0) {
        return exit_code;
    }
    /* The first question tells whether there is a TPM that answers; a single value it may not tell. */
    int error = device_property(t, TPM2_PT_MANUFACTURER, &manufacturer);
    if (error == BYTES_E_NOT_FOUND) {
        error = 0;
    }
    if (error == 0) {
        print_vendor(t, &facts);
        print_buffers(t, &facts);
        error = device_print_algorithms(t);
    }
    if (error == 0) {
        error = print_commands(t, &facts);
    }
    if (error == 0) {
        error = print_persistent(t);
    }
    if (error == 0) {
        print_hierarchies(t, &facts);
        print_ownership(t, &facts);
        error = print_nv(t, &facts);
    }
    if (error == 0) {
        error = print_loaded(t);
    }
    if (error != 0) {
        return device_report_tpm(t, "what this TPM is", error);
    }
    print_quirks(t, &facts);
    return 0;
}
