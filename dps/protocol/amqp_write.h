/* SPDX-License-Identifier: MIT */
/* The frames of AMQP 1.0 that a service sends: each function appends a whole one to a writer, on channel 0. */
#ifndef DPS_PROTOCOL_AMQP_WRITE_H
#define DPS_PROTOCOL_AMQP_WRITE_H

#include "dps/protocol/amqp.h"

/* ---- SASL ---- */

/* What a challenge can carry: beside it stand 25 bytes of the frame. */
#define DPS_AMQP_CHALLENGE_MAX (DPS_AMQP_SASL_FRAME_MAX - 25)
enum dps_amqp_outcome { DPS_AMQP_SASL_OK = 0, DPS_AMQP_SASL_AUTH = 1, DPS_AMQP_SASL_TEMPORARY = 4 };

/* Headers and frames of the beginning. */
void dps_amqp_header_write(struct bytes_writer *w, bool sasl);
/* Of at most 250 characters. */
void dps_amqp_sasl_mechanism_write(struct bytes_writer *w, const char *mechanism);
/* The challenge is control and data. */
void dps_amqp_sasl_challenge_write(struct bytes_writer *w, uint8_t control, struct bytes data);
void dps_amqp_sasl_outcome_write(struct bytes_writer *w, enum dps_amqp_outcome code);

/* ---- Connection, session and links ---- */

/* Why something was refused [AMQP 1.0 2.8.14]. */
struct dps_amqp_error {
    const char *condition; /* null: there is no error */
    struct bytes description;
    bool has_retry_after; /* info: retry-after, in seconds */
    uint32_t retry_after;
};

/* Other channels than 0 are not taken. */
void dps_amqp_open_write(struct bytes_writer *w, const char *container, uint32_t max_frame_size);
void dps_amqp_begin_write(struct bytes_writer *w, uint32_t window);
/* The answer to a: the same name, handle, source and target, from the other end. */
void dps_amqp_attach_write(struct bytes_writer *w, const struct dps_amqp_attach *a);
void dps_amqp_flow_write(struct bytes_writer *w, const struct dps_amqp_flow *flow);
void dps_amqp_detach_write(struct bytes_writer *w, uint32_t handle);
void dps_amqp_end_write(struct bytes_writer *w);
void dps_amqp_close_write(struct bytes_writer *w, const struct dps_amqp_error *e);

/* ---- Deliveries ---- */

/* With all of a message, which has a data section. */
struct dps_amqp_delivery {
    uint32_t handle, delivery_id;
    bool settled;
    struct dps_amqp_value correlation_id;
    bool has_retry_after; /* application property: retry-after, in seconds */
    uint32_t retry_after;
    struct bytes data;
};

/* Who has received a delivery settles it: accepted, or rejected if there is an error. */
void dps_amqp_disposition_write(struct bytes_writer *w, uint32_t delivery_id, const struct dps_amqp_error *e);
void dps_amqp_delivery_write(struct bytes_writer *w, const struct dps_amqp_delivery *d);

#endif
