#!/bin/sh
# SPDX-License-Identifier: MIT
# The README's own words, run as they stand: the block behind "<!-- run -->" in an empty directory, with the ports
# exchanged for free ones.
set -u
build=$(cd "$1" && pwd)
readme=$(pwd)/README.md
dir=$(mktemp -d)
finish() {
    [ -f "$dir/pids" ] && xargs -r kill < "$dir/pids" 2>/dev/null
    rm -rf "$dir"
}
trap finish EXIT

free_port() {
    /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
service=$(free_port)
tpm=$(free_port)
control=$(free_port)

echo 1..3
cd "$dir" || exit 1
awk '/<!-- run -->/ {wanted = 1; next} wanted && /^```sh/ {inside = 1; next} inside && /^```/ {exit} inside' "$readme" |
    sed "s/8443/$service/g; s/2321/$tpm/g; s/2322/$control/g; s/--daemon/--daemon --pid file=swtpm.pid/;
        s/^sleep 1\$/wait_for $service $tpm/" > block.sh
lines=$(grep -c dps-device block.sh)
verdict=ok
[ "$lines" -ge 4 ] || verdict="not ok"
echo "$verdict 1 - the README has a block to run"

# What the block gives a second to is waited for: a busy machine needs longer.
cat > wait.py <<END
import socket, sys, time
for port in sys.argv[1:]:
    for _ in range(6000):
        try:
            socket.create_connection(("127.0.0.1", int(port)), 60).close()
            break
        except ConnectionRefusedError:
            time.sleep(0.01)
END
# Background programs of the block are ended when it is done.
{ echo 'set -e; wait_for() { /usr/bin/python3 wait.py "$@"; }'; cat block.sh; } > run.sh
PATH="$build:$PATH" sh run.sh > out.txt 2> err.txt
status=$?
{ cat swtpm.pid 2>/dev/null; echo; pgrep -f "dps-service --listen 127.0.0.1:$service" || true; } > pids
if [ $status = 0 ]; then
    echo "ok 2 - it runs to its end"
else
    echo "not ok 2 - it runs to its end (exit $status)"
    sed 's/^/# /' out.txt err.txt
fi
if grep -q 'hub-a.example' out.txt && grep -q 204 out.txt; then
    echo "ok 3 - the device was assigned to its hub, and its message accepted"
else
    echo "not ok 3 - the device was assigned to its hub, and its message accepted"
    sed 's/^/# /' out.txt
fi
