# SPDX-License-Identifier: MIT
"""A service with --amqp, and clients of it: SASL by hand, with keys in software; after it python3-qpid-proton, or
frames by hand. What the service sends is read by proton."""

import base64
import hmac
import json
import re
import socket
import struct
import time

import proton

from harness import Bench, write_file
from oracle_support import EK_ATTRIBUTES, EK_POLICY, SRK_ATTRIBUTES
from oracle_wrap import open_blob, sas_text, sas_token, software_key
from server_harness import SCOPE, trusting
from tap import Programs, check, same
from waiting import PATIENCE, wait_until

OPTIONS = ("--amqp", "127.0.0.1:0")
SASL_HEADER, HEADER = b"AMQP\3\1\0\0", b"AMQP\0\1\0\0"
MECHANISMS, INIT, CHALLENGE, RESPONSE, OUTCOME = 0x40, 0x41, 0x42, 0x43, 0x44
OPEN, BEGIN, ATTACH, FLOW, TRANSFER, DETACH, END, CLOSE = 0x10, 0x11, 0x12, 0x13, 0x14, 0x16, 0x17, 0x18
OK, AUTH, TEMPORARY = 0, 1, 4
REGISTER, STATUS = "iotdps-register", "iotdps-get-operationstatus"


class Door:
    """A service, and an EK and an SRK that all devices of a test share."""

    def __init__(self, *options, **service):
        self.bench = Bench(*OPTIONS, *options, **service)
        self.service = self.bench.service
        self.ek, self.ek_2b, _ = software_key(EK_ATTRIBUTES, EK_POLICY)
        self.srk, self.srk_2b, _ = software_key(SRK_ATTRIBUTES)
        self.dir = Programs.directory()
        self.enroll("boiler")

    @property
    def port(self):
        return int(self.service.read("port").split()[-1])

    def enroll(self, name, *options):
        ek = write_file(self.dir + "/ek.txt", base64.b64encode(self.ek_2b))
        self.bench.admin("enroll", name, "--ek", ek, *options)

    def open(self, blob):
        return open_blob(blob, self.ek, self.srk, self.srk_2b)["key"]

    def token(self, name, blob, lifetime=600):
        audience, expiry = f"{SCOPE}/registrations/{name}", int(time.time()) + lifetime
        return sas_token(audience, hmac.digest(self.open(blob), sas_text(audience, expiry), "sha256"), expiry,
                         "registration")

    def log(self):
        return self.service.read("log")

    def says(self, pattern, since=0):
        wait_until(lambda: re.search(pattern, self.log()[since:]), f"the log says {pattern}")

    def socket(self, source="127.0.0.1"):
        """TLS, and nothing else."""
        context = trusting(cafile=self.bench.path("ca.pem"))
        plain = socket.create_connection(("127.0.0.1", self.port), PATIENCE, (source, 0))
        return context.wrap_socket(plain, server_hostname="localhost")

    def raw(self, source="127.0.0.1"):
        return Raw(self, self.socket(source))

    def proven(self, name="boiler"):
        """By hand, after the outcome of SASL."""
        raw = self.raw()
        raw.prove(name)
        return raw

    def peer(self, name="boiler", **more):
        """The same, and proton from there on, with both links."""
        peer = Peer(self.proven(name))
        peer.attach(name, **more)
        return peer


# ---- Frames by hand --------------------------------------------------------------------------------------------------

def described(code, *fields):
    """A list with its descriptor. Fields are encoded already."""
    body = struct.pack(">I", len(fields)) + b"".join(fields)
    return bytes([0, 0x53, code, 0xD0]) + struct.pack(">I", len(body)) + body


def sized(code, data):
    return bytes([code]) + struct.pack(">I", len(data)) + data


def binary(data):
    return sized(0xB0, data)


def string(text):
    return sized(0xB1, text.encode())


def symbol(text):
    return sized(0xB3, text.encode())


def uint(number):
    return b"\x70" + struct.pack(">I", number)


