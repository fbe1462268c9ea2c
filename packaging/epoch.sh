#!/bin/sh
# SPDX-License-Identifier: MIT
# Prints when this source is from, in seconds since 1970: what dates in things made from it are, so that the same source
# makes the same bytes. SOURCE_DATE_EPOCH, or what an unpacked make dist says, or the last commit's time.
set -eu
cd "$(dirname "$0")/.."
if [ -n "${SOURCE_DATE_EPOCH:-}" ]; then
    echo "$SOURCE_DATE_EPOCH"
elif [ -f MANIFEST ]; then
    sed -n '1s/^# epoch //p' MANIFEST
elif ! git log -1 --format=%ct 2>/dev/null; then
    echo 0
fi
