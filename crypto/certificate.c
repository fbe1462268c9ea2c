/* SPDX-License-Identifier: MIT */
#include "crypto/certificate.h"
#include "crypto/der.h"
#include <string.h>

struct name {
    uint8_t len;
    uint8_t oid[9];
    uint8_t kind;
};

static const struct name algorithms[] = {
    {9, {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01}, CRYPTO_KEY_RSA},
    {9, {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x07}, CRYPTO_KEY_RSA_OAEP},
    {9, {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a}, CRYPTO_KEY_RSA_PSS},
    {7, {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01}, CRYPTO_KEY_EC},
    {3, {0x2b, 0x65, 0x70}, CRYPTO_KEY_ED25519},
    {3, {0x2b, 0x65, 0x71}, CRYPTO_KEY_ED448},
};

static const struct name curves[] = {
    {8, {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07}, CRYPTO_KEY_P256},
    {5, {0x2b, 0x81, 0x04, 0x00, 0x22}, CRYPTO_KEY_P384},
    {5, {0x2b, 0x81, 0x04, 0x00, 0x23}, CRYPTO_KEY_P521},
};

static enum crypto_key_kind look_up(const struct name *names, size_t count, struct bytes oid,
                                    enum crypto_key_kind otherwise)
{
    for (size_t i = 0; i < count; i++) {
        if (oid.len == names[i].len && memcmp(oid.p, names[i].oid, oid.len) == 0) {
            return (enum crypto_key_kind)names[i].kind;
        }
    }
    return otherwise;
}

bool crypto_key_is_rsa(enum crypto_key_kind kind)
{
    return kind == CRYPTO_KEY_RSA || kind == CRYPTO_KEY_RSA_OAEP || kind == CRYPTO_KEY_RSA_PSS;
}

bool crypto_key_is_ec(enum crypto_key_kind kind)
{
    return kind == CRYPTO_KEY_P256 || kind == CRYPTO_KEY_P384 || kind == CRYPTO_KEY_P521 ||
           kind == CRYPTO_KEY_EC;
}

int crypto_rsa_public_parse(struct bytes der, struct crypto_rsa_public *key)
{
    struct crypto_der outer = crypto_der_over(der);
    struct crypto_der d = crypto_der_over(crypto_der_take(&outer, CRYPTO_DER_SEQUENCE));
    struct bytes modulus = crypto_der_take(&d, CRYPTO_DER_INTEGER);
    const struct bytes exponent = crypto_der_take(&d, CRYPTO_DER_INTEGER);
    memset(key, 0, sizeof *key);
    if (!crypto_der_end(&outer) || !crypto_der_end(&d) || exponent.len == 0 || exponent.len > 4) {
        return BYTES_E_FORMAT;
    }
    if (modulus.len > 0 && modulus.p[0] == 0) { /* the sign of a number whose first bit is set */
        modulus = (struct bytes){modulus.p + 1, modulus.len - 1};
    }
    if (modulus.len == 0) {
        return BYTES_E_FORMAT;
    }
    key->modulus = modulus;
    for (size_t i = 0; i < exponent.len; i++) {
        key->exponent = key->exponent << 8 | exponent.p[i];
    }
    return BYTES_OK;
}

int crypto_public_key_parse(struct bytes der, struct crypto_public_key *key)
{
    struct crypto_der outer = crypto_der_over(der);
    struct crypto_der d = crypto_der_over(crypto_der_take(&outer, CRYPTO_DER_SEQUENCE));
    struct crypto_der algorithm = crypto_der_over(crypto_der_take(&d, CRYPTO_DER_SEQUENCE));
    const struct bytes bits = crypto_der_take(&d, CRYPTO_DER_BIT_STRING);
    const struct bytes oid = crypto_der_take(&algorithm, CRYPTO_DER_OID);
    memset(key, 0, sizeof *key);
    if (!crypto_der_end(&outer) || !crypto_der_end(&d) || algorithm.failed || bits.len == 0 ||
        bits.p[0] != 0) {
        return BYTES_E_FORMAT;
    }
    key->kind = look_up(algorithms, sizeof algorithms / sizeof algorithms[0], oid, CRYPTO_KEY_OTHER);
    if (key->kind == CRYPTO_KEY_EC && crypto_der_is(&algorithm, CRYPTO_DER_OID)) {
        key->kind = look_up(curves, sizeof curves / sizeof curves[0],
                            crypto_der_take(&algorithm, CRYPTO_DER_OID), CRYPTO_KEY_EC);
    }
    return crypto_key_is_rsa(key->kind)
               ? crypto_rsa_public_parse((struct bytes){bits.p + 1, bits.len - 1}, &key->rsa)
               : BYTES_OK;
}

