/* SPDX-License-Identifier: MIT */
/* Endorsement keys in DER and in the PEM around it: public keys and certificates. */
#include "port/posix/ek_private.h"
#include "port/posix/paste.h"
#include <stdio.h>
#include <string.h>

/* ---- DER [X.690 8.1 and 10.1] ---- */

enum { DER_INTEGER = 0x02, DER_BIT_STRING = 0x03, DER_OID = 0x06, DER_SEQUENCE = 0x30 };

/* The content of the next element, which must have this tag and a definite length below 64 KiB. */
static struct bytes der_next(struct bytes_reader *r, uint8_t tag)
{
    if (bytes_read_u8(r) != tag)
        bytes_reader_fail(r, BYTES_E_FORMAT);
    size_t len = bytes_read_u8(r);
    if (len == 0x81)
        len = bytes_read_u8(r);
    else if (len == 0x82)
        len = bytes_read_u16(r);
    else if (len > 0x7F)
        bytes_reader_fail(r, BYTES_E_FORMAT);
    return bytes_read_bytes(r, len);
}

/* DER, and nothing behind it. */
static struct bytes_reader der_open(struct bytes der)
{
    struct bytes_reader outer = bytes_reader_over(der);
    struct bytes_reader inner = bytes_reader_over(der_next(&outer, DER_SEQUENCE));
    int error = bytes_reader_end(&outer);
    if (error != 0)
        bytes_reader_fail(&inner, error);
    return inner;
}

/* RSAPublicKey [RFC 8017 A.1.1]: what Windows' Get-TpmEndorsementKeyInfo shows. */
static bool der_rsa(struct bytes der, struct crypto_rsa_public *key)
{
    struct bytes_reader r = der_open(der);
    struct bytes modulus = der_next(&r, DER_INTEGER);
    struct bytes exponent = der_next(&r, DER_INTEGER);
    if (bytes_reader_end(&r) != 0 || exponent.len == 0 || exponent.len > 4 || modulus.len == 0)
        return false;
    if (modulus.p[0] == 0) /* the sign of a number whose first bit is set */
        modulus = bytes_of(modulus.p + 1, modulus.len - 1);
    *key = (struct crypto_rsa_public){.modulus = modulus};
    for (size_t i = 0; i < exponent.len; i++)
        key->exponent = key->exponent << 8 | exponent.p[i];
    return true;
}

static const uint8_t oid_rsa[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};
static const uint8_t oid_ec[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};

struct key_info {
    struct bytes oid;   /* of the algorithm */
    struct bytes curve; /* its parameters, if they are an OID */
    struct bytes bits;  /* the key */
};

/* SubjectPublicKeyInfo [RFC 5280 4.1]. */
static bool der_public_key_info(struct bytes der, struct key_info *info)
{
    struct bytes_reader r = der_open(der);
    struct bytes_reader algorithm = bytes_reader_over(der_next(&r, DER_SEQUENCE));
    struct bytes content = der_next(&r, DER_BIT_STRING);
    info->oid = der_next(&algorithm, DER_OID);
    if (bytes_reader_end(&r) != 0 || algorithm.error != 0 || content.len == 0 || content.p[0] != 0) {
        return false;
    }
    info->curve = der_next(&algorithm, DER_OID); /* empty if it is none */
    info->bits = bytes_of(content.p + 1, content.len - 1);
    return true;
}

/* Named curves [RFC 5480 2.1.1.1]; their parameters stand in AlgorithmIdentifier behind oid_ec. */
static const struct {
    uint8_t oid[8];
    size_t len;
    const char *kind;
} curves[] = {
    {{0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07}, 8, "an elliptic-curve key (NIST P-256)"},
    {{0x2b, 0x81, 0x04, 0x00, 0x22}, 5, "an elliptic-curve key (NIST P-384)"},
    {{0x2b, 0x81, 0x04, 0x00, 0x23}, 5, "an elliptic-curve key (NIST P-521)"},
};

static int refuse_curve(struct ek_reading *r, struct bytes curve)
{
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
        if (bytes_equal_public(curve, bytes_of(curves[i].oid, curves[i].len))) {
            return ek_refuse_kind(r, curves[i].kind);
        }
    }
    return ek_refuse_kind(r, "an elliptic-curve key");
}

static int take_key_info(struct ek_reading *r, const struct key_info *info)
{
    struct crypto_rsa_public key;
    if (bytes_equal_public(info->oid, bytes_of(oid_ec, sizeof oid_ec))) {
        return refuse_curve(r, info->curve);
    }
    if (!bytes_equal_public(info->oid, bytes_of(oid_rsa, sizeof oid_rsa)) || !der_rsa(info->bits, &key)) {
        return ek_refuse_kind(r, "no RSA key");
    }
    return ek_take_rsa(r, &key);
}

