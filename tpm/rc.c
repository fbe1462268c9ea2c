/* SPDX-License-Identifier: MIT */
#include "tpm/rc.h"
#include "tpm/tpm2.h"

/* The bits of a response code [P2 r1.59 6.6.2, Tables 13 to 15] */
#define RC_ABOVE_TPM 0xFFFFF000U /* a TPM uses 12 bits; layers above it mark theirs here */
#define RC_FORMAT_1 0x080U
#define RC_FORMAT_1_CODE 0x0BFU
#define RC_FORMAT_1_PARAMETER 0x040U
#define RC_FORMAT_1_SESSION 0x800U /* else a handle */
#define RC_FORMAT_1_NUMBER_SHIFT 8
#define RC_VERSION_2 0x100U
#define RC_VENDOR 0x400U
#define RC_WARNING 0x800U

/* The warnings after which the TPM did nothing and wants to be asked again [P1 r1.59 39]. NV_RATE, RETRY
 * and the like clear by waiting. The other warnings need the caller to do something first: flush,
 * authorize, wait out a lockout. */
bool tpm2_rc_retry(uint32_t rc)
{
    return rc == TPM2_RC_YIELDED || rc == TPM2_RC_CANCELED || rc == TPM2_RC_TESTING ||
           rc == TPM2_RC_NV_RATE || rc == TPM2_RC_RETRY || rc == TPM2_RC_NV_UNAVAILABLE;
}

static bool is_format_1(uint32_t rc)
{
    return (rc & RC_FORMAT_1) != 0 && (rc & RC_ABOVE_TPM) == 0;
}

uint32_t tpm2_rc_code(uint32_t rc)
{
    return is_format_1(rc) ? rc & RC_FORMAT_1_CODE : rc;
}

static struct tpm2_rc decode_format_1(uint32_t rc)
{
    struct tpm2_rc decoded = {.kind = TPM2_RC_KIND_HANDLE, .code = tpm2_rc_code(rc)};
    uint32_t number = (rc >> RC_FORMAT_1_NUMBER_SHIFT) & 0xF;
    if (rc & RC_FORMAT_1_PARAMETER) {
        decoded.kind = TPM2_RC_KIND_PARAMETER; /* up to 15 parameters: all four bits are the number */
    } else {
        if (rc & RC_FORMAT_1_SESSION) {
            decoded.kind = TPM2_RC_KIND_SESSION;
        }
        number &= 0x7;
    }
    decoded.number = (unsigned)number;
    return decoded;
}

struct tpm2_rc tpm2_rc_decode(uint32_t rc)
{
    if (is_format_1(rc)) {
        return decode_format_1(rc);
    }
    struct tpm2_rc decoded = {.kind = TPM2_RC_KIND_ERROR, .code = rc, .retry = tpm2_rc_retry(rc)};
    if (rc == TPM2_RC_SUCCESS) {
        decoded.kind = TPM2_RC_KIND_SUCCESS;
    } else if (rc & RC_ABOVE_TPM) {
        decoded.kind = TPM2_RC_KIND_LAYER;
    } else if ((rc & RC_VERSION_2) == 0) {
        decoded.kind = TPM2_RC_KIND_TPM12;
    } else if (rc & RC_VENDOR) {
        decoded.kind = TPM2_RC_KIND_VENDOR;
    } else if (rc & RC_WARNING) {
        decoded.kind = TPM2_RC_KIND_WARNING;
    }
    return decoded;
}
