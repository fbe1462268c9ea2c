# SPDX-License-Identifier: MIT
"""dps-conformance --device-listen with clients that are odd rather than wrong: that hold something, send much,
have one fault, or never come. The clients are those of conformance_device_client.py.

Needs openssl, flock and python3-cryptography."""

import os

from conformance_device_test import CLIENT, Lab, told
from tap import check, same


def test_held(lab):
    """a client that the suite kills has released what it held before the next case begins"""
    lock, both = lab.path("lock"), lab.path("both")
    # Not the shell that the suite has started, deaf to SIGTERM, and so large that its end takes a while.
    holder = (f"import fcntl, os, signal, subprocess, sys; signal.signal(15, signal.SIG_IGN); f = open({lock!r}, 'w')\n"
              "try:\n    fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
              f"except OSError:\n    open({both!r}, 'w').close()\n"
              f"memory = bytearray(os.urandom(1 << 20)) * 200\n"
              f"client = ['/usr/bin/python3', {CLIENT!r}, {lab.dir!r}]\n"
              "sys.exit(subprocess.call(client))\n")
    with open(lab.path("holder.py"), "w", encoding="utf-8") as f:
        f.write(holder)
    command = f"flock --nonblock '{lock}' true || touch '{both}'; /usr/bin/python3 '{lab.path('holder.py')}'; exit $?"
    code, cases, err = lab.conformance(command, "--strict", "DEV-S00-043", "DEV-S00-047", "DEV-S09-120")
    same(told(cases, "passed"), "", "cases that did not pass")
    check(not os.path.exists(both), "two clients had it at once")
    same(code, 0, err)


def test_large_requests(lab):
    """a client may send requests that the suite does not read: it is refused, but no case fails"""
    code, cases, err = lab.python("reads all", "DEV-S07-116", "DEV-S08-027")
    same(told(cases, "passed"), "", "cases that did not pass")
    check(any("larger than this suite reads" in note for c in cases.values() for note in c["notes"]), f"{cases}")
    same(code, 0, err)


def test_only_its_own(lab):
    """a client with one fault fails the case about it, and not those that only depend on it"""
    some = ("DEV-S04-002", "DEV-S06-001", "DEV-S07-003", "DEV-S07-061", "DEV-S08-020", "DEV-S00-050")
    for fault, failed, others in (("keeps a log", "DEV-S04-009", "passed"), ("one more", "DEV-S09-002", "passed"),
                                  ("other audience", "DEV-S08-002", "skipped"),
                                  ("no api-version", "DEV-S04-002", "passed")):
        code, cases, err = lab.python(fault, failed, *(i for i in some if i != failed))
        same([i for i, c in cases.items() if c["result"] in ("failed", "not met")], [failed], f"{fault}: {err}")
        scripts = {i: c for i, c in cases.items() if i in some[1:5]}
        same({i: c["result"] for i, c in scripts.items()}, {i: others for i in scripts}, f"{fault}: {err}")
        check(others == "passed" or all(c["stands_on"] == "DEV-S09-002" for c in scripts.values()), f"{scripts}")
        same(code, 1, fault)


def test_no_client(lab):
    """a client that never comes: nothing passes, and it is no success"""
    code, cases, _ = lab.conformance("exit 0", "DEV-S04-001", "DEV-S07-003", "DEV-S00-050")
    check(code != 0 and all(c["result"] != "passed" for c in cases.values()), f"{code}: {cases}")


def shared():
    return Lab()
