/* SPDX-License-Identifier: MIT */
#include "dps/service/request.h"
#include "dps/protocol/http_message.h"
#include "dps/protocol/sas.h"
#include "dps/protocol/text.h"
#include "dps/service/state.h"
#include <string.h>

/* A header that may be absent; a doubled or empty one is refused: an empty If-Match must not count as absent. */
static bool take_header(const struct dps_http *http, const uint8_t *buffer, const char *name,
                        struct bytes *value)
{
    const int error = dps_http_header(http, buffer, name, value);
    return error == BYTES_E_NOT_FOUND || (error == 0 && value->len > 0);
}

/* Split the path and decode each part: an encoded slash stays inside its part. Trailing and doubled slashes count for
 * nothing. */
static enum dps_refusal read_segments(struct dps_request *q)
{
    struct bytes rest = dps_http_path(q->target);
    size_t used = 0;
    while (rest.len > 0) {
        struct bytes segment;
        size_t len;
        rest = dps_split(rest, '/', &segment);
        if (segment.len == 0) {
            continue;
        }
        if (q->segment_count == DPS_SEGMENTS_MAX) {
            return DPS_REFUSED_ROUTE;
        }
        if (dps_percent_decode(segment, false, q->text + used, sizeof q->text - used, &len) != 0) {
            return DPS_REFUSED_REQUEST;
        }
        q->segments[q->segment_count++] = bytes_of(q->text + used, len);
        used += len;
    }
    return DPS_ACCEPTED;
}

enum dps_refusal dps_request_read(const struct dps_http *http, const uint8_t *buffer, struct dps_request *q)
{
    memset(q, 0, sizeof *q);
    q->method = dps_http_method(http, buffer);
    q->target = dps_http_target(http, buffer);
    q->body = dps_http_body(http, buffer);
    const bool headers = take_header(http, buffer, "Authorization", &q->authorization) &&
                         take_header(http, buffer, "If-Match", &q->if_match) &&
                         take_header(http, buffer, "Host", &q->host) &&
                         take_header(http, buffer, "x-ms-max-item-count", &q->max_items) &&
                         take_header(http, buffer, "x-ms-continuation", &q->continuation);
    return headers ? read_segments(q) : DPS_REFUSED_REQUEST;
}

bool dps_request_is(const struct dps_request *q, const char *method)
{
    return bytes_equal_public(q->method, bytes_of_text(method));
}

/* Versions are dates; what we use is the same in all of them since 2017-11-15. The form of a version is enough, so that
 * future clients are served too. */
enum dps_refusal dps_request_version(const struct dps_request *q)
{
    struct bytes version;
    if (dps_http_query(q->target, "api-version", &version) != 0 || version.len < 10) {
        return DPS_REFUSED_API_VERSION;
    }
    for (size_t i = 0; i < 10; i++) {
        const bool dash = i == 4 || i == 7;
        const bool digit = version.p[i] >= '0' && version.p[i] <= '9';
        if (dash ? version.p[i] != '-' : !digit) {
            return DPS_REFUSED_API_VERSION;
        }
    }
    const bool old = memcmp(version.p, "2017-11-15", 10) < 0;
    const bool plain = version.len == 10 || dps_text_equal_nocase(bytes_of(version.p + 10, version.len - 10),
                                                                  bytes_of_text("-preview"));
    return old || !plain ? DPS_REFUSED_API_VERSION : DPS_ACCEPTED;
}

enum dps_refusal dps_token_time(const struct dps_service *s, const struct dps_sas *token, uint64_t grace)
{
    const uint64_t lifetime = s->config->token_lifetime_max;
    if (token->expiry + DPS_CLOCK_SKEW + grace < s->now) {
        return DPS_REFUSED_TOKEN_EXPIRED;
    }
    return lifetime != 0 && token->expiry > s->now + lifetime + DPS_CLOCK_SKEW ? DPS_REFUSED_TOKEN_LIFETIME
                                                                               : DPS_ACCEPTED;
}
