/* SPDX-License-Identifier: MIT */
/* Every request comes in here, and is passed to the interface that it is for. */
#include "dps/service/front_door.h"
#include "dps/protocol/text.h"
#include "dps/service/answer.h"
#include "dps/service/hub.h"
#include "dps/service/request.h"
#include "dps/service/service.h"
#include "dps/service/state.h"
#include <string.h>

/* Which interface is it for? The three interfaces have disjoint paths: /enrollments..., /registrations...,
 * /devices/..., and /{idScope}/registrations/... */
static enum dps_refusal route(struct dps_service *s, const struct dps_request *q, struct dps_answer *a)
{
    const struct bytes first = q->segment_count > 0 ? q->segments[0] : bytes_of(NULL, 0);
    if (dps_text_equal_nocase(first, bytes_of_text("enrollments")) ||
        dps_text_equal_nocase(first, bytes_of_text("enrollmentGroups")) ||
        dps_text_equal_nocase(first, bytes_of_text("registrations"))) {
        return s->manage != NULL ? s->manage(s, q, a) : DPS_REFUSED_ROUTE;
    }
    if (dps_text_equal_nocase(first, bytes_of_text("devices"))) {
        return dps_hub_api(s, q, a);
    }
    if (q->segment_count >= 3 && dps_text_equal_nocase(q->segments[1], bytes_of_text("registrations"))) {
        return dps_device_api(s, q, a);
    }
    return DPS_REFUSED_ROUTE;
}

void dps_service_answer_request(struct dps_service *s, const struct dps_request *q,
                                enum dps_refusal (*api)(struct dps_service *s, const struct dps_request *q,
                                                        struct dps_answer *a),
                                struct dps_answer *a)
{
    enum dps_refusal no = s->store.mark(s->store.context) == 0 ? DPS_ACCEPTED : DPS_REFUSED_STORE;
    if (no == DPS_ACCEPTED) {
        no = api(s, q, a);
        if (no == DPS_ACCEPTED && a->body.error != 0) {
            no = DPS_REFUSED_INTERNAL;
        }
        if (no != DPS_ACCEPTED) {
            s->store.undo(s->store.context); /* a refused request has written nothing */
        }
    }
    if (no != DPS_ACCEPTED) {
        dps_answer_refuse(s, a, no);
    }
}

void dps_service_answer(struct dps_service *s, const struct dps_http *http, const uint8_t *buffer,
                        uint8_t *body_buffer, size_t body_capacity, struct dps_answer *a)
{
    struct dps_request q;
    dps_answer_begin(s, body_buffer, body_capacity, a);
    const enum dps_refusal no = dps_request_read(http, buffer, &q);
    if (no == DPS_ACCEPTED) {
        dps_service_answer_request(s, &q, route, a);
    } else {
        dps_answer_refuse(s, a, no);
    }
}

void dps_service_answer_unreadable(struct dps_service *s, int error, uint8_t *body_buffer,
                                   size_t body_capacity, struct dps_answer *a)
{
    dps_answer_begin(s, body_buffer, body_capacity, a);
    if (error == BYTES_E_LIMIT) {
        dps_answer_detail(
            a, "a request may have " DPS_LIMIT_TEXT(DPS_HTTP_HEAD_MAX) " bytes of head and " DPS_LIMIT_TEXT(
                   DPS_HTTP_BODY_MAX) " of body");
    }
    dps_answer_refuse(s, a, error == BYTES_E_LIMIT ? DPS_REFUSED_TOO_LARGE : DPS_REFUSED_REQUEST);
}

void dps_service_uncommitted(struct dps_service *s, struct dps_answer *a)
{
    memset(&s->announced, 0, sizeof s->announced);
    dps_answer_refuse(s, a, DPS_REFUSED_STORE);
}
