/* SPDX-License-Identifier: MIT */
/* A device that provisions over AMQP 1.0, step by step, as each of Microsoft's SDKs does it. */
#ifndef TESTS_CONFORMANCE_SERVICE_AMQP_H
#define TESTS_CONFORMANCE_SERVICE_AMQP_H

#include "dps/protocol/amqp_write.h"
#include "tests/conformance/service.h"

/* What the SDKs do differently. */
struct amqp_client {
    const char *name;
    const char *hostname;       /* of sasl-init: null: none; "%s" becomes the device's name with its scope */
    const char *address;        /* of the links, likewise */
    const char *correlation_id; /* null: none */
    enum { AMQP_BODY_JSON, AMQP_BODY_EMPTY, AMQP_BODY_VALUE, AMQP_BODY_NONE } body;
    bool receiver_first; /* each link only after the other's answer */
};
extern const struct amqp_client amqp_clients[4]; /* Node, C#, Java, C */
#define AMQP_NODE (&amqp_clients[0])

/* False, and the case skipped: --amqp was not given. */
bool amqp_wanted(struct conformance *c);
/* The next frame, which stays where it is; false if none comes. */
bool amqp_next(struct conformance *c, struct dps_amqp_frame *f);
void amqp_header(struct conformance *c, bool sasl);

/* A new connection, both headers, and mechanisms with TPM. */
bool amqp_begin(struct conformance *c);
/* sasl-init, with any bytes for the EK. */
void amqp_send_init(struct conformance *c, const struct service_device *d, const struct amqp_client *as,
                    struct bytes ek);
void amqp_send_response(struct conformance *c, uint8_t control, struct bytes data);
/* The next challenge: its bytes; false if it is none. */
bool amqp_challenge(struct conformance *c, uint8_t *bytes, size_t capacity, size_t *len);
#define AMQP_NO_OUTCOME 255
/* The outcome's code; AMQP_NO_OUTCOME if another frame comes, or none. */
unsigned amqp_outcome(struct conformance *c);

/* Up to the blob, which is opened: d->nonce. Stands on the cases about it. */
bool amqp_prove(struct conformance *c, struct service_device *d, const struct amqp_client *as);
/* From there to the assignment, in the manner of a client. */
bool amqp_register(struct conformance *c, struct service_device *d, const struct amqp_client *as);

#endif
