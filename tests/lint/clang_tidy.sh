#!/bin/sh
# SPDX-License-Identifier: MIT
# clang-tidy over every source of the product, one test per file; .clang-tidy says which checks and why.
# Usage: tests/lint/clang_tidy.sh BUILD    from the root of the tree
set -u
out=${1:-build}/lint/clang_tidy
rm -rf "$out"
mkdir -p "$out"

. tests/judge.sh
judge clang-tidy 14
# Tools and tests walk nested tables, with bounded depth. Tests may also read twice in one CHECK, copy what they know to
# fit, fill buffers behind the analyzer's back, run commands, and declare what no header offers.
tools=-misc-no-recursion
tests=$tools,-misc-redundant-expression,-cert-err34-c,-bugprone-implicit-widening-of-multiplication-result
tests=$tests,-readability-redundant-declaration,-clang-analyzer-security.insecureAPI.strcpy
tests=$tests,-clang-analyzer-optin.performance.Padding,-clang-analyzer-core.uninitialized.Assign
tests=$tests,-cert-env33-c
# Where libpq's header is.
database=$(pkg-config --cflags libpq 2>/dev/null || echo -I/usr/include/postgresql)
# A board's registers are numbers. Its compiler is not at hand here, but its headers are; its .mk names the processor.
boards=-performance-no-int-to-ptr
bare="-ffreestanding -isystem port/bare/libc"
for folder in /usr/include /usr/include/bearssl; do
    [ ! -f "$folder/bearssl.h" ] || bare="$bare -idirafter $folder"
done
export tool out tools tests database boards bare

# The largest first, so that the last ones to end are short. TIDY=tests: the tests instead.
if [ "${TIDY:-product}" = tests ]; then
    files=$(find tests -name '*.c' ! -path 'tests/cross/*' ! -path 'tests/firmware/*' ! -path 'tests/amalgamation/*' \
        ! -path 'tests/lab/libc/*' -exec ls -S {} +)
else
    files=$(find crypto tpm dps port -name '*.c' -exec ls -S {} +)
fi
# shellcheck disable=SC2016 # expanded by the inner shell
printf '%s\n' "$files" | xargs -P "$(nproc)" -n 1 sh -c '
    board=$(sed -n "s/^FIRMWARE_TARGET_.* = //p" "${1%/*}"/*.mk 2>/dev/null)
    target=-D_GNU_SOURCE
    case $1 in
    tests/openssl/*|tests/*_openssl.c) checks=--checks=$tests target="-Iport/openssl $target" ;;
    port/openssl/*) checks= target="-Iport/openssl $target" ;;
    tests/*) checks=--checks=$tests ;;
    tpm/tools/*|port/posix/*) checks=--checks=$tools ;;
    *) checks= ;;
    esac
    if [ -n "$board" ]; then
        checks=--checks=$boards
        target="--target=$board $bare"
    fi
    report=$out/$(echo "$1" | tr / _)
    if "$tool" --quiet $checks "$1" -- -std=c11 $target -I. $database >"$report" 2>"$report.log"; then
        rm -f "$report"
    elif [ ! -s "$report" ]; then
        mv "$report.log" "$report"
    fi' sh

count=0
failed=0
echo "1..$(printf '%s\n' "$files" | wc -l)"
for file in $files; do
    count=$((count + 1))
    report=$out/$(echo "$file" | tr / _)
    if [ -e "$report" ]; then
        failed=1
        echo "not ok $count - clang-tidy $file"
        sed 's/^/# /' "$report"
    else
        echo "ok $count - clang-tidy $file"
    fi
done
exit $failed
