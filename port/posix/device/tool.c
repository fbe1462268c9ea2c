/* SPDX-License-Identifier: MIT */
#include "port/posix/device/tool.h"
#include "port/posix/pki/pem.h"
#include "port/posix/private.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The environment of a process can be read by its user for as long as it runs, so the value does not stay there. */
static int auth_from_environment(struct device_tool *t, enum device_auth which, const char *variable)
{
    char *value = variable != NULL ? getenv(variable) : NULL;
    if (value == NULL) {
        return 0;
    }
    size_t len = strlen(value);
    bool fits = len <= DEVICE_AUTH_MAX;
    if (fits) {
        memcpy(t->auth[which], value, len);
    }
    bytes_wipe(value, len);
    t->auth_value[which] = bytes_of(t->auth[which], fits ? len : 0);
    if (!fits) {
        device_say("%s is longer than the %d bytes that an authorization of a TPM may have", variable,
                   DEVICE_AUTH_MAX);
    }
    return fits ? 0 : POSIX_EXIT_USAGE;
}

static int read_auth(struct device_tool *t, enum device_auth which, const char *path, const char *variable)
{
    char why[512];
    size_t len;
    if (path == NULL) {
        return auth_from_environment(t, which, variable);
    }
    int error = posix_secret_read(path, t->auth[which], DEVICE_AUTH_MAX, &len, why, sizeof why);
    if (error != 0) {
        device_say("%s", why);
        return error == BYTES_E_SPACE ? POSIX_EXIT_USAGE : POSIX_EXIT_STORE;
    }
    if (len == 0) {
        device_say(
            "%s is empty: an empty authorization is what a TPM without an owner has; leave the option out",
            path);
        return POSIX_EXIT_USAGE;
    }
    t->auth_value[which] = bytes_of(t->auth[which], len);
    return 0;
}

static int read_auths(struct device_tool *t)
{
    const struct device_options *o = &t->options;
    const struct {
        const char *path, *variable;
    } from[DEVICE_AUTH_COUNT] = {
        [DEVICE_AUTH_OWNER] = {o->owner_auth_file, "DPS_OWNER_AUTH"},
        [DEVICE_AUTH_ENDORSEMENT] = {o->endorsement_auth_file, "DPS_ENDORSEMENT_AUTH"},
        [DEVICE_AUTH_LOCKOUT] = {o->lockout_auth_file, "DPS_LOCKOUT_AUTH"},
        [DEVICE_AUTH_NEW_OWNER] = {o->new_owner_auth_file, NULL},
        [DEVICE_AUTH_NEW_ENDORSEMENT] = {o->new_endorsement_auth_file, NULL},
        [DEVICE_AUTH_NEW_LOCKOUT] = {o->new_lockout_auth_file, NULL},
    };
    for (size_t i = 0; i < DEVICE_AUTH_COUNT; i++) {
        int exit_code = read_auth(t, (enum device_auth)i, from[i].path, from[i].variable);
        if (exit_code != 0) {
            return exit_code;
        }
    }
    t->config.no_sessions = t->options.no_sessions;
    t->config.owner_auth = t->auth_value[DEVICE_AUTH_OWNER];
    t->config.endorsement_auth = t->auth_value[DEVICE_AUTH_ENDORSEMENT];
    t->config.lockout_auth = t->auth_value[DEVICE_AUTH_LOCKOUT];
    t->config.new_owner_auth = t->auth_value[DEVICE_AUTH_NEW_OWNER];
    t->config.new_endorsement_auth = t->auth_value[DEVICE_AUTH_NEW_ENDORSEMENT];
    t->config.new_lockout_auth = t->auth_value[DEVICE_AUTH_NEW_LOCKOUT];
    return 0;
}

static int choose_template(struct device_tool *t)
{
    const char *name = t->options.ek_template;
    if (name == NULL || strcmp(name, "l1") == 0) {
        t->config.ek_template = DPS_EK_L1;
    } else if (strcmp(name, "azure-sdk") == 0) {
        t->config.ek_template = DPS_EK_AZURE_SDK;
    } else {
        device_say(
            "--ek-template is l1 (TCG, matches the EK certificate) or azure-sdk (as Microsoft's C, Node and "
            "Java SDKs create it), not \"%s\"",
            name);
        return POSIX_EXIT_USAGE;
    }
    return 0;
}

static int choose_srk(struct device_tool *t)
{
    const char *name = t->options.srk;
    if (name == NULL || strcmp(name, "standard") == 0) {
        t->config.srk = DPS_SRK_STANDARD;
    } else if (strcmp(name, "hardened") == 0) {
        t->config.srk = DPS_SRK_HARDENED;
    } else {
        device_say(
            "--srk is standard (TCG's template) or hardened (which TPM2_Rewrap cannot use), not \"%s\"",
            name);
        return POSIX_EXIT_USAGE;
    }
    return 0;
}

int device_expect_ek(struct device_tool *t)
{
    size_t len;
    int error = posix_file_read(t->options.state, t->record, sizeof t->record, &len);
    if (error == 0) {
        error = dps_record_ek_name(bytes_of(t->record, len), t->ek_name);
    }
    if (error == 0) {
        t->config.ek_name = bytes_of(t->ek_name, sizeof t->ek_name);
    }
    return error;
}

