/* SPDX-License-Identifier: MIT */
/* An individual TPM enrollment: who may register, with which EK, and where to. */
#ifndef DPS_SERVICE_ENROLLMENT_H
#define DPS_SERVICE_ENROLLMENT_H

#include "dps/service/limits.h"
#include "dps/service/refusal.h"
#include "tpm/public.h"

enum dps_allocation_policy { DPS_ALLOCATION_DEFAULT, DPS_ALLOCATION_HASHED, DPS_ALLOCATION_STATIC };

/* The one spelling of an allocationPolicy, which clients write in any case. Null: none that is offered. */
const char *dps_allocation_word(struct bytes value);

/* Views the JSON text that it was parsed from, apart from ek. The text must have passed dps_json_check. */
struct dps_enrollment {
    struct bytes registration_id; /* as in the JSON, quotes and escapes included; see dps_json_string */
    struct bytes device_id;       /* JSON string, or empty: the registrationId */
    struct bytes hubs;            /* JSON array of strings, or empty: all linked hubs */
    struct bytes single_hub;      /* JSON string "iotHubHostName", or empty */
    struct bytes initial_twin;    /* JSON object, or empty */
    struct bytes payload;
    bool enabled;
    enum dps_allocation_policy policy;
    bool has_reprovision_policy;
    bool update_hub_assignment; /* reprovisionPolicy; both true by default */
    bool migrate_device_data;
    uint8_t ek[DPS_EK_PUBLIC_MAX]; /* canonical TPM2B_PUBLIC, size field included */
    size_t ek_len;
    bool hardened_srk; /* only the hardened SRK is taken: attestation.tpm.srk is "hardened" */
};

/* Read and validate an enrollment as a client sends it or the store holds it.
 * Returns: DPS_ACCEPTED; or why not, and then *detail names the member and what is wrong with it (a constant text). */
enum dps_refusal dps_enrollment_parse(struct bytes json, struct dps_enrollment *e, const char **detail);

/* One canonical form of an EK, so that equal keys are equal bytes: base64 in, TPM2B_PUBLIC out, exponent 65537
 * written as 0, the EK's template checked (RSA-2048, restricted decrypting, fixedTPM, policy A, AES-128-CFB).
 * Returns: 0; BYTES_E_FORMAT; BYTES_E_ALGORITHM. *detail then says in words which other form it looks like (PEM,
 * DER, a tpm2-tools file) or what is wrong; it may be null. */
int dps_ek_from_base64(struct bytes text, uint8_t ek[DPS_EK_PUBLIC_MAX], size_t *len, const char **detail);

/* Step 5, the rule that makes the flow safe: may a nonce be wrapped to this storage key? (spec-notes.md, "Which
 * SRK may be trusted"). It is the standard SRK or the hardened one, in every byte but the modulus (noDA is free in the
 * standard one). */
enum dps_refusal dps_srk_check(const struct tpm2_public *srk);
/* Which of the two is an SRK that has passed it? */
bool dps_srk_is_hardened(const struct tpm2_public *srk);

#endif
