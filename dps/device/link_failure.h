/* SPDX-License-Identifier: MIT */
/* Where a link stands, and how it loses its connection. Internal to dps/device/. */
#ifndef DPS_DEVICE_LINK_FAILURE_H
#define DPS_DEVICE_LINK_FAILURE_H

#include "dps/device/link_state.h"

#define DPS_LINK_ANSWER_MS 30000   /* how long the hub may take for an answer */
#define DPS_LINK_SHORTEST_PACKET 2 /* a fixed header */

/* state of struct dps_link. The hub has let it in from SUBSCRIBES on. */
enum dps_link_state {
    NO_TOKEN,
    WAITING,
    UNCONNECTED,
    HELLO,
    ASKS_IN,
    SUBSCRIBES,
    LISTENS_SOON,
    UP,
    ENDED,
    FAILED
};
/* Of a message or a ping. */
enum { NONE, DUE, SENT };

/* The connection has failed, or the hub has refused something: wait, make another token, or give up. */
void dps_link_lost(struct dps_link *l, int error);
/* Nothing of a connection lasts longer than it, but for the message. */
void dps_link_forget(struct dps_link *l);

#endif
