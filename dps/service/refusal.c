/* SPDX-License-Identifier: MIT */
#include "dps/service/refusal.h"

static const struct dps_refusal_text texts[DPS_REFUSAL_COUNT] = {
    [DPS_ACCEPTED] = {200, 0, ""},
    [DPS_REFUSED_REQUEST] = {400, 400001, "The request is malformed."},
    [DPS_REFUSED_BODY] = {400, 400002, "The body is not the JSON object that is expected here."},
    [DPS_REFUSED_API_VERSION] = {400, 400003, "The query needs an api-version that this service knows."},
    [DPS_REFUSED_REGISTRATION_ID] = {400, 400005,
                                     "The registrationId is malformed, or differs between path and body."},
    [DPS_REFUSED_EK_FORM] =
        {400, 400004,
         "Endorsement key is invalid: it must be the base64 of a TPM2B_PUBLIC of an RSA-2048 "
         "endorsement key."},
    [DPS_REFUSED_SRK_MISSING] = {400, 400010, "The storage root key is missing: no challenge can be made."},
    [DPS_REFUSED_SRK_FORM] =
        {400, 400011,
         "The storage root key must be the base64 of a TPM2B_PUBLIC of an RSA-2048 storage key."},
    [DPS_REFUSED_SRK_ATTRIBUTES] =
        {400, 400012,
         "The storage root key is not bound to a TPM: its attributes must be those of an "
         "SRK (fixedTPM, fixedParent, restricted, decrypt: 0x00030472)."},
    [DPS_REFUSED_SRK_POLICY] =
        {400, 400013, "The storage root key must have an empty authPolicy, or be the hardened one."},
    [DPS_REFUSED_SRK_PARAMETERS] =
        {400, 400014,
         "The storage root key must be RSA-2048 with AES-128-CFB, null scheme and nameAlg "
         "SHA-256."},
    [DPS_REFUSED_SRK_MODULUS] = {400, 400015,
                                 "The storage root key's modulus or exponent cannot be an RSA-2048 key."},
    [DPS_REFUSED_SRK_STANDARD] =
        {400, 400016,
         "The standard storage root key is not enough here: the hardened one is demanded "
         "(0x00030432, policy of TPM2_Import and TPM2_Load)."},
    [DPS_REFUSED_SCOPE] = {404, 404202, "No such ID scope at this service."},
    [DPS_REFUSED_UNKNOWN] = {404, 404201, "No enrollment or registration with this registrationId."},
    [DPS_REFUSED_DISABLED] = {403, 403201, "The enrollment is disabled."},
    [DPS_REFUSED_EK] = {401, 401003, "The endorsement key does not match the enrollment."},
    [DPS_REFUSED_TOKEN_FORM] = {401, 401004, "The Authorization header is not a shared access signature."},
    [DPS_REFUSED_TOKEN_AUDIENCE] = {401, 401005, "The token is for another audience."},
    [DPS_REFUSED_TOKEN_EXPIRED] = {401, 401006, "The token has expired."},
    [DPS_REFUSED_TOKEN_LIFETIME] =
        {401, 401008,
         "The token expires too late: make one that is valid for a shorter time, and check the clock."},
    [DPS_REFUSED_TOKEN_SIGNATURE] =
        {401, 401002, "Unauthorized: the token is not signed with the key of a current challenge."},
    [DPS_REFUSED_TOKEN_REPLAYED] = {401, 401007,
                                    "The token's challenge was already answered: register again."},
    [DPS_REFUSED_OPERATION] = {404, 404203, "No such operation of this registration."},
    [DPS_REFUSED_CONCURRENT] = {409, 409203,
                                "Precondition failed: this device was registered at the same moment."},
    [DPS_REFUSED_DEVICE_ID_TAKEN] = {409, 409204,
                                     "Another registration already uses this deviceId at the hub."},
    [DPS_REFUSED_NO_HUB] = {400, 400208, "No linked hub can take this device."},
    [DPS_REFUSED_RATE] = {429, 429001, "Too many requests: try again after the time in Retry-After."},
    [DPS_REFUSED_ROUTE] = {404, 404001, "No such resource."},
    [DPS_REFUSED_METHOD] = {405, 405001, "This method is not offered here."},
    [DPS_REFUSED_ADMIN_TOKEN] = {401, 401000, "Unauthorized."},
    [DPS_REFUSED_ADMIN_RIGHT] = {403, 403001, "The policy does not have the right for this."},
    [DPS_REFUSED_ENROLLMENT] = {400, 400006, "The enrollment is invalid."},
    [DPS_REFUSED_ATTESTATION] = {400, 400007,
                                 "This service attests by TPM only: attestation.type must be \"tpm\"."},
    [DPS_REFUSED_EXISTS] = {409, 409201, "The enrollment exists: give its etag in If-Match to update it."},
    [DPS_REFUSED_ETAG] = {412, 412001, "The etag in If-Match is not the current one."},
    [DPS_REFUSED_QUERY] = {400, 400008, "This service does not answer such a query."},
    [DPS_REFUSED_HUB_TOKEN] = {401, 401001,
                               "The hub does not know this device, its enrollment is disabled, or the token "
                               "is not its own: register again."},
    [DPS_REFUSED_QUEUE] = {403, 403004, "Too many messages wait for this device."},
    [DPS_REFUSED_TOO_LARGE] = {413, 413001, "The request is too large."},
    [DPS_REFUSED_STORE] = {503, 503001, "The store cannot be reached: try again later."},
    [DPS_REFUSED_INTERNAL] = {500, 500001, "Internal error."},
};

const struct dps_refusal_text *dps_refusal_text(enum dps_refusal refusal)
{
    return &texts[refusal];
}
