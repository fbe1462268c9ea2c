/* SPDX-License-Identifier: MIT */
/* Connections that speak the hub's MQTT, --hub-mqtt: packets are requests. Beyond those of HTTP they have a session,
 * which ends in time, and of which a device has one. */
#include "dps/service/hub_mqtt.h"
#include "port/posix/service/protocol.h"
#include <string.h>

#if DPS_WITH_MQTT

static void begin_packet(struct server_connection *c)
{
    if (!c->served) {
        memset(&c->buffers->hub, 0, sizeof c->buffers->hub);
    }
}

/* Between two packets, a prompt is a request of its own (messages.c). */
static int read_packet(struct server_connection *c)
{
    c->delivering = c->prompted && c->request_len == 0;
    c->prompted = false;
    if (c->delivering) {
        c->packet = (struct dps_mqtt_packet){0};
        c->consumed = 0;
        return 0;
    }
    const struct bytes arrived = bytes_of(c->buffers->request, c->request_len);
    const int error = dps_mqtt_packet_read(arrived, DPS_MQTT_SERVER, sizeof c->buffers->request, &c->packet);
    c->head_read = c->packet.len > 0;
    c->consumed = c->packet.len;
    return error;
}

static bool uninvited(struct server_connection *c)
{
    (void)c;
    return true;
}

/* ---- A device has one connection --------------------------------------------------------------------------------- */

static struct server_hub_place *place_of(struct server *s, uint64_t name)
{
    return &s->shared->hub_places[name / 2 % SERVER_HUB_PLACES];
}

/* A session gets its number when it is admitted, and the place when the device is told so. Several may be admitted in
 * one turn: of these the last one remains. */
static void take_number(struct server *s, struct server_connection *c)
{
    const struct crypto_lock lock = server_shared_lock(s->shared);
    crypto_lock_take(&lock);
    c->hub_session = ++s->shared->hub_sessions;
    crypto_lock_leave(&lock);
    c->hub_name = dps_hub_session_name(&c->buffers->hub);
}

static void take_place(struct server *s, const struct server_connection *c)
{
    const struct crypto_lock lock = server_shared_lock(s->shared);
    crypto_lock_take(&lock);
    struct server_hub_place *place = place_of(s, c->hub_name);
    if (place->name != c->hub_name || place->session < c->hub_session) {
        *place = (struct server_hub_place){c->hub_name, c->hub_session};
    }
    crypto_lock_leave(&lock);
}

/* Has another process the device's later session? Not if the place is another device's by now: then nobody knows. */
static bool has_lost_place(struct server *s, const struct server_connection *c)
{
    const struct crypto_lock lock = server_shared_lock(s->shared);
    crypto_lock_take(&lock);
    const struct server_hub_place *place = place_of(s, c->hub_name);
    const bool lost = place->name == c->hub_name && place->session > c->hub_session;
    crypto_lock_leave(&lock);
    return lost;
}

/* Whoever is in the middle of this turn, or is being sent something, ends with that. */
static void replace(struct server *s, struct server_connection *c)
{
    c->replaced = true;
    c->stays = c->keep_alive = false;
    if (c->state == SERVER_IDLE || c->state == SERVER_HEAD || c->state == SERVER_BODY) {
        server_log_event(s, "info", c, "closed", "the device has connected again");
        server_connection_finish(s, c);
    }
}

/* Those of this process end at once; one of another process ends with the answer to its next packet. */
static void replace_others(struct server *s, const struct server_connection *c)
{
    take_place(s, c);
    for (size_t i = 0; i < s->connection_count; i++) {
        struct server_connection *other = &s->connections[i];
        if (other->state != SERVER_FREE && other->hub_name == c->hub_name &&
            other->hub_session < c->hub_session &&
            dps_hub_session_same(&other->buffers->hub, &c->buffers->hub)) {
            replace(s, other);
        }
    }
}

/* ---- Packets ----------------------------------------------------------------------------------------------------- */

