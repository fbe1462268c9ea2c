/* SPDX-License-Identifier: MIT */
/* Enrollments, a page at a time. */
#ifndef DPS_MANAGE_ADMIN_QUERY_H
#define DPS_MANAGE_ADMIN_QUERY_H

#include "dps/service/answer.h"
#include "dps/service/request.h"

/* Answer POST /enrollments/query. */
enum dps_refusal dps_admin_query(struct dps_service *s, const struct dps_request *q, struct dps_answer *a);

#endif
