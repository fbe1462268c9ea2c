# SPDX-License-Identifier: MIT
"""The activation blob in Python: made with pytss, and opened with nothing but the specification and the primitives of
python3-cryptography. Neither shares code with this project."""

import base64
import hashlib
import hmac
import os
import time
import urllib.parse

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from tpm2_pytss import utils
from tpm2_pytss.constants import TPM2_ALG, TPMA_OBJECT
from tpm2_pytss.types import (TPM2B_DIGEST, TPM2B_NAME, TPM2B_PRIVATE_KEY_RSA, TPM2B_PUBLIC, TPM2B_SENSITIVE,
                              TPM2B_SENSITIVE_DATA, TPMS_KEYEDHASH_PARMS, TPMS_SCHEME_HASH, TPMT_KEYEDHASH_SCHEME,
                              TPMT_PUBLIC, TPMT_SENSITIVE, TPMU_PUBLIC_ID, TPMU_PUBLIC_PARMS, TPMU_SCHEME_KEYEDHASH,
                              TPMU_SENSITIVE_COMPOSITE)

from oracle_support import aes_128_cfb, name_of, public_of, rsa_key, split_blob
from tap import check, same


# ---- Part 1 of the specification, by hand -------------------------------------------------------------

def kdfa(key, label, context_u, context_v, size):
    """11.4.10.2: counter mode over HMAC-SHA-256."""
    out = b""
    while len(out) < size:
        counter = (len(out) // 32 + 1).to_bytes(4, "big")
        bits = (8 * size).to_bytes(4, "big")
        out += hmac.digest(key, counter + label + b"\0" + context_u + context_v + bits, "sha256")
    return out[:size]


def cfb(key):
    return Cipher(algorithms.AES(key), modes.CFB(bytes(16)))


def encrypt(key, data):
    return cfb(key).encryptor().update(data)


def decrypt(key, data):
    return cfb(key).decryptor().update(data)


def oaep(label):
    return padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), label)


def take_2b(data):
    size = int.from_bytes(data[:2], "big")
    check(len(data) >= 2 + size, "a TPM2B is cut off")
    return data[2:2 + size], data[2 + size:]


def as_2b(data):
    return len(data).to_bytes(2, "big") + data


def whole_2b(data):
    content, rest = take_2b(data)
    same(rest, b"", "bytes after a TPM2B")
    return content


def open_outer(private_key, label, name, wrapped, secret):
    """Integrity and symmetric layer that credentials (24.4) and duplicates (23.3.2.3) have in common."""
    seed = private_key.decrypt(secret, oaep(label))
    integrity, encrypted = take_2b(wrapped)
    mac_key = kdfa(seed, b"INTEGRITY", b"", b"", 32)
    same(integrity, hmac.digest(mac_key, encrypted + name, "sha256"), "outer integrity")
    return decrypt(kdfa(seed, b"STORAGE", name, b"", 16), encrypted)


def open_credential(private_key, name, id_object, encrypted_secret):
    content = open_outer(private_key, b"IDENTITY\0", name, whole_2b(id_object), whole_2b(encrypted_secret))
    return whole_2b(content)


def open_duplicate(private_key, inner_key, key_public, duplicate, secret):
    """Returns authValue, seedValue and key of the sensitive area (12.3.2.4 of Part 2)."""
    name = b"\0\x0b" + hashlib.sha256(whole_2b(key_public)).digest()
    inner = decrypt(inner_key, open_outer(private_key, b"DUPLICATE\0", name, whole_2b(duplicate), whole_2b(secret)))
    integrity, sensitive_2b = take_2b(inner)
    same(integrity, hashlib.sha256(sensitive_2b + name).digest(), "inner integrity")
    sensitive = whole_2b(sensitive_2b)
    same(sensitive[:2], b"\0\x08", "type of the sensitive area: keyed hash")
    auth, rest = take_2b(sensitive[2:])
    seed_value, rest = take_2b(rest)
    return auth, seed_value, whole_2b(rest)


def open_blob(blob, ek, srk, srk_public_2b):
    """All that a blob tells whoever holds both private keys."""
    fields = split_blob(blob)
    srk_name = b"\0\x0b" + hashlib.sha256(whole_2b(srk_public_2b)).digest()
    inner_key = open_credential(ek, srk_name, fields["id_object"], fields["encrypted_secret"])
    auth, seed_value, key = open_duplicate(srk, inner_key, fields["key_public"], fields["duplicate"],
                                           fields["duplicate_secret"])
    uri = decrypt(inner_key, whole_2b(fields["enc_uri"])).decode("utf-16-le")
    return {"inner_key": inner_key, "auth": auth, "seed_value": seed_value, "key": key, "uri": uri}


