#!/bin/sh
# SPDX-License-Identifier: MIT
# Every option of every limits.h switched, and every contradiction refused. Usage: tests/size/options_test.sh BUILD
# What an option changes is compiled again; the rest comes from the libraries in BUILD, so `make all tests` first.
set -u
build=${1:-build}
out=$build/options
rm -rf "$out"
mkdir -p "$out"
. tests/report.sh
limits='crypto/limits.h dps/protocol/limits.h dps/device/limits.h dps/service/limits.h port/limits.h'

# ---- Each option: it compiles, and what remains works --------------------------------------------------------------

changed='crypto/crypto_bearssl.c crypto/tls.c crypto/tls_trust.c crypto/tls_chain.c dps/device/device.c
         dps/device/engine.c dps/device/ownership.c dps/device/authorization.c dps/device/record.c
         dps/device/session.c dps/device/link.c dps/device/link_failure.c dps/device/link_packet.c
         dps/device/link_read.c port/link.c
         dps/protocol/http.c dps/protocol/json.c dps/protocol/amqp.c dps/protocol/amqp_part.c
         dps/protocol/amqp_write.c dps/service/amqp_api.c dps/service/amqp_door.c dps/service/amqp_sasl.c
         dps/service/amqp_session.c tests/port/flow.c tests/size/test_options.c'
warnings='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wundef -Werror'

build_and_run() { # directory of its own, options
    dir=$1
    shift
    mkdir -p "$dir"
    # shellcheck disable=SC2086 # lists of options and files
    (
        set -e
        for file in $changed; do
            ${CC:-cc} -std=c11 -O0 -I. -D_GNU_SOURCE $warnings -ffunction-sections "$@" -c "$file" \
                -o "$dir/$(basename "$file" .c).o"
        done
        # In an archive: taken by those that have what it needs.
        ar rc "$dir/flow.a" "$dir/flow.o" && rm "$dir/flow.o"
        ${CC:-cc} -Wl,--gc-sections -o "$dir/test" "$dir"/*.o "$dir/flow.a" "$build/obj/tests/unit/test.o" \
            "$build/obj/tests/port/support.o" \
            "$build/obj/tests/vectors/tls_pem.o" "$build/libtpmdps-posix.a" "$build/libtpmdps.a" \
            -lbearssl -ltpms -lsqlite3
        cd "$dir" && ./test
    ) >"$dir/log" 2>"$dir/errors"
    status=$?
    cat "$dir/log" >>"$dir/errors"
    return $status
}

while read -r options; do
    case $options in '' | '#'*) continue ;; esac
    count_dir=$((count + 1))
    # shellcheck disable=SC2086 # a list of options
    build_and_run "$out/$count_dir" $options
    report $? "$options" "$out/$count_dir/errors"
done <<'END'
-DDPS_PROFILE_SMALL_DEVICE=1
-DDPS_PROFILE_SMALL_DEVICE=1 -DDPS_WITH_SERVICE=1
-DCRYPTO_PROFILE_RSA_ONLY=1
-DCRYPTO_TLS_RSA=0
-DCRYPTO_RSA_COMPACT=1
-DCRYPTO_TLS_CHACHA20=0
-DCRYPTO_TLS_AES_GCM=0
-DCRYPTO_PROFILE_SMALL_TLS=1
-DCRYPTO_TLS_COMPACT=1 -DCRYPTO_TLS_EC=0
-DCRYPTO_PROFILE_SMALL_TLS=1 -DCRYPTO_PROFILE_RSA_ONLY=1 -DCRYPTO_TLS_BUFFER_MIN=1349 -DPORT_TLS_BUFFER=1349
-DDPS_WITH_STEP_TEXTS=0 -DDPS_TPM_BUFFER=704 -DDPS_NET_BUFFER=2048 -DDPS_JSON_DEPTH_MAX=4
-DDPS_WITH_OWNERSHIP=0
-DDPS_WITH_SESSIONS=0
-DDPS_PROFILE_SMALL_DEVICE=1 -DDPS_WITH_SESSIONS=1
-DDPS_WITH_AMQP=0
-DDPS_WITH_MQTT=0
-DDPS_WITH_SERVICE=0 -DCRYPTO_TLS_TIME_FLOOR=1790000000
END

# ---- Each contradiction: refused, with the message that it has -----------------------------------------------------

while read -r options; do
    case $options in '' | '#'*) continue ;; esac
    # shellcheck disable=SC2086 # a list of options
    printf '#include "%s"\n' $limits | ${CC:-cc} -I. $options -E -P -x c - >/dev/null 2>"$out/refusal"
    refused=$?
    sed -n 's/.*error: #error "\([^"]*\)".*/\1/p' "$out/refusal" | sort -u >>"$out/words"
    [ "$refused" != 0 ] && [ "$(grep -c 'error: #error' "$out/refusal")" = 1 ]
    report $? "refused: $options" "$out/refusal"
done <<'END'
-DDPS_WITH_OWNERSHIP=2
-DDPS_WITH_SERVICE=2
-DDPS_WITH_AMQP=2
-DDPS_WITH_MQTT=2
-DCRYPTO_TLS_EC=2
-DCRYPTO_PROFILE_SMALL_TLS=2 -DCRYPTO_TLS_CHACHA20=0 -DCRYPTO_TLS_COMPACT=0
-DCRYPTO_TLS_RSA=0 -DCRYPTO_TLS_EC=0
-DCRYPTO_PROFILE_RSA_ONLY=1 -DCRYPTO_TLS_EC=1
-DCRYPTO_TLS_CHACHA20=0 -DCRYPTO_TLS_AES_GCM=0
-DDPS_TPM_BUFFER=703
-DDPS_TPM_BUFFER=65536
-DDPS_NET_BUFFER=2047
-DDPS_NET_BUFFER=65536
-DPORT_TLS_BUFFER=16708
-DPORT_TLS_BUFFER=836 -DCRYPTO_TLS_BUFFER_MIN=836
-DCRYPTO_TRUST_ANCHORS_MAX=0
-DDPS_JSON_DEPTH_MAX=33
-DDPS_HTTP_HEAD_MAX=1023
-DDPS_HTTP_BODY_MAX=4096
END
sort -u "$out/words" >"$out/seen"
# shellcheck disable=SC2086 # a list of files
sed -n 's/^#error "\([^"]*\)".*/\1/p' $limits | sort -u >"$out/all"
diff "$out/all" "$out/seen" >"$out/unseen"
report $? "every #error was seen" "$out/unseen"

# ---- Each option is in the list above ------------------------------------------------------------------------------

for option in $(sed -n 's/^#ifndef \(\(DPS\|CRYPTO\)_\(WITH\|TLS\|RSA\|PROFILE\)_\w*\)$/\1/p' $limits); do
    grep -q "^-D.*$option=" "$0"
    report $? "$option is tried"
done
echo "1..$count"
exit $failed
