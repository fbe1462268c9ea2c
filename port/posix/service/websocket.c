/* SPDX-License-Identifier: MIT */
/* WebSocket [RFC 6455]: a request of HTTP begins it, and from then on what the messages carry is a protocol of its own
 * (protocol.h). The buffer of the request then begins with content, without frames; what follows that are frames. */
#include "dps/protocol/websocket.h"
#include "dps/protocol/http_message.h"
#include "dps/protocol/text.h"
#include "dps/service/answer.h"
#include "port/posix/service/protocol.h"
#include <string.h>

#define PATH "/$iothub/websocket"
#define VERSION "13"

/* ---- The handshake ----------------------------------------------------------------------------------------------- */

static bool header_has(const struct server_connection *c, const char *name, const char *option)
{
    struct bytes value, item;
    if (dps_http_header(&c->http, c->buffers->request, name, &value) != 0) {
        return false;
    }
    while (value.len > 0) {
        value = dps_split(value, ',', &item);
        if (dps_text_equal_nocase(dps_trim(item), bytes_of_text(option))) {
            return true;
        }
    }
    return false;
}

/* The version follows the target and a space. */
static bool is_of_http_1_0(const struct server_connection *c)
{
    const struct bytes target = dps_http_target(&c->http, c->buffers->request);
    return bytes_equal_public(bytes_of(target.p + target.len + 1, 8), bytes_of_text("HTTP/1.0"));
}

/* The first of those that the client speaks and we do, by the names that Microsoft's clients give them; one of them
 * writes MQTT. The answer has the name as the client wrote it [RFC 6455 4.2.2]. */
static const struct server_protocol *choose(const struct server_connection *c, struct bytes *name)
{
    static const struct {
        const char *name;
        const struct server_protocol *protocol;
    } spoken[] = {
#if DPS_WITH_MQTT
        {"mqtt", &server_mqtt},
#endif
#if DPS_WITH_AMQP
        {"AMQPWSB10", &server_amqp},
#endif
    };
    struct bytes list;
    if (dps_http_header(&c->http, c->buffers->request, "Sec-WebSocket-Protocol", &list) != 0) {
        return NULL;
    }
    while (list.len > 0) {
        list = dps_split(list, ',', name);
        *name = dps_trim(*name);
        for (size_t i = 0; i < sizeof spoken / sizeof spoken[0]; i++) {
            if (dps_text_equal_nocase(*name, bytes_of_text(spoken[i].name))) {
                return spoken[i].protocol;
            }
        }
    }
    return NULL;
}

