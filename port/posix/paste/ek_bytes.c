/* SPDX-License-Identifier: MIT */
#include "dps/protocol/text.h"
#include "dps/service/enrollment.h"
#include "port/posix/paste/ek_forms.h"
#include "port/posix/paste/ek_private.h"
#include "port/posix/paste/paste.h"
#include "tpm/tools/explain.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void ek_add_form(struct ek_reading *r, const char *name)
{
    size_t len = strlen(r->ek->form);
    snprintf(r->ek->form + len, sizeof r->ek->form - len, "%s%s", len > 0 ? ": " : "", name);
}

int ek_refuse(struct ek_reading *r, int error, const char *format, ...)
{
    va_list arguments;
    int len = snprintf(r->why, r->why_size, "%s%s", r->ek->form, r->ek->form[0] != 0 ? ": " : "");
    va_start(arguments, format);
    if (len >= 0 && (size_t)len < r->why_size) {
        vsnprintf(r->why + len, r->why_size - (size_t)len, format, arguments);
    }
    va_end(arguments);
    return error;
}

int ek_refuse_kind(struct ek_reading *r, const char *kind)
{
    return ek_refuse(
        r, BYTES_E_ALGORITHM,
        "it is %s, and DPS works with RSA-2048 endorsement keys only (tpm2_createek -G rsa; the RSA "
        "EK certificate is in NV 0x01c00002)",
        kind);
}

/* Only dps/service/enrollment.c decides what is an EK; here are only sentences for frequent mistakes. */
static int take_public(struct ek_reading *r, const struct tpm2_public *area)
{
    uint8_t bytes[1024];
    uint8_t base64[1400];
    const char *detail = "";
    struct bytes_writer w = bytes_writer_over(bytes, sizeof bytes);
    struct bytes_writer text = bytes_writer_over(base64, sizeof base64);
    if (area->type == TPM2_ALG_RSA && dps_srk_check(area) == DPS_ACCEPTED) {
        return ek_refuse(r, BYTES_E_ALGORITHM, "it is a storage root key (SRK), not an endorsement key (EK)");
    }
    tpm2_public_write_2b(&w, area);
    dps_write_base64(&text, bytes_written(&w));
    int error = dps_ek_from_base64(bytes_written(&text), r->ek->public_2b, &r->ek->len, &detail);
    return error != 0 ? ek_refuse(r, error, "%s", detail) : 0;
}

#define RSA_MODULUS_SIZE 256 /* of RSA-2048 */
#define RSA_EXPONENT 65537

static int refuse_rsa(struct ek_reading *r, size_t modulus_len, uint64_t exponent)
{
    char kind[80];
    snprintf(kind, sizeof kind,
             exponent == RSA_EXPONENT ? "an RSA-%zu key" : "an RSA-%zu key with the exponent %llu",
             8 * modulus_len, (unsigned long long)exponent);
    return ek_refuse_kind(r, kind);
}

int ek_take_rsa(struct ek_reading *r, const struct crypto_rsa_public *key)
{
    struct tpm2_public area = tpm2_template_ek_l1();
    if (key->modulus.len != RSA_MODULUS_SIZE || key->exponent != RSA_EXPONENT) {
        return refuse_rsa(r, key->modulus.len, key->exponent);
    }
    area.unique = key->modulus;
    r->ek->from_modulus = true;
    return take_public(r, &area);
}

int ek_take_modulus(struct ek_reading *r, const char *form, struct bytes modulus)
{
    if (modulus.len > 0 && modulus.p[0] == 0) { /* the sign of a number whose first bit is set */
        modulus = bytes_of(modulus.p + 1, modulus.len - 1);
    }
    ek_add_form(r, form);
    return ek_take_rsa(r, &(struct crypto_rsa_public){.modulus = modulus, .exponent = RSA_EXPONENT});
}

/* ---- TPM structures ---- */

/* What kind of key a public area has, also of those that this project does not use. */
struct key_kind {
    uint64_t type, bits;
    const char *curve;
    const char *name_alg;
};

static void note_kind(void *context, const struct tpm2_field *field)
{
    struct key_kind *kind = context;
    if (field->kind != TPM2_FIELD_INTEGER) {
        return;
    }
    if (strcmp(field->name, "type") == 0) {
        kind->type = field->value;
    } else if (strcmp(field->name, "nameAlg") == 0) {
        kind->name_alg = field->value_name;
    } else if (strcmp(field->name, "keyBits") == 0) {
        kind->bits = field->value; /* the key's own come after those of its symmetric cipher */
    } else if (strcmp(field->name, "curveID") == 0) {
        kind->curve = field->value_name;
    }
}

