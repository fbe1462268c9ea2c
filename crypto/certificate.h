/* SPDX-License-Identifier: MIT */
/* X.509 certificates, read but not verified [RFC 5280 4.1]: whose is it, and for which key? For comparing an EK with
 * its certificate, and for telling people what they have. TLS does not use this (crypto/tls_chain.h). */
#ifndef CRYPTO_CERTIFICATE_H
#define CRYPTO_CERTIFICATE_H

#include "crypto/crypto.h"

enum crypto_key_kind {
    CRYPTO_KEY_OTHER,
    CRYPTO_KEY_RSA,      /* rsaEncryption */
    CRYPTO_KEY_RSA_OAEP, /* an RSA key that only decrypts, as an EK does [RFC 4055 4.1] */
    CRYPTO_KEY_RSA_PSS,  /* an RSA key that only signs */
    CRYPTO_KEY_P256,
    CRYPTO_KEY_P384,
    CRYPTO_KEY_P521,
    CRYPTO_KEY_EC, /* on another curve */
    CRYPTO_KEY_ED25519,
    CRYPTO_KEY_ED448
};

struct crypto_public_key {
    enum crypto_key_kind kind;
    struct crypto_rsa_public rsa; /* of the three RSA kinds */
};

/* An RSAPublicKey [RFC 8017 A.1.1], and nothing after it. Returns: 0; BYTES_E_FORMAT. key views der. */
int crypto_rsa_public_parse(struct bytes der, struct crypto_rsa_public *key);

/* A SubjectPublicKeyInfo [RFC 5280 4.1.2.7; RFC 4055 1.2], and nothing after it. Its parameters are not looked at: that
 * a key is for OAEP is all we need. Returns: 0; BYTES_E_FORMAT. key views der. */
int crypto_public_key_parse(struct bytes der, struct crypto_public_key *key);
/* Is it one of the three RSA kinds? One of ECDSA or ECDH, on whatever curve? */
bool crypto_key_is_rsa(enum crypto_key_kind kind);
bool crypto_key_is_ec(enum crypto_key_kind kind);

struct crypto_certificate {
    struct bytes der; /* the certificate alone, out of what was given */
    struct bytes serial, issuer, subject;
    struct crypto_public_key key;
    bool ca;          /* what it says of itself: CA:TRUE, or that its key signs certificates */
    bool self_signed; /* subject and issuer are the same */
};

/* The certificate at the beginning of input; what follows it (padding, the next one of a chain) is ignored, and begins
 * at der.p + der.len. Everything views input.
 * Returns: 0; BYTES_E_FORMAT if it is not a certificate. */
int crypto_certificate_parse(struct bytes input, struct crypto_certificate *c);

#endif
