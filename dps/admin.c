/* SPDX-License-Identifier: MIT */
/* The management API: step 2, in which a vendor enrolls EK_pub under a registrationId, and what belongs to it. */
#include "dps/admin.h"
#include "dps/json.h"
#include "dps/registration_id.h"
#include "dps/text.h"
#include <string.h>

enum dps_refusal dps_admin_refuse(struct dps_answer *a, enum dps_refusal refusal, const char *detail)
{
    dps_answer_detail(a, detail);
    return refusal;
}

void dps_admin_subject(struct dps_answer *a, struct span id)
{
    size_t len = id.len < sizeof a->registration_id ? id.len : sizeof a->registration_id - 1;
    memcpy(a->registration_id, id.p, len);
    a->registration_id[len] = 0;
}

/* The store's key of what a request is about. */
struct key {
    uint8_t text[DPS_REGISTRATION_ID_MAX];
    size_t len;
};

static struct span key_span(const struct key *key)
{
    return span_of(key->text, key->len);
}

static enum dps_refusal read_key(const struct dps_request *q, struct key *key, struct dps_answer *a)
{
    if (dps_registration_id_lower(q->segments[1], key->text, &key->len) != 0)
        return dps_admin_refuse(a, DPS_REFUSED_REGISTRATION_ID, "the one in the path is malformed");
    dps_admin_subject(a, key_span(key));
    return DPS_ACCEPTED;
}

static enum dps_refusal store_refusal(int error)
{
    switch (error) {
    case 0:
        return DPS_ACCEPTED;
    case DPS_E_NOT_FOUND:
        return DPS_REFUSED_UNKNOWN;
    case DPS_E_CONFLICT:
        return DPS_REFUSED_ETAG;
    case DPS_E_STORE:
        return DPS_REFUSED_STORE;
    default:
        return DPS_REFUSED_INTERNAL;
    }
}

static enum dps_refusal load(struct dps_service *s, enum dps_table table, const struct key *key,
                             struct span *record, uint64_t *version)
{
    size_t len = 0;
    int error =
        s->store.get(s->store.context, table, key_span(key), s->record, sizeof s->record, &len, version);
    *record = span_of(s->record, error == 0 ? len : 0);
    return store_refusal(error);
}

/* The etag in JSON is a string with quotes inside: "\"1a\"". Clients send it back as it is. */
static void write_etag_member(struct tpm2_writer *w, uint64_t version)
{
    uint8_t text[24];
    struct tpm2_writer etag = tpm2_writer_over(text, sizeof text);
    dps_etag_write(&etag, version);
    dps_write_text(w, ",\"etag\":");
    dps_write_json_string(w, tpm2_written(&etag));
}

static void set_etag_header(struct dps_answer *a, uint64_t version)
{
    struct tpm2_writer w = tpm2_writer_over(a->etag_text, sizeof a->etag_text);
    dps_etag_write(&w, version);
    a->etag_header = tpm2_written(&w);
}

enum dps_refusal dps_admin_write_enrollment(struct dps_service *s, struct tpm2_writer *w, struct span id,
                                            struct span record, uint64_t version)
{
    struct dps_registration registration;
    uint64_t registered;
    struct span object, member;
    /* Operators can reach the records by SQL: what is not an enrollment any more must not break the answer's JSON. */
    if (dps_json_check(record, &object) != 0 || dps_json_member(object, "registrationId", &member) != 0)
        return DPS_REFUSED_INTERNAL;
    tpm2_write_bytes(w, span_of(object.p, object.len - 1));
    write_etag_member(w, version);
    enum dps_refusal why = dps_load_registration(s, id, &registration, &registered);
    if (why != DPS_ACCEPTED)
        return why;
    if (registered != 0 && !registration.deleted) {
        dps_write_text(w, ",\"registrationState\":{");
        dps_registration_write_state(w, &registration, registered);
        dps_write_text(w, "}");
    }
    dps_write_text(w, "}");
    return DPS_ACCEPTED;
}

