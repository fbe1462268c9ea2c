#!/bin/sh
# SPDX-License-Identifier: MIT
# The whole story, told by the real programs: a service with SQLite and TLS on loopback, devices with the TPM of
# libtpms in their process. Everything is made in a temporary directory and removed again. Exit 0 only if every step
# did what it should.
set -u
given=${1:-build}
build=$(cd "$given" && pwd)
dir=$(mktemp -d)
service_pid=
cleanup() {
    [ -n "$service_pid" ] && kill "$service_pid" 2>/dev/null && wait "$service_pid" 2>/dev/null
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
cd "$dir" || exit 1
PATH="$build:$PATH"
scope=0ne00000A0A
id=boiler-7

say() {
    printf '%s\n' "$*"
}
# A paragraph of the story, indented after its heading.
tell() {
    printf '%-9s%s\n' "$1" "$2"
    shift 2
    for line in "$@"; do
        printf '         %s\n' "$line"
    done
}
die() {
    say "The story broke off: $*"
    [ -s error.txt ] && sed 's/^/    /' error.txt
    [ -s service.log ] && tail -n 5 service.log | sed 's/^/    service: /'
    exit 1
}
# Something must fail, with this text in its error.
must_be_refused() {
    text=$1
    shift
    if "$@" > out.txt 2> error.txt; then die "this should have been refused: $*"; fi
    grep -q "$text" error.txt || die "it was refused, but not with '$text'"
}
device() {
    tpm=$1
    shift
    dps-device --tpm "libtpms:$dir/$tpm" --quiet "$@"
}
short() {
    printf '%s' "$1" | sed 's/^\(........\).*\(....\)$/\1…\2/'
}
field() { # field NAME FILE: the value after a label of the programs' output
    sed -n "s/^$1  *//p" "$2" | head -n 1
}
time_of() { # time_of COMMAND WHICH FILE: milliseconds of the WHICH-th such command in a --verbose log
    awk -v c="TPM2_$1" -v n="$2" '$3 == c && ++i == n {print $4}' "$3"
}

say "The service starts, with a certificate authority made for this run, an empty SQLite store, and secrets of its own."
{
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 \
        -subj "/CN=Demo CA" -addext keyUsage=critical,keyCertSign,cRLSign &&
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr \
            -subj "/CN=localhost" &&
        printf '%s\n' subjectAltName=DNS:localhost,DNS:hub-a.example,DNS:hub-b.example basicConstraints=CA:FALSE \
            subjectKeyIdentifier=hash authorityKeyIdentifier=keyid > ext &&
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile ext
} > out.txt 2> error.txt || die "no certificate"
dps-service --listen 127.0.0.1:0 --cert server.pem --key server.key --scope $scope --hub hub-a.example \
    --hub hub-b.example --store "sqlite:$dir/dps.db" --policy-file policies.json --secret-file secret \
    --port-file port > service.log 2>&1 &
service_pid=$!
tries=0
until [ -s port ]; do
    tries=$((tries + 1))
    [ $tries -lt 2400 ] && kill -0 $service_pid 2>/dev/null || die "the service did not start"
    sleep 0.05
done
port=$(head -n 1 port)
dps-admin connection-string --policy-file policies.json --host "localhost:$port" > connection 2> error.txt ||
    die "no connection string"
chmod 600 connection
admin() {
    dps-admin --connection-string-file connection --ca ca.pem "$@"
}
register() {
    tpm=$1
    shift
    device "$tpm" register --service "https://localhost:$port" --ca ca.pem --scope $scope --id $id \
        --state "$tpm.state" "$@"
}
say ""

device tpm-a ek --format base64 > ek.txt 2> error.txt || die "no EK"
openssl base64 -d -A -in ek.txt > ek.bin
digest=$(openssl dgst -sha256 -r ek.bin | cut -d' ' -f1)
default_id=$(device tpm-a ek 2>/dev/null | sed -n 's/^Registration ID *//p')
tell "Step 1" "Manufacture. The TPM derives its endorsement key from a seed that never leaves it." \
    "EK_pub: RSA-2048, $(wc -c < ek.bin) bytes, SHA-256 $(short "$digest")" \
    "→ default registration ID $(short "$default_id") (base32 of that hash); this device is called $id."

admin enroll $id --ek ek.txt > out.txt 2> error.txt || die "not enrolled"
tell "Step 2" "The vendor enrolls EK_pub under the name $id. Nothing secret was uploaded."

printf 'first owner' > owner-1
chmod 600 owner-1
device tpm-a own --new-owner-auth-file owner-1 --persist > own.txt 2> error.txt || die "not owned"
ek_name=$(field "EK Name" own.txt | cut -d" " -f1)
srk_name=$(field "SRK Name" own.txt | cut -d" " -f1)
tell "Step 3" "The first owner sets a password and gets a storage root key, derived from the owner's seed." \
    "SRK Name $(short "$srk_name"); EK Name $(short "$ek_name"). Both keys are kept in the TPM, as this owner asked."

printf 'the first owner s secret' > secret.txt
device tpm-a seal --owner-auth-file owner-1 --in secret.txt --out sealed > out.txt 2> error.txt || die "not sealed"
register tpm-a --owner-auth-file owner-1 --verbose > registered.txt 2> steps.txt ||
    { cp steps.txt error.txt; die "not registered"; }
register tpm-a --owner-auth-file owner-1 --trace=json > out.txt 2> trace.json || die "not registered again"
hub=$(field Hub registered.txt)
blob=$(sed -n 's/.*"kind":"http-response".*"name":"HTTP\/1.1 401.*"hex":"\([0-9a-f]*\)".*/\1/p' trace.json | head -n 1 |
    perl -ne 'chomp; $_ = pack "H*", $_; print $1 if /"authenticationKey":"([^"]*)"/' | openssl base64 -d -A | wc -c)
requests=$(awk '$3 == "HTTP" && $4 == "PUT" {print $5; exit}' steps.txt)
tell "Step 4" "dps-device → dps-service over TLS: registration ID, scope $scope, EK_pub, SRK_pub ($requests bytes)."
tell "Step 5" "The service finds the enrollment; the EK matches, the SRK is bound to a TPM." \
    "It does not ask who owns it."
tell "Step 6" "It derives a nonce, wraps it to the SRK, then to the EK: $blob bytes. Nothing is stored." \
    "Whoever lacks either private key holds noise."
activated=$(time_of ActivateCredential 1 steps.txt)
imported=$(time_of Import 1 steps.txt)
loaded=$(time_of Load 1 steps.txt)
tell "Step 7" "The TPM opens it: ActivateCredential (EK) $activated ms, Import (SRK) $imported ms, Load $loaded ms." \
    "The nonce is now a key inside the TPM."
tell "Step 8" "TPM2_HMAC signs the token SharedAccessSignature sr=$scope%2Fregistrations%2F$id&sig=…;" \
    "second request."
tell "Step 9" "Verified. Assigned to $hub; the hub's device key comes wrapped the same way."
device tpm-a send --owner-auth-file owner-1 --state tpm-a.state --ca ca.pem --connect-to "localhost:$port" \
    --message '{"temperature":21}' > sent.txt 2> error.txt || die "telemetry not accepted"
status=$(sed -n 's/.*answered //p' sent.txt)
tell "Step 10" "The device sends telemetry with a token signed in the TPM: accepted ($status)."
commands=$(field 'TPM commands' registered.txt)
requests=$(field Requests registered.txt)
time=$(field Time registered.txt)
tell "" "${commands%% *} TPM commands, 0 NV writes, ${requests%% *} requests ${requests#* }, $time."
say ""

device tpm-a clear --yes > cleared.txt 2> error.txt || die "not cleared"
[ "$(field "EK Name" cleared.txt | cut -d" " -f1)" = "$ek_name" ] || die "the EK has changed"
new_srk=$(field "SRK Name" cleared.txt | cut -d" " -f1)
[ "$new_srk" != "$srk_name" ] || die "the SRK has not changed"
tell "Resale" "TPM2_Clear. Same EK $(short "$ek_name"), new SRK $(short "$new_srk")."
must_be_refused TPM_RC_INTEGRITY device tpm-a token --state tpm-a.state
must_be_refused TPM_RC_INTEGRITY device tpm-a unseal --in sealed --out -
tell "" "The old owner's hub key no longer loads, and what he sealed does not open (TPM_RC_INTEGRITY)."
printf 'second owner' > owner-2
chmod 600 owner-2
device tpm-a own --new-owner-auth-file owner-2 > out.txt 2> error.txt ||
    die "the second owner cannot take ownership"
register tpm-a --owner-auth-file owner-2 > registered.txt 2> error.txt ||
    die "the second owner's device is not recognised"
tell "" "The second owner takes ownership, and the device is still recognised: $(field Substatus registered.txt)."
say ""

must_be_refused 401003 register tpm-b
tell "Impostor" "Another TPM claims the same registration ID: refused at step 5 (401003: the EK does not match" \
    "the enrollment)."
say ""

# A key that OpenSSL has made, in the form of an SRK, but honest about where it lives.
openssl genrsa -traditional -out malware.key 2048 > out.txt 2> error.txt
modulus=$(openssl rsa -in malware.key -noout -modulus 2>/dev/null | cut -d= -f2)
ask_with_srk() { # ask_with_srk ATTRIBUTES: the service's answer to a request that names the software key as SRK
    srk=$(printf '011a0001000b%s0000000600800043001008000000000001 00%s' "$1" "$modulus" | tr -d ' ' |
        perl -ne 'print pack "H*", $_' | openssl base64 -A)
    keys="{\"endorsementKey\":\"$(cat ek.txt)\",\"storageRootKey\":\"$srk\"}"
    curl -s --cacert ca.pem -X PUT -d "{\"registrationId\":\"$id\",\"tpm\":$keys}" \
        "https://localhost:$port/$scope/registrations/$id/register?api-version=2021-06-01" > out.txt 2> error.txt
}
ask_with_srk 00030440
refused_srk=$(sed -n 's/.*"errorCode":\([0-9]*\).*/\1/p' out.txt)
[ "$refused_srk" = 400012 ] || die "a software key was taken for an SRK: $(cat out.txt)"
# What the TPM itself does with such keys, and with TPM2_Rewrap: the suite's cases try it, on a fresh TPM.
try_on_tpm() { # try_on_tpm CASE...: the report is in tried.txt
    dps-conformance --tpm "libtpms:$dir/tpm-c" "$@" > tried.txt 2> error.txt || die "the TPM does not do that: $*"
}
passed() {
    grep -q "^ok [0-9]* - $1:" tried.txt
}
try_on_tpm TPM-S05-001 TPM-S05-004
passed TPM-S05-001 && passed TPM-S05-004 || die "the TPM treats software keys differently: $(cat tried.txt)"
tell "Malware" "Software as root sends an RSA key of its own as the SRK. The TPM would load it and give out the inner" \
    "key, and the nonce would be open outside the TPM. Refused at step 5 ($refused_srk, not fixedTPM). If the key" \
    "claims to be fixed to a TPM, the service believes it, but the TPM refuses to load it."
say ""

try_on_tpm TPM-S07-101 TPM-S07-102
attack=$(sed -n 's/^# TPM2_Rewrap from the standard SRK: //p' tried.txt)
answers=$(sed -n 's/^# TPM2_Rewrap by .*refused (\(0x[0-9a-f]*\))/\1/p' tried.txt | uniq | paste -sd, | sed 's/,/, /g')
[ -n "$attack" ] && passed TPM-S07-101 || die "nothing is known about TPM2_Rewrap: $(cat tried.txt)"
tell "Rewrap" "One command too many: TPM2_Rewrap, by software as root, with the standard SRK: $attack."
if passed TPM-S07-102; then
    tell "" "The hardened SRK admits only Import and Load: TPM2_Rewrap is refused ($answers)."
fi
id=boiler-8
device tpm-c ek --format base64 > ek.txt 2> error.txt || die "no EK"
admin enroll $id --ek ek.txt --srk hardened > out.txt 2> error.txt || die "not enrolled"
must_be_refused 400016 register tpm-c
register tpm-c --srk hardened > registered.txt 2> error.txt || die "not registered with the hardened SRK"
commands=$(field 'TPM commands' registered.txt)
tell "" "Where it is demanded, the standard SRK is refused (400016). With the hardened one $id registers, in" \
    "${commands%% *} TPM commands: $(field Hub registered.txt)."
say ""

kill -TERM $service_pid
wait $service_pid || die "the service did not end in order"
service_pid=
say "All of it held. Where to go next:"
say "  spec-notes.md                        the words, the decisions, the security argument"
say "  dps/device/device.c, dps/service/service.c          the flow, top to bottom"
say "  $given/dps-device --tpm /dev/tpmrm0 info         your own TPM, and whether it has TPM2_Rewrap"
say "  $given/dps-device --tpm libtpms:/tmp/tpm --trace ek   every byte explained"
