# SPDX-License-Identifier: MIT
"""Sessions: keys, encrypted parameters and HMACs of a command and its response, right and wrong. check/ gives the same
functions a TPM, with nonces of its own: what they make right it takes, and what they make wrong it refuses."""
import struct

from tpmcrypto import cfb_decrypt, cfb_encrypt, hmac, kdfa
from vector_areas import ENDORSEMENT, MADE, keyed_hash, policy_command_code
from vector_form import Group, changed, document, fixed, name_of, sha256, two

DECRYPT, ENCRYPT, CONTINUE = 0x20, 0x40, 0x01
HMAC, IMPORT, CHANGE_AUTH = 0x155, 0x156, 0x129
KEY_AT, CP_AT, RP_AT = "P1 r1.59 19.6.8", "P1 r1.59 18.7", "P1 r1.59 18.8"
HMAC_AT, CFB_AT, AUTH_AT = "P1 r1.59 19.6.5", "P1 r1.59 21.3", "P1 r1.59 19.6.4.3"


# ---- The arithmetic; odd names the mistakes that are made ------------------------------------------------------------

def is_policy(session):
    return session["handle"][0] == 3


def key_of(session, odd=()):
    """sessionKey: nothing, if the session is not salted (none here is bound)."""
    nonces = [session["nonceTpmStart"], session["nonceCallerStart"]]
    if "start nonces exchanged" in odd:
        nonces.reverse()
    label = b"SECRET" if "label SECRET" in odd else b"ATH"
    return kdfa(session["salt"], label, b"".join(nonces), 32) if session["salt"] else b""


def hmac_key(session, auth, odd=()):
    auth = auth.rstrip(b"\0")  # for HMAC no difference as long as the key is not longer than its block
    if (is_policy(session) and "authValue in a policy session's HMAC" not in odd) or "no authValue" in odd:
        auth = b""
    key = key_of(session, odd)
    return auth + key if "authValue first" in odd else key + auth


def cfb_of(session, auth, newer, older, odd=()):
    """Key and initial value of a parameter."""
    nonces = older + newer if "older nonce first in the key" in odd else newer + older
    auth = b"" if "no authValue in the key" in odd else auth.rstrip(b"\0")
    both = kdfa(key_of(session, odd) + auth, b"CFB", nonces, 32)
    return both[:16], bytes(16) if "initial value of zeros" in odd else both[16:]


def use_with(sessions, attribute):
    return next((s for s in sessions if s["attributes"][0] & attribute), None)


def split_first(parameters):
    size = 2 + int.from_bytes(parameters[:2], "big")
    return parameters[2:size], parameters[size:]


def encrypted_command(e, odd=()):
    """The parameters as they are sent."""
    session = use_with(e["sessions"], DECRYPT)
    if session is None:
        return e["parameters"]
    first, rest = split_first(e["parameters"])
    key, iv = cfb_of(session, session["authValue"], session["nonceCaller"], session["nonceTpm"], odd)
    if "size encrypted" in odd:
        return cfb_encrypt(key, two(first), iv) + rest
    return two(cfb_encrypt(key, first, iv)) + rest


def cp_hash(e, sent, odd=()):
    parameters = e["parameters"] if "cpHash before encryption" in odd else sent
    names = e["handles"] if "handles instead of Names" in odd else e["names"]
    names = [] if "no Names" in odd else names
    return sha256(struct.pack(">I", e["code"]), *names, parameters)


def others_of(sessions, odd=()):
    """nonceTPM of the sessions that decrypt and encrypt for the first one."""
    decrypt, encrypt = use_with(sessions, DECRYPT), use_with(sessions, ENCRYPT)
    found = [s["nonceTpm"] for s in (decrypt, encrypt if encrypt is not decrypt else None)
             if s is not None and s is not sessions[0]]
    if "encrypting session's nonce first" in odd:
        found.reverse()
    return [] if "no nonces of other sessions" in odd else found


def mac_of(session, auth, digest, nonces, others, odd=()):
    attributes = b"" if "no attributes" in odd else session["attributes"]
    if "nonces exchanged" in odd:
        nonces = nonces[::-1]
    if "sizes of nonces" in odd:
        nonces = [two(n) for n in nonces]
    return hmac(hmac_key(session, auth, odd), digest, *nonces, *others, attributes)


