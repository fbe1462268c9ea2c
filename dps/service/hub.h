/* SPDX-License-Identifier: MIT */
/* A small hub, so that the flow can be seen to its end. */
#ifndef DPS_SERVICE_HUB_H
#define DPS_SERVICE_HUB_H

#include "dps/service/answer.h"
#include "dps/service/request.h"

/* Step 10: /devices/{deviceId}/messages/events. */
enum dps_refusal dps_hub_api(struct dps_service *s, const struct dps_request *q, struct dps_answer *a);

#endif
