/* SPDX-License-Identifier: MIT */
/* Public areas: what is read is written back as it was, and the one canonical form of an EK is a fixed point. */
#include "dps/protocol/text.h"
#include "dps/service/enrollment.h"
#include "tests/fuzz/fuzz.h"

static void check_round_trip(struct bytes bytes, const struct tpm2_public *area)
{
    uint8_t *again = malloc(bytes.len);
    HOLDS(again != NULL);
    struct bytes_writer w = bytes_writer_over(again, bytes.len);
    tpm2_public_write_2b(&w, area);
    HOLDS(w.error == 0 && bytes_equal_public(bytes_written(&w), bytes));
    HOLDS(tpm2_public_matches(area, area));
    free(again);
}

static void check_ek(struct bytes bytes)
{
    uint8_t base64[4096];
    uint8_t ek[DPS_EK_PUBLIC_MAX];
    uint8_t again[DPS_EK_PUBLIC_MAX];
    size_t len = 0;
    size_t again_len = 0;
    const char *detail = NULL;
    struct bytes_writer w = bytes_writer_over(base64, sizeof base64);
    dps_write_base64(&w, bytes);
    const int error = dps_ek_from_base64(bytes_written(&w), ek, &len, &detail);
    HOLDS(error == 0 || (detail != NULL && len == 0));
    if (error == 0) {
        w = bytes_writer_over(base64, sizeof base64);
        dps_write_base64(&w, bytes_of(ek, len));
        HOLDS(dps_ek_from_base64(bytes_written(&w), again, &again_len, NULL) == 0);
        HOLDS(bytes_equal_public(bytes_of(ek, len), bytes_of(again, again_len)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct bytes bytes = bytes_of(data, size);
    struct tpm2_public area;
    uint8_t name[TPM2_NAME_SIZE];
    const int error = tpm2_public_parse_2b(bytes, &area);
    HOLDS(error == 0 || error == BYTES_E_FORMAT || error == BYTES_E_ALGORITHM);
    HOLDS(fuzz_views(area.unique, bytes) && fuzz_views(area.auth_policy, bytes));
    HOLDS(error == 0 || area.type == 0);
    if (size <= 3000) {
        check_ek(bytes);
    }
    if (error != 0) {
        return 0;
    }
    check_round_trip(bytes, &area);
    tpm2_name_of(bytes, name);
    if (dps_srk_check(&area) == DPS_ACCEPTED) {
        HOLDS(area.type == TPM2_ALG_RSA && (area.attributes & TPM2_OBJECT_FIXED_TPM) != 0 &&
              (area.attributes & TPM2_OBJECT_RESTRICTED) != 0 &&
              (area.attributes & TPM2_OBJECT_SIGN_ENCRYPT) == 0);
        HOLDS(tpm2_public_rsa(&area).modulus.len == 256);
    }
    return 0;
}
