/* SPDX-License-Identifier: MIT */
/* The service side as a function: request in, answer out. It does no network I/O; store and entropy are interfaces, the
 * time is given. One struct dps_service serves any number of connections, one request at a time.
 *
 * Between dps_service_answer and sending the answer the driver calls store.commit; if that fails it calls
 * dps_service_uncommitted on every answer of the turn that has `wrote` set, and sends that instead. */
#ifndef DPS_SERVICE_FRONT_DOOR_H
#define DPS_SERVICE_FRONT_DOOR_H

#include "dps/protocol/http.h"
#include "dps/service/answer.h"
#include "dps/service/request.h"

/* Answer one complete request (http.phase done, in buffer). body_buffer of at least DPS_HTTP_BODY_MAX bytes
 * receives the body. buffer is not changed. Never fails: what goes wrong becomes an answer. */
void dps_service_answer(struct dps_service *s, const struct dps_http *http, const uint8_t *buffer,
                        uint8_t *body_buffer, size_t body_capacity, struct dps_answer *a);

/* The same for a request that is taken apart already, and that is for one interface: api is what would serve it. a has
 * begun (dps_answer_begin). */
void dps_service_answer_request(struct dps_service *s, const struct dps_request *q,
                                enum dps_refusal (*api)(struct dps_service *s, const struct dps_request *q,
                                                        struct dps_answer *a),
                                struct dps_answer *a);

/* Answer a request that could not even be read: BYTES_E_FORMAT becomes 400, BYTES_E_LIMIT 413. */
void dps_service_answer_unreadable(struct dps_service *s, int error, uint8_t *body_buffer,
                                   size_t body_capacity, struct dps_answer *a);

/* The commit has failed: turn the answer into 503. */
void dps_service_uncommitted(struct dps_service *s, struct dps_answer *a);

#endif
