# SPDX-License-Identifier: MIT
"""port/posix/deploy/dps-service.service without systemd: its own lines are run unchanged, in their order, with this
test's ports and directories in place of the system's; and a `systemctl` that does it, for lines of a shell."""
import grp
import os
import pwd
import re
import shlex
import signal
import subprocess
import sys
import threading

from front import free_port
from server_harness import Service, make_certificate
from tap import Programs, check

UNIT = "port/posix/deploy/dps-service.service"
SHIM = """#!/bin/sh
[ "$1" != daemon-reload ] || exit 0
[ "$2" = dps-service ] || exit 1
echo "$1" > '{ask}'
exit "$(cat '{said}')"
"""


class Unit(Service):
    """A node, which tests can inspect and ask like a Service."""

    def __init__(self, store):
        super().__init__(start=False, store=store)
        self.ports = free_port(), free_port(), free_port()
        for name in ("etc", "run", "lib", "bin"):
            os.mkdir(self.path(name), 0o700)
        make_certificate(self.path("etc"), "localhost")
        self.write_hubs("--hub hub-a.example")
        with open(UNIT, encoding="utf-8") as f:
            self.lines = re.findall(r"^(\w+)=(.*)$", self.mapped(f.read().replace("\\\n", " ")), re.M)
        Programs.cleanup.callback(self.stop, signal.SIGKILL)
        self.offer_systemctl()

    def write_hubs(self, hubs):
        self.write("etc/hubs.conf", f"HUBS={hubs}\n")

    def mapped(self, text):
        """A directory of this test, whatever the system calls it. Also for the lines of a page."""
        tls, plain, metrics = self.ports
        for old, new in {
                "/etc/dps-service/": self.path("etc/"), "/run/dps-service/": self.path("run/"),
                "/usr/local/bin/": Programs.build + "/", "sqlite:/var/lib/dps-service/dps.db": f"'{self.store}'",
                "/var/lib/dps-service/": self.path("lib/"), "0.0.0.0:443": f"127.0.0.1:{tls}",
                "--host dps.example": f"--host localhost --proxy-listen 127.0.0.1:{plain} --port-file port",
                "127.0.0.1:9090": f"127.0.0.1:{metrics}", "--workers 4": "--workers 2",
                "-o dps-service": "-o " + pwd.getpwuid(os.getuid()).pw_name,
                "-g dps-service": "-g " + grp.getgrgid(os.getgid()).gr_name}.items():
            text = text.replace(old, new)
        return text

    def values(self, name):
        return [value for key, value in self.lines if key == name]

    def environment(self):
        found = {}
        for path in self.values("EnvironmentFile"):
            with open(path, encoding="utf-8") as f:
                found.update(line.rstrip("\n").split("=", 1) for line in f)
        return found

    def words(self, line):
        """As systemd does it: a variable without braces becomes several words."""
        variables = {**self.environment(), "MAINPID": str(self.process.pid if self.process else 0)}
        return [part for word in shlex.split(line)
                for part in (variables[word[1:]].split() if word.startswith("$") else [word])]

    def run_lines(self, name):
        for line in self.values(name):
            prefix, rest = re.match(r"([-+]*)(.*)", line).groups()
            done = subprocess.run(self.words(rest), stderr=subprocess.PIPE, check=False)
            check(done.returncode == 0 or "-" in prefix, f"{line}: {done.stderr}")

    def command(self):
        line, = self.values("ExecStart")
        return self.words(line)

    def start(self):
        self.run_lines("ExecStartPre")
        super().start()

    def reload(self):
        self.run_lines("ExecReload")

    def restart(self):
        self.stop()
        self.start()

    # ---- systemctl, for lines of a shell -----------------------------------------------------------------------------

    def offer_systemctl(self):
        pipes = {"ask": self.path("ask"), "said": self.path("said")}
        for pipe in pipes.values():
            os.mkfifo(pipe)
        self.write("bin/systemctl", SHIM.format(**pipes), 0o700)
        self.write("bin/useradd", "#!/bin/sh\n", 0o700)
        threading.Thread(target=self.obey, args=pipes.values(), daemon=True).start()

    def obey(self, ask, said):
        while True:
            with open(ask, encoding="utf-8") as f:
                what = f.read().strip()
            try:
                {"start": self.start, "stop": self.stop, "restart": self.restart, "reload": self.reload}[what]()
                code = 0
            except Exception as error:  # the shell's line fails, and says why
                print(f"# systemctl {what}: {error}", file=sys.stderr)
                code = 1
            with open(said, "w", encoding="utf-8") as f:
                f.write(f"{code}\n")

    def shell(self, lines, **variables):
        """Run lines of the page on this node. Returns: what they print."""
        environment = {**os.environ, **variables, "PATH": f"{self.path('bin')}:{Programs.build}:{os.environ['PATH']}"}
        done = subprocess.run(["sh", "-ec", self.mapped(lines)], cwd=self.dir, env=environment, capture_output=True,
                              text=True, timeout=1500, check=False)
        check(done.returncode == 0, f"{lines}\n{done.stdout}{done.stderr}")
        return done.stdout
