#!/bin/sh
# SPDX-License-Identifier: MIT
# The Cortex-M3 refuses unaligned access and a stack that is too small, and the image says so on the console.
# Usage: tests/firmware/faults_test.sh BUILD
set -u
build=${1:-build}
console=$(mktemp)
trap 'rm -f "$console"' EXIT
count=0
failed=0

# Exit status 70, and these words on the console.
fault() {
    count=$((count + 1))
    timeout 600 qemu-system-arm -M lm3s6965evb -nic none -display none -monitor none -serial "file:$console" \
        -serial null -serial null -semihosting-config "enable=on,target=native,arg=fault,arg=$1" \
        -kernel "$build/firmware/lm3s6965evb-faults.elf" </dev/null 2>/dev/null
    status=$?
    if [ $status = 70 ] && grep -q "$2" "$console"; then
        echo "ok $count - $1"
    else
        echo "not ok $count - $1: exit status $status"
        sed 's/^/# /' "$console"
        failed=1
    fi
}

echo 1..3
fault unaligned 'Fault: CFSR 0x01000000'
grep -q ' pc 0x0000' "$console" && echo "ok 2 - registers" || { echo "not ok 2 - registers"; failed=1; }
count=2
fault stack 'the stack is too small'
exit $failed
