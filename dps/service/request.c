/* SPDX-License-Identifier: MIT */
/* A request taken apart, sent to whom it concerns, and its answer put into words. */
#include "dps/protocol/json.h"
#include "dps/protocol/registration_id.h"
#include "dps/protocol/text.h"
#include "dps/service/service_parts.h"
#include <string.h>

/* ---- Reading ------------------------------------------------------------------------------------------- */

/* A header that may be absent; a doubled or an empty one is refused: an empty If-Match must not pass for none. */
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

/* Take it apart. Returns DPS_ACCEPTED or why not. */
static enum dps_refusal read_request(const struct dps_http *http, const uint8_t *buffer,
                                     struct dps_request *q)
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

/* Versions are dates; what we use has been the same in all since 2017-11-15. A known form is enough, so that tomorrow's
 * client is served as well. */
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

/* ---- Tokens -------------------------------------------------------------------------------------------- */

enum dps_refusal dps_token_time(const struct dps_service *s, const struct dps_sas *token, uint64_t grace)
{
    const uint64_t lifetime = s->config->token_lifetime_max;
    if (token->expiry + DPS_CLOCK_SKEW + grace < s->now) {
        return DPS_REFUSED_TOKEN_EXPIRED;
    }
    return lifetime != 0 && token->expiry > s->now + lifetime + DPS_CLOCK_SKEW ? DPS_REFUSED_TOKEN_LIFETIME
                                                                               : DPS_ACCEPTED;
}

/* ---- Records ------------------------------------------------------------------------------------------- */

enum dps_refusal dps_load_enrollment(struct dps_service *s, struct bytes registration_id,
                                     struct dps_enrollment *e, uint64_t *version)
{
    uint8_t key[DPS_REGISTRATION_ID_MAX];
    size_t key_len;
    size_t len;
    const char *detail;
    if (dps_registration_id_lower(registration_id, key, &key_len) != 0) {
        return DPS_REFUSED_REGISTRATION_ID;
    }
    const int error = s->store.get(s->store.context, DPS_TABLE_ENROLLMENTS, bytes_of(key, key_len), s->record,
                                   sizeof s->record, &len, version);
    if (error != 0) {
        return error == BYTES_E_NOT_FOUND ? DPS_REFUSED_UNKNOWN : DPS_REFUSED_STORE;
    }
    return dps_enrollment_parse(bytes_of(s->record, len), e, &detail) == DPS_ACCEPTED ? DPS_ACCEPTED
                                                                                      : DPS_REFUSED_INTERNAL;
}

enum dps_refusal dps_load_registration(struct dps_service *s, struct bytes registration_id,
                                       struct dps_registration *r, uint64_t *version)
{
    size_t len;
    const int error = s->store.get(s->store.context, DPS_TABLE_REGISTRATIONS, registration_id, s->record2,
                                   sizeof s->record2, &len, version);
    if (error == BYTES_E_NOT_FOUND) {
        memset(r, 0, sizeof *r);
        *version = 0;
        return DPS_ACCEPTED;
    }
    if (error != 0) {
        return DPS_REFUSED_STORE;
    }
    return dps_registration_parse(bytes_of(s->record2, len), r) == 0 ? DPS_ACCEPTED : DPS_REFUSED_INTERNAL;
}

/* ---- Answering ----------------------------------------------------------------------------------------- */

void dps_answer_detail(struct dps_answer *a, const char *detail)
{
    size_t len = strlen(detail);
    len = len < sizeof a->detail ? len : sizeof a->detail - 1;
    memcpy(a->detail, detail, len);
    a->detail[len] = '\0';
}

/* [DPS "ProvisioningServiceErrorDetails"] */
static void write_error(struct dps_service *s, struct dps_answer *a, const struct dps_refusal_text *text)
{
    struct bytes_writer *w = &a->body;
    w->len = 0;
    w->error = 0;
    dps_write_text(w, "{\"errorCode\":");
    dps_write_decimal(w, text->code);
    dps_write_text(w, ",\"trackingId\":\"");
    bytes_write_bytes(w, bytes_of(a->tracking_id, sizeof a->tracking_id));
    dps_write_text(w, "\",\"message\":");
    dps_write_json_string(w, bytes_of_text(text->message));
    if (a->detail[0] != '\0') {
        dps_write_text(w, ",\"info\":{\"detail\":");
        dps_write_json_string(w, bytes_of_text(a->detail));
        dps_write_text(w, "}");
    }
    dps_write_text(w, ",\"timestampUtc\":\"");
    dps_write_time(w, s->now);
    dps_write_text(w, "\"}");
}

/* Make the answer a refusal: status, codes, error JSON. */
static void refuse(struct dps_service *s, struct dps_answer *a, enum dps_refusal why)
{
    const struct dps_refusal_text *text = dps_refusal_text(why);
    a->refusal = why;
    a->status = text->status;
    a->error_code = text->code;
    a->wrote = false;
    a->content_type = NULL;
    a->item_type = NULL;
    a->etag_header.len = 0;
    a->continuation_len = 0;
    if (why == DPS_REFUSED_STORE) {
        a->has_retry_after = true;
        a->retry_after = 5;
    } else if (why != DPS_REFUSED_RATE) {
        a->has_retry_after = false;
    }
    write_error(s, a, text);
}

/* Whose request is it? The three interfaces have disjoint paths: /enrollments..., /registrations..., /devices/..., and
 * /{idScope}/registrations/... */
