/* SPDX-License-Identifier: MIT */
/* What all answers of the management API are made of.
 *
 * A key is a registrationId in lower case: the name of an enrollment and of a registration in the store. */
#ifndef DPS_MANAGE_ADMIN_ANSWER_H
#define DPS_MANAGE_ADMIN_ANSWER_H

#include "dps/service/answer.h"

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

#endif
