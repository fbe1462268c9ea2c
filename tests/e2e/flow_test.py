# SPDX-License-Identifier: MIT
"""The whole story with the programs as a user has them: every command of dps-device and dps-admin on each kind of TPM
that can run here, and every exit code with a cause of its own.

Needs the standard library, openssl and swtpm."""

import base64
import functools
import hashlib
import hmac
import json
import os
import re
import resource
import signal
import socket
import subprocess
import time
import urllib.parse

from certificates import make_ca
from harness import HUBS, KINDS, Bench, Device, read_file, run, unchanged, write_file
from server_harness import SCOPE
from tap import Programs, check, same
from waiting import PATIENCE

REGISTRATION = ("TPM2_ReadPublic", "TPM2_StartAuthSession", "TPM2_PolicySecret", "TPM2_ActivateCredential",
                "TPM2_Import", "TPM2_Load", "TPM2_HMAC", "TPM2_FlushContext")


# ---- The story, on each TPM: each part needs those before it ---------------------------------------------------------

class Story:
    def __init__(self, kind, bench):
        self.device, self.bench, self.id = Device(kind), bench, "device-" + kind

    def tell(self, *arguments, **options):
        return self.device.run(*arguments, **options)


def part_ek(s):
    """ek: all formats are the same key, and the registration ID is its digest"""
    binary = s.tell("ek", "--format", "2b").bytes
    text = s.tell("ek", "--format", "base64").out
    same(base64.b64decode(text.strip(), validate=True), binary, "base64")
    same(int.from_bytes(binary[:2], "big"), len(binary) - 2, "size field of TPM2B_PUBLIC")
    pem = s.tell("ek", "--format", "pem").bytes
    modulus = run("openssl", "rsa", "-pubin", "-noout", "-modulus", input=pem).out
    same(modulus.strip(), "Modulus=" + binary[-256:].hex().upper(), "PEM")
    enrollment = json.loads(s.tell("ek", "--format", "json").out)
    name = base64.b32encode(hashlib.sha256(binary).digest()).decode().rstrip("=").lower()
    same(enrollment, {"registrationId": name,
                      "attestation": {"type": "tpm", "tpm": {"endorsementKey": text.strip()}}}, "JSON")
    everything = s.tell("ek")
    same(everything.field("Registration ID"), name, "registration ID")
    check(text in everything.out and pem.decode() in everything.out, "the readable form lacks a format")
    s.ek = binary


def part_enroll(s):
    """enroll: the service stores what ek prints"""
    said = s.bench.enroll(s.device, s.id).out + s.tell("ek").out
    s.digest = "SHA-256 " + hashlib.sha256(s.ek).hexdigest()
    same(said.count(s.digest), 2, f"the digest that dps-admin and dps-device show: {said}")
    shown = json.loads(s.bench.admin("get", s.id, "--format", "json").out)
    same(base64.b64decode(shown["attestation"]["tpm"]["endorsementKey"]), s.ek, "enrolled key")
    check(s.id in s.bench.admin("list").out, "it is not in the list")


def part_own(s):
    """own: three authorizations from files; from then on they are needed"""
    device = s.device
    files = {which: device.secret(which, f"{which} of {s.id}"[:32]) for which in ("owner", "endorsement", "lockout")}
    owned = s.tell("own", *(x for which, path in files.items() for x in (f"--new-{which}-auth-file", path)))
    same(owned.field("EK_pub"), s.digest, "the digest by which people compare")
    s.ek_name, s.srk_name = owned.field("EK Name"), owned.field("SRK Name")
    s.tell("own", status=3, says="authorization is set and was not given")
    device.auth = [x for which, path in files.items() for x in (f"--{which}-auth-file", path)]
    same(s.tell("own").field("SRK Name"), s.srk_name, "SRK of the same owner")


def part_seal(s):
    """seal: only the sealed form is in the file, and unseal gives the secret back"""
    s.sealed = s.device.path("sealed")
    secret = s.device.secret("secret", "the first owner's secret")
    s.tell("seal", "--in", secret, "--out", s.sealed)
    check(b"secret" not in read_file(s.sealed), "the secret is in the file")
    same(s.tell("unseal", "--in", s.sealed, "--out", "-").bytes, read_file(secret), "unsealed")


