/* SPDX-License-Identifier: MIT */
/* The small hub of hub.h over MQTT 3.1.1, as [IoT Hub "Communicate with an IoT hub using the MQTT protocol"] has it:
 * the same token, limits and log as over HTTPS.
 *
 *     a device sends                                it gets
 *     CONNECT: user name {hub}/{deviceId}/?...,     CONNACK 0; 5 if the token does not admit it; 3 if the store fails
 *         client id {deviceId}, password: a token   or a limit is reached; 1 and 2 as dps/protocol/mqtt.h says
 *     PUBLISH devices/{deviceId}/messages/events/   with QoS 1 PUBACK, once the turn's writes are durable
 *         and a property bag
 *     PUBLISH $iothub/twin/...?$rid=N               $iothub/twin/res/501/?$rid=N with the JSON of an error, if it has
 *                                                   subscribed to that
 *     SUBSCRIBE                                     SUBACK: 0 or 1 for devicebound messages, and for methods and
 *                                                   twin, of which there are never any; 128 for all else. Then
 *                                                   PUBLISH devices/{deviceId}/messages/devicebound/ and a property
 *                                                   bag, for each message in its queue (messages.h)
 *     PUBACK                                        the message leaves the queue; others may follow
 *     UNSUBSCRIBE, PINGREQ                          UNSUBACK, PINGRESP
 *
 * Each packet is admitted like a request over HTTPS, with the token of the CONNECT: so a device that is disabled, or
 * has registered again, or whose token has expired, ends with its next packet. To refuse a packet is to close the
 * connection, since MQTT 3.1.1 has no other answer. Sessions are not kept, and a will is not published: this hub keeps
 * no messages of devices.
 *
 * Sans I/O: the driver gives whole packets, and ends the session when dps_hub_session_rest_ms have passed. */
#ifndef DPS_SERVICE_HUB_MQTT_H
#define DPS_SERVICE_HUB_MQTT_H

#include "dps/protocol/mqtt.h"
#include "dps/service/answer.h"
#include "dps/service/messages.h"

/* A token with the longest names has less than 600 characters. */
#define DPS_HUB_TOKEN_MAX 1024

/* One connection. Begins with zeros; it holds a token, so it is wiped in the end. */
struct dps_hub_session {
    bool connected, twin; /* twin: it has subscribed to the answers */
    uint16_t keep_alive;  /* seconds; 0: none */
    uint64_t token_end;   /* seconds since 1970: from then on the token is refused */
    uint16_t hub_len, device_id_len, token_len;
    uint8_t hub[DPS_HOST_MAX]; /* in lower case */
    uint8_t device_id[DPS_DEVICE_ID_MAX];
    uint8_t token[DPS_HUB_TOKEN_MAX];
    struct dps_inbox inbox;
};

/* Answer one packet: what is to be sent back, perhaps nothing, is in a->body, which is out; what happened is in a, for
 * the log. Returns: whether the connection stays. */
bool dps_hub_mqtt_answer(struct dps_service *s, struct dps_hub_session *h, const struct dps_mqtt_packet *p,
                         uint8_t *out, size_t capacity, struct dps_answer *a);
/* The same for bytes that are no packet, with the error of dps_mqtt_packet_read: nothing is sent. */
void dps_hub_mqtt_unreadable(struct dps_service *s, int error, uint8_t *out, size_t capacity,
                             struct dps_answer *a);
/* Send what waits for the device, if anything does, although it has asked for nothing. Returns: whether the connection
 * stays; it does if only the store or a limit stands in the way. */
bool dps_hub_mqtt_deliver(struct dps_service *s, struct dps_hub_session *h, uint8_t *out, size_t capacity,
                          struct dps_answer *a);
/* The commit has failed: take the answer back. The connection must end. */
void dps_hub_mqtt_uncommitted(struct dps_answer *a);

/* How many milliseconds the session may go on without a packet: one and a half times the keep alive [MQTT-3.1.2-24],
 * and never longer than its token. UINT64_MAX: it is not connected. */
uint64_t dps_hub_session_rest_ms(const struct dps_service *s, const struct dps_hub_session *h);
/* A number for hub and device, never 0: others have another one. */
uint64_t dps_hub_session_name(const struct dps_hub_session *h);
/* Are these two of one device? The later one replaces the other [MQTT-3.1.4-2]. */
bool dps_hub_session_same(const struct dps_hub_session *a, const struct dps_hub_session *b);

#endif
