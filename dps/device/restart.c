/* SPDX-License-Identifier: MIT */
#include "dps/device/restart.h"
#include "tpm/rc.h"
#include "tpm/tpm2.h"

bool dps_restart_is_due(struct dps_device *d)
{
    const struct tpm2_rc rc = tpm2_rc_decode(d->rc);
    const bool lost =
        rc.code == TPM2_RC_HANDLE || (rc.code >= TPM2_RC_REFERENCE_H0 && rc.code <= TPM2_RC_REFERENCE_S6);
    const bool locked = d->asked_handle == TPM2_HANDLE_SRK && rc.code == TPM2_RC_BAD_AUTH;
    const bool due = (lost && !d->restarted) || (locked && !d->srk_locked);
    if (due) {
        d->restarted = d->restarted || lost;
        d->srk_locked = d->srk_locked || locked;
    }
    return due;
}
