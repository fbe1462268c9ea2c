#!/bin/sh
# SPDX-License-Identifier: MIT
# Fetches the source of BearSSL 0.6 from the machine's own Debian mirror, checks it against the pinned digest, and
# unpacks it. Needs no privileges: apt gets lists, caches and sources of its own; the machine's stay as they are.
# Usage: tests/firmware/bearssl_source.sh DIR    makes DIR/src; DIR/bearssl.tar.xz is kept and used again.
# BEARSSL_TARBALL=FILE: take that archive instead of asking a mirror.
set -eu
digest=102a625bd8f6155260867a50c508df8d8c3f796985dd744df1a68e5cd1a79004 # bearssl_0.6+dfsg.1.orig.tar.xz

mkdir -p "$1"
here=$(cd "$1" && pwd)
archive=$here/bearssl.tar.xz

good() {
    [ -f "$1" ] && echo "$digest  $1" | sha256sum --check --status 2>/dev/null
}

# The machine's sources of Debian's own packages, as sources of source packages.
private_sources() {
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -f "$file" ] || continue
        sed -nE 's/^deb(-src)?[[:space:]]/deb-src /p' "$file" | grep -E '[[:space:]]main([[:space:]]|$)' || true
    done >"$1/own.list"
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -f "$file" ] || continue
        sed -E '/^#/d; s/^[Tt]ypes:.*/Types: deb-src/' "$file" >"$1/$(basename "$file")"
    done
}

fetch() {
    apt=$here/apt
    rm -rf "$apt"
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/parts" "$apt/download"
    private_sources "$apt/parts"
    set -- -qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$apt/parts" \
        -o Dir::State::lists="$apt/lists" -o Dir::Cache="$apt/cache" \
        -o APT::Get::List-Cleanup=no -o Acquire::Languages=none -o Acquire::Retries=3
    # apt as root would give up its rights and then could not write here.
    [ "$(id -u)" != 0 ] || set -- "$@" -o APT::Sandbox::User=root
    # One of several mirrors may be down: what matters is whether the source came.
    apt-get "$@" update >"$apt/log" 2>&1 || true
    (cd "$apt/download" && apt-get "$@" --download-only source bearssl >>"$apt/log" 2>&1) || true
    for file in "$apt"/download/*.orig.tar.xz; do
        if good "$file"; then
            mv "$file" "$archive"
            rm -rf "$apt"
            return 0
        fi
    done
    sed 's/^/apt-get: /' "$apt/log" >&2
    ls "$apt/download" >&2
    return 1
}

if [ -n "${BEARSSL_TARBALL:-}" ]; then
    good "$BEARSSL_TARBALL" || { echo "$BEARSSL_TARBALL does not have SHA-256 $digest." >&2; exit 1; }
    [ "$BEARSSL_TARBALL" -ef "$archive" ] || cp "$BEARSSL_TARBALL" "$archive"
elif ! good "$archive" && ! { command -v apt-get >/dev/null && fetch; }; then
    echo "BearSSL's source could not be fetched. Get bearssl_0.6+dfsg.1.orig.tar.xz from a Debian mirror" >&2
    echo "(pool/main/b/bearssl) and say BEARSSL_TARBALL=FILE." >&2
    exit 1
fi
rm -rf "$here/src" "$here/src.new"
mkdir "$here/src.new"
tar -xJf "$archive" -C "$here/src.new" --strip-components=1 --no-same-owner
mv "$here/src.new" "$here/src"
