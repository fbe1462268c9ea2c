/* SPDX-License-Identifier: MIT */
#include "port/posix/private.h"
#include "tests/conformance/device.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEND_PATIENCE_MS 5000

/* ---- Listening ---- */

int client_listen(struct client_bench *b, char *why, size_t why_size)
{
    char host[DPS_HOST_MAX + 1];
    char reason[POSIX_FILE_ERROR_MAX];
    b->listener = b->other_listener = -1;
    b->other_port = 0;
    if (posix_listen_address(client_options.listen, host, sizeof host, &b->port) != 0) {
        snprintf(why, why_size,
                 "--device-listen takes ADDR:PORT or [IPV6]:PORT (0: any free port), not \"%s\"",
                 client_options.listen);
        return BYTES_E_USAGE;
    }
    int error = posix_listen_tcp(host, &b->port, &b->listener);
    if (error == 0) {
        error = posix_listen_tcp(host, &b->other_port, &b->other_listener);
    }
    if (error != 0) {
        snprintf(why, why_size, "--device-listen %s: %s", client_options.listen,
                 posix_listen_error(errno, reason, sizeof reason));
    }
    return error;
}

static void drop(struct client_connection *k)
{
    if (k->used) {
        (void)close(k->transport.fd);
        crypto_tls_server_wipe(&k->tls);
        k->used = false;
    }
}

void client_drop_all(struct client_bench *b)
{
    for (size_t i = 0; i < CLIENT_CONNECTIONS; i++) {
        drop(&b->connections[i]);
    }
}

bool client_is_connected(const struct client_bench *b)
{
    bool any = false;
    for (size_t i = 0; i < CLIENT_CONNECTIONS; i++) {
        any |= b->connections[i].used;
    }
    return any;
}

void client_listen_end(struct client_bench *b)
{
    client_drop_all(b);
    if (b->listener >= 0) {
        (void)close(b->listener);
    }
    if (b->other_listener >= 0) {
        (void)close(b->other_listener);
    }
    b->listener = b->other_listener = -1;
}

/* ---- Connections ---- */

static void accept_one(struct client_bench *b, int listener)
{
    uint8_t entropy[32];
    struct crypto_entropy system = posix_entropy();
    struct client_connection *k = NULL;
    for (size_t i = 0; i < CLIENT_CONNECTIONS && k == NULL; i++) {
        k = b->connections[i].used ? NULL : &b->connections[i];
    }
    if (k == NULL) { /* more than any client needs: the oldest ones have been forgotten by it */
        client_drop_all(b);
        k = &b->connections[0];
    }
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        return;
    }
    const struct crypto_identity *identity = b->use_wrong_identity ? &b->wrong_identity : &b->identity;
    if (system.fill(system.context, entropy, sizeof entropy) != 0 ||
        crypto_tls_server_start(&k->tls, identity, NULL, entropy, k->io, sizeof k->io) != 0) {
        (void)close(fd);
        return;
    }
    int on = 1; /* every piece is to arrive by itself */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    k->used = true;
    k->ready = k->refused = false;
    k->elsewhere = listener == b->other_listener;
    k->len = 0;
    k->transport = (struct server_transport){.fd = fd, .tls = crypto_tls_server_engine(&k->tls)};
    dps_http_init(&k->http, DPS_HTTP_REQUEST);
}

/* A request may be larger than what this suite reads: that is the suite's limit, not the client's fault. It is refused
 * with 431, and whatever else comes is thrown away until the client closes. */
static bool refuse_large(struct client_bench *b, struct client_connection *k)
{
    b->seen.too_large++;
    k->refused = true;
    k->len = 0;
    return client_answer_text(b, k, "431 Request Header Fields Too Large", "Connection: close\r\n",
                              "{\"errorCode\":431001,\"trackingId\":\"0\",\"message\":\"too large\"}");
}

