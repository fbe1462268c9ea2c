/* SPDX-License-Identifier: MIT */
/* The TPM transports against peers that break off, contradict themselves, say too much or nothing. */
#include "tests/port/tpm_calls.h"
#include "tests/unit/test.h"
#include <stdio.h>
#include <unistd.h>

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
    {"no answer, closed", "", 0, BYTES_E_TPM_TRANSPORT, false, false},
    {"no answer, open", "", 0, BYTES_E_TIMEOUT, false, true},
    {"short header, closed", RANDOM, 4, BYTES_E_TPM_TRANSPORT, false, false},
    {"short header, open", RANDOM, 9, BYTES_E_TIMEOUT, false, true},
    {"closed in the middle", RANDOM, 15, BYTES_E_TPM_TRANSPORT, false, false},
    {"size 0", HEADER("\0\0\0\0"), 10, BYTES_E_FORMAT, false, true},
    {"size 9", HEADER("\0\0\0\x09"), 9, BYTES_E_FORMAT, false, true},
    {"size 0xFFFFFFFF", HEADER("\xff\xff\xff\xff"), 10, BYTES_E_FORMAT, false, true},
    {"size above the buffer", HEADER("\0\0\x01\0"), 10, BYTES_E_SPACE, false, true},
};
#define FAKES (sizeof fakes / sizeof fakes[0])

/* A peer that stays silent is not waited for longer than need be. */
static uint32_t patience(int result)
{
    return result == BYTES_E_TIMEOUT ? 300 : TPM_CALL_TIMEOUT_MS;
}

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
        CHECK_EQUAL(tpm_call_open(&t, tpm_call_name("swtpm", port)), 0);
        int result = tpm_call_random_within(&t, patience(fakes[i].result), 64);
        support_end(peer);
        if (result != fakes[i].result) {
            printf("# %s: %d\n", fakes[i].name, result);
        }
        CHECK_EQUAL(result, fakes[i].result);
        /* Whatever happened, the next call connects anew. */
        peer = support_peer(listener, good, 2, true);
        CHECK_EQUAL(tpm_call_random(&t), 0);
        posix_tpm_close(&t);
        support_end(peer);
        (void)close(listener);
    }
    return 0;
}

/* Bytes after a response are not the answer to the next command. */
static int unasked_bytes_are_dropped(void)
{
    uint16_t port;
    int listener = support_listen(0, &port);
    static const struct support_step talkative[] = {{STARTED HEADER("\0\0\0\x0a"), 20, false, false}};
    static const struct support_step good[] = {{STARTED, 10, false, false}, {RANDOM, 20, false, false}};
    struct posix_tpm t;
    pid_t peer = support_peer(listener, talkative, 1, true);
    CHECK_EQUAL(tpm_call_open(&t, tpm_call_name("swtpm", port)), 0);
    pid_t second = support_peer(listener, good, 2, true);
    CHECK_EQUAL(tpm_call_random(&t), 0);
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
    {"lengths contradict each other", "\0\0\0\x15" RANDOM "\0\0\0\0", 28, BYTES_E_FORMAT},
    {"length 0xFFFFFFFF", "\xff\xff\xff\xff" RANDOM "\0\0\0\0", 28, BYTES_E_FORMAT},
    {"inner size 0xFFFFFFFF", "\0\0\0\x0a" HEADER("\xff\xff\xff\xff") "\0\0\0\0", 18, BYTES_E_FORMAT},
    {"failed", "\0\0\0\x14" RANDOM "\0\0\0\x01", 28, BYTES_E_TPM_TRANSPORT},
    {"closed before the last zero", "\0\0\0\x14" RANDOM "\0\0\0", 27, BYTES_E_TPM_TRANSPORT},
};

