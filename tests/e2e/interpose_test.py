# SPDX-License-Identifier: MIT
"""Somebody stands between dps-device and its TPM (interpose:FILE/TPM in tests/hostile/): what he hears, what becomes of
what he changes, and which keys he carries away. Device and service are those that users have. Needs swtpm."""
import base64
import contextlib
import functools
import hashlib
import hmac
import itertools
import json
import os
import re
import struct
import urllib.parse

from harness import KINDS, Bench, Device, read_file, run
from served import Served
from server_harness import SCOPE
from tap import Programs, check, same

OWNER, ENDORSEMENT = "the owner's password", "that of endorsement"


# ---- The bus ---------------------------------------------------------------------------------------------------------

class Record:
    """What the interposer has written: his log, and the packets of his capture with who sent them."""

    def __init__(self, path, log):
        self.path, self.log = path, log
        self.bytes = read_file(path)
        self.packets = list(self.read())
        # dps-device explain reads it whole, and knows each message.
        explain = (Programs.path("dps-device"), "explain", path)
        lines = run(*explain, "--format", "json", status=None).out.splitlines()
        self.messages = [json.loads(line) for line in lines]
        # Words may stand on two lines.
        self.heard = " ".join(run(*explain, status=None).out.rpartition("What a listener")[2].split())
        same(len(self.messages), len(self.packets), "messages that explain shows")
        same([m["len"] for m in self.messages], [len(data) for _, data in self.packets], "their lengths")
        same([m["what"] for m in self.messages], [comment for comment, _ in self.packets], "who sent them")

    def read(self):
        """Each packet: the comment, and what is behind 40 bytes of IP and TCP headers."""
        at = 0
        while at < len(self.bytes):
            kind, size = struct.unpack(">II", self.bytes[at:at + 8])
            if kind == 6:
                length = struct.unpack(">I", self.bytes[at + 20:at + 24])[0]
                packet = self.bytes[at + 28:at + 28 + length]
                option = at + 28 + (length + 3) // 4 * 4
                comment = struct.unpack(">H", self.bytes[option + 2:option + 4])[0]
                yield self.bytes[option + 4:option + 4 + comment].decode().split("\n")[0], packet[40:]
            at += size

    def sent(self, name, kind):
        """Messages of explain, of one command."""
        return [m for m in self.messages if m["name"] == "TPM2_" + name and m["kind"] == "tpm-" + kind]

    def messages_of(self, name, who):
        """Messages of explain with this comment."""
        return [m for m, (comment, _) in zip(self.messages, self.packets)
                if comment == who and m["name"] == "TPM2_" + name]

    def answers(self, who):
        """What the TPM answers to the commands with this comment."""
        following = zip(self.packets, self.packets[1:])
        return [answer[6:10].hex() for (comment, _), (_, answer) in following if comment == who]

    def field(self, message, name):
        """The bytes of a parameter without its size, and what explain says of it."""
        at = next(k for k, f in enumerate(message["fields"]) if f["name"] == name)
        whole, content = message["fields"][at], message["fields"][at + 2]
        return message["hex"][2 * content["offset"]:2 * (content["offset"] + content["len"])], whole.get("meaning", "")

    def said(self, what):
        """The ends of the lines of the log that begin so."""
        return re.findall(f"^interpose: {what}: (.*)$", self.log, re.M)


