# SPDX-License-Identifier: MIT
"""A TPM, asked byte by byte: so what is malformed reaches it."""
import socket
import struct

from cryptography.hazmat.primitives import serialization
from oracle_wrap import as_2b, take_2b
from tap import check
from tpm2_pytss import utils
from tpm2_pytss.constants import TPM2_ALG
from tpm2_pytss.types import (TPM2B_PRIVATE_KEY_RSA, TPM2B_PUBLIC, TPM2B_SENSITIVE, TPMT_SENSITIVE,
                              TPMU_SENSITIVE_COMPOSITE)
from waiting import PATIENCE

raw = bytes.fromhex
OWNER, ENDORSEMENT, NULL, PASSWORD = 0x40000001, 0x4000000B, 0x40000007, 0x40000009
CREATE_PRIMARY, FLUSH, LOAD, IMPORT, LOAD_EXTERNAL = 0x131, 0x165, 0x157, 0x156, 0x167
START, POLICY_SECRET, POLICY_OR, POLICY_CODE, POLICY_DIGEST = 0x176, 0x151, 0x171, 0x16C, 0x189
ACTIVATE, HMAC = 0x147, 0x155
AES_128_CFB, NO_ALGORITHM = raw("000600800043"), raw("0010")
SRK_TEMPLATE = raw("001a0001000b00030472000000060080004300100800000000000000")
NO_SECRET = raw("000400000000")  # TPM2B_SENSITIVE_CREATE: no authValue, no data


class Refused(Exception):
    """The TPM has answered with this response code."""


def u32(value):
    return struct.pack(">I", value)


class Tpm:
    """A TPM behind a socket that takes commands as they are, with both keys of the vectors loaded."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, PATIENCE) if isinstance(address, tuple) else self.unix(address)
        self.keys = {}

    @staticmethod
    def unix(path):
        made = socket.socket(socket.AF_UNIX)
        made.connect(path)
        return made

    def receive(self, size):
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            check(part, "the TPM has closed the connection")
            data += part
        return data

    def transact(self, command):
        """The whole response; a refusal is raised."""
        self.socket.sendall(command)
        head = self.receive(10)
        _, size, code = struct.unpack(">HII", head)
        whole = head + self.receive(size - 10)
        if code:
            raise Refused(hex(code))
        return whole

    def __call__(self, code, *parts, handles=(), auths=None):
        """What follows the header, or the parameterSize. auths: handles of sessions, or PASSWORD, which is empty."""
        body = b"".join(u32(h) for h in handles)
        if auths is not None:
            area = b"".join(u32(a) + raw("0000010000") for a in auths)
            body += u32(len(area)) + area
        body += b"".join(parts)
        tag = 0x8001 if auths is None else 0x8002
        return self.transact(struct.pack(">HII", tag, 10 + len(body), code) + body)[10:]

    def startup(self):
        self(0x144, bytes(2))

    def flush(self, handle):
        self(FLUSH, u32(handle))

    # ---- Objects ----

    def create_primary(self, hierarchy, template):
        """Handle and public area."""
        out = self(CREATE_PRIMARY, NO_SECRET, template, bytes(2), bytes(4), handles=[hierarchy], auths=[PASSWORD])
        return int.from_bytes(out[:4], "big"), as_2b(take_2b(out[8:])[0])

    def load_external(self, public, sensitive=b"\0\0", hierarchy=NULL):
        """Handle and Name."""
        out = self(LOAD_EXTERNAL, sensitive, public, u32(hierarchy))
        return int.from_bytes(out[:4], "big"), take_2b(out[4:])[0]

    def load(self, parent, private, public):
        out = self(LOAD, private, public, handles=[parent], auths=[PASSWORD])
        return int.from_bytes(out[:4], "big")

    def import_(self, parent, inner_key, public, duplicate, secret, symmetric):
        out = self(IMPORT, as_2b(inner_key), public, duplicate, secret, symmetric, handles=[parent], auths=[PASSWORD])
        return as_2b(take_2b(out[4:])[0])

    def key(self, public, private_der):
        """A key of the vectors, which the TPM takes in by Import."""
        if public not in self.keys:
            parent, parent_public = self.create_primary(OWNER, SRK_TEMPLATE)
            prime = serialization.load_der_private_key(raw(private_der), None).private_numbers().p.to_bytes(128, "big")
            sensitive = TPM2B_SENSITIVE(TPMT_SENSITIVE(
                sensitiveType=TPM2_ALG.RSA, authValue=b"", seedValue=bytes(32),
                sensitive=TPMU_SENSITIVE_COMPOSITE(rsa=TPM2B_PRIVATE_KEY_RSA(buffer=prime))))
            parent_area = TPM2B_PUBLIC.unmarshal(parent_public)[0]
            _, duplicate, secret = utils.wrap(parent_area.publicArea, TPM2B_PUBLIC.unmarshal(raw(public))[0], sensitive)
            private = self.import_(parent, b"", raw(public), duplicate.marshal(), secret.marshal(), NO_ALGORITHM)
            self.keys[public] = self.load(parent, private, raw(public))
            self.flush(parent)
        return self.keys[public]

    def flush_keys(self):
        for handle in self.keys.values():
            self.flush(handle)
        self.keys = {}

    def hmac(self, handle, text):
        return take_2b(self(HMAC, as_2b(text), raw("000b"), handles=[handle], auths=[PASSWORD])[4:])[0]

    # ---- Sessions ----

    def start(self, kind, key=NULL, secret=b"\0\0", symmetric=NO_ALGORITHM, nonce=bytes(32)):
        """Handle and nonceTPM."""
        out = self(START, as_2b(nonce), secret, bytes([kind]), symmetric, raw("000b"), handles=[key, NULL])
        return int.from_bytes(out[:4], "big"), take_2b(out[4:])[0]

    def policy_secret(self, session, entity=ENDORSEMENT, ref=b""):
        self(POLICY_SECRET, bytes(4), as_2b(ref), bytes(4), handles=[entity, session], auths=[PASSWORD])

    def policy(self, session, step):
        if step["command"] == "PolicySecret":
            self.policy_secret(session, int(step["name"], 16), raw(step["policyRef"]))
        elif step["command"] == "PolicyCommandCode":
            self(POLICY_CODE, raw(step["code"]), handles=[session])
        else:
            digests = b"".join(as_2b(raw(d)) for d in step["digests"])
            self(POLICY_OR, u32(len(step["digests"])), digests, handles=[session])

    def policy_digest(self, session):
        return take_2b(self(POLICY_DIGEST, handles=[session]))[0]

    def activate(self, activated, key, id_object, secret):
        """ActivateCredential with the authority of the endorsement hierarchy, which is the policy of an EK."""
        session, _ = self.start(1)
        try:
            self.policy_secret(session)
            out = self(ACTIVATE, id_object, secret, handles=[activated, key], auths=[PASSWORD, session])
            return take_2b(out[4:])[0]
        finally:
            self.flush(session)
