/* SPDX-License-Identifier: MIT */
#include "port/posix/ek_forms.h"
#include "crypto/der.h"
#include "dps/protocol/json.h"
#include "dps/protocol/text.h"
#include "dps/service/enrollment.h"
#include "port/posix/ek_certificate.h"
#include "port/posix/pem.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Forms are found one inside the other ("PEM: public key", "JSON: base64: TPM2B_PUBLIC"): each reader adds its
 * name, decodes, and hands on what it found. */
struct reading {
    struct posix_ek *ek;
    char *why;
    size_t why_size;
};

static void add_form(struct reading *r, const char *name)
{
    size_t len = strlen(r->ek->form);
    snprintf(r->ek->form + len, sizeof r->ek->form - len, "%s%s", len > 0 ? ": " : "", name);
}

static int __attribute__((format(printf, 3, 4))) refuse(struct reading *r, int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(r->why, r->why_size, format, arguments);
    va_end(arguments);
    return error;
}

static int refuse_elliptic_curve(struct reading *r)
{
    return refuse(r, BYTES_E_ALGORITHM,
                  "%s: it is an elliptic-curve key, and DPS works with RSA-2048 endorsement keys only "
                  "(tpm2_createek -G rsa; the RSA EK certificate stands in NV 0x01c00002)",
                  r->ek->form);
}

/* The one judge of what an EK is stands in dps/service/enrollment.c; here are only sentences for frequent mistakes. */
static int take_public(struct reading *r, const struct tpm2_public *area)
{
    uint8_t bytes[1024];
    uint8_t base64[1400];
    const char *detail = "";
    struct bytes_writer w = bytes_writer_over(bytes, sizeof bytes);
    struct bytes_writer text = bytes_writer_over(base64, sizeof base64);
    if (area->type == TPM2_ALG_RSA && dps_srk_check(area) == DPS_ACCEPTED)
        return refuse(r, BYTES_E_ALGORITHM, "%s: it is a storage root key (SRK), not an endorsement key (EK)",
                      r->ek->form);
    tpm2_public_write_2b(&w, area);
    dps_write_base64(&text, bytes_written(&w));
    int error = dps_ek_from_base64(bytes_written(&text), r->ek->public_2b, &r->ek->len, &detail);
    return error != 0 ? refuse(r, error, "%s: %s", r->ek->form, detail) : 0;
}

static int take_rsa(struct reading *r, const struct crypto_rsa_public *key)
{
    struct tpm2_public area = tpm2_template_ek_l1();
    if (key->modulus.len != 256 || key->exponent != 65537)
        return refuse(r, BYTES_E_ALGORITHM,
                      "%s: it is an RSA-%zu key with the exponent %lu; an EK is RSA-2048 with 65537",
                      r->ek->form, 8 * key->modulus.len, (unsigned long)key->exponent);
    area.unique = key->modulus;
    r->ek->from_modulus = true;
    return take_public(r, &area);
}

static int take_tpm(struct reading *r, const char *form, struct bytes tpmt)
{
    struct bytes_reader reader = bytes_reader_over(tpmt);
    struct bytes_reader type = reader;
    struct tpm2_public area = tpm2_public_read(&reader);
    add_form(r, form);
    if (bytes_read_u16(&type) == TPM2_ALG_ECC)
        return refuse_elliptic_curve(r);
    int error = bytes_reader_end(&reader);
    if (error != 0)
        return refuse(r, error, "%s: it is cut off, or of a kind that no EK is", r->ek->form);
    return take_public(r, &area);
}

/* ---- DER ---- */

static void add_certificate_form(struct reading *r, size_t number, size_t count)
{
    char form[48];
    snprintf(form, sizeof form, "certificate %zu of %zu", number, count);
    add_form(r, count > 1 ? form : "certificate");
}

/* Certificates that follow each other. */
static int read_certificates(struct reading *r, struct bytes ders)
{
    struct crypto_certificate certificate;
    size_t number, count;
    char why[512];
    int error = posix_ek_certificate(ders, &certificate, &number, &count, why, sizeof why);
    add_certificate_form(r, number, number > 0 ? count : 1);
    return error != 0 ? refuse(r, error, "%s: %s", r->ek->form, why) : take_rsa(r, &certificate.key.rsa);
}

