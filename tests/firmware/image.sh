#!/bin/sh
# SPDX-License-Identifier: MIT
# Writes the C source of what an image is for: the FIRMWARE_ variables, and the trust anchor. Usage: image.sh CA.pem
set -eu
# As a C string; what C reads differently is escaped.
string() {
    printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"
}
id=NULL
[ -z "$FIRMWARE_ID" ] || id=$(string "$FIRMWARE_ID")
cat <<END
/* SPDX-License-Identifier: MIT */
/* Made by $0. */
#include "port/bare/image.h"
#include <stddef.h>

const struct port_bare_image port_bare_image = {
    .service_host = $(string "$FIRMWARE_SERVICE_HOST"),
    .service_port = $FIRMWARE_SERVICE_PORT,
    .hub_port = $FIRMWARE_HUB_PORT,
    .id_scope = $(string "$FIRMWARE_SCOPE"),
    .registration_id = $id,
    .message = $(string "$FIRMWARE_MESSAGE"),
    .trust_pem =
$(sed -n '/-BEGIN CERT/,/-END CERT/{s/\r$//;s/.*/        "&\\n"/;p}' "$1"),
};
END
