# SPDX-License-Identifier: MIT
"""What other people's code says of vectors: tpm2-pytss where it deals with them, python3-cryptography and the standard
library where it does not."""
import base64
import contextlib
import hashlib
import hmac
import re
import types
import urllib.parse

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode
from judge_ours import FIELDS, area_of
from oracle_support import SRK_ATTRIBUTES, aes_128_cfb, rsa_key
from oracle_wrap import oaep, open_blob, whole_2b
from tap import Failed
from tpm2_pytss import TSS2_Exception, utils
from tpm2_pytss.constants import TPM2_ALG, TPMA_OBJECT
from tpm2_pytss.internal import crypto
from tpm2_pytss.types import TPM2B_ENCRYPTED_SECRET, TPM2B_NAME, TPM2B_PRIVATE, TPM2B_PUBLIC, TPMT_SENSITIVE

raw = bytes.fromhex
keys = {}
SKIPPED = "no opinion"


class Wrong(Exception):
    """The vector is not right."""


def demand(condition):
    if not condition:
        raise Wrong


def private_key(der):
    if der not in keys:
        keys[der] = serialization.load_der_private_key(raw(der), None)
    return keys[der]


def public_of(whole):
    area, used = TPM2B_PUBLIC.unmarshal(whole)
    demand(used == len(whole) and area.marshal() == whole)
    return area


def kdfa(key, label, context, bits):
    """KDFa is SP 800-108 in counter mode, as others have it."""
    return KBKDFHMAC(hashes.SHA256(), Mode.CounterMode, bits // 8, 4, 4, CounterLocation.BeforeFixed, label, context,
                     None).derive(key)


# ---- Derived values --------------------------------------------------------------------------------------------------

def kdfa_vector(c):
    demand(kdfa(raw(c["key"]), c["label"].encode(), raw(c["contextU"] + c["contextV"]), c["bits"]) == raw(c["out"]))


def name_vector(c):
    demand(bytes(public_of(raw(c["public"])).get_name()) == raw(c["name"]))


def no_index(_):
    """Of a TPM without a certificate, which has no template of its own there."""
    raise utils.NoSuchIndex(0)


def template_vector(c):
    """The template as pytss has it, with this unique. Ours alone is the hardened one."""
    if c["role"] == "hardened SRK":
        return SKIPPED
    area = public_of(raw(area_of(c)))
    unique = bytes(area.publicArea.unique.rsa)
    demand(len(unique) == 256 and unique[0] & 0x80 and unique[-1] & 1)
    wanted = rsa_key(SRK_ATTRIBUTES) if c["role"] == "SRK" else utils.create_ek_template("EK-RSA2048", no_index)[1]
    wanted = TPM2B_PUBLIC.unmarshal(wanted.marshal())[0]
    wanted.publicArea.unique.rsa = unique
    demand(wanted.marshal() == area.marshal())


# ---- What is wrapped -------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def pytss_with(**names):
    """pytss's cryptography with other values for some of its names: the seed that it draws; and the parent's key, which
    takes it long to put together. (With unittest.mock it would take itself for documentation, and make no objects.)"""
    before = {name: getattr(crypto, name) for name in names}
    vars(crypto).update(names)
    try:
        yield
    finally:
        vars(crypto).update(before)


def drawing(seed):
    return types.SimpleNamespace(token_bytes=lambda _: seed)


def credential_vector(c):
    """pytss makes the same of the seed that OAEP gives."""
    secret = whole_2b(raw(c["encryptedSecret"]))
    seed = private_key(c["keyPrivate"]).decrypt(secret, oaep(b"IDENTITY\0"))
    if "made" in c:
        demand(seed == raw(c["made"]["seed"]))
    area = public_of(raw(c["keyPublic"]))
    demand(area.publicArea.unique.rsa == modulus(c["keyPrivate"]) and len(seed) == 32)
    with pytss_with(secrets=drawing(seed)):
        id_object, _ = utils.make_credential(area, raw(c["credential"]), TPM2B_NAME(raw(c["name"])))
    demand(id_object.marshal() == raw(c["idObject"]))


def modulus(der):
    return private_key(der).public_key().public_numbers().n.to_bytes(256, "big")


