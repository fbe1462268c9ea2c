#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs one test for prove: a program built for another processor (.../cross/PREFIX/...) by the qemu-user of that
# processor or by simavr, dps-device against a service and a TPM of this machine, scripts as tests/run.sh does.
set -u
case $1 in
*/cross/s390x-linux-gnu/*) qemu="qemu-s390x-static" ;;
*/cross/powerpc-linux-gnu/*) qemu="qemu-ppc-static" ;;
*/cross/arm-linux-gnueabihf/*) qemu="qemu-arm-static" ;;
*/cross/riscv64-linux-gnu/*) qemu="qemu-riscv64-static" ;;
*/cross/i686-linux-gnu/*) [ "$(uname -m)" = x86_64 ] && qemu="/usr/bin/env" || qemu="qemu-i386-static" ;;
*/cross/avr/*) qemu="$BUILD/cross/avr/run" ;;
*) exec tests/run.sh "$1" ;;
esac
watch="/usr/bin/python3 tests/watch.py ${TEST_TIMEOUT:-1800}"
case $1 in
*/dps-device)
    export DPS_DEVICE="$qemu $1" DPS_DEVICE_TPM=swtpm-tcp
    exec $watch /usr/bin/python3 tests/tap.py tests/cross/device.py "$BUILD" ;;
*) exec $watch "$qemu" "$1" ;;
esac
