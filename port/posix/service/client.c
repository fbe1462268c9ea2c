/* SPDX-License-Identifier: MIT */
/* Whose request it is, for the log and for limits. */
#include "dps/protocol/http_message.h"
#include "dps/protocol/text.h"
#include "port/posix/service/server.h"
#include <arpa/inet.h>
#include <string.h>

static struct bytes without_ends(struct bytes text, const char *ends)
{
    while (text.len > 0 && strchr(ends, text.p[0]) != NULL) {
        text = bytes_of(text.p + 1, text.len - 1);
    }
    while (text.len > 0 && strchr(ends, text.p[text.len - 1]) != NULL) {
        text = bytes_of(text.p, text.len - 1);
    }
    return text;
}

static size_t count_of(struct bytes text, uint8_t c)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        count += text.p[i] == c;
    }
    return count;
}

/* "1.2.3.4:5", "[::1]:5" and "[::1]" without port and brackets. A bare IPv6 address has more than one colon. */
static struct bytes without_port(struct bytes text)
{
    struct bytes address = text;
    if (text.len > 0 && text.p[0] == '[') {
        (void)dps_split(bytes_of(text.p + 1, text.len - 1), ']', &address);
    } else if (count_of(text, ':') == 1) {
        (void)dps_split(text, ':', &address);
    }
    return address;
}

static bool is_mapped(const struct in6_addr *in6)
{
    static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return memcmp(in6, prefix, sizeof prefix) == 0;
}

bool server_address_read(struct bytes text, char out[SERVER_PEER_MAX])
{
    char copy[INET6_ADDRSTRLEN];
    struct in_addr in;
    struct in6_addr in6;
    struct bytes address;
    (void)dps_split(without_port(without_ends(text, " \t\"")), '%', &address);
    if (address.len == 0 || address.len >= sizeof copy) {
        return false;
    }
    snprintf(copy, sizeof copy, "%.*s", (int)address.len, (const char *)address.p);
    if (inet_pton(AF_INET, copy, &in) == 1) {
        return inet_ntop(AF_INET, &in, out, SERVER_PEER_MAX) != NULL;
    }
    if (inet_pton(AF_INET6, copy, &in6) != 1) {
        return false;
    }
    if (is_mapped(&in6)) {
        return inet_ntop(AF_INET, &in6.s6_addr[12], out, SERVER_PEER_MAX) != NULL;
    }
    return inet_ntop(AF_INET6, &in6, out, SERVER_PEER_MAX) != NULL;
}

void server_client_share(const char *address, char share[SERVER_PEER_MAX])
{
    struct in6_addr in6;
    snprintf(share, SERVER_PEER_MAX, "%s", address);
    if (inet_pton(AF_INET6, address, &in6) == 1) {
        memset(&in6.s6_addr[8], 0, 8);
        (void)inet_ntop(AF_INET6, &in6, share, SERVER_PEER_MAX);
    }
}

/* Behind a proxy the client is the one that the proxy has seen: the last address in the last X-Forwarded-For, since
 * those before it were written by others. If that is not an address, the request counts as the proxy's own. */
void server_client_note(struct server_connection *c)
{
    struct bytes list = {NULL, 0};
    struct bytes last = {NULL, 0};
    if (c->websocket.inside != NULL) {
        return; /* the request that began it has said so */
    }
    snprintf(c->client, sizeof c->client, "%s", c->peer_address);
    if (c->kind != SERVER_PROXY || c->unreadable != 0) {
        return;
    }
    (void)dps_http_header_last(&c->http, c->buffers->request, "X-Forwarded-For", &list);
    while (list.len > 0) {
        list = dps_split(list, ',', &last);
    }
    (void)server_address_read(last, c->client);
}