def part_register(s):
    """register: assigned to a hub, with a state file for the owner only"""
    done = s.bench.register(s.device, s.id)
    s.hub = done.field("Hub")
    check(s.hub in HUBS, f"hub {s.hub}")
    same((done.field("Registered"), done.field("Device"), done.field("Substatus")),
         (s.id, s.id, "initialAssignment"), "registration")
    same(os.stat(s.device.path("state")).st_mode & 0o777, 0o600, "mode of the state file")
    shown = json.loads(s.bench.admin("registration", "get", s.id, "--format", "json").out)
    same((shown["status"], shown["assignedHub"]), ("assigned", s.hub), "registration at the service")


def part_token(s):
    """token: a shared access signature for the hub, valid for an hour"""
    text = s.tell("token", "--state", s.device.path("state")).out
    check(text.startswith("SharedAccessSignature "), text)
    fields = dict(pair.split("=", 1) for pair in text.strip().split(" ", 1)[1].split("&"))
    same(urllib.parse.unquote(fields["sr"]), f"{s.hub}/devices/{s.id}", "sr")
    same(len(base64.b64decode(urllib.parse.unquote(fields["sig"]), validate=True)), 32, "size of sig")
    check(0 < int(fields["se"]) - time.time() <= 3660, f"se={fields['se']}")
    s.token, s.token_fields = text, fields


def part_send(s):
    """send: the hub accepts a message"""
    sent = s.bench.send(s.device)
    check("answered 204" in sent.field("Message"), sent.out)
    same(sent.field("Accepted by"), s.hub, "hub")


def part_again(s):
    """register again: the same hub, another substatus, and the new hub key works"""
    old = read_file(s.device.path("state"))
    done = s.bench.register(s.device, s.id)
    same((done.field("Hub"), done.field("Substatus")), (s.hub, "reprovisionedToInitialAssignment"), "registration")
    check(read_file(s.device.path("state")) != old, "the state file is the old one")
    s.bench.send(s.device)


def part_info(s):
    """info: the authorizations are set, nothing is loaded, nothing was made persistent"""
    shown = s.tell("info")
    same(shown.field("Authorization"), "owner set, endorsement set, lockout set", "authorizations")
    check(shown.field("Loaded").startswith("0 objects, 0 sessions"), shown.field("Loaded"))
    check("0x8101" not in shown.out, "a key was made persistent unasked")


def part_clear(s):
    """clear: the EK stays, the SRK is a new one, no authorization is left"""
    cleared = s.tell("clear", "--yes")
    s.device.auth = []
    same(cleared.field("EK Name"), s.ek_name, "EK")
    check(cleared.field("SRK Name") != s.srk_name, "the SRK is the old one")
    same(s.tell("info").field("Authorization"), "owner empty, endorsement empty, lockout empty", "authorizations")
    same(s.tell("ek", "--format", "2b").bytes, s.ek, "EK_pub")


def part_dead(s):
    """after clear: token, send and unseal fail with the reason, and change nothing"""
    state = s.device.path("state")
    with unchanged(s.bench, state, s.sealed):
        for result in (s.tell("token", "--state", state, status=3), s.bench.send(s.device, status=3)):
            check("TPM_RC_INTEGRITY" in result.err and "register again" in result.err, result.err)
            same(result.out, "", "output")
        s.tell("unseal", "--in", s.sealed, "--out", "-", status=3, says=("TPM_RC_INTEGRITY", "no way back"))


def part_next_owner(s):
    """the next owner registers the same device again"""
    done = s.bench.register(s.device, s.id)
    same((done.field("Hub"), done.field("Substatus")), (s.hub, "reprovisionedToInitialAssignment"), "registration")
    s.bench.send(s.device)


def part_flush(s):
    """flush: what a killed program has left is removed"""
    if s.device.tpm.kind == "libtpms":
        check("0 objects and 0 sessions flushed" in s.tell("flush").out, "it flushed something")
        return
    s.device.tpm.leak(s.ek)
    same(len(s.device.tpm.loaded()), 2, "leaked")
    check("1 objects and 1 sessions flushed" in s.tell("flush").out, "it says something else")


