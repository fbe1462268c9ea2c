# SPDX-License-Identifier: MIT
"""The hub's MQTT, --hub-mqtt: other people's clients (mosquitto_pub, mosquitto_sub, paho), and one that sends what they
would not. Needs mosquitto-clients and python3-paho-mqtt."""

import contextlib
import json
import re
import ssl
import struct
import time

from harness import run
from mqtt_harness import PING, PONG, Hub, Paho, connect, gone, packet, publish, text
from tap import check, note, same
from waiting import PATIENCE, wait_until


def shared():
    return Hub("--metrics", "127.0.0.1:0")


def test_mosquitto_pub(hub):
    """mosquitto_pub: telemetry with QoS 0 and 1 and a property bag"""
    before = len(hub.log())
    hub.mosquitto("mosquitto_pub", "-q", "1", "-t", hub.topic + "%24.ct=application%2Fjson&alert=yes", "-m", "{}")
    hub.mosquitto("mosquitto_pub", "-q", "0", "-t", hub.topic, "-m", "21")
    for what in ("CONNECT", "PUBLISH", "DISCONNECT"):
        hub.says(rf"level=info event=answered method={what} route=hub .*status=204", before)
    hub.says("method=PUBLISH route=hub id=boiler status=204 tracking=[-0-9a-f]{36} peer=127.0.0.1:", before)
    check("SharedAccess" not in hub.log() and "sig=" not in hub.log(), "a token is in the log")


def test_many_lines(hub):
    """mosquitto_pub: a hundred messages on one connection, each acknowledged"""
    lines = "".join(f"{i}\n" for i in range(100))
    hub.mosquitto("mosquitto_pub", "-q", "1", "-t", hub.topic, "-l", input=lines.encode())


def test_large(hub):
    """a message of 128 KiB passes, one of 256 KiB does not"""
    size = 128 * 1024
    client = hub.connected()
    client.send(publish(hub.topic, b"x" * size))
    same(client.take(4), b"\x40\x02\x00\x01", "PUBACK")
    before = len(hub.log())
    client.send(packet(0x32, text(hub.topic) + b"\0\1" + b"x" * 2 * size)[:1000])
    client.ends()
    hub.says("event=refused status=413", before)


def test_mosquitto_sub(hub):
    """mosquitto_sub: what devices subscribe to is granted, and the connection stays until they go"""
    before = len(hub.log())
    filters = ("devices/boiler/messages/devicebound/#", "$iothub/methods/POST/#", "$iothub/twin/res/#", "elsewhere/#")
    done = hub.mosquitto("mosquitto_sub", "-q", "1", "-W", "2", "-d", *(x for f in filters for x in ("-t", f)),
                         status=None)
    same(re.findall(r"Subscribed \(mid: \d+\): (.*)", done.out), ["1, 1, 1, 128"], "granted")
    hub.says("method=SUBSCRIBE route=hub id=boiler status=204", before)


def test_refused(hub):
    """mosquitto_pub: a wrong token, another's name, another version"""
    wrong = hub.token()
    wrong = wrong.replace("sig=", "sig=A", 1)
    before = len(hub.log())
    for options in (("-P", wrong), ("-P", hub.token(), "-u", f"{hub.hub}/pump"), ("-P", hub.token(), "-i", "pump")):
        arguments = ["mosquitto_pub", "-h", "localhost", "-p", str(hub.port), "--cafile", hub.bench.path("ca.pem"),
                     "-q", "1", "-t", hub.topic, "-m", "{}", "-V", "mqttv311"]
        for name, value in (("-u", hub.user), ("-i", "boiler")):
            arguments += () if name in options else (name, value)
        run(*arguments, *options, status=5, says="not authorised")
    hub.says("level=warn event=refused method=CONNECT route=hub status=401 errorCode=401001", before)
    done = hub.mosquitto("mosquitto_pub", "-q", "1", "-t", hub.topic, "-m", "{}", status=None)
    same(done.code, 0, "afterwards")


