/* SPDX-License-Identifier: MIT */
/* Several enrollments at once. */
#ifndef DPS_MANAGE_ADMIN_BULK_H
#define DPS_MANAGE_ADMIN_BULK_H

#include "dps/service/answer.h"
#include "dps/service/request.h"

/* Answer POST /enrollments. */
enum dps_refusal dps_admin_bulk(struct dps_service *s, const struct dps_request *q, struct dps_answer *a);

#endif
