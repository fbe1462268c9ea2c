#!/bin/sh
# SPDX-License-Identifier: MIT
# The portable sources compile for machines without an operating system and without a C library: a Cortex-M3, a
# big-endian Cortex-R5 and a 64-bit RISC-V, with nothing but the compiler's own headers and the few functions of
# string.h that structure.py allows.
# Usage: tests/lint/freestanding.sh BUILD    from the root of the tree
set -u
here=${1:-build}/lint/freestanding
rm -rf "$here"
mkdir -p "$here"
if ! command -v clang >/dev/null; then
    echo "1..1"
    echo "not ok 1 - clang is installed"
    exit 1
fi
cat >"$here/string.h" <<'END'
#include <stddef.h>
void *memchr(const void *s, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *s, int c, size_t n);
char *strchr(const char *s, int c);
int strcmp(const char *a, const char *b);
size_t strlen(const char *s);
END
# BearSSL's headers are free of a system too; its folder is not searched, since it is the host's.
for header in $(echo '#include <bearssl.h>' | cc -E -M - | grep -o '[^ ]*/bearssl[^/ ]*\.h'); do
    cp "$header" "$here/"
done

warn="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wvla -Wcast-align -Wstrict-prototypes -Wmissing-prototypes"
count=0
failed=0
echo "1..3"
for target in thumbv7m-none-eabi armebv7r-none-eabi riscv64-unknown-elf; do
    count=$((count + 1))
    ok=ok
    for file in crypto/*.c tpm/*.c dps/*.c port/*.c port/none/*.c port/tis/*.c; do
        # shellcheck disable=SC2086 # a list of options
        clang --target=$target -std=c11 -Os -ffreestanding -nostdlibinc -isystem "$here" -I. $warn -Werror \
            -fsyntax-only "$file" 2>>"$here/$target" || ok="not ok"
    done
    echo "$ok $count - the portable sources compile for $target"
    if [ "$ok" != ok ]; then
        failed=1
        grep -E 'error|warning' "$here/$target" | head -20 | sed 's/^/# /'
    fi
done
exit $failed
