/* SPDX-License-Identifier: MIT */
/* What the code says about public areas, for model_test.py: a line for each template, and for each SRK that
 * dps_srk_check takes, of all attributes and policies that the flow knows. "KIND ATTRIBUTES POLICY". */
#include "dps/service/enrollment.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const uint8_t ek_policy[32] = TPM2_EK_POLICY_SHA256;
static const uint8_t import_or_load[32] = TPM2_POLICY_IMPORT_OR_LOAD_SHA256;
static const uint8_t odd_and_full[256] = {[0] = 0x80, [255] = 1};
static const uint32_t bits[] = {
    TPM2_OBJECT_FIXED_TPM,      TPM2_OBJECT_ST_CLEAR,
    TPM2_OBJECT_FIXED_PARENT,   TPM2_OBJECT_SENSITIVE_DATA_ORIGIN,
    TPM2_OBJECT_USER_WITH_AUTH, TPM2_OBJECT_ADMIN_WITH_POLICY,
    TPM2_OBJECT_NO_DA,          TPM2_OBJECT_ENCRYPTED_DUPLICATION,
    TPM2_OBJECT_RESTRICTED,     TPM2_OBJECT_DECRYPT,
    TPM2_OBJECT_SIGN_ENCRYPT,
};
#define BITS (sizeof bits / sizeof bits[0])

static const struct {
    const char *name;
    struct bytes digest;
} policies[] = {
    {"noPolicy", {NULL, 0}},
    {"ekPolicy", {ek_policy, 32}},
    {"importOrLoad", {import_or_load, 32}},
};
#define POLICIES (sizeof policies / sizeof policies[0])

static void say(const char *kind, const struct tpm2_public *area)
{
    const char *policy = "unknown";
    for (size_t i = 0; i < POLICIES; i++) {
        if (bytes_equal_public(area->auth_policy, policies[i].digest)) {
            policy = policies[i].name;
        }
    }
    printf("%s %08" PRIx32 " %s\n", kind, area->attributes, policy);
}

static uint32_t attributes_of(unsigned set)
{
    uint32_t attributes = 0;
    for (size_t i = 0; i < BITS; i++) {
        attributes |= (set >> i & 1) != 0 ? bits[i] : 0;
    }
    return attributes;
}

int main(void)
{
    struct tpm2_public area = tpm2_template_srk();
    say("srk", &area);
    area.unique = bytes_of(odd_and_full, sizeof odd_and_full);
    for (unsigned set = 0; set < 1U << BITS; set++) {
        area.attributes = attributes_of(set);
        for (size_t i = 0; i < POLICIES; i++) {
            area.auth_policy = policies[i].digest;
            if (dps_srk_check(&area) == DPS_ACCEPTED) {
                say("takes", &area);
            }
        }
    }
    area = tpm2_template_srk_hardened();
    say("hardened", &area);
    area = tpm2_template_ek_l1();
    say("ek", &area);
    area = tpm2_template_hmac_key(bytes_of(NULL, 0));
    say("hmac", &area);
    return 0;
}
