/* SPDX-License-Identifier: MIT */
/* dps-bench: load for a provisioning service, and how fast it answers. */
#include "port/posix/private.h"
#include "tests/bench/load.h"
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct arguments {
    const char *service, *ca, *scope, *prefix, *mode, *keys, *get;
    uint64_t clients, ids, seconds, rate, idle;
    bool help, quiet, print_ek;
};
static struct arguments given = {.clients = 16, .ids = 1000, .seconds = 5};

static const struct posix_option options[] = {
    {.name = "service",
     .argument = "URL",
     .text = &given.service,
     .help = "https://HOST:PORT, or http:// for a --proxy-listen"},
    {.name = "ca", .argument = "FILE", .text = &given.ca, .help = "PEM: trusted issuers of its certificate"},
    {.name = "scope", .argument = "ID", .text = &given.scope, .help = "the ID scope"},
    {.name = "keys",
     .argument = "FILE",
     .text = &given.keys,
     .help = "the devices' EK and SRK; made if missing"},
    {.name = "print-ek",
     .flag = &given.print_ek,
     .help = "print EK_pub of --keys in base64, for enrolling, and end"},
    {.name = "prefix",
     .argument = "TEXT",
     .text = &given.prefix,
     .help = "registration IDs are TEXT0, TEXT1, ... (default bench-)"},
    {.name = "ids",
     .argument = "N",
     .number = &given.ids,
     .maximum = 100000000,
     .help = "how many of them are enrolled (default 1000)"},
    {.name = "mode",
     .argument = "full|resume|keep-alive",
     .text = &given.mode,
     .help = "connections: a full TLS handshake or a resumed one for each\nregistration, or one for all of a "
             "client (default full)"},
    {.name = "clients",
     .argument = "N",
     .number = &given.clients,
     .maximum = LOAD_CLIENTS_MAX,
     .help = "devices at the same time (default 16)"},
    {.name = "rate",
     .argument = "N",
     .number = &given.rate,
     .maximum = 1000000,
     .help = "registrations a second (default: as fast as they are answered)"},
    {.name = "seconds",
     .argument = "N",
     .number = &given.seconds,
     .maximum = 86400,
     .help = "how long (default 5)"},
    {.name = "idle",
     .argument = "N",
     .number = &given.idle,
     .maximum = 1000000,
     .help = "instead of registering: open N connections, say so, and keep them"},
    {.name = "get",
     .argument = "PATH",
     .text = &given.get,
     .help = "instead of registering: ask for PATH, and count answers as registrations\n(what a bare web "
             "server costs)"},
    {.name = "quiet", .flag = &given.quiet, .help = "no progress on standard error"},
    {.name = "help", .flag = &given.help, .help = "this text"},
};
static const struct posix_option_group group = {"Options", options, sizeof options / sizeof options[0]};

/* ---- Keys in a file: the two structures, for this machine only ---- */

static bool keys_load(struct load_keys *k, const char *path)
{
    FILE *f = path != NULL ? fopen(path, "rb") : NULL;
    const bool whole = f != NULL && fread(k, sizeof *k, 1, f) == 1;
    if (f != NULL) {
        (void)fclose(f);
    }
    if (!whole) {
        return false;
    }
    /* The numbers are in storage, wherever that is now. */
    struct bytes *const numbers[2][5] = {{&k->ek.p, &k->ek.q, &k->ek.dp, &k->ek.dq, &k->ek.iq},
                                         {&k->srk.p, &k->srk.q, &k->srk.dp, &k->srk.dq, &k->srk.iq}};
    for (size_t i = 0; i < 2; i++) {
        const uint8_t *p = k->storage[i];
        for (size_t n = 0; n < 5; n++) {
            numbers[i][n]->p = p;
            p += numbers[i][n]->len;
        }
    }
    return true;
}

static bool keys_open(struct load_keys *k, const char *path)
{
    if (keys_load(k, path)) {
        return true;
    }
    if (!load_keys_make(k)) {
        return false;
    }
    FILE *f = path != NULL ? fopen(path, "wb") : NULL;
    const bool kept = path == NULL || (f != NULL && fwrite(k, sizeof *k, 1, f) == 1);
    return (f == NULL || fclose(f) == 0) && kept;
}

/* ---- One client: a process ---- */

