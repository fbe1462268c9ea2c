#!/bin/sh
# SPDX-License-Identifier: MIT
# A board made of what port/PORTING.md shows. Usage: tests/firmware/new_board_test.sh BUILD
exec /usr/bin/python3 tests/tap.py tests/firmware/new_board_test.py "${1:-build}"
