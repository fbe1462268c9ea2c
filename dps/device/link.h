/* SPDX-License-Identifier: MIT */
/* Step 10 over MQTT 3.1.1: a connection to the hub that stays. Telemetry goes out, messages for the device come in, each
 * acknowledged (QoS 1); it is kept alive, renewed before its token expires, and made again when it was lost. With
 * DPS_WITH_MQTT.
 *
 * A sans-I/O engine like that of dps/device/engine.h, with the device's own memory: packets use its network buffer, and
 * hub, deviceId and token are those of its last run. So it costs no more RAM than struct dps_link. port/link.h is the
 * blocking driver. One life: dps_link_begin, then until DPS_LINK_ENDED or DPS_LINK_FAILED:
 *
 *   dps_link_want      what is to be done
 *   DPS_LINK_TOKEN     make a hub token: dps_device_token on the same device, to its end; dps_link_token_made
 *   DPS_LINK_CONNECT   dps_link_host, connects there (TLS included; closes what was open), dps_link_connected
 *   DPS_LINK_SEND      take in first what has already been received (as for RECEIVE); dps_link_out, sends some or all of
 *                      it, dps_link_sent
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

#include "dps/device/state.h"
#include "dps/protocol/mqtt.h"

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

/* What a link does besides sending; both may be set. */
#define DPS_LINK_LISTENS                                                                                     \
    1                    /* subscribes to messages for this device. Without: what comes is left to the hub */
#define DPS_LINK_STAYS 2 /* what passes is tried again; without, the first failure is the last */

/* Why a packet was refused, besides error. */
enum dps_link_fault {
    DPS_LINK_FAULT_NONE,
    DPS_LINK_FAULT_MALFORMED,
    DPS_LINK_FAULT_UNEXPECTED, /* a packet of this type answers nothing */
    DPS_LINK_FAULT_OTHER_ID    /* it acknowledges what was not sent */
};

/* Messages that were taken and are not acknowledged yet. A hub that sends more at once has the rest again after the
 * next connection. */
#define DPS_LINK_ACKS_MAX 8

struct dps_link {
    struct dps_device *device;
    struct bytes properties, message; /* the caller's, until they are acknowledged */
    struct dps_mqtt_publish arrived;  /* views the device's network buffer */
    uint64_t now;                     /* of the last dps_link_want */
    uint64_t until;                   /* when a wait ends */
    uint64_t answer_by;               /* when the hub must have answered; 0: it owes nothing */
    uint64_t ping_at, renew_at;       /* when it is time for these; renew_at 0: not known yet */
    uint32_t skip;                    /* bytes of a message that is too long, still to come */
    uint16_t out_len, out_sent, in_len, in_need;
    uint16_t packet_id, message_id, subscribe_id;
    uint16_t acks[DPS_LINK_ACKS_MAX];
    uint8_t ack_count;
    uint8_t state, message_state, ping_state, sending;
    uint8_t flags;   /* DPS_LINK_LISTENS, DPS_LINK_STAYS */
    uint8_t retries; /* since the hub has answered last */
    bool arriving;   /* arrived is to be taken */
    bool leaving;    /* a DISCONNECT is due, */
    bool renewing;   /* after which a new token is made */
    bool session;    /* the hub remembers the one before */
    bool repeated;   /* the message has been sent in an earlier connection */
    bool was_up;     /* the hub has accepted a connection, */
    bool admitted;   /* and this token */

    /* What went wrong last, for errors and while it waits; error is 0 if nothing did. */
    int error;
    uint8_t code;     /* BYTES_E_REFUSED: of the CONNACK; 128: the subscription was refused */
    uint8_t fault;    /* BYTES_E_FORMAT: enum dps_link_fault */
    uint8_t got;      /* of a refused packet: enum dps_mqtt_type */
    uint8_t at_state; /* for dps_link_what */

    /* Counters that tools print. */
    uint32_t connections, sent, received;
    uint32_t
        too_long; /* messages that do not fit DPS_NET_BUFFER: they are passed over and stay with the hub */
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

/* Acknowledge what was taken, say DISCONNECT, and end; at once if it is not connected. What is being sent is given up. */
void dps_link_end(struct dps_link *l);

/* What is, or was, asked of the hub, for traces and errors (empty without DPS_WITH_STEP_TEXTS). */
const char *dps_link_what(const struct dps_link *l);

#endif
