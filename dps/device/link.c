/* SPDX-License-Identifier: MIT */
/* One packet at a time stands in the device's network buffer: one that is being received, one that has arrived, or one
 * that is being sent. It is built only when nothing of another one has come, and nothing is received while it is sent.
 * Section numbers are those of MQTT 3.1.1. */
#include "dps/device/link.h"
#include "dps/device/link_failure.h"
#include "dps/device/link_packet.h"
#include "dps/device/link_read.h"

#if DPS_WITH_MQTT

#define MQTT_PORT 8883
#define DISTANT_MS 0x7FFFFFFF /* nothing is due */
#define ANEW UINT64_MAX       /* answer_by: its time begins with the next look at the clock */

/* ---- What is sent ------------------------------------------------------------------------------------------------ */

/* The next packet, DPS_MQTT_...; 0: there is none. After CONNECT only one that the hub has accepted may follow
 * (3.1.4-5 would allow more). */
static uint8_t next_packet(const struct dps_link *l)
{
    const bool in = l->state > ASKS_IN && l->state < ENDED;
    if (l->state == HELLO) {
        return DPS_MQTT_CONNECT;
    }
    if (in && l->ack_count > 0) {
        return DPS_MQTT_PUBACK;
    }
    if (in && l->leaving) {
        return DPS_MQTT_DISCONNECT;
    }
    if (l->state == SUBSCRIBES) {
        return DPS_MQTT_SUBSCRIBE;
    }
    if (l->state == UP && l->ping_state == DUE) {
        return DPS_MQTT_PINGREQ;
    }
    return l->state == UP && l->message_state == DUE ? DPS_MQTT_PUBLISH : 0;
}

static void build(struct dps_link *l)
{
    struct bytes_writer w = bytes_writer_over(l->device->net, sizeof l->device->net);
    l->sending = next_packet(l);
    dps_link_build(l, (enum dps_mqtt_type)l->sending, &w);
    if (w.error != 0) {
        dps_link_lost(l,
                      w.error == BYTES_E_FORMAT ? BYTES_E_USAGE : w.error); /* a deviceId with '+' or '#' */
        return;
    }
    l->out_len = (uint16_t)w.len;
    l->out_sent = 0;
}

/* The hub owes an answer from now on; or silence, for the DISCONNECT. */
static void await(struct dps_link *l)
{
    if (l->answer_by == 0) {
        l->answer_by = l->now + DPS_LINK_ANSWER_MS;
    }
}

/* A whole packet is on its way. */
static void packet_sent(struct dps_link *l)
{
    l->out_len = l->out_sent = 0;
    /* Any packet is a sign of life (3.1.2-23); the next one in good time. */
    l->ping_at = l->now + (uint64_t)dps_link_keep_alive(l) * 750;
    switch (l->sending) {
    case DPS_MQTT_CONNECT:
        l->state = ASKS_IN;
        await(l);
        break;
    case DPS_MQTT_SUBSCRIBE:
        l->state = LISTENS_SOON;
        await(l);
        break;
    case DPS_MQTT_PUBACK:
        l->ack_count--;
        memmove(l->acks, l->acks + 1, l->ack_count * sizeof l->acks[0]);
        break;
    case DPS_MQTT_PUBLISH:
        l->message_state = SENT;
        await(l);
        break;
    case DPS_MQTT_PINGREQ:
        l->ping_state = SENT;
        await(l);
        break;
    default: /* DISCONNECT: nothing follows (3.14.4-2) */
        dps_link_forget(l);
        l->state = l->renewing ? NO_TOKEN : ENDED;
        break;
    }
}

/* ---- The public face --------------------------------------------------------------------------------------------- */

void dps_link_begin(struct dps_link *l, struct dps_device *d, unsigned flags)
{
    *l = (struct dps_link){.device = d, .flags = (uint8_t)flags, .in_need = DPS_LINK_SHORTEST_PACKET};
}

