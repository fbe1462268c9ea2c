/* SPDX-License-Identifier: MIT */
/* Step 10 over MQTT 3.1.1: a connection to the hub that stays. Telemetry goes out, messages for the device come in,
 * each acknowledged (QoS 1); it is kept alive, renewed before its token expires, and made again when it was lost. With
 * DPS_WITH_MQTT.
 *
 * A sans-I/O engine like that of dps/device/engine.h, with the device's own memory: packets use its network buffer, and
 * hub, deviceId and token are those of its last run. So it costs no more RAM than struct dps_link. port/link.h is the
 * blocking driver. One life: dps_link_begin, then until DPS_LINK_ENDED or DPS_LINK_FAILED:
 *
 *   dps_link_want      what is to be done
 *   DPS_LINK_TOKEN     make a hub token: dps_device_token on the same device, to its end; dps_link_token_made
 *   DPS_LINK_CONNECT   dps_link_host, connects there (TLS included; closes what was open), dps_link_connected
 *   DPS_LINK_SEND      what has already been received goes first (as for RECEIVE); dps_link_out, sends some or all
 *                      of it, dps_link_sent
 *   DPS_LINK_RECEIVE   dps_link_in, receives some bytes, dps_link_received (0 bytes: the hub closed)
 *   DPS_LINK_ARRIVED   a message: dps_link_arrived; dps_link_take acknowledges it, and ends the views of it
 *   DPS_LINK_READY     dps_link_publish if there is something to send; otherwise as for RECEIVE
 *   DPS_LINK_WAIT      waits
 *
 * Any other want than SEND, RECEIVE, ARRIVED and READY: no connection is needed, close it. Nothing is to be waited for
 * longer than dps_link_rest_ms: then ask again what is wanted.
 *
 * In firmware that sends one message now and then, the whole of it is (port/link.h is the driver):
 *
 *     dps_link_begin(&link, &device, 0);
 *     (void)dps_link_publish(&link, no_properties, message);
 *     for (;;) {
 *         const enum dps_link_want want = port_link(&drive, &port, &trust, &link, 1000);
 *         if (want == DPS_LINK_TOKEN && make_token() == 0) {   (dps_device_token, port_drive)
 *             dps_link_token_made(&link);
 *         } else if (want == DPS_LINK_READY) {
 *             dps_link_end(&link);                             (the message was acknowledged)
 *         } else if (want == DPS_LINK_ENDED || want == DPS_LINK_FAILED) {
 *             break;
 *         }
 *     } */
#ifndef DPS_DEVICE_LINK_H
#define DPS_DEVICE_LINK_H

#include "dps/device/link_state.h"

enum dps_link_want {
    DPS_LINK_TOKEN,
    DPS_LINK_CONNECT,
    DPS_LINK_SEND,
    DPS_LINK_RECEIVE,
    DPS_LINK_ARRIVED,
    DPS_LINK_READY,
    DPS_LINK_WAIT,
    DPS_LINK_ENDED,
    DPS_LINK_FAILED
};

/* Begin. The device must have been registered, and may have ended any run; it must stay where it is. Its configuration
 * says hub_mqtt_port, keep_alive and token_lifetime. flags: DPS_LINK_ of above. The first want is TOKEN. */
void dps_link_begin(struct dps_link *l, struct dps_device *d, unsigned flags);

/* now_ms: of any clock that never goes back. */
enum dps_link_want dps_link_want(struct dps_link *l, uint64_t now_ms);
/* How long nothing else will be wanted, if nothing happens. */
uint32_t dps_link_rest_ms(const struct dps_link *l);

void dps_link_token_made(struct dps_link *l);
const char *dps_link_host(const struct dps_link *l, uint16_t *port);
void dps_link_connected(struct dps_link *l);
struct bytes dps_link_out(struct dps_link *l);
void dps_link_sent(struct dps_link *l, size_t len);
/* Room for the rest of one packet, so never for two. */
uint8_t *dps_link_in(struct dps_link *l, size_t *room);
/* Returns: the length of the packet that is complete with it, or cannot be one, and stands at the beginning of the
 * device's network buffer, for traces; 0: it is not complete. */
size_t dps_link_received(struct dps_link *l, size_t len);
/* The driver could not do what was wanted. */
void dps_link_fail(struct dps_link *l, int error);

/* Send one message; at any time while none is being sent (!dps_link_publishing). It may go out twice if a connection
 * breaks off: QoS 1.
 *   properties  name=value, joined by '&', percent-encoded; or empty
 *   payload     both stay the caller's, until dps_link_publishing is false
 * Returns: 0; BYTES_E_LIMIT if it does not fit DPS_NET_BUFFER; BYTES_E_CONFLICT while one is being sent. */
int dps_link_publish(struct dps_link *l, struct bytes properties, struct bytes payload);
bool dps_link_publishing(const struct dps_link *l);

/* The message that has arrived. Its topic is devices/{deviceId}/messages/devicebound/ and properties, unless an earlier
 * program has subscribed to something else in the same session. */
const struct dps_mqtt_publish *dps_link_arrived(const struct dps_link *l);
void dps_link_take(struct dps_link *l);

/* Acknowledge what was taken, say DISCONNECT, and end; at once if it is not connected. What is being sent is given up.
 */
void dps_link_end(struct dps_link *l);

/* What is, or was, asked of the hub, for traces and errors (empty without DPS_WITH_STEP_TEXTS). */
const char *dps_link_what(const struct dps_link *l);

#endif