/* The answer to GET and to PUT: the enrollment as it is stored now. */
static enum dps_refusal answer_enrollment(struct dps_service *s, const struct key *key, struct dps_answer *a)
{
    struct span record;
    uint64_t version = 0;
    enum dps_refusal why = load(s, DPS_TABLE_ENROLLMENTS, key, &record, &version);
    if (why == DPS_ACCEPTED)
        why = dps_admin_write_enrollment(s, &a->body, key_span(key), record, version);
    if (why != DPS_ACCEPTED)
        return why;
    set_etag_header(a, version);
    a->status = 200;
    return DPS_ACCEPTED;
}

static enum dps_refusal get_enrollment(struct dps_service *s, const struct dps_request *q,
                                       struct dps_answer *a)
{
    struct key key;
    enum dps_refusal why = read_key(q, &key, a);
    return why == DPS_ACCEPTED ? answer_enrollment(s, &key, a) : why;
}

/* Members of an enrollment that are kept as they were given. Others are dropped without a word: clients send back what they
 * have read, read-only members included. */
static const struct {
    char name[28];
    char not_an_object[52]; /* what to answer if it is none; empty: dps_enrollment_parse has judged it */
} kept_members[] = {
    {"deviceId", ""},
    {"iotHubHostName", ""},
    {"iotHubs", ""},
    {"allocationPolicy", ""},
    {"reprovisionPolicy", ""},
    {"initialTwin", ""},
    {"payload", ""},
    {"capabilities", "capabilities must be one object"},
    {"optionalDeviceInformation", "optionalDeviceInformation must be one object"},
};

/* A member that is absent or null is not kept. */
static enum dps_refusal write_kept_members(struct tpm2_writer *w, struct span json, struct dps_answer *a)
{
    for (size_t i = 0; i < sizeof kept_members / sizeof kept_members[0]; i++) {
        struct span value;
        int error = dps_json_member(json, kept_members[i].name, &value);
        enum dps_json_kind kind = dps_json_kind(value);
        if (error == DPS_E_NOT_FOUND || kind == DPS_JSON_NULL)
            continue;
        if (error != 0 || (kind != DPS_JSON_OBJECT && kept_members[i].not_an_object[0] != 0))
            return dps_admin_refuse(a, DPS_REFUSED_ENROLLMENT, kept_members[i].not_an_object);
        dps_write_text(w, ",\"");
        dps_write_text(w, kept_members[i].name);
        dps_write_text(w, "\":");
        tpm2_write_bytes(w, value);
    }
    return DPS_ACCEPTED;
}

/* An enrolled SRK is shown again and otherwise not used: the owner may change it, and step 5 looks at the one that the
 * device presents. */
static enum dps_refusal write_srk(struct tpm2_writer *w, struct span tpm)
{
    struct span srk;
    uint8_t text[(DPS_SRK_PUBLIC_MAX + 2) / 3 * 4];
    uint8_t bytes[DPS_SRK_PUBLIC_MAX];
    struct tpm2_public area;
    size_t len;
    int error = dps_json_member(tpm, "storageRootKey", &srk);
    if (error == DPS_E_NOT_FOUND || dps_json_kind(srk) == DPS_JSON_NULL || dps_json_string_is(srk, ""))
        return DPS_ACCEPTED;
    if (error != 0 || dps_json_string(srk, text, sizeof text, &len) != 0 ||
        dps_base64_decode(span_of(text, len), bytes, sizeof bytes, &len) != 0 ||
        tpm2_public_parse_2b(span_of(bytes, len), &area) != 0)
        return DPS_REFUSED_SRK_FORM;
    dps_write_text(w, ",\"storageRootKey\":\"");
    dps_write_base64(w, span_of(bytes, len));
    dps_write_text(w, "\"");
    return DPS_ACCEPTED;
}

