/* SPDX-License-Identifier: MIT */
/* Sockets, as the stream, the TPM transports and the servers need them. */
#include "dps/protocol/text.h"
#include "port/posix/private.h"
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int posix_wait(int fd, short events, uint64_t deadline, bool interruptible)
{
    for (;;) {
        if (interruptible && posix_interrupted) {
            return BYTES_E_TIMEOUT;
        }
        uint64_t now = posix_monotonic_ms();
        uint64_t left = deadline > now ? deadline - now : 0;
        struct pollfd p = {.fd = fd, .events = events};
        int n = poll(&p, 1, left > INT_MAX ? INT_MAX : (int)left);
        if (n > 0) {
            return (p.revents & POLLNVAL) != 0 ? BYTES_E_STREAM : 0;
        }
        if (n < 0 && errno != EINTR) {
            return BYTES_E_STREAM;
        }
        if (n == 0 && left <= INT_MAX) {
            return BYTES_E_TIMEOUT;
        }
    }
}

/* One address. The socket is closed again unless 0 is returned; errno says why. */
static int connect_address(int family, const struct sockaddr *address, socklen_t len, uint64_t deadline,
                           int *fd)
{
    int s = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s < 0) {
        return BYTES_E_STREAM;
    }
    int error = 0;
    if (connect(s, address, len) != 0) {
        /* An interrupted connect goes on by itself, like one in progress. A unix socket whose backlog is full says
         * EAGAIN and never becomes ready; that is a refusal. */
        error =
            errno == EINPROGRESS || errno == EINTR ? posix_wait(s, POLLOUT, deadline, true) : BYTES_E_STREAM;
        int cause = errno;
        socklen_t cause_len = sizeof cause;
        if (error == 0 && (getsockopt(s, SOL_SOCKET, SO_ERROR, &cause, &cause_len) != 0 || cause != 0)) {
            error = BYTES_E_STREAM;
        }
        errno = error == BYTES_E_TIMEOUT ? ETIMEDOUT : cause;
    }
    if (error != 0) {
        int saved = errno;
        (void)close(s);
        errno = saved;
        return error;
    }
    *fd = s;
    return 0;
}

static size_t count_addresses(const struct addrinfo *a)
{
    size_t n = 0;
    for (; a != NULL; a = a->ai_next) {
        n++;
    }
    return n;
}

/* Null: errno says why, as the header has it. */
static struct addrinfo *resolve(const char *host, uint16_t port, int flags)
{
    char service[6];
    snprintf(service, sizeof service, "%u", (unsigned)port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | flags};
    struct addrinfo *list = NULL;
    errno = 0;
    int resolved = getaddrinfo(host, service, &hints, &list);
    if (resolved == 0) {
        return list;
    }
    if (resolved != EAI_SYSTEM) {
        errno = resolved; /* these are negative, so posix_connect_reason knows them from an errno */
    }
    return NULL;
}

/* What went wrong with the last address stays in errno. */
static void forget(struct addrinfo *list)
{
    int saved = errno;
    if (list != NULL) {
        freeaddrinfo(list);
    }
    errno = saved;
}

int posix_connect_tcp(const char *host, uint16_t port, uint64_t deadline, int *fd)
{
    struct addrinfo *list = resolve(host, port, AI_ADDRCONFIG);
    int error = BYTES_E_STREAM;
    size_t untried = count_addresses(list);
    for (const struct addrinfo *a = list; a != NULL && error != 0; a = a->ai_next, untried--) {
        /* Each address gets its share of the time: one that drops packets must not use up the time of the others. */
        uint64_t now = posix_monotonic_ms();
        uint64_t share = deadline > now ? now + (deadline - now) / untried : now;
        error = connect_address(a->ai_family, a->ai_addr, a->ai_addrlen, share, fd);
    }
    forget(list);
    if (error == 0) {
        /* Requests are written whole; waiting to fill a segment would only delay them. */
        int on = 1;
        (void)setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    return error;
}

int posix_connect_unix(const char *path, uint64_t deadline, int *fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return BYTES_E_STREAM;
    }
    memcpy(address.sun_path, path, len);
    /* The sockets interface asks for this cast. */
    return connect_address(AF_UNIX, (const struct sockaddr *)&address, sizeof address, deadline, fd);
}

const char *posix_connect_reason(int cause)
{
    if (cause == EAI_AGAIN) {
        return "the name server does not answer";
    }
    return cause < 0 ? "the host name is not known" : strerror(cause);
}

/* The two kinds of address have their port in the same place, but the compiler does not know it. */
static uint16_t bound_port(int fd)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    socklen_t len = sizeof address;
    (void)getsockname(fd, (struct sockaddr *)&address, &len); /* cannot fail: it is bound */
    memcpy(&v4, &address, sizeof v4);
    memcpy(&v6, &address, sizeof v6);
    return ntohs(address.ss_family == AF_INET6 ? v6.sin6_port : v4.sin_port);
}

static int listen_address(const struct addrinfo *a)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    int on = 1;
    /* Without it a restarted server could not listen for a minute, until the last connections are forgotten. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0) {
        return fd;
    }
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return -1;
}

int posix_listen_tcp(const char *host, uint16_t *port, int *fd)
{
    struct addrinfo *list = resolve(host, *port, AI_PASSIVE);
    int listener = -1;
    for (const struct addrinfo *a = list; a != NULL && listener < 0; a = a->ai_next) {
        listener = listen_address(a);
    }
    forget(list);
    if (listener < 0) {
        return BYTES_E_STREAM;
    }
    *fd = listener;
    *port = bound_port(listener);
    return 0;
}

int posix_listen_address(const char *text, char *host, size_t host_size, uint16_t *port)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL) {
        return BYTES_E_USAGE;
    }
    const char *begin = text;
    const char *end = colon;
    if (*begin == '[' && end - begin >= 2 && end[-1] == ']') {
        begin++;
        end--;
    } else if (memchr(begin, ':', (size_t)(end - begin)) != NULL) {
        return BYTES_E_USAGE; /* IPv6 without brackets: which colon ends it? */
    }
    size_t len = (size_t)(end - begin);
    uint64_t number;
    if (len == 0 || len >= host_size || dps_decimal_parse(bytes_of_text(colon + 1), 65535, &number) != 0) {
        return BYTES_E_USAGE;
    }
    memcpy(host, begin, len);
    host[len] = 0;
    *port = (uint16_t)number;
    return 0;
}

int posix_host_port(const char *text, char *host, size_t host_size, uint16_t *port)
{
    int error = posix_listen_address(text, host, host_size, port);
    return error == 0 && *port == 0 ? BYTES_E_USAGE : error;
}
