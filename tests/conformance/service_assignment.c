/* SPDX-License-Identifier: MIT */
/* SVC-S09: the registration, its operation, and the hub key in it. */
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include "tests/conformance/service.h"
#include <string.h>

static bool registered(struct conformance *c, struct service_device *d)
{
    return service_device_new(c, d, "") && service_register(c, d);
}

/* ---- The right path ------------------------------------------------------------------------------------ */

static void whole(struct conformance *c)
{
    struct service_device d;
    char text[128];
    static const char *const members[] = {"registrationId", "createdDateTimeUtc", "lastUpdatedDateTimeUtc",
                                          "etag", "substatus"};
    if (!registered(c, &d)) {
        return;
    }
    for (size_t i = 0; i < COUNT(members); i++) {
        char path[64];
        snprintf(path, sizeof path, "registrationState.%s", members[i]);
        conformance_check(c, service_text(service_of(c), path, text, sizeof text)[0] != 0,
                          "%s is missing: %s", path, service_shown(service_of(c)));
    }
    conformance_check(
        c,
        strcmp(service_text(service_of(c), "registrationState.status", text, sizeof text), "assigned") == 0,
        "registrationState.status is \"%s\", not \"assigned\"", text);
    conformance_check(c, strcmp(d.device_id, d.id) == 0,
                      "without one in the enrollment, deviceId must be %s, not %s", d.id, d.device_id);
}

static void accepted(struct conformance *c)
{
    const struct service *s = service_of(c);
    struct service_device d;
    char text[64];
    uint64_t seconds;
    if (!service_device_new(c, &d, "") || !service_challenge(c, &d) || !service_prove(c, &d)) {
        return;
    }
    conformance_check(c, strcmp(service_text(s, "status", text, sizeof text), "assigning") == 0,
                      "status is \"%s\", not \"assigning\"", text);
    const struct bytes wait = service_header(s, "Retry-After");
    conformance_check(c, wait.len == 0 || dps_decimal_parse(wait, 3600, &seconds) == 0,
                      "Retry-After must be seconds in digits");
    if (service_member(s, "registrationState").len > 0 &&
        dps_json_kind(service_member(s, "registrationState")) != DPS_JSON_NULL) {
        conformance_check(c,
                          service_member(s, "registrationState.registrationId").len > 0 &&
                              service_member(s, "registrationState.status").len > 0,
                          "a registrationState needs registrationId and status");
    }
    service_poll(c, &d);
}

static void state_while_assigning(struct conformance *c)
{
    const struct service *s = service_of(c);
    struct service_device d;
    if (service_device_new(c, &d, "") && service_challenge(c, &d) && service_prove(c, &d)) {
        conformance_check(c, service_member(s, "registrationState.registrationId").len > 0,
                          "202 has no registrationState: %s", service_shown(s));
        conformance_check(c, service_header(s, "Retry-After").len > 0, "202 has no Retry-After");
    }
}

static void other_key_than_nonce(struct conformance *c)
{
    struct service_device d;
    if (registered(c, &d)) {
        conformance_check(c, memcmp(d.hub_key, d.nonce, SERVICE_SECRET_SIZE) != 0,
                          "the hub key is the nonce");
    }
}

static void hub_uri(struct conformance *c)
{
    struct service_device d;
    char wanted[512];
    if (registered(c, &d)) {
        snprintf(wanted, sizeof wanted, "%s/%s", d.hub, d.device_id);
        conformance_check(c, strcmp(service_of(c)->blob.uri, wanted) == 0, "encUriData is \"%s\", not \"%s\"",
                          service_of(c)->blob.uri, wanted);
    }
}

static void polled_again(struct conformance *c)
{
    struct service_device d;
    uint8_t first[SERVICE_SECRET_SIZE];
    if (registered(c, &d)) {
        memcpy(first, d.hub_key, sizeof first);
        conformance_judge(c);
        if (service_poll(c, &d)) {
            conformance_check(c, memcmp(first, d.hub_key, sizeof first) == 0,
                              "an operation that is asked for twice gives two different keys");
        }
    }
}

