# SPDX-License-Identifier: MIT
"""MQTT and AMQP over WebSocket, --websocket: paho, and frames by hand [RFC 6455]. Needs python3-paho-mqtt and
python3-qpid-proton."""

import base64
import contextlib
import os
import re
import resource
import signal
import socket
import ssl
import struct
import time

import amqp_harness as amqp
from mqtt_harness import PING, PONG, WEBSOCKET, Hub, Paho, Raw, connect, packet, publish, text
from server_harness import trusting
from tap import check, same
from waiting import PATIENCE, wait_until

# RFC 6455 1.3.
KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
HEADERS = {"Host": "localhost", "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
           "Sec-WebSocket-Key": KEY, "Sec-WebSocket-Protocol": "mqtt"}
CONTINUED, TEXT, BINARY, CLOSE, A_PING, A_PONG = 0, 1, 2, 8, 9, 10
CONNECTED = b"\x20\x02\x00\x00"


def shared():
    return Hub("--websocket", "--metrics", "127.0.0.1:0")


def frame(opcode, content=b"", last=True, mask=None):
    mask = os.urandom(4) if mask is None else mask
    length = len(content)
    size = (bytes([0x80 | length]) if length < 126 else b"\xfe" + struct.pack(">H", length) if length < 65536
            else b"\xff" + struct.pack(">Q", length))
    return (bytes([opcode | (0x80 if last else 0)]) + size + mask
            + bytes(b ^ mask[i % 4] for i, b in enumerate(content)))


def request(path=WEBSOCKET, method="GET", version="1.1", **changed):
    headers = HEADERS | {name.replace("_", "-"): value for name, value in changed.items()}
    lines = [f"{method} {path} HTTP/{version}", *(f"{n}: {v}" for n, v in headers.items() if v is not None), "", ""]
    return "\r\n".join(lines).encode()


class Client(Raw):
    """TLS to the HTTPS port, and what a WebSocket's client says."""

    def __init__(self, hub, port=None):
        plain = socket.create_connection(("127.0.0.1", port or hub.service.tls_port), PATIENCE)
        context = trusting(cafile=hub.bench.path("ca.pem"))
        super().__init__(plain if port else context.wrap_socket(plain, server_hostname=hub.hub))

    def ask(self, *arguments, **changed):
        self.send(request(*arguments, **changed))
        return self.head()

    def head(self):
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.take(1)
        return head.decode()

    def message(self):
        """Opcode and content of the next frame, which is whole, not masked, and has the shortest length."""
        first, size = self.take(2)
        check(first & 0xF0 == 0x80 and size < 127, f"frame begins {first:02x}{size:02x}")
        if size == 126:
            [size] = struct.unpack(">H", self.take(2))
        return first & 15, self.take(size) if size else b""

    def says(self, content, what):
        same(self.message(), (BINARY, content), what)

    def closes(self, code):
        same(self.message(), (CLOSE, struct.pack(">H", code)), "the last frame")
        self.ends()


def opened(hub, port=None, **headers):
    client = Client(hub, port)
    head = client.ask(**headers)
    check(head.startswith("HTTP/1.1 101 "), head)
    return client


class Carried:
    """What AMQP takes for its socket. Plain HTTP, as a proxy would have it."""

    def __init__(self, door):
        self.client, self.content = opened(door, door.service.plain_port, Sec_WebSocket_Protocol="AMQPWSB10"), b""

    def sendall(self, data):
        self.client.send(frame(BINARY, data))

    def recv(self, count):
        if not self.content:
            opcode, self.content = self.client.message()
            check(opcode in (BINARY, CLOSE), f"opcode {opcode}")
            self.content = self.content if opcode == BINARY else b""
        taken, self.content = self.content[:count], self.content[count:]
        return taken

    def close(self):
        self.client.sock.close()


def proven(door, name="boiler"):
    peer = amqp.Raw(door, Carried(door))
    peer.prove(name)
    return peer


def hello(hub):
    return connect(hub.user, hub.token())


def connected(hub, port=None):
    client = opened(hub, port)
    client.send(frame(BINARY, hello(hub)))
    client.says(CONNECTED, "CONNACK")
    return client


# ---- Other people's ----

def test_paho(hub):
    """paho over WebSocket: telemetry, subscriptions, a message of 100 KB"""
    before = len(hub.log())
    device = Paho(hub, websocket=True)
    same(device.codes, [(0, 0)], "CONNACK")
    device.send(hub.topic + "k=v")
    device.client.subscribe([("$iothub/twin/res/#", 0), ("x", 1)])
    wait_until(lambda: device.granted, "SUBACK")
    same(device.granted, [(0, 128)], "granted")
    device.send(hub.topic, "x" * 100000)
    device.stop()
    hub.says(r"event=answered method=GET route=other status=101 ", before)
    hub.says(r"event=answered method=CONNECT route=hub id=boiler status=204 ", before)


