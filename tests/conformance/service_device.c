/* SPDX-License-Identifier: MIT */
/* The device: steps 4 to 9 with its keys in software. */
#include "dps/protocol/activation.h"
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include "tests/conformance/service.h"
#include "tpm/tools/open.h"
#include <string.h>

void service_target(const struct service_device *d, const char *suffix, char *target, size_t size)
{
    snprintf(target, size, "/%s/registrations/%s%s?%s", service_given.scope, d->id, suffix, SERVICE_API);
}

void service_body(const struct service_device *d, char *text, size_t size)
{
    char ek[512];
    char srk[512];
    service_base64(bytes_of(d->ek->public_2b, d->ek->public_len), ek, sizeof ek);
    service_base64(bytes_of(d->srk->public_2b, d->srk->public_len), srk, sizeof srk);
    snprintf(text, size,
             "{\"registrationId\":\"%s\",\"tpm\":{\"endorsementKey\":\"%s\",\"storageRootKey\":\"%s\"}}",
             d->id, ek, srk);
}

bool service_ask_challenge(struct conformance *c, const struct service_device *d, const char *body)
{
    char target[512];
    service_target(d, "/register", target, sizeof target);
    return service_ask(c, "PUT", target, "Content-Type: application/json; charset=utf-8\r\n", body);
}

/* ---- The blob, opened as a TPM does, step by step ------------------------------------------------------ */

/* The case that is about a blob: `challenge` for a challenge's; the assignment has one case for all of its own. */
static const char *owner_of(const char *path, const char *challenge)
{
    return strcmp(path, "authenticationKey") == 0 ? challenge : "SVC-S09-001";
}

static bool split_blob(struct conformance *c, struct service_blob *b)
{
    static const char *const names[] = {"TPM2B_ID_OBJECT",        "TPM2B_ENCRYPTED_SECRET", "TPM2B_PRIVATE",
                                        "TPM2B_ENCRYPTED_SECRET", "TPM2B_PUBLIC",           "TPM2B_DATA"};
    struct bytes *const fields[] = {&b->fields.id_object,     &b->fields.encrypted_secret,
                                    &b->fields.duplicate,     &b->fields.duplicate_secret,
                                    &b->fields.key_public_2b, &b->fields.enc_uri};
    struct bytes_reader r = bytes_reader_over(bytes_of(b->bytes, b->len));
    for (size_t i = 0; i < COUNT(fields); i++) {
        const struct bytes_reader field = r;
        *fields[i] = fields[i] == &b->fields.key_public_2b ? bytes_read_2b_whole(&r) : bytes_read_2b(&r);
        const unsigned announced = field.left >= 2 ? (unsigned)(field.p[0] << 8 | field.p[1]) : 0;
        if (!conformance_check(
                c, r.error == 0,
                "field %zu of the blob, %s, is cut off: it announces %u bytes, and %zu follow (%s)", i + 1,
                names[i], announced, field.left >= 2 ? field.left - 2 : 0, posix_error_text(r.error))) {
            return false;
        }
    }
    b->trailing = r.left;
    return true;
}

bool service_has_blob(struct conformance *c, const char *path)
{
    const struct service *s = service_of(c);
    const struct bytes value = service_member(s, path);
    const char *before = conformance_stand_on(c, owner_of(path, "SVC-S06-001"));
    /* With more than its two quotes. */
    const bool has = conformance_check(c, dps_json_kind(value) == DPS_JSON_STRING && value.len > 2,
                                       "the answer has no text in \"%s\": %.200s", path, service_shown(s));
    conformance_stand_back(c, before);
    return has;
}

static bool read_blob(struct conformance *c, const char *path)
{
    struct service *s = service_of(c);
    struct service_blob *b = &s->blob;
    char text[(sizeof b->bytes + 2) / 3 * 4 + 1];
    memset(b, 0, sizeof *b);
    (void)service_text(s, path, text, sizeof text);
    if (!service_has_blob(c, path) ||
        !conformance_check(c, dps_base64_decode(bytes_of_text(text), b->bytes, sizeof b->bytes, &b->len) == 0,
                           "\"%s\" is not base64", path)) {
        return false;
    }
    return split_blob(c, b);
}