static void body_in_get(struct conformance *c)
{
    struct service_device d;
    char target[900];
    char suffix[300];
    char token[1024];
    char headers[1200];
    if (!registered(c, &d)) {
        return;
    }
    service_device_token(&d, d.nonce, token, sizeof token);
    snprintf(headers, sizeof headers,
             "Authorization: %s\r\nContent-Type: application/json; charset=utf-8\r\n", token);
    snprintf(suffix, sizeof suffix, "/operations/%s", d.operation);
    service_target(&d, suffix, target, sizeof target);
    if (service_ask(c, "GET", target, headers, "{}")) {
        service_status(c, "GET with a body", 200);
    }
}

static void again(struct conformance *c)
{
    struct service_device d;
    char first[sizeof d.operation];
    if (!registered(c, &d)) {
        return;
    }
    memcpy(first, d.operation, sizeof first);
    conformance_judge(c);
    if (service_register(c, &d)) {
        conformance_check(c, strcmp(first, d.operation) != 0, "two registrations have the same operationId");
    }
}

static bool register_again(struct conformance *c, struct service_device *d)
{
    const char *before = conformance_stand_on(c, "SVC-S09-008");
    const bool registered_again = service_register(c, d);
    conformance_stand_back(c, before);
    return registered_again;
}

static void substatus(struct conformance *c)
{
    struct service_device d;
    if (!registered(c, &d)) {
        return;
    }
    conformance_check(c, strcmp(d.substatus, "initialAssignment") == 0,
                      "substatus of the first registration is \"%s\"", d.substatus);
    if (register_again(c, &d)) {
        conformance_check(c, strcmp(d.substatus, "reprovisionedToInitialAssignment") == 0,
                          "substatus of the second registration is \"%s\"", d.substatus);
    }
}

static void new_key(struct conformance *c)
{
    struct service_device d;
    uint8_t first[SERVICE_SECRET_SIZE];
    if (!registered(c, &d)) {
        return;
    }
    memcpy(first, d.hub_key, sizeof first);
    if (register_again(c, &d)) {
        conformance_check(c, memcmp(first, d.hub_key, sizeof first) != 0,
                          "the hub key is the same after registering again");
    }
}

static void device_id(struct conformance *c)
{
    struct service_device d;
    struct service_device name;
    char more[256];
    service_device_name(c, &name);
    snprintf(more, sizeof more, ",\"deviceId\":\"%s-At.Hub\"", name.id);
    if (service_device_new(c, &d, more) && service_register(c, &d)) {
        conformance_check(
            c, strlen(d.device_id) == strlen(name.id) + 7 && strstr(d.device_id, "-At.Hub") != NULL,
            "the enrollment names the device %s-At.Hub, the service %s", name.id, d.device_id);
    }
}

static void only_that_hub(struct conformance *c)
{
    struct service_device d;
    struct service_device other;
    char more[512];
    if (!registered(c, &d)) {
        return;
    }
    snprintf(more, sizeof more, ",\"allocationPolicy\":\"static\",\"iotHubs\":[\"%s\"]", d.hub);
    if (service_device_new(c, &other, more) && service_register(c, &other)) {
        conformance_check(c, strcmp(other.hub, d.hub) == 0, "the enrollment allows %s only, and it became %s",
                          d.hub, other.hub);
    }
}

/* Refused when it is enrolled, at once, or at the end of the operation: but not sent elsewhere. */
static void unlinked_hub(struct conformance *c)
{
    const struct service *s = service_of(c);
    struct service_device d;
    char token[1024];
    char status[32];
    /* Without that hub the device can be enrolled: so it is the hub that is refused. */
    if (!service_device_new(c, &d, "") ||
        !service_device_enroll(c, &d, ",\"iotHubs\":[\"conf-not-linked.example\"]")) {
        return;
    }
    if (s->status != 200) {
        service_refused(c, "a hub that is not linked", 0);
        return;
    }
    if (!service_challenge(c, &d)) {
        return;
    }
    service_device_token(&d, d.nonce, token, sizeof token);
    if (!service_send_proof(c, &d, token)) {
        return;
    }
    if (s->status != 202) {
        service_refused(c, "a hub that is not linked", 0);
        return;
    }
    for (unsigned i = 0; i < 20 && service_take_operation(c, &d) && service_ask_operation(c, &d, token);
         i++) {
        (void)service_text(s, "status", status, sizeof status);
        if (strcmp(status, "assigning") != 0) {
            conformance_check(c, strcmp(status, "failed") == 0, "a hub that is not linked: status \"%s\"",
                              status);
            return;
        }
    }
    conformance_check(c, false, "a hub that is not linked: neither refused nor failed");
}