static uint64_t now_us(void)
{
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static size_t step_of(uint64_t us)
{
    const double step = log((double)us + 1) / log(1.05);
    return step < LOAD_STEPS - 1 ? (size_t)step : LOAD_STEPS - 1;
}

static double us_of(size_t step)
{
    return pow(1.05, (double)step + 0.5);
}

static void note_cpu(struct load_counters *k)
{
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    k->cpu_us = (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void pace(uint64_t begin_us, uint64_t number, size_t client)
{
    if (given.rate == 0) {
        return;
    }
    const uint64_t due = begin_us + (number * given.clients + client) * 1000000 / given.rate;
    const uint64_t now = now_us();
    if (due > now) {
        (void)usleep((useconds_t)(due - now));
    }
}

static bool one_registration(struct load_device *d, struct load_link *l, enum load_mode mode, const char *id)
{
    if (l->fd < 0 && !load_link_open(l, mode != LOAD_FULL)) {
        snprintf(d->why, sizeof d->why, "no connection, or no resumption");
        return false;
    }
    const bool done = given.get != NULL ? load_get(d, l, given.get) : load_register(d, l, id);
    if (mode != LOAD_KEEP_ALIVE || !done) {
        load_link_close(l);
    }
    return done;
}

static void run_client(const struct load_keys *keys, struct load_link *l, enum load_mode mode, size_t client,
                       uint64_t until_us, struct load_counters *k)
{
    struct load_device d = {.keys = keys, .scope = given.scope, .host = l->host};
    const uint64_t begin = now_us();
    for (uint64_t number = 0; now_us() < until_us; number++) {
        char id[DPS_REGISTRATION_ID_MAX];
        pace(begin, number, client);
        /* No two clients use the same ID at the same time. */
        const uint64_t mine = given.ids / given.clients;
        const uint64_t device = (mine > 0 ? number * 7919 % mine : 0) * given.clients + client;
        snprintf(id, sizeof id, "%s%llu", given.prefix, (unsigned long long)device);
        const uint64_t from = now_us();
        if (one_registration(&d, l, mode, id)) {
            k->done++;
            k->latency[step_of(now_us() - from)]++;
        } else if (k->failed++ == 0) {
            memcpy(k->why, d.why, sizeof k->why);
        }
        note_cpu(k);
    }
}

/* ---- All of them ---- */

static uint64_t sum_done(const struct load_counters *k)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < given.clients; i++) {
        sum += k[i].done;
    }
    return sum;
}

static double percentile(const struct load_counters *k, double share)
{
    uint64_t seen = 0;
    const double wanted = share * (double)sum_done(k);
    for (size_t s = 0; s < LOAD_STEPS; s++) {
        for (size_t i = 0; i < given.clients; i++) {
            seen += k[i].latency[s];
        }
        if (seen > 0 && (double)seen >= wanted) {
            return us_of(s) / 1000;
        }
    }
    return 0;
}

static int report(const struct load_counters *k, double seconds)
{
    uint64_t failed = 0, cpu_us = 0;
    const char *why = "";
    for (size_t i = 0; i < given.clients; i++) {
        failed += k[i].failed;
        cpu_us += k[i].cpu_us;
        why = why[0] == 0 ? k[i].why : why;
    }
    const double busy = (double)cpu_us / 1e6 / seconds;
    printf("registrations %llu count\n", (unsigned long long)sum_done(k));
    printf("registrations_failed %llu count\n", (unsigned long long)failed);
    printf("registration_rate %.1f per_second\n", (double)sum_done(k) / seconds);
    printf("registration_p50 %.2f ms\n", percentile(k, 0.5));
    printf("registration_p99 %.2f ms\n", percentile(k, 0.99));
    printf("generator_cpu %.3f cores\n", busy);
    printf("generator_idle %.1f percent_of_a_core\n", busy < 1 ? 100 * (1 - busy) : 0);
    if (failed > 0) {
        fprintf(stderr, "dps-bench: first failure: %s\n", why);
    }
    return failed > 0 || sum_done(k) == 0 ? POSIX_EXIT_REFUSED : POSIX_EXIT_OK;
}

static int run_all(const struct load_keys *keys, struct load_link *l, enum load_mode mode)
{
    /* The session that all clients resume: their own first handshakes should not be in a short measurement. */
    if (mode != LOAD_FULL && l->tls && !load_link_open(l, true)) {
        fprintf(stderr, "dps-bench: no connection to %s\n", given.service);
        return POSIX_EXIT_NETWORK;
    }
    load_link_close(l);
    const uint64_t begin = now_us(), until = begin + given.seconds * 1000000;
    struct load_counters *k =
        mmap(NULL, given.clients * sizeof *k, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (k == MAP_FAILED) {
        return POSIX_EXIT_STORE;
    }
    for (size_t i = 0; i < given.clients; i++) {
        if (fork() == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            run_client(keys, l, mode, i, until, &k[i]);
            _exit(0);
        }
    }
    uint64_t before = 0;
    while (now_us() + 1000000 < until && !posix_interrupted) {
        (void)usleep(1000000);
        const uint64_t done = sum_done(k);
        if (!given.quiet) {
            fprintf(stderr, "%3llu s  %llu registrations/s\n",
                    (unsigned long long)((now_us() - begin) / 1000000), (unsigned long long)(done - before));
        }
        before = done;
    }
    while (wait(NULL) > 0) { /* until none is left */
    }
    return report(k, (double)(now_us() - begin) / 1e6);
}

/* Connections that have finished their handshake and asked nothing. */
static int hold_idle(const struct load_link *model)
{
    struct rlimit limit = {given.idle + 64, given.idle + 64};
    struct load_link *links = calloc(given.idle, sizeof *links);
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    for (uint64_t i = 0; links != NULL && i < given.idle; i++) {
        memcpy(links[i].host, model->host, sizeof model->host);
        links[i].port = model->port;
        links[i].tls = model->tls;
        links[i].context = model->context;
        links[i].session = i > 0 ? links[0].session : NULL;
        if (!load_link_open(&links[i], model->tls)) {
            fprintf(stderr, "dps-bench: connection %llu was refused\n", (unsigned long long)i);
            return POSIX_EXIT_NETWORK;
        }
    }
    printf("idle_connections %llu count\n", (unsigned long long)given.idle);
    (void)fflush(stdout);
    while (!posix_interrupted) {
        (void)pause();
    }
    return POSIX_EXIT_OK;
}

static int read_arguments(struct load_link *l, enum load_mode *mode, char *why, size_t why_size)
{
    static const char *const modes[] = {"full", "resume", "keep-alive"};
    bool known = false;
    given.mode = given.mode != NULL ? given.mode : modes[LOAD_FULL];
    given.prefix = given.prefix != NULL ? given.prefix : "bench-";
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(given.mode, modes[i]) == 0) {
            *mode = (enum load_mode)i;
            known = true;
        }
    }
    l->tls = given.service == NULL || strncmp(given.service, "http://", 7) != 0;
    if (!known || given.clients == 0 || given.ids < given.clients) {
        snprintf(why, why_size,
                 "--mode is full, resume or keep-alive; --clients at least 1 and at most --ids");
    } else if (given.service == NULL || (given.scope == NULL && given.get == NULL) ||
               (l->tls && given.ca == NULL)) {
        snprintf(why, why_size, "--service, --scope and, for https, --ca are needed; --help has an example");
    } else if (!l->tls) {
        return posix_host_port(given.service + 7, l->host, sizeof l->host, &l->port);
    } else {
        return options_service_url(given.service, l->host, sizeof l->host, &l->port, why, why_size);
    }
    return BYTES_E_USAGE;
}