static int fakes_over_mssim(void)
{
    for (size_t i = 0; i < sizeof fakes_mssim / sizeof fakes_mssim[0]; i++) {
        const struct fake_mssim *f = &fakes_mssim[i];
        uint16_t port;
        int tpm, platform;
        CHECK_EQUAL(tpm_call_listen_pair(&port, &tpm, &platform), 0);
        const struct support_step steps[] = {{"\0\0\0\x0a" STARTED "\0\0\0\0", 18, false, false},
                                             {f->answer, f->len, false, false}};
        pid_t peers[] = {support_peer(platform, tpm_call_platform, TPM_CALL_PLATFORM_STEPS, false),
                         support_peer(tpm, steps, 2, false)};
        struct posix_tpm t;
        CHECK_EQUAL(tpm_call_open(&t, tpm_call_name("mssim", port)), 0);
        int result = tpm_call_random_within(&t, patience(f->result), 64);
        if (result != f->result) {
            printf("# %s: %d\n", f->name, result);
        }
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
    CHECK_EQUAL(tpm_call_listen_pair(&port, &tpm, &platform), 0);
    static const struct support_step refusing[] = {{"\0\0\0\x01", 4, false, false}};
    pid_t peer = support_peer(platform, refusing, 1, false);
    struct posix_tpm t;
    CHECK_EQUAL(tpm_call_open(&t, tpm_call_name("mssim", port)), BYTES_E_TPM_TRANSPORT);
    support_end(peer);
    (void)close(tpm);
    (void)close(platform);
    return 0;
}

static pid_t start_device(const struct fake *f, char *path, size_t path_size)
{
    int slave;
    int master = tpm_call_terminal(path, path_size, &slave);
    if (master < 0) {
        return -1;
    }
    pid_t child = support_fork();
    if (child == 0) {
        /* The first command only asks whether this is a TPM. */
        uint8_t command[256];
        if (read(master, command, sizeof command) > 0) {
            (void)!write(master, RANDOM, 20);
        }
        if (read(master, command, sizeof command) > 0 && f->len > 0) {
            (void)!write(master, f->answer, f->len);
        }
        if (f->silent) {
            (void)pause();
        }
        _exit(0);
    }
    (void)close(master);
    (void)close(slave);
    return child;
}

static const struct fake device_fakes[] = {
    {"whole", RANDOM, 20, 0, false, true},
    {"no answer", "", 0, BYTES_E_TIMEOUT, false, true},
    {"gone", "", 0, BYTES_E_TPM_TRANSPORT, false, false},
    {"short header", RANDOM, 5, BYTES_E_TPM_TRANSPORT, false, true},
    {"cut off", RANDOM, 19, BYTES_E_TPM_TRANSPORT, false, true},
    {"bytes left over", RANDOM "x", 21, BYTES_E_FORMAT, false, true},
    {"size 9", HEADER("\0\0\0\x09"), 10, BYTES_E_FORMAT, false, true},
    {"size 0xFFFFFFFF", HEADER("\xff\xff\xff\xff"), 10, BYTES_E_FORMAT, false, true},
    {"size above the buffer", HEADER("\0\0\x01\0"), 10, BYTES_E_SPACE, false, true},
};

static int device(void)
{
    for (size_t i = 0; i < sizeof device_fakes / sizeof device_fakes[0]; i++) {
        const struct fake *f = &device_fakes[i];
        char path[64];
        struct posix_tpm t;
        pid_t driver = start_device(f, path, sizeof path);
        CHECK(driver > 0);
        CHECK_EQUAL(tpm_call_open(&t, path), 0);
        int result = tpm_call_random_within(&t, patience(f->result), 64);
        if (result != f->result) {
            printf("# %s: %d\n", f->name, result);
        }
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
        {"peers: over TCP", fakes_over_tcp},
        {"peers: unasked bytes are dropped", unasked_bytes_are_dropped},
        {"peers: over the simulator's protocol", fakes_over_mssim},
        {"peers: a simulator that does not power on", mssim_without_power},
        {"device: whole answers and broken ones", device},
    };
    return test_run(tests, sizeof tests / sizeof tests[0]);
}
