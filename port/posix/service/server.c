/* SPDX-License-Identifier: MIT */
#include "port/posix/service/server.h"
#include "crypto/tls_identity.h"
#include "dps/manage/admin.h"
#include "dps/service/state.h"
#include "port/posix/private.h"
#include "port/posix/service/files.h"
#include "port/posix/service/log.h"
#include "port/posix/service/protocol.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Bounds a turn, and with it how long an answer waits for the others: 64 handshakes are about 0.1 s. */
#define EVENTS_PER_TURN 64
/* Slow peers are disconnected at most this long after their deadline, however busy we are. */
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

/* A descriptor for each connection, if the system allows. If not, new connections will have to wait, and the log
 * says so then. */
static void raise_descriptor_limit(size_t connections)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)connections + 64;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) {
        return;
    }
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* ---- The files' content ---- */

static struct bytes content_of(const struct server_files *f, enum server_file file)
{
    return bytes_of(f->content[file], f->len[file]);
}

/* Append the name of a part that has changed, for the log. */
static void add_name(char *names, size_t size, const char *name)
{
    const size_t len = strlen(names);
    snprintf(names + len, size - len, "%s%s", len > 0 ? ", " : "", name);
}

static struct server_identity *other_identity(struct server *s)
{
    return &s->identities[s->identity == &s->identities[0]];
}

/* There is room for two certificates: the current one and the last. While connections still use the last one, a
 * new one has to wait; they end with their next answer, or when their time is over. */
static int take_identity(struct server *s, char *names, size_t names_size, char *why, size_t why_size)
{
    const struct server_files *f = &s->shared->files;
    struct server_identity *other = other_identity(s);
    if (s->config->certificate == NULL || s->certified == f->identity) {
        return 0;
    }
    s->certificate_waits = other->users > 0;
    if (s->certificate_waits) {
        return 0;
    }
    crypto_identity_wipe(&other->identity);
    const int error =
        server_identity_parse(s->config->certificate, s->config->key, content_of(f, SERVER_CHAIN),
                              content_of(f, SERVER_KEY), &other->identity, why, why_size);
    if (error != 0) {
        return error;
    }
    s->identity = other;
    s->certified = f->identity;
    add_name(names, names_size, "certificate");
    return 0;
}

/* Policies and secrets count from now on, whoever is connected. */
static int take_policies(struct server *s, char *names, size_t names_size, char *why, size_t why_size)
{
    const struct server_files *f = &s->shared->files;
    int error = 0;
    if (s->policies != f->policies) {
        error = server_policies_parse(s->config->policy_file, content_of(f, SERVER_POLICIES),
                                      &s->service_config, why, why_size);
        s->policies = error == 0 ? f->policies : s->policies;
        add_name(names, names_size, "policies");
    }
    if (error == 0 && s->secrets != f->secrets) {
        error = server_secrets_parse(s->config->secret_file, content_of(f, SERVER_SECRETS),
                                     &s->service_config, why, why_size);
        s->secrets = error == 0 ? f->secrets : s->secrets;
        add_name(names, names_size, "secrets");
    }
    return error;
}

/* The process that put it into shared memory has checked it. */
static int take_files(struct server *s, char *names, size_t names_size, char *why, size_t why_size)
{
    const struct crypto_lock lock = server_shared_lock(s->shared);
    names[0] = 0;
    crypto_lock_take(&lock);
    int error = take_policies(s, names, names_size, why, why_size);
    if (error == 0) {
        error = take_identity(s, names, names_size, why, why_size);
    }
    crypto_lock_leave(&lock);
    return error;
}

static void reload(struct server *s)
{
    char names[64];
    char why[512] = "";
    const bool alone = s->shared->workers == 1;
    if (s->reload && alone) {
        server_files_reload(s->shared, s->config, &s->log);
    }
    if (take_files(s, names, sizeof names, why, sizeof why) != 0) {
        server_log_event(s, "error", NULL, "not reloaded; what was read before stays in use", why);
    } else if (names[0] != 0) {
        server_log_event(s, "info", NULL, "reloaded", names);
    } else if (s->reload && !s->certificate_waits && s->shared->files.refused == 0) {
        server_log_event(s, "info", NULL, "reloaded", "nothing has changed");
    }
    if (s->reload && s->certificate_waits) {
        server_log_event(s, "info", NULL,
                         "the new certificate waits for connections that still use the last one", NULL);
        server_connections_leave(s, other_identity(s)); /* sessions have days; their devices connect again */
    }
    s->reload = false;
}

