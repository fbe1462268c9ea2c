/* SPDX-License-Identifier: MIT */
/* The authorizations in force: those configured, those that this run has set, or none after TPM2_Clear. Internal to
 * dps/device/. */
#ifndef DPS_DEVICE_AUTHORIZATION_H
#define DPS_DEVICE_AUTHORIZATION_H

#include "dps/device/state.h"

/* authValues of the owner and of the endorsement hierarchy. */
struct bytes dps_owner_auth(const struct dps_device *d);
struct bytes dps_endorsement_auth(const struct dps_device *d);

#endif
