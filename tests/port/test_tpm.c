/* SPDX-License-Identifier: MIT */
/* The TPM transports, each against a real TPM. Peers that misbehave: test_tpm_peers.c. */
#include "dps/device/limits.h"
#include "tests/port/tpm_calls.h"
#include "tests/unit/test.h"
#include "tpm/command.h"
#include "tpm/tpm2.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_TRIES 3000 /* 20 ms apart: enough even on a busy machine */

/* TPMA_STARTUP_CLEAR, orderly [P2 r1.59 8.7, Table 39] */
#define ORDERLY 0x80000000U

/* The EK's public area, made anew; the object is flushed. */
static int read_ek(struct posix_tpm *t, uint8_t ek[DPS_EK_PUBLIC_MAX], size_t *ek_len)
{
    uint8_t command[DPS_TPM_BUFFER], response[DPS_TPM_BUFFER];
    size_t len;
    uint32_t rc, object;
    struct bytes public_2b, name;
    struct port_tpm p = posix_tpm_port(t);
    struct tpm2_auth auth = tpm2_auth_password(bytes_of(NULL, 0));
    struct tpm2_public area = tpm2_template_ek_l1();
    struct bytes_writer w = bytes_writer_over(command, sizeof command);
    tpm2_create_primary_build(&w, TPM2_RH_ENDORSEMENT, &auth, &area);
    int error =
        p.transact(p.context, bytes_written(&w), response, sizeof response, &len, TPM_CALL_TIMEOUT_MS);
    if (error == 0) {
        error = tpm2_create_primary_parse(bytes_of(response, len), &rc, &object, &public_2b, &name);
    }
    if (error != 0 || public_2b.len > DPS_EK_PUBLIC_MAX) {
        return error != 0 ? error : BYTES_E_SPACE;
    }
    memcpy(ek, public_2b.p, public_2b.len);
    *ek_len = public_2b.len;
    w = bytes_writer_over(command, sizeof command);
    tpm2_flush_context_build(&w, object);
    error = p.transact(p.context, bytes_written(&w), response, sizeof response, &len, TPM_CALL_TIMEOUT_MS);
    return error != 0 ? error : tpm2_flush_context_parse(bytes_of(response, len), &rc);
}

/* Whether the last start of the TPM followed a TPM2_Shutdown. */
static bool started_orderly(struct posix_tpm *t)
{
    uint8_t command[32], response[256];
    size_t len;
    uint32_t rc, capability;
    bool more;
    struct bytes data;
    struct port_tpm p = posix_tpm_port(t);
    struct bytes_writer w = bytes_writer_over(command, sizeof command);
    tpm2_get_capability_build(&w, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_STARTUP_CLEAR, 1);
    if (p.transact(p.context, bytes_written(&w), response, sizeof response, &len, TPM_CALL_TIMEOUT_MS) != 0 ||
        tpm2_get_capability_parse(bytes_of(response, len), &rc, &more, &capability, &data) != 0) {
        return false;
    }
    struct bytes_reader r = bytes_reader_over(data);
    uint32_t count = bytes_read_u32(&r), property = bytes_read_u32(&r), value = bytes_read_u32(&r);
    return count == 1 && property == TPM2_PT_STARTUP_CLEAR && (value & ORDERLY) != 0;
}

static const char *name_of(const char *kind, const char *path)
{
    static char name[300];
    snprintf(name, sizeof name, "%s:%s", kind, path);
    return name;
}

