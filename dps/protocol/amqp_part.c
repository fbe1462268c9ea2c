/* SPDX-License-Identifier: MIT */
#include "dps/protocol/amqp_part.h"
#include "dps/protocol/text.h"

#if DPS_WITH_AMQP

enum {
    DESCRIBED = 0x00,
    NOTHING = 0x40,
    TRUE_0 = 0x41,
    FALSE_0 = 0x42,
    UINT_0 = 0x43,
    ULONG_0 = 0x44,
    LIST_0 = 0x45,
    UBYTE = 0x50,
    UINT_1 = 0x52,
    ULONG_1 = 0x53,
    BOOLEAN = 0x56,
    USHORT = 0x60,
    UINT_4 = 0x70,
    ULONG_8 = 0x80,
    BINARY_1 = 0xa0,
    STRING_1 = 0xa1,
    SYMBOL_1 = 0xa3,
    BINARY_4 = 0xb0,
    STRING_4 = 0xb1,
    SYMBOL_4 = 0xb3,
    LIST_1 = 0xc0,
    MAP_1 = 0xc1,
    LIST_4 = 0xd0,
    MAP_4 = 0xd1
};

/* ---- Values ---- */

/* All encodings [AMQP 1.0 1.6]. The high half of a code says how long a value is [AMQP 1.0 1.2]. */
static bool is_known(uint8_t code)
{
    static const uint8_t codes[] = {
        0x40, 0x41, 0x42, 0x43, 0x44, 0x45,       /* nothing follows */
        0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, /* 1 byte */
        0x60, 0x61,                               /* 2 */
        0x70, 0x71, 0x72, 0x73, 0x74,             /* 4 */
        0x80, 0x81, 0x82, 0x83, 0x84,             /* 8 */
        0x94, 0x98,                               /* 16 */
        0xa0, 0xa1, 0xa3, 0xb0, 0xb1, 0xb3,       /* a size of 1 byte or 4, and as many */
        0xc0, 0xc1, 0xd0, 0xd1,                   /* the same, which begin with a count */
        0xe0, 0xf0                                /* arrays */
    };
    return memchr(codes, code, sizeof codes) != NULL;
}

static bool is_of_one_byte(uint8_t code)
{
    return (code >> 4) % 2 == 0; /* of A to F */
}

static struct bytes read_sized(struct bytes_reader *r, uint8_t code)
{
    return is_of_one_byte(code) ? bytes_read_bytes(r, bytes_read_u8(r)) : bytes_read_4b(r);
}

static bool is_ascii(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] > 0x7F) {
            return false;
        }
    }
    return true;
}

/* A list or map has a count, and each element at least one byte. */
static void read_count(struct bytes_reader *r, struct dps_amqp_value *v)
{
    struct bytes_reader inside = bytes_reader_over(v->inside);
    const bool map = v->code == MAP_1 || v->code == MAP_4;
    v->count = is_of_one_byte(v->code) ? bytes_read_u8(&inside) : bytes_read_u32(&inside);
    v->inside = bytes_read_bytes(&inside, inside.left);
    if (inside.error != 0 || v->count > v->inside.len || (map && v->count % 2 != 0)) {
        bytes_reader_fail(r, BYTES_E_FORMAT);
    }
}

static void check_text(struct bytes_reader *r, const struct dps_amqp_value *v)
{
    const bool string = v->code == STRING_1 || v->code == STRING_4;
    const bool symbol = v->code == SYMBOL_1 || v->code == SYMBOL_4;
    const bool boolean = v->code == BOOLEAN;
    if ((string && !dps_utf8_valid(v->inside)) || (symbol && !is_ascii(v->inside)) ||
        (boolean && v->inside.len == 1 && v->inside.p[0] > 1)) {
        bytes_reader_fail(r, BYTES_E_FORMAT);
    }
}

static void read_inside(struct bytes_reader *r, struct dps_amqp_value *v)
{
    static const uint8_t widths[6] = {0, 1, 2, 4, 8, 16};
    const uint8_t category = v->code >> 4;
    if (!is_known(v->code)) {
        bytes_reader_fail(r, BYTES_E_FORMAT);
    } else if (category < 0xA) {
        v->inside = bytes_read_bytes(r, widths[category - 4]);
    } else {
        v->inside = read_sized(r, v->code);
    }
    if (r->error == 0 && (category == 0xC || category == 0xD)) {
        read_count(r, v);
    }
    check_text(r, v);
}

