/* SPDX-License-Identifier: MIT */
/* The packets of MQTT 3.1.1 [MQTT 3.1.1], for both sides, without QoS 2.
 *
 * Bytes of a stream are appended to a buffer of the caller; dps_mqtt_packet_read says how long the packet at its
 * beginning is, and takes its fixed header off as soon as all of it is there. A read function for each kind of packet
 * then gives its fields as views of the buffer; a write function appends a whole packet to a writer. There is no state.
 *
 * Reading is strict: it refuses every packet that breaks a rule of the standard which one packet can break by itself;
 * beside each check stands the rule's number. What is accepted has one form only, so writing what was read gives the
 * same bytes again. What a receiver does with a packet that is refused, without reading any further:
 *
 *     result                                             a server                        a client
 *     BYTES_E_FORMAT: it breaks a rule                   closes, no answer (4.8.0-1)     closes
 *     BYTES_E_LIMIT: longer than the caller's maximum    closes, no answer               closes
 *     BYTES_E_ALGORITHM: QoS 2, which is not spoken      closes, no answer               closes
 *     BYTES_E_ALGORITHM, of a CONNECT: another version   CONNACK 1, closes (3.1.2-2)     (never gets one)
 *     the same: a client without name and clean session  CONNACK 2, closes (3.1.3-8)     (never gets one)
 *
 * Rules about the order of packets are the caller's: CONNECT comes first and once (3.1.0-1, 3.1.0-2), an answer
 * has the identifier of what it answers (2.3.1-6, 2.3.1-7), SUBACK has as many codes as SUBSCRIBE has filters. */
#ifndef DPS_PROTOCOL_MQTT_H
#define DPS_PROTOCOL_MQTT_H

#include "crypto/bytes/bytes.h"

enum dps_mqtt_type {
    DPS_MQTT_CONNECT = 1,
    DPS_MQTT_CONNACK = 2,
    DPS_MQTT_PUBLISH = 3,
    DPS_MQTT_PUBACK = 4,
    DPS_MQTT_SUBSCRIBE = 8,
    DPS_MQTT_SUBACK = 9,
    DPS_MQTT_UNSUBSCRIBE = 10,
    DPS_MQTT_UNSUBACK = 11,
    DPS_MQTT_PINGREQ = 12,
    DPS_MQTT_PINGRESP = 13,
    DPS_MQTT_DISCONNECT = 14
};

/* Who receives. */
enum dps_mqtt_role { DPS_MQTT_SERVER = 1, DPS_MQTT_CLIENT = 2 };

/* The longest fixed header. */
#define DPS_MQTT_HEADER_MAX 5

struct dps_mqtt_packet {
    uint8_t type;      /* enum dps_mqtt_type; 0: not known yet */
    uint8_t flags;     /* of the fixed header */
    size_t len;        /* of the whole packet; 0: not known yet */
    struct bytes body; /* what follows the fixed header; empty as long as it is not complete */
};

/* Look at the packet that input begins with. Types with a fixed length (CONNACK, PUBACK, UNSUBACK, PINGREQ, PINGRESP,
 * DISCONNECT) are checked here, so the last three are read by this alone.
 *   maximum   the longest packet that the caller has room for, with its fixed header
 * Returns: 0 if it is all there, and it ends at p->len; BYTES_E_MORE, and p->len says how long it will be, if that is
 * known: then input.len < maximum; BYTES_E_FORMAT, BYTES_E_LIMIT, BYTES_E_ALGORITHM as soon as its bytes tell. */
int dps_mqtt_packet_read(struct bytes input, enum dps_mqtt_role role, size_t maximum,
                         struct dps_mqtt_packet *p);

/* Read the packet of the function's name (mqtt_connect.h has CONNECT and CONNACK). Requires: p is that of a
 * dps_mqtt_packet_read that has returned 0, and has this type. Returns: 0; BYTES_E_FORMAT, and then all that it gives
 * is zero and empty.
 *
 * Append the packet of the function's name. What would be refused by the read function fails the writer with
 * BYTES_E_FORMAT, what no packet can hold with BYTES_E_LIMIT. */

/* ---- PUBLISH ---- */

struct dps_mqtt_publish {
    struct bytes topic;
    struct bytes payload;
    uint16_t packet_id; /* QoS 1 only: not 0 */
    uint8_t qos;        /* 0 or 1 */
    bool dup, retain;
};
/* Read and append it, likewise. */
int dps_mqtt_publish_read(const struct dps_mqtt_packet *p, struct dps_mqtt_publish *m);
void dps_mqtt_publish_write(struct bytes_writer *w, const struct dps_mqtt_publish *m);

/* ---- SUBSCRIBE, UNSUBSCRIBE and SUBACK ---- */

struct dps_mqtt_filter {
    struct bytes filter;
    uint8_t qos; /* 0 to 2: the most that is asked for; 0 in UNSUBSCRIBE */
};
struct dps_mqtt_filters {
    uint16_t packet_id;
    bool with_qos;     /* SUBSCRIBE */
    size_t count;      /* at least one */
    struct bytes rest; /* those that dps_mqtt_filters_next has not given yet */
};
/* Read a SUBSCRIBE or an UNSUBSCRIBE, likewise: all filters are checked. */
int dps_mqtt_filters_read(const struct dps_mqtt_packet *p, struct dps_mqtt_filters *all);
/* The next filter. Returns false when there are no more. */
bool dps_mqtt_filters_next(struct dps_mqtt_filters *all, struct dps_mqtt_filter *next);
/* Append a DPS_MQTT_SUBSCRIBE or a DPS_MQTT_UNSUBSCRIBE, likewise. */
void dps_mqtt_filters_write(struct bytes_writer *w, enum dps_mqtt_type type, uint16_t packet_id,
                            const struct dps_mqtt_filter *filters, size_t count);

/* SUBACK: one code for each filter, in their order: the QoS that is granted, or: */
#define DPS_MQTT_SUBSCRIPTION_FAILED 0x80
/* Read and append it, likewise. */
int dps_mqtt_suback_read(const struct dps_mqtt_packet *p, uint16_t *packet_id, struct bytes *codes);
void dps_mqtt_suback_write(struct bytes_writer *w, uint16_t packet_id, struct bytes codes);

/* ---- PUBACK and UNSUBACK; PINGREQ, PINGRESP and DISCONNECT ---- */

/* Read and append a packet that has nothing but the identifier of what it acknowledges, likewise. */
int dps_mqtt_ack_read(const struct dps_mqtt_packet *p, uint16_t *packet_id);
void dps_mqtt_ack_write(struct bytes_writer *w, enum dps_mqtt_type type, uint16_t packet_id);
/* Append a packet that has nothing but its type. */
void dps_mqtt_empty_write(struct bytes_writer *w, enum dps_mqtt_type type);

#endif