/* In every turn. */
static void reload_if_possible(struct server *s)
{
    if (s->reload || (s->certificate_waits && other_identity(s)->users == 0)) {
        reload(s);
    }
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
        sigprocmask(SIG_BLOCK, &signals, NULL) != 0) {
        return BYTES_E_STREAM;
    }
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    s->signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = SERVER_ID_SIGNAL};
    if (s->epoll_fd < 0 || s->signal_fd < 0) {
        return BYTES_E_STREAM;
    }
    return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->signal_fd, &event) == 0 ? 0 : BYTES_E_STREAM;
}

static int open_network(struct server *s, const struct server_listener listeners[SERVER_LISTENERS], char *why,
                        size_t why_size)
{
    int error = open_signals(s);
    for (size_t i = 0; i < SERVER_LISTENERS && error == 0; i++) {
        s->listeners[i] = listeners[i];
        s->listeners[i].fd = listeners[i].fd >= 0 ? fcntl(listeners[i].fd, F_DUPFD_CLOEXEC, 0) : -1;
        if (s->listeners[i].fd < 0 && listeners[i].fd >= 0) {
            error = BYTES_E_STREAM;
        }
    }
    for (size_t i = 0; i < 2 && error == 0; i++) {
        error = server_listen_watch(s, &s->pools[i]);
    }
    if (error != 0) {
        snprintf(why, why_size, "cannot start: %s", strerror(errno));
    }
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
    if (error != 0) {
        snprintf(why, why_size, "the configuration is not usable: %s", posix_error_text(error));
    }
    dps_manage_init(&s->service);
    s->service.shared = &s->shared->memory;
    s->service.lock = server_shared_lock(s->shared);
    return error;
}

int server_open(struct server *s, const struct server_config *config,
                const struct server_listener listeners[SERVER_LISTENERS], struct server_shared *shared,
                size_t worker, const struct dps_store *store, char *why, size_t why_size)
{
    char names[64];
    memset(s, 0, sizeof *s);
    s->config = config;
    s->service_config = config->service;
    s->store = *store;
    s->entropy = posix_entropy();
    s->log.fd = STDERR_FILENO;
    s->log.json = config->log_json;
    s->timeouts = config->timeouts;
    s->next_expiry = s->messages.look_at = UINT64_MAX;
    s->identity = &s->identities[0];
    s->shared = shared;
    s->counters = &shared->counters[worker];
    s->epoll_fd = s->signal_fd = -1;
    for (size_t i = 0; i < SERVER_LISTENERS; i++) {
        s->listeners[i].fd = -1;
    }
    raise_descriptor_limit(config->connections);

    int error = take_files(s, names, sizeof names, why, why_size);
    if (error == 0) {
        error = open_service(s, store, why, why_size);
    }
    if (error == 0) {
        error = server_slots_open(s, why, why_size);
    }
    if (error == 0) {
        error = open_network(s, listeners, why, why_size);
    }
    set_time(s);
    if (error != 0) {
        server_close(s);
    }
    return error;
}

void server_close(struct server *s)
{
    for (size_t i = 0; i < s->connection_count; i++) {
        if (s->connections[i].state != SERVER_FREE) {
            server_connection_abort(s, &s->connections[i]);
        }
    }
    server_listen_close(s->listeners);
    if (s->epoll_fd >= 0) {
        (void)close(s->epoll_fd);
    }
    if (s->signal_fd >= 0) {
        (void)close(s->signal_fd);
    }
    server_slots_close(s);
    server_log_close(&s->log);
    for (size_t i = 0; i < 2; i++) {
        crypto_identity_wipe(&s->identities[i].identity);
    }
    bytes_wipe(s, sizeof *s);
}

/* ---- Signals ---- */

/* Load balancers must see /readyz before clients find a closed port. */
static void begin_stop(struct server *s, uint32_t delay_ms)
{
    s->stopping = true;
    s->stop_at = s->now_ms + delay_ms;
    if (delay_ms > 0) {
        server_log_event(s, "info", NULL, "stopping", "/readyz says so; new connections are still taken");
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
        if (c->state == SERVER_IDLE && server_transport_pending(&c->transport)) {
            server_connection_io(s, c);
        }
        if ((c->state == SERVER_IDLE && !c->protocol->is_midway(s, c)) || c->state == SERVER_HANDSHAKE) {
            server_connection_finish(s, c);
        }
    }
}

/* At a terminal there is no load balancer to wait for; and a second signal means "at once". */
static void take_end(struct server *s, bool terminal)
{
    if (!s->stopping) {
        begin_stop(s, terminal ? 0 : s->timeouts.stop);
    } else if (!s->draining) {
        s->stop_at = s->now_ms;
    } else {
        s->drain_deadline = s->now_ms;
    }
}

static void take_signals(struct server *s)
{
    struct signalfd_siginfo info;
    while (read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP) {
            s->reload = true;
        } else {
            take_end(s, info.ssi_signo == SIGINT);
        }
    }
}

/* ---- The loop ---- */

