#!/bin/sh
# SPDX-License-Identifier: MIT
# Linux above a TPM with the CRB interface. Usage: tests/kernel/crb_test.sh BUILD
exec /usr/bin/python3 tests/tap.py tests/kernel/kernel_test.py "${1:-build}" crb:
