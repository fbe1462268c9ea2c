/* SPDX-License-Identifier: MIT */
#include "port/posix/private.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>

volatile int posix_interrupted;

static uint64_t unix_seconds(void *context)
{
    (void)context;
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0 || now.tv_sec < 0) {
        return 0;
    }
    return (uint64_t)now.tv_sec;
}

uint64_t posix_monotonic_ms(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail on Linux */
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t posix_deadline(uint32_t timeout_ms)
{
    return posix_monotonic_ms() + timeout_ms;
}

static uint64_t monotonic_ms(void *context)
{
    (void)context;
    return posix_monotonic_ms();
}

/* In slices: a signal that arrives between the look at posix_interrupted and nanosleep interrupts nothing, and must not
 * cost more than one slice. */
static int sleep_ms(void *context, uint32_t ms)
{
    (void)context;
    const uint64_t slice_ms = 100;
    uint64_t end = posix_deadline(ms);
    for (;;) {
        if (posix_interrupted) {
            return BYTES_E_TIMEOUT;
        }
        uint64_t now = posix_monotonic_ms();
        if (now >= end) {
            return 0;
        }
        uint64_t part = end - now < slice_ms ? end - now : slice_ms;
        struct timespec wait = {.tv_nsec = (long)part * 1000000};
        (void)nanosleep(&wait, NULL);
    }
}

struct port_clock posix_clock(void)
{
    return (struct port_clock){NULL, unix_seconds, monotonic_ms, sleep_ms};
}

static int system_fill(void *context, uint8_t *out, size_t len)
{
    (void)context;
    size_t got = 0;
    while (got < len) {
        ssize_t n = getrandom(out + got, len - got, 0);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            bytes_wipe(out, len);
            return BYTES_E_ENTROPY;
        }
        got += (size_t)n;
    }
    return 0;
}

struct crypto_entropy posix_entropy(void)
{
    return (struct crypto_entropy){NULL, system_fill};
}

static int seeded_fill(void *context, uint8_t *out, size_t len)
{
    struct crypto_drbg *d = context;
    crypto_drbg_generate(d, out, len);
    return 0;
}

struct crypto_entropy posix_entropy_seeded(struct crypto_drbg *d, const char *seed)
{
    crypto_drbg_init(d, bytes_of_text(seed));
    return (struct crypto_entropy){d, seeded_fill};
}

static void on_signal(int number)
{
    posix_interrupted = number;
}

/* Without SA_RESTART, so that waiting calls notice. A reader that went away shows as a failed write in the end. */
void posix_catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &action, NULL);
}

/* The limit is for dumps into files, the flag also for dumps that a program collects (core_pattern(5)). */
void posix_keep_memory_private(void)
{
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0);
}
