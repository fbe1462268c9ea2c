/* SPDX-License-Identifier: MIT */
/* The log: one line per decision, in logfmt or JSON. It names who was refused and why; tokens, keys and bodies
 * never get here. What a client chose is quoted and cut, so that it can neither forge a line nor make one
 * that fills the disk. */
#include "port/posix/service/log.h"
#include "dps/protocol/date.h"
#include "dps/protocol/http_message.h"
#include "dps/protocol/text.h"
#include "dps/service/answer.h"
#include "port/posix/service/protocol.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define VALUE_MAX 160    /* of what a client has chosen */
#define SENTENCE_MAX 512 /* of what this program says */

/* Lines that clients can cause at will, in a second. A flood, like a port scan, should neither fill the disk nor push
 * the other lines out of the log; so one address has a part of them only, and the first refusal of each kind is
 * written however many of another kind there are. */
#define REFUSALS_PER_SECOND 100
#define REFUSALS_PER_CLIENT 20
#define EVENTS_PER_SECOND 20
#define EVENTS_PER_CLIENT 10

/* How much is written at once: a pipe takes that whole or not at all [POSIX write()]. */
#define WRITE_MAX PIPE_BUF
#define LOOK_AGAIN_MS 100
#define CLOSE_MS 1000

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
    if (l->w.len > 0) {
        dps_write_text(&l->w, l->json ? "," : " ");
    }
    dps_write_text(&l->w, l->json ? "\"" : "");
    dps_write_text(&l->w, key);
    dps_write_text(&l->w, l->json ? "\":" : "=");
}

/* Empty values are left out. A logfmt value needs quotes unless it is one plain word; the quoted form is JSON's. */
static void put_cut(struct line *l, const char *key, struct bytes value, size_t most)
{
    uint8_t clean[SENTENCE_MAX];
    bool plain = !l->json;
    size_t len = value.len < most ? value.len : most;
    if (len == 0) {
        return;
    }
    for (size_t i = 0; i < len; i++) {
        uint8_t c = value.p[i];
        clean[i] = c >= 0x20 && c < 0x7F ? c : '?';
        plain = plain && c > 0x20 && c < 0x7F && c != '"' && c != '=' && c != '\\';
    }
    put_key(l, key);
    if (plain) {
        bytes_write_bytes(&l->w, bytes_of(clean, len));
    } else {
        dps_write_json_string(&l->w, bytes_of(clean, len));
    }
}