static bool open_fields(struct conformance *c, const struct service_device *d)
{
    struct service_blob *b = &service_of(c)->blob;
    uint8_t name[TPM2_NAME_SIZE];
    size_t len;
    int error = tpm2_credential_open(b->fields.id_object, b->fields.encrypted_secret, &d->ek->rsa,
                                     bytes_of(d->srk->name, sizeof d->srk->name), b->inner_key,
                                     sizeof b->inner_key, &b->inner_len);
    if (!conformance_check(c, error == 0,
                           "fields 1 and 2 do not open with the EK and the SRK's Name, as ActivateCredential "
                           "does: %s",
                           posix_error_text(error))) {
        return false;
    }
    tpm2_name_of(b->fields.key_public_2b, name);
    error = tpm2_duplicate_open(b->fields.duplicate, b->fields.duplicate_secret, &d->srk->rsa,
                                bytes_of(b->inner_key, b->inner_len), bytes_of(name, sizeof name),
                                &b->sensitive, b->storage, sizeof b->storage);
    if (!conformance_check(c, error == 0,
                           "fields 3, 4 and 5 do not open with the SRK and the inner key, as Import does: %s",
                           posix_error_text(error)) ||
        !conformance_check(
            c, b->sensitive.key.len >= SERVICE_SECRET_MIN && b->sensitive.key.len <= SERVICE_SECRET_SIZE,
            "the key in the blob has %zu bytes, not 16 to 64", b->sensitive.key.len)) {
        return false;
    }
    if (dps_activation_uri(bytes_of(b->inner_key, b->inner_len), b->fields.enc_uri, (uint8_t *)b->uri,
                           sizeof b->uri - 1, &len) != 0) {
        b->uri[0] = 0;
    }
    return true;
}

bool service_take_blob(struct conformance *c, const char *path)
{
    const char *before = conformance_stand_on(c, owner_of(path, "SVC-S06-003"));
    const bool taken = read_blob(c, path);
    conformance_stand_back(c, before);
    return taken;
}

bool service_open_blob(struct conformance *c, const struct service_device *d, const char *path)
{
    if (!service_take_blob(c, path)) {
        return false;
    }
    const char *before = conformance_stand_on(c, owner_of(path, "SVC-S06-005"));
    const bool opened = open_fields(c, d);
    conformance_stand_back(c, before);
    return opened;
}

/* ---- The conversation ---------------------------------------------------------------------------------- */

/* The key in the blob that was opened last. */
static void take_secret(const struct service *s, uint8_t secret[SERVICE_SECRET_SIZE])
{
    memset(secret, 0, SERVICE_SECRET_SIZE);
    memcpy(secret, s->blob.sensitive.key.p, s->blob.sensitive.key.len);
}

bool service_ask_challenged(struct conformance *c, const struct service_device *d)
{
    char body[SERVICE_TEXT_MAX];
    service_body(d, body, sizeof body);
    const char *before = conformance_stand_on(c, "SVC-S06-001");
    const bool challenged =
        service_ask_challenge(c, d, body) && service_status(c, "asking for a challenge", 401);
    conformance_stand_back(c, before);
    return challenged;
}

bool service_challenge(struct conformance *c, struct service_device *d)
{
    if (!service_ask_challenged(c, d) || !service_open_blob(c, d, "authenticationKey")) {
        return false;
    }
    take_secret(service_of(c), d->nonce);
    return true;
}

static bool send_proof(struct conformance *c, const struct service_device *d, const char *token,
                       const char *body)
{
    char target[512];
    char headers[1500];
    service_target(d, "/register", target, sizeof target);
    snprintf(headers, sizeof headers,
             "Authorization: %s\r\nContent-Type: application/json; charset=utf-8\r\n", token);
    return service_ask(c, "PUT", target, headers, body);
}

bool service_send_proof(struct conformance *c, const struct service_device *d, const char *token)
{
    char body[SERVICE_TEXT_MAX];
    service_body(d, body, sizeof body);
    return send_proof(c, d, token, body);
}

bool service_send_token(struct conformance *c, const struct service_device *d, const char *token)
{
    char body[256];
    snprintf(body, sizeof body, "{\"registrationId\":\"%s\"}", d->id);
    return send_proof(c, d, token, body);
}