static int names(void)
{
    static const char *const bad[] = {
        "",       "libtpms:",         "swtpm:",        "swtpm:host",       "swtpm:host:0",
        "mssim:", "mssim:host:65535", "tcp:host:2321", "swtpm:::1:2321",   "device",
        "TPM",    "libtpms",          "mssim:host:",   "swtpm:host:99999", "swtpm::1"};
    struct posix_tpm t;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK(tpm_call_open(&t, bad[i]) == BYTES_E_USAGE && strstr(tpm_call_why, "names no TPM") != NULL);
    }
    CHECK(tpm_call_open(&t, "/dev/no-such-tpm") == BYTES_E_TPM_TRANSPORT && tpm_call_why[0] != 0);
    CHECK(tpm_call_open(&t, tpm_call_name("swtpm", support_free_port())) == BYTES_E_TPM_TRANSPORT &&
          tpm_call_why[0] != 0);
    CHECK_EQUAL(tpm_call_open(&t, "swtpm:/no/such/socket"), BYTES_E_TPM_TRANSPORT);
    CHECK(tpm_call_open(&t, "swtpm:no-such-host.invalid:2321") == BYTES_E_TPM_TRANSPORT &&
          strstr(tpm_call_why, "name") != NULL);
    CHECK_EQUAL(tpm_call_random(&t), BYTES_E_TPM_TRANSPORT);
    posix_tpm_close(&t);
    return 0;
}

static int libtpms_keeps_its_state(void)
{
    uint8_t first[DPS_EK_PUBLIC_MAX], again[DPS_EK_PUBLIC_MAX], other[DPS_EK_PUBLIC_MAX];
    size_t first_len, again_len, other_len;
    struct posix_tpm t;
    struct stat st;
    char name[300];
    snprintf(name, sizeof name, "%s", name_of("libtpms", support_path("tpm")));
    CHECK_EQUAL(tpm_call_open(&t, name), 0);
    CHECK_EQUAL(tpm_call_random(&t), 0);
    CHECK_EQUAL(read_ek(&t, first, &first_len), 0);
    posix_tpm_close(&t);
    CHECK_EQUAL(tpm_call_random(&t), BYTES_E_TPM_TRANSPORT); /* closed is closed */
    posix_tpm_close(&t);
    CHECK(stat(support_path("tpm"), &st) == 0 && (st.st_mode & 0777) == 0700);
    CHECK(stat(support_path("tpm/permall"), &st) == 0 && (st.st_mode & 0777) == 0600);

    CHECK_EQUAL(tpm_call_open(&t, name), 0);
    CHECK(started_orderly(&t));
    CHECK_EQUAL(read_ek(&t, again, &again_len), 0);
    posix_tpm_close(&t);
    CHECK(bytes_equal_public(bytes_of(first, first_len), bytes_of(again, again_len)));

    CHECK_EQUAL(tpm_call_open(&t, name_of("libtpms", support_path("other-tpm"))), 0);
    CHECK_EQUAL(read_ek(&t, other, &other_len), 0);
    posix_tpm_close(&t);
    CHECK(!bytes_equal_public(bytes_of(first, first_len), bytes_of(other, other_len)));
    return 0;
}

static int libtpms_refuses(void)
{
    struct posix_tpm t, second;
    char name[300];
    snprintf(name, sizeof name, "%s", name_of("libtpms", support_path("refusing")));
    CHECK_EQUAL(tpm_call_open(&t, name), 0);
    CHECK(tpm_call_open(&second, name) == BYTES_E_TPM_TRANSPORT &&
          strstr(tpm_call_why, "open already") != NULL);
    CHECK_EQUAL(tpm_call_random_within(&t, TPM_CALL_TIMEOUT_MS, 12), BYTES_E_SPACE);
    CHECK_EQUAL(tpm_call_random(&t), 0); /* and is not disturbed by either */
    posix_tpm_close(&t);
    CHECK(tpm_call_open(&t, name_of("libtpms", "/no/such/directory")) == BYTES_E_FILE &&
          tpm_call_why[0] != 0);
    CHECK_EQUAL(posix_file_replace(support_path("refusing/permall"), bytes_of_text("garbage"), 0600), 0);
    CHECK(tpm_call_open(&t, name) == BYTES_E_FILE && strstr(tpm_call_why, "state") != NULL);
    return 0;
}

