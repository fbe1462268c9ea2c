# SPDX-License-Identifier: MIT
"""Certificates for tests, by python3-cryptography, with all that strict clients ask for (RFC 5280, 4.2.1); and what
it cannot make: EK certificates with an OAEP key."""

import collections
import datetime
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID

DER, PEM = serialization.Encoding.DER, serialization.Encoding.PEM
CA_USAGE = x509.KeyUsage(key_cert_sign=True, crl_sign=True, digital_signature=False, content_commitment=False,
                         key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
                         decipher_only=False)


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)] if text else [])


def new_key(kind):
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if isinstance(kind, int):
        return rsa.generate_private_key(65537, kind)
    return ec.generate_private_key(kind or ec.SECP256R1())


class Certificate:
    """A certificate and its key. issuer: another one; None: self-signed. public: of a key that is elsewhere. days: from
    when to when, from now."""

    def __init__(self, subject, issuer=None, key=None, ca=None, extensions=(), public=None, days=(-1, 2)):
        self.key = None if public else new_key(key)
        self.public = public or self.key.public_key()
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (x509.CertificateBuilder().subject_name(name(subject)).public_key(self.public)
                   .issuer_name(issuer.x509.subject if issuer else name(subject))
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(now + datetime.timedelta(days=days[0]))
                   .not_valid_after(now + datetime.timedelta(days=days[1])))
        if ca is not None:
            builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        signer = issuer.key if issuer else self.key
        usual = [x509.SubjectKeyIdentifier.from_public_key(self.public),
                 x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), *([CA_USAGE] if ca else [])]
        for extension in usual:
            if not any(isinstance(other, type(extension)) for other, _ in extensions):
                builder = builder.add_extension(extension, critical=extension is CA_USAGE)
        self.x509 = builder.sign(signer, None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256())
        self.pem, self.der = self.x509.public_bytes(PEM), self.x509.public_bytes(DER)

    def key_bytes(self, encoding=PEM, form=serialization.PrivateFormat.PKCS8, password=None):
        encryption = (serialization.BestAvailableEncryption(password) if password
                      else serialization.NoEncryption())
        return self.key.private_bytes(encoding, form, encryption)


CertificateAuthority = collections.namedtuple("CertificateAuthority", "x509 key")


def save(path, content):
    with open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as f:
        f.write(content)


def make_ca(directory, subject="Test CA"):
    """ca.pem and ca.key."""
    ca = Certificate(subject, ca=True)
    save(os.path.join(directory, "ca.pem"), ca.pem)
    save(os.path.join(directory, "ca.key"), ca.key_bytes())


def make_leaf(directory, names, ca=None, files=("cert.pem", "key.pem"), **more):
    """A server's certificate and its key, for these names, by the CA in the directory ca, or in the same one."""
    with open(os.path.join(ca or directory, "ca.pem"), "rb") as f:
        certificate = x509.load_pem_x509_certificate(f.read())
    with open(os.path.join(ca or directory, "ca.key"), "rb") as f:
        issuer = CertificateAuthority(certificate, serialization.load_pem_private_key(f.read(), None))
    alternative = x509.SubjectAlternativeName([x509.DNSName(n) for n in names])
    leaf = Certificate(names[0], issuer, ca=False, extensions=[(alternative, False)], **more)
    for file, content in zip(files, (leaf.pem, leaf.key_bytes()), strict=True):
        save(os.path.join(directory, file), content)


def bundle_pkcs7(certificates, encoding):
    return pkcs7.serialize_certificates([c.x509 for c in certificates], encoding)


# ---- DER by hand -----------------------------------------------------------------------------------------------------

def element(tag, content):
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def elements(content):
    """The elements of a content, whole."""
    found = []
    while content:
        length, header = content[1], 2
        if length >= 0x80:
            header += length & 0x7F
            length = int.from_bytes(content[2:header], "big")
        found.append(content[:header + length])
        content = content[header + length:]
    return found


def content_of(whole):
    return whole[2 + (whole[1] & 0x7F if whole[1] >= 0x80 else 0):]


RSAES_OAEP = bytes.fromhex("06092a864886f70d010107")
# SHA-256, MGF1 with SHA-256, and the label "TCPA" as pSpecified [RFC 4055 4.1].
OAEP_PARAMETERS = element(0x30, element(0xA0, bytes.fromhex("300b0609608648016503040201"))
                          + element(0xA1, bytes.fromhex("301806092a864886f70d010108300b0609608648016503040201"))
                          + element(0xA2, element(0x30, bytes.fromhex("06092a864886f70d010109") + element(4, b"TCPA"))))


def oaep(certificate, parameters):
    """The same certificate, but its key is for OAEP only, as TPMs of some vendors say. Its signature does not fit."""
    tbs, *rest = elements(content_of(certificate.der))
    parts = elements(content_of(tbs))
    info = certificate.public.public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    _, bits = elements(content_of(info))
    parts[parts.index(info)] = element(0x30, element(0x30, RSAES_OAEP + parameters) + bits)
    return element(0x30, element(0x30, b"".join(parts)) + b"".join(rest))
