/* SPDX-License-Identifier: MIT */
#include "dps/protocol/http.h"
#include "dps/protocol/text.h"
#include "port/posix/private.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct endpoint {
    char host[DPS_HOST_MAX + 1];
    uint16_t port;
};

static void stream_close(void *context)
{
    struct posix_stream *s = context;
    if (s->fd >= 0)
        (void)close(s->fd);
    s->fd = -1;
}

/* The try comes first and the waiting after it: as a rule there is something to move, and that saves a system call. */
static int stream_read(void *context, uint8_t *out, size_t capacity, uint32_t timeout_ms)
{
    const struct posix_stream *s = context;
    uint64_t deadline = posix_deadline(timeout_ms);
    size_t room = capacity > INT_MAX ? INT_MAX : capacity;
    for (;;) {
        ssize_t n = recv(s->fd, out, room, 0);
        if (n > 0)
            return (int)n;
        if (n == 0)
            return BYTES_E_STREAM;
        if (errno == EINTR)
            return 0;
        if (errno != EAGAIN)
            return BYTES_E_STREAM;
        int error = posix_wait(s->fd, POLLIN, deadline, true);
        if (error != 0)
            return error == BYTES_E_TIMEOUT ? 0 : error;
    }
}

static int stream_write(void *context, const uint8_t *bytes, size_t len, uint32_t timeout_ms)
{
    const struct posix_stream *s = context;
    uint64_t deadline = posix_deadline(timeout_ms);
    size_t part = len > INT_MAX ? INT_MAX : len;
    for (;;) {
        ssize_t n = send(s->fd, bytes, part, MSG_NOSIGNAL);
        if (n >= 0)
            return (int)n;
        if (errno == EINTR)
            return 0;
        if (errno != EAGAIN)
            return BYTES_E_STREAM;
        int error = posix_wait(s->fd, POLLOUT, deadline, true);
        if (error != 0)
            return error == BYTES_E_TIMEOUT ? 0 : error;
    }
}

static uint32_t left_ms(uint64_t deadline)
{
    uint64_t now = posix_monotonic_ms();
    return deadline > now ? (uint32_t)(deadline - now) : 0;
}

static int proxy_parse(const char *url, struct endpoint *e)
{
    static const char scheme[] = "http://";
    char text[DPS_HOST_MAX + 16];
    if (strncmp(url, scheme, strlen(scheme)) != 0)
        return BYTES_E_USAGE;
    url += strlen(scheme);
    size_t len = strlen(url);
    if (len > 0 && url[len - 1] == '/')
        len--;
    /* A name or password for the proxy is not supported, and must not end up as part of a host name. */
    if (len >= sizeof text || memchr(url, '@', len) != NULL || memchr(url, '/', len) != NULL)
        return BYTES_E_USAGE;
    memcpy(text, url, len);
    text[len] = 0;
    return posix_host_port(text, e->host, sizeof e->host, &e->port);
}

/* CONNECT [RFC 9110 9.3.6]. */
static int proxy_ask(struct posix_stream *s, const struct endpoint *target, uint64_t deadline)
{
    uint8_t request[2 * (DPS_HOST_MAX + 16) + 64];
    struct bytes_writer w = bytes_writer_over(request, sizeof request);
    bool ipv6 = strchr(target->host, ':') != NULL;
    static const char *const around[] = {"CONNECT ", " HTTP/1.1\r\nHost: "};
    for (size_t i = 0; i < 2; i++) {
        dps_write_text(&w, around[i]);
        dps_write_text(&w, ipv6 ? "[" : "");
        dps_write_text(&w, target->host);
        dps_write_text(&w, ipv6 ? "]:" : ":");
        dps_write_decimal(&w, target->port);
    }
    dps_write_text(&w, "\r\n\r\n");
    struct bytes rest = bytes_written(&w);
    if (rest.len == 0)
        return BYTES_E_USAGE;
    while (rest.len > 0) {
        int n = stream_write(s, rest.p, rest.len, left_ms(deadline));
        if (n < 0)
            return n;
        if (n == 0 && left_ms(deadline) == 0)
            return BYTES_E_TIMEOUT;
        rest.p += n;
        rest.len -= (size_t)n;
    }
    return 0;
}

/* Read one byte at a time: what follows the empty line belongs to the tunnel, and here is nowhere to keep it. There is
 * no body after a 2xx, whatever the headers say; after anything else the connection ends. */
static int proxy_answer(struct posix_stream *s, uint64_t deadline)
{
    uint8_t head[DPS_HTTP_HEAD_MAX];
    size_t len = 0;
    struct dps_http h;
    dps_http_init(&h, DPS_HTTP_RESPONSE);
    while (h.head_len == 0) {
        if (len == sizeof head)
            return BYTES_E_STREAM;
        int n = stream_read(s, head + len, 1, left_ms(deadline));
        if (n < 0)
            return n;
        if (left_ms(deadline) == 0)
            return BYTES_E_TIMEOUT;
        len += (size_t)n;
        int error = dps_http_advance(&h, head, &len, sizeof head, false);
        if (error != 0 && error != BYTES_E_MORE)
            return BYTES_E_STREAM;
    }
    s->proxy_status = h.status;
    return h.status >= 200 && h.status <= 299 ? 0 : BYTES_E_STREAM;
}

static int stream_connect(void *context, const char *host, uint16_t port, uint32_t timeout_ms)
{
    struct posix_stream *s = context;
    struct endpoint target = {.port = port};
    struct endpoint proxy;
    uint64_t deadline = posix_deadline(timeout_ms);
    stream_close(s);
    s->proxy_status = 0;
    if (s->connect_to != NULL) {
        if (posix_host_port(s->connect_to, target.host, sizeof target.host, &target.port) != 0)
            return BYTES_E_USAGE;
    } else {
        size_t len = strlen(host);
        if (len >= sizeof target.host)
            return BYTES_E_USAGE;
        memcpy(target.host, host, len + 1);
    }
    if (s->proxy != NULL && proxy_parse(s->proxy, &proxy) != 0)
        return BYTES_E_USAGE;
    const struct endpoint *first = s->proxy != NULL ? &proxy : &target;
    int error = posix_connect_tcp(first->host, first->port, deadline, &s->fd);
    if (error == 0 && s->proxy != NULL) {
        error = proxy_ask(s, &target, deadline);
        if (error == 0)
            error = proxy_answer(s, deadline);
    }
    if (error != 0)
        stream_close(s);
    return error;
}

struct port_stream posix_stream_port(struct posix_stream *s)
{
    s->fd = -1;
    return (struct port_stream){s, stream_connect, stream_read, stream_write, stream_close};
}
