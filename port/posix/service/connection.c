/* SPDX-License-Identifier: MIT */
/* One connection, whatever it speaks (protocol.h). Requests are taken one after the other: while one is being answered
 * nothing more is read, so a client that does not wait for answers is slowed down by TCP and never makes the server
 * keep more than one buffer for it. */
#include "port/posix/service/protocol.h"
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

/* A connection that has paused this long between two requests is likely to pause longer. */
#define SLIM_AFTER_MS 1000

/* What it speaks at first. */
static const struct server_protocol *protocol_of(enum server_listener_kind kind)
{
    static const struct server_protocol *const protocols[SERVER_LISTENERS] = {
        [SERVER_TLS] = &server_http,
        [SERVER_PROXY] = &server_http,
        [SERVER_METRICS] = &server_http_metrics,
#if DPS_WITH_MQTT
        [SERVER_HUB_MQTT] = &server_mqtt,
#endif
#if DPS_WITH_AMQP
        [SERVER_AMQP] = &server_amqp,
#endif
    };
    return protocols[kind];
}

static uint32_t index_of(const struct server *s, const struct server_connection *c)
{
    return (uint32_t)(c - s->connections);
}

static uint32_t time_for(const struct server_timeouts *t, enum server_state state)
{
    switch (state) {
    case SERVER_HANDSHAKE:
        return t->handshake;
    case SERVER_IDLE:
        return t->idle;
    case SERVER_HEAD:
        return t->head;
    case SERVER_BODY:
        return t->stall;
    case SERVER_CLOSING:
    case SERVER_LINGERING:
        return t->linger;
    case SERVER_FREE:
    case SERVER_COMPLETE: /* these two end with this turn or the next one */
    case SERVER_ANSWERED:
    case SERVER_SENDING:
        break;
    }
    return t->write;
}

static void set_deadline(struct server *s, struct server_connection *c, uint64_t deadline)
{
    c->deadline = deadline < c->latest ? deadline : c->latest;
    if (c->deadline < s->next_expiry) {
        s->next_expiry = c->deadline;
    }
}

/* A session ends, even in the middle of a request; its end takes the time that it takes. */
static uint64_t latest_in(const struct server *s, const struct server_connection *c, enum server_state state)
{
    if (state == SERVER_IDLE) {
        return c->protocol->latest(s, c);
    }
    return state == SERVER_HEAD || state == SERVER_BODY ? c->latest : UINT64_MAX;
}

static void enter(struct server *s, struct server_connection *c, enum server_state state)
{
    const enum server_state before = c->state;
    c->state = state;
    c->latest = latest_in(s, c, state);
    server_slot_note(s, c, before);
    if (state == SERVER_IDLE && c->latest != UINT64_MAX) {
        set_deadline(s, c, c->latest);
    } else if (state != SERVER_FREE) {
        set_deadline(s, c, s->now_ms + time_for(&s->timeouts, state));
    }
    if (state == SERVER_IDLE) {
        c->slim = false;
        c->idle_deadline = c->deadline;
        if (c->deadline > s->now_ms + SLIM_AFTER_MS) {
            set_deadline(s, c, s->now_ms + SLIM_AFTER_MS);
        }
    }
}

/* A connection that waits for its next request needs the TLS engine's state and nothing of its buffers: no part of a
 * record or request has arrived, and nothing is left to be sent. Only whole pages can be given back. */
static void make_slim(struct server *s, struct server_connection *c)
{
    c->slim = true;
    set_deadline(s, c, c->idle_deadline);
    if (c->request_len == 0 && !c->transport.midway && !c->transport.out_blocked) {
        (void)madvise(c->buffers, offsetof(struct server_buffers, tls) / SERVER_PAGE * SERVER_PAGE,
                      MADV_DONTNEED);
    }
}

/* The next connection in this slot gets ordinary memory, even if this one was large: otherwise unknown clients could
 * make a node large for good. */
static void give_back(const struct server_connection *c)
{
    if (c->request_peak > DPS_HTTP_HEAD_MAX + DPS_RECORD_MAX || c->body_len > DPS_RECORD_MAX) {
        (void)madvise(c->buffers, sizeof *c->buffers / SERVER_PAGE * SERVER_PAGE, MADV_DONTNEED);
    }
}