/* ---- Who may ask for an operation ----------------------------------------------------------------------- */

static bool poll_refused(struct conformance *c, const struct service_device *d, const char *token,
                         const char *what)
{
    return service_ask_operation(c, d, token) && service_refused(c, what, 0);
}

static void polled_by_others(struct conformance *c)
{
    struct service_device d;
    struct service_device other;
    struct service_device mixed;
    char token[1024];
    if (!registered(c, &d) || !registered(c, &other) || !poll_refused(c, &d, NULL, "without a token")) {
        return;
    }
    service_device_token(&other, other.nonce, token, sizeof token);
    if (!poll_refused(c, &d, token, "with the token of another device")) {
        return;
    }
    service_device_token(&d, other.nonce, token, sizeof token);
    if (!poll_refused(c, &d, token, "with the nonce of another device")) {
        return;
    }
    mixed = other;
    memcpy(mixed.operation, d.operation, sizeof mixed.operation);
    service_device_token(&other, other.nonce, token, sizeof token);
    if (poll_refused(c, &mixed, token, "another device's operation under one's own registrationId")) {
        service_policy_token(service_of(c), &service_of(c)->owner, token, sizeof token);
        poll_refused(c, &d, token, "with the token of an administrator");
    }
}

static void unknown_operations(struct conformance *c)
{
    static const char *const names[] = {
        "1", "0", "conf-none", "%2e%2e", "a%2Fb", "%00", "1.00000000000000000000000000000000"};
    struct service_device d;
    char token[1024];
    if (!registered(c, &d)) {
        return;
    }
    service_device_token(&d, d.nonce, token, sizeof token);
    for (size_t i = 0; i < COUNT(names); i++) {
        snprintf(d.operation, sizeof d.operation, "%s", names[i]);
        if (!poll_refused(c, &d, token, names[i])) {
            return;
        }
    }
}

static void expired_poll(struct conformance *c)
{
    struct service_device d;
    char token[1024];
    char sr[300];
    char se[24];
    if (!registered(c, &d)) {
        return;
    }
    snprintf(sr, sizeof sr, "%s%%2Fregistrations%%2F%s", service_given.scope, d.id);
    service_expiry(-7200, se, sizeof se);
    const struct service_token t = {.sr = sr, .se = se, .skn = "registration"};
    service_sign(bytes_of(d.nonce, sizeof d.nonce), &t, token, sizeof token);
    poll_refused(c, &d, token, "with a token that expired two hours ago");
}

/* ---- What happens meanwhile ----------------------------------------------------------------------------- */

static bool change(struct conformance *c, const struct service_device *d, const char *more)
{
    char target[512];
    char body[SERVICE_TEXT_MAX];
    service_enrollment_path(d->id, target, sizeof target);
    if (more == NULL) {
        return service_manage(c, "DELETE", target, "", NULL) && service_status(c, "DELETE", 204);
    }
    service_enrollment(d, more, body, sizeof body);
    return service_manage(c, "PUT", target, "If-Match: *\r\n", body) && service_status(c, "PUT", 200);
}

#define DISABLED ",\"provisioningStatus\":\"disabled\""

/* more: the enrollment is changed so between challenge and proof; null: it is deleted. */
static void changed_before_proof(struct conformance *c, const char *what, const char *more, size_t ek)
{
    struct service_device d;
    struct service_device as_enrolled;
    struct service_snapshot before;
    char token[1024];
    if (!service_device_new(c, &d, "") || !service_challenge(c, &d)) {
        return;
    }
    as_enrolled = d;
    as_enrolled.ek = service_key(c, ek);
    service_device_token(&d, d.nonce, token, sizeof token);
    if (change(c, &as_enrolled, more) && service_look(c, d.id, &before) && service_send_proof(c, &d, token) &&
        service_refused(c, what, 0) && service_send_token(c, &d, token) && service_refused(c, what, 0)) {
        service_unchanged(c, d.id, &before, what);
    }
}