/* Another process may not have the same state, and may have it once this one has died, however it died. */
static int libtpms_is_locked(void)
{
    char name[300];
    int ready[2];
    snprintf(name, sizeof name, "%s", name_of("libtpms", support_path("locked")));
    CHECK_EQUAL(pipe(ready), 0);
    pid_t child = support_fork();
    CHECK(child >= 0);
    struct posix_tpm t;
    if (child == 0) {
        (void)!write(ready[1], tpm_call_open(&t, name) == 0 ? "y" : "n", 1);
        (void)pause();
        _exit(0);
    }
    char answer = 0;
    CHECK(read(ready[0], &answer, 1) == 1 && answer == 'y');
    int error = tpm_call_open(&t, name);
    support_end(child);
    CHECK(error == BYTES_E_FILE && strstr(tpm_call_why, "in use") != NULL);
    CHECK(tpm_call_open(&t, name) == 0 && tpm_call_random(&t) == 0);
    posix_tpm_close(&t);
    (void)close(ready[0]);
    (void)close(ready[1]);
    return 0;
}

/* Start swtpm with its data channel at server and its state in directory. flags may be null. */
static pid_t start_swtpm(const char *server, const char *directory, const char *flags)
{
    char state[256];
    snprintf(state, sizeof state, "dir=%s", directory);
    (void)mkdir(directory, 0700);
    pid_t child = support_fork();
    if (child != 0) {
        return child;
    }
    int null = open("/dev/null", O_RDWR);
    (void)dup2(null, 1);
    (void)dup2(null, 2);
    execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", state, "--server", server,
           flags == NULL ? (char *)NULL : "--flags", flags, (char *)NULL);
    _exit(127);
}

/* It takes some milliseconds until swtpm listens. */
static int open_retry(struct posix_tpm *t, const char *name)
{
    int error = BYTES_E_TPM_TRANSPORT;
    for (int i = 0; i < OPEN_TRIES && error == BYTES_E_TPM_TRANSPORT; i++) {
        error = tpm_call_open(t, name);
        if (error == BYTES_E_TPM_TRANSPORT) {
            (void)usleep(20000);
        }
    }
    if (error != 0) {
        printf("# %s\n", tpm_call_why);
    }
    return error;
}

static int swtpm_tcp(void)
{
    uint16_t port = support_free_port();
    char server[64];
    snprintf(server, sizeof server, "type=tcp,port=%u", (unsigned)port);
    const char *directory = support_path("swtpm-tcp");
    /* Nobody but us starts this TPM up. */
    pid_t swtpm = start_swtpm(server, directory, "not-need-init");
    uint8_t first[DPS_EK_PUBLIC_MAX], again[DPS_EK_PUBLIC_MAX];
    size_t first_len, again_len;
    struct posix_tpm t;
    CHECK_EQUAL(open_retry(&t, tpm_call_name("swtpm", port)), 0);
    CHECK(tpm_call_random(&t) == 0 && read_ek(&t, first, &first_len) == 0);
    /* A command that failed for lack of room is over; the next one works. */
    CHECK_EQUAL(tpm_call_random_within(&t, TPM_CALL_TIMEOUT_MS, 12), BYTES_E_SPACE);
    CHECK_EQUAL(tpm_call_random(&t), 0);
    support_end(swtpm);
    CHECK_EQUAL(tpm_call_random(&t), BYTES_E_TPM_TRANSPORT);
    /* A new swtpm on the same state: found, started up, and the same TPM. */
    swtpm = start_swtpm(server, directory, "not-need-init");
    int error = BYTES_E_TPM_TRANSPORT;
    for (int i = 0; i < OPEN_TRIES && error != 0; i++) {
        (void)usleep(20000);
        error = tpm_call_random(&t);
    }
    CHECK(error == 0 && read_ek(&t, again, &again_len) == 0);
    CHECK(bytes_equal_public(bytes_of(first, first_len), bytes_of(again, again_len)));
    posix_tpm_close(&t);
    CHECK_EQUAL(tpm_call_open(&t, tpm_call_name("swtpm", port)), 0); /* started already */
    posix_tpm_close(&t);
    support_end(swtpm);
    return 0;
}

