/* SPDX-License-Identifier: MIT */
#include "dps/service/enrollment.h"
#include "dps/protocol/json.h"
#include "dps/protocol/registration_id.h"
#include "dps/protocol/text.h"
#include "dps/service/ek_mistake.h"
#include <string.h>

static enum dps_refusal wrong(const char **detail, const char *what)
{
    *detail = what;
    return DPS_REFUSED_ENROLLMENT;
}

/* ---- The endorsement key ------------------------------------------------------------------------------- */

static bool exponent_is_default(uint32_t exponent)
{
    return exponent == 0 || exponent == 65537;
}

int dps_ek_from_base64(struct bytes text, uint8_t ek[DPS_EK_PUBLIC_MAX], size_t *len, const char **detail)
{
    const struct tpm2_public wanted = tpm2_template_ek_l1();
    struct tpm2_public area;
    const char *unused = NULL;
    const char **why = detail != NULL ? detail : &unused;
    uint8_t decoded[DPS_EK_PUBLIC_MAX];
    struct bytes_writer w = bytes_writer_over(ek, DPS_EK_PUBLIC_MAX);
    size_t decoded_len;
    *len = 0;
    if (dps_base64_decode(text, decoded, sizeof decoded, &decoded_len) != 0) {
        *why = dps_ek_mistake(text);
        return BYTES_E_FORMAT;
    }
    const int error = tpm2_public_parse_2b(bytes_of(decoded, decoded_len), &area);
    if (error != 0) {
        *why = error == BYTES_E_ALGORITHM
                   ? "endorsementKey is not an RSA-2048 key: only RSA endorsement keys are offered"
                   : dps_ek_mistake(text);
        return error;
    }
    if (dps_srk_check(&area) == DPS_ACCEPTED) {
        *why = "endorsementKey is a storage root key (SRK)";
        return BYTES_E_ALGORITHM;
    }
    const uint32_t exponent = area.exponent;
    area.exponent = wanted.exponent;
    if (!tpm2_public_matches(&area, &wanted) || !exponent_is_default(exponent)) {
        *why = "endorsementKey is not made from the EK template (RSA-2048, attributes 0x000300B2, policy A, "
               "AES-128-CFB)";
        return BYTES_E_ALGORITHM;
    }
    if (!tpm2_public_modulus_is_sane(&area)) {
        *why = "endorsementKey has a modulus that is not an RSA-2048 modulus";
        return BYTES_E_ALGORITHM;
    }
    tpm2_public_write_2b(&w, &area);
    *len = w.len;
    return w.error;
}

/* ---- The storage root key ------------------------------------------------------------------------------ */

/* A TPM lets anybody load the public half of any key, and LoadExternal lets a software key pass for an SRK, if
 * it does not claim to be fixedTPM. The TPM refuses to load from outside a key that does claim it [P3 r1.59
 * 12.3], and ActivateCredential does not accept a public half alone. So the attributes below are what keeps the
 * nonce inside the TPM, except for TPM2_Rewrap, which only the hardened SRK refuses. */
bool dps_srk_is_hardened(const struct tpm2_public *srk)
{
    return (srk->attributes & TPM2_OBJECT_USER_WITH_AUTH) == 0 && srk->auth_policy.len > 0;
}

/* noDA is free in the standard SRK: both forms are in use. */
enum dps_refusal dps_srk_check(const struct tpm2_public *srk)
{
    const bool hardened = dps_srk_is_hardened(srk);
    const struct tpm2_public wanted = hardened ? tpm2_template_srk_hardened() : tpm2_template_srk();
    const uint32_t no_da = hardened ? 0 : TPM2_OBJECT_NO_DA;
    if (srk->type != wanted.type || srk->name_alg != wanted.name_alg) {
        return DPS_REFUSED_SRK_PARAMETERS;
    }
    if ((srk->attributes | no_da) != (wanted.attributes | no_da)) {
        return DPS_REFUSED_SRK_ATTRIBUTES;
    }
    if (!bytes_equal_public(srk->auth_policy, wanted.auth_policy)) {
        return DPS_REFUSED_SRK_POLICY;
    }
    if (srk->symmetric != wanted.symmetric || srk->symmetric_key_bits != wanted.symmetric_key_bits ||
        srk->symmetric_mode != wanted.symmetric_mode || srk->scheme != wanted.scheme ||
        srk->key_bits != wanted.key_bits) {
        return DPS_REFUSED_SRK_PARAMETERS;
    }
    if (!tpm2_public_modulus_is_sane(srk) || !exponent_is_default(srk->exponent)) {
        return DPS_REFUSED_SRK_MODULUS;
    }
    return DPS_ACCEPTED;
}

/* ---- The enrollment ------------------------------------------------------------------------------------ */

