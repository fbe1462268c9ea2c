/* SPDX-License-Identifier: MIT */
/* Step 2 in the store: an enrollment is checked, brought into one canonical form, and written under its
 * preconditions. */
#include "dps/manage/admin_enrollment.h"
#include "dps/manage/admin_answer.h"
#include "dps/protocol/date.h"
#include "dps/protocol/json.h"
#include "dps/protocol/registration_id.h"
#include "dps/protocol/text.h"
#include "dps/service/allocation.h"
#include "dps/service/answer.h"
#include "dps/service/enrollment.h"
#include "dps/service/registration.h"
#include "dps/service/state.h"

/* ---- What dps_enrollment_parse does not check, since no registration needs it ------------------------- */

/* Absent and null are the same. */
static bool is_object_or_absent(struct bytes object, const char *name, struct bytes *value)
{
    const int error = dps_json_member(object, name, value);
    const enum dps_json_kind kind = dps_json_kind(*value);
    return error == BYTES_E_NOT_FOUND || (error == 0 && (kind == DPS_JSON_OBJECT || kind == DPS_JSON_NULL));
}

/* A member that is null counts as absent, whatever its name. */
static bool has_only(struct bytes object, const char *first, const char *second, const char *third)
{
    struct bytes name;
    struct bytes value;
    size_t cursor = 0;
    while (dps_json_next(object, &cursor, &name, &value)) {
        if (!bytes_equal_public(name, bytes_of_text(first)) &&
            !bytes_equal_public(name, bytes_of_text(second)) &&
            !bytes_equal_public(name, bytes_of_text(third)) && dps_json_kind(value) != DPS_JSON_NULL) {
            return false;
        }
    }
    return true;
}

/* A member elsewhere in the twin would be kept and never reach a device, without anybody noticing. */
static bool is_twin(struct bytes twin)
{
    struct bytes tags;
    struct bytes properties;
    struct bytes desired;
    if (!is_object_or_absent(twin, "tags", &tags) || !has_only(twin, "tags", "properties", "properties") ||
        !is_object_or_absent(twin, "properties", &properties)) {
        return false;
    }
    return dps_json_kind(properties) != DPS_JSON_OBJECT ||
           (is_object_or_absent(properties, "desired", &desired) &&
            has_only(properties, "desired", "desired", "desired"));
}

static bool is_object(struct bytes value)
{
    return dps_json_kind(value) == DPS_JSON_OBJECT;
}

static bool is_capabilities(struct bytes value)
{
    struct bytes edge;
    if (!is_object(value) || !has_only(value, "iotEdge", "iotEdge", "iotEdge")) {
        return false;
    }
    const int error = dps_json_member(value, "iotEdge", &edge);
    const enum dps_json_kind kind = dps_json_kind(edge);
    return error == BYTES_E_NOT_FOUND ||
           (error == 0 && (kind == DPS_JSON_TRUE || kind == DPS_JSON_FALSE || kind == DPS_JSON_NULL));
}

static bool is_reprovisioning(struct bytes value)
{
    return is_object(value) &&
           has_only(value, "updateHubAssignment", "migrateDeviceData", "migrateDeviceData");
}

/* ---- The record --------------------------------------------------------------------------------------- */

/* Members of an enrollment that are kept as they were given. */
static const struct {
    const char *name;
    bool (*is_valid)(struct bytes value); /* null: dps_enrollment_parse has judged it */
    const char *wrong;
    const char *(*word)(struct bytes value); /* its one spelling; null: it is kept as it was written */
} kept_members[] = {
    {"deviceId", NULL, "", NULL},
    {"iotHubHostName", NULL, "", NULL},
    {"iotHubs", NULL, "", NULL},
    {"allocationPolicy", NULL, "", dps_allocation_word},
    {"reprovisionPolicy", is_reprovisioning,
     "reprovisionPolicy has the members updateHubAssignment and migrateDeviceData, and no other", NULL},
    {"initialTwin", is_twin,
     "initialTwin must be {\"tags\":{...},\"properties\":{\"desired\":{...}}}, with nothing else beside "
     "them",
     NULL},
    {"payload", NULL, "", NULL},
    {"capabilities", is_capabilities,
     "capabilities must be one object with iotEdge true or false, and nothing else: {\"iotEdge\":false}",
     NULL},
    {"optionalDeviceInformation", is_object, "optionalDeviceInformation must be one object", NULL},
};

/* Members that are read elsewhere, and those that the service writes and clients send back as they have read them. */
static const char *const other_members[] = {
    "registrationId",    "attestation",        "provisioningStatus",     "etag",
    "registrationState", "createdDateTimeUtc", "lastUpdatedDateTimeUtc",
};

