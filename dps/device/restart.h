/* SPDX-License-Identifier: MIT */
/* Which refusals of the TPM are met by beginning again. Internal to dps/device/. */
#ifndef DPS_DEVICE_RESTART_H
#define DPS_DEVICE_RESTART_H

#include "dps/device/state.h"

/* Two of them mean that the flow begins again by asking for the keys, from the same seeds, once for each: the TPM does
 * not know a handle that it gave us (it was reset, or someone else has flushed it); or the persistent SRK has an
 * authValue of its own, which the same key, derived as a transient object, does not have. True if d->rc is one that has
 * not been met yet; from then on it has. */
bool dps_restart_is_due(struct dps_device *d);

#endif
