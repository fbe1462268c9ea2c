/* SPDX-License-Identifier: MIT */
#include "port/posix/pki/pem.h"
#include "crypto/der.h"
#include "dps/protocol/text.h"
#include <stdio.h>
#include <string.h>

/* ---- Objects of a text ---- */

int pem_next(struct bytes *text, struct pem *object)
{
    static const char begin[] = "-----BEGIN ", end[] = "-----END ", dashes[] = "-----";
    memset(object, 0, sizeof *object);
    const uint8_t *start = text->len > 0 ? memmem(text->p, text->len, begin, strlen(begin)) : NULL;
    if (start == NULL) {
        return BYTES_E_NOT_FOUND;
    }
    const uint8_t *stop = text->p + text->len;
    const uint8_t *label = start + strlen(begin);
    const uint8_t *label_end = memmem(label, (size_t)(stop - label), dashes, strlen(dashes));
    /* Searched after the label, because the dashes of -----END look like those that end a label. */
    const uint8_t *body = label_end != NULL ? label_end + strlen(dashes) : stop;
    const uint8_t *body_end = memmem(body, (size_t)(stop - body), end, strlen(end));
    snprintf(object->label, sizeof object->label, "%.*s", label_end != NULL ? (int)(label_end - label) : 0,
             (const char *)label);
    *text = bytes_of(stop, 0);
    if (body_end == NULL) {
        return BYTES_E_FORMAT;
    }
    const uint8_t *line_end = memchr(body_end, '\n', (size_t)(stop - body_end));
    const uint8_t *after = line_end != NULL ? line_end + 1 : stop;
    object->whole = bytes_of(start, (size_t)(after - start));
    object->body = bytes_of(body, (size_t)(body_end - body));
    *text = bytes_of(after, (size_t)(stop - after));
    return 0;
}

int pem_decode(const struct pem *object, uint8_t *out, size_t capacity, size_t *len)
{
    size_t characters = 0;
    *len = 0;
    for (size_t i = 0; i < object->body.len; i++) {
        const uint8_t c = object->body.p[i];
        if (c == ' ' || (c >= '\t' && c <= '\r')) {
            continue;
        }
        if (characters == capacity) {
            return BYTES_E_SPACE;
        }
        out[characters++] = c;
    }
    /* In place: four characters are read before three bytes are written. */
    const int error = dps_base64_decode(bytes_of(out, characters), out, capacity, len);
    return error != 0 || *len == 0 ? BYTES_E_FORMAT : 0;
}

const char *pem_what(const char *label)
{
    static const struct {
        const char *label, *says;
    } kinds[] = {
        {"CERTIFICATE REQUEST", "a certificate request; give the certificate that a CA has made of it"},
        {"NEW CERTIFICATE REQUEST", "a certificate request; give the certificate that a CA has made of it"},
        {"X509 CRL", "a revocation list, and no certificate"},
        {"PKCS7",
         "a PKCS#7 bundle; take the certificates out: openssl pkcs7 -print_certs -in FILE -out certs.pem "
         "(with -inform DER if it is not text)"},
        {"CMS", "a CMS (PKCS#7) bundle; take the certificates out: openssl pkcs7 -print_certs -in FILE -out "
                "certs.pem"},
        {"PKCS12", "a PKCS#12 file; take it apart: openssl pkcs12 -in FILE -nodes -out all.pem"},
        {"TRUSTED CERTIFICATE",
         "a certificate in OpenSSL's own form; convert it: openssl x509 -in FILE -out cert.pem"},
        {"PUBLIC KEY", "a public key"},
        {"RSA PUBLIC KEY", "a public key"},
        {"PRIVATE KEY", "a private key"},
        {"RSA PRIVATE KEY", "a private key"},
        {"EC PRIVATE KEY", "a private key"},
        {"ENCRYPTED PRIVATE KEY", "an encrypted private key; decrypt it: openssl pkey -in FILE -out key.pem"},
        {"DSA PRIVATE KEY", "a DSA key, which TLS does not use any more"},
        {"OPENSSH PRIVATE KEY", "a key of OpenSSH; convert a copy of it: ssh-keygen -p -m PEM -N '' -f FILE"},
        {"TSS2 PRIVATE KEY", "a key that only a TPM can use, which is not supported here"},
        {"CERTIFICATE", "a certificate"},
        {"X509 CERTIFICATE", "a certificate"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].label, label) == 0) {
            return kinds[i].says;
        }
    }
    return NULL;
}

/* ---- What DER is ---- */

static bool begins_with_oid(struct bytes sequence)
{
    const struct crypto_der d = crypto_der_over(sequence);
    return crypto_der_is(&d, CRYPTO_DER_OID);
}

