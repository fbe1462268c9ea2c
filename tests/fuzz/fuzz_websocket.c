/* SPDX-License-Identifier: MIT */
/* A frame of WebSocket: in pieces as whole; a header that is accepted is the only one of its frame; the mask is its own
 * inverse, wherever it is cut. Input: one byte that says where; the bytes of a client. */
#include "dps/protocol/websocket.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

/* The header as a client would write it, from what was read. */
static void write_masked(struct bytes_writer *w, const struct dps_websocket_frame *f)
{
    const size_t begin = w->len;
    dps_websocket_header_write(w, (enum dps_websocket_opcode)f->opcode, (size_t)f->len);
    w->p[begin] = (uint8_t)((w->p[begin] & 0x7F) | (f->last ? 0x80 : 0));
    w->p[begin + 1] |= 0x80;
    bytes_write_bytes(w, bytes_of(f->mask, sizeof f->mask));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes bytes = bytes_of(data, size);
    const size_t cut_at = fuzz_byte(&bytes);
    struct dps_websocket_frame f, again;
    const int result = dps_websocket_header_read(bytes, &f);
    for (size_t len = 0; len < bytes.len; len++) {
        uint8_t *begin = fuzz_copy(bytes_of(bytes.p, len));
        const int partly = dps_websocket_header_read(bytes_of(begin, len), &again);
        HOLDS(partly == BYTES_E_MORE || partly == result);
        HOLDS(partly != 0 || len >= f.header_len);
        free(begin);
    }
    if (result != 0) {
        HOLDS(result == BYTES_E_FORMAT || (result == BYTES_E_MORE && bytes.len < DPS_WEBSOCKET_HEADER_MAX));
        return 0;
    }
    uint8_t header[DPS_WEBSOCKET_HEADER_MAX];
    struct bytes_writer w = bytes_writer_over(header, sizeof header);
    write_masked(&w, &f);
    HOLDS(bytes_equal_public(bytes_written(&w), bytes_of(bytes.p, f.header_len)));
    HOLDS(!dps_websocket_is_control(&f) || (f.last && f.len <= DPS_WEBSOCKET_CONTROL_MAX));

    const size_t len = bytes.len - f.header_len;
    const size_t cut = cut_at < len ? cut_at : len;
    const struct bytes content = bytes_of(bytes.p + f.header_len, len);
    uint8_t *copy = fuzz_copy(content);
    dps_websocket_unmask(&f, 0, copy, len);
    dps_websocket_unmask(&f, 0, copy, cut);
    dps_websocket_unmask(&f, cut, copy + cut, len - cut);
    HOLDS(bytes_equal_public(bytes_of(copy, len), content));
    free(copy);
    return 0;
}
