# SPDX-License-Identifier: MIT
"""dps-conformance --device-listen: our own device is right, and clients that are wrong in one thing are caught by the
case about it. Those clients are in this file, too: a device in Python whose TPM is software.

    python3 tests/e2e/conformance_device_test.py BUILD_DIR
    python3 tests/e2e/conformance_device_test.py --client DIRECTORY [FAULT]     what the suite starts

TAP on standard output; needs openssl, swtpm and python3-cryptography."""

import base64
import hashlib
import hmac
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.parse

# ---- A device client: right, or wrong in one thing -------------------------------------------------------------------

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
        from cryptography.hazmat.primitives import serialization
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
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        return Cipher(algorithms.AES(key), modes.CFB(bytes(16))).decryptor().update(data)

    def outer(self, key, label, name, wrapped, secret):
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding
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


# ---- The tests -------------------------------------------------------------------------------------------------------

# What a client does wrong → the cases that must fail because of it, and some that must not.
FAULTS = {
    "no api-version": ("DEV-S04-002",),
    "other type": ("DEV-S04-004",),
    "keys without size": ("DEV-S04-006",),
    "srk may leave its TPM": ("DEV-S04-007",),
    "a token at once": ("DEV-S04-008",),
    "other audience": ("DEV-S08-002",),
    "signs the decoded": ("DEV-S08-003",),
    "for ever": ("DEV-S08-004",),
    "other skn": ("DEV-S08-005",),
    "polls without token": ("DEV-S09-001",),
    "one more": ("DEV-S09-002",),
    "polls once": ("DEV-S09-004",),
    "no chunks": ("DEV-S06-001",),
    "key in clear": ("DEV-S06-016",),
    "impatient": ("DEV-S09-003",),
    "signs anyway": ("DEV-S07-003", "DEV-S07-071", "DEV-S07-107"),
    "no integrity": ("DEV-S07-061", "DEV-S07-063"),
    "any inner key": ("DEV-S07-079",),
    "any key": ("DEV-S07-081", "DEV-S07-084", "DEV-S09-106"),
    "raw": ("DEV-S07-115", "DEV-S08-024"),
    "half answers": ("DEV-S00-016",),
    "crashes": ("DEV-S00-033",),
    "hangs": ("DEV-S08-028",),
    "asks for ever": ("DEV-S08-029",),
    "never fails": ("DEV-S08-020", "DEV-S09-120"),
    "saves early": ("DEV-S09-102",),
    "any hub": ("DEV-S09-125",),
    "follows": ("DEV-S00-047",),
    "any name": ("DEV-S00-050",),
    "any certificate": ("DEV-S00-050", "DEV-S00-051", "DEV-S00-052"),
}
CASES_MIN = 230  # of the suite: a case that disappears is noticed


class Lab:
    """Certificates right and wrong, and how the suite is run."""

    def __init__(self):
        from harness import Programs, make_ca
        self.program, self.dir = Programs.path("dps-conformance"), Programs.directory()
        make_ca(self.dir)
        self.leaf("good", "DNS:localhost,DNS:hub-a.example")
        self.leaf("other", "DNS:other.example")
        self.past_leaf("expired", "DNS:localhost")
        self.openssl("req", "-x509", *self.curve("self"), "-out", "self.pem", "-days", "2", "-subj", "/CN=localhost",
                     "-addext", "subjectAltName=DNS:localhost")
        self.join("self")
        for name in ("ek.key", "srk.key"):
            self.openssl("genrsa", "-out", name, "2048")

    def path(self, name):
        return os.path.join(self.dir, name)

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.dir, check=True, capture_output=True)

    @staticmethod
    def curve(name):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", name + ".key")

    def join(self, name):
        with open(self.path(name + ".both"), "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as both:
            for part in (".pem", ".key"):
                with open(self.path(name + part), "rb") as f:
                    both.write(f.read())

    def ask(self, name, names):
        with open(self.path("ext"), "w", encoding="utf-8") as f:
            f.write(f"subjectAltName={names}\nbasicConstraints=CA:FALSE\n")
        self.openssl("req", *self.curve(name), "-out", name + ".csr", "-subj", "/CN=" + names[4:].split(",")[0])

    def leaf(self, name, names):
        self.ask(name, names)
        self.openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                     "-out", name + ".pem", "-days", "2", "-extfile", "ext")
        self.join(name)

    def past_leaf(self, name, names):
        """A certificate that was good until 2021: with nothing else wrong, such as dates in the wrong order."""
        self.ask(name, names)
        with open(self.path("ca.conf"), "w", encoding="utf-8") as f:
            f.write("[ca]\ndefault_ca=a\n[a]\ndatabase=index\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\n"
                    "policy=p\n[p]\ncommonName=supplied\n")
        with open(self.path("index"), "w", encoding="utf-8"):
            pass
        self.openssl("ca", "-batch", "-notext", "-config", "ca.conf", "-cert", "ca.pem", "-keyfile", "ca.key", "-in",
                     name + ".csr", "-out", name + ".pem", "-startdate", "20200101000000Z", "-enddate",
                     "20210101000000Z", "-extfile", "ext")
        self.join(name)

    def conformance(self, command, *arguments):
        """Exit code, id → case of the report, and standard error."""
        report = self.path("report.json")
        if os.path.exists(report):
            os.unlink(report)
        done = subprocess.run(
            [self.program, "--device-listen", "127.0.0.1:0", "--device-cert", "good.pem", "--device-key", "good.key",
             "--device-ca", self.path("ca.pem"), "--device-hub", "hub-a.example", "--device-cert-other-name",
             "other.both", "--device-cert-expired", "expired.both", "--device-cert-untrusted", "self.both",
             "--json", report, "--device-command", command, *arguments],
            cwd=self.dir, capture_output=True, timeout=1500, check=False)
        if not os.path.exists(report):
            raise RuntimeError(done.stderr.decode(errors="replace"))
        with open(report, encoding="utf-8") as f:
            cases = {case["id"]: case for case in json.load(f)["cases"]}
        return done.returncode, cases, done.stderr.decode(errors="replace")

    def python(self, fault, *arguments):
        command = f"exec /usr/bin/python3 '{os.path.abspath(__file__)}' --client '{self.dir}' '{fault}'"
        return self.conformance(command, "--strict", *arguments)

    def ours(self, device, *arguments, options=""):
        from harness import Programs
        tool = f"exec '{Programs.path('dps-device')}' --quiet --tpm '{device.tpm.name}'"
        state = '--state "$CONFORMANCE_STATE/state" --ca "$CONFORMANCE_CA"'
        register = (f'{tool} register --service "$CONFORMANCE_URL" --scope "$CONFORMANCE_SCOPE" '
                    f'--id "$CONFORMANCE_ID" {state} {options}')
        send = f'{tool} send --connect-to "localhost:$CONFORMANCE_PORT" --message x {state}'
        return self.conformance(register, "--strict", "--device-send-command", send, *arguments)