def command_of(e, odd=()):
    """A whole command."""
    sent = encrypted_command(e, odd)
    digest = cp_hash(e, sent, odd)
    area = b""
    for i, session in enumerate(e["sessions"]):
        others = others_of(e["sessions"], odd) if i == 0 or "nonces of others in each HMAC" in odd else []
        mac = mac_of(session, session["authValue"], digest, [session["nonceCaller"], session["nonceTpm"]], others, odd)
        area += session["handle"] + two(session["nonceCaller"]) + session["attributes"] + two(mac)
    body = b"".join(e["handles"]) + struct.pack(">I", len(area)) + area + sent
    return struct.pack(">HII", 0x8002, 10 + len(body), e["code"]) + body


def response_of(e, odd=()):
    """A whole response, as a TPM sends it."""
    session = use_with(e["sessions"], ENCRYPT)
    parameters = e["answer"]
    if session is not None:
        first, rest = split_first(parameters)
        key, iv = cfb_of(session, session["authValueThen"], session["nonceTpmNext"], session["nonceCaller"], odd)
        parameters = two(cfb_encrypt(key, first, iv)) + rest
    hashed = e["answer"] if "rpHash before encryption" in odd else parameters
    if "parameterSize in rpHash" in odd:
        hashed = struct.pack(">I", len(hashed)) + hashed
    code = b"" if "no response code in rpHash" in odd else bytes(4)
    digest = sha256(code, struct.pack(">I", e["code"]), hashed)
    body = struct.pack(">I", len(parameters)) + parameters
    for session in e["sessions"]:
        nonce = session["nonceTpm"] if "old nonceTPM" in odd else session["nonceTpmNext"]
        auth = session["authValue"] if "old authValue" in odd else session["authValueThen"]
        mac = mac_of(session, auth, digest, [nonce, session["nonceCaller"]], [], odd)
        body += two(session["nonceTpmNext"]) + session["attributes"] + two(mac)
    return struct.pack(">HII", 0x8002, 10 + len(body), 0) + body


def answer_of(e, response):
    """The parameters of a response, if every HMAC is right; else None. For a response of a TPM."""
    size = int.from_bytes(response[10:14], "big")
    parameters, at = response[14:14 + size], 14 + size
    digest = sha256(bytes(4), struct.pack(">I", e["code"]), parameters)
    for session in e["sessions"]:
        nonce = response[at + 2:at + 34]
        right = two(nonce) + session["attributes"] + two(
            mac_of(session, session["authValueThen"], digest, [nonce, session["nonceCaller"]], []))
        if response[at:at + len(right)] != right:
            return None
        session["nonceTpmNext"], at = nonce, at + len(right)
    session = use_with(e["sessions"], ENCRYPT)
    if at != len(response) or session is None:
        return parameters if at == len(response) else None
    first, rest = split_first(parameters)
    key, iv = cfb_of(session, session["authValueThen"], session["nonceTpmNext"], session["nonceCaller"])
    return two(cfb_decrypt(key, first, iv)) + rest


# ---- The vectors -----------------------------------------------------------------------------------------------------

def session(what, attributes, auth=b"", auth_then=None, salt=True, handle="02000000"):
    names = ("nonceTpmStart", "nonceCallerStart", "nonceTpm", "nonceCaller", "nonceTpmNext")
    nonces = {name: fixed(f"{what}: {name}", 32) for name in names}
    return {"handle": bytes.fromhex(handle), "salt": fixed(what + ": salt", 32) if salt else b"", **nonces,
            "authValue": auth, "authValueThen": auth if auth_then is None else auth_then,
            "attributes": bytes([attributes])}


def facts():
    """A vector that others had computed, and a TPM confirmed, before these were made."""
    one = {"handle": bytes.fromhex("02000000"), "salt": bytes(range(32)), "nonceTpmStart": b"\xa0" * 32,
           "nonceCallerStart": b"\xb0" * 32, "nonceTpm": b"\xa0" * 32, "nonceCaller": b"\xb1" * 32,
           "nonceTpmNext": b"\xa1" * 32, "authValue": b"pw", "authValueThen": b"pw", "attributes": b"\x21"}
    return {"code": IMPORT, "handles": [bytes.fromhex("80000001")], "names": [b"\0\x0b" + b"\x11" * 32],
            "parameters": two(b"0123456789abcdefXYZ"), "answer": two(b"\xee"), "sessions": [one]}


