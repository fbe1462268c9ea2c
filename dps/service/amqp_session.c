/* SPDX-License-Identifier: MIT */
#include "dps/service/amqp_session.h"
#include "dps/protocol/text.h"

#if DPS_WITH_AMQP

#define CREDIT 16        /* requests that may be on their way */
#define WINDOW 256       /* transfers, likewise */
#define NAME_MAX 256     /* of a link */
#define TERMINI_MAX 2048 /* source and target of a link */

/* ---- Connection and session ---- */

static enum dps_refusal take_header(struct dps_amqp_door *d)
{
    dps_amqp_header_write(&d->out, false);
    d->state = DPS_AMQP_WAITS_OPEN;
    return DPS_ACCEPTED;
}

static enum dps_refusal open_connection(struct dps_amqp_door *d, const struct dps_amqp_frame *f)
{
    uint32_t max_frame_size;
    if (dps_amqp_open_read(f, &max_frame_size) != 0 || max_frame_size < DPS_AMQP_PEER_FRAME_MIN) {
        return DPS_REFUSED_REQUEST;
    }
    dps_amqp_open_write(&d->out, DPS_AMQP_CONTAINER, DPS_AMQP_FRAME_MAX);
    d->state = DPS_AMQP_WAITS_BEGIN;
    return DPS_ACCEPTED;
}

static enum dps_refusal begin_session(struct dps_amqp_door *d, const struct dps_amqp_frame *f)
{
    struct dps_amqp_begin b;
    if (dps_amqp_begin_read(f, &b) != 0) {
        return DPS_REFUSED_REQUEST;
    }
    d->requests = d->answers = (struct dps_amqp_link){0};
    d->next_incoming_id = b.next_outgoing_id;
    d->next_outgoing_id = 0;
    d->window = b.incoming_window;
    dps_amqp_begin_write(&d->out, WINDOW);
    d->state = DPS_AMQP_IN_SESSION;
    return DPS_ACCEPTED;
}

static enum dps_refusal end_session(struct dps_amqp_door *d, const struct dps_amqp_frame *f)
{
    if (dps_amqp_end_read(f) != 0) {
        return DPS_REFUSED_REQUEST;
    }
    dps_amqp_end_write(&d->out);
    d->state = DPS_AMQP_WAITS_BEGIN;
    return DPS_ACCEPTED;
}

/* ---- Links ---- */

/* The state of the session, and of a link unless it is null. */
static void write_flow(struct dps_amqp_door *d, const struct dps_amqp_link *link, bool drain)
{
    struct dps_amqp_flow flow = {.next_incoming_id = d->next_incoming_id,
                                 .incoming_window = WINDOW,
                                 .next_outgoing_id = d->next_outgoing_id,
                                 .outgoing_window = WINDOW};
    if (link != NULL) {
        flow.has_handle = true;
        flow.handle = link->handle;
        flow.delivery_count = link->delivery_count;
        flow.credit = link->credit;
        flow.drain = drain;
    }
    dps_amqp_flow_write(&d->out, &flow);
}

/* {idScope}/registrations/{registrationId} of this device, whatever stands before it: one client puts a slash there,
 * another "amqps://" and the host. */
static bool is_own_address(struct bytes address, const struct dps_amqp_door *d)
{
    uint8_t own[DPS_ID_SCOPE_MAX + sizeof "/registrations/" + DPS_REGISTRATION_ID_MAX];
    struct bytes_writer w = bytes_writer_over(own, sizeof own);
    bytes_write_bytes(&w, bytes_of(d->scope, d->scope_len));
    dps_write_text(&w, "/registrations/");
    bytes_write_bytes(&w, bytes_of(d->id, d->id_len));
    if (w.error != 0 || address.len < w.len) {
        return false;
    }
    const size_t before = address.len - w.len;
    return (before == 0 || address.p[before - 1] == '/') &&
           dps_text_equal_nocase(bytes_of(address.p + before, w.len), bytes_written(&w));
}

/* Sender settle mode 1 [AMQP 1.0 2.8.2]: what is sent is settled. */
static bool wants_settled(const struct dps_amqp_attach *a)
{
    return a->sender_settles.inside.len == 1 && a->sender_settles.inside.p[0] == 1;
}

