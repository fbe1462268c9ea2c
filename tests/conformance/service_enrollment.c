/* SPDX-License-Identifier: MIT */
/* SVC-S02-001 to 039: enrollments, one at a time. */
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include "tests/conformance/service.h"
#include <string.h>

/* ---- The right path ------------------------------------------------------------------------------------ */

static bool get(struct conformance *c, const char *id)
{
    char target[512];
    service_enrollment_path(id, target, sizeof target);
    return service_manage(c, "GET", target, "", NULL);
}

static bool put(struct conformance *c, const struct service_device *d, const char *if_match, const char *more)
{
    char target[512];
    char headers[256] = "";
    char body[SERVICE_TEXT_MAX];
    service_enrollment_path(d->id, target, sizeof target);
    service_enrollment(d, more, body, sizeof body);
    if (if_match != NULL) {
        snprintf(headers, sizeof headers, "If-Match: %s\r\n", if_match);
    }
    return service_manage(c, "PUT", target, headers, body);
}

static bool remove_it(struct conformance *c, const char *id, const char *if_match)
{
    char target[512];
    char headers[256] = "";
    service_enrollment_path(id, target, sizeof target);
    if (if_match != NULL) {
        snprintf(headers, sizeof headers, "If-Match: %s\r\n", if_match);
    }
    return service_manage(c, "DELETE", target, headers, NULL);
}

static bool has_text(struct conformance *c, const char *path, const char *expected)
{
    char text[512];
    (void)service_text(service_of(c), path, text, sizeof text);
    return conformance_check(c, strcmp(text, expected) == 0, "%s must be \"%s\", not \"%s\"", path, expected,
                             text);
}

static bool has_etag(struct conformance *c, char *etag, size_t size)
{
    return conformance_check(c, service_text(service_of(c), "etag", etag, size)[0] != 0,
                             "the enrollment must have an etag: %s", service_shown(service_of(c)));
}

static void created(struct conformance *c)
{
    struct service_device d;
    char ek[512];
    char etag[128];
    if (!service_device_new(c, &d, "")) {
        return;
    }
    service_base64(bytes_of(d.ek->public_2b, d.ek->public_len), ek, sizeof ek);
    (void)(has_text(c, "registrationId", d.id) && has_text(c, "attestation.type", "tpm") &&
           has_text(c, "attestation.tpm.endorsementKey", ek) &&
           has_text(c, "provisioningStatus", "enabled") && has_etag(c, etag, sizeof etag));
}

static void read_again(struct conformance *c)
{
    struct service_device d;
    char etag[128];
    char same[128];
    if (service_device_new(c, &d, "") && has_etag(c, etag, sizeof etag) && get(c, d.id) &&
        service_status(c, "GET", 200) && has_etag(c, same, sizeof same) &&
        has_text(c, "registrationId", d.id)) {
        conformance_check(c, strcmp(etag, same) == 0, "the etag of GET is not that of PUT");
    }
}

static void unknown(struct conformance *c)
{
    struct service_device d;
    service_device_name(c, &d);
    if (get(c, d.id) && service_refused(c, "GET", 404)) {
        conformance_check(c, service_error_code(service_of(c)) == 404201,
                          "the errorCode must be 404201, not %u", service_error_code(service_of(c)));
    }
    if (remove_it(c, d.id, NULL)) {
        service_refused(c, "DELETE", 404);
    }
}

static void not_twice(struct conformance *c)
{
    struct service_device d;
    struct service_snapshot before;
    if (service_device_new(c, &d, "") && service_look(c, d.id, &before) &&
        put(c, &d, NULL, ",\"deviceId\":\"other\"") && service_refused(c, "PUT without If-Match", 409)) {
        service_unchanged(c, d.id, &before, "PUT without If-Match");
    }
}

