/* SPDX-License-Identifier: MIT */
/* A server's identity, from PEM. */
#ifndef CRYPTO_TLS_IDENTITY_H
#define CRYPTO_TLS_IDENTITY_H

#include "crypto/tls.h"

/* Read a chain (leaf first) and its private key (one of CRYPTO_TLS_OWN_KEYS; PKCS#1, SEC1 or PKCS#8, not encrypted).
 * Both may stand in one text; other PEM objects are ignored.
 * Returns: 0; BYTES_E_FORMAT if a text is malformed or lacks its object, or there is more than one key, or it is
 * encrypted; BYTES_E_LIMIT if the chain does not fit; BYTES_E_ALGORITHM for another kind of key; BYTES_E_USAGE if the
 * key is not that of the leaf. identity is wiped unless 0 is returned. It must not be moved afterwards and must outlive
 * every connection that uses it; then crypto_identity_wipe ends it, as it does with one that is zero. */
int crypto_identity_load(struct crypto_identity *identity, struct bytes chain_pem, struct bytes key_pem);
void crypto_identity_wipe(struct crypto_identity *identity);

#endif
