#!/bin/sh
# SPDX-License-Identifier: MIT
# clang-format over every source that is written by hand. Usage: tests/lint/format.sh [BUILD]    from the root
set -u
. tests/judge.sh
judge clang-format 14
# tests/vectors holds generated and captured data.
files=$(find crypto tpm dps port tests -name vectors -prune -o -name '*.[ch]' -print | sort)
count=0
failed=0
echo "1..$(printf '%s\n' "$files" | wc -l)"
for file in $files; do
    count=$((count + 1))
    if lines=$("$tool" --dry-run -Werror "$file" 2>&1); then
        echo "ok $count - clang-format $file"
    else
        failed=1
        echo "not ok $count - clang-format $file"
        printf '%s\n' "$lines" | sed -n 's/^\([^ :]*:[0-9]*\):.*/# \1/p' | sort -u -t: -k2n
        echo "# to change it: $tool -i $file"
    fi
done
exit $failed
