# SPDX-License-Identifier: MIT
"""The story of tests/e2e/flow_test.py with another dps-device: dps-service, dps-admin and swtpm are this machine's.

DPS_DEVICE, in the environment, runs that dps-device: a path, or an emulator and a path. DPS_DEVICE_TPM is the kind of
TPM: libtpms, swtpm-tcp or swtpm-unix."""

import os

from flow_test import Bench, Story, functions, write_file
from tap import Programs

COMMAND = [os.path.abspath(word) if "/" in word else word for word in os.environ["DPS_DEVICE"].split()]
KIND = os.environ["DPS_DEVICE_TPM"]


def use(command):
    """Let the story find this dps-device instead of the one in BUILD."""
    quoted = " ".join("'" + word + "'" for word in command)
    wrapper = write_file(os.path.join(Programs.root, "dps-device"), f'#!/bin/sh\nexec {quoted} "$@"\n', 0o700)
    own = Programs.path
    Programs.path = staticmethod(lambda name: wrapper if name == "dps-device" else own(name))


def shared():
    use(COMMAND)
    return Story(KIND, Bench())


def tests():
    for part in functions("part_"):
        yield f"{os.path.basename(COMMAND[0])}, {KIND}: {part.__doc__}", part
