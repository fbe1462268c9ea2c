/* SPDX-License-Identifier: MIT */
/* JSON [RFC 8259], read strictly and in place.
 *
 * dps_json_check validates a whole text once (grammar, UTF-8, nesting, nothing after the value); afterwards a value
 * is a span of that text, and its members are found by name. No tree, no memory. */
#ifndef DPS_PROTOCOL_JSON_H
#define DPS_PROTOCOL_JSON_H

#include "crypto/bytes/bytes.h"

/* Validate text: exactly one JSON value, white space around it allowed; no byte order mark, no lone surrogates.
 * Returns: 0 and *value without surrounding white space; BYTES_E_FORMAT; BYTES_E_LIMIT if nested deeper than
 * DPS_JSON_DEPTH_MAX. */
int dps_json_check(struct bytes text, struct bytes *value);

enum dps_json_kind {
    DPS_JSON_NONE, /* an empty span: no such value */
    DPS_JSON_OBJECT,
    DPS_JSON_ARRAY,
    DPS_JSON_STRING,
    DPS_JSON_NUMBER,
    DPS_JSON_TRUE,
    DPS_JSON_FALSE,
    DPS_JSON_NULL
};
/* value must come from a validated text. */
enum dps_json_kind dps_json_kind(struct bytes value);

/* The member called name (compared after decoding escapes) of an object.
 * Returns: 0; BYTES_E_NOT_FOUND; BYTES_E_FORMAT if object is not an object or the name occurs twice. *value is empty
 * unless 0 is returned. */
int dps_json_member(struct bytes object, const char *name, struct bytes *value);

/* Walk an object or array: start with *cursor = 0; each call gives the next member or element. name is the raw name
 * between its quotes (empty for arrays). Returns false at the end. */
bool dps_json_next(struct bytes container, size_t *cursor, struct bytes *name, struct bytes *value);

/* Decode a string value into out as UTF-8. In place (out = value.p) is allowed: it never grows.
 * Returns: 0; BYTES_E_FORMAT if value is not a string, or contains a zero character; BYTES_E_SPACE. */
int dps_json_string(struct bytes value, uint8_t *out, size_t capacity, size_t *len);
/* True if value is the string text (after decoding escapes). */
bool dps_json_string_is(struct bytes value, const char *text);
/* The same for a word from a fixed list (at most DPS_JSON_WORD_MAX letters), without case: clients write it in several.
 * */
#define DPS_JSON_WORD_MAX 40
bool dps_json_word_is(struct bytes value, const char *word);
/* A non-negative integer without fraction or exponent, at most maximum. Returns: 0; BYTES_E_FORMAT; BYTES_E_LIMIT. */
int dps_json_uint(struct bytes value, uint64_t maximum, uint64_t *number);

#endif