def duplicate_vector(c):
    """pytss's unwrap, and its wrap again. It has neither for a duplicate without outer wrap."""
    if c["secret"] == "0000" and c["innerAlgorithm"] != "NULL" and "SecretForm" not in c["flags"]:
        return SKIPPED
    public, parent = public_of(raw(c["keyPublic"])), public_of(raw(c["parentPublic"]))
    inner = {} if c["innerAlgorithm"] == "NULL" else {"symkey": raw(c["innerKey"]), "symdef": aes_128_cfb()}
    demand(len(raw(c["innerKey"])) == (16 if inner else 0))
    whole_2b(raw(c["duplicate"]))
    key = private_key(c["parentPrivate"])
    seed = key.decrypt(whole_2b(raw(c["secret"])), oaep(b"DUPLICATE\0"))
    demand(len(seed) == 32 and parent.publicArea.unique.rsa == modulus(c["parentPrivate"]))
    with pytss_with(private_to_key=lambda *_: key, secrets=drawing(seed)):
        opened = utils.unwrap(parent.publicArea, TPMT_SENSITIVE(), public,
                              TPM2B_PRIVATE.unmarshal(raw(c["duplicate"]))[0],
                              TPM2B_ENCRYPTED_SECRET.unmarshal(raw(c["secret"]))[0], **inner)
        demand(utils.wrap(parent.publicArea, public, opened, **inner)[1].marshal() == raw(c["duplicate"]))
    sensitive_vector(c, public.publicArea, opened.sensitiveArea)
    if "made" in c:
        whole = opened.marshal()
        integrity = b"\0\x20" + hashlib.sha256(whole + bytes(public.get_name())).digest()
        made_inner = encrypt(raw(c["innerKey"]), bytes(16), integrity + whole) if inner else whole
        demand((whole, made_inner, seed) == tuple(raw(c["made"][m]) for m in ("sensitive", "inner", "seed")))


def sensitive_vector(c, public, area):
    """It is a keyed hash, that of the public area, which claims nothing that it cannot have."""
    demand(area.sensitiveType == TPM2_ALG.KEYEDHASH)
    key, seed_value = bytes(area.sensitive.bits), bytes(area.seedValue)
    demand((key, seed_value, bytes(area.authValue)) == (raw(c["key"]), raw(c["seedValue"]), raw(c["authValue"])))
    demand(hashlib.sha256(seed_value + key).digest() == bytes(public.unique.keyedHash))
    demand(not public.objectAttributes & (TPMA_OBJECT.FIXEDTPM | TPMA_OBJECT.FIXEDPARENT))


def blob_vector(c):
    """Opened by the specification alone, as in oracle_test.py."""
    blob = raw("".join(c[field] for field in FIELDS))
    opened = open_blob(blob, private_key(c["ekPrivate"]), private_key(c["srkPrivate"]), raw(c["srkPublic"]))
    demand((opened["inner_key"], opened["key"], opened["auth"], opened["uri"])
           == (raw(c["innerKey"]), raw(c["key"]), b"", c["uri"]))
    demand(hmac.digest(opened["key"], raw(c["message"]), "sha256") == raw(c["signature"]))
    area = public_of(raw(c["keyPublic"])).publicArea
    free = TPMA_OBJECT.NODA | TPMA_OBJECT.ADMINWITHPOLICY | TPMA_OBJECT.ENCRYPTEDDUPLICATION
    demand(area.type == TPM2_ALG.KEYEDHASH and area.parameters.keyedHashDetail.scheme.scheme == TPM2_ALG.HMAC)
    demand(int(area.objectAttributes) & ~int(free) == int(TPMA_OBJECT.USERWITHAUTH | TPMA_OBJECT.SIGN_ENCRYPT))


# ---- Sessions: the messages are taken apart, not made ----------------------------------------------------------------

def encrypt(key, iv, data):
    return Cipher(algorithms.AES(key), modes.CFB(iv)).encryptor().update(data)


def decrypt(key, iv, data):
    return Cipher(algorithms.AES(key), modes.CFB(iv)).decryptor().update(data)


def session_key(s):
    key = kdfa(raw(s["salt"]), b"ATH", raw(s["nonceTpmStart"] + s["nonceCallerStart"]), 256) if s["salt"] else b""
    demand(key == raw(s["sessionKey"]))
    return key


def plain(parameters, s, auth, newer, older):
    """The first parameter in clear."""
    size = 2 + int.from_bytes(parameters[:2], "big")
    both = kdfa(session_key(s) + raw(auth).rstrip(b"\0"), b"CFB", raw(newer + older), 256)
    return parameters[:2] + decrypt(both[:16], both[16:], parameters[2:size]) + parameters[size:]


def take_auths(area, sessions, nonce, digest, auth, older, others=b""):
    """Each authorization of an area: handle (in commands), nonce, attributes, HMAC."""
    for s in sessions:
        handle = raw(s["handle"]) if older == "nonceTpm" else b""
        wanted = handle + b"\0\x20" + raw(s[nonce] + s["attributes"]) + b"\0\x20"
        demand(area.startswith(wanted))
        area = area[len(wanted):]
        key = session_key(s) + (b"" if s["handle"].startswith("03") else raw(s[auth]).rstrip(b"\0"))
        mac = hmac.digest(key, digest + raw(s[nonce] + s[older]) + others + raw(s["attributes"]), "sha256")
        demand(area.startswith(mac))
        area, others = area[32:], b""
    demand(area == b"")


