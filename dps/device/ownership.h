/* SPDX-License-Identifier: MIT */
/* Step 3: taking ownership of a TPM, what an owner can do besides, and giving it up. With DPS_WITH_OWNERSHIP. */
#ifndef DPS_DEVICE_OWNERSHIP_H
#define DPS_DEVICE_OWNERSHIP_H

#include "dps/device/state.h"

/* Begin a run, as dps/device/device.h says of its own.
 *
 *   own        step 3: sets authorizations, derives the SRK, persists if asked
 *   clear      TPM2_Clear: a new owner; afterwards ek and srk are read again
 *   seal       config->data sealed under the SRK; unseal gives it back: dps_device_result
 *
 * With config->ek_name nothing is done to another TPM, and no answer of another one is believed. It takes a session:
 * BYTES_E_USAGE where none is allowed. */
int dps_device_own(struct dps_device *d, const struct dps_device_config *config, const uint8_t seed[32]);
int dps_device_clear(struct dps_device *d, const struct dps_device_config *config, const uint8_t seed[32]);
int dps_device_seal(struct dps_device *d, const struct dps_device_config *config, const uint8_t seed[32]);
int dps_device_unseal(struct dps_device *d, const struct dps_device_config *config, const uint8_t seed[32]);

#endif
