#!/bin/sh
# SPDX-License-Identifier: MIT
# The demonstration tells its whole story in time, and leaves no file and no process behind, even if it is interrupted.
# Usage: tests/e2e/demo_test.sh BUILD    from the root of the tree
set -u
build=${1:-build}
top=$(mktemp -d)
# Everything that the demonstration starts inherits a mark; these are the processes that have it.
marked() {
    for process in /proc/[0-9]*; do
        if tr '\0' '\n' <"$process/environ" 2>/dev/null | grep -qxF "DEMO_TEST_MARK=$top"; then
            echo "${process#/proc/}"
        fi
    done 2>/dev/null
}
# shellcheck disable=SC2317 # called by the trap
finish() {
    marked | xargs -r kill 2>/dev/null
    rm -rf "$top"
}
trap finish EXIT
trap 'exit 143' INT TERM
. tests/report.sh

tell_story() {
    mkdir -p "$top/tmp"
    exec env TMPDIR="$top/tmp" DEMO_TEST_MARK="$top" sh tests/demo.sh "$build" >"$top/out" 2>"$top/err"
}
# What is left behind, one per line.
remains() {
    find "$top/tmp" -mindepth 1
    for process in $(marked); do
        tr '\0' ' ' <"/proc/$process/cmdline"
        echo
    done 2>/dev/null
}
# The headings of the story, each once, in their order.
headings() {
    grep -oE '^(Step [0-9]+|Resale|Impostor|Malware|Rewrap|All of it held)' "$top/out"
}

echo 1..9
begin=$(date +%s)
(tell_story)
status=$?
took=$(($(date +%s) - begin))
cat "$top/err" >>"$top/out"
report $status "it ends with exit code 0 (got $status)" "$top/out"

{
    for step in 1 2 3 4 5 6 7 8 9 10; do echo "Step $step"; done
    printf 'Resale\nImpostor\nMalware\nRewrap\nAll of it held\n'
} >"$top/wanted"
headings | diff "$top/wanted" - >"$top/difference"
report $? "it tells all steps, the resale, the impostor and two attacks by malware, in this order" "$top/difference"

# paragraph HEADING: what stands under it, on one line.
paragraph() {
    awk -v heading="$1" '/^[^ ]/ {on = $1 == heading} /^$/ {on = 0} on' "$top/out" | tr -s ' \n' ' '
}
# tells HEADING WORDS...: all of them stand in its paragraph.
tells() {
    told=$(paragraph "$1")
    shift
    for words in "$@"; do
        case $told in *"$words"*) ;; *) echo "no '$words' in: $told" && return 1 ;; esac
    done >"$top/missing"
}
tells Malware "of its own as the SRK" "step 5 (400012, not fixedTPM)" "the TPM refuses to load it"
report $? "malware: a software key as SRK; the rule for attributes and the TPM refuse it" "$top/missing"
tells Rewrap "standard SRK: 32 bytes of key in clear." "is refused (0x12f, 0x9a4, 0x99d)" "is refused (400016)" \
    "boiler-8 registers, in " " TPM commands: hub-"
report $? "malware: TPM2_Rewrap takes the key out of the standard SRK, not out of the hardened one" "$top/missing"

[ "$(grep -cF "  $build/dps-device --tpm " "$top/out")" = 2 ]
report $? "what it shows in the end runs: dps-device is where the build is" "$top/out"

echo "# it took $took s"
remains >"$top/remains"
[ ! -s "$top/remains" ]
report $? "it leaves no file and no process behind" "$top/remains"

tell_story &
demo=$!
tries=0
until [ -n "$(find "$top/tmp" -name port -size +0)" ] || [ $tries -ge 2400 ]; do
    tries=$((tries + 1))
    sleep 0.05
done
for folder in "$top"/tmp/*/; do
    openssl verify -x509_strict -CAfile "$folder/ca.pem" "$folder/server.pem"
done >"$top/verified" 2>&1
report $? "its certificates are such that strict clients take them" "$top/verified"
kill -TERM $demo
wait $demo
status=$?
[ $tries -lt 2400 ] && [ $status = 130 ]
report $? "a signal in the middle ends it with exit code 130 (got $status)" "$top/out"

remains >"$top/remains"
[ ! -s "$top/remains" ]
report $? "and then, too, nothing is left behind" "$top/remains"
exit $failed
