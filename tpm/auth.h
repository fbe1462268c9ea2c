/* SPDX-License-Identifier: MIT */
/* The authorization area of a command: password and policy sessions. */
#ifndef TPM_AUTH_H
#define TPM_AUTH_H

#include "crypto/bytes/bytes.h"
#include "tpm/tpm2.h"

/* TPMS_AUTH_COMMAND [P2 r1.59 10.13.2] without its nonce, which neither kind uses.
 * A password authorization sends the authValue itself [P1 r1.59 19.4]; a policy session without
 * TPM2_PolicyAuthValue or TPM2_PolicyPassword has an empty HMAC field [P1 r1.59 19.6]. */
struct tpm2_auth {
    uint32_t handle;    /* TPM2_RS_PW or a policy session */
    uint8_t attributes; /* TPM2_SESSION_CONTINUE or 0: then the TPM flushes the session after this command */
    struct bytes value; /* the authValue for TPM2_RS_PW; empty for a policy session */
};

/* Authorize with an authValue (empty is usual) or with a policy session. */
struct tpm2_auth tpm2_auth_password(struct bytes auth_value);
struct tpm2_auth tpm2_auth_policy(uint32_t session_handle, bool keep_session);

/* Append authorizationSize and the authorizations [P1 r1.59 18.6]. */
void tpm2_auth_area_write(struct bytes_writer *w, const struct tpm2_auth *auths, size_t count);

/* Read the response's authorizations, one TPMS_AUTH_RESPONSE [P2 r1.59 10.13.3] for each of count sessions.
 * Fails r with BYTES_E_FORMAT if there are fewer, more, or if a nonce or HMAC is longer than a SHA-512 digest. */
void tpm2_auth_area_read(struct bytes_reader *r, size_t count);

#endif
