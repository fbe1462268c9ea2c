/* SPDX-License-Identifier: MIT */
/* What dps/protocol/mqtt.h accepts has one form: so reading a packet and writing what was read gives it again. */
#ifndef TESTS_SUPPORT_MQTT_AGAIN_H
#define TESTS_SUPPORT_MQTT_AGAIN_H

#include "dps/protocol/mqtt_connect.h"

/* Read a whole packet, and append it again to w. Returns: 0; what the read function of its type returned. */
int mqtt_again(const struct dps_mqtt_packet *p, struct bytes_writer *w);
/* Is that what the packet becomes? Of one that is refused: is nothing left of it? */
bool mqtt_again_is_same(struct bytes packet, enum dps_mqtt_role role);

#endif
