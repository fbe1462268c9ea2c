# SPDX-License-Identifier: MIT
"""A service with the hub's MQTT and a device that has registered, and packets by hand."""

import re
import select
import socket
import ssl
import struct

import paho.mqtt.client as paho
from harness import Bench, Device, run
from server_harness import trusting
from tap import check, same
from waiting import PATIENCE, wait_until

OPTIONS = ("--hub-mqtt", "127.0.0.1:0")
WEBSOCKET = "/$iothub/websocket"


class Hub:
    """A service with a hub, and a device that has registered."""

    def __init__(self, *options, **service):
        self.bench = Bench(*OPTIONS, *options, **service)
        self.service = self.bench.service
        self.port = int(self.service.read("port").split()[-1])
        self.device = Device("libtpms")
        self.bench.enroll(self.device, "boiler")
        self.hub = self.bench.register(self.device, "boiler").field("Hub")
        self.topic = "devices/boiler/messages/events/"
        self.user = f"{self.hub}/boiler/?api-version=2021-04-12"

    def token(self, *options):
        return self.device.run("token", "--state", self.device.path("state"), *options).out.strip()

    def hello_of(self, name):
        """The CONNECT of one more device, which has the same TPM and registers first."""
        state = self.device.path(name + ".state")
        self.bench.enroll(self.device, name)
        hub = self.bench.register(self.device, name, "--state", state).field("Hub")
        token = self.device.run("token", "--state", state).out.strip()
        return connect(f"{hub}/{name}", token, client_id=name)

    def log(self):
        return self.service.read("log")

    def says(self, pattern, since=0):
        wait_until(lambda: re.search(pattern, self.log()[since:]), f"the log says {pattern}")

    def mosquitto(self, program, *options, status=0, **others):
        names = ("-h", "localhost", "-p", str(self.port), "--cafile", self.bench.path("ca.pem"), "-V", "mqttv311",
                 "-i", "boiler", "-u", self.user)
        return run(program, *names, *(() if "-P" in options else ("-P", self.token())), *options, status=status,
                   **others)

    def raw(self, source="127.0.0.1"):
        """TLS, and nothing else."""
        context = trusting(cafile=self.bench.path("ca.pem"))
        plain = socket.create_connection(("127.0.0.1", self.port), PATIENCE, (source, 0))
        return Raw(context.wrap_socket(plain, server_hostname=self.hub))

    def connected(self, keep_alive=0, hello=None, **more):
        hello = hello or connect(self.user, self.token(), keep_alive, **more)
        client = self.raw()
        client.send(hello)
        same(client.take(4), b"\x20\x02\x00\x00", "CONNACK")
        return client

    def refused(self, hello, code=5):
        """A CONNECT that is answered with a code, and no more."""
        client = self.raw()
        client.send(hello)
        same(client.take(4), b"\x20\x02\x00" + bytes([code]), "CONNACK")
        client.ends()


class Raw:
    """Packets by hand."""

    def __init__(self, sock):
        self.sock = sock

    def send(self, data):
        self.sock.sendall(data)

    def await_bytes(self):
        """OpenSSL 3.5, when it has to wait, takes the last error of another connection for one of this connection."""
        if not isinstance(self.sock, ssl.SSLSocket) or self.sock.pending() == 0:
            select.select([self.sock], [], [], PATIENCE)

    def take(self, count):
        got = b""
        while len(got) < count:
            self.await_bytes()
            more = self.sock.recv(count - len(got))
            check(more, f"closed after {got!r}")
            got += more
        return got

    def ends(self):
        """Wait until the service closes, in good order, and close as well. Nothing may have come."""
        same(self.sock.recv(100), b"", "before the end")
        self.sock.close()


class Paho:
    """A client of paho with everything that it was told."""

    def __init__(self, hub, keep_alive=60, clean=False, websocket=False, port=None, name="boiler"):
        # From version 2 on, paho asks which form its callbacks have.
        form = {"callback_api_version": paho.CallbackAPIVersion.VERSION1} if hasattr(paho, "CallbackAPIVersion") else {}
        self.client = paho.Client(client_id=name, clean_session=clean, protocol=paho.MQTTv311, **form,
                                  transport="websockets" if websocket else "tcp")
        self.client.ws_set_options(path=WEBSOCKET)
        self.client.username_pw_set(hub.user, hub.token())
        self.client.tls_set(hub.bench.path("ca.pem"))
        self.client.reconnect_delay_set(1, 1)
        self.codes, self.ends, self.messages, self.granted = [], [], [], []
        self.client.on_connect = lambda c, u, flags, rc: self.codes.append((rc, flags["session present"]))
        self.client.on_disconnect = lambda c, u, rc: self.ends.append(rc)
        self.client.on_message = lambda c, u, m: self.messages.append((m.topic, m.qos, m.payload))
        self.client.on_subscribe = lambda c, u, mid, granted: self.granted.append(granted)
        port = port or (hub.service.tls_port if websocket else hub.port)
        self.client.connect("localhost", port, keep_alive)
        self.client.loop_start()
        wait_until(lambda: self.codes, "paho is connected")

    def send(self, topic, payload="{}", qos=1):
        sent = self.client.publish(topic, payload, qos)
        sent.wait_for_publish(PATIENCE)
        check(sent.is_published(), "no PUBACK")

    def stop(self):
        self.client.disconnect()
        self.client.loop_stop()


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(value)) + value


def packet(first, body):
    length, left = b"", len(body)
    while not length or left:
        length += bytes([left % 128 + (128 if left > 127 else 0)])
        left //= 128
    return bytes([first]) + length + body


def connect(user, token, keep_alive=0, client_id="boiler", flags=0xC0, will=b""):
    return packet(0x10, text("MQTT") + bytes([4, flags]) + struct.pack(">H", keep_alive) + text(client_id) + will
                  + text(user) + text(token))


def publish(topic, payload=b"{}", packet_id=1):
    return packet(0x32, text(topic) + struct.pack(">H", packet_id) + payload)


PING, PONG = b"\xc0\x00", b"\xd0\x00"


def gone(client):
    """Is a ping not answered any more?"""
    try:
        client.send(PING)
        return client.sock.recv(2) == b""
    except (ConnectionError, ssl.SSLError):
        return True