/* If the store did not keep the writes, no answer of this turn that relies on them may be sent. That begins with the
 * first answer that wrote: later ones may have read what was written. */
static void commit(struct server *s, const uint32_t *turn, size_t count)
{
    size_t first = 0;
    const uint64_t begin_us = server_now_us();
    while (first < count && !s->connections[turn[first]].buffers->answer.wrote) {
        first++;
    }
    if (first == count) {
        /* No answer promises a write, but a refused one may have left a transaction open. */
        s->store.rollback(s->store.context);
        return;
    }
    const bool failed = s->store.commit(s->store.context) != 0;
    server_count_commit(s, server_now_us() - begin_us, failed);
    if (!failed) {
        return;
    }
    s->store.rollback(s->store.context);
    for (size_t i = first; i < count; i++) {
        server_connection_uncommitted(s, &s->connections[turn[i]]);
    }
}

static void answer_all(struct server *s)
{
    const uint32_t *turn = s->complete[s->complete_now];
    size_t count = s->complete_count;
    /* What becomes complete from here on (a pipelined request, after the one that is answered now) is for the
     * next turn. */
    s->complete_now ^= 1U;
    s->complete_count = 0;
    if (count == 0) {
        return;
    }
    s->counters->turns++;
    s->counters->turn_requests += count;
    for (size_t i = 0; i < count; i++) {
        server_connection_answer(s, &s->connections[turn[i]]);
    }
    commit(s, turn, count);
    for (size_t i = 0; i < count; i++) {
        if (s->connections[turn[i]].buffers->answer.messages_queued > 0) {
            server_messages_queued(s, &s->connections[turn[i]]);
        }
        server_connection_release(s, &s->connections[turn[i]]);
    }
}

static void expire(struct server *s, bool all_read)
{
    if (s->now_ms < s->next_expiry) {
        return;
    }
    /* Data that has arrived counts, even if we were too busy to read it; but not for ever. */
    if (!all_read && s->now_ms - s->next_expiry < EXPIRY_LATEST_MS) {
        return;
    }
    s->next_expiry = UINT64_MAX;
    for (size_t i = 0; i < s->connection_count; i++) {
        struct server_connection *c = &s->connections[i];
        if (c->state != SERVER_FREE && c->deadline <= s->now_ms) {
            server_connection_expire(s, c);
        }
        if (c->state != SERVER_FREE && c->deadline < s->next_expiry) {
            s->next_expiry = c->deadline;
        }
    }
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static int wait_ms(const struct server *s)
{
    if (s->complete_count > 0) {
        return 0;
    }
    uint64_t until = earlier(earlier(s->next_expiry, s->messages.look_at), server_log_turn_at(&s->log));
    for (size_t i = 0; i < 2; i++) {
        if (s->pools[i].paused && !s->draining) {
            until = earlier(until, s->pools[i].resume);
        }
    }
    if (s->stopping) {
        until = earlier(until, s->draining ? s->drain_deadline : s->stop_at);
    }
    if (until == UINT64_MAX) {
        return -1;
    }
    /* The clock's milliseconds are cut off, so the one that has begun does not count. */
    uint64_t left = until > s->now_ms ? until - s->now_ms + 1 : 0;
    return left > INT_MAX ? INT_MAX : (int)left;
}

static void handle(struct server *s, uint32_t id)
{
    if (id == SERVER_ID_SIGNAL) {
        take_signals(s);
    } else if (id < s->connection_count) {
        server_connection_io(s, &s->connections[id]);
    } else if (!s->draining) {
        server_accept(s, &s->listeners[SERVER_ID_LISTENER(0) - id]);
    }
}

static void turn(struct server *s, const struct epoll_event *events, int n)
{
    set_time(s);
    for (int i = 0; i < n; i++) {
        handle(s, events[i].data.u32);
    }
    /* There may be more events than one turn takes; a signal must not wait for them. */
    if (n == EVENTS_PER_TURN) {
        take_signals(s);
    }
    server_messages_turn(s);
    answer_all(s);
    expire(s, n < EVENTS_PER_TURN);
    if (s->stopping && !s->draining && s->now_ms >= s->stop_at) {
        begin_drain(s);
    }
    server_accept_resume(s);
    reload_if_possible(s);
    server_log_turn(s);
}

int server_run(struct server *s)
{
    while (!s->draining || (!server_slots_all_free(s) && s->now_ms < s->drain_deadline)) {
        struct epoll_event events[EVENTS_PER_TURN];
        const int n = epoll_wait(s->epoll_fd, events, EVENTS_PER_TURN, wait_ms(s));
        if (n < 0 && errno != EINTR) {
            server_log_event(s, "error", NULL, "epoll failed", strerror(errno));
            return BYTES_E_STREAM;
        }
        turn(s, events, n);
    }
    return 0;
}
