/* SPDX-License-Identifier: MIT */
/* What an image was built for: `make firmware` writes it from its FIRMWARE_ variables (tests/firmware/firmware.mk). */
#ifndef PORT_BARE_IMAGE_H
#define PORT_BARE_IMAGE_H

#include "port/bare/bare.h"

/* Members of port_bare_board. */
struct port_bare_image {
    struct dps_device_config config;
    struct bytes trust_pem;
    int (*send)(struct port_bare_run *run);
};
extern const struct port_bare_image port_bare_image;

#endif
