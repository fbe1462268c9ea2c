/* SPDX-License-Identifier: MIT */
/* One connection of amqp_door.h, and what it asks of the device API. */
#ifndef DPS_SERVICE_AMQP_API_H
#define DPS_SERVICE_AMQP_API_H

#include "dps/protocol/amqp.h"
#include "dps/service/answer.h"

/* The longest frame that is taken after SASL, and the least that a peer has to take: an answer has one frame. */
#define DPS_AMQP_FRAME_MAX 65536
#define DPS_AMQP_PEER_FRAME_MIN 16384
/* How we call ourselves [AMQP 1.0 2.7.1]. */
#define DPS_AMQP_CONTAINER "tpm-dps"
/* For frames that go out, and the JSON from which they are made. */
#define DPS_AMQP_OUT_MAX (DPS_AMQP_PEER_FRAME_MIN + 4096)
#define DPS_AMQP_JSON_MAX (DPS_AMQP_PEER_FRAME_MIN - 1024)

enum dps_amqp_state {
    DPS_AMQP_NEW, /* it waits for the header of SASL; and so on */
    DPS_AMQP_WAITS_INIT,
    DPS_AMQP_WAITS_SRK,
    DPS_AMQP_WAITS_ACK,
    DPS_AMQP_WAITS_TOKEN,
    DPS_AMQP_WAITS_HEADER, /* from here on the device has proved itself */
    DPS_AMQP_WAITS_OPEN,
    DPS_AMQP_WAITS_BEGIN,
    DPS_AMQP_IN_SESSION
};

/* What the last frame has asked of the device API. */
enum dps_amqp_asked {
    DPS_AMQP_NOTHING,
    DPS_AMQP_CHALLENGE,
    DPS_AMQP_PROOF,
    DPS_AMQP_REGISTER,
    DPS_AMQP_STATUS
};

struct dps_amqp_link {
    bool attached;
    bool settled; /* what is sent through it is settled */
    uint32_t handle, delivery_count, credit;
};

/* One connection. Begins with zeros; it holds a token, so it is wiped in the end. */
struct dps_amqp_door {
    enum dps_amqp_state state;
    enum dps_amqp_asked asked;
    bool midway;    /* of dps_amqp_is_midway, whatever the time */
    uint64_t begun; /* seconds since 1970 */
    uint16_t scope_len, id_len, ek_len, srk_len, held_len, version_len;
    uint8_t scope[DPS_ID_SCOPE_MAX];
    uint8_t id[DPS_REGISTRATION_ID_MAX];
    uint8_t ek[DPS_EK_PUBLIC_MAX];
    uint8_t srk[DPS_SRK_PUBLIC_MAX];
    uint8_t held[DPS_AMQP_SASL_FRAME_MAX]; /* the second part of the blob; then the token */
    uint8_t version[20];                   /* api-version */
    struct dps_amqp_link requests, answers;
    uint32_t next_incoming_id, next_outgoing_id;
    uint32_t window;         /* transfers that the client still takes */
    struct bytes_writer out; /* frames that are to be sent */
    /* Of the request that is being answered; correlation_id views its frame. */
    uint32_t delivery_id;
    bool settled;
    struct dps_amqp_value correlation_id;
};

/* Ask the device API, as over HTTPS, in the name of the device that SASL has named; a gets the answer. operation: of
 * DPS_AMQP_STATUS. */
void dps_amqp_ask(struct dps_service *s, struct dps_amqp_door *d, enum dps_amqp_asked what,
                  struct bytes operation, struct dps_answer *a);
/* Copy what fits. Returns: whether it did. */
bool dps_amqp_keep(struct bytes from, uint8_t *to, size_t capacity, uint16_t *len);

#endif