static enum dps_refusal write_attestation(struct tpm2_writer *w, struct span json,
                                          const struct dps_enrollment *e)
{
    struct span attestation, tpm;
    if (dps_json_member(json, "attestation", &attestation) != 0 ||
        dps_json_member(attestation, "tpm", &tpm) != 0)
        return DPS_REFUSED_INTERNAL; /* dps_enrollment_parse has seen both */
    dps_write_text(w, ",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"");
    dps_write_base64(w, span_of(e->ek, e->ek_len));
    dps_write_text(w, "\"");
    enum dps_refusal why = write_srk(w, tpm);
    dps_write_text(w, "}}");
    return why;
}

/* old is the record that is replaced, or empty. */
static void write_times(struct tpm2_writer *w, struct span old, uint64_t now)
{
    struct span object, created;
    uint8_t text[40];
    struct tpm2_writer time = tpm2_writer_over(text, sizeof text);
    dps_write_text(&time, "\"");
    dps_write_time(&time, now);
    dps_write_text(&time, "\"");
    if (dps_json_check(old, &object) != 0 || dps_json_member(object, "createdDateTimeUtc", &created) != 0 ||
        dps_json_kind(created) != DPS_JSON_STRING)
        created = tpm2_written(&time);
    dps_write_text(w, ",\"createdDateTimeUtc\":");
    tpm2_write_bytes(w, created);
    dps_write_text(w, ",\"lastUpdatedDateTimeUtc\":");
    tpm2_write_bytes(w, tpm2_written(&time));
}

/* The record: the API's own JSON, in one order and with one spelling of the key, so that it can be compared. */
static enum dps_refusal write_record(struct tpm2_writer *w, const struct key *key, struct span json,
                                     const struct dps_enrollment *e, struct dps_answer *a)
{
    dps_write_text(w, "{\"registrationId\":");
    dps_write_json_string(w, key_span(key));
    enum dps_refusal why = write_attestation(w, json, e);
    if (why == DPS_ACCEPTED)
        why = write_kept_members(w, json, a);
    dps_write_text(w, ",\"provisioningStatus\":");
    dps_write_text(w, e->enabled ? "\"enabled\"" : "\"disabled\"");
    return why;
}

static enum dps_refusal read_enrollment(const struct dps_request *q, const struct key *key, struct span *json,
                                        struct dps_enrollment *e, struct dps_answer *a)
{
    uint8_t id[DPS_REGISTRATION_ID_MAX];
    size_t len;
    const char *detail = NULL;
    if (dps_json_check(q->body, json) != 0 || dps_json_kind(*json) != DPS_JSON_OBJECT)
        return DPS_REFUSED_BODY;
    enum dps_refusal why = dps_enrollment_parse(*json, e, &detail);
    if (why != DPS_ACCEPTED)
        return detail != NULL ? dps_admin_refuse(a, why, detail) : why;
    if (dps_json_string(e->registration_id, id, sizeof id, &len) != 0 ||
        !dps_text_equal_nocase(span_of(id, len), key_span(key)))
        return dps_admin_refuse(a, DPS_REFUSED_REGISTRATION_ID, "path and body name different ones");
    return DPS_ACCEPTED;
}

/* Without If-Match a PUT only creates and with it only updates, so that nobody replaces unseen what somebody else has
 * enrolled, and "update" never brings back what was deleted meanwhile. version is 0 if there is no enrollment. */
static enum dps_refusal check_precondition(struct span if_match, uint64_t version)
{
    bool any;
    if (if_match.len == 0)
        return version == 0 ? DPS_ACCEPTED : DPS_REFUSED_EXISTS;
    if (version == 0)
        return DPS_REFUSED_UNKNOWN;
    return dps_etag_matches(if_match, version, &any) ? DPS_ACCEPTED : DPS_REFUSED_ETAG;
}

/* Replace the record of the given version. Who comes too late is refused as if it had come in order. */
static enum dps_refusal store_enrollment(struct dps_service *s, const struct key *key,
                                         const struct tpm2_writer *w, uint64_t version, struct dps_answer *a)
{
    if (w->error != 0)
        return dps_admin_refuse(a, DPS_REFUSED_TOO_LARGE, "the enrollment is larger than a record may be");
    int error = s->store.put(s->store.context, DPS_TABLE_ENROLLMENTS, key_span(key), tpm2_written(w), version,
                             &version);
    if (error == DPS_E_CONFLICT && version == 0)
        return DPS_REFUSED_EXISTS;
    a->wrote = error == 0;
    return store_refusal(error);
}

/* Step 2: EK_pub is enrolled under its registrationId. */
static enum dps_refusal put_enrollment(struct dps_service *s, const struct dps_request *q,
                                       struct dps_answer *a)
{
    struct key key;
    struct dps_enrollment e;
    struct span json, old;
    uint64_t version = 0;
    enum dps_refusal why = read_key(q, &key, a);
    if (why == DPS_ACCEPTED)
        why = read_enrollment(q, &key, &json, &e, a);
    if (why != DPS_ACCEPTED)
        return why;
    why = load(s, DPS_TABLE_ENROLLMENTS, &key, &old, &version);
    if (why == DPS_ACCEPTED || why == DPS_REFUSED_UNKNOWN)
        why = check_precondition(q->if_match, version);
    if (why != DPS_ACCEPTED)
        return why;
    struct tpm2_writer w = tpm2_writer_over(s->record2, sizeof s->record2);
    why = write_record(&w, &key, json, &e, a);
    write_times(&w, old, s->now);
    dps_write_text(&w, "}");
    if (why == DPS_ACCEPTED)
        why = store_enrollment(s, &key, &w, version, a);
    return why == DPS_ACCEPTED ? answer_enrollment(s, &key, a) : why;
}

/* The registration stays, and with it the device at its hub: only registering again is over. */
static enum dps_refusal delete_enrollment(struct dps_service *s, const struct dps_request *q,
                                          struct dps_answer *a)
{
    struct key key;
    struct span record;
    uint64_t version = 0;
    bool any = true;
    enum dps_refusal why = read_key(q, &key, a);
    /* Without If-Match any record goes, even a damaged one: it is how an operator gets rid of it. */
    if (why == DPS_ACCEPTED && q->if_match.len > 0) {
        why = load(s, DPS_TABLE_ENROLLMENTS, &key, &record, &version);
        if (why == DPS_ACCEPTED && !dps_etag_matches(q->if_match, version, &any))
            why = DPS_REFUSED_ETAG;
    }
    if (why == DPS_ACCEPTED)
        why = store_refusal(
            s->store.remove(s->store.context, DPS_TABLE_ENROLLMENTS, key_span(&key), any ? 0 : version));
    if (why != DPS_ACCEPTED)
        return why;
    a->wrote = true;
    a->status = 204;
    return DPS_ACCEPTED;
}

static enum dps_refusal get_attestation(struct dps_service *s, const struct dps_request *q,
                                        struct dps_answer *a)
{
    struct key key;
    struct span record, object, attestation;
    uint64_t version;
    enum dps_refusal why = read_key(q, &key, a);
    if (why == DPS_ACCEPTED)
        why = load(s, DPS_TABLE_ENROLLMENTS, &key, &record, &version);
    if (why != DPS_ACCEPTED)
        return why;
    if (dps_json_check(record, &object) != 0 || dps_json_member(object, "attestation", &attestation) != 0)
        return DPS_REFUSED_INTERNAL;
    tpm2_write_bytes(&a->body, attestation);
    a->status = 200;
    return DPS_ACCEPTED;
}

static enum dps_refusal refuse_bulk(struct dps_service *s, const struct dps_request *q, struct dps_answer *a)
{
    (void)s, (void)q;
    return dps_admin_refuse(a, DPS_REFUSED_ROUTE,
                            "bulk operations are not offered: PUT or DELETE one by one");
}

static const char no_registration[] = "there is no registration with this registrationId";

static enum dps_refusal load_registration(struct dps_service *s, const struct dps_request *q, struct key *key,
                                          struct dps_registration *r, uint64_t *version, struct dps_answer *a)
{
    enum dps_refusal why = read_key(q, key, a);
    if (why == DPS_ACCEPTED)
        why = dps_load_registration(s, key_span(key), r, version);
    if (why == DPS_ACCEPTED && (*version == 0 || r->deleted))
        why = dps_admin_refuse(a, DPS_REFUSED_UNKNOWN, no_registration);
    return why;
}

static enum dps_refusal get_registration(struct dps_service *s, const struct dps_request *q,
                                         struct dps_answer *a)
{
    struct key key;
    struct dps_registration registration;
    uint64_t version = 0;
    enum dps_refusal why = load_registration(s, q, &key, &registration, &version, a);
    if (why != DPS_ACCEPTED)
        return why;
    dps_write_text(&a->body, "{");
    dps_registration_write_state(&a->body, &registration, version);
    dps_write_text(&a->body, "}");
    set_etag_header(a, version);
    a->status = 200;
    return DPS_ACCEPTED;
}

/* What stays is the generation: if it began anew, old nonces and hub keys would come back with it. */
static enum dps_refusal delete_registration(struct dps_service *s, const struct dps_request *q,
                                            struct dps_answer *a)
{
    struct key key;
    struct dps_registration registration;
    struct tpm2_writer w = tpm2_writer_over(s->record2, sizeof s->record2);
    uint64_t version = 0;
    bool any;
    enum dps_refusal why = load_registration(s, q, &key, &registration, &version, a);
    if (why == DPS_ACCEPTED && q->if_match.len > 0 && !dps_etag_matches(q->if_match, version, &any))
        why = DPS_REFUSED_ETAG;
    if (why != DPS_ACCEPTED)
        return why;
    registration.deleted = true;
    dps_registration_write(&w, &registration);
    why = store_refusal(s->store.put(s->store.context, DPS_TABLE_REGISTRATIONS, key_span(&key), tpm2_written(&w),
                                     version, &version));
    a->wrote = why == DPS_ACCEPTED;
    a->status = 204;
    return why;
}

#define ID "*" /* any segment */

static const struct route {
    char method[8];
    char path[3][24];
    uint8_t right;
    enum dps_refusal (*answer)(struct dps_service *s, const struct dps_request *q, struct dps_answer *a);
} routes[] = {
    {"PUT", {"enrollments", ID}, DPS_RIGHT_ENROLLMENT_WRITE, put_enrollment},
    {"GET", {"enrollments", ID}, DPS_RIGHT_ENROLLMENT_READ, get_enrollment},
    {"DELETE", {"enrollments", ID}, DPS_RIGHT_ENROLLMENT_WRITE, delete_enrollment},
    {"POST", {"enrollments", "query"}, DPS_RIGHT_ENROLLMENT_READ, dps_admin_query},
    /* It gives away the keys of other kinds of attestation, so it needs the stronger right. */
    {"POST", {"enrollments", ID, "attestationmechanism"}, DPS_RIGHT_ENROLLMENT_WRITE, get_attestation},
    {"POST", {"enrollments"}, DPS_RIGHT_ENROLLMENT_WRITE, refuse_bulk},
    {"GET", {"registrations", ID}, DPS_RIGHT_REGISTRATION_READ, get_registration},
    {"DELETE", {"registrations", ID}, DPS_RIGHT_REGISTRATION_WRITE, delete_registration},
};

static bool path_is(const struct dps_request *q, const struct route *route)
{
    for (size_t i = 0; i < 3; i++) {
        const char *expected = route->path[i];
        if (i == q->segment_count)
            return expected[0] == 0;
        if (strcmp(expected, ID) != 0 && !dps_text_equal_nocase(q->segments[i], span_of_text(expected)))
            return false;
    }
    return q->segment_count == 3;
}

enum dps_refusal dps_admin_api(struct dps_service *s, const struct dps_request *q, struct dps_answer *a)
{
    if (q->segment_count > 0 && dps_text_equal_nocase(q->segments[0], span_of_text("enrollmentGroups")))
        return dps_admin_refuse(a, DPS_REFUSED_ATTESTATION, "there are no enrollment groups with TPMs");
    enum dps_refusal why = dps_request_version(q);
    if (why != DPS_ACCEPTED)
        return why;
    why = DPS_REFUSED_ROUTE;
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (!path_is(q, &routes[i]))
            continue;
        if (dps_request_is(q, routes[i].method)) {
            why = dps_admin_authorize(s, q, routes[i].right, a);
            return why == DPS_ACCEPTED ? routes[i].answer(s, q, a) : why;
        }
        why = DPS_REFUSED_METHOD;
    }
    return why;
}
