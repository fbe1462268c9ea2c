/* SPDX-License-Identifier: MIT */
#include "dps/protocol/version.h"

const char *dps_version(void)
{
    return TPM_DPS_VERSION;
}
