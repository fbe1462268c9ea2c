#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the Debian packages that are missing, by apt-get, as root or by sudo; says so, and never does it twice.
# Usage: tests/setup.sh build|check|peers|+PACKAGE ...    DEPS=no only says what is missing (exit 1 if anything is).
set -eu

# What the programs need, and what the tests need in addition.
build='gcc make libc6-dev libbearssl-dev libtpms-dev libsqlite3-dev libpq-dev libssl-dev openssl curl perl'
check='clang clang-format clang-tidy cppcheck libclang-rt-dev swtpm tpm2-tools libtss2-tcti-swtpm0
       libtss2-tcti-mssim0 libtss2-dev
       python3 python3-tpm2-pytss python3-cryptography python3-jsonschema sqlite3 procps git patch pkgconf tshark
       bsdextrautils mosquitto-clients python3-paho-mqtt python3-qpid-proton gcc-arm-none-eabi'
# Which lines and branches the tests reach.
coverage='clang llvm libclang-rt-dev'
# Other people's clients. Any Node.js from 18 on will do; those that are not Debian's include npm.
peers='swtpm openssl perl'
node -e 'process.exit(parseInt(process.versions.node) < 18)' 2>/dev/null || peers="$peers nodejs"
command -v npm >/dev/null || peers="$peers npm"

# A broker as a device's hub.
broker='mosquitto mosquitto-dev mosquitto-clients python3 python3-cryptography'

# Images for boards: each board's own .mk names its compiler and its emulator. BearSSL is built from Debian's source.
firmware='swtpm xz-utils openssl python3-cryptography'
# A PC, for Debian's kernel: that is fetched by tests/kernel/fetch.sh and not installed.
kernel='qemu-system-x86 swtpm python3 python3-cryptography openssl'
# Compilers and emulators of other processors.
cross='gcc-s390x-linux-gnu libc6-dev-s390x-cross gcc-powerpc-linux-gnu libc6-dev-powerpc-cross
       gcc-arm-linux-gnueabihf libc6-dev-armhf-cross gcc-riscv64-linux-gnu libc6-dev-riscv64-cross qemu-user-static
       gcc-i686-linux-gnu libc6-dev-i386-cross gcc-avr avr-libc libsimavr-dev
       gcc-riscv64-unknown-elf gcc-arm-none-eabi swtpm xz-utils python3'
# The walk-through; and the same in a browser, with what its shell lines call. Node.js and npm as above.
page='python3 maude'
walkthrough="maude chromium fonts-dejavu-core xxd tpm2-tools openssl tshark python3 ${peers#swtpm openssl perl}"
# The lab: WebAssembly, with BearSSL from Debian's source; and its page in a browser.
lab='clang lld llvm xz-utils python3 python3-markdown-it'
lab_browser="chromium fonts-dejavu-core ${peers#swtpm openssl perl}"
# The site: documents are Markdown.
site='python3 python3-markdown-it'
# Databases to stop, cut off and fill, and proxies in front of the service.
# Devices of these tests, which have no TPM; and a clock that can step.
faults='postgresql nginx-light haproxy procps iproute2 swtpm python3 python3-tpm2-pytss python3-cryptography
    python3-paho-mqtt faketime util-linux systemd'
# What make install, make dist and debian/ are tested with, and another C library.
install='g++ cmake pkgconf mandoc man-db systemd fish zsh dpkg-dev debhelper lintian mmdebstrap musl-tools xz-utils'
# Systems made for make check to run in; without root that needs uidmap.
distributions='mmdebstrap zstd uidmap git'
# What figures are compared with, and the devices that produce them.
bench='libssl-dev nginx-light postgresql python3 swtpm openssl procps'
# What keeps the machine busy while tests run.
stress='stress'
# The protocol's model.
model='maude python3'
# Proofs of the parsers, and constant time.
prove='frama-c-base why3 cvc4 z3 python3'
ct=valgrind

wanted=
for what in "$@"; do
    case $what in
    build) wanted="$wanted $build" ;;
    check) wanted="$wanted $check" ;;
    peers) wanted="$wanted $peers $broker" ;;
    coverage) wanted="$wanted $coverage" ;;
    firmware) wanted="$wanted $firmware" ;;
    kernel) wanted="$wanted $kernel" ;;
    page) wanted="$wanted $page" ;;
    walkthrough) wanted="$wanted $walkthrough" ;;
    lab) wanted="$wanted $lab" ;;
    lab_browser) wanted="$wanted $lab_browser" ;;
    site) wanted="$wanted $site" ;;
    cross) wanted="$wanted $cross" ;;
    faults) wanted="$wanted $faults" ;;
    install) wanted="$wanted $install" ;;
    distributions) wanted="$wanted $distributions" ;;
    bench) wanted="$wanted $bench" ;;
    stress) wanted="$wanted $stress" ;;
    model) wanted="$wanted $model" ;;
    prove) wanted="$wanted $prove" ;;
    ct) wanted="$wanted $ct" ;;
    +*) wanted="$wanted ${what#+}" ;;
    *) echo "tests/setup.sh: unknown set '$what'" >&2; exit 2 ;;
    esac
done

# Libraries that deal with the time have another name since Debian 13; apt-get knows them by both.
installed() {
    for name in "$1" "$1t64"; do
        [ "$(dpkg-query -W -f '${Status}' "$name" 2>/dev/null)" != 'install ok installed' ] || return 0
    done
    return 1
}

missing=
for package in $wanted; do
    installed "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "${DEPS:-yes}" = no ]; then
    echo "Missing packages:$missing" >&2
    echo "Install them (apt-get install$missing), or run without DEPS=no." >&2
    exit 1
fi
if ! command -v apt-get >/dev/null; then
    echo "This is not a Debian system. Please install what these packages hold:$missing" >&2
    exit 1
fi
root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "Installing$missing needs root or sudo." >&2; exit 1; }
    root=sudo
fi
echo "Installing Debian packages:$missing"
export DEBIAN_FRONTEND=noninteractive
# Another of these may be installing: apt-get does not wait for itself everywhere.
exec 9</var/lib/dpkg
flock 9
$root apt-get -qq update
# shellcheck disable=SC2086 # a list of packages
$root apt-get -qq -y --no-install-recommends install $missing >/dev/null
