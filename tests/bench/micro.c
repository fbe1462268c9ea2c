/* SPDX-License-Identifier: MIT */
#include "tests/bench/micro.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUND_US 5000

static double paused_us, pause_began;

static double cpu_us(void)
{
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

void micro_pause(void)
{
    pause_began = cpu_us();
}

void micro_resume(void)
{
    paused_us += cpu_us() - pause_began;
}

/* One round. Returns: microseconds a run, or less than 0 if a run failed. */
static double measure(const struct micro *m)
{
    const double begin = cpu_us();
    double spent = 0;
    unsigned runs = 0;
    paused_us = 0;
    while (spent < ROUND_US) {
        if (!m->run(m->context)) {
            return -1;
        }
        runs++;
        spent = cpu_us() - begin - paused_us;
        /* The part that is not measured takes time too. */
        if (cpu_us() - begin > 8 * ROUND_US) {
            break;
        }
    }
    return spent / runs;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* only: a name, or null for all. */
static int run(struct micro *all, size_t count, size_t rounds, const char *only)
{
    for (size_t r = 0; r < rounds; r++) {
        for (size_t i = 0; i < count; i++) {
            if (only != NULL && strcmp(only, all[i].name) != 0) {
                continue;
            }
            all[i].us[r] = measure(&all[i]);
            if (all[i].us[r] < 0) {
                fprintf(stderr, "dps-micro: %s failed\n", all[i].name);
                return POSIX_EXIT_REFUSED;
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (only != NULL && strcmp(only, all[i].name) != 0) {
            continue;
        }
        qsort(all[i].us, rounds, sizeof all[i].us[0], compare);
        printf("%s %.3f %.3f\n", all[i].name, all[i].us[0], all[i].us[rounds / 2]);
    }
    return POSIX_EXIT_OK;
}

/* Ours, with whatever is behind crypto.h in this program; and the two libraries, which are the same in each. */
int main(int argc, char **argv)
{
    static struct load_keys keys;
    static struct micro_blob blob;
    const size_t rounds = argc == 2 || argc == 3 ? (size_t)strtoul(argv[1], NULL, 10) : 0;
    if (rounds == 0 || rounds > MICRO_ROUNDS_MAX) {
        fputs("usage: dps-micro ROUNDS [NAME]\n\nPrints \"name best median\" in microseconds of CPU time a "
              "run; its "
              "files go to "
              "the current directory.\n",
              stderr);
        return POSIX_EXIT_USAGE;
    }
    if (!load_keys_make(&keys) || !micro_blob_init(&blob, &keys)) {
        return POSIX_EXIT_STORE;
    }
    struct micro_service *service = micro_service_open(&keys);
    struct micro_store *store_1 = micro_store_open("micro-1.db", &keys, 1);
    struct micro_store *store_16 = micro_store_open("micro-16.db", &keys, 16);
    struct micro_tls *tls = micro_tls_open();
    if (service == NULL || store_1 == NULL || store_16 == NULL || tls == NULL) {
        fputs("dps-micro: the parts could not be made\n", stderr);
        return POSIX_EXIT_STORE;
    }
    static struct micro all[12];
    const struct micro wanted[] = {
        {.name = "blob", .run = micro_blob_ours, .context = &blob},
        {.name = "blob_crypto_h", .run = micro_blob_crypto, .context = &blob},
        {.name = "blob_bearssl", .run = micro_blob_bearssl, .context = &blob},
        {.name = "blob_libcrypto", .run = micro_blob_libcrypto, .context = &blob},
        {.name = "sas", .run = micro_service_sas, .context = service},
        {.name = "text", .run = micro_service_text, .context = service},
        {.name = "registration", .run = micro_service_registration, .context = service},
        {.name = "store_1", .run = micro_store_registration, .context = store_1},
        {.name = "store_16", .run = micro_store_registration, .context = store_16},
        {.name = "tls_full", .run = micro_tls_full, .context = tls},
        {.name = "tls_resumed", .run = micro_tls_resumed, .context = tls},
        {.name = "tls_request", .run = micro_tls_request, .context = tls},
    };
    memcpy(all, wanted, sizeof wanted);
    return run(all, sizeof all / sizeof all[0], rounds, argv[2]);
}
