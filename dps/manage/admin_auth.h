/* SPDX-License-Identifier: MIT */
/* Who may manage: policies, each with keys and rights, and tokens that are signed with such a key. */
#ifndef DPS_MANAGE_ADMIN_AUTH_H
#define DPS_MANAGE_ADMIN_AUTH_H

#include "dps/service/answer.h"
#include "dps/service/request.h"

/* Parse the text of a policy file: {"policies":[{"name":"provisioningserviceowner","primaryKey":"<base64>",
 * "secondaryKey":"<base64>","rights":["EnrollmentRead",...]}]}. Absent rights: all. Keys are 16..64 bytes.
 * Returns: 0; BYTES_E_FORMAT; BYTES_E_LIMIT. */
int dps_policies_parse(struct bytes json, struct dps_service_config *config);

/* May the sender of q do what needs this right (one of DPS_RIGHT_*)? Returns DPS_ACCEPTED, _ADMIN_TOKEN or
 * _ADMIN_RIGHT. */
enum dps_refusal dps_admin_authorize(const struct dps_service *s, const struct dps_request *q, uint8_t right,
                                     struct dps_answer *a);

#endif
