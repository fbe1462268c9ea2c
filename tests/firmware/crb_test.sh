#!/bin/sh
# SPDX-License-Identifier: MIT
# port/tis/crb.c in QEMU. Usage: tests/firmware/crb_test.sh BUILD
exec /usr/bin/python3 tests/tap.py tests/firmware/crb_test.py "${1:-build}"
