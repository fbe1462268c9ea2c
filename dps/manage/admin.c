/* SPDX-License-Identifier: MIT */
/* The management API: step 2, in which a vendor enrolls EK_pub under a registrationId, and what belongs to
 * it. */
#include "dps/manage/admin.h"
#include "dps/manage/admin_answer.h"
#include "dps/manage/admin_auth.h"
#include "dps/manage/admin_bulk.h"
#include "dps/manage/admin_enrollment.h"
#include "dps/manage/admin_message.h"
#include "dps/manage/admin_query.h"
#include "dps/protocol/json.h"
#include "dps/protocol/registration_id.h"
#include "dps/protocol/text.h"
#include "dps/service/answer.h"
#include "dps/service/memory.h"
#include "dps/service/messages.h"
#include "dps/service/records.h"
#include "dps/service/registration.h"
#include "dps/service/request.h"
#include "dps/service/state.h"
#include <string.h>

/* The store's key of what a request is about. */
struct key {
    uint8_t text[DPS_REGISTRATION_ID_MAX];
    size_t len;
};

static struct bytes key_span(const struct key *key)
{
    return bytes_of(key->text, key->len);
}

static enum dps_refusal read_key(const struct dps_request *q, struct key *key, struct dps_answer *a)
{
    if (dps_registration_id_lower(q->segments[1], key->text, &key->len) != 0) {
        return dps_admin_refuse(a, DPS_REFUSED_REGISTRATION_ID, "the one in the path is malformed");
    }
    dps_admin_subject(a, key_span(key));
    return DPS_ACCEPTED;
}

static void set_etag_header(struct dps_answer *a, uint64_t version)
{
    struct bytes_writer w = bytes_writer_over(a->etag_text, sizeof a->etag_text);
    dps_etag_write(&w, version);
    a->etag_header = bytes_written(&w);
}

/* ---- Enrollments -------------------------------------------------------------------------------------- */

/* The answer to GET and to PUT: the enrollment as it is stored now. */
static enum dps_refusal answer_enrollment(struct dps_service *s, const struct key *key, struct dps_answer *a)
{
    struct bytes record;
    uint64_t version = 0;
    enum dps_refusal why = dps_admin_load(s, key_span(key), &record, &version);
    if (why == DPS_ACCEPTED) {
        why = dps_admin_write_enrollment(s, &a->body, key_span(key), record, version);
    }
    if (why != DPS_ACCEPTED) {
        return why;
    }
    set_etag_header(a, version);
    a->status = 200;
    return DPS_ACCEPTED;
}

static enum dps_refusal get_enrollment(struct dps_service *s, const struct dps_request *q,
                                       struct dps_answer *a)
{
    struct key key;
    const enum dps_refusal why = read_key(q, &key, a);
    return why == DPS_ACCEPTED ? answer_enrollment(s, &key, a) : why;
}

/* Step 2: EK_pub is enrolled under its registrationId. */
static enum dps_refusal put_enrollment(struct dps_service *s, const struct dps_request *q,
                                       struct dps_answer *a)
{
    struct key key;
    struct bytes json;
    enum dps_refusal why = read_key(q, &key, a);
    if (why != DPS_ACCEPTED) {
        return why;
    }
    if (dps_json_check(q->body, &json) != 0) {
        return DPS_REFUSED_BODY;
    }
    why = dps_admin_put(s, key_span(&key), json, q->if_match, a);
    return why == DPS_ACCEPTED ? answer_enrollment(s, &key, a) : why;
}

/* The registration stays, but its device can neither register again nor use its hub. */
static enum dps_refusal delete_enrollment(struct dps_service *s, const struct dps_request *q,
                                          struct dps_answer *a)
{
    struct key key;
    enum dps_refusal why = read_key(q, &key, a);
    if (why == DPS_ACCEPTED) {
        why = dps_admin_remove(s, key_span(&key), q->if_match, a);
    }
    a->status = 204;
    return why;
}

static enum dps_refusal get_attestation(struct dps_service *s, const struct dps_request *q,
                                        struct dps_answer *a)
{
    struct key key;
    struct bytes record;
    struct bytes object;
    struct bytes attestation;
    uint64_t version;
    enum dps_refusal why = read_key(q, &key, a);
    if (why == DPS_ACCEPTED) {
        why = dps_admin_load(s, key_span(&key), &record, &version);
    }
    if (why != DPS_ACCEPTED) {
        return why;
    }
    if (dps_json_check(record, &object) != 0 || dps_json_member(object, "attestation", &attestation) != 0) {
        return DPS_REFUSED_INTERNAL;
    }
    bytes_write_bytes(&a->body, attestation);
    a->status = 200;
    return DPS_ACCEPTED;
}

/* ---- Registrations ------------------------------------------------------------------------------------ */

static const char no_registration[] = "there is no registration with this registrationId";

static enum dps_refusal load_registration(struct dps_service *s, const struct dps_request *q, struct key *key,
                                          struct dps_registration *r, uint64_t *version, struct dps_answer *a)
{
    enum dps_refusal why = read_key(q, key, a);
    if (why == DPS_ACCEPTED) {
        why = dps_load_registration(s, key_span(key), r, version);
    }
    if (why == DPS_ACCEPTED && (*version == 0 || r->deleted)) {
        why = dps_admin_refuse(a, DPS_REFUSED_UNKNOWN, no_registration);
    }
    return why;
}

static enum dps_refusal get_registration(struct dps_service *s, const struct dps_request *q,
                                         struct dps_answer *a)
{
    struct key key;
    struct dps_registration registration;
    uint64_t version = 0;
    enum dps_refusal why = load_registration(s, q, &key, &registration, &version, a);
    if (why != DPS_ACCEPTED) {
        return why;
    }
    dps_write_text(&a->body, "{");
    dps_registration_write_state(&a->body, &registration, version);
    dps_write_text(&a->body, "}");
    set_etag_header(a, version);
    a->status = 200;
    return DPS_ACCEPTED;
}

/* The generation stays: if it began anew, old nonces and hub keys would become valid again. */
static enum dps_refusal delete_registration(struct dps_service *s, const struct dps_request *q,
                                            struct dps_answer *a)
{
    struct key key;
    struct dps_registration registration;
    struct bytes_writer w = bytes_writer_over(s->draft, sizeof s->draft);
    uint64_t version = 0;
    bool any;
    enum dps_refusal why = load_registration(s, q, &key, &registration, &version, a);
    if (why == DPS_ACCEPTED && q->if_match.len > 0 && !dps_etag_matches(q->if_match, version, &any)) {
        why = DPS_REFUSED_ETAG;
    }
    if (why != DPS_ACCEPTED) {
        return why;
    }
    registration.deleted = true;
    dps_registration_write(&w, &registration);
    why = dps_admin_store_refusal(s->store.put(s->store.context, DPS_TABLE_REGISTRATIONS, key_span(&key),
                                               bytes_written(&w), version, &version));
#if DPS_WITH_MQTT
    if (why == DPS_ACCEPTED) {
        why = dps_messages_clear(s, key_span(&key));
    }
#endif
    a->wrote = why == DPS_ACCEPTED;
    a->status = 204;
    return why;
}

static const char no_groups[] =
    "enrollment groups are for certificates and symmetric keys: this service attests by TPM, "
    "with one enrollment for each device";

/* No enrollment group can exist here, and so no registrations of one, which the API also asks for by group. */
static enum dps_refusal refuse_group(struct dps_service *s, const struct dps_request *q, struct dps_answer *a)
{
    (void)s;
    (void)q;
    return dps_admin_refuse(a, DPS_REFUSED_ATTESTATION, no_groups);
}

/* Whoever lists the groups, as management tools do, learns that there are none. */
static enum dps_refusal query_groups(struct dps_service *s, const struct dps_request *q, struct dps_answer *a)
{
    struct bytes object;
    (void)s;
    if (dps_json_check(q->body, &object) != 0 || dps_json_kind(object) != DPS_JSON_OBJECT) {
        return DPS_REFUSED_BODY;
    }
    dps_write_text(&a->body, "[]");
    a->status = 200;
    a->item_type = "EnrollmentGroup";
    return DPS_ACCEPTED;
}

