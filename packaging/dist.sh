#!/bin/sh
# SPDX-License-Identifier: MIT
# make dist: DIRECTORY/tpm-dps-VERSION.tar.gz with every file of the tree that git knows, or that the MANIFEST of an
# unpacked one lists. The same files make the same bytes: fixed order, owner, modes and times, a gzip without a name.
# Usage: packaging/dist.sh DIRECTORY    from the root of the tree
set -eu
name=tpm-dps-$(cat VERSION)
mkdir -p "$1"
here=$(cd "$1" && pwd)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
epoch=$(packaging/epoch.sh)
# Whoever runs make here trusts this tree, whoever owns it.
own_git() { git --no-optional-locks -c safe.directory="$(pwd -P)" "$@"; }
if [ -f MANIFEST ]; then
    sed 1d MANIFEST >"$stage/files"
elif [ "$(own_git rev-parse --show-toplevel 2>/dev/null)" = "$(pwd -P)" ]; then
    own_git ls-files | LC_ALL=C sort >"$stage/files"
    [ -z "$(own_git status --porcelain --untracked-files=no)" ] ||
        echo "make dist: this is not the last commit: files of the archive were changed since." >&2
else
    echo "make dist: this is neither a git repository nor an unpacked make dist (no MANIFEST)." >&2
    exit 1
fi
{ echo "# epoch $epoch" && cat "$stage/files"; } >"$stage/MANIFEST"
tar --create --format=ustar --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --mtime="@$epoch" \
    --transform "s|^|$name/|" --file "$stage/tar" --directory "$stage" MANIFEST \
    --directory "$PWD" --verbatim-files-from --files-from "$stage/files"
gzip --best --no-name --stdout "$stage/tar" >"$here/$name.tar.gz"
echo "$1/$name.tar.gz"
