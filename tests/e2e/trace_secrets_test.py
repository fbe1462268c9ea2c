# SPDX-License-Identifier: MIT
"""dps-device --trace-secrets: each value is computed once more, from what crossed the bus and the values before it,
with code that is not ours. Without the option none of them is in a trace."""
import hashlib
import hmac
import json
import os
import re
import subprocess

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from harness import Bench, Device, read_file, run
from tap import Programs, check, same

OWNER, ENDORSEMENT = "the owner's password", "that of endorsement"
WARNING = "WARNING: --trace-secrets"
NEW_PASSWORD = "another password"
START, CHANGE_AUTH = "TPM2_StartAuthSession", "TPM2_HierarchyChangeAuth"


def kdfa(key, label, context, size):
    """SP 800-108 in counter mode [P1 r1.59 11.4.10.2], of one block."""
    text = b"\0\0\0\1" + label + b"\0" + context + (8 * size).to_bytes(4, "big")
    return hmac.new(key, text, hashlib.sha256).digest()[:size]


def cfb_decrypt(key, iv, data):
    decryptor = Cipher(algorithms.AES(key), modes.CFB(iv)).decryptor()
    return decryptor.update(data) + decryptor.finalize()


class Owned:
    """A TPM with passwords and no persistent keys, and a service that knows it."""

    def __init__(self):
        self.bench, self.device = Bench(), Device("swtpm-unix")
        self.bench.enroll(self.device, "d")
        files = [self.device.secret(name, text) for name, text in (("owner", OWNER), ("endorsement", ENDORSEMENT))]
        self.device.run("own", "--new-owner-auth-file", files[0], "--new-endorsement-auth-file", files[1])
        self.device.auth = ["--owner-auth-file", files[0], "--endorsement-auth-file", files[1]]

    def register(self, *options, **expected):
        """On standard error: the trace, lines that begin with a brace."""
        return self.bench.register(self.device, "d", "--seed", "the same", *options, **expected).err


def shared():
    return Owned()


def lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


class Message:
    """A message of the trace, with the secrets that follow it, and what its bytes say."""

    def __init__(self, line):
        self.line, self.name, self.command = line, line["name"], line["kind"] == "tpm-command"
        self.bytes = bytes.fromhex(line["hex"])
        self.secrets = []  # (session, name → bytes), in order

    def take(self, values):
        for value in values:
            if not self.secrets or value["session"] != self.secrets[-1][0]:
                self.secrets.append((value["session"], {}))
            self.secrets[-1][1][value["name"]] = bytes.fromhex(value["hex"])

    def fields(self, name):
        return [self.bytes[f["offset"]:f["offset"] + f["len"]] for f in self.line["fields"] if f["name"] == name]

    def encrypted(self):
        """The parameter that a session hides, without its size."""
        found = [f for f in self.line["fields"] if f.get("encrypted")]
        return self.bytes[found[0]["offset"] + 2:found[0]["offset"] + found[0]["len"]] if found else None


def messages_of(text):
    messages = []
    for line in lines(text):
        if line["kind"] == "secrets":
            messages[-1].take(line["values"])
        elif line["kind"].startswith("tpm-"):
            messages.append(Message(line))
    return messages


def told_to_people(text):
    """The secrets of the readable form, pairs of name and bytes: a name in column 10, and below it lines of hex."""
    told = []
    for line in text.splitlines():
        name = re.match(r"(?:  Secret: | {10})(\w+)", line)
        digits = re.fullmatch(r" {26}([0-9a-f]+)", line)
        if name:
            told.append((name.group(1), ""))
        elif digits and told:
            told[-1] = (told[-1][0], told[-1][1] + digits.group(1))
    return [(name, bytes.fromhex(digits)) for name, digits in told]