static enum dps_refusal attach(struct dps_amqp_door *d, const struct dps_amqp_frame *f)
{
    struct dps_amqp_attach a;
    if (dps_amqp_attach_read(f, &a) != 0) {
        return DPS_REFUSED_REQUEST;
    }
    struct dps_amqp_link *link = a.receives ? &d->answers : &d->requests;
    const struct dps_amqp_link *other = a.receives ? &d->requests : &d->answers;
    if (link->attached || (other->attached && other->handle == a.handle) || a.name.len > NAME_MAX ||
        a.source.whole.len + a.target.whole.len > TERMINI_MAX) {
        return DPS_REFUSED_REQUEST;
    }
    if (!is_own_address(a.address, d)) {
        return DPS_REFUSED_ROUTE;
    }
    if (a.api_version.len > 0 &&
        !dps_amqp_keep(a.api_version, d->version, sizeof d->version, &d->version_len)) {
        return DPS_REFUSED_API_VERSION;
    }
    *link = (struct dps_amqp_link){.attached = true, .settled = wants_settled(&a), .handle = a.handle};
    dps_amqp_attach_write(&d->out, &a);
    if (!a.receives) {
        link->credit = CREDIT;
        write_flow(d, link, false);
    }
    return DPS_ACCEPTED;
}

/* How much of what was granted, counted from one number on, is left at another [AMQP 1.0 2.6.7, 2.5.6]. */
static uint32_t left_of(uint32_t from, uint32_t granted, uint32_t now)
{
    const uint32_t used = now - from;
    return used < granted ? granted - used : 0;
}

static enum dps_refusal take_flow(struct dps_amqp_door *d, const struct dps_amqp_frame *f)
{
    struct dps_amqp_flow flow;
    if (dps_amqp_flow_read(f, &flow) != 0) {
        return DPS_REFUSED_REQUEST;
    }
    struct dps_amqp_link *link = NULL;
    d->window = left_of(flow.next_incoming_id, flow.incoming_window, d->next_outgoing_id);
    if (flow.has_handle) {
        link = d->answers.attached && d->answers.handle == flow.handle ? &d->answers : &d->requests;
        if (!link->attached || link->handle != flow.handle) {
            return DPS_REFUSED_REQUEST;
        }
    }
    if (link == &d->answers) {
        link->credit = left_of(flow.delivery_count, flow.credit, link->delivery_count);
        if (flow.drain) { /* nothing is waiting to be sent */
            link->delivery_count += link->credit;
            link->credit = 0;
        }
    }
    if (flow.echo || (flow.drain && link == &d->answers)) {
        write_flow(d, link, flow.drain);
    }
    return DPS_ACCEPTED;
}

static enum dps_refusal detach(struct dps_amqp_door *d, const struct dps_amqp_frame *f)
{
    uint32_t handle;
    if (dps_amqp_detach_read(f, &handle) != 0) {
        return DPS_REFUSED_REQUEST;
    }
    struct dps_amqp_link *link =
        d->requests.attached && d->requests.handle == handle ? &d->requests : &d->answers;
    if (!link->attached || link->handle != handle) {
        return DPS_REFUSED_REQUEST;
    }
    link->attached = false;
    dps_amqp_detach_write(&d->out, handle);
    return DPS_ACCEPTED;
}

/* ---- Requests ---- */

/* As clients understand it: the first two are tried again. */
static const char *condition_of(const struct dps_answer *a)
{
    if (a->refusal == DPS_REFUSED_RATE) {
        return "com.microsoft:device-container-throttled";
    }
    if (a->status >= 500) {
        return "amqp:internal-error";
    }
    if (a->status == 401 || a->status == 403) {
        return "amqp:unauthorized-access";
    }
    return a->status == 404 ? "amqp:not-found" : "amqp:not-allowed";
}

struct dps_amqp_error dps_amqp_error_of(const struct dps_answer *a)
{
    struct dps_amqp_error e = {0};
    if (a->refusal != DPS_ACCEPTED) {
        e.condition = condition_of(a);
        e.description = bytes_written(&a->body);
        e.has_retry_after = a->has_retry_after;
        e.retry_after = a->retry_after;
    }
    return e;
}

void dps_amqp_reply(struct dps_amqp_door *d, const struct dps_answer *a)
{
    const struct dps_amqp_error error = dps_amqp_error_of(a);
    if (!d->settled) {
        dps_amqp_disposition_write(&d->out, d->delivery_id, &error);
    }
    if (a->refusal == DPS_ACCEPTED) {
        const struct dps_amqp_delivery delivery = {.handle = d->answers.handle,
                                                   .delivery_id = d->next_outgoing_id,
                                                   .settled = d->answers.settled,
                                                   .correlation_id = d->correlation_id,
                                                   .has_retry_after = a->has_retry_after,
                                                   .retry_after = a->retry_after,
                                                   .data = bytes_written(&a->body)};
        dps_amqp_delivery_write(&d->out, &delivery);
    }
    write_flow(d, &d->requests, false);
}

void dps_amqp_count_answer(struct dps_amqp_door *d, int by)
{
    const uint32_t more = (uint32_t)by;
    d->next_outgoing_id += more;
    d->answers.delivery_count += more;
    d->answers.credit -= more;
    d->window -= more;
}

