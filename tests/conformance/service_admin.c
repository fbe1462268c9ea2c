/* SPDX-License-Identifier: MIT */
/* The administrator: enrolls the devices of the cases, looks whether something changed, and deletes them again. */
#include "dps/protocol/text.h"
#include "tests/conformance/service.h"
#include <string.h>

bool service_has_admin(struct conformance *c)
{
    const bool has = service_of(c)->owner.key_len > 0;
    if (!has) {
        conformance_skip(c, "needs an administrator: --connection-string-file FILE");
    }
    return has;
}

void service_policy_token(const struct service *s, const struct service_policy *p, char *text, size_t size)
{
    char se[24];
    service_expiry(3600, se, sizeof se);
    const struct service_token t = {.sr = s->host, .se = se, .skn = p->name};
    service_sign(bytes_of(p->key, p->key_len), &t, text, size);
}

bool service_manage(struct conformance *c, const char *method, const char *target, const char *headers,
                    const char *body)
{
    struct service *s = service_of(c);
    char token[1024];
    char all[DPS_HTTP_HEAD_MAX];
    if (!service_has_admin(c)) {
        return false;
    }
    service_policy_token(s, &s->owner, token, sizeof token);
    snprintf(all, sizeof all, "Authorization: %s\r\nContent-Type: application/json; charset=utf-8\r\n%s",
             token, headers);
    return service_ask(c, method, target, all, body);
}

void service_enrollment_path(const char *id, char *target, size_t size)
{
    snprintf(target, size, "/enrollments/%s?%s", id, SERVICE_API);
}

static void registration_path(const char *id, char *target, size_t size)
{
    snprintf(target, size, "/registrations/%s?%s", id, SERVICE_API);
}

void service_enrollment(const struct service_device *d, const char *more, char *text, size_t size)
{
    char ek[512];
    service_base64(bytes_of(d->ek->public_2b, d->ek->public_len), ek, sizeof ek);
    snprintf(text, size,
             "{\"registrationId\":\"%s\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"%"
             "s\"}}%s}",
             d->id, ek, more);
}

void service_created(struct conformance *c, const char *id)
{
    struct service *s = service_of(c);
    if (s->created_count < SERVICE_CREATED_MAX) {
        snprintf(s->created[s->created_count++], sizeof s->created[0], "%s", id);
    } else {
        conformance_check(c, false, "this case makes more enrollments than the suite keeps track of");
    }
}

/* Also while a case has failed: its outcome is kept. */
void service_clean(struct conformance *c)
{
    struct service *s = service_of(c);
    char target[512];
    const char *before = conformance_stand_on(c, "SVC-S02-009");
    for (size_t i = 0; i < s->created_count; i++) {
        service_enrollment_path(s->created[i], target, sizeof target);
        if (!service_manage(c, "DELETE", target, "", NULL)) {
            break;
        }
        const bool gone = s->status == 204 || s->status == 404;
        conformance_check(c, gone, "the enrollment %s could not be deleted again: status %u", s->created[i],
                          s->status);
        registration_path(s->created[i], target, sizeof target);
        (void)service_manage(c, "DELETE", target, "", NULL);
    }
    s->created_count = 0;
    conformance_stand_back(c, before);
}

void service_device_name(struct conformance *c, struct service_device *d)
{
    uint8_t bytes[8];
    struct bytes_writer w = bytes_writer_over((uint8_t *)d->id, sizeof d->id - 1);
    memset(d, 0, sizeof *d);
    d->ek = service_key(c, SERVICE_EK);
    d->srk = service_key(c, SERVICE_SRK);
    if (c->random.fill(c->random.context, bytes, sizeof bytes) != 0) {
        conformance_check(c, false, "no random bytes");
    }
    dps_write_text(&w, "conf-");
    dps_write_hex(&w, bytes_of(bytes, sizeof bytes));
}

bool service_device_enroll(struct conformance *c, struct service_device *d, const char *more)
{
    const struct service *s = service_of(c);
    char body[SERVICE_TEXT_MAX];
    char target[512];
    if (!service_has_admin(c)) {
        return false;
    }
    service_device_name(c, d);
    service_created(c, d->id);
    service_enrollment(d, more, body, sizeof body);
    service_enrollment_path(d->id, target, sizeof target);
    if (!service_manage(c, "PUT", target, "", body)) {
        return false;
    }
    /* The same seed gives the same name again: what an earlier run has left goes first. */
    return s->status != 409 ||
           (service_manage(c, "DELETE", target, "", NULL) && service_manage(c, "PUT", target, "", body));
}

bool service_device_new(struct conformance *c, struct service_device *d, const char *more)
{
    /* With more in it the enrollment is what the case is about. */
    const char *before = more[0] == 0 ? conformance_stand_on(c, "SVC-S02-001") : c->stands_on;
    const bool enrolled = service_device_enroll(c, d, more) && service_status(c, "enrolling a device", 200);
    conformance_stand_back(c, before);
    return enrolled;
}

/* ---- What the service keeps ---------------------------------------------------------------------------- */

bool service_look(struct conformance *c, const char *id, struct service_snapshot *now)
{
    const struct service *s = service_of(c);
    char target[512];
    uint8_t digests[2][CRYPTO_SHA256_SIZE];
    for (size_t i = 0; i < 2; i++) {
        (i == 0 ? service_enrollment_path : registration_path)(id, target, sizeof target);
        if (!service_manage(c, "GET", target, "", NULL)) {
            return false;
        }
        /* A refusal has an id of its own each time; what counts is that it is one. */
        const struct bytes seen[2] = {bytes_of(&s->status, sizeof s->status),
                                      s->status == 200 ? s->body : bytes_of(NULL, 0)};
        crypto_sha256(seen, 2, digests[i]);
    }
    const struct bytes both = bytes_of(digests, sizeof digests);
    crypto_sha256(&both, 1, now->digest);
    return true;
}

bool service_unchanged(struct conformance *c, const char *id, const struct service_snapshot *before,
                       const char *what)
{
    struct service_snapshot now;
    return service_look(c, id, &now) &&
           conformance_check(c, memcmp(&now, before, sizeof now) == 0,
                             "%s: the enrollment or registration has changed, and must not", what);
}