static void updated(struct conformance *c)
{
    struct service_device d;
    char etag[128];
    char later[128];
    if (service_device_new(c, &d, "") && has_etag(c, etag, sizeof etag) &&
        put(c, &d, etag, ",\"deviceId\":\"conf-renamed\"") && service_status(c, "PUT with the etag", 200) &&
        has_text(c, "deviceId", "conf-renamed") && has_etag(c, later, sizeof later)) {
        conformance_check(c, strcmp(etag, later) != 0, "the etag must change with the enrollment");
    }
}

static void stale(struct conformance *c)
{
    struct service_device d;
    struct service_snapshot before;
    char etag[128];
    if (!service_device_new(c, &d, "") || !has_etag(c, etag, sizeof etag) ||
        !put(c, &d, etag, ",\"deviceId\":\"conf-renamed\"") || !service_status(c, "PUT with the etag", 200) ||
        !service_look(c, d.id, &before)) {
        return;
    }
    if (put(c, &d, etag, "") && service_refused(c, "PUT with an old etag", 412) &&
        service_unchanged(c, d.id, &before, "PUT with an old etag") && remove_it(c, d.id, etag) &&
        service_refused(c, "DELETE with an old etag", 412)) {
        service_unchanged(c, d.id, &before, "DELETE with an old etag");
    }
}

/* C# adds quotes to what it is given, so that its wildcard comes as "*" in quotes. */
static void any_etag(struct conformance *c)
{
    struct service_device d;
    if (service_device_new(c, &d, "") && put(c, &d, "*", "") && service_status(c, "If-Match: *", 200) &&
        put(c, &d, "\"*\"", "")) {
        service_status(c, "If-Match: \"*\"", 200);
    }
}

static void update_needs_one(struct conformance *c)
{
    struct service_device d;
    service_device_name(c, &d);
    if (put(c, &d, "*", "") && service_refused(c, "PUT with If-Match", 0) && get(c, d.id)) {
        service_refused(c, "GET afterwards", 404);
    }
}

static void removed(struct conformance *c)
{
    struct service_device d;
    char etag[128];
    if (service_device_new(c, &d, "") && has_etag(c, etag, sizeof etag) && remove_it(c, d.id, etag) &&
        service_status(c, "DELETE with the etag", 204) && get(c, d.id)) {
        service_refused(c, "GET afterwards", 404);
    }
}

