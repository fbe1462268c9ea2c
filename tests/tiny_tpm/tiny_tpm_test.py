# SPDX-License-Identifier: MIT
"""The TPM to read: dps-conformance judges it, libtpms answers as it does, our programs use it as they use any other.

Needs openssl and libtpms."""

import os
import re
import subprocess

from conformance_tpm_test import Run
from harness import Bench, Device, Swtpm, read_file
from tap import Programs, check, same
from waiting import wait_until

# Our own suite on a TPM that has no more than it needs.
NOT_MET = {"TPM-S00-004",  # it has no NV memory,
           "TPM-S01-009",  # and so no EK certificate
           "TPM-S07-100"}  # it has TPM2_Rewrap, to show what that does
MISSING = {"TPM-S07-012": "TPM2_MakeCredential", "TPM-S07-092": "TPM2_ObjectChangeAuth",
           "TPM-S08-004": "TPM2_HMAC_Start"}
SKIPPED = {"TPM-S01-008", "TPM-S03-005",  # nothing is persistent
           "TPM-S01-010",  # there is no EK certificate
           "TPM-S09-003",  # --quick
           *MISSING}
REWRAP = ("TPM2_Rewrap from the standard SRK: 32 bytes of key in clear",
          "TPM2_Rewrap by the empty password: refused (0x12f)", "TPM2_Rewrap by the policy of Import: refused (0x9a4)",
          "TPM2_Rewrap by the policy of Load: refused (0x9a4)", "TPM2_Rewrap by a policy of its own: refused (0x99d)")


def program(name):
    """With the sanitizers, where that was built."""
    path = Programs.path("asan/tests/" + name)
    return path if os.access(path, os.X_OK) else Programs.path("tests/" + name)


class Tiny(Swtpm):
    """A tiny TPM in a process of its own."""

    def __init__(self, *seed):
        self.kind, self.dir = "tiny-tpm", Programs.directory()
        self.address = self.path("socket")
        self.name = "swtpm:" + self.address
        self.process = subprocess.Popen([program("tiny-tpm"), self.address, *seed])
        Programs.cleanup.callback(self.stop)
        wait_until(self.answers, "the tiny TPM answers")


def test_conformance():
    """dps-conformance: every case passes, but for a list; Rewrap takes a key from one SRK and not from the other"""
    run = Run("--tpm", Tiny("conformance").name, "--destructive", "--quick", "--seed", "one")
    same(run.ids("failed"), [], "failed")
    same(set(run.ids("not met")), NOT_MET, "not met")
    same(set(run.ids("skipped")), SKIPPED, "skipped")
    for case, command in MISSING.items():
        check(re.search(rf"{case}: .*this TPM has no {command}", run.out), f"{case}: {run.out}")
    for note in REWRAP:
        check(note in run.out, f"{note}: {run.out}")


def test_libtpms():
    """libtpms gives the same responses, byte for byte"""
    done = subprocess.run([Programs.path("tests/tiny-tpm-compare"), os.path.join(Programs.directory(), "tpm")],
                          capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        print("# " + line)
    check(done.returncode == 0 and "not ok" not in done.stdout, done.stderr)


def test_in_process():
    """salted sessions: the tests of tests/port pass with it in the place of libtpms"""
    done = subprocess.run([Programs.path("tiny-tpm/test_sessions")], capture_output=True, text=True, check=False)
    check(done.returncode == 0 and done.stdout.startswith("1..4\n"), done.stdout)


def test_story():
    """our programs: own, register, send, seal, clear, with passwords; then the next owner (sanitizers)"""
    bench, device = Bench(), Device(None, Tiny("story"))
    bench.enroll(device, "d")
    files = {which: device.secret(which, which + "'s password") for which in ("owner", "endorsement", "lockout")}
    new = [x for which, path in files.items() for x in (f"--new-{which}-auth-file", path)]
    owned = device.run("own", "--persist", *new)
    device.run("clear", "--yes", status=3, says="authorization is set and was not given")
    device.auth = [x for which, path in files.items() for x in (f"--{which}-auth-file", path)]
    same(bench.register(device, "d").field("Registered"), "d", "registration ID")
    check("answered 204" in bench.send(device).field("Message"), "the hub refuses a message")
    secret, sealed = device.secret("secret", "the first owner's secret"), device.path("sealed")
    device.run("seal", "--in", secret, "--out", sealed)
    same(device.run("unseal", "--in", sealed, "--out", "-").bytes, read_file(secret), "unsealed")
    cleared = device.run("clear", "--yes")
    device.auth = []
    same(cleared.field("EK Name"), owned.field("EK Name").split()[0], "EK after clear")
    check(cleared.field("SRK Name") != owned.field("SRK Name").split()[0], "the SRK is the old one")
    device.run("unseal", "--in", sealed, "--out", "-", status=3, says=("TPM_RC_INTEGRITY", "no way back"))
    check("TPM_RC_INTEGRITY" in bench.send(device, status=3).err, "the old hub key")
    same(bench.register(device, "d").field("Substatus"), "reprovisionedToInitialAssignment", "registered again")


def test_seed():
    """the same seed is the same TPM, another one is another, and without one it is random"""
    keys = [Device(None, Tiny(*seed)).run("ek", "--format", "2b").bytes for seed in (("a",), ("a",), ("b",), ())]
    check(keys[0] == keys[1] and len(set(keys)) == 3, "keys")


def test_not_delivered():
    """no program that is delivered contains it"""
    for name in ("dps-device", "dps-service", "dps-admin", "dps-conformance"):
        check(b"tiny_tpm" not in read_file(Programs.path(name)), f"{name} contains the tiny TPM")