# ---- Software keys ------------------------------------------------------------------------------------

def software_key(attributes, policy=b""):
    """An RSA key outside any TPM. Returns it, its TPM2B_PUBLIC and its PKCS#8."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8,
                            serialization.NoEncryption())
    return key, rsa_key(attributes, policy, modulus_of(key)).marshal(), der


def modulus_of(key):
    return key.public_key().public_numbers().n.to_bytes(256, "big")


def sensitive_of(key, seed_value=b""):
    """The private half as LoadExternal takes it: one prime. A storage key also has a seedValue."""
    prime = key.private_numbers().p.to_bytes(128, "big")
    return TPM2B_SENSITIVE(TPMT_SENSITIVE(sensitiveType=TPM2_ALG.RSA, authValue=b"", seedValue=seed_value,
                                          sensitive=TPMU_SENSITIVE_COMPOSITE(rsa=TPM2B_PRIVATE_KEY_RSA(buffer=prime))))


# ---- A blob made by pytss -----------------------------------------------------------------------------

def hmac_key(key, seed_value):
    """The identity key: its public and its sensitive area."""
    scheme = TPMT_KEYEDHASH_SCHEME(scheme=TPM2_ALG.HMAC,
                                   details=TPMU_SCHEME_KEYEDHASH(hmac=TPMS_SCHEME_HASH(hashAlg=TPM2_ALG.SHA256)))
    public = TPM2B_PUBLIC(publicArea=TPMT_PUBLIC(
        type=TPM2_ALG.KEYEDHASH, nameAlg=TPM2_ALG.SHA256,
        objectAttributes=TPMA_OBJECT.USERWITHAUTH | TPMA_OBJECT.NODA | TPMA_OBJECT.SIGN_ENCRYPT, authPolicy=b"",
        parameters=TPMU_PUBLIC_PARMS(keyedHashDetail=TPMS_KEYEDHASH_PARMS(scheme=scheme)),
        unique=TPMU_PUBLIC_ID(keyedHash=TPM2B_DIGEST(hashlib.sha256(seed_value + key).digest()))))
    sensitive = TPM2B_SENSITIVE(TPMT_SENSITIVE(
        sensitiveType=TPM2_ALG.KEYEDHASH, authValue=b"", seedValue=seed_value,
        sensitive=TPMU_SENSITIVE_COMPOSITE(bits=TPM2B_SENSITIVE_DATA(buffer=key))))
    return public, sensitive


def make_blob(ek_2b, srk_2b, key, text, srk_name=None):
    """What a service sends, by pytss's make_credential and wrap. srk_name: another one, to be refused."""
    ek, srk = public_of(ek_2b), public_of(srk_2b)
    inner_key = os.urandom(16)
    name = TPM2B_NAME(srk_name or name_of(srk))
    id_object, encrypted_secret = utils.make_credential(ek, inner_key, name)
    public, sensitive = hmac_key(key, os.urandom(32))
    _, duplicate, secret = utils.wrap(srk.publicArea, public, sensitive, inner_key, aes_128_cfb())
    uri = encrypt(inner_key, text.encode("utf-16-le"))  # longer than a TPM2B_DATA may be in pytss; no TPM takes it
    return b"".join(part.marshal() for part in (id_object, encrypted_secret, duplicate, secret, public)) + as_2b(uri)


# ---- Tokens -------------------------------------------------------------------------------------------

def sas_text(audience, expiry):
    return f"{urllib.parse.quote(audience, safe='')}\n{expiry}".encode()


def sas_token(audience, mac, expiry, key_name=None):
    token = (f"SharedAccessSignature sr={urllib.parse.quote(audience, safe='')}"
             f"&sig={urllib.parse.quote(base64.b64encode(mac), safe='')}&se={expiry}")
    return token if key_name is None else f"{token}&skn={key_name}"


def sas_with_key(audience, key, key_name=None):
    expiry = int(time.time()) + 600
    return sas_token(audience, hmac.digest(key, sas_text(audience, expiry), "sha256"), expiry, key_name)


def check_token(token, audience, key):
    """Is it a token for this audience, signed with this key, and valid for some time?"""
    scheme, _, pairs = token.partition(" ")
    same(scheme, "SharedAccessSignature", "scheme of a token")
    values = dict(pair.split("=", 1) for pair in pairs.split("&"))
    same(urllib.parse.unquote(values["sr"]), audience, "audience of a token")
    mac = hmac.digest(key, f"{values['sr']}\n{values['se']}".encode(), "sha256")
    same(urllib.parse.unquote(values["sig"]), base64.b64encode(mac).decode(), "signature of a token")
    check(time.time() < int(values["se"]) < time.time() + 90000, f"expiry of a token: {values['se']}")
    return values
