/* SPDX-License-Identifier: MIT */
/* The headers of an HTTP answer that a device goes by. Internal to dps/device/. */
#ifndef DPS_DEVICE_HEADERS_H
#define DPS_DEVICE_HEADERS_H

#include "dps/device/state.h"

/* Date and Retry-After of the answer in d->net. */
void dps_headers_keep(struct dps_device *d);
/* Is the answer "later"? Then d->wait_ms says when. */
bool dps_headers_ask_again(struct dps_device *d);

#endif