def test_paho(hub):
    """paho: telemetry, subscriptions, the twin that is not there, unsubscribing, and a later connection"""
    device = Paho(hub)
    same(device.codes, [(0, 0)], "CONNACK")
    device.send(hub.topic + "k=v")
    device.client.subscribe([("$iothub/twin/res/#", 0), ("devices/boiler/messages/devicebound/#", 2), ("x", 1)])
    wait_until(lambda: device.granted, "SUBACK")
    same(device.granted, [(0, 1, 128)], "granted")
    device.send("$iothub/twin/GET/?$rid=7", " ", 0)
    wait_until(lambda: device.messages, "an answer about the twin")
    [(topic, qos, answer)] = device.messages
    same((topic, qos), ("$iothub/twin/res/501/?$rid=7", 0), "about the twin")
    same(json.loads(answer)["errorCode"], 501001, "errorCode")
    device.client.unsubscribe(["$iothub/twin/res/#"])
    device.send(hub.topic)
    device.stop()
    same(device.ends, [0], "ends")


def test_replaced(hub):
    """a second connection of a device replaces the first, which hears nothing more"""
    before = len(hub.log())
    first = hub.connected()
    second = hub.connected()
    first.ends()
    second.send(PING)
    same(second.take(2), PONG, "PINGRESP")
    hub.says("event=closed detail=\"the device has connected again\"", before)
    # Whoever is not admitted replaces nobody.
    stranger = hub.raw()
    stranger.send(connect(hub.user, hub.token() + "0"))
    same(stranger.take(4), b"\x20\x02\x00\x05", "CONNACK")
    stranger.ends()
    second.send(PING)
    same(second.take(2), PONG, "PINGRESP")
    second.sock.close()


def test_pieces(hub):
    """packets in pieces of one byte, and many in one piece"""
    client = hub.raw()
    everything = connect(hub.user, hub.token()) + publish(hub.topic) + PING
    for byte in everything:
        client.send(bytes([byte]))
    same(client.take(10), b"\x20\x02\x00\x00\x40\x02\x00\x01" + PONG, "answers")
    client.send(b"".join(publish(hub.topic, b"1", i) for i in range(1, 51)) + PING)
    same(client.take(4 * 50 + 2), b"".join(b"\x40\x02" + struct.pack(">H", i) for i in range(1, 51)) + PONG, "answers")
    client.send(b"\xe0\x00")
    client.ends()


def test_malformed(hub):
    """what breaks a rule gets no answer, and ends the connection"""
    good = connect(hub.user, hub.token())
    for begin in (PING, b"\x00\x00", b"\x20\x02\x00\x00", b"GET / HTTP/1.1\r\n\r\n", b"\x16",
                  b"\x10\x80\x80\x80\x80\x01", good[:1] + b"\x80\x00",
                  packet(0x10, text("MQIsdp") + b"\x03\x02\x00\x3c" + text("a"))):
        client = hub.raw()
        client.send(begin)
        client.ends()
    for wrong in (good, b"\xf0\x00", b"\x82\x02\x00\x01", packet(0x34, text(hub.topic) + b"\0\1"),
                  publish("devices/pump/messages/events/"), publish(hub.topic + "%zz"), packet(0x32, text("a"))):
        client = hub.connected()
        client.send(wrong)
        client.ends()
    level_5 = hub.raw()
    level_5.send(packet(0x10, text("MQTT") + b"\x05\x02\x00\x3c\x00" + text("a")))
    same(level_5.take(4), b"\x20\x02\x00\x01", "CONNACK of another version")
    level_5.ends()


def test_disabled(hub):
    """a device that is disabled ends with its next packet, and cannot come back until it is enabled"""
    client = hub.connected()
    hub.bench.admin("disable", "boiler")
    client.send(publish(hub.topic))
    client.ends()
    again = hub.raw()
    again.send(connect(hub.user, hub.token()))
    same(again.take(4), b"\x20\x02\x00\x05", "CONNACK")
    again.ends()
    hub.bench.admin("enable", "boiler")
    hub.connected().sock.close()


def test_keep_alive(hub):
    """a device that is silent for one and a half times its keep alive is closed, one that pings is not"""
    silent, begin = hub.connected(keep_alive=2), time.monotonic()
    silent.ends()
    check(time.monotonic() - begin >= 2.9, "closed before three seconds had passed")
    pinging, last, begin = hub.connected(keep_alive=2), time.monotonic(), time.monotonic()
    while time.monotonic() - begin < 4:
        # On a machine that is so busy, nothing is shown.
        if time.monotonic() - last > 2.5:
            note("too slow to ping in time")
            return
        last = time.monotonic()
        pinging.send(PING)
        same(pinging.take(2), PONG, "PINGRESP")
        time.sleep(0.5)
    # Half a packet is none.
    pinging.send(b"\x32\x20ab")
    pinging.ends()
    hub.says('event=closed detail="the device was silent, or its token has expired"')


