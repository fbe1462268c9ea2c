/* SPDX-License-Identifier: MIT */
#include "dps/protocol/amqp_write.h"
#include "dps/protocol/text.h"

#if DPS_WITH_AMQP

/* A frame with one performative. */
struct frame {
    struct dps_amqp_size frame, list;
};

static struct frame begin(struct bytes_writer *w, uint8_t kind, uint32_t fields)
{
    struct frame f;
    f.frame = dps_amqp_frame_begin(w, kind >= DPS_AMQP_SASL_MECHANISMS ? 1 : 0);
    f.list = dps_amqp_list_begin(w, kind, fields);
    return f;
}

static void end(struct bytes_writer *w, struct frame f)
{
    dps_amqp_end(w, f.list);
    dps_amqp_frame_end(w, f.frame);
}

static void write_nulls(struct bytes_writer *w, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        dps_amqp_write_null(w);
    }
}

/* ---- SASL ---- */

void dps_amqp_header_write(struct bytes_writer *w, bool sasl)
{
    dps_write_text(w, "AMQP");
    bytes_write_u8(w, sasl ? 3 : 0);
    bytes_write_u8(w, 1);
    bytes_write_u16(w, 0);
}

void dps_amqp_sasl_mechanism_write(struct bytes_writer *w, const char *mechanism)
{
    const struct frame f = begin(w, DPS_AMQP_SASL_MECHANISMS, 1);
    const struct bytes name = bytes_of_text(mechanism);
    bytes_write_u8(w, 0xe0); /* an array of one symbol [AMQP 1.0 1.6.24] */
    bytes_write_u8(w, (uint8_t)(3 + name.len));
    bytes_write_u8(w, 1);
    bytes_write_u8(w, 0xa3);
    bytes_write_u8(w, (uint8_t)name.len);
    bytes_write_bytes(w, name);
    end(w, f);
}

void dps_amqp_sasl_challenge_write(struct bytes_writer *w, uint8_t control, struct bytes data)
{
    uint8_t challenge[DPS_AMQP_CHALLENGE_MAX];
    struct bytes_writer c = bytes_writer_over(challenge, sizeof challenge);
    bytes_write_u8(&c, control);
    bytes_write_bytes(&c, data);
    const struct frame f = begin(w, DPS_AMQP_SASL_CHALLENGE, 1);
    dps_amqp_write_binary(w, bytes_written(&c));
    end(w, f);
    if (c.error != 0) {
        bytes_writer_fail(w, c.error);
    }
}

void dps_amqp_sasl_outcome_write(struct bytes_writer *w, enum dps_amqp_outcome code)
{
    const struct frame f = begin(w, DPS_AMQP_SASL_OUTCOME, 1);
    dps_amqp_write_ubyte(w, (uint8_t)code);
    end(w, f);
}

/* ---- Connection, session and links ---- */

void dps_amqp_open_write(struct bytes_writer *w, const char *container, uint32_t max_frame_size)
{
    const struct frame f = begin(w, DPS_AMQP_OPEN, 4);
    dps_amqp_write_string(w, bytes_of_text(container));
    dps_amqp_write_null(w); /* hostname */
    dps_amqp_write_uint(w, max_frame_size);
    dps_amqp_write_ushort(w, 0); /* channel-max */
    end(w, f);
}

void dps_amqp_begin_write(struct bytes_writer *w, uint32_t window)
{
    const struct frame f = begin(w, DPS_AMQP_BEGIN, 4);
    dps_amqp_write_ushort(w, 0); /* remote-channel */
    dps_amqp_write_uint(w, 0);   /* next-outgoing-id */
    dps_amqp_write_uint(w, window);
    dps_amqp_write_uint(w, window);
    end(w, f);
}

void dps_amqp_attach_write(struct bytes_writer *w, const struct dps_amqp_attach *a)
{
    const struct frame f = begin(w, DPS_AMQP_ATTACH, a->receives ? 10 : 9);
    dps_amqp_write_string(w, a->name);
    dps_amqp_write_uint(w, a->handle);
    dps_amqp_write_bool(w, !a->receives);
    dps_amqp_write_value(w, &a->sender_settles);
    dps_amqp_write_null(w); /* rcv-settle-mode: first, which is the default */
    dps_amqp_write_value(w, &a->source);
    dps_amqp_write_value(w, &a->target);
    write_nulls(w, 2);
    if (a->receives) {
        dps_amqp_write_uint(w, 0); /* initial-delivery-count */
    }
    end(w, f);
}

void dps_amqp_flow_write(struct bytes_writer *w, const struct dps_amqp_flow *flow)
{
    const struct frame f = begin(w, DPS_AMQP_FLOW, 10);
    dps_amqp_write_uint(w, flow->next_incoming_id);
    dps_amqp_write_uint(w, flow->incoming_window);
    dps_amqp_write_uint(w, flow->next_outgoing_id);
    dps_amqp_write_uint(w, flow->outgoing_window);
    if (flow->has_handle) {
        dps_amqp_write_uint(w, flow->handle);
        dps_amqp_write_uint(w, flow->delivery_count);
        dps_amqp_write_uint(w, flow->credit);
    } else {
        write_nulls(w, 3);
    }
    dps_amqp_write_null(w); /* available */
    dps_amqp_write_bool(w, flow->drain);
    dps_amqp_write_bool(w, flow->echo);
    end(w, f);
}

