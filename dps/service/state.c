/* SPDX-License-Identifier: MIT */
#include "dps/service/state.h"
#include "dps/protocol/registration_id.h"
#include <string.h>

int dps_service_init(struct dps_service *s, const struct dps_service_config *config,
                     const struct dps_store *store, const struct crypto_entropy *entropy)
{
    if (!dps_host_valid(bytes_of_text(config->host)) || config->id_scope[0] == '\0' ||
        config->hub_count == 0 || config->hub_count > DPS_HUBS_MAX || config->secret_count == 0 ||
        config->secret_count > DPS_SECRETS_MAX) {
        return BYTES_E_USAGE;
    }
    memset(s, 0, sizeof *s);
    s->config = config;
    s->store = *store;
    s->entropy = *entropy;
    return 0;
}
