/* SPDX-License-Identifier: MIT */
/* The identities of devices at hubs. */
#ifndef DPS_SERVICE_HUB_REGISTRY_H
#define DPS_SERVICE_HUB_REGISTRY_H

#include "dps/service/registration.h"
#include "dps/service/state.h"

/* Make the device known at its new hub and unknown at its old one, with its twin. old is null for a first
 * registration. initial_twin may view s->record, which is overwritten. Returns DPS_ACCEPTED, _DEVICE_ID_TAKEN,
 * _CONCURRENT, _STORE, _INTERNAL. */
enum dps_refusal dps_hub_register(struct dps_service *s, const struct dps_registration *old,
                                  const struct dps_registration *made, struct bytes initial_twin);

#endif
