/* SPDX-License-Identifier: MIT */
/* New connections. Who is waiting in the kernel's queue costs nothing here, so when there is no room, that is
 * where they stay: the listening sockets are not looked at until there is. */
#include "port/posix/private.h"
#include "port/posix/service/server.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPTS_PER_TURN                                                                                     \
    8 /* those who are already connected have their turn, too, and other processes their share */
#define DESCRIPTORS_SHORT_MS 1000

/* posix_host_port refuses port 0, which here means "any free port". */
static int split_address(const char *text, char *host, size_t host_size, uint16_t *port)
{
    size_t len = strlen(text);
    if (len < 3 || strcmp(text + len - 2, ":0") != 0)
        return posix_host_port(text, host, host_size, port);
    char other[NI_MAXHOST + 8];
    if ((size_t)snprintf(other, sizeof other, "%.*s:1", (int)(len - 2), text) >= sizeof other)
        return BYTES_E_USAGE;
    int error = posix_host_port(other, host, host_size, port);
    *port = 0;
    return error;
}

static int bind_address(const struct addrinfo *a)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int on = 1;
    /* Without it a restarted server could not listen for a minute, until the last connections are forgotten. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return -1;
}

static uint16_t port_of(const struct sockaddr_storage *address)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    if (address->ss_family == AF_INET6) {
        memcpy(&v6, address, sizeof v6);
        return ntohs(v6.sin6_port);
    }
    memcpy(&v4, address, sizeof v4);
    return ntohs(v4.sin_port);
}

static int listen_on(struct server_listener *l, const char *address, char *why, size_t why_size)
{
    char host[NI_MAXHOST];
    char service[8];
    char reason[POSIX_FILE_ERROR_MAX];
    uint16_t port;
    if (split_address(address, host, sizeof host, &port) != 0) {
        snprintf(why, why_size, "\"%s\" is no address to listen on: it must be ADDR:PORT or [IPV6]:PORT",
                 address);
        return BYTES_E_USAGE;
    }
    snprintf(service, sizeof service, "%u", (unsigned)port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int error = getaddrinfo(host, service, &hints, &list);
    if (error != 0) {
        snprintf(why, why_size, "cannot listen on %s: %s", address,
                 posix_listen_error(error == EAI_SYSTEM ? errno : error, reason, sizeof reason));
        return BYTES_E_STREAM;
    }
    for (const struct addrinfo *a = list; a != NULL && l->fd < 0; a = a->ai_next)
        l->fd = bind_address(a);
    if (l->fd < 0)
        snprintf(why, why_size, "cannot listen on %s: %s", address,
                 posix_listen_error(errno, reason, sizeof reason));
    freeaddrinfo(list);
    if (l->fd < 0)
        return BYTES_E_STREAM;
    struct sockaddr_storage bound = {0};
    socklen_t bound_len = sizeof bound;
    (void)getsockname(l->fd, (struct sockaddr *)&bound, &bound_len); /* cannot fail: it is bound */
    l->port = port_of(&bound);
    return 0;
}

int server_listen(struct server_listener listeners[SERVER_LISTENERS], const struct server_config *config,
                  char *why, size_t why_size)
{
    const char *const addresses[SERVER_LISTENERS] = {config->listen, config->proxy_listen, config->metrics};
    int error = 0;
    for (size_t i = 0; i < SERVER_LISTENERS; i++)
        listeners[i] = (struct server_listener){.fd = -1, .kind = (enum server_listener_kind)i};
    for (size_t i = 0; i < SERVER_LISTENERS && error == 0; i++) {
        if (addresses[i] != NULL)
            error = listen_on(&listeners[i], addresses[i], why, why_size);
    }
    if (error != 0)
        server_listen_close(listeners);
    return error;
}

