/* SPDX-License-Identifier: MIT */
/* A request, taken apart once. */
#ifndef DPS_SERVICE_REQUEST_H
#define DPS_SERVICE_REQUEST_H

#include "dps/protocol/http.h"
#include "dps/protocol/sas.h"
#include "dps/service/state.h"

#define DPS_SEGMENTS_MAX 6

/* Segments are percent-decoded into text. */
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
    bool proves_only; /* of a registration: check the token, assign nothing */
    uint8_t text[1024];
};

/* Take a complete request apart (http.phase done, in buffer, which q views). Returns DPS_ACCEPTED; _REQUEST, _ROUTE. */
enum dps_refusal dps_request_read(const struct dps_http *http, const uint8_t *buffer, struct dps_request *q);

/* Is that its method? Methods are case-sensitive. */
bool dps_request_is(const struct dps_request *q, const char *method);
/* Is the api-version one that we speak? */
enum dps_refusal dps_request_version(const struct dps_request *q);

/* How far the clocks of service and client may be apart, seconds. */
#define DPS_CLOCK_SKEW 300

/* Is this token in time? grace: seconds that it may be late, besides the skew.
 * Returns DPS_ACCEPTED, _TOKEN_EXPIRED, _TOKEN_LIFETIME. */
enum dps_refusal dps_token_time(const struct dps_service *s, const struct dps_sas *token, uint64_t grace);

#endif
