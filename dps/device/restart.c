/* SPDX-License-Identifier: MIT */
#include "dps/device/restart.h"
#include "tpm/rc.h"
#include "tpm/tpm2.h"

bool dps_restart_is_due(struct dps_device *d)
{
    const uint32_t code = tpm2_rc_code(d->rc);
    const bool lost =
        code == TPM2_RC_HANDLE || (code >= TPM2_RC_REFERENCE_H0 && code <= TPM2_RC_REFERENCE_S6);
    const bool locked = d->asked_handle == TPM2_HANDLE_SRK && code == TPM2_RC_BAD_AUTH;
    const bool due = (lost && !d->restarted) || (locked && !d->srk_locked);
    if (due) {
        d->restarted = d->restarted || lost;
        d->srk_locked = d->srk_locked || locked;
    }
    return due;
}
