/* SPDX-License-Identifier: MIT */
/* What the frames of AMQP are made of: values with their types [AMQP 1.0 1.6], in lists, maps and frames. For amqp.h
 * and amqp_write.h. */
#ifndef DPS_PROTOCOL_AMQP_PART_H
#define DPS_PROTOCOL_AMQP_PART_H

#include "crypto/bytes/bytes.h"
#include "dps/protocol/limits.h"

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

/* One value, which views the input. What a list, a map or an array has in it is not looked into here. */
struct dps_amqp_value {
    uint8_t code;        /* its constructor [AMQP 1.0 1.2]; 0: there is none, which means null */
    uint8_t descriptor;  /* what it is described as, or 0; 255: something that is not known here */
    struct bytes whole;  /* with constructor and descriptor; empty for what a list has left out */
    struct bytes inside; /* without them and without its size */
    uint32_t count;      /* of the elements of a list or map */
};

/* Read one value: only encodings of the standard, strings of UTF-8, symbols of ASCII, sizes that fit. A descriptor is
 * an unsigned long: the standard's symbols for the same are not sent by anybody. */
struct dps_amqp_value dps_amqp_value_read(struct bytes_reader *r);
bool dps_amqp_is_null(const struct dps_amqp_value *v);

/* The fields of a list, one after the other. Fields at the end may have been left out [AMQP 1.0 1.4]: they are null. A
 * field of another type, or one that is missing although it is needed, fails the reader with BYTES_E_FORMAT. */
struct dps_amqp_fields {
    struct bytes_reader r;
    uint32_t left;
};
enum dps_amqp_need { DPS_AMQP_OPTIONAL, DPS_AMQP_NEEDED };

/* Over v, which must be a list with this descriptor: otherwise the reader has failed already. */
struct dps_amqp_fields dps_amqp_fields_of(const struct dps_amqp_value *v, uint8_t descriptor);
struct dps_amqp_value dps_amqp_any(struct dps_amqp_fields *f);
uint32_t dps_amqp_uint(struct dps_amqp_fields *f, enum dps_amqp_need need, uint32_t absent);
bool dps_amqp_bool(struct dps_amqp_fields *f, enum dps_amqp_need need);
struct bytes dps_amqp_string(struct dps_amqp_fields *f, enum dps_amqp_need need);
struct bytes dps_amqp_symbol(struct dps_amqp_fields *f, enum dps_amqp_need need);
struct bytes dps_amqp_binary(struct dps_amqp_fields *f, enum dps_amqp_need need);
/* Pass over fields. Returns: BYTES_OK; the error of all fields so far, or of those that are left. */
int dps_amqp_fields_end(struct dps_amqp_fields *f);

/* The text under a key, a string or a symbol, of a map; empty if it is not there, or is no text. Fails r if the map is
 * none, is not well formed, or has the key twice [AMQP 1.0 1.6.23]. */
struct bytes dps_amqp_map_text(struct bytes_reader *r, const struct dps_amqp_value *map, const char *key);

/* ---- Writing ----------------------------------------------------------------------------------------------------- */

/* A size of four bytes that is filled in when what it counts has been written. */
struct dps_amqp_size {
    uint8_t *room; /* null: the writer has failed */
    size_t at;
};

/* Each in one encoding only, the longest. */
void dps_amqp_write_null(struct bytes_writer *w);
void dps_amqp_write_bool(struct bytes_writer *w, bool value);
void dps_amqp_write_ubyte(struct bytes_writer *w, uint8_t value);
void dps_amqp_write_ushort(struct bytes_writer *w, uint16_t value);
void dps_amqp_write_uint(struct bytes_writer *w, uint32_t value);
void dps_amqp_write_binary(struct bytes_writer *w, struct bytes value);
void dps_amqp_write_string(struct bytes_writer *w, struct bytes value);
void dps_amqp_write_symbol(struct bytes_writer *w, const char *value);
/* A value as it was read; null if there was none. */
void dps_amqp_write_value(struct bytes_writer *w, const struct dps_amqp_value *v);

/* Between begin and end come exactly count values: of a map, keys and values. descriptor 0: none. */
struct dps_amqp_size dps_amqp_list_begin(struct bytes_writer *w, uint8_t descriptor, uint32_t count);
struct dps_amqp_size dps_amqp_map_begin(struct bytes_writer *w, uint8_t descriptor, uint32_t count);
void dps_amqp_end(struct bytes_writer *w, struct dps_amqp_size size);

/* A frame [AMQP 1.0 2.3.1] of type 0 or 1 (SASL), on channel 0. */
struct dps_amqp_size dps_amqp_frame_begin(struct bytes_writer *w, uint8_t type);
void dps_amqp_frame_end(struct bytes_writer *w, struct dps_amqp_size size);

#endif
