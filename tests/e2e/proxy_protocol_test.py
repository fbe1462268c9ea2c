# SPDX-License-Identifier: MIT
"""The PROXY protocol, --proxy-protocol: a proxy that passes TLS through says who its client is. Headers are made by
hand, after the protocol's own text (version 2, section 2.2); tests/faults has HAProxy."""

import os
import socket
import struct

from mqtt_harness import PING, PONG, Hub, Raw, connect
from server_harness import trusting
from tap import check, same
from waiting import PATIENCE
from websocket_test import BINARY, frame, request

PROXY = "127.0.0.9"
SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")
LOCAL, PROXIED = b"\x20", b"\x21"


def shared():
    return Hub("--websocket", "--proxy-protocol", PROXY, "--proxy-protocol", "192.0.2.1", "--client-connections", "2")


def header(content, command=PROXIED, family=b"\x11"):
    return SIGNATURE + command + family + struct.pack(">H", len(content)) + content


def v4(client, port=4711, extras=b""):
    return header(socket.inet_aton(client) + socket.inet_aton("198.51.100.1") + struct.pack(">HH", port, 443) + extras)


def v6(client, port=4711):
    return header(socket.inet_pton(socket.AF_INET6, client) + bytes(16) + struct.pack(">HH", port, 443), family=b"\x21")


def behind(hub, introduction, port=None, source=PROXY):
    plain = socket.create_connection(("127.0.0.1", port or hub.port), PATIENCE, (source, 0))
    plain.sendall(introduction)
    context = trusting(cafile=hub.bench.path("ca.pem"))
    return Raw(context.wrap_socket(plain, server_hostname=hub.hub))


def says_hello(hub, client):
    client.send(connect(hub.user, hub.token()))
    same(client.take(4), b"\x20\x02\x00\x00", "CONNACK")


def test_named(hub):
    """the log names the client that the proxy names, IPv4 and IPv6, whatever else is said of it"""
    for introduction, peer in ((v4("203.0.113.5"), r"203\.0\.113\.5:4711"),
                               (v4("203.0.113.6", extras=b"\x01\x00\x02h2\x04\x00\x00"), r"203\.0\.113\.6:4711"),
                               (v6("2001:db8::7"), r"\[2001:db8::7\]:4711"),
                               (v6("::ffff:203.0.113.8"), r"\[::ffff:203\.0\.113\.8\]:4711")):
        client = behind(hub, introduction)
        says_hello(hub, client)
        hub.says(f"method=CONNECT route=hub id=boiler status=204 .*peer={peer}")
        client.sock.close()


def test_both_listeners(hub):
    """it is the same at the port of HTTPS"""
    client = behind(hub, v4("203.0.113.9"), hub.service.tls_port)
    client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    same(client.take(12), b"HTTP/1.1 404", "answer")
    hub.says(r"method=GET .*status=404 .*peer=203\.0\.113\.9:4711")


def test_websocket(hub):
    """so it is in WebSocket, and a client with TLS cannot name itself by X-Forwarded-For"""
    client = behind(hub, v4("203.0.113.10"), hub.service.tls_port)
    client.send(request(X_Forwarded_For="192.0.2.99"))
    same(client.take(12), b"HTTP/1.1 101", "answer")
    while client.take(1) != b"\n" or client.take(2) != b"\r\n":
        pass
    client.send(frame(BINARY, connect(hub.user, hub.token())))
    same(client.take(6), b"\x82\4\x20\x02\x00\x00", "CONNACK")
    hub.says(r"method=CONNECT route=hub id=boiler status=204 .*peer=203\.0\.113\.10:4711")
    check("192.0.2.99" not in hub.log(), "the log names a client that a client has named")


def test_of_itself(hub):
    """a proxy that speaks for itself, or does not know its client, counts as the client"""
    for introduction in (header(b"", LOCAL, b"\0"), header(os.urandom(40), LOCAL, b"\x11"), header(b"", family=b"\0")):
        before = len(hub.log())
        client = behind(hub, introduction)
        says_hello(hub, client)
        hub.says(r"method=CONNECT route=hub id=boiler status=204 .*peer=127\.0\.0\.9:", before)
        client.sock.close()


def refused(hub, introduction, source=PROXY):
    plain = socket.create_connection(("127.0.0.1", hub.port), PATIENCE, (source, 0))
    plain.sendall(introduction)
    try:
        got = plain.recv(100)
    except ConnectionResetError:
        got = b""
    check(got == b"" or got[0] == 0x15, f"answered with {got!r}")  # 0x15: TLS says what it thinks of that
    plain.close()


def test_refused(hub):
    """a proxy that does not introduce its client as the protocol has it is closed"""
    good = v4("203.0.113.5")
    wrong = [b"\x16\x03\x01", b"PROXY TCP4 203.0.113.5 198.51.100.1 4711 443\r\n", good[:-1], good[:12], good[:1],
             good[:12] + b"\x11" + good[13:], good[:12] + b"\x22" + good[13:], good[:12] + b"\x31" + good[13:],
             good[:13] + b"\x12" + good[14:], good[:13] + b"\x31" + good[14:], good[:13] + b"\x21" + good[14:],
             header(bytes(11)), v4("203.0.113.5", extras=b"\x01"), v4("203.0.113.5", extras=b"\x01\x00\x05ab"),
             header(bytes(1500))]
    for i, introduction in enumerate(wrong):
        before = len(hub.log())
        refused(hub, introduction)
        hub.says("event=closed .*does not begin with that protocol", before if i < 3 else 0)


def test_not_believed(hub):
    """nobody else is believed: for others it is no TLS"""
    before = len(hub.log())
    refused(hub, v4("203.0.113.99"), "127.0.0.1")
    hub.says('event="TLS failed"', before)
    check("203.0.113.99" not in hub.log(), "the log names a client that a stranger has named")
    client = hub.connected()
    client.send(PING)
    same(client.take(2), PONG, "PINGRESP")
    client.sock.close()


def test_shares(hub):
    """--client-connections counts the clients, and not the proxy"""
    many = [behind(hub, v4(f"203.0.113.{n}")) for n in range(20, 26)]
    crowd = [behind(hub, v4("203.0.113.77")) for _ in range(2)]
    third = socket.create_connection(("127.0.0.1", hub.port), PATIENCE, (PROXY, 0))
    third.sendall(v4("203.0.113.77"))
    hub.says(r"event=closed .*peer=203\.0\.113\.77:4711")
    says_hello(hub, many[0])
    for client in (*many, *crowd, third):
        client.close() if client is third else client.sock.close()
