# SPDX-License-Identifier: MIT
"""Certificates and keys as people have them, through the programs: whose certificate a client accepts, what the files
of --ca, --cert, --key and --ek may contain, and what is said about the rest.

Needs python3-cryptography, openssl and swtpm."""

import base64
import itertools
import os
import re
import socket
import ssl
import subprocess
import threading

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID as purposes

from certificates import DER, OAEP_PARAMETERS, PEM, Certificate, bundle_pkcs7, oaep
from harness import Bench, Device, read_file, run, write_file
from server_harness import trusting
from tap import Programs, check, same
from waiting import PATIENCE

HOST = "dps.example"


# ---- Whom does a client trust? ---------------------------------------------------------------------------------------

def san(*names):
    return x509.SubjectAlternativeName(names), False


def dns(text):
    return san(x509.DNSName(text))


def use(*oids, critical=False):
    return x509.ExtendedKeyUsage(oids), critical


def signs_certificates(yes):
    return x509.KeyUsage(not yes, False, False, False, False, yes, yes, False, False), True


class Peer:
    """A TLS server with a chain, for one connection. asked: what the client said after the handshake."""

    def __init__(self, chain, key):
        directory = Programs.directory()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.context.load_cert_chain(write_file(os.path.join(directory, "chain"), b"".join(c.pem for c in chain)),
                                     write_file(os.path.join(directory, "key"), key))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(PATIENCE)
        self.port = self.listener.getsockname()[1]
        self.asked = b""
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        try:
            raw, _ = self.listener.accept()
            raw.settimeout(PATIENCE)
            with self.context.wrap_socket(raw, server_side=True) as client:
                self.asked = client.recv(4096)
                client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}")
        except OSError:
            pass

    def end(self):
        self.thread.join()
        self.listener.close()


def connection(port, host=HOST):
    key = base64.b64encode(bytes(32)).decode()
    return write_file(os.path.join(Programs.directory(), "connection"),
                      f"HostName={host}:{port};SharedAccessKeyName=a;SharedAccessKey={key}")


def ask(trust, chain, key=None):
    """Whether dps-admin, which trusts this PEM, talked to a server that has this chain; and what it said."""
    peer = Peer(chain, key or chain[0].key_bytes())
    ca = write_file(os.path.join(Programs.directory(), "ca"), trust)
    done = subprocess.run([Programs.path("dps-admin"), "--connection-string-file", connection(peer.port), "--ca", ca,
                           "--connect-to", f"127.0.0.1:{peer.port}", "get", "x"],
                          capture_output=True, text=True, timeout=PATIENCE, check=False)
    peer.end()
    return bool(peer.asked), done.stderr


def odd_kind():
    """A kind of key that is not supported."""
    return ec.SECP256K1() if Programs.openssl() else "ed25519"