# ---- The handshake [RFC 6455 4.2] ----

def test_handshake(hub):
    """the answer is that of the standard; names of headers and options may be written in any way"""
    head = Client(hub).ask()
    same(head.split("\r\n"), ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
                              f"Sec-WebSocket-Accept: {ACCEPT}", "Sec-WebSocket-Protocol: mqtt", "", ""], "head")
    for changed in ({"Connection": "keep-alive, Upgrade"}, {"Upgrade": "WebSocket"},
                    {"Sec_WebSocket_Protocol": "v12.stomp , mqtt,mqttv3.1"},
                    {"Sec_WebSocket_Extensions": "permessage-deflate; client_max_window_bits"},
                    {"path": WEBSOCKET + "?iothub-no-client-cert=true"}, {"path": "/"}):
        head = Client(hub).ask(**changed)
        check("101" in head and "Protocol: mqtt\r\n" in head and "Extensions" not in head, head)
    head = Client(hub).ask(Sec_WebSocket_Protocol="MQTT")
    check("101" in head and "Protocol: MQTT\r\n" in head, head)


def test_handshake_refused(hub):
    """what is no handshake gets 400 and the version; another method or path is a request like others"""
    for changed in ({"Connection": "keep-alive"}, {"Upgrade": "h2c"}, {"Upgrade": None},
                    {"Sec_WebSocket_Version": "8"}, {"Sec_WebSocket_Version": None},
                    {"Sec_WebSocket_Key": None}, {"Sec_WebSocket_Key": "AAAA"},
                    {"Sec_WebSocket_Protocol": None}, {"Sec_WebSocket_Protocol": "mqtt/3"},
                    {"Sec_WebSocket_Protocol": ""}, {"version": "1.0"}):
        head = Client(hub).ask(**changed)
        check(head.startswith("HTTP/1.1 400 ") and "Sec-WebSocket-Version: 13\r\n\r\n" in head, head)
    for changed in ({"path": WEBSOCKET + "/"}, {"path": "//"}, {"path": "/", "Upgrade": None},
                    {"path": "/", "Upgrade": "h2c"}, {"method": "POST", "Content_Length": "0"}):
        head = Client(hub).ask(**changed)
        check(re.match("HTTP/1.1 (404|405) ", head) and "Sec-WebSocket" not in head, head)


def test_around(hub):
    """requests before the handshake, its body, and frames right after it are told apart, whichever way it is framed"""
    said = frame(BINARY, hello(hub)) + frame(BINARY, PING)
    for begin in (request(), request("https://localhost" + WEBSOCKET), request(Content_Length="7") + said[:7],
                  request(Transfer_Encoding="chunked") + b"7\r\n" + said[:7] + b"\r\n0\r\n\r\n"):
        for port in (None, hub.service.plain_port):
            client = Client(hub, port)
            client.send(request("/nowhere", method="HEAD") + begin + said)
            check(client.head().startswith("HTTP/1.1 404 "), "what was asked first")
            check(client.head().startswith("HTTP/1.1 101 "), "the handshake")
            client.says(CONNECTED, "CONNACK")
            client.says(PONG, "PINGRESP")
            client.sock.close()
    head = Client(hub).ask(method="HEAD")
    check(re.match("HTTP/1.1 40[45] ", head), head)


def test_amqp(hub):
    """AMQP is spoken in it as well: the header, and the mechanisms of SASL (Node's package goes on from there)"""
    client = opened(hub, Sec_WebSocket_Protocol="AMQPWSB10, mqtt")
    client.send(frame(BINARY, b"AMQP\x03\x01") + frame(BINARY, b"\0\0"))
    opcode, answer = client.message()
    check(opcode == BINARY and answer.startswith(b"AMQP\x03\x01\0\0") and b"TPM" in answer, answer)
    client.send(frame(BINARY, b"AMQP\x03\x01\0\0"))
    while opcode != CLOSE:
        opcode, answer = client.message()
    same(answer, b"\x03\xe8", "the last frame")
    client.ends()


def test_left_out(_):
    """without --websocket the path is not there"""
    head = Client(Hub()).ask()
    check(head.startswith("HTTP/1.1 404 "), head)


