/* SPDX-License-Identifier: MIT */
/* What the packets of MQTT are made of. Internal to mqtt.c and mqtt_connect.c. */
#ifndef DPS_PROTOCOL_MQTT_PART_H
#define DPS_PROTOCOL_MQTT_PART_H

#include "crypto/bytes/bytes.h"

/* ---- Text [MQTT 3.1.1 1.5.3] and topics [MQTT 3.1.1 4.7] ---- */

/* Well-formed UTF-8 [MQTT-1.5.3-1] without U+0000 [MQTT-1.5.3-2]. U+FEFF is like any other [MQTT-1.5.3-3]. */
bool dps_mqtt_string_valid(struct bytes text);
/* What a message is published to: at least one character [MQTT-4.7.3-1], no wildcard [MQTT-3.3.2-2, 4.7.1-1]. */
bool dps_mqtt_topic_valid(struct bytes text);
/* What is subscribed to: each wildcard is a whole level [MQTT-4.7.1-2, 4.7.1-3], and '#' is the last one. */
bool dps_mqtt_filter_valid(struct bytes text);

/* ---- Fields: what is not valid fails reader and writer with BYTES_E_FORMAT ---- */

struct bytes dps_mqtt_string_read(struct bytes_reader *r);
struct bytes dps_mqtt_topic_read(struct bytes_reader *r);
/* An identifier is never 0 [MQTT-2.3.1-1]; what answers has the same one [MQTT-2.3.1-6, 2.3.1-7]. */
uint16_t dps_mqtt_id_read(struct bytes_reader *r);
void dps_mqtt_id_write(struct bytes_writer *w, uint16_t id);
/* A writer refuses what the reader would. */
void dps_mqtt_need(struct bytes_writer *w, bool condition);

/* ---- The fixed header [MQTT 3.1.1 2.2] ---- */

/* The greatest length that it can name. One more stands for all that are too great. */
#define DPS_MQTT_REMAINING_MAX 268435455
uint32_t dps_mqtt_plus(uint32_t length, size_t more);
/* Too great a length fails w with BYTES_E_LIMIT. */
void dps_mqtt_header_write(struct bytes_writer *w, uint8_t type, uint8_t flags, uint32_t length);

#endif
