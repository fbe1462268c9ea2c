# SPDX-License-Identifier: MIT
"""The story of tests/e2e/flow_test.py with another dps-device: dps-service, dps-admin and swtpm are this machine's.

    python3 tests/cross/device.py BUILD KIND COMMAND...

KIND: the kind of TPM (libtpms, swtpm-tcp, swtpm-unix); COMMAND runs that dps-device: a path, or an emulator and a path.
TAP on standard output."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import flow_test  # noqa: E402
from flow_test import Bench, Programs, Story, functions, run_tap, write_file  # noqa: E402


def tests(kind, command):
    """Pairs of a line and a function: each part of the story needs those before it."""
    shared = {}

    def tell(part):
        if not shared:
            shared["story"] = Story(kind, Bench())
        part(shared["story"])
    return [(f"{os.path.basename(command[0])}, {kind}: {part.__doc__}", lambda part=part: tell(part))
            for part in functions("part_")]


def use(command):
    """Let the story find this dps-device instead of the one in BUILD."""
    quoted = " ".join("'" + word + "'" for word in command)
    wrapper = write_file(os.path.join(Programs.root, "dps-device"), f'#!/bin/sh\nexec {quoted} "$@"\n', 0o700)
    own = Programs.path
    Programs.path = staticmethod(lambda name: wrapper if name == "dps-device" else own(name))


def main():
    build, kind, command = sys.argv[1], sys.argv[2], [os.path.abspath(w) if "/" in w else w for w in sys.argv[3:]]
    with Programs.use(build, "cross-test-"):
        use(command)
        return run_tap(tests(kind, command))


if __name__ == "__main__":
    sys.exit(main())
