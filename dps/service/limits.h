/* SPDX-License-Identifier: MIT */
/* The buffers of the service, and how many hubs, policies and secrets it can have. How to set them: crypto/limits.h. */
#ifndef DPS_SERVICE_LIMITS_H
#define DPS_SERVICE_LIMITS_H

#include "dps/protocol/limits.h"

/* One record (enrollment, registration, device) as JSON. */
#ifndef DPS_RECORD_MAX
#define DPS_RECORD_MAX 8192
#endif

/* The body of an HTTP request or response. It holds ten records, which is a bulk operation, or a page of a query. */
#ifndef DPS_HTTP_BODY_MAX
#define DPS_HTTP_BODY_MAX 131072
#endif

/* Hubs that can be linked, and management policies. */
#define DPS_HUBS_MAX 16
#define DPS_POLICIES_MAX 8

/* Epochs of the service secret that still verify; the last one makes new values. */
#define DPS_SECRETS_MAX 4

/* ---- Contradictions ---------------------------------------------------------------------------------------------- */

#if DPS_RECORD_MAX < 4096 || DPS_RECORD_MAX > DPS_HTTP_BODY_MAX
#error "dps/service/limits.h: DPS_RECORD_MAX is below 4096, or a record does not fit DPS_HTTP_BODY_MAX"
#endif

#endif