def chains(root):
    """(what, chain, None or the words with which it is refused)"""
    def leaf(*extensions, subject="x", issuer=root, **options):
        return Certificate(subject, issuer, extensions=extensions, **options)

    def authority(*extensions, subject="Intermediate CA", issuer=root, ca=True, **options):
        return Certificate(subject, issuer, ca=ca, extensions=extensions, **options)

    def below(issuer, *more):
        return [leaf(dns(HOST), issuer=issuer), issuer, *more]

    constraint = x509.NameConstraints([x509.DNSName("other.example")], None)
    inner = authority(subject="Inner CA", issuer=(outer := authority(subject="Outer CA")))
    return [
        ("a name", [leaf(dns(HOST))], None),
        ("*.example", [leaf(dns("*.example"))], None),
        ("two CAs between", below(inner, outer), None),
        ("a purpose: server", [leaf(dns(HOST), use(purposes.CLIENT_AUTH, purposes.SERVER_AUTH))], None),
        ("a purpose: any", [leaf(dns(HOST), use(purposes.ANY_EXTENDED_KEY_USAGE))], None),
        ("a CA's purpose: server", below(authority(use(purposes.SERVER_AUTH))), None),
        ("a purpose: client only", [leaf(dns(HOST), use(purposes.CLIENT_AUTH))], "not for TLS servers"),
        ("a purpose before the name", [leaf(use(purposes.CODE_SIGNING), dns(HOST))], "not for TLS servers"),
        ("a CA's purpose: client only", below(authority(use(purposes.CLIENT_AUTH))), "not for TLS servers"),
        ("the outer CA's purpose", below(authority(subject="i", issuer=(o := authority(
            use(purposes.EMAIL_PROTECTION), subject="o"))), o), "not for TLS servers"),
        ("a critical purpose", [leaf(dns(HOST), use(purposes.SERVER_AUTH, critical=True))], "critical extension"),
        ("CN without SAN", [leaf(subject=HOST)], "no subjectAltName"),
        ("CN without SAN, other extensions", [leaf(use(purposes.SERVER_AUTH), subject=HOST, ca=False)],
         "no subjectAltName"),
        ("CN right, SAN of another", [leaf(dns("other.example"), subject=HOST)], "another host name"),
        ("CN right, SAN an address", [leaf(san(x509.RFC822Name("a@b.example")), subject=HOST)], "another host name"),
        ("* alone", [leaf(dns("*"))], "another host name"),
        ("name constraints", below(authority((constraint, False))), "name constraints"),
        ("critical name constraints", below(authority((constraint, True))), "critical extension"),
        ("issued by a leaf", below(authority(ca=False)), "not a CA"),
        ("issued by a CA that may not", below(authority(signs_certificates(False))), "key usage"),
        ("by a CA of the same name", [leaf(dns(HOST), issuer=Certificate("Test CA", ca=True))], "trusted CA"),
    ]


def test_judge():
    """a client accepts and refuses the right chains"""
    root = Certificate("Test CA", ca=True)
    for what, chain, words in chains(root):
        spoke, said = ask(root.pem, chain)
        check(spoke == (words is None), f"{what}: {'accepted' if spoke else 'refused'}: {said}")
        check(words is None or words in said, f"{what}: it does not say {words!r}: {said}")


def test_renewed_ca():
    """a CA that was renewed: the same name with several keys, any of which may have signed"""
    roots = [Certificate("Test CA", ca=True) for _ in range(5)]
    trust = b"".join(r.pem for r in roots[:4])
    for root in roots:
        spoke, said = ask(trust, [Certificate("x", root, extensions=[dns(HOST)])])
        check(spoke == (root is not roots[4]), said)
    spoke, said = ask(b"".join(r.pem for r in roots), [Certificate("x", roots[0], extensions=[dns(HOST)])])
    check(spoke if Programs.openssl() else "too many trusted CAs" in said, said)


def test_trusted_leaf():
    """a server's own certificate may be trusted instead of a CA, but nothing that its key has signed"""
    root = Certificate("Test CA", ca=True)
    leaf = Certificate("x", root, extensions=[dns(HOST)])
    same(ask(leaf.pem, [leaf])[0], True, "the leaf itself")
    check(not ask(leaf.pem, [Certificate("y", leaf, extensions=[dns(HOST)]), leaf])[0], "signed by the leaf")


# ---- Files of CAs ----------------------------------------------------------------------------------------------------

def utf16(text):
    return text.decode().encode("utf-16")


def dresses(certificate):
    """The same certificate in the forms in which editors, systems and tools leave it."""
    pem, text = certificate.pem, certificate.pem.decode()
    return {
        "LF": pem, "CRLF": pem.replace(b"\n", b"\r\n"), "CR": pem.replace(b"\n", b"\r"),
        "byte order mark": b"\xef\xbb\xbf" + pem,
        "UTF-16": utf16(pem), "UTF-16 big end": b"\xfe\xff" + text.encode("utf-16-be"),
        "trailing blanks": pem.replace(b"\n", b" \t\n"), "indented": b"  " + pem.replace(b"\n", b"\n  "),
        "no last line end": pem.rstrip(), "leading blank lines": b"\n \n" + pem, "DER": certificate.der,
        "attributes": b"Bag Attributes\n    localKeyID: 01\nsubject=CN = x\n\nissuer=CN = x\n\n" + pem,
        "openssl x509 -text": subprocess.run(["openssl", "x509", "-text"], input=pem, capture_output=True,
                                             check=True).stdout,
        "old label": pem.replace(b"CERTIFICATE", b"X509 CERTIFICATE"),
        "a key beside it": Certificate("k").key_bytes() + pem,
        "marks of two files": b"\xef\xbb\xbf" + Certificate("other").pem + b"\xef\xbb\xbf" + pem,
    }


