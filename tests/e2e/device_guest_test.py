# SPDX-License-Identifier: MIT
"""dps-device on TPMs that others have used before, and against services that stall or mislead it.

The keys of others are made by tpm2-tools."""

import contextlib
import fcntl
import json
import os
import re
import shutil
import socket
import ssl
import threading
from concurrent import futures

from certificates import make_ca, make_leaf
from harness import HUBS, PROGRAM_PATIENCE, SCOPE, Bench, Device, SwtpmForTools, read_file, run
from tap import Programs, check, same
from tpm_front import Front
from waiting import end_listening, wait_until

EK, SRK = "0x81010001", "0x81000001"
HMAC = 0x155


# ---- Keys of others --------------------------------------------------------------------------------------------------

class Occupied:
    """A TPM whose fixed handles hold something that is not the flow's."""

    def __init__(self, *create):
        tpm = SwtpmForTools()
        self.device, self.tool = Device(tpm.kind, tpm), tpm.tool
        self.sealed, secret = self.device.path("sealed"), self.device.secret("secret", "s3cret")
        self.device.run("seal", "--in", secret, "--out", self.sealed)
        self.ek = self.device.run("ek", "--format", "base64").out
        check(shutil.which("tpm2_evictcontrol"), "tpm2-tools are missing")
        self.tool(*create)
        for handle in (SRK, EK):
            self.tool("tpm2_flushcontext", "-t")
            self.tool("tpm2_evictcontrol", "-Q", "-C", "o", "-c", "key.ctx", handle)
        self.tool("tpm2_flushcontext", "-t")

    def works(self, bench, name):
        """Every command that needs EK or SRK, as if the handles were free."""
        same(self.device.run("ek", "--format", "base64").out, self.ek, "EK")
        same(self.device.run("unseal", "--in", self.sealed).out, "s3cret", "what was sealed before")
        bench.enroll(self.device, name)
        bench.register(self.device, name)
        check(self.device.run("token", "--state", self.device.path("state")).out.startswith("SharedAccess"), "token")
        bench.send(self.device)
        self.device.run("own")


PRIMARY = ("tpm2_createprimary", "-Q", "-C", "o", "-c", "key.ctx")
OTHERS = {
    "an ECC key on P-256": (*PRIMARY, "-G", "ecc"),
    "an RSA-3072 key": (*PRIMARY, "-G", "rsa3072"),
    "name not by SHA-256": (*PRIMARY, "-G", "rsa2048", "-g", "sha384"),
    "an RSA-2048 key": (*PRIMARY, "-G", "rsa2048", "-a", "sign|fixedtpm|fixedparent|sensitivedataorigin|userwithauth"),
    "a keyed hash": ("sh", "-c", "tpm2_createprimary -Q -C o -c p.ctx && echo of others | tpm2_create -Q -C p.ctx -i - "
                     "-u pub -r priv && tpm2_flushcontext -t && tpm2_load -Q -C p.ctx -u pub -r priv -c key.ctx"),
}


def test_keys(bench):
    """a key at a fixed handle that is not of the templates is passed over, in every command"""
    for number, (kind, create) in enumerate(OTHERS.items()):
        occupied = Occupied(*create)
        occupied.works(bench, f"device-other-{number}")
        shown = occupied.device.run("info").out
        same(len(re.findall(rf"0x81.*{kind}", shown)), 2, f"{kind} in {shown}")


def test_policy(bench):
    """likewise a key of the SRK's form under another policy, and an SRK with a password of its own"""
    create = " ".join((*PRIMARY, "-G", "rsa2048", "-L", "policy"))
    Occupied("sh", "-c", f"head -c 32 /dev/zero > policy && {create}").works(bench, "device-policy")
    attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt"
    Occupied(*PRIMARY, "-G", "rsa2048", "-p", "secret", "-a", attributes).works(bench, "device-password")


