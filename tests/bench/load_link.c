/* SPDX-License-Identifier: MIT */
#include "port/posix/private.h"
#include "tests/bench/load.h"
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_TIMEOUT_MS 30000

bool load_link_init(struct load_link *l, const char *ca)
{
    l->fd = -1;
    if (!l->tls) {
        return true;
    }
    l->context = SSL_CTX_new(TLS_client_method());
    if (l->context == NULL || SSL_CTX_load_verify_locations(l->context, ca, NULL) != 1) {
        return false;
    }
    SSL_CTX_set_verify(l->context, SSL_VERIFY_PEER, NULL);
    (void)SSL_CTX_set_mode(l->context, SSL_MODE_RELEASE_BUFFERS); /* thousands may be idle */
    /* What the service speaks, and the curve that costs it least. */
    (void)SSL_CTX_set_max_proto_version(l->context, TLS1_2_VERSION);
    return SSL_CTX_set1_groups_list(l->context, "X25519:P-256") == 1;
}

/* The programs' sockets do not block; SSL_connect here is to. */
static int connect_to(const struct load_link *l)
{
    int fd = -1;
    if (posix_connect_tcp(l->host, l->port, posix_deadline(CONNECT_TIMEOUT_MS), &fd) != 0) {
        return -1;
    }
    (void)fcntl(fd, F_SETFL, 0);
    return fd;
}

bool load_link_open(struct load_link *l, bool resume)
{
    l->in_len = 0;
    l->fd = connect_to(l);
    if (l->fd < 0 || !l->tls) {
        return l->fd >= 0;
    }
    l->ssl = SSL_new(l->context);
    if (l->ssl == NULL || SSL_set_fd(l->ssl, l->fd) != 1 || SSL_set1_host(l->ssl, l->host) != 1 ||
        SSL_set_tlsext_host_name(l->ssl, l->host) != 1 ||
        (resume && l->session != NULL && SSL_set_session(l->ssl, l->session) != 1) ||
        SSL_connect(l->ssl) != 1) {
        return false;
    }
    if (resume && l->session != NULL && SSL_session_reused(l->ssl) != 1) {
        return false;
    }
    if (resume && l->session == NULL) {
        l->session = SSL_get1_session(l->ssl);
    }
    return true;
}

void load_link_close(struct load_link *l)
{
    if (l->ssl != NULL) {
        (void)SSL_shutdown(l->ssl);
        SSL_free(l->ssl);
    }
    l->ssl = NULL;
    if (l->fd >= 0) {
        (void)close(l->fd);
    }
    l->fd = -1;
}

static bool put(struct load_link *l, const char *bytes, size_t len)
{
    while (len > 0) {
        const ssize_t n = l->tls ? SSL_write(l->ssl, bytes, (int)len) : send(l->fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

bool load_link_ask(struct load_link *l, const char *request, size_t len)
{
    /* What is left belongs to this answer. */
    l->in_len -= l->http.consumed < l->in_len ? l->http.consumed : l->in_len;
    dps_http_init(&l->http, DPS_HTTP_RESPONSE);
    if (!put(l, request, len)) {
        return false;
    }
    for (;;) {
        const size_t room = sizeof l->in - l->in_len;
        const ssize_t n =
            l->tls ? SSL_read(l->ssl, l->in + l->in_len, (int)room) : recv(l->fd, l->in + l->in_len, room, 0);
        if (n <= 0) {
            return false;
        }
        l->in_len += (size_t)n;
        const int error = dps_http_advance(&l->http, l->in, &l->in_len, sizeof l->in, false);
        if (error != BYTES_E_MORE) {
            return error == 0;
        }
    }
}
