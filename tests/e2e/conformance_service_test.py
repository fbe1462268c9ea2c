# SPDX-License-Identifier: MIT
"""dps-conformance --service: green against dps-service, red against wrong services, and it cleans up after itself.

Needs nothing but the standard library and the openssl program."""

import base64
import json
import os
import re
import secrets
import signal
import socket
import sqlite3
import ssl
import subprocess
import tempfile
import threading
import warnings

from server_harness import SCOPE, Service, make_certificate
from tap import Programs, check, same
from waiting import PATIENCE

CASES = 170  # at least so many must have passed against our own service
TIMEOUTS = "head=2500,linger=5000,drain=60000"


def start(store, *options):
    """A dps-service whose certificate also serves for its hubs, with an owner and a reader."""
    service = Service(*options, start=False, timeouts=TIMEOUTS, store=store)
    keys = [base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(2)]
    policies = [{"name": "provisioningserviceowner", "primaryKey": keys[0]},
                {"name": "reader", "primaryKey": keys[1], "rights": ["EnrollmentRead"]}]
    service.write("policies.json", json.dumps({"policies": policies}))
    for policy in policies:
        service.write(policy["name"], f"HostName=localhost;SharedAccessKeyName={policy['name']};"
                                      f"SharedAccessKey={policy['primaryKey']}\n")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost,DNS:hub-a.example,DNS:hub-b.example", "-keyout", "key.pem",
                    "-out", "cert.pem"], cwd=service.dir, check=True, stderr=subprocess.DEVNULL)
    service.start()
    return service


def command(directory, port, *options, scope=SCOPE, ca="cert.pem"):
    return [Programs.path("dps-conformance"), "--service", f"https://localhost:{port}", "--ca",
            os.path.join(directory, ca), "--scope", scope, "--connect-to", f"127.0.0.1:{port}", *options]


def administrator(service):
    return ["--connection-string-file", service.path("provisioningserviceowner")]


ROADS = ("--hub-mqtt", "127.0.0.1:0", "--amqp", "127.0.0.1:0")


def roads(service):
    mqtt, amqp = service.read("port").split()[-2:]
    return [f"--mqtt=127.0.0.1:{mqtt}", f"--amqp=127.0.0.1:{amqp}"]


def everything(service):
    return [*administrator(service), "--reader-connection-string-file", service.path("reader"),
            f"--hub=127.0.0.1:{service.tls_port}", *roads(service)]


class Result:
    def __init__(self, arguments):
        run = subprocess.run(arguments, capture_output=True, text=True, timeout=1500)
        self.code, self.out, self.err = run.returncode, run.stdout, run.stderr
        lines = re.findall(r"^(ok|not ok) \d+ - (SVC-S\d\d-\d\d\d)\b(.*)$", run.stdout, re.M)
        self.skipped = {name for _, name, rest in lines if re.search(r"# skip", rest, re.I)}
        self.failed = {name for result, name, rest in lines
                       if result == "not ok" and not re.search("# todo", rest, re.I)}
        self.passed = {name for result, name, _ in lines if result == "ok"} - self.skipped

    def green(self, at_least):
        same(self.code, 0, f"exit code ({sorted(self.failed)}; {self.err})")
        same(self.failed, set(), "failed")
        check(len(self.passed) >= at_least, f"{len(self.passed)} cases have passed, not {at_least}")


def enrollments(service):
    with sqlite3.connect(service.path("dps.db")) as db:
        return [row[0] for row in db.execute("SELECT key FROM enrollments")]


def test_sqlite():
    """our service with SQLite passes everything, SHOULD included, and nothing is left behind"""
    service = start("sqlite:dps.db", *ROADS)
    try:
        result = Result(command(service.dir, service.tls_port, "--strict", *everything(service)))
        result.green(CASES)
        same(result.skipped, set(), "skipped")
        same(enrollments(service), [], "enrollments that were left behind")
    finally:
        same(service.stop(), 0, "exit code of the service")


def test_memory():
    """our service with its store in memory passes all but what was left out, and the same seed can be run again"""
    service = start("memory:")
    try:
        result = Result(command(service.dir, service.tls_port, "--quick", "--seed", "again", "SVC-S02", "SVC-S05",
                                "SVC-S09", *administrator(service)))
        result.green(70)
        amqp = {f"SVC-S09-{n}" for n in range(101, 106)}
        same(result.skipped, {"SVC-S02-042", *amqp}, "skipped without a reader and --amqp")
        Result(command(service.dir, service.tls_port, "--seed", "again", "SVC-S09-001", "SVC-S09-009",
                       *administrator(service))).green(2)
    finally:
        same(service.stop(), 0, "exit code of the service")


def test_without_administrator():
    """without a connection string only the cases that need no enrollment run; the others say why they do not"""
    service = start("memory:")
    try:
        result = Result(command(service.dir, service.tls_port, "--quick"))
        result.green(20)
        check({"SVC-S04-001", "SVC-S00-020"} <= result.passed, f"passed: {sorted(result.passed)}")
        check("SVC-S09-001" in result.skipped, f"skipped: {sorted(result.skipped)}")
        check("--connection-string-file" in result.out, "nobody says how to check the rest")
    finally:
        same(service.stop(), 0, "exit code of the service")


def test_wrong_scope():
    """the wrong ID scope is found"""
    service = start("memory:")
    try:
        result = Result(command(service.dir, service.tls_port, "SVC-S04-001", "SVC-S06", "SVC-S09-001",
                                *administrator(service), scope="0ne00000B0B"))
        same(result.code, 1, "exit code")
        same(result.failed, {"SVC-S04-001", "SVC-S06-001"}, "failed")
        check("SVC-S09-001" in result.skipped, f"skipped: {sorted(result.skipped)}")
        check("is --scope right?" in result.out, "nobody says what may be wrong")
    finally:
        same(service.stop(), 0, "exit code of the service")