/* It goes into a path, and one client does not encode it there. */
static bool fit_for_path(const char *text)
{
    for (const char *p = text; *p != 0; p++) {
        const char lower = (char)dps_lower((uint8_t)*p);
        if (!(lower >= 'a' && lower <= 'z') && !(*p >= '0' && *p <= '9') && strchr("-._", *p) == NULL) {
            return false;
        }
    }
    return text[0] != 0;
}

bool service_take_operation(struct conformance *c, struct service_device *d)
{
    const struct service *s = service_of(c);
    (void)service_text(s, "operationId", d->operation, sizeof d->operation);
    return conformance_check(c, fit_for_path(d->operation),
                             "operationId must be text that can stand in a path as it is: %.200s",
                             service_shown(s));
}

bool service_prove(struct conformance *c, struct service_device *d)
{
    char token[1024];
    service_device_token(d, d->nonce, token, sizeof token);
    const char *before = conformance_stand_on(c, "SVC-S09-002");
    const bool proved = service_send_proof(c, d, token) &&
                        service_status(c, "answering the challenge", 202) && service_take_operation(c, d);
    conformance_stand_back(c, before);
    return proved;
}

bool service_ask_operation(struct conformance *c, const struct service_device *d, const char *token)
{
    char suffix[300];
    char target[900];
    char headers[1200] = "";
    snprintf(suffix, sizeof suffix, "/operations/%s", d->operation);
    service_target(d, suffix, target, sizeof target);
    if (token != NULL) {
        snprintf(headers, sizeof headers, "Authorization: %s\r\n", token);
    }
    return service_ask(c, "GET", target, headers, NULL);
}

bool service_take_assignment(struct conformance *c, struct service_device *d)
{
    const struct service *s = service_of(c);
    (void)service_text(s, "registrationState.assignedHub", d->hub, sizeof d->hub);
    (void)service_text(s, "registrationState.deviceId", d->device_id, sizeof d->device_id);
    (void)service_text(s, "registrationState.substatus", d->substatus, sizeof d->substatus);
    if (!conformance_check(c, d->hub[0] != 0 && d->device_id[0] != 0,
                           "registrationState must have assignedHub and deviceId: %.300s",
                           service_shown(s)) ||
        !service_open_blob(c, d, "registrationState.tpm.authenticationKey")) {
        return false;
    }
    take_secret(s, d->hub_key);
    return true;
}

static bool poll_until_assigned(struct conformance *c, struct service_device *d)
{
    const struct service *s = service_of(c);
    const struct port_clock clock = posix_clock();
    const uint64_t deadline = clock.monotonic_ms(clock.context) + 60000;
    char token[1024];
    char status[32];
    service_device_token(d, d->nonce, token, sizeof token);
    do {
        uint64_t seconds = 1;
        if (!service_ask_operation(c, d, token)) {
            return false;
        }
        if (!conformance_check(c, s->status == 200 || s->status == 202,
                               "asking for the operation: expected status 200 or 202, got %u: %.200s",
                               s->status, service_shown(s))) {
            return false;
        }
        (void)service_text(s, "status", status, sizeof status);
        if (strcmp(status, "assigning") != 0) {
            return conformance_check(c, strcmp(status, "assigned") == 0,
                                     "the operation must end as assigned: %.300s", service_shown(s)) &&
                   service_take_assignment(c, d);
        }
        (void)dps_decimal_parse(service_header(s, "Retry-After"), 10, &seconds);
        (void)clock.sleep_ms(clock.context, (uint32_t)(seconds > 0 ? seconds : 1) * 1000);
    } while (clock.monotonic_ms(clock.context) < deadline && posix_interrupted == 0);
    return conformance_check(c, false, "the operation is still \"assigning\" after 60 seconds");
}

bool service_poll(struct conformance *c, struct service_device *d)
{
    const char *before = conformance_stand_on(c, "SVC-S09-001");
    const bool assigned = poll_until_assigned(c, d);
    conformance_stand_back(c, before);
    return assigned;
}

bool service_register(struct conformance *c, struct service_device *d)
{
    return service_challenge(c, d) && service_prove(c, d) && service_poll(c, d);
}
