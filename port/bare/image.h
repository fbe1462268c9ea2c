/* SPDX-License-Identifier: MIT */
/* What an image was built for: `make firmware` writes it from its FIRMWARE_ variables (tests/firmware/firmware.mk). */
#ifndef PORT_BARE_IMAGE_H
#define PORT_BARE_IMAGE_H

#include <stdint.h>

struct port_bare_image {
    const char *service_host;
    uint16_t service_port, hub_port;
    const char *id_scope;
    const char *registration_id; /* null: made of the EK */
    const char *message;         /* telemetry */
    const char *trust_pem;
};
extern const struct port_bare_image port_bare_image;

#endif
