/* SPDX-License-Identifier: MIT */
#include "port/posix/service/server.h"
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* Whatever errno it is, apart from "not now", this connection is over. */
static int failed(struct server_transport *t)
{
    if (errno == EAGAIN || errno == EINTR)
        return 0;
    t->ended = true;
    return BYTES_E_STREAM;
}

static int socket_send(struct server_transport *t, const uint8_t *bytes, size_t len, int flags)
{
    ssize_t n = send(t->fd, bytes, len, MSG_NOSIGNAL | flags);
    t->out_blocked = n < 0;
    return n < 0 ? failed(t) : (int)n;
}

static int socket_receive(struct server_transport *t, uint8_t *out, size_t room)
{
    ssize_t n = recv(t->fd, out, room, 0);
    if (n == 0) {
        t->ended = true;
        return BYTES_E_STREAM;
    }
    return n < 0 ? failed(t) : (int)n;
}

static int send_records(struct server_transport *t)
{
    while (crypto_tls_want(t->tls) & CRYPTO_TLS_RECORD_OUT) {
        size_t len;
        const uint8_t *records = crypto_tls_record_out(t->tls, &len);
        int n = socket_send(t, records, len, 0);
        if (n <= 0)
            return n;
        crypto_tls_record_sent(t->tls, (size_t)n);
    }
    return 1;
}

static int receive_record(struct server_transport *t)
{
    size_t room;
    uint8_t *record = crypto_tls_record_in(t->tls, &room);
    int n = socket_receive(t, record, room);
    if (n > 0) {
        t->midway = true;
        crypto_tls_record_received(t->tls, (size_t)n);
    }
    return n;
}

/* Move records until the engine wants application bytes in the given direction. What it has to say goes first:
 * a peer that waits for it would send nothing. Returns: 1; 0; a negative error. */
static int run_until(struct server_transport *t, unsigned wanted)
{
    for (;;) {
        int n = send_records(t);
        if (n <= 0)
            return n;
        unsigned want = crypto_tls_want(t->tls);
        if (want & wanted)
            return 1;
        if (want & CRYPTO_TLS_CLOSED) {
            /* After an error there may be more to come, and closing before it was read would destroy our alert. */
            t->ended = crypto_tls_error(t->tls) == 0;
            return t->ended ? BYTES_E_STREAM : BYTES_E_TLS;
        }
        if (!(want & CRYPTO_TLS_RECORD_IN))
            return BYTES_E_TLS;
        n = receive_record(t);
        if (n <= 0)
            return n;
    }
}

int server_transport_handshake(struct server_transport *t)
{
    int n = t->tls == NULL ? 1 : run_until(t, CRYPTO_TLS_APP_OUT);
    /* The engine asks for exactly one record, so what is there now belonged to the handshake. */
    if (n > 0)
        t->midway = false;
    return n;
}

int server_transport_read(struct server_transport *t, uint8_t *out, size_t room)
{
    if (t->tls == NULL)
        return socket_receive(t, out, room);
    int n = run_until(t, CRYPTO_TLS_APP_IN);
    if (n <= 0)
        return n;
    size_t len;
    const uint8_t *bytes = crypto_tls_app_in(t->tls, &len);
    len = len < room ? len : room;
    memcpy(out, bytes, len);
    crypto_tls_app_received(t->tls, len);
    t->midway = false;
    return (int)len;
}

int server_transport_write(struct server_transport *t, const uint8_t *bytes, size_t len, bool more)
{
    if (t->tls == NULL)
        return socket_send(t, bytes, len, more ? MSG_MORE : 0);
    size_t done = 0;
    while (done < len) {
        int n = run_until(t, CRYPTO_TLS_APP_OUT);
        if (n < 0)
            return n;
        if (n == 0)
            break;
        size_t room;
        uint8_t *window = crypto_tls_app_out(t->tls, &room);
        room = room < len - done ? room : len - done;
        memcpy(window, bytes + done, room);
        crypto_tls_app_sent(t->tls, room);
        done += room;
    }
    if (done == len && !more)
        crypto_tls_flush(t->tls);
    return (int)done;
}

/* Without TLS both go in one call, and in one packet if they fit. */
int server_transport_write_both(struct server_transport *t, struct bytes first, struct bytes second)
{
    if (t->tls != NULL) {
        const int n = server_transport_write(t, first.p, first.len, second.len > 0);
        if (n < 0 || (size_t)n < first.len || second.len == 0)
            return n;
        const int m = server_transport_write(t, second.p, second.len, false);
        return m < 0 ? m : n + m;
    }
    /* An iovec lacks const, although sending only reads through it. */
    const union {
        const uint8_t *in;
        void *out;
    } pointers[2] = {{first.p}, {second.p}};
    struct iovec parts[2] = {{pointers[0].out, first.len}, {pointers[1].out, second.len}};
    const struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    const ssize_t n = sendmsg(t->fd, &message, MSG_NOSIGNAL);
    t->out_blocked = n < 0;
    return n < 0 ? failed(t) : (int)n;
}

int server_transport_flush(struct server_transport *t)
{
    return t->tls == NULL ? 1 : send_records(t);
}

int server_transport_finish(struct server_transport *t)
{
    if (t->tls != NULL) {
        if (!t->closing)
            crypto_tls_close(t->tls);
        t->closing = true;
        int n = send_records(t);
        if (n <= 0)
            return n;
    }
    return shutdown(t->fd, SHUT_WR) == 0 ? 1 : BYTES_E_STREAM;
}

/* In portions: a peer that sends without end must not keep the loop from the others. */
bool server_transport_discard(struct server_transport *t)
{
    uint8_t waste[16384];
    for (int i = 0; i < 4 && !t->ended; i++) {
        if (socket_receive(t, waste, sizeof waste) <= 0)
            break;
    }
    return t->ended;
}

bool server_transport_pending(const struct server_transport *t)
{
    uint8_t byte;
    return t->midway || recv(t->fd, &byte, 1, MSG_PEEK) > 0;
}

bool server_transport_holds(const struct server_transport *t)
{
    return t->tls != NULL && (crypto_tls_want(t->tls) & CRYPTO_TLS_APP_IN) != 0;
}

uint32_t server_transport_events(const struct server_transport *t)
{
    return t->out_blocked ? EPOLLOUT : EPOLLIN;
}
