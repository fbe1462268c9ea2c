/* SPDX-License-Identifier: MIT */
#include "tests/support/mqtt_again.h"
#include <stdlib.h>

/* The least that a filter of SUBSCRIBE takes is four bytes, of UNSUBSCRIBE three. */
#define FILTERS_MAX 3000

static int connect_again(const struct dps_mqtt_packet *p, struct bytes_writer *w)
{
    struct dps_mqtt_connect c;
    const int error = dps_mqtt_connect_read(p, &c);
    if (error == 0) {
        dps_mqtt_connect_write(w, &c);
    }
    return error;
}

static int connack_again(const struct dps_mqtt_packet *p, struct bytes_writer *w)
{
    bool present;
    uint8_t code;
    const int error = dps_mqtt_connack_read(p, &present, &code);
    if (error == 0) {
        dps_mqtt_connack_write(w, present, code);
    }
    return error;
}

static int publish_again(const struct dps_mqtt_packet *p, struct bytes_writer *w)
{
    struct dps_mqtt_publish m;
    const int error = dps_mqtt_publish_read(p, &m);
    if (error == 0) {
        dps_mqtt_publish_write(w, &m);
    }
    return error;
}

static int filters_again(const struct dps_mqtt_packet *p, struct bytes_writer *w)
{
    static struct dps_mqtt_filter filters[FILTERS_MAX];
    struct dps_mqtt_filters all;
    size_t count = 0;
    const int error = dps_mqtt_filters_read(p, &all);
    if (error == 0) {
        while (count < FILTERS_MAX && dps_mqtt_filters_next(&all, &filters[count])) {
            count++;
        }
        if (count != all.count) {
            bytes_writer_fail(w, BYTES_E_USAGE);
        }
        dps_mqtt_filters_write(w, (enum dps_mqtt_type)p->type, all.packet_id, filters, count);
    }
    return error;
}

static int suback_again(const struct dps_mqtt_packet *p, struct bytes_writer *w)
{
    uint16_t id;
    struct bytes codes;
    const int error = dps_mqtt_suback_read(p, &id, &codes);
    if (error == 0) {
        dps_mqtt_suback_write(w, id, codes);
    }
    return error;
}

static int ack_again(const struct dps_mqtt_packet *p, struct bytes_writer *w)
{
    uint16_t id;
    const int error = dps_mqtt_ack_read(p, &id);
    if (error == 0) {
        dps_mqtt_ack_write(w, (enum dps_mqtt_type)p->type, id);
    }
    return error;
}

int mqtt_again(const struct dps_mqtt_packet *p, struct bytes_writer *w)
{
    switch ((enum dps_mqtt_type)p->type) {
    case DPS_MQTT_CONNECT:
        return connect_again(p, w);
    case DPS_MQTT_CONNACK:
        return connack_again(p, w);
    case DPS_MQTT_PUBLISH:
        return publish_again(p, w);
    case DPS_MQTT_SUBSCRIBE:
    case DPS_MQTT_UNSUBSCRIBE:
        return filters_again(p, w);
    case DPS_MQTT_SUBACK:
        return suback_again(p, w);
    case DPS_MQTT_PUBACK:
    case DPS_MQTT_UNSUBACK:
        return ack_again(p, w);
    case DPS_MQTT_PINGREQ:
    case DPS_MQTT_PINGRESP:
    case DPS_MQTT_DISCONNECT:
        dps_mqtt_empty_write(w, (enum dps_mqtt_type)p->type);
        return 0;
    }
    return BYTES_E_USAGE;
}

bool mqtt_again_is_same(struct bytes packet, enum dps_mqtt_role role)
{
    struct dps_mqtt_packet p;
    uint8_t *room = malloc(packet.len + 1);
    struct bytes_writer w = bytes_writer_over(room, packet.len);
    if (room == NULL) {
        return false;
    }
    int error = dps_mqtt_packet_read(packet, role, packet.len, &p);
    if (error == 0) {
        error = mqtt_again(&p, &w);
    }
    const bool same = error != 0 ? w.len == 0 && w.error == 0
                                 : bytes_equal_public(bytes_written(&w), bytes_of(packet.p, p.len));
    free(room);
    return same;
}
