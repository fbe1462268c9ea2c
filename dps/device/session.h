/* SPDX-License-Identifier: MIT */
/* The device's session: what is secret crosses the bus to the TPM encrypted, and an answer that was changed on its way
 * is not believed. With DPS_WITH_SESSIONS. Internal to dps/device/.
 *
 * The rows of a flow build and read commands as if there were no sessions, with passwords and policy sessions. While a
 * session with a key is open, dps_session_protect turns what a row has built into what is sent, and dps_session_open
 * turns what has come back into what the row reads.
 *
 * The policy session that the EK demands is salted (d->policy): otherwise, once it is authorized, whoever stands on the
 * bus could use it in the device's place. With a password there is an HMAC session beside it (d->session). In it the
 * policy session begins, so its nonceTPM is the TPM's; and by that nonce TPM2_PolicySecret names it, since no HMAC
 * covers the handle in a response: otherwise whoever stands on the bus could have a session of his own authorized.
 *
 * What the policy session authorizes, it also encrypts: the HMAC session stands there in the place of an empty
 * password, and whoever puts that back would get the answer in clear. All else that is secret the HMAC session
 * encrypts, or the policy session where it is the only one. */
#ifndef DPS_DEVICE_SESSION_H
#define DPS_DEVICE_SESSION_H

#include "dps/device/state.h"

/* No HMAC covers the handle in a response, and one of another kind could stand for nothing, or for a hierarchy. */
static inline bool dps_is_of_kind(uint32_t handle, uint32_t kind)
{
    return handle >> TPM2_HT_SHIFT == kind;
}

#if DPS_WITH_SESSIONS

/* May this run open a session? */
static inline bool dps_session_allowed(const struct dps_device *d)
{
    return !d->config->no_sessions;
}

/* Is the policy session the only one with a key? */
static inline bool dps_session_is_policy(const struct dps_device *d)
{
    return d->session.handle == 0 && d->policy.handle != 0;
}

/* The policy session's last nonceTPM, by which TPM2_PolicySecret means this session and no other; empty where nobody
 * can authorize one himself, or anybody can. */
static inline struct bytes dps_session_policy_nonce(const struct dps_device *d)
{
    return d->session.handle != 0 && d->policy.handle != 0
               ? bytes_of(d->policy.nonce_tpm, sizeof d->policy.nonce_tpm)
               : bytes_of(NULL, 0);
}

/* TPM2_StartAuthSession [P3 r1.59 11.1], salted to the EK, or to the SRK where no EK is at hand. session_type:
 * TPM2_SE_HMAC or TPM2_SE_POLICY. */
void dps_session_build_salted(struct dps_device *d, struct bytes_writer *w, uint8_t session_type);
/* The same before there is a key to salt it with: its key is the authValue of what it will authorize. */
void dps_session_build_unsalted(struct dps_device *d, struct bytes_writer *w);
int dps_session_read(struct dps_device *d, struct bytes response, enum dps_loaded slot);

/* Protect the command in w, if a session with a key is open and concerns it. Failure is w->error. */
void dps_session_protect(struct dps_device *d, struct bytes_writer *w);
/* Verify the response to it; *response becomes what the row reads, in d->tpm.
 * Returns: 0; BYTES_E_FORMAT, BYTES_E_INTEGRITY, BYTES_E_LIMIT: it is not to be believed. What the TPM may have loaded
 * is then recorded for flushing all the same. */
int dps_session_open(struct dps_device *d, struct bytes *response);

#else

static inline bool dps_session_allowed(const struct dps_device *d)
{
    (void)d;
    return false;
}

static inline bool dps_session_is_policy(const struct dps_device *d)
{
    (void)d;
    return false;
}

static inline struct bytes dps_session_policy_nonce(const struct dps_device *d)
{
    (void)d;
    return bytes_of(NULL, 0);
}

static inline void dps_session_build_salted(struct dps_device *d, struct bytes_writer *w,
                                            uint8_t session_type)
{
    (void)d;
    (void)w;
    (void)session_type;
}

static inline int dps_session_read(struct dps_device *d, struct bytes response, enum dps_loaded slot)
{
    (void)d;
    (void)response;
    (void)slot;
    return BYTES_E_STATE;
}

static inline void dps_session_protect(struct dps_device *d, struct bytes_writer *w)
{
    (void)d;
    (void)w;
}

static inline int dps_session_open(struct dps_device *d, struct bytes *response)
{
    (void)d;
    (void)response;
    return 0;
}

#endif
#endif
