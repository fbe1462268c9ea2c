/* SPDX-License-Identifier: MIT */
/* The lines of a head. Internal to http.c. */
#ifndef DPS_PROTOCOL_HTTP_FIELD_H
#define DPS_PROTOCOL_HTTP_FIELD_H

#include "crypto/bytes/bytes.h"

/* Views of the line. */
struct dps_http_field {
    struct bytes name, value;
};

/* A field line [RFC 9112 5], without its line end. Returns: whether it is one. */
bool dps_http_field_parse(struct bytes line, struct dps_http_field *f);
/* The first line of rest, which is what remains of a complete head; rest then begins after it. Empty for the last. */
struct bytes dps_http_line_next(struct bytes *rest);
/* The length of the token [RFC 9110 5.6.2] that text begins with, 0 if with none. */
size_t dps_http_token_len(struct bytes text);
/* Is a the name or token text [RFC 9110 5.1]? Upper and lower case are the same. */
bool dps_http_is(struct bytes a, const char *text);
/* Is option one of a comma-separated list [RFC 9110 5.6.1]? */
bool dps_http_list_has(struct bytes list, const char *option);

#endif
