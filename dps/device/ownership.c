/* SPDX-License-Identifier: MIT */
/* Step 3: taking ownership, and giving it up. What an owner sets, derives and seals dies with TPM2_Clear; the
 * EK does not. */
#include "dps/device/ownership.h"
#include "dps/device/authorization.h"
#include "dps/device/device.h"
#include "dps/device/engine.h"
#include "dps/device/session.h"
#include "dps/device/step.h"
#include "tpm/command.h"
#include <string.h>

#if DPS_WITH_OWNERSHIP

static int read_own_ek(struct dps_device *d, struct bytes response);
static int read_own_created_ek(struct dps_device *d, struct bytes response);
static void build_lockout_auth(struct dps_device *d, struct bytes_writer *w);
static void build_endorsement_auth(struct dps_device *d, struct bytes_writer *w);
static void build_owner_auth(struct dps_device *d, struct bytes_writer *w);
static int read_lockout_auth(struct dps_device *d, struct bytes response);
static int read_endorsement_auth(struct dps_device *d, struct bytes response);
static int read_owner_auth(struct dps_device *d, struct bytes response);
static void build_persist_ek(struct dps_device *d, struct bytes_writer *w);
static void build_persist_srk(struct dps_device *d, struct bytes_writer *w);
static int read_persisted(struct dps_device *d, struct bytes response);
static void build_clear(struct dps_device *d, struct bytes_writer *w);
static int read_cleared(struct dps_device *d, struct bytes response);
static void build_seal(struct dps_device *d, struct bytes_writer *w);
static int read_sealed(struct dps_device *d, struct bytes response);
static void build_load_sealed(struct dps_device *d, struct bytes_writer *w);
static void build_unseal(struct dps_device *d, struct bytes_writer *w);
static int read_unsealed(struct dps_device *d, struct bytes response);

#if DPS_WITH_SESSIONS
static void build_own_ek(struct dps_device *d, struct bytes_writer *w);
static void build_own_ek_session(struct dps_device *d, struct bytes_writer *w);
static void build_own_create_ek(struct dps_device *d, struct bytes_writer *w);
static void build_own_session(struct dps_device *d, struct bytes_writer *w);
static void build_seal_ek(struct dps_device *d, struct bytes_writer *w);
static void build_seal_ek_session(struct dps_device *d, struct bytes_writer *w);
static void build_seal_create_ek(struct dps_device *d, struct bytes_writer *w);
#endif

/* clang-format off */
/* Rows marked "a password" are as in dps/device/device.c: passed over where there is none, old or new, unless the EK of
 * an earlier run is known. They come first, since new passwords are encrypted to the EK, and nothing may be done to
 * another TPM. */
static const struct dps_step own_flow[] = {
#if DPS_WITH_SESSIONS
    STEP( 1, TPM,    SALT_EK,                                       build_own_ek,           read_own_ek),
    STEP( 1, TPM,    EK_SESSION,                                    build_own_ek_session,   dps_read_session),
    STEP( 1, TPM,    SALT_EK_CREATED,                               build_own_create_ek,    read_own_created_ek),
    STEP( 3, TPM,    SALTED_SESSION,                                build_own_session,      dps_read_session),
#endif
    STEP( 3, TPM,    "a lockout authorization of the new owner's",  build_lockout_auth,     read_lockout_auth),
    STEP( 3, TPM,    "an endorsement authorization",                build_endorsement_auth, read_endorsement_auth),
    STEP( 3, TPM,    "an owner authorization",                      build_owner_auth,       read_owner_auth),
    REDO( 1, TPM,    "the public endorsement key",                  dps_build_read_ek,      read_own_ek),
#if DPS_WITH_SESSIONS
    STEP( 1, TPM,    EK_SESSION,                                    dps_build_ek_session,   dps_read_session),
#endif
    STEP( 1, TPM,    "the endorsement key, from the TPM's seed",    dps_build_create_ek,    read_own_created_ek),
    STEP( 3, TPM,    "the public storage root key",                 dps_build_read_srk,     dps_read_srk),
#if DPS_WITH_SESSIONS
    STEP( 3, TPM,    SALTED_SESSION,                                build_own_session,      dps_read_session),
#endif
    STEP( 3, TPM,    "the storage root key, from the owner's seed", dps_build_create_srk,   dps_read_created_srk),
    STEP( 3, TPM,    "to keep the endorsement key",                 build_persist_ek,       read_persisted),
    STEP( 3, TPM,    "to keep the storage root key",                build_persist_srk,      read_persisted),
    STEP( 3, NOBODY, "done",                                        NULL,                   NULL),
};

