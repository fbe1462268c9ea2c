# SPDX-License-Identifier: MIT
"""A TPM of dps-conformance (--serve-tpm), which others reach over TCP: honest, hostile or behind an interposer."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import tempfile

from tap import Programs, check
from waiting import PATIENCE


def hostile_device():
    """A dps-device that has the hostile TPM; the one that is installed does not."""
    return os.path.join(Programs.build, "tests", "dps-device-hostile")


class Served:
    """A running dps-conformance --serve-tpm with a TPM of its own."""

    def __init__(self, hostile="", tpm=None):
        self.dir = tempfile.mkdtemp(dir=Programs.root)
        self.tpm = hostile + (tpm or f"libtpms:{self.dir}/state")
        self.log_path = os.path.join(self.dir, "log")
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen(
                [os.path.join(Programs.build, "dps-conformance"), "--tpm", self.tpm, "--serve-tpm", "127.0.0.1:0"],
                stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        match = re.fullmatch(r"TPM at 127\.0\.0\.1:(\d+), its platform at port (\d+)\n", line)
        if not match:
            self.stop()
            check(False, f"it said {line!r} and {self.log()!r}")
        self.port, self.control = map(int, match.groups())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def log(self):
        with open(self.log_path) as log:
            return log.read()

    def stop(self, number=signal.SIGTERM):
        """The exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self.process.stdout.close()

    def connect(self, control=False):
        s = socket.create_connection(("127.0.0.1", self.control if control else self.port), PATIENCE)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return contextlib.closing(s)

    def tool(self, tcti, *command):
        environment = dict(os.environ, TPM2TOOLS_TCTI=f"{tcti}:host=127.0.0.1,port={self.port}", TSS2_LOG="all+none")
        return run([word.format(dir=self.dir) for word in command], env=environment)

    def device(self, kind, *command):
        return run([hostile_device(), "--tpm", f"{kind}:127.0.0.1:{self.port}", *command])


def run(command, env=None):
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=600)