/* basicConstraints with cA, or keyUsage with keyCertSign [RFC 5280 4.2.1.9, 4.2.1.3]. */
static bool tells_ca(struct bytes oid, struct bytes value)
{
    static const uint8_t basic_constraints[] = {0x55, 0x1d, 0x13};
    static const uint8_t key_usage[] = {0x55, 0x1d, 0x0f};
    struct crypto_der d = crypto_der_over(value);
    if (oid.len == sizeof basic_constraints && memcmp(oid.p, basic_constraints, oid.len) == 0) {
        struct crypto_der inside = crypto_der_over(crypto_der_take(&d, CRYPTO_DER_SEQUENCE));
        const struct bytes ca = crypto_der_take(&inside, CRYPTO_DER_BOOLEAN);
        return ca.len == 1 && ca.p[0] != 0;
    }
    if (oid.len == sizeof key_usage && memcmp(oid.p, key_usage, oid.len) == 0) {
        const struct bytes bits = crypto_der_take(&d, CRYPTO_DER_BIT_STRING);
        return bits.len >= 2 && (bits.p[1] & 0x04) != 0;
    }
    return false;
}

static bool is_ca(struct bytes extensions)
{
    struct crypto_der outer = crypto_der_over(extensions);
    struct crypto_der list = crypto_der_over(crypto_der_take(&outer, CRYPTO_DER_SEQUENCE));
    bool ca = false;
    while (crypto_der_is(&list, CRYPTO_DER_SEQUENCE)) {
        struct crypto_der e = crypto_der_over(crypto_der_take(&list, CRYPTO_DER_SEQUENCE));
        const struct bytes oid = crypto_der_take(&e, CRYPTO_DER_OID);
        if (crypto_der_is(&e, CRYPTO_DER_BOOLEAN)) {
            (void)crypto_der_take(&e, CRYPTO_DER_BOOLEAN);
        }
        const struct bytes value = crypto_der_take(&e, CRYPTO_DER_OCTET_STRING);
        ca = ca || (!e.failed && tells_ca(oid, value));
    }
    return ca;
}

/* The unique identifiers of version 2 stand between the key and the extensions; nobody uses them. */
static struct bytes take_extensions(struct crypto_der *tbs)
{
    for (uint8_t tag = 0x81; tag <= 0x82; tag++) {
        if (crypto_der_is(tbs, tag)) {
            (void)crypto_der_take(tbs, tag);
        }
    }
    return crypto_der_is(tbs, CRYPTO_DER_CONTEXT_3) ? crypto_der_take(tbs, CRYPTO_DER_CONTEXT_3)
                                                    : (struct bytes){0};
}

int crypto_certificate_parse(struct bytes input, struct crypto_certificate *c)
{
    struct crypto_der all = crypto_der_over(input);
    memset(c, 0, sizeof *c);
    c->der = crypto_der_take_whole(&all, CRYPTO_DER_SEQUENCE);
    struct crypto_der whole = crypto_der_over(c->der);
    struct crypto_der parts = crypto_der_over(crypto_der_take(&whole, CRYPTO_DER_SEQUENCE));
    struct crypto_der tbs = crypto_der_over(crypto_der_take(&parts, CRYPTO_DER_SEQUENCE));
    (void)crypto_der_take(&parts, CRYPTO_DER_SEQUENCE); /* signatureAlgorithm */
    (void)crypto_der_take(&parts, CRYPTO_DER_BIT_STRING);
    if (crypto_der_is(&tbs, CRYPTO_DER_CONTEXT_0)) {
        (void)crypto_der_take(&tbs, CRYPTO_DER_CONTEXT_0); /* version */
    }
    c->serial = crypto_der_take(&tbs, CRYPTO_DER_INTEGER);
    (void)crypto_der_take(&tbs, CRYPTO_DER_SEQUENCE); /* signature */
    c->issuer = crypto_der_take(&tbs, CRYPTO_DER_SEQUENCE);
    (void)crypto_der_take(&tbs, CRYPTO_DER_SEQUENCE); /* validity */
    c->subject = crypto_der_take(&tbs, CRYPTO_DER_SEQUENCE);
    const struct bytes key = crypto_der_take_whole(&tbs, CRYPTO_DER_SEQUENCE);
    c->ca = is_ca(take_extensions(&tbs));
    c->self_signed = c->subject.len > 0 && c->subject.len == c->issuer.len &&
                     memcmp(c->subject.p, c->issuer.p, c->subject.len) == 0;
    if (!crypto_der_end(&parts) || tbs.failed || crypto_public_key_parse(key, &c->key) != BYTES_OK) {
        memset(c, 0, sizeof *c);
        return BYTES_E_FORMAT;
    }
    return BYTES_OK;
}
