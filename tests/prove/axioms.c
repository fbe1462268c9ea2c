/* SPDX-License-Identifier: MIT */
/* Tries the facts of arithmetic in bytes.acsl: all bytes, and numbers of all sizes. Returns the line that fails. */
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
    for (uint64_t v = 0; v < UINT64_C(1) << 31; v = v * 5 / 4 + 1) {
        if (v << 8 != 256 * v || v << 32 != UINT64_C(0x100000000) * v) {
            return __LINE__;
        }
        if ((v & 0xFF) > 0xFF || (v & 0xFFFFFFFF) > 0xFFFFFFFF) {
            return __LINE__;
        }
    }
    return 0;
}

int main(void)
{
    const int line = bytes_hold();
    return line != 0 ? line : numbers_hold();
}
