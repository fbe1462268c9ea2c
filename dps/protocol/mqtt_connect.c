/* SPDX-License-Identifier: MIT */
#include "dps/protocol/mqtt_connect.h"
#include "dps/protocol/mqtt_part.h"

/* Connect flags [MQTT 3.1.1 3.1.2.3]. */
#define CONNECT_USER_NAME 0x80
#define CONNECT_PASSWORD 0x40
#define CONNECT_WILL_RETAIN 0x20
#define CONNECT_WILL_QOS 0x18
#define CONNECT_WILL_QOS_UNIT 8
#define CONNECT_WILL 0x04
#define CONNECT_CLEAN_SESSION 0x02
#define CONNECT_RESERVED 0x01

#define LEVEL 4
static const char protocol_name[] = "MQTT";

/* ---- CONNECT [MQTT 3.1.1 3.1] ---- */

/* What the flags must not say. */
static bool flags_are_right(const struct dps_mqtt_connect *c)
{
    const bool no_will = c->will_qos == 0 && !c->will_retain; /* [MQTT-3.1.2-11, 3.1.2-13, 3.1.2-15] */
    return (c->has_will ? c->will_qos <= 2 : no_will)         /* [MQTT-3.1.2-14] */
           && (c->has_user_name || !c->has_password);         /* [MQTT-3.1.2-22] */
}

static void read_flags(uint8_t flags, struct dps_mqtt_connect *c)
{
    c->clean_session = (flags & CONNECT_CLEAN_SESSION) != 0;
    c->has_will = (flags & CONNECT_WILL) != 0;
    c->will_qos = (uint8_t)((flags & CONNECT_WILL_QOS) / CONNECT_WILL_QOS_UNIT);
    c->will_retain = (flags & CONNECT_WILL_RETAIN) != 0;
    c->has_password = (flags & CONNECT_PASSWORD) != 0;
    c->has_user_name = (flags & CONNECT_USER_NAME) != 0;
}

static uint8_t flags_of(const struct dps_mqtt_connect *c)
{
    return (uint8_t)((c->clean_session ? CONNECT_CLEAN_SESSION : 0) + (c->has_will ? CONNECT_WILL : 0) +
                     (c->will_qos & 3) * CONNECT_WILL_QOS_UNIT + (c->will_retain ? CONNECT_WILL_RETAIN : 0) +
                     (c->has_password ? CONNECT_PASSWORD : 0) + (c->has_user_name ? CONNECT_USER_NAME : 0));
}

/* Those fields that the flags announce [MQTT-3.1.2-18 to 3.1.2-21], in this order [MQTT-3.1.3-1]. */
static void read_payload(struct bytes_reader *r, struct dps_mqtt_connect *c)
{
    c->client_id = dps_mqtt_string_read(r); /* [MQTT-3.1.3-3, 3.1.3-4] */
    if (c->has_will) {
        c->will_topic = dps_mqtt_topic_read(r); /* [MQTT-3.1.3-10] */
        c->will_message = bytes_read_2b(r);
    }
    if (c->has_user_name) {
        c->user_name = dps_mqtt_string_read(r); /* [MQTT-3.1.3-11] */
    }
    if (c->has_password) {
        c->password = bytes_read_2b(r);
    }
}

static int connect_fields(struct bytes_reader *r, struct dps_mqtt_connect *c)
{
    const struct bytes name = bytes_read_2b(r);
    const uint8_t level = bytes_read_u8(r);
    const uint8_t flags = bytes_read_u8(r);
    if (r->error != 0 || !bytes_equal_public(name, bytes_of(protocol_name, sizeof protocol_name - 1))) {
        return BYTES_E_FORMAT; /* [MQTT-3.1.2-1] */
    }
    if (level != LEVEL) {
        c->refused = DPS_MQTT_REFUSED_LEVEL; /* [MQTT-3.1.2-2] */
        return BYTES_E_ALGORITHM;
    }
    read_flags(flags, c);
    if ((flags & CONNECT_RESERVED) != 0 || !flags_are_right(c)) { /* [MQTT-3.1.2-3] */
        return BYTES_E_FORMAT;
    }
    c->keep_alive = bytes_read_u16(r);
    read_payload(r, c);
    if (bytes_reader_end(r) != 0) {
        return BYTES_E_FORMAT;
    }
    if (c->client_id.len == 0 && !c->clean_session) {
        c->refused = DPS_MQTT_REFUSED_CLIENT_ID; /* [MQTT-3.1.3-7, 3.1.3-8] */
        return BYTES_E_ALGORITHM;
    }
    return BYTES_OK;
}

