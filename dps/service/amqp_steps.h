/* SPDX-License-Identifier: MIT */
/* The parts of amqp_door.h, in the order of a connection. Internal to amqp_door.c, amqp_sasl.c and amqp_session.c.
 *
 * Each part answers one frame into d->out. Returns DPS_ACCEPTED, or why the connection has to end. */
#ifndef DPS_SERVICE_AMQP_STEPS_H
#define DPS_SERVICE_AMQP_STEPS_H

#include "dps/service/amqp_door.h"

/* amqp_sasl.c: up to the outcome. */
enum dps_refusal dps_amqp_sasl(struct dps_service *s, struct dps_amqp_door *d, const struct dps_amqp_frame *f,
                               struct dps_answer *a);
/* amqp_session.c: after it. */
enum dps_refusal dps_amqp_session(struct dps_service *s, struct dps_amqp_door *d,
                                  const struct dps_amqp_frame *f, struct dps_answer *a);

/* Ask the device API, as the device that SASL has named; a gets the answer. operation: of DPS_AMQP_STATUS. */
void dps_amqp_ask(struct dps_service *s, struct dps_amqp_door *d, enum dps_amqp_asked what,
                  struct bytes operation, struct dps_answer *a);
/* Copy what fits. Returns: whether it did. */
bool dps_amqp_keep(struct bytes from, uint8_t *to, size_t capacity, uint16_t *len);

/* A refusal as a client of AMQP understands it; no condition if there is none. Views a. */
struct dps_amqp_error dps_amqp_error_of(const struct dps_answer *a);
/* The outcome of the request, the answer if it was accepted, and credit for the next one. */
void dps_amqp_reply(struct dps_amqp_door *d, const struct dps_answer *a);
/* One answer more, or one less (-1). */
void dps_amqp_count_answer(struct dps_amqp_door *d, int by);

#endif