/* An optional member: absent and null are the same. */
static int optional(struct bytes object, const char *name, struct bytes *value)
{
    const int error = dps_json_member(object, name, value);
    if (error == 0 && dps_json_kind(*value) == DPS_JSON_NULL) {
        *value = bytes_of(NULL, 0);
    }
    return error == BYTES_E_NOT_FOUND ? 0 : error;
}

/* A member of our own: without it either SRK is taken. A misspelt demand must not count as none. */
static enum dps_refusal parse_demand(struct bytes tpm, struct dps_enrollment *e, const char **detail)
{
    struct bytes srk;
    const int error = optional(tpm, "srk", &srk);
    e->hardened_srk = srk.len > 0;
    return error != 0 || (e->hardened_srk && !dps_json_word_is(srk, "hardened"))
               ? wrong(detail, "attestation.tpm.srk must be \"hardened\", or be left out")
               : DPS_ACCEPTED;
}

static enum dps_refusal parse_attestation(struct bytes root, struct dps_enrollment *e, const char **detail)
{
    struct bytes attestation;
    struct bytes type;
    struct bytes tpm;
    struct bytes key;
    uint8_t text[2048];
    size_t len;
    if (dps_json_member(root, "attestation", &attestation) != 0) {
        return wrong(detail, "attestation is missing");
    }
    if (dps_json_member(attestation, "type", &type) != 0 || !dps_json_word_is(type, "tpm")) {
        *detail = "certificates, symmetric keys and others are not offered";
        return DPS_REFUSED_ATTESTATION;
    }
    if (dps_json_member(attestation, "tpm", &tpm) != 0 || dps_json_member(tpm, "endorsementKey", &key) != 0 ||
        dps_json_kind(key) != DPS_JSON_STRING) {
        return wrong(detail, "attestation.tpm.endorsementKey is missing");
    }
    if (dps_json_string(key, text, sizeof text, &len) != 0) {
        *detail = dps_ek_mistake(bytes_of(key.p + 1, key.len - 2));
        return DPS_REFUSED_EK_FORM;
    }
    if (dps_ek_from_base64(bytes_of(text, len), e->ek, &e->ek_len, detail) != 0) {
        return DPS_REFUSED_EK_FORM;
    }
    return parse_demand(tpm, e, detail);
}

static enum dps_refusal parse_names(struct bytes root, struct dps_enrollment *e, const char **detail)
{
    uint8_t text[DPS_REGISTRATION_ID_MAX];
    size_t len;
    if (dps_json_member(root, "registrationId", &e->registration_id) != 0 ||
        dps_json_string(e->registration_id, text, sizeof text, &len) != 0 ||
        !dps_registration_id_valid(bytes_of(text, len))) {
        return wrong(detail,
                     "registrationId must be 1 to 128 characters: letters, digits, '-', '.', '_', ':', "
                     "the last one a letter, digit or '-'");
    }
    if (optional(root, "deviceId", &e->device_id) != 0) {
        return wrong(detail, "deviceId occurs twice");
    }
    if (e->device_id.len > 0 && (dps_json_string(e->device_id, text, sizeof text, &len) != 0 ||
                                 !dps_device_id_valid(bytes_of(text, len)))) {
        return wrong(detail,
                     "deviceId must be 1 to 128 characters out of A-Z a-z 0-9 - . + % _ # * ? ! ( ) , : "
                     "= @ $ '");
    }
    return DPS_ACCEPTED;
}

static enum dps_refusal parse_status(struct bytes root, struct dps_enrollment *e, const char **detail)
{
    struct bytes status;
    e->enabled = true;
    if (optional(root, "provisioningStatus", &status) != 0) {
        return wrong(detail, "provisioningStatus occurs twice");
    }
    if (status.len > 0) {
        e->enabled = dps_json_word_is(status, "enabled");
        if (!e->enabled && !dps_json_word_is(status, "disabled")) {
            return wrong(detail, "provisioningStatus must be \"enabled\" or \"disabled\"");
        }
    }
    return DPS_ACCEPTED;
}

/* Latencies are not known here: geoLatency is treated as hashed. */
static const struct {
    const char *word;
    enum dps_allocation_policy policy;
} allocation_words[] = {
    {"static", DPS_ALLOCATION_STATIC},
    {"hashed", DPS_ALLOCATION_HASHED},
    {"geoLatency", DPS_ALLOCATION_HASHED},
};
#define ALLOCATION_WORDS (sizeof allocation_words / sizeof allocation_words[0])

static size_t find_allocation_word(struct bytes value)
{
    size_t i = 0;
    while (i < ALLOCATION_WORDS && !dps_json_word_is(value, allocation_words[i].word)) {
        i++;
    }
    return i;
}

const char *dps_allocation_word(struct bytes value)
{
    const size_t i = find_allocation_word(value);
    return i < ALLOCATION_WORDS ? allocation_words[i].word : NULL;
}

