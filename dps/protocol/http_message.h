/* SPDX-License-Identifier: MIT */
/* An HTTP message that was received, as views of its buffer; the inside of a request target; reason phrases. */
#ifndef DPS_PROTOCOL_HTTP_MESSAGE_H
#define DPS_PROTOCOL_HTTP_MESSAGE_H

#include "dps/protocol/http.h"

/* Once the head is there (head_len > 0): the value of a header, name compared without case, trimmed.
 * Returns: 0; BYTES_E_NOT_FOUND; BYTES_E_FORMAT if the header occurs more than once. */
int dps_http_header(const struct dps_http *h, const uint8_t *buffer, const char *name, struct bytes *value);

/* Once the head is there (head_len > 0): how many headers have that name, compared without case; *last is the value of
 * the last one, trimmed, or empty. Most callers want dps_http_header instead. */
size_t dps_http_header_last(const struct dps_http *h, const uint8_t *buffer, const char *name,
                            struct bytes *last);

/* The rest of a message, likewise. */
struct bytes dps_http_method(const struct dps_http *h, const uint8_t *buffer);
struct bytes dps_http_target(const struct dps_http *h, const uint8_t *buffer);
struct bytes dps_http_body(const struct dps_http *h, const uint8_t *buffer);

/* The parameter called name in the query of a target ("/a?b=c" -> "c" for "b"), not decoded. Name without case.
 * Returns: 0; BYTES_E_NOT_FOUND; BYTES_E_FORMAT if it occurs twice. */
int dps_http_query(struct bytes target, const char *name, struct bytes *value);
/* The path of a target: what is before the query, without scheme and authority if the client sent an absolute URI. */
struct bytes dps_http_path(struct bytes target);

/* The reason phrase of a status code; "Unknown" for others. */
const char *dps_http_reason(unsigned status);

#endif
