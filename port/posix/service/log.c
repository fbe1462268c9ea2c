/* SPDX-License-Identifier: MIT */
/* The log: one line per decision, in logfmt or JSON. It names who was refused and why; tokens, keys and bodies
 * never get here. What a client chose is quoted and cut, so that it can neither forge a line nor fill the disk
 * with one. */
#include "dps/protocol/text.h"
#include "port/posix/service/server.h"
#include <string.h>
#include <time.h>

#define VALUE_MAX 160
#define EVENTS_PER_SECOND 20 /* a port scan should not push the decisions out of the log */

struct line {
    struct bytes_writer w;
    bool json;
    uint8_t text[2048];
};

uint64_t server_now_us(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail on Linux */
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void put_key(struct line *l, const char *key)
{
    if (l->w.len > 0)
        dps_write_text(&l->w, l->json ? "," : " ");
    dps_write_text(&l->w, l->json ? "\"" : "");
    dps_write_text(&l->w, key);
    dps_write_text(&l->w, l->json ? "\":" : "=");
}

/* Empty values are left out. A logfmt value needs quotes unless it is one plain word; the quoted form is JSON's. */
static void put_text(struct line *l, const char *key, struct bytes value)
{
    uint8_t clean[VALUE_MAX];
    bool plain = !l->json;
    size_t len = value.len < sizeof clean ? value.len : sizeof clean;
    if (len == 0)
        return;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = value.p[i];
        clean[i] = c >= 0x20 && c < 0x7F ? c : '?';
        plain = plain && c > 0x20 && c < 0x7F && c != '"' && c != '=' && c != '\\';
    }
    put_key(l, key);
    if (plain)
        bytes_write_bytes(&l->w, bytes_of(clean, len));
    else
        dps_write_json_string(&l->w, bytes_of(clean, len));
}

static void put_number(struct line *l, const char *key, uint64_t value)
{
    put_key(l, key);
    dps_write_decimal(&l->w, value);
}

/* Enough of it to find the EK in an enrollment list. */
static void put_digest(struct line *l, const char *key, const uint8_t digest[32])
{
    uint8_t text[32];
    struct bytes_writer w = bytes_writer_over(text, sizeof text);
    dps_write_hex(&w, bytes_of(digest, sizeof text / 2));
    put_text(l, key, bytes_written(&w));
}

static void begin(struct line *l, const struct server *s, const char *level, const char *event)
{
    uint8_t text[40];
    struct bytes_writer when = bytes_writer_over(text, sizeof text);
    dps_write_time(&when, s->service.now);
    l->json = s->log.json;
    l->w = bytes_writer_over(l->text, sizeof l->text);
    put_text(l, "time", bytes_written(&when));
    put_text(l, "level", bytes_of_text(level));
    put_text(l, "event", bytes_of_text(event));
}

/* The server flushes once a turn. */
static void end(const struct line *l, FILE *out)
{
    struct bytes text = bytes_written(&l->w);
    fprintf(out, l->json ? "{%.*s}\n" : "%.*s\n", (int)text.len, (const char *)text.p);
}

const char *const server_route_names[SERVER_ROUTES] = {
    [SERVER_ROUTE_REGISTER] = "register",
    [SERVER_ROUTE_OPERATION] = "operation",
    [SERVER_ROUTE_REGISTRATION] = "registration",
    [SERVER_ROUTE_ENROLLMENTS] = "enrollments",
    [SERVER_ROUTE_REGISTRATIONS] = "registrations",
    [SERVER_ROUTE_HUB] = "hub",
    [SERVER_ROUTE_OTHER] = "other",
};

enum server_route server_route_of(struct bytes path)
{
    struct bytes segment[3] = {{NULL, 0}};
    if (path.len > 0 && path.p[0] == '/')
        path = bytes_of(path.p + 1, path.len - 1);
    for (size_t i = 0; i < 2; i++)
        path = dps_split(path, '/', &segment[i]);
    segment[2] = path;
    if (bytes_equal_public(segment[0], bytes_of_text("enrollments")))
        return SERVER_ROUTE_ENROLLMENTS;
    if (bytes_equal_public(segment[0], bytes_of_text("registrations")))
        return SERVER_ROUTE_REGISTRATIONS;
    if (bytes_equal_public(segment[0], bytes_of_text("devices")))
        return SERVER_ROUTE_HUB;
    if (!bytes_equal_public(segment[1], bytes_of_text("registrations")))
        return SERVER_ROUTE_OTHER;
    (void)dps_split(segment[2], '/', &segment[0]);
    struct bytes rest = bytes_of(segment[2].p + segment[0].len, segment[2].len - segment[0].len);
    if (bytes_equal_public(rest, bytes_of_text("/register")))
        return SERVER_ROUTE_REGISTER;
    return rest.len > 12 && memcmp(rest.p, "/operations/", 12) == 0 ? SERVER_ROUTE_OPERATION
                                                                    : SERVER_ROUTE_REGISTRATION;
}

void server_log_answer(struct server *s, const struct server_connection *c)
{
    const struct server_buffers *b = c->buffers;
    const struct dps_answer *a = &b->answer;
    struct line l;
    bool refused = a->refusal != DPS_ACCEPTED;
    begin(&l, s, a->status >= 500 ? "error" : refused ? "warn" : "info", refused ? "refused" : "answered");
    if (c->unreadable == 0) {
        struct bytes method = dps_http_method(&c->http, b->request);
        put_text(&l, "method", bytes_of(method.p, method.len < 16 ? method.len : 16));
        put_text(
            &l, "route",
            bytes_of_text(
                server_route_names[server_route_of(dps_http_path(dps_http_target(&c->http, b->request)))]));
    }
    put_text(&l, "id", bytes_of_text(a->registration_id));
    if (a->has_ek)
        put_digest(&l, "ek", a->ek_digest);
    put_number(&l, "status", a->status);
    if (a->error_code != 0)
        put_number(&l, "errorCode", a->error_code);
    if (refused)
        put_text(&l, "reason", bytes_of_text(dps_refusal_text(a->refusal)->message));
    put_text(&l, "detail", bytes_of_text(a->detail));
    put_text(&l, "tracking", bytes_of(a->tracking_id, sizeof a->tracking_id));
    put_text(&l, "peer", bytes_of_text(c->peer));
    if (c->kind == SERVER_PROXY)
        put_text(&l, "client", bytes_of_text(c->client));
    put_number(&l, "us", server_now_us() - c->complete_us);
    end(&l, s->log.out);
}

void server_log_event(struct server *s, const char *level, const struct server_connection *c,
                      const char *event, const char *detail)
{
    struct line l;
    if (s->log.second != s->service.now) {
        s->log.second = s->service.now;
        s->log.events = 0;
    }
    /* What concerns the whole server is always said. */
    if (c != NULL && ++s->log.events > EVENTS_PER_SECOND) {
        s->log.suppressed++;
        return;
    }
    begin(&l, s, level, event);
    if (detail != NULL)
        put_text(&l, "detail", bytes_of_text(detail));
    if (c != NULL)
        put_text(&l, "peer", bytes_of_text(c->peer));
    if (s->log.suppressed > 0)
        put_number(&l, "suppressed", s->log.suppressed);
    s->log.suppressed = 0;
    end(&l, s->log.out);
}