static void await_request(struct server *s, struct server_connection *c)
{
    c->head_read = false;
    c->protocol->begin(c);
    enter(s, c, SERVER_IDLE);
}

/* Tell epoll only what has changed: for most requests, nothing. */
static void watch(struct server *s, struct server_connection *c)
{
    uint32_t events = server_transport_events(&c->transport);
    if (c->state == SERVER_FREE || events == c->events) {
        return;
    }
    struct epoll_event event = {.events = events, .data.u32 = index_of(s, c)};
    int operation = c->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (epoll_ctl(s->epoll_fd, operation, c->transport.fd, &event) != 0) {
        server_log_event(s, "error", c, "epoll refused a connection", NULL);
        server_connection_abort(s, c);
        return;
    }
    c->events = events;
}

void server_connection_open(struct server *s, struct server_connection *c)
{
    c->buffers = server_buffers_of(s, index_of(s, c));
    c->protocol = protocol_of(c->kind);
    s->counters->connections++;
    s->counters->connections_opened++;
    if (server_has_tls(c->kind)) {
        enter(s, c, SERVER_HANDSHAKE);
    } else {
        await_request(s, c);
    }
    watch(s, c);
}

/* Requests carry tokens, and the engine's memory carries keys: neither outlives the connection. For 50 KB the system's
 * function is much faster than bytes_wipe, which goes byte by byte. */
void server_connection_abort(struct server *s, struct server_connection *c)
{
    (void)close(c->transport.fd);
    if (c->identity != NULL || c->websocket.inside != NULL) {
        c->protocol->end(c);
    }
    if (c->identity != NULL) {
        c->identity->users--;
        crypto_tls_server_wipe(&c->buffers->tls);
        explicit_bzero(c->buffers->io, sizeof c->buffers->io);
    }
    explicit_bzero(c->buffers->request, c->request_peak); /* pages that nothing has touched stay untouched */
    give_back(c);
    enter(s, c, SERVER_FREE);
    s->counters->connections--;
    server_slot_give(s, c);
}

static void go_on_closing(struct server *s, struct server_connection *c)
{
    int done = server_transport_finish(&c->transport);
    if (done < 0) {
        server_connection_abort(s, c);
    } else if (done > 0) {
        enter(s, c, SERVER_LINGERING);
    }
}

/* Closing a socket while bytes of the peer are unread, or on their way, resets the connection, and a reset may overtake
 * an answer that the peer has not read yet [RFC 9112 9.6]. So: say that we are done, and wait a little for the peer. */
void server_connection_finish(struct server *s, struct server_connection *c)
{
    if (c->transport.ended) {
        server_connection_abort(s, c);
        return;
    }
    enter(s, c, SERVER_CLOSING);
    go_on_closing(s, c);
    watch(s, c);
}

void server_connections_leave(struct server *s, const struct server_identity *identity)
{
    for (size_t i = 0; i < s->connection_count; i++) {
        struct server_connection *c = &s->connections[i];
        if (c->state == SERVER_IDLE && c->latest != UINT64_MAX && c->identity == identity &&
            !server_transport_pending(&c->transport)) {
            server_connection_finish(s, c);
        }
    }
}

void server_connection_expire(struct server *s, struct server_connection *c)
{
    switch (c->state) {
    case SERVER_HANDSHAKE:
        server_log_event(s, "info", c, "closed", "the TLS handshake took too long");
        server_connection_abort(s, c);
        break;
    case SERVER_HEAD:
    case SERVER_BODY:
        server_log_event(s, "info", c, "closed", "the request came too slowly");
        server_connection_finish(s, c);
        break;
    case SERVER_IDLE:
        if (c->deadline < c->idle_deadline) {
            make_slim(s, c);
        } else {
            if (c->latest != UINT64_MAX) {
                server_log_event(s, "info", c, "closed", c->protocol->silence);
            }
            server_connection_finish(s, c);
        }
        break;
    case SERVER_SENDING:
        server_log_event(s, "info", c, "closed", "the answer was read too slowly");
        server_connection_abort(s, c);
        break;
    case SERVER_CLOSING:
    case SERVER_LINGERING:
        server_connection_abort(s, c);
        break;
    case SERVER_FREE:
    case SERVER_COMPLETE:
    case SERVER_ANSWERED:
        break;
    }
}

