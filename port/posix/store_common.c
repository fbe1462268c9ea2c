/* SPDX-License-Identifier: MIT */
#include "port/posix/store.h"

const char *posix_store_table(enum dps_table table)
{
    static const char *const names[DPS_TABLE_COUNT] = {
        [DPS_TABLE_ENROLLMENTS] = "enrollments",
        [DPS_TABLE_REGISTRATIONS] = "registrations",
        [DPS_TABLE_DEVICES] = "devices",
    };
    return names[table];
}

bool posix_store_fits(struct bytes key, struct bytes value)
{
    return key.len > 0 && key.len <= DPS_KEY_MAX && value.len <= DPS_RECORD_MAX;
}
