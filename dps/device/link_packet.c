/* SPDX-License-Identifier: MIT */
/* Section numbers are those of MQTT 3.1.1. */
#include "dps/device/link_packet.h"
#include "dps/protocol/mqtt_connect.h"
#include "dps/protocol/text.h"

#if DPS_WITH_MQTT

#define API_VERSION "2021-04-12"
#define KEEP_ALIVE 180 /* as Microsoft's SDKs have it */

uint16_t dps_link_keep_alive(const struct dps_link *l)
{
    const uint16_t given = l->device->config->keep_alive;
    return given != 0 ? given : KEEP_ALIVE;
}

/* [IoT Hub "Communicate with an IoT hub using the MQTT protocol"]. The session is kept (clean session 0): while the
 * device is away, the hub keeps its messages. */
static void build_connect(const struct dps_link *l, struct bytes_writer *w)
{
    const struct dps_device *d = l->device;
    uint8_t user_name[DPS_HOST_MAX + DPS_DEVICE_ID_MAX + 32];
    struct bytes_writer user = bytes_writer_over(user_name, sizeof user_name);
    dps_write_text(&user, d->assigned_hub);
    dps_write_text(&user, "/");
    dps_write_text(&user, d->device_id);
    dps_write_text(&user, "/?api-version=" API_VERSION);
    bytes_writer_fail(w, user.error);
    const struct dps_mqtt_connect connect = {.client_id = bytes_of_text(d->device_id),
                                             .user_name = bytes_written(&user),
                                             .password = bytes_of(d->token, d->token_len),
                                             .has_user_name = true,
                                             .has_password = true,
                                             .keep_alive = dps_link_keep_alive(l)};
    dps_mqtt_connect_write(w, &connect);
}

/* 0 is no identifier (2.3.1-1). The one of a message that is being sent is not given again (2.3.1-2). */
static uint16_t next_id(struct dps_link *l)
{
    do {
        l->packet_id++;
    } while (l->packet_id == 0 || l->packet_id == l->message_id);
    return l->packet_id;
}

static struct bytes topic_of(const struct dps_link *l, const char *rest, uint8_t topic[DPS_LINK_TOPIC_MAX])
{
    struct bytes_writer w = bytes_writer_over(topic, DPS_LINK_TOPIC_MAX);
    dps_write_text(&w, "devices/");
    dps_write_text(&w, l->device->device_id);
    dps_write_text(&w, rest);
    return bytes_written(&w);
}

static void build_subscribe(struct dps_link *l, struct bytes_writer *w)
{
    uint8_t topic[DPS_LINK_TOPIC_MAX];
    const struct dps_mqtt_filter one = {topic_of(l, "/messages/devicebound/#", topic), 1};
    l->subscribe_id = next_id(l);
    dps_mqtt_filters_write(w, DPS_MQTT_SUBSCRIBE, l->subscribe_id, &one, 1);
}

/* Topic and properties are joined in the buffer, where the packet then stands before them. */
static void build_publish(struct dps_link *l, struct bytes_writer *w)
{
    uint8_t *const end = w->p + w->capacity;
    uint8_t topic[DPS_LINK_TOPIC_MAX];
    const struct bytes prefix = topic_of(l, "/messages/events/", topic);
    const size_t len = prefix.len + l->properties.len;
    struct bytes_writer whole = bytes_writer_over(end - len, len);
    bytes_write_bytes(&whole, prefix);
    bytes_write_bytes(&whole, l->properties);
    if (l->message_id == 0) {
        l->message_id = next_id(l);
    }
    const struct dps_mqtt_publish m = {.topic = bytes_written(&whole),
                                       .payload = l->message,
                                       .packet_id = l->message_id,
                                       .qos = 1,
                                       .dup = l->repeated && l->session}; /* 3.3.1-1, 4.4.0-1 */
    w->capacity -= len;
    dps_mqtt_publish_write(w, &m);
}

void dps_link_build(struct dps_link *l, enum dps_mqtt_type type, struct bytes_writer *w)
{
    switch (type) {
    case DPS_MQTT_CONNECT:
        build_connect(l, w);
        break;
    case DPS_MQTT_SUBSCRIBE:
        build_subscribe(l, w);
        break;
    case DPS_MQTT_PUBLISH:
        build_publish(l, w);
        break;
    case DPS_MQTT_PUBACK:
        dps_mqtt_ack_write(w, type, l->acks[0]);
        break;
    default: /* PINGREQ, DISCONNECT */
        dps_mqtt_empty_write(w, type);
        break;
    }
}

#endif
