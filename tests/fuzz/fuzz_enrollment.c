/* SPDX-License-Identifier: MIT */
/* Enrollments as clients send them: what is accepted views the text, and its EK is one that may be enrolled. */
#include "dps/protocol/json.h"
#include "dps/service/enrollment.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct bytes text = bytes_of(data, size);
    struct bytes json;
    struct dps_enrollment e;
    const char *detail = NULL;
    if (dps_json_check(text, &json) != 0) {
        return 0;
    }
    const enum dps_refusal why = dps_enrollment_parse(json, &e, &detail);
    HOLDS(why < DPS_REFUSAL_COUNT && dps_refusal_text(why) != NULL);
    if (why != DPS_ACCEPTED) {
        HOLDS(detail != NULL && (detail[0] != 0 || why == DPS_REFUSED_BODY));
        HOLDS(dps_refusal_text(why)->status == 400);
        return 0;
    }
    const struct bytes views[] = {e.registration_id, e.device_id,    e.hubs,
                                  e.single_hub,      e.initial_twin, e.payload};
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++) {
        HOLDS(fuzz_views(views[i], json));
    }
    struct tpm2_public ek;
    HOLDS(e.ek_len <= sizeof e.ek && tpm2_public_parse_2b(bytes_of(e.ek, e.ek_len), &ek) == 0);
    HOLDS(ek.type == TPM2_ALG_RSA && ek.unique.len == 256 && ek.exponent == 0);
    HOLDS(dps_json_kind(e.registration_id) == DPS_JSON_STRING);
    return 0;
}