def test_proxy():
    """behind a proxy, over plain HTTP: the log names the client that the handshake has named"""
    hub = Hub("--websocket", "--proxy-listen", "127.0.0.1:0")
    port = int(hub.service.read("port").split()[1])
    client = opened(hub, port, X_Forwarded_For="192.0.2.7")
    client.send(frame(BINARY, hello(hub)))
    client.says(CONNECTED, "CONNACK")
    hub.says("method=CONNECT route=hub id=boiler status=204 .*client=192.0.2.7")


# ---- Frames [RFC 6455 5] ----

def test_cut(hub):
    """the borders of frames mean nothing: a byte each, two packets in one, a message in fragments with pings between"""
    client = opened(hub)
    said = hello(hub)
    client.send(b"".join(frame(BINARY, said[i:i + 1]) for i in range(len(said))))
    client.says(CONNECTED, "CONNACK")
    client.send(frame(BINARY, publish(hub.topic, packet_id=7) + PING + publish(hub.topic, packet_id=8)))
    for content in (b"\x40\x02\x00\x07", PONG, b"\x40\x02\x00\x08"):
        client.says(content, "answers")
    sent = publish(hub.topic, b"x" * 50, packet_id=9)
    client.send(frame(BINARY, sent[:20], last=False) + frame(A_PING, b"still there?")
                + frame(CONTINUED, sent[20:30], last=False) + frame(A_PONG) + frame(A_PING)
                + frame(CONTINUED, sent[30:] + PING))
    same(client.message(), (A_PONG, b"still there?"), "pong")
    same(client.message(), (A_PONG, b""), "pong")
    client.says(b"\x40\x02\x00\x09", "PUBACK")
    client.says(PONG, "PINGRESP")
    # Byte by byte, the frames themselves.
    for byte in frame(BINARY, PING) + frame(A_PING, b"?") + frame(CLOSE, b"\x03\xe8bye"):
        client.send(bytes([byte]))
    client.says(PONG, "PINGRESP")
    same(client.message(), (A_PONG, b"?"), "pong")
    client.closes(1000)


def test_lengths(hub):
    """each form of length; a packet that nobody has room for ends the connection"""
    client = connected(hub)
    for size in (60, 200, 70000, 120000):
        client.send(frame(BINARY, publish(hub.topic, b"x" * size)))
        client.says(b"\x40\x02\x00\x01", f"PUBACK of {size}")
    before = len(hub.log())
    client.send(frame(BINARY, packet(0x32, text(hub.topic) + b"\0\1" + b"x" * 256 * 1024)[:2000]))
    client.closes(1000)
    hub.says("event=refused .*status=413", before)


def test_refused(hub):
    """what breaks a rule is answered with a close that says so, before a CONNECT and after it"""
    wrong = {1002: (b"\x82\x02" + PING, b"\xc2\x82", b"\x83\x82", frame(A_PING, b"x", last=False),
                    frame(A_PING, b"x" * 126), frame(CONTINUED, PING), frame(BINARY), b"\x82\xfe\x00\x02",
                    frame(BINARY, PING[:1], last=False) + frame(BINARY, PING[1:])),
             1003: (frame(TEXT, PING),)}
    for code, all_of_them in wrong.items():
        for bad in all_of_them:
            bad += b"\0" * 14  # a header is judged when it is all there
            for client in (opened(hub), connected(hub)):
                client.send(bad)
                client.closes(code)


def test_close(hub):
    """a close is answered by a close, also in the middle of a message"""
    for begin in (b"", frame(BINARY, PING[:1], last=False)):
        client = connected(hub)
        client.send(begin + frame(CLOSE, struct.pack(">H", 1001) + b"going"))
        client.closes(1000)


def test_unauthorized(hub):
    """a wrong token: CONNACK 5 in a message, and a close"""
    client = opened(hub)
    client.send(frame(BINARY, connect(hub.user, hub.token() + "0")))
    client.says(b"\x20\x02\x00\x05", "CONNACK")
    client.closes(1000)


def test_replaced(hub):
    """a device has one connection, whichever way it came"""
    over_websocket = connected(hub)
    over_tls = hub.connected()
    check(over_websocket.sock.recv(100) in (b"", b"\x88\x02\x03\xe8"), "the first one goes on")
    over_websocket = connected(hub)
    over_tls.ends()
    over_websocket.send(frame(BINARY, PING))
    over_websocket.says(PONG, "PINGRESP")


