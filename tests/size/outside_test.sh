#!/bin/sh
# SPDX-License-Identifier: MIT
# What tests/size/calls.txt says about BearSSL's stack, against a call graph of its source, which `make check-stack` has
# fetched into BUILD/bearssl/src. Usage: tests/size/outside_test.sh BUILD
set -eu
build=${1:-build}
out=$(pwd)/$build/size/bearssl
case $build in /*) out=$build/size/bearssl ;; esac
libc=$(pwd)/port/bare/libc
mkdir -p "$out"
(
    cd "$build/bearssl/src"
    for file in src/hash/sha2small.c src/codec/dec32be.c src/codec/enc32be.c; do
        arm-none-eabi-gcc -Os -mcpu=cortex-m3 -mthumb -ffunction-sections -fdata-sections -ffreestanding -fbuiltin \
            -DBR_USE_UNIX_TIME=0 -isystem "$libc" -Iinc -Isrc -fcallgraph-info=su \
            -c "$file" -o "$out/$(basename "$file" .c).o"
    done
)
exec python3 -B tests/size/stack.py "$build" --outside "$out"