/* Requests that have arrived whole. Returns: false if the connection has to end. */
static bool take_requests(struct client_bench *b, struct client_connection *k)
{
    for (;;) {
        int error = dps_http_advance(&k->http, k->request, &k->len, sizeof k->request, false);
        if (error == BYTES_E_MORE) {
            return true;
        }
        if (error == BYTES_E_LIMIT) {
            return refuse_large(b, k);
        }
        if (error != 0) {
            snprintf(b->seen.faults[CLIENT_SHAPE_HTTP], sizeof b->seen.faults[0],
                     "a request is not HTTP/1.1: %s", posix_error_text(error));
            return false;
        }
        if (!client_request(b, k)) {
            return false;
        }
        size_t rest = k->len - k->http.consumed;
        memmove(k->request, k->request + k->http.consumed, rest);
        k->len = rest;
        dps_http_init(&k->http, DPS_HTTP_REQUEST);
        if (rest == 0) {
            return true;
        }
    }
}

/* Whatever this connection can do now. Returns: false if it has ended. */
static bool step(struct client_bench *b, struct client_connection *k)
{
    server_transport_event(&k->transport);
    if (!k->ready) {
        int n = server_transport_handshake(&k->transport);
        if (n < 0) {
            b->seen.refused++;
            return false;
        }
        if (n == 0) {
            return true;
        }
        k->ready = true;
        b->seen.connections++;
    }
    for (;;) {
        int n = server_transport_read(&k->transport, k->request + k->len, sizeof k->request - k->len);
        if (n <= 0) {
            return n == 0;
        }
        if (k->refused) {
            continue;
        }
        k->len += (size_t)n;
        if (!take_requests(b, k)) {
            return false;
        }
    }
}

void client_serve(struct client_bench *b, int ms)
{
    struct pollfd p[CLIENT_CONNECTIONS + 2];
    p[CLIENT_CONNECTIONS] = (struct pollfd){.fd = b->listener, .events = POLLIN};
    p[CLIENT_CONNECTIONS + 1] = (struct pollfd){.fd = b->other_listener, .events = POLLIN};
    for (size_t i = 0; i < CLIENT_CONNECTIONS; i++) {
        const struct client_connection *k = &b->connections[i];
        p[i] = (struct pollfd){.fd = k->used ? k->transport.fd : -1,
                               .events = k->used && k->transport.out_blocked ? POLLOUT : POLLIN};
    }
    if (poll(p, CLIENT_CONNECTIONS + 2, ms) <= 0) {
        return;
    }
    for (size_t i = 0; i < CLIENT_CONNECTIONS; i++) {
        struct client_connection *k = &b->connections[i];
        if (k->used && p[i].revents != 0 && !step(b, k)) {
            drop(k);
        }
    }
    if (p[CLIENT_CONNECTIONS].revents != 0) {
        accept_one(b, b->listener);
    }
    if (p[CLIENT_CONNECTIONS + 1].revents != 0) {
        accept_one(b, b->other_listener);
    }
}

/* ---- Sending ---- */

bool client_send(struct client_connection *k, const uint8_t *bytes, size_t len, size_t piece)
{
    uint64_t deadline = posix_deadline(SEND_PATIENCE_MS);
    if (piece == 0) {
        piece = len;
    }
    while (len > 0) {
        size_t part = len < piece ? len : piece;
        int n = server_transport_write(&k->transport, bytes, part, false);
        if (n > 0 && server_transport_flush(&k->transport) < 0) {
            n = -1;
        }
        if (n < 0) {
            return false;
        }
        bytes += n;
        len -= (size_t)n;
        if (n == 0 && posix_wait(k->transport.fd, POLLOUT, deadline, true) != 0) {
            return false;
        }
    }
    int n;
    while ((n = server_transport_flush(&k->transport)) == 0) {
        if (posix_wait(k->transport.fd, POLLOUT, deadline, true) != 0) {
            return false;
        }
    }
    return n > 0;
}