class Checker:
    """Goes through the messages and keeps what a session consists of: its key and the nonces."""

    def __init__(self):
        self.keys, self.tpm, self.caller, self.salts = {}, {}, {}, []
        self.counts = {"sessionKey": 0, "hmac": 0, "clear": 0}

    def count(self, name):
        self.counts[name] += 1

    def begin(self, command, response):
        handle = int.from_bytes(response.bytes[10:14], "big")
        nonce_caller = command.fields("nonceCaller")[0][2:]
        hidden = [values["clear"] for _, values in response.secrets if "clear" in values]
        nonce_tpm = hidden[0] if hidden else response.fields("nonceTPM")[0][2:]
        mine = [values for _, values in response.secrets if "sessionKey" in values]
        self.keys[handle] = b""
        if mine:
            same(len(mine[0]["salt"]), 32, "the salt")
            wanted = kdfa(mine[0]["salt"], b"ATH", nonce_tpm + nonce_caller, 32)
            same(mine[0]["sessionKey"], wanted, "sessionKey")
            same((mine[0]["nonceTPM"], mine[0]["nonceCaller"]), (nonce_tpm, nonce_caller), "the nonces")
            self.keys[handle] = wanted
            self.salts.append(mine[0]["salt"])
            self.count("sessionKey")
        self.tpm[handle] = nonce_tpm

    def one(self, message, command, handle, nonce, attributes, sent, values):
        """The HMAC and the hidden parameter of one session, if it has a key."""
        command_side = message is command
        ours = nonce if command_side else self.caller[handle]
        theirs = self.tpm[handle] if command_side else nonce
        newer, older = (ours, theirs) if command_side else (theirs, ours)
        digest = "cpHash" if command_side else "rpHash"
        same(values[digest], hashlib.sha256(values[digest + "Input"]).digest(), digest)
        check(values[digest + "Input"].endswith(self.parameters(message)), f"{digest}: not the parameters as sent")
        check(values["hmacInput"].startswith(values[digest] + newer + older), "hmacInput")
        same(values["hmacInput"][-1], attributes, "the attributes at its end")
        check(values["hmacKey"].startswith(self.keys[handle]), "hmacKey does not begin with sessionKey")
        same(hmac.new(values["hmacKey"], values["hmacInput"], hashlib.sha256).digest(), sent, "the HMAC as it was sent")
        self.count("hmac")
        if "clear" in values:
            symmetric = kdfa(values["cfbSecret"], b"CFB", newer + older, 32)
            same(values["cfbKey"] + values["cfbIV"], symmetric, "cfbKey, cfbIV")
            hidden = message.encrypted()
            same(values["clear"], cfb_decrypt(symmetric[:16], symmetric[16:], hidden), "clear")
            same(values["keystream"], bytes(a ^ b for a, b in zip(values["clear"], hidden)), "keystream")
            self.count("clear")

    @staticmethod
    def parameters(message):
        """What stands behind the authorizations, or between parameterSize and them."""
        names = "authorizationSize" if message.command else "parameterSize"
        at = next(f["offset"] for f in message.line["fields"] if f["name"] == names)
        size = int.from_bytes(message.bytes[at:at + 4], "big")
        return message.bytes[at + 4 + size:] if message.command else message.bytes[at + 4:at + 4 + size]

    def sessions(self, message, handles):
        """(handle, nonce, attributes, hmac), in order."""
        nonces, attributes = message.fields("nonce"), message.fields("sessionAttributes")
        return list(zip(handles, (n[2:] for n in nonces), (a[0] for a in attributes),
                        (m[2:] for m in message.fields("hmac"))))

    def run(self, messages):
        for command, response in zip(messages[::2], messages[1::2]):
            handles = [int.from_bytes(h, "big") for h in command.fields("sessionHandle")]
            for message in (command, response):
                of_handle = dict((handle, values) for handle, values in message.secrets if "hmac" in values)
                for handle, nonce, attributes, sent in self.sessions(message, handles):
                    if handle in of_handle:
                        self.one(message, command, handle, nonce, attributes, sent, of_handle.pop(handle))
                        (self.caller if message is command else self.tpm)[handle] = nonce
                same(of_handle, {}, f"secrets of sessions that {message.name} does not have")
            if command.name == START:
                self.begin(command, response)
        return self


def test_each_value_follows(o):
    """a registration with passwords: each value follows from those before it and from the bus"""
    checker = Checker().run(messages_of(o.register("--trace=json", "--trace-secrets")))
    # One session of the endorsement password alone, one with a salt, the policy session in it.
    same(checker.counts["sessionKey"], 2, "salted sessions")
    check(checker.counts["hmac"] >= 30, f"few HMACs: {checker.counts}")
    # certInfo and encryptionKey twice, two signatures, nonceTPM of the policy session.
    same(checker.counts["clear"], 7, "hidden parameters")


