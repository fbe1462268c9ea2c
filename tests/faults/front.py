# SPDX-License-Identifier: MIT
"""nginx and HAProxy as port/posix/deploy offers them, in front of nodes of a test."""
import os
import shutil
import socket
import subprocess

from harness import write_file
from server_harness import Service
from tap import Failed, Programs, check
from waiting import PATIENCE, wait_until


def need_programs():
    os.environ["PATH"] += ":/usr/sbin"
    for program in ("nginx", "haproxy"):
        if shutil.which(program) is None:
            raise Failed(f"{program} is not installed")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Node(Service):
    """A service that has the same ports after each start."""

    def __init__(self, *options, **more):
        self.ports = free_port(), free_port()
        super().__init__(*options, "--metrics", f"127.0.0.1:{self.ports[1]}", **more)

    def command(self):
        given = super().command()
        given[given.index("--proxy-listen") + 1] = f"127.0.0.1:{self.ports[0]}"
        return given


def configuration(name, replacements):
    """The offered file, with this test's ports and paths in place of those that an operator fills in."""
    with open(f"port/posix/deploy/{name}", encoding="utf-8") as f:
        text = f.read()
    for old, new in replacements.items():
        check(old in text, f"{name} has no {old!r}")
        text = text.replace(old, new)
    return text


class Front:
    """A proxy that ends TLS, with this certificate, in front of these nodes."""

    def __init__(self, certificate, key, *nodes):
        self.certificate, self.key, self.nodes = certificate, key, nodes
        self.port, self.dir = free_port(), Programs.directory()
        self.process = subprocess.Popen(self.command(), stdout=subprocess.DEVNULL, stderr=open(self.path("log"), "w"))
        Programs.cleanup.callback(self.stop)
        wait_until(self.answers, f"{type(self).__name__} serves")

    def path(self, name):
        return os.path.join(self.dir, name)

    def answers(self):
        check(self.process.poll() is None, open(self.path("log")).read())
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)


class Nginx(Front):
    def command(self):
        line = "    server 127.0.0.1:8080 max_fails=0;\n"
        server = configuration("nginx.conf", {
            line: "".join(line.replace("8080", str(n.plain_port)) for n in self.nodes),
            "listen 443": f"listen {self.port}", "dps.example": "localhost",
            "/etc/dps-service/cert.pem": self.certificate, "/etc/dps-service/key.pem": self.key})
        paths = "".join(f"{kind}_temp_path {self.path(kind)};\n"
                        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        write_file(self.path("nginx.conf"),
                   ("" if os.getuid() else "user root;\n") +
                   f"daemon off;\npid {self.path('pid')};\nerror_log {self.path('errors')};\nevents {{}}\n"
                   f"http {{\naccess_log off;\n{paths}{server}\n}}\n")
        return ["nginx", "-p", self.dir, "-c", self.path("nginx.conf")]


class Haproxy(Front):
    def lines(self, line):
        return "".join(line.replace("node1", f"node{i}").replace("8080", str(n.plain_port))
                       .replace("9090", str(n.metrics_port)) for i, n in enumerate(self.nodes, 1))

    def command(self):
        with open(self.certificate) as certificate, open(self.key) as key:
            write_file(self.path("both.pem"), certificate.read() + key.read())
        checked, unchecked = "    server node1 127.0.0.1:8080 port 9090\n", "    server node1 127.0.0.1:8080\n"
        write_file(self.path("haproxy.cfg"), configuration("haproxy.cfg", {
            checked: self.lines(checked), unchecked: self.lines(unchecked),
            "maxconn 20000": "maxconn 200", "bind :443": f"bind 127.0.0.1:{self.port}",
            "/etc/dps-service/both.pem": self.path("both.pem")}))
        return ["haproxy", "-db", "-f", self.path("haproxy.cfg")]


PROXIES = Nginx, Haproxy
