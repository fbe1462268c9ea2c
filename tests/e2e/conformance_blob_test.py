# SPDX-License-Identifier: MIT
"""dps-conformance --service on challenges that are not ours: nonces of 16 to 64 bytes are right, and a blob with one
thing wrong fails the case that is about it, by the parser's own reason, and no other. oracle_wrap makes the blobs.

Needs openssl, tpm2-pytss and python3-cryptography."""

import base64
import contextlib
import http.server
import json
import os
import ssl
import subprocess
import tempfile
import threading

from harness import write_file
from oracle_support import split_blob
from oracle_wrap import as_2b, make_blob
from server_harness import SCOPE
from tap import Programs, check, same

# The cases that are about a challenge and need no registration.
CASES = [f"SVC-S06-{i:03}" for i in (1, 2, 3, 4, 5, 6, 7, 8, 9, 11)] + ["SVC-S05-050", "SVC-S08-020", "SVC-S09-004"]
OWN = CASES[:11]  # those that a service passes which never answers a token


class Handler(http.server.BaseHTTPRequestHandler):
    """Enrolls everybody and challenges everybody: with a blob that `spoil` may have changed."""

    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        data = json.dumps(body).encode() if body is not None else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_PUT(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.startswith("/enrollments/"):
            return self.answer(200, dict(body, provisioningStatus="enabled", etag='"1"'))
        if "Authorization" in self.headers:
            return self.answer(401, {"errorCode": 401002, "message": "no", "trackingId": "x"})
        ek, srk = (base64.b64decode(body["tpm"][name]) for name in ("endorsementKey", "storageRootKey"))
        text = f"localhost/{body['registrationId']}"
        blob = self.server.spoil(make_blob(ek, srk, os.urandom(self.server.nonce_size), text))
        return self.answer(401, {"authenticationKey": base64.b64encode(blob).decode(), "keyName": "registration"})

    def do_DELETE(self):
        self.answer(204, None)

    def do_GET(self):
        self.answer(404, {"errorCode": 404201, "message": "no", "trackingId": "x"})

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def service(nonce_size, spoil):
    with tempfile.TemporaryDirectory(dir=Programs.root) as directory:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout",
                        "key.pem", "-out", "cert.pem"], cwd=directory, check=True, capture_output=True)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem"))
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.daemon_threads, server.nonce_size, server.spoil = True, nonce_size, spoil
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield server.server_address[1], directory
        finally:
            server.shutdown()
            server.server_close()


def judge(nonce_size=32, spoil=lambda blob: blob, cases=OWN):
    """id → case of the report, and standard error."""
    with service(nonce_size, spoil) as (port, directory):
        owner = write_file(os.path.join(directory, "owner"),
                           "HostName=localhost;SharedAccessKeyName=a;SharedAccessKey=AAAAAAAAAAAAAAAAAAAAAA==")
        report = os.path.join(directory, "report.json")
        done = subprocess.run(
            [Programs.path("dps-conformance"), "--service", f"https://localhost:{port}", "--ca",
             os.path.join(directory, "cert.pem"), "--scope", SCOPE, "--connection-string-file", owner, "--strict",
             "--json", report, *cases], capture_output=True, text=True, timeout=1500, check=False)
        with open(report, encoding="utf-8") as f:
            found = {case["id"]: case for case in json.load(f)["cases"]}
        failed = [i for i, case in found.items() if case["result"] == "failed"]
        check((done.returncode == 0) == all(c["result"] == "passed" for c in found.values()), f"exit {done.returncode}")
        return failed, found, done.stderr


def fields_changed(number, change):
    """Changes field number (from 1) of the blob, without its size."""
    def spoil(blob):
        fields = list(split_blob(blob).values())
        fields[number - 1] = change(fields[number - 1])
        return b"".join(fields)
    return spoil


def test_good_nonces():
    """nonces of 16, 31, 32, 33 and 64 bytes are right"""
    for size in (16, 31, 32, 33, 64):
        failed, found, err = judge(size)
        same(failed, [], f"{size} bytes: {err}")
        same({c["result"] for c in found.values()}, {"passed"}, f"{size} bytes: {err}")


def test_bad_nonces():
    """one of 15 bytes is not, and only the cases about the blob say so"""
    failed, found, err = judge(15)
    same(failed, ["SVC-S06-003", "SVC-S06-005"], err)
    check("15 bytes, not 16 to 64" in found["SVC-S06-005"]["message"], err)


SPOILT = (
    ("field 3 is cut off", lambda blob: blob[:2 + 52 + 2 + 256 + 2 + 80], ["SVC-S06-003"],
     "field 3 of the blob, TPM2B_PRIVATE, is cut off: it announces 142 bytes, and 80 follow"),
    ("field 1 is for another Name", fields_changed(1, lambda f: f[:-1] + bytes([f[-1] ^ 1])), ["SVC-S06-005"],
     "fields 1 and 2 do not open"),
    ("field 5 is not a key", fields_changed(5, lambda f: as_2b(b"\0\0" + f[4:])), ["SVC-S06-005", "SVC-S06-006"], ""),
    ("field 6 is empty", fields_changed(6, lambda f: b"\0\0"), ["SVC-S06-007"], "encUriData"),
    ("something follows field 6", lambda blob: blob + b"more", ["SVC-S06-004"], "4 bytes after the sixth field"),
    ("the blob is not base64 of anything", lambda blob: b"", ["SVC-S06-001"], "authenticationKey"),
)


def test_spoilt():
    """a blob with one thing wrong fails the case about it; a case that only depends on it is skipped, and says why"""
    for name, spoil, wanted, words in SPOILT:
        failed, found, err = judge(spoil=spoil, cases=CASES)
        blamed = set(failed) - {"SVC-S09-002"}  # this service never takes a token
        check(failed and blamed <= set(wanted), f"{name}: failed {failed}, wanted {wanted}\n{err}")
        check(any(words in found[i].get("message", "") for i in failed), f"{name}: nobody says {words!r}\n{err}")
        skipped = {i: c for i, c in found.items() if c["result"] == "skipped"}
        for i, case in skipped.items():
            check(case.get("stands_on"), f"{name}: {i} is skipped and does not say on what it stands: {case}")
