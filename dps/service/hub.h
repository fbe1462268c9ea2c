/* SPDX-License-Identifier: MIT */
/* A small hub, so that the flow can be seen to its end. */
#ifndef DPS_SERVICE_HUB_H
#define DPS_SERVICE_HUB_H

#include "dps/service/answer.h"
#include "dps/service/request.h"

/* May the device do one thing more at this hub? The token must be signed with the key of the registration that the
 * device has now, name hub and device, and be in time; the enrollment must be enabled; and the limits must admit it.
 *   authorization   the token: what an Authorization header says
 * Returns DPS_ACCEPTED, and a's registration_id says whose it is; _HUB_TOKEN, _TOKEN_EXPIRED, _TOKEN_LIFETIME, _RATE,
 * _STORE, _INTERNAL. */
enum dps_refusal dps_hub_admit(struct dps_service *s, struct bytes authorization, struct bytes hub,
                               struct bytes device_id, struct dps_answer *a);

/* Step 10: /devices/{deviceId}/messages/events. */
enum dps_refusal dps_hub_api(struct dps_service *s, const struct dps_request *q, struct dps_answer *a);

#endif
