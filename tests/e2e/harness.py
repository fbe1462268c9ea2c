# SPDX-License-Identifier: MIT
"""What tests of whole programs share: the programs as a user has them, TPMs of several kinds with a device in front of
each, and a service with its administrator."""

import contextlib
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess

from certificates import make_ca, make_leaf
from server_harness import SCOPE, Service, trusting
from tap import Failed, Programs, check, same
from waiting import PATIENCE, wait_until

# Tests run on this machine and name their proxies themselves.
for _name in ("https_proxy", "all_proxy", "no_proxy"):
    os.environ.pop(_name, None)
    os.environ.pop(_name.upper(), None)

PROGRAM_PATIENCE = 600  # seconds; a device tries again when the network fails
HUBS = ("hub-a.example", "hub-b.example")


# ---- Programs --------------------------------------------------------------------------------------------------------

class Result:
    def __init__(self, done):
        self.code, self.bytes = done.returncode, done.stdout or b""
        self.out, self.err = self.bytes.decode(errors="replace"), done.stderr.decode(errors="replace")

    def field(self, name):
        """The text after a label of the output."""
        found = re.search(rf"^{name} +(.*)$", self.out, re.M)
        check(found, f"no {name} in {self.out!r}")
        return found.group(1).strip()


def run(*command, status=0, says=(), **options):
    """The result of a program that has to end with this status (None: any) and say these words on standard error."""
    options.setdefault("stdout", subprocess.PIPE)
    result = Result(subprocess.run(command, stderr=subprocess.PIPE, timeout=PROGRAM_PATIENCE, check=False, **options))
    what = " ".join(command[1:])
    check(status is None or result.code == status,
          f"{what}: exit code {result.code}, wanted {status}\n{result.out}{result.err}")
    for words in (says,) if isinstance(says, str) else says:
        check(words in result.err, f"{what}: it does not say {words!r} but\n{result.err}")
    return result


def with_defaults(options, **defaults):
    """Options for a command line, and those defaults that are not among them: no option may be given twice."""
    names = {"--" + name.replace("_", "-"): value for name, value in defaults.items()}
    return [x for name, value in names.items() if name not in options for x in (name, value)] + list(options)


def write_file(path, content, mode=0o600):
    with open(path, "wb") as f:
        f.write(content if isinstance(content, bytes) else content.encode())
    os.chmod(path, mode)
    return path


def read_file(path):
    with open(path, "rb") as f:
        return f.read()


# ---- TPMs ------------------------------------------------------------------------------------------------------------

class Libtpms:
    """The TPM in dps-device's own process: it has no power between two commands, so nothing can stay loaded in it."""

    kind = "libtpms"

    def __init__(self):
        self.dir = Programs.directory()
        self.name = "libtpms:" + os.path.join(self.dir, "tpm")

    def loaded(self):
        return []


