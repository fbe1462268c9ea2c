/* SPDX-License-Identifier: MIT */
/* Response codes, taken apart [P2 r1.59 6.6] [P1 r1.59 39]. */
#ifndef TPM_RC_H
#define TPM_RC_H

#include "crypto/bytes/bytes.h"

enum tpm2_rc_kind {
    TPM2_RC_KIND_SUCCESS,
    TPM2_RC_KIND_TPM12,     /* a TPM 1.2 answered */
    TPM2_RC_KIND_VENDOR,    /* the vendor's own code */
    TPM2_RC_KIND_LAYER,     /* not the TPM: a resource manager or driver above it (bits 16-31) */
    TPM2_RC_KIND_ERROR,     /* format 0 error, about the command or the TPM */
    TPM2_RC_KIND_WARNING,   /* format 0 warning: the TPM cannot do it now */
    TPM2_RC_KIND_HANDLE,    /* format 1: handle number */
    TPM2_RC_KIND_PARAMETER, /* format 1: parameter number */
    TPM2_RC_KIND_SESSION    /* format 1: session number */
};

struct tpm2_rc {
    enum tpm2_rc_kind kind;
    uint32_t code;   /* without number bits: comparable with the TPM2_RC_ constants of tpm2.h */
    unsigned number; /* which handle, parameter or session, from 1; 0 if none is named */
    bool retry;      /* sending the same command again may succeed: RETRY, YIELDED, TESTING, NV_RATE ... */
};

/* Take a response code apart. Any value is allowed. Cannot fail. */
struct tpm2_rc tpm2_rc_decode(uint32_t rc);
/* The two members that a flow goes by. */
uint32_t tpm2_rc_code(uint32_t rc);
bool tpm2_rc_retry(uint32_t rc);

#endif
