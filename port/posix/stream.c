/* SPDX-License-Identifier: MIT */
#include "dps/protocol/http.h"
#include "dps/protocol/text.h"
#include "port/posix/private.h"
#include "port/posix/proxy.h"
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void stream_close(void *context)
{
    struct posix_stream *s = context;
    if (s->fd >= 0) {
        (void)close(s->fd);
    }
    s->fd = -1;
}

/* Try first, then wait: usually there is something to move, and that saves a system call. */
static int stream_read(void *context, uint8_t *out, size_t capacity, uint32_t timeout_ms)
{
    const struct posix_stream *s = context;
    uint64_t deadline = posix_deadline(timeout_ms);
    size_t room = capacity > INT_MAX ? INT_MAX : capacity;
    for (;;) {
        ssize_t n = recv(s->fd, out, room, 0);
        if (n > 0) {
            return (int)n;
        }
        if (n == 0) {
            return BYTES_E_STREAM;
        }
        if (errno == EINTR) {
            return 0;
        }
        if (errno != EAGAIN) {
            return BYTES_E_STREAM;
        }
        int error = posix_wait(s->fd, POLLIN, deadline, true);
        if (error != 0) {
            return error == BYTES_E_TIMEOUT ? 0 : error;
        }
    }
}

static int stream_write(void *context, const uint8_t *bytes, size_t len, uint32_t timeout_ms)
{
    const struct posix_stream *s = context;
    uint64_t deadline = posix_deadline(timeout_ms);
    size_t part = len > INT_MAX ? INT_MAX : len;
    for (;;) {
        ssize_t n = send(s->fd, bytes, part, MSG_NOSIGNAL);
        if (n >= 0) {
            return (int)n;
        }
        if (errno == EINTR) {
            return 0;
        }
        if (errno != EAGAIN) {
            return BYTES_E_STREAM;
        }
        int error = posix_wait(s->fd, POLLOUT, deadline, true);
        if (error != 0) {
            return error == BYTES_E_TIMEOUT ? 0 : error;
        }
    }
}

static uint32_t left_ms(uint64_t deadline)
{
    uint64_t now = posix_monotonic_ms();
    return deadline > now ? (uint32_t)(deadline - now) : 0;
}

/* Whoever waits for the proxy gives up when the time is over or a signal came, however busy the proxy is. */
static bool given_up(uint64_t deadline)
{
    return posix_interrupted || left_ms(deadline) == 0;
}

static int write_all(struct posix_stream *s, struct bytes rest, uint64_t deadline)
{
    while (rest.len > 0) {
        int n = given_up(deadline) ? BYTES_E_TIMEOUT : stream_write(s, rest.p, rest.len, left_ms(deadline));
        if (n < 0) {
            return n;
        }
        rest.p += n;
        rest.len -= (size_t)n;
    }
    return 0;
}

/* CONNECT [RFC 9110 9.3.6], with the credentials from the first [RFC 7617 2]. */
static int proxy_ask(struct posix_stream *s, uint64_t deadline)
{
    uint8_t request[2 * (DPS_HOST_MAX + 16) + 128 + (POSIX_PROXY_CREDENTIALS_MAX + 2) / 3 * 4];
    struct bytes_writer w = bytes_writer_over(request, sizeof request);
    bool ipv6 = strchr(s->host, ':') != NULL;
    static const char *const around[] = {"CONNECT ", " HTTP/1.1\r\nHost: "};
    for (size_t i = 0; i < 2; i++) {
        dps_write_text(&w, around[i]);
        dps_write_text(&w, ipv6 ? "[" : "");
        dps_write_text(&w, s->host);
        dps_write_text(&w, ipv6 ? "]:" : ":");
        dps_write_decimal(&w, s->port);
    }
    if (s->through->credentials_len > 0) {
        dps_write_text(&w, "\r\nProxy-Authorization: Basic ");
        dps_write_base64(&w, bytes_of(s->through->credentials, s->through->credentials_len));
    }
    dps_write_text(&w, "\r\n\r\n");
    const int error = w.error != 0 ? BYTES_E_USAGE : write_all(s, bytes_written(&w), deadline);
    bytes_wipe(request, sizeof request);
    return error;
}

static struct bytes first_word(struct bytes text)
{
    while (text.len > 0 && (text.p[0] == ' ' || text.p[0] == '\t')) {
        text = bytes_of(text.p + 1, text.len - 1);
    }
    size_t len = 0;
    while (len < text.len && (isalnum(text.p[len]) || text.p[len] == '-')) {
        len++;
    }
    return bytes_of(text.p, len);
}

