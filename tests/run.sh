#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs one test for prove: programs as they are, scripts with the build directory. The time is for a machine that is
# busy with other things; it is there to find what hangs.
set -u
watch="/usr/bin/python3 tests/watch.py ${TEST_TIMEOUT:-1800}"
case $1 in
*.py) exec $watch /usr/bin/python3 "$1" "$BUILD" ;;
*.sh) exec $watch sh "$1" "$BUILD" ;;
*) exec $watch "$1" ;;
esac