static bool is_known_member(struct bytes name)
{
    for (size_t i = 0; i < sizeof kept_members / sizeof kept_members[0]; i++) {
        if (bytes_equal_public(name, bytes_of_text(kept_members[i].name))) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof other_members / sizeof other_members[0]; i++) {
        if (bytes_equal_public(name, bytes_of_text(other_members[i]))) {
            return true;
        }
    }
    return false;
}

/* An unknown member is refused, not dropped: whoever wrote it expects it to work, be it a custom allocation or a
 * misspelt provisioningStatus. */
static enum dps_refusal refuse_unknown_members(struct bytes json, struct dps_answer *a)
{
    struct bytes name;
    struct bytes value;
    size_t cursor = 0;
    while (dps_json_next(json, &cursor, &name, &value)) {
        if (dps_json_kind(value) != DPS_JSON_NULL && !is_known_member(name)) {
            return dps_admin_refuse_named(a, DPS_REFUSED_ENROLLMENT, name,
                                          " is not offered here: leave it out, or send null");
        }
    }
    return DPS_ACCEPTED;
}

/* A member that is absent or null is not kept. */
static enum dps_refusal write_kept_members(struct bytes_writer *w, struct bytes json, struct dps_answer *a)
{
    for (size_t i = 0; i < sizeof kept_members / sizeof kept_members[0]; i++) {
        struct bytes value;
        const int error = dps_json_member(json, kept_members[i].name, &value);
        if (error == BYTES_E_NOT_FOUND || dps_json_kind(value) == DPS_JSON_NULL) {
            continue;
        }
        if (error != 0 || (kept_members[i].is_valid != NULL && !kept_members[i].is_valid(value))) {
            return dps_admin_refuse(a, DPS_REFUSED_ENROLLMENT, kept_members[i].wrong);
        }
        dps_write_text(w, ",\"");
        dps_write_text(w, kept_members[i].name);
        dps_write_text(w, "\":");
        if (kept_members[i].word != NULL) {
            dps_write_json_string(w, bytes_of_text(kept_members[i].word(value)));
        } else {
            bytes_write_bytes(w, value);
        }
    }
    return DPS_ACCEPTED;
}

/* An enrolled SRK is only stored and shown: the owner may change it, and step 5 looks at the one that the device
 * presents. One that step 5 would refuse is a mistake; often it is the EK. */
static enum dps_refusal write_srk(struct bytes_writer *w, struct bytes tpm)
{
    struct bytes srk;
    uint8_t text[(DPS_SRK_PUBLIC_MAX + 2) / 3 * 4];
    uint8_t bytes[DPS_SRK_PUBLIC_MAX];
    struct tpm2_public area;
    size_t len;
    const int error = dps_json_member(tpm, "storageRootKey", &srk);
    if (error == BYTES_E_NOT_FOUND || dps_json_kind(srk) == DPS_JSON_NULL || dps_json_string_is(srk, "")) {
        return DPS_ACCEPTED;
    }
    if (error != 0 || dps_json_string(srk, text, sizeof text, &len) != 0 ||
        dps_base64_decode(bytes_of(text, len), bytes, sizeof bytes, &len) != 0 ||
        tpm2_public_parse_2b(bytes_of(bytes, len), &area) != 0) {
        return DPS_REFUSED_SRK_FORM;
    }
    const enum dps_refusal why = dps_srk_check(&area);
    if (why != DPS_ACCEPTED) {
        return why;
    }
    dps_write_text(w, ",\"storageRootKey\":\"");
    dps_write_base64(w, bytes_of(bytes, len));
    dps_write_text(w, "\"");
    return DPS_ACCEPTED;
}

