/* SPDX-License-Identifier: MIT */
/* The token with which a vendor enrolls a device in step 2, for tests that are the vendor. */
#ifndef TESTS_SUPPORT_VENDOR_TOKEN_H
#define TESTS_SUPPORT_VENDOR_TOKEN_H

#include "dps/service/state.h"

/* Append it: for this host, signed with the policy's primary key, valid until expiry (seconds since 1970). */
void vendor_token_write(struct bytes_writer *w, const char *host, const struct dps_policy *policy,
                        uint64_t expiry);

#endif
