#!/bin/sh
# SPDX-License-Identifier: MIT
# The TPM that misbehaves and the interposer are in no program that is used for real.
# Usage: tests/hostile/production_test.sh BUILD
set -u
build=${1:-build}
count=0
failed=0
has() { nm "$build/$1" | grep -Eq ' hostile_(open|transact|change)$| interposer_'; }
check() { # what, status
    count=$((count + 1))
    if [ "$2" = 0 ]; then
        echo "ok $count - $1"
    else
        failed=1
        echo "not ok $count - $1"
    fi
}
echo 1..6
for program in dps-device dps-service dps-admin; do
    nm "$build/$program" | grep -q ' main$' && ! has "$program"
    check "$program has no hostile TPM" $?
done
has dps-conformance
check "dps-conformance has it" $?
"$build/dps-device" --tpm hostile:42/libtpms:x ek 2>&1 | grep -q 'dps-conformance --tpm NAME --serve-tpm'
check "dps-device says who has it" $?
"$build/dps-device" --tpm interpose:x/libtpms:x ek 2>&1 | grep -q 'dps-conformance --tpm NAME --serve-tpm'
check "and of the interposer likewise" $?
exit $failed