static void disabled_before_proof(struct conformance *c)
{
    changed_before_proof(c, "disabled between challenge and proof", DISABLED, SERVICE_EK);
}

static void deleted_before_proof(struct conformance *c)
{
    changed_before_proof(c, "deleted between challenge and proof", NULL, SERVICE_EK);
}

static void other_ek_before_proof(struct conformance *c)
{
    changed_before_proof(c, "another EK enrolled between challenge and proof", "", SERVICE_OTHER_EK);
}

static void disabled_before_poll(struct conformance *c)
{
    struct service_device d;
    char token[1024];
    if (service_device_new(c, &d, "") && service_challenge(c, &d) && service_prove(c, &d) &&
        change(c, &d, DISABLED)) {
        service_device_token(&d, d.nonce, token, sizeof token);
        poll_refused(c, &d, token, "disabled between proof and assignment");
    }
}

static void registration_deleted(struct conformance *c)
{
    struct service_device d;
    char target[512];
    char token[1024];
    if (!registered(c, &d)) {
        return;
    }
    service_device_token(&d, d.nonce, token, sizeof token);
    snprintf(target, sizeof target, "/registrations/%s?%s", d.id, SERVICE_API);
    if (service_manage(c, "DELETE", target, "", NULL) && service_status(c, "DELETE", 204) &&
        poll_refused(c, &d, token, "polling after the registration was deleted") &&
        service_send_proof(c, &d, token) &&
        service_refused(c, "the old token after the registration was deleted", 401)) {
        conformance_judge(c);
        service_register(c, &d);
    }
}

/* ---- Lookup -------------------------------------------------------------------------------------------- */

static bool look_up(struct conformance *c, const struct service_device *d, const char *token,
                    const char *body)
{
    char target[512];
    char headers[1200] = "";
    service_target(d, "", target, sizeof target);
    if (token != NULL) {
        snprintf(headers, sizeof headers, "Authorization: %s\r\n", token);
    }
    return service_ask(c, "POST", target, headers, body);
}

static void looked_up(struct conformance *c)
{
    const struct service *s = service_of(c);
    struct service_device d;
    char token[1024];
    char text[128];
    char body[256];
    if (!registered(c, &d)) {
        return;
    }
    service_device_token(&d, d.nonce, token, sizeof token);
    snprintf(body, sizeof body, "{\"registrationId\":\"%s\"}", d.id);
    if (look_up(c, &d, token, body) && service_status(c, "lookup", 200)) {
        conformance_check(c, strcmp(service_text(s, "status", text, sizeof text), "assigned") == 0,
                          "status is \"%s\", not \"assigned\"", text);
    }
}

static void looked_up_by_others(struct conformance *c)
{
    struct service_device d;
    struct service_device other;
    char token[1024];
    char body[256];
    if (!registered(c, &d) || !registered(c, &other)) {
        return;
    }
    snprintf(body, sizeof body, "{\"registrationId\":\"%s\"}", d.id);
    service_device_token(&other, other.nonce, token, sizeof token);
    if (look_up(c, &d, NULL, body) && service_refused(c, "lookup without a token", 0) &&
        look_up(c, &d, token, body)) {
        service_refused(c, "lookup with the token of another device", 0);
    }
}

#define STATE "DPS \"DeviceRegistrationState\""