int dps_mqtt_connect_read(const struct dps_mqtt_packet *p, struct dps_mqtt_connect *c)
{
    struct bytes_reader r = bytes_reader_over(p->body);
    *c = (struct dps_mqtt_connect){0};
    const int error = connect_fields(&r, c);
    if (error != 0) {
        *c = (struct dps_mqtt_connect){.refused = c->refused};
    }
    return error;
}

static uint32_t connect_len(const struct dps_mqtt_connect *c)
{
    uint32_t len = dps_mqtt_plus(2 + sizeof protocol_name - 1 + 4 + 2, c->client_id.len);
    if (c->has_will) {
        len = dps_mqtt_plus(dps_mqtt_plus(dps_mqtt_plus(len, 4), c->will_topic.len), c->will_message.len);
    }
    if (c->has_user_name) {
        len = dps_mqtt_plus(dps_mqtt_plus(len, 2), c->user_name.len);
    }
    if (c->has_password) {
        len = dps_mqtt_plus(dps_mqtt_plus(len, 2), c->password.len);
    }
    return len;
}

void dps_mqtt_connect_write(struct bytes_writer *w, const struct dps_mqtt_connect *c)
{
    dps_mqtt_need(w, flags_are_right(c) && dps_mqtt_string_valid(c->client_id) &&
                         (c->client_id.len > 0 || c->clean_session));
    dps_mqtt_header_write(w, DPS_MQTT_CONNECT, 0, connect_len(c));
    bytes_write_2b(w, bytes_of(protocol_name, sizeof protocol_name - 1));
    bytes_write_u8(w, LEVEL);
    bytes_write_u8(w, flags_of(c));
    bytes_write_u16(w, c->keep_alive);
    bytes_write_2b(w, c->client_id);
    if (c->has_will) {
        dps_mqtt_need(w, dps_mqtt_topic_valid(c->will_topic));
        bytes_write_2b(w, c->will_topic);
        bytes_write_2b(w, c->will_message);
    }
    if (c->has_user_name) {
        dps_mqtt_need(w, dps_mqtt_string_valid(c->user_name));
        bytes_write_2b(w, c->user_name);
    }
    if (c->has_password) {
        bytes_write_2b(w, c->password);
    }
}

/* ---- CONNACK [MQTT 3.1.1 3.2] ---- */

/* A refusal remembers no session [MQTT-3.2.2-4]; other codes and flags are reserved. */
static bool connack_is_right(bool session_present, uint8_t code)
{
    return code <= DPS_MQTT_REFUSED_UNAUTHORIZED && (code == DPS_MQTT_ACCEPTED || !session_present);
}

int dps_mqtt_connack_read(const struct dps_mqtt_packet *p, bool *session_present, uint8_t *code)
{
    struct bytes_reader r = bytes_reader_over(p->body);
    const uint8_t flags = bytes_read_u8(&r);
    const uint8_t read = bytes_read_u8(&r);
    const bool right = bytes_reader_end(&r) == 0 && flags <= 1 && connack_is_right(flags == 1, read);
    *session_present = right && flags == 1;
    *code = right ? read : 0;
    return right ? BYTES_OK : BYTES_E_FORMAT;
}

void dps_mqtt_connack_write(struct bytes_writer *w, bool session_present, uint8_t code)
{
    dps_mqtt_need(w, connack_is_right(session_present, code));
    dps_mqtt_header_write(w, DPS_MQTT_CONNACK, 0, 2);
    bytes_write_u8(w, session_present ? 1 : 0);
    bytes_write_u8(w, code);
}