def test_persist(_bench):
    """own --persist names the occupied handle and what is in it, before anything is changed"""
    occupied = Occupied(*OTHERS["an ECC key on P-256"])
    device, owner = occupied.device, occupied.device.secret("owner", "mine")
    occupied.tool("tpm2_evictcontrol", "-Q", "-C", "o", "-c", EK)
    says = (SRK, "an ECC key on P-256", "Nothing was changed", "leave --persist out")
    device.run("own", "--persist", "--new-owner-auth-file", owner, status=3, says=says)
    shown = device.run("info")
    check("owner empty" in shown.field("Authorization") and EK not in shown.out, shown.out)
    occupied.tool("tpm2_evictcontrol", "-Q", "-C", "o", "-c", SRK)
    device.run("own", "--persist", "--new-owner-auth-file", owner)


# ---- Services that do not mean well ----------------------------------------------------------------------------------

class Peer:
    """A TLS server for one connection at a time: serve(connection) in a thread, until the device has gone."""

    def __init__(self, serve, tls=True):
        self.dir = Programs.directory()
        make_ca(self.dir)
        make_leaf(self.dir, ("localhost", *HUBS))
        self.serve, self.context = serve, None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(os.path.join(self.dir, "cert.pem"), os.path.join(self.dir, "key.pem"))
            self.context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.listener = socket.create_server(("127.0.0.1", 0))
        Programs.cleanup.callback(end_listening, self.listener)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with contextlib.suppress(OSError), connection:
                    if self.context:
                        connection = self.context.wrap_socket(connection, server_side=True)
                    self.serve(connection)

    def options(self, device):
        return ("--service", f"https://localhost:{self.listener.getsockname()[1]}", "--scope", SCOPE, "--id", "x",
                "--ca", os.path.join(self.dir, "ca.pem"), "--state", device.path("state"))


def warnings(connection):
    connection.recv(4096)
    while not PAUSE.wait(0.05):
        connection.sendall(bytes((21, 3, 3, 0, 2, 1, 90)))


def drip(connection):
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 401 X\r\nA: ")
    while not PAUSE.wait(0.05):
        connection.sendall(b"a")


def interim(connection):
    connection.recv(4096)
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


def busy(connection):
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 429 X\r\nRetry-After: 250\r\nContent-Length: 0\r\n\r\n")
    connection.recv(4096)


PAUSE = threading.Event()  # never set: what is between two bytes


def test_held(_bench):
    """nobody can stall it: --timeout holds, interim answers are counted, and it begins no wait that is too long"""
    device = Device("libtpms")
    device.run("own", "--persist")  # so that the network may use all of the time
    for serve, seconds, says in ((warnings, 10, "longer than 10 s"), (drip, 10, "longer than 10 s"),
                                 (interim, 240, "16 interim answers"),
                                 (busy, 240, ("longer than 240 s", "was asked last, and answered 429"))):
        peer = Peer(serve, tls=serve is not warnings)
        device.run("register", *peer.options(device), "--timeout", str(seconds), status=4, says=says)
    silent = Peer(lambda connection: PAUSE.wait(60), tls=False)
    proxy = f"http://127.0.0.1:{silent.listener.getsockname()[1]}"
    device.run("register", *peer.options(device), "--timeout", "3", "--proxy", proxy, status=4,
               says=("longer than 3 s", f"the proxy {proxy} (--proxy) did not answer in time"))


def malformed(connection):
    body = b'{"authenticationKey":"AAAA","keyName":"registration"}'
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 401 X\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    connection.recv(4096)


def test_first_error(_bench):
    """a malformed answer is reported as the service's fault, even if something has to be flushed after it"""
    device = Device("swtpm-tcp")
    peer = Peer(malformed)
    for _ in range(2):
        refused = device.run("register", *peer.options(device), status=4,
                             says=("step 4", "the answer of localhost:", "malformed", "--service"))
        check("TPM2_" not in refused.err, refused.err)
        device.run("own", "--persist")


