# SPDX-License-Identifier: MIT
"""dps-conformance --device-listen: our own device is right, and clients that are wrong in one thing are caught in the
case that is about it. Those clients are conformance_device_client.py.

Needs openssl, swtpm and python3-cryptography."""

import json
import os
import socket
import subprocess

from certificates import make_ca, make_leaf
from harness import Device, run
from tap import Programs, check, same

CLIENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "conformance_device_client.py")

# What a client does wrong → the cases that must fail because of it, and some that must not.
FAULTS = {
    "no api-version": ("DEV-S04-002",),
    "other type": ("DEV-S04-004",),
    "keys without size": ("DEV-S04-006",),
    "srk may leave its TPM": ("DEV-S04-007",),
    "a token at once": ("DEV-S04-008",),
    "other audience": ("DEV-S08-002",),
    "signs the decoded": ("DEV-S08-003",),
    "for ever": ("DEV-S08-004",),
    "other skn": ("DEV-S08-005",),
    "polls without token": ("DEV-S09-001",),
    "one more": ("DEV-S09-002",),
    "polls once": ("DEV-S09-004",),
    "no chunks": ("DEV-S06-001",),
    "key in clear": ("DEV-S06-016",),
    "impatient": ("DEV-S09-003",),
    "signs anyway": ("DEV-S07-003", "DEV-S07-071", "DEV-S07-107"),
    "no integrity": ("DEV-S07-061", "DEV-S07-063"),
    "any inner key": ("DEV-S07-079",),
    "any key": ("DEV-S07-081", "DEV-S07-084", "DEV-S09-106"),
    "raw": ("DEV-S07-115", "DEV-S08-024"),
    "half answers": ("DEV-S00-016",),
    "crashes": ("DEV-S00-033",),
    "hangs": ("DEV-S08-028",),
    "asks for ever": ("DEV-S08-029",),
    "never fails": ("DEV-S08-020", "DEV-S09-120"),
    "saves early": ("DEV-S09-102",),
    "any hub": ("DEV-S09-125",),
    "follows": ("DEV-S00-047",),
    "any name": ("DEV-S00-050",),
    "any certificate": ("DEV-S00-050", "DEV-S00-051", "DEV-S00-052"),
}
CASES_MIN = 230  # of the suite: a case that disappears is noticed


