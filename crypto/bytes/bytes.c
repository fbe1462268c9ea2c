/* SPDX-License-Identifier: MIT */
#include "crypto/bytes/bytes.h"
#include <string.h>

/* The invariant on which every parser stands: p[0..left) lies inside the input, and only take() moves p,
 * by no more than left. A reader with an error never moves again. */
void bytes_reader_fail(struct bytes_reader *r, int error)
{
    if (r->error == 0) {
        r->error = error;
    }
}

static const uint8_t *take(struct bytes_reader *r, size_t len)
{
    if (r->error == 0 && len > r->left) {
        r->error = BYTES_E_FORMAT;
    }
    if (r->error != 0 || len == 0) {
        return NULL;
    }
    const uint8_t *p = r->p;
    r->p += len;
    r->left -= len;
    return p;
}

static uint32_t read_big_endian(struct bytes_reader *r, size_t len)
{
    const uint8_t *p = take(r, len);
    uint32_t value = 0;
    /*@ loop invariant 0 <= i <= len;
        loop invariant p != \null ==> value == big_endian(p, i);
        loop invariant (p == \null || i == 0 ==> value == 0) && (i <= 1 ==> value <= 0xFF);
        loop invariant (i <= 2 ==> value <= 0xFFFF) && (i <= 3 ==> value <= 0xFFFFFF);
        loop assigns i, value;
        loop variant len - i; */
    for (size_t i = 0; p != NULL && i < len; i++) {
        value = (value << 8) + p[i];
    }
    return value;
}

uint8_t bytes_read_u8(struct bytes_reader *r)
{
    return (uint8_t)read_big_endian(r, 1);
}

uint16_t bytes_read_u16(struct bytes_reader *r)
{
    return (uint16_t)read_big_endian(r, 2);
}

uint32_t bytes_read_u32(struct bytes_reader *r)
{
    return read_big_endian(r, 4);
}

uint64_t bytes_read_u64(struct bytes_reader *r)
{
    uint64_t high = bytes_read_u32(r);
    uint32_t low = bytes_read_u32(r);
    return r->error == 0 ? (high << 32) | low : 0;
}

struct bytes bytes_read_bytes(struct bytes_reader *r, size_t len)
{
    const uint8_t *p = take(r, len);
    return (struct bytes){.p = p, .len = p != NULL ? len : 0};
}

void bytes_skip(struct bytes_reader *r, size_t len)
{
    (void)take(r, len);
}

struct bytes bytes_read_2b(struct bytes_reader *r)
{
    return bytes_read_bytes(r, bytes_read_u16(r));
}

struct bytes bytes_read_2b_whole(struct bytes_reader *r)
{
    const size_t len = 2 + bytes_read_2b(r).len;
    if (r->error != 0) {
        return (struct bytes){0};
    }
    return (struct bytes){.p = r->p - len, .len = len};
}

/* Compared before it becomes a size_t, which on small machines is shorter. */
struct bytes bytes_read_4b(struct bytes_reader *r)
{
    const uint32_t len = bytes_read_u32(r);
    if (r->left < len) {
        bytes_reader_fail(r, BYTES_E_FORMAT);
        return (struct bytes){0};
    }
    return bytes_read_bytes(r, (size_t)len);
}

struct bytes_reader bytes_read_sized(struct bytes_reader *r)
{
    struct bytes_reader inner = bytes_reader_over(bytes_read_2b(r));
    inner.error = r->error;
    return inner;
}

void bytes_read_sized_end(struct bytes_reader *r, const struct bytes_reader *inner)
{
    bytes_reader_fail(r, bytes_reader_end(inner));
}

int bytes_reader_end(const struct bytes_reader *r)
{
    if (r->error != 0) {
        return r->error;
    }
    return r->left == 0 ? 0 : BYTES_E_FORMAT;
}

/* The writer's counterpart: len <= capacity always, and only bytes_write_room moves len. */
void bytes_writer_fail(struct bytes_writer *w, int error)
{
    if (w->error == 0) {
        w->error = error;
    }
}

uint8_t *bytes_write_room(struct bytes_writer *w, size_t len)
{
    if (w->error == 0 && len > w->capacity - w->len) {
        w->error = BYTES_E_SPACE;
    }
    if (w->error != 0) {
        return NULL;
    }
    uint8_t *room = w->p + w->len;
    w->len += len;
    return room;
}