def session_vector(c):
    command, response, sessions = raw(c["command"]), raw(c["response"]), c["sessions"]
    decrypts, encrypts = (next((s for s in sessions if int(s["attributes"], 16) & bit), None) for bit in (0x20, 0x40))
    demand(command.startswith(raw("8002" + f"{len(command):08x}" + c["commandCode"] + "".join(c["handles"]))))
    at = 10 + 4 * len(c["handles"])
    size = int.from_bytes(command[at:at + 4], "big")
    area, sent = command[at + 4:at + 4 + size], command[at + 4 + size:]
    digest = hashlib.sha256(raw(c["commandCode"] + "".join(c["names"])) + sent).digest()
    demand((sent, digest) == (raw(c["sent"]), raw(c["cpHash"])))
    others = [s for s in (decrypts, None if encrypts is decrypts else encrypts) if s and s is not sessions[0]]
    nonces = raw("".join(s["nonceTpm"] for s in others))
    take_auths(area, sessions, "nonceCaller", digest, "authValue", "nonceTpm", nonces)
    if decrypts:
        sent = plain(sent, decrypts, decrypts["authValue"], decrypts["nonceCaller"], decrypts["nonceTpm"])
    demand(sent == raw(c["parameters"]))
    demand(response.startswith(raw("8002" + f"{len(response):08x}" + "00000000")))
    size = int.from_bytes(response[10:14], "big")
    answer, area = response[14:14 + size], response[14 + size:]
    digest = hashlib.sha256(bytes(4) + raw(c["commandCode"]) + answer).digest()
    take_auths(area, sessions, "nonceTpmNext", digest, "authValueThen", "nonceCaller")
    if encrypts:
        answer = plain(answer, encrypts, encrypts["authValueThen"], encrypts["nonceTpmNext"], encrypts["nonceCaller"])
    demand(answer == raw(c["answer"]))


# ---- Texts -----------------------------------------------------------------------------------------------------------

def sas_sign_vector(c):
    sr = urllib.parse.quote(c["audience"], safe="")
    demand(c["stringToSign"] == f"{sr}\n{c['expiry']}")
    demand(hmac.digest(raw(c["key"]), c["stringToSign"].encode(), "sha256") == raw(c["signature"]))
    scheme, _, pairs = c["token"].partition(" ")
    names = {"skn": c["keyName"]} if c["keyName"] else {}
    demand(scheme == "SharedAccessSignature" and sr in c["token"])
    demand(dict(urllib.parse.parse_qsl(pairs, strict_parsing=True)) == {
        "sr": c["audience"], "sig": base64.b64encode(raw(c["signature"])).decode(), "se": str(c["expiry"]), **names})


def sas_check_vector(c):
    scheme, _, pairs = c["token"].partition(" ")
    values = [pair.partition("=")[::2] for pair in pairs.split("&")]
    found = {name: value for name, value in values if name in ("sr", "sig", "se", "skn")}
    demand(scheme == "SharedAccessSignature" and {"sr", "sig", "se"} <= set(found))
    demand(all(sum(name == n for n, _ in values) == 1 for name in found))
    audience = found["sr"]
    forms = [audience, urllib.parse.unquote(audience), urllib.parse.unquote(urllib.parse.unquote(audience))]
    demand(c["audience"].lower() in [form.lower() for form in forms])
    demand(re.fullmatch("[0-9]{1,18}", found["se"], re.A) and int(found["se"]) > c["now"])
    signature = base64.b64decode(urllib.parse.unquote(found["sig"], errors="strict"), validate=True)
    demand(signature == hmac.digest(raw(c["key"]), f"{audience}\n{found['se']}".encode(), "sha256"))


def id_vector(c):
    demand(re.fullmatch(r"[A-Za-z0-9._:-]{0,127}[A-Za-z0-9-]", c["id"], re.A) and c["id"].lower() == c["lower"])


def default_id_vector(c):
    digest = hashlib.sha256(raw(c["ekPublic"])).digest()
    demand(base64.b32encode(digest).decode().rstrip("=").lower() == c["id"])


VECTORS = {"Kdfa": kdfa_vector, "Name": name_vector, "Template": template_vector, "MakeCredential": credential_vector,
           "Duplicate": duplicate_vector, "ActivationBlob": blob_vector, "Session": session_vector,
           "SasSign": sas_sign_vector, "SasCheck": sas_check_vector, "RegistrationId": id_vector,
           "DefaultRegistrationId": default_id_vector}
# What these libraries raise when they refuse.
REFUSALS = (Wrong, InvalidSignature, Failed, TSS2_Exception, ValueError, RuntimeError, UnicodeError)


def verdict(kind, case):
    if kind not in VECTORS:
        return None
    try:
        return None if VECTORS[kind](case) == SKIPPED else True
    except REFUSALS:
        return False


def verdicts(cases):
    """For each pair of type and case: is it right? None: these do not deal with it."""
    return [verdict(kind, case) for kind, case in cases]