def part_interrupted(s):
    """a signal in the middle of a registration: exit code 143, an empty TPM, the old state"""
    state = s.device.path("state")
    with socket.create_server(("127.0.0.1", 0)) as silent, unchanged(s.bench, state):
        silent.settimeout(PATIENCE)
        process = subprocess.Popen(
            [Programs.path("dps-device"), "--tpm", s.device.tpm.name, "register", "--service", "https://localhost",
             "--connect-to", f"127.0.0.1:{silent.getsockname()[1]}", "--ca", s.bench.path("ca.pem"), "--scope",
             SCOPE, "--id", s.id, "--state", state], stderr=subprocess.PIPE)
        try:
            connection = silent.accept()[0]
            connection.recv(1)  # of its first TLS message: EK and SRK are loaded by now
            process.terminate()
            words = process.communicate(timeout=PATIENCE)[1].decode()
        finally:
            process.kill()
            process.wait()
    same(process.returncode, 143, "exit code")
    check("interrupted" in words, words)
    same(s.device.tpm.loaded(), [], "loaded in the TPM")


# ---- Refused by the other side: exit code 1 --------------------------------------------------------------------------

class Failing:
    """A registered device whose state, and a service whose store, must survive every failure."""

    def __init__(self, bench):
        self.bench, self.device, self.id = bench, Device("swtpm-unix"), "device-failing"
        bench.enroll(self.device, self.id)
        bench.register(self.device, self.id)
        self.state = self.device.path("state")

    def register(self, status, says, *options, name=None):
        with unchanged(self.bench, self.state):
            return self.bench.register(self.device, name or self.id, *options, status=status, says=says)

    def run(self, status, says, *arguments, **options):
        with unchanged(self.bench, self.state):
            return self.device.run(*arguments, status=status, says=says, **options)

    def admin(self, status, says, *arguments, **options):
        with unchanged(self.bench, self.state):
            return self.bench.admin(*arguments, status=status, says=says, **options)


def fail_refused_registration(f):
    """1: unknown ID, wrong scope, disabled enrollment, another TPM's EK"""
    f.register(1, ("404201", "nobody-knows-me", "What to do"), name="nobody-knows-me")
    f.register(1, ("404202", "--scope"), "--scope", "0ne0000FFFF")
    f.bench.enroll(f.device, "device-disabled", "--disabled")
    f.register(1, ("403201", "disabled"), name="device-disabled")
    other = Device("libtpms")
    f.bench.enroll(other, "device-of-another")
    f.register(1, ("401003", "this is another TPM"), name="device-of-another")


def fail_refused_message(f):
    """1: the hub key is an old one"""
    old = write_file(f.device.path("old"), read_file(f.state))
    f.bench.register(f.device, f.id)
    with unchanged(f.bench, old):
        f.bench.send(f.device, "--state", old, status=1, says=("401001", "register again"))


def fail_refused_admin(f):
    """1: enrolled twice, not enrolled, a wrong key in the connection string"""
    ek = f.device.path("ek.txt")
    f.admin(1, "409201", "enroll", f.id, "--ek", ek)
    for command in (("get",), ("delete",), ("registration", "get")):
        f.admin(1, "404201", *command, "nobody-knows-me")
    key = base64.b64encode(bytes(32)).decode()
    text = re.sub(r"(SharedAccessKey=).*", r"\g<1>" + key, read_file(f.bench.connection).decode())
    f.admin(1, "401000", "--connection-string-file", write_file(f.device.path("wrong"), text), "list")


# ---- Usage: 2 --------------------------------------------------------------------------------------------------------

def fail_usage_device(f):
    """2: dps-device says what it does not understand"""
    for says, *arguments in (("no command",), ("did you mean register", "regsiter"),
                             ("dps-admin enroll does that", "enroll"), ("extra", "ek", "extra"),
                             ("frobnicate", "--frobnicate", "ek"),
                             ("xml", "ek", "--format", "xml"), ("a b", "ek", "--id", "a b"),
                             ("azure-sdk", "ek", "--ek-template", "x"), ("clear --yes", "clear"),
                             ("--service", "register"), ("--state", "token"), ("--out", "seal"),
                             ("--message", "send", "--state", f.state, "--ca", "x"), ("xml", "--trace=xml", "info"),
                             ("names no TPM", "--tpm", "frob:x", "info"), ("twice", "ek", "--id", "x", "--id", "x")):
        f.run(2, says, *arguments)
    f.register(2, "--payload", "--payload", "{")
    f.register(2, "http:", "--service", "http://localhost")
    run(Programs.path("dps-device"), "info", status=2, says="which TPM?", env={})