static void write_101(struct bytes_writer *w, const uint8_t accept[DPS_WEBSOCKET_ACCEPT_SIZE],
                      struct bytes name)
{
    dps_write_text(w, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Accept: ");
    bytes_write_bytes(w, bytes_of(accept, DPS_WEBSOCKET_ACCEPT_SIZE));
    dps_write_text(w, "\r\nSec-WebSocket-Protocol: ");
    bytes_write_bytes(w, name);
    dps_write_text(w, "\r\n\r\n");
}

/* The answer's body is the head: nothing follows it that HTTP knows. Returns: why not, or null. */
static const char *shake_hands(struct server_connection *c)
{
    uint8_t accept[DPS_WEBSOCKET_ACCEPT_SIZE];
    struct bytes key, name;
    if (is_of_http_1_0(c)) {
        return "WebSocket begins with a request of HTTP/1.1"; /* [RFC 9110 7.8] */
    }
    if (!header_has(c, "Connection", "upgrade") || !header_has(c, "Upgrade", "websocket")) {
        return "this path is for WebSocket: Connection: Upgrade and Upgrade: websocket are missing";
    }
    if (!header_has(c, "Sec-WebSocket-Version", VERSION)) {
        return "WebSocket is spoken in version " VERSION " only";
    }
    if (dps_http_header(&c->http, c->buffers->request, "Sec-WebSocket-Key", &key) != 0 ||
        dps_websocket_accept(key, accept) != 0) {
        return "Sec-WebSocket-Key is not 16 bytes in base64";
    }
    const struct server_protocol *inside = choose(c, &name);
    if (inside == NULL) {
        return "Sec-WebSocket-Protocol names nothing that is spoken here: mqtt, AMQPWSB10";
    }
    write_101(&c->buffers->answer.body, accept, name);
    c->websocket = (struct server_websocket){.inside = inside};
    return NULL;
}

/* Microsoft's C# package for AMQP asks for the root, which is otherwise nothing. */
static bool is_its_path(const struct server_connection *c, struct bytes path)
{
    return bytes_equal_public(path, bytes_of_text(PATH)) ||
           (bytes_equal_public(path, bytes_of_text("/")) && header_has(c, "Upgrade", "websocket"));
}

bool server_websocket_is_asked_for(const struct server *s, const struct server_connection *c)
{
    const uint8_t *request = c->buffers->request;
    return s->config->websocket && c->kind != SERVER_METRICS && c->unreadable == 0 &&
           bytes_equal_public(dps_http_method(&c->http, request), bytes_of_text("GET")) &&
           is_its_path(c, dps_http_path(dps_http_target(&c->http, request)));
}

void server_websocket_shake_hands(struct server *s, struct server_connection *c)
{
    struct server_buffers *b = c->buffers;
    dps_answer_begin(&s->service, b->body, sizeof b->body, &b->answer);
    const char *why = shake_hands(c);
    if (why == NULL) {
        b->answer.status = 101;
        c->stays = true;
    } else {
        dps_answer_detail(&b->answer, why);
        dps_answer_refuse(&s->service, &b->answer, DPS_REFUSED_REQUEST);
    }
}

void server_websocket_write_version(struct bytes_writer *head)
{
    head->len -= 2; /* the empty line */
    dps_write_text(head, "Sec-WebSocket-Version: " VERSION "\r\n\r\n");
}

/* ---- Frames that arrive ------------------------------------------------------------------------------------------ */

static uint8_t *frames_of(const struct server_connection *c)
{
    return c->buffers->request + c->websocket.frames;
}

static size_t frames_len(const struct server_connection *c)
{
    return c->request_len - c->websocket.frames;
}

/* Close the gap between content and frames, once for all that were taken: a byte each may come in thousands. */
static void close_gap(struct server_connection *c)
{
    struct server_websocket *w = &c->websocket;
    const size_t left = frames_len(c);
    memmove(c->buffers->request + w->content, frames_of(c), left);
    w->frames = w->content;
    c->request_len = w->content + left;
}

static int refuse(struct server_connection *c, uint16_t why)
{
    c->websocket.refused = why;
    return BYTES_E_FORMAT;
}

/* It may come in the middle of a message, so it is answered at once, as a request of its own. */
static int take_control(struct server_connection *c)
{
    struct server_websocket *w = &c->websocket;
    const size_t len = (size_t)w->frame.len;
    if (frames_len(c) < w->frame.header_len + len) {
        return BYTES_E_MORE;
    }
    uint8_t *content = frames_of(c) + w->frame.header_len;
    dps_websocket_unmask(&w->frame, 0, content, len);
    memcpy(w->control, content, len);
    w->control_len = (uint8_t)len;
    w->asked = w->frame.opcode;
    w->frames += w->frame.header_len + len;
    return 0;
}

/* A frame without content carries nothing, and so many could come that nobody else is served. */
static int begin_content(struct server_connection *c)
{
    struct server_websocket *w = &c->websocket;
    const bool goes_on = w->frame.opcode == DPS_WEBSOCKET_CONTINUATION;
    if (w->frame.opcode == DPS_WEBSOCKET_TEXT) {
        return refuse(c, DPS_WEBSOCKET_CLOSE_NOT_TEXT);
    }
    if (goes_on != w->in_message || w->frame.len == 0) {
        return refuse(c, DPS_WEBSOCKET_CLOSE_PROTOCOL);
    }
    w->in_message = !w->frame.last;
    w->arrived = 0;
    w->frames += w->frame.header_len;
    return 0;
}

/* Turn what has arrived of a frame into content. Returns: 0 if that is something, or if a frame of control waits for
 * its answer; BYTES_E_MORE; BYTES_E_FORMAT. */
static int take_frame(struct server_connection *c)
{
    struct server_websocket *w = &c->websocket;
    if (w->arrived == w->frame.len) {
        const int error = dps_websocket_header_read(bytes_of(frames_of(c), frames_len(c)), &w->frame);
        if (error != 0) {
            w->arrived = w->frame.len = 0;
            return error == BYTES_E_MORE ? error : refuse(c, DPS_WEBSOCKET_CLOSE_PROTOCOL);
        }
        if (dps_websocket_is_control(&w->frame)) {
            const int taken = take_control(c);
            w->arrived = w->frame.len = 0;
            return taken;
        }
        return begin_content(c);
    }
    const uint64_t left = w->frame.len - w->arrived;
    const size_t len = left < frames_len(c) ? (size_t)left : frames_len(c);
    if (len == 0) {
        return BYTES_E_MORE;
    }
    dps_websocket_unmask(&w->frame, w->arrived, frames_of(c), len);
    memmove(c->buffers->request + w->content, frames_of(c), len);
    w->arrived += len;
    w->content += len;
    w->frames += len;
    return 0;
}

static int read_content(struct server_connection *c)
{
    const size_t all = c->request_len;
    c->request_len = c->websocket.content;
    const int error = c->websocket.inside->read(c);
    c->request_len = all;
    return error;
}

/* Frame by frame until the protocol inside has what it wants, or a frame of control wants an answer. */
static int take_frames(struct server_connection *c)
{
    int error = read_content(c);
    while (error == BYTES_E_MORE) {
        error = take_frame(c);
        if (error != 0) {
            return error;
        }
        if (c->websocket.asked != 0) {
            c->consumed = 0;
            return 0;
        }
        error = read_content(c);
    }
    return error;
}

static int read_message(struct server_connection *c)
{
    c->websocket.frames = c->websocket.content;
    const int error = take_frames(c);
    close_gap(c);
    const bool full = c->request_len == sizeof c->buffers->request;
    return error == BYTES_E_MORE && full ? BYTES_E_LIMIT : error;
}

/* ---- Answers ----------------------------------------------------------------------------------------------------- */

/* Is this one of ours, of which the protocol inside knows nothing? */
static bool is_ours(const struct server_connection *c)
{
    return c->websocket.asked != 0 || c->websocket.refused != 0;
}

static void write_close(struct bytes_writer *w, uint16_t why)
{
    dps_websocket_header_write(w, DPS_WEBSOCKET_CLOSE, sizeof why);
    bytes_write_u16(w, why);
}

/* [RFC 6455 5.5]: a close is answered by a close, a ping by a pong with the same content, a pong by nothing. */
static void answer_control(struct server_connection *c, struct bytes_writer *w)
{
    const struct bytes content = bytes_of(c->websocket.control, c->websocket.control_len);
    if (c->websocket.asked == DPS_WEBSOCKET_PING) {
        dps_websocket_header_write(w, DPS_WEBSOCKET_PONG, content.len);
        bytes_write_bytes(w, content);
    } else if (c->websocket.asked == DPS_WEBSOCKET_CLOSE) {
        write_close(w, DPS_WEBSOCKET_CLOSE_NORMAL);
        c->stays = false;
    }
}

static void answer_message(struct server *s, struct server_connection *c)
{
    struct server_buffers *b = c->buffers;
    if (!is_ours(c)) {
        c->websocket.inside->answer(s, c);
        c->websocket.content -= c->stays ? c->consumed : 0;
        return;
    }
    c->stays = c->websocket.refused == 0;
    dps_answer_begin(&s->service, b->body, sizeof b->body, &b->answer);
    if (c->websocket.refused != 0) {
        dps_answer_detail(&b->answer, "a frame of WebSocket breaks a rule");
        dps_answer_note(&b->answer, DPS_REFUSED_REQUEST);
        write_close(&b->answer.body, c->websocket.refused);
    } else {
        dps_answer_note(&b->answer, DPS_ACCEPTED);
        answer_control(c, &b->answer.body);
    }
}

/* Frames of control rely on nothing, and the protocol inside knows only of the request before them. */
static void take_back(struct server *s, struct server_connection *c)
{
    if (!is_ours(c)) {
        c->websocket.inside->uncommitted(s, c);
    }
}

static void release_content(struct server *s, struct server_connection *c, struct bytes_writer *head)
{
    c->websocket.inside->release(s, c, head);
    if (c->body_len > 0) {
        dps_websocket_header_write(head, DPS_WEBSOCKET_BINARY, c->body_len);
    }
}

/* What the protocol inside says goes out as one message. After the last answer, whose ever it is, stands a close. */
static void release_message(struct server *s, struct server_connection *c, struct bytes_writer *head)
{
    const bool closes = c->websocket.refused != 0 || c->websocket.asked == DPS_WEBSOCKET_CLOSE;
    if (is_ours(c)) {
        c->body_len = bytes_written(&c->buffers->answer.body).len;
    } else {
        release_content(s, c, head);
    }
    if (!c->keep_alive && !closes) {
        struct bytes_writer w = bytes_writer_over(c->buffers->body, sizeof c->buffers->body);
        w.len = c->body_len;
        write_close(&w, DPS_WEBSOCKET_CLOSE_NORMAL);
        c->body_len = bytes_written(&w).len;
    }
}

static void begin_message(struct server_connection *c)
{
    c->websocket.asked = 0;
    c->websocket.inside->begin(c);
}

static bool invite(struct server_connection *c)
{
    return c->websocket.inside->invite(c);
}

static uint64_t latest(const struct server *s, const struct server_connection *c)
{
    return c->websocket.inside->latest(s, c);
}

static void end(struct server_connection *c)
{
    c->websocket.inside->end(c);
}

static bool is_midway(const struct server *s, const struct server_connection *c)
{
    return c->websocket.inside->is_midway(s, c);
}

/* ---- For log and metrics ----------------------------------------------------------------------------------------- */

static struct bytes method_of(const struct server_connection *c)
{
    return is_ours(c) ? bytes_of_text("WEBSOCKET") : c->websocket.inside->method(c);
}

static enum server_route route_of(const struct server_connection *c)
{
    return is_ours(c) ? SERVER_ROUTE_OTHER : c->websocket.inside->route(c);
}

static bool counts(const struct server_connection *c)
{
    return is_ours(c) || c->websocket.inside->counts(c);
}

static bool is_news(const struct server_connection *c)
{
    return !is_ours(c) && c->websocket.inside->is_news(c);
}

const struct server_protocol server_websocket = {
    .begin = begin_message,
    .read = read_message,
    .invite = invite,
    .answer = answer_message,
    .uncommitted = take_back,
    .release = release_message,
    .latest = latest,
    .end = end,
    .is_midway = is_midway,
    .method = method_of,
    .route = route_of,
    .counts = counts,
    .is_news = is_news,
    .silence = "the device was silent, or its token has expired",
};