static enum dps_refusal parse_policy(struct bytes root, struct dps_enrollment *e, const char **detail)
{
    struct bytes policy;
    e->policy = DPS_ALLOCATION_DEFAULT;
    if (optional(root, "allocationPolicy", &policy) != 0) {
        return wrong(detail, "allocationPolicy occurs twice");
    }
    if (policy.len == 0) {
        return DPS_ACCEPTED;
    }
    const size_t i = find_allocation_word(policy);
    if (i == ALLOCATION_WORDS) {
        return wrong(detail, "allocationPolicy must be \"hashed\", \"static\" or \"geoLatency\"; custom "
                             "allocation is not offered");
    }
    e->policy = allocation_words[i].policy;
    return DPS_ACCEPTED;
}

static enum dps_refusal parse_hubs(struct bytes root, struct dps_enrollment *e, const char **detail)
{
    struct bytes name;
    struct bytes hub;
    uint8_t text[DPS_HOST_MAX];
    size_t len;
    size_t cursor = 0;
    if (optional(root, "iotHubs", &e->hubs) != 0 || optional(root, "iotHubHostName", &e->single_hub) != 0) {
        return wrong(detail, "iotHubs or iotHubHostName occurs twice");
    }
    if (e->hubs.len > 0 && dps_json_kind(e->hubs) != DPS_JSON_ARRAY) {
        return wrong(detail, "iotHubs must be an array of host names");
    }
    while (e->hubs.len > 0 && dps_json_next(e->hubs, &cursor, &name, &hub)) {
        if (dps_json_string(hub, text, sizeof text, &len) != 0 || !dps_host_valid(bytes_of(text, len))) {
            return wrong(detail, "iotHubs must be an array of host names");
        }
    }
    if (e->single_hub.len > 0 && (dps_json_string(e->single_hub, text, sizeof text, &len) != 0 ||
                                  !dps_host_valid(bytes_of(text, len)))) {
        return wrong(detail, "iotHubHostName must be a host name");
    }
    return DPS_ACCEPTED;
}

/* true unless the member says false; anything else is an error. */
static int parse_flag(struct bytes object, const char *name, bool *flag)
{
    struct bytes value;
    *flag = true;
    int error = optional(object, name, &value);
    if (error == 0 && value.len > 0) {
        const enum dps_json_kind kind = dps_json_kind(value);
        *flag = kind == DPS_JSON_TRUE;
        error = kind == DPS_JSON_TRUE || kind == DPS_JSON_FALSE ? 0 : BYTES_E_FORMAT;
    }
    return error;
}

static enum dps_refusal parse_reprovisioning(struct bytes root, struct dps_enrollment *e, const char **detail)
{
    struct bytes policy;
    e->update_hub_assignment = true;
    e->migrate_device_data = true;
    if (optional(root, "reprovisionPolicy", &policy) != 0) {
        return wrong(detail, "reprovisionPolicy occurs twice");
    }
    e->has_reprovision_policy = policy.len > 0;
    if (policy.len > 0 && (dps_json_kind(policy) != DPS_JSON_OBJECT ||
                           parse_flag(policy, "updateHubAssignment", &e->update_hub_assignment) != 0 ||
                           parse_flag(policy, "migrateDeviceData", &e->migrate_device_data) != 0)) {
        return wrong(detail, "reprovisionPolicy must be an object with updateHubAssignment and "
                             "migrateDeviceData, true or false");
    }
    return DPS_ACCEPTED;
}

static enum dps_refusal parse_twin(struct bytes root, struct dps_enrollment *e, const char **detail)
{
    if (optional(root, "initialTwin", &e->initial_twin) != 0 || optional(root, "payload", &e->payload) != 0 ||
        (e->initial_twin.len > 0 && dps_json_kind(e->initial_twin) != DPS_JSON_OBJECT)) {
        return wrong(detail, "initialTwin must be one object");
    }
    return DPS_ACCEPTED;
}

enum dps_refusal dps_enrollment_parse(struct bytes json, struct dps_enrollment *e, const char **detail)
{
    static enum dps_refusal (*const parts[])(struct bytes, struct dps_enrollment *, const char **) = {
        parse_names, parse_attestation,    parse_status, parse_policy,
        parse_hubs,  parse_reprovisioning, parse_twin,
    };
    struct bytes root;
    *detail = "";
    memset(e, 0, sizeof *e);
    if (dps_json_check(json, &root) != 0 || dps_json_kind(root) != DPS_JSON_OBJECT) {
        return DPS_REFUSED_BODY;
    }
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const enum dps_refusal no = parts[i](root, e, detail);
        if (no != DPS_ACCEPTED) {
            return no;
        }
    }
    return DPS_ACCEPTED;
}
