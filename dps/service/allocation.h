/* SPDX-License-Identifier: MIT */
/* Which hub a device is assigned to. */
#ifndef DPS_SERVICE_ALLOCATION_H
#define DPS_SERVICE_ALLOCATION_H

#include "dps/service/enrollment.h"
#include "dps/service/state.h"

/* Choose a hub [DPS "Allocation policy"]. *index into config->hubs. Returns DPS_ACCEPTED or _NO_HUB. */
enum dps_refusal dps_allocate(const struct dps_service_config *config, const struct dps_enrollment *e,
                              struct bytes registration_id, size_t *index);
/* Index of a hub by name, or hub_count. */
size_t dps_hub_index(const struct dps_service_config *config, struct bytes name);

#endif
