# SPDX-License-Identifier: MIT
# For tests in shell, which end with: exit $failed
count=0
failed=0

# report STATUS TEXT [FILE]: one line of TAP; on failure the file as comments before it.
report() {
    count=$((count + 1))
    if [ "$1" = 0 ]; then
        echo "ok $count - $2"
        return
    fi
    failed=1
    [ -z "${3:-}" ] || head -n 40 "$3" | sed 's/^/# /'
    echo "not ok $count - $2"
}