static enum dps_refusal route(struct dps_service *s, const struct dps_request *q, struct dps_answer *a)
{
    const struct bytes first = q->segment_count > 0 ? q->segments[0] : bytes_of(NULL, 0);
    if (dps_text_equal_nocase(first, bytes_of_text("enrollments")) ||
        dps_text_equal_nocase(first, bytes_of_text("enrollmentGroups")) ||
        dps_text_equal_nocase(first, bytes_of_text("registrations"))) {
        return dps_admin_api(s, q, a);
    }
    if (dps_text_equal_nocase(first, bytes_of_text("devices"))) {
        return dps_hub_api(s, q, a);
    }
    if (q->segment_count >= 3 && dps_text_equal_nocase(q->segments[1], bytes_of_text("registrations"))) {
        return dps_device_api(s, q, a);
    }
    return DPS_REFUSED_ROUTE;
}

static void begin_answer(struct dps_service *s, uint8_t *body_buffer, size_t body_capacity,
                         struct dps_answer *a)
{
    uint8_t random[16];
    struct bytes_writer id = bytes_writer_over(a->tracking_id, sizeof a->tracking_id);
    memset(a, 0, sizeof *a);
    a->body = bytes_writer_over(body_buffer, body_capacity);
    if (s->entropy.fill(s->entropy.context, random, sizeof random) != 0) {
        memset(random, 0, sizeof random); /* a name for the log, not a secret */
    }
    dps_write_guid(&id, random);
}

void dps_service_answer(struct dps_service *s, const struct dps_http *http, const uint8_t *buffer,
                        uint8_t *body_buffer, size_t body_capacity, struct dps_answer *a)
{
    struct dps_request q;
    begin_answer(s, body_buffer, body_capacity, a);
    enum dps_refusal no = read_request(http, buffer, &q);
    if (no == DPS_ACCEPTED && s->store.mark(s->store.context) != 0) {
        no = DPS_REFUSED_STORE;
    }
    if (no == DPS_ACCEPTED) {
        no = route(s, &q, a);
        if (no == DPS_ACCEPTED && a->body.error != 0) {
            no = DPS_REFUSED_INTERNAL;
        }
        if (no != DPS_ACCEPTED) {
            s->store.undo(s->store.context); /* who is refused has written nothing */
        }
    }
    if (no != DPS_ACCEPTED) {
        refuse(s, a, no);
    }
}

void dps_service_answer_unreadable(struct dps_service *s, int error, uint8_t *body_buffer,
                                   size_t body_capacity, struct dps_answer *a)
{
    begin_answer(s, body_buffer, body_capacity, a);
    if (error == BYTES_E_LIMIT) {
        dps_answer_detail(
            a, "a request may have " DPS_LIMIT_TEXT(DPS_HTTP_HEAD_MAX) " bytes of head and " DPS_LIMIT_TEXT(
                   DPS_HTTP_BODY_MAX) " of body");
    }
    refuse(s, a, error == BYTES_E_LIMIT ? DPS_REFUSED_TOO_LARGE : DPS_REFUSED_REQUEST);
}

void dps_service_uncommitted(struct dps_service *s, struct dps_answer *a)
{
    memset(&s->announced, 0, sizeof s->announced);
    refuse(s, a, DPS_REFUSED_STORE);
}

static void write_header(struct bytes_writer *w, const char *name, struct bytes value)
{
    dps_write_text(w, name);
    dps_write_text(w, ": ");
    bytes_write_bytes(w, value);
    dps_write_text(w, "\r\n");
}

static void write_number_header(struct bytes_writer *w, const char *name, uint64_t value)
{
    dps_write_text(w, name);
    dps_write_text(w, ": ");
    dps_write_decimal(w, value);
    dps_write_text(w, "\r\n");
}

void dps_answer_write_head(struct bytes_writer *w, const struct dps_answer *a, uint64_t now, bool keep_alive)
{
    dps_write_text(w, "HTTP/1.1 ");
    dps_write_decimal(w, a->status);
    dps_write_text(w, " ");
    dps_write_text(w, dps_http_reason(a->status));
    dps_write_text(w, "\r\nDate: ");
    dps_write_http_date(w, now);
    dps_write_text(w, "\r\n");
    if (a->status != 204) {
        write_header(
            w, "Content-Type",
            bytes_of_text(a->content_type != NULL ? a->content_type : "application/json; charset=utf-8"));
        write_number_header(w, "Content-Length", a->body.len);
    }
    if (a->tracking_id[0] != 0) {
        write_header(w, "x-ms-request-id", bytes_of(a->tracking_id, sizeof a->tracking_id));
    }
    if (a->error_code != 0) {
        write_number_header(w, "x-ms-error-code", a->error_code);
    }
    if (a->has_retry_after) {
        write_number_header(w, "Retry-After", a->retry_after);
    }
    if (a->etag_header.len > 0) {
        write_header(w, "ETag", a->etag_header);
    }
    if (a->item_type != NULL) {
        write_header(w, "x-ms-item-type", bytes_of_text(a->item_type));
    }
    if (a->continuation_len > 0) {
        write_header(w, "x-ms-continuation", bytes_of(a->continuation, a->continuation_len));
    }
    dps_write_text(w, keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n");
}

int dps_service_init(struct dps_service *s, const struct dps_service_config *config,
                     const struct dps_store *store, const struct crypto_entropy *entropy)
{
    if (!dps_host_valid(bytes_of_text(config->host)) || config->id_scope[0] == '\0' ||
        config->hub_count == 0 || config->hub_count > DPS_HUBS_MAX || config->secret_count == 0 ||
        config->secret_count > DPS_SECRETS_MAX) {
        return BYTES_E_USAGE;
    }
    memset(s, 0, sizeof *s);
    s->config = config;
    s->store = *store;
    s->entropy = *entropy;
    return 0;
}
