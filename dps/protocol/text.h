/* SPDX-License-Identifier: MIT */
/* The small strict text grammars of the protocol: base64, base32, hex, decimal, percent-encoding.
 *
 * Writing goes through struct bytes_writer, so its sticky error serves text too: list the parts, test once.
 * Decoding never writes beyond capacity and leaves *len at 0 when it fails. */
#ifndef DPS_PROTOCOL_TEXT_H
#define DPS_PROTOCOL_TEXT_H

#include "crypto/bytes/bytes.h"

/* Append zero-terminated text, a decimal number, lower-case hex, base64 [RFC 4648 4] with padding. */
void dps_write_text(struct bytes_writer *w, const char *text);
void dps_write_decimal(struct bytes_writer *w, uint64_t value);
void dps_write_hex(struct bytes_writer *w, struct bytes bytes);
void dps_write_base64(struct bytes_writer *w, struct bytes bytes);
/* Base32 [RFC 4648 6], lower-case, without padding: the form of a default registrationId. */
void dps_write_base32(struct bytes_writer *w, struct bytes bytes);
/* Percent-encode everything but the unreserved characters [RFC 3986 2.3], with upper-case hex. */
void dps_write_percent(struct bytes_writer *w, struct bytes bytes);
/* A JSON string with its quotes [RFC 8259 7]. Bytes that are not UTF-8 fail the writer with BYTES_E_FORMAT. */
void dps_write_json_string(struct bytes_writer *w, struct bytes bytes);
/* A random GUID, version 4 [RFC 9562 5.4], from 16 random bytes. */
void dps_write_guid(struct bytes_writer *w, const uint8_t random[16]);

/* Decode canonical base64: no white space, correct padding, zero pad bits, standard alphabet.
 * out may be text.p itself (in place). Returns: 0; BYTES_E_FORMAT; BYTES_E_SPACE. */
int dps_base64_decode(struct bytes text, uint8_t *out, size_t capacity, size_t *len);
/* Decode %XX (either case). plus_is_space: also '+' (form encoding). In place allowed.
 * Returns: 0; BYTES_E_FORMAT for a broken escape or a zero byte, encoded or not; BYTES_E_SPACE. */
int dps_percent_decode(struct bytes text, bool plus_is_space, uint8_t *out, size_t capacity, size_t *len);
/* Hex of either case. Returns: 0; BYTES_E_FORMAT; BYTES_E_SPACE. */
int dps_hex_decode(struct bytes text, uint8_t *out, size_t capacity, size_t *len);
/* Decimal digits only, no sign, no leading zeros except "0" itself, at most maximum.
 * Returns: 0; BYTES_E_FORMAT; BYTES_E_LIMIT if larger. */
int dps_decimal_parse(struct bytes text, uint64_t maximum, uint64_t *value);

/* The place of c among the first count characters of set; count if it is not one of them. */
size_t dps_place_in(const uint8_t *set, size_t count, uint8_t c);
/* The value of a hex digit of either case; 16 if c is not one. */
uint8_t dps_hex_digit(uint8_t c);

/* ASCII only: compare without case; lower-case one character. */
bool dps_text_equal_nocase(struct bytes a, struct bytes b);
uint8_t dps_lower(uint8_t c);
/* Well-formed UTF-8 [RFC 3629]: no overlong forms, no surrogates. */
bool dps_utf8_valid(struct bytes text);
/* Split at the first separator: *head before it, the return value after it; the whole text and an empty rest if
 * there is none. */
struct bytes dps_split(struct bytes text, uint8_t separator, struct bytes *head);
/* Without the optional white space around it [RFC 9110 5.6.3]. */
struct bytes dps_trim(struct bytes text);

#endif
