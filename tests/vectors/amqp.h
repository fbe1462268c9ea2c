/* SPDX-License-Identifier: MIT */
/* Frames of AMQP 1.0 that clients have sent; README.md says their origin. */
#ifndef TESTS_VECTORS_AMQP_H
#define TESTS_VECTORS_AMQP_H

#include "dps/protocol/amqp.h"

struct vector_amqp {
    const char *source;
    enum dps_amqp_kind kind;
    const char *hex;
};
#define VECTOR_AMQP_COUNT 32
extern const struct vector_amqp vector_amqp[VECTOR_AMQP_COUNT];

#endif