def fail_usage_admin(f):
    """2: dps-admin says what it does not understand"""
    for says, *arguments in (("no command",), ("did you mean enroll", "enrol", "x"),
                             ("frobnicate", "--frobnicate", "list"), ("it needs", "get"), ("a b", "get", "a b"),
                             ("which key", "enroll", "x"),
                             ("xml", "list", "--format", "xml"), ("registration get", "registration", "frob", "x")):
        f.admin(2, says, *arguments)
    broken = write_file(f.device.path("broken"), "HostName=localhost")
    f.admin(2, "not complete", "--connection-string-file", broken, "list")


# ---- The TPM: 3 ------------------------------------------------------------------------------------------------------

def fail_no_tpm(f):
    """3: no TPM is there, or something else is; a file that is named by mistake is not written to"""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    victim = f.device.secret("victim", "a file that somebody needs")
    for name, says in ((f"swtpm:127.0.0.1:{port}", "refused"), ("swtpm:" + f.device.path("nothing"), "No such file"),
                       (f.device.path("nothing"), "No such file"), ("/dev/null", "/dev/null"), (victim, "cannot reach"),
                       (f.device.dir, "cannot reach"), ("libtpms:" + victim, "Not a directory")):
        with unchanged(f.bench, f.state, victim):
            f.device.run("--tpm", name, "info", status=3, says=says)
            f.bench.register(f.device, f.id, "--tpm", name, status=3, says=says)


def fail_state_of_a_tpm(f):
    """3: a truncated libtpms state is refused, and not replaced by a new TPM"""
    device = Device("libtpms")
    device.run("ek")
    path = device.path("tpm/permall")
    write_file(path, read_file(path)[:100])
    with unchanged(f.bench, path):
        device.run("ek", status=3)


def fail_authorization(f):
    """3: a wrong or missing authorization is named, and does not count towards the lockout"""
    device = Device("swtpm-tcp")
    f.bench.enroll(device, "device-owned")
    owner, wrong = device.secret("owner", "right"), device.secret("wrong", "wrong")
    device.run("own", "--new-owner-auth-file", owner, "--no-sessions", "--state", device.path("state"), status=2,
               says="--state is checked by a session")
    device.run("own", "--new-owner-auth-file", owner, "--new-endorsement-auth-file", owner)
    right = {"--owner-auth-file": owner, "--endorsement-auth-file": owner}

    def register(files, **expected):
        options = [x for option in files.items() for x in option]
        f.bench.register(device, "device-owned", *options, **expected)
    register(right)
    tries = [({}, "authorization is set and was not given"),
             ({**right, "--owner-auth-file": wrong}, "owner authorization that was given is wrong"),
             ({**right, "--endorsement-auth-file": wrong}, "endorsement authorization that was given is wrong")]
    with unchanged(f.bench, device.path("state")):
        for files, says in tries * 4:  # more often than the lockout would forgive
            register(files, status=3, says=("TPM_RC_BAD_AUTH", says, "-auth-file"))
    check(device.run("info").field("Lockout").startswith("not locked; 0 of"), "a try was counted")
    for which in ("owner", "endorsement"):
        Device("libtpms").run("own", f"--{which}-auth-file", wrong, status=3,
                              says=(f"no {which} authorization is set, but one was given", "leave", "out"))
    environment = {**os.environ, "DPS_OWNER_AUTH": "right", "DPS_ENDORSEMENT_AUTH": "right"}
    register({}, env=environment)


def fail_lockout(f):
    """3: a missing lockout authorization is not tried, nor is one where none is set; a wrong one is named, and then the
    lockout"""
    device = Device("swtpm-unix")
    lockout, wrong = device.secret("lockout", "right"), device.secret("wrong", "wrong")
    device.run("own", "--new-lockout-auth-file", lockout)
    for _ in range(2):
        device.run("clear", "--yes", status=3, says="Nothing was tried")
        device.run("own", "--new-lockout-auth-file", wrong, status=3, says="Nothing was tried")
    device.run("--lockout-auth-file", lockout, "clear", "--yes")
    for command in (("clear", "--yes"), ("own", "--new-lockout-auth-file", wrong)):
        device.run("--lockout-auth-file", lockout, *command, status=3,
                   says=("no lockout password is set", "leave --lockout-auth-file", "Nothing was tried"))
    device.run("own", "--new-lockout-auth-file", lockout)
    device.run("--lockout-auth-file", wrong, "clear", "--yes", status=3,
               says=("TPM_RC_AUTH_FAIL", "counts towards the lockout"))
    device.run("--lockout-auth-file", lockout, "clear", "--yes", status=3,
               says=("TPM_RC_LOCKOUT", "as long as the lockout authority is locked after a wrong try according to"))
    shown = device.run("info").field("Lockout")
    check(re.search(r"lockout authority locked for \d+ s after a wrong try$", shown), shown)


