# SPDX-License-Identifier: MIT
"""The smallest port (port/example) against a real service and a swtpm: it registers, and keeps what it was given; with
port_drive and in an event loop.

With EXAMPLE_WHOLE=yes every case of the conformance suite, which takes minutes.

Needs the standard library, openssl and swtpm."""

import os
import re
import subprocess
import urllib.parse

from certificates import make_ca
from harness import HUBS, Bench, Device, read_file, run, write_file
from server_harness import SCOPE
from tap import Programs, check, same

# A registration as it should be; bytes that come alone; a connection that ends between two requests, or says what
# nobody asked for; a wrong credential.
CASES = ("DEV-S04-001", "DEV-S06-003", "DEV-S06-024", "DEV-S00-031", "DEV-S07-061")
REFUSED, USAGE, TPM, NETWORK, RECORD = 1, 2, 3, 4, 5


class Example:
    def __init__(self):
        self.bench, self.device = Bench(), Device("swtpm-tcp")
        self.bench.enroll(self.device, "boiler-7")
        self.bench.enroll(Device("libtpms"), "boiler-8")

    def run(self, *options, record="record", tpm=None, port=None, name="boiler-7", ca=None, **expected):
        """dps-example, which must leave nothing in the TPM, however it ends."""
        result = run(Programs.path("dps-example"), *options, "localhost", str(port or self.bench.service.tls_port),
                     ca or self.bench.path("ca.pem"), SCOPE, name, str(tpm or self.device.tpm.address[1]),
                     self.device.path(record), **expected)
        same(self.device.tpm.loaded(), [], "loaded in the TPM")
        return result

    def assigned(self, first_line, result):
        lines = result.out.splitlines()
        same(lines[0], first_line, "what it did")
        hub = lines[1].removeprefix("hub ")
        check(hub in HUBS, f"{hub} is one of the hubs")
        same(lines[2], "device boiler-7", "its name")
        token = "SharedAccessSignature sr=" + urllib.parse.quote(hub, safe="")
        check(lines[3].startswith(token), f"a token: {lines[3]}")
        return hub


def story(example, *options):
    record = "record" + "".join(options)
    hub = example.assigned("registers", example.run(*options, record=record))
    kept = read_file(example.device.path(record))
    same(example.assigned("is registered", example.run(*options, record=record)), hub, "the hub after a reboot")
    same(read_file(example.device.path(record)), kept, "the record after a reboot")


def failures(example, *options):
    """Each of the interfaces fails, and the program says which, as the table of port/PORTING.md does."""
    def fresh(status, **what):
        example.run(*options, record="none", status=status, **what)
        check(not os.path.exists(example.device.path("none")), "a record of a registration that failed")

    make_ca(example.device.dir)
    other = example.device.path("ca.pem")
    fresh(REFUSED, name="stranger", says=("step 4", "error -7", "HTTP 404"))
    fresh(REFUSED, name="boiler-8", says=("step 4", "error -7", "HTTP 401"))
    fresh(NETWORK, ca=other, says=("step 4", "error -13", "TLS 62"))
    fresh(NETWORK, port=1, says=("step 4", "error -11"))
    fresh(TPM, tpm=1, says=("step 1", "error -14"))
    write_file(example.device.path("torn"), read_file(example.device.path("record"))[:-1])
    example.run(*options, record="torn", status=RECORD, says="error -18")
    example.run(*options, record="no/such/directory/record", status=RECORD, says=("step 10", "error -22"))


def conformance(example, ids, *options):
    """What port/PORTING.md calls the finish line."""
    cert, key, port = example.bench.path("cert.pem"), example.bench.path("key.pem"), example.device.tpm.address[1]
    command = (f"exec '{Programs.path('dps-example')}' {' '.join(options)} "
               '"$CONFORMANCE_HOST" "$CONFORMANCE_PORT" "$CONFORMANCE_CA" "$CONFORMANCE_SCOPE" "$CONFORMANCE_ID" '
               f'{port} "$CONFORMANCE_STATE/record.$$"')
    done = subprocess.run(
        [Programs.path("dps-conformance"), "--device-listen", "127.0.0.1:0", "--device-cert", cert, "--device-key", key,
         "--device-ca", example.bench.path("ca.pem"), "--device-hub", HUBS[0], "--device-command", command, *ids],
        capture_output=True, text=True, timeout=1500, check=False)
    same(re.findall("^not ok .*", done.stdout, re.M), [], "cases that failed")
    same(done.returncode, 0, "exit code: " + done.stderr)
    check(len(re.findall(r"^ok (?!.*# SKIP)", done.stdout, re.M)) >= len(ids or range(200)), "too few cases ran")
    same(example.device.tpm.loaded(), [], "loaded in the TPM")


def usage():
    run(Programs.path("dps-example"), "--help", status=USAGE, says="Usage:")


def shared():
    return Example()


def tests():
    ids = () if os.environ.get("EXAMPLE_WHOLE") else CASES
    return [
        ("the smallest port registers, and is registered after a reboot", story),
        ("the same in an event loop, without port_drive", lambda example: story(example, "--loop")),
        ("each interface fails with its own exit code", failures),
        ("the same in an event loop", lambda example: failures(example, "--loop")),
        ("the conformance suite for devices", lambda example: conformance(example, ids)),
        ("the same in an event loop", lambda example: conformance(example, ids, "--loop")),
        ("usage", usage),
    ]