/* The peer went away, or TLS refused it. */
static void broken(struct server *s, struct server_connection *c, int error)
{
    s->counters->handshakes_failed += c->state == SERVER_HANDSHAKE;
    if (error == BYTES_E_LIMIT) {
        server_log_event(s, "warn", c, "closed", "too many TLS records without content");
        server_connection_abort(s, c);
        return;
    }
    if (error == BYTES_E_TLS) {
        int number = crypto_tls_error(c->transport.tls);
        server_log_event(s, "info", c, "TLS failed", crypto_tls_error_text(number));
    } else if (c->state == SERVER_HEAD || c->state == SERVER_BODY) {
        server_log_event(s, "info", c, "closed", "the client closed in the middle of its request");
    }
    server_connection_finish(s, c);
}

/* How far has the request come? Its deadlines begin once: they are moved neither by bytes that trickle nor by frames of
 * control of WebSocket, which are answered in the middle of it. */
static void note_progress(struct server *s, struct server_connection *c)
{
    enum server_state state = SERVER_IDLE;
    if (c->head_read) {
        state = SERVER_BODY;
    } else if (c->request_len > 0 || c->transport.midway) {
        state = SERVER_HEAD;
    }
    if (state == SERVER_IDLE) {
        c->head_deadline = c->body_deadline = 0;
    } else if (state == SERVER_HEAD && c->head_deadline == 0) {
        c->head_deadline = s->now_ms + s->timeouts.head;
    } else if (state == SERVER_BODY && c->body_deadline == 0) {
        c->body_deadline = s->now_ms + s->timeouts.body;
    }
    if (state != c->state) {
        enter(s, c, state);
    }
    if (state == SERVER_HEAD) {
        set_deadline(s, c, c->head_deadline);
    }
    if (state == SERVER_BODY) {
        uint64_t stall = s->now_ms + s->timeouts.stall;
        set_deadline(s, c, stall < c->body_deadline ? stall : c->body_deadline);
    }
}

/* Parse what is there. Returns true if more is needed. */
static bool advance(struct server *s, struct server_connection *c)
{
    const int error = c->protocol->read(c);
    if (error == BYTES_E_MORE) {
        note_progress(s, c);
        if (c->protocol->invite(c)) {
            return true;
        }
        server_connection_abort(s, c);
        return false;
    }
    c->unreadable = error;
    c->complete_us = server_now_us();
    enter(s, c, SERVER_COMPLETE);
    s->complete[s->complete_now][s->complete_count++] = index_of(s, c);
    return false;
}

static void receive(struct server *s, struct server_connection *c)
{
    while (advance(s, c)) {
        int n = server_transport_read(&c->transport, c->buffers->request + c->request_len,
                                      sizeof c->buffers->request - c->request_len);
        if (n < 0) {
            broken(s, c, n);
            return;
        }
        if (n == 0) {
            note_progress(s, c);
            return;
        }
        c->request_len += (size_t)n;
        if (c->request_len > c->request_peak) {
            c->request_peak = c->request_len;
        }
    }
}

static void next_request(struct server *s, struct server_connection *c)
{
    if (c->consumed > 0 || c->websocket.content == 0) {
        c->head_deadline = c->body_deadline = 0;
    }
    c->request_len -= c->consumed;
    memmove(c->buffers->request, c->buffers->request + c->consumed, c->request_len);
    c->served = true;
    c->transport.barren = 0;
    if (c->websocket.inside != NULL && c->protocol != &server_websocket) {
        c->protocol = &server_websocket;
        c->served = false;
    }
    await_request(s, c);
    /* Most clients wait for their answer, so there is nothing more to read now; epoll tells when there is. */
    if (c->request_len > 0 || server_transport_holds(&c->transport)) {
        receive(s, c);
    }
}

static void send_answer(struct server *s, struct server_connection *c)
{
    while (c->sent < c->head_len + c->body_len) {
        const size_t head = c->sent < c->head_len ? c->sent : c->head_len;
        const size_t body = c->sent - head;
        int n =
            server_transport_write_both(&c->transport, bytes_of(c->buffers->head + head, c->head_len - head),
                                        bytes_of(c->buffers->body + body, c->body_len - body));
        if (n < 0) {
            server_connection_abort(s, c);
            return;
        }
        if (n == 0) {
            return;
        }
        c->sent += (size_t)n;
    }
    int flushed = server_transport_flush(&c->transport);
    if (flushed < 0) {
        server_connection_abort(s, c);
    } else if (flushed > 0 && c->keep_alive) {
        next_request(s, c);
    } else if (flushed > 0) {
        server_connection_finish(s, c);
    }
}

