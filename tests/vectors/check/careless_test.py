# SPDX-License-Identifier: MIT
"""For each check that code may forget there is an invalid vector that shows it: careful code judges all of a file
rightly, and the same code without one check takes something that is invalid."""
import base64
import hashlib
import hmac
import json
import urllib.parse

from judge_ours import FIELDS, PIECES, VECTORS
from judge_others import Wrong, plain, private_key, session_key
from oracle_wrap import decrypt, kdfa, oaep, take_2b, whole_2b
from tap import Failed, check

raw = bytes.fromhex


class Careful:
    """Demands what the names say, but for the one that is left out."""

    def __init__(self, left_out=None):
        self.left_out, self.names = left_out, {}

    def demand(self, name, condition):
        self.names[name] = True
        check(condition or name == self.left_out, name)


def outer(c, private, label, name, wrapped, secret):
    """Both wraps have this in common."""
    seed = private_key(private).decrypt(whole_2b(raw(secret)), oaep(label))
    c.demand("no longer seed than 32 bytes", len(seed) <= 32)
    integrity, encrypted = take_2b(whole_2b(raw(wrapped)))
    right = hmac.digest(kdfa(seed, b"INTEGRITY", b"", b"", 32), encrypted + name, "sha256")
    c.demand("outer integrity", integrity == right)
    return decrypt(kdfa(seed, b"STORAGE", name, b"", 16), encrypted)


def credential(c, v):
    value, rest = take_2b(outer(c, v["keyPrivate"], b"IDENTITY\0", raw(v["name"]), v["idObject"], v["encryptedSecret"]))
    c.demand("nothing after the credential", rest == b"")
    return value == raw(v["credential"])


def unwrap(c, private, inner_key, public, duplicate, secret):
    """A duplicate with both wraps, or with the inner one alone: key and seedValue."""
    name = b"\0\x0b" + hashlib.sha256(raw(public)[2:]).digest()
    content = whole_2b(raw(duplicate))
    if secret != "0000":
        content = outer(c, private, b"DUPLICATE\0", name, duplicate, secret)
    integrity, content = take_2b(decrypt(inner_key, content))
    c.demand("inner integrity", integrity == hashlib.sha256(content + name).digest())
    sensitive, rest = take_2b(content)
    c.demand("nothing after the sensitive area", rest == b"")
    c.demand("type of the sensitive area", sensitive[:2] == b"\0\x08")
    _, rest = take_2b(sensitive[2:])
    seed_value, rest = take_2b(rest)
    key, rest = take_2b(rest)
    c.demand("nothing more in the sensitive area", rest == b"")
    c.demand("unique", raw(public)[-32:] == hashlib.sha256(seed_value + key).digest())
    c.demand("fixedTPM and fixedParent", not raw(public)[9] & 0x12)
    return key, seed_value


def duplicate(c, v):
    if v["innerAlgorithm"] == "NULL":
        return None
    key, seed_value = unwrap(c, v["parentPrivate"], raw(v["innerKey"]), v["keyPublic"], v["duplicate"], v["secret"])
    return (key, seed_value) == (raw(v["key"]), raw(v["seedValue"]))


def blob(c, v):
    rest, fields = raw("".join(v[field] for field in FIELDS)), []
    for _ in range(6):
        content, rest = take_2b(rest)
        fields.append((len(content).to_bytes(2, "big") + content).hex())
    parts = Careful(c.left_out)  # what make-credential.json and duplicate.json are about
    srk = b"\0\x0b" + hashlib.sha256(raw(v["srkPublic"])[2:]).digest()
    inner_key = take_2b(outer(parts, v["ekPrivate"], b"IDENTITY\0", srk, *fields[:2]))[0]
    key, _ = unwrap(parts, v["srkPrivate"], inner_key, fields[4], fields[2], fields[3])
    area = raw(fields[4])
    attributes = int.from_bytes(area[6:10], "big")
    c.demand("an HMAC key", area[2:4] + area[-38:-34] == raw("00080005000b"))
    c.demand("signs", attributes & 0x40000)
    c.demand("does not decrypt", not attributes & 0x20000)
    c.demand("is not restricted", not attributes & 0x10000)
    c.demand("userWithAuth", attributes & 0x40)
    uri = decrypt(inner_key, whole_2b(raw(fields[5]))).decode("utf-16-le")
    return (inner_key, key, uri) == (raw(v["innerKey"]), raw(v["key"]), v["uri"])


def template(c, v):
    base = v["group"]
    for piece in PIECES[:-1]:
        c.demand(piece, v[piece] == base[piece])
    modulus = raw(v["unique"])[2:]
    c.demand("length of the modulus", len(modulus) == 256)
    c.demand("highest bit of the modulus", modulus[:1] >= b"\x80")
    c.demand("an odd modulus", modulus[-1:] and modulus[-1] & 1)
    return True


