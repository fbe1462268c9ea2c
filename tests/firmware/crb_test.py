# SPDX-License-Identifier: MIT
"""The CRB interface of QEMU's PC with a swtpm as its TPM, seen by port/tis/crb.c without an operating system.

Needs qemu-system-x86 and swtpm."""

import base64
import os
import re
import subprocess

from harness import Device, read_file
from tap import Programs, check, same
from waiting import wait_until

PATIENCE = 600  # seconds
STATUS = 1      # isa-debug-exit: twice what the program ended with, and 1


def test_crb():
    """commands long and short, refused and cancelled; the EK is the one that dps-device reads"""
    device = Device("swtpm-tcp")
    ek = base64.b64decode(device.run("ek", "--format", "base64").out)
    device.tpm.stop()
    control, console = (os.path.join(device.dir, name) for name in ("control.sock", "console"))
    swtpm = subprocess.Popen(["swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + os.path.join(device.dir, "tpm"),
                              "--ctrl", "type=unixio,path=" + control], stderr=subprocess.DEVNULL)
    Programs.cleanup.callback(swtpm.kill)
    wait_until(lambda: os.path.exists(control) or swtpm.poll() is not None, "swtpm has its socket")
    done = subprocess.run(
        ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-m", "32", "-nodefaults", "-display", "none",
         "-no-reboot", "-kernel", Programs.path("firmware/crb/crb.elf"), "-serial", "file:" + console,
         "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-chardev", "socket,id=tpm,path=" + control,
         "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm0"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False)
    swtpm.kill()
    swtpm.wait()
    text = read_file(console).decode("ascii").replace("\r", "") if os.path.exists(console) else ""
    check("Done." in text and "WRONG" not in text, text + done.stderr)
    same(done.returncode, STATUS, text)
    same("".join(re.findall("^0x([0-9a-f]{8})$", text, re.M)), ek.hex(), "the EK")
