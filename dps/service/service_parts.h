/* SPDX-License-Identifier: MIT */
/* How service.c, admin.c and hub.c share a request and its answer. Internal to dps/. */
#ifndef DPS_SERVICE_SERVICE_PARTS_H
#define DPS_SERVICE_SERVICE_PARTS_H

#include "dps/protocol/sas.h"
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

/* How far the clocks of service and client may be apart, seconds. */
#define DPS_CLOCK_SKEW 300

/* Is it the time for this token? grace: seconds that it may be late, besides the skew.
 * Returns DPS_ACCEPTED, _TOKEN_EXPIRED, _TOKEN_LIFETIME. */
enum dps_refusal dps_token_time(const struct dps_service *s, const struct dps_sas *token, uint64_t grace);

/* The hub's device key: HMAC of the service secret [spec-notes.md, "The store holds no secret"].
 * Returns false if the epoch's secret is no longer configured. */
bool dps_hub_key(const struct dps_service *s, const struct dps_registration *r, uint8_t key[DPS_KEY_SIZE]);

/* May this request be served? Nothing is charged unless all limits admit it: the client's, the device's from this
 * client, the device's, that of all.
 *   id     registrationId in lower case; empty: the request is about no device
 *   known  the device is counted apart from those who only know its EK_pub and registrationId
 * Returns DPS_ACCEPTED; DPS_REFUSED_RATE, with a's Retry-After; DPS_REFUSED_INTERNAL (no entropy). */
enum dps_refusal dps_ration(struct dps_service *s, enum dps_ration kind, struct bytes id, bool known,
                            struct dps_answer *a);

/* Remember SRK_pub under the registrationId and the client address; and the number-th that is remembered there, from
 * 0. srk has room for DPS_SRK_PUBLIC_MAX bytes. recall returns false if there are not so many. */
void dps_hint_remember(struct dps_service *s, struct bytes id, struct bytes srk);
bool dps_hint_recall(struct dps_service *s, struct bytes id, size_t number, uint8_t *srk, size_t *srk_len);

/* A nonce is good in the time window it was made in, and in the next one. */
#define DPS_WINDOW_SECONDS 300
uint64_t dps_window(const struct dps_service *s);

/* The runs whose challenges may still be answered: this node's first, then what the store knows of. */
#define DPS_RUNS 16
struct dps_runs {
    struct dps_run run[DPS_RUNS];
    size_t count;
};
/* This node's run alone. Returns: DPS_ACCEPTED; DPS_REFUSED_INTERNAL (no entropy). */
enum dps_refusal dps_run_own(struct dps_service *s, struct dps_runs *runs);
/* All of them, through s->record2. Returns: DPS_ACCEPTED, _INTERNAL, _STORE. */
enum dps_refusal dps_runs_load(struct dps_service *s, struct dps_runs *runs);
/* Before this node's first challenge of a time window: write into the store that it gives some. Uses s->record2; sets
 * a->wrote if it wrote. Returns as above. */
enum dps_refusal dps_run_announce(struct dps_service *s, const struct dps_run *own, struct dps_answer *a);

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

/* A limit as text, for what tells it to the client. */
#define DPS_LIMIT_TEXT(limit) DPS_LIMIT_TEXT_OF(limit)
#define DPS_LIMIT_TEXT_OF(number) #number

/* Set a->detail to a constant text. */
void dps_answer_detail(struct dps_answer *a, const char *detail);

#endif
