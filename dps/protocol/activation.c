/* SPDX-License-Identifier: MIT */
#include "dps/protocol/activation.h"

/* Attributes of the key that make no difference to the flow. */
#define FREE_ATTRIBUTES                                                                                      \
    (uint32_t)(TPM2_OBJECT_NO_DA | TPM2_OBJECT_ADMIN_WITH_POLICY | TPM2_OBJECT_ENCRYPTED_DUPLICATION)

/* A service could send any key. What this device will load is one that signs with HMAC-SHA-256 and nothing else. */
static int check_key(struct bytes public_2b)
{
    struct tpm2_public area;
    const int error = tpm2_public_parse_2b(public_2b, &area);
    if (error != 0) {
        return error;
    }
    const uint32_t given = area.attributes & ~FREE_ATTRIBUTES;
    if (area.type != TPM2_ALG_KEYEDHASH || area.scheme != TPM2_ALG_HMAC ||
        area.scheme_hash != TPM2_ALG_SHA256 ||
        (given | TPM2_OBJECT_USER_WITH_AUTH) != (TPM2_OBJECT_USER_WITH_AUTH | TPM2_OBJECT_SIGN_ENCRYPT)) {
        return BYTES_E_ALGORITHM;
    }
    return (given & TPM2_OBJECT_USER_WITH_AUTH) != 0 ? 0 : BYTES_E_POLICY;
}

int dps_activation_parse(struct bytes blob, struct dps_activation *a)
{
    struct bytes_reader r = bytes_reader_over(blob);
    struct dps_activation fields;
    fields.id_object = bytes_read_2b(&r);
    /*@ assert READ_TO(END_1(fields), fields.id_object); */
    fields.encrypted_secret = bytes_read_2b(&r);
    /*@ assert READ_TO(END_2(fields), fields.encrypted_secret); */
    fields.duplicate = bytes_read_2b(&r);
    /*@ assert READ_TO(END_3(fields), fields.duplicate); */
    fields.duplicate_secret = bytes_read_2b(&r);
    /*@ assert READ_TO(END_4(fields), fields.duplicate_secret); */
    fields.key_public_2b = bytes_read_2b_whole(&r);
    /*@ assert READ_TO(END_5(fields), fields.key_public_2b); */
    fields.enc_uri = bytes_read_2b(&r);
    /*@ assert r.error == 0 ==> r.left == blob.len - END_6(fields); */
    /*@ assert r.error == 0 ==> r.p == blob.p + END_6(fields); */
    /*@ assert r.error == 0 ==> ENDS_AT(fields.enc_uri, END_6(fields)); */
    const int error = r.error != 0 ? r.error : check_key(fields.key_public_2b);
    *a = error == 0 ? fields : (struct dps_activation){.id_object = {NULL, 0}};
    return error;
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
    /*@ loop invariant i <= enc_uri.len;
        loop assigns i, utf16[0 .. DPS_ENC_URI_MAX - 1];
        loop variant enc_uri.len - i; */
    for (size_t i = 0; i < enc_uri.len; i++) {
        utf16[i] = enc_uri.p[i];
    }
    const int error = crypto_aes_cfb_decrypt(inner_key, NULL, utf16, enc_uri.len);
    if (error != 0) {
        return error;
    }
    /*@ loop invariant i <= enc_uri.len && i % 2 == 0;
        loop assigns i, text[0 .. capacity - 1];
        loop variant enc_uri.len - i; */
    for (size_t i = 0; i < enc_uri.len; i += 2) {
        const bool ascii = utf16[i + 1] == 0 && utf16[i] >= 0x20 && utf16[i] < 0x7f;
        text[i / 2] = ascii ? utf16[i] : (uint8_t)'?';
    }
    *len = enc_uri.len / 2;
    return 0;
}
