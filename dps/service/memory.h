/* SPDX-License-Identifier: MIT */
/* What the service remembers of requests that prove nothing: how many there were, and which SRK they named. */
#ifndef DPS_SERVICE_MEMORY_H
#define DPS_SERVICE_MEMORY_H

#include "dps/service/answer.h"
#include "dps/service/state.h"

/* May this request be served? Nothing is charged unless all limits admit it: the client's, the device's from this
 * client, the device's, and the total.
 *   id     registrationId in lower case; empty: the request is about no device
 *   known  the client has shown more than the device's EK_pub and registrationId, and is counted apart
 * Returns DPS_ACCEPTED; DPS_REFUSED_RATE, with a's Retry-After; DPS_REFUSED_INTERNAL (no entropy). */
enum dps_refusal dps_ration(struct dps_service *s, enum dps_ration kind, struct bytes id, bool known,
                            struct dps_answer *a);

/* Remember SRK_pub under the registrationId and the client address; and the number-th that is remembered there, from
 * 0. srk has room for DPS_SRK_PUBLIC_MAX bytes. recall returns false if there are not so many. */
void dps_hint_remember(struct dps_service *s, struct bytes id, struct bytes srk);
bool dps_hint_recall(struct dps_service *s, struct bytes id, size_t number, uint8_t *srk, size_t *srk_len);

/* The name of this node's run. Returns false if there is no entropy to draw it from. */
bool dps_memory_run(struct dps_service *s, uint8_t name[DPS_RUN_SIZE]);

#endif
