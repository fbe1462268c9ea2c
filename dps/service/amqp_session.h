/* SPDX-License-Identifier: MIT */
/* The part of amqp_door.h after the outcome of SASL. Internal to amqp_door.c. */
#ifndef DPS_SERVICE_AMQP_SESSION_H
#define DPS_SERVICE_AMQP_SESSION_H

#include "dps/protocol/amqp_write.h"
#include "dps/service/amqp_api.h"

/* Answer one frame, into d->out. Returns: DPS_ACCEPTED; why the connection has to end. */
enum dps_refusal dps_amqp_session(struct dps_service *s, struct dps_amqp_door *d,
                                  const struct dps_amqp_frame *f, struct dps_answer *a);

/* A refusal as a client of AMQP understands it; no condition if there is none. Views a. */
struct dps_amqp_error dps_amqp_error_of(const struct dps_answer *a);
/* The outcome of the request, the answer if it was accepted, and credit for the next one. */
void dps_amqp_reply(struct dps_amqp_door *d, const struct dps_answer *a);
/* One answer more, or one less (-1). */
void dps_amqp_count_answer(struct dps_amqp_door *d, int by);

#endif
