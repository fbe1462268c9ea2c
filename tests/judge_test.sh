#!/bin/sh
# SPDX-License-Identifier: MIT
# The lint scripts judge with the version that they were written for, and with no other. The tools are stand-ins.
# Usage: tests/judge_test.sh    from the root of the tree
set -u
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
count=0
failed=0

# has NAME LINE...: the tool is there, and this is what it says of its version.
has() {
    name=$1
    shift
    { echo '#!/bin/sh'; printf 'echo "%s"\n' "$@"; } >"$dir/$name"
    chmod +x "$dir/$name"
}
# judged TEXT WANTED NAME VERSION: what a script says that asks for this version.
judged() {
    text=$1
    shift
    count=$((count + 1))
    said=$(PATH="$dir" /bin/sh -c '. tests/judge.sh; judge "$@"; echo "judges with $tool"' - "$2" "$3")
    if [ "$(echo "$said" | tail -n 1)" = "$1" ]; then
        echo "ok $count - $text"
    else
        echo "# $said"
        echo "not ok $count - $text"
        failed=1
    fi
}

for command in sed head; do
    ln -s "$(command -v $command)" "$dir/$command"
done
echo 1..7
judged "none at all: a failure" "not ok 1 - clang-format is installed" clang-format 14
has clang-format "Debian clang-format version 19.1.7 (3)"
judged "another version: skipped, with the reason" \
    "1..0 # SKIP written for clang-format 14, and clang-format 19.1.7 judges otherwise" clang-format 14
has clang-format-14 "Debian clang-format version 14.0.6"
judged "beside another one: the right one is asked" "judges with clang-format-14" clang-format 14
has clang-tidy "Debian LLVM version 14.0.6" "  Optimized build."
judged "the only one: asked" "judges with clang-tidy" clang-tidy 14
has cppcheck "Cppcheck 2.10"
judged "a version of two numbers" "judges with cppcheck" cppcheck 2.10
has cppcheck "Cppcheck 2.1"
judged "one whose number begins like that" \
    "1..0 # SKIP written for cppcheck 2.10, and cppcheck 2.1 judges otherwise" cppcheck 2.10
count=$((count + 1))
if grep -lE 'clang-(format|tidy)|cppcheck' tests/lint/*.sh | xargs grep -L '^judge ' | grep .; then
    echo "not ok $count - every script that runs one of them asks for its version"
    failed=1
else
    echo "ok $count - every script that runs one of them asks for its version"
fi
exit $failed
