/* SPDX-License-Identifier: MIT */
#include "port/posix/service/transport.h"
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* How much one event may read. The next event reports what is left over, after all others had their turn. */
#define EVENT_BYTES 32768
#define EVENT_READS 64 /* of a socket: a TLS record takes two, its header and the rest */

/* Records without content [RFC 5246 7.2.2, 6.2.1]: an honest peer sends an alert or two, or splits a request with an
 * empty record. */
#define BARREN_MAX 5
/* Of a handshake: ClientHello, ClientKeyExchange, ChangeCipherSpec and Finished, and room for fragments. */
#define HANDSHAKE_RECORDS_MAX 32

#define RECORD_HEADER 5
#define RECORD_ALERT 21

/* Whatever errno it is, apart from "not now", this connection is over. */
static int failed(struct server_transport *t)
{
    if (errno == EAGAIN || errno == EINTR) {
        return 0;
    }
    t->ended = true;
    return BYTES_E_STREAM;
}

static int sent(struct server_transport *t, ssize_t n)
{
    t->out_blocked = n < 0;
    t->spoke = t->spoke || n > 0;
    return n < 0 ? failed(t) : (int)n;
}

static int socket_send(struct server_transport *t, const uint8_t *bytes, size_t len, int flags)
{
    ssize_t n = send(t->fd, bytes, len, MSG_NOSIGNAL | flags);
    return sent(t, n);
}

static int socket_receive(struct server_transport *t, uint8_t *out, size_t room)
{
    if (t->bytes_left == 0 || t->reads_left == 0) {
        return 0;
    }
    ssize_t n = recv(t->fd, out, room < t->bytes_left ? room : t->bytes_left, 0);
    t->reads_left--;
    if (n == 0) {
        t->ended = true;
        return BYTES_E_STREAM;
    }
    if (n < 0) {
        return failed(t);
    }
    t->bytes_left -= (size_t)n;
    return (int)n;
}

void server_transport_event(struct server_transport *t)
{
    t->bytes_left = EVENT_BYTES;
    t->reads_left = EVENT_READS;
}

static int send_records(struct server_transport *t)
{
    while (crypto_tls_want(t->tls) & CRYPTO_TLS_RECORD_OUT) {
        size_t len;
        const uint8_t *records = crypto_tls_record_out(t->tls, &len);
        int n = socket_send(t, records, len, 0);
        if (n <= 0) {
            return n;
        }
        crypto_tls_record_sent(t->tls, (size_t)n);
    }
    return 1;
}

/* The engine asks for a record's header, and then for the rest: what it takes at once never goes beyond a record.
 * Returns: whether these bytes end one. */
static bool ends_record(struct server_transport *t, const uint8_t *bytes, size_t len)
{
    if (t->record_left > 0) {
        t->record_left -= len < t->record_left ? len : t->record_left;
        return t->record_left == 0;
    }
    for (size_t i = 0; i < len && t->header_len < RECORD_HEADER; i++) {
        t->header[t->header_len++] = bytes[i];
    }
    if (t->header_len < RECORD_HEADER) {
        return false;
    }
    t->header_len = 0;
    t->record_left = (size_t)t->header[3] << 8 | t->header[4];
    return t->record_left == 0;
}

/* A record is complete, and the engine has looked at it. Returns: 0; BYTES_E_LIMIT if there were too many in vain. */
static int count_record(struct server_transport *t)
{
    if (t->established || t->header[0] == RECORD_ALERT) {
        t->barren += (crypto_tls_want(t->tls) & CRYPTO_TLS_APP_IN) == 0;
    } else {
        t->handshake_records++;
    }
    return t->barren > BARREN_MAX || t->handshake_records > HANDSHAKE_RECORDS_MAX ? BYTES_E_LIMIT : 0;
}

static int receive_record(struct server_transport *t)
{
    size_t room;
    uint8_t *record = crypto_tls_record_in(t->tls, &room);
    int n = socket_receive(t, record, room);
    if (n <= 0) {
        return n;
    }
    const bool complete = ends_record(t, record, (size_t)n);
    t->midway = !complete;
    crypto_tls_record_received(t->tls, (size_t)n);
    const int error = complete ? count_record(t) : 0;
    return error != 0 ? error : n;
}

