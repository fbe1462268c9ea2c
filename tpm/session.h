/* SPDX-License-Identifier: MIT */
/* Sessions that a listener on the bus cannot read, and in which a changed bit is noticed [P1 r1.59 19.6 and 21].
 *
 * Such a session begins with a salt that is encrypted to a key of the TPM. From it both sides derive the session's key;
 * with that key each command and each response carries an HMAC, and what is secret in its first parameter is encrypted.
 *
 * tpm/command.h builds and parses as if there were no sessions: each authorization of a command is a password or names
 * a session. tpm2_session_protect turns the built command into the one that is sent, tpm2_session_open turns the
 * response into the one that is parsed, once it is verified. All random numbers are arguments. */
#ifndef TPM_SESSION_H
#define TPM_SESSION_H

#include "tpm/seed.h"

#define TPM2_NONCE_SIZE 32     /* of our nonces, and of the TPM's with authHash SHA-256 */
#define TPM2_AUTH_VALUE_MAX 64 /* no longer than its entity's digest [P1 r1.59 19.6.4.1]: SHA-512 at most */
#define TPM2_SESSIONS_MAX 3    /* in one command [P1 r1.59 18.6] */

struct tpm2_session {
    uint32_t handle;                 /* 0: none */
    bool keyed;                      /* false: neither salted nor bound, so the authValue alone is the key */
    uint8_t key[CRYPTO_SHA256_SIZE]; /* sessionKey */
    uint8_t nonce_tpm[TPM2_NONCE_SIZE];    /* the TPM's last one; a refusal does not move it */
    uint8_t nonce_caller[TPM2_NONCE_SIZE]; /* ours, of the command under way */
};

/* TPM2_StartAuthSession has been answered: derive the session's key [P1 r1.59 19.6.8].
 *   salt       the seed that tpm2_seed_wrap gave for TPM2_SEED_SECRET; null: the session is not salted
 *   nonce_tpm  of the response
 * Returns: 0; BYTES_E_FORMAT if nonce_tpm is not TPM2_NONCE_SIZE long. s->handle is set in any case. The caller wipes s
 * when the session has ended. */
int tpm2_session_begin(struct tpm2_session *s, uint32_t handle, const uint8_t *salt,
                       const uint8_t nonce_caller[TPM2_NONCE_SIZE], struct bytes nonce_tpm);

/* What one authorization of a command is, in the order of the authorization area. */
struct tpm2_use {
    struct tpm2_session *session; /* null: it stays as it was built (a password, a session without a key) */
    uint8_t attributes;           /* TPM2_SESSION_CONTINUE, _DECRYPT, _ENCRYPT */
    struct bytes auth_value;      /* of what this session authorizes here; empty if it authorizes nothing */
    struct bytes
        auth_value_then; /* the same after success: new for TPM2_HierarchyChangeAuth, empty for TPM2_Clear */
};

/* What a command and its response need besides their bytes. */
struct tpm2_protection {
    uint32_t command_code;
    bool returns_handle;
    uint8_t name_count;
    uint8_t use_count;
    uint8_t built; /* how many of the uses the builder has written */
    struct bytes
        names[3]; /* of all handles in the handle area: a Name, or a hierarchy's or session's 4 bytes */
    struct tpm2_use uses[TPM2_SESSIONS_MAX]; /* those that were built, and then one that only encrypts */
};

/* Encrypt and authorize the command that is in w. Each session takes a new nonceCaller, which its caller has set in
 * s->nonce_caller and never uses again.
 * Failure is w->error: BYTES_E_SPACE (each session takes 64 bytes more); BYTES_E_FORMAT if w holds no command with
 * authorizations; BYTES_E_LIMIT if an authValue is too long. */
void tpm2_session_protect(struct bytes_writer *w, const struct tpm2_protection *p);

/* Verify a response and decrypt it in place; *len becomes that of a response which parses as if the builder's
 * authorizations had been all. A refusal is left as it is: nothing authenticates it, and the sessions live on.
 * Returns: 0; BYTES_E_FORMAT; BYTES_E_INTEGRITY if the TPM that holds the keys did not send exactly this. */
int tpm2_session_open(uint8_t *response, size_t *len, const struct tpm2_protection *p);

#endif
