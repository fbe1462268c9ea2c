/* SPDX-License-Identifier: MIT */
/* Step 2 in the store: an enrollment is judged, brought into its one form, and written under its
 * preconditions. */
#include "dps/manage/admin.h"
#include "dps/protocol/json.h"
#include "dps/protocol/registration_id.h"
#include "dps/protocol/text.h"

/* ---- What dps_enrollment_parse does not judge, since no registration needs it ------------------------- */

/* Absent and null are the same. */
static bool is_object_or_absent(struct bytes object, const char *name, struct bytes *value)
{
    const int error = dps_json_member(object, name, value);
    const enum dps_json_kind kind = dps_json_kind(*value);
    return error == BYTES_E_NOT_FOUND || (error == 0 && (kind == DPS_JSON_OBJECT || kind == DPS_JSON_NULL));
}

static bool has_only(struct bytes object, const char *first, const char *second)
{
    struct bytes name;
    struct bytes value;
    size_t cursor = 0;
    while (dps_json_next(object, &cursor, &name, &value)) {
        if (!bytes_equal_public(name, bytes_of_text(first)) &&
            !bytes_equal_public(name, bytes_of_text(second))) {
            return false;
        }
    }
    return true;
}

/* What stands at another place would be kept and never reach a device, without anybody noticing. */
static bool is_twin(struct bytes twin)
{
    struct bytes tags;
    struct bytes properties;
    struct bytes desired;
    if (!is_object_or_absent(twin, "tags", &tags) || !has_only(twin, "tags", "properties") ||
        !is_object_or_absent(twin, "properties", &properties)) {
        return false;
    }
    return dps_json_kind(properties) != DPS_JSON_OBJECT ||
           (is_object_or_absent(properties, "desired", &desired) &&
            has_only(properties, "desired", "desired"));
}

static bool is_object(struct bytes value)
{
    return dps_json_kind(value) == DPS_JSON_OBJECT;
}

static bool is_capabilities(struct bytes value)
{
    struct bytes edge;
    if (!is_object(value)) {
        return false;
    }
    const int error = dps_json_member(value, "iotEdge", &edge);
    const enum dps_json_kind kind = dps_json_kind(edge);
    return error == BYTES_E_NOT_FOUND ||
           (error == 0 && (kind == DPS_JSON_TRUE || kind == DPS_JSON_FALSE || kind == DPS_JSON_NULL));
}

/* ---- The record --------------------------------------------------------------------------------------- */

/* Members of an enrollment that are kept as they were given. Others are dropped without a word: clients send
 * back what they have read, read-only members included. */
static const struct {
    const char *name;
    bool (*is_valid)(struct bytes value); /* null: dps_enrollment_parse has judged it */
    const char *wrong;
} kept_members[] = {
    {"deviceId", NULL, ""},
    {"iotHubHostName", NULL, ""},
    {"iotHubs", NULL, ""},
    {"allocationPolicy", NULL, ""},
    {"reprovisionPolicy", NULL, ""},
    {"initialTwin", is_twin,
     "initialTwin must be {\"tags\":{...},\"properties\":{\"desired\":{...}}}, with nothing else beside "
     "them"},
    {"payload", NULL, ""},
    {"capabilities", is_capabilities,
     "capabilities must be one object, and its iotEdge true or false: {\"iotEdge\":false}"},
    {"optionalDeviceInformation", is_object, "optionalDeviceInformation must be one object"},
};

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
        bytes_write_bytes(w, value);
    }
    return DPS_ACCEPTED;
}

/* An enrolled SRK is shown again and otherwise not used: the owner may change it, and step 5 looks at the
 * one that the device presents. */
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
    dps_write_text(w, ",\"storageRootKey\":\"");
    dps_write_base64(w, bytes_of(bytes, len));
    dps_write_text(w, "\"");
    return DPS_ACCEPTED;
}

static enum dps_refusal write_attestation(struct bytes_writer *w, struct bytes json,
                                          const struct dps_enrollment *e)
{
    struct bytes attestation;
    struct bytes tpm;
    if (dps_json_member(json, "attestation", &attestation) != 0 ||
        dps_json_member(attestation, "tpm", &tpm) != 0) {
        return DPS_REFUSED_INTERNAL; /* dps_enrollment_parse has seen both */
    }
    dps_write_text(w, ",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"");
    dps_write_base64(w, bytes_of(e->ek, e->ek_len));
    dps_write_text(w, "\"");
    const enum dps_refusal why = write_srk(w, tpm);
    dps_write_text(w, "}}");
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
    enum dps_refusal why = write_attestation(w, json, e);
    if (why == DPS_ACCEPTED) {
        why = write_kept_members(w, json, a);
    }
    dps_write_text(w, ",\"provisioningStatus\":");
    dps_write_text(w, e->enabled ? "\"enabled\"" : "\"disabled\"");
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
    if (dps_json_string(e->registration_id, id, sizeof id, &len) != 0 ||
        !dps_text_equal_nocase(bytes_of(id, len), key)) {
        return dps_admin_refuse(a, DPS_REFUSED_REGISTRATION_ID, "path and body name different ones");
    }
    return DPS_ACCEPTED;
}

/* Without If-Match a PUT only creates and with it only updates, so that nobody replaces unseen what somebody
 * else has enrolled, and "update" never brings back what was deleted meanwhile. version is 0 if there is no
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

/* Replace the record of the given version. Who comes too late is refused as if it had come in order. */
static enum dps_refusal store_enrollment(struct dps_service *s, struct bytes key,
                                         const struct bytes_writer *w, uint64_t version, struct dps_answer *a)
{
    uint64_t written;
    if (w->error != 0) {
        return dps_admin_refuse(a, DPS_REFUSED_TOO_LARGE, "the enrollment is larger than a record may be");
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
    if (why != DPS_ACCEPTED) {
        return why;
    }
    struct bytes_writer w = bytes_writer_over(s->record2, sizeof s->record2);
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
    /* Without If-Match any record goes, even a damaged one: it is how an operator gets rid of it. */
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
