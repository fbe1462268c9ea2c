/* SPDX-License-Identifier: MIT */
/* The other side of dps/service/amqp_door.h: what a client sends, and a device whose TPM is software. */
#ifndef TESTS_SUPPORT_AMQP_DEVICE_H
#define TESTS_SUPPORT_AMQP_DEVICE_H

#include "dps/protocol/activation.h"
#include "dps/protocol/amqp_write.h"
#include "tpm/public.h"

/* EK and SRK of tests/vectors/activation_blob.h under the true templates, and the blob that came last. */
struct amqp_device {
    const char *scope, *id;
    uint64_t expiry; /* of its tokens */
    uint8_t ek[DPS_EK_PUBLIC_MAX], srk[DPS_SRK_PUBLIC_MAX], srk_name[TPM2_NAME_SIZE];
    size_t ek_len, srk_len;
    uint8_t blob[DPS_ACTIVATION_BLOB_MAX];
    size_t blob_len;
};
/* Returns: whether the vectors could be read. */
bool amqp_device_begin(struct amqp_device *d, const char *scope, const char *id, uint64_t expiry);
/* Take an answer of the service: a challenge is a piece of the blob; in JSON stands the blob with the hub's key.
 * Returns: whether it is well formed. */
bool amqp_device_take(struct amqp_device *d, const struct dps_amqp_frame *f);
/* What the TPM would do with the blob. Returns: whether it opens. */
bool amqp_device_open(const struct amqp_device *d, uint8_t key[DPS_KEY_SIZE]);
/* Append a token that is signed with the blob's key. Returns: whether it opens. */
bool amqp_device_token(const struct amqp_device *d, struct bytes_writer *w);

/* ---- Frames: each appends one ---- */

void amqp_client_init(struct bytes_writer *w, const struct amqp_device *d);
/* data has its control byte. */
void amqp_client_response(struct bytes_writer *w, struct bytes data);
void amqp_client_open(struct bytes_writer *w, uint32_t max_frame_size);
void amqp_client_begin(struct bytes_writer *w, uint32_t window);
/* address null: the device's own. */
void amqp_client_attach(struct bytes_writer *w, const struct amqp_device *d, bool receives, uint32_t handle,
                        const char *address);
void amqp_client_credit(struct bytes_writer *w, uint32_t handle, uint32_t credit);
/* A request: type and operation are its application properties; operation may be null. */
void amqp_client_request(struct bytes_writer *w, uint32_t handle, uint32_t delivery_id, bool settled,
                         const char *type, const char *operation);

#endif
