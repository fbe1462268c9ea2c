/* SPDX-License-Identifier: MIT */
/* What the files of a link share: link.c, the connection and its times; link_packet.c, what is sent; link_read.c, what is
 * received. Internal to dps/device/. */
#ifndef DPS_DEVICE_LINK_PACKET_H
#define DPS_DEVICE_LINK_PACKET_H

#include "dps/device/link.h"

#define DPS_LINK_ANSWER_MS 30000   /* how long the hub may take for an answer */
#define DPS_LINK_SHORTEST_PACKET 2 /* a fixed header */
#define DPS_LINK_TOPIC_MAX (DPS_DEVICE_ID_MAX + 32)

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

/* The connection has failed, or the hub has refused something. */
void dps_link_lost(struct dps_link *l, int error);

/* All bytes that were asked for are there: is it a packet? Then it is read. Returns: as dps_link_received. */
size_t dps_link_look(struct dps_link *l);
/* A packet is complete. If no answer is owed, there is no hurry. */
void dps_link_rest(struct dps_link *l);

/* Append the packet of this type that is due. */
void dps_link_build(struct dps_link *l, enum dps_mqtt_type type, struct bytes_writer *w);
/* Seconds. */
uint16_t dps_link_keep_alive(const struct dps_link *l);

#endif
