/* SPDX-License-Identifier: MIT */
#include "dps/service/amqp_api.h"
#include "dps/protocol/text.h"
#include "dps/service/front_door.h"
#include "dps/service/request.h"
#include "dps/service/service.h"
#include <string.h>

#if DPS_WITH_AMQP

#define API_VERSION "2019-03-31" /* of a client that names none */

bool dps_amqp_keep(struct bytes from, uint8_t *to, size_t capacity, uint16_t *len)
{
    const bool fits = from.len <= capacity;
    *len = fits ? (uint16_t)from.len : 0;
    if (*len > 0) {
        memcpy(to, from.p, from.len);
    }
    return fits;
}

static void write_keys(struct bytes_writer *w, const struct dps_amqp_door *d)
{
    dps_write_text(w, "{\"tpm\":{\"endorsementKey\":\"");
    dps_write_base64(w, bytes_of(d->ek, d->ek_len));
    dps_write_text(w, "\",\"storageRootKey\":\"");
    dps_write_base64(w, bytes_of(d->srk, d->srk_len));
    dps_write_text(w, "\"}}");
}

void dps_amqp_ask(struct dps_service *s, struct dps_amqp_door *d, enum dps_amqp_asked what,
                  struct bytes operation, struct dps_answer *a)
{
    uint8_t target[48];
    uint8_t body[1024];
    struct bytes_writer t = bytes_writer_over(target, sizeof target);
    struct bytes_writer b = bytes_writer_over(body, sizeof body);
    struct dps_request q;
    d->asked = what;
    dps_write_text(&t, "?api-version=");
    if (d->version_len > 0) {
        bytes_write_bytes(&t, bytes_of(d->version, d->version_len));
    } else {
        dps_write_text(&t, API_VERSION);
    }
    write_keys(&b, d);
    memset(&q, 0, sizeof q);
    q.method = bytes_of_text(what == DPS_AMQP_STATUS ? "GET" : "PUT");
    q.target = bytes_written(&t);
    q.segments[0] = bytes_of(d->scope, d->scope_len);
    q.segments[1] = bytes_of_text("registrations");
    q.segments[2] = bytes_of(d->id, d->id_len);
    q.segments[3] = bytes_of_text(what == DPS_AMQP_STATUS ? "operations" : "register");
    q.segments[4] = operation;
    q.segment_count = what == DPS_AMQP_STATUS ? 5 : 4;
    q.body = bytes_written(&b);
    q.authorization = bytes_of(d->held, what == DPS_AMQP_CHALLENGE ? 0 : d->held_len);
    q.proves_only = what == DPS_AMQP_PROOF;
    dps_service_answer_request(s, &q, dps_device_api, a);
}

#endif