/* ---- Routes ------------------------------------------------------------------------------------------- */

#define ANY '*'
#define ID "*" /* any segment */

static const struct route {
    char method[8];
    char path[4][24];
    uint8_t right;
    enum dps_refusal (*answer)(struct dps_service *s, const struct dps_request *q, struct dps_answer *a);
} routes[] = {
    {"PUT", {"enrollments", ID}, DPS_RIGHT_ENROLLMENT_WRITE, put_enrollment},
    {"GET", {"enrollments", ID}, DPS_RIGHT_ENROLLMENT_READ, get_enrollment},
    {"DELETE", {"enrollments", ID}, DPS_RIGHT_ENROLLMENT_WRITE, delete_enrollment},
    {"POST", {"enrollments", "query"}, DPS_RIGHT_ENROLLMENT_READ, dps_admin_query},
    /* It gives away the keys of other kinds of attestation, so it needs the stronger right. */
    {"POST", {"enrollments", ID, "attestationmechanism"}, DPS_RIGHT_ENROLLMENT_WRITE, get_attestation},
    {"POST", {"enrollments"}, DPS_RIGHT_ENROLLMENT_WRITE, dps_admin_bulk},
    {"GET", {"registrations", ID}, DPS_RIGHT_REGISTRATION_READ, get_registration},
    {"DELETE", {"registrations", ID}, DPS_RIGHT_REGISTRATION_WRITE, delete_registration},
#if DPS_WITH_MQTT
    {"POST",
     {"registrations", ID, "messages", "devicebound"},
     DPS_RIGHT_REGISTRATION_WRITE,
     dps_admin_message},
#endif
    {"POST", {"registrations", ID, "query"}, DPS_RIGHT_REGISTRATION_READ, refuse_group},
    {"POST", {"enrollmentGroups", "query"}, DPS_RIGHT_ENROLLMENT_READ, query_groups},
    {"GET", {"enrollmentGroups", ID}, DPS_RIGHT_ENROLLMENT_READ, refuse_group},
    {"PUT", {"enrollmentGroups", ID}, DPS_RIGHT_ENROLLMENT_WRITE, refuse_group},
    {"DELETE", {"enrollmentGroups", ID}, DPS_RIGHT_ENROLLMENT_WRITE, refuse_group},
    {"POST", {"enrollmentGroups"}, DPS_RIGHT_ENROLLMENT_WRITE, refuse_group},
    {"POST", {"enrollmentGroups", ID, "attestationmechanism"}, DPS_RIGHT_ENROLLMENT_WRITE, refuse_group},
};

static bool path_is(const struct dps_request *q, const struct route *route)
{
    for (size_t i = 0; i < 4; i++) {
        const char *expected = route->path[i];
        if (i == q->segment_count) {
            return expected[0] == 0;
        }
        if (expected[0] != ANY && !dps_text_equal_nocase(q->segments[i], bytes_of_text(expected))) {
            return false;
        }
    }
    return q->segment_count == 4;
}

static enum dps_refusal answer(struct dps_service *s, const struct dps_request *q, struct dps_answer *a)
{
    enum dps_refusal why = dps_request_version(q);
    if (why != DPS_ACCEPTED) {
        return why;
    }
    why = DPS_REFUSED_ROUTE;
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (!path_is(q, &routes[i])) {
            continue;
        }
        if (dps_request_is(q, routes[i].method)) {
            why = dps_admin_authorize(s, q, routes[i].right, a);
            if (why == DPS_ACCEPTED) {
                why = dps_ration(s, DPS_RATION_MANAGEMENT, bytes_of(NULL, 0), true, a);
            }
            return why == DPS_ACCEPTED ? routes[i].answer(s, q, a) : why;
        }
        why = DPS_REFUSED_METHOD;
    }
    return why;
}

void dps_manage_init(struct dps_service *s)
{
    s->manage = answer;
}