void server_listen_close(struct server_listener listeners[SERVER_LISTENERS])
{
    for (size_t i = 0; i < SERVER_LISTENERS; i++) {
        if (listeners[i].fd >= 0)
            (void)close(listeners[i].fd);
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
    snprintf(c->peer, sizeof c->peer, v6 ? "[%s]:%u" : "%s:%u", text, (unsigned)port_of(address));
}

/* EPOLLEXCLUSIVE: a new connection wakes one process, not all. Such an entry cannot be changed, only made and
 * removed. */
int server_listen_watch(struct server *s)
{
    int error = 0;
    for (size_t i = 0; i < SERVER_LISTENERS; i++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.u32 = SERVER_ID_LISTENER(i)};
        if (s->listeners[i].fd >= 0 && epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->listeners[i].fd, &event) != 0)
            error = BYTES_E_STREAM;
    }
    return error;
}

static void pause_accepting(struct server *s, uint32_t ms)
{
    s->accept_paused = true;
    s->accept_resume = s->now_ms + ms;
    for (size_t i = 0; i < SERVER_LISTENERS; i++) {
        if (s->listeners[i].fd >= 0)
            (void)epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, s->listeners[i].fd, NULL);
    }
}

void server_accept_resume(struct server *s)
{
    if (!s->accept_paused || s->now_ms < s->accept_resume || s->free_count + s->idle_count == 0)
        return;
    s->accept_paused = false;
    (void)server_listen_watch(s);
}

/* Close the connection that has been idle for the longest time, so that a new one finds a place: its client
 * will connect again, and with TLS resumption cheaply. Nothing of it is unread, so closing at once does not
 * reset it. */
static bool evict_idle(struct server *s)
{
    while (s->idle_count > 0) {
        struct server_connection *oldest = NULL;
        for (size_t i = 0; i < s->connection_count; i++) {
            struct server_connection *c = &s->connections[i];
            if (c->state == SERVER_IDLE && (oldest == NULL || c->idle_deadline < oldest->idle_deadline))
                oldest = c;
        }
        if (oldest == NULL)
            return false;
        if (!server_transport_pending(&oldest->transport)) {
            server_log_event(s, "info", oldest, "closed",
                             "idle, and its place is needed for a new connection");
            (void)server_transport_finish(&oldest->transport);
            server_connection_abort(s, oldest);
            return true;
        }
        /* Its next request has arrived a moment ago. */
        server_connection_io(s, oldest);
        if (oldest->state == SERVER_IDLE)
            return false;
    }
    return false;
}

/* Is there a place for a new connection of l, and, where that costs another one its place, really a new connection? */
static bool make_room(struct server *s, const struct server_listener *l)
{
    if (s->free_count > 0)
        return true;
    struct pollfd waiting = {.fd = l->fd, .events = POLLIN};
    if (s->idle_count > 0 && poll(&waiting, 1, 0) <= 0)
        return false;
    if (evict_idle(s))
        return true;
    pause_accepting(s, 0);
    return false;
}

/* accept4 has failed. Returns: whether to try again at once. */
static bool accept_again(struct server *s)
{
    if (errno == EAGAIN)
        return false;
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        if (!s->descriptors_short)
            server_log_event(s, "error", NULL, "new connections have to wait", strerror(errno));
        s->descriptors_short = true;
        pause_accepting(s, DESCRIPTORS_SHORT_MS);
        return false;
    }
    return true; /* that client has gone already */
}

static void accept_up_to(struct server *s, const struct server_listener *l, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!make_room(s, l))
            return;
        struct sockaddr_storage address = {0};
        socklen_t len = sizeof address;
        int fd = accept4(l->fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (accept_again(s))
                continue;
            return;
        }
        s->descriptors_short = false;
        int on = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        const uint32_t index = s->free[--s->free_count];
        s->connections[index] = (struct server_connection){.transport = {.fd = fd}, .kind = l->kind};
        peer_text(&address, &s->connections[index]);
        server_connection_open(s, index);
    }
}

void server_accept(struct server *s, const struct server_listener *l)
{
    accept_up_to(s, l, ACCEPTS_PER_TURN);
}

/* Who has connected and was not looked at yet may have sent a request, and closing the socket would reset him. */
void server_listen_end(struct server *s)
{
    for (size_t i = 0; i < SERVER_LISTENERS; i++) {
        if (s->listeners[i].fd >= 0)
            accept_up_to(s, &s->listeners[i], s->free_count);
    }
    server_listen_close(s->listeners);
}
