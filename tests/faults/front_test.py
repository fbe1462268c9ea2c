# SPDX-License-Identifier: MIT
"""dps-service behind nginx and HAProxy, with the configurations that port/posix/deploy offers: devices register and
send through them, and the log names the client, whatever that claims to be.

    python3 tests/faults/front_test.py BUILD_DIR

TAP on standard output; needs nginx, haproxy and openssl."""
import os
import shutil
import socket
import subprocess
import sys

sys.path.insert(0, "tests/e2e")
from harness import Bench, Device, Programs, run_tap, wait_until, write_file  # noqa: E402
from server_harness import API, Client, Failed, check, same  # noqa: E402


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def configuration(name, replacements):
    """The offered file, with this test's ports and paths in the place of those that an operator fills in."""
    with open(f"port/posix/deploy/{name}", encoding="utf-8") as f:
        text = f.read()
    for old, new in replacements.items():
        check(old in text, f"{name} has no {old!r}")
        text = text.replace(old, new)
    return text


class Front:
    """A proxy that ends TLS."""

    def __init__(self, bench):
        self.bench, self.port, self.dir = bench, free_port(), Programs.directory()
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
        self.process.wait(10)


class Nginx(Front):
    def command(self):
        server = configuration("nginx.conf", {
            "127.0.0.1:8080": f"127.0.0.1:{self.bench.service.plain_port}", "listen 443": f"listen {self.port}",
            "dps.example": "localhost", "/etc/dps-service/cert.pem": self.bench.path("cert.pem"),
            "/etc/dps-service/key.pem": self.bench.path("key.pem")})
        paths = "".join(f"{kind}_temp_path {self.path(kind)};\n"
                        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        write_file(self.path("nginx.conf"),
                   ("" if os.getuid() else "user root;\n") +
                   f"daemon off;\npid {self.path('pid')};\nerror_log {self.path('errors')};\nevents {{}}\n"
                   f"http {{\naccess_log off;\n{paths}{server}\n}}\n")
        return ["nginx", "-p", self.dir, "-c", self.path("nginx.conf")]


class Haproxy(Front):
    def command(self):
        write_file(self.path("both.pem"), self.bench.service.read("cert.pem") + self.bench.service.read("key.pem"))
        write_file(self.path("haproxy.cfg"), configuration("haproxy.cfg", {
            "127.0.0.1:8080 check port 9090":
                f"127.0.0.1:{self.bench.service.plain_port} check port {self.bench.service.metrics_port}",
            "maxconn 20000": "maxconn 200", "bind :443": f"bind 127.0.0.1:{self.port}",
            "/etc/dps-service/both.pem": self.path("both.pem")}))
        return ["haproxy", "-db", "-f", self.path("haproxy.cfg")]


class Story:
    def __init__(self, front):
        self.front, self.bench = front, front.bench
        self.name = "device-" + type(front).__name__.lower()
        self.device = Device("libtpms")


def part_register(s):
    """a device registers through it, and sends"""
    at = f"https://localhost:{s.front.port}"
    s.bench.enroll(s.device, s.name)
    done = s.bench.register(s.device, s.name, "--service", at)
    same(done.field("Registered"), s.name, "registered")
    s.bench.send(s.device, "--connect-to", f"localhost:{s.front.port}")
    lines = [line for line in s.bench.service.read("log").splitlines() if f"id={s.name}" in line and "register" in line]
    check(len(lines) >= 2 and all("client=127.0.0.1" in line for line in lines), "\n".join(lines))


def part_client(s):
    """who claims to be somebody else is still known by the address that he comes from"""
    context = s.bench.service.contexts[s.bench.service.read("cert.pem")]
    raw = socket.create_connection(("127.0.0.1", s.front.port), 10)
    client = Client(context.wrap_socket(raw, server_hostname="localhost"))
    before = len(s.bench.service.read("log"))
    status, headers, _ = client.get(f"/registrations/nobody?{API}", headers="X-Forwarded-For: 192.0.2.99\r\n")
    same(status, 401, "status")
    check("x-ms-request-id" in headers, headers)
    s.bench.service.wait_log("status=401", before)
    line = s.bench.service.read("log")[before:]
    check("client=127.0.0.1" in line and "192.0.2.99" not in line, line)
    client.close()


def part_refusals(s):
    """refusals and large answers pass as they are"""
    other = Device("libtpms")
    result = s.bench.register(other, s.name, "--service", f"https://localhost:{s.front.port}", status=1)
    check("401003" in result.err, result.err)


def parts(front, bench):
    story = []

    def begin():
        story.append(Story(front(bench)))

    tests = [(f"{front.__name__}: it starts with the offered configuration", begin)]
    for part in (part_register, part_client, part_refusals):
        tests.append((f"{front.__name__}: {part.__doc__}", lambda part=part: part(story[0])))
    return tests


def main():
    for program in ("nginx", "haproxy"):
        if shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin") is None:
            raise Failed(f"{program} is not installed")
    os.environ["PATH"] += ":/usr/sbin"
    with Programs.use(sys.argv[1], "front-test-"):
        bench = Bench("--metrics", "127.0.0.1:0")
        return run_tap(parts(Nginx, bench) + parts(Haproxy, bench))


if __name__ == "__main__":
    sys.exit(main())
