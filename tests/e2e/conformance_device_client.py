# SPDX-License-Identifier: MIT
"""A device in Python whose TPM is software: right, or wrong in one thing. It is what dps-conformance --device-listen
judges in conformance_device_test.py.

    python3 tests/e2e/conformance_device_client.py DIRECTORY [FAULT]     DIRECTORY has ek.key and srk.key"""

import base64
import hashlib
import hmac
import http.client
import json
import os
import ssl
import sys
import time
import urllib.parse

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

EK_POLICY = "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa"
STORAGE_KEY = "0006 0080 0043 0010 0800 00000000 0100"
SIGNING_KEY = bytes.fromhex("0008 000b 00040440 0000 0005 000b 0020")
FREE_ATTRIBUTES = 0x00000400 | 0x00000080 | 0x00000800


def as_2b(data):
    return len(data).to_bytes(2, "big") + data


def take_2b(data):
    size = int.from_bytes(data[:2], "big")
    if len(data) < 2 + size:
        raise ValueError("a TPM2B is cut off")
    return data[2:2 + size], data[2 + size:]


def whole_2b(data):
    content, rest = take_2b(data)
    if rest:
        raise ValueError("bytes after a TPM2B")
    return content


def kdfa(seed, label, context, size):
    return hmac.digest(seed, bytes((0, 0, 0, 1)) + label + b"\0" + context + (8 * size).to_bytes(4, "big"),
                       "sha256")[:size]


class SoftwareTpm:
    """EK and SRK as keys in files, and what a TPM does with them in step 7."""

    def __init__(self, directory, fault):
        self.fault = fault
        self.keys = []
        for name in ("ek.key", "srk.key"):
            with open(os.path.join(directory, name), "rb") as f:
                self.keys.append(serialization.load_pem_private_key(f.read(), None))
        srk_attributes = "00030470" if fault == "srk may leave its TPM" else "00030472"
        self.ek = self.public(self.keys[0], "000300b2 0020" + EK_POLICY)
        self.srk = self.public(self.keys[1], srk_attributes + "0000")

    def public(self, key, attributes):
        n = key.public_key().public_numbers().n.to_bytes(256, "big")
        area = bytes.fromhex("0001 000b" + attributes + STORAGE_KEY) + n
        return area if self.fault == "keys without size" else as_2b(area)

    @staticmethod
    def cfb(key, data):
        return Cipher(algorithms.AES(key), modes.CFB(bytes(16))).decryptor().update(data)

    def outer(self, key, label, name, wrapped, secret):
        seed = key.decrypt(secret, padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), label))
        mac, content = take_2b(wrapped)
        good = hmac.compare_digest(mac, hmac.digest(kdfa(seed, b"INTEGRITY", b"", 32), content + name, "sha256"))
        if not good and self.fault != "no integrity":
            raise ValueError("TPM_RC_INTEGRITY")
        return self.cfb(kdfa(seed, b"STORAGE", name, 16), content)

    def open(self, blob):
        """The HMAC key inside."""
        fields = []
        for _ in range(6):
            field, blob = take_2b(blob)
            fields.append(field)
        srk_name = b"\0\x0b" + hashlib.sha256(whole_2b(self.srk)).digest()
        inner_key = whole_2b(self.outer(self.keys[0], b"IDENTITY\0", srk_name, fields[0], fields[1]))
        if len(inner_key) != 16 and self.fault != "any inner key":
            raise ValueError("the inner key is not for AES-128")
        self.check_public(fields[4])
        name = b"\0\x0b" + hashlib.sha256(fields[4]).digest()
        inner = self.cfb(inner_key[:16], self.outer(self.keys[1], b"DUPLICATE\0", name, fields[2], fields[3]))
        integrity, sensitive = take_2b(inner)
        if integrity != hashlib.sha256(sensitive + name).digest() and self.fault != "no integrity":
            raise ValueError("TPM_RC_INTEGRITY")
        _, rest = take_2b(whole_2b(sensitive)[2:])
        seed_value, rest = take_2b(rest)
        key = whole_2b(rest)
        if fields[4][14:] != as_2b(hashlib.sha256(seed_value + key).digest()) or len(seed_value) != 32:
            raise ValueError("TPM_RC_BINDING")
        return key

    def check_public(self, area):
        if self.fault == "any key":
            return
        attributes = int.from_bytes(area[4:8], "big") & ~FREE_ATTRIBUTES
        if area[:4] + (attributes | 0x400).to_bytes(4, "big") + area[8:16] != SIGNING_KEY[:16]:
            raise ValueError("TPM_RC_ATTRIBUTES")


