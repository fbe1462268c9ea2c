#!/bin/sh
# SPDX-License-Identifier: MIT
# Prints when this source is from, in seconds since 1970: what dates in things made from it are, so that the same source
# makes the same bytes. SOURCE_DATE_EPOCH, or what an unpacked make dist says, or the last commit's time; without any of
# these the time of the file VERSION, which an archive made by git keeps.
set -eu
cd "$(dirname "$0")/.."
# Whoever runs make here trusts this tree, whoever owns it.
own_git() { git -c safe.directory="$(pwd -P)" "$@"; }
if [ -n "${SOURCE_DATE_EPOCH:-}" ]; then
    echo "$SOURCE_DATE_EPOCH"
elif [ -f MANIFEST ]; then
    sed -n '1s/^# epoch //p' MANIFEST
elif [ "$(own_git rev-parse --show-toplevel 2>/dev/null)" != "$(pwd -P)" ] ||
    ! own_git log -1 --format=%ct 2>/dev/null; then
    date -r VERSION +%s
fi
