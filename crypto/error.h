/* SPDX-License-Identifier: MIT */
/* The errors of the whole project: 0 is success, every failure is one negative value of this enum.
 *
 * It stands in crypto/ because that is the lowest directory: port, dps and tpm all include it.
 * What a peer answered (a TPM response code, an HTTP status) is never merged into these numbers; DPS_E_TPM_RC
 * and DPS_E_HTTP only say that there is one, and the value itself stands in an out-parameter beside it. */
#ifndef CRYPTO_ERROR_H
#define CRYPTO_ERROR_H

enum dps_error {
    DPS_OK = 0,
    DPS_E_SPACE = -1,          /* the output does not fit into the caller's buffer */
    DPS_E_FORMAT = -2,         /* bytes are missing, left over or inconsistent */
    DPS_E_LIMIT = -3,          /* well-formed, but larger than this build accepts (crypto/limits.h) */
    DPS_E_ALGORITHM = -4,      /* well-formed, but an algorithm, size or attribute that is not allowed here */
    DPS_E_INTEGRITY = -5,      /* an HMAC, digest or padding does not match */
    DPS_E_TPM_RC = -6,         /* the TPM answered with a response code other than success */
    DPS_E_HTTP = -7,           /* the other side answered with an HTTP status that ends the flow */
    DPS_E_REFUSED = -8,        /* the registration ended as failed, disabled or unassigned */
    DPS_E_ENTROPY = -9,        /* no entropy could be had; there is no weak fallback */
    DPS_E_CLOCK = -10,         /* the time is needed and unknown */
    DPS_E_STREAM = -11,        /* the connection failed, or closed before the message was complete */
    DPS_E_TIMEOUT = -12,       /* the other side did not answer in time */
    DPS_E_TLS = -13,           /* TLS refused the peer or the peer refused us; the engine's number says why */
    DPS_E_TPM_TRANSPORT = -14, /* the TPM could not be reached, or broke off in the middle of an answer */
    DPS_E_STORE = -15,         /* the store failed; nothing was written */
    DPS_E_CONFLICT = -16,      /* the record has changed since it was read */
    DPS_E_NOT_FOUND = -17,     /* no such record, header, member or key */
    DPS_E_STATE = -18,         /* the saved state does not fit: other TPM, other owner, or never registered */
    DPS_E_NOT_PROVIDED = -19,  /* this port does not offer the function */
    DPS_E_MORE = -20,          /* the message is correct so far, but not complete: give more bytes */
    DPS_E_USAGE = -21,         /* the caller's arguments contradict each other or a limit */
    DPS_E_FILE = -22           /* a file could not be read or written */
};

#endif
