/* SPDX-License-Identifier: MIT */
#include "tests/support/activation_open.h"
#include "dps/protocol/activation.h"
#include "tpm/protect.h"
#include "tpm/tools/open.h"

int activation_open(struct bytes blob, const struct crypto_rsa_private *ek,
                    const struct crypto_rsa_private *srk, struct bytes srk_name, uint8_t key[DPS_KEY_SIZE])
{
    struct dps_activation a;
    struct tpm2_sensitive sensitive = {0};
    uint8_t inner_key[DPS_INNER_KEY_SIZE];
    uint8_t storage[256];
    uint8_t name[TPM2_NAME_SIZE];
    size_t inner_len = 0;
    int error = dps_activation_parse(blob, &a);
    if (error == 0) {
        error = tpm2_credential_open(a.id_object, a.encrypted_secret, ek, srk_name, inner_key,
                                     sizeof inner_key, &inner_len);
    }
    if (error == 0) {
        tpm2_name_of(a.key_public_2b, name);
        error = tpm2_duplicate_open(a.duplicate, a.duplicate_secret, srk, bytes_of(inner_key, inner_len),
                                    bytes_of(name, sizeof name), &sensitive, storage, sizeof storage);
    }
    if (error == 0 && sensitive.key.len != DPS_KEY_SIZE) {
        error = BYTES_E_ALGORITHM;
    }
    for (size_t i = 0; error == 0 && i < DPS_KEY_SIZE; i++) {
        key[i] = sensitive.key.p[i];
    }
    bytes_wipe(inner_key, sizeof inner_key);
    bytes_wipe(storage, sizeof storage);
    return error;
}
