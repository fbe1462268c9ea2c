/* SPDX-License-Identifier: MIT */
/* The TPM suite: its options, how it reaches the TPM, and what it does around each case. The cases stand in tpm_s*.c, a
 * file for each step of the flow. */
#include "tests/conformance/tpm.h"

static struct tpm_suite suite = {.tpm = {.fd = -1}};
static struct {
    const char *tpm, *owner_auth_file, *endorsement_auth_file, *lockout_auth_file;
} o;

static const struct posix_option options[] = {
    {.name = "tpm",
     .argument = "TPM",
     .text = &o.tpm,
     .help = "check this TPM: /dev/tpmrm0 (or /dev/tpm0), libtpms:DIR (a software TPM in this\n"
             "process), swtpm:HOST:PORT, swtpm:/SOCKET, mssim:HOST:PORT; nothing that it holds\n"
             "is changed without --destructive"},
    {.name = "owner-auth-file",
     .argument = "FILE",
     .text = &o.owner_auth_file,
     .help = "authorization of the owner hierarchy, if it is not empty (mode 0600)"},
    {.name = "endorsement-auth-file",
     .argument = "FILE",
     .text = &o.endorsement_auth_file,
     .help = "that of the endorsement hierarchy"},
    {.name = "lockout-auth-file",
     .argument = "FILE",
     .text = &o.lockout_auth_file,
     .help = "that which allows TPM2_Clear; with --destructive"},
};

static bool wanted(void)
{
    return o.tpm != NULL;
}

static int read_auth(const char *path, uint8_t bytes[TPM_AUTH_MAX], struct bytes *value, char *why,
                     size_t why_size)
{
    size_t len = 0;
    *value = bytes_of(bytes, 0);
    int error = path != NULL ? posix_secret_read(path, bytes, TPM_AUTH_MAX, &len, why, why_size) : 0;
    *value = bytes_of(bytes, error == 0 ? len : 0);
    return error == 0 ? 0 : error == BYTES_E_SPACE ? POSIX_EXIT_USAGE : POSIX_EXIT_STORE;
}

static int open_tpm(struct conformance *c, char *why, size_t why_size)
{
    c->suite_state = &suite;
    int code = read_auth(o.owner_auth_file, suite.owner_bytes, &suite.owner, why, why_size);
    if (code == 0)
        code = read_auth(o.endorsement_auth_file, suite.endorsement_bytes, &suite.endorsement, why, why_size);
    if (code == 0)
        code = read_auth(o.lockout_auth_file, suite.lockout_bytes, &suite.lockout, why, why_size);
    if (code != 0)
        return code;
    int error = posix_tpm_open(&suite.tpm, o.tpm, why, why_size);
    if (error != 0)
        return error == BYTES_E_USAGE ? POSIX_EXIT_USAGE : POSIX_EXIT_TPM;
    suite.port.tpm = posix_tpm_port(&suite.tpm);
    suite.port.clock = posix_clock();
    if (tpm_list_handles(c, &suite.at_open))
        return 0;
    snprintf(why, why_size, "%.400s", c->text);
    return POSIX_EXIT_TPM;
}

static void close_tpm(struct conformance *c)
{
    if (c->gave_up == 0) {
        (void)(suite.ek.handle != 0 && tpm_flush_raw(c, suite.ek.handle));
        (void)(suite.srk.handle != 0 && tpm_flush_raw(c, suite.srk.handle));
    }
    posix_tpm_close(&suite.tpm);
    bytes_wipe(&suite, sizeof suite);
    suite.tpm.fd = -1;
}

static void before(struct conformance *c)
{
    (void)tpm_list_handles(c, &suite.before);
}

static void flush_remembered(struct conformance *c)
{
    while (suite.loaded_count > 0 && c->gave_up == 0) {
        uint32_t handle = suite.loaded[--suite.loaded_count];
        int error = tpm_flush_raw(c, handle);
        conformance_check(c, error == 0,
                          "TPM2_FlushContext of 0x%08x, which the case has loaded, was refused: %s", handle,
                          tpm_rc_text(suite.rc));
    }
}

static void after(struct conformance *c)
{
    flush_remembered(c);
    if (c->gave_up == 0)
        (void)tpm_as_found(c, &suite.before);
}

static const struct conformance_case *const groups[] = {
    tpm_cases_about,    tpm_cases_wire,
    tpm_cases_ek,       tpm_cases_owner,
    tpm_cases_software, tpm_cases_session,
    tpm_cases_activate, tpm_cases_import,
    tpm_cases_refuse,   tpm_cases_hmac,
    tpm_cases_flow,     tpm_cases_clear,
    tpm_cases_last,     NULL,
};

const struct conformance_suite conformance_tpm = {
    .name = "TPM",
    .title = "the TPM",
    .groups = groups,
    .options = {"To check a TPM", options, sizeof options / sizeof options[0]},
    .wanted = wanted,
    .open = open_tpm,
    .close = close_tpm,
    .before = before,
    .after = after,
};
