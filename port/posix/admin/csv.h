/* SPDX-License-Identifier: MIT */
/* Comma-separated values [RFC 4180], read strictly: a table that is not what it seems must not become
 * enrollments. */
#ifndef PORT_POSIX_ADMIN_CSV_H
#define PORT_POSIX_ADMIN_CSV_H

#include "crypto/bytes/bytes.h"
#include <stdio.h>

#define POSIX_CSV_FIELDS_MAX 16

struct posix_csv {
    struct bytes fields[POSIX_CSV_FIELDS_MAX]; /* views of the line, without quotes */
    size_t count;
};

/* Take one line apart, in place: it is changed, and holds the fields for as long as it stays. It comes
 * without its line feed; one carriage return at its end belongs to the line end. A quoted field must end in
 * its own line, so that one forgotten quote spoils one line and not all that follow. Characters must be
 * UTF-8, none of them a control character but the tab.
 * Returns: 0; BYTES_E_FORMAT or BYTES_E_LIMIT with a sentence in *why. */
int posix_csv_read(uint8_t *line, size_t len, struct posix_csv *record, const char **why);

/* One field as posix_csv_read would read it; what it would refuse becomes '?'. */
void posix_csv_write(FILE *out, struct bytes field);

#endif
