/* SPDX-License-Identifier: MIT */
#include "dps/device/authorization.h"

#if DPS_WITH_OWNERSHIP

struct bytes dps_owner_auth(const struct dps_device *d)
{
    if (d->cleared) {
        return bytes_of(NULL, 0);
    }
    return d->owner_changed ? d->config->new_owner_auth : d->config->owner_auth;
}

struct bytes dps_endorsement_auth(const struct dps_device *d)
{
    if (d->cleared) {
        return bytes_of(NULL, 0);
    }
    return d->endorsement_changed ? d->config->new_endorsement_auth : d->config->endorsement_auth;
}

#else

struct bytes dps_owner_auth(const struct dps_device *d)
{
    return d->config->owner_auth;
}

struct bytes dps_endorsement_auth(const struct dps_device *d)
{
    return d->config->endorsement_auth;
}

#endif
