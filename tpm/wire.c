/* SPDX-License-Identifier: MIT */
#include "tpm/wire.h"
#include <string.h>

/* The invariant on which every parser stands: p[0..left) lies inside the input, and only take() moves p,
 * by no more than left. A reader with an error never moves again. */
void tpm2_reader_fail(struct tpm2_reader *r, int error)
{
    if (r->error == 0) {
        r->error = error;
    }
}

static const uint8_t *take(struct tpm2_reader *r, size_t len)
{
    if (r->error == 0 && len > r->left) {
        r->error = DPS_E_FORMAT;
    }
    if (r->error != 0 || len == 0) {
        return NULL;
    }
    const uint8_t *p = r->p;
    r->p += len;
    r->left -= len;
    return p;
}

static uint32_t read_big_endian(struct tpm2_reader *r, size_t len)
{
    const uint8_t *p = take(r, len);
    uint32_t value = 0;
    for (size_t i = 0; p != NULL && i < len; i++) {
        value = (value << 8) | p[i];
    }
    return value;
}

uint8_t tpm2_read_u8(struct tpm2_reader *r)
{
    return (uint8_t)read_big_endian(r, 1);
}

uint16_t tpm2_read_u16(struct tpm2_reader *r)
{
    return (uint16_t)read_big_endian(r, 2);
}

uint32_t tpm2_read_u32(struct tpm2_reader *r)
{
    return read_big_endian(r, 4);
}

uint64_t tpm2_read_u64(struct tpm2_reader *r)
{
    uint64_t high = tpm2_read_u32(r);
    uint32_t low = tpm2_read_u32(r);
    return r->error == 0 ? (high << 32) | low : 0;
}

struct span tpm2_read_bytes(struct tpm2_reader *r, size_t len)
{
    const uint8_t *p = take(r, len);
    return (struct span){.p = p, .len = p != NULL ? len : 0};
}

struct span tpm2_read_2b(struct tpm2_reader *r)
{
    return tpm2_read_bytes(r, tpm2_read_u16(r));
}

struct span tpm2_read_2b_whole(struct tpm2_reader *r)
{
    const uint8_t *start = r->p;
    struct span content = tpm2_read_2b(r);
    if (r->error != 0) {
        return (struct span){0};
    }
    return (struct span){.p = start, .len = 2 + content.len};
}

struct tpm2_reader tpm2_read_sized(struct tpm2_reader *r)
{
    struct tpm2_reader inner = tpm2_reader_over(tpm2_read_2b(r));
    inner.error = r->error;
    return inner;
}

void tpm2_read_sized_end(struct tpm2_reader *r, const struct tpm2_reader *inner)
{
    tpm2_reader_fail(r, tpm2_reader_end(inner));
}

int tpm2_reader_end(const struct tpm2_reader *r)
{
    if (r->error != 0) {
        return r->error;
    }
    return r->left == 0 ? 0 : DPS_E_FORMAT;
}

/* The writer's counterpart: len <= capacity always, and only tpm2_write_room moves len. */
void tpm2_writer_fail(struct tpm2_writer *w, int error)
{
    if (w->error == 0) {
        w->error = error;
    }
}

uint8_t *tpm2_write_room(struct tpm2_writer *w, size_t len)
{
    if (w->error == 0 && len > w->capacity - w->len) {
        w->error = DPS_E_SPACE;
    }
    if (w->error != 0) {
        return NULL;
    }
    uint8_t *room = w->p + w->len;
    w->len += len;
    return room;
}

static void write_big_endian(struct tpm2_writer *w, uint32_t value, size_t len)
{
    uint8_t *p = tpm2_write_room(w, len);
    while (p != NULL && len > 0) {
        p[--len] = (uint8_t)value;
        value >>= 8;
    }
}

void tpm2_write_u8(struct tpm2_writer *w, uint8_t value)
{
    write_big_endian(w, value, 1);
}

void tpm2_write_u16(struct tpm2_writer *w, uint16_t value)
{
    write_big_endian(w, value, 2);
}

void tpm2_write_u32(struct tpm2_writer *w, uint32_t value)
{
    write_big_endian(w, value, 4);
}

void tpm2_write_u64(struct tpm2_writer *w, uint64_t value)
{
    tpm2_write_u32(w, (uint32_t)(value >> 32));
    tpm2_write_u32(w, (uint32_t)value);
}

void tpm2_write_bytes(struct tpm2_writer *w, struct span bytes)
{
    if (bytes.len == 0) {
        return;
    }
    uint8_t *room = tpm2_write_room(w, bytes.len);
    if (room != NULL && bytes.p != NULL) {
        memcpy(room, bytes.p, bytes.len);
    } else if (room != NULL) {
        memset(room, 0, bytes.len);
    }
}

void tpm2_write_2b(struct tpm2_writer *w, struct span bytes)
{
    if (bytes.len > UINT16_MAX) {
        tpm2_writer_fail(w, DPS_E_LIMIT);
    }
    tpm2_write_u16(w, (uint16_t)bytes.len);
    tpm2_write_bytes(w, bytes);
}

size_t tpm2_write_size_begin(struct tpm2_writer *w)
{
    tpm2_write_u16(w, 0);
    return w->len;
}

void tpm2_write_size_end(struct tpm2_writer *w, size_t begin)
{
    if (w->error != 0) {
        return;
    }
    if (w->len - begin > UINT16_MAX) {
        tpm2_writer_fail(w, DPS_E_LIMIT);
        return;
    }
    struct tpm2_writer size = tpm2_writer_over(w->p, begin);
    size.len = begin - 2;
    tpm2_write_u16(&size, (uint16_t)(w->len - begin));
}

struct span tpm2_written(const struct tpm2_writer *w)
{
    if (w->error != 0) {
        return (struct span){0};
    }
    return (struct span){.p = w->p, .len = w->len};
}

bool span_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}
