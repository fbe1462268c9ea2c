/* SPDX-License-Identifier: MIT */
/* The TPM transports, each against a real TPM and against peers that misbehave. */
#include "port/posix/posix.h"
#include "tests/port/support.h"
#include "tests/unit/test.h"
#include "tpm/command.h"
#include "tpm/tpm2.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define TIMEOUT_MS 20000
/* TPMA_STARTUP_CLEAR, orderly [P2 r1.59 8.7, Table 39] */
#define ORDERLY 0x80000000U

static char why[512];

static int open_tpm(struct posix_tpm *t, const char *name)
{
    why[0] = 0;
    return posix_tpm_open(t, name, why, sizeof why);
}

static struct span get_random(uint8_t command[16])
{
    struct tpm2_writer w = tpm2_writer_over(command, 16);
    tpm2_get_random_build(&w, 8);
    return tpm2_written(&w);
}

static int transact_random(struct posix_tpm *t, uint32_t timeout_ms, size_t capacity)
{
    uint8_t command[16], response[64];
    size_t len;
    uint32_t rc;
    struct span random;
    struct port_tpm p = posix_tpm_port(t);
    int error = p.transact(p.context, get_random(command), response, capacity, &len, timeout_ms);
    if (error != 0)
        return len == 0 ? error : DPS_E_USAGE; /* no length beside an error */
    error = tpm2_get_random_parse(span_of(response, len), &rc, &random);
    return error == 0 && random.len != 8 ? DPS_E_FORMAT : error;
}

static int random_works(struct posix_tpm *t)
{
    return transact_random(t, TIMEOUT_MS, 64);
}

/* The EK's public area, made anew; the object is flushed. */
static int read_ek(struct posix_tpm *t, uint8_t ek[DPS_EK_PUBLIC_MAX], size_t *ek_len)
{
    uint8_t command[DPS_TPM_BUFFER], response[DPS_TPM_BUFFER];
    size_t len;
    uint32_t rc, object;
    struct span public_2b, name;
    struct port_tpm p = posix_tpm_port(t);
    struct tpm2_auth auth = tpm2_auth_password(span_of(NULL, 0));
    struct tpm2_public area = tpm2_template_ek_l1();
    struct tpm2_writer w = tpm2_writer_over(command, sizeof command);
    tpm2_create_primary_build(&w, TPM2_RH_ENDORSEMENT, &auth, &area);
    int error = p.transact(p.context, tpm2_written(&w), response, sizeof response, &len, TIMEOUT_MS);
    if (error == 0)
        error = tpm2_create_primary_parse(span_of(response, len), &rc, &object, &public_2b, &name);
    if (error != 0 || public_2b.len > DPS_EK_PUBLIC_MAX)
        return error != 0 ? error : DPS_E_SPACE;
    memcpy(ek, public_2b.p, public_2b.len);
    *ek_len = public_2b.len;
    w = tpm2_writer_over(command, sizeof command);
    tpm2_flush_context_build(&w, object);
    error = p.transact(p.context, tpm2_written(&w), response, sizeof response, &len, TIMEOUT_MS);
    return error != 0 ? error : tpm2_flush_context_parse(span_of(response, len), &rc);
}

/* Whether the last start of the TPM followed a TPM2_Shutdown. */
static bool started_orderly(struct posix_tpm *t)
{
    uint8_t command[32], response[256];
    size_t len;
    uint32_t rc, capability;
    bool more;
    struct span data;
    struct port_tpm p = posix_tpm_port(t);
    struct tpm2_writer w = tpm2_writer_over(command, sizeof command);
    tpm2_get_capability_build(&w, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_STARTUP_CLEAR, 1);
    if (p.transact(p.context, tpm2_written(&w), response, sizeof response, &len, TIMEOUT_MS) != 0 ||
        tpm2_get_capability_parse(span_of(response, len), &rc, &more, &capability, &data) != 0)
        return false;
    struct tpm2_reader r = tpm2_reader_over(data);
    uint32_t count = tpm2_read_u32(&r), property = tpm2_read_u32(&r), value = tpm2_read_u32(&r);
    return count == 1 && property == TPM2_PT_STARTUP_CLEAR && (value & ORDERLY) != 0;
}

static const char *name_of(const char *kind, const char *path)
{
    static char name[300];
    snprintf(name, sizeof name, "%s:%s", kind, path);
    return name;
}