def test_ca_dress():
    """--ca: PEM with CRLF, marks, blanks and comments, UTF-16, DER"""
    root = Certificate("Test CA", ca=True)
    leaf = Certificate("x", root, extensions=[dns(HOST)])
    for what, trust in dresses(root).items():
        spoke, said = ask(trust, [leaf])
        check(spoke, f"{what}: {said}")
    spoke, said = ask(Certificate("other", ca=True).der + root.der, [leaf])
    check(spoke, f"DER after DER: {said}")


def test_firmware_ca():
    """FIRMWARE_CA: the image gets that certificate, in whatever form the file has it; nothing else passes"""
    root = Certificate("Test CA", ca=True)
    leaf = Certificate("x", root, extensions=[dns(HOST)])
    environment = dict(os.environ, FIRMWARE_SERVICE_HOST=HOST, FIRMWARE_SERVICE_PORT="1", FIRMWARE_HUB_PORT="1",
                       FIRMWARE_SCOPE="s", FIRMWARE_ID="", FIRMWARE_MESSAGE="m")
    path = os.path.join(Programs.directory(), "ca")
    for what, content in dresses(root).items():
        if what in ("CR", "UTF-16", "UTF-16 big end"):
            continue  # refused by the next loop
        source = run("tests/firmware/image.sh", write_file(path, content), env=environment).bytes
        trust = b"\n".join(re.findall(rb'^ +"(.*)\\n";?$', source, re.M))
        check(b"KEY" not in trust, f"{what}: {source}")
        spoke, said = ask(trust, [leaf])
        check(spoke, f"{what}: {said}")
    for content in (b"", utf16(root.pem), root.key_bytes(), bundle_pkcs7([root], PEM)):
        run("tests/firmware/image.sh", write_file(path, content), env=environment, status=1,
            says="holds no certificate")


def test_ca_bundle():
    """--ca: a bundle as large as a system's, with CAs of kinds that are not supported, which are named"""
    root = Certificate("Test CA", ca=True)
    leaf = Certificate("x", root, extensions=[dns(HOST)])
    odd = Certificate("Odd CA", ca=True, key=odd_kind())
    others = [Certificate(f"CA {i}", ca=True).pem for i in range(300)]
    spoke, said = ask(b"".join(others) + odd.pem + b"# the last one\n" + root.pem, [leaf])
    check(spoke, said)
    check(re.search(r"certificate 301, CN=Odd CA \(serial [0-9A-F]+, (Ed25519|of an unknown curve)\) is passed over",
                    said), said)
    spoke, said = ask(b"".join(others), [leaf])
    check(not spoke and "trusted CA" in said, said)


