/* SPDX-License-Identifier: MIT */
/* Step 3 and what depends on it: own, clear, seal, unseal. */
#include "dps/device/device.h"
#include "dps/device/ownership.h"
#include "port/posix/device/tool.h"
#include <string.h>

/* TPM2_HierarchyChangeAuth takes as much as the digest of the TPM's own context integrity: at least this. */
#define NEW_AUTH_MAX 32

typedef int (*begin_run)(struct dps_device *d, const struct dps_device_config *config,
                         const uint8_t seed[32]);

static int run(struct device_tool *t, begin_run begin)
{
    int exit_code = device_seed(t);
    return exit_code != 0 ? exit_code : device_run(t, begin(&t->engine, &t->config, t->seed));
}

static void print_name(const char *title, struct bytes public_2b, uint32_t handle)
{
    uint8_t name[TPM2_NAME_SIZE];
    tpm2_name_of(public_2b, name);
    printf("%-9s ", title);
    for (size_t i = 0; i < sizeof name; i++) {
        printf("%02x", name[i]);
    }
    if (handle >> TPM2_HT_SHIFT == TPM2_HT_PERSISTENT) {
        printf("  persistent at 0x%08X", (unsigned)handle);
    }
    putchar('\n');
}

static void print_names(const struct device_tool *t)
{
    const struct dps_device *d = &t->engine;
    /* A key that this run made persistent was used by its transient handle. */
    bool kept = t->options.persist;
    print_name("EK Name", bytes_of(d->ek, d->ek_len), kept ? TPM2_HANDLE_EK : d->ek_handle);
    device_print_ek_digest(t, 10);
    print_name("SRK Name", bytes_of(d->srk, d->srk_len), kept ? TPM2_HANDLE_SRK : d->srk_handle);
}

/* The user must learn of a half-done change of ownership: trying again with the old values would lock him
 * out. */
static void tell_what_was_set(const struct device_tool *t)
{
    const struct dps_device *d = &t->engine;
    const bool lockout = t->config.new_lockout_auth.len > 0 && d->lockout_changed;
    const bool endorsement = t->config.new_endorsement_auth.len > 0 && d->endorsement_changed;
    const bool owner = t->config.new_owner_auth.len > 0 && d->owner_changed;
    /* The TPM did it or did not: the answer that says so never came, or was not believed, or is a refusal, which nobody
     * signs. */
    const bool refused = d->error == BYTES_E_TPM_RC;
    const struct device_refusal *last = refused ? &t->watch.refused : &t->watch.asked;
    if (d->error != 0 && last->command == TPM2_CC_HIERARCHY_CHANGE_AUTH) {
        device_say(
            "the authorization that was being changed may be in force by now%s: keep both values, and try "
            "the %s one first",
            refused ? ", if somebody on the TPM's bus made up that refusal" : "", refused ? "old" : "new");
    }
    if (!lockout && !endorsement && !owner) {
        return;
    }
    fprintf(d->error != 0 ? stderr : stdout, "%s%s%s%s%s\n",
            d->error != 0 ? "dps-device: these authorizations have been changed before that and are in force:"
                          : "Set      ",
            lockout ? " lockout" : "", endorsement ? " endorsement" : "", owner ? " owner" : "",
            d->error != 0 ? "; give the new values with --lockout-auth-file ... from now on"
                          : " authorization");
}

/* Trying the empty value when a lockout authorization is set would lock its authority, by default for a day, and so
 * would any value when none is set. So the TPM is asked first; if it does not tell, the user is trusted. */
static int check_lockout_auth(struct device_tool *t)
{
    uint32_t permanent;
    const bool given = t->config.lockout_auth.len > 0;
    if (device_property(t, TPM2_PT_PERMANENT, &permanent) != 0 ||
        given == ((permanent & TPM2_PERMANENT_LOCKOUT_AUTH_SET) != 0)) {
        return 0;
    }
    device_say("%s. Nothing was tried, because a wrong try locks the lockout authority",
               given ? "no lockout password is set, but one was given. What to do: leave --lockout-auth-file "
                       "and DPS_LOCKOUT_AUTH out"
                     : "the lockout authorization is set and was not given. What to do: --lockout-auth-file "
                       "FILE or DPS_LOCKOUT_AUTH");
    return POSIX_EXIT_TPM;
}

/* The TPM would say so only at the end, when the authorizations have been changed. */
static int check_place(struct device_tool *t, uint32_t handle, const char *key, const char *wanted)
{
    char kind[DEVICE_KIND_MAX];
    int error = device_key_kind(t, handle, kind, sizeof kind);
    if (error == BYTES_E_NOT_FOUND || (error == 0 && strcmp(kind, wanted) == 0)) {
        return 0;
    }
    if (error != 0) {
        return device_report_tpm(t, "what is where the keys would be kept", error);
    }
    device_say(
        "--persist: 0x%08X, where the %s would be kept, is occupied by %s. Nothing was changed. What to "
        "do: leave --persist out, and the %s is derived whenever it is needed; or, if nobody needs the "
        "key there, evict it (tpm2_evictcontrol -C o -c 0x%08X)",
        (unsigned)handle, key, kind, key, (unsigned)handle);
    return POSIX_EXIT_TPM;
}

