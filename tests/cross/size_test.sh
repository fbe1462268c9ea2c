#!/bin/sh
# SPDX-License-Identifier: MIT
# How large the portable sources are on the smallest processors, without a C library: text of each module, and no global
# variables. Compiled only: there is no such board here to run them. A program links less than a whole module;
# tests/size says how much, for the Cortex-M3.
# Usage: tests/cross/size_test.sh BUILD    from the root of the tree; needs BearSSL's source in BUILD/bearssl
set -u
build=${1:-build}
here=$build/cross/size
rm -rf "$here"
count=0
failed=0

# The .text, .data and .bss of all objects of a module; false if there are variables or a file does not compile.
measure() {
    target=$1 module=$2
    shift 2
    for file in "$@"; do
        mkdir -p "$here/$target/$module"
        # shellcheck disable=SC2086 # a list of options
        $compiler -std=c11 -Os -ffreestanding -nostdinc -isystem tests/cross/freestanding/include \
            -isystem port/bare/libc -isystem "$build/bearssl/src/inc" -I. -Wall -Wextra -Wpedantic -Werror -c \
            -o "$here/$target/$module/$(basename "$file" .c).o" "$file" || return 1
    done
    "${compiler%%gcc*}size" "$here/$target/$module"/*.o | awk -v module="$module" '
        NR > 1 { text += $1; data += $2; bss += $3 }
        END {
            printf "%s: %d bytes of text, %d data, %d bss\n", module, text, data, bss
            exit data + bss > 0 || text == 0
        }'
}

# module NAME FILE...: one line of TAP with the figures.
module() {
    count=$((count + 1))
    if figures=$(measure "$target" "$@" 2>"$here.log"); then
        echo "ok $count - $target, $figures"
    else
        failed=1
        echo "not ok $count - $target, ${figures:-$1 does not compile}"
        sed 's/^/# /' "$here.log"
    fi
}

modules() {
    target=$1
    module bytes crypto/bytes/*.c
    module crypto crypto/crypto_bearssl.c crypto/rsa_compact.c crypto/kdf.c
    module tls crypto/tls*.c crypto/certificate.c crypto/der.c
    module tpm tpm/*.c
    module tools tpm/tools/*.c
    module protocol dps/protocol/*.c
    module device dps/device/*.c
    module service dps/service/*.c
    module manage dps/manage/*.c
    module port port/*.c port/none/*.c
    module tis port/tis/*.c
    count=$((count + 1))
    ok=ok
    for file in $(find crypto tpm dps -name '*.c') port/*.c; do
        set -- "$here/$target"/*/"$(basename "$file" .c).o" # several folders may have a file of this name
        [ -e "$1" ] || { ok="not ok"; echo "# $file is in none"; }
    done
    [ "$ok" = ok ] || failed=1
    echo "$ok $count - $target, every file is in a module"
}

mkdir -p "$here"
echo 1..24
compiler="arm-none-eabi-gcc -mcpu=cortex-m0plus -mthumb"
modules cortex-m0plus
compiler="riscv64-unknown-elf-gcc -march=rv32imac -mabi=ilp32"
modules riscv32
exit $failed