def test_ca_refused():
    """--ca: a file that is not a certificate is called what it is, with what to do"""
    root, odd = Certificate("Test CA", ca=True), Certificate("Odd CA", ca=True, key=odd_kind())
    request = x509.CertificateSigningRequestBuilder().subject_name(root.x509.subject).sign(
        root.key, root.x509.signature_hash_algorithm)
    damaged = root.pem.split(b"\n")
    damaged[2] = damaged[2][::-1]
    cases = [
        (b"", "holds no certificate"), (b"nonsense\n", "holds no certificate"),
        (root.key_bytes(), "a private key"), (root.key_bytes(DER), "a private key"),
        (request.public_bytes(PEM), "a certificate request"), (request.public_bytes(DER), "a certificate request"),
        (bundle_pkcs7([root], PEM), "openssl pkcs7"), (bundle_pkcs7([root], DER), "openssl pkcs7"),
        (root.pem[:300], "cut off"), (root.pem + b"\n".join(damaged), "certificate 2"),
        (odd.pem, "CN=Odd CA"), (odd.pem, "no certificate that can be used"),
        (root.pem.replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE"), "openssl x509"),
    ]
    for content, words in cases:
        ca = write_file(os.path.join(Programs.directory(), "ca"), content)
        for program in (["dps-admin", "--connection-string-file", connection(1), "list"],
                        ["dps-conformance", "--service", "https://localhost:1", "--scope", "0ne00000A0A"],
                        ["dps-device", "--tpm", "swtpm:127.0.0.1:1", "register", "--service", "https://localhost:1",
                         "--scope", "0ne00000A0A", "--id", "x", "--state", "none"]):
            run(Programs.path(program[0]), *program[1:], "--ca", ca, status=5, says=[ca, words])


# ---- A server's certificate and key ----------------------------------------------------------------------------------

def key_forms(certificate):
    form = serialization.PrivateFormat
    return {"PKCS#8": certificate.key_bytes(), "PKCS#8 DER": certificate.key_bytes(DER),
            "PKCS#1 or SEC1": certificate.key_bytes(PEM, form.TraditionalOpenSSL),
            "PKCS#1 or SEC1 DER": certificate.key_bytes(DER, form.TraditionalOpenSSL),
            "CRLF": certificate.key_bytes().replace(b"\n", b"\r\n"), "UTF-16": utf16(certificate.key_bytes()),
            "byte order mark": b"\xef\xbb\xbf" + certificate.key_bytes()}


def test_identity_dress():
    """--cert and --key in every form, and the service speaks with them"""
    bench = Bench()
    bench.service.stop()
    root = Certificate("Test CA", ca=True)
    names = san(x509.DNSName("localhost"))
    write_file(bench.path("ca.pem"), root.pem)
    for kind in (ec.SECP256R1(), 2048, ec.SECP384R1()):
        leaf = Certificate("x", root, key=kind, extensions=[names])
        pairs = [(leaf.pem, key) for key in key_forms(leaf).values()]
        if kind == 2048:
            pairs += [(pem, leaf.key_bytes()) for pem in dresses(leaf).values() if b"other" not in pem][:-1]
        for certificate, key in pairs:
            write_file(bench.path("cert.pem"), certificate)
            write_file(bench.path("key.pem"), key)
            bench.service.start()
            with socket.create_connection(("127.0.0.1", bench.service.tls_port), PATIENCE) as raw:
                context = trusting(cafile=bench.path("ca.pem"))
                with context.wrap_socket(raw, server_hostname="localhost") as tls:
                    same(tls.getpeercert(True), leaf.der, "the certificate that is shown")
            bench.service.stop()


def test_identity_refused():
    """--cert and --key: the file, what is wrong with it and what to do are named"""
    bench = Bench()
    bench.service.stop()
    root = Certificate("Test CA", ca=True)
    leaf, odd = Certificate("x", root, extensions=[dns(HOST)]), Certificate("Odd", root, key=odd_kind())
    form = serialization.PrivateFormat
    pss = subprocess.run(["openssl", "genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"],
                         capture_output=True, check=True).stdout
    openssh = leaf.key_bytes(PEM, form.OpenSSH)
    cases = [
        (leaf.pem, leaf.key_bytes(password=b"test"), "key.pem holds an encrypted private key; decrypt it"),
        (leaf.pem, leaf.key_bytes(DER, password=b"test"), "key.pem holds an encrypted private key; decrypt it"),
        (leaf.pem, leaf.key_bytes(PEM, form.TraditionalOpenSSL, b"test"), "key.pem holds an encrypted private key"),
        (leaf.pem, openssh, "ssh-keygen"), (leaf.pem, b"", "key.pem holds no private key"),
        (leaf.pem, leaf.pem, "key.pem holds no private key; it is a certificate"),
        (leaf.pem, leaf.key_bytes() + root.key_bytes(), "key.pem holds 2 private keys"),
        (leaf.pem, leaf.key_bytes()[:120], "key.pem is cut off"),
        (leaf.pem, odd.key_bytes(), "key.pem: the key is"),
        (leaf.pem, pss, "the key of key.pem is not that" if Programs.openssl() else "key.pem: the key is"),
        (leaf.pem, root.key_bytes(), "the key of key.pem is not that of the first certificate of cert.pem"),
        (root.pem + leaf.pem, leaf.key_bytes(),
         "cert.pem: the key of key.pem is that of certificate 2: put that one first"),
        (odd.pem, odd.key_bytes(), "cert.pem: certificate 1, CN=Odd"),
        (leaf.pem + odd.pem, leaf.key_bytes(), "cert.pem: certificate 2, CN=Odd"),
        (b"", leaf.key_bytes(), "cert.pem holds no certificate"),
        (leaf.key_bytes(), leaf.key_bytes(), "cert.pem holds no certificate; it is a private key"),
        (bundle_pkcs7([leaf], DER), leaf.key_bytes(), "openssl pkcs7"),
        (leaf.pem[:200], leaf.key_bytes(), "cert.pem is cut off"),
        (leaf.pem + root.pem * 4, leaf.key_bytes(), "cert.pem: the chain is too long"),
    ]
    for certificate, key, words in cases:
        write_file(bench.path("cert.pem"), certificate)
        write_file(bench.path("key.pem"), key)
        code, said = bench.service.fail_to_start()
        same(code, 4, f"exit code for {words!r}: {said}")
        check(words in said, f"it does not say {words!r}: {said}")


# ---- EK certificates -------------------------------------------------------------------------------------------------

def enrolled(bench, content, number=itertools.count()):
    """The modulus that is enrolled for a file; or what is said about it."""
    name = f"device-{next(number)}"
    ek = write_file(os.path.join(Programs.directory(), "ek"), content)
    done = subprocess.run([Programs.path("dps-admin"), "--connection-string-file", bench.connection, "--ca",
                           bench.path("ca.pem"), "enroll", name, "--ek", ek],
                          capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode != 0:
        return done.stderr
    answer = bench.admin("get", name, "--format", "json").out
    public = base64.b64decode(re.search(r'"endorsementKey":\s*"([^"]+)"', answer).group(1))
    return public[-256:]


def test_ek_certificate():
    """--ek: certificates with rsaEncryption and OAEP keys, alone and in chains, PEM and DER, in any order"""
    bench = Bench()
    root = Certificate("EK CA", key=2048, ca=True)
    middle = Certificate("EK CA 2", root, key=2048, ca=True)
    old = Certificate("EK CA of old", root, key=2048, extensions=[signs_certificates(True)])
    ek = Certificate("", middle, key=2048)
    elliptic = Certificate("", middle)
    larger = Certificate("", middle, key=3072)
    modulus = ek.public.public_numbers().n.to_bytes(256, "big")
    plain, with_parameters = oaep(ek, b""), oaep(ek, OAEP_PARAMETERS)

    def pem(der):
        return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"

    def info(der):
        """The SubjectPublicKeyInfo of it, as PEM."""
        at = der.index(bytes.fromhex("06092a864886f70d010107"))
        begin = der.rindex(b"\x30\x82", 0, at)
        length = int.from_bytes(der[begin + 2:begin + 4], "big")
        return (b"-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(der[begin:begin + 4 + length])
                + b"-----END PUBLIC KEY-----\n")

    texts = subprocess.run(["openssl", "x509", "-text"], input=root.pem, capture_output=True, check=True).stdout
    good = [ek.pem, ek.der, plain, with_parameters, pem(plain), pem(with_parameters), base64.b64encode(plain),
            with_parameters.hex().encode(), info(plain), info(with_parameters),
            ek.pem + middle.pem + root.pem, root.pem + middle.pem + ek.pem, old.pem + ek.pem, elliptic.pem + ek.pem,
            larger.pem + ek.pem, ek.pem + ek.pem, root.der + ek.der, ek.der + root.der,
            elliptic.der + middle.der + plain,
            (root.pem + ek.pem).replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + root.pem + ek.pem, texts + ek.pem,
            ek.der + b"\xff" * 100, ek.pem.replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE")]
    for number, content in enumerate(good):
        got = enrolled(bench, content)
        check(got == modulus, f"form {number}: {got}")

    other = Certificate("", middle, key=2048)
    self_signed = Certificate("me", key=2048)
    serial = f"{ek.x509.serial_number:X}"
    bad = [(root.pem, "a CA, CN=EK CA (serial"), (root.der, "a CA, CN=EK CA"), (old.pem, "a CA, CN=EK CA of old"),
           (root.pem + middle.pem, "a CA"), (root.der + middle.der, "a CA"), (self_signed.pem, "has signed itself"),
           (elliptic.pem, "elliptic-curve"), (root.pem + elliptic.pem, "elliptic-curve"),
           (elliptic.der + root.der, "elliptic-curve"), (larger.pem, "RSA-3072"), (root.pem + larger.pem, "RSA-3072"),
           (ek.pem + other.pem, serial), (ek.pem + other.pem, f"{other.x509.serial_number:X}"),
           (ek.der + other.der, "different keys"), (ek.pem + other.pem, "RSA-2048"),
           (bundle_pkcs7([ek], DER), "PKCS#7"), (bundle_pkcs7([ek], PEM), "PKCS#7"),
           (ek.pem + root.pem[:300], "cut off"), (ek.der + root.der[:300], "certificate 2 is damaged")]
    for number, (content, words) in enumerate(bad):
        said = enrolled(bench, content)
        check(isinstance(said, str) and words in said, f"{number}: it does not say {words!r}: {said}")


PASSWORD = "00000009 40000009 0000 00 0000"  # an authorization area with the empty password
OWNER, INDEX = "40000001", "01c00002"


def nv_define(tpm, content):
    """TPM2_NV_DefineSpace and TPM2_NV_Write, as its vendor would. Owner and index may read and write."""
    public = INDEX + "000b 02060006 0000" + len(content).to_bytes(2, "big").hex()
    tpm.ask(f"8002 00000000 0000012a {OWNER} {PASSWORD} 0000 000e {public}")
    for at in range(0, len(content), 256):
        part = content[at:at + 256]
        tpm.ask(f"8002 00000000 00000137 {OWNER} {INDEX} {PASSWORD} {len(part):04x} {part.hex()} {at:04x}")


def nv_undefine(tpm):
    tpm.ask(f"8002 00000000 00000122 {OWNER} {INDEX} {PASSWORD}")


def test_ek_certificate_in_nv():
    """ek: a certificate in NV is compared with the EK, also one with an OAEP key; the file holds nothing else"""
    device = Device("swtpm-unix")
    public = serialization.load_pem_public_key(device.run("ek", "--format", "pem").bytes)
    root = Certificate("EK CA", ca=True)
    own, elliptic = Certificate("", root, public=public), Certificate("", root)
    cases = [(own.der, own.der, "for this EK"), (oaep(own, b""), oaep(own, b""), "for this EK"),
             (oaep(own, OAEP_PARAMETERS) + b"\xff" * 40, oaep(own, OAEP_PARAMETERS), "for this EK"),
             (oaep(Certificate("", root, key=2048), b""), None, "is for another key"),
             (elliptic.der, None, "P-256, not RSA"), (b"\xff" * 100, None, "cannot be read as X.509")]
    for content, alone, words in cases:
        target = device.path("out")
        nv_define(device.tpm, content)
        shown = device.run("ek", "--certificate", target).out
        check(words in shown, f"it does not say {words!r}: {shown}")
        same(read_file(target), alone or read_file(target), "the file")
        nv_undefine(device.tpm)
