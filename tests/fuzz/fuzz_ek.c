/* SPDX-License-Identifier: MIT */
/* What people paste for an EK: it is recognised as a whole or refused with a sentence. */
#include "dps/service/ek_mistake.h"
#include "dps/service/enrollment.h"
#include "port/posix/paste/ek_forms.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ek ek;
    char why[512] = "";
    const struct bytes input = bytes_of(data, size);
    const int error = ek_read(input, &ek, why, sizeof why);
    HOLDS(error == 0 || error == BYTES_E_FORMAT || error == BYTES_E_ALGORITHM);
    HOLDS(memchr(ek.form, 0, sizeof ek.form) != NULL && memchr(why, 0, sizeof why) != NULL);
    HOLDS(error == 0 || why[0] != 0);
    if (error == 0) {
        struct tpm2_public area;
        HOLDS(ek.len <= sizeof ek.public_2b && ek.form[0] != 0);
        HOLDS(tpm2_public_parse_2b(bytes_of(ek.public_2b, ek.len), &area) == 0 && area.unique.len == 256);
    }
    HOLDS(dps_ek_mistake(input) != NULL);
    return 0;
}