def test_expiry(hub):
    """the session ends when its token does, although the device pings"""
    # Tokens are good for an hour, and 300 seconds more for clocks that differ. A busy machine connects later.
    for rest in (4, 16, 64):
        end = int(time.time()) + rest
        client = hub.raw()
        client.send(connect(hub.user, hub.token("--now", str(end - 3600 - 300))))
        if client.take(4)[3] == 0:
            break
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while True:
            client.send(PING)
            if not client.sock.recv(2):
                break
            time.sleep(0.1)
    check(time.time() > end, "it ended before the token")
    late = hub.raw()
    late.send(connect(hub.user, hub.token("--now", str(end - 3600 - 300))))
    same(late.take(4), b"\x20\x02\x00\x05", "CONNACK for an expired token")
    late.ends()


def test_metrics(hub):
    """packets are counted as requests to the hub"""
    name = 'dps_answer_seconds_count{route="hub"}'
    before = hub.service.sample(name)
    client = hub.connected()
    client.send(PING)
    client.take(2)
    wait_until(lambda: hub.service.sample(name) == before + 2, "two more packets")
    client.sock.close()


def test_https_too(hub):
    """the same token over HTTPS, while the device is connected"""
    client = hub.connected()
    hub.bench.send(hub.device)
    client.send(PING)
    same(client.take(2), PONG, "PINGRESP")
    client.sock.close()


def test_restart():
    """a service that stops says goodbye to its devices; paho comes back by itself"""
    hub = Hub()
    device = Paho(hub)
    device.send(hub.topic)
    hub.service.stop()
    wait_until(lambda: device.ends, "paho notices")
    hub.service.options = [x if x != "127.0.0.1:0" else f"127.0.0.1:{hub.port}" for x in hub.service.options]
    hub.service.start()
    wait_until(lambda: len(device.codes) > 1, "paho is connected again")
    device.send(hub.topic)
    device.stop()


def test_shares():
    """silent connections take no device's place, and slow packets lose theirs"""
    hub = Hub("--connections", "8", "--client-connections", "4", timeouts="head=300,body=300,stall=300")
    for part in (b"\x10", b"\x10\x40\x00\x04MQ"):
        slow = hub.raw()
        slow.send(part)
        slow.ends()
    hub.says("the request came too slowly")
    device = hub.connected()
    silent = [hub.service.raw(hub.port) for _ in range(20)]
    wait_until(lambda: sum(not closed(c) for c in silent) <= 3, "the others were closed")
    device.send(PING)
    same(device.take(2), PONG, "PINGRESP")
    again = hub.connected()
    device.ends()
    again.sock.close()
    for sock in silent:
        sock.close()


def closed(sock):
    sock.setblocking(False)
    try:
        return sock.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_options():
    """--hub-mqtt needs a certificate, and stands last in the port file"""
    hub = Hub("--metrics", "127.0.0.1:0")
    same(len(hub.service.read("port").split()), 4, "ports")
    check(f"127.0.0.1:{hub.port} (MQTT)" in hub.service.read("out"), "the line that says it is ready")


def test_many_at_once(hub):
    """of thirty connections of a device that begin together, one remains"""
    begun = [hub.raw() for _ in range(30)]
    hello = connect(hub.user, hub.token())
    for client in begun:
        client.send(hello)
    for client in begun:
        same(client.take(4), b"\x20\x02\x00\x00", "CONNACK")
    left = [client for client in begun if not gone(client)]
    same(len(left), 1, "connections that remain")
    left[0].send(publish(hub.topic))
    same(left[0].take(4), b"\x40\x02\x00\x01", "PUBACK")


def test_workers():
    """several processes: a device's earlier connection ends with the answer to its next packet at the latest"""
    hub = Hub("--workers", "3")
    before = [hub.connected() for _ in range(12)]
    last = hub.connected()
    for client in before:
        # One packet may still be answered.
        gone(client)
        check(gone(client), "an earlier connection goes on")
        client.sock.close()
    last.send(PING)
    same(last.take(2), PONG, "PINGRESP")
