/* SPDX-License-Identifier: MIT */
/* Reader and writer: the only pointer arithmetic of tpm/ and dps/.
 *
 * Both have a sticky error: the first failure is kept, every later call does nothing (reads give zeros and empty
 * spans), and the caller lists the fields in the order of the specification's table and tests once, at the end.
 * Integers are big-endian, moved by shifts. Reading never copies: spans view the input. */
#ifndef TPM_WIRE_H
#define TPM_WIRE_H

#include "crypto/crypto.h"
#include <string.h>

/* The small constructors are inline: as calls they would cost more than what they do. They are written so that C++ can
 * include them. */

/* A span over an object, or over a string's characters, without its zero. */
static inline struct span span_of(const void *p, size_t len)
{
    const struct span all = {(const uint8_t *)p, len};
    return all;
}

static inline struct span span_of_text(const char *text)
{
    return span_of(text, strlen(text));
}
/* Not constant time: for public data only. */
bool span_equal(struct span a, struct span b);

struct tpm2_reader {
    const uint8_t *p; /* next byte */
    size_t left;
    int error; /* 0 or the first error */
};

/* A reader over input, which must outlive it. */
static inline struct tpm2_reader tpm2_reader_over(struct span input)
{
    const struct tpm2_reader at_begin = {input.p, input.len, 0};
    return at_begin;
}
uint8_t tpm2_read_u8(struct tpm2_reader *r);
uint16_t tpm2_read_u16(struct tpm2_reader *r);
uint32_t tpm2_read_u32(struct tpm2_reader *r);
uint64_t tpm2_read_u64(struct tpm2_reader *r);
/* Exactly len bytes; DPS_E_FORMAT if they are not there. */
struct span tpm2_read_bytes(struct tpm2_reader *r, size_t len);
/* A TPM2B: a 16-bit size and as many bytes; the view excludes the size. */
struct span tpm2_read_2b(struct tpm2_reader *r);
/* The same, the view including the size field: for structures that are passed on as they came. */
struct span tpm2_read_2b_whole(struct tpm2_reader *r);
/* A sized structure: a reader limited to the declared size. It must be given back to tpm2_read_sized_end, which
 * fails r if the inner one failed or has bytes left: a declared size is exact. */
struct tpm2_reader tpm2_read_sized(struct tpm2_reader *r);
void tpm2_read_sized_end(struct tpm2_reader *r, const struct tpm2_reader *inner);
/* Fail with error unless one is set already. */
void tpm2_reader_fail(struct tpm2_reader *r, int error);
/* All bytes consumed and no error: 0; otherwise the error (DPS_E_FORMAT for bytes left over). */
int tpm2_reader_end(const struct tpm2_reader *r);

struct tpm2_writer {
    uint8_t *p; /* the caller's buffer */
    size_t capacity;
    size_t len; /* bytes written so far */
    int error;  /* 0, or DPS_E_SPACE: then what was written is unusable */
};

/* A writer into buffer, at its beginning. */
static inline struct tpm2_writer tpm2_writer_over(uint8_t *buffer, size_t capacity)
{
    const struct tpm2_writer empty = {buffer, capacity, 0, 0};
    return empty;
}
void tpm2_write_u8(struct tpm2_writer *w, uint8_t value);
void tpm2_write_u16(struct tpm2_writer *w, uint16_t value);
void tpm2_write_u32(struct tpm2_writer *w, uint32_t value);
void tpm2_write_u64(struct tpm2_writer *w, uint64_t value);
/* A span without an address stands for as many zero bytes, so that no constant has to hold them. */
void tpm2_write_bytes(struct tpm2_writer *w, struct span bytes);
/* A TPM2B: size and bytes. DPS_E_LIMIT if longer than 65535. */
void tpm2_write_2b(struct tpm2_writer *w, struct span bytes);
/* Open a 16-bit size that is filled in by tpm2_write_size_end with the number of bytes written in between. */
size_t tpm2_write_size_begin(struct tpm2_writer *w);
void tpm2_write_size_end(struct tpm2_writer *w, size_t begin);
/* Room for len bytes that the caller fills in: a pointer into the buffer, or null if there is no room. */
uint8_t *tpm2_write_room(struct tpm2_writer *w, size_t len);
void tpm2_writer_fail(struct tpm2_writer *w, int error);
/* What was written: empty if there was an error. */
struct span tpm2_written(const struct tpm2_writer *w);

#endif
