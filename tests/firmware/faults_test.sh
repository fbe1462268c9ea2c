#!/bin/sh
# SPDX-License-Identifier: MIT
# The boards' processors refuse unaligned access (RISC-V's emulator does not), a stack that is too small, and
# instructions that do not exist, and the image says so on the console. Usage: tests/firmware/faults_test.sh BUILD
set -u
build=${1:-build}
console=$(mktemp)
trap 'rm -f "$console"' EXIT
count=0
failed=0

# Board, what it does, the words on the console, the machine; exit status 70.
fault() {
    count=$((count + 1))
    board=$1 how=$2 words=$3
    shift 3
    : >"$console"
    timeout 600 "$@" -nic none -display none -monitor none -chardev "file,id=console,path=$console" \
        -semihosting-config "enable=on,target=native,${debugger}arg=fault,arg=$how" \
        $load "$build/firmware/$board-faults.elf" </dev/null 2>/dev/null
    status=$?
    if [ $status = 70 ] && grep -q "$words" "$console"; then
        echo "ok $count - $board: $how"
    else
        echo "not ok $count - $board: $how: exit status $status"
        sed 's/^/# /' "$console"
        failed=1
    fi
}
load=-kernel debugger=
m3() {
    fault lm3s6965evb "$1" "$2" qemu-system-arm -M lm3s6965evb -serial chardev:console
}
a15() {
    fault virt-a15 "$1" "$2" qemu-system-arm -M virt,secure=on -cpu cortex-a15 -serial chardev:console
}
riscv() {
    load=-bios debugger=chardev=console, # see board_test.py
    fault virt-riscv32 "$1" "$2" qemu-system-riscv32 -M virt -serial null
}

echo 1..9
m3 unaligned 'Fault: CFSR 0x01000000'
count=$((count + 1))
if grep -q ' pc 0x0000' "$console"; then
    echo "ok $count - lm3s6965evb: registers"
else
    echo "not ok $count - lm3s6965evb: registers"
    failed=1
fi
m3 stack 'the stack is too small'
m3 instruction 'Fault: CFSR 0x00010000'
a15 unaligned 'Fault: data access at 0x402.*, status 0x00000001'
a15 stack 'the stack is too small'
a15 instruction 'Fault: undefined instruction at 0x402'
riscv stack 'Fault: store at .*: the stack is too small'
riscv instruction 'Fault: undefined instruction at 0x800'
exit $failed