def undecryptable(connection):
    blob = json.loads(read_file("tests/vectors/activation-blob.json"))["blobB64"]
    body = json.dumps({"authenticationKey": blob, "keyName": "registration"}).encode()
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 401 X\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    connection.recv(4096)


def test_undecryptable(_bench):
    """a challenge that the EK does not decrypt is reported as one for another EK, whatever code the TPM gives"""
    device = Device("libtpms")
    refused = device.run("register", *Peer(undecryptable).options(device), status=3, says="encrypted to another EK")
    check("TPM2_ActivateCredential" in refused.err, refused.err)


def test_help(_bench):
    """--help gives the defaults of port/limits.h"""
    shown = run(Programs.path("dps-device"), "register", "--help").out
    limits = read_file("port/limits.h").decode()
    for name, words in (("FLOW", "default {}."), ("TPM", "command has {},"), ("NET", "handshake {}, a request")):
        seconds = int(re.search(rf"PORT_{name}_TIMEOUT_MS (\d+)", limits)[1]) // 1000
        check(words.format(seconds) in " ".join(shown.split()), shown)


# ---- Two at once -----------------------------------------------------------------------------------------------------

def test_lock(bench):
    """two registrations with one state file: the second waits for the first, or says so; a dead one locks nothing"""
    device = Device("swtpm-tcp")
    bench.enroll(device, "device-locked")
    lock = device.path("state.lock")
    with open(lock, "w", encoding="ascii") as held, futures.ThreadPoolExecutor() as pool:
        fcntl.flock(held, fcntl.LOCK_EX)
        bench.register(device, "device-locked", status=5, says=("another dps-device", "What to do"))
        second = pool.submit(bench.register, device, "device-locked")
        wait_until(lambda: descriptors(lock) > 1, "the second one is there")
        os.unlink(lock)  # these two as its holder does at its end
        fcntl.flock(held, fcntl.LOCK_UN)
        second.result()
    check(os.path.exists(device.path("state")) and not os.path.exists(lock), os.listdir(device.dir))
    with open(lock, "w", encoding="ascii"):  # left behind by one that was killed
        pass
    bench.register(device, "device-locked")
    check(not os.path.exists(lock), "the lock is left")


class Held(Front):
    """A TPM that several programs share, where the first signature has to wait."""

    def __init__(self, tpm):
        self.asked, self.go_on = threading.Event(), threading.Event()
        super().__init__(tpm)

    def ask(self, command):
        if int.from_bytes(command[6:10], "big") == HMAC and not self.asked.is_set():
            self.asked.set()
            check(self.go_on.wait(PROGRAM_PATIENCE), "nobody lets it go on")
        return super().ask(command)


def test_overtaken(bench):
    """two registrations of one ID at once: the one whose challenge the other has used up begins again"""
    device = Device("swtpm-tcp")
    bench.enroll(device, "device-twice")
    device.run("own", "--persist")  # two at once have no room for keys of their own

    def register(front, state):
        return run(Programs.path("dps-device"), "--tpm", front.name, "register", "--service", bench.at(), "--ca",
                   bench.path("ca.pem"), "--scope", SCOPE, "--id", "device-twice", "--state", device.path(state))
    with Held(device.tpm) as front, futures.ThreadPoolExecutor() as pool:
        first = pool.submit(register, front, "first")
        check(front.asked.wait(PROGRAM_PATIENCE), "the first one never signs")
        register(front, "second")
        front.go_on.set()
        same(first.result().field("Registered"), "device-twice", "registration ID")
    bench.service.wait_log("errorCode=401007")
    same(device.tpm.loaded(), [], "loaded in the TPM after both")
    bench.send(device, "--state", device.path("first"))
    bench.send(device, "--state", device.path("second"), status=1, says="401001")


def descriptors(path):
    """How many open descriptors of any process lead to a file."""
    count = 0
    for process in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{process}/fd"):
                with contextlib.suppress(OSError):
                    count += os.readlink(f"/proc/{process}/fd/{fd}") == path
    return count


def shared():
    return Bench()
