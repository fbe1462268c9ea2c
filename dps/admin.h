/* SPDX-License-Identifier: MIT */
/* What the files of the management API share. Internal to dps/. */
#ifndef DPS_ADMIN_H
#define DPS_ADMIN_H

#include "dps/service_parts.h"

/* May the sender of q do what needs this right (one of DPS_RIGHT_*)? Returns DPS_ACCEPTED, _ADMIN_TOKEN or _ADMIN_RIGHT. */
enum dps_refusal dps_admin_authorize(const struct dps_service *s, const struct dps_request *q, uint8_t right,
                                     struct dps_answer *a);

/* Refuse and say why: a->detail becomes the constant text. Returns refusal. */
enum dps_refusal dps_admin_refuse(struct dps_answer *a, enum dps_refusal refusal, const char *detail);

/* Append an enrollment as clients see it: the stored record, its etag, and the registration if there is one. id is the
 * record's key; record may be s->record. Returns DPS_ACCEPTED, _STORE or _INTERNAL; that it did not fit is w->error. */
enum dps_refusal dps_admin_write_enrollment(struct dps_service *s, struct tpm2_writer *w, struct span id,
                                            struct span record, uint64_t version);

/* Answer POST /enrollments/query. */
enum dps_refusal dps_admin_query(struct dps_service *s, const struct dps_request *q, struct dps_answer *a);

/* Keep in a, for logs, whom the request is about. */
void dps_admin_subject(struct dps_answer *a, struct span id);

#endif
