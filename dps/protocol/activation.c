/* SPDX-License-Identifier: MIT */
#include "dps/protocol/activation.h"

/* Attributes of the key that make no difference to the flow. */
#define FREE_ATTRIBUTES                                                                                      \
    (uint32_t)(TPM2_OBJECT_NO_DA | TPM2_OBJECT_ADMIN_WITH_POLICY | TPM2_OBJECT_ENCRYPTED_DUPLICATION)

/* A service could send any key. What this device will load is one that signs with HMAC-SHA-256 and nothing else. */
static int check_key(struct bytes public_2b)
{
    struct tpm2_public area;
    const struct tpm2_public wanted = tpm2_template_hmac_key(bytes_of(NULL, 0));
    const int error = tpm2_public_parse_2b(public_2b, &area);
    if (error != 0) {
        return error;
    }
    const uint32_t given = area.attributes & ~FREE_ATTRIBUTES;
    const uint32_t needed = wanted.attributes & ~FREE_ATTRIBUTES;
    const bool signs = area.type == wanted.type && area.name_alg == wanted.name_alg &&
                       area.scheme == wanted.scheme && area.scheme_hash == wanted.scheme_hash;
    if (signs && (given | TPM2_OBJECT_USER_WITH_AUTH) == needed && given != needed) {
        return BYTES_E_POLICY;
    }
    return signs && given == needed ? 0 : BYTES_E_ALGORITHM;
}

int dps_activation_parse(struct bytes blob, struct dps_activation *a)
{
    struct bytes_reader r = bytes_reader_over(blob);
    a->id_object = bytes_read_2b(&r);
    a->encrypted_secret = bytes_read_2b(&r);
    a->duplicate = bytes_read_2b(&r);
    a->duplicate_secret = bytes_read_2b(&r);
    a->key_public_2b = bytes_read_2b_whole(&r);
    a->enc_uri = bytes_read_2b(&r);
    const int error = r.error != 0 ? r.error : check_key(a->key_public_2b);
    if (error != 0) {
        *a = (struct dps_activation){.id_object = {NULL, 0}};
    }
    return error;
}

/* "host/id" in UTF-16LE under the inner key, as the real service does it. The inner key's first key stream block also
 * covers field 3's inner wrap; that is harmless, because field 3 travels only inside its outer wrap, but nothing else
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

    /* Fields 1 and 2: the inner key, for whoever holds this EK and has this SRK loaded. */
    tpm2_credential_make(w, ek, inner_key, bytes_of(srk_name, TPM2_NAME_SIZE), &random->credential);
    /* Fields 3 and 4: the key itself, under the inner key and then under the SRK. */
    tpm2_duplicate_make(w, srk, inner_key, bytes_of(name, sizeof name), &sensitive, &random->duplicate);
    /* Field 5: its public area. */
    bytes_write_bytes(w, bytes_written(&area));
    /* Field 6. */
    write_uri(w, inner_key, host, id);
}

int dps_activation_uri(struct bytes inner_key, struct bytes enc_uri, uint8_t *text, size_t capacity,
                       size_t *len)
{
    uint8_t utf16[DPS_ENC_URI_MAX];
    *len = 0;
    if (enc_uri.len % 2 != 0 || enc_uri.len > sizeof utf16) {
        return BYTES_E_FORMAT;
    }
    if (enc_uri.len / 2 > capacity) {
        return BYTES_E_SPACE;
    }
    for (size_t i = 0; i < enc_uri.len; i++) {
        utf16[i] = enc_uri.p[i];
    }
    const int error = crypto_aes_cfb_decrypt(inner_key, NULL, utf16, enc_uri.len);
    if (error != 0) {
        return error;
    }
    for (size_t i = 0; i < enc_uri.len; i += 2) {
        const bool ascii = utf16[i + 1] == 0 && utf16[i] >= 0x20 && utf16[i] < 0x7f;
        text[i / 2] = ascii ? utf16[i] : (uint8_t)'?';
    }
    *len = enc_uri.len / 2;
    return 0;
}