def token(c, v):
    if v["type"] != "SasCheck":
        return None
    scheme, _, pairs = v["token"].partition(" ")
    c.demand("scheme", scheme == "SharedAccessSignature")
    values = [pair.partition("=")[::2] for pair in pairs.split("&")]
    c.demand("no pair twice", len(dict(values)) == len(values))
    sr, sig, se = (dict(values).get(name, "") for name in ("sr", "sig", "se"))
    c.demand("audience", sr.replace("%2F", "/") == v["audience"])
    c.demand("expiry", se.isdecimal() and v["now"] < int(se) < 1 << 63)
    mac = hmac.digest(raw(v["key"]), f"{sr}\n{se}".encode(), "sha256")
    c.demand("signature", urllib.parse.unquote(sig) == base64.b64encode(mac).decode())
    return True


def registration_id(c, v):
    if v["type"] != "RegistrationId":
        return None
    c.demand("at most 128 characters", len(v["id"]) <= 128)
    c.demand("not empty", v["id"])
    c.demand("ASCII", v["id"].isascii())
    c.demand("characters", all(ch.isalnum() or ch in "-._:" for ch in v["id"]))
    c.demand("last character", v["id"][-1:].isalnum() or v["id"][-1:] in ("-", ""))
    return v["id"].lower() == v["lower"]


def session_with(sessions, bit):
    return next((s for s in sessions if int(s["attributes"], 16) & bit), None)


def authorized(c, what, area, sessions, digest, older, auth, others=b""):
    """Nonce, attributes and HMAC of each session, in a command after its handle."""
    for s in sessions:
        if older == "nonceTpm":
            c.demand("handles of the sessions", area[:4] == raw(s["handle"]))
            area = area[4:]
        nonce, attributes, mac = area[2:34], area[34:35], area[37:69]
        key = session_key(s) + (b"" if s["handle"].startswith("03") else raw(s[auth]).rstrip(b"\0"))
        c.demand(what, mac == hmac.digest(key, digest + nonce + raw(s[older]) + others + attributes, "sha256"))
        area, others = area[69:], b""
    c.demand("nothing after the sessions", area == b"")


def session(c, v):
    """Both messages as who receives them reads them."""
    command, response, code, sessions = raw(v["command"]), raw(v["response"]), raw(v["commandCode"]), v["sessions"]
    decrypts, encrypts = session_with(sessions, 0x20), session_with(sessions, 0x40)
    at = 14 + 4 * len(v["handles"])
    end = at + int.from_bytes(command[at - 4:at], "big")
    sent, digest = command[end:], hashlib.sha256(code + raw("".join(v["names"])) + command[end:]).digest()
    others = raw("".join(s["nonceTpm"] for s in (decrypts, encrypts if encrypts is not decrypts else None)
                         if s and s is not sessions[0]))
    authorized(c, "HMAC of the command", command[at:end], sessions, digest, "nonceTpm", "authValue", others)
    if decrypts:
        sent = plain(sent, decrypts, decrypts["authValue"], decrypts["nonceCaller"], decrypts["nonceTpm"])
    end = 14 + int.from_bytes(response[10:14], "big")
    answer, digest = response[14:end], hashlib.sha256(bytes(4) + code + response[14:end]).digest()
    authorized(c, "HMAC of the response", response[end:], sessions, digest, "nonceCaller", "authValueThen")
    if encrypts:
        answer = plain(answer, encrypts, encrypts["authValueThen"], encrypts["nonceTpmNext"], encrypts["nonceCaller"])
    c.demand("tag of the response", response[:2] == b"\x80\2")
    c.demand("handles of the command", command[10:at - 4] == raw("".join(v["handles"])))
    return (sent, answer) == (raw(v["parameters"]), raw(v["answer"]))


FILES = {"templates.json": template, "make-credential.json": credential, "duplicate.json": duplicate,
         "blobs.json": blob, "sessions.json": session, "sas.json": token, "registration-ids.json": registration_id}


def cases_of(name):
    for group in json.loads((VECTORS / name).read_text(encoding="ascii"))["testGroups"]:
        for test in group["tests"]:
            yield {**group, **test, "group": group}


def is_right(judge, careful, case):
    try:
        return judge(careful, case)
    except (Failed, Wrong, ValueError):
        return False


def wrong_verdicts(name, careful):
    """The vectors of a file that this code takes for something else than they are."""
    for case in cases_of(name):
        right = is_right(FILES[name], careful, case)
        if right is not None and case["result"] != "acceptable" and right != (case["result"] == "valid"):
            yield f"{name} {case['tcId']}, {case['reason']}"


def tests():
    for name in FILES:
        careful = Careful()
        yield f"{name}: careful code is right about all", lambda n=name, c=careful: list(wrong_verdicts(n, c))
        yield f"{name}: and with any check left out about some no more", lambda n=name, c=careful: unseen(n, c.names)


def unseen(name, checks):
    for left_out in checks:
        if not list(wrong_verdicts(name, Careful(left_out))):
            yield f"{name}: nobody would miss: {left_out}"
