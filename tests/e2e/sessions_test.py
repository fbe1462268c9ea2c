# SPDX-License-Identifier: MIT
"""A device whose owner, endorsement hierarchy and SRK have a password each, on a swtpm, with somebody who records the
bus: no password is on it, from `own` to `clear`. The same recorder finds them where sessions are switched off.

Needs openssl, swtpm and tpm2-tools."""

import shutil
from functools import partial

from harness import Bench, Device, SwtpmForTools, read_file
from tap import check, same
from tpm_front import Front

PASSWORDS = {"owner": "the owner's password", "endorsement": "endorsement's password", "lockout": "password for clear"}
SRK_PASSWORD = "the password of the SRK"
SRK_ATTRIBUTES = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt"
SECRET = "what the owner has sealed"
SRK = "0x81000001"


class Recorder(Front):
    """The bus, and all that has crossed it."""

    def __init__(self, tpm):
        self.bus = []
        super().__init__(tpm)

    def answer(self, command):
        response = super().answer(command)
        self.bus += [command, response]
        return response

    def saw(self, text):
        return any(text.encode() in message for message in self.bus)


class Owned:
    """A TPM that `own` has taken, with a persistent SRK that has a password: the device knows none for it, and derives
    the same key anew, for which it needs the owner's."""

    def __init__(self, *options):
        self.tpm = SwtpmForTools()
        self.options = options
        self.recorder = Recorder(self.tpm)
        self.tpm.name = self.recorder.name
        self.device = Device(None, self.tpm)
        files = {name: self.device.secret(name, text) for name, text in PASSWORDS.items()}
        self.took = self.count("own", *(x for name, path in files.items() for x in (f"--new-{name}-auth-file", path)))
        self.device.auth = [x for name, path in files.items() for x in (f"--{name}-auth-file", path)]
        self.lock_srk()

    def lock_srk(self):
        self.tpm.tool("tpm2_createprimary", "-Q", "-C", "o", "-P", PASSWORDS["owner"], "-G", "rsa2048:aes128cfb", "-p",
                      SRK_PASSWORD, "-a", SRK_ATTRIBUTES, "-c", "srk")
        self.tpm.tool("tpm2_evictcontrol", "-Q", "-C", "o", "-P", PASSWORDS["owner"], "-c", "srk", SRK)
        self.tpm.tool("tpm2_flushcontext", "-t")

    def count(self, *arguments, run=None):
        """Commands that it takes, as they cross the bus."""
        before = len(self.recorder.bus)
        (run or self.device.run)(*arguments, *self.options)
        return (len(self.recorder.bus) - before) // 2


def story(bench, srk, *options):
    """What crosses the bus from `own` to `clear`. Returns the recorder, and the commands of each part."""
    owned = Owned(*options)
    device, name = owned.device, f"device-{srk}{len(options)}"
    bench.enroll(device, name)
    counts = {"own": owned.took}
    for part in ("register", "again"):
        counts[part] = owned.count(device, name, "--srk", srk, run=bench.register)
    counts["token"] = owned.count("token", "--state", device.path("state"))
    secret = device.secret("secret", SECRET)
    counts["seal"] = owned.count("seal", "--in", secret, "--out", device.path("sealed"))
    counts["unseal"] = owned.count("unseal", "--in", device.path("sealed"), "--out", device.path("unsealed"))
    same(read_file(device.path("unsealed")), SECRET.encode(), "what was sealed")
    counts["clear"] = owned.count("clear", "--yes")
    device.auth = []
    same(device.run("info").field("Authorization"), "owner empty, endorsement empty, lockout empty", "authorizations")
    return owned.recorder, counts
# Startup, and what tests/port/test_bus.c counts for derived keys ("passwords-derived", "hardened-derived"); `own` and
# `clear` also ask for a capability. The standard SRK is at hand, but it refuses its first use: what came before is
# asked in vain, and then all but for that SRK again.
COMMANDS = {
    "standard": {"own": 2 + 11, "register": 1 + 11 + 20, "again": 1 + 11 + 20, "token": 1 + 2 + 10, "seal": 1 + 4 + 8,
                 "unseal": 1 + 4 + 10, "clear": 2 + 11},
    "hardened": {"own": 2 + 11, "register": 1 + 28, "again": 1 + 28, "token": 1 + 13, "seal": 1 + 4 + 8,
                 "unseal": 1 + 4 + 10, "clear": 2 + 11},
}


def is_silent(bench, srk):
    recorder, counts = story(bench, srk)
    same(counts, COMMANDS[srk], "commands")
    seen = [text for text in (*PASSWORDS.values(), SRK_PASSWORD, SECRET) if recorder.saw(text)]
    same(seen, [], "on the bus")


def speaks(bench, srk):
    recorder, _ = story(bench, srk, "--no-sessions")
    missed = [text for text in (*PASSWORDS.values(), SECRET) if not recorder.saw(text)]
    same(missed, [], "that the recorder should have seen")


def shared():
    check(shutil.which("tpm2_createprimary"), "tpm2-tools are missing")
    return Bench()


def tests():
    for srk in COMMANDS:
        yield f"a password for each, {srk} SRK: none crosses the bus", partial(is_silent, srk=srk)
        yield f"a password for each, {srk} SRK, without sessions: the recorder hears them", partial(speaks, srk=srk)
