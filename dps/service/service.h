/* SPDX-License-Identifier: MIT */
/* The service side of the flow: steps 5, 6 and 9. */
#ifndef DPS_SERVICE_SERVICE_H
#define DPS_SERVICE_SERVICE_H

#include "dps/protocol/activation.h"
#include "dps/service/answer.h"
#include "dps/service/registration.h"
#include "dps/service/request.h"

/* The device API: /{idScope}/registrations/... */
enum dps_refusal dps_device_api(struct dps_service *s, const struct dps_request *q, struct dps_answer *a);

/* The hub's device key: HMAC of the service secret [spec-notes.md, "The store holds no secret"].
 * Returns false if the epoch's secret is no longer configured. */
bool dps_hub_key(const struct dps_service *s, const struct dps_registration *r, uint8_t key[DPS_KEY_SIZE]);

#endif