static const char *name_at(const char *kind, uint16_t port)
{
    static char name[64];
    snprintf(name, sizeof name, "%s:127.0.0.1:%u", kind, (unsigned)port);
    return name;
}

static int names(void)
{
    static const char *const bad[] = {
        "",       "libtpms:",         "swtpm:",        "swtpm:host",       "swtpm:host:0",
        "mssim:", "mssim:host:65535", "tcp:host:2321", "swtpm:::1:2321",   "device",
        "TPM",    "libtpms",          "mssim:host:",   "swtpm:host:99999", "swtpm::1"};
    struct posix_tpm t;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK(open_tpm(&t, bad[i]) == DPS_E_USAGE && strstr(why, "names no TPM") != NULL);
    CHECK(open_tpm(&t, "/dev/no-such-tpm") == DPS_E_TPM_TRANSPORT && why[0] != 0);
    CHECK(open_tpm(&t, name_at("swtpm", support_free_port())) == DPS_E_TPM_TRANSPORT && why[0] != 0);
    CHECK(open_tpm(&t, "swtpm:/no/such/socket") == DPS_E_TPM_TRANSPORT);
    CHECK(open_tpm(&t, "swtpm:no-such-host.invalid:2321") == DPS_E_TPM_TRANSPORT &&
          strstr(why, "name") != NULL);
    CHECK(random_works(&t) == DPS_E_TPM_TRANSPORT);
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
    CHECK(open_tpm(&t, name) == 0);
    CHECK(random_works(&t) == 0);
    CHECK(read_ek(&t, first, &first_len) == 0);
    posix_tpm_close(&t);
    CHECK(random_works(&t) == DPS_E_TPM_TRANSPORT); /* closed is closed */
    posix_tpm_close(&t);
    CHECK(stat(support_path("tpm"), &st) == 0 && (st.st_mode & 0777) == 0700);
    CHECK(stat(support_path("tpm/permall"), &st) == 0 && (st.st_mode & 0777) == 0600);

    CHECK(open_tpm(&t, name) == 0);
    CHECK(started_orderly(&t));
    CHECK(read_ek(&t, again, &again_len) == 0);
    posix_tpm_close(&t);
    CHECK(span_equal(span_of(first, first_len), span_of(again, again_len)));

    CHECK(open_tpm(&t, name_of("libtpms", support_path("other-tpm"))) == 0);
    CHECK(read_ek(&t, other, &other_len) == 0);
    posix_tpm_close(&t);
    CHECK(!span_equal(span_of(first, first_len), span_of(other, other_len)));
    return 0;
}

static int libtpms_refuses(void)
{
    struct posix_tpm t, second;
    char name[300];
    snprintf(name, sizeof name, "%s", name_of("libtpms", support_path("refusing")));
    CHECK(open_tpm(&t, name) == 0);
    CHECK(open_tpm(&second, name) == DPS_E_TPM_TRANSPORT && strstr(why, "open already") != NULL);
    CHECK(transact_random(&t, TIMEOUT_MS, 12) == DPS_E_SPACE);
    CHECK(random_works(&t) == 0); /* and is not disturbed by either */
    posix_tpm_close(&t);
    CHECK(open_tpm(&t, name_of("libtpms", "/no/such/directory")) == DPS_E_FILE && why[0] != 0);
    CHECK(posix_file_replace(support_path("refusing/permall"), span_of_text("garbage"), 0600) == 0);
    CHECK(open_tpm(&t, name) == DPS_E_FILE && strstr(why, "state") != NULL);
    return 0;
}

