/* SPDX-License-Identifier: MIT */
/* The packets that a connection of MQTT begins with. */
#ifndef DPS_PROTOCOL_MQTT_CONNECT_H
#define DPS_PROTOCOL_MQTT_CONNECT_H

#include "dps/protocol/mqtt.h"

struct dps_mqtt_connect {
    struct bytes client_id; /* may be empty if clean_session is set */
    struct bytes will_topic, will_message;
    struct bytes user_name, password;
    uint16_t keep_alive; /* seconds; 0: none */
    uint8_t will_qos;    /* 0 to 2 */
    bool clean_session, has_will, will_retain, has_user_name, has_password;
    uint8_t refused; /* by dps_mqtt_connect_read: the code of the CONNACK that it has to get */
};

/* Codes of a CONNACK. */
enum dps_mqtt_code {
    DPS_MQTT_ACCEPTED = 0,
    DPS_MQTT_REFUSED_LEVEL = 1,
    DPS_MQTT_REFUSED_CLIENT_ID = 2,
    DPS_MQTT_REFUSED_UNAVAILABLE = 3,
    DPS_MQTT_REFUSED_PASSWORD = 4,
    DPS_MQTT_REFUSED_UNAUTHORIZED = 5
};

/* Read and append them, as mqtt.h says. Of a CONNECT with a code in refused the result is BYTES_E_ALGORITHM, and
 * everything else in c is zero and empty. */
int dps_mqtt_connect_read(const struct dps_mqtt_packet *p, struct dps_mqtt_connect *c);
int dps_mqtt_connack_read(const struct dps_mqtt_packet *p, bool *session_present, uint8_t *code);
void dps_mqtt_connect_write(struct bytes_writer *w, const struct dps_mqtt_connect *c);
void dps_mqtt_connack_write(struct bytes_writer *w, bool session_present, uint8_t code);

#endif