def told(cases, wanted):
    return "; ".join(f"{i}: {c['result']}: {c.get('message', '')}" for i, c in cases.items() if c["result"] != wanted)


def our_device(lab):
    """dps-device passes all of it, the SHOULDs included"""
    from harness import Device
    from server_harness import check, same
    device = Device("libtpms")
    device.run("own", "--persist")
    code, cases, err = lab.ours(device)
    same(told(cases, "passed"), "", "cases that did not pass")
    check(len(cases) >= CASES_MIN, f"only {len(cases)} cases")
    same(code, 0, "exit code: " + err)


def our_device_hardened(lab):
    """with --srk hardened it sends only this SRK, opens what is wrapped to it, and sends; without, it is caught"""
    from harness import Device
    from server_harness import same
    device = Device("swtpm-unix")
    device.run("own", "--persist")
    some = ("--device-srk", "hardened", "DEV-S04", "DEV-S06-001", "DEV-S07-063", "DEV-S08", "DEV-S09-002",
            "DEV-S10")
    code, cases, err = lab.ours(device, *some, options="--srk hardened")
    same(told(cases, "passed"), "", "cases that did not pass")
    same(code, 0, "exit code: " + err)
    same(device.tpm.loaded(), [], "loaded in the TPM")
    code, cases, err = lab.ours(device, "--device-srk", "hardened", "DEV-S04")
    same([i for i, c in cases.items() if c["result"] != "passed"], ["DEV-S04-010"], "cases that did not pass")
    same(code, 1, "exit code: " + err)


def our_device_leaves_nothing(lab):
    """it leaves nothing in a TPM that keeps what is loaded, whatever the service does"""
    from harness import Device
    from server_harness import same
    device = Device("swtpm-unix")
    device.run("own", "--persist")
    some = ("DEV-S07-003", "DEV-S07-063", "DEV-S07-073", "DEV-S07-086", "DEV-S08", "DEV-S10",
            *(f"DEV-S09-{i}" for i in (101, 102, 103, 104, 105, 106, 107, 108, 124, 139)))
    code, cases, err = lab.ours(device, *some)
    same(told(cases, "passed"), "", "cases that did not pass")
    same(code, 0, "exit code: " + err)
    same(device.tpm.loaded(), [], "loaded in the TPM")


def right_client(lab):
    """a right client that is not ours passes every case that the wrong ones fail"""
    from server_harness import same
    ids = sorted({i for ids in FAULTS.values() for i in ids})
    for some in (ids[:20], ids[20:]):
        code, cases, err = lab.python("", *some)
        same(told(cases, "passed"), "", "cases that did not pass")
        same(code, 0, "exit code: " + err)


def unusable_address(lab):
    """an address that cannot be listened on: which, why, and what to do"""
    from harness import run
    with socket.create_server(("127.0.0.1", 0)) as taken:
        used = f"127.0.0.1:{taken.getsockname()[1]}"
        for code, address, *says in ((2, "127.0.0.1", "ADDR:PORT"), (2, "::1:0", "[IPV6]:PORT"),
                                     (4, used, "in use", "What to do: end the program that listens there"),
                                     (4, "192.0.2.1:0", "What to do: name an address that this machine has")):
            run(lab.program, "--device-listen", address, "--device-cert", lab.path("good.pem"), "--device-key",
                lab.path("good.key"), "--device-command", "true", status=code, says=(address, *says))


def wrong_client(fault):
    def test(lab):
        from server_harness import check, same
        code, cases, err = lab.python(fault, *FAULTS[fault])
        same({i: c["result"] in ("failed", "not met") for i, c in cases.items()}, {i: True for i in FAULTS[fault]},
             "cases that failed: " + err)
        check("with nothing wrong" not in err, "it fails where nothing is wrong, too: " + err)
        check(code == 1, f"exit code {code}")
    test.__doc__ = f"a client that is wrong is caught: {fault}"
    return test


def main():
    from harness import Programs, run_tap
    faults = list(FAULTS) if os.environ.get("CONFORMANCE_CLIENTS") == "all" else list(FAULTS)[::6]
    tests = [our_device, our_device_hardened, our_device_leaves_nothing, unusable_address, right_client,
             *map(wrong_client, faults)]
    with Programs.use(sys.argv[1] if len(sys.argv) > 1 else "build", "conformance-device-"):
        lab = Lab()
        return run_tap([(test.__doc__, lambda test=test: test(lab)) for test in tests])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--client"]:
        sys.exit(client(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else ""))
    sys.exit(main())
