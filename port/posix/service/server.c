/* SPDX-License-Identifier: MIT */
#include "port/posix/service/server.h"
#include "port/posix/private.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Bounds a turn, and with it how long an answer waits for the others: 64 handshakes are about 0.1 s. */
#define EVENTS_PER_TURN 64
/* Slow peers are thrown out at the latest so long after their time, however busy we are. */
#define EXPIRY_LATEST_MS 1000

const struct server_timeouts server_timeouts_default = {
    .handshake = 10000,
    .head = 10000,
    .body = 30000,
    .stall = 10000,
    .idle = 60000,
    .write = 30000,
    .linger = 2000,
    .drain = 10000,
};

/* ---- Start ---- */

#define BUFFERS_STRIDE ((sizeof(struct server_buffers) + SERVER_PAGE - 1) / SERVER_PAGE * SERVER_PAGE)

struct server_buffers *server_buffers_of(const struct server *s, uint32_t index)
{
    return (struct server_buffers *)(void *)(s->buffers + index * BUFFERS_STRIDE);
}

static int take_memory(struct server *s, size_t n, char *why, size_t why_size)
{
    s->connections = calloc(n, sizeof *s->connections);
    s->free = calloc(n, sizeof *s->free);
    for (size_t i = 0; i < 2; i++)
        s->complete[i] = calloc(n, sizeof *s->complete[i]);
    /* Not from malloc: whole pages, which the system gives when they are touched and takes back when it is told to. */
    void *buffers = mmap(NULL, n * BUFFERS_STRIDE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    s->buffers = buffers == MAP_FAILED ? NULL : buffers;
    s->buffers_len = n * BUFFERS_STRIDE;
    if (s->connections == NULL || s->buffers == NULL || s->free == NULL || s->complete[0] == NULL ||
        s->complete[1] == NULL) {
        snprintf(why, why_size, "there is no memory for %zu connections of %zu KiB; lower --connections", n,
                 BUFFERS_STRIDE / 1024);
        return BYTES_E_USAGE;
    }
    s->connection_count = n;
    while (s->free_count < n) {
        s->free[s->free_count] = (uint32_t)(n - 1 - s->free_count);
        s->free_count++;
    }
    return 0;
}

/* A descriptor for each connection, if the system allows. If not, new connections will have to wait, which is
 * said then. */
static void raise_descriptor_limit(size_t connections)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)connections + 64;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int read_files(struct server *s, FILE *notes, char *why, size_t why_size)
{
    const struct server_config *config = s->config;
    bool made = false;
    int error = server_policies_load(config->policy_file, &s->service_config, &made, why, why_size);
    if (error == 0 && made)
        fprintf(notes, "dps-service: made %s with the policy provisioningserviceowner and a new key\n",
                config->policy_file);
    made = false;
    if (error == 0)
        error = server_secrets_load(config->secret_file, &s->service_config, &made, why, why_size);
    if (error == 0 && made)
        fprintf(notes,
                "dps-service: made %s with a new service secret; devices must register again if it is lost\n",
                config->secret_file);
    if (error == 0 && config->listen != NULL)
        error =
            server_identity_load(config->certificate, config->key, &s->identities[0].identity, why, why_size);
    return error;
}

/* Signals are read like everything else, between turns, so that no handler runs in the middle of one. */
static int open_signals(struct server *s)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    /* A peer that has gone and a file that may not grow are errors of one write, not the end of the service. */
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || signal(SIGXFSZ, SIG_IGN) == SIG_ERR ||
        sigprocmask(SIG_BLOCK, &signals, NULL) != 0)
        return BYTES_E_STREAM;
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    s->signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = SERVER_ID_SIGNAL};
    if (s->epoll_fd < 0 || s->signal_fd < 0)
        return BYTES_E_STREAM;
    return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->signal_fd, &event) == 0 ? 0 : BYTES_E_STREAM;
}

static int open_network(struct server *s, const struct server_listener listeners[SERVER_LISTENERS], char *why,
                        size_t why_size)
{
    int error = open_signals(s);
    for (size_t i = 0; i < SERVER_LISTENERS && error == 0; i++) {
        s->listeners[i] = listeners[i];
        s->listeners[i].fd = listeners[i].fd >= 0 ? fcntl(listeners[i].fd, F_DUPFD_CLOEXEC, 0) : -1;
        if (s->listeners[i].fd < 0 && listeners[i].fd >= 0)
            error = BYTES_E_STREAM;
    }
    if (error == 0)
        error = server_listen_watch(s);
    if (error != 0)
        snprintf(why, why_size, "cannot start: %s", strerror(errno));
    return error;
}