/* Another process may not have the same state, and may have it once this one has died, however it died. */
static int libtpms_is_locked(void)
{
    char name[300];
    int ready[2];
    snprintf(name, sizeof name, "%s", name_of("libtpms", support_path("locked")));
    CHECK(pipe(ready) == 0);
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    struct posix_tpm t;
    if (child == 0) {
        (void)!write(ready[1], open_tpm(&t, name) == 0 ? "y" : "n", 1);
        (void)pause();
        _exit(0);
    }
    char answer = 0;
    CHECK(read(ready[0], &answer, 1) == 1 && answer == 'y');
    int error = open_tpm(&t, name);
    support_end(child);
    CHECK(error == DPS_E_FILE && strstr(why, "in use") != NULL);
    CHECK(open_tpm(&t, name) == 0 && random_works(&t) == 0);
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
    fflush(stdout);
    pid_t child = fork();
    if (child != 0)
        return child;
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
    int error = DPS_E_TPM_TRANSPORT;
    for (int i = 0; i < 250 && error == DPS_E_TPM_TRANSPORT; i++) {
        error = open_tpm(t, name);
        if (error == DPS_E_TPM_TRANSPORT)
            (void)usleep(20000);
    }
    if (error != 0)
        printf("# %s\n", why);
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
    CHECK(open_retry(&t, name_at("swtpm", port)) == 0);
    CHECK(random_works(&t) == 0 && read_ek(&t, first, &first_len) == 0);
    /* A command that failed for lack of room is over; the next one works. */
    CHECK(transact_random(&t, TIMEOUT_MS, 12) == DPS_E_SPACE);
    CHECK(random_works(&t) == 0);
    support_end(swtpm);
    CHECK(random_works(&t) == DPS_E_TPM_TRANSPORT);
    /* A new swtpm on the same state: found, started up, and the same TPM. */
    swtpm = start_swtpm(server, directory, "not-need-init");
    int error = DPS_E_TPM_TRANSPORT;
    for (int i = 0; i < 250 && error != 0; i++) {
        (void)usleep(20000);
        error = random_works(&t);
    }
    CHECK(error == 0 && read_ek(&t, again, &again_len) == 0);
    CHECK(span_equal(span_of(first, first_len), span_of(again, again_len)));
    posix_tpm_close(&t);
    CHECK(open_tpm(&t, name_at("swtpm", port)) == 0); /* started already */
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
    CHECK(open_retry(&t, name) == 0);
    CHECK(random_works(&t) == 0 && read_ek(&t, ek, &len) == 0);
    posix_tpm_close(&t);
    CHECK(open_tpm(&t, name) == 0 && random_works(&t) == 0);
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
    int error = DPS_E_TPM_TRANSPORT;
    for (int i = 0; i < 250 && error == DPS_E_TPM_TRANSPORT; i++) {
        (void)usleep(20000);
        error = open_tpm(&t, name_of("swtpm", support_path("raw.sock")));
    }
    CHECK(error == DPS_E_TPM_RC && strstr(why, "not-need-init") != NULL);
    posix_tpm_close(&t);
    support_end(swtpm);
    return 0;
}

/* Two neighbouring ports: the TPM's, free or listening, and the platform's. */
static int listen_pair(uint16_t *port, int *tpm, int *platform)
{
    uint16_t ignored;
    for (int i = 0; i < 100; i++) {
        *tpm = support_listen(0, port);
        *platform = *port < 65535 ? support_listen((uint16_t)(*port + 1), &ignored) : -1;
        if (*platform >= 0)
            return 0;
        (void)close(*tpm);
    }
    return DPS_E_STREAM;
}

static const uint8_t zero[4];
static const struct support_step platform_steps[] = {{zero, 4, false, false}, {zero, 4, false, false}};

/* swtpm understands the simulator's frames on its data port; its platform port is played by a peer. */
static int mssim(void)
{
    uint16_t port;
    int tpm, platform;
    CHECK(listen_pair(&port, &tpm, &platform) == 0);
    (void)close(tpm);
    char server[64];
    snprintf(server, sizeof server, "type=tcp,port=%u", (unsigned)port);
    pid_t swtpm = start_swtpm(server, support_path("mssim"), "not-need-init");
    struct posix_tpm t;
    uint8_t ek[DPS_EK_PUBLIC_MAX];
    size_t len;
    int error = DPS_E_TPM_TRANSPORT;
    for (int i = 0; i < 100 && error != 0; i++) { /* until swtpm listens */
        pid_t peer = support_peer(platform, platform_steps, 2, false);
        error = open_tpm(&t, name_at("mssim", port));
        support_end(peer);
        if (error != 0)
            (void)usleep(20000);
    }
    CHECK(error == 0);
    CHECK(random_works(&t) == 0 && read_ek(&t, ek, &len) == 0);
    posix_tpm_close(&t);
    support_end(swtpm);
    (void)close(platform);
    return 0;
}

#define HEADER(size) "\x80\x01" size "\0\0\0\0"
#define STARTED HEADER("\0\0\0\x0a")
#define RANDOM                                                                                               \
    HEADER("\0\0\0\x14")                                                                                     \
    "\0\x08"                                                                                                 \
    "12345678"