/* What the device is sent does not show that it is there [MQTT-3.1.2-24]. */
static uint64_t session_end(const struct server *s, const struct server_connection *c)
{
    const uint64_t rest = dps_hub_session_rest_ms(&s->service, &c->buffers->hub);
    return c->delivering ? c->quiet_until : rest == UINT64_MAX ? rest : s->now_ms + rest;
}

static bool answer_to(struct server *s, struct server_connection *c)
{
    struct server_buffers *b = c->buffers;
    if (c->delivering) {
        return dps_hub_mqtt_deliver(&s->service, &b->hub, b->body, sizeof b->body, &b->answer);
    }
    const bool stays =
        dps_hub_mqtt_answer(&s->service, &b->hub, &c->packet, b->body, sizeof b->body, &b->answer);
    c->quiet_until = session_end(s, c);
    return stays;
}

static void answer_packet(struct server *s, struct server_connection *c)
{
    struct server_buffers *b = c->buffers;
    if (c->unreadable != 0) {
        dps_hub_mqtt_unreadable(&s->service, c->unreadable, b->body, sizeof b->body, &b->answer);
        c->stays = false;
        return;
    }
    c->replaced = c->replaced || (b->hub.connected && has_lost_place(s, c));
    const bool stays = answer_to(s, c);
    c->stays = stays && !c->replaced;
    if (b->hub.inbox.open) {
        server_messages_watch(s);
    }
    if (stays && c->packet.type == DPS_MQTT_CONNECT) {
        take_number(s, c);
    }
}

static void take_back(struct server *s, struct server_connection *c)
{
    (void)s;
    dps_hub_mqtt_uncommitted(&c->buffers->answer);
    c->stays = false;
}

static void release_answer(struct server *s, struct server_connection *c, struct bytes_writer *head)
{
    (void)head;
    c->body_len = bytes_written(&c->buffers->answer.body).len;
    if (c->stays && c->packet.type == DPS_MQTT_CONNECT) {
        replace_others(s, c);
    }
}

static void forget(struct server_connection *c)
{
    explicit_bzero(&c->buffers->hub, sizeof c->buffers->hub);
}

static bool never_midway(const struct server *s, const struct server_connection *c)
{
    (void)s, (void)c;
    return false;
}

/* ---- For log and metrics ----------------------------------------------------------------------------------------- */

/* As the standard calls it; it has no name for what the hub does by itself. */
static struct bytes type_of(const struct server_connection *c)
{
    static const char names[16][12] = {
        "",          "CONNECT", "CONNACK",     "PUBLISH",  "PUBACK",  "PUBREC",   "PUBREL",     "PUBCOMP",
        "SUBSCRIBE", "SUBACK",  "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "",
    };
    return bytes_of_text(c->delivering ? "DELIVER" : names[c->packet.type & 15]);
}

static enum server_route to_hub(const struct server_connection *c)
{
    (void)c;
    return SERVER_ROUTE_HUB;
}

/* A device that has nothing to say pings all day. */
static bool is_news(const struct server_connection *c)
{
    return c->packet.type != DPS_MQTT_PINGREQ &&
           (c->packet.type != DPS_MQTT_PUBACK || c->buffers->answer.messages_acknowledged > 0);
}

/* A prompt that has come to nothing was no request. */
static bool counts(const struct server_connection *c)
{
    return !c->delivering || c->body_len > 0 || c->buffers->answer.refusal != DPS_ACCEPTED;
}

const struct server_protocol server_mqtt = {
    .begin = begin_packet,
    .read = read_packet,
    .invite = uninvited,
    .answer = answer_packet,
    .uncommitted = take_back,
    .release = release_answer,
    .latest = session_end,
    .end = forget,
    .is_midway = never_midway,
    .method = type_of,
    .route = to_hub,
    .counts = counts,
    .is_news = is_news,
    .silence = "the device was silent, or its token has expired",
};

#endif
