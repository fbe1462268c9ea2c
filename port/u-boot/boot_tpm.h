/* SPDX-License-Identifier: MIT */
/* What a boot loader does with a TPM: it reads the public area of a key, and opens what is sealed under the SRK. That
 * takes tpm/, crypto/ without TLS, and a struct port_tpm; no engine, network, record or date.
 *
 * In this order:
 *   uboot_tpm_startup             after each reset, unless the firmware before has done it
 *   uboot_tpm_ek, uboot_tpm_srk   a key: its public area and its Name; it takes the place of the one before
 *   uboot_tpm_unseal              after uboot_tpm_srk, and again for another blob
 *   uboot_tpm_end                 in any case: flushes what was loaded, and wipes
 *
 * All memory is in struct uboot_tpm. Each function returns 0 or a value of enum bytes_error: BYTES_E_TPM_RC if the TPM
 * refused `code`, for the reason `rc`; the transport's error; BYTES_E_FORMAT for an answer that is broken. */
#ifndef PORT_U_BOOT_BOOT_TPM_H
#define PORT_U_BOOT_BOOT_TPM_H

#include "port/port.h"
#include "tpm/session.h"

#define UBOOT_COMMAND_MAX 640
#define UBOOT_RESPONSE_MAX 1024
#define UBOOT_PUBLIC_MAX 320 /* a template's RSA-2048 key: 316 at most */
#define UBOOT_SEALED_MAX 128 /* as much as a TPM seals [P2 r1.59 11.1.13, MAX_SYM_DATA] */

struct uboot_tpm {
    /* The caller sets these two, and all else to zero. */
    struct port_tpm tpm;
    struct port_clock clock; /* sleep_ms is used: a TPM that tests itself wants to be asked again */

    uint32_t code, rc; /* the last command (TPM2_CC_...), and why it was refused */
    unsigned commands; /* how many there were */

    /* The key that was asked for last. */
    uint32_t key;                        /* its handle: persistent, or of a transient object */
    uint8_t public_2b[UBOOT_PUBLIC_MAX]; /* TPM2B_PUBLIC, its size field included */
    size_t public_len;
    uint8_t name[TPM2_NAME_SIZE];

    /* Loaded, and to be flushed; 0: none. */
    uint32_t made_key, object, session_handle;
    struct tpm2_session session;
    struct crypto_drbg drbg;
    uint8_t object_name[TPM2_NAME_SIZE];
    uint8_t command[UBOOT_COMMAND_MAX];
    uint8_t response[UBOOT_RESPONSE_MAX];
};

/* TPM2_Startup(CLEAR). A TPM that was started already is fine. */
int uboot_tpm_startup(struct uboot_tpm *t);

/* The EK of template L-1, or the SRK: the persistent key at 0x81010001 or 0x81000001 if there is one of this kind, else
 * the one that TPM2_CreatePrimary derives, which takes seconds on a discrete TPM. For that the hierarchy must have no
 * password (TPM_RC_BAD_AUTH). */
int uboot_tpm_ek(struct uboot_tpm *t);
int uboot_tpm_srk(struct uboot_tpm *t);

/* Load what is sealed and unseal it in a session that is salted to the SRK: it crosses the bus encrypted, and an answer
 * that was changed on its way is refused.
 *   secret_seed  random bytes that were never on the bus; spec-notes.md, "What a listener on the bus reads", says what
 *                a session is worth without them
 *   blob         TPM2B_PRIVATE and TPM2B_PUBLIC, one after the other: what `dps-device seal` writes
 *   out          UBOOT_SEALED_MAX bytes, none of them of blob; all of them are zero unless 0 is returned
 * Returns, besides the above: BYTES_E_STATE if blob is not of this form; BYTES_E_POLICY if it may be opened under a
 * policy only; BYTES_E_SPACE if it is too long; BYTES_E_INTEGRITY if the answer is not this TPM's. */
int uboot_tpm_unseal(struct uboot_tpm *t, struct bytes secret_seed, struct bytes blob,
                     uint8_t out[UBOOT_SEALED_MAX], size_t *out_len);

/* Flush what this has loaded, as far as the TPM still answers, and wipe t. */
void uboot_tpm_end(struct uboot_tpm *t);

#endif
