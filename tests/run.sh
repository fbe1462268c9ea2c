#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs one test for prove: programs as they are, scripts with the build directory. A test that hangs is a failed test.
set -u
limit=${TEST_TIMEOUT:-300}
case $1 in
*.py) exec timeout "$limit" /usr/bin/python3 "$1" "$BUILD" ;;
*.sh) exec timeout "$limit" sh "$1" "$BUILD" ;;
*) exec timeout "$limit" "$1" ;;
esac
