# SPDX-License-Identifier: MIT
"""A TLS 1.2 client that writes any records [RFC 5246 6.2], also such as no library would send."""

import hashlib
import hmac
import os
import ssl
import struct
import tempfile

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ALERT, HANDSHAKE, DATA = 21, 22, 23
WARNING = bytes([1, 90])                                    # user_canceled [RFC 5246 7.2]
CLIENT_HELLO = b"\x01\x00\x00\x2b\x03\x03" + bytes(32) + b"\x00\x00\x04\xc0\x2b\xc0\x2f\x01\x00"
RANDOM = slice(5 + 4 + 2, 5 + 4 + 2 + 32)                   # of a ServerHello in the first record


def plain(kind, content, version=0x0303):
    return struct.pack(">BHH", kind, version, len(content)) + content


def prf(secret, label, seed, size):
    """[RFC 5246 5]"""
    out, a = b"", label + seed
    while len(out) < size:
        a = hmac.digest(secret, a, hashlib.sha256)
        out += hmac.digest(secret, a + label + seed, hashlib.sha256)
    return out[:size]


class Records:
    """The handshake is the library's; the records after it are made here [RFC 5288]."""

    def __init__(self, sock):
        self.sock, self.sequence, self.received = sock, 1, 1  # Finished was 0
        incoming, outgoing, received = ssl.MemoryBIO(), ssl.MemoryBIO(), b""
        with tempfile.TemporaryDirectory() as directory:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers("ECDHE+AES128+AESGCM")
            context.keylog_filename = os.path.join(directory, "keys")
            tls = context.wrap_bio(incoming, outgoing)
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    sock.sendall(outgoing.read())
                    got = sock.recv(65536)
                    if not got:
                        raise ConnectionError("closed in the handshake") from None
                    received += got
                    incoming.write(got)
            with open(context.keylog_filename, encoding="ascii") as f:
                _, client, master = [line for line in f if line.startswith("CLIENT_RANDOM")][-1].split()
        block = prf(bytes.fromhex(master), b"key expansion", received[RANDOM] + bytes.fromhex(client), 2 * 16 + 2 * 4)
        self.key, self.salt = AESGCM(block[:16]), block[32:36]
        self.peer_key, self.peer_salt = AESGCM(block[16:32]), block[36:40]

    def make(self, kind, content):
        number = struct.pack(">Q", self.sequence)
        self.sequence += 1
        about = number + struct.pack(">BHH", kind, 0x0303, len(content))
        return plain(kind, number + self.key.encrypt(self.salt + number, content, about))

    def send(self, *records):
        self.sock.sendall(b"".join(self.make(kind, content) for kind, content in records))

    def exactly(self, size):
        data = b""
        while len(data) < size:
            got = self.sock.recv(size - len(data))
            if not got:
                raise ConnectionError("closed")
            data += got
        return data

    def read(self):
        """The content of the next record with data."""
        while True:
            kind, version, size = struct.unpack(">BHH", self.exactly(5))
            record = self.exactly(size)
            about = struct.pack(">QBHH", self.received, kind, version, size - 8 - 16)
            self.received += 1
            content = self.peer_key.decrypt(self.peer_salt + record[:8], record[8:], about)
            if kind == DATA:
                return content
