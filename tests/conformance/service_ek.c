/* SPDX-License-Identifier: MIT */
/* SVC-S05-001 to 029: the EK, at enrollment and in the request. */
#include "dps/protocol/text.h"
#include "tests/conformance/service.h"
#include <string.h>

/* Ask for a challenge with these two public areas: refused. */
static bool refused_with(struct conformance *c, const struct service_device *d, const char *what,
                         struct bytes ek, struct bytes srk)
{
    char first[600];
    char second[600];
    char body[SERVICE_TEXT_MAX];
    service_base64(ek, first, sizeof first);
    service_base64(srk, second, sizeof second);
    snprintf(body, sizeof body,
             "{\"registrationId\":\"%s\",\"tpm\":{\"endorsementKey\":\"%s\",\"storageRootKey\":\"%s\"}}",
             d->id, first, second);
    return service_ask_challenge(c, d, body) && service_refused(c, what, 0);
}

static struct bytes public_of(const struct service_key *key)
{
    return bytes_of(key->public_2b, key->public_len);
}

static void other_ek(struct conformance *c)
{
    struct service_device d;
    if (service_device_new(c, &d, "")) {
        refused_with(c, &d, "the EK of another TPM", public_of(service_key(c, SERVICE_OTHER_EK)),
                     public_of(d.srk));
    }
}

static void swapped(struct conformance *c)
{
    struct service_device d;
    if (service_device_new(c, &d, "")) {
        refused_with(c, &d, "EK and SRK swapped", public_of(d.srk), public_of(d.ek));
    }
}

static void identical(struct conformance *c)
{
    struct service_device d;
    if (service_device_new(c, &d, "") &&
        refused_with(c, &d, "the EK for both", public_of(d.ek), public_of(d.ek))) {
        refused_with(c, &d, "the SRK for both", public_of(d.srk), public_of(d.srk));
    }
}

static void nearly(struct conformance *c)
{
    struct service_device d;
    uint8_t ek[DPS_EK_PUBLIC_MAX + 1];
    if (!service_device_new(c, &d, "")) {
        return;
    }
    const size_t len = d.ek->public_len;
    const size_t modulus = len - 256;
    const size_t bits[] = {modulus, modulus + 1, modulus + 128, modulus + 255, 7, 12};
    for (size_t i = 0; i < COUNT(bits); i++) {
        char what[64];
        memcpy(ek, d.ek->public_2b, len);
        ek[bits[i]] ^= bits[i] == modulus + 255 ? 2 : 1;
        snprintf(what, sizeof what, "the EK with one bit of byte %zu changed", bits[i]);
        if (!refused_with(c, &d, what, bytes_of(ek, len), public_of(d.srk))) {
            return;
        }
    }
    memcpy(ek, d.ek->public_2b, len);
    ek[len] = 0;
    if (refused_with(c, &d, "the EK and one byte more", bytes_of(ek, len + 1), public_of(d.srk))) {
        refused_with(c, &d, "the EK without its last byte", bytes_of(ek, len - 1), public_of(d.srk));
    }
}

/* Exponent 0 means 65537: TPMs differ in what they say. Its four bytes stand in front of the modulus and its size. */
static void exponent_written_out(struct conformance *c)
{
    struct service_device d;
    struct service_key key;
    if (!service_device_new(c, &d, "")) {
        return;
    }
    key = *d.ek;
    memcpy(key.public_2b + key.public_len - 256 - 2 - 4, "\x00\x01\x00\x01", 4);
    if (!service_challenge(c, &d)) {
        return;
    }
    conformance_judge(c);
    d.ek = &key;
    service_challenge(c, &d);
}

/* ---- Bad keys, at enrollment --------------------------------------------------------------------------- */

static bool enroll_refused(struct conformance *c, const char *what, const char *ek)
{
    struct service_device d;
    char target[512];
    char body[SERVICE_TEXT_MAX];
    service_device_name(c, &d);
    service_created(c, d.id);
    service_enrollment_path(d.id, target, sizeof target);
    snprintf(
        body, sizeof body,
        "{\"registrationId\":\"%s\",\"attestation\":{\"type\":\"tpm\",\"tpm\":{\"endorsementKey\":\"%s\"}}}",
        d.id, ek);
    return service_manage(c, "PUT", target, "", body) && service_refused(c, what, 0);
}

/* ... as the real service says it. */
static bool form_refused(struct conformance *c, const char *what, const char *ek)
{
    const struct service *s = service_of(c);
    return enroll_refused(c, what, ek) &&
           conformance_check(c, s->status == 400 && service_error_code(s) == 400004,
                             "%s: the real service says 400004, this one %u", what, service_error_code(s));
}

static void try_enroll(struct conformance *c, const struct service_variant *vectors, size_t count)
{
    const struct tpm2_public area = tpm2_template_ek_l1();
    if (!service_has_admin(c)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        uint8_t bytes[DPS_EK_PUBLIC_MAX + 16];
        char ek[600];
        const struct bytes made =
            service_variant_make(service_key(c, SERVICE_EK), &area, &vectors[i], bytes, sizeof bytes);
        if (!conformance_check(c, made.len > 0, "%s could not be made", vectors[i].name)) {
            return;
        }
        service_base64(made, ek, sizeof ek);
        if (!enroll_refused(c, vectors[i].name, ek)) {
            return;
        }
    }
}