/* The key of a Certificate [RFC 5280 4.1], which is taken apart here only to name what is of no use. */
static bool der_certificate_key(struct bytes der, struct key_info *info)
{
    enum { VERSION = 0xA0, BEFORE_KEY = 4 }; /* signature, issuer, validity, subject */
    struct bytes_reader outer = bytes_reader_over(der);
    struct bytes_reader certificate = bytes_reader_over(der_next(&outer, DER_SEQUENCE));
    struct bytes_reader tbs = bytes_reader_over(der_next(&certificate, DER_SEQUENCE));
    if (tbs.left > 0 && tbs.p[0] == VERSION) {
        (void)der_next(&tbs, VERSION);
    }
    (void)der_next(&tbs, DER_INTEGER);
    for (size_t i = 0; i < BEFORE_KEY; i++) {
        (void)der_next(&tbs, DER_SEQUENCE);
    }
    const uint8_t *begin = tbs.p;
    (void)der_next(&tbs, DER_SEQUENCE);
    return tbs.error == 0 && der_public_key_info(bytes_of(begin, (size_t)(tbs.p - begin)), info);
}

static int read_certificate(struct ek_reading *r, struct bytes der)
{
    struct crypto_rsa_public key;
    struct key_info info;
    uint8_t storage[CRYPTO_RSA_MAX];
    int error = crypto_certificate_rsa_public(der, &key, storage, sizeof storage);
    if (error == BYTES_E_FORMAT) {
        return ek_refuse(r, error, "it is DER, but neither a public key nor a certificate");
    }
    ek_add_form(r, "certificate");
    if (error == 0) {
        return ek_take_rsa(r, &key);
    }
    return der_certificate_key(der, &info) ? take_key_info(r, &info) : ek_refuse_kind(r, "no RSA key");
}

int ek_read_der(struct ek_reading *r, struct bytes der)
{
    struct key_info info;
    struct crypto_rsa_public key;
    if (der_rsa(der, &key)) {
        ek_add_form(r, "RSA public key (PKCS#1)");
        return ek_take_rsa(r, &key);
    }
    if (der_public_key_info(der, &info)) {
        ek_add_form(r, "public key (SubjectPublicKeyInfo)");
        return take_key_info(r, &info);
    }
    return read_certificate(r, der);
}

/* What a TPM keeps around an EK certificate: TCG_PCCLIENT_STORED_CERT, perhaps TCG_FULL_CERT, and padding
 * [PC Client Specific Implementation Specification 7.3.2]. */
struct bytes posix_stored_certificate(struct bytes stored)
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
    const uint8_t *begin = r.p;
    (void)der_next(&r, DER_SEQUENCE);
    return r.error == 0 ? bytes_of(begin, (size_t)(r.p - begin)) : stored;
}

/* ---- PEM [RFC 7468] ---- */

/* The object that begins at text.p, "-----BEGIN LABEL-----". */
int ek_read_pem(struct ek_reading *r, struct bytes text)
{
    static const char begin[] = "-----BEGIN ", end[] = "-----END ", dashes[] = "-----";
    char label[40];
    ek_add_form(r, "PEM");
    const size_t skip = strlen(begin) < text.len ? strlen(begin) : text.len;
    struct bytes rest = bytes_of(text.p + skip, text.len - skip);
    const uint8_t *label_end = memmem(rest.p, rest.len, dashes, strlen(dashes));
    const uint8_t *body = label_end != NULL ? label_end + strlen(dashes) : rest.p + rest.len;
    /* Behind the label: the dashes of -----END also look like those that end a label. */
    const uint8_t *body_end = memmem(body, rest.len - (size_t)(body - rest.p), end, strlen(end));
    if (body_end == NULL)
        return ek_refuse(r, BYTES_E_FORMAT, "it is cut off: there is no -----END line");
    snprintf(label, sizeof label, "%.*s", (int)(label_end - rest.p), (const char *)rest.p);
    if (strstr(label, "PRIVATE KEY") != NULL)
        return ek_refuse(
            r, BYTES_E_FORMAT,
            "it is a %s: keep it to yourself. What is enrolled is the public endorsement key, whose "
            "private part never leaves the TPM",
            label);
    uint8_t der[POSIX_EK_INPUT_MAX];
    const char *form;
    size_t len;
    const struct bytes base64 = bytes_of(body, (size_t)(body_end - body));
    if (posix_paste_bytes(base64, der, sizeof der, &len, &form) != 0 || strcmp(form, "base64") != 0) {
        return ek_refuse(r, BYTES_E_FORMAT, "what stands in %s is not base64", label);
    }
    return ek_read_der(r, bytes_of(der, len));
}
