/* SPDX-License-Identifier: MIT */
/* The errors of the whole project: 0 is success, every failure is one negative value of this enum.
 *
 * It is in crypto/bytes/, the lowest directory, because all others include it.
 * What a peer answered (a TPM response code, an HTTP status) is never merged into these numbers; BYTES_E_TPM_RC
 * and BYTES_E_HTTP only say that there is one, and the value itself stands in an out-parameter beside it. */
#ifndef CRYPTO_BYTES_ERROR_H
#define CRYPTO_BYTES_ERROR_H

enum bytes_error {
    BYTES_OK = 0,
    BYTES_E_SPACE = -1,     /* the output does not fit into the caller's buffer */
    BYTES_E_FORMAT = -2,    /* bytes are missing, left over or inconsistent */
    BYTES_E_LIMIT = -3,     /* well-formed, but larger than this build accepts (limits.h) */
    BYTES_E_ALGORITHM = -4, /* well-formed, but an algorithm, size or attribute that is not allowed here */
    BYTES_E_INTEGRITY = -5, /* an HMAC, digest or padding does not match */
    BYTES_E_TPM_RC = -6,    /* the TPM answered with a response code other than success */
    BYTES_E_HTTP = -7,      /* the other side answered with an HTTP status that ends the flow */
    BYTES_E_REFUSED = -8,   /* the registration ended as failed, disabled or unassigned */
    BYTES_E_ENTROPY = -9,   /* no entropy could be obtained; there is no weak fallback */
    BYTES_E_CLOCK = -10,    /* the time is needed and unknown */
    BYTES_E_STREAM = -11,   /* the connection failed, or closed before the message was complete */
    BYTES_E_TIMEOUT = -12,  /* the other side did not answer in time */
    BYTES_E_TLS = -13,      /* TLS refused the peer or the peer refused us; the engine's number says why */
    BYTES_E_TPM_TRANSPORT = -14, /* the TPM could not be reached, or broke off in the middle of an answer */
    BYTES_E_STORE = -15,         /* the store failed; nothing was written */
    BYTES_E_CONFLICT = -16,      /* the record has changed since it was read */
    BYTES_E_NOT_FOUND = -17,     /* no such record, header, member or key */
    BYTES_E_STATE = -18, /* the saved state does not fit: other TPM, other owner, or never registered */
    BYTES_E_NOT_PROVIDED = -19, /* this port does not offer the function */
    BYTES_E_MORE = -20,         /* the message is correct so far, but not complete: give more bytes */
    BYTES_E_USAGE = -21,        /* the caller's arguments contradict each other or a limit */
    BYTES_E_FILE = -22,         /* a file could not be read or written */
    BYTES_E_POLICY = -23,       /* a key that may be used under its policy only, which is not known here */
    BYTES_E_TPM_DRIVER = -24    /* what is between us and the TPM refused this command; the next may pass */
};

#endif