static void bad_attributes(struct conformance *c)
{
    static const struct service_variant vectors[] = {
        {.name = "without fixedTPM", .clear = TPM2_OBJECT_FIXED_TPM},
        {.name = "without fixedTPM and fixedParent",
         .clear = TPM2_OBJECT_FIXED_TPM | TPM2_OBJECT_FIXED_PARENT},
        {.name = "without sensitiveDataOrigin", .clear = TPM2_OBJECT_SENSITIVE_DATA_ORIGIN},
        {.name = "unrestricted", .clear = TPM2_OBJECT_RESTRICTED},
        {.name = "without decrypt", .clear = TPM2_OBJECT_DECRYPT},
        {.name = "that also signs", .set = TPM2_OBJECT_SIGN_ENCRYPT},
    };
    try_enroll(c, vectors, COUNT(vectors));
}

static void bad_policies(struct conformance *c)
{
    static const struct service_variant vectors[] = {
        {.name = "without a policy", .no_policy = true},
        {.name = "with another policy", .other_policy = true},
    };
    try_enroll(c, vectors, COUNT(vectors));
}

static void bad_numbers(struct conformance *c)
{
    static const struct service_variant vectors[] = {
        {.name = "an even modulus", .modulus = SERVICE_MODULUS_EVEN},
        {.name = "a modulus with a leading zero", .modulus = SERVICE_MODULUS_LEADING_ZERO},
        {.name = "a modulus of 1024 bits", .modulus = SERVICE_MODULUS_SHORT},
        {.name = "a modulus of 2056 bits", .modulus = SERVICE_MODULUS_LONG},
        {.name = "no modulus", .modulus = SERVICE_MODULUS_EMPTY},
        {.name = "the modulus 1", .modulus = SERVICE_MODULUS_ONES},
        {.name = "exponent 1", .exponent = 1},
        {.name = "an even exponent", .exponent = 65536},
        {.name = "keyBits 1024 before 2048 bits", .key_bits = 1024},
        {.name = "keyBits 3072 before 2048 bits", .key_bits = 3072},
        {.name = "nameAlg SHA-1", .name_alg = 0x0004},
        {.name = "nameAlg null", .name_alg = 0x0010},
        {.name = "AES-192", .symmetric_bits = 192},
    };
    try_enroll(c, vectors, COUNT(vectors));
}

/* What people have by hand and paste. */
static void bad_forms(struct conformance *c)
{
    const struct service_key *key = service_key(c, SERVICE_EK);
    uint8_t bytes[400];
    char ek[700];
    if (!service_has_admin(c)) {
        return;
    }
    service_base64(bytes_of(key->public_2b + 2, key->public_len - 2), ek, sizeof ek);
    if (!form_refused(c, "TPMT_PUBLIC without its size", ek)) {
        return;
    }
    service_base64(bytes_of(key->public_2b, key->public_len - 1), ek, sizeof ek);
    if (!form_refused(c, "a byte missing", ek)) {
        return;
    }
    memcpy(bytes, key->public_2b, key->public_len);
    bytes[key->public_len] = 0;
    service_base64(bytes_of(bytes, key->public_len + 1), ek, sizeof ek);
    if (!form_refused(c, "a byte too many", ek)) {
        return;
    }
    service_base64(bytes_of(key->modulus, sizeof key->modulus), ek, sizeof ek);
    if (!form_refused(c, "the modulus alone", ek) || !form_refused(c, "no base64", "this is not a key") ||
        !form_refused(c, "empty", "") ||
        !form_refused(
            c, "PEM",
            "-----BEGIN PUBLIC KEY-----\\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\\n-----END PUBLIC KEY-----")) {
        return;
    }
    service_base64(public_of(service_key(c, SERVICE_SRK)), ek, sizeof ek);
    form_refused(c, "an SRK", ek);
}

const struct conformance_case service_cases_ek[] = {
    {"SVC-S05-001", "The EK of another TPM must be refused.", "spec-notes: The right EK", CONFORMANCE_MUST, 0,
     other_ek},
    {"SVC-S05-002", "EK and SRK swapped must be refused.", "spec-notes: Which SRK may be trusted",
     CONFORMANCE_MUST, 0, swapped},
    {"SVC-S05-003", "One key as both EK and SRK must be refused.", "spec-notes: Which SRK may be trusted",
     CONFORMANCE_MUST, 0, identical},
    {"SVC-S05-004", "An EK that differs from the enrolled one in a single bit or byte must be refused.",
     "spec-notes: The right EK", CONFORMANCE_MUST, 0, nearly},
    {"SVC-S05-005", "Exponent 0 and 65537 should count as the same EK: it is the same key.",
     "TPM 2.0 Part 2 r1.59 §12.2.3.5", CONFORMANCE_SHOULD, 0, exponent_written_out},
    {"SVC-S05-010", "Anything but a TPM2B_PUBLIC of an EK must not be enrolled: 400004.",
     "azure-iot-sdk-c#1502", CONFORMANCE_MUST, 0, bad_forms},
    {"SVC-S05-011", "A key that may leave its TPM, or do more than an EK, must not be enrolled.",
     "EK Profile 2.5 §B.3.3", CONFORMANCE_MUST, 0, bad_attributes},
    {"SVC-S05-012",
     "A key with a policy other than PolicySecret of the endorsement hierarchy should not be enrolled.",
     "EK Profile 2.5 §B.3.3, §B.6.2", CONFORMANCE_SHOULD, 0, bad_policies},
    {"SVC-S05-013", "A key whose modulus, exponent or parameters are impossible must not be enrolled.",
     "EK Profile 2.5 §B.3.3; TPM 2.0 Part 2 r1.59 §12.2.3.5", CONFORMANCE_MUST, 0, bad_numbers},
    {0},
};