class Bus(Device):
    """A device whose TPM is reached through a process of its own, in which the interposer is."""

    numbers = itertools.count()

    def __init__(self, kind):
        super().__init__(kind)
        self.id = f"d-{next(self.numbers)}"

    def own(self, *passwords):
        """Keys that are kept, and passwords ("": none), before anybody listens."""
        files = {name: self.secret(name, text) for name, text in zip(("owner", "endorsement"), passwords) if text}
        self.run("own", "--persist", *[x for name in files for x in (f"--new-{name}-auth-file", files[name])])
        self.auth = [x for name in files for x in (f"--{name}-auth-file", files[name])]

    @contextlib.contextmanager
    def listen(self, *options):
        """Runs of the device in here pass the interposer. The record is complete when this is left."""
        path, name, loaded = self.path("bus.pcapng"), self.tpm.name, self.tpm.loaded
        record, lends = [], any(option.startswith("own-session") for option in options)
        with Served(hostile="interpose:" + ",".join((path, *options, "log/")), tpm=name) as served:
            self.tpm.name, self.tpm.loaded = f"swtpm:127.0.0.1:{served.port}", list
            try:
                yield record
            finally:
                self.tpm.name, self.tpm.loaded = name, loaded
            same(served.stop(), 0, "exit code of dps-conformance")
            record.append(Record(path, served.log()))
        # Where he has lent the device a session, it flushes that one instead of its own.
        left = self.tpm.loaded()
        same(len(left), 1 if lends and name.startswith("swtpm") else 0, f"loaded in the TPM: {left}")


@functools.cache
def bench():
    return Bench()


def token_signed_by(key, token):
    """Is the hub token's signature made with this key?"""
    pairs = dict(pair.split("=", 1) for pair in token.strip().split(" ", 1)[1].split("&"))
    mac = hmac.new(bytes.fromhex(key), f"{pairs['sr']}\n{pairs['se']}".encode(), hashlib.sha256).digest()
    return base64.b64encode(mac).decode() == urllib.parse.unquote(pairs["sig"])


# ---- What he hears ---------------------------------------------------------------------------------------------------

def hears(kind):
    """a listener reads passwords and inner keys with --no-sessions, and none without"""
    device = Bus(kind)
    device.own(OWNER, ENDORSEMENT)
    bench().enroll(device, device.id)
    for options, readable in (((), False), (("--no-sessions",), True)):
        with device.listen() as record:  # the hardened SRK is derived, so the owner's password is needed
            bench().register(device, device.id, "--srk", "hardened", *options)
        record, = record
        for password in (OWNER, ENDORSEMENT):
            same(password.encode() in record.bytes, readable, f"{password} in the record, {options}")
            check(any(password.encode().hex() in m["hex"] and not m["masked"] for m in record.messages) == readable,
                  f"{password} in what explain shows, {options}")
        inner = "certInfo (TPM2_ActivateCredential), encryptionKey (TPM2_Import)"
        same(inner in record.heard.partition("Encrypted by sessions:")[0], readable, f"in clear: {record.heard}")
        check(readable or (inner in record.heard and "In clear: nothing" in record.heard), f"it says {record.heard}")
        check("since the session has no salt: nothing" in record.heard, f"it says {record.heard}")
        activated, imported = record.sent("ActivateCredential", "response"), record.sent("Import", "command")
        same((len(activated), len(imported)), (2, 2), "of nonce and hub key")
        for answer, command in zip(activated, imported):
            inner, given = record.field(answer, "certInfo"), record.field(command, "encryptionKey")
            same(inner[0] == given[0], readable, "the inner key as the TPM gives it and as it is given back")
            for message, name in ((answer, "certInfo"), (command, "encryptionKey")):
                says = f"Encrypted: {'nothing' if readable else name}."
                check(message["sessions"].endswith(says), f"explain says {message['sessions']!r}")
            for _, meaning in (inner, given):
                same("Encrypted by a session" in meaning, not readable, f"what explain says: {meaning!r}")
        same(record.log, "", "what he has done")


def hears_new_password(kind):
    """a new password is read with --no-sessions, and not without"""
    for options, readable in (((), False), (("--no-sessions",), True)):
        device = Bus(kind)
        with device.listen() as record:
            device.run("own", "--new-owner-auth-file", device.secret("owner", OWNER), *options)
        same(OWNER.encode() in record[0].bytes, readable, f"the password in the record, {options}")


# ---- What he changes -------------------------------------------------------------------------------------------------

