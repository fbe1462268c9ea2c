/* SPDX-License-Identifier: MIT */
#include "dps/service/records.h"
#include "dps/protocol/registration_id.h"
#include "dps/service/enrollment.h"
#include "dps/service/registration.h"
#include "dps/service/state.h"
#include <string.h>

enum dps_refusal dps_load_enrollment(struct dps_service *s, struct bytes registration_id,
                                     struct dps_enrollment *e, uint64_t *version)
{
    uint8_t key[DPS_REGISTRATION_ID_MAX];
    size_t key_len;
    size_t len;
    const char *detail;
    if (dps_registration_id_lower(registration_id, key, &key_len) != 0) {
        return DPS_REFUSED_REGISTRATION_ID;
    }
    const int error = s->store.get(s->store.context, DPS_TABLE_ENROLLMENTS, bytes_of(key, key_len), s->record,
                                   sizeof s->record, &len, version);
    if (error != 0) {
        return error == BYTES_E_NOT_FOUND ? DPS_REFUSED_UNKNOWN : DPS_REFUSED_STORE;
    }
    return dps_enrollment_parse(bytes_of(s->record, len), e, &detail) == DPS_ACCEPTED ? DPS_ACCEPTED
                                                                                      : DPS_REFUSED_INTERNAL;
}

enum dps_refusal dps_load_registration(struct dps_service *s, struct bytes registration_id,
                                       struct dps_registration *r, uint64_t *version)
{
    size_t len;
    const int error = s->store.get(s->store.context, DPS_TABLE_REGISTRATIONS, registration_id, s->draft,
                                   sizeof s->draft, &len, version);
    if (error == BYTES_E_NOT_FOUND) {
        memset(r, 0, sizeof *r);
        *version = 0;
        return DPS_ACCEPTED;
    }
    if (error != 0) {
        return DPS_REFUSED_STORE;
    }
    return dps_registration_parse(bytes_of(s->draft, len), r) == 0 ? DPS_ACCEPTED : DPS_REFUSED_INTERNAL;
}