static void without_case(struct conformance *c)
{
    struct service_device d;
    struct service_device upper;
    if (!service_device_new(c, &d, "")) {
        return;
    }
    upper = d;
    for (char *p = upper.id; *p != 0; p++) {
        *p = (char)(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
    }
    if (get(c, upper.id) && service_status(c, "GET in upper case", 200) && put(c, &upper, NULL, "")) {
        service_refused(c, "PUT in upper case: it exists", 409);
    }
}

static void kept_members(struct conformance *c)
{
    struct service_device d;
    if (!service_device_new(
            c, &d,
            ",\"deviceId\":\"conf-Device.1\",\"provisioningStatus\":\"disabled\","
            "\"initialTwin\":{\"tags\":{\"site\":\"x\"},\"properties\":{\"desired\":{\"n\":1}}},"
            "\"reprovisionPolicy\":{\"updateHubAssignment\":false,\"migrateDeviceData\":false}") ||
        !get(c, d.id)) {
        return;
    }
    (void)(has_text(c, "deviceId", "conf-Device.1") && has_text(c, "provisioningStatus", "disabled") &&
           has_text(c, "initialTwin.tags.site", "x"));
    const struct bytes n = service_member(service_of(c), "initialTwin.properties.desired.n");
    conformance_check(c, bytes_equal_public(n, bytes_of("1", 1)), "initialTwin.properties.desired.n is lost");
    conformance_check(c,
                      dps_json_kind(service_member(service_of(c), "reprovisionPolicy.updateHubAssignment")) ==
                          DPS_JSON_FALSE,
                      "reprovisionPolicy.updateHubAssignment is not what was sent");
}

static void mechanism(struct conformance *c)
{
    struct service_device d;
    char target[512];
    char ek[512];
    if (!service_device_new(c, &d, "")) {
        return;
    }
    service_base64(bytes_of(d.ek->public_2b, d.ek->public_len), ek, sizeof ek);
    snprintf(target, sizeof target, "/enrollments/%s/attestationmechanism?%s", d.id, SERVICE_API);
    if (service_manage(c, "POST", target, "", NULL) && service_status(c, "attestationmechanism", 200) &&
        has_text(c, "type", "tpm")) {
        has_text(c, "tpm.endorsementKey", ek);
    }
}

/* ---- Bad input ----------------------------------------------------------------------------------------- */

struct text_vector {
    const char *name;
    const char *text;
};

/* PUT a body as it is, under a new name: it must be refused, and nothing be enrolled. $I: the registrationId, $K: the
 * EK. */
static bool put_refused(struct conformance *c, const struct text_vector *v)
{
    struct service_device d;
    char ek[512];
    char target[512];
    char body[SERVICE_TEXT_MAX];
    struct bytes_writer w = bytes_writer_over((uint8_t *)body, sizeof body - 1);
    service_device_name(c, &d);
    service_base64(bytes_of(d.ek->public_2b, d.ek->public_len), ek, sizeof ek);
    for (const char *p = v->text; *p != 0; p++) {
        if (*p == '$') {
            p++;
            dps_write_text(&w, *p == 'I' ? d.id : ek);
        } else {
            bytes_write_u8(&w, (uint8_t)*p);
        }
    }
    body[bytes_written(&w).len] = 0;
    service_enrollment_path(d.id, target, sizeof target);
    service_created(c, d.id);
    return service_manage(c, "PUT", target, "", body) && service_refused(c, v->name, 0) && get(c, d.id) &&
           conformance_check(c, service_of(c)->status == 404, "%s: it was refused, and yet it is enrolled",
                             v->name);
}

static void try_bodies(struct conformance *c, const struct text_vector *vectors, size_t count)
{
    for (size_t i = 0; i < count && service_has_admin(c) && put_refused(c, &vectors[i]); i++) {
    }
}

#define BEGIN                                                                                                \
    "{\"registrationId\":\"$I\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"$K\"}}"

static void not_json(struct conformance *c)
{
    static const struct text_vector vectors[] = {
        {"an empty body", ""},
        {"a byte order mark", "\xef\xbb\xbf" BEGIN "}"},
        {"something after it", BEGIN "} x"},
        {"a missing brace", BEGIN},
        {"one comma too many", BEGIN ",}"},
        {"a comment", BEGIN "/* */}"},
        {"single quotes", "{'registrationId':'$I'}"},
        {"a string that is not UTF-8", BEGIN ",\"deviceId\":\"\xff\xfe\"}"},
        {"an array", "[" BEGIN "}]"},
        {"a number", "7"},
        {"null", "null"},
        {"NaN", BEGIN ",\"payload\":NaN}"},
    };
    try_bodies(c, vectors, COUNT(vectors));
}

static void wrong_members(struct conformance *c)
{
    static const struct text_vector vectors[] = {
        {"no registrationId", "{\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"$K\"}}}"},
        {"a registrationId that is a number",
         "{\"registrationId\":7,\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"$K\"}}}"},
        {"another registrationId than in the path", "{\"registrationId\":\"conf-other\",\"attestation\":{"
                                                    "\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"$K\"}}}"},
        {"no attestation", "{\"registrationId\":\"$I\"}"},
        {"attestation that is text", "{\"registrationId\":\"$I\",\"attestation\":\"tpm\"}"},
        {"no endorsementKey", "{\"registrationId\":\"$I\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{}}}"},
        {"endorsementKey that is a number",
         "{\"registrationId\":\"$I\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":1e308}}}"},
        {"an unknown kind of attestation", "{\"registrationId\":\"$I\",\"attestation\":{\"type\":\"trust "
                                           "me\",\"tpm\":{\"endorsementKey\":\"$K\"}}}"},
        {"an unknown provisioningStatus", BEGIN ",\"provisioningStatus\":\"maybe\"}"},
        {"provisioningStatus that is a flag", BEGIN ",\"provisioningStatus\":true}"},
        {"an unknown allocationPolicy", BEGIN ",\"allocationPolicy\":\"nearest\"}"},
        {"initialTwin that is text", BEGIN ",\"initialTwin\":\"{}\"}"},
        {"reprovisionPolicy that is text", BEGIN ",\"reprovisionPolicy\":\"never\"}"},
        {"iotHubs that is an object", BEGIN ",\"iotHubs\":{}}"},
        {"deviceId with a slash", BEGIN ",\"deviceId\":\"a/b\"}"},
        {"deviceId with a zero character", BEGIN ",\"deviceId\":\"a\\u0000b\"}"},
    };
    try_bodies(c, vectors, COUNT(vectors));
}