static int refuse_public(struct ek_reading *r, struct bytes tpmt)
{
    uint8_t whole[1024];
    char text[128];
    struct key_kind kind = {.type = 0};
    struct bytes_writer w = bytes_writer_over(whole, sizeof whole);
    bytes_write_2b(&w, tpmt);
    const int error = tpm2_explain_public(bytes_written(&w), note_kind, &kind);
    if (kind.type == TPM2_ALG_ECC) { /* even if it is cut off: no part of it is of use */
        snprintf(text, sizeof text, "an elliptic-curve key%s%s", kind.curve != NULL ? ": " : "",
                 kind.curve != NULL ? kind.curve : "");
    } else if (error != 0) {
        return ek_refuse(r, error, "it is cut off, or no EK is of this kind");
    } else if (kind.type == TPM2_ALG_RSA) {
        snprintf(text, sizeof text, "an RSA-%llu key (nameAlg %s)", (unsigned long long)kind.bits,
                 kind.name_alg != NULL ? kind.name_alg : "unknown");
    } else {
        snprintf(text, sizeof text, "no asymmetric key");
    }
    return ek_refuse_kind(r, text);
}

int ek_read_tpmt(struct ek_reading *r, const char *form, struct bytes tpmt)
{
    struct bytes_reader reader = bytes_reader_over(tpmt);
    struct tpm2_public area;
    tpm2_public_read(&reader, &area);
    ek_add_form(r, form);
    if (bytes_reader_end(&reader) != 0 || area.type != TPM2_ALG_RSA ||
        area.key_bits != 8 * RSA_MODULUS_SIZE) {
        return refuse_public(r, tpmt);
    }
    return take_public(r, &area);
}

/* ---- Bytes ---- */

static bool is_padding(struct bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.p[i] != bytes.p[0] || (bytes.p[0] != 0 && bytes.p[0] != 0xFF)) {
            return false;
        }
    }
    return true;
}

static int read_stored(struct ek_reading *r, struct bytes bytes)
{
    const struct bytes der = ek_stored_certificate(bytes);
    if (der.p != bytes.p) {
        ek_add_form(r, "TCG header");
    }
    ek_add_form(r, "DER");
    const size_t end = (size_t)(der.p - bytes.p) + der.len;
    const bool padded = is_padding(bytes_of(bytes.p + end, bytes.len - end));
    return ek_read_der(r, der.p != bytes.p || padded ? der : bytes);
}

static uint32_t little_endian(struct bytes_reader *r)
{
    const uint32_t n = bytes_read_u32(r);
    return n >> 24 | (n >> 8 & 0xFF00) | (n << 8 & 0xFF0000) | n << 24;
}

/* BCRYPT_RSAKEY_BLOB: EKPub in Windows' registry. */
static int read_windows_rsa(struct ek_reading *r, struct bytes bytes)
{
    struct bytes_reader in = bytes_reader_over(bytes);
    struct crypto_rsa_public key = {.exponent = 0};
    bytes_skip(&in, 8); /* magic, bits */
    const struct bytes sizes = bytes_read_bytes(&in, 16);
    struct bytes_reader size = bytes_reader_over(sizes);
    const uint32_t exponent_len = little_endian(&size), modulus_len = little_endian(&size);
    const struct bytes exponent = bytes_read_bytes(&in, exponent_len);
    key.modulus = bytes_read_bytes(&in, modulus_len);
    ek_add_form(r, "Windows RSA public key blob");
    if (in.error != 0 || exponent.len == 0 || exponent.len > 4) {
        return ek_refuse(r, BYTES_E_FORMAT, "it is cut off");
    }
    for (size_t i = 0; i < exponent.len; i++) {
        key.exponent = key.exponent << 8 | exponent.p[i];
    }
    return ek_take_rsa(r, &key);
}

