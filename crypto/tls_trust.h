/* SPDX-License-Identifier: MIT */
/* Whom a client trusts: a PEM text of any length. Only those of its certificates are decoded and kept at which the
 * chain at hand can end, so that a whole system's bundle costs no more memory than one CA. */
#ifndef CRYPTO_TLS_TRUST_H
#define CRYPTO_TLS_TRUST_H

#include "crypto/crypto.h"
#include "crypto/limits.h"
#include <bearssl.h>

struct crypto_trust {
    struct bytes pem;
    size_t count;   /* certificates that can be used */
    size_t skipped; /* certificates that cannot: of other keys than CRYPTO_TLS_CA_KEYS */
};

/* Check every CERTIFICATE of a PEM text, which must outlive trust and not change; other PEM objects are ignored.
 * Returns: 0; BYTES_E_FORMAT if the PEM or a certificate is malformed or there is no certificate at all;
 * BYTES_E_ALGORITHM if none of them can be used. trust is empty unless 0 is returned. */
int crypto_trust_load(struct crypto_trust *trust, struct bytes pem);

/* SHA-256 of the names of one certificate of a chain [RFC 5280 4.1.2.4, 4.1.2.6]. */
struct crypto_chain_names {
    uint8_t issuer[CRYPTO_SHA256_SIZE], subject[CRYPTO_SHA256_SIZE];
};

/* The anchors that can vouch for one certificate. They view the storage, so this must not be moved. Slots that are not
 * used are zero, which is an anchor that fits nothing. */
struct crypto_anchors {
    br_x509_trust_anchor slots[CRYPTO_TRUST_ANCHORS_MAX];
    size_t count;
    uint8_t storage[CRYPTO_TRUST_STORAGE];
};

/* Find them: CAs with the issuer's name, and other certificates with the subject's.
 * Returns: 0, also if there is none; BYTES_E_LIMIT if there are more than fit. */
int crypto_trust_find(const struct crypto_trust *trust, const struct crypto_chain_names *names,
                      struct crypto_anchors *anchors);

#endif
