/* SPDX-License-Identifier: MIT */
/* The commands of the application, for U-Boot's prompt and scripts. Numbers are hexadecimal, as U-Boot's own are:
 *
 *   bootm go - ek
 *   bootm go - unseal BLOB LENGTH TO [SEED LENGTH]
 *
 * The result is an enum port_bare_status; start.S puts it where scripts find it. */
#include "dps/protocol/registration_id.h"
#include "port/bare/bare.h"
#include "port/u-boot/boot_tpm.h"
#include "port/virt-a15/board.h"
#include "tpm/rc.h"
#include <string.h>

/* From start.S and application.ld. */
int uboot_main(int argc, char *const argv[]);
extern uint8_t uboot_image_begin[], uboot_image_end[], uboot_stack_bottom[], uboot_stack_top[];

#define SEED_MIN 16 /* fewer bytes could be guessed */

static struct port_bare_uart console;
static struct port_tis tis;
static struct port_tis_mmio registers;
static struct uboot_tpm boot;

/* ---- Text -------------------------------------------------------------------------------------------------------- */

static void text(const char *words)
{
    port_bare_text(&console, words);
}

static void hex(const char *before, struct bytes bytes)
{
    static const char digits[] = "0123456789abcdef";
    text(before);
    for (size_t i = 0; i < bytes.len; i++) {
        const char pair[] = {digits[bytes.p[i] >> 4], digits[bytes.p[i] & 15], '\0'};
        text(i > 0 && i % 36 == 0 ? "\n" : "");
        text(pair);
    }
    text("\n");
}

static void where_from(const char *key)
{
    text(key);
    if (boot.made_key != 0) {
        text(": derived from the TPM's seed\n");
    } else {
        text(": persistent, at ");
        port_bare_hex(&console, boot.key);
        text("\n");
    }
}

/* Why the TPM refused a command. */
static const char *refusal(void)
{
    const uint32_t code = tpm2_rc_decode(boot.rc).code;
    const bool password = code == TPM2_RC_BAD_AUTH || code == TPM2_RC_AUTH_FAIL;
    if (code == TPM2_RC_LOCKOUT) {
        return "the TPM is locked after too many wrong passwords; it opens again by itself";
    }
    if (boot.code == TPM2_CC_CREATE_PRIMARY && password) {
        return "deriving this key needs a password: make the key persistent (dps-device own --persist)";
    }
    if (boot.code == TPM2_CC_LOAD && password) {
        return "the storage root key has a password";
    }
    if (boot.code == TPM2_CC_LOAD && (code == TPM2_RC_INTEGRITY || code == TPM2_RC_SIZE)) {
        return "the blob was changed, or was sealed in another TPM or for another owner";
    }
    if (boot.code == TPM2_CC_UNSEAL && password) {
        return "what is sealed has a password, or the command was changed on its way";
    }
    return "the TPM refused a command; dps-device explain says what the code means";
}

static const char *explain(int error)
{
    switch (error) {
    case BYTES_E_TPM_RC:
        return refusal();
    case BYTES_E_TPM_TRANSPORT:
        return "there is no TPM at its address, or it broke off";
    case BYTES_E_NOT_PROVIDED:
        return "the TPM has another interface than FIFO";
    case BYTES_E_TIMEOUT:
        return "the TPM did not answer in time, or somebody else has it";
    case BYTES_E_STATE:
        return "there is no sealed blob of this length: TPM2B_PRIVATE, then TPM2B_PUBLIC, as dps-device seal "
               "writes it";
    case BYTES_E_SPACE:
        return "the blob is longer than any that can be unsealed";
    case BYTES_E_POLICY:
        return "what is sealed opens under a policy only (PCRs, say), which this command does not know";
    case BYTES_E_INTEGRITY:
        return "the TPM's answer was changed on its way, or comes from another TPM";
    case BYTES_E_ENTROPY:
        return "the TPM gave no random bytes";
    case BYTES_E_USAGE:
        return "usage: ek | unseal BLOB LENGTH TO [SEED LENGTH], in hexadecimal; no memory of this "
               "application, and 128 bytes at TO that are none of BLOB";
    default:
        return "the TPM's answer is not understood";
    }
}

static int status_of(int error)
{
    switch (error) {
    case 0:
        return PORT_BARE_DONE;
    case BYTES_E_USAGE:
        return PORT_BARE_USAGE;
    case BYTES_E_STATE:
    case BYTES_E_SPACE:
    case BYTES_E_POLICY:
        return PORT_BARE_STORAGE;
    default:
        return PORT_BARE_TPM;
    }
}

/* ---- Arguments --------------------------------------------------------------------------------------------------- */

static bool number(const char *word, uint32_t *value)
{
    static const char digits[] = "0123456789abcdef";
    *value = 0;
    if (word[0] == '0' && word[1] == 'x') {
        word += 2;
    }
    size_t len = strlen(word);
    for (; *word != '\0'; word++) {
        const char *digit = strchr(digits, *word >= 'A' && *word <= 'F' ? *word + ('a' - 'A') : *word);
        if (digit == NULL) {
            return false;
        }
        *value = *value << 4 | (uint32_t)(digit - digits);
    }
    return len > 0 && len <= 8;
}

