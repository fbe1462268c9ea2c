/* SPDX-License-Identifier: MIT */
/* PROXY protocol, version 2 (section 2.2 of its text): a proxy that passes TLS through says first who its client is. It
 * is believed if its address was configured, and then it has to say it. */
#include "port/posix/service/protocol.h"
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define INTRODUCTION_MAX 1024 /* the protocol recommends room for 536 */
#define LOCAL 0x20            /* the proxy speaks for itself, as when it tries whether we are there */
#define PROXY 0x21
#define UNSPEC 0x00
#define TCP4 0x11
#define TCP6 0x21

bool server_introduction_expected(const struct server *s, const char *peer_address)
{
    const struct posix_option_list *proxies = &s->config->proxies;
    for (size_t i = 0; i < proxies->count; i++) {
        if (strcmp(proxies->values[i], peer_address) == 0) {
            return true;
        }
    }
    return false;
}

/* What follows the addresses: type, length and value, over and over. */
static void skip_extras(struct bytes_reader *r)
{
    while (r->error == 0 && r->left > 0) {
        bytes_skip(r, 1);
        (void)bytes_read_2b(r);
    }
}

/* Source, destination, and the ports of both. */
static void read_addresses(struct bytes_reader *r, uint8_t family, struct sockaddr_storage *client)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    const size_t size = family == TCP4 ? sizeof in.sin_addr : sizeof in6.sin6_addr;
    const struct bytes source = bytes_read_bytes(r, size);
    bytes_skip(r, size);
    const uint16_t port = htons(bytes_read_u16(r));
    bytes_skip(r, 2);
    if (r->error != 0) {
        return;
    }
    if (family == TCP4) {
        memcpy(&in.sin_addr, source.p, size);
        in.sin_port = port;
        memcpy(client, &in, sizeof in);
    } else {
        memcpy(&in6.sin6_addr, source.p, size);
        in6.sin6_port = port;
        memcpy(client, &in6, sizeof in6);
    }
}

/* Of *len bytes. client is unchanged if the proxy speaks for itself or does not know. */
static int parse(struct bytes input, size_t *len, struct sockaddr_storage *client)
{
    static const uint8_t signature[12] = {'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};
    struct bytes_reader r = bytes_reader_over(input);
    const struct bytes begin = bytes_read_bytes(&r, sizeof signature);
    const uint8_t command = bytes_read_u8(&r);
    const uint8_t family = bytes_read_u8(&r);
    struct bytes_reader rest = bytes_read_sized(&r);
    *len = input.len - r.left;
    if (r.error != 0 || memcmp(begin.p, signature, sizeof signature) != 0 ||
        (command != LOCAL && command != PROXY)) {
        return BYTES_E_FORMAT;
    }
    if (command == LOCAL || family == UNSPEC) {
        return 0;
    }
    if (family != TCP4 && family != TCP6) {
        return BYTES_E_FORMAT;
    }
    read_addresses(&rest, family, client);
    skip_extras(&rest);
    return rest.error;
}

/* It comes in one piece, before anything else, as the protocol has it; what comes in two is refused. */
static int take(int fd, struct sockaddr_storage *client)
{
    uint8_t input[INTRODUCTION_MAX];
    size_t len = 0;
    const ssize_t n = recv(fd, input, sizeof input, MSG_PEEK);
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR ? BYTES_E_MORE : BYTES_E_STREAM;
    }
    if (n == 0) {
        return BYTES_E_STREAM;
    }
    const int error = parse(bytes_of(input, (size_t)n), &len, client);
    return error == 0 && recv(fd, input, len, 0) != (ssize_t)len ? BYTES_E_STREAM : error;
}

bool server_introduction_take(struct server *s, struct server_connection *c)
{
    struct sockaddr_storage client = {.ss_family = AF_UNSPEC};
    const int error = take(c->transport.fd, &client);
    if (error == BYTES_E_FORMAT) {
        server_log_event(s, "warn", c, "closed",
                         "--proxy-protocol names this peer, and it does not begin with that protocol");
    }
    if (error == BYTES_E_FORMAT || error == BYTES_E_STREAM) {
        server_connection_abort(s, c);
    }
    c->unnamed = error != 0;
    return error == 0 && (client.ss_family == AF_UNSPEC || server_accept_named(s, c, &client));
}
