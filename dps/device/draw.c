/* SPDX-License-Identifier: MIT */
#include "dps/device/draw.h"

/* SHA-256 of a secret of this length and a number is as good as random to whoever has not the secret. */
void dps_draw(struct dps_device *d, uint8_t out[CRYPTO_SHA256_SIZE])
{
    uint8_t number[4];
    struct bytes_writer w = bytes_writer_over(number, sizeof number);
    bytes_write_u32(&w, d->draws++);
    crypto_sha256((const struct bytes[]){bytes_of(d->seed, sizeof d->seed), bytes_written(&w)}, 2, out);
}

void dps_draw_end(struct dps_device *d)
{
    bytes_wipe(d->seed, sizeof d->seed);
}
