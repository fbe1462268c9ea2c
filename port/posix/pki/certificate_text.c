/* SPDX-License-Identifier: MIT */
#include "crypto/der.h"
#include "port/posix/pki/pem.h"
#include <stdio.h>
#include <string.h>

/* Text of bounded length, which ends where there is no more room. */
struct line {
    char *text;
    size_t size, len;
};

static void add_byte(struct line *l, uint8_t c)
{
    if (l->len + 1 < l->size) {
        l->text[l->len++] = (char)c;
        l->text[l->len] = 0;
    }
}

static void add(struct line *l, const char *text)
{
    for (; *text != 0; text++) {
        add_byte(l, (uint8_t)*text);
    }
}

/* Names come from whoever made the certificate: nothing in them may control a terminal. */
static void add_value(struct line *l, struct bytes value)
{
    for (size_t i = 0; i < value.len; i++) {
        const uint8_t c = value.p[i];
        if (c != 0) { /* every second byte of a BMPString */
            add_byte(l, c < ' ' || c == 0x7f || (c >= 0x80 && c < 0xa0) ? '?' : c);
        }
    }
}

/* Attributes under 2.5.4 [RFC 4519 2]. Others have no short name, and are left out. */
static const char *attribute(struct bytes oid)
{
    static const struct {
        uint8_t number;
        char name[4];
    } names[] = {{3, "CN="}, {6, "C="}, {7, "L="}, {8, "ST="}, {10, "O="}, {11, "OU="}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (oid.len == 3 && oid.p[0] == 0x55 && oid.p[1] == 4 && oid.p[2] == names[i].number) {
            return names[i].name;
        }
    }
    return NULL;
}

static void add_name(struct line *l, struct bytes name)
{
    struct crypto_der sets = crypto_der_over(name);
    const size_t begin = l->len;
    while (crypto_der_is(&sets, CRYPTO_DER_SET)) {
        struct crypto_der set = crypto_der_over(crypto_der_take(&sets, CRYPTO_DER_SET));
        struct crypto_der pair = crypto_der_over(crypto_der_take(&set, CRYPTO_DER_SEQUENCE));
        const char *what = attribute(crypto_der_take(&pair, CRYPTO_DER_OID));
        if (what != NULL && pair.rest.len > 0) {
            add(l, l->len > begin ? ", " : "");
            add(l, what);
            add_value(l, crypto_der_take(&pair, pair.rest.p[0]));
        }
    }
    if (l->len == begin) {
        add(l, "no name");
    }
}

void pki_key_text(const struct crypto_public_key *key, char text[PKI_KEY_TEXT_MAX])
{
    static const char *const names[] = {
        [CRYPTO_KEY_OTHER] = "of an unknown kind",
        [CRYPTO_KEY_RSA] = "RSA",
        [CRYPTO_KEY_RSA_OAEP] = "RSA",
        [CRYPTO_KEY_RSA_PSS] = "RSA-PSS",
        [CRYPTO_KEY_P256] = "P-256",
        [CRYPTO_KEY_P384] = "P-384",
        [CRYPTO_KEY_P521] = "P-521",
        [CRYPTO_KEY_EC] = "of an unknown curve",
        [CRYPTO_KEY_ED25519] = "Ed25519",
        [CRYPTO_KEY_ED448] = "Ed448",
    };
    if (crypto_key_is_rsa(key->kind)) {
        snprintf(text, PKI_KEY_TEXT_MAX, "%s-%zu", names[key->kind], 8 * key->rsa.modulus.len);
    } else {
        snprintf(text, PKI_KEY_TEXT_MAX, "%s", names[key->kind]);
    }
}

void pki_certificate_text(const struct crypto_certificate *c, char text[PKI_CERTIFICATE_TEXT_MAX])
{
    char key[PKI_KEY_TEXT_MAX], byte[3];
    struct line l = {text, PKI_CERTIFICATE_TEXT_MAX - 80, 0}; /* room for what follows the name */
    text[0] = 0;
    add_name(&l, c->subject);
    l.size = PKI_CERTIFICATE_TEXT_MAX;
    add(&l, " (serial ");
    for (size_t i = 0; i < c->serial.len && i < 20; i++) {
        snprintf(byte, sizeof byte, "%02X", c->serial.p[i]);
        add(&l, byte);
    }
    pki_key_text(&c->key, key);
    add(&l, ", ");
    add(&l, key);
    add(&l, ")");
}
