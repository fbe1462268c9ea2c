/* SPDX-License-Identifier: MIT */
/* The frames of AMQP 1.0 [AMQP 1.0] that a service gets when devices provision themselves: of SASL, and of one session
 * with a link for each direction. amqp_write.h has those that it sends. There is no state: what may come when is the
 * caller's.
 *
 * Bytes of a stream are appended to a buffer of the caller; dps_amqp_frame_read says how long the frame at its
 * beginning is. A read function for each performative then gives the fields that are used here, as views of the buffer.
 *
 * Reading is strict: every field of a performative is read, up to its end, and what breaks a rule of the standard is
 * BYTES_E_FORMAT. Of maps, arrays and the like within a field only the length is checked. */
#ifndef DPS_PROTOCOL_AMQP_H
#define DPS_PROTOCOL_AMQP_H

#include "dps/protocol/amqp_part.h"

/* The longest frame of SASL [AMQP 1.0 5.3.1]. */
#define DPS_AMQP_SASL_FRAME_MAX 512

/* What a frame says: the standard's descriptors, and two that have none. */
enum dps_amqp_kind {
    DPS_AMQP_HEARTBEAT = 0, /* an empty frame [AMQP 1.0 2.4.5] */
    DPS_AMQP_HEADER = 1,    /* a protocol header [AMQP 1.0 2.2]: AMQP itself */
    DPS_AMQP_SASL_HEADER = 2,
    DPS_AMQP_OPEN = 0x10,
    DPS_AMQP_BEGIN = 0x11,
    DPS_AMQP_ATTACH = 0x12,
    DPS_AMQP_FLOW = 0x13,
    DPS_AMQP_TRANSFER = 0x14,
    DPS_AMQP_DISPOSITION = 0x15,
    DPS_AMQP_DETACH = 0x16,
    DPS_AMQP_END = 0x17,
    DPS_AMQP_CLOSE = 0x18,
    DPS_AMQP_SASL_MECHANISMS = 0x40,
    DPS_AMQP_SASL_INIT = 0x41,
    DPS_AMQP_SASL_CHALLENGE = 0x42,
    DPS_AMQP_SASL_RESPONSE = 0x43,
    DPS_AMQP_SASL_OUTCOME = 0x44
};

struct dps_amqp_frame {
    size_t len; /* of the whole frame; 0: not known yet */
    uint8_t kind;
    uint16_t channel;
    struct dps_amqp_value performative;
    struct bytes payload; /* of a transfer */
};

/* Look at the frame or protocol header that input begins with.
 *   maximum   the longest frame that the caller takes
 * Returns: 0 if it is all there, and it ends at f->len; BYTES_E_MORE, and f->len says how long it will be, if that is
 * known; BYTES_E_FORMAT; BYTES_E_LIMIT; BYTES_E_ALGORITHM: a protocol header of something else. */
int dps_amqp_frame_read(struct bytes input, size_t maximum, struct dps_amqp_frame *f);

/* ---- Their fields: each function returns 0 or BYTES_E_FORMAT, and takes a frame of its own kind ---- */

struct dps_amqp_sasl_init {
    struct bytes mechanism, initial_response;
};
struct dps_amqp_begin {
    uint32_t next_outgoing_id, incoming_window;
};
struct dps_amqp_attach {
    struct bytes name;
    uint32_t handle;
    bool receives;                                        /* the one who attaches */
    struct dps_amqp_value sender_settles, source, target; /* as they came; perhaps null */
    struct bytes address;     /* of the source, if it receives, or of the target; perhaps empty */
    struct bytes api_version; /* property com.microsoft:api-version; perhaps empty */
};
struct dps_amqp_flow {
    uint32_t next_incoming_id, incoming_window, next_outgoing_id, outgoing_window;
    bool has_handle; /* without it the following three say nothing */
    uint32_t handle, delivery_count, credit;
    bool drain, echo; /* drain: use the credit now, or give it up */
};
struct dps_amqp_transfer {
    uint32_t handle, delivery_id;
    bool settled, more, aborted;
};

/* SASL [AMQP 1.0 5.3.3]. */
int dps_amqp_sasl_init_read(const struct dps_amqp_frame *f, struct dps_amqp_sasl_init *init);
int dps_amqp_sasl_response_read(const struct dps_amqp_frame *f, struct bytes *response);

/* Connection, session and links [AMQP 1.0 2.7]; the last is for end and close. */
int dps_amqp_open_read(const struct dps_amqp_frame *f, uint32_t *max_frame_size);
int dps_amqp_begin_read(const struct dps_amqp_frame *f, struct dps_amqp_begin *b);
int dps_amqp_attach_read(const struct dps_amqp_frame *f, struct dps_amqp_attach *a);
int dps_amqp_flow_read(const struct dps_amqp_frame *f, struct dps_amqp_flow *flow);
int dps_amqp_transfer_read(const struct dps_amqp_frame *f, struct dps_amqp_transfer *t);
int dps_amqp_disposition_read(const struct dps_amqp_frame *f);
int dps_amqp_detach_read(const struct dps_amqp_frame *f, uint32_t *handle);
int dps_amqp_end_read(const struct dps_amqp_frame *f);

/* A message [AMQP 1.0 3.2], the payload of a transfer. */
struct dps_amqp_message {
    struct dps_amqp_value correlation_id; /* perhaps null */
    struct dps_amqp_value properties;     /* those of the application, a map; perhaps null */
};
int dps_amqp_message_read(struct bytes payload, struct dps_amqp_message *m);

#endif
