#!/bin/sh
# SPDX-License-Identifier: MIT
# One version: VERSION, dps/protocol/version.h, the newest entries of CHANGELOG.md and debian/changelog, and what each
# program answers to --version. Usage: tests/lint/version.sh BUILD    from the root of the tree
set -u
build=${1:-build}
version=$(cat VERSION)
count=0
failed=0
same() { # what, the version there
    count=$((count + 1))
    if [ "$2" = "$version" ]; then
        echo "ok $count - $1"
    else
        failed=1
        echo "not ok $count - $1"
        echo "# VERSION says $version, here is '$2'"
    fi
}
header() { sed -n "s/^#define TPM_DPS_VERSION$1 \"\{0,1\}\([0-9.]*\)\"\{0,1\}\$/\1/p" dps/protocol/version.h; }

programs=$(ls port/posix/*/dps-*.c tests/conformance/dps-conformance.c)
echo "1..$((4 + $(echo "$programs" | wc -l)))"
same "dps/protocol/version.h" "$(header '')"
same "its numbers" "$(header _MAJOR).$(header _MINOR).$(header _PATCH)"
same "CHANGELOG.md's newest entry" "$(sed -n 's/^## \([0-9.]*\).*/\1/p' CHANGELOG.md | head -n 1)"
same "debian/changelog's newest entry" "$(sed -n '1s/^tpm-dps (\(.*\)-.*/\1/p' debian/changelog)"
for main in $programs; do
    program=$(basename "$main" .c)
    same "$program --version" "$("$build/$program" --version | sed -n "s/^$program \([0-9.]*\)\$/\1/p")"
done
exit $failed
