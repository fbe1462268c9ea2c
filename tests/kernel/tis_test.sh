#!/bin/sh
# SPDX-License-Identifier: MIT
# Linux above a TPM with the TIS interface. Usage: tests/kernel/tis_test.sh BUILD
exec /usr/bin/python3 tests/tap.py tests/kernel/kernel_test.py "${1:-build}" tis:
