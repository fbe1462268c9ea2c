/* SPDX-License-Identifier: MIT */
/* The policy file: all policies of a text or none. */
#include "dps/manage/admin_auth.h"
#include "dps/service/state.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct dps_service_config config;
    memset(&config, 0, sizeof config);
    const int error = dps_policies_parse(bytes_of(data, size), &config);
    HOLDS(error == 0 || error == BYTES_E_FORMAT || error == BYTES_E_LIMIT);
    HOLDS(error == 0 || config.policy_count == 0);
    HOLDS(config.policy_count <= DPS_POLICIES_MAX);
    for (size_t i = 0; i < config.policy_count; i++) {
        const struct dps_policy *policy = &config.policies[i];
        HOLDS(policy->name[0] != 0 && memchr(policy->name, 0, sizeof policy->name) != NULL);
        HOLDS(policy->primary_key_len >= 16 && policy->primary_key_len <= sizeof policy->primary_key);
        HOLDS(policy->secondary_key_len == 0 ||
              (policy->secondary_key_len >= 16 && policy->secondary_key_len <= sizeof policy->secondary_key));
        HOLDS((policy->rights & ~DPS_RIGHT_ALL) == 0);
    }
    return 0;
}
