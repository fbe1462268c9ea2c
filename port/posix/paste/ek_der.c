/* SPDX-License-Identifier: MIT */
/* Endorsement keys in DER and in the PEM around it: public keys, certificates, chains of them. */
#include "crypto/certificate.h"
#include "crypto/der.h"
#include "port/posix/paste/ek_certificate.h"
#include "port/posix/paste/ek_private.h"
#include "port/posix/pki/pem.h"
#include <stdio.h>
#include <string.h>

/* ---- DER ---- */

static void add_certificate_form(struct ek_reading *r, size_t number, size_t count)
{
    char form[48];
    snprintf(form, sizeof form, "certificate %zu of %zu", number, count);
    ek_add_form(r, count > 1 ? form : "certificate");
}

/* Certificates that follow each other. */
static int read_certificates(struct ek_reading *r, struct bytes ders)
{
    struct crypto_certificate certificate;
    size_t number, count;
    char why[512];
    const int error = ek_certificate(ders, &certificate, &number, &count, why, sizeof why);
    add_certificate_form(r, number, number > 0 ? count : 1);
    return error != 0 ? ek_refuse(r, error, "%s", why) : ek_take_rsa(r, &certificate.key.rsa);
}

static int read_public_key(struct ek_reading *r, const struct crypto_public_key *key)
{
    ek_add_form(r, "public key (SubjectPublicKeyInfo)");
    switch (key->kind) {
    case CRYPTO_KEY_P256:
        return ek_refuse_kind(r, "an elliptic-curve key (NIST P-256)");
    case CRYPTO_KEY_P384:
        return ek_refuse_kind(r, "an elliptic-curve key (NIST P-384)");
    case CRYPTO_KEY_P521:
        return ek_refuse_kind(r, "an elliptic-curve key (NIST P-521)");
    default:
        break;
    }
    if (crypto_key_is_rsa(key->kind)) {
        return ek_take_rsa(r, &key->rsa);
    }
    return ek_refuse_kind(r, crypto_key_is_ec(key->kind) ? "an elliptic-curve key" : "no RSA key");
}

int ek_read_der(struct ek_reading *r, struct bytes der)
{
    struct crypto_public_key key;
    struct crypto_certificate certificate;
    if (crypto_rsa_public_parse(der, &key.rsa) == 0) {
        ek_add_form(r, "RSA public key (PKCS#1)"); /* what Windows' Get-TpmEndorsementKeyInfo shows */
        return ek_take_rsa(r, &key.rsa);
    }
    if (crypto_public_key_parse(der, &key) == 0) {
        return read_public_key(r, &key);
    }
    if (crypto_certificate_parse(der, &certificate) == 0) {
        return read_certificates(r, der);
    }
    const char *label = pem_label_of_der(der);
    const char *what = label != NULL && strcmp(label, "CERTIFICATE") != 0 ? pem_what(label) : NULL;
    return what != NULL
               ? ek_refuse(r, BYTES_E_FORMAT, "it is %s", what)
               : ek_refuse(r, BYTES_E_FORMAT, "it is DER, but neither a public key nor a certificate");
}

/* What a TPM keeps around an EK certificate: TCG_PCCLIENT_STORED_CERT, perhaps TCG_FULL_CERT, and padding
 * [PC Client Specific Implementation Specification 7.3.2]. */
struct bytes ek_stored_certificate(struct bytes stored)
{
    enum { STORED_CERT = 0x1001, FULL_CERT = 0x1002 };
    struct bytes_reader r = bytes_reader_over(stored);
    struct bytes_reader header = r;
    if (bytes_read_u16(&header) == STORED_CERT) {
        (void)bytes_read_u8(&header);  /* certType */
        (void)bytes_read_u16(&header); /* certSize: some leave it at the size of the index */
        r = header;
        if (bytes_read_u16(&header) == FULL_CERT) {
            r = header;
        }
    }
    struct crypto_der inside = crypto_der_over(bytes_of(r.p, r.left));
    const struct bytes certificate = crypto_der_take_whole(&inside, CRYPTO_DER_SEQUENCE);
    return inside.failed ? stored : certificate;
}

/* ---- PEM [RFC 7468] ---- */

static bool is_certificate(const struct pem *object)
{
    return crypto_pem_is_certificate(object->label) || strcmp(object->label, "TRUSTED CERTIFICATE") == 0;
}

/* A whole chain: its certificates as DER, one after the other. */
static int read_pem_certificates(struct ek_reading *r, struct bytes text)
{
    uint8_t ders[EK_INPUT_MAX];
    struct pem object;
    size_t used = 0;
    int found;
    while ((found = pem_next(&text, &object)) == 0) {
        size_t len;
        struct crypto_certificate c;
        if (!is_certificate(&object)) {
            continue;
        }
        if (pem_decode(&object, ders + used, sizeof ders - used, &len) != 0) {
            return ek_refuse(r, BYTES_E_FORMAT, "the content of %s is not base64", object.label);
        }
        if (crypto_certificate_parse(bytes_of(ders + used, len), &c) != 0) {
            return ek_refuse(r, BYTES_E_FORMAT, "the content of %s is not a certificate, or is a damaged one",
                             object.label);
        }
        used += c.der.len; /* without what OpenSSL adds to a TRUSTED CERTIFICATE */
    }
    return found == BYTES_E_FORMAT ? ek_refuse(r, BYTES_E_FORMAT, "it is cut off: there is no -----END line")
                                   : read_certificates(r, bytes_of(ders, used));
}

int ek_read_pem(struct ek_reading *r, struct bytes text)
{
    struct pem object;
    struct bytes rest = text;
    uint8_t der[EK_INPUT_MAX];
    size_t len;
    ek_add_form(r, "PEM");
    if (pem_next(&rest, &object) != 0) {
        return ek_refuse(r, BYTES_E_FORMAT, "it is cut off: there is no -----END line");
    }
    if (strstr(object.label, "PRIVATE KEY") != NULL) {
        return ek_refuse(
            r, BYTES_E_FORMAT,
            "it is a %s: keep it to yourself. What is enrolled is the public endorsement key, whose "
            "private part never leaves the TPM",
            object.label);
    }
    if (is_certificate(&object)) {
        return read_pem_certificates(r, text);
    }
    if (pem_decode(&object, der, sizeof der, &len) != 0) {
        return ek_refuse(r, BYTES_E_FORMAT, "the content of %s is not base64", object.label);
    }
    return ek_read_der(r, bytes_of(der, len));
}