KEY_PUBLIC = keyed_hash(fixed("a key that signs", 32), policy=policy_command_code(HMAC))


def sign(*sessions):
    """TPM2_HMAC: the text is the first parameter, the HMAC the first that comes back."""
    return {"code": HMAC, "handles": [bytes.fromhex("80000000")], "names": [name_of(KEY_PUBLIC)],
            "parameters": two(b"a text to be signed") + b"\0\x0b", "answer": two(fixed("its HMAC", 32)),
            "sessions": list(sessions)}


BOTH = CONTINUE | DECRYPT | ENCRYPT
FORMS = {
    "one salted session that authorizes, decrypts and encrypts": lambda: sign(session("one", BOTH, b"pw")),
    "its key has no authValue": lambda: sign(session("empty", BOTH)),
    "an authValue that ends with zeros, which do not count": lambda: sign(session("zeros", BOTH, b"pw\0\0")),
    "neither salted nor bound: the authValue is the only key": lambda: sign(
        session("unsalted", BOTH, b"pw", salt=False)),
    "it only authorizes": lambda: sign(session("plain", CONTINUE, b"pw")),
    "it only encrypts the response": lambda: sign(session("encrypts", CONTINUE | ENCRYPT, b"pw")),
    "the session ends with the command": lambda: sign(session("ends", DECRYPT | ENCRYPT, b"pw")),
    "a policy session: no authValue in its HMAC, but in the key of the parameters": lambda: sign(
        session("policy", BOTH, b"pw", handle="03000000")),
    "a second session does both: the first HMAC covers its nonceTPM, once": lambda: sign(
        session("first", CONTINUE, b"pw"), session("second", BOTH, handle="02000001")),
    "a second session decrypts, a third one encrypts": lambda: sign(
        session("first of three", CONTINUE, b"pw"), session("decrypts", CONTINUE | DECRYPT, handle="02000001"),
        session("encrypts as third", CONTINUE | ENCRYPT, handle="02000002")),
    "TPM2_HierarchyChangeAuth: the response has the new authValue in its HMAC": lambda: {
        "code": CHANGE_AUTH, "handles": [ENDORSEMENT], "names": [ENDORSEMENT], "parameters": two(b"new"), "answer": b"",
        "sessions": [session("change", CONTINUE | DECRYPT, b"old", b"new")]},
}
# The mistakes in a command: what, and in which form a TPM notices it. Where none is named, in the first.
FIRST, POLICY, SECOND, THREE = (list(FORMS)[i] for i in (0, 7, 8, 9))
MISTAKES = [
    ("start nonces exchanged", "SessionKey", KEY_AT, FIRST),
    ("label SECRET", "SessionKey", KEY_AT, FIRST),
    ("no authValue", "HmacKey", AUTH_AT, FIRST),
    ("authValue first", "HmacKey", AUTH_AT, FIRST),
    ("authValue in a policy session's HMAC", "HmacKey", AUTH_AT, POLICY),
    ("cpHash before encryption", "CpHash", CP_AT, FIRST),
    ("handles instead of Names", "CpHash", CP_AT, FIRST),
    ("no Names", "CpHash", CP_AT, FIRST),
    ("nonces exchanged", "HmacInput", HMAC_AT, FIRST),
    ("sizes of nonces", "HmacInput", HMAC_AT, FIRST),
    ("no attributes", "HmacInput", HMAC_AT, FIRST),
    ("no nonces of other sessions", "OtherNonces", HMAC_AT, SECOND),
    ("nonces of others in each HMAC", "OtherNonces", HMAC_AT, SECOND),
    ("encrypting session's nonce first", "OtherNonces", HMAC_AT, THREE),
    ("older nonce first in the key", "ParameterKey", CFB_AT, FIRST),
    ("no authValue in the key", "ParameterKey", CFB_AT, FIRST),
    ("initial value of zeros", "ParameterKey", CFB_AT, FIRST),
    ("size encrypted", "ParameterKey", CFB_AT, FIRST),
]
RESPONSE_MISTAKES = [
    ("old nonceTPM", "HmacInput", HMAC_AT), ("nonces exchanged", "HmacInput", HMAC_AT),
    ("no attributes", "HmacInput", HMAC_AT),
    ("rpHash before encryption", "RpHash", RP_AT), ("parameterSize in rpHash", "RpHash", RP_AT),
    ("no response code in rpHash", "RpHash", RP_AT), ("older nonce first in the key", "ParameterKey", CFB_AT),
    ("no authValue", "HmacKey", AUTH_AT)]