/* Move records until the engine wants application bytes in the given direction. What it has to send goes first:
 * a peer that waits for that would send nothing. Returns: 1; 0; a negative error. */
static int run_until(struct server_transport *t, unsigned wanted)
{
    for (;;) {
        int n = send_records(t);
        if (n <= 0) {
            return n;
        }
        unsigned want = crypto_tls_want(t->tls);
        if (want & wanted) {
            return 1;
        }
        if (want & CRYPTO_TLS_CLOSED) {
            /* After an error there may be more to come, and closing before it was read would destroy our alert. */
            t->ended = crypto_tls_error(t->tls) == 0;
            return t->ended ? BYTES_E_STREAM : BYTES_E_TLS;
        }
        if (!(want & CRYPTO_TLS_RECORD_IN)) {
            return BYTES_E_TLS;
        }
        n = receive_record(t);
        if (n <= 0) {
            return n;
        }
    }
}

int server_transport_handshake(struct server_transport *t)
{
    int n = t->tls == NULL ? 1 : run_until(t, CRYPTO_TLS_APP_OUT);
    if (n <= 0) {
        return n;
    }
    t->established = true;
    t->barren = 0;
    return n;
}

int server_transport_read(struct server_transport *t, uint8_t *out, size_t room)
{
    if (t->tls == NULL) {
        return socket_receive(t, out, room);
    }
    int n = run_until(t, CRYPTO_TLS_APP_IN);
    if (n <= 0) {
        return n;
    }
    size_t len;
    const uint8_t *bytes = crypto_tls_app_in(t->tls, &len);
    len = len < room ? len : room;
    memcpy(out, bytes, len);
    crypto_tls_app_received(t->tls, len);
    return (int)len;
}

int server_transport_write(struct server_transport *t, const uint8_t *bytes, size_t len, bool more)
{
    if (t->tls == NULL) {
        return socket_send(t, bytes, len, more ? MSG_MORE : 0);
    }
    size_t done = 0;
    while (done < len) {
        int n = run_until(t, CRYPTO_TLS_APP_OUT);
        if (n < 0) {
            return n;
        }
        if (n == 0) {
            break;
        }
        size_t room;
        uint8_t *window = crypto_tls_app_out(t->tls, &room);
        room = room < len - done ? room : len - done;
        memcpy(window, bytes + done, room);
        crypto_tls_app_sent(t->tls, room);
        done += room;
    }
    if (done == len && !more) {
        crypto_tls_flush(t->tls);
    }
    return (int)done;
}

/* Without TLS both go in one call, and in one packet if they fit. */
int server_transport_write_both(struct server_transport *t, struct bytes first, struct bytes second)
{
    if (t->tls != NULL) {
        const int n = server_transport_write(t, first.p, first.len, second.len > 0);
        if (n < 0 || (size_t)n < first.len || second.len == 0) {
            return n;
        }
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
    return sent(t, sendmsg(t->fd, &message, MSG_NOSIGNAL));
}

int server_transport_flush(struct server_transport *t)
{
    return t->tls == NULL ? 1 : send_records(t);
}

int server_transport_finish(struct server_transport *t)
{
    if (t->tls != NULL) {
        if (!t->closing) {
            crypto_tls_close(t->tls);
        }
        t->closing = true;
        int n = send_records(t);
        if (n <= 0) {
            return n;
        }
    }
    return shutdown(t->fd, SHUT_WR) == 0 ? 1 : BYTES_E_STREAM;
}

bool server_transport_discard(struct server_transport *t)
{
    uint8_t waste[16384];
    while (socket_receive(t, waste, sizeof waste) > 0) {
    }
    return t->ended;
}

int server_transport_peek(struct server_transport *t)
{
    uint8_t byte;
    const ssize_t n = recv(t->fd, &byte, 1, MSG_PEEK);
    t->ended = t->ended || n == 0;
    return n > 0 ? 1 : n == 0 ? BYTES_E_STREAM : failed(t);
}

bool server_transport_pending(struct server_transport *t)
{
    return t->midway || server_transport_peek(t) > 0;
}

bool server_transport_holds(const struct server_transport *t)
{
    return t->tls != NULL && (crypto_tls_want(t->tls) & CRYPTO_TLS_APP_IN) != 0;
}

uint32_t server_transport_events(const struct server_transport *t)
{
    return t->out_blocked ? EPOLLOUT : EPOLLIN;
}