class Swtpm:
    """A swtpm process. What is loaded stays when a client goes, so it shows what a program has left behind."""

    def __init__(self, kind):
        check(shutil.which("swtpm"), "the program swtpm is missing")
        self.kind, self.dir, self.process = kind, Programs.directory(), None
        Programs.cleanup.callback(self.stop)
        os.mkdir(self.path("tpm"))
        # A free port can be gone before swtpm takes it; then another one is tried.
        if not any(self.start() for _ in range(5)):
            raise Failed("swtpm does not start: " + read_file(self.path("log")).decode())

    def path(self, name):
        return os.path.join(self.dir, name)

    def control(self):
        """Options for the control channel, which only SwtpmForTools has."""
        return ()

    def start(self):
        if self.kind == "swtpm-tcp":
            with socket.socket() as taken:  # without SO_REUSEADDR, as swtpm: a port in TIME_WAIT would not do
                taken.bind(("127.0.0.1", 0))
                port = taken.getsockname()[1]
            self.name, self.address = f"swtpm:127.0.0.1:{port}", ("127.0.0.1", port)
            server = f"type=tcp,port={port}"
        else:
            self.address = self.path("socket")
            self.name, server = "swtpm:" + self.address, "type=unixio,path=" + self.address
        with open(self.path("log"), "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                ["swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + self.path("tpm"), "--server", server,
                 *self.control(), "--flags", "not-need-init,startup-clear"], stdout=log, stderr=log)
        wait_until(lambda: self.process.poll() is not None or self.answers(), "swtpm answers")
        return self.process.poll() is None

    def connect(self):
        sock = socket.socket(socket.AF_INET if self.kind == "swtpm-tcp" else socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        try:
            sock.connect(self.address)
        except OSError:
            sock.close()
            raise
        return sock

    def answers(self):
        try:
            self.connect().close()
            return True
        except OSError:
            return False

    def ask(self, text):
        """The response to a command in hex; its size field is filled in. Without any code of ours."""
        command = bytearray.fromhex(text)
        command[2:6] = len(command).to_bytes(4, "big")
        with self.connect() as sock:
            sock.sendall(command)
            response = b""
            while len(response) < 10 or len(response) < int.from_bytes(response[2:6], "big"):
                got = sock.recv(4096)
                check(got, "swtpm closed in the middle of a response")
                response += got
        same(response[6:10].hex(), "00000000", f"response code to {text[:40]}")
        return response

    def loaded(self):
        """Handles of transient objects, and of loaded and saved sessions: TPM2_GetCapability."""
        handles = []
        for first in ("80000000", "02000000", "03000000"):
            response = self.ask("8001 00000000 0000017a 00000001" + first + "00000040")
            count = int.from_bytes(response[15:19], "big")
            handles += [response[19 + 4 * i:23 + 4 * i].hex() for i in range(count)]
        return handles

    def leak(self, public_2b):
        """An object and a session, as a program leaves them that is killed: LoadExternal, StartAuthSession."""
        self.ask("8001 00000000 00000167 0000" + public_2b.hex() + "40000007")
        self.ask("8001 00000000 00000176 40000007 40000007 0010" + "11" * 16 + "0000 01 0010 000b")

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()


class SwtpmForTools(Swtpm):
    """One that tpm2-tools can use as well: they look for its control channel at the next port."""

    def __init__(self):
        super().__init__("swtpm-tcp")

    def control(self):
        return "--ctrl", f"type=tcp,port={self.address[1] + 1}"

    def tool(self, *command):
        host, port = self.address
        done = subprocess.run(command, cwd=self.dir, capture_output=True, check=False,
                              env={**os.environ, "TPM2TOOLS_TCTI": f"swtpm:host={host},port={port}"})
        check(done.returncode == 0, f"{command}: {done.stderr.decode()}")


KINDS = {"libtpms": Libtpms, "swtpm-tcp": lambda: Swtpm("swtpm-tcp"), "swtpm-unix": lambda: Swtpm("swtpm-unix")}


class Device:
    """A TPM, files of its owner, and dps-device in front of it."""

    def __init__(self, kind, tpm=None):
        self.tpm = tpm or KINDS[kind]()
        self.dir = self.tpm.dir
        self.auth = []  # options that its owner has to give

    def path(self, name):
        return os.path.join(self.dir, name)

    def secret(self, name, text, mode=0o600):
        return write_file(self.path(name), text, mode)

    def run(self, *arguments, **options):
        """dps-device, which must leave nothing in the TPM, however it ends."""
        arguments = with_defaults([*self.auth, *arguments], tpm=self.tpm.name)
        result = run(Programs.path("dps-device"), "--quiet", *arguments, **options)
        same(self.tpm.loaded(), [], f"loaded in the TPM after {arguments}")
        return result


# ---- The service -----------------------------------------------------------------------------------------------------

class Bench:
    """A service with a store on disk, its administrator, and how devices reach it."""

    def __init__(self, *options, days=(-1, 2), **service):
        self.service = Service(*options, start=False, **service)
        Programs.cleanup.callback(self.service.stop)
        make_ca(self.service.dir)
        make_leaf(self.service.dir, ("localhost", *HUBS), days=days)
        self.start()

    def start(self):
        self.service.start()
        # service.tls() trusts the certificate itself, which is enough only for one that nobody has issued.
        self.service.contexts = {self.service.read("cert.pem"): trusting(cafile=self.path("ca.pem"))}
        text = run(Programs.path("dps-admin"), "connection-string", "--policy-file", self.path("policies.json"),
                   "--host", f"localhost:{self.service.tls_port}").out
        self.connection = write_file(self.path("connection"), text)

    def path(self, name):
        return self.service.path(name)

    def admin(self, *arguments, **options):
        arguments = with_defaults(arguments, connection_string_file=self.connection, ca=self.path("ca.pem"))
        return run(Programs.path("dps-admin"), *arguments, **options)

    def enroll(self, device, name, *options):
        ek = write_file(device.path("ek.txt"), device.run("ek", "--format", "base64").bytes)
        return self.admin("enroll", name, "--ek", ek, *options)

    def at(self):
        return f"https://localhost:{self.service.tls_port}"

    def register(self, device, name, *options, **expected):
        return device.run("register", *with_defaults(options, service=self.at(), ca=self.path("ca.pem"), scope=SCOPE,
                                                     id=name, state=device.path("state")), **expected)

    def send(self, device, *options, **expected):
        return device.run("send", *with_defaults(options, state=device.path("state"), ca=self.path("ca.pem"),
                                                 connect_to=f"localhost:{self.service.tls_port}",
                                                 message='{"temperature":21}'), **expected)

    def table(self, name):
        """Key → JSON of a table, as it is on the disk."""
        with contextlib.closing(sqlite3.connect(f"file:{self.path('dps.db')}?mode=ro", uri=True)) as db:
            return {key: json.loads(value) for key, value in db.execute(f"SELECT key, value FROM {name}")}

    def dump(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.path('dps.db')}?mode=ro", uri=True)) as db:
            return list(db.iterdump())


@contextlib.contextmanager
def unchanged(bench, *paths):
    """Whatever fails in here must leave the store and these files as they were, down to the byte."""
    before = bench.dump(), [read_file(p) for p in paths], [sorted(os.listdir(os.path.dirname(p))) for p in paths]
    yield
    after = bench.dump(), [read_file(p) for p in paths], [sorted(os.listdir(os.path.dirname(p))) for p in paths]
    for what, was, now in zip(("store", "files", "names of files"), before, after):
        check(was == now, f"the {what} changed, although it failed")