# ---- The network: 4 --------------------------------------------------------------------------------------------------

def fail_network_device(f):
    """4: dps-device: nobody there, wrong CA, wrong host name, expired certificate, not TLS"""
    port = f.bench.service.tls_port
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    make_ca(f.device.dir)
    f.register(4, "refused", "--service", f"https://localhost:{free}")
    f.register(4, "give the CA", "--ca", f.device.path("ca.pem"))
    f.register(4, ("other.example", "must contain that name"), "--service", f"https://other.example:{port}",
               "--connect-to", f"localhost:{port}")
    f.register(4, "TLS", "--service", f"https://localhost:{f.bench.service.plain_port}")
    f.register(4, "the dates of the certificate", "--now", "4000000000")
    expired = Bench(days=(-3, -1))
    f.register(4, "the dates of the certificate", "--service", expired.at(), "--ca", expired.path("ca.pem"))
    with unchanged(f.bench, f.state):
        f.bench.send(f.device, "--connect-to", f"localhost:{free}", status=4, says="refused")
        f.bench.send(f.device, "--ca", f.device.path("ca.pem"), status=4, says="give the CA")


def fail_network_admin(f):
    """4: dps-admin: nobody there, wrong CA, wrong host name, expired certificate"""
    port = f.bench.service.tls_port
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    make_ca(f.device.dir)
    f.admin(4, ("refused", "What to do"), "--connect-to", f"localhost:{free}", "list")
    f.admin(4, ("no secure connection", "give the CA"), "--ca", f.device.path("ca.pem"), "list")
    text = read_file(f.bench.connection).decode().replace("HostName=localhost", "HostName=other.example")
    f.admin(4, "no secure connection", "--connection-string-file", write_file(f.device.path("other"), text),
            "--connect-to", f"localhost:{port}", "list")
    Bench(days=(-3, -1)).admin("list", status=4, says="no secure connection")


def fail_network_service(f):
    """4: dps-service: an address that is taken, not this machine's, or only for root"""
    def listen(address, *says, **options):
        run(Programs.path("dps-service"), "--listen", address, "--cert", "c", "--key", "k", "--scope", SCOPE, "--hub",
            HUBS[0], "--store", "memory:", "--policy-file", "p", "--secret-file", "s", status=4,
            says=(f"cannot listen on {address}: ", "What to do: ", *says), **options)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen("127.0.0.1:%d" % taken.getsockname()[1], "already in use", "choose another port")
    listen("192.0.2.1:8443", "ip address")
    listen("no-such-host.invalid:8443", "name")
    if os.getuid() == 0:
        listen("127.0.0.1:80", "Permission denied", "CAP_NET_BIND_SERVICE", preexec_fn=lambda: os.setuid(65534))


# ---- Files: 5 --------------------------------------------------------------------------------------------------------

