/* SPDX-License-Identifier: MIT */
/* Times as text: what JSON has, and the Date header. Errors as in text.h. */
#ifndef DPS_PROTOCOL_DATE_H
#define DPS_PROTOCOL_DATE_H

#include "crypto/bytes/bytes.h"

/* "2019-01-10T19:03:53.0000000Z" [RFC 3339], the form of the real service: seven fraction digits. This and the
 * next fail the writer with BYTES_E_LIMIT after the year 9999. */
void dps_write_time(struct bytes_writer *w, uint64_t unix_seconds);
/* "Thu, 10 Jan 2019 19:03:53 GMT" [RFC 9110 5.6.7], for the Date header. */
void dps_write_http_date(struct bytes_writer *w, uint64_t unix_seconds);
/* The Date header's IMF-fixdate as seconds since 1970. Returns: 0; BYTES_E_FORMAT. */
int dps_http_date_parse(struct bytes text, uint64_t *unix_seconds);

#endif
