#!/bin/sh
# SPDX-License-Identifier: MIT
# The story of a device in the field, on this board. Usage: tests/firmware/virt-riscv32_test.sh BUILD
exec /usr/bin/python3 tests/tap.py tests/firmware/board_test.py "${1:-build}" virt-riscv32
