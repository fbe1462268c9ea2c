# SPDX-License-Identifier: MIT
"""What strangers, and devices with a token, can do to the hub's MQTT: they lose their connection, and nobody else does.
Needs no client but this one."""

import contextlib
import os
import signal
import ssl
import time

from certificates import make_leaf
from harness import HUBS
from mqtt_harness import PING, PONG, Hub, connect, gone, packet, publish, text
from tap import Failed, check, same


def shared():
    return Hub("--metrics", "127.0.0.1:0")


# ---- Strangers ----

def test_silence(hub):
    """who never comes to the end of a CONNECT is closed: after the handshake, in its header, in its body"""
    slow = Hub(timeouts="idle=300,head=300,body=300,stall=300,linger=600000")
    hello = connect(slow.user, slow.token())
    for begin in (b"", hello[:1], hello[:2], hello[:3], hello[:-1]):
        client = slow.raw()
        client.send(begin)
        client.ends()
    # Bytes that trickle do not move the deadline.
    client = slow.raw()
    client.sock.settimeout(0.05)
    for byte in hello[:-1]:
        client.send(bytes([byte]))
        with contextlib.suppress(TimeoutError):
            same(client.sock.recv(1), b"", "before the end")
            break
    else:
        raise Failed("it trickles for ever")
    # A device that is connected may be silent for longer than that.
    device = at_last(slow)
    time.sleep(1)
    device.send(PING)
    same(device.take(2), PONG, "PINGRESP")


def at_last(hub, keep_alive=0):
    """Connected, although this machine may be too slow for such time-outs."""
    hello, code = connect(hub.user, hub.token(), keep_alive), b""
    while code != b"\x20\x02\x00\x00":
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            client = hub.raw()
            client.send(hello)
            code = client.sock.recv(4)
    return client


def test_lengths(hub):
    """a length that nobody has room for ends the connection before anything of it is read"""
    for length in (b"\xff\xff\xff\x7f", b"\x80\x80\x09", b"\xff\xff\xff\xff", b"\x80\x80\x80\x80\x01", b"\x80\x00"):
        for begin in (b"\x10", b"\x30", b"\x32", b"\x82"):
            client = hub.raw()
            client.send(begin + length)
            client.ends()
        client = hub.connected()
        client.send(b"\x32" + length)
        client.ends()


def test_strangers(hub):
    """another device's token, another hub's, one that has expired: refused alike, and nobody is replaced"""
    device = hub.connected()
    own, good = hub.token(), hub.user
    other = f"{hub.hub}/pump"
    for user, client_id, token in ((other, "pump", own), (good, "pump", own), (other, "boiler", own),
                                   (good.replace(hub.hub, "hub-z.example"), "boiler", own),
                                   (good.upper(), "BOILER", own), ("boiler", "boiler", own), ("", "boiler", own),
                                   (good, "boiler", ""), (good, "boiler", "x" * 60000),
                                   (good, "boiler", own.replace("&se=", "&se=1")), (good, "boiler", own + "&se=1"),
                                   (good, "boiler", own.replace("devices%2F", "devices%2F..%2Fdevices%2F")),
                                   (good, "boiler", hub.token("--now", str(int(time.time()) - 5000)))):
        hub.refused(connect(user, token, client_id=client_id))
    hub.refused(connect(good, own, client_id="", flags=0xC2))
    device.send(PING)
    same(device.take(2), PONG, "PINGRESP")


