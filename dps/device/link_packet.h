/* SPDX-License-Identifier: MIT */
/* The packets that a link sends. Internal to dps/device/. */
#ifndef DPS_DEVICE_LINK_PACKET_H
#define DPS_DEVICE_LINK_PACKET_H

#include "dps/device/link_state.h"

#define DPS_LINK_TOPIC_MAX (DPS_DEVICE_ID_MAX + 32)

/* Append the packet of this type that is due. */
void dps_link_build(struct dps_link *l, enum dps_mqtt_type type, struct bytes_writer *w);
/* Seconds. */
uint16_t dps_link_keep_alive(const struct dps_link *l);

#endif