static const struct dps_step clear_flow[] = {
#if DPS_WITH_SESSIONS
    STEP( 1, TPM,    SALT_EK,                                           build_own_ek,         read_own_ek),
    STEP( 1, TPM,    EK_SESSION,                                        build_own_ek_session, dps_read_session),
    STEP( 1, TPM,    SALT_EK_CREATED,                                   build_own_create_ek,  read_own_created_ek),
    STEP( 3, TPM,    SALTED_SESSION,                                    build_own_session,    dps_read_session),
#endif
    STEP( 3, TPM,    "to forget its owner",                             build_clear,          read_cleared),
    REDO( 1, TPM,    "the public endorsement key",                      dps_build_read_ek,    read_own_ek),
    STEP( 1, TPM,    "the endorsement key, from the TPM's seed",        dps_build_create_ek,  read_own_created_ek),
    STEP( 3, TPM,    "the public storage root key",                     dps_build_read_srk,   dps_read_srk),
    STEP( 3, TPM,    "the storage root key, from the new owner's seed", dps_build_create_srk, dps_read_created_srk),
    STEP( 3, NOBODY, "done",                                            NULL,                 NULL),
};

static const struct dps_step seal_flow[] = {
    STEP( 3, TPM,    "the public storage root key",                 dps_build_read_srk,       dps_read_srk),
#if DPS_WITH_SESSIONS
    STEP( 1, TPM,    SALT_EK,                                       build_seal_ek,            dps_read_salt_ek),
    STEP( 1, TPM,    EK_SESSION,                                    build_seal_ek_session,    dps_read_session),
    STEP( 1, TPM,    SALT_EK_CREATED,                               build_seal_create_ek,     dps_read_created_salt_ek),
    STEP( 3, TPM,    SALTED_SESSION,                                dps_build_srk_session,    dps_read_session),
#endif
    STEP( 3, TPM,    "the storage root key, from the owner's seed", dps_build_create_srk,     dps_read_created_srk),
#if DPS_WITH_SESSIONS
    STEP( 3, TPM,    "a session, salted to that key, or to the EK",  dps_build_session,        dps_read_session),
#endif
    STEP( 3, TPM,    "to seal a secret under it",                   build_seal,               read_sealed),
    STEP( 3, NOBODY, "done",                                        NULL,                     NULL),
};

static const struct dps_step unseal_flow[] = {
    STEP( 3, TPM,    "the public storage root key",                 dps_build_read_srk,       dps_read_srk),
#if DPS_WITH_SESSIONS
    STEP( 1, TPM,    SALT_EK,                                       build_seal_ek,            dps_read_salt_ek),
    STEP( 1, TPM,    EK_SESSION,                                    build_seal_ek_session,    dps_read_session),
    STEP( 1, TPM,    SALT_EK_CREATED,                               build_seal_create_ek,     dps_read_created_salt_ek),
    STEP( 3, TPM,    SALTED_SESSION,                                dps_build_srk_session,    dps_read_session),
#endif
    STEP( 3, TPM,    "the storage root key, from the owner's seed", dps_build_create_srk,     dps_read_created_srk),
#if DPS_WITH_SESSIONS
    STEP( 3, TPM,    "a session, salted to that key, or to the EK",  dps_build_session,        dps_read_session),
#endif
    STEP( 3, TPM,    "the sealed object, loaded under it",          build_load_sealed,        dps_read_loaded_key),
    STEP( 3, TPM,    "the secret",                                  build_unseal,             read_unsealed),
    STEP( 3, NOBODY, "done",                                        NULL,                     NULL),
};
/* clang-format on */

static int read_own_ek(struct dps_device *d, struct bytes response)
{
    const int error = dps_read_ek(d, response);
    return error != 0 || d->ek_handle == 0 ? error : dps_known_ek(d);
}

static int read_own_created_ek(struct dps_device *d, struct bytes response)
{
    const int error = dps_read_created_ek(d, response);
    return error != 0 ? error : dps_known_ek(d);
}

#if DPS_WITH_SESSIONS

/* Is there any password that must not be seen? It comes before anybody else has seen EK_pub: whoever stands on the bus
 * with a key of his own in the EK's place gets the salt, and reads a new password. Unless this EK is the one of an
 * earlier run: then only the TPM of that run can do what is asked, and its answers alone are believed, also where
 * there is no password. */
static bool session_is_due(const struct dps_device *d)
{
    const struct dps_device_config *c = d->config;
    const size_t passwords = c->owner_auth.len + c->endorsement_auth.len + c->lockout_auth.len +
                             c->new_owner_auth.len + c->new_endorsement_auth.len + c->new_lockout_auth.len;
    return dps_session_allowed(d) && (d->ek_is_expected || passwords > 0);
}

