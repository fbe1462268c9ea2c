#!/bin/sh
# SPDX-License-Identifier: MIT
# The Cortex-A15 refuses unaligned access, a stack that is too small, and instructions that do not exist, and the image
# says so on the console. Usage: tests/firmware/virt_a15_faults_test.sh BUILD
set -u
build=${1:-build}
console=$(mktemp)
trap 'rm -f "$console"' EXIT
count=0
failed=0

# Exit status 70, and these words on the console.
fault() {
    count=$((count + 1))
    timeout 600 qemu-system-arm -M virt,secure=on -cpu cortex-a15 -nic none -display none -monitor none \
        -serial "file:$console" -serial null -semihosting-config "enable=on,target=native,arg=fault,arg=$1" \
        -kernel "$build/firmware/virt-a15-faults.elf" </dev/null 2>/dev/null
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
fault unaligned 'Fault: data access at 0x402.*, status 0x00000001'
fault stack 'the stack is too small'
fault instruction 'Fault: undefined instruction at 0x402'
exit $failed