class Client:
    def __init__(self, directory, fault):
        self.fault, self.env = fault, os.environ
        self.tpm = SoftwareTpm(directory, fault)
        self.scope, self.id = self.env["CONFORMANCE_SCOPE"], self.env["CONFORMANCE_ID"]
        context = ssl.create_default_context(cafile=self.env["CONFORMANCE_CA"])
        if fault in ("any name", "any certificate"):
            context.check_hostname = False
        if fault == "any certificate":
            context.verify_mode = ssl.CERT_NONE
        self.context = context
        self.connect(self.env["CONFORMANCE_HOST"], int(self.env["CONFORMANCE_PORT"]))
        self.token = "SharedAccessSignature sr=a&sig=b&se=1" if fault == "a token at once" else None

    def connect(self, host, port):
        self.connection = http.client.HTTPSConnection(host, port, context=self.context, timeout=60)

    def ask(self, method, path, body=None):
        version = "" if self.fault == "no api-version" else "?api-version=2021-06-01"
        self.connection.putrequest(method, path + version, skip_accept_encoding=True)
        if body is not None:
            self.connection.putheader("Content-Type", "text/json" if self.fault == "other type" else "application/json")
            self.connection.putheader("Content-Length", str(len(body)))
        if self.token is not None and not (method == "GET" and self.fault == "polls without token"):
            self.connection.putheader("Authorization", self.token)
        self.connection.endheaders(body)
        answer = self.connection.getresponse()
        if answer.status in (302, 307) and self.fault == "follows":
            place = urllib.parse.urlsplit(answer.getheader("Location"))
            answer.read()
            self.connect(place.hostname, place.port)
            return self.ask(method, place.path, body)
        return answer.status, self.read(answer), answer.getheader("Retry-After")

    def read(self, answer):
        if self.fault == "no chunks" and answer.chunked:
            answer.chunked, answer.length = False, 1
        if self.fault == "reads all":
            return answer.read()
        if self.fault == "half answers":
            return self.read_half(answer)
        return answer.read(65537)[:65536] if answer.length is None or answer.length > 65536 else answer.read()

    def read_half(self, answer):
        data = b""
        try:
            while some := answer.read1(4096):
                data += some
        except (http.client.IncompleteRead, OSError):
            pass
        self.connection.close()  # it connects anew by itself
        return data

    def sign(self, key, key_name):
        audience = f"{self.scope}/registrations/{self.id}" if self.fault != "other audience" else self.scope
        encoded = urllib.parse.quote(audience, safe="")
        expiry = int(time.time()) + (999999 if self.fault == "for ever" else 3600)
        signed = audience if self.fault == "signs the decoded" else encoded
        mac = base64.b64encode(hmac.digest(key, f"{signed}\n{expiry}".encode(), "sha256"))
        if self.fault == "other skn":
            key_name = "primary"
        if self.fault != "raw":
            key_name = urllib.parse.quote(key_name, safe="")
        self.token = (f"SharedAccessSignature sr={encoded}&sig={urllib.parse.quote(mac, safe='')}"
                      f"&se={expiry}&skn={key_name}")

    def open(self, text):
        try:
            return self.tpm.open(base64.b64decode(text, validate=True))
        except (ValueError, TypeError):
            if self.fault == "signs anyway":
                return bytes(32)
            raise

    def pause(self, retry_after):
        time.sleep(0 if self.fault == "impatient" else int(retry_after or 1))

    def register(self):
        path = f"/{self.scope}/registrations/{self.id}"
        keys = {"endorsementKey": self.tpm.ek, "storageRootKey": self.tpm.srk}
        body = {"registrationId": self.id, "tpm": {k: base64.b64encode(v).decode() for k, v in keys.items()}}
        body = json.dumps(body).encode()
        status, answer, retry_after = self.ask("PUT", path + "/register", body)
        while status in (429, 503):
            self.pause(retry_after)
            status, answer, retry_after = self.ask("PUT", path + "/register", body)
        self.must(status == 401, answer)
        challenge = json.loads(answer)
        clear = challenge.get("unencryptedAuthenticationKey") if self.fault == "key in clear" else None
        key = base64.b64decode(clear) if clear else self.open(challenge["authenticationKey"])
        self.sign(key, challenge.get("keyName", "registration"))
        status, answer, retry_after = self.ask("PUT", path + "/register", body)
        self.must(status == 202, answer)
        operation = json.loads(answer)["operationId"]
        if self.fault != "raw":
            operation = urllib.parse.quote(operation, safe="")
        state = {"status": "assigning"}
        while state["status"] == "assigning":
            self.pause(retry_after)
            status, answer, retry_after = self.ask("GET", f"{path}/operations/{operation}")
            self.must(status in (200, 202), answer)
            state = json.loads(answer)
            if self.fault == "polls once":
                break
        self.keep(state)
        if self.fault == "one more":
            self.ask("GET", f"{path}/operations/{operation}")

    @staticmethod
    def must(holds, answer):
        if not holds:
            raise ValueError(f"refused: {answer[:100]}")

    def keep(self, state):
        registration = state["registrationState"]
        place = os.path.join(self.env["CONFORMANCE_STATE"], "state")
        record = json.dumps({"hub": registration["assignedHub"], "at": time.time()})
        if self.fault == "saves early":
            with open(place, "w", encoding="utf-8") as f:
                f.write(record)
        self.must(state["status"] == "assigned", b"status")
        self.open(registration["tpm"]["authenticationKey"])
        name = registration["assignedHub"]
        if not name.replace(".", "").replace("-", "").isalnum() and self.fault != "any hub":
            raise ValueError("no hub name")
        with open(place, "w", encoding="utf-8") as f:
            f.write(record)


def client(directory, fault):
    if fault == "raw":
        http.client._is_illegal_header_value = lambda *_: None  # what a client without a library would send
    while True:
        try:
            Client(directory, fault).register()
            return 0
        except Exception as error:  # whatever it is: this is what a client makes of a failure
            print(f"client: {type(error).__name__}: {error}", file=sys.stderr)
            if fault == "keeps a log":
                with open(os.path.join(os.environ["CONFORMANCE_STATE"], "log"), "a", encoding="utf-8") as f:
                    f.write(f"{time.time()} {error}\n")
            if fault == "crashes":
                os.abort()
            if fault == "hangs":
                time.sleep(60)
            if fault != "asks for ever":
                return 0 if fault == "never fails" else 1


if __name__ == "__main__":
    sys.exit(client(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""))
