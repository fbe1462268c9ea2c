/* SPDX-License-Identifier: MIT */
/* Making an activation blob (dps/protocol/activation.h), as only a service does. */
#ifndef DPS_SERVICE_ACTIVATION_MAKE_H
#define DPS_SERVICE_ACTIVATION_MAKE_H

#include "dps/protocol/activation.h"
#include "tpm/protect.h"

/* All random bytes of one blob. */
struct dps_activation_random {
    uint8_t inner_key[DPS_INNER_KEY_SIZE];
    uint8_t seed_value[32];
    struct tpm2_wrap_random credential;
    struct tpm2_wrap_random duplicate;
};

/* Make a blob: append it to w.
 *   ek, srk    public areas of the two keys, both checked by the caller
 *   srk_name   Name of the SRK
 *   key        the HMAC key that goes in
 *   host, id   ASCII; the encUriData names them as host/id; cut off if longer than DPS_ENC_URI_MAX allows
 * Failure is w->error. */
void dps_activation_make(struct bytes_writer *w, const struct tpm2_public *ek, const struct tpm2_public *srk,
                         const uint8_t srk_name[TPM2_NAME_SIZE], const uint8_t key[DPS_KEY_SIZE],
                         struct bytes host, struct bytes id, const struct dps_activation_random *random);

#endif
