/* SPDX-License-Identifier: MIT */
/* SVC-S05-037 and 053 to 057: the hardened SRK, which TPM2_Rewrap cannot use. The service cannot see which TPMs
 * have that command, so an enrollment may demand this SRK; and a demand is worth something only if nobody can get
 * around it. */
#include "tests/conformance/service.h"
#include <string.h>

#define RULE "spec-notes: Which SRK may be trusted"

static bool harden(struct conformance *c, struct service_device *d, struct service_key *key)
{
    static const struct service_variant as_it_is = {.name = "the hardened SRK"};
    const struct tpm2_public area = tpm2_template_srk_hardened();
    *key = *service_key(c, SERVICE_SRK);
    const struct bytes made =
        service_variant_make(key, &area, &as_it_is, key->public_2b, sizeof key->public_2b);
    key->public_len = made.len;
    d->srk = key;
    if (!conformance_check(c, made.len > 0, "the hardened SRK could not be made")) {
        return false;
    }
    tpm2_name_of(made, key->name);
    return true;
}

/* The enrollment as it is, and with the demand. Skips the case if this service has none. */
static bool demand(struct conformance *c, const struct service_device *d)
{
    char ek[600], body[SERVICE_TEXT_MAX], target[512], kept[32];
    service_base64(bytes_of(d->ek->public_2b, d->ek->public_len), ek, sizeof ek);
    snprintf(
        body, sizeof body,
        "{\"registrationId\":\"%s\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"%s\","
        "\"srk\":\"hardened\"}}}",
        d->id, ek);
    service_enrollment_path(d->id, target, sizeof target);
    if (!service_manage(c, "PUT", target, "If-Match: *\r\n", body)) {
        return false;
    }
    if (service_of(c)->status != 200 ||
        strcmp(service_text(service_of(c), "attestation.tpm.srk", kept, sizeof kept), "hardened") != 0) {
        conformance_skip(c, "attestation.tpm.srk is not offered by this service: status %u",
                         service_of(c)->status);
        return false;
    }
    return true;
}

static bool refused(struct conformance *c, const struct service_device *d, const char *what)
{
    char body[SERVICE_TEXT_MAX];
    service_body(d, body, sizeof body);
    return service_ask_challenge(c, d, body) && service_refused(c, what, 0);
}

/* ---- What it is ---- */

static const struct service_variant odd[] = {
    {.name = "hardened, with userWithAuth", .set = TPM2_OBJECT_USER_WITH_AUTH},
    {.name = "hardened, with adminWithPolicy", .set = TPM2_OBJECT_ADMIN_WITH_POLICY},
    {.name = "hardened, without noDA", .clear = TPM2_OBJECT_NO_DA},
    {.name = "hardened, without fixedTPM", .clear = TPM2_OBJECT_FIXED_TPM},
    {.name = "hardened, with another policy", .other_policy = true},
    {.name = "hardened, without policy", .no_policy = true},
    {.name = "hardened, AES-256", .symmetric_bits = 256},
    {.name = "hardened, an even modulus", .modulus = SERVICE_MODULUS_EVEN},
};

static void not_quite(struct conformance *c)
{
    const struct tpm2_public area = tpm2_template_srk_hardened();
    struct service_device d;
    struct service_key key = {0};
    if (!service_device_new(c, &d, "")) {
        return;
    }
    for (size_t i = 0; i < COUNT(odd); i++) {
        key = *service_key(c, SERVICE_SRK);
        key.public_len = service_variant_make(d.srk, &area, &odd[i], key.public_2b, sizeof key.public_2b).len;
        struct service_device other = d;
        other.srk = &key;
        if (!refused(c, &other, odd[i].name)) {
            return;
        }
    }
}

static void taken(struct conformance *c)
{
    struct service_device d;
    struct service_key key;
    if (!service_device_new(c, &d, "") || !service_challenge(c, &d)) {
        return;
    }
    conformance_judge(c);
    if (harden(c, &d, &key)) {
        service_register(c, &d);
    }
}