NOT_BELIEVED = "was changed between the TPM and this program"
SESSION_REFUSED = "TPM_RC_BAD_AUTH (0xAA2, session 2)"
# Options of the device; where the bits are; exit code and words; what the TPM answers to a changed command.
# A refused Import may come from a locked SRK, so the device begins again, once, with another one.
FLIPS = [
    ((), ("flip-response=ActivateCredential@20",), 3, NOT_BELIEVED, []),
    (("--no-sessions",), ("flip-response=ActivateCredential@20",), 3, "TPM2_Import answered", []),
    ((), ("flip-response=HMAC@20",), 3, NOT_BELIEVED, []),
    (("--no-sessions",), ("flip-response=HMAC@20",), 1, "error 401002", []),
    ((), ("flip-command=HMAC@120",), 3, SESSION_REFUSED, ["00000aa2"]),
    (("--no-sessions",), ("flip-command=HMAC@40",), 1, "error 401002", ["00000000"]),
    ((), ("flip-command=Import@150",), 0, "", ["00000aa2"]),
    ((), ("flip-command=Import@150", "flip-command=Import:2@150"), 3, SESSION_REFUSED, ["00000aa2", "00000aa2"]),
]


def changes(kind):
    """a flipped bit is refused by the TPM or not believed by the device; with --no-sessions the service notices"""
    device = Bus(kind)
    device.own()
    bench().enroll(device, device.id)
    for options, rules, code, says, answers in FLIPS:
        with device.listen(*rules) as record:
            bench().register(device, device.id, *options, status=code, says=says)
        record, = record
        same(len(record.said("a wrong bit")), len(rules), f"bits of {rules}")
        same(record.answers("changed, to the TPM"), answers, f"answers of the TPM to {rules}, {options}")


# Passwords, options and rules; exit code and words.
BUS = "see who is on the TPM's bus"
CHANGED = "the command was changed on its way to the TPM, or the session is not ours"
BOTH = (OWNER, ENDORSEMENT)
ERRORS = [
    ((), (), "own-session", 3, ("TPM_RC_POLICY_FAIL", "it was changed on the TPM's bus")),
    ((), ("--no-sessions",), "own-session", 3, ("TPM_RC_POLICY_FAIL", "it was changed on the TPM's bus")),
    (BOTH, (), "own-session", 3, ("TPM_RC_NONCE", "the session is not the one that this program began")),
    (BOTH, (), "flip-command=PolicySecret", 3, ("that was given is wrong, or a message was changed", "if it is right")),
    (BOTH, (), "flip-response=StartAuthSession@20", 3, ("TPM2_StartAuthSession", CHANGED)),
    ((), (), "flip-response=StartAuthSession@20", 3, ("TPM2_ActivateCredential", CHANGED)),
    ((), (), "flip-command=ActivateCredential", 3, CHANGED),
    ((), (), "flip-command=Import@100", 3, CHANGED),
    ((), (), "flip-response=ActivateCredential@12", 3, "the TPM's answer to TPM2_ActivateCredential"),  # a size
    (BOTH, (), "flip-command=HMAC@60", 3, (CHANGED, "or the key that the service sent has a password")),
]


def explains(kind):
    """a refusal after a change on the bus: the words are about the bus, and no password is called wrong for sure"""
    for passwords, options, rule, code, says in ERRORS:
        device = Bus(kind)
        if passwords:
            device.own(*passwords)
        bench().enroll(device, device.id)
        with device.listen(rule):
            words = bench().register(device, device.id, *options, status=code, says=says).err
        check(BUS in words and "evict" not in words and "password is wrong" not in words, words)


def explains_own(kind):
    """the same in `own`, where no password was in force before, and then the new one is"""
    for rule, *says in (("HierarchyChangeAuth", "no owner authorization is set, and none was given: a message",
                         "may be in force by now, if somebody on the TPM's bus made up that refusal"),
                        ("CreatePrimary:2", "that was given is wrong, or a message", "have been changed before that")):
        device = Bus(kind)
        owner = device.secret("owner", OWNER)
        with device.listen("flip-command=" + rule):
            device.run("own", "--new-owner-auth-file", owner, status=3, says=(*says, BUS))
    device = Bus(kind)
    owner = device.secret("owner", OWNER)
    with device.listen("flip-response=HierarchyChangeAuth@20"):
        device.run("own", "--new-owner-auth-file", owner, status=3, says=(NOT_BELIEVED, "may be in force by now"))
    device.run("own", "--owner-auth-file", owner)  # it is