/* One line may offer several schemes, between commas that also stand between their parameters. */
static bool offers_basic(struct bytes value)
{
    while (value.len > 0) {
        struct bytes part;
        value = dps_split(value, ',', &part);
        if (dps_text_equal_nocase(first_word(part), bytes_of_text("Basic"))) {
            return true;
        }
    }
    return false;
}

/* What a 407 asks for [RFC 9110 11.7]. */
static void keep_schemes(struct posix_stream *s, struct bytes head)
{
    const struct bytes name = bytes_of_text("Proxy-Authenticate");
    size_t len = 0;
    while (head.len > 0) {
        struct bytes line;
        struct bytes field;
        head = dps_split(head, '\n', &line);
        const struct bytes value = dps_split(line, ':', &field);
        if (!dps_text_equal_nocase(field, name)) {
            continue;
        }
        if (offers_basic(value)) {
            s->proxy_wants[0] = 0;
            return;
        }
        const struct bytes scheme = first_word(value);
        const int n = snprintf(s->proxy_wants + len, sizeof s->proxy_wants - len, "%s%.*s",
                               len > 0 ? ", " : "", (int)scheme.len, (const char *)scheme.p);
        len = n > 0 && len + (size_t)n < sizeof s->proxy_wants ? len + (size_t)n : sizeof s->proxy_wants - 1;
    }
}

/* Read one byte at a time: what follows the empty line belongs to the tunnel, and there is no place to keep it here.
 * There is no body after a 2xx, whatever the headers say; after anything else the connection ends. */
static int proxy_answer(struct posix_stream *s, uint64_t deadline)
{
    uint8_t head[DPS_HTTP_HEAD_MAX];
    size_t len = 0;
    struct dps_http h;
    dps_http_init(&h, DPS_HTTP_RESPONSE);
    while (h.head_len == 0) {
        if (len == sizeof head) {
            return BYTES_E_STREAM;
        }
        int n = given_up(deadline) ? BYTES_E_TIMEOUT : stream_read(s, head + len, 1, left_ms(deadline));
        if (n < 0) {
            return n;
        }
        len += (size_t)n;
        int error = dps_http_advance(&h, head, &len, sizeof head, false);
        if (error != 0 && error != BYTES_E_MORE) {
            return BYTES_E_STREAM;
        }
    }
    s->proxy_status = h.status;
    if (h.status == 407) {
        keep_schemes(s, bytes_of(head, h.head_len));
    }
    return h.status >= 200 && h.status <= 299 ? 0 : BYTES_E_STREAM;
}

static int set_target(struct posix_stream *s, const char *host, uint16_t port)
{
    s->port = port;
    s->host[0] = 0;
    if (s->connect_to != NULL) {
        return posix_host_port(s->connect_to, s->host, sizeof s->host, &s->port);
    }
    size_t len = strlen(host);
    if (len >= sizeof s->host) {
        return BYTES_E_USAGE;
    }
    memcpy(s->host, host, len + 1);
    return 0;
}

static int stream_connect(void *context, const char *host, uint16_t port, uint32_t timeout_ms)
{
    struct posix_stream *s = context;
    uint64_t deadline = posix_deadline(timeout_ms);
    stream_close(s);
    s->proxy_status = 0;
    s->proxy_wants[0] = 0;
    s->reached = false;
    s->through = NULL;
    int error = set_target(s, host, port);
    if (error != 0) {
        return error;
    }
    if (s->proxy != NULL && posix_proxy_leads_to(s->proxy, s->host, s->port)) {
        s->through = s->proxy;
    }
    const bool direct = s->through == NULL;
    error = posix_connect_tcp(direct ? s->host : s->through->host, direct ? s->port : s->through->port,
                              deadline, &s->fd);
    s->reached = error == 0;
    s->cause = errno;
    if (error == 0 && !direct) {
        error = proxy_ask(s, deadline);
        if (error == 0) {
            error = proxy_answer(s, deadline);
        }
    }
    if (error != 0) {
        stream_close(s);
    }
    return error;
}

struct port_stream posix_stream_port(struct posix_stream *s)
{
    s->fd = -1;
    return (struct port_stream){s, stream_connect, stream_read, stream_write, stream_close};
}