def test_random(hub):
    """frames with random bytes never bring the service down"""
    for _ in range(100):
        client = opened(hub)
        try:
            client.send(frame(BINARY, hello(hub)) + os.urandom(200))
            while client.sock.recv(1000):
                pass
        except (ConnectionError, ssl.SSLError, TimeoutError):
            pass
        client.sock.close()
    connected(hub).sock.close()


def test_key(hub):
    """another key has another answer, as the standard computes it"""
    head = Client(hub).ask(Sec_WebSocket_Key=base64.b64encode(bytes(16)).decode())
    check("Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n" in head, head)


# ---- What frames of control must not do ----

def test_trickle(_):
    """pings do not move the deadline of a packet that has begun, whether its length is known or not"""
    hub = Hub("--websocket", timeouts="head=300,body=300,linger=600000")
    for begin in (hello(hub)[:1], hello(hub)[:20]):
        client = opened(hub)
        client.send(frame(BINARY, begin))
        for _ in range(200):
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                client.send(frame(A_PING))
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                if client.sock.recv(100) == b"":
                    break
            time.sleep(0.05)
        else:
            check(False, "it trickles for ever")


@contextlib.contextmanager
def stopped(service):
    """What arrives meanwhile is answered in one turn."""
    service.process.send_signal(signal.SIGSTOP)
    wait_until(lambda: re.search(r"State:\s+T", open(f"/proc/{service.process.pid}/status").read()), "it has stopped")
    yield
    service.process.send_signal(signal.SIGCONT)


def test_store_fails():
    """a commit that fails takes back what relies on it: no handshake, and no pong, whatever was asked before it"""
    door = amqp.Door("--websocket")
    door.enroll("pump")
    writer, other = amqp.Peer(proven(door, "pump")), amqp.Peer(proven(door))
    for peer, name in ((writer, "pump"), (other, "boiler")):
        peer.attach(name)
    other.ask(amqp.REGISTER)
    limits = resource.prlimit(door.service.process.pid, resource.RLIMIT_FSIZE)
    fresh = Client(door, door.service.plain_port)
    with stopped(door.service):
        resource.prlimit(door.service.process.pid, resource.RLIMIT_FSIZE, (1, limits[1]))
        writer.send(amqp.REGISTER, settled=True)
        writer.until(lambda: True, "sent")
        other.raw.sock.client.send(frame(A_PING, b"?"))
        fresh.send(request())
    error = writer.raw.closed("amqp:internal-error")
    same(error["errorCode"], 503001, "the writer's error")
    same(other.raw.sock.client.message(), (A_PONG, b"?"), "pong")
    same(fresh.take(12), b"HTTP/1.1 101", "handshake")
    resource.prlimit(door.service.process.pid, resource.RLIMIT_FSIZE, limits)
    writer = amqp.Peer(proven(door, "pump"))
    writer.attach("pump")
    writer.register()


# ---- Signals ----

def test_stop_delay():
    """while SIGTERM waits for load balancers, devices still come, and are assigned over AMQP"""
    door = amqp.Door("--websocket", "--metrics", "127.0.0.1:0", timeouts="stop=600000,drain=600000")
    door.service.process.send_signal(signal.SIGTERM)
    door.says("event=stopping")
    peer = amqp.Peer(proven(door))
    peer.attach()
    peer.register()
    door.service.process.send_signal(signal.SIGTERM)
    same(door.service.process.wait(60), 0, "exit code")


def test_last_pong(_):
    """a connection that has to end does so with a close, also after a pong"""
    hub = Hub("--websocket", "--metrics", "127.0.0.1:0", timeouts="stop=600000")
    client = connected(hub)
    hub.service.process.send_signal(signal.SIGTERM)
    hub.says("event=stopping")
    client.send(frame(A_PING))
    same(client.message(), (A_PONG, b""), "pong")
    client.closes(1000)


def test_ping_is_no_request():
    """a ping after a request is not counted as one more of its kind"""
    door = amqp.Door("--websocket", "--metrics", "127.0.0.1:0")
    peer = amqp.Peer(proven(door))
    peer.attach()
    peer.ask(amqp.REGISTER)
    name = 'dps_answer_seconds_count{route="register"}'
    before = door.service.sample(name)
    for _ in range(3):
        peer.raw.sock.client.send(frame(A_PING))
        same(peer.raw.sock.client.message(), (A_PONG, b""), "pong")
    same(door.service.sample(name), before, name)


# ---- The log ----

def test_log(_):
    """handshakes, which anybody may have, do not fill the log"""
    hub = Hub("--websocket")
    for _ in range(60):
        opened(hub, hub.service.plain_port).sock.close()
    hub.says("event=\"lines were left out of the log\".* events=[1-9]")
