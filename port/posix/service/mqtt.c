/* SPDX-License-Identifier: MIT */
#include "port/posix/service/mqtt.h"
#include "dps/service/hub_mqtt.h"
#include <string.h>

void server_mqtt_begin(struct server_connection *c)
{
    if (c->kind == SERVER_HUB_MQTT) {
        memset(&c->buffers->hub, 0, sizeof c->buffers->hub);
    }
}

int server_mqtt_read(struct server_connection *c)
{
    const struct bytes arrived = bytes_of(c->buffers->request, c->request_len);
    const int error = dps_mqtt_packet_read(arrived, DPS_MQTT_SERVER, sizeof c->buffers->request, &c->packet);
    c->head_read = c->packet.len > 0;
    c->consumed = c->packet.len;
    return error;
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
}

static void take_place(struct server *s, const struct server_connection *c)
{
    const struct crypto_lock lock = server_shared_lock(s->shared);
    const uint64_t name = dps_hub_session_name(&c->buffers->hub);
    crypto_lock_take(&lock);
    struct server_hub_place *place = place_of(s, name);
    if (place->name != name || place->session < c->hub_session) {
        *place = (struct server_hub_place){name, c->hub_session};
    }
    crypto_lock_leave(&lock);
}

/* Has another process the device's later session? Not if the place is another device's by now: then nobody knows. */
static bool has_lost_place(struct server *s, const struct server_connection *c)
{
    const struct crypto_lock lock = server_shared_lock(s->shared);
    const uint64_t name = dps_hub_session_name(&c->buffers->hub);
    crypto_lock_take(&lock);
    const struct server_hub_place *place = place_of(s, name);
    const bool lost = place->name == name && place->session > c->hub_session;
    crypto_lock_leave(&lock);
    return lost;
}

/* Whoever is in the middle of this turn, or is being sent something, ends with that. */
static void replace(struct server *s, struct server_connection *c)
{
    c->replaced = true;
    c->keep_alive = false;
    if (c->state == SERVER_IDLE || c->state == SERVER_HEAD || c->state == SERVER_BODY) {
        server_log_event(s, "info", c, "closed", "the device has connected again");
        server_connection_finish(s, c);
    }
}

void server_mqtt_answer(struct server *s, struct server_connection *c)
{
    struct server_buffers *b = c->buffers;
    if (c->unreadable != 0) {
        dps_hub_mqtt_unreadable(&s->service, c->unreadable, b->body, sizeof b->body, &b->answer);
        c->stays = false;
        return;
    }
    c->replaced = c->replaced || (b->hub.connected && has_lost_place(s, c));
    c->stays = dps_hub_mqtt_answer(&s->service, &b->hub, &c->packet, b->body, sizeof b->body, &b->answer);
    if (c->stays && c->packet.type == DPS_MQTT_CONNECT) {
        take_number(s, c);
    }
}

void server_mqtt_released(struct server *s, const struct server_connection *c)
{
    if (c->packet.type != DPS_MQTT_CONNECT || !c->stays) {
        return;
    }
    take_place(s, c);
    for (size_t i = 0; i < s->connection_count; i++) {
        struct server_connection *other = &s->connections[i];
        if (other->kind == SERVER_HUB_MQTT && other->state != SERVER_FREE &&
            other->hub_session < c->hub_session &&
            dps_hub_session_same(&other->buffers->hub, &c->buffers->hub)) {
            replace(s, other);
        }
    }
}

uint64_t server_mqtt_latest(const struct server *s, const struct server_connection *c)
{
    const uint64_t rest =
        c->kind == SERVER_HUB_MQTT ? dps_hub_session_rest_ms(&s->service, &c->buffers->hub) : UINT64_MAX;
    return rest == UINT64_MAX ? rest : s->now_ms + rest;
}

const char *server_mqtt_name(const struct server_connection *c)
{
    static const char names[16][12] = {
        "",          "CONNECT", "CONNACK",     "PUBLISH",  "PUBACK",  "PUBREC",   "PUBREL",     "PUBCOMP",
        "SUBSCRIBE", "SUBACK",  "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "",
    };
    return names[c->packet.type & 15];
}

/* A device that has nothing to say pings all day. */
bool server_mqtt_is_news(const struct server_connection *c)
{
    return c->packet.type != DPS_MQTT_PINGREQ && c->packet.type != DPS_MQTT_PUBACK;
}
