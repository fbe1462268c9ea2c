/* SPDX-License-Identifier: MIT */
#include "dps/protocol/websocket.h"
#include "crypto/crypto.h"
#include "dps/protocol/text.h"
#include <string.h>

#define KEY_SIZE 16
#define KEY_BASE64 24

/* The first two bytes of a header. */
#define FIN 0x80
#define RESERVED 0x70
#define OPCODE 0x0F
#define CONTROL 0x08
#define MASKED 0x80
#define LENGTH 0x7F
#define LENGTH_IN_16_BITS 126
#define LENGTH_IN_64_BITS 127

int dps_websocket_accept(struct bytes key, uint8_t accept[DPS_WEBSOCKET_ACCEPT_SIZE])
{
    uint8_t nonce[KEY_SIZE];
    uint8_t digest[CRYPTO_SHA1_SIZE];
    size_t len = 0;
    if (key.len != KEY_BASE64 || dps_base64_decode(key, nonce, sizeof nonce, &len) != 0 || len != KEY_SIZE) {
        return BYTES_E_FORMAT;
    }
    const struct bytes pieces[] = {key, bytes_of_text("258EAFA5-E914-47DA-95CA-C5AB0DC85B11")};
    crypto_sha1(pieces, 2, digest);
    struct bytes_writer w = bytes_writer_over(accept, DPS_WEBSOCKET_ACCEPT_SIZE);
    dps_write_base64(&w, bytes_of(digest, sizeof digest));
    return w.error;
}

static bool is_known(uint8_t opcode)
{
    return opcode <= DPS_WEBSOCKET_BINARY || (opcode >= DPS_WEBSOCKET_CLOSE && opcode <= DPS_WEBSOCKET_PONG);
}

bool dps_websocket_is_control(const struct dps_websocket_frame *f)
{
    return (f->opcode & CONTROL) != 0;
}

static bool begins_well(uint8_t first, uint8_t second)
{
    const bool control = (first & CONTROL) != 0;
    return (first & RESERVED) == 0 && is_known(first & OPCODE) && (second & MASKED) != 0 &&
           (!control || ((first & FIN) != 0 && (second & LENGTH) <= DPS_WEBSOCKET_CONTROL_MAX));
}

static size_t size_of_length(uint8_t length)
{
    if (length == LENGTH_IN_16_BITS) {
        return 2;
    }
    return length == LENGTH_IN_64_BITS ? 8 : 0;
}

/* The shortest form is the only one, and the highest bit of 64 is 0. */
static bool length_read(struct bytes_reader *r, uint8_t length, uint64_t *len)
{
    switch (length) {
    case LENGTH_IN_16_BITS:
        *len = bytes_read_u16(r);
        return *len >= LENGTH_IN_16_BITS;
    case LENGTH_IN_64_BITS:
        *len = bytes_read_u64(r);
        return *len > UINT16_MAX && *len <= INT64_MAX;
    default:
        *len = length;
        return true;
    }
}

int dps_websocket_header_read(struct bytes input, struct dps_websocket_frame *f)
{
    if (input.len < 2) {
        return BYTES_E_MORE;
    }
    const uint8_t first = input.p[0];
    const uint8_t second = input.p[1];
    if (!begins_well(first, second)) {
        return BYTES_E_FORMAT;
    }
    const size_t header_len = 2 + size_of_length(second & LENGTH) + sizeof f->mask;
    if (input.len < header_len) {
        return BYTES_E_MORE;
    }
    struct bytes_reader r = bytes_reader_over(bytes_of(input.p + 2, header_len - 2));
    const bool shortest = length_read(&r, second & LENGTH, &f->len);
    const struct bytes mask = bytes_read_bytes(&r, sizeof f->mask);
    memcpy(f->mask, mask.p, sizeof f->mask);
    f->opcode = first & OPCODE;
    f->last = (first & FIN) != 0;
    f->header_len = header_len;
    return shortest ? bytes_reader_end(&r) : BYTES_E_FORMAT;
}

void dps_websocket_unmask(const struct dps_websocket_frame *f, uint64_t at, uint8_t *data, size_t len)
{
    /*@ loop invariant 0 <= i <= len;
        loop assigns i, data[0 .. len - 1];
        loop variant len - i; */
    for (size_t i = 0; i < len; i++) {
        data[i] ^= f->mask[(at + i) % sizeof f->mask];
    }
}

void dps_websocket_header_write(struct bytes_writer *w, enum dps_websocket_opcode opcode, size_t len)
{
    bytes_write_u8(w, (uint8_t)(FIN | opcode));
    if (len < LENGTH_IN_16_BITS) {
        bytes_write_u8(w, (uint8_t)len);
    } else if (len <= UINT16_MAX) {
        bytes_write_u8(w, LENGTH_IN_16_BITS);
        bytes_write_u16(w, (uint16_t)len);
    } else {
        bytes_write_u8(w, LENGTH_IN_64_BITS);
        bytes_write_u64(w, len);
    }
}