def explains_other_ek(kind):
    """an EK that is not the state file's and that the service refuses: nobody is told to enroll it"""
    device = Bus(kind)
    bench().enroll(device, device.id)
    words = f"endorsement key is not the one of {device.path('state')}"
    for rule in ("own-ek", "flip-response=CreatePrimary@200"):  # a bit of the modulus
        with device.listen(rule):
            told = bench().register(device, device.id, status=1, says=("401003", "or somebody on the TPM's bus")).err
        check(words not in told, f"no state is known: {told}")
    bench().register(device, device.id)
    for rule in ("own-ek", "flip-response=CreatePrimary@200"):
        with device.listen(rule):
            told = bench().register(device, device.id, status=1, says=("401003", words, BUS)).err
        check("dps-device ek" not in told and "No password" not in told, told)
    arguments = ("--service", bench().at(), "--ca", bench().path("ca.pem"), "--scope", SCOPE, "--state",
                 device.path("state"))
    with device.listen("own-ek"):  # without --id: the ID follows from the EK
        told = device.run("register", *arguments, status=1, says=("404201", words, "enroll nothing now")).err
    check("dps-device ek" not in told, told)


def repeats(kind):
    """a command that is sent once more is refused; with --no-sessions the TPM signs again"""
    device = Bus(kind)
    device.own()
    bench().enroll(device, device.id)
    for options, rule, code in (((), "HMAC", "0xaa2"), ((), "Import", "0xaa2"),
                                (("--no-sessions",), "HMAC", "0x000")):
        with device.listen("replay=" + rule) as record:
            bench().register(device, device.id, *options)
        same([line.split()[0] for line in record[0].said("the same command once more")], [code], f"{rule}, {options}")


# ---- What he wants ---------------------------------------------------------------------------------------------------

# SRK, passwords, options of the device; inner keys and keys that he gets; what the TPM says to his TPM2_Rewrap.
THEFTS = [
    ("standard", (), (), 2, 2, "0x000"),
    ("standard", (), ("--no-sessions",), 2, 2, "0x000"),
    ("standard", (OWNER, ENDORSEMENT), ("--no-sessions",), 2, 2, "0x000"),
    ("standard", (OWNER, ""), (), 2, 2, "0x000"),  # the EK asks for the endorsement password, so that counts
    ("standard", ("", ENDORSEMENT), (), 0, 0, "0x000"),
    ("standard", (OWNER, ENDORSEMENT), (), 0, 0, "0x000"),
    ("hardened", (), (), 2, 0, "0x12f"),
    ("hardened", (OWNER, ENDORSEMENT), ("--no-sessions",), 2, 0, "0x12f"),
    ("hardened", (OWNER, ENDORSEMENT), (), 0, 0, "0x12f"),
]


def steals(kind):
    """TPM2_Rewrap gives the keys under the standard SRK, unless passwords have never crossed in clear; under the
    hardened one it gives none"""
    for srk, passwords, options, inner_keys, keys, rewrap in THEFTS:
        device, what = Bus(kind), (srk, passwords, options)
        device.own(*passwords)
        bench().enroll(device, device.id)
        with device.listen("rewrap") as record:
            bench().register(device, device.id, "--srk", srk, *options)
        record, = record
        same(len(record.said("the inner key")), inner_keys, f"inner keys: {what}")
        same(len(record.said("the key")), keys, f"keys: {what}")
        same({line.split()[0] for line in record.said("TPM2_Rewrap")}, {rewrap}, f"TPM2_Rewrap: {what}")
        # Each answer is that of its own command, whoever has asked between.
        same([m["name"] for m in record.messages if m["error"] != 0], [], f"malformed: {what}")
        same(len(record.sent("Import", "response")), len(record.sent("Import", "command")), f"imports: {what}")
        same(len(record.sent("ActivateCredential", "response")), len(record.sent("ActivateCredential", "command")),
             f"activations: {what}")
        closed = record.said("still under the inner key, which he does not have")
        same(len(closed), 2 if rewrap == "0x000" and keys == 0 else 0, f"keys that he cannot open: {what}")
        asked = record.answers("from the interposer")
        check(len(asked) >= 3, f"he has hardly asked: {asked}")
        if keys > 0:  # the last one is the hub's
            token = device.run("token", "--state", device.path("state")).out
            check(token_signed_by(record.said("the key")[-1], token), f"not the hub's device key: {what}")