def fail_state_file(f):
    """5: the state file is missing, truncated anywhere, changed, or somebody else's"""
    whole = read_file(f.state)
    torn = f.device.path("torn")
    changed = bytes([*whole[:-40], whole[-40] ^ 1, *whole[-39:]])
    for content in (b"", whole[:3], whole[:len(whole) // 2], whole[:-1], whole + b"x", changed, b"x" * 5000):
        write_file(torn, content)
        with unchanged(f.bench, torn):
            f.device.run("token", "--state", torn, status=5, says="is not a state file")
            f.bench.send(f.device, "--state", torn, status=5, says="is not a state file")
    f.run(5, "dps-device register", "token", "--state", f.device.path("nothing"))
    owner = f.device.secret("owner", "x")
    for path, reason in ((torn, "does not say of which TPM it is"), (f.device.path("nothing"), "does not exist")):
        f.run(5, reason, "own", "--new-owner-auth-file", owner, "--state", path)
    # Registering writes it again.
    f.bench.register(f.device, f.id, "--state", torn, says="any TPM will do")
    f.bench.register(f.device, f.id)


def no_file_grows():
    """Every write to a file fails from now on, with an error for the program that follows, not with a signal."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def fail_unwritable_state(f):
    """5: a state file that cannot be written: found before registering, or reported with what has happened already"""
    os.mkdir(f.device.path("occupied"))
    os.mkfifo(f.device.path("pipe"))
    for path, reason, advice in ((f.device.path("nowhere/state"), "No such file", "directory exists"),
                                 (f.device.path("occupied"), "Is a directory", "name a file in that directory"),
                                 (f.device.path("occupied/"), "Is a directory", "name a file in that directory"),
                                 (".", "Is a directory", "name a file in that directory"),
                                 (f.device.path("pipe"), "not a regular file", "name another file"),
                                 (f.state + "/state", "Not a directory", "is a file"),
                                 (f.device.path("x" * 250), "name too long", "shorter name")):
        f.register(5, ("could not be written later", reason, "What to do", advice), "--state", path)
    for path in (f.device.path("occupied"), "."):
        for result in (f.run(5, (), "token", "--state", path), f.bench.send(f.device, "--state", path, status=5)):
            check("Is a directory. What to do: name a file" in result.err, result.err)
    f.bench.register(f.device, f.id, status=5, preexec_fn=no_file_grows, restore_signals=False,
                     says=("has registered this device", "could not be written: File too large", "register again"))
    same([n for n in os.listdir(f.device.dir) if n.endswith(".new")], [], "half-written files")
    f.bench.register(f.device, f.id)
    f.bench.send(f.device)


def fail_other_files(f):
    """5: secrets that others may read, files that are missing or of another kind, an output that is full"""
    loose = f.device.secret("loose", "known to all", 0o640)
    f.register(5, ("loose", "chmod 600"), "--owner-auth-file", loose)
    f.run(5, "chmod 600", "own", "--new-owner-auth-file", loose)
    f.register(5, "nothing", "--owner-auth-file", f.device.path("nothing"))
    f.register(5, "nothing", "--ca", f.device.path("nothing"))
    f.register(5, "loose", "--ca", loose)
    f.run(5, "nothing", "unseal", "--in", f.device.path("nothing"))
    f.run(5, "is not a sealed blob", "unseal", "--in", loose)
    f.run(5, "could not be written", "seal", "--in", loose, "--out", f.device.path("nowhere/sealed"))
    with open("/dev/full", "wb") as full:
        f.run(5, "standard output", "ek", stdout=full)


def fail_files_admin(f):
    """5: dps-admin: connection string, CA and key files"""
    nothing, loose = f.device.path("nothing"), f.device.secret("loose", read_file(f.bench.connection), 0o644)
    f.admin(5, "chmod 600", "--connection-string-file", loose, "list")
    f.admin(5, "nothing", "--connection-string-file", nothing, "list")
    f.admin(5, "nothing", "--ca", nothing, "list")
    f.admin(5, "loose", "--ca", loose, "list")
    f.admin(5, "nothing", "enroll", "x", "--ek", nothing)
    run(Programs.path("dps-admin"), "connection-string", "--policy-file", nothing, "--host", "localhost", status=5,
        says=("there is no policy file", "What to do: start dps-service"))
    f.admin(5, "is not an endorsement key", "enroll", "x", "--ek", loose)
    f.admin(5, "JSON", "enroll", "x", "--json", loose)
    with open("/dev/full", "wb") as full:
        f.admin(5, "standard output", "list", stdout=full)


# ---- What a registration costs, and what it shows --------------------------------------------------------------------

def trace_of(result):
    return [json.loads(line) for line in result.err.splitlines() if line.startswith("{")]


def test_commands(bench):
    """a registration with persistent keys: only the necessary commands, as many as it reports, no byte of NV written"""
    device = Device("swtpm-tcp")
    bench.enroll(device, "device-counted")
    device.run("own", "--persist")
    bench.register(device, "device-counted")  # the first use of a key after a start may be noted in NV
    nv = device.path("tpm/tpm2-00.permall")
    before = read_file(nv)
    done = bench.register(device, "device-counted", "--trace=json")
    names = [m["name"] for m in trace_of(done) if m["kind"] == "tpm-command"]
    check(done.field("TPM commands").startswith(f"{len(names)} in "), f"{done.out}: {names}")
    same(set(names) - set(REGISTRATION), set(), "other commands")
    same(read_file(nv), before, "NV of the TPM")
    told = bench.register(device, "device-counted", "--verbose").err
    same(re.findall(r"^step +\d+ +(TPM2_\w+)", told, re.M), names, "commands as --verbose tells them")
    same(read_file(nv), before, "NV of the TPM")


def test_hardened_srk(bench):
    """the hardened SRK: demanded, the standard one is refused; with it registers, and the state file knows it"""
    device = Device("swtpm-tcp")
    told = device.run("info").field("TPM2_Rewrap")
    check(told.startswith("listed: "), told)
    bench.enroll(device, "device-hardened", "--srk", "hardened")
    demand = bench.table("enrollments")["device-hardened"]["attestation"]["tpm"]["srk"]
    same(demand, "hardened", "the demand as it is kept")
    refused = bench.register(device, "device-hardened", status=1)
    check("400016" in refused.err and "--srk hardened" in refused.err, refused.err)
    done = bench.register(device, "device-hardened", "--srk", "hardened", "--trace=json")
    names = [m["name"] for m in trace_of(done) if m["kind"] == "tpm-command"]
    for name, count in (("TPM2_PolicyCommandCode", 4), ("TPM2_PolicyOR", 4), ("TPM2_Import", 2), ("TPM2_Load", 2)):
        same(names.count(name), count, name)
    sent = bench.send(device)
    check("answered 204" in sent.field("Message"), sent.out)
    check(device.run("info").field("Loaded").startswith("0 objects, 0 sessions"), "something is left in the TPM")


def hub_key(bench, name, hub):
    """The device key as the service derives it from its secret file: HMAC of a label and length-prefixed fields."""
    record = bench.table("registrations")[bench.table("devices")[f"{hub}/{name}"]["registrationId"]]
    secrets = dict(line.split() for line in bench.service.read("secret").splitlines() if line[:1].isdigit())
    fields = [b"tpm-dps hub device key", record["registrationId"].encode(), hub.encode(), name.encode()]
    drawn = bytes.fromhex(record["random"])
    text = b"".join(len(f).to_bytes(2, "big") + f for f in fields) + record["generation"].to_bytes(8, "big")
    text += len(drawn).to_bytes(2, "big") + drawn
    return hmac.new(bytes.fromhex(secrets[str(record["secretEpoch"])]), text, hashlib.sha256).digest()


def test_hub_key(bench):
    """the hub key: tokens are signed with it, and it is in no file, store, trace or log"""
    story = Story("swtpm-unix", bench)
    story.id = "device-key"
    bench.enroll(story.device, story.id)
    traces = [bench.register(story.device, story.id, option).err for option in ("--trace", "--trace=json")]
    story.hub = bench.register(story.device, story.id, "--verbose").field("Hub")
    part_token(story)
    traces += [bench.send(story.device, option).err for option in ("--trace", "--trace=json")]
    key = hub_key(bench, story.id, story.hub)
    signed = f"{story.token_fields['sr']}\n{story.token_fields['se']}".encode()
    same(base64.b64decode(urllib.parse.unquote(story.token_fields["sig"])),
         hmac.new(key, signed, hashlib.sha256).digest(), "signature of the token")
    places = {"traces": "".join(traces).encode(), "state": read_file(story.device.path("state")),
              "service log": read_file(bench.path("log"))}
    places.update((name, read_file(bench.path(name))) for name in os.listdir(bench.service.dir) if "dps.db" in name)
    for place, content in places.items():
        for form in (key, key.hex().encode(), key.hex().upper().encode(), base64.b64encode(key)):
            check(form not in content, f"the hub key is in: {place}")


def test_service_ends(bench):
    """after all this the service ends cleanly"""
    same(bench.service.stop(), 0, "exit code of the service")


# ---- Running them ----------------------------------------------------------------------------------------------------

def functions(prefix):
    return [f for name, f in globals().items() if name.startswith(prefix)]


def shared():
    return Bench()


def tests():
    story, failing = functools.cache(Story), functools.cache(Failing)
    for kind in KINDS:
        for part in functions("part_"):
            yield f"{kind}: {part.__doc__}", lambda bench, part=part, kind=kind: part(story(kind, bench))
    for fail in functions("fail_"):
        yield f"exit code {fail.__doc__}", lambda bench, fail=fail: fail(failing(bench))
