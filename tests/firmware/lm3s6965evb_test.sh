#!/bin/sh
# SPDX-License-Identifier: MIT
# The story of a device in the field, on this board. Usage: tests/firmware/lm3s6965evb_test.sh BUILD
exec /usr/bin/python3 tests/tap.py tests/firmware/board_test.py "${1:-build}" lm3s6965evb