def test_text(hub):
    """text that is no UTF-8, U+0000, wildcards in a topic, QoS 2, reserved flags: no answer, and the end"""
    wrong = (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\0")
    for bad in wrong:
        client = hub.raw()
        client.send(connect(hub.user.encode() + bad, hub.token()))
        client.ends()
    for topic in (*(hub.topic.encode() + bad for bad in wrong), hub.topic + "#", hub.topic + "+", "#", ""):
        client = hub.connected()
        client.send(publish(topic))
        client.ends()
    for raw in (b"\x36", b"\x34", b"\x38", b"\x50", b"\x62", b"\x70", b"\x80", b"\x83", b"\xc1", b"\xe8"):
        client = hub.connected()
        client.send(raw + b"\x02\x00\x01")
        client.ends()


def test_will(hub):
    """a will is accepted and not published, and so is what is to be retained; a will with wildcards is refused"""
    begin = len(hub.log())
    device = hub.connected(flags=0xE6, will=text(hub.topic) + text("gone"))
    device.send(packet(0x33, text(hub.topic) + b"\0\7" + b"keep me"))
    same(device.take(4), b"\x40\x02\x00\x07", "PUBACK")
    hub.says("method=PUBLISH", begin)
    before = len(hub.log())
    device.sock.close()
    again = hub.connected()
    again.send(packet(0x82, b"\0\1" + text("devices/boiler/messages/devicebound/#") + b"\1") + PING)
    same(again.take(5 + 2), b"\x90\x03\x00\x01\x01" + PONG, "SUBACK, and nothing that was kept")
    hub.says("method=SUBSCRIBE", before)
    check("method=PUBLISH" not in hub.log()[before:], "the will was published")
    client = hub.raw()
    client.send(connect(hub.user, hub.token(), flags=0xC6, will=text("#") + text("gone")))
    client.ends()


# ---- Devices that have a token ----

def test_many_filters(hub):
    """a SUBSCRIBE to thousands of filters has a code for each; to more than that, it ends the connection"""
    for count, stays in ((8000, True), (30000, False)):
        client = hub.connected()
        client.send(packet(0x82, b"\0\1" + (text("#") + b"\1") * count))
        if stays:
            same(client.take(3 + 2 + count)[5:], b"\x80" * count, "codes")
        else:
            client.ends()


def test_flood(hub):
    """a device that sends more than its limit and reads nothing is closed; others are served meanwhile"""
    few = Hub("--challenge-rate", "2")  # forty packets a minute
    client = few.raw()
    client.sock.settimeout(60)
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        client.send(connect(few.user, few.token()))
        for number in range(1, 2000):
            client.send(publish(few.topic, b"x" * 1000, number))
    few.says("level=warn event=refused method=PUBLISH route=hub id=boiler status=429")
    same(few.service.tls().get("/nowhere")[0], 404, "somebody else meanwhile")
    # 429 is about the device: for another one there is room.
    few.connected(hello=few.hello_of("pump"))


def test_two_of_one(hub):
    """two with one name and token who take each other's place: one remains, whoever came last, and both are rationed"""
    few = Hub("--challenge-rate", "1")  # twenty packets a minute
    hello, codes, last = connect(few.user, few.token()), [], None
    while 3 not in codes and len(codes) < 100:
        client = few.raw()
        client.send(hello)
        codes.append(client.take(4)[3])
        if codes[-1] == 0:
            if last is not None:
                last.ends()
            last = None if any(gone(client) for _ in range(8)) else client
    check(codes[0] == 0 and codes[-1] == 3, f"CONNACKs {codes}")


def test_rotated(hub):
    """a secret that is taken back ends the device's connection with its next packet"""
    own = Hub()
    device = own.connected()
    before, newer = own.service.read("secret"), f"2 {os.urandom(32).hex()}\n"
    own.service.write("secret", before + newer)
    own.service.hang_up("detail=secrets")
    device.send(PING)
    same(device.take(2), PONG, "PINGRESP while the old epoch counts")
    own.service.write("secret", newer)
    own.service.hang_up("detail=secrets")
    device.send(publish(own.topic))
    device.ends()
    own.refused(connect(own.user, own.token()))


def test_keep_alives(hub):
    """a keep alive of 0 or 18 hours: the connection stays, whatever the time-outs of requests are"""
    own = Hub(timeouts="idle=200,head=200,stall=200,body=200")
    for keep_alive in (0, 65535):
        device = at_last(own, keep_alive)
        time.sleep(0.6)
        device.send(PING)
        same(device.take(2), PONG, "PINGRESP")
        device.sock.close()


# ---- Places ----

def test_places():
    """who comes and goes takes no device's place, from however many addresses, and devices leave room for others"""
    hub = Hub("--connections", "12", "--client-connections", "0", "--metrics", "127.0.0.1:0")
    devices = [hub.connected(), *(hub.connected(hello=hub.hello_of(f"device-{i}")) for i in range(3))]
    kept = []
    for i in range(60):
        source = f"127.0.0.{2 + i % 50}"
        served = hub.service.tls(source=source)
        same(served.get("/nowhere")[0], 404, "a client that stays after its answer")
        kept += [served, hub.raw(source), hub.service.raw(hub.port, source)]
    for client in devices:
        client.send(PING)
        same(client.take(2), PONG, "PINGRESP")
    check(hub.service.sample("dps_connections_evicted_total") > 100, "nobody had to go")


def test_places_of_devices():
    """devices that have all places give some up: a registration gets through, and the longest silence decides"""
    hub = Hub("--connections", "4", "--client-connections", "0", "--metrics", "127.0.0.1:0")
    hellos = [hub.hello_of(f"device-{i}") for i in range(5)]
    connected = [hub.connected(hello=hello) for hello in hellos]
    same(hub.service.tls().get("/nowhere")[0], 404, "somebody else")
    check(gone(connected[0]), "the longest silent device stays")
    connected[-1].send(PING)
    same(connected[-1].take(2), PONG, "PINGRESP")


# ---- Signals ----

def test_stop():
    """SIGTERM: a packet that is half there is answered when it is complete, the silent are closed in good order"""
    hub = Hub(timeouts="drain=600000")
    half = hub.connected()
    message = publish(hub.topic, b"x" * 3000)
    half.send(message[:-1])
    silent = hub.raw()
    hub.service.process.send_signal(signal.SIGTERM)
    silent.ends()
    half.send(message[-1:])
    same(half.take(4), b"\x40\x02\x00\x01", "PUBACK")
    half.ends()
    same(hub.service.process.wait(60), 0, "exit code")


def test_certificates():
    """SIGHUP: a device keeps its connection until its next packet; a certificate after the next does not wait for it"""
    hub = Hub()
    first = hub.connected()
    make_leaf(hub.service.dir, ("localhost", *HUBS))
    hub.service.hang_up("detail=certificate")
    first.send(PING)
    same(first.take(2), PONG, "PINGRESP")
    first.ends()
    silent = hub.connected()
    for _ in range(2):
        make_leaf(hub.service.dir, ("localhost", *HUBS))
        hub.service.hang_up("detail=certificate")
    silent.ends()
    hub.connected().sock.close()
