/* SPDX-License-Identifier: MIT */
/* The device side of the flow: how a run begins, and what it ends with. What happens in between, the driver does as
 * dps/device/engine.h says (port/drive.c is the whole blocking driver). */
#ifndef DPS_DEVICE_DEVICE_H
#define DPS_DEVICE_DEVICE_H

#include "dps/device/state.h"

/* Begin a run. seed: 32 fresh random bytes that nobody else knows: the salts of sessions follow from them. Each returns
 * 0, or BYTES_E_USAGE if the configuration lacks something or breaks a limit (no run begins then). record is what
 * DPS_WANT_SAVE gave in an earlier run; BYTES_E_STATE if it is not one. The seed was copied: wipe it.
 *
 *   register   steps 1, 3, 4-9 and the first hub token; ends with token, assigned_hub, device_id, and one SAVE
 *   token      a fresh hub token with the saved key (step 10)
 *   send       the same, and one telemetry message config->data to the hub
 *   read_ek    step 1 only: ek, registration_id; read_keys: step 3 as well: srk (config->srk says which) */
int dps_device_register(struct dps_device *d, const struct dps_device_config *config, const uint8_t seed[32]);
int dps_device_token(struct dps_device *d, const struct dps_device_config *config, const uint8_t seed[32],
                     struct bytes record);
int dps_device_send(struct dps_device *d, const struct dps_device_config *config, const uint8_t seed[32],
                    struct bytes record);
int dps_device_read_ek(struct dps_device *d, const struct dps_device_config *config, const uint8_t seed[32]);
int dps_device_read_keys(struct dps_device *d, const struct dps_device_config *config,
                         const uint8_t seed[32]);

/* After DONE: the token, or the bytes that seal and unseal made. View the engine's memory. */
struct bytes dps_device_token_text(const struct dps_device *d);
struct bytes dps_device_result(const struct dps_device *d);

/* Rows that the flows of ownership.c share with those of device.c, in the order of the steps. */
void dps_build_read_ek(struct dps_device *d, struct bytes_writer *w);
int dps_read_ek(struct dps_device *d, struct bytes answer);
void dps_build_create_ek(struct dps_device *d, struct bytes_writer *w);
int dps_read_created_ek(struct dps_device *d, struct bytes answer);
/* BYTES_E_STATE: the EK is not the one of an earlier run. */
int dps_known_ek(const struct dps_device *d);
void dps_build_read_srk(struct dps_device *d, struct bytes_writer *w);
int dps_read_srk(struct dps_device *d, struct bytes answer);
void dps_build_create_srk(struct dps_device *d, struct bytes_writer *w);
int dps_read_created_srk(struct dps_device *d, struct bytes answer);
#if DPS_WITH_SESSIONS
void dps_build_ek_session(struct dps_device *d, struct bytes_writer *w);
void dps_build_srk_session(struct dps_device *d, struct bytes_writer *w);
/* The same where no flow but a password needs the EK: only if the SRK has to be derived with the owner's. */
void dps_build_salt_ek(struct dps_device *d, struct bytes_writer *w);
int dps_read_salt_ek(struct dps_device *d, struct bytes answer);
void dps_build_salt_session(struct dps_device *d, struct bytes_writer *w);
void dps_build_create_salt_ek(struct dps_device *d, struct bytes_writer *w);
int dps_read_created_salt_ek(struct dps_device *d, struct bytes answer);
/* A session that is salted to the EK, or to the SRK, if there is none yet. */
void dps_build_session(struct dps_device *d, struct bytes_writer *w);
int dps_read_session(struct dps_device *d, struct bytes answer);
#endif
int dps_read_loaded_key(struct dps_device *d, struct bytes answer);

#endif