NULL, TRUE, FALSE = b"\x40", b"\x41", b"\x42"


def frame(body, kind=0):
    return struct.pack(">IBBH", 8 + len(body), 2, kind, 0) + body


def sasl_init(name, ek, scope=SCOPE, mechanism="TPM"):
    first = b"\0" + scope.encode() + b"\0" + name.encode() + b"\0" + ek
    return frame(described(INIT, symbol(mechanism), binary(first), string("localhost")), 1)


def response(data):
    return frame(described(RESPONSE, binary(data)), 1)


def attach(name, receives, handle, address=None, settles=NULL):
    named = string(address or f"{SCOPE}/registrations/{name}")
    source, target = described(0x28, *[named][:receives]), described(0x29, *[named][receives:])
    return frame(described(ATTACH, string(f"link-{handle}"), uint(handle), TRUE if receives else FALSE, settles,
                           NULL, source, target, NULL, NULL, uint(0)))


class Raw:
    def __init__(self, door, sock):
        self.door, self.sock = door, sock

    def send(self, data):
        self.sock.sendall(data)

    def take(self, count):
        got = b""
        while len(got) < count:
            more = self.sock.recv(count - len(got))
            check(more, f"closed after {got!r}")
            got += more
        return got

    def frame(self):
        """Descriptor and fields, as proton reads them."""
        size, offset, _, channel = struct.unpack(">IBBH", self.take(8))
        check(offset == 2 and channel == 0, "a plain frame")
        data = proton.Data()
        body = self.take(size - 8)
        same(data.decode(body), len(body), "bytes of the performative")
        data.next()
        value = data.get_py_described()
        return int(value.descriptor), value.value

    def gets(self, code, *fields):
        """The next frame is that."""
        kind, value = self.frame()
        same(kind, code, "descriptor")
        for i, field in enumerate(fields):
            same(value[i], field, f"field {i} of {code:#x}")
        return value

    def ends(self):
        """Wait until the service closes, in good order, and close as well. Nothing may have come."""
        same(self.sock.recv(100), b"", "before the end")
        self.sock.close()

    def begin(self):
        self.send(SASL_HEADER)
        same(self.take(8), SASL_HEADER, "header")
        same(list(self.gets(MECHANISMS)[0].elements), [proton.symbol("TPM")], "mechanisms")

    def name(self, name="boiler", ek=None, scope=SCOPE):
        """Up to the SRK."""
        self.begin()
        self.send(sasl_init(name, ek or self.door.ek_2b, scope))
        self.gets(CHALLENGE, b"\0")
        self.send(response(b"\0" + self.door.srk_2b))

    def blob(self):
        """Both segments of the challenge, each in a frame of 512 bytes at most."""
        first = self.gets(CHALLENGE)[0]
        same((first[:1], len(first)), (b"\x80", 487), "the first segment")
        self.send(response(b"\0"))
        second = self.gets(CHALLENGE)[0]
        check(second[:1] == b"\xc1" and len(second) <= 487, "the last segment")
        return first[1:] + second[1:]

    def prove(self, name="boiler", token=None):
        self.name(name)
        blob = self.blob()
        token = token or self.door.token(name, blob)
        self.send(response(b"\0" + token.encode()))
        self.gets(OUTCOME, OK)
        return token

    def refused(self, code=AUTH):
        self.gets(OUTCOME, code)
        self.ends()

    def session(self, name="boiler"):
        """Both links."""
        self.send(HEADER + frame(described(OPEN, string("by hand"))))
        same(self.take(8), HEADER, "header")
        self.gets(OPEN)
        self.send(frame(described(BEGIN, NULL, uint(0), uint(100), uint(100))))
        self.gets(BEGIN)
        self.send(attach(name, True, 0) + attach(name, False, 1))
        self.gets(ATTACH)
        self.gets(ATTACH)
        self.gets(FLOW)

    def closed(self, condition):
        error = self.gets(CLOSE)[0]
        same(str(error.value[0]), condition, "condition")
        self.ends()
        return json.loads(error.value[1])