static void doubled_members(struct conformance *c)
{
    static const struct text_vector vectors[] = {
        {"registrationId twice", BEGIN ",\"registrationId\":\"conf-other\"}"},
        {"attestation twice", BEGIN ",\"attestation\":{\"type\":\"none\"}}"},
        {"provisioningStatus twice",
         BEGIN ",\"provisioningStatus\":\"disabled\",\"provisioningStatus\":\"enabled\"}"},
        {"deviceId twice, once with an escape", BEGIN ",\"deviceId\":\"a\",\"device\\u0049d\":\"b\"}"},
    };
    try_bodies(c, vectors, COUNT(vectors));
}

static void deep(struct conformance *c)
{
    char body[12000];
    struct service_device d;
    char target[512];
    struct bytes_writer w = bytes_writer_over((uint8_t *)body, sizeof body - 1);
    if (!service_has_admin(c)) {
        return;
    }
    service_device_name(c, &d);
    for (unsigned i = 0; i < 10000; i++) {
        dps_write_text(&w, "[");
    }
    body[bytes_written(&w).len] = 0;
    service_enrollment_path(d.id, target, sizeof target);
    if (service_manage(c, "PUT", target, "", body)) {
        service_refused(c, "10 000 brackets", 0);
    }
}

/* Ids as they are in the path. */
static void bad_ids(struct conformance *c)
{
    static const struct text_vector ids[] = {
        {"a zero byte", "conf-a%00b"},
        {"a slash", "conf-a%2Fb"},
        {"a blank", "conf-a%20b"},
        {"a quote", "conf-a%22b"},
        {"a letter beyond ASCII", "conf-%C3%A4"},
        {"an overlong dot", "conf-%C0%AEa"},
        {"a dot at the end", "conf-a."},
        {"a broken escape", "conf-a%4"},
        {"an escape that is not one", "conf-a%zz"},
        {"an escape of an escape", "conf-%2561"},
        {"a wildcard", "conf-*"},
    };
    char long_id[130];
    memset(long_id, 'c', 129);
    long_id[129] = 0;
    struct service_device d;
    service_device_name(c, &d);
    for (size_t i = 0; i <= COUNT(ids); i++) {
        char target[512];
        char body[SERVICE_TEXT_MAX];
        const char *name = i < COUNT(ids) ? ids[i].name : "129 characters";
        service_enrollment_path(i < COUNT(ids) ? ids[i].text : long_id, target, sizeof target);
        service_enrollment(&d, "", body, sizeof body);
        if (!service_manage(c, "PUT", target, "", body) || !service_refused(c, name, 0)) {
            return;
        }
    }
}

/* 128 characters, and every character that is allowed. */
static void long_id(struct conformance *c)
{
    struct service_device d;
    if (!service_device_new(c, &d, "") || !service_register(c, &d)) {
        return;
    }
    service_device_name(c, &d);
    const size_t begin = strlen(d.id);
    for (size_t i = begin; i < DPS_REGISTRATION_ID_MAX; i++) {
        d.id[i] = "a-._:9Z"[(i - begin) % 7];
    }
    d.id[DPS_REGISTRATION_ID_MAX - 1] = 'a';
    service_created(c, d.id);
    if (put(c, &d, NULL, "") && service_status(c, "128 characters", 200)) {
        conformance_judge(c);
        service_register(c, &d);
    }
}