def test_what_is_hidden(o):
    """the inner key in clear is what the TPM gives and what it is given back; a new password is readable"""
    messages = messages_of(o.register("--trace=json", "--trace-secrets"))
    clear = [(m.name, v["clear"]) for m in messages for _, v in m.secrets if "clear" in v]
    given = [v for name, v in clear if name == "TPM2_ActivateCredential"]
    same([v for name, v in clear if name == "TPM2_Import"], given, "inner keys")
    same((len(given), {len(v) for v in given}), (2, {16}), "inner keys")
    device = Device("libtpms")
    owner = device.secret("owner", NEW_PASSWORD)
    text = device.run("own", "--new-owner-auth-file", owner, "--trace=json", "--trace-secrets").err
    messages = messages_of(text)
    Checker().run(messages)
    changed = [v for m in messages for _, v in m.secrets if m.name == CHANGE_AUTH]
    same(changed[0]["clear"], NEW_PASSWORD.encode(), "newAuth")
    check(changed[1]["hmacKey"].endswith(NEW_PASSWORD.encode()), "the answer is signed with another password")


def test_only_when_asked(o):
    """without the option none of it is in the trace, and the policy sessions' HMACs are hidden"""
    secrets = messages_of(o.register("--trace=json", "--trace-secrets"))
    salts = Checker().run(secrets).salts  # the seed is the same, so these are as well
    told = "\n".join(o.register(form) for form in ("--trace=json", "--trace"))
    path = o.device.path("trace.pcapng")
    o.register("--trace=pcapng:" + path)
    told = told.encode() + read_file(path)
    for salt in salts:
        check(salt.hex().encode() not in told and salt not in told, "a salt is in the trace")
    for password in (OWNER, ENDORSEMENT):
        check(password.encode() not in told and password.encode().hex().encode() not in told, "a password is there")
    for word in ("sessionKey", "cfbKey", "secrets", WARNING):
        check(word.encode() not in told, f"{word} is in the trace")
    check(b'"masked":true' in told, "nothing is hidden")


def test_forms(o):
    """people and Wireshark get the same values; each message names its sessions and says what is encrypted"""
    values = {v.hex() for m in messages_of(o.register("--trace=json", "--trace-secrets"))
              for _, values in m.secrets for name, v in values.items() if name == "salt"}
    readable = o.register("--trace", "--trace-secrets")
    path = o.device.path("secrets.pcapng")
    said = o.register("--trace=pcapng:" + path, "--trace-secrets")
    check(WARNING in said and WARNING in readable, "no warning")
    same(os.stat(path).st_mode & 0o777, 0o600, "mode of the file")
    comments = subprocess.run(["tshark", "-n", "-r", path, "-T", "fields", "-e", "frame.comment"], capture_output=True,
                              text=True, check=True).stdout
    malformed = subprocess.run(["tshark", "-n", "-r", path, "-Y", "_ws.malformed"], capture_output=True, text=True,
                               check=True).stdout
    same(malformed, "", "malformed packets")
    for text in (readable, comments):
        for value in values:
            check(value in text, f"a salt is missing in {text[:300]}")
        for words in ("Encrypted: certInfo.", "Encrypted: encryptionKey.", "HMAC session 0x02000000",
                      "policy session 0x03000001", "sessionKey", "keystream", "clear"):
            check(words in text, f"it does not say {words!r}")


def test_session_key_by_hand(o):
    """from what the readable form says, people can compute each sessionKey"""
    told = told_to_people(o.register("--trace", "--trace-secrets"))
    found = [k for k, (name, _) in enumerate(told) if name == "sessionKey"]
    same(len(found), 2, "sessionKeys")
    for k in found:
        before = dict(told[k - 3:k])
        same(sorted(before), ["nonceCaller", "nonceTPM", "salt"], "what stands before it")
        same(told[k][1], kdfa(before["salt"], b"ATH", before["nonceTPM"] + before["nonceCaller"], 32), "sessionKey")


def test_loud(o):
    """it needs --trace, warns on standard error also when --quiet is given, and says so in --help"""
    o.register("--trace-secrets", status=2, says="only adds to --trace")
    o.device.run("ek", "--trace=json", "--trace-secrets", says=(WARNING, "never in production"))
    check("never in production" in run(Programs.path("dps-device"), "--help").out, "--help")
