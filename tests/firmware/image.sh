#!/bin/sh
# SPDX-License-Identifier: MIT
# Writes the C source of what an image is for: the FIRMWARE_ variables, and the trust anchors. Usage: image.sh CA
# The file may be PEM, with any text around it, or DER.
set -eu
if grep -q -e '-----BEGIN ' "$1"; then
    certificates=$(sed -n '/-----BEGIN \(X509 \)*CERTIFICATE-----/,/-----END /p' "$1" | tr -d '\r')
else
    certificates=$(openssl x509 -inform DER -in "$1" 2>/dev/null) || certificates=
fi
if [ -z "$certificates" ]; then
    echo "$1 holds no certificate: FIRMWARE_CA must be the CA of the service, in PEM or DER" >&2
    exit 1
fi
# As a C string; characters that C reads differently are escaped.
string() {
    printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"
}
id=NULL
[ -z "$FIRMWARE_ID" ] || id=$(string "$FIRMWARE_ID")
send=NULL
[ -z "${FIRMWARE_HUB_MQTT_PORT:-}" ] || send=port_bare_send_mqtt
cat <<END
/* SPDX-License-Identifier: MIT */
/* Made by $0. */
#include "port/bare/image.h"

static const char message[] = $(string "$FIRMWARE_MESSAGE");
static const char trust_pem[] =
$(printf '%s\n' "$certificates" | sed 's/.*/    "&\\n"/');

const struct port_bare_image port_bare_image = {
    .config = {.service_host = $(string "$FIRMWARE_SERVICE_HOST"),
               .service_port = $FIRMWARE_SERVICE_PORT,
               .hub_port = $FIRMWARE_HUB_PORT,
               .hub_mqtt_port = ${FIRMWARE_HUB_MQTT_PORT:-0},
               .id_scope = $(string "$FIRMWARE_SCOPE"),
               .registration_id = $id,
               .data = {(const uint8_t *)message, sizeof message - 1}},
    .trust_pem = {(const uint8_t *)trust_pem, sizeof trust_pem - 1},
    .send = $send,
};
END
