#!/bin/sh
# SPDX-License-Identifier: MIT
# Fetches Debian's newest kernel for clouds and a static busybox, as packages that are unpacked and never installed: a
# kernel's installation would change how this machine boots. Needs no privileges.
# Usage: tests/kernel/fetch.sh DIR    makes DIR/root, and keeps the packages in DIR/packages and uses them again.
# KERNEL_PACKAGES=DIR2: take linux-image-*.deb and busybox-static_*.deb from there instead of asking a mirror.
set -eu
mkdir -p "$1/packages"
here=$(cd "$1" && pwd)
packages=$here/packages

complete() {
    ls "$packages"/linux-image-*.deb "$packages"/busybox-static_*.deb >/dev/null 2>&1
}

# The arguments are options of apt.
download() {
    kernel=$(apt-cache "$@" depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-\)/\1/p')
    [ -n "$kernel" ] && (cd "$packages" && apt-get "$@" -q download "$kernel" busybox-static >"$here/log" 2>&1)
}

# This machine's lists may be old, and then they name packages that the mirror no longer has: so with lists of our own.
download_with_new_lists() {
    mkdir -p "$here/apt/lists/partial" "$here/apt/cache/archives/partial"
    set -- -o Dir::State::lists="$here/apt/lists" -o Dir::Cache="$here/apt/cache" -o Acquire::Languages=none
    # apt as root would give up its rights and then could not write here.
    [ "$(id -u)" != 0 ] || set -- "$@" -o APT::Sandbox::User=root
    apt-get "$@" -q update >"$here/log" 2>&1 || true
    download "$@"
}

if [ -n "${KERNEL_PACKAGES:-}" ]; then
    cp "$KERNEL_PACKAGES"/linux-image-*.deb "$KERNEL_PACKAGES"/busybox-static_*.deb "$packages"
fi
if ! complete && ! download && ! download_with_new_lists; then
    [ ! -f "$here/log" ] || cat "$here/log" >&2
    echo "Debian's kernel could not be fetched. Get linux-image-*-cloud-amd64 and busybox-static from a mirror" >&2
    echo "and say KERNEL_PACKAGES=DIR." >&2
    exit 1
fi
rm -rf "$here/apt" "$here/root" "$here/root.new"
for package in "$packages"/*.deb; do
    dpkg -x "$package" "$here/root.new"
done
mv "$here/root.new" "$here/root"