static void build_own_ek(struct dps_device *d, struct bytes_writer *w)
{
    if (session_is_due(d)) {
        dps_build_read_ek(d, w);
    }
}

static void build_own_ek_session(struct dps_device *d, struct bytes_writer *w)
{
    if (session_is_due(d)) {
        dps_build_ek_session(d, w);
    }
}

static void build_own_create_ek(struct dps_device *d, struct bytes_writer *w)
{
    if (session_is_due(d)) {
        dps_build_create_ek(d, w);
    }
}

static void build_own_session(struct dps_device *d, struct bytes_writer *w)
{
    if (session_is_due(d)) {
        dps_build_session(d, w);
    }
}

/* A salt for an EK that is known is worth more than one for an SRK that may be anybody's. The Name of the SRK is part
 * of what the session signs, so no other one gets what is sealed. */
static void build_seal_ek(struct dps_device *d, struct bytes_writer *w)
{
    if (d->ek_is_expected) {
        dps_build_read_ek(d, w);
    } else {
        dps_build_salt_ek(d, w);
    }
}

static void build_seal_ek_session(struct dps_device *d, struct bytes_writer *w)
{
    if (d->ek_is_expected) {
        dps_build_ek_session(d, w);
    } else {
        dps_build_salt_session(d, w);
    }
}

static void build_seal_create_ek(struct dps_device *d, struct bytes_writer *w)
{
    if (d->ek_is_expected) {
        dps_build_create_ek(d, w);
    } else {
        dps_build_create_salt_ek(d, w);
    }
}

#endif

/* TPM2_HierarchyChangeAuth [P3 r1.59 24.8]. An authorization that is not given is not changed: its row is passed over.
 * The old value of the lockout authorization is the configured one; it is set first, because it alone can undo the
 * others. */
static void build_lockout_auth(struct dps_device *d, struct bytes_writer *w)
{
    const struct tpm2_auth auth = tpm2_auth_password(d->config->lockout_auth);
    if (d->config->new_lockout_auth.len > 0) {
        tpm2_hierarchy_change_auth_build(w, TPM2_RH_LOCKOUT, &auth, d->config->new_lockout_auth);
    }
}

static void build_endorsement_auth(struct dps_device *d, struct bytes_writer *w)
{
    const struct tpm2_auth auth = tpm2_auth_password(d->config->endorsement_auth);
    if (d->config->new_endorsement_auth.len > 0) {
        tpm2_hierarchy_change_auth_build(w, TPM2_RH_ENDORSEMENT, &auth, d->config->new_endorsement_auth);
    }
}

static void build_owner_auth(struct dps_device *d, struct bytes_writer *w)
{
    const struct tpm2_auth auth = tpm2_auth_password(d->config->owner_auth);
    if (d->config->new_owner_auth.len > 0) {
        tpm2_hierarchy_change_auth_build(w, TPM2_RH_OWNER, &auth, d->config->new_owner_auth);
    }
}

static int read_lockout_auth(struct dps_device *d, struct bytes response)
{
    const int next = tpm2_hierarchy_change_auth_parse(response, &d->rc);
    d->lockout_changed = next >= 0;
    return next;
}

static int read_endorsement_auth(struct dps_device *d, struct bytes response)
{
    const int next = tpm2_hierarchy_change_auth_parse(response, &d->rc);
    d->endorsement_changed = next >= 0;
    return next;
}

static int read_owner_auth(struct dps_device *d, struct bytes response)
{
    const int next = tpm2_hierarchy_change_auth_parse(response, &d->rc);
    d->owner_changed = next >= 0;
    return next;
}

/* TPM2_EvictControl [P3 r1.59 28.5], only if asked and only for a key that is not persistent yet. */
static void build_persist_ek(struct dps_device *d, struct bytes_writer *w)
{
    const struct tpm2_auth auth = tpm2_auth_password(dps_owner_auth(d));
    if (d->config->persist && d->loaded[DPS_LOADED_EK] != 0) {
        tpm2_evict_control_build(w, TPM2_RH_OWNER, &auth, d->ek_handle, TPM2_HANDLE_EK);
    }
}

static void build_persist_srk(struct dps_device *d, struct bytes_writer *w)
{
    const struct tpm2_auth auth = tpm2_auth_password(dps_owner_auth(d));
    if (d->config->persist && d->loaded[DPS_LOADED_SRK] != 0) {
        tpm2_evict_control_build(w, TPM2_RH_OWNER, &auth, d->srk_handle, TPM2_HANDLE_SRK);
    }
}

