/* SPDX-License-Identifier: MIT */
#include "crypto/bytes/bytes.h"
#include "port/bare/bare.h"
#include <string.h>

/* A slot: magic(4) sequence(4) length(4) record CRC-32(4). Sequence numbers begin with 1 and never wrap: a flash
 * cell is worn out long before. */
#define MAGIC 0x44505331 /* "DPS1" */
#define HEAD_SIZE 12
#define RECORD_MAX (PORT_BARE_SLOT_SIZE - HEAD_SIZE - 4)
enum { SLOTS = 2 };

/* CRC-32 as in IEEE 802.3. Against torn writes and worn cells, not against people: the record itself carries a digest,
 * and its key is useless without the TPM. */
static uint32_t crc32(struct bytes bytes)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < bytes.len; i++) {
        crc ^= bytes.p[i];
        for (unsigned bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? UINT32_C(0xedb88320) : 0);
        }
    }
    return ~crc;
}

/* The record in the slot whose bytes are in s->bytes. Returns its sequence number; 0: not valid. */
static uint32_t examine(const struct port_bare_storage *s, struct bytes *record)
{
    struct bytes_reader r = bytes_reader_over(bytes_of(s->bytes, sizeof s->bytes));
    const uint32_t magic = bytes_read_u32(&r);
    const uint32_t sequence = bytes_read_u32(&r);
    const uint32_t len = bytes_read_u32(&r);
    *record = bytes_read_bytes(&r, len);
    const uint32_t crc = bytes_read_u32(&r);
    if (r.error != 0 || magic != MAGIC || crc != crc32(bytes_of(s->bytes, HEAD_SIZE + (size_t)len))) {
        return 0;
    }
    return sequence;
}

/* Find the slot that counts, and leave it in s->bytes. *sequence 0: there is none, and *slot is 1, so that the first
 * record goes into slot 0. */
static int find(struct port_bare_storage *s, unsigned *slot, uint32_t *sequence, struct bytes *record)
{
    *slot = SLOTS - 1;
    *sequence = 0;
    *record = bytes_of(NULL, 0);
    for (unsigned i = 0; i < SLOTS; i++) {
        const int error = s->flash->read(s->flash->context, i, s->bytes);
        if (error != 0) {
            return error;
        }
        const uint32_t found = examine(s, record);
        if (found > *sequence) {
            *slot = i;
            *sequence = found;
        }
    }
    if (*sequence == 0 || *slot == SLOTS - 1) {
        return 0;
    }
    const int error = s->flash->read(s->flash->context, *slot, s->bytes);
    return error == 0 && examine(s, record) != *sequence ? BYTES_E_FILE : error;
}

static int load(void *context, uint8_t *record, size_t capacity, size_t *len)
{
    struct port_bare_storage *s = context;
    unsigned slot;
    uint32_t sequence;
    struct bytes found;
    *len = 0;
    const int error = find(s, &slot, &sequence, &found);
    if (error != 0) {
        return error;
    }
    if (sequence == 0) {
        return BYTES_E_NOT_FOUND;
    }
    if (found.len > capacity) {
        return BYTES_E_SPACE;
    }
    memcpy(record, found.p, found.len);
    *len = found.len;
    return 0;
}

static int save(void *context, struct bytes record)
{
    struct port_bare_storage *s = context;
    unsigned slot;
    uint32_t sequence;
    struct bytes found;
    if (record.len > RECORD_MAX) {
        return BYTES_E_SPACE;
    }
    int error = find(s, &slot, &sequence, &found);
    if (error != 0) {
        return error;
    }
    /* Always the other slot: the one that counts stays as it is until the new one is whole. */
    slot = (slot + 1) % SLOTS;
    sequence++;
    memset(s->bytes, 0xff, sizeof s->bytes); /* flash that is not written reads like this */
    struct bytes_writer w = bytes_writer_over(s->bytes, sizeof s->bytes);
    bytes_write_u32(&w, MAGIC);
    bytes_write_u32(&w, sequence);
    bytes_write_u32(&w, (uint32_t)record.len);
    bytes_write_bytes(&w, record);
    bytes_write_u32(&w, crc32(bytes_written(&w)));
    error = s->flash->write(s->flash->context, slot, s->bytes);
    if (error == 0) {
        error = s->flash->read(s->flash->context, slot, s->bytes);
    }
    if (error == 0 && (examine(s, &found) != sequence || !bytes_equal_public(found, record))) {
        error = BYTES_E_FILE;
    }
    return error;
}

struct port_storage port_bare_storage(struct port_bare_storage *context)
{
    return (struct port_storage){.context = context, .load = load, .save = save};
}
