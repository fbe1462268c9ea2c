/* SPDX-License-Identifier: MIT */
/* What people paste: text to bytes, block by block of a log, packet by packet of a capture. It ends, stays within its
 * buffers, and views nothing but its input.
 * Input: one byte, which of them; the bytes. */
#include "port/posix/paste/capture.h"
#include "port/posix/paste/paste.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

static void check_bytes(struct bytes text, size_t room)
{
    uint8_t *out = malloc(room + 1);
    const char *form = NULL;
    size_t len = 1;
    HOLDS(out != NULL);
    const int error = paste_bytes(text, out, room, &len, &form);
    HOLDS(error == 0 || error == BYTES_E_FORMAT || error == BYTES_E_SPACE);
    HOLDS(error == 0 ? len > 0 && len <= room && form[0] != 0 : len == 0);
    free(out);
}

static void check_dumps(struct bytes text, size_t room)
{
    uint8_t *out = malloc(room + 1);
    struct paste_dump d = {.rest = text};
    size_t len, left = text.len + 1;
    int error;
    HOLDS(out != NULL);
    while ((error = paste_dump_next(&d, out, room, &len)) != BYTES_E_NOT_FOUND) {
        HOLDS(error == 0 ? len <= room : len == 0);
        HOLDS(d.rest.len < left && fuzz_views(d.rest, text) && fuzz_views(d.label, text));
        left = d.rest.len;
    }
    free(out);
}

static void check_encoding(struct bytes input)
{
    const size_t room = input.len / 2 * 3 + 1;
    uint8_t *out = malloc(room);
    enum paste_encoding encoding;
    HOLDS(out != NULL);
    const struct bytes text = paste_utf8(input, out, room, &encoding);
    HOLDS(text.len <= room && paste_encoding_name(encoding) != NULL);
    if (encoding == PASTE_UTF16_LE || encoding == PASTE_UTF16_BE) {
        size_t mark;
        (void)paste_encoding_of(input, &mark);
        HOLDS(paste_utf16_len(text) <= input.len - mark && paste_utf16_len(text) + 4 > input.len - mark);
    }
    free(out);
}

static void check_capture(struct bytes file)
{
    struct capture c;
    struct capture_packet packet;
    size_t left = file.len + 1;
    (void)capture_packet_of(file, &packet);
    HOLDS(fuzz_views(packet.payload, file));
    if (!capture_open(&c, file)) {
        return;
    }
    while (capture_next(&c, &packet) == 0) {
        HOLDS(fuzz_views(packet.payload, file) && c.rest.len < left);
        left = c.rest.len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_of(data, size);
    const uint8_t what = fuzz_byte(&input) % 4;
    uint8_t *copy = fuzz_copy(input);
    const struct bytes exact = bytes_of(copy, input.len);
    switch (what) {
    case 0:
        check_bytes(exact, 4096);
        check_bytes(exact, 5);
        break;
    case 1:
        check_dumps(exact, 4096);
        check_dumps(exact, 5);
        break;
    case 2:
        check_encoding(exact);
        break;
    default:
        check_capture(exact);
        break;
    }
    free(copy);
    return 0;
}