static int read_persisted(struct dps_device *d, struct bytes response)
{
    return tpm2_evict_control_parse(response, &d->rc);
}

/* TPM2_Clear [P3 r1.59 24.6]: a new storage seed, so another SRK; the endorsement seed stays, so the same EK. All
 * authorizations are empty afterwards. */
static void build_clear(struct dps_device *d, struct bytes_writer *w)
{
    const struct tpm2_auth auth = tpm2_auth_password(d->config->lockout_auth);
    d->session_ends = true;
    tpm2_clear_build(w, TPM2_RH_LOCKOUT, &auth);
}

static int read_cleared(struct dps_device *d, struct bytes response)
{
    const int error = tpm2_clear_parse(response, &d->rc);
    d->cleared = error == 0;
    if (error == 0) {
        d->loaded[DPS_LOADED_EK] = 0; /* the TPM has forgotten it, persistent or not */
        d->ek_handle = 0;
    }
    return error;
}

/* TPM2_Create of a sealed data object [P3 r1.59 12.1]. */
static void build_seal(struct dps_device *d, struct bytes_writer *w)
{
    const struct tpm2_auth auth = tpm2_auth_password(bytes_of(NULL, 0));
    const struct tpm2_public area = tpm2_template_sealed_data();
    d->session_ends = true;
    tpm2_create_build(w, d->srk_handle, &auth, bytes_of(NULL, 0), d->config->data, &area);
}

/* The sealed blob is the two structures that TPM2_Load takes, one after the other. */
static int read_sealed(struct dps_device *d, struct bytes response)
{
    struct bytes private_2b;
    struct bytes public_2b;
    struct bytes_writer w = bytes_writer_over(d->net, sizeof d->net);
    const int error = tpm2_create_parse(response, &d->rc, &private_2b, &public_2b);
    if (error != 0) {
        return error;
    }
    bytes_write_bytes(&w, private_2b);
    bytes_write_bytes(&w, public_2b);
    d->net_len = (uint16_t)w.len;
    return w.error != 0 ? w.error : ROW_BELOW;
}

static void build_load_sealed(struct dps_device *d, struct bytes_writer *w)
{
    const struct tpm2_auth auth = tpm2_auth_password(bytes_of(NULL, 0));
    struct bytes_reader r = bytes_reader_over(d->config->data);
    const struct bytes private_2b = bytes_read_2b_whole(&r);
    const struct bytes public_2b = bytes_read_2b_whole(&r);
    if (bytes_reader_end(&r) != 0) {
        bytes_writer_fail(w, BYTES_E_STATE);
        return;
    }
    tpm2_name_of(public_2b, d->object_name);
    tpm2_load_build(w, d->srk_handle, &auth, private_2b, public_2b);
}

/* TPM2_Unseal [P3 r1.59 12.7]. */
static void build_unseal(struct dps_device *d, struct bytes_writer *w)
{
    const struct tpm2_auth auth = tpm2_auth_password(bytes_of(NULL, 0));
    d->session_ends = true;
    tpm2_unseal_build(w, d->loaded[DPS_LOADED_KEY], &auth);
}

static int read_unsealed(struct dps_device *d, struct bytes response)
{
    struct bytes data;
    const int error = tpm2_unseal_parse(response, &d->rc, &data);
    if (error != 0) {
        return error;
    }
    if (data.len > sizeof d->net) {
        return BYTES_E_LIMIT;
    }
    memcpy(d->net, data.p, data.len);
    d->net_len = (uint16_t)data.len;
    return ROW_BELOW;
}

/* Which TPM it is only a session proves. */
static int begin(struct dps_device *d, const struct dps_device_config *config, const uint8_t seed[32],
                 const struct dps_step *flow)
{
    dps_engine_prepare(d, config, seed, flow);
    return d->ek_is_expected && !dps_session_allowed(d) ? BYTES_E_USAGE : dps_engine_start(d);
}

int dps_device_own(struct dps_device *d, const struct dps_device_config *config, const uint8_t seed[32])
{
    return begin(d, config, seed, own_flow);
}

int dps_device_clear(struct dps_device *d, const struct dps_device_config *config, const uint8_t seed[32])
{
    return begin(d, config, seed, clear_flow);
}

int dps_device_seal(struct dps_device *d, const struct dps_device_config *config, const uint8_t seed[32])
{
    if (config->data.len == 0 || config->data.len > DPS_SEAL_DATA_MAX) {
        return BYTES_E_USAGE;
    }
    return begin(d, config, seed, seal_flow);
}

int dps_device_unseal(struct dps_device *d, const struct dps_device_config *config, const uint8_t seed[32])
{
    return begin(d, config, seed, unseal_flow);
}

#endif