static const struct fake {
    const char *name;
    const char *answer;
    size_t len;
    int result;
    bool bytewise, silent;
} fakes[] = {
    {"whole", RANDOM, 20, 0, false, false},
    {"byte by byte", RANDOM, 20, 0, true, false},
    {"no answer, closed", "", 0, DPS_E_TPM_TRANSPORT, false, false},
    {"no answer, open", "", 0, DPS_E_TIMEOUT, false, true},
    {"short header, closed", RANDOM, 4, DPS_E_TPM_TRANSPORT, false, false},
    {"short header, open", RANDOM, 9, DPS_E_TIMEOUT, false, true},
    {"closed in the middle", RANDOM, 15, DPS_E_TPM_TRANSPORT, false, false},
    {"size 0", HEADER("\0\0\0\0"), 10, DPS_E_FORMAT, false, true},
    {"size 9", HEADER("\0\0\0\x09"), 9, DPS_E_FORMAT, false, true},
    {"size 0xFFFFFFFF", HEADER("\xff\xff\xff\xff"), 10, DPS_E_FORMAT, false, true},
    {"size above the buffer", HEADER("\0\0\x01\0"), 10, DPS_E_SPACE, false, true},
};
#define FAKES (sizeof fakes / sizeof fakes[0])
/* A peer that stays silent is waited for only so long. */
#define FAKE_TIMEOUT_MS 300

static int fakes_over_tcp(void)
{
    for (size_t i = 0; i < FAKES; i++) {
        uint16_t port;
        int listener = support_listen(0, &port);
        const struct support_step steps[] = {{STARTED, 10, false, false},
                                             {fakes[i].answer, fakes[i].len, false, fakes[i].bytewise}};
        const struct support_step good[] = {{STARTED, 10, false, false}, {RANDOM, 20, false, false}};
        struct posix_tpm t;
        pid_t peer = support_peer(listener, steps, 2, fakes[i].silent);
        CHECK(open_tpm(&t, name_at("swtpm", port)) == 0);
        int result = transact_random(&t, FAKE_TIMEOUT_MS, 64);
        support_end(peer);
        if (result != fakes[i].result)
            printf("# %s: %d\n", fakes[i].name, result);
        CHECK(result == fakes[i].result);
        /* Whatever happened, the next call connects anew. */
        peer = support_peer(listener, good, 2, true);
        CHECK(random_works(&t) == 0);
        posix_tpm_close(&t);
        support_end(peer);
        (void)close(listener);
    }
    return 0;
}

/* Bytes behind a response are not the answer to the next command. */
static int unasked_bytes_are_dropped(void)
{
    uint16_t port;
    int listener = support_listen(0, &port);
    static const struct support_step talkative[] = {{STARTED HEADER("\0\0\0\x0a"), 20, false, false}};
    static const struct support_step good[] = {{STARTED, 10, false, false}, {RANDOM, 20, false, false}};
    struct posix_tpm t;
    pid_t peer = support_peer(listener, talkative, 1, true);
    CHECK(open_tpm(&t, name_at("swtpm", port)) == 0);
    pid_t second = support_peer(listener, good, 2, true);
    CHECK(random_works(&t) == 0);
    posix_tpm_close(&t);
    support_end(peer);
    support_end(second);
    (void)close(listener);
    return 0;
}

static const struct fake_mssim {
    const char *name;
    const char *answer;
    size_t len;
    int result;
} fakes_mssim[] = {
    {"whole", "\0\0\0\x14" RANDOM "\0\0\0\0", 28, 0},
    {"lengths contradict each other", "\0\0\0\x15" RANDOM "\0\0\0\0", 28, DPS_E_FORMAT},
    {"length 0xFFFFFFFF", "\xff\xff\xff\xff" RANDOM "\0\0\0\0", 28, DPS_E_FORMAT},
    {"inner size 0xFFFFFFFF", "\0\0\0\x0a" HEADER("\xff\xff\xff\xff") "\0\0\0\0", 18, DPS_E_FORMAT},
    {"failed", "\0\0\0\x14" RANDOM "\0\0\0\x01", 28, DPS_E_TPM_TRANSPORT},
    {"closed before the last zero", "\0\0\0\x14" RANDOM "\0\0\0", 27, DPS_E_TPM_TRANSPORT},
};