static void set_time(struct server *s)
{
    struct port_clock clock = posix_clock();
    s->now_ms = clock.monotonic_ms(clock.context);
    s->service.now = clock.unix_seconds(clock.context);
}

static int open_service(struct server *s, const struct dps_store *store, char *why, size_t why_size)
{
    int error = dps_service_init(&s->service, &s->service_config, store, &s->entropy);
    if (error != 0)
        snprintf(why, why_size, "the configuration is not usable: %s", posix_error_text(error));
    s->service.shared = &s->shared->memory;
    s->service.lock = server_shared_lock(s->shared);
    return error;
}

int server_open(struct server *s, const struct server_config *config,
                const struct server_listener listeners[SERVER_LISTENERS], struct server_shared *shared,
                size_t worker, const struct dps_store *store, FILE *notes, char *why, size_t why_size)
{
    memset(s, 0, sizeof *s);
    s->config = config;
    s->service_config = config->service;
    s->store = *store;
    s->entropy = posix_entropy();
    s->log = (struct server_log){.out = stderr, .json = config->log_json};
    s->timeouts = config->timeouts;
    s->next_expiry = UINT64_MAX;
    s->identity = &s->identities[0];
    s->shared = shared;
    s->counters = &shared->counters[worker];
    s->epoll_fd = s->signal_fd = -1;
    for (size_t i = 0; i < SERVER_LISTENERS; i++)
        s->listeners[i].fd = -1;
    raise_descriptor_limit(config->connections);

    int error = read_files(s, notes, why, why_size);
    if (error == 0)
        error = open_service(s, store, why, why_size);
    if (error == 0)
        error = take_memory(s, config->connections, why, why_size);
    if (error == 0)
        error = open_network(s, listeners, why, why_size);
    set_time(s);
    if (error != 0)
        server_close(s);
    return error;
}

void server_close(struct server *s)
{
    for (size_t i = 0; i < s->connection_count; i++) {
        if (s->connections[i].state != SERVER_FREE)
            server_connection_abort(s, &s->connections[i]);
    }
    server_listen_close(s->listeners);
    if (s->epoll_fd >= 0)
        (void)close(s->epoll_fd);
    if (s->signal_fd >= 0)
        (void)close(s->signal_fd);
    free(s->connections);
    if (s->buffers != NULL)
        (void)munmap(s->buffers, s->buffers_len);
    free(s->free);
    free(s->complete[0]);
    free(s->complete[1]);
    bytes_wipe(s, sizeof *s);
}

/* ---- Signals ---- */

/* Everything is read before anything is replaced, so that what runs on after an error is what ran before. */
static void reload(struct server *s)
{
    char why[512];
    struct dps_service_config fresh = s->service_config;
    struct server_identity *other = &s->identities[s->identity == &s->identities[0]];
    int error = server_policies_load(s->config->policy_file, &fresh, NULL, why, sizeof why);
    if (error == 0)
        error = server_secrets_load(s->config->secret_file, &fresh, NULL, why, sizeof why);
    if (error == 0 && s->config->listen != NULL)
        error =
            server_identity_load(s->config->certificate, s->config->key, &other->identity, why, sizeof why);
    if (error == 0) {
        s->service_config = fresh;
        if (s->config->listen != NULL)
            s->identity = other;
        server_log_event(s, "info", NULL, "reloaded", NULL);
    } else {
        server_log_event(s, "error", NULL, "not reloaded; what was read before stays in use", why);
    }
    bytes_wipe(&fresh, sizeof fresh);
}

/* There is room for two certificates: the current one and the last. While connections still use the last one, a
 * new one has to wait; they end with their next answer, or when they have been idle for too long. */
static void reload_if_possible(struct server *s)
{
    const struct server_identity *other = &s->identities[s->identity == &s->identities[0]];
    if (s->reload == SERVER_RELOAD_NONE)
        return;
    if (other->users == 0) {
        s->reload = SERVER_RELOAD_NONE;
        reload(s);
    } else if (s->reload == SERVER_RELOAD_WANTED) {
        s->reload = SERVER_RELOAD_WAITS;
        server_log_event(s, "info", NULL, "reload waits for connections that still use the last certificate",
                         NULL);
    }
}

static void begin_drain(struct server *s)
{
    server_log_event(s, "info", NULL, "stopping", "no new connections; requests in flight are finished");
    s->draining = true;
    s->drain_deadline = s->now_ms + s->timeouts.drain;
    server_listen_end(s);
    for (size_t i = 0; i < s->connection_count; i++) {
        struct server_connection *c = &s->connections[i];
        if (c->state == SERVER_IDLE && server_transport_pending(&c->transport))
            server_connection_io(s, c);
        if (c->state == SERVER_IDLE || c->state == SERVER_HANDSHAKE)
            server_connection_finish(s, c);
    }
}

