/* SPDX-License-Identifier: MIT */
/* Response codes, taken apart [P2 r1.59 6.6] [P1 r1.59 39]. */
#ifndef TPM_RC_H
#define TPM_RC_H

#include "crypto/crypto.h"

enum tpm2_rc_kind {
    TPM2_RC_KIND_SUCCESS,
    TPM2_RC_KIND_TPM12,     /* a TPM 1.2 answered */
    TPM2_RC_KIND_VENDOR,    /* the vendor's own code */
    TPM2_RC_KIND_LAYER,     /* not the TPM: a resource manager or driver below it (bits 16-31) */
    TPM2_RC_KIND_ERROR,     /* format 0 error, about the command or the TPM */
    TPM2_RC_KIND_WARNING,   /* format 0 warning: the TPM cannot now */
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

/* The specification's name for code ("TPM_RC_INTEGRITY"), or null if this build does not know it; of a layer above the
 * TPM its own name for it, or the name of the TPM's code that it passes on. For tools; device firmware does not link
 * it. */
const char *tpm2_rc_name(uint32_t code);
/* Who has made a code with more than a TPM's 12 bits: "ESAPI (tpm2-tss)"; null: nobody known. *below is the TPM's own
 * code that it passes on, or 0. For tools. */
const char *tpm2_rc_layer(uint32_t rc, uint32_t *below);
/* The code of a name: "TPM_RC_INTEGRITY". For tools. */
bool tpm2_rc_named(struct bytes name, uint32_t *code);
/* One plain sentence: what that code means in this flow. Null if unknown. For tools. */
const char *tpm2_rc_meaning(uint32_t code);

#endif
