/* SPDX-License-Identifier: MIT */
/* DER [X.690 8.1, 10.1] that lies in memory, element after element. What is taken is a view into it. */
#ifndef CRYPTO_DER_H
#define CRYPTO_DER_H

#include "crypto/crypto.h"

enum {
    CRYPTO_DER_BOOLEAN = 0x01,
    CRYPTO_DER_INTEGER = 0x02,
    CRYPTO_DER_BIT_STRING = 0x03,
    CRYPTO_DER_OCTET_STRING = 0x04,
    CRYPTO_DER_OID = 0x06,
    CRYPTO_DER_SEQUENCE = 0x30,
    CRYPTO_DER_SET = 0x31,
    CRYPTO_DER_CONTEXT_0 = 0xa0, /* [0], constructed; [1] and so on follow */
    CRYPTO_DER_CONTEXT_3 = 0xa3
};

struct crypto_der {
    struct bytes rest;
    bool failed; /* for good: nothing more is taken */
};

/* Begin. */
struct crypto_der crypto_der_over(struct bytes der);
/* Is there a next element, with this tag? */
bool crypto_der_is(const struct crypto_der *d, uint8_t tag);
/* The content of the next element, which must have this tag and a length of at most 3 bytes; whole: with its header. On
 * failure empty. */
struct bytes crypto_der_take(struct crypto_der *d, uint8_t tag);
struct bytes crypto_der_take_whole(struct crypto_der *d, uint8_t tag);
/* All was taken, and nothing failed. */
bool crypto_der_end(const struct crypto_der *d);

#endif