# Passwords, what he does, and the words with which it ends: what he lent is not authorized; PolicySecret has the other
# session's nonceTPM; the answer of StartAuthSession has the HMAC of the session that it is asked in.
LOANS = [
    ((), "own-session", "TPM2_ActivateCredential answered TPM_RC_POLICY_FAIL (0xA9D, session 2)"),
    ((), "own-session-nonce", "TPM2_ActivateCredential answered TPM_RC_POLICY_FAIL (0xA9D, session 2)"),
    ((OWNER, ENDORSEMENT), "own-session", "TPM2_PolicySecret answered TPM_RC_NONCE (0x1CF, parameter 1)"),
    ((OWNER, ENDORSEMENT), "own-session-nonce", f"the answer to TPM2_StartAuthSession {NOT_BELIEVED}"),
]


def lends_session(kind):
    """a policy session of his own in the place of the device's, and its nonce: the TPM or the device refuses it, and he
    gets no key"""
    for passwords, option, says in LOANS:
        device, what = Bus(kind), (passwords, option)
        device.own(*passwords)
        bench().enroll(device, device.id)
        with device.listen(option, "rewrap") as record:
            bench().register(device, device.id, status=3, says=says)
        record, = record
        same(record.said("the key"), [], f"keys: {what}")
        same(len(record.said("the inner key")), 0 if passwords else 1, f"inner keys: {what}")
        # What the device was given is in order: his session, with the nonce of the one or of the other.
        his, = record.messages_of("StartAuthSession", "to the interposer")
        lent, = record.messages_of("StartAuthSession", "changed, to the device")
        real = record.messages_of("StartAuthSession", "from the TPM")[-1]
        same(lent["error"], 0, f"what the device is given: {what}")
        nonces = [record.field(message, "nonceTPM")[0] for message in (his, real, lent)]
        same(nonces[2], nonces[0 if option.endswith("nonce") else 1], f"the nonce: {what}")
        same(record.said("the device gets his own session"), [lent["hex"][20:28]], f"the log: {what}")
        same(lent["hex"][20:28], his["hex"][20:28], f"the session: {what}")
        same(record.said("and its nonce"), nonces[:1] if option.endswith("nonce") else [], f"the log: {what}")


# ---- A key of his own in the EK's place ------------------------------------------------------------------------------

def replaces_ek(kind):
    """a key of his own in the EK's place: the service refuses it before any salt; `own` tells him a new password, but
    not with --state"""
    device = Bus(kind)
    bench().enroll(device, device.id)
    bench().register(device, device.id)
    with device.listen("own-ek") as record:
        bench().register(device, device.id, status=1, says="error 401003")
    same(record[0].sent("StartAuthSession", "command"), [], "sessions")
    check(record[0].said("the device gets his own key for the EK, of the Name"), "the log does not say it")
    owner = device.secret("owner", OWNER)
    with device.listen("own-ek") as record:
        device.run("own", "--state", device.path("state"), "--new-owner-auth-file", owner, status=5,
                   says="No password was sent")
    same(record[0].sent("StartAuthSession", "command"), [], "sessions")
    for command in (("own", "--persist"), ("clear", "--yes")):
        with device.listen("own-ek") as record:
            device.run(*command, "--state", device.path("state"), status=5, says="is not the one of")
        same(record[0].sent("Clear", "command"), [], "what is done to it")
    with device.listen("own-ek") as record:
        device.run("own", "--new-owner-auth-file", owner)
    same(record[0].said("a new password"), [OWNER.encode().hex()], "what he reads")
    check(OWNER.encode() not in record[0].bytes, "it crossed in clear")


