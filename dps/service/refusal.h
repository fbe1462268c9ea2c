/* SPDX-License-Identifier: MIT */
/* Why the service says no: each reason with its HTTP status, its errorCode and one sentence
 * [DPS "ProvisioningServiceErrorDetails"]. The codes that the real service is known to use keep their numbers;
 * spec-notes.md, "Error codes", has the whole list. */
#ifndef DPS_SERVICE_REFUSAL_H
#define DPS_SERVICE_REFUSAL_H

#include <stdint.h>

enum dps_refusal {
    DPS_ACCEPTED = 0,
    DPS_REFUSED_REQUEST,         /* the request's form */
    DPS_REFUSED_BODY,            /* the body is not the expected JSON */
    DPS_REFUSED_API_VERSION,     /* api-version missing or unknown */
    DPS_REFUSED_REGISTRATION_ID, /* not a registrationId, or not the one of the path */
    DPS_REFUSED_EK_FORM,         /* endorsementKey is not base64 of a TPM2B_PUBLIC of an EK */
    DPS_REFUSED_SRK_MISSING,
    DPS_REFUSED_SRK_FORM,
    DPS_REFUSED_SRK_ATTRIBUTES, /* not bound to a TPM: a nonce wrapped to it could leave the TPM */
    DPS_REFUSED_SRK_POLICY,
    DPS_REFUSED_SRK_PARAMETERS,
    DPS_REFUSED_SRK_MODULUS,
    DPS_REFUSED_SRK_STANDARD, /* the hardened one is demanded */
    DPS_REFUSED_SCOPE,        /* another idScope */
    DPS_REFUSED_UNKNOWN,      /* no such enrollment or registration */
    DPS_REFUSED_DISABLED,
    DPS_REFUSED_EK, /* not the enrolled EK */
    DPS_REFUSED_TOKEN_FORM,
    DPS_REFUSED_TOKEN_AUDIENCE,
    DPS_REFUSED_TOKEN_EXPIRED,
    DPS_REFUSED_TOKEN_LIFETIME,  /* valid for longer than is allowed */
    DPS_REFUSED_TOKEN_SIGNATURE, /* not signed with a nonce that is still valid */
    DPS_REFUSED_TOKEN_REPLAYED,  /* signed with the nonce of the registration before */
    DPS_REFUSED_OPERATION,       /* no such operation of this device */
    DPS_REFUSED_CONCURRENT,      /* another request registered this device at the same moment */
    DPS_REFUSED_DEVICE_ID_TAKEN,
    DPS_REFUSED_NO_HUB,
    DPS_REFUSED_RATE,
    DPS_REFUSED_ROUTE,
    DPS_REFUSED_METHOD,
    DPS_REFUSED_ADMIN_TOKEN, /* management: no or bad authorization */
    DPS_REFUSED_ADMIN_RIGHT, /* management: the policy lacks the right */
    DPS_REFUSED_ENROLLMENT,  /* management: a member of the enrollment is invalid; detail says which */
    DPS_REFUSED_ATTESTATION, /* management: only TPM attestation is offered */
    DPS_REFUSED_EXISTS,      /* PUT without If-Match on an existing enrollment */
    DPS_REFUSED_ETAG,        /* If-Match names another version */
    DPS_REFUSED_QUERY,
    DPS_REFUSED_HUB_TOKEN,
    DPS_REFUSED_TOO_LARGE,
    DPS_REFUSED_QUEUE, /* too many messages wait for the device */
    DPS_REFUSED_STORE, /* the store failed; try again later */
    DPS_REFUSED_INTERNAL,
    DPS_REFUSAL_COUNT
};

struct dps_refusal_text {
    uint16_t status;
    uint32_t code;
    const char *message;
};
const struct dps_refusal_text *dps_refusal_text(enum dps_refusal refusal);

#endif