const struct conformance_case service_cases_assignment[] = {
    {"SVC-S09-001",
     "A device must be registered: 401, 202, 200, with hub, deviceId, times, etag and the hub key, and be "
     "named after "
     "its registrationId.",
     STATE "; C SDK: needs hub, deviceId and key", CONFORMANCE_MUST, 0, whole},
    {"SVC-S09-002",
     "The right token must be answered with 202, operationId and assigning; Retry-After must be digits.",
     "C# SDK, iot-identity-service: take 202 only; C SDK: digits; Node SDK: operationId as it is",
     CONFORMANCE_MUST, 0, accepted},
    {"SVC-S09-003", "202 should have a registrationState and Retry-After.",
     "iot-identity-service: needs it while assigning", CONFORMANCE_SHOULD, 0, state_while_assigning},
    {"SVC-S09-004", "The hub key must not be the nonce.", "spec-notes: The store holds no secret",
     CONFORMANCE_MUST, 0, other_key_than_nonce},
    {"SVC-S09-005", "encUriData of the hub key should be HUB/deviceId.", "spec-notes: The activation blob",
     CONFORMANCE_SHOULD, 0, hub_uri},
    {"SVC-S09-006", "An operation that is asked for again must give the same hub key: an answer may be lost.",
     "C SDK: polls again", CONFORMANCE_MUST, 0, polled_again},
    {"SVC-S09-007", "GET with a body {} must be answered.", "Node SDK: sends it", CONFORMANCE_MUST, 0,
     body_in_get},
    {"SVC-S09-008", "A device must be able to register again, with an operation of its own.",
     "DPS \"Reprovisioning\"", CONFORMANCE_MUST, 0, again},
    {"SVC-S09-009",
     "substatus should be initialAssignment, and reprovisionedToInitialAssignment at the same hub again.",
     "DPS \"Reprovisioning\"; Java SDK", CONFORMANCE_SHOULD, 0, substatus},
    {"SVC-S09-010",
     "Registering again should make a new hub key: an old one may have been used by an intruder.",
     "spec-notes: The store holds no secret", CONFORMANCE_SHOULD, 0, new_key},
    {"SVC-S09-011", "The enrollment's deviceId must be the device's name at the hub.",
     "DPS \"Individual enrollment\"", CONFORMANCE_MUST, 0, device_id},
    {"SVC-S09-012", "An enrollment that allows one hub must lead to that hub.", "DPS \"Allocation policy\"",
     CONFORMANCE_MUST, 0, only_that_hub},
    {"SVC-S09-013", "An enrollment that allows no linked hub must not be assigned to another one.",
     "DPS \"Allocation policy\"; C SDK: 400208", CONFORMANCE_MUST, 0, unlinked_hub},
    {"SVC-S09-020", "An operation must be shown to the token that made it, and to nobody else.", STATE,
     CONFORMANCE_MUST, 0, polled_by_others},
    {"SVC-S09-021", "An operation that is not the device's last one must be refused.", STATE,
     CONFORMANCE_MUST, 0, unknown_operations},
    {"SVC-S09-022", "Polling with a token that expired long ago must be refused.", "DPS \"Security tokens\"",
     CONFORMANCE_MUST, 0, expired_poll},
    {"SVC-S09-030", "A device that is disabled between challenge and proof must not register.",
     "DPS \"Individual enrollment\"", CONFORMANCE_MUST, 0, disabled_before_proof},
    {"SVC-S09-031", "A device that is deleted between challenge and proof must not register.",
     "DPS \"Individual enrollment\"", CONFORMANCE_MUST, 0, deleted_before_proof},
    {"SVC-S09-032", "If another EK is enrolled between challenge and proof, the old one must not register.",
     "spec-notes: The right EK", CONFORMANCE_MUST, 0, other_ek_before_proof},
    {"SVC-S09-033",
     "If a device is disabled between proof and assignment, its hub key should not be given out.",
     "DPS \"Individual enrollment\"", CONFORMANCE_SHOULD, 0, disabled_before_poll},
    {"SVC-S09-034",
     "After its registration is deleted, a device's token must be refused, and it must be able to register "
     "again.",
     "spec-notes: A registration that is deleted keeps its generation", CONFORMANCE_MUST, 0,
     registration_deleted},
    {"SVC-S09-040", "A device should be able to look up its own registration.",
     "DPS \"Device Registration Status Lookup\"; Azure CLI", CONFORMANCE_SHOULD, 0, looked_up},
    {"SVC-S09-041", "Nobody else must be able to look up a registration.",
     "DPS \"Device Registration Status Lookup\"", CONFORMANCE_MUST, 0, looked_up_by_others},
    {0},
};
