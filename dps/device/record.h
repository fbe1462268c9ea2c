/* SPDX-License-Identifier: MIT */
/* What a device keeps between boots: where it was assigned, and its hub key as the TPM wrapped it. Nothing in
 * it is secret without the TPM that made it.
 *
 * Layout: "DPS3", or "DPS4" if the SRK is the hardened one, then as TPM2Bs: idScope, registrationId, assigned hub,
 * deviceId, Name of the SRK, the wrapped key (TPM2B_PRIVATE), its public area (TPM2B_PUBLIC), Name of the EK; then
 * SHA-256 over all before it, which detects a torn or foreign record. Earlier versions wrote "DPS1" and
 * "DPS2", which lack the Name of the EK. At most DPS_RECORD_FILE_MAX bytes. */
#ifndef DPS_DEVICE_RECORD_H
#define DPS_DEVICE_RECORD_H

#include "dps/device/state.h"

#define DPS_RECORD_FILE_MAX 1024

/* Append the record of an engine that has been assigned. Failure is w->error. */
void dps_record_write(struct bytes_writer *w, const struct dps_device *d);
/* Take a record into an engine that is about to make hub tokens.
 * Returns: 0; BYTES_E_STATE if it is torn, foreign or of another version. */
int dps_record_read(struct bytes record, struct dps_device *d);

/* The Name of the EK in it, for dps_device_config.ek_name. Returns: 0; BYTES_E_STATE if there is none. */
int dps_record_ek_name(struct bytes record, uint8_t name[TPM2_NAME_SIZE]);

/* Copy text into a zero-terminated field. Returns: 0; BYTES_E_LIMIT; BYTES_E_FORMAT for an embedded zero. */
int dps_keep_text(char *field, size_t size, struct bytes text);
/* Copy bytes into a field with a length. Returns: 0; BYTES_E_LIMIT. */
int dps_keep_bytes(uint8_t *field, size_t size, uint16_t *len, struct bytes bytes);

#endif
