/* SPDX-License-Identifier: MIT */
/* Certificate dates for a device that does not know the time.
 *
 * A chain gives a lower bound of the time: no certificate is issued in the future. So the time that the dates are
 * compared with is the later one of CRYPTO_TLS_TIME_FLOOR and of the beginnings of validity of the certificates seen so
 * far, leaf first. A certificate that had expired when this code was released, or before its leaf was issued, is still
 * refused; one that expired since then is not, which no device without a clock can know. */
#ifndef CRYPTO_TLS_DATES_H
#define CRYPTO_TLS_DATES_H

#include "crypto/limits.h"
#include <stddef.h>
#include <stdint.h>

/* BearSSL counts days from 1 January of the year 0; this is 1 January 1970. */
#define CRYPTO_TLS_DAYS_TO_1970 719528

struct crypto_tls_date {
    uint32_t days, seconds;
};

/* seconds since 1970; below the calendar's end, which the caller has checked. */
struct crypto_tls_date crypto_tls_date_of(uint64_t seconds);

/* Move date forward to a certificate's notBefore, if that is later [RFC 5280 4.1.2.5]. Malformed text gives a
 * meaningless date; the validator of the certificate refuses such text by itself.
 *   tag   of the DER element: UTCTime or GeneralizedTime
 *   text  its content */
void crypto_tls_date_advance(struct crypto_tls_date *date, uint8_t tag, const uint8_t *text, size_t len);

/* The same of a notAfter, in seconds since 1970; 0 if it is malformed or lies before 1970. */
uint64_t crypto_tls_date_seconds(uint8_t tag, const uint8_t *text, size_t len);

#endif
