/* SPDX-License-Identifier: MIT */
/* How service.c, admin.c and hub.c share a request and its answer. Internal to dps/. */
#ifndef DPS_SERVICE_SERVICE_PARTS_H
#define DPS_SERVICE_SERVICE_PARTS_H

#include "dps/service/enrollment.h"
#include "dps/service/registration.h"
#include "dps/service/service.h"

#define DPS_SEGMENTS_MAX 6

/* A request, taken apart once. Segments are percent-decoded into text. */
struct dps_request {
    struct bytes method;
    struct bytes target;
    struct bytes segments[DPS_SEGMENTS_MAX];
    size_t segment_count;
    struct bytes body;          /* raw */
    struct bytes authorization; /* empty if absent */
    struct bytes if_match;
    struct bytes host;
    struct bytes max_items;
    struct bytes continuation;
    uint8_t text[1024];
};

/* Is that its method? Methods have one case. */
bool dps_request_is(const struct dps_request *q, const char *method);
/* Is the api-version one that we speak? */
enum dps_refusal dps_request_version(const struct dps_request *q);

/* Load an enrollment by registrationId (any case) into s->record and parse it.
 * Returns DPS_ACCEPTED, _REGISTRATION_ID, _UNKNOWN, _STORE, _INTERNAL (damaged record). */
enum dps_refusal dps_load_enrollment(struct dps_service *s, struct bytes registration_id,
                                     struct dps_enrollment *e, uint64_t *version);
/* Load a registration, through s->record2; *version 0 and a zeroed r if there is none. Returns DPS_ACCEPTED or
 * _STORE or _INTERNAL. */
enum dps_refusal dps_load_registration(struct dps_service *s, struct bytes registration_id,
                                       struct dps_registration *r, uint64_t *version);

/* The hub's device key: HMAC of the service secret [spec-notes.md, "The store holds no secret"].
 * Returns false if the epoch's secret is no longer configured. */
bool dps_hub_key(const struct dps_service *s, uint32_t secret_epoch, struct bytes registration_id,
                 struct bytes hub, struct bytes device_id, uint64_t generation, uint8_t key[DPS_KEY_SIZE]);

/* Make the device known at its new hub and unknown at its old one, with its twin. old is null for a first
 * registration. initial_twin may view s->record, which is overwritten. Returns DPS_ACCEPTED, _DEVICE_ID_TAKEN,
 * _CONCURRENT, _STORE, _INTERNAL. */
enum dps_refusal dps_hub_register(struct dps_service *s, const struct dps_registration *old,
                                  const struct dps_registration *made, struct bytes initial_twin);
/* Choose a hub [DPS "Allocation policy"]. *index into config->hubs. Returns DPS_ACCEPTED or _NO_HUB. */
enum dps_refusal dps_allocate(const struct dps_service_config *config, const struct dps_enrollment *e,
                              struct bytes registration_id, size_t *index);
/* Index of a hub by name, or hub_count. */
size_t dps_hub_index(const struct dps_service_config *config, struct bytes name);

/* The device API (/{idScope}/registrations/...), service.c. */
enum dps_refusal dps_device_api(struct dps_service *s, const struct dps_request *q, struct dps_answer *a);
/* The management API (/enrollments..., /registrations...), admin.c. Sets a->detail when it refuses. */
enum dps_refusal dps_admin_api(struct dps_service *s, const struct dps_request *q, struct dps_answer *a);
/* The hub (/devices/{deviceId}/messages/events), hub.c. */
enum dps_refusal dps_hub_api(struct dps_service *s, const struct dps_request *q, struct dps_answer *a);

/* A limit of crypto/limits.h as text, for what tells it to the client. */
#define DPS_LIMIT_TEXT(limit) DPS_LIMIT_TEXT_OF(limit)
#define DPS_LIMIT_TEXT_OF(number) #number

/* Set a->detail to a constant text. */
void dps_answer_detail(struct dps_answer *a, const char *detail);

#endif
