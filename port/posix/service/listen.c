/* SPDX-License-Identifier: MIT */
/* New connections. Waiting in the kernel's queue costs us nothing, so when there is no room, and none can be made, that
 * is where they stay: the listening sockets are not read until there is. */
#include "port/posix/private.h"
#include "port/posix/service/protocol.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPTS_PER_TURN 8 /* connected clients get their turn too, and other processes their share */
#define LOOK_AGAIN_MS 50
#define SAY_AGAIN_MS 60000

static int listen_on(struct server_listener *l, const char *address, char *why, size_t why_size)
{
    char host[NI_MAXHOST];
    char reason[POSIX_FILE_ERROR_MAX];
    if (posix_listen_address(address, host, sizeof host, &l->port) != 0) {
        snprintf(why, why_size, "\"%s\" is no address to listen on: it must be ADDR:PORT or [IPV6]:PORT",
                 address);
        return BYTES_E_USAGE;
    }
    int error = posix_listen_tcp(host, &l->port, &l->fd);
    if (error != 0) {
        snprintf(why, why_size, "cannot listen on %s: %s", address,
                 posix_listen_error(errno, reason, sizeof reason));
    }
    return error;
}

int server_listen(struct server_listener listeners[SERVER_LISTENERS], const struct server_config *config,
                  char *why, size_t why_size)
{
    const char *const addresses[SERVER_LISTENERS] = {config->listen, config->proxy_listen, config->metrics,
                                                     config->hub_mqtt, config->amqp};
    int error = 0;
    for (size_t i = 0; i < SERVER_LISTENERS; i++) {
        listeners[i] = (struct server_listener){.fd = -1, .kind = (enum server_listener_kind)i};
    }
    for (size_t i = 0; i < SERVER_LISTENERS && error == 0; i++) {
        if (addresses[i] != NULL) {
            error = listen_on(&listeners[i], addresses[i], why, why_size);
        }
    }
    if (error != 0) {
        server_listen_close(listeners);
    }
    return error;
}

void server_listen_close(struct server_listener listeners[SERVER_LISTENERS])
{
    for (size_t i = 0; i < SERVER_LISTENERS; i++) {
        if (listeners[i].fd >= 0) {
            (void)close(listeners[i].fd);
        }
        listeners[i].fd = -1;
    }
}

static void peer_text(const struct sockaddr_storage *address, struct server_connection *c)
{
    bool v6 = address->ss_family == AF_INET6;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    memcpy(&in, address, sizeof in);
    memcpy(&in6, address, sizeof in6);
    char text[INET6_ADDRSTRLEN] = "?";
    (void)inet_ntop(address->ss_family, v6 ? (const void *)&in6.sin6_addr : (const void *)&in.sin_addr, text,
                    sizeof text);
    snprintf(c->peer_address, sizeof c->peer_address, "%s", text);
    (void)server_address_read(bytes_of_text(text), c->peer_address);
    snprintf(c->client, sizeof c->client, "%s", c->peer_address);
    snprintf(c->peer, sizeof c->peer, v6 ? "[%s]:%u" : "%s:%u", text,
             (unsigned)ntohs(v6 ? in6.sin6_port : in.sin_port));
}

/* EPOLLEXCLUSIVE: a new connection wakes one process, not all. Such an entry cannot be changed, only made and
 * removed. */
int server_listen_watch(struct server *s, const struct server_pool *pool)
{
    int error = 0;
    for (size_t i = 0; i < SERVER_LISTENERS; i++) {
        const struct server_listener *l = &s->listeners[i];
        struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.u32 = SERVER_ID_LISTENER(i)};
        if (l->fd >= 0 && server_pool_of(s, l->kind) == pool &&
            epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, l->fd, &event) != 0) {
            error = BYTES_E_STREAM;
        }
    }
    return error;
}

static void pause_accepting(struct server *s, struct server_pool *pool, uint64_t resume)
{
    pool->paused = true;
    pool->resume = resume;
    for (size_t i = 0; i < SERVER_LISTENERS; i++) {
        const struct server_listener *l = &s->listeners[i];
        if (l->fd >= 0 && server_pool_of(s, l->kind) == pool) {
            (void)epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, l->fd, NULL);
        }
    }
}

