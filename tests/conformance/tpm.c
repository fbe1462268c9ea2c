/* SPDX-License-Identifier: MIT */
/* The TPM suite: its options, how it reaches the TPM, and what it does around each case. The cases are in tpm_s*.c, a
 * file for each step of the flow. */
#include "tests/conformance/tpm.h"

#define LEFT_AS_FOUND "TPM-S00-900" /* the case that is about what is left in the TPM */

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
     .help = "authorization of the endorsement hierarchy"},
    {.name = "lockout-auth-file",
     .argument = "FILE",
     .text = &o.lockout_auth_file,
     .help = "authorization that allows TPM2_Clear; with --destructive"},
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

/* Is this what the TPM takes? Only an answer that says that it is wrong counts here: cases find whatever else is wrong.
 * A wrong attempt never locks these two. */
static bool is_wrong(struct conformance *c, uint32_t hierarchy, uint32_t session, struct bytes value)
{
    struct tpm2_auth auth = tpm2_auth_password(value);
    tpm2_policy_secret_build(tpm_begin(c), hierarchy, session, &auth, bytes_of(NULL, 0));
    int error = tpm2_policy_secret_parse(tpm_send(c), &suite.rc);
    return error == BYTES_E_TPM_RC && tpm2_rc_decode(suite.rc).code == TPM2_RC_BAD_AUTH;
}

static void ask_authorizations(struct conformance *c, bool *owner_wrong, bool *endorsement_wrong)
{
    uint8_t nonce[32] = {0};
    uint32_t session = 0;
    struct bytes nonce_tpm;
    *owner_wrong = *endorsement_wrong = false;
    tpm2_start_auth_session_build(tpm_begin(c), TPM2_SE_POLICY, bytes_of(nonce, sizeof nonce));
    if (tpm2_start_auth_session_parse(tpm_send(c), &suite.rc, &session, &nonce_tpm) != 0) {
        return;
    }
    *owner_wrong = is_wrong(c, TPM2_RH_OWNER, session, suite.owner);
    *endorsement_wrong = is_wrong(c, TPM2_RH_ENDORSEMENT, session, suite.endorsement);
    (void)tpm_flush_raw(c, session);
}

static int blame(const char *hierarchy, const char *option, const char *path, char *why, size_t why_size)
{
    if (path == NULL) {
        snprintf(why, why_size, "the %s hierarchy of this TPM has an authorization: give --%s FILE",
                 hierarchy, option);
    } else {
        snprintf(why, why_size,
                 "%s does not hold the authorization of this TPM's %s hierarchy: give another --%s", path,
                 hierarchy, option);
    }
    return POSIX_EXIT_USAGE;
}

/* A missing authorization would make nearly every case fail, and say nothing about the TPM. */
static int check_authorizations(struct conformance *c, char *why, size_t why_size)
{
    uint32_t permanent = 0;
    bool told = tpm_property(c, TPM2_PT_PERMANENT, &permanent);
    bool lockout_set = told && (permanent & TPM2_PERMANENT_LOCKOUT_AUTH_SET) != 0;
    bool owner_wrong, endorsement_wrong;
    ask_authorizations(c, &owner_wrong, &endorsement_wrong);
    if (owner_wrong) {
        return blame("owner", "owner-auth-file", o.owner_auth_file, why, why_size);
    }
    if (endorsement_wrong) {
        return blame("endorsement", "endorsement-auth-file", o.endorsement_auth_file, why, why_size);
    }
    /* One wrong attempt locks this one: it is not tried. */
    if (c->destructive && lockout_set && suite.lockout.len == 0) {
        return blame("lockout", "lockout-auth-file", NULL, why, why_size);
    }
    return 0;
}

static int open_tpm(struct conformance *c, char *why, size_t why_size)
{
    c->suite_state = &suite;
    int code = read_auth(o.owner_auth_file, suite.owner_bytes, &suite.owner, why, why_size);
    if (code == 0) {
        code = read_auth(o.endorsement_auth_file, suite.endorsement_bytes, &suite.endorsement, why, why_size);
    }
    if (code == 0) {
        code = read_auth(o.lockout_auth_file, suite.lockout_bytes, &suite.lockout, why, why_size);
    }
    if (code != 0) {
        return code;
    }
    int error = posix_tpm_open(&suite.tpm, o.tpm, why, why_size);
    if (error != 0) {
        return error == BYTES_E_USAGE ? POSIX_EXIT_USAGE : POSIX_EXIT_TPM;
    }
    suite.port.tpm = posix_tpm_port(&suite.tpm);
    suite.port.clock = posix_clock();
    if (!tpm_list_handles(c, &suite.at_open)) {
        snprintf(why, why_size, "%.400s", c->text);
        return POSIX_EXIT_TPM;
    }
    return check_authorizations(c, why, why_size);
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

static bool flush_remembered(struct conformance *c)
{
    bool flushed = true;
    while (suite.loaded_count > 0 && c->gave_up == 0) {
        uint32_t handle = suite.loaded[--suite.loaded_count];
        int error = tpm_flush_raw(c, handle);
        flushed &= conformance_check(
            c, error == 0, "TPM2_FlushContext of 0x%08x, which the case has loaded, was refused: %s", handle,
            tpm_rc_text(suite.rc));
    }
    return flushed;
}

static void after(struct conformance *c)
{
    const char *stands_on = conformance_stand_on(c, LEFT_AS_FOUND);
    bool clean = flush_remembered(c) && (c->gave_up != 0 || tpm_as_found(c, &suite.before));
    if (!clean && suite.left[0] == 0) {
        snprintf(suite.left, sizeof suite.left, "after %s something was left in the TPM", c->now->id);
    }
    conformance_stand_back(c, stands_on);
}

static const struct conformance_case *const groups[] = {
    tpm_cases_about,    tpm_cases_wire,    tpm_cases_ek,       tpm_cases_owner,
    tpm_cases_software, tpm_cases_session, tpm_cases_activate, tpm_cases_import,
    tpm_cases_refuse,   tpm_cases_hmac,    tpm_cases_flow,     tpm_cases_hardened,
    tpm_cases_rewrap,   tpm_cases_clear,   tpm_cases_last,     NULL,
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