# ---- proton ----------------------------------------------------------------------------------------------------------

class Peer:
    """Proton's engine over a socket: it reads and writes AMQP, we move the bytes."""

    def __init__(self, raw):
        self.raw, self.transport, self.connection = raw, proton.Transport(), proton.Connection()
        self.connection.container = "proton"
        self.transport.bind(self.connection)
        self.tags = 0

    def until(self, condition, what):
        while True:
            while (count := self.transport.pending()) > 0:
                data = self.transport.peek(count)
                self.raw.send(data)
                self.transport.pop(len(data))
            if condition():
                return
            data = self.raw.sock.recv(65536)
            check(data, f"closed before {what}: {self.connection.remote_condition}")
            self.transport.push(data)

    @staticmethod
    def active(endpoint):
        return lambda: bool(endpoint.state & proton.Endpoint.REMOTE_ACTIVE)

    @staticmethod
    def gone(endpoint):
        return lambda: bool(endpoint.state & proton.Endpoint.REMOTE_CLOSED)

    def attach(self, name="boiler", address=None, version=None):
        address = address or f"{SCOPE}/registrations/{name}"
        self.connection.open()
        self.session = self.connection.session()
        self.session.open()
        self.receiver = self.session.receiver("receiver")
        self.receiver.source.address = address
        self.sender = self.session.sender("sender")
        self.sender.target.address = address
        for link in (self.receiver, self.sender):
            if version is not None:
                link.properties = {proton.symbol("com.microsoft:api-version"): version}
            link.open()
        self.receiver.flow(10)
        for link in (self.receiver, self.sender):
            self.until(self.active(link), "attach")
        same(self.receiver.remote_source.address, address, "source")
        same(self.sender.remote_target.address, address, "target")
        self.until(lambda: self.sender.credit > 0, "credit")

    def send(self, kind, operation=None, correlation="c-1", body=b"{}", settled=False):
        """Returns: the delivery, once it has an outcome."""
        properties = {"iotdps-operation-type": kind}
        if operation is not None:
            properties["iotdps-operation-id"] = operation
        message = proton.Message(properties=properties, body=body, inferred=True)
        if correlation is not None:
            message.correlation_id = correlation
        self.tags += 1
        delivery = self.sender.delivery(str(self.tags))
        self.sender.send(message.encode())
        if settled:
            delivery.settle()
        self.sender.advance()
        if not settled:
            self.until(lambda: delivery.remote_state, "an outcome")
        return delivery

    def answer(self):
        """The message that comes next, and its JSON."""
        self.until(lambda: self.receiver.current and not self.receiver.current.partial, "an answer")
        delivery, message = self.receiver.current, proton.Message()
        message.decode(self.receiver.recv(delivery.pending))
        delivery.update(proton.Delivery.ACCEPTED)
        delivery.settle()
        self.receiver.advance()
        check(message.inferred, "a data section")
        return message, json.loads(bytes(message.body))

    def ask(self, *arguments, **more):
        same(self.send(*arguments, **more).remote_state, proton.Delivery.ACCEPTED, "outcome")
        return self.answer()

    def rejected(self, *arguments, **more):
        """Condition, and error JSON."""
        return self.reason(self.send(*arguments, **more))

    @staticmethod
    def reason(delivery):
        same(delivery.remote_state, proton.Delivery.REJECTED, "outcome")
        condition = delivery.remote.condition
        return condition.name, json.loads(condition.description), condition.info

    def register(self):
        """Returns: the state at the end, with the hub's key."""
        _, first = self.ask(REGISTER)
        same(first["status"], "assigning", "status")
        _, last = self.ask(STATUS, first["operationId"])
        same(last["status"], "assigned", "status")
        return last["registrationState"]

    def end(self):
        for endpoint in (self.sender, self.receiver, self.session, self.connection):
            endpoint.close()
            self.until(self.gone(endpoint), "its end")
        self.raw.ends()