def written(e):
    """All values of an exchange."""
    sent = encrypted_command(e)
    out = {m: e[m] for m in ("handles", "names", "parameters", "answer")}
    out["commandCode"] = struct.pack(">I", e["code"])
    out["sessions"] = [{**s, "sessionKey": key_of(s)} for s in e["sessions"]]
    out.update(sent=sent, cpHash=cp_hash(e, sent), command=command_of(e), response=response_of(e))
    return out


def sessions_file():
    form = ("A command and its response, whole. parameters and answer are the parameters of both in clear; sent: those "
            "of the command as they are sent. In each session, Start marks the nonces of StartAuthSession; nonceTpm is "
            "the last one before the command, nonceTpmNext that of the response, authValueThen the authValue after the "
            "command. ")
    right = Group("Session", form + "One case for each form.")
    right.valid("a vector from outside this project, confirmed by libtpms: salt 00 to 1f", HMAC_AT, **written(facts()))
    for reason, make in FORMS.items():
        right.valid(reason, HMAC_AT, **written(make()))

    groups = [right]
    for form_name in dict.fromkeys(m[3] for m in MISTAKES):
        e = FORMS[form_name]()
        group = Group("Session", f"Mistakes in the command. The form: {form_name}.", **written(e))
        for odd, flag, section, where in MISTAKES:
            if where == form_name:
                group.invalid(odd, section, flag, "Command", command=command_of(e, {odd}))
        groups.append(group)
    group = groups[1]
    e = FORMS[FIRST]()
    for at, what in ((13, "the handle"), (21, "the session's handle"), (40, "nonceCaller"), (-1, "the hash algorithm"),
                     (56, "the attributes"), (60, "the HMAC")):
        group.invalid(f"one bit flipped: {what}", HMAC_AT, "Bit", "Command", command=changed(command_of(e), at))
    for odd, flag, section in RESPONSE_MISTAKES:
        group.invalid(odd, section, flag, "Response", response=response_of(e, {odd}))
    whole = response_of(e)
    for at, what in ((1, "the tag"), (47, "the encrypted HMAC"), (60, "nonceTPM"), (82, "the attributes"),
                     (-1, "the HMAC")):
        answer = changed(e["answer"]) if at == 47 else e["answer"]
        group.invalid(f"one bit flipped: {what}", HMAC_AT, "Bit", "Response", response=changed(whole, at),
                      answer=answer)
    group.invalid("a byte after the response", HMAC_AT, "Bit", "Response", response=resized(whole + b"\0"))
    group.invalid("without the session", HMAC_AT, "Bit", "Response", response=resized(whole[:-69]))
    e = list(FORMS.values())[-1]()
    group = Group("Session", "TPM2_HierarchyChangeAuth.", **written(e))
    group.invalid("old authValue", AUTH_AT, "HmacKey", "Response", response=response_of(e, {"old authValue"}))
    return document("Sessions", MADE, {
        "Command": "The command is wrong: a TPM refuses it, or decrypts noise.",
        "Response": "The response is wrong: whoever receives it does not believe it.",
        "SessionKey": "KDFa(salt, ATH, nonceTPM, nonceCaller, 256), both nonces those of StartAuthSession. "
                      "Without a salt it is empty.",
        "HmacKey": "sessionKey, then the authValue without trailing zeros; in a policy session sessionKey alone.",
        "CpHash": "Hash over command code, Names, and the parameters as they are sent.",
        "RpHash": "Hash over response code, command code, and the parameters as they came.",
        "HmacInput": "cpHash or rpHash, newer nonce, older nonce, attributes; no sizes.",
        "OtherNonces": "The first HMAC of a command also covers nonceTPM of other sessions that decrypt and encrypt, "
                       "in this order.",
        "ParameterKey": "KDFa(sessionKey and authValue, CFB, newer nonce, older nonce, 256): key and initial value.",
        "Bit": "A bit, or the length, of the whole message is another."}, groups + [group])


def resized(message):
    return message[:2] + struct.pack(">I", len(message)) + message[6:]
