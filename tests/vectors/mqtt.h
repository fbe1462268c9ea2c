/* SPDX-License-Identifier: MIT */
/* Packets of MQTT 3.1.1 that others have made; README.md says their origin. */
#ifndef TESTS_VECTORS_MQTT_H
#define TESTS_VECTORS_MQTT_H

#include "dps/protocol/mqtt.h"

struct vector_mqtt {
    const char *maker;
    enum dps_mqtt_type type;
    enum dps_mqtt_role role; /* who gets it */
    const char *hex;
};
#define VECTOR_MQTT_COUNT 24
extern const struct vector_mqtt vector_mqtt[VECTOR_MQTT_COUNT];

#endif
