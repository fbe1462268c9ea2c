/* SPDX-License-Identifier: MIT */
/* The packets that a link receives. Internal to dps/device/. */
#ifndef DPS_DEVICE_LINK_READ_H
#define DPS_DEVICE_LINK_READ_H

#include "dps/device/link_state.h"

/* All bytes that were asked for are there: is it a packet? Then it is read. Returns: as dps_link_received. */
size_t dps_link_look(struct dps_link *l);
/* A packet is complete. If no answer is owed, there is no hurry. */
void dps_link_rest(struct dps_link *l);

#endif