static enum dps_refusal ask_for(struct dps_service *s, struct dps_amqp_door *d,
                                const struct dps_amqp_message *m, struct dps_answer *a)
{
    struct bytes_reader r = bytes_reader_over(bytes_of(NULL, 0));
    const struct bytes type = dps_amqp_map_text(&r, &m->properties, "iotdps-operation-type");
    const struct bytes operation = dps_amqp_map_text(&r, &m->properties, "iotdps-operation-id");
    if (r.error != 0) {
        return DPS_REFUSED_REQUEST;
    }
    if (bytes_equal_public(type, bytes_of_text("iotdps-register"))) {
        dps_amqp_ask(s, d, DPS_AMQP_REGISTER, operation, a);
    } else if (bytes_equal_public(type, bytes_of_text("iotdps-get-operationstatus"))) {
        dps_amqp_ask(s, d, DPS_AMQP_STATUS, operation, a);
    } else {
        dps_answer_refuse(s, a, DPS_REFUSED_ROUTE);
    }
    d->midway = a->refusal == DPS_ACCEPTED ? a->status == 202 : a->status == 429 || a->status >= 500;
    return DPS_ACCEPTED;
}

/* A request that could not be answered is not begun. */
static enum dps_refusal take_transfer(struct dps_service *s, struct dps_amqp_door *d,
                                      const struct dps_amqp_frame *f, struct dps_answer *a)
{
    struct dps_amqp_transfer t;
    struct dps_amqp_message m;
    if (dps_amqp_transfer_read(f, &t) != 0 || !d->requests.attached || t.handle != d->requests.handle ||
        t.more || t.aborted || !d->answers.attached || d->answers.credit == 0 || d->window == 0 ||
        dps_amqp_message_read(f->payload, &m) != 0) {
        return DPS_REFUSED_REQUEST;
    }
    d->next_incoming_id++;
    d->requests.delivery_count++;
    d->delivery_id = t.delivery_id;
    d->settled = t.settled;
    d->correlation_id = m.correlation_id;
    const enum dps_refusal no = ask_for(s, d, &m, a);
    if (no != DPS_ACCEPTED || (d->settled && a->refusal != DPS_ACCEPTED)) {
        return no != DPS_ACCEPTED ? no : a->refusal; /* the client does not wait for an outcome */
    }
    dps_amqp_reply(d, a);
    dps_amqp_count_answer(d, a->refusal == DPS_ACCEPTED ? 1 : 0);
    return DPS_ACCEPTED;
}

/* ---- One frame ---- */

static enum dps_refusal go_on_in_session(struct dps_service *s, struct dps_amqp_door *d,
                                         const struct dps_amqp_frame *f, struct dps_answer *a)
{
    switch (f->kind) {
    case DPS_AMQP_ATTACH:
        return attach(d, f);
    case DPS_AMQP_FLOW:
        return take_flow(d, f);
    case DPS_AMQP_TRANSFER:
        return take_transfer(s, d, f, a);
    case DPS_AMQP_DISPOSITION: /* nothing is sent again */
        return dps_amqp_disposition_read(f) == 0 ? DPS_ACCEPTED : DPS_REFUSED_REQUEST;
    case DPS_AMQP_DETACH:
        return detach(d, f);
    case DPS_AMQP_END:
        return end_session(d, f);
    default:
        return DPS_REFUSED_REQUEST;
    }
}

enum dps_refusal dps_amqp_session(struct dps_service *s, struct dps_amqp_door *d,
                                  const struct dps_amqp_frame *f, struct dps_answer *a)
{
    if (d->state == DPS_AMQP_WAITS_HEADER) {
        return f->kind == DPS_AMQP_HEADER ? take_header(d) : DPS_REFUSED_REQUEST;
    }
    if (f->kind == DPS_AMQP_HEARTBEAT) {
        return DPS_ACCEPTED;
    }
    if (d->state == DPS_AMQP_WAITS_OPEN) {
        return f->kind == DPS_AMQP_OPEN ? open_connection(d, f) : DPS_REFUSED_REQUEST;
    }
    if (f->kind == DPS_AMQP_CLOSE && dps_amqp_end_read(f) == 0) {
        const struct dps_amqp_error none = {0};
        dps_amqp_close_write(&d->out, &none);
        return DPS_ACCEPTED;
    }
    if (d->state == DPS_AMQP_WAITS_BEGIN) {
        return f->kind == DPS_AMQP_BEGIN ? begin_session(d, f) : DPS_REFUSED_REQUEST;
    }
    return go_on_in_session(s, d, f, a);
}

#endif