static int check_places(struct device_tool *t)
{
    const int exit_code = check_place(t, TPM2_HANDLE_EK, "EK", DEVICE_KIND_EK);
    return exit_code != 0 ? exit_code : check_place(t, TPM2_HANDLE_SRK, "SRK", DEVICE_KIND_SRK);
}

/* --state, if it is given: nothing secret goes to another TPM. */
static int expect_ek(struct device_tool *t)
{
    if (t->options.state == NULL) {
        return 0;
    }
    if (t->options.no_sessions) {
        device_say("--state is checked by a session: leave it out, or --no-sessions");
        return POSIX_EXIT_USAGE;
    }
    const int error = device_expect_ek(t);
    if (error == 0) {
        return 0;
    }
    device_say("%s %s. What to do: leave --state out, or register, which writes it", t->options.state,
               error == BYTES_E_NOT_FOUND ? "does not exist" : "does not say of which TPM it is");
    return POSIX_EXIT_STORE;
}

int device_own(struct device_tool *t)
{
    int exit_code = device_open(t);
    if (exit_code != 0) {
        return exit_code;
    }
    for (size_t i = DEVICE_AUTH_NEW_OWNER; i <= DEVICE_AUTH_NEW_LOCKOUT; i++) {
        if (t->auth_value[i].len > NEW_AUTH_MAX) {
            device_say("a new authorization may have %d bytes at most", NEW_AUTH_MAX);
            return POSIX_EXIT_USAGE;
        }
    }
    exit_code = expect_ek(t);
    if (exit_code != 0) {
        return exit_code;
    }
    t->config.persist = t->options.persist;
    if (t->config.persist) {
        exit_code = check_places(t);
    }
    if (exit_code == 0 && t->config.new_lockout_auth.len > 0) {
        exit_code = check_lockout_auth(t);
    }
    if (exit_code != 0) {
        return exit_code;
    }
    exit_code = run(t, dps_device_own);
    tell_what_was_set(t);
    if (exit_code == 0) {
        print_names(t);
    }
    return exit_code;
}

int device_clear(struct device_tool *t)
{
    if (!t->options.yes) {
        device_say(
            "clear ends an ownership, and nothing brings it back: the storage root key and everything under "
            "it "
            "(sealed data, hub keys, disk encryption keys bound to this TPM), persistent keys of owner and "
            "endorsement hierarchy, and all authorizations. The endorsement key itself stays. If that is "
            "wanted: "
            "clear --yes");
        return POSIX_EXIT_USAGE;
    }
    int exit_code = device_open(t);
    if (exit_code == 0) {
        exit_code = expect_ek(t);
    }
    if (exit_code == 0) {
        exit_code = check_lockout_auth(t);
    }
    if (exit_code == 0) {
        exit_code = run(t, dps_device_clear);
    }
    if (exit_code == 0) {
        puts("Cleared.  The authorizations are empty, the storage root key is a new one. Registered devices "
             "register "
             "again.");
        print_names(t);
    } else if (t->engine.cleared) {
        device_say("the TPM has been cleared before that");
    }
    return exit_code;
}

/* Both directions: read, run, write. */
static int convert(struct device_tool *t, size_t input_max, begin_run begin, const char *out)
{
    int exit_code =
        device_input(t->options.in != NULL ? t->options.in : "-", t->data, input_max, &t->config.data);
    if (exit_code == 0 && t->config.data.len == 0) {
        device_say("there is nothing in %s", t->options.in != NULL ? t->options.in : "standard input");
        exit_code = POSIX_EXIT_USAGE;
    }
    if (exit_code == 0) {
        exit_code = device_open(t);
    }
    if (exit_code == 0) {
        exit_code = expect_ek(t);
    }
    if (exit_code == 0) {
        exit_code = run(t, begin);
    }
    return exit_code != 0 ? exit_code : device_output(out, dps_device_result(&t->engine));
}

int device_seal(struct device_tool *t)
{
    int exit_code = device_require(t->options.out, "out");
    return exit_code != 0 ? exit_code : convert(t, DPS_SEAL_DATA_MAX, dps_device_seal, t->options.out);
}

int device_unseal(struct device_tool *t)
{
    int exit_code = device_require(t->options.in, "in");
    return exit_code != 0 ? exit_code
                          : convert(t, DEVICE_SEALED_MAX, dps_device_unseal,
                                    t->options.out != NULL ? t->options.out : "-");
}