static void put_text(struct line *l, const char *key, struct bytes value)
{
    put_cut(l, key, value, VALUE_MAX);
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

/* [RFC 3339 5.6], to the millisecond, to see what happened first. */
static void put_time(struct line *l)
{
    enum { FRACTION = 7 }; /* digits, as dps_write_time writes them, before the Z */
    uint8_t text[40];
    struct timespec now = {0};
    struct bytes_writer w = bytes_writer_over(text, sizeof text);
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail on Linux */
    dps_write_time(&w, (uint64_t)now.tv_sec);
    const size_t len = bytes_written(&w).len - FRACTION - 1;
    char fraction[8];
    snprintf(fraction, sizeof fraction, "%03uZ", (unsigned)(now.tv_nsec / 1000000) % 1000);
    memcpy(text + len, fraction, strlen(fraction));
    put_text(l, "time", bytes_of(text, len + strlen(fraction)));
}

static void begin(struct line *l, const struct server_log *log, const char *level, const char *event)
{
    l->json = log->json;
    l->w = bytes_writer_over(l->text, sizeof l->text);
    put_time(l);
    put_text(l, "level", bytes_of_text(level));
    put_cut(l, "event", bytes_of_text(event), SENTENCE_MAX);
}

/* Whole lines, so that those of other processes do not get between. */
static size_t portion(const struct server_log *log)
{
    size_t len = log->len < WRITE_MAX ? log->len : WRITE_MAX;
    while (len > 0 && log->buffer[len - 1] != '\n') {
        len--;
    }
    return len;
}

/* The descriptor is shared with others, so it is not for us to make it non-blocking: poll says whether it would
 * block. patience_ms is for all of it: 0 writes what can be written without waiting. */
static void write_out(struct server_log *log, unsigned patience_ms)
{
    struct pollfd out = {.fd = log->fd, .events = POLLOUT};
    const uint64_t begin = server_now_us() / 1000;
    uint64_t spent = 0;
    while (log->len > 0 && poll(&out, 1, spent < patience_ms ? (int)(patience_ms - spent) : 0) == 1) {
        const ssize_t n = write(log->fd, log->buffer, portion(log));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        /* A full disk, or nobody at the other end any more: these lines are lost. */
        const size_t gone = n > 0 ? (size_t)n : log->len;
        log->len -= gone;
        memmove(log->buffer, log->buffer + gone, log->len);
        spent = server_now_us() / 1000 - begin;
    }
}

static void gather(struct server_log *log, const char *before, struct bytes text, const char *after)
{
    const struct bytes parts[] = {bytes_of_text(before), text, bytes_of_text(after)};
    if (parts[0].len + parts[1].len + parts[2].len > sizeof log->buffer - log->len) {
        write_out(log, 0);
    }
    if (parts[0].len + parts[1].len + parts[2].len > sizeof log->buffer - log->len) {
        log->left_out_full++;
        return;
    }
    for (size_t i = 0; i < 3; i++) {
        memcpy(log->buffer + log->len, parts[i].p, parts[i].len);
        log->len += parts[i].len;
    }
}

static void end(const struct line *l, struct server_log *log)
{
    gather(log, l->json ? "{" : "", bytes_written(&l->w), l->json ? "}\n" : "\n");
}

void server_log_close(struct server_log *log)
{
    write_out(log, CLOSE_MS);
}

static void say_left_out(struct server_log *log)
{
    struct line l;
    begin(&l, log, "warn", "lines were left out of the log");
    put_number(&l, "refusals", log->left_out_refusals);
    put_number(&l, "events", log->left_out_events);
    put_number(&l, "unread", log->left_out_full);
    const uint64_t full = log->left_out_full;
    log->left_out_full = 0;
    end(&l, log);
    if (log->left_out_full > 0) { /* this line found no room either: say it later */
        log->left_out_full = full;
        return;
    }
    log->left_out_refusals = log->left_out_events = 0;
}

static bool something_left_out(const struct server_log *log)
{
    return log->left_out_refusals + log->left_out_events + log->left_out_full > 0;
}

/* A second begins. */
static void begin_second(struct server_log *log, uint64_t second)
{
    if (second == log->second) {
        return;
    }
    if (something_left_out(log)) {
        say_left_out(log);
    }
    log->second = second;
    log->refusals = log->events = 0;
    log->kinds = 0;
    memset(log->refusals_of, 0, sizeof log->refusals_of);
    memset(log->events_of, 0, sizeof log->events_of);
}

void server_log_turn(struct server *s)
{
    begin_second(&s->log, s->now_ms / 1000);
    write_out(&s->log, 0);
}

uint64_t server_log_turn_at(const struct server_log *log)
{
    if (log->len > 0) {
        return server_now_us() / 1000 + LOOK_AGAIN_MS;
    }
    return something_left_out(log) ? (log->second + 1) * 1000 : UINT64_MAX;
}

/* ---- What may be written ---- */

static size_t client_of(const struct server *s, const struct server_connection *c)
{
    uint8_t digest[32];
    const struct bytes pieces[] = {{s->peers.key, sizeof s->peers.key}, bytes_of_text(c->client)};
    crypto_sha256(pieces, 2, digest);
    return digest[0];
}

_Static_assert(SERVER_LOG_CLIENTS == 256, "client_of is a byte");
_Static_assert(DPS_REFUSAL_COUNT <= 64, "a bit of kinds for each");

static bool count(unsigned *all, unsigned most, uint8_t *of_client, unsigned most_of_client)
{
    if (*all >= most || *of_client >= most_of_client) {
        return false;
    }
    ++*all;
    ++*of_client;
    return true;
}

static bool may_log_refusal(struct server *s, const struct server_connection *c, enum dps_refusal kind)
{
    struct server_log *log = &s->log;
    const uint64_t bit = (uint64_t)1 << kind;
    const bool first = (log->kinds & bit) == 0;
    begin_second(log, s->now_ms / 1000);
    log->kinds |= bit;
    if (count(&log->refusals, REFUSALS_PER_SECOND, &log->refusals_of[client_of(s, c)], REFUSALS_PER_CLIENT) ||
        first) {
        return true;
    }
    log->left_out_refusals++;
    s->counters->log_left_out++;
    return false;
}

static bool may_log_event(struct server *s, const struct server_connection *c)
{
    struct server_log *log = &s->log;
    begin_second(log, s->now_ms / 1000);
    if (count(&log->events, EVENTS_PER_SECOND, &log->events_of[client_of(s, c)], EVENTS_PER_CLIENT)) {
        return true;
    }
    log->left_out_events++;
    s->counters->log_left_out++;
    return false;
}

/* A stranger gets 101 for nothing. */
static bool may_log_answer(struct server *s, const struct server_connection *c)
{
    const struct dps_answer *a = &c->buffers->answer;
    if (a->refusal != DPS_ACCEPTED) {
        return may_log_refusal(s, c, a->refusal);
    }
    return c->protocol->is_news(c) && (a->status != 101 || may_log_event(s, c));
}

/* ---- Lines ---- */

const char *const server_route_names[SERVER_ROUTES] = {
    [SERVER_ROUTE_REGISTER] = "register",
    [SERVER_ROUTE_OPERATION] = "operation",
    [SERVER_ROUTE_REGISTRATION] = "registration",
    [SERVER_ROUTE_ENROLLMENTS] = "enrollments",
    [SERVER_ROUTE_REGISTRATIONS] = "registrations",
    [SERVER_ROUTE_HUB] = "hub",
    [SERVER_ROUTE_OTHER] = "other",
};

void server_log_answer(struct server *s, const struct server_connection *c)
{
    const struct dps_answer *a = &c->buffers->answer;
    struct line l;
    const struct server_protocol *protocol = c->protocol;
    const bool refused = a->refusal != DPS_ACCEPTED;
    if (!may_log_answer(s, c)) {
        return;
    }
    begin(&l, &s->log,
          a->status >= 500 ? "error"
          : refused        ? "warn"
                           : "info",
          refused ? "refused" : "answered");
    if (c->unreadable == 0) {
        put_text(&l, "method", protocol->method(c));
        put_text(&l, "route", bytes_of_text(server_route_names[protocol->route(c)]));
    }
    put_text(&l, "id", bytes_of_text(a->registration_id));
    if (a->has_ek) {
        put_digest(&l, "ek", a->ek_digest);
    }
    put_number(&l, "status", a->status);
    if (a->error_code != 0) {
        put_number(&l, "errorCode", a->error_code);
    }
    if (refused) {
        put_text(&l, "reason", bytes_of_text(dps_refusal_text(a->refusal)->message));
    }
    put_text(&l, "detail", bytes_of_text(a->detail));
    put_text(&l, "tracking", bytes_of(a->tracking_id, sizeof a->tracking_id));
    put_text(&l, "peer", bytes_of_text(c->peer));
    if (c->kind == SERVER_PROXY) {
        put_text(&l, "client", bytes_of_text(c->client));
    }
    put_number(&l, "us", server_now_us() - c->complete_us);
    end(&l, &s->log);
}

void server_log_event(struct server *s, const char *level, const struct server_connection *c,
                      const char *event, const char *detail)
{
    struct line l;
    /* Events of the whole server are always logged. */
    if (c != NULL && !may_log_event(s, c)) {
        return;
    }
    begin(&l, &s->log, level, event);
    if (detail != NULL) {
        put_cut(&l, "detail", bytes_of_text(detail), SENTENCE_MAX);
    }
    if (c != NULL) {
        put_text(&l, "peer", bytes_of_text(c->peer));
    }
    end(&l, &s->log);
}

void server_log_line(struct server_log *log, const char *level, const char *event, const char *detail)
{
    struct line l;
    begin(&l, log, level, event);
    if (detail != NULL) {
        put_cut(&l, "detail", bytes_of_text(detail), SENTENCE_MAX);
    }
    end(&l, log);
    write_out(log, 0);
}

void server_log_sentence(struct server_log *log, const char *level, const char *sentence)
{
    if (log->json) {
        server_log_line(log, level, sentence, NULL);
    } else {
        gather(log, "dps-service: ", bytes_of_text(sentence), "\n");
    }
    write_out(log, 0);
}
