#!/bin/sh
# SPDX-License-Identifier: MIT
# The table of tests/conformance/REQUIREMENTS.md is what dps-conformance runs: made from the same data. The sections of
# spec-notes.md that it names exist.
# Usage: tests/lint/requirements.sh BUILD            compare; TAP
#        tests/lint/requirements.sh BUILD --write    write the table again (make requirements)
set -u
build=${1:-build}
notes=tests/conformance/REQUIREMENTS.md
program=$build/dps-conformance
[ -x "$program" ] || make --no-print-directory -s BUILD="$build" "$program" >&2 || exit 1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

"$program" --list=markdown >"$tmp/table" || exit 1
awk -v table="$tmp/table" '
    /^<!-- \/conformance -->$/ { inside = 0; ends++ }
    !inside { print }
    /^<!-- conformance -->$/ { inside = 1; begins++; while ((getline line < table) > 0) print line }
    END { exit !(begins == 1 && ends == 1) }' "$notes" >"$tmp/notes"
marked=$?
if [ "${2:-}" = --write ]; then
    [ "$marked" = 0 ] || { echo "$notes lacks the lines <!-- conformance --> and <!-- /conformance -->" >&2; exit 1; }
    cmp -s "$tmp/notes" "$notes" || cat "$tmp/notes" >"$notes"
    exit
fi

failed=0
result() { # STATUS NUMBER NAME
    [ "$1" = 0 ] && echo "ok $2 - $3" || { echo "not ok $2 - $3"; failed=1; }
}
echo "1..4"
result "$marked" 1 "$notes has a place for the table"
cmp -s "$tmp/notes" "$notes"
same=$?
result $same 2 "the table of requirements is that of dps-conformance --list"
if [ $same != 0 ]; then
    diff "$notes" "$tmp/notes" | sed -n 's/^[<>]/# &/p' | head -20
    echo "# to change it: make requirements"
fi
# Ids are permanent: unique, of the right form; and each requirement says must or should, as its level does.
awk -F' [|] ' '
    NR <= 2 { next }
    { sub(/^[|] /, "", $1) }
    $1 !~ /^(TPM|SVC|DEV)-S[01][0-9]-[0-9][0-9][0-9]$/ { print "# " $1 ": not of the form SUITE-Snn-nnn" }
    seen[$1]++ { print "# " $1 ": given twice" }
    $3 !~ ($2 == "MUST" ? "must" : "should") { print "# " $1 ": does not say what its level " $2 " says" }
    END { if (NR < 3) print "# no cases" }' "$tmp/table" >"$tmp/wrong"
[ ! -s "$tmp/wrong" ]
result $? 3 "ids are unique, requirements say their level"
cat "$tmp/wrong"
# A source "spec-notes: X" is a section of spec-notes.md; what follows a comma there may be left out
grep -o 'spec-notes: [^|;(]*' "$tmp/table" | sed 's/spec-notes: //; s/ *$//' | sort -u | while read -r section; do
    grep -qxE "##+ $section(, .*)?" spec-notes.md || echo "# spec-notes.md has no section \"$section\""
done >"$tmp/nowhere"
[ ! -s "$tmp/nowhere" ]
result $? 4 "sections of spec-notes.md that are named as a source exist"
cat "$tmp/nowhere"
exit $failed