static void write_big_endian(struct bytes_writer *w, uint32_t value, size_t len)
{
    uint8_t *p = bytes_write_room(w, len);
    /*@ loop invariant 0 <= len <= \at(len, Pre);
        loop invariant \at(len, Pre) - len == 0 ==> value == \at(value, Pre);
        loop invariant \at(len, Pre) - len == 1 ==> 0x100 * value + p[len] == \at(value, Pre);
        loop invariant \at(len, Pre) - len == 2 ==>
          0x10000 * value + 0x100 * p[len] + p[len + 1] == \at(value, Pre);
        loop invariant \at(len, Pre) - len == 3 ==>
          0x1000000 * value + 0x10000 * p[len] + 0x100 * p[len + 1] + p[len + 2] == \at(value, Pre);
        loop invariant \at(len, Pre) - len == 4 ==>
          0x1000000 * p[len] + 0x10000 * p[len + 1] + 0x100 * p[len + 2] + p[len + 3] == \at(value, Pre);
        loop assigns len, value, p[0 .. \at(len, Pre) - 1];
        loop variant len; */
    while (p != NULL && len > 0) {
        p[--len] = (uint8_t)(value & 0xFF);
        value >>= 8;
    }
}

void bytes_write_u8(struct bytes_writer *w, uint8_t value)
{
    write_big_endian(w, value, 1);
}

void bytes_write_u16(struct bytes_writer *w, uint16_t value)
{
    write_big_endian(w, value, 2);
}

void bytes_write_u32(struct bytes_writer *w, uint32_t value)
{
    write_big_endian(w, value, 4);
}

void bytes_write_u64(struct bytes_writer *w, uint64_t value)
{
    bytes_write_u32(w, (uint32_t)(value >> 32 & 0xFFFFFFFF));
    bytes_write_u32(w, (uint32_t)(value & 0xFFFFFFFF));
}

void bytes_write_bytes(struct bytes_writer *w, struct bytes bytes)
{
    if (bytes.len == 0) {
        return;
    }
    uint8_t *room = bytes_write_room(w, bytes.len);
    if (room != NULL && bytes.p != NULL) {
        memcpy(room, bytes.p, bytes.len);
    } else if (room != NULL) {
        memset(room, 0, bytes.len);
    }
}

void bytes_write_2b(struct bytes_writer *w, struct bytes bytes)
{
    if (bytes.len > UINT16_MAX) {
        bytes_writer_fail(w, BYTES_E_LIMIT);
        return;
    }
    bytes_write_u16(w, (uint16_t)bytes.len);
    bytes_write_bytes(w, bytes);
}

size_t bytes_write_size_begin(struct bytes_writer *w)
{
    bytes_write_u16(w, 0);
    return w->len;
}

void bytes_write_size_end(struct bytes_writer *w, size_t begin)
{
    if (w->error != 0) {
        return;
    }
    if (w->len - begin > UINT16_MAX) {
        bytes_writer_fail(w, BYTES_E_LIMIT);
        return;
    }
    struct bytes_writer size = bytes_writer_over(w->p, begin);
    size.len = begin - 2;
    bytes_write_u16(&size, (uint16_t)(w->len - begin));
}

struct bytes bytes_written(const struct bytes_writer *w)
{
    if (w->error != 0) {
        return (struct bytes){0};
    }
    return (struct bytes){.p = w->p, .len = w->len};
}

bool bytes_equal_public(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

void bytes_wipe(void *p, size_t len)
{
    volatile uint8_t *bytes = p;
    /*@ loop invariant 0 <= i <= len && \forall integer j; 0 <= j < i ==> ((uint8_t *)p)[j] == 0;
        loop assigns i, bytes[0 .. len - 1];
        loop variant len - i; */
    for (size_t i = 0; i < len; i++) {
        bytes[i] = 0;
    }
}

bool bytes_equal_secret(const uint8_t *a, const uint8_t *b, size_t len)
{
    /* volatile: the compiler must not see that one difference decides the result. */
    volatile uint8_t difference = 0;
    /*@ loop invariant 0 <= i <= len;
        loop invariant difference == 0 <==> \forall integer j; 0 <= j < i ==> a[j] == b[j];
        loop assigns i, difference;
        loop variant len - i; */
    for (size_t i = 0; i < len; i++) {
        difference = (uint8_t)(difference | (a[i] ^ b[i]));
    }
    return difference == 0;
}