const struct conformance_case service_cases_enrollment[] = {
    {"SVC-S02-001",
     "An enrollment with registrationId and EK alone must be accepted, and answered with these, "
     "provisioningStatus and etag.",
     "DPS \"Individual enrollment\"; C SDK: refuses an answer without provisioningStatus", CONFORMANCE_MUST,
     0, created},
    {"SVC-S02-002", "An enrollment must be read as it was written, with the same etag.",
     "DPS \"Individual enrollment\"", CONFORMANCE_MUST, 0, read_again},
    {"SVC-S02-003", "A registrationId that is not enrolled must be answered with 404 and 404201.",
     "C# SDK end-to-end tests: ProvisioningE2ETests", CONFORMANCE_MUST, 0, unknown},
    {"SVC-S02-004", "PUT without If-Match must not replace an enrollment: 409.", "azure-iot-sdk-csharp#3076",
     CONFORMANCE_MUST, 0, not_twice},
    {"SVC-S02-005", "PUT with the current etag, quotes included, must update, and change the etag.",
     "RFC 9110 §13.1.1; C and Node service clients: send it as it stands in JSON", CONFORMANCE_MUST, 0,
     updated},
    {"SVC-S02-006", "PUT and DELETE with an old etag must be refused with 412 and change nothing.",
     "RFC 9110 §13.1.1", CONFORMANCE_MUST, 0, stale},
    {"SVC-S02-007", "If-Match: * must match any version, also in quotes.",
     "RFC 9110 §13.1.1; C# service client: adds quotes", CONFORMANCE_MUST, 0, any_etag},
    {"SVC-S02-008", "PUT with If-Match must not create.", "RFC 9110 §13.1.1", CONFORMANCE_MUST, 0,
     update_needs_one},
    {"SVC-S02-009", "DELETE with the current etag must be answered with 204 and remove the enrollment.",
     "DPS \"Individual enrollment\"", CONFORMANCE_MUST, 0, removed},
    {"SVC-S02-010", "The case of a registrationId must not matter.", "DPS \"Limits\"", CONFORMANCE_MUST, 0,
     without_case},
    {"SVC-S02-011",
     "deviceId, provisioningStatus, initialTwin and reprovisionPolicy must be kept: above all, disabled "
     "stays disabled.",
     "azure-iot-sdk-csharp#1604", CONFORMANCE_MUST, 0, kept_members},
    {"SVC-S02-012", "attestationmechanism must return the EK.", "DPS \"Individual enrollment\"",
     CONFORMANCE_MUST, 0, mechanism},
    {"SVC-S02-020", "A body that is not a JSON object must be refused.", "RFC 8259", CONFORMANCE_MUST, 0,
     not_json},
    {"SVC-S02-021", "Members of a wrong type or value must be refused, and nothing enrolled.",
     "DPS \"Individual enrollment\"", CONFORMANCE_MUST, 0, wrong_members},
    {"SVC-S02-022", "Members that occur twice should be refused: two readers may take different ones.",
     "RFC 8259 §4; spec-notes: Management", CONFORMANCE_SHOULD, 0, doubled_members},
    {"SVC-S02-023", "Deep nesting must be refused, and harm nobody.", "RFC 8259 §9", CONFORMANCE_MUST, 0,
     deep},
    {"SVC-S02-024", "A registrationId with other characters, or with more than 128, must be refused.",
     "DPS \"Limits\"", CONFORMANCE_MUST, 0, bad_ids},
    {"SVC-S02-025",
     "A registrationId of 128 characters, with all allowed ones, must be accepted and its device register.",
     "DPS \"Limits\"", CONFORMANCE_MUST, 0, long_id},
    {0},
};
