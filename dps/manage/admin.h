/* SPDX-License-Identifier: MIT */
/* The management API: step 2, in which a vendor enrolls EK_pub under a registrationId, and what belongs to
 * it. */
#ifndef DPS_MANAGE_ADMIN_H
#define DPS_MANAGE_ADMIN_H

#include "dps/service/state.h"

/* Have the service answer /enrollments..., /enrollmentGroups... and /registrations... Requires: dps_service_init. */
void dps_manage_init(struct dps_service *s);

#endif
