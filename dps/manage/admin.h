/* SPDX-License-Identifier: MIT */
/* What the files of the management API share. Internal to dps/.
 *
 * A key is a registrationId in lower case: the name of an enrollment and of a registration in the store. */
#ifndef DPS_MANAGE_ADMIN_H
#define DPS_MANAGE_ADMIN_H

#include "dps/service/service_parts.h"

/* ---- admin_auth.c ------------------------------------------------------------------------------------- */

/* May the sender of q do what needs this right (one of DPS_RIGHT_*)? Returns DPS_ACCEPTED, _ADMIN_TOKEN or
 * _ADMIN_RIGHT. */
enum dps_refusal dps_admin_authorize(const struct dps_service *s, const struct dps_request *q, uint8_t right,
                                     struct dps_answer *a);

/* ---- admin.c ------------------------------------------------------------------------------------------ */

/* Refuse and say why: a->detail becomes the constant text. Returns refusal. */
enum dps_refusal dps_admin_refuse(struct dps_answer *a, enum dps_refusal refusal, const char *detail);

/* The same with a detail that begins with what the client wrote: a member's name, a hub. */
enum dps_refusal dps_admin_refuse_named(struct dps_answer *a, enum dps_refusal refusal, struct bytes name,
                                        const char *detail);

/* What a store function's error means to the client. */
enum dps_refusal dps_admin_store_refusal(int error);

/* Load an enrollment as it is stored into s->record, which *record views. Returns DPS_ACCEPTED, _UNKNOWN,
 * _STORE, _INTERNAL; *version is 0 and *record empty unless it is the first. */
enum dps_refusal dps_admin_load(struct dps_service *s, struct bytes key, struct bytes *record,
                                uint64_t *version);

/* Append an enrollment as clients see it: the stored record, its etag, and the registration if there is one.
 * record may view s->record. Returns DPS_ACCEPTED, _STORE or _INTERNAL; that it did not fit is w->error. */
enum dps_refusal dps_admin_write_enrollment(struct dps_service *s, struct bytes_writer *w, struct bytes key,
                                            struct bytes record, uint64_t version);

/* Keep in a, for logs, whom the request is about. */
void dps_admin_subject(struct dps_answer *a, struct bytes id);

/* ---- admin_enrollment.c: each call changes one record or none ----------------------------------------- */

/* Create or replace the enrollment of this key. json is an object that has passed dps_json_check; if_match
 * as in the header: empty creates, anything else replaces. Uses s->record and s->record2. Returns
 * DPS_ACCEPTED and a->wrote set; or why not, with a->detail. */
enum dps_refusal dps_admin_put(struct dps_service *s, struct bytes key, struct bytes json,
                               struct bytes if_match, struct dps_answer *a);

/* Delete the enrollment of this key; an empty if_match deletes whatever is there. Returns as dps_admin_put. */
enum dps_refusal dps_admin_remove(struct dps_service *s, struct bytes key, struct bytes if_match,
                                  struct dps_answer *a);

/* ---- admin_bulk.c and admin_query.c ------------------------------------------------------------------- */

/* Answer POST /enrollments. */
enum dps_refusal dps_admin_bulk(struct dps_service *s, const struct dps_request *q, struct dps_answer *a);
/* Answer POST /enrollments/query. */
enum dps_refusal dps_admin_query(struct dps_service *s, const struct dps_request *q, struct dps_answer *a);

#endif
