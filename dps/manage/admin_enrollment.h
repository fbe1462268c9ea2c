/* SPDX-License-Identifier: MIT */
/* Each call changes one record or none. */
#ifndef DPS_MANAGE_ADMIN_ENROLLMENT_H
#define DPS_MANAGE_ADMIN_ENROLLMENT_H

#include "dps/service/answer.h"

/* Create or replace the enrollment of this key. json is an object that has passed dps_json_check; if_match
 * as in the header: empty creates, anything else replaces. Uses s->record and s->draft. Returns
 * DPS_ACCEPTED and a->wrote set; or why not, with a->detail. */
enum dps_refusal dps_admin_put(struct dps_service *s, struct bytes key, struct bytes json,
                               struct bytes if_match, struct dps_answer *a);

/* Delete the enrollment of this key; an empty if_match deletes whatever is there. Returns as dps_admin_put. */
enum dps_refusal dps_admin_remove(struct dps_service *s, struct bytes key, struct bytes if_match,
                                  struct dps_answer *a);

#endif