/* A clock that shows a time before this program's release was never set: no token can be signed with that time, and no
 * certificate checked. */
static uint64_t known_seconds(void *context)
{
    const struct device_tool *t = context;
    struct port_clock clock = posix_clock();
    const uint64_t now = t->options.now != 0 ? t->options.now : clock.unix_seconds(clock.context);
    return now < CRYPTO_TLS_TIME_FLOOR ? 0 : now;
}

/* A program that takes long says what it is doing. */
static int told_sleep_ms(void *context, uint32_t ms)
{
    struct device_tool *t = context;
    struct port_clock clock = posix_clock();
    device_tell_wait(t, ms);
    return clock.sleep_ms(clock.context, ms);
}

static int watched_save(void *context, struct bytes record)
{
    struct device_tool *t = context;
    int error = posix_file_replace(t->storage.path, record, 0600);
    if (error != 0) {
        (void)posix_file_error(errno, t->watch.reason, sizeof t->watch.reason);
    }
    return error;
}

static int open_port(struct device_tool *t)
{
    t->drive.flow_timeout_ms = (uint32_t)t->options.timeout * 1000;
    t->stream = (struct posix_stream){.fd = -1, .connect_to = t->options.connect_to, .proxy = &t->proxy};
    t->storage.path = t->options.state;
    t->port.tpm = posix_tpm_port(&t->tpm);
    t->port.clock = posix_clock();
    /* Those of posix_clock need no context, so it is free for these. */
    t->port.clock.context = t;
    t->port.clock.unix_seconds = known_seconds;
    t->port.clock.sleep_ms = told_sleep_ms;
    t->port.storage = posix_storage_port(&t->storage);
    t->port.storage.context = t;
    t->port.storage.save = watched_save;
    t->port.entropy =
        t->options.seed != NULL ? posix_entropy_seeded(&t->drbg, t->options.seed) : posix_entropy();
    return device_watch_begin(t);
}

int device_open(struct device_tool *t)
{
    char why[640];
    int exit_code = choose_template(t);
    if (exit_code == 0) {
        exit_code = choose_srk(t);
    }
    if (exit_code == 0) {
        exit_code = read_auths(t);
    }
    if (exit_code != 0) {
        return exit_code;
    }
    const char *name = t->options.tpm != NULL ? t->options.tpm : getenv("DPS_TPM");
    if (name == NULL || name[0] == 0) {
        device_say(
            "which TPM? Give --tpm /dev/tpmrm0, or set DPS_TPM; dps-device --help lists the other forms");
        return POSIX_EXIT_USAGE;
    }
    t->options.tpm = name;
    int error = posix_tpm_open(&t->tpm, name, why, sizeof why);
    if (error != 0) {
        device_say("%s", why);
        return error == BYTES_E_USAGE ? POSIX_EXIT_USAGE : POSIX_EXIT_TPM;
    }
    return open_port(t);
}

int device_close(struct device_tool *t)
{
    const int exit_code = device_watch_end(t);
    posix_tpm_close(&t->tpm);
    if (t->state_locked) {
        posix_unlock(t->options.state, t->state_lock);
    }
    bytes_wipe(t, sizeof *t);
    return exit_code;
}

void device_warn_software(const struct device_tool *t)
{
    if (t->tpm.kind != POSIX_TPM_DEVICE && !t->options.quiet) {
        fputs("dps-device: note: this TPM is software: its keys are files; for tests only\n", stderr);
    }
}

int device_seed(struct device_tool *t)
{
    int error = t->port.entropy.fill(t->port.entropy.context, t->seed, sizeof t->seed);
    if (error == 0) {
        return 0;
    }
    device_say("%s", posix_error_text(error));
    return POSIX_EXIT_STORE;
}

int device_run(struct device_tool *t, int begin_error)
{
    int error = begin_error;
    if (error == 0) {
        uint64_t begin = posix_monotonic_ms();
        error = port_drive(&t->drive, &t->port, &t->trust, &t->engine);
        t->run_ms = posix_monotonic_ms() - begin;
    }
    return error != 0 ? device_report(t, error) : 0;
}

static void note(const char *sentence)
{
    device_say("%s", sentence);
}

int device_trust(struct device_tool *t)
{
    char why[1024];
    if (pki_trust_read(t->options.ca, &t->trust, note, why, sizeof why) == 0) {
        return 0;
    }
    device_say("%s", why);
    return POSIX_EXIT_STORE;
}

int device_input(const char *path, uint8_t *buffer, size_t capacity, struct bytes *content)
{
    char why[512];
    int exit_code = options_input(path, buffer, capacity, content, why, sizeof why);
    if (exit_code != 0) {
        device_say("%s", why);
    }
    return exit_code;
}

int device_output(const char *path, struct bytes content)
{
    if (strcmp(path, "-") == 0) {
        fwrite(content.p, 1, content.len, stdout);
        return 0;
    }
    char reason[POSIX_FILE_ERROR_MAX];
    if (posix_file_replace(path, content, 0600) == 0) {
        return 0;
    }
    device_say("%s could not be written: %s", path, posix_file_error(errno, reason, sizeof reason));
    return POSIX_EXIT_STORE;
}

int device_require(const char *value, const char *option)
{
    if (value != NULL) {
        return 0;
    }
    device_say("this command needs --%s; see its --help for an example", option);
    return POSIX_EXIT_USAGE;
}