void dps_amqp_detach_write(struct bytes_writer *w, uint32_t handle)
{
    const struct frame f = begin(w, DPS_AMQP_DETACH, 2);
    dps_amqp_write_uint(w, handle);
    dps_amqp_write_bool(w, true); /* closed */
    end(w, f);
}

void dps_amqp_end_write(struct bytes_writer *w)
{
    end(w, begin(w, DPS_AMQP_END, 0));
}

/* ---- Refusals [AMQP 1.0 2.8.14] ---- */

/* C, Java and Node read the first name, C# the second. */
static const char *const retry_after_names[] = {"retry-after", "Retry-After"};
#define RETRY_AFTER_NAMES (sizeof retry_after_names / sizeof retry_after_names[0])

/* As text, since that is what all clients read: one of them takes the number 0 for none. */
static void write_seconds(struct bytes_writer *w, uint32_t seconds)
{
    uint8_t text[10];
    struct bytes_writer t = bytes_writer_over(text, sizeof text);
    dps_write_decimal(&t, seconds);
    dps_amqp_write_string(w, bytes_written(&t));
}

static void write_error(struct bytes_writer *w, const struct dps_amqp_error *e)
{
    const struct dps_amqp_size list = dps_amqp_list_begin(w, 0x1d, e->has_retry_after ? 3 : 2);
    dps_amqp_write_symbol(w, e->condition);
    dps_amqp_write_string(w, e->description);
    if (e->has_retry_after) {
        const struct dps_amqp_size map = dps_amqp_map_begin(w, 0, 2 * RETRY_AFTER_NAMES);
        for (size_t i = 0; i < RETRY_AFTER_NAMES; i++) {
            dps_amqp_write_symbol(w, retry_after_names[i]);
            write_seconds(w, e->retry_after);
        }
        dps_amqp_end(w, map);
    }
    dps_amqp_end(w, list);
}

void dps_amqp_close_write(struct bytes_writer *w, const struct dps_amqp_error *e)
{
    const struct frame f = begin(w, DPS_AMQP_CLOSE, e->condition != NULL ? 1 : 0);
    if (e->condition != NULL) {
        write_error(w, e);
    }
    end(w, f);
}

/* ---- Deliveries ---- */

enum { ACCEPTED = 0x24, REJECTED = 0x25, PROPERTIES = 0x73, APPLICATION_PROPERTIES = 0x74, DATA = 0x75 };

void dps_amqp_disposition_write(struct bytes_writer *w, uint32_t delivery_id, const struct dps_amqp_error *e)
{
    const bool rejected = e->condition != NULL;
    const struct frame f = begin(w, DPS_AMQP_DISPOSITION, 5);
    dps_amqp_write_bool(w, true); /* role: receiver */
    dps_amqp_write_uint(w, delivery_id);
    dps_amqp_write_null(w);       /* last: the same */
    dps_amqp_write_bool(w, true); /* settled */
    const struct dps_amqp_size state =
        dps_amqp_list_begin(w, rejected ? REJECTED : ACCEPTED, rejected ? 1 : 0);
    if (rejected) {
        write_error(w, e);
    }
    dps_amqp_end(w, state);
    end(w, f);
}

static void write_message(struct bytes_writer *w, const struct dps_amqp_delivery *d)
{
    if (!dps_amqp_is_null(&d->correlation_id)) {
        const struct dps_amqp_size list = dps_amqp_list_begin(w, PROPERTIES, 6);
        write_nulls(w, 5);
        dps_amqp_write_value(w, &d->correlation_id);
        dps_amqp_end(w, list);
    }
    if (d->has_retry_after) {
        const struct dps_amqp_size map = dps_amqp_map_begin(w, APPLICATION_PROPERTIES, 2 * RETRY_AFTER_NAMES);
        for (size_t i = 0; i < RETRY_AFTER_NAMES; i++) {
            dps_amqp_write_string(w, bytes_of_text(retry_after_names[i]));
            write_seconds(w, d->retry_after);
        }
        dps_amqp_end(w, map);
    }
    bytes_write_u8(w, 0x00);
    bytes_write_u8(w, 0x53);
    bytes_write_u8(w, DATA);
    dps_amqp_write_binary(w, d->data);
}

void dps_amqp_delivery_write(struct bytes_writer *w, const struct dps_amqp_delivery *d)
{
    uint8_t tag[4];
    struct bytes_writer t = bytes_writer_over(tag, sizeof tag);
    bytes_write_u32(&t, d->delivery_id);
    const struct dps_amqp_size frame = dps_amqp_frame_begin(w, 0);
    const struct dps_amqp_size list = dps_amqp_list_begin(w, DPS_AMQP_TRANSFER, 5);
    dps_amqp_write_uint(w, d->handle);
    dps_amqp_write_uint(w, d->delivery_id);
    dps_amqp_write_binary(w, bytes_written(&t));
    dps_amqp_write_uint(w, 0); /* message-format */
    dps_amqp_write_bool(w, d->settled);
    dps_amqp_end(w, list);
    write_message(w, d);
    dps_amqp_frame_end(w, frame);
}

#endif
