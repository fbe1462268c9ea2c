/* SPDX-License-Identifier: MIT */
/* A link (dps/device/link.h): what it was asked for, and all that it remembers. */
#ifndef DPS_DEVICE_LINK_STATE_H
#define DPS_DEVICE_LINK_STATE_H

#include "dps/device/state.h"
#include "dps/protocol/mqtt.h"

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

#endif
