# SPDX-License-Identifier: MIT
"""Both ends of the protocol in Python: a service with which our device registers, and a client of our service."""

import base64
import http.client
import http.server
import json
import os
import re
import ssl
import subprocess
import tempfile
import threading

from oracle_support import program, run
from oracle_wrap import check_token, make_blob, sas_with_key
from tap import check, same
from waiting import PATIENCE, wait_until

SCOPE = "0ne000ABCDE"
VERSION = "api-version=2021-06-01"
OPERATION = "5.316aac5bdc130deb.b1e02da8"


def make_certificate(directory):
    """A self-made certificate for localhost. Returns the paths of certificate and key."""
    certificate, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate)
    return certificate, key


# ---- A service ----------------------------------------------------------------------------------------

class FakeService:
    """Plays the service for one device: challenge, proof, assignment; both blobs made by pytss. `faults` says what
    it does wrong."""

    def __init__(self, certificate, key, ek, srk, registration_id, srk_name=None):
        self.ek, self.srk, self.srk_name, self.id = ek, srk, srk_name, registration_id
        self.nonce, self.hub_key = os.urandom(32), os.urandom(32)
        self.seen, self.faults = [], []
        handler = type("Bound", (FakeHandler,), {"service": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    @property
    def audience(self):
        return f"{SCOPE}/registrations/{self.id}"

    def blob(self, key, text):
        return base64.b64encode(make_blob(self.ek, self.srk, key, text, self.srk_name)).decode()

    def answer(self, method, path, token, body):
        """Returns status and JSON."""
        base = f"/{SCOPE}/registrations/{self.id}"
        resource, _, query = path.partition("?")
        check("api-version=" in query, f"api-version in {path}")
        if (method, resource) == ("PUT", base + "/register"):
            return self.register(token, json.loads(body))
        same((method, resource), ("GET", f"{base}/operations/{OPERATION}"), "request")
        check_token(token or "", self.audience, self.nonce)
        self.seen.append("assigned")
        state = {"registrationId": self.id, "deviceId": "oracle-device", "assignedHub": "hub.example",
                 "status": "assigned", "substatus": "initialAssignment",
                 "tpm": {"authenticationKey": self.blob(self.hub_key, "hub.example/oracle-device")}}
        return 200, {"operationId": OPERATION, "status": "assigned", "registrationState": state}

    def register(self, token, body):
        same(body.get("registrationId"), self.id, "registrationId of the body")
        same(base64.b64decode(body["tpm"]["endorsementKey"]), self.ek, "endorsementKey")
        same(base64.b64decode(body["tpm"]["storageRootKey"]), self.srk, "storageRootKey")
        if token is None:
            self.seen.append("challenge")
            return 401, {"message": "Authorization required, resend request using supplied key",
                         "authenticationKey": self.blob(self.nonce, f"localhost/{self.id}"),
                         "unencryptedAuthenticationKey": None, "keyName": "registration"}
        same(check_token(token, self.audience, self.nonce).get("skn"), "registration", "key name of the token")
        self.seen.append("proof")
        return 202, {"operationId": OPERATION, "status": "assigning"}


class FakeHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service = None
    timeout = PATIENCE

    def do_PUT(self):
        self.reply()

    def do_GET(self):
        self.reply()

    def reply(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            status, answer = self.service.answer(self.command, self.path, self.headers.get("Authorization"), body)
        except Exception as error:  # kept for the test, which runs in another thread
            self.service.faults.append(repr(error))
            status, answer = 400, {"errorCode": 400000, "message": "see the test", "trackingId": "0"}
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        if status == 202:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.send_chunks(json.dumps(answer).encode())

    def send_chunks(self, body):
        """As the real service does: the first chunk ends after 1024 bytes, in the middle of the blob."""
        for at in range(0, len(body), 1024):
            chunk = body[at:at + 1024]
            self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format, *args):
        pass


# ---- A client -----------------------------------------------------------------------------------------

class RealService:
    """Our dps-service, and a client that shares no code with it."""

    HUB = "hub-a.example"

    def __init__(self, path, directory, certificate, key):
        self.dir = tempfile.mkdtemp(dir=directory)
        self.certificate = certificate
        self.policies = os.path.join(self.dir, "policies.json")
        port_file = os.path.join(self.dir, "port")
        self.log = open(os.path.join(self.dir, "log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [program(path), "--listen", "127.0.0.1:0", "--cert", certificate, "--key", key, "--scope", SCOPE,
             "--hub", self.HUB, "--store", f"sqlite:{self.dir}/dps.db", "--policy-file", self.policies,
             "--secret-file", f"{self.dir}/secret", "--port-file", port_file],
            stdout=self.log, stderr=self.log)
        wait_until(lambda: os.path.exists(port_file) or self.process.poll() is not None, "dps-service is ready")
        check(self.process.poll() is None, "dps-service ended: " + self.output())
        with open(port_file, encoding="ascii") as f:
            self.port = int(f.read().split()[0])

    def output(self):
        self.log.seek(0)
        return self.log.read()

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            same(self.process.wait(PATIENCE), 0, "exit code of dps-service at SIGTERM")
        self.log.close()

    def request(self, method, path, body=None, token=None, host=None):
        """Returns status, headers and JSON."""
        headers = {"Content-Type": "application/json; charset=utf-8", "Accept": "application/json"}
        if token is not None:
            headers["Authorization"] = token
        if host is not None:
            headers["Host"] = host
        context = ssl.create_default_context(cafile=self.certificate)
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=PATIENCE, context=context)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            content = response.read()
            return response.status, response.headers, json.loads(content) if content else None
        finally:
            connection.close()

    def enroll(self, registration_id, ek):
        with open(self.policies, encoding="utf-8") as f:
            policy = json.load(f)["policies"][0]
        token = sas_with_key("localhost", base64.b64decode(policy["primaryKey"]), policy["name"])
        body = {"registrationId": registration_id,
                "attestation": {"type": "tpm", "tpm": {"endorsementKey": base64.b64encode(ek).decode()}}}
        status, _, answer = self.request("PUT", f"/enrollments/{registration_id}?{VERSION}", body, token)
        same(status, 200, f"enrolling: {answer}")

    def register(self, registration_id, ek, srk, token=None):
        body = {"registrationId": registration_id,
                "tpm": {"endorsementKey": base64.b64encode(ek).decode(),
                        "storageRootKey": base64.b64encode(srk).decode()}}
        return self.request("PUT", f"/{SCOPE}/registrations/{registration_id}/register?{VERSION}", body, token)

    def challenge(self, registration_id, ek, srk):
        """The blob of the first answer."""
        status, _, answer = self.register(registration_id, ek, srk)
        same(status, 401, f"status of a challenge: {answer}")
        same(answer.get("keyName"), "registration", "keyName")
        check("status" not in answer and not answer.get("unencryptedAuthenticationKey"), f"a bare challenge: {answer}")
        return base64.b64decode(answer["authenticationKey"], validate=True)

    def poll(self, registration_id, operation, token):
        """The registration state when it is assigned."""
        check(re.fullmatch(r"[0-9a-z.-]+", operation), f"operationId {operation}")
        path = f"/{SCOPE}/registrations/{registration_id}/operations/{operation}?{VERSION}"
        answers = []

        def assigned():
            answers.append(self.request("GET", path, token=token))
            check(answers[-1][0] in (200, 202), f"polling: {answers[-1]}")
            return answers[-1][0] == 200
        wait_until(assigned, "assignment")
        answer = answers[-1][2]
        same(answer["status"], "assigned", f"status: {answer}")
        return answer["registrationState"]
