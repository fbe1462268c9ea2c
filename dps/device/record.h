/* SPDX-License-Identifier: MIT */
/* What a device keeps between boots: where it was assigned, and its hub key as the TPM wrapped it. Nothing in
 * it is secret without the TPM that made it.
 *
 * Layout: "DPS1", or "DPS2" if the SRK is the hardened one, then as TPM2Bs: idScope, registrationId, assigned hub,
 * deviceId, Name of the SRK, the wrapped key (TPM2B_PRIVATE), its public area (TPM2B_PUBLIC); then SHA-256 over all
 * before it, which detects a torn or foreign record. At most DPS_RECORD_FILE_MAX bytes. */
#ifndef DPS_DEVICE_RECORD_H
#define DPS_DEVICE_RECORD_H

#include "dps/device/state.h"

#define DPS_RECORD_FILE_MAX 1024

/* Append the record of an engine that has been assigned. Failure is w->error. */
void dps_record_write(struct bytes_writer *w, const struct dps_device *d);
/* Take a record into an engine that is about to make hub tokens.
 * Returns: 0; BYTES_E_STATE if it is torn, foreign or of another version. */
int dps_record_read(struct bytes record, struct dps_device *d);

/* Copy text into a zero-terminated field. Returns: 0; BYTES_E_LIMIT; BYTES_E_FORMAT for an embedded zero. */
int dps_keep_text(char *field, size_t size, struct bytes text);

#endif