def test_interrupted():
    """a run that is interrupted deletes what it has made"""
    service = start("sqlite:dps.db")
    try:
        run = subprocess.Popen(command(service.dir, service.tls_port, "SVC-S02", *administrator(service)), text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=1)
        for line in run.stdout:
            if "SVC-S02-004" in line:
                run.send_signal(signal.SIGINT)
                break
        run.stdout.read()
        same(run.wait(PATIENCE), 1, "exit code")
        same(enrollments(service), [], "enrollments that were left behind")
    finally:
        same(service.stop(), 0, "exit code of the service")


def make_rsa_certificate(directory):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"],
                   cwd=directory, check=True, stderr=subprocess.DEVNULL)


class Yes(threading.Thread):
    """A service that answers every request with the same bytes."""

    def __init__(self, directory, answer, weak=False):
        super().__init__(daemon=True)
        self.answer, self.weak = answer, weak
        make_certificate(directory, "localhost")
        if weak:
            make_rsa_certificate(directory)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if weak:
            self.context.minimum_version = ssl.TLSVersion.TLSv1
            self.context.set_ciphers("ALL:@SECLEVEL=0")
        self.context.load_cert_chain(os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem"))
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            connection.settimeout(PATIENCE)
            with self.context.wrap_socket(connection, server_side=True) as tls:
                data = b""
                while b"\r\n\r\n" not in data:
                    more = tls.recv(65536)
                    if not more:
                        return
                    data += more
                tls.sendall(self.answer)
                if not self.weak:
                    tls.unwrap()
        except OSError:
            pass


def answer(status, body):
    return (f"HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\nConnection: close\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


def test_always_200():
    """a service that says 200 to everything fails, in the right cases"""
    with tempfile.TemporaryDirectory(dir=Programs.root) as directory:
        service = Yes(directory, answer(200, '{"status":"assigned"}'))
        result = Result(command(directory, service.port, "--quick", "SVC-S00", "SVC-S04"))
        same(result.code, 1, "exit code")
        wanted = {"SVC-S00-020", "SVC-S00-021", "SVC-S00-023", "SVC-S00-030", "SVC-S00-031", "SVC-S00-032",
                  "SVC-S04-001"}
        check(wanted <= result.failed, f"failed: {sorted(result.failed)}")
        check("SVC-S00-001" in result.passed, "its certificate is right")


def test_always_refusing():
    """a service that refuses everything, in the right form, fails where it should have accepted"""
    with tempfile.TemporaryDirectory(dir=Programs.root) as directory:
        service = Yes(directory, answer(404, '{"errorCode":404201,"message":"no","trackingId":"x"}'))
        owner = os.path.join(directory, "owner")
        with open(owner, "w") as f:
            f.write("HostName=localhost;SharedAccessKeyName=a;SharedAccessKey=AAAAAAAAAAAAAAAAAAAAAA==")
        os.chmod(owner, 0o600)
        result = Result(command(directory, service.port, "--quick", "--connection-string-file", owner, "SVC-S00-030",
                                "SVC-S02-001", "SVC-S02-040", "SVC-S05-030", "SVC-S06", "SVC-S08", "SVC-S09"))
        same(result.code, 1, "exit code")
        check("SVC-S00-030" in result.passed, "an unknown path is 404")
        # A case whose preparations fail has failed: none may pass because it could try nothing.
        same({name for name in result.passed if name != "SVC-S00-030"}, set(), "passed")


def test_weak_tls():
    """a service that accepts old TLS, old key exchange, and ends without close_notify fails in these cases"""
    with tempfile.TemporaryDirectory(dir=Programs.root) as directory, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        service = Yes(directory, answer(404, '{"errorCode":404001,"message":"no","trackingId":"x"}'), weak=True)
        result = Result(command(directory, service.port, "--strict", "SVC-S00-001", "SVC-S00-002", "SVC-S00-003",
                                "SVC-S00-004", "SVC-S00-005"))
        same(result.code, 1, "exit code")
        same(result.failed, {"SVC-S00-002", "SVC-S00-003", "SVC-S00-004"}, "failed")


def test_usage():
    """each thing that is missing or cannot be reached has its own exit code and a sentence"""
    service = start("memory:")
    try:
        whole = command(service.dir, service.tls_port)
        with open(service.path("open"), "w") as f:
            f.write("HostName=localhost;SharedAccessKeyName=a;SharedAccessKey=AAAA")
        os.chmod(service.path("open"), 0o644)
        service.write("broken", "HostName=localhost")
        other = tempfile.mkdtemp(dir=Programs.root)
        make_certificate(other, "localhost")
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        for arguments, code, words in (
                (whole[:3], 2, "--scope"), (whole[:3] + whole[5:], 2, "--ca"), (whole[:5], 2, "--scope"),
                (command(service.dir, service.tls_port, ca="none.pem"), 5, "none.pem"),
                (command(service.dir, service.tls_port, ca="key.pem"), 5, "it is a private key"),
                (command(other, service.tls_port), 4, "cannot be reached"),
                (command(service.dir, port), 4, "cannot be reached"),
                ([*whole, "--connection-string-file", service.path("open")], 5, "open"),
                ([*whole, "--connection-string-file", service.path("broken")], 2, "SharedAccessKeyName"),
                ([whole[0], "--service", "http://localhost", *whole[3:]], 2, "https")):
            result = Result(arguments)
            same(result.code, code, f"exit code of {arguments[1:]} ({result.err}{result.out})")
            check(words in result.err + result.out, f"{words!r} is not in {result.err + result.out!r}")
            same(result.passed, set(), "passed")
    finally:
        same(service.stop(), 0, "exit code of the service")