int main(int argc, char **argv)
{
    static struct load_keys keys;
    static struct load_link link;
    char why[512] = "";
    int at = 1;
    enum load_mode mode = LOAD_FULL;
    int error = options_parse(&group, 1, argc, argv, &at, why, sizeof why);
    if (error == 0 && given.help) {
        puts("usage: dps-bench --service https://HOST:PORT --ca FILE --scope ID --keys FILE [option ...]\n\n"
             "Simulated devices register as fast as they are answered. First enroll them all with the EK of\n"
             "dps-bench --keys FILE --print-ek; run the service with --challenge-rate 0 --client-rate 0 "
             "--total-rate 0.\n");
        options_help(stdout, &group, 1);
        return POSIX_EXIT_OK;
    }
    posix_catch_signals();
    if (error == 0 && !keys_open(&keys, given.keys)) {
        fprintf(stderr, "dps-bench: the keys cannot be made or kept in %s\n", given.keys);
        return POSIX_EXIT_STORE;
    }
    if (error == 0 && given.print_ek) {
        puts(keys.ek_base64);
        return POSIX_EXIT_OK;
    }
    if (error == 0) {
        error = read_arguments(&link, &mode, why, sizeof why);
    }
    if (error != 0) {
        fprintf(stderr, "dps-bench: %s\n", why);
        return POSIX_EXIT_USAGE;
    }
    if (!load_link_init(&link, given.ca)) {
        fprintf(stderr, "dps-bench: %s is not a CA file\n", given.ca);
        return POSIX_EXIT_STORE;
    }
    return given.idle > 0 ? hold_idle(&link) : run_all(&keys, &link, mode);
}
