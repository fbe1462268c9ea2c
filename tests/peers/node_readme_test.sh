#!/bin/sh
# SPDX-License-Identifier: MIT
# tests/peers/node/README.md, run as it is: its sh blocks in order, its js blocks saved as it says, in an empty
# directory, with the ports exchanged for free ones.
set -u
build=$(cd "$1" && pwd)
root=$(pwd)
dir=$(mktemp -d)
finish() {
    # What the page has not stopped itself.
    [ -f "$dir/empty/swtpm.pid" ] && kill "$(cat "$dir/empty/swtpm.pid")" 2>/dev/null
    rm -rf "$dir"
}
trap finish EXIT

# The page takes the programs from build/ of the repository.
mkdir -p "$dir/repository/tests" "$dir/empty"
ln -s "$build" "$dir/repository/build"
ln -s "$root/tests/peers" "$dir/repository/tests/peers"

# Three free ports, all different. Not by node, whose SO_REUSEADDR also finds ports that swtpm cannot have.
# shellcheck disable=SC2046 # three words
set -- $(/usr/bin/python3 -c '
import socket
sockets = [socket.socket() for _ in range(3)]
for s in sockets:
    s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in sockets))')
sed "s/8443/$1/g; s/2321/$2/g; s/2322/$3/g" tests/peers/node/README.md |
    awk -v dir="$dir/empty" '
        /^<!-- file: / { file = $3; next }
        /^```sh/ { out = dir "/../block.sh"; next }
        /^```js/ { out = dir "/" file; next }
        /^```/ { out = ""; next }
        out { print >> out }'

# The service is the only job in the background; if the page breaks off, it is ended here.
{ echo 'set -e'; echo 'trap "kill \$! 2>/dev/null" EXIT'; cat "$dir/block.sh"; } > "$dir/run.sh"
echo 1..2
cd "$dir/empty" || exit 1
# The packages were installed from the same lock file before, so that npm has them at hand.
if TPM_DPS=$dir/repository npm_config_prefer_offline=true timeout 1500 sh "$dir/run.sh" > ../out.txt 2> ../err.txt; then
    echo "ok 1 - the page runs to its end"
else
    echo "not ok 1 - the page runs to its end (exit $?)"
    sed 's/^/# /' ../out.txt ../err.txt
fi
if grep -q '^boiler-7 is assigned to localhost$' ../out.txt && grep -q '^the hub answered 204$' ../out.txt; then
    echo "ok 2 - the device was assigned to its hub, and its message accepted"
else
    echo "not ok 2 - the device was assigned to its hub, and its message accepted"
    sed 's/^/# /' ../out.txt
fi
