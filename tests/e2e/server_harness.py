# SPDX-License-Identifier: MIT
"""A running dps-service and a strict HTTP client, for tests of what goes over the wire."""

import base64
import hashlib
import hmac
import json
import os
import re
import resource
import signal
import socket
import ssl
import subprocess
import time
import urllib.parse

from tap import Failed, Programs, check, same
from waiting import PATIENCE

SCOPE = "0ne00000A0A"
API = "api-version=2021-06-01"
# So long that even a busy machine does not exceed them: a test of one of them sets that one.
TIMEOUTS = ("handshake=600000,head=600000,body=600000,stall=600000,idle=600000,write=600000,linger=1000,drain=10000,"
            "stop=0")


class Service:
    """A running dps-service with files of its own."""

    program = None  # another one than that of the build

    def __init__(self, *options, start=True, limit=None, timeouts=TIMEOUTS, store="sqlite:dps.db"):
        self.dir = Programs.directory()
        if timeouts != TIMEOUTS:
            timeouts = f"{TIMEOUTS},{timeouts}"  # the last one counts
        self.options, self.limit, self.timeouts, self.store = options, limit, timeouts, store
        self.program = self.program or Programs.path("dps-service")
        self.process = None
        if not os.path.exists(self.path("cert.pem")):
            make_certificate(self.dir, "localhost")
        if start:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        code = self.stop()
        check(kind or code == 0, f"exit code {code}: {self.read('log')}")

    def path(self, name):
        return os.path.join(self.dir, name)

    def read(self, name):
        with open(self.path(name)) as f:
            return f.read()

    def write(self, name, text, mode=0o600):
        with open(self.path(name), "w") as f:
            f.write(text)
        os.chmod(self.path(name), mode)

    def command(self):
        proxy = [] if "--proxy-listen" in self.options else ["--proxy-listen", "127.0.0.1:0"]
        return [self.program, "--listen", "127.0.0.1:0", *proxy, "--cert", "cert.pem",
                "--key", "key.pem", "--scope", SCOPE, "--hub", "hub-a.example", "--hub", "hub-b.example=3",
                "--store", self.store, "--policy-file", "policies.json", "--secret-file", "secret",
                "--port-file", "port", "--timeouts-ms", self.timeouts, *self.options]

    def spawn(self, log=None):
        def limits():
            if self.limit:
                resource.setrlimit(resource.RLIMIT_NOFILE, (self.limit, self.limit))
        return subprocess.Popen(self.command(), cwd=self.dir, stdout=open(self.path("out"), "w"),
                                stderr=log or open(self.path("log"), "w"), preexec_fn=limits)

    def start(self, log=None):
        if os.path.exists(self.path("port")):
            os.unlink(self.path("port"))
        self.process = self.spawn(log) if log is not None else self.spawn()
        deadline = time.monotonic() + PATIENCE
        while not os.path.exists(self.path("port")):
            check(self.process.poll() is None, "it ended at once: " + self.read("log"))
            check(time.monotonic() < deadline, "it did not start in time")
            time.sleep(0.01)
        self.tls_port, self.plain_port, *more = map(int, self.read("port").split())
        self.metrics_port = more[0] if more else None

    def fail_to_start(self):
        """Exit code and message of a start that has to fail."""
        process = self.spawn()
        try:
            return process.wait(PATIENCE), self.read("log")
        except subprocess.TimeoutExpired:
            process.kill()
            raise Failed("it should have refused to start")

    def stop(self, number=signal.SIGTERM):
        if self.process is None or self.process.poll() is not None:
            return self.process and self.process.returncode
        self.process.send_signal(number)
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failed("it did not stop in time")

    def hang_up(self, expected):
        """SIGHUP, and wait until the log says what is expected."""
        before = len(self.read("log"))
        self.process.send_signal(signal.SIGHUP)
        self.wait_log(expected, before)

    def wait_log(self, expected, since=0):
        deadline = time.monotonic() + PATIENCE
        while expected not in self.read("log")[since:]:
            check(time.monotonic() < deadline, f"the log never said {expected!r}")
            time.sleep(0.01)

    def raw(self, port=None, source="127.0.0.1"):
        """A connection without TLS or a request, to the TLS listener."""
        return socket.create_connection(("127.0.0.1", port or self.tls_port), PATIENCE, (source, 0))

    def plain(self):
        return Client(self.raw(self.plain_port))

    def metrics(self, path="/metrics"):
        """Status, headers and text of an answer of the metrics listener."""
        client = Client(self.raw(self.metrics_port))
        status, headers, body = client.get(path)
        client.close()
        return status, headers, body.decode()

    def sample(self, name):
        """One number of /metrics, by its full name with labels."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.metrics()[2], re.M)
        check(found, f"{name} is not among the metrics")
        return float(found.group(1))

    def tls(self, session=None, source="127.0.0.1"):
        raw = self.raw(source=source)
        # A context for each certificate: only the context that made a session can offer it.
        self.contexts = getattr(self, "contexts", {})
        pem = self.read("cert.pem")
        if pem not in self.contexts:
            context = trusting(cadata=pem)
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            self.contexts[pem] = context
        return Client(self.contexts[pem].wrap_socket(raw, server_hostname="localhost", session=session,
                                                     suppress_ragged_eofs=False))


def trusting(**issuers):
    """Of a client that is as strict about certificates as Python is from 3.13 on."""
    context = ssl.create_default_context(**issuers)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


class Client:
    """One connection, read strictly."""

    def __init__(self, sock):
        self.sock, self.data = sock, b""

    def send(self, text):
        self.sock.sendall(text if isinstance(text, bytes) else text.encode())

    def more(self):
        got = self.sock.recv(65536)
        self.data += got
        return bool(got)

    def answer(self, head=False):
        """Status, headers and body of the next answer."""
        while b"\r\n\r\n" not in self.data:
            check(self.more(), f"closed before an answer; got {self.data!r}")
        text, self.data = self.data.split(b"\r\n\r\n", 1)
        lines = text.decode().split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
        length = 0 if head or status < 200 else int(headers.get("content-length", 0))
        while len(self.data) < length:
            check(self.more(), "closed in the middle of a body")
        body, self.data = self.data[:length], self.data[length:]
        return status, headers, body

    def get(self, path="/", method="GET", body="", headers=""):
        self.send(request(path, method, body, headers))
        return self.answer()

    def reset(self):
        """Is the connection closed, or reset? Does not wait."""
        self.sock.setblocking(False)
        try:
            return self.sock.recv(1) == b""
        except ConnectionError:
            return True
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        finally:
            self.sock.settimeout(PATIENCE)

    def closed(self, orderly=True):
        """Wait for the end, and close as well: until then the service waits for us."""
        try:
            rest = self.data
            while self.more():
                pass
            same(self.data[len(rest):], b"", "after the answer, before the end")
        except (ConnectionResetError, ssl.SSLError) as error:
            check(not orderly, f"the connection was not closed in good order: {error}")
        self.close()

    def close(self):
        self.sock.close()


def request(path="/", method="GET", body="", headers=""):
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}{length}\r\n{body}"


def register(id="dev-1"):
    return f"/{SCOPE}/registrations/{id}/register?{API}"


def make_certificate(directory, name):
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
               "-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost",
               "-addext", "keyUsage=critical,digitalSignature,keyCertSign", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(command, cwd=directory, check=True, stderr=subprocess.DEVNULL)


def owner_token(service, host="localhost"):
    policy = json.loads(service.read("policies.json"))["policies"][0]
    expiry = str(int(time.time()) + 600)
    signed = f"{urllib.parse.quote(host, safe='')}\n{expiry}".encode()
    mac = hmac.new(base64.b64decode(policy["primaryKey"]), signed, hashlib.sha256).digest()
    return (f"SharedAccessSignature sr={host}&sig={urllib.parse.quote(base64.b64encode(mac), safe='')}"
            f"&se={expiry}&skn={policy['name']}")


def endorsement_key():
    """TPM2B_PUBLIC of the default EK template with a made-up modulus."""
    policy = bytes.fromhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")
    modulus = b"\xc3" + hashlib.sha256(b"modulus").digest() * 7 + b"\x01" * 31
    public = (bytes.fromhex("0001000b000300b20020") + policy + bytes.fromhex("00060080004300100800000000000100")
              + modulus)
    return base64.b64encode(len(public).to_bytes(2, "big") + public).decode()


def enroll(service, client, id="dev-1"):
    attestation = {"type": "tpm", "tpm": {"endorsementKey": endorsement_key()}}
    body = json.dumps({"registrationId": id, "attestation": attestation})
    auth = f"Authorization: {owner_token(service)}\r\nContent-Type: application/json\r\n"
    return client.get(f"/enrollments/{id}?{API}", "PUT", body, auth)


def error_code(answer):
    return json.loads(answer[2])["errorCode"]
