#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs one test for prove: programs as they are, scripts with the build directory; Python's by the harness. Words after
# it choose among the tests of a Python script. The time is for a machine that is busy with other things; it is there
# to find what hangs.
set -u
watch="/usr/bin/python3 tests/watch.py ${TEST_TIMEOUT:-1800}"
test=$1
shift
case $test in
*.py) exec $watch /usr/bin/python3 tests/tap.py "$test" "$BUILD" "$@" ;;
*.sh) exec $watch sh "$test" "$BUILD" ;;
*) exec $watch "$test" ;;
esac
