/* SPDX-License-Identifier: MIT */
/* A run's random numbers. Internal to dps/device/. */
#ifndef DPS_DEVICE_DRAW_H
#define DPS_DEVICE_DRAW_H

#include "dps/device/state.h"

/* 32 bytes that no other call gives: nonces, the salt of a session, jitter. All follow from the run's seed. */
void dps_draw(struct dps_device *d, uint8_t out[CRYPTO_SHA256_SIZE]);
/* No more: each salt follows from the seed, and from that all that the sessions have hidden. */
void dps_draw_end(struct dps_device *d);

#endif