/* Objects that begin with a version [RFC 5208 5; RFC 8017 A.1.2; RFC 5915 3; RFC 7292 4]. */
static const char *versioned_label(struct crypto_der *d)
{
    const struct bytes version = crypto_der_take(d, CRYPTO_DER_INTEGER);
    if (version.len == 1 && version.p[0] == 3 && crypto_der_is(d, CRYPTO_DER_SEQUENCE)) {
        return "PKCS12";
    }
    if (crypto_der_is(d, CRYPTO_DER_SEQUENCE)) {
        return "PRIVATE KEY";
    }
    if (crypto_der_is(d, CRYPTO_DER_OCTET_STRING)) {
        return "EC PRIVATE KEY";
    }
    (void)crypto_der_take(d, CRYPTO_DER_INTEGER);
    (void)crypto_der_take(d, CRYPTO_DER_INTEGER);
    return crypto_der_is(d, CRYPTO_DER_INTEGER) ? "RSA PRIVATE KEY" : "RSA PUBLIC KEY";
}

/* Objects that are signed: what is signed begins with ... */
static const char *signed_label(struct bytes content)
{
    struct crypto_der d = crypto_der_over(content);
    if (crypto_der_is(&d, CRYPTO_DER_CONTEXT_0)) {
        return "CERTIFICATE";
    }
    if (crypto_der_is(&d, CRYPTO_DER_SEQUENCE)) {
        return "X509 CRL"; /* of version 1 */
    }
    (void)crypto_der_take(&d, CRYPTO_DER_INTEGER); /* a serial number, or a version */
    if (begins_with_oid(crypto_der_take(&d, CRYPTO_DER_SEQUENCE))) {
        (void)crypto_der_take(&d,
                              CRYPTO_DER_SEQUENCE); /* the issuer, then dates: one, or two in a sequence */
        return crypto_der_is(&d, CRYPTO_DER_SEQUENCE) ? "CERTIFICATE" : "X509 CRL";
    }
    return "CERTIFICATE REQUEST";
}

const char *pem_label_of_der(struct bytes der)
{
    static const uint8_t signed_data[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02};
    struct crypto_der outer = crypto_der_over(der);
    struct crypto_der d = crypto_der_over(crypto_der_take(&outer, CRYPTO_DER_SEQUENCE));
    if (outer.failed || d.rest.len == 0) {
        return NULL;
    }
    if (crypto_der_is(&d, CRYPTO_DER_OID)) {
        const struct bytes oid = crypto_der_take(&d, CRYPTO_DER_OID);
        return bytes_equal_public(oid, bytes_of(signed_data, sizeof signed_data)) ? "PKCS7" : NULL;
    }
    if (crypto_der_is(&d, CRYPTO_DER_INTEGER)) {
        return versioned_label(&d);
    }
    const struct bytes first = crypto_der_take(&d, CRYPTO_DER_SEQUENCE);
    if (begins_with_oid(first)) {
        return crypto_der_is(&d, CRYPTO_DER_BIT_STRING) ? "PUBLIC KEY" : "ENCRYPTED PRIVATE KEY";
    }
    return d.failed ? NULL : signed_label(first);
}

/* ---- Text out of everything ---- */

/* The bytes of its characters, all of which PEM has are ASCII. */
static size_t narrow(uint8_t *content, size_t len)
{
    size_t narrowed = 0;
    for (size_t i = 2; i < len; i++) {
        if (content[i] != 0) {
            content[narrowed++] = content[i];
        }
    }
    return narrowed;
}

static void write_object(struct bytes_writer *w, const char *label, struct bytes der)
{
    uint8_t line[48]; /* 64 characters [RFC 7468 2] */
    dps_write_text(w, "-----BEGIN ");
    dps_write_text(w, label);
    dps_write_text(w, "-----\n");
    while (der.len > 0) {
        const size_t len = der.len < sizeof line ? der.len : sizeof line;
        memcpy(line, der.p, len); /* source and text may overlap */
        der = bytes_of(der.p + len, der.len - len);
        dps_write_base64(w, bytes_of(line, len));
        dps_write_text(w, "\n");
    }
    dps_write_text(w, "-----END ");
    dps_write_text(w, label);
    dps_write_text(w, "-----\n");
    bytes_wipe(line, sizeof line);
}

/* The source moves to the end of the buffer, so that what is written, which grows faster, does not reach what is still
 * to be read: each object's length is known before. */
static int der_to_pem(uint8_t *content, size_t *len, size_t capacity)
{
    struct crypto_der d = crypto_der_over(bytes_of(content + capacity - *len, *len));
    memmove(content + capacity - *len, content, *len);
    struct bytes_writer w = bytes_writer_over(content, capacity);
    const char *label;
    while ((label = pem_label_of_der(d.rest)) != NULL) {
        const struct bytes der = crypto_der_take_whole(&d, CRYPTO_DER_SEQUENCE);
        const size_t text_len = 4 * (der.len + 2) / 3 + der.len / 48 + 2 * strlen(label) + 64;
        if (w.len + text_len > (size_t)(d.rest.p - content)) {
            return BYTES_E_SPACE;
        }
        write_object(&w, label, der);
    }
    *len = w.len;
    return w.error;
}

int pem_make(uint8_t *content, size_t *len, size_t capacity)
{
    if (*len >= 2 &&
        ((content[0] == 0xff && content[1] == 0xfe) || (content[0] == 0xfe && content[1] == 0xff))) {
        *len = narrow(content, *len);
        return 0;
    }
    return pem_label_of_der(bytes_of(content, *len)) != NULL ? der_to_pem(content, len, capacity) : 0;
}
