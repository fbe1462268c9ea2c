#!/bin/sh
# SPDX-License-Identifier: MIT
# BUILD/tpm-dps.c and .h compile by themselves, need only BearSSL and string.h, and make a dps-device that works.
# Usage: tests/amalgamation/amalgamation_test.sh BUILD    from the root of the tree; needs make all amalgamation
# shellcheck disable=SC2317 # called through report
set -u
build=${1:-build}
here=$build/amalgamation
rm -rf "$here"
mkdir -p "$here"
count=0
failed=0

# report TEXT COMMAND...: one line of TAP; what the command said if it failed.
report() {
    text=$1
    shift
    count=$((count + 1))
    if ("$@") >"$here/said" 2>&1; then
        echo "ok $count - $text"
    else
        failed=1
        head -40 "$here/said" | sed 's/^/# /'
        echo "not ok $count - $text"
    fi
}

alone="-std=c11 -Wall -Wextra -Wpedantic -Werror"
# compile CC OPTION...: in a folder with nothing but the two files.
compile() {
    # shellcheck disable=SC2086 # a list of options
    (cd "$here/alone" && "$@" $alone -c -o tpm-dps.o tpm-dps.c)
}

needs_only_bearssl_and_string_h() {
    nm -u "$here/alone/tpm-dps.o" | grep -vE ' U (br_\w+|mem(chr|cmp|cpy|move|set)|str(chr|cmp|len))$'
    [ $? = 1 ] && size "$here/alone/tpm-dps.o" | awk 'NR == 2 && ($2 || $3) { print ".data", $2, ".bss", $3; exit 1 }'
}

is_cpp() {
    warn="-Wall -Wextra -Wpedantic -Werror"
    # shellcheck disable=SC2086 # a list of options
    cat >"$here/user.cpp" <<'EOF' && clang++ -std=c++17 $warn -I"$build" -fsyntax-only "$here/user.cpp"
#include "tpm-dps.h"
bool wants_tpm(const struct dps_device *d);
bool wants_tpm(const struct dps_device *d)
{
    return dps_device_want(d) == DPS_WANT_TPM && bytes_of_text("").len == 0;
}
EOF
}

# Whoever includes one of the headers gets tpm-dps.h.
forward_headers() {
    grep -oE '^/\* =+ [a-z0-9_/]+\.h \*/$' "$build/tpm-dps.h" | awk '{ print $3 }' | while read -r header; do
        mkdir -p "$here/forward/${header%/*}"
        printf '#include "tpm-dps.h"\n' >"$here/forward/$header"
    done
}

compile_device() {
    mkdir -p "$here/obj"
    for file in port/posix/device/*.c; do
        "${CC:-cc}" -std=c11 -D_GNU_SOURCE -O1 -ffunction-sections -I"$here/forward" -I"$build" -I. -c \
            -o "$here/obj/$(basename "$file" .c).o" "$file" || return 1
    done
}

# What the two files do not have comes from the library, with what it needs itself: the names differ by their prefix.
link_device() {
    "${CC:-cc}" -Wl,--gc-sections -Wl,-Map="$here/map" -o "$here/dps-device" "$here"/obj/*.o "$here/alone/tpm-dps.o" \
        "$build/libtpmdps-posix.a" "$build/libtpmdps.a" -lbearssl -ltpms
}

# Two files that use the same names for different things, apart and as one.
keeps_names_apart() {
    tool=$PWD/tests/amalgamation/amalgamate.py
    mkdir -p "$here/names/x"
    cp LICENSE VERSION "$here/names/"
    cd "$here/names" || return 1
    cat >x/both.h <<'EOF'
#ifndef X_BOTH_H
#define X_BOTH_H
int first(int value);
int second(int value);
enum shared { SHARED = 3 };
#endif
EOF
    cat >x/first.c <<'EOF'
#include "x/both.h"
#define LIMIT 4
struct row { int value; };
enum kind { ONE = 1, TWO = LIMIT };
typedef int (*step)(int);
static int help(int value) { return value + ONE; }
static int (*const table[])(int) = {help};
static const struct row rows[2] = {{.value = LIMIT}, {TWO}};
int first(int value) { step go = table[0]; return go(value) + rows[1].value; }
EOF
    sed 's/first(/second(/; s/LIMIT 4/LIMIT 40 + SHARED/; s/ONE = 1/ONE = 100/' x/first.c >x/second.c
    cat >main.c <<'EOF'
#include "x/both.h"
int main(void) { return first(1) == 6 && second(1) == 144 ? 0 : 1; }
EOF
    printf '#define first dps_first\n#define third dps_third\n' >names.h
    "${CC:-cc}" -I. -o apart main.c x/first.c x/second.c && ./apart &&
        /usr/bin/python3 -B "$tool" . names.h x/first.c x/second.c && ! grep third tpm-dps.h &&
        printf '#include "tpm-dps.h"\n' >x/both.h &&
        "${CC:-cc}" -Wall -Wextra -Werror -I. -o one main.c tpm-dps.c && ./one && nm one | grep ' T dps_first$'
}

echo 1..10
mkdir -p "$here/alone"
cp "$build/tpm-dps.c" "$build/tpm-dps.h" "$here/alone/"
report "clang compiles tpm-dps.c without a warning" compile clang -O1
report "... with the small profiles" compile clang -O1 -DDPS_PROFILE_SMALL_DEVICE=1 -DCRYPTO_PROFILE_SMALL_TLS=1 \
    -DCRYPTO_PROFILE_RSA_ONLY=1
report "gcc compiles tpm-dps.c without a warning" compile "${CC:-gcc}" -O2 -fno-pic -no-pie -ffunction-sections
report "it needs BearSSL and eight functions of string.h, and has no variables" needs_only_bearssl_and_string_h
report "C++ can include tpm-dps.h" is_cpp
forward_headers
report "dps-device compiles with tpm-dps.h in place of the headers" compile_device
report "gcc compiles tpm-dps.c as position-independent code" compile "${CC:-gcc}" -O1 -fPIC -ffunction-sections
report "dps-device links" link_device
grep -oE '^[^ ]*libtpmdps\.a\(\w+\.o\)' "$here/map" | sed 's/.*(//; s/)//' | sort -u | tr '\n' ' ' |
    sed 's/^/# from the library, for the tool: /; s/ *$/\n/'
report "names that two files have are kept apart" keeps_names_apart
report "the story of a device with it, on libtpms" \
    env DPS_DEVICE="$here/dps-device" DPS_DEVICE_TPM=libtpms \
    /usr/bin/python3 tests/tap.py tests/cross/device.py "$build"
grep -c '^ok' "$here/said" | sed 's/^/# parts of the story: /'
exit $failed
