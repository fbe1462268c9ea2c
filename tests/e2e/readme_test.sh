#!/bin/sh
# SPDX-License-Identifier: MIT
# The README's commands, run as they are: the block after "<!-- run -->", in a tree that holds nothing but build/,
# with free ports in place of its own.
set -u
build=$(cd "$1" && pwd)
readme=$(pwd)/README.md
dir=$(mktemp -d)
mkdir "$dir/tree" "$dir/tmp"
ln -s "$build" "$dir/tree/build"
finish() {
    # Processes that the block has not stopped itself.
    xargs -r kill < "$dir/pids" 2>/dev/null
    rm -rf "$dir"
}
trap finish EXIT

free_port() {
    /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
service=$(free_port)
tpm=$(free_port)
control=$(free_port)
running() { # the processes of the block: each has one of its ports in its arguments
    pgrep -f "dps-service --listen 127.0.0.1:$service|type=tcp,port=$tpm"
}

echo 1..4
cd "$dir/tree" || exit 1
awk '/<!-- run -->/ {wanted = 1; next} wanted && /^```sh/ {inside = 1; next} inside && /^```/ {exit} inside' "$readme" |
    sed "s/8443/$service/g; s/2321/$tpm/g; s/2322/$control/g; s/^sleep 1\$/wait_for $service $tpm/" > block.sh
lines=$(grep -c dps-device block.sh)
verdict=ok
[ "$lines" -ge 4 ] || verdict="not ok"
echo "$verdict 1 - the README has a block to run"

# Where the block sleeps for a second, this waits: a busy machine needs longer.
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
{ echo 'set -e; wait_for() { /usr/bin/python3 "$WAIT" "$@"; }'; cat block.sh; } > run.sh
WAIT="$dir/tree/wait.py" TMPDIR="$dir/tmp" sh run.sh > out.txt 2> err.txt
status=$?
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
# They were asked to end; that takes a moment.
tries=600
while running > "$dir/pids" && [ $tries -gt 0 ]; do
    sleep 0.1
    tries=$((tries - 1))
done
if [ ! -s "$dir/pids" ]; then
    echo "ok 4 - it has stopped what it started"
else
    echo "not ok 4 - it has stopped what it started"
    xargs -r ps -o pid=,ppid=,etime=,args= -p < "$dir/pids" | sed 's/^/# /'
fi
