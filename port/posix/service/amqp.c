/* SPDX-License-Identifier: MIT */
/* Connections that provision over AMQP, --amqp: frames are requests. */
#include "dps/service/amqp_door.h"
#include "port/posix/service/protocol.h"
#include <string.h>

#if DPS_WITH_AMQP

/* The frames that go out stand at the beginning of body, the JSON that they are made from after them. */
_Static_assert(DPS_AMQP_OUT_MAX + DPS_AMQP_JSON_MAX <= DPS_HTTP_BODY_MAX,
               "with a smaller DPS_HTTP_BODY_MAX, DPS_WITH_AMQP has to be 0");
_Static_assert(DPS_AMQP_FRAME_MAX <= DPS_HTTP_BODY_MAX, "likewise");

static uint8_t *json_of(struct server_connection *c)
{
    return c->buffers->body + DPS_AMQP_OUT_MAX;
}

static void begin_frame(struct server_connection *c)
{
    if (!c->served) {
        memset(&c->buffers->amqp, 0, sizeof c->buffers->amqp);
    }
}

static int read_frame(struct server_connection *c)
{
    const struct bytes arrived = bytes_of(c->buffers->request, c->request_len);
    const int error = dps_amqp_frame_read(arrived, dps_amqp_frame_max(&c->buffers->amqp), &c->frame);
    c->head_read = c->frame.len > 0;
    c->consumed = c->frame.len;
    return error;
}

static bool uninvited(struct server_connection *c)
{
    (void)c;
    return true;
}

static void answer_frame(struct server *s, struct server_connection *c)
{
    struct server_buffers *b = c->buffers;
    if (c->unreadable != 0) {
        dps_amqp_unreadable(&s->service, &b->amqp, c->unreadable, b->body, json_of(c), &b->answer);
        c->stays = false;
    } else {
        c->stays = dps_amqp_answer(&s->service, &b->amqp, &c->frame, b->body, json_of(c), &b->answer);
    }
}

static void take_back(struct server *s, struct server_connection *c)
{
    const bool stays = dps_amqp_uncommitted(&s->service, &c->buffers->amqp, &c->buffers->answer);
    c->stays = c->stays && stays;
}

static void release_answer(struct server *s, struct server_connection *c, struct bytes_writer *head)
{
    (void)s, (void)head;
    c->body_len = bytes_written(&c->buffers->amqp.out).len;
}

static void forget(struct server_connection *c)
{
    explicit_bzero(&c->buffers->amqp, sizeof c->buffers->amqp);
}

static bool is_midway(const struct server *s, const struct server_connection *c)
{
    return dps_amqp_is_midway(&s->service, &c->buffers->amqp);
}

/* ---- For log and metrics ----------------------------------------------------------------------------------------- */

/* As the standard calls it. */
static struct bytes name_of(const struct server_connection *c)
{
    static const char names[9][12] = {"open",        "begin",  "attach", "flow", "transfer",
                                      "disposition", "detach", "end",    "close"};
    switch (c->frame.kind) {
    case DPS_AMQP_SASL_INIT:
        return bytes_of_text("sasl-init");
    case DPS_AMQP_SASL_RESPONSE:
        return bytes_of_text("sasl-response");
    default:
        break;
    }
    const bool named = c->frame.kind >= DPS_AMQP_OPEN && c->frame.kind <= DPS_AMQP_CLOSE;
    return bytes_of_text(named ? names[c->frame.kind - DPS_AMQP_OPEN] : "frame");
}

static enum server_route route_of(const struct server_connection *c)
{
    const enum dps_amqp_asked asked = c->buffers->amqp.asked;
    return asked == DPS_AMQP_NOTHING  ? SERVER_ROUTE_OTHER
           : asked == DPS_AMQP_STATUS ? SERVER_ROUTE_OPERATION
                                      : SERVER_ROUTE_REGISTER;
}

/* Frames that ask nothing of the service are no requests, unless they are refused. */
static bool counts(const struct server_connection *c)
{
    return c->buffers->amqp.asked != DPS_AMQP_NOTHING || c->buffers->answer.refusal != DPS_ACCEPTED;
}

static bool is_news(const struct server_connection *c)
{
    return c->buffers->amqp.asked != DPS_AMQP_PROOF;
}

const struct server_protocol server_amqp = {
    .begin = begin_frame,
    .read = read_frame,
    .invite = uninvited,
    .answer = answer_frame,
    .uncommitted = take_back,
    .release = release_answer,
    .latest = server_no_session,
    .end = forget,
    .is_midway = is_midway,
    .method = name_of,
    .route = route_of,
    .counts = counts,
    .is_news = is_news,
};

#endif