void server_accept_resume(struct server *s)
{
    for (size_t i = 0; i < 2 && !s->draining; i++) {
        struct server_pool *pool = &s->pools[i];
        if (!pool->paused || (pool->free_count > 0 && s->now_ms < pool->resume)) {
            continue;
        }
        if (pool->free_count > 0 || server_slots_evict(s, pool, SERVER_NO_PEER, NULL)) {
            pool->paused = false;
            (void)server_listen_watch(s, pool);
        } else if (s->now_ms >= pool->resume) {
            pool->resume = s->now_ms + LOOK_AGAIN_MS;
        }
    }
}

/* accept4 has failed. Returns: whether to try again at once. The connection that has waited longest gives up its
 * descriptor as it would give up its place, also for the metrics listener. */
static bool accept_again(struct server *s, struct server_pool *pool)
{
    if (errno == EAGAIN) {
        return false;
    }
    if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) {
        return true; /* that client has gone already */
    }
    if (s->now_ms >= s->say_descriptors_at) {
        server_log_event(s, "error", NULL, "there are fewer descriptors than --connections", strerror(errno));
        s->say_descriptors_at = s->now_ms + SAY_AGAIN_MS;
    }
    if (server_slots_evict(s, &s->pools[0], SERVER_NO_PEER, NULL)) {
        return true;
    }
    pause_accepting(s, pool, s->now_ms + LOOK_AGAIN_MS);
    return false;
}

bool server_has_tls(enum server_listener_kind kind)
{
    return kind == SERVER_TLS || kind == SERVER_HUB_MQTT || kind == SERVER_AMQP;
}

/* One address may not have everything, unless it is that of the proxy. An address over its share loses a connection
 * that keeps us waiting, or else the new one. Returns: false if the new one. */
bool server_accept_named(struct server *s, struct server_connection *c,
                         const struct sockaddr_storage *address)
{
    peer_text(address, c);
    server_peer_note(s, c, address);
    const size_t most = s->config->client_connections;
    if (most == 0 || s->peers.all[c->peer_index].connections <= most ||
        server_slots_evict(s, server_pool_of(s, c->kind), c->peer_index, c)) {
        return true;
    }
    s->counters->turned_away++;
    server_log_event(s, "warn", c, "closed",
                     "this address has as many connections as --client-connections allows");
    server_connection_abort(s, c);
    return false;
}

static void open_connection(struct server *s, const struct server_listener *l, int fd,
                            const struct sockaddr_storage *address)
{
    struct server_pool *pool = server_pool_of(s, l->kind);
    struct server_connection *c = &s->connections[server_slot_take(pool)];
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    *c = (struct server_connection){.transport = {.fd = fd},
                                    .kind = l->kind,
                                    .latest = UINT64_MAX,
                                    .waits = SERVER_WAITS_NOT,
                                    .peer_index = SERVER_NO_PEER};
    peer_text(address, c);
    c->unnamed = server_has_tls(c->kind) && server_introduction_expected(s, c->peer_address);
    server_connection_open(s, c);
    const bool counts = server_has_tls(c->kind) && !c->unnamed;
    if (c->state != SERVER_FREE && (!counts || server_accept_named(s, c, address)) && pool->free_count == 0 &&
        !server_slots_evict(s, pool, SERVER_NO_PEER, c)) {
        pause_accepting(s, pool, server_slots_evict_at(s, pool));
    }
}

static void accept_up_to(struct server *s, const struct server_listener *l, size_t count)
{
    struct server_pool *pool = server_pool_of(s, l->kind);
    for (size_t i = 0; i < count && pool->free_count > 0; i++) {
        struct sockaddr_storage address = {0};
        socklen_t len = sizeof address;
        int fd = accept4(l->fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            open_connection(s, l, fd, &address);
        } else if (!accept_again(s, pool)) {
            return;
        }
    }
}

void server_accept(struct server *s, const struct server_listener *l)
{
    accept_up_to(s, l, ACCEPTS_PER_TURN);
}

/* A client that has connected and was not looked at yet may have sent a request; closing the socket would reset it. */
void server_listen_end(struct server *s)
{
    for (size_t i = 0; i < SERVER_LISTENERS; i++) {
        if (s->listeners[i].fd >= 0) {
            accept_up_to(s, &s->listeners[i], server_pool_of(s, s->listeners[i].kind)->free_count);
        }
    }
    server_listen_close(s->listeners);
}