static int read_public_key(struct reading *r, const struct crypto_public_key *key)
{
    add_form(r, "public key (SubjectPublicKeyInfo)");
    if (crypto_key_is_rsa(key->kind))
        return take_rsa(r, &key->rsa);
    if (!crypto_key_is_ec(key->kind))
        return refuse(r, BYTES_E_ALGORITHM, "%s: it is no RSA key", r->ek->form);
    return refuse_elliptic_curve(r);
}

static int read_der(struct reading *r, struct bytes der)
{
    struct crypto_public_key key;
    struct crypto_certificate certificate;
    if (crypto_rsa_public_parse(der, &key.rsa) == 0) {
        add_form(r, "RSA public key (PKCS#1)"); /* what Windows' Get-TpmEndorsementKeyInfo shows */
        return take_rsa(r, &key.rsa);
    }
    if (crypto_public_key_parse(der, &key) == 0)
        return read_public_key(r, &key);
    if (crypto_certificate_parse(der, &certificate) == 0)
        return read_certificates(r, der);
    const char *label = posix_der_label(der);
    const char *what = label != NULL && strcmp(label, "CERTIFICATE") != 0 ? posix_pem_what(label) : NULL;
    if (what != NULL)
        return refuse(r, BYTES_E_FORMAT, "%s%sit is %s", r->ek->form, r->ek->form[0] != 0 ? ": " : "", what);
    return refuse(r, BYTES_E_FORMAT, "%s%sit is DER, but neither a public key nor a certificate", r->ek->form,
                  r->ek->form[0] != 0 ? ": " : "");
}

static int read_binary(struct reading *r, struct bytes bytes)
{
    struct bytes_reader start = bytes_reader_over(bytes);
    uint32_t magic = bytes_read_u32(&start);
    if (bytes.len == 256)
        return add_form(r, "RSA modulus"),
               take_rsa(r, &(struct crypto_rsa_public){.modulus = bytes, .exponent = 65537});
    if (magic == 0xBADCC0DE)
        return refuse(r, BYTES_E_FORMAT,
                      "it is a context file of tpm2-tools, which only that TPM can read: give the file that "
                      "tpm2_createek -u or tpm2_readpublic -o wrote");
    if (bytes.len > 2 && magic >> 16 == bytes.len - 2)
        return take_tpm(r, "TPM2B_PUBLIC", bytes_of(bytes.p + 2, bytes.len - 2));
    if (bytes.len > 4 && (magic & 0xFFFF) == TPM2_ALG_RSA && magic >> 16 < 1024)
        return refuse(r, BYTES_E_FORMAT, "it begins like a TPM2B_PUBLIC of %lu bytes, but there are %zu",
                      (unsigned long)(magic >> 16) + 2, bytes.len);
    if (magic >> 16 == TPM2_ALG_RSA || magic >> 16 == TPM2_ALG_ECC)
        return take_tpm(r, "TPMT_PUBLIC", bytes);
    if (magic >> 24 == CRYPTO_DER_SEQUENCE)
        return add_form(r, "DER"), read_der(r, bytes);
    return refuse(
        r, BYTES_E_FORMAT,
        "%s%sit is none of the forms of an endorsement key: TPM2B_PUBLIC, TPMT_PUBLIC, DER, PEM, base64, hex",
        r->ek->form, r->ek->form[0] != 0 ? ": " : "");
}

/* ---- Text ---- */

/* Without white space. Returns its length. */
static size_t compact(struct bytes text, uint8_t *out)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (!isspace(text.p[i]))
            out[len++] = text.p[i];
    }
    return len;
}

static int read_text(struct reading *r, struct bytes text)
{
    uint8_t characters[POSIX_EK_INPUT_MAX], bytes[POSIX_EK_INPUT_MAX];
    size_t len;
    struct bytes compacted = bytes_of(characters, compact(text, characters));
    if (compacted.len == 0)
        return refuse(r, BYTES_E_FORMAT, "it is empty");
    /* Hex first: its digits are base64 as well, but no key's base64 does without all other letters. */
    if (dps_hex_decode(compacted, bytes, sizeof bytes, &len) == 0)
        add_form(r, "hex");
    else if (dps_base64_decode(compacted, bytes, sizeof bytes, &len) == 0)
        add_form(r, "base64");
    else
        return refuse(r, BYTES_E_FORMAT,
                      "%s%sit is text, but neither PEM, base64 nor hex; perhaps a piece of it is missing",
                      r->ek->form, r->ek->form[0] != 0 ? ": " : "");
    return read_binary(r, bytes_of(bytes, len));
}

