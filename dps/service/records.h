/* SPDX-License-Identifier: MIT */
/* Enrollments and registrations, from the store. */
#ifndef DPS_SERVICE_RECORDS_H
#define DPS_SERVICE_RECORDS_H

#include "dps/service/enrollment.h"
#include "dps/service/registration.h"
#include "dps/service/state.h"

/* Load an enrollment by registrationId (any case) into s->record and parse it.
 * Returns DPS_ACCEPTED, _REGISTRATION_ID, _UNKNOWN, _STORE, _INTERNAL (damaged record). */
enum dps_refusal dps_load_enrollment(struct dps_service *s, struct bytes registration_id,
                                     struct dps_enrollment *e, uint64_t *version);
/* Load a registration, through s->draft; *version 0 and a zeroed r if there is none. Returns DPS_ACCEPTED or
 * _STORE or _INTERNAL. */
enum dps_refusal dps_load_registration(struct dps_service *s, struct bytes registration_id,
                                       struct dps_registration *r, uint64_t *version);

#endif