/* Bytes without a recognisable form: what they are likely to be, by their number. */
static int refuse_by_size(struct ek_reading *r, struct bytes bytes)
{
    static const struct {
        size_t len;
        int first; /* byte; -1: any */
        int error;
        const char *says;
    } sizes[] = {
        {20, -1, BYTES_E_FORMAT, "it has 20 bytes, as a SHA-1 thumbprint: a hash of a key is not the key"},
        {32, -1, BYTES_E_FORMAT,
         "it has 32 bytes, as a SHA-256 hash (Windows' PublicKeyHash, a fingerprint): a hash of a key is not "
         "the key"},
        {34, 0x00, BYTES_E_FORMAT, "it is a Name (nameAlg and hash) of a key, not the key"},
        {48, -1, BYTES_E_FORMAT, "it has 48 bytes, as a SHA-384 hash: a hash of a key is not the key"},
        {50, 0x00, BYTES_E_FORMAT, "it is a Name (nameAlg and hash) of a key, not the key"},
        {65, 0x04, BYTES_E_ALGORITHM, "an elliptic-curve point (256 bits, as of NIST P-256)"},
        {97, 0x04, BYTES_E_ALGORITHM, "an elliptic-curve point (384 bits, as of NIST P-384)"},
        {384, -1, BYTES_E_ALGORITHM, "the modulus of an RSA-3072 key, by its size"},
        {512, -1, BYTES_E_ALGORITHM, "the modulus of an RSA-4096 key, by its size"},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (bytes.len == sizes[i].len && (sizes[i].first < 0 || bytes.p[0] == sizes[i].first)) {
            return sizes[i].error == BYTES_E_ALGORITHM ? ek_refuse_kind(r, sizes[i].says)
                                                       : ek_refuse(r, sizes[i].error, "%s", sizes[i].says);
        }
    }
    return ek_refuse(
        r, BYTES_E_FORMAT,
        "it is not in any form of an endorsement key: TPM2B_PUBLIC, TPMT_PUBLIC, DER, PEM, base64, hex");
}

#define MAGIC_CONTEXT 0xBADCC0DEU /* of tpm2-tools */
#define MAGIC_RSA1 0x52534131U    /* "RSA1": BCRYPT_RSAPUBLIC_MAGIC; of ECC keys "ECK1", "ECS3" and so on */
#define MAGIC_ECC 0x4543U
#define DER_SEQUENCE 0x30U

static bool is_key_type(uint32_t alg)
{
    return alg == TPM2_ALG_RSA || alg == TPM2_ALG_ECC || alg == TPM2_ALG_KEYEDHASH;
}

int ek_read_bytes(struct ek_reading *r, struct bytes bytes)
{
    struct bytes_reader start = bytes_reader_over(bytes);
    const uint32_t magic = bytes_read_u32(&start);
    const uint32_t first = magic >> 16, second = magic & 0xFFFF;
    if (bytes.len == RSA_MODULUS_SIZE && r->bare) {
        return ek_take_modulus(r, "RSA modulus", bytes);
    }
    if (bytes.len == RSA_MODULUS_SIZE + 2 && first == RSA_MODULUS_SIZE && !is_key_type(second)) {
        return ek_take_modulus(r, "TPM2B_PUBLIC_KEY_RSA", bytes_of(bytes.p + 2, RSA_MODULUS_SIZE));
    }
    if (magic == MAGIC_CONTEXT) {
        return ek_refuse(
            r, BYTES_E_FORMAT,
            "it is a context file of tpm2-tools, which only that TPM can read: give the file that "
            "tpm2_createek -u or tpm2_readpublic -o wrote");
    }
    if (bytes.len > 2 && first == bytes.len - 2 && is_key_type(second)) {
        return ek_read_tpmt(r, "TPM2B_PUBLIC", bytes_of(bytes.p + 2, bytes.len - 2));
    }
    if (bytes.len > 4 && second == TPM2_ALG_RSA && first < 1024) {
        return ek_refuse(r, BYTES_E_FORMAT, "it begins like a TPM2B_PUBLIC of %lu bytes, but there are %zu",
                         (unsigned long)first + 2, bytes.len);
    }
    if (first == TPM2_ALG_RSA || first == TPM2_ALG_ECC) {
        return ek_read_tpmt(r, "TPMT_PUBLIC", bytes);
    }
    if (first == TPM2_ST_NO_SESSIONS || first == TPM2_ST_SESSIONS) {
        return ek_refuse(r, BYTES_E_FORMAT,
                         "it is a TPM command or response: `dps-device explain` shows what is in it");
    }
    if (magic == MAGIC_RSA1) {
        return read_windows_rsa(r, bytes);
    }
    if (first == MAGIC_ECC) {
        return ek_refuse_kind(r, "an elliptic-curve key (a Windows ECC key blob)");
    }
    return ek_stored_certificate(bytes).p != bytes.p || magic >> 24 == DER_SEQUENCE
               ? read_stored(r, bytes)
               : refuse_by_size(r, bytes);
}