/* ---- The demand ---- */

static void demanded(struct conformance *c)
{
    struct service_device d;
    struct service_key key;
    if (!service_device_new(c, &d, "") || !demand(c, &d) || !refused(c, &d, "the standard SRK")) {
        return;
    }
    conformance_judge(c);
    if (harden(c, &d, &key) && service_register(c, &d)) {
        d.srk = service_key(c, SERVICE_SRK);
        refused(c, &d, "the standard SRK after a registration with the hardened one");
    }
}

static void code(struct conformance *c)
{
    struct service_device d;
    if (service_device_new(c, &d, "") && demand(c, &d) && refused(c, &d, "the standard SRK")) {
        conformance_check(c, service_error_code(service_of(c)) == 400016, "expected errorCode 400016, got %u",
                          service_error_code(service_of(c)));
    }
}

/* The demand comes when a standard SRK is already known: with a challenge, or with a registration. */
static void demanded_meanwhile(struct conformance *c)
{
    char token[1024];
    struct service_device d;
    if (!service_device_new(c, &d, "") || !service_challenge(c, &d) || !demand(c, &d)) {
        return;
    }
    service_device_token(&d, d.nonce, token, sizeof token);
    if (!service_send_token(c, &d, token) || !service_refused(c, "a token without keys", 0) ||
        !service_send_proof(c, &d, token) || !service_refused(c, "a token with keys", 0)) {
        return;
    }
    if (!service_device_new(c, &d, "") || !service_challenge(c, &d) || !service_prove(c, &d) ||
        !demand(c, &d)) {
        return;
    }
    service_device_token(&d, d.nonce, token, sizeof token);
    if (service_ask_operation(c, &d, token)) {
        service_refused(c, "asking for the hub's key under the standard SRK", 0);
    }
}

static void misspelt(struct conformance *c)
{
    static const char *const values[] = {"\"standard\"", "\"hard\"", "\"\"", "true", "1", "{}", "[]"};
    char ek[600], body[SERVICE_TEXT_MAX], target[512];
    struct service_device d;
    if (!service_device_new(c, &d, "") || !demand(c, &d)) {
        return;
    }
    service_base64(bytes_of(d.ek->public_2b, d.ek->public_len), ek, sizeof ek);
    service_enrollment_path(d.id, target, sizeof target);
    for (size_t i = 0; i < COUNT(values); i++) {
        snprintf(body, sizeof body,
                 "{\"registrationId\":\"%s\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{"
                 "\"endorsementKey\":\"%s\",\"srk\":%s}}}",
                 d.id, ek, values[i]);
        if (!service_manage(c, "PUT", target, "If-Match: *\r\n", body) || !service_refused(c, values[i], 0)) {
            return;
        }
    }
}

const struct conformance_case service_cases_srk_hardened[] = {
    {"SVC-S05-037", "An SRK that is nearly the hardened one should be refused.", RULE, CONFORMANCE_SHOULD, 0,
     not_quite},
    {"SVC-S05-053", "The hardened SRK (0x00030432, Import or Load only) should be accepted.", RULE,
     CONFORMANCE_SHOULD, 0, taken},
    {"SVC-S05-054", "Where the enrollment demands the hardened SRK, the standard one must be refused.", RULE,
     CONFORMANCE_MUST, 0, demanded},
    {"SVC-S05-055", "The refusal of a standard SRK where the hardened one is demanded should say so: 400016.",
     "spec-notes: Error codes", CONFORMANCE_SHOULD, 0, code},
    {"SVC-S05-056",
     "A standard SRK that the service knows already must be refused where the hardened one is demanded.",
     RULE, CONFORMANCE_MUST, 0, demanded_meanwhile},
    {"SVC-S05-057", "A demand that the service does not understand must be refused, not ignored.", RULE,
     CONFORMANCE_MUST, 0, misspelt},
    {0},
};