static uint8_t read_descriptor(struct bytes_reader *r)
{
    const uint8_t code = bytes_read_u8(r);
    uint64_t value = 0;
    if (code == ULONG_1) {
        value = bytes_read_u8(r);
    } else if (code == ULONG_8) {
        value = bytes_read_u64(r);
    } else if (code != ULONG_0) {
        bytes_reader_fail(r, BYTES_E_FORMAT);
    }
    return value > 0 && value < 255 ? (uint8_t)value : 255;
}

struct dps_amqp_value dps_amqp_value_read(struct bytes_reader *r)
{
    struct dps_amqp_value v = {0};
    const struct bytes all = bytes_of(r->p, r->left);
    v.code = bytes_read_u8(r);
    if (r->error == 0 && v.code == DESCRIBED) {
        v.descriptor = read_descriptor(r);
        v.code = bytes_read_u8(r);
    }
    read_inside(r, &v);
    if (r->error != 0) {
        return (struct dps_amqp_value){0};
    }
    v.whole = bytes_of(all.p, all.len - r->left);
    return v;
}

bool dps_amqp_is_null(const struct dps_amqp_value *v)
{
    return v->code == 0 || v->code == NOTHING;
}

static bool is_list(const struct dps_amqp_value *v)
{
    return v->code == LIST_0 || v->code == LIST_1 || v->code == LIST_4;
}

/* ---- Fields ---- */

struct dps_amqp_fields dps_amqp_fields_of(const struct dps_amqp_value *v, uint8_t descriptor)
{
    struct dps_amqp_fields f = {bytes_reader_over(v->inside), v->count};
    if (!is_list(v) || v->descriptor != descriptor) {
        bytes_reader_fail(&f.r, BYTES_E_FORMAT);
    }
    return f;
}

struct dps_amqp_value dps_amqp_any(struct dps_amqp_fields *f)
{
    if (f->left == 0 || f->r.error != 0) {
        return (struct dps_amqp_value){0};
    }
    f->left--;
    return dps_amqp_value_read(&f->r);
}

/* The next field, in one of these encodings; f fails if it has another, or is missing although it is needed. */
static struct dps_amqp_value next(struct dps_amqp_fields *f, enum dps_amqp_need need, uint8_t one,
                                  uint8_t other, uint8_t third)
{
    struct dps_amqp_value v = dps_amqp_any(f);
    const bool null = dps_amqp_is_null(&v);
    const bool right = v.descriptor == 0 && (v.code == one || v.code == other || v.code == third);
    if (null ? need == DPS_AMQP_NEEDED : !right) {
        bytes_reader_fail(&f->r, BYTES_E_FORMAT);
    }
    if (null || !right) {
        v = (struct dps_amqp_value){0};
    }
    return v;
}

uint32_t dps_amqp_uint(struct dps_amqp_fields *f, enum dps_amqp_need need, uint32_t absent)
{
    const struct dps_amqp_value v = next(f, need, UINT_4, UINT_1, UINT_0);
    uint32_t value = 0;
    for (size_t i = 0; i < v.inside.len; i++) {
        value = value << 8 | v.inside.p[i];
    }
    return v.code == 0 ? absent : value;
}

bool dps_amqp_bool(struct dps_amqp_fields *f, enum dps_amqp_need need)
{
    const struct dps_amqp_value v = next(f, need, TRUE_0, FALSE_0, BOOLEAN);
    return v.code == TRUE_0 || (v.code == BOOLEAN && v.inside.p[0] == 1);
}

struct bytes dps_amqp_string(struct dps_amqp_fields *f, enum dps_amqp_need need)
{
    return next(f, need, STRING_1, STRING_4, STRING_4).inside;
}

struct bytes dps_amqp_symbol(struct dps_amqp_fields *f, enum dps_amqp_need need)
{
    return next(f, need, SYMBOL_1, SYMBOL_4, SYMBOL_4).inside;
}

struct bytes dps_amqp_binary(struct dps_amqp_fields *f, enum dps_amqp_need need)
{
    return next(f, need, BINARY_1, BINARY_4, BINARY_4).inside;
}

int dps_amqp_fields_end(struct dps_amqp_fields *f)
{
    while (f->left > 0 && f->r.error == 0) {
        (void)dps_amqp_any(f);
    }
    return bytes_reader_end(&f->r);
}

static bool is_text(const struct dps_amqp_value *v)
{
    const bool string = v->code == STRING_1 || v->code == STRING_4;
    return v->descriptor == 0 && (string || v->code == SYMBOL_1 || v->code == SYMBOL_4);
}

