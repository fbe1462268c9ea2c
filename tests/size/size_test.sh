#!/bin/sh
# SPDX-License-Identifier: MIT
# The size and stack tables of port/PORTING.md say what is true. Usage: tests/size/size_test.sh BUILD
# IMAGES=yes: those of the boards too, whose images and tests in BUILD/firmware must be of this tree.
set -u
build=${1:-build}/size_test
mkdir -p "$build"
rm -f "$build/firmware"
if [ "${IMAGES:-no}" = yes ]; then
    ln -s "$(cd "${1:-build}" && pwd)/firmware" "$build/firmware"
fi
status=0
echo "1..4"
python3 -B tests/size/size.py "$build" --check || status=1
python3 -B tests/size/stack.py "$build" --check || status=1
exit $status
