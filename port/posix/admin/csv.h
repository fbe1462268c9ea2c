/* SPDX-License-Identifier: MIT */
/* Separated values [RFC 4180], with a comma or another separator, read strictly: a table that is not what it seems must
 * not become enrollments. */
#ifndef PORT_POSIX_ADMIN_CSV_H
#define PORT_POSIX_ADMIN_CSV_H

#include "crypto/bytes/bytes.h"
#include <stdio.h>

#define CSV_FIELDS_MAX 128

struct csv {
    struct bytes fields[CSV_FIELDS_MAX]; /* views of the record, without quotes */
    size_t count;
};

/* Take one record apart, in place: it is changed, and holds the fields for as long as it stays. It comes
 * without its line feed; one carriage return at its end belongs to the line end. Line ends inside of quotes belong to
 * the field, blanks outside of them do not; there is no other control character but the tab. The encoding of the
 * fields is not checked.
 * Returns: 0; BYTES_E_MORE if a quoted field does not end, and perhaps goes on in the next line; BYTES_E_FORMAT or
 * BYTES_E_LIMIT; all with a sentence in *why. */
int csv_read(uint8_t *record, size_t len, char separator, struct csv *csv, const char **why);

/* One field as csv_read would read it with a comma; what it would refuse becomes '?'. */
void csv_write(FILE *out, struct bytes field);

#endif