static int fakes_over_mssim(void)
{
    for (size_t i = 0; i < sizeof fakes_mssim / sizeof fakes_mssim[0]; i++) {
        const struct fake_mssim *f = &fakes_mssim[i];
        uint16_t port;
        int tpm, platform;
        CHECK(listen_pair(&port, &tpm, &platform) == 0);
        const struct support_step steps[] = {{"\0\0\0\x0a" STARTED "\0\0\0\0", 18, false, false},
                                             {f->answer, f->len, false, false}};
        pid_t peers[] = {support_peer(platform, platform_steps, 2, false),
                         support_peer(tpm, steps, 2, false)};
        struct posix_tpm t;
        CHECK(open_tpm(&t, name_at("mssim", port)) == 0);
        int result = transact_random(&t, 2000, 64);
        if (result != f->result)
            printf("# %s: %d\n", f->name, result);
        CHECK(result == f->result);
        posix_tpm_close(&t);
        support_end(peers[0]);
        support_end(peers[1]);
        (void)close(tpm);
        (void)close(platform);
    }
    return 0;
}

static int mssim_without_power(void)
{
    uint16_t port;
    int tpm, platform;
    CHECK(listen_pair(&port, &tpm, &platform) == 0);
    static const struct support_step refusing[] = {{"\0\0\0\x01", 4, false, false}};
    pid_t peer = support_peer(platform, refusing, 1, false);
    struct posix_tpm t;
    CHECK(open_tpm(&t, name_at("mssim", port)) == DPS_E_TPM_TRANSPORT);
    support_end(peer);
    (void)close(tpm);
    (void)close(platform);
    return 0;
}

/* A character device whose driver is a process: a pseudo-terminal in raw mode. */
static pid_t start_device(const struct fake *f, char *path, size_t path_size)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios raw;
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0 ||
        ptsname_r(master, path, path_size) != 0 || tcgetattr(master, &raw) != 0)
        return -1;
    cfmakeraw(&raw);
    int slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0 || tcsetattr(slave, TCSANOW, &raw) != 0)
        return -1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        uint8_t command[256];
        if (read(master, command, sizeof command) > 0 && f->len > 0)
            (void)!write(master, f->answer, f->len);
        if (f->silent)
            (void)pause();
        (void)usleep(50000); /* closing at once would take the answer away */
        _exit(0);
    }
    (void)close(master);
    (void)close(slave);
    return child;
}

static const struct fake device_fakes[] = {
    {"whole", RANDOM, 20, 0, false, true},
    {"no answer", "", 0, DPS_E_TIMEOUT, false, true},
    {"gone", "", 0, DPS_E_TPM_TRANSPORT, false, false},
    {"short header", RANDOM, 5, DPS_E_TPM_TRANSPORT, false, true},
    {"cut off", RANDOM, 19, DPS_E_TPM_TRANSPORT, false, true},
    {"bytes left over", RANDOM "x", 21, DPS_E_FORMAT, false, true},
    {"size 9", HEADER("\0\0\0\x09"), 10, DPS_E_FORMAT, false, true},
    {"size 0xFFFFFFFF", HEADER("\xff\xff\xff\xff"), 10, DPS_E_FORMAT, false, true},
    {"size above the buffer", HEADER("\0\0\x01\0"), 10, DPS_E_SPACE, false, true},
};

static int device(void)
{
    for (size_t i = 0; i < sizeof device_fakes / sizeof device_fakes[0]; i++) {
        const struct fake *f = &device_fakes[i];
        char path[64];
        struct posix_tpm t;
        pid_t driver = start_device(f, path, sizeof path);
        CHECK(driver > 0);
        CHECK(open_tpm(&t, path) == 0);
        int result = transact_random(&t, f->result == DPS_E_TIMEOUT ? FAKE_TIMEOUT_MS : 2000, 64);
        if (result != f->result)
            printf("# %s: %d\n", f->name, result);
        CHECK(result == f->result);
        CHECK((t.fd == -1) == (f->result != 0));
        posix_tpm_close(&t);
        support_end(driver);
    }
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
        {"peers: over TCP", fakes_over_tcp},
        {"peers: unasked bytes are dropped", unasked_bytes_are_dropped},
        {"peers: over the simulator's protocol", fakes_over_mssim},
        {"peers: a simulator that does not power on", mssim_without_power},
        {"device: whole answers and broken ones", device},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