static void take_signals(struct server *s)
{
    struct signalfd_siginfo info;
    while (read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP)
            s->reload = SERVER_RELOAD_WANTED;
        else if (!s->draining)
            begin_drain(s);
        else
            s->drain_deadline = s->now_ms; /* asked twice: at once */
    }
}

/* ---- The loop ---- */

/* Nothing that was answered in this turn may leave if the store did not keep what it says. That holds from the
 * first answer on that wrote: those after it may have read what was written. */
static void commit(struct server *s, const uint32_t *turn, size_t count)
{
    size_t first = 0;
    const uint64_t begin_us = server_now_us();
    while (first < count && !s->connections[turn[first]].buffers->answer.wrote)
        first++;
    if (first == count) {
        /* Nobody was promised anything, but a write that was refused may have left a transaction open. */
        s->store.rollback(s->store.context);
        return;
    }
    const bool failed = s->store.commit(s->store.context) != 0;
    server_count_commit(s, server_now_us() - begin_us, failed);
    if (!failed)
        return;
    s->store.rollback(s->store.context);
    for (size_t i = first; i < count; i++)
        dps_service_uncommitted(&s->service, &s->connections[turn[i]].buffers->answer);
}

static void answer_all(struct server *s)
{
    const uint32_t *turn = s->complete[s->complete_now];
    size_t count = s->complete_count;
    /* What becomes complete from here on (a pipelined request, behind the one that is answered now) is for the
     * next turn. */
    s->complete_now ^= 1U;
    s->complete_count = 0;
    if (count == 0)
        return;
    s->counters->turns++;
    s->counters->turn_requests += count;
    for (size_t i = 0; i < count; i++)
        server_connection_answer(s, &s->connections[turn[i]]);
    commit(s, turn, count);
    for (size_t i = 0; i < count; i++)
        server_connection_release(s, &s->connections[turn[i]]);
}

static void expire(struct server *s, bool all_read)
{
    if (s->now_ms < s->next_expiry)
        return;
    /* What has arrived counts, even if we were too busy to look; but not for ever. */
    if (!all_read && s->now_ms - s->next_expiry < EXPIRY_LATEST_MS)
        return;
    s->next_expiry = UINT64_MAX;
    for (size_t i = 0; i < s->connection_count; i++) {
        struct server_connection *c = &s->connections[i];
        if (c->state != SERVER_FREE && c->deadline <= s->now_ms)
            server_connection_expire(s, c);
        if (c->state != SERVER_FREE && c->deadline < s->next_expiry)
            s->next_expiry = c->deadline;
    }
}

static int wait_ms(const struct server *s)
{
    uint64_t until = s->next_expiry;
    if (s->complete_count > 0)
        return 0;
    if (s->accept_paused && s->accept_resume > s->now_ms && s->accept_resume < until)
        until = s->accept_resume;
    if (s->draining && s->drain_deadline < until)
        until = s->drain_deadline;
    if (until == UINT64_MAX)
        return -1;
    /* The clock's milliseconds are cut off, so the one that has begun does not count. */
    uint64_t left = until > s->now_ms ? until - s->now_ms + 1 : 0;
    return left > INT_MAX ? INT_MAX : (int)left;
}

static void handle(struct server *s, uint32_t id)
{
    if (id == SERVER_ID_SIGNAL)
        take_signals(s);
    else if (id < s->connection_count)
        server_connection_io(s, &s->connections[id]);
    else if (!s->draining)
        server_accept(s, &s->listeners[SERVER_ID_LISTENER(0) - id]);
}

int server_run(struct server *s)
{
    while (!s->draining || (s->free_count < s->connection_count && s->now_ms < s->drain_deadline)) {
        struct epoll_event events[EVENTS_PER_TURN];
        int n = epoll_wait(s->epoll_fd, events, EVENTS_PER_TURN, wait_ms(s));
        set_time(s);
        if (n < 0 && errno != EINTR) {
            server_log_event(s, "error", NULL, "epoll failed", strerror(errno));
            return BYTES_E_STREAM;
        }
        for (int i = 0; i < n; i++)
            handle(s, events[i].data.u32);
        answer_all(s);
        expire(s, n < EVENTS_PER_TURN);
        server_accept_resume(s);
        reload_if_possible(s);
        (void)fflush(s->log.out);
    }
    return 0;
}
