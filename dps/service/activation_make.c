/* SPDX-License-Identifier: MIT */
#include "dps/service/activation_make.h"
#include "crypto/crypto.h"
#include <string.h>

/* "host/id" in UTF-16LE under the inner key, as the real service does it. The inner key's first key stream block also
 * encrypts field 3's inner wrap; that is harmless, because field 3 travels only inside its outer wrap, but nothing else
 * may ever be encrypted with this key (spec-notes.md, "encUriData"). */
static void write_uri(struct bytes_writer *w, struct bytes inner_key, struct bytes host, struct bytes id)
{
    const size_t size = bytes_write_size_begin(w);
    const size_t begin = w->len;
    const struct bytes parts[3] = {host, bytes_of("/", 1), id};
    for (size_t part = 0; part < 3; part++) {
        for (size_t i = 0; i < parts[part].len && w->len - begin + 2 <= DPS_ENC_URI_MAX; i++) {
            bytes_write_u8(w, parts[part].p[i]);
            bytes_write_u8(w, 0);
        }
    }
    if (w->error == 0) {
        bytes_writer_fail(w, crypto_aes_cfb_encrypt(inner_key, NULL, w->p + begin, w->len - begin));
    }
    bytes_write_size_end(w, size);
}

void dps_activation_make(struct bytes_writer *w, const struct tpm2_public *ek, const struct tpm2_public *srk,
                         const uint8_t srk_name[TPM2_NAME_SIZE], const uint8_t key[DPS_KEY_SIZE],
                         struct bytes host, struct bytes id, const struct dps_activation_random *random)
{
    const struct bytes inner_key = bytes_of(random->inner_key, sizeof random->inner_key);
    const struct tpm2_sensitive sensitive = {
        .seed_value = bytes_of(random->seed_value, sizeof random->seed_value),
        .key = bytes_of(key, DPS_KEY_SIZE),
    };
    uint8_t unique[CRYPTO_SHA256_SIZE];
    uint8_t public_2b[64];
    uint8_t name[TPM2_NAME_SIZE];
    struct bytes_writer area = bytes_writer_over(public_2b, sizeof public_2b);

    tpm2_keyedhash_unique(&sensitive, unique);
    const struct tpm2_public key_public = tpm2_template_hmac_key(bytes_of(unique, sizeof unique));
    tpm2_public_write_2b(&area, &key_public);
    tpm2_name_of(bytes_written(&area), name);

    /* Fields 1 and 2: the inner key, for the TPM that holds this EK and has this SRK loaded. */
    tpm2_credential_make(w, ek, inner_key, bytes_of(srk_name, TPM2_NAME_SIZE), &random->credential);
    /* Fields 3 and 4: the key itself, under the inner key and then under the SRK. */
    tpm2_duplicate_make(w, srk, inner_key, bytes_of(name, sizeof name), &sensitive, &random->duplicate);
    /* Field 5: its public area. */
    bytes_write_bytes(w, bytes_written(&area));
    /* Field 6. */
    write_uri(w, inner_key, host, id);
}
