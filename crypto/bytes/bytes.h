/* SPDX-License-Identifier: MIT */
/* The lowest layer: bytes, whatever they mean. A view, a reader and a writer, and the two things that are done with
 * secrets (compare, wipe). Every directory uses it; the only pointer arithmetic of tpm/ and dps/ is here.
 *
 * Reader and writer have a sticky error: the first failure is kept, every later call does nothing (reads give zeros and
 * empty views), and the caller lists the fields in the order of the specification's table and tests once, at the end.
 * Integers are big-endian, moved by shifts. Reading never copies: what is read views the input. */
#ifndef CRYPTO_BYTES_BYTES_H
#define CRYPTO_BYTES_BYTES_H

#include "crypto/bytes/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A view of bytes that belong to another buffer: valid as long as that buffer is. An empty one has len 0 and any p. */
struct bytes {
    const uint8_t *p;
    size_t len;
};

/* The small constructors are inline: as calls they would cost more than what they do. They are written so that C++ can
 * include them. */

/* A view of an object, or of a string's characters without its zero. */
static inline struct bytes bytes_of(const void *p, size_t len)
{
    const struct bytes all = {(const uint8_t *)p, len};
    return all;
}

static inline struct bytes bytes_of_text(const char *text)
{
    return bytes_of(text, strlen(text));
}

/* In time that depends on the bytes: for public data only. */
bool bytes_equal_public(struct bytes a, struct bytes b);
/* In time that depends on len only. */
bool bytes_equal_secret(const uint8_t *a, const uint8_t *b, size_t len);
/* Overwrite len bytes with zeros in a way that the compiler cannot remove. */
void bytes_wipe(void *p, size_t len);

struct bytes_reader {
    const uint8_t *p; /* next byte */
    size_t left;
    int error; /* 0 or the first error */
};

/* A reader over input, which must outlive it. */
static inline struct bytes_reader bytes_reader_over(struct bytes input)
{
    const struct bytes_reader at_begin = {input.p, input.len, 0};
    return at_begin;
}
uint8_t bytes_read_u8(struct bytes_reader *r);
uint16_t bytes_read_u16(struct bytes_reader *r);
uint32_t bytes_read_u32(struct bytes_reader *r);
uint64_t bytes_read_u64(struct bytes_reader *r);
/* Exactly len bytes; BYTES_E_FORMAT if they are not there. */
struct bytes bytes_read_bytes(struct bytes_reader *r, size_t len);
/* Pass over as many. */
void bytes_skip(struct bytes_reader *r, size_t len);
/* A TPM2B: a 16-bit size and as many bytes; the view excludes the size. */
struct bytes bytes_read_2b(struct bytes_reader *r);
/* The same, the view including the size field: for structures that are passed on as they came. */
struct bytes bytes_read_2b_whole(struct bytes_reader *r);
/* A 32-bit size and as many bytes; the view excludes the size. */
struct bytes bytes_read_4b(struct bytes_reader *r);
/* A sized structure: a reader limited to the declared size. It must be given back to bytes_read_sized_end, which
 * fails r if the inner one failed or has bytes left: a declared size is exact. */
struct bytes_reader bytes_read_sized(struct bytes_reader *r);
void bytes_read_sized_end(struct bytes_reader *r, const struct bytes_reader *inner);
/* Fail with error unless one is set already. */
void bytes_reader_fail(struct bytes_reader *r, int error);
/* All bytes consumed and no error: 0; otherwise the error (BYTES_E_FORMAT for bytes left over). */
int bytes_reader_end(const struct bytes_reader *r);

struct bytes_writer {
    uint8_t *p; /* the caller's buffer */
    size_t capacity;
    size_t len; /* bytes written so far */
    int error;  /* 0, or BYTES_E_SPACE: then what was written is unusable */
};

/* A writer into buffer, at its beginning. */
static inline struct bytes_writer bytes_writer_over(uint8_t *buffer, size_t capacity)
{
    const struct bytes_writer empty = {buffer, capacity, 0, 0};
    return empty;
}
void bytes_write_u8(struct bytes_writer *w, uint8_t value);
void bytes_write_u16(struct bytes_writer *w, uint16_t value);
void bytes_write_u32(struct bytes_writer *w, uint32_t value);
void bytes_write_u64(struct bytes_writer *w, uint64_t value);
/* A span without an address stands for as many zero bytes, so that no constant has to hold them. */
void bytes_write_bytes(struct bytes_writer *w, struct bytes bytes);
/* A TPM2B: size and bytes. BYTES_E_LIMIT if longer than 65535. */
void bytes_write_2b(struct bytes_writer *w, struct bytes bytes);
/* Open a 16-bit size that is filled in by bytes_write_size_end with the number of bytes written in between. */
size_t bytes_write_size_begin(struct bytes_writer *w);
void bytes_write_size_end(struct bytes_writer *w, size_t begin);
/* Room for len bytes that the caller fills in: a pointer into the buffer, or null if there is no room. */
uint8_t *bytes_write_room(struct bytes_writer *w, size_t len);
void bytes_writer_fail(struct bytes_writer *w, int error);
/* What was written: empty if there was an error. */
struct bytes bytes_written(const struct bytes_writer *w);

#endif