/* Not before the first byte: a silent connection costs a slot and no more. */
static bool begin_tls(struct server *s, struct server_connection *c)
{
    uint8_t seed[32];
    c->identity = s->identity;
    c->identity->users++;
    int error = s->entropy.fill(s->entropy.context, seed, sizeof seed);
    if (error == 0) {
        error = crypto_tls_server_start(&c->buffers->tls, &s->identity->identity, &s->shared->cache, seed,
                                        c->buffers->io, sizeof c->buffers->io);
    }
    bytes_wipe(seed, sizeof seed);
    if (error != 0) {
        server_log_event(s, "error", c, "TLS cannot be started", posix_error_text(error));
        server_connection_abort(s, c);
        return false;
    }
    c->transport.tls = crypto_tls_server_engine(&c->buffers->tls);
    return true;
}

static void shake_hands(struct server *s, struct server_connection *c)
{
    const bool spoke = c->transport.spoke;
    if (c->unnamed && !server_introduction_take(s, c)) {
        return;
    }
    int n = c->transport.tls == NULL ? server_transport_peek(&c->transport) : 1;
    if (n > 0 && c->transport.tls == NULL && !begin_tls(s, c)) {
        return;
    }
    if (n > 0) {
        n = server_transport_handshake(&c->transport);
    }
    if (n < 0) {
        broken(s, c, n);
    } else if (n > 0) {
        s->counters->handshakes++;
        await_request(s, c);
        receive(s, c);
    } else if (c->transport.spoke != spoke) {
        server_slot_note(s, c, SERVER_HANDSHAKE);
    }
}

void server_connection_io(struct server *s, struct server_connection *c)
{
    server_transport_event(&c->transport);
    switch (c->state) {
    case SERVER_HANDSHAKE:
        shake_hands(s, c);
        break;
    case SERVER_IDLE:
    case SERVER_HEAD:
    case SERVER_BODY:
        receive(s, c);
        break;
    case SERVER_SENDING:
        send_answer(s, c);
        break;
    case SERVER_CLOSING:
        go_on_closing(s, c);
        break;
    case SERVER_LINGERING:
        if (server_transport_discard(&c->transport)) {
            server_connection_abort(s, c);
        }
        break;
    case SERVER_FREE:
    case SERVER_COMPLETE:
    case SERVER_ANSWERED:
        break;
    }
    watch(s, c);
}

void server_connection_answer(struct server *s, struct server_connection *c)
{
    char share[SERVER_PEER_MAX];
    enter(s, c, SERVER_ANSWERED);
    server_client_note(c);
    server_client_share(c->client, share);
    s->service.client = bytes_of_text(share);
    c->protocol->answer(s, c);
    s->service.client = bytes_of(NULL, 0);
}

void server_connection_uncommitted(struct server *s, struct server_connection *c)
{
    c->protocol->uncommitted(s, c);
}

/* A connection whose certificate was replaced ends with its next answer: it would otherwise keep the old one in
 * memory for as long as its client likes. So it does after SIGTERM, unless its client is midway in something. */
static bool may_stay(const struct server *s, const struct server_connection *c)
{
    const bool wanted = !s->stopping && (c->identity == NULL || c->identity == s->identity);
    return c->stays && (wanted || c->protocol->is_midway(s, c));
}

void server_connection_release(struct server *s, struct server_connection *c)
{
    struct bytes_writer head = bytes_writer_over(c->buffers->head, sizeof c->buffers->head);
    c->keep_alive = may_stay(s, c);
    c->protocol->release(s, c, &head);
    if (c->protocol->counts(c)) {
        server_count_answer(s, c);
        server_log_answer(s, c);
    }
    c->sent = 0;
    c->head_len = bytes_written(&head).len;
    if (head.error != 0) {
        server_log_event(s, "error", c, "an answer's head does not fit", posix_error_text(head.error));
        server_connection_abort(s, c);
        return;
    }
    enter(s, c, SERVER_SENDING);
    server_transport_event(&c->transport);
    send_answer(s, c);
    watch(s, c);
}
