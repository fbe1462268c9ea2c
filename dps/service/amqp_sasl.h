/* SPDX-License-Identifier: MIT */
/* The part of amqp_door.h up to the outcome of SASL. Internal to amqp_door.c. */
#ifndef DPS_SERVICE_AMQP_SASL_H
#define DPS_SERVICE_AMQP_SASL_H

#include "dps/service/amqp_api.h"

/* Answer one frame, into d->out. Returns: DPS_ACCEPTED; why the connection has to end. */
enum dps_refusal dps_amqp_sasl(struct dps_service *s, struct dps_amqp_door *d, const struct dps_amqp_frame *f,
                               struct dps_answer *a);

#endif
