/* SPDX-License-Identifier: MIT */
/* Bytes of a protocol other than HTTP, over TLS. */
#include "tests/conformance/service.h"
#include <string.h>

static uint32_t timeout_ms(void)
{
    return (uint32_t)service_given.timeout * 1000;
}

bool service_road_open(struct conformance *c, const char *at, uint16_t port, const char *host)
{
    struct service *s = service_of(c);
    s->road_at = at;
    s->road_port = port;
    const int error = service_link_open(s, &s->road, host);
    return conformance_check(c, error == 0, "no connection to %s, port %u: %s", at[0] != 0 ? at : host, port,
                             error == BYTES_E_TLS ? crypto_tls_error_text(s->road.tls_error)
                                                  : posix_error_text(error));
}

void service_road_send(struct conformance *c, struct bytes bytes)
{
    struct service_link *l = &service_of(c)->road;
    if (service_link_send(l, bytes) == 0) {
        (void)service_link_flush(l);
    }
}

struct bytes service_road_arrived(const struct service *s)
{
    return bytes_of(s->road.buffer, s->road.len);
}

void service_road_take(struct service *s, size_t len)
{
    struct service_link *l = &s->road;
    l->len -= len;
    memmove(l->buffer, l->buffer + len, l->len);
}

int service_road_more(struct service *s)
{
    return service_link_more(&s->road, timeout_ms());
}

bool service_road_ends(struct conformance *c, const char *what)
{
    struct service *s = service_of(c);
    const int error = s->road.len > 0 ? 0 : service_road_more(s);
    return conformance_check(c, error != 0,
                             "%s: it must be refused by the end of the connection, but %u bytes came", what,
                             (unsigned)s->road.len) &&
           conformance_check(c, error != BYTES_E_TIMEOUT, "%s: the connection is still open after %u seconds",
                             what, (unsigned)service_given.timeout);
}