# ---- His name --------------------------------------------------------------------------------------------------------

def names():
    """his name: what is wrong in it is said, and a device of the tests takes it itself"""
    program = os.path.join(Programs.build, "tests", "dps-device-hostile")
    tpm, path = KINDS["libtpms"]().name, os.path.join(Programs.directory(), "a/b")
    os.mkdir(os.path.dirname(path))
    place, comma, four = "PLACE is COMMAND", "nothing after a comma", "replay=HMAC," * 4
    for wrong, says in (("flop", "no such option"), ("flip-command=", place), ("flip-command=NoSuch", place),
                        ("flip-command=HMAC:0", place), ("replay=HMAC@x", place), ("replay=0", place),
                        ("replay=HMAC@", place), ("replay=HMAC:", place), ("replay=1:2", place), ("", comma),
                        (",log", comma), ("log,", comma), (four + "replay=1", "one place too many")):
        run(program, "--tpm", f"interpose:{path},{wrong}/{tpm}", "ek", status=2, says=says)
    for wrong in ("", ",log"):
        run(program, "--tpm", f"interpose:{wrong}/{tpm}", "ek", status=2, says="FILE is missing")
    for wrong in (path, f"{path}/tpm:1", f"{path},log"):
        run(program, "--tpm", f"interpose:{wrong}", "ek", status=2, says="no TPM is behind him")
    os.mkfifo(path)
    run(program, "--tpm", f"interpose:{path}/{tpm}", "ek", status=2, says="not a regular file")
    os.unlink(path)
    check(os.path.exists("/dev/full"), "no /dev/full")
    run(program, "--tpm", f"interpose:/dev/full/{tpm}", "ek", status=2, says="not a regular file")
    run(program, "--tpm", f"interpose:{path}/x/{tpm}", "ek", status=2, says="cannot be written")
    run(program, "--tpm", f"interpose:{path},flip-response=1@2/{tpm}", "ek", status=3)
    run(program, "--tpm", f"interpose:{path},log,flip-response=ReadPublic@2/{tpm}", "ek", status=3, says="a wrong bit")
    same(os.stat(path).st_mode & 0o777, 0o600, "mode of the record")


def blames():
    """a changed answer in the TPM suite: the words name the bus, too"""
    path = os.path.join(Programs.directory(), "blames")
    tpm = f"interpose:{path},flip-response=ReadPublic@5/{KINDS['libtpms']().name}"
    told = run(Programs.path("dps-conformance"), "--tpm", tpm, "TPM-S01", status=1).out
    check("not well-formed, or that was changed on the TPM's bus" in told, told)


def full():
    """what he cannot record he does not pass on, and says so"""
    program = os.path.join(Programs.build, "tests", "dps-device-hostile")
    path = os.path.join(Programs.directory(), "full")
    for size in (10, 1000):  # the head of the file; and some packets
        limited = ("sh", "-c", "trap '' XFSZ; exec prlimit --fsize=$0 \"$@\"", str(size))
        told = run(*limited, program, "--tpm", f"interpose:{path}/{KINDS['swtpm-unix']().name}", "ek", status=3,
                   says=f"interpose: {path} is not complete, so nothing more is passed on").err
        same(told.count("not complete"), 1, "how often it is said")


def tests():
    for test in (hears, hears_new_password, changes, explains, explains_own, explains_other_ek, repeats, steals,
                 lends_session, replaces_ek):
        for kind in ("libtpms", "swtpm-unix"):
            yield f"{' '.join(test.__doc__.split())} ({kind})", functools.partial(test, kind)
    yield names.__doc__, names
    yield full.__doc__, full
    yield blames.__doc__, blames