struct bytes dps_amqp_map_text(struct bytes_reader *r, const struct dps_amqp_value *map, const char *key)
{
    struct dps_amqp_fields f = {bytes_reader_over(map->inside), map->count};
    struct bytes found = {NULL, 0};
    bool seen = false;
    if (!dps_amqp_is_null(map) && map->code != MAP_1 && map->code != MAP_4) {
        bytes_reader_fail(r, BYTES_E_FORMAT);
        return found;
    }
    while (f.left > 0 && f.r.error == 0) {
        const struct dps_amqp_value name = dps_amqp_any(&f);
        const struct dps_amqp_value value = dps_amqp_any(&f);
        if (!is_text(&name) || !bytes_equal_public(name.inside, bytes_of_text(key))) {
            continue;
        }
        if (seen) {
            bytes_reader_fail(&f.r, BYTES_E_FORMAT);
        }
        seen = true;
        if (is_text(&value)) {
            found = value.inside;
        }
    }
    if (dps_amqp_fields_end(&f) != 0) {
        bytes_reader_fail(r, BYTES_E_FORMAT);
    }
    return found;
}

/* ---- Writing ---- */

void dps_amqp_write_null(struct bytes_writer *w)
{
    bytes_write_u8(w, NOTHING);
}

void dps_amqp_write_bool(struct bytes_writer *w, bool value)
{
    bytes_write_u8(w, value ? TRUE_0 : FALSE_0);
}

void dps_amqp_write_ubyte(struct bytes_writer *w, uint8_t value)
{
    bytes_write_u8(w, UBYTE);
    bytes_write_u8(w, value);
}

void dps_amqp_write_ushort(struct bytes_writer *w, uint16_t value)
{
    bytes_write_u8(w, USHORT);
    bytes_write_u16(w, value);
}

void dps_amqp_write_uint(struct bytes_writer *w, uint32_t value)
{
    bytes_write_u8(w, UINT_4);
    bytes_write_u32(w, value);
}

static void write_sized(struct bytes_writer *w, uint8_t code, struct bytes value)
{
    const uint32_t len = (uint32_t)value.len;
    if (len != value.len) {
        bytes_writer_fail(w, BYTES_E_LIMIT);
    }
    bytes_write_u8(w, code);
    bytes_write_u32(w, len);
    bytes_write_bytes(w, value);
}

void dps_amqp_write_binary(struct bytes_writer *w, struct bytes value)
{
    write_sized(w, BINARY_4, value);
}

void dps_amqp_write_string(struct bytes_writer *w, struct bytes value)
{
    write_sized(w, STRING_4, value);
}

void dps_amqp_write_symbol(struct bytes_writer *w, const char *value)
{
    write_sized(w, SYMBOL_4, bytes_of_text(value));
}

void dps_amqp_write_value(struct bytes_writer *w, const struct dps_amqp_value *v)
{
    if (dps_amqp_is_null(v)) {
        dps_amqp_write_null(w);
    } else {
        bytes_write_bytes(w, v->whole);
    }
}

static struct dps_amqp_size size_begin(struct bytes_writer *w)
{
    uint8_t *room = bytes_write_room(w, 4);
    return (struct dps_amqp_size){room, w->len};
}

/* more: what counts itself. */
static void size_end(struct bytes_writer *w, struct dps_amqp_size size, size_t more)
{
    if (w->error == 0 && size.room != NULL) {
        struct bytes_writer field = bytes_writer_over(size.room, 4);
        bytes_write_u32(&field, (uint32_t)(w->len - size.at + more));
    }
}

static struct dps_amqp_size compound_begin(struct bytes_writer *w, uint8_t descriptor, uint8_t code,
                                           uint32_t count)
{
    if (descriptor != 0) {
        bytes_write_u8(w, DESCRIBED);
        bytes_write_u8(w, ULONG_1);
        bytes_write_u8(w, descriptor);
    }
    bytes_write_u8(w, code);
    const struct dps_amqp_size size = size_begin(w);
    bytes_write_u32(w, count);
    return size;
}

struct dps_amqp_size dps_amqp_list_begin(struct bytes_writer *w, uint8_t descriptor, uint32_t count)
{
    return compound_begin(w, descriptor, LIST_4, count);
}

struct dps_amqp_size dps_amqp_map_begin(struct bytes_writer *w, uint8_t descriptor, uint32_t count)
{
    return compound_begin(w, descriptor, MAP_4, count);
}

void dps_amqp_end(struct bytes_writer *w, struct dps_amqp_size size)
{
    size_end(w, size, 0);
}

struct dps_amqp_size dps_amqp_frame_begin(struct bytes_writer *w, uint8_t type)
{
    const struct dps_amqp_size size = size_begin(w);
    bytes_write_u8(w, 2); /* the header has two words */
    bytes_write_u8(w, type);
    bytes_write_u16(w, 0);
    return size;
}

void dps_amqp_frame_end(struct bytes_writer *w, struct dps_amqp_size size)
{
    size_end(w, size, 4);
}

#endif
