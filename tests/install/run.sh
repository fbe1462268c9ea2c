#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs one test for prove: dps-device that was built with musl against a service and a TPM of this machine, all else as
# tests/run.sh does.
set -u
case $1 in
*/musl/dps-device)
    export DPS_DEVICE="$1" DPS_DEVICE_TPM=swtpm-tcp
    exec tests/run.sh tests/cross/device.py ;;
*) exec tests/run.sh "$1" ;;
esac
