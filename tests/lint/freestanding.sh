#!/bin/sh
# SPDX-License-Identifier: MIT
# The portable sources compile without an operating system and without a C library: with -ffreestanding -nostdinc, four
# headers of our own (tests/cross/freestanding/include and port/bare/libc) and BearSSL's. Five processors of 32 and 64
# bits, one of them big-endian, by clang and gcc.
# Usage: tests/lint/freestanding.sh BUILD    from the root of the tree
set -u
here=${1:-build}/lint/freestanding
rm -rf "$here"
mkdir -p "$here"
# BearSSL's headers are free of a system too; its folder is not searched, since it is the host's.
for header in $(echo '#include <bearssl.h>' | cc -E -M - | grep -o '[^ ]*/bearssl[^/ ]*\.h'); do
    cp "$header" "$here/"
done

warn="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wvla -Wcast-align -Wstrict-prototypes -Wmissing-prototypes"
count=0
failed=0

# compiles NAME COMPILER...: one line of TAP.
compiles() {
    name=$1
    shift
    count=$((count + 1))
    log=$here/$count.log
    ok=ok
    for file in $(find crypto tpm dps -name '*.c') port/*.c port/none/*.c port/tis/*.c port/bare/*.c; do
        # shellcheck disable=SC2086 # a list of options
        "$@" -std=c11 -Os -ffreestanding -nostdinc -isystem tests/cross/freestanding/include -isystem port/bare/libc \
            -isystem "$here" -I. $warn -Werror -fsyntax-only "$file" 2>>"$log" || ok="not ok"
    done
    echo "$ok $count - the portable sources compile for $name"
    if [ "$ok" != ok ]; then
        failed=1
        grep -E 'error|warning|not found' "$log" | head -20 | sed 's/^/# /'
    fi
}

echo "1..6"
for target in thumbv7m-none-eabi armebv7r-none-eabi riscv32-unknown-elf riscv64-unknown-elf; do
    compiles "$target (clang)" clang --target=$target
done
compiles "cortex-m0plus (gcc)" arm-none-eabi-gcc -mcpu=cortex-m0plus -mthumb
compiles "this machine (gcc)" "${CC:-gcc}"
exit $failed