/* Times that have come. A token is renewed between two messages. */
static void look_at_clock(struct dps_link *l)
{
    if (l->state == WAITING && l->now >= l->until) {
        l->state = l->now >= l->renew_at ? NO_TOKEN : UNCONNECTED; /* 0: there is none */
    }
    if (l->state == UNCONNECTED && l->renew_at == 0) {
        /* When five sixths of the token's life are over. */
        l->renew_at = l->now + (l->device->expiry - l->device->now) * 1000 / 6 * 5;
    }
    if (l->answer_by == ANEW) {
        l->answer_by = l->now + DPS_LINK_ANSWER_MS;
    }
    if (l->answer_by != 0 && l->now >= l->answer_by && !l->arriving) {
        dps_link_lost(l, BYTES_E_TIMEOUT);
    }
    if (l->state != UP) {
        return;
    }
    if (l->now >= l->renew_at && l->message_state != SENT && !l->leaving) {
        l->leaving = l->renewing = true;
        await(l);
    }
    if (l->now >= l->ping_at && l->ping_state == NONE) {
        l->ping_state = DUE;
    }
    /* What is due waits for the end of a packet that arrives: not for ever. */
    if (l->message_state == DUE || l->ping_state == DUE) {
        await(l);
    }
}

enum dps_link_want dps_link_want(struct dps_link *l, uint64_t now_ms)
{
    l->now = now_ms;
    look_at_clock(l);
    switch (l->state) {
    case NO_TOKEN:
        return DPS_LINK_TOKEN;
    case WAITING:
        return DPS_LINK_WAIT;
    case UNCONNECTED:
        return DPS_LINK_CONNECT;
    case ENDED:
        return DPS_LINK_ENDED;
    case FAILED:
        return DPS_LINK_FAILED;
    default:
        break;
    }
    if (l->arriving) {
        return DPS_LINK_ARRIVED;
    }
    if (l->in_len > 0 || l->skip > 0) {
        return DPS_LINK_RECEIVE;
    }
    if (l->out_len > 0 || next_packet(l) != 0) {
        return DPS_LINK_SEND;
    }
    return l->state == UP && l->message_state == NONE ? DPS_LINK_READY : DPS_LINK_RECEIVE;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint32_t dps_link_rest_ms(const struct dps_link *l)
{
    uint64_t next = l->now + DISTANT_MS;
    if (l->state == WAITING) {
        next = l->until;
    }
    if (l->answer_by != 0) {
        next = earlier(next, l->answer_by);
    }
    if (l->state == UP) {
        next = l->message_state == SENT ? next : earlier(next, l->renew_at);
        next = l->ping_state == NONE ? earlier(next, l->ping_at) : next;
    }
    return next > l->now ? (uint32_t)(next - l->now) : 0;
}

void dps_link_token_made(struct dps_link *l)
{
    if (l->state == NO_TOKEN) {
        l->state = UNCONNECTED;
        l->renewing = l->admitted = false;
        l->renew_at = 0; /* it is not known when now is */
    }
}

const char *dps_link_host(const struct dps_link *l, uint16_t *port)
{
    const uint16_t given = l->device->config->hub_mqtt_port;
    *port = given != 0 ? given : MQTT_PORT;
    return l->device->assigned_hub;
}

void dps_link_connected(struct dps_link *l)
{
    if (l->state == UNCONNECTED) {
        dps_link_forget(l);
        l->fault = DPS_LINK_FAULT_NONE;
        l->got = 0;
        l->state = HELLO;
        l->connections++;
    }
}

struct bytes dps_link_out(struct dps_link *l)
{
    if (l->out_len == 0 && next_packet(l) != 0 && l->in_len == 0 && l->skip == 0 && !l->arriving) {
        build(l);
    }
    return bytes_of(l->device->net + l->out_sent, (size_t)l->out_len - l->out_sent);
}

void dps_link_sent(struct dps_link *l, size_t len)
{
    if (len > (size_t)l->out_len - l->out_sent) {
        return;
    }
    l->out_sent = (uint16_t)(l->out_sent + len);
    if (l->out_len > 0 && l->out_sent == l->out_len) {
        packet_sent(l);
    }
}

uint8_t *dps_link_in(struct dps_link *l, size_t *room)
{
    const bool connected = l->state >= HELLO && l->state < ENDED;
    *room = connected && !l->arriving && l->out_len == 0 ? (size_t)l->in_need - l->in_len : 0;
    if (l->skip > 0 && *room > 0) {
        *room = l->skip < sizeof l->device->net ? (size_t)l->skip : sizeof l->device->net;
    }
    return l->device->net + l->in_len;
}

size_t dps_link_received(struct dps_link *l, size_t len)
{
    size_t room;
    (void)dps_link_in(l, &room);
    if (len == 0) {
        dps_link_lost(l, BYTES_E_STREAM);
        return 0;
    }
    if (len > room) {
        return 0;
    }
    if (l->skip > 0) {
        l->skip -= (uint32_t)len;
        if (l->skip == 0) {
            dps_link_rest(l);
        }
        return 0;
    }
    if (l->in_len == 0) {
        await(l); /* a packet that has begun must end */
    }
    l->in_len = (uint16_t)(l->in_len + len);
    return l->in_len == l->in_need ? dps_link_look(l) : 0;
}

void dps_link_fail(struct dps_link *l, int error)
{
    dps_link_lost(l, error);
}

int dps_link_publish(struct dps_link *l, struct bytes properties, struct bytes payload)
{
    const size_t around = DPS_MQTT_HEADER_MAX + 4 + 2 * DPS_LINK_TOPIC_MAX;
    const size_t room = sizeof l->device->net - around;
    if (properties.len > room / 4 || payload.len > room - 2 * properties.len) {
        return BYTES_E_LIMIT;
    }
    if (l->message_state != NONE) {
        return BYTES_E_CONFLICT;
    }
    l->properties = properties;
    l->message = payload;
    l->message_state = DUE;
    l->message_id = 0;
    l->repeated = false;
    return 0;
}

bool dps_link_publishing(const struct dps_link *l)
{
    return l->message_state != NONE;
}

const struct dps_mqtt_publish *dps_link_arrived(const struct dps_link *l)
{
    return &l->arrived;
}

void dps_link_take(struct dps_link *l)
{
    if (!l->arriving) {
        return;
    }
    l->arriving = false;
    l->received++;
    if (l->arrived.qos > 0) {
        l->acks[l->ack_count++] = l->arrived.packet_id;
    }
    /* While the message waited here, no answer could be read. */
    l->answer_by = l->answer_by != 0 ? ANEW : 0;
    l->arrived = (struct dps_mqtt_publish){0};
}

void dps_link_end(struct dps_link *l)
{
    l->renewing = false;
    if (l->state > ASKS_IN && l->state < ENDED) {
        l->leaving = true;
        l->answer_by = l->answer_by != 0 ? l->answer_by : ANEW;
    } else if (l->state < ENDED) {
        dps_link_forget(l);
        l->state = ENDED;
    }
}

const char *dps_link_what(const struct dps_link *l)
{
#if DPS_WITH_STEP_TEXTS
    switch (l->state == FAILED || l->state == WAITING ? l->at_state : l->state) {
    case NO_TOKEN:
        return "a hub token";
    case UNCONNECTED:
        return "a connection for MQTT";
    case HELLO:
    case ASKS_IN:
        return "to admit this device";
    case SUBSCRIBES:
    case LISTENS_SOON:
        return "messages for this device";
    default:
        return l->message_state != NONE ? "to accept a message" : "to stay connected";
    }
#else
    (void)l;
    return "";
#endif
}

#endif
