#!/bin/sh
# SPDX-License-Identifier: MIT
# cppcheck over every source. Usage: tests/lint/cppcheck.sh BUILD    from the root of the tree
set -u
out=${1:-build}/lint/cppcheck
mkdir -p "$out"
. tests/judge.sh
judge cppcheck 2.10
echo "1..1"
# Suppressed: missingIncludeSystem, since system headers are the compilers' business; legacyUninitvar in one test, where
# cppcheck does not see that a call in an initializer fills a buffer. Nothing else, and nothing inline.
# With one job alone it would follow calls from file to file, which it otherwise cannot, and be wrong about them.
jobs=$(nproc)
[ "$jobs" -gt 1 ] || jobs=2
if "$tool" --enable=warning,performance,portability --std=c11 --quiet --error-exitcode=1 -j "$jobs" -I. \
    -D_GNU_SOURCE -D__linux__ -DCPPCHECK --suppress=missingIncludeSystem \
    --suppress=legacyUninitvar:tests/unit/test_crypto.c \
    --template='{file}:{line}: {severity}: {message} [{id}]' \
    crypto tpm dps port tests/unit tests/port tests/e2e tests/fuzz tests/differential tests/conformance \
    tests/faults tests/bench tests/model >"$out/report" 2>&1; then
    echo "ok 1 - cppcheck"
else
    echo "not ok 1 - cppcheck"
    sed 's/^/# /' "$out/report"
    exit 1
fi
