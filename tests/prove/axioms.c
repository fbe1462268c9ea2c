/* SPDX-License-Identifier: MIT */
/* Tries the facts of arithmetic in bytes.acsl and dps_text.acsl: all bytes, and numbers of all sizes. Returns the line
 * that fails. */
#include <stdint.h>

static int bytes_hold(void)
{
    for (uint32_t a = 0; a <= 0xFF; a++) {
        for (uint32_t b = 0; b <= 0xFF; b++) {
            if ((a ^ b) > 0xFF || ((a ^ b) == 0) != (a == b)) {
                return __LINE__;
            }
            if ((a | b) > 0xFF || ((a | b) == 0) != (a == 0 && b == 0)) {
                return __LINE__;
            }
        }
    }
    return 0;
}

static int numbers_hold(void)
{
    for (uint64_t v = 0; v < UINT64_C(1) << 31; v += v / 4 + 1) {
        if (v << 8 != 256 * v || v << 32 != UINT64_C(0x100000000) * v) {
            return __LINE__;
        }
    }
    for (uint64_t v = 0; v < UINT64_MAX / 5 * 4; v += v / 4 + 1) {
        if (v >> 8 != v / 256 || v >> 32 != v / UINT64_C(0x100000000)) {
            return __LINE__;
        }
        if ((v & 0xFF) != v % 256 || (v & 0xFFFFFFFF) != v % UINT64_C(0x100000000)) {
            return __LINE__;
        }
    }
    return 0;
}

/* Those of dps_text.acsl: masks, joins, shifts. */
static int masks_hold(void)
{
    for (uint64_t v = 0; v < UINT64_C(1) << 31; v = v * 5 / 4 + 1) {
        for (uint64_t m = 0; m < UINT64_C(1) << 31; m = m * 3 + 1) {
            if ((v & m) > m || (v | m) > v + m) {
                return __LINE__;
            }
        }
        for (unsigned n = 0; n <= 18; n++) {
            if (v << n > UINT64_C(0x40000) * v) {
                return __LINE__;
            }
        }
        if (v << 4 != 16 * v || v >> 4 != v / 16) {
            return __LINE__;
        }
    }
    return 0;
}

int main(void)
{
    const int lines[] = {bytes_hold(), numbers_hold(), masks_hold()};
    return lines[0] != 0 ? lines[0] : lines[1] != 0 ? lines[1] : lines[2];
}