static enum dps_refusal write_attestation(struct bytes_writer *w, struct bytes json,
                                          const struct dps_enrollment *e, struct dps_answer *a)
{
    struct bytes attestation;
    struct bytes tpm;
    if (dps_json_member(json, "attestation", &attestation) != 0 ||
        dps_json_member(attestation, "tpm", &tpm) != 0) {
        return DPS_REFUSED_INTERNAL; /* dps_enrollment_parse has seen both */
    }
    if (!has_only(attestation, "type", "tpm", "tpm") ||
        !has_only(tpm, "endorsementKey", "storageRootKey", "srk")) {
        return dps_admin_refuse(a, DPS_REFUSED_ATTESTATION,
                                "attestation has the members type and tpm, and tpm has endorsementKey, "
                                "storageRootKey and srk; every other must be null");
    }
    dps_write_text(w, ",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"");
    dps_write_base64(w, bytes_of(e->ek, e->ek_len));
    dps_write_text(w, "\"");
    const enum dps_refusal why = write_srk(w, tpm);
    dps_write_text(w, e->hardened_srk ? ",\"srk\":\"hardened\"}}" : "}}");
    return why;
}

/* old is the record that is replaced, or empty. */
static void write_times(struct bytes_writer *w, struct bytes old, uint64_t now)
{
    struct bytes object;
    struct bytes created;
    uint8_t text[40];
    struct bytes_writer time = bytes_writer_over(text, sizeof text);
    dps_write_text(&time, "\"");
    dps_write_time(&time, now);
    dps_write_text(&time, "\"");
    if (dps_json_check(old, &object) != 0 || dps_json_member(object, "createdDateTimeUtc", &created) != 0 ||
        dps_json_kind(created) != DPS_JSON_STRING) {
        created = bytes_written(&time);
    }
    dps_write_text(w, ",\"createdDateTimeUtc\":");
    bytes_write_bytes(w, created);
    dps_write_text(w, ",\"lastUpdatedDateTimeUtc\":");
    bytes_write_bytes(w, bytes_written(&time));
}

/* The record: the API's own JSON, in one order and with one spelling of the key, so that it can be compared. */
static enum dps_refusal write_record(struct bytes_writer *w, struct bytes key, struct bytes json,
                                     const struct dps_enrollment *e, struct dps_answer *a)
{
    dps_write_text(w, "{\"registrationId\":");
    dps_write_json_string(w, key);
    enum dps_refusal why = write_attestation(w, json, e, a);
    if (why == DPS_ACCEPTED) {
        why = write_kept_members(w, json, a);
    }
    dps_write_text(w, ",\"provisioningStatus\":");
    dps_write_text(w, e->enabled ? "\"enabled\"" : "\"disabled\"");
    return why;
}

/* ---- Hubs --------------------------------------------------------------------------------------------- */

/* Does this enrollment (it may be empty) name the hub? */
static bool names_hub(struct bytes record, struct bytes hub)
{
    struct bytes object;
    struct bytes list;
    struct bytes name;
    struct bytes value;
    uint8_t text[DPS_HOST_MAX];
    size_t len;
    size_t cursor = 0;
    if (dps_json_check(record, &object) != 0) {
        return false;
    }
    if (dps_json_member(object, "iotHubHostName", &value) == 0 &&
        dps_json_string(value, text, sizeof text, &len) == 0 &&
        dps_text_equal_nocase(bytes_of(text, len), hub)) {
        return true;
    }
    (void)dps_json_member(object, "iotHubs", &list);
    while (dps_json_kind(list) == DPS_JSON_ARRAY && dps_json_next(list, &cursor, &name, &value)) {
        if (dps_json_string(value, text, sizeof text, &len) == 0 &&
            dps_text_equal_nocase(bytes_of(text, len), hub)) {
            return true;
        }
    }
    return false;
}

/* Without this check, a hub that is not linked would be noticed only when the device registers. A hub that the
 * enrollment named before it was unlinked may stay: whoever disables a device must not have to move it first. */
static enum dps_refusal check_hub(const struct dps_service *s, struct bytes value, struct bytes old,
                                  struct dps_answer *a)
{
    uint8_t text[DPS_HOST_MAX];
    size_t len;
    if (dps_json_string(value, text, sizeof text, &len) != 0) {
        return DPS_REFUSED_INTERNAL; /* dps_enrollment_parse has seen it */
    }
    const struct bytes hub = bytes_of(text, len);
    if (dps_hub_index(s->config, hub) < s->config->hub_count || names_hub(old, hub)) {
        return DPS_ACCEPTED;
    }
    return dps_admin_refuse_named(a, DPS_REFUSED_ENROLLMENT, hub,
                                  " is not a hub that is linked to this service");
}

static enum dps_refusal check_hubs(const struct dps_service *s, const struct dps_enrollment *e,
                                   struct bytes old, struct dps_answer *a)
{
    struct bytes name;
    struct bytes hub;
    size_t cursor = 0;
    enum dps_refusal why = e->single_hub.len > 0 ? check_hub(s, e->single_hub, old, a) : DPS_ACCEPTED;
    while (why == DPS_ACCEPTED && e->hubs.len > 0 && dps_json_next(e->hubs, &cursor, &name, &hub)) {
        why = check_hub(s, hub, old, a);
    }
    return why;
}

/* ---- Writing ------------------------------------------------------------------------------------------ */

static enum dps_refusal read_enrollment(struct bytes json, struct bytes key, struct dps_enrollment *e,
                                        struct dps_answer *a)
{
    uint8_t id[DPS_REGISTRATION_ID_MAX];
    size_t len;
    const char *detail = "";
    const enum dps_refusal why = dps_enrollment_parse(json, e, &detail);
    if (why != DPS_ACCEPTED) {
        return dps_admin_refuse(a, why, detail);
    }
    const enum dps_refusal unknown = refuse_unknown_members(json, a);
    if (unknown != DPS_ACCEPTED) {
        return unknown;
    }
    if (dps_json_string(e->registration_id, id, sizeof id, &len) != 0 ||
        !dps_text_equal_nocase(bytes_of(id, len), key)) {
        return dps_admin_refuse(a, DPS_REFUSED_REGISTRATION_ID, "path and body name different ones");
    }
    return DPS_ACCEPTED;
}

/* Without If-Match a PUT only creates and with it only updates, so that nobody unknowingly replaces what somebody
 * else has enrolled, and an update never brings back what was deleted meanwhile. version is 0 if there is no
 * enrollment. */
static enum dps_refusal check_precondition(struct bytes if_match, uint64_t version)
{
    bool any;
    if (if_match.len == 0) {
        return version == 0 ? DPS_ACCEPTED : DPS_REFUSED_EXISTS;
    }
    if (version == 0) {
        return DPS_REFUSED_UNKNOWN;
    }
    return dps_etag_matches(if_match, version, &any) ? DPS_ACCEPTED : DPS_REFUSED_ETAG;
}

/* Replace the record of the given version. If another write came first, answer as for an old etag. */
static enum dps_refusal store_enrollment(struct dps_service *s, struct bytes key,
                                         const struct bytes_writer *w, uint64_t version, struct dps_answer *a)
{
    uint64_t written;
    if (w->error != 0) {
        return dps_admin_refuse(a, DPS_REFUSED_TOO_LARGE,
                                "an enrollment may have " DPS_LIMIT_TEXT(DPS_RECORD_MAX) " bytes");
    }
    const int error =
        s->store.put(s->store.context, DPS_TABLE_ENROLLMENTS, key, bytes_written(w), version, &written);
    if (error == BYTES_E_CONFLICT && version == 0) {
        return DPS_REFUSED_EXISTS;
    }
    if (error == 0) {
        a->wrote = true;
    }
    return dps_admin_store_refusal(error);
}

enum dps_refusal dps_admin_put(struct dps_service *s, struct bytes key, struct bytes json,
                               struct bytes if_match, struct dps_answer *a)
{
    struct dps_enrollment e;
    struct bytes old;
    uint64_t version = 0;
    enum dps_refusal why = read_enrollment(json, key, &e, a);
    if (why != DPS_ACCEPTED) {
        return why;
    }
    why = dps_admin_load(s, key, &old, &version);
    if (why == DPS_ACCEPTED || why == DPS_REFUSED_UNKNOWN) {
        why = check_precondition(if_match, version);
    }
    if (why == DPS_ACCEPTED) {
        why = check_hubs(s, &e, old, a);
    }
    if (why != DPS_ACCEPTED) {
        return why;
    }
    struct bytes_writer w = bytes_writer_over(s->draft, sizeof s->draft);
    why = write_record(&w, key, json, &e, a);
    write_times(&w, old, s->now);
    dps_write_text(&w, "}");
    return why == DPS_ACCEPTED ? store_enrollment(s, key, &w, version, a) : why;
}

enum dps_refusal dps_admin_remove(struct dps_service *s, struct bytes key, struct bytes if_match,
                                  struct dps_answer *a)
{
    struct bytes record;
    uint64_t version = 0;
    bool any = true;
    enum dps_refusal why = DPS_ACCEPTED;
    /* Without If-Match any record is deleted, even a damaged one: this is how an operator gets rid of it. */
    if (if_match.len > 0) {
        why = dps_admin_load(s, key, &record, &version);
        if (why == DPS_ACCEPTED && !dps_etag_matches(if_match, version, &any)) {
            why = DPS_REFUSED_ETAG;
        }
    }
    if (why == DPS_ACCEPTED) {
        why = dps_admin_store_refusal(
            s->store.remove(s->store.context, DPS_TABLE_ENROLLMENTS, key, any ? 0 : version));
    }
    if (why == DPS_ACCEPTED) {
        a->wrote = true;
    }
    return why;
}
