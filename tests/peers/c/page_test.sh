#!/bin/sh
# SPDX-License-Identifier: MIT
# tests/peers/c/README.md, run as it is: its sh blocks in order, its files saved as it says, in an empty directory and
# in a network of its own. C_SDK: a checkout of azure-iot-sdk-c with its submodules.
set -u
build=$(cd "$1" && pwd)
page=$(pwd)/tests/peers/c/README.md
sdk=$(cd "${C_SDK:?a checkout of azure-iot-sdk-c}" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/repository" "$dir/empty"
ln -s "$build" "$dir/repository/build"
awk -v dir="$dir/empty" '
    /^<!-- file: / { file = $3; next }
    /^```sh/ { out = dir "/../block.sh"; next }
    /^```c/ { out = dir "/" file; next }
    /^```/ { out = ""; next }
    out { print >> out }' "$page"

# What the page has not stopped itself is stopped here.
# shellcheck disable=SC2016 # for the script
{ echo 'set -e'; echo 'trap "kill \$service \$tpm 2>/dev/null" EXIT'; cat "$dir/block.sh"; } > "$dir/run.sh"
cd "$dir/empty" || exit 1
echo 1..4
if TPM_DPS=$dir/repository C_SDK=$sdk unshare --map-root-user --net --mount sh "$dir/run.sh" > ../out.txt \
        2> ../err.txt; then
    echo "ok 1 - the page runs to its end"
else
    echo "not ok 1 - the page runs to its end (exit $?)"
    sed 's/^/# /' ../out.txt ../err.txt
fi
number=1
for road in https amqp websocket; do
    number=$((number + 1))
    if grep -qx "$road: boiler-7 is assigned to hub-a.example" ../out.txt &&
            grep -qx "$road: the hub has the message" ../out.txt; then
        echo "ok $number - $road: assigned, and its message accepted"
    else
        echo "not ok $number - $road: assigned, and its message accepted"
    fi
done