static bool is_certificate(const struct posix_pem *object)
{
    return crypto_pem_is_certificate(object->label) || strcmp(object->label, "TRUSTED CERTIFICATE") == 0;
}

/* A whole chain: its certificates as DER, one after the other. */
static int read_pem_certificates(struct reading *r, struct bytes text)
{
    uint8_t ders[POSIX_EK_INPUT_MAX];
    struct posix_pem object;
    size_t used = 0;
    int found;
    while ((found = posix_pem_next(&text, &object)) == 0) {
        size_t len;
        struct crypto_certificate c;
        if (!is_certificate(&object))
            continue;
        if (posix_pem_decode(&object, ders + used, sizeof ders - used, &len) != 0)
            return refuse(r, BYTES_E_FORMAT, "PEM: what stands in %s is not base64", object.label);
        if (crypto_certificate_parse(bytes_of(ders + used, len), &c) != 0)
            return refuse(r, BYTES_E_FORMAT, "PEM: what stands in %s is no certificate, or a damaged one",
                          object.label);
        used += c.der.len; /* without what OpenSSL adds to a TRUSTED CERTIFICATE */
    }
    if (found == BYTES_E_FORMAT)
        return refuse(r, BYTES_E_FORMAT, "PEM: it is cut off: there is no -----END line");
    return read_certificates(r, bytes_of(ders, used));
}

/* The object that begins at text.p, "-----BEGIN LABEL-----". */
static int read_pem(struct reading *r, struct bytes text)
{
    struct posix_pem object;
    struct bytes rest = text;
    add_form(r, "PEM");
    if (posix_pem_next(&rest, &object) != 0)
        return refuse(r, BYTES_E_FORMAT, "PEM: it is cut off: there is no -----END line");
    if (strstr(object.label, "PRIVATE KEY") != NULL)
        return refuse(
            r, BYTES_E_FORMAT,
            "PEM: it is a %s: keep it to yourself. What is enrolled is the public endorsement key, whose "
            "private part never leaves the TPM",
            object.label);
    if (is_certificate(&object))
        return read_pem_certificates(r, text);
    uint8_t der[POSIX_EK_INPUT_MAX];
    size_t len;
    if (posix_pem_decode(&object, der, sizeof der, &len) != 0)
        return refuse(r, BYTES_E_FORMAT, "PEM: what stands in %s is not base64", object.label);
    return read_der(r, bytes_of(der, len));
}

/* An enrollment, a registration request, or what another tool shows: the member endorsementKey at the place it
 * has there. */
static int read_json(struct reading *r, struct bytes text)
{
    struct bytes root, tpm, key;
    uint8_t value[4096];
    size_t len;
    add_form(r, "JSON");
    if (dps_json_check(text, &root) != 0)
        return refuse(r, BYTES_E_FORMAT, "JSON: it is malformed");
    tpm = root;
    if (dps_json_member(root, "attestation", &key) == 0)
        tpm = key;
    if (dps_json_member(tpm, "tpm", &key) == 0)
        tpm = key;
    if (dps_json_member(tpm, "endorsementKey", &key) != 0 ||
        dps_json_string(key, value, sizeof value, &len) != 0)
        return refuse(r, BYTES_E_FORMAT, "JSON: there is no member attestation.tpm.endorsementKey, a string");
    return read_text(r, bytes_of(value, len));
}

static bool is_text(struct bytes input)
{
    for (size_t i = 0; i < input.len; i++) {
        if (!isprint(input.p[i]) && !isspace(input.p[i]))
            return false;
    }
    return true;
}

int posix_ek_read(struct bytes input, struct posix_ek *ek, char *why, size_t why_size)
{
    struct reading r = {ek, why, why_size};
    memset(ek, 0, sizeof *ek);
    if (input.len > POSIX_EK_INPUT_MAX)
        return refuse(&r, BYTES_E_FORMAT, "it is larger than any form of an endorsement key");
    /* openssl x509 -text and others write comments before the object. */
    const uint8_t *pem = memmem(input.p, input.len, "-----BEGIN ", strlen("-----BEGIN "));
    if (pem != NULL)
        return read_pem(&r, bytes_of(pem, input.len - (size_t)(pem - input.p)));
    if (!is_text(input))
        return read_binary(&r, input);
    while (input.len > 0 && isspace(input.p[0]))
        input = bytes_of(input.p + 1, input.len - 1);
    return input.len > 0 && input.p[0] == '{' ? read_json(&r, input) : read_text(&r, input);
}
