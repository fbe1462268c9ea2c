/* SPDX-License-Identifier: MIT */
/* Connections that speak HTTP. */
#include "dps/protocol/http.h"
#include "dps/protocol/http_message.h"
#include "dps/protocol/text.h"
#include "dps/service/answer.h"
#include "dps/service/front_door.h"
#include "port/posix/service/protocol.h"
#include <string.h>

static void begin_request(struct server_connection *c)
{
    dps_http_init(&c->http, DPS_HTTP_REQUEST);
    c->continued = false;
}

static int read_request(struct server_connection *c)
{
    const int error =
        dps_http_advance(&c->http, c->buffers->request, &c->request_len, sizeof c->buffers->request, false);
    c->head_read = c->http.head_len > 0;
    c->consumed = c->http.consumed;
    return error;
}

/* "100 Continue" [RFC 9110 10.1.1], unless the body is coming already. The socket buffer is empty, so if it
 * is taken only in part, something is wrong. */
static bool send_continue(struct server_connection *c)
{
    static const uint8_t text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    const size_t len = sizeof text - 1;
    if (c->continued || !c->http.expect_continue || c->request_len > c->http.head_len) {
        return true;
    }
    c->continued = true;
    return server_transport_write(&c->transport, text, len, false) == (int)len &&
           server_transport_flush(&c->transport) >= 0;
}

static void answer_request(struct server *s, struct server_connection *c)
{
    struct server_buffers *b = c->buffers;
    c->stays = c->unreadable == 0 && c->http.keep_alive;
    if (c->unreadable != 0) {
        dps_service_answer_unreadable(&s->service, c->unreadable, b->body, sizeof b->body, &b->answer);
    } else if (server_websocket_is_asked_for(s, c)) {
        server_websocket_shake_hands(s, c);
    } else {
        dps_service_answer(&s->service, &c->http, b->request, b->body, sizeof b->body, &b->answer);
    }
}

static void answer_scraper(struct server *s, struct server_connection *c)
{
    c->stays = c->unreadable == 0 && c->http.keep_alive;
    server_metrics_answer(s, c);
}

/* That WebSocket begins relies on nothing, and what follows is no HTTP. */
static void take_back(struct server *s, struct server_connection *c)
{
    if (c->websocket.inside == NULL) {
        dps_service_uncommitted(&s->service, &c->buffers->answer);
    }
}

static bool is_head_request(const struct server_connection *c)
{
    return c->unreadable == 0 &&
           bytes_equal_public(dps_http_method(&c->http, c->buffers->request), bytes_of_text("HEAD"));
}

static void write_head(struct server *s, struct server_connection *c, struct bytes_writer *head)
{
    const struct dps_answer *a = &c->buffers->answer;
    c->body_len = is_head_request(c) ? 0 : bytes_written(&a->body).len;
    if (c->websocket.inside != NULL) {
        return;
    }
    dps_answer_write_head(head, a, s->service.now, c->keep_alive);
    if (server_websocket_is_asked_for(s, c)) {
        server_websocket_write_version(head);
    }
}

uint64_t server_no_session(const struct server *s, const struct server_connection *c)
{
    (void)s, (void)c;
    return UINT64_MAX;
}

static void nothing_kept(struct server_connection *c)
{
    (void)c;
}

/* A client that has asked for WebSocket has not yet said what for. */
static bool is_midway(const struct server *s, const struct server_connection *c)
{
    return c->websocket.inside != NULL && !s->draining;
}

/* ---- For log and metrics ----------------------------------------------------------------------------------------- */

static struct bytes method_of(const struct server_connection *c)
{
    const struct bytes method = dps_http_method(&c->http, c->buffers->request);
    return bytes_of(method.p, method.len < 16 ? method.len : 16);
}

static enum server_route route_of_path(struct bytes path)
{
    struct bytes segment[3] = {{NULL, 0}};
    if (path.len > 0 && path.p[0] == '/') {
        path = bytes_of(path.p + 1, path.len - 1);
    }
    for (size_t i = 0; i < 2; i++) {
        path = dps_split(path, '/', &segment[i]);
    }
    segment[2] = path;
    if (bytes_equal_public(segment[0], bytes_of_text("enrollments"))) {
        return SERVER_ROUTE_ENROLLMENTS;
    }
    if (bytes_equal_public(segment[0], bytes_of_text("registrations"))) {
        return SERVER_ROUTE_REGISTRATIONS;
    }
    if (bytes_equal_public(segment[0], bytes_of_text("devices"))) {
        return SERVER_ROUTE_HUB;
    }
    if (!bytes_equal_public(segment[1], bytes_of_text("registrations"))) {
        return SERVER_ROUTE_OTHER;
    }
    (void)dps_split(segment[2], '/', &segment[0]);
    struct bytes rest = bytes_of(segment[2].p + segment[0].len, segment[2].len - segment[0].len);
    if (bytes_equal_public(rest, bytes_of_text("/register"))) {
        return SERVER_ROUTE_REGISTER;
    }
    return rest.len > 12 && memcmp(rest.p, "/operations/", 12) == 0 ? SERVER_ROUTE_OPERATION
                                                                    : SERVER_ROUTE_REGISTRATION;
}

static enum server_route route_of(const struct server_connection *c)
{
    return route_of_path(dps_http_path(dps_http_target(&c->http, c->buffers->request)));
}

static bool always(const struct server_connection *c)
{
    (void)c;
    return true;
}

static bool never(const struct server_connection *c)
{
    (void)c;
    return false;
}

const struct server_protocol server_http = {
    .begin = begin_request,
    .read = read_request,
    .invite = send_continue,
    .answer = answer_request,
    .uncommitted = take_back,
    .release = write_head,
    .latest = server_no_session,
    .end = nothing_kept,
    .is_midway = is_midway,
    .method = method_of,
    .route = route_of,
    .counts = always,
    .is_news = always,
};

const struct server_protocol server_http_metrics = {
    .begin = begin_request,
    .read = read_request,
    .invite = send_continue,
    .answer = answer_scraper,
    .uncommitted = take_back,
    .release = write_head,
    .latest = server_no_session,
    .end = nothing_kept,
    .is_midway = is_midway,
    .method = method_of,
    .route = route_of,
    .counts = never,
    .is_news = never,
};
