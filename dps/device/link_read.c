/* SPDX-License-Identifier: MIT */
/* Section numbers are those of MQTT 3.1.1. */
#include "dps/device/link_read.h"
#include "dps/device/link_failure.h"
#include "dps/protocol/mqtt_connect.h"

#if DPS_WITH_MQTT

static void refuse(struct dps_link *l, enum dps_link_fault fault, uint8_t type)
{
    l->fault = (uint8_t)fault;
    l->got = type;
    dps_link_lost(l, BYTES_E_FORMAT);
}

/* The hub has given one of the answers that it owes. For the others the time begins now. Waits between connections
 * begin anew only after an answer that shows more than that connecting works. */
static void answered(struct dps_link *l, bool works)
{
    l->answer_by = l->now + DPS_LINK_ANSWER_MS;
    l->retries = works ? 0 : l->retries;
}

void dps_link_rest(struct dps_link *l)
{
    const bool owes =
        l->state == ASKS_IN || l->state == LISTENS_SOON || l->message_state == SENT ||
        l->ping_state == SENT || l->leaving ||
        (l->state == UP && (l->message_state == DUE || l->ping_state == DUE)); /* see look_at_clock */
    l->answer_by = owes ? l->answer_by : 0;
}

static void read_connack(struct dps_link *l, const struct dps_mqtt_packet *p)
{
    if (dps_mqtt_connack_read(p, &l->session, &l->code) != 0) {
        refuse(l, DPS_LINK_FAULT_MALFORMED, p->type);
        return;
    }
    if (l->code != DPS_MQTT_ACCEPTED) {
        dps_link_lost(l, BYTES_E_REFUSED);
        return;
    }
    l->was_up = l->admitted = true;
    l->error = 0;
    l->state = (l->flags & DPS_LINK_LISTENS) != 0 ? SUBSCRIBES : UP;
}

static void read_suback(struct dps_link *l, const struct dps_mqtt_packet *p)
{
    uint16_t id;
    struct bytes codes;
    if (dps_mqtt_suback_read(p, &id, &codes) != 0 || codes.len != 1) {
        refuse(l, DPS_LINK_FAULT_MALFORMED, p->type);
    } else if (id != l->subscribe_id) {
        refuse(l, DPS_LINK_FAULT_OTHER_ID, p->type);
    } else if (codes.p[0] == DPS_MQTT_SUBSCRIPTION_FAILED) {
        l->code = DPS_MQTT_SUBSCRIPTION_FAILED;
        dps_link_lost(l, BYTES_E_REFUSED);
    } else {
        l->state = UP;
        answered(l, false);
    }
}

static void read_puback(struct dps_link *l, const struct dps_mqtt_packet *p)
{
    uint16_t id;
    if (dps_mqtt_ack_read(p, &id) != 0) {
        refuse(l, DPS_LINK_FAULT_MALFORMED, p->type);
    } else if (id != l->message_id) {
        refuse(l, DPS_LINK_FAULT_OTHER_ID, p->type);
    } else {
        l->message_state = NONE;
        l->message_id = 0;
        l->sent++;
        answered(l, true);
    }
}

/* What nobody has asked for, and what there is no room to acknowledge, is left to the hub: it has it again in the next
 * connection. */
static void read_publish(struct dps_link *l, const struct dps_mqtt_packet *p)
{
    struct dps_mqtt_publish m;
    if (dps_mqtt_publish_read(p, &m) != 0) {
        refuse(l, DPS_LINK_FAULT_MALFORMED, p->type);
        return;
    }
    const bool room = m.qos == 0 || l->ack_count < DPS_LINK_ACKS_MAX;
    if ((l->flags & DPS_LINK_LISTENS) != 0 && room && !l->leaving) {
        l->arrived = m;
        l->arriving = true;
    }
}

static void read_packet(struct dps_link *l, const struct dps_mqtt_packet *p)
{
    const bool in = l->state > ASKS_IN;
    if (!in && p->type == DPS_MQTT_CONNACK && l->state == ASKS_IN) {
        read_connack(l, p);
    } else if (in && p->type == DPS_MQTT_PUBLISH) {
        read_publish(l, p);
    } else if (p->type == DPS_MQTT_SUBACK && l->state == LISTENS_SOON) {
        read_suback(l, p);
    } else if (p->type == DPS_MQTT_PUBACK && l->message_state == SENT) {
        read_puback(l, p);
    } else if (p->type == DPS_MQTT_PINGRESP && l->ping_state == SENT) {
        l->ping_state = NONE;
        answered(l, true);
    } else {
        refuse(l, DPS_LINK_FAULT_UNEXPECTED, p->type);
    }
}

/* A message that does not fit is passed over: it must not end the connection again and again. */
static void pass_over(struct dps_link *l, const struct dps_mqtt_packet *p)
{
    if (p->type != DPS_MQTT_PUBLISH || l->state <= ASKS_IN) {
        l->got = p->type;
        dps_link_lost(l, BYTES_E_LIMIT);
        return;
    }
    l->skip = (uint32_t)(p->len - l->in_len);
    l->too_long++;
    l->in_len = 0;
    l->in_need = DPS_LINK_SHORTEST_PACKET;
}

size_t dps_link_look(struct dps_link *l)
{
    const size_t seen = l->in_len;
    struct dps_mqtt_packet p;
    const int error =
        dps_mqtt_packet_read(bytes_of(l->device->net, l->in_len), DPS_MQTT_CLIENT, SIZE_MAX, &p);
    if (error == BYTES_E_MORE && p.len == 0) {
        l->in_need++;
    } else if (error == BYTES_E_MORE && p.len <= sizeof l->device->net) {
        l->in_need = (uint16_t)p.len;
    } else if (error == BYTES_E_MORE) {
        pass_over(l, &p);
    } else if (error == BYTES_E_ALGORITHM) {
        l->got = p.type;
        dps_link_lost(l, error);
        return seen;
    } else if (error != 0) {
        refuse(l, DPS_LINK_FAULT_MALFORMED, p.type);
        return seen;
    } else {
        l->in_len = 0;
        l->in_need = DPS_LINK_SHORTEST_PACKET;
        read_packet(l, &p);
        dps_link_rest(l);
        return seen;
    }
    return 0;
}

#endif