static int swtpm_unix(void)
{
    char server[200], name[300];
    snprintf(server, sizeof server, "type=unixio,path=%s", support_path("swtpm.sock"));
    snprintf(name, sizeof name, "%s", name_of("swtpm", support_path("swtpm.sock")));
    pid_t swtpm = start_swtpm(server, support_path("swtpm-unix"), "not-need-init,startup-clear");
    struct posix_tpm t;
    uint8_t ek[DPS_EK_PUBLIC_MAX];
    size_t len;
    CHECK_EQUAL(open_retry(&t, name), 0);
    CHECK(tpm_call_random(&t) == 0 && read_ek(&t, ek, &len) == 0);
    posix_tpm_close(&t);
    CHECK(tpm_call_open(&t, name) == 0 && tpm_call_random(&t) == 0);
    posix_tpm_close(&t);
    support_end(swtpm);
    return 0;
}

/* Without --flags swtpm waits for an initialization that only its control channel could bring. */
static int swtpm_not_initialized(void)
{
    char server[200];
    snprintf(server, sizeof server, "type=unixio,path=%s", support_path("raw.sock"));
    pid_t swtpm = start_swtpm(server, support_path("swtpm-raw"), NULL);
    struct posix_tpm t;
    int error = BYTES_E_TPM_TRANSPORT;
    for (int i = 0; i < OPEN_TRIES && error == BYTES_E_TPM_TRANSPORT; i++) {
        (void)usleep(20000);
        error = tpm_call_open(&t, name_of("swtpm", support_path("raw.sock")));
    }
    CHECK(error == BYTES_E_TPM_RC && strstr(tpm_call_why, "not-need-init") != NULL);
    posix_tpm_close(&t);
    support_end(swtpm);
    return 0;
}

/* swtpm understands the simulator's frames on its data port; its platform port is played by a peer. */
static int mssim(void)
{
    uint16_t port;
    int tpm, platform;
    CHECK_EQUAL(tpm_call_listen_pair(&port, &tpm, &platform), 0);
    (void)close(tpm);
    char server[64];
    snprintf(server, sizeof server, "type=tcp,port=%u", (unsigned)port);
    pid_t swtpm = start_swtpm(server, support_path("mssim"), "not-need-init");
    struct posix_tpm t;
    uint8_t ek[DPS_EK_PUBLIC_MAX];
    size_t len;
    int error = BYTES_E_TPM_TRANSPORT;
    for (int i = 0; i < OPEN_TRIES && error != 0; i++) { /* until swtpm listens */
        pid_t peer = support_peer(platform, tpm_call_platform, TPM_CALL_PLATFORM_STEPS, false);
        error = tpm_call_open(&t, tpm_call_name("mssim", port));
        support_end(peer);
        if (error != 0) {
            (void)usleep(20000);
        }
    }
    CHECK_EQUAL(error, 0);
    CHECK(tpm_call_random(&t) == 0 && read_ek(&t, ek, &len) == 0);
    posix_tpm_close(&t);
    support_end(swtpm);
    (void)close(platform);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        {"tpm: names, and TPMs that are not there", names},
        {"libtpms: keeps its state, and its EK with it", libtpms_keeps_its_state},
        {"libtpms: refuses a second TPM, a small buffer, a broken state", libtpms_refuses},
        {"libtpms: its state is locked", libtpms_is_locked},
        {"swtpm: over TCP, and after its restart", swtpm_tcp},
        {"swtpm: over a unix socket", swtpm_unix},
        {"swtpm: not initialized", swtpm_not_initialized},
        {"mssim: platform and TPM port", mssim},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
