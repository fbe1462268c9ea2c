/* SPDX-License-Identifier: MIT */
#include "dps/service/amqp_door.h"
#include "dps/service/amqp_sasl.h"
#include "dps/service/amqp_session.h"
#include "dps/service/front_door.h"
#include "dps/service/run.h"

#if DPS_WITH_AMQP

static bool in_sasl(const struct dps_amqp_door *d)
{
    return d->state < DPS_AMQP_WAITS_HEADER;
}

size_t dps_amqp_frame_max(const struct dps_amqp_door *d)
{
    return in_sasl(d) ? DPS_AMQP_SASL_FRAME_MAX : DPS_AMQP_FRAME_MAX;
}

static void begin(struct dps_service *s, struct dps_amqp_door *d, uint8_t *out, uint8_t *json,
                  struct dps_answer *a)
{
    dps_answer_begin(s, json, DPS_AMQP_JSON_MAX, a);
    a->status = 204;
    d->out = bytes_writer_over(out, DPS_AMQP_OUT_MAX);
    d->asked = DPS_AMQP_NOTHING;
}

/* An outcome, or a close: the last that the client gets. Before a connection is open there is none to be closed: it is
 * told which header would have been right [AMQP 1.0 2.2], and an open has to stand before a close. */
static void write_end(struct dps_amqp_door *d, const struct dps_answer *a)
{
    const struct dps_amqp_error error = dps_amqp_error_of(a);
    const bool passes = a->status == 429 || a->status >= 500;
    d->midway = false;
    if (d->state == DPS_AMQP_NEW) {
        dps_amqp_header_write(&d->out, true);
    } else if (in_sasl(d)) {
        dps_amqp_sasl_outcome_write(&d->out, passes ? DPS_AMQP_SASL_TEMPORARY : DPS_AMQP_SASL_AUTH);
    } else {
        if (d->state == DPS_AMQP_WAITS_HEADER) {
            dps_amqp_header_write(&d->out, false);
        }
        if (d->state <= DPS_AMQP_WAITS_OPEN) {
            dps_amqp_open_write(&d->out, DPS_AMQP_CONTAINER, DPS_AMQP_FRAME_MAX);
        }
        dps_amqp_close_write(&d->out, &error);
    }
}

bool dps_amqp_answer(struct dps_service *s, struct dps_amqp_door *d, const struct dps_amqp_frame *f,
                     uint8_t out[DPS_AMQP_OUT_MAX], uint8_t json[DPS_AMQP_JSON_MAX], struct dps_answer *a)
{
    begin(s, d, out, json, a);
    enum dps_refusal no = DPS_REFUSED_REQUEST;
    if (in_sasl(d)) {
        no = dps_amqp_sasl(s, d, f, a);
    } else if (f->channel == 0) {
        no = dps_amqp_session(s, d, f, a);
    }
    if (no == DPS_ACCEPTED && d->out.error != 0) {
        no = DPS_REFUSED_INTERNAL;
        d->out = bytes_writer_over(out, DPS_AMQP_OUT_MAX);
    }
    if (no != DPS_ACCEPTED) {
        if (a->refusal == DPS_ACCEPTED) {
            dps_answer_refuse(s, a, no);
        }
        write_end(d, a);
    }
    return no == DPS_ACCEPTED && f->kind != DPS_AMQP_CLOSE;
}

bool dps_amqp_is_midway(const struct dps_service *s, const struct dps_amqp_door *d)
{
    return d->midway && s->now - d->begun <= DPS_WINDOW_SECONDS;
}

void dps_amqp_unreadable(struct dps_service *s, struct dps_amqp_door *d, int error,
                         uint8_t out[DPS_AMQP_OUT_MAX], uint8_t json[DPS_AMQP_JSON_MAX], struct dps_answer *a)
{
    begin(s, d, out, json, a);
    dps_answer_refuse(s, a, error == BYTES_E_LIMIT ? DPS_REFUSED_TOO_LARGE : DPS_REFUSED_REQUEST);
    write_end(d, a);
}

bool dps_amqp_uncommitted(struct dps_service *s, struct dps_amqp_door *d, struct dps_answer *a)
{
    const bool sent = d->asked >= DPS_AMQP_REGISTER && a->refusal == DPS_ACCEPTED;
    if (d->asked == DPS_AMQP_NOTHING) {
        return true;
    }
    dps_service_uncommitted(s, a);
    d->out.len = 0;
    if (d->asked < DPS_AMQP_REGISTER) {
        d->state = DPS_AMQP_WAITS_TOKEN; /* in SASL, whatever it was */
        write_end(d, a);
        return false;
    }
    if (sent) {
        dps_amqp_count_answer(d, -1);
    }
    if (d->settled) {
        write_end(d, a);
        return false;
    }
    d->midway = true;
    dps_amqp_reply(d, a);
    return true;
}

#endif