class Lab:
    """Certificates right and wrong, and how the suite is run."""

    def __init__(self):
        self.program, self.dir = Programs.path("dps-conformance"), Programs.directory()
        make_ca(self.dir)
        self.leaf("good", "localhost", "hub-a.example")
        self.leaf("other", "other.example")
        self.leaf("expired", "localhost", days=(-9000, -1))
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                     "self.key", "-out", "self.pem", "-days", "2", "-subj", "/CN=localhost",
                     "-addext", "subjectAltName=DNS:localhost")
        self.join("self")
        for name in ("ek.key", "srk.key"):
            self.openssl("genrsa", "-out", name, "2048")

    def path(self, name):
        return os.path.join(self.dir, name)

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.dir, check=True, capture_output=True)

    def join(self, name):
        with open(self.path(name + ".both"), "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as both:
            for part in (".pem", ".key"):
                with open(self.path(name + part), "rb") as f:
                    both.write(f.read())

    def leaf(self, name, *names, days=(-1, 2)):
        make_leaf(self.dir, names, files=(name + ".pem", name + ".key"), days=days)
        self.join(name)

    def conformance(self, command, *arguments):
        """Exit code, id → case of the report, and standard error."""
        report = self.path("report.json")
        if os.path.exists(report):
            os.unlink(report)
        done = subprocess.run(
            [self.program, "--device-listen", "127.0.0.1:0", "--device-cert", "good.pem", "--device-key", "good.key",
             "--device-ca", self.path("ca.pem"), "--device-hub", "hub-a.example", "--device-cert-other-name",
             "other.both", "--device-cert-expired", "expired.both", "--device-cert-untrusted", "self.both",
             "--json", report, "--device-command", command, *arguments],
            cwd=self.dir, capture_output=True, timeout=1500, check=False)
        if not os.path.exists(report):
            raise RuntimeError(done.stderr.decode(errors="replace"))
        with open(report, encoding="utf-8") as f:
            cases = {case["id"]: case for case in json.load(f)["cases"]}
        return done.returncode, cases, done.stderr.decode(errors="replace")

    def python(self, fault, *arguments):
        command = f"exec /usr/bin/python3 '{CLIENT}' '{self.dir}' '{fault}'"
        return self.conformance(command, "--strict", *arguments)

    def ours(self, device, *arguments, options=""):
        tool = f"exec '{Programs.path('dps-device')}' --quiet --tpm '{device.tpm.name}'"
        state = '--state "$CONFORMANCE_STATE/state" --ca "$CONFORMANCE_CA"'
        register = (f'{tool} register --service "$CONFORMANCE_URL" --scope "$CONFORMANCE_SCOPE" '
                    f'--id "$CONFORMANCE_ID" {state} {options}')
        send = f'{tool} send --connect-to "localhost:$CONFORMANCE_PORT" --message x {state}'
        return self.conformance(register, "--strict", "--device-send-command", send, *arguments)


def told(cases, wanted):
    return "; ".join(f"{i}: {c['result']}: {c.get('message', '')}" for i, c in cases.items() if c["result"] != wanted)


def test_our_device(lab):
    """dps-device passes all of it, the SHOULDs included"""
    device = Device("libtpms")
    device.run("own", "--persist")
    code, cases, err = lab.ours(device)
    same(told(cases, "passed"), "", "cases that did not pass")
    check(len(cases) >= CASES_MIN, f"only {len(cases)} cases")
    same(code, 0, "exit code: " + err)


def test_our_device_hardened(lab):
    """with --srk hardened it sends only this SRK, opens what is wrapped to it, and sends; without, it is caught"""
    device = Device("swtpm-unix")
    device.run("own", "--persist")
    some = ("--device-srk", "hardened", "DEV-S04", "DEV-S06-001", "DEV-S07-063", "DEV-S08", "DEV-S09-002",
            "DEV-S10")
    code, cases, err = lab.ours(device, *some, options="--srk hardened")
    same(told(cases, "passed"), "", "cases that did not pass")
    same(code, 0, "exit code: " + err)
    same(device.tpm.loaded(), [], "loaded in the TPM")
    code, cases, err = lab.ours(device, "--device-srk", "hardened", "DEV-S04")
    same([i for i, c in cases.items() if c["result"] != "passed"], ["DEV-S04-010"], "cases that did not pass")
    same(code, 1, "exit code: " + err)


def test_our_device_leaves_nothing(lab):
    """it leaves nothing in a TPM that keeps what is loaded, whatever the service does"""
    device = Device("swtpm-unix")
    device.run("own", "--persist")
    some = ("DEV-S07-003", "DEV-S07-063", "DEV-S07-073", "DEV-S07-086", "DEV-S08", "DEV-S10",
            *(f"DEV-S09-{i}" for i in (101, 102, 103, 104, 105, 106, 107, 108, 124, 139)))
    code, cases, err = lab.ours(device, *some)
    same(told(cases, "passed"), "", "cases that did not pass")
    same(code, 0, "exit code: " + err)
    same(device.tpm.loaded(), [], "loaded in the TPM")


def test_right_client(lab):
    """a right client that is not ours passes every case that the wrong ones fail"""
    ids = sorted({i for ids in FAULTS.values() for i in ids})
    for some in (ids[:20], ids[20:]):
        code, cases, err = lab.python("", *some)
        same(told(cases, "passed"), "", "cases that did not pass")
        same(code, 0, "exit code: " + err)


def test_unusable_address(lab):
    """an address that cannot be listened on: which, why, and what to do"""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        used = f"127.0.0.1:{taken.getsockname()[1]}"
        for code, address, *says in ((2, "127.0.0.1", "ADDR:PORT"), (2, "::1:0", "[IPV6]:PORT"),
                                     (4, used, "in use", "What to do: end the program that listens there"),
                                     (4, "192.0.2.1:0", "What to do: name an address that this machine has")):
            run(lab.program, "--device-listen", address, "--device-cert", lab.path("good.pem"), "--device-key",
                lab.path("good.key"), "--device-command", "true", status=code, says=(address, *says))


def catch(lab, fault):
    code, cases, err = lab.python(fault, *FAULTS[fault])
    same({i: c["result"] in ("failed", "not met") for i, c in cases.items()}, {i: True for i in FAULTS[fault]},
         "cases that failed: " + err)
    check("with nothing wrong" not in err, "it fails where nothing is wrong, too: " + err)
    check(code == 1, f"exit code {code}")


def shared():
    return Lab()


def tests():
    faults = list(FAULTS) if os.environ.get("CONFORMANCE_CLIENTS") == "all" else list(FAULTS)[::6]
    for fault in faults:
        yield f"a client that is wrong is caught: {fault}", lambda lab, fault=fault: catch(lab, fault)
