#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs targets of make one after another, and beside them one that computes for long and needs nothing that they build.
# Its output is shown after theirs. Fails as soon as one of them fails, or in the end if that one did.
# Usage: BUILD=build MAKE=make tests/check_more.sh BESIDE TARGET...
set -eu
beside=$1
shift
log=$BUILD/$beside.log
mkdir -p "$BUILD"

# In a group of its own, that its provers, too, end when this ends.
setsid "$MAKE" --no-print-directory "$beside" >"$log" 2>&1 &
pid=$!
trap 'kill -9 -- "-$pid" 2>/dev/null || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

for target; do
    echo "make $target"
    "$MAKE" --no-print-directory "$target"
done
echo "make $beside (runs since the beginning, beside the others)"
tail -n +1 -f --pid="$pid" "$log"
wait "$pid"