/* Memory that the application may use: not its own, and within the address space. Null: it is not. */
static uint8_t *memory(uint32_t address, uint32_t len)
{
    const uintptr_t begin = (uintptr_t)uboot_image_begin;
    const uintptr_t end = (uintptr_t)uboot_image_end;
    if (address == 0 || len > UINT32_MAX - address || (address < end && address + len > begin)) {
        return NULL;
    }
    return (uint8_t *)(uintptr_t)address;
}

static int memory_of(char *const words[2], struct bytes *bytes)
{
    uint32_t address;
    uint32_t len;
    if (!number(words[0], &address) || !number(words[1], &len)) {
        return BYTES_E_USAGE;
    }
    *bytes = bytes_of(memory(address, len), len);
    return bytes->p != NULL ? 0 : BYTES_E_USAGE;
}

static bool overlap(struct bytes a, struct bytes b)
{
    const uintptr_t a_at = (uintptr_t)a.p;
    const uintptr_t b_at = (uintptr_t)b.p;
    return a_at < b_at + b.len && b_at < a_at + a.len;
}

/* As memory is that nobody has ever written. */
static bool is_blank(struct bytes bytes)
{
    size_t same = 0;
    while (same < bytes.len && bytes.p[same] == bytes.p[0]) {
        same++;
    }
    return same == bytes.len;
}

/* ---- Commands ---------------------------------------------------------------------------------------------------- */

static int open_tpm(void)
{
    boot.clock = virt_a15_clock();
    const int error = virt_a15_tpm(&tis, &registers, &boot.tpm);
    return error == 0 ? uboot_tpm_startup(&boot) : error;
}

static int ek(void)
{
    char id[DPS_DEFAULT_REGISTRATION_ID_SIZE];
    int error = open_tpm();
    if (error == 0) {
        error = uboot_tpm_ek(&boot);
    }
    if (error != 0) {
        return error;
    }
    const struct bytes public_2b = bytes_of(boot.public_2b, boot.public_len);
    dps_registration_id_default(public_2b, id);
    where_from("EK");
    hex("TPM2B_PUBLIC:\n", public_2b);
    hex("Name: ", bytes_of(boot.name, sizeof boot.name));
    text("Registration ID: ");
    text(id);
    text("\n");
    return 0;
}

static int unseal(struct bytes blob, struct bytes seed, uint8_t *to)
{
    size_t len;
    int error = open_tpm();
    if (error == 0) {
        error = uboot_tpm_srk(&boot);
    }
    if (error != 0) {
        return error;
    }
    where_from("SRK");
    hex("Name: ", bytes_of(boot.name, sizeof boot.name));
    error = uboot_tpm_unseal(&boot, seed, blob, to, &len);
    if (error == 0) {
        text("Unsealed ");
        port_bare_number(&console, len);
        text(" bytes to ");
        port_bare_hex(&console, (uint32_t)(uintptr_t)to);
        text("\n");
    }
    return error;
}

static int run_unseal(int argc, char *const argv[])
{
    struct bytes blob;
    uint32_t to;
    /* This board has no source of random bytes but the TPM: the time since power-on has to do. */
    const uint64_t counter = virt_a15_counter();
    struct bytes seed = bytes_of(&counter, sizeof counter);
    if (memory_of(argv + 2, &blob) != 0 || !number(argv[4], &to)) {
        return BYTES_E_USAGE;
    }
    uint8_t *out = memory(to, UBOOT_SEALED_MAX);
    if (out == NULL || overlap(blob, bytes_of(out, UBOOT_SEALED_MAX)) ||
        (argc == 7 && (memory_of(argv + 5, &seed) != 0 || seed.len < SEED_MIN))) {
        return BYTES_E_USAGE;
    }
    if (argc == 7 && is_blank(seed)) {
        text("All bytes of the SEED are the same: it was never written.\n");
        return BYTES_E_USAGE;
    }
    if (argc != 7) {
        text("Without a SEED who listens on the TPM's bus can read what is unsealed.\n");
    }
    return unseal(blob, seed, out);
}

static void finish(int error)
{
    if (error != 0) {
        text("Error: ");
        text(explain(error));
        if (error == BYTES_E_TPM_RC) {
            text(" (command ");
            port_bare_hex(&console, boot.code);
            text(", response code ");
            port_bare_hex(&console, boot.rc);
            text(")");
        }
        text(".\n");
    }
    const unsigned commands = boot.commands;
    uboot_tpm_end(&boot);
    text("Done: ");
    port_bare_number(&console, commands);
    text(" TPM commands; stack ");
    port_bare_number(&console, port_bare_stack_used(uboot_stack_bottom, uboot_stack_top));
    text(" of ");
    port_bare_number(&console, (uintptr_t)uboot_stack_top - (uintptr_t)uboot_stack_bottom);
    text(" bytes.\n");
}

int uboot_main(int argc, char *const argv[])
{
    int error = BYTES_E_USAGE;
    console = virt_a15_uart(0);
    if (argc == 2 && strcmp(argv[1], "ek") == 0) {
        error = ek();
    } else if ((argc == 5 || argc == 7) && strcmp(argv[1], "unseal") == 0) {
        error = run_unseal(argc, argv);
    }
    finish(error);
    return status_of(error);
}
