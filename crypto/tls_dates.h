/* SPDX-License-Identifier: MIT */
/* Certificate dates for a device that does not know the time.
 *
 * A chain says itself how late it is at least: nobody issues certificates in the future. So the time that the dates are
 * compared with is the later one of CRYPTO_TLS_TIME_FLOOR and of the beginnings of validity of the certificates seen so
 * far, leaf first. A certificate that had expired when this code was released, or before its leaf was issued, is still
 * refused; one that expired since then is not, which no device without a clock can know. */
#ifndef CRYPTO_TLS_DATES_H
#define CRYPTO_TLS_DATES_H

#include "crypto/limits.h"
#include <bearssl.h>
#include <stdbool.h>
#include <stdint.h>

/* BearSSL counts days from 1 January of the year 0; this is 1 January 1970. */
#define CRYPTO_TLS_DAYS_TO_1970 719528

/* A validator around another one, which decides: it reads along until it has seen each certificate's notBefore
 * [RFC 5280 4.1.2.5], and notes the leaf's notAfter. */
struct crypto_tls_dates {
    const br_x509_class *vtable;
    br_x509_minimal_context *inner;
    uint32_t days, seconds; /* the time so far */
    uint64_t not_after;     /* the end of the leaf, in seconds since 1970; 0: not seen */
    /* where in the certificate the next byte stands */
    uint8_t element, tag, part;
    uint8_t length_bytes; /* of the element's length, still to come */
    uint32_t left;        /* of the element's content */
    uint8_t text[16];     /* notBefore, notAfter */
    uint8_t text_len;
};

/* Make d the validator that asks inner, which is configured but for the time. */
void crypto_tls_dates_init(struct crypto_tls_dates *d, br_x509_minimal_context *inner);

#endif
