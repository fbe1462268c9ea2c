/* SPDX-License-Identifier: MIT */
/* Messages to devices [IoT Hub "Send cloud-to-device messages"]: a queue for each registration, in the order in which
 * they came. A message leaves it when the device has acknowledged it, or when its time is over; until then it is sent
 * again on every new connection, so a device may get it twice.
 *
 * A queue is one record of DPS_TABLE_DEVICES, "/messages/" and the registrationId: at most DPS_MESSAGES_MAX messages,
 * in DPS_RECORD_MAX bytes. There is none while it is empty. The messages are the device's, whatever hub it is at. */
#ifndef DPS_SERVICE_MESSAGES_H
#define DPS_SERVICE_MESSAGES_H

#include "dps/service/answer.h"
#include "dps/service/state.h"

#define DPS_MESSAGES_MAX 32 /* that wait for one device: small ones, which fill a record */
#define DPS_MESSAGE_DATA_MAX (DPS_RECORD_MAX / 2)
#define DPS_MESSAGE_PROPERTIES_MAX (DPS_RECORD_MAX / 8) /* as they stand in the topic */
/* Sent and not acknowledged: a device that never does that costs no more. */
#define DPS_MESSAGES_IN_FLIGHT 8

struct dps_message {
    struct bytes properties; /* name=value, joined by &, percent-encoded: as they stand in the topic */
    struct bytes data;       /* a JSON string with base64, or empty */
    uint64_t expires;        /* seconds since 1970: from then on it is not sent any more */
};

/* Put a message at the end of a queue. Returns DPS_ACCEPTED, _BODY (data is not base64), _TOO_LARGE, _QUEUE, _STORE,
 * _INTERNAL. */
enum dps_refusal dps_messages_add(struct dps_service *s, struct bytes registration_id,
                                  const struct dps_message *m, struct dps_answer *a);
/* Forget a queue. Returns DPS_ACCEPTED, _STORE. */
enum dps_refusal dps_messages_clear(struct dps_service *s, struct bytes registration_id);

/* ---- Delivery ---- */

/* What one connection of the device has been sent. Begins with zeros. */
struct dps_inbox {
    bool open;   /* it listens */
    uint8_t qos; /* 0: what is sent is gone; 1: what is acknowledged */
    char registration_id[DPS_REGISTRATION_ID_MAX + 1];
    uint16_t last_packet_id;
    struct {
        uint64_t number;    /* the message's name in the queue */
        uint16_t packet_id; /* 0: this place is free */
        bool done;
    } sent[DPS_MESSAGES_IN_FLIGHT];
};

/* Is there something to be done by dps_inbox_send? False too if the store cannot say. */
bool dps_inbox_waits(struct dps_service *s, const struct dps_inbox *i);
/* Append a PUBLISH to a->body for each message that can be sent now; messages whose time is over leave the queue.
 * Without effect unless i is open. Returns DPS_ACCEPTED, _STORE, _INTERNAL. */
enum dps_refusal dps_inbox_send(struct dps_service *s, struct dps_inbox *i, struct bytes device_id,
                                struct dps_answer *a);
/* The device has acknowledged a packet: its message leaves the queue. Other numbers have no effect. Returns
 * DPS_ACCEPTED, _STORE, _INTERNAL. */
enum dps_refusal dps_inbox_acknowledged(struct dps_service *s, struct dps_inbox *i, uint16_t packet_id,
                                        struct dps_answer *a);
/* The device does not listen any more. */
void dps_inbox_close(struct dps_inbox *i);

#endif
