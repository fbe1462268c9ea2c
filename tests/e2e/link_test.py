# SPDX-License-Identifier: MIT
"""dps-device and the hub's MQTT: send --mqtt and connect, with the service's restarts, tokens that are renewed or
refused, and hubs that answer wrongly. Other people's hub: tests/peers/mosquitto_test.py."""

import json
import os
import re
import subprocess
import time

from certificates import make_ca
from harness import run
from link_harness import SIGNALS, Connected, Flood, StandIn
from mqtt_harness import Hub, publish
from tap import Programs, check, same
from waiting import wait_until

ACCEPTED = b"\x20\x02\x00\x00"


def shared():
    return Hub()


def send(hub, *options, port=None, **expected):
    return hub.bench.send(hub.device, "--mqtt", "--connect-to", f"localhost:{port or hub.port}", *options, **expected)


def count(hub, method, since):
    return len(re.findall(rf"method={method} route=hub .*status=204", hub.log()[since:]))


def counts(hub, since, **wanted):
    for method, number in wanted.items():
        wait_until(lambda m=method, n=number: count(hub, m, since) >= n, f"{number} {method} in the log")
    same({m: count(hub, m, since) for m in wanted}, wanted, "packets")


def test_send(hub):
    """send --mqtt: one message, acknowledged"""
    before = len(hub.log())
    done = send(hub, "--message", "{}")
    same((done.field("Accepted by"), done.field("Device"), done.field("Message")),
         (hub.hub, "boiler", "2 bytes, acknowledged"), "output")
    counts(hub, before, CONNECT=1, PUBLISH=1, DISCONNECT=1)


def test_sizes(hub):
    """send --mqtt: the shortest message, and the longest"""
    for size in (1, 2560):
        same(send(hub, "--message", "x" * size).field("Message"), f"{size} bytes, acknowledged", "message")


def test_trace(hub):
    """--trace and --verbose name packets of step 10, --trace=pcapng is MQTT for Wireshark"""
    text = send(hub, "--trace").err
    for words in ("Step 10  MQTT CONNECT → hub", "Step 10  MQTT CONNACK ← hub, 4 bytes", "Step 10  MQTT PUBLISH → hub",
                  "devices/boiler/messages/events/", "Accepted."):
        check(words in text, f"--trace lacks {words!r}")
    packets = [m for m in map(json.loads, send(hub, "--trace=json").err.splitlines()) if m["kind"].startswith("mqtt-")]
    same([m["name"] for m in packets], ["CONNECT", "CONNACK", "PUBLISH", "PUBACK", "DISCONNECT"], "names in JSON")
    for m in packets:
        ends = [0] + [f["offset"] + f["len"] for f in m["fields"]]
        same((ends[:-1], ends[-1]), ([f["offset"] for f in m["fields"]], m["len"]), f"fields of {m['name']}")
    check("step 10  MQTT PUBACK" in send(hub, "--verbose").err, "--verbose lacks PUBACK")
    path = hub.device.path("trace.pcapng")
    send(hub, f"--trace=pcapng:{path}")
    shown = run("tshark", "-r", path, "-Y", "mqtt", "-T", "fields", "-e", "mqtt.msgtype", "-e", "frame.comment").out
    lines = [line.split("\t") for line in shown.splitlines()]
    same([kind for kind, _ in lines], ["1", "2", "3", "4", "14"], "types of packets")
    check(all(comment.startswith("Step 10: ") for _, comment in lines), f"comments {lines}")
    run(Programs.path("dps-device"), "explain", path)


def test_expired(hub):
    """send --mqtt: a token that had expired when it arrived is refused"""
    done = send(hub, "--now", str(int(time.time()) - 86400), status=1,
                says=("step 10, to admit this device: ", "does not admit this device with this token (CONNACK 5)",
                      "this system's clock"))
    check("SharedAccess" not in done.err, "a token was printed")


def test_other_issuer(hub):
    """send --mqtt and connect: a certificate of another issuer: nothing is said to that hub"""
    other = Programs.directory()
    make_ca(other)
    ca = ("--ca", os.path.join(other, "ca.pem"))
    before = len(hub.log())
    send(hub, *ca, status=4, says="step 10, a connection for MQTT: TLS with hub")
    hub.device.run("connect", "--state", hub.device.path("state"), *ca, "--connect-to", f"localhost:{hub.port}",
                   status=4, says="TLS with hub", stdin=subprocess.DEVNULL)
    same(count(hub, "CONNECT", before), 0, "connections")


def test_disabled(hub):
    """send --mqtt of a device that is disabled is refused; and so is one that is connected when it is disabled"""
    device = Connected(hub, "--keep-alive", "1")
    device.says("connected to hub")
    hub.bench.admin("disable", "boiler")
    text = device.gone(1)
    check("connecting again" in text and "(CONNACK 5)" in text, text)
    send(hub, status=1, says="(CONNACK 5)")
    hub.bench.admin("enable", "boiler")
    before = len(hub.log())
    send(hub)
    counts(hub, before, DISCONNECT=1)


def test_lines(hub):
    """connect: each line is a message; empty ones are not, and those that are too long"""
    before = len(hub.log())
    device = Connected(hub)
    device.write("one\n\ntwo\n" + "x" * 2560 + "\n" + "y" * 2561 + "\n" + "z" * 9000 + "\nthree")
    text = device.ends()
    check("messages sent: 4, received: 0" in text, text)
    same(text.count("was not sent"), 2, "lines that were too long")
    counts(hub, before, CONNECT=1, SUBSCRIBE=1, PUBLISH=4, DISCONNECT=1)


def test_many_lines(hub):
    """connect: three hundred lines, each acknowledged before the next is sent"""
    before = len(hub.log())
    device = Connected(hub)
    device.write("".join(f"{i}\n" for i in range(300)))
    check("messages sent: 300" in device.ends(), "not all were sent")
    counts(hub, before, CONNECT=1, PUBLISH=300)


def test_signals(hub):
    """connect: SIGTERM and SIGINT end it, with DISCONNECT"""
    for number in SIGNALS:
        before = len(hub.log())
        device = Connected(hub)
        device.says("connected to hub")
        device.ends(0, number)
        counts(hub, before, CONNECT=1, SUBSCRIBE=1, DISCONNECT=1)


def test_stay(hub):
    """connect --stay: the end of its input is not its end; it keeps itself alive, and leaves the TPM to others"""
    before = len(hub.log())
    device = Connected(hub, "--stay", "--keep-alive", "1", "--verbose")
    device.process.stdin.close()
    device.says("MQTT PINGRESP", 3)
    hub.token()
    device.ends(0, SIGNALS[0])
    counts(hub, before, CONNECT=1, DISCONNECT=1)


def test_renewal(hub):
    """connect: the token is renewed before it expires, and no line is lost"""
    before = len(hub.log())
    device = Connected(hub, "--token-lifetime", "3")
    for i in range(3):
        device.write(f"{i}\n")
        wait_until(lambda n=i: count(hub, "CONNECT", before) >= n + 2, "the token was renewed")
    text = device.ends()
    check("connecting again" not in text and "messages sent: 3" in text, text)
    check(count(hub, "CONNECT", before) == count(hub, "DISCONNECT", before), "a connection was broken off")
    same(len(re.findall("event=refused", hub.log()[before:])), 0, "refusals")


def test_restart(hub):
    """connect: the service goes and comes back; what was written meanwhile arrives then"""
    device = Connected(hub)
    device.write("before\n")
    device.says("connected to hub")
    hub.service.options = tuple(f"127.0.0.1:{hub.port}" if hub.service.options[i - 1] == "--hub-mqtt" else option
                                for i, option in enumerate(hub.service.options))
    for turn in range(2):
        hub.service.stop()
        device.says("connecting again in ", turn + 1)
        device.write("meanwhile\n")
        hub.bench.start()
        counts(hub, 0, CONNECT=1, SUBSCRIBE=1, PUBLISH=1)
    check("messages sent: 3" in device.ends(), "not all were sent")


def test_never_reached(hub):
    """connect and send --mqtt: nobody listens there: one goes on trying, the other ends"""
    with StandIn(hub) as nobody:
        port = nobody.port
    send(hub, port=port, status=4, says="localhost")
    device = Connected(hub, port=port)
    device.says("connecting again in ")
    device.ends(0, SIGNALS[0])


WRONG = (
    ("CONNACK 1", b"\x20\x02\x00\x01", 1, "does not speak MQTT 3.1.1 (CONNACK 1)"),
    ("CONNACK 2", b"\x20\x02\x00\x02", 1, "does not accept the deviceId as a client identifier (CONNACK 2)"),
    ("CONNACK 3", b"\x20\x02\x00\x03", 1, "is not available now (CONNACK 3)"),
    ("CONNACK 4", b"\x20\x02\x00\x04", 1, "does not accept the user name or the token (CONNACK 4)"),
    ("CONNACK 6", b"\x20\x02\x00\x06", 4, "sent something that is not MQTT 3.1.1"),
    ("HTTP", b"HTTP/1.1 400 Bad Request\r\n\r\n", 4, "see whether --hub-port leads to the hub's MQTT"),
    ("another packet", b"\xd0\x00", 4, "sent a packet PINGRESP, which answers nothing that was asked"),
    ("the end", None, 4, "closed the connection"),
    ("another PUBACK", ACCEPTED + b"\x40\x02\x00\x09", 4, "sent a packet PUBACK, which answers nothing"),
)
LATER = (
    ("another identifier", b"\x40\x02\x00\x09", 4, "acknowledged, with PUBACK, a message that was not sent"),
    ("a malformed PUBACK", b"\x40\x03\x00\x01\x00", 4, "sent a malformed packet (PUBACK)"),
    ("QoS 2", b"\x50\x02\x00\x01", 4, "sent a packet of QoS 2"),
    ("the end before PUBACK", None, 4, "step 10, to accept a message: "),
)


def tests():
    def case(answers, status, words):
        def test(hub):
            with StandIn(hub, *answers) as hub_of_ours:
                send(hub, port=hub_of_ours.port, status=status, says=words)
        return test
    for name, answer, status, words in WRONG:
        yield f"send --mqtt: instead of CONNACK {name}", case((answer,), status, words)
    for name, answer, status, words in LATER:
        yield f"send --mqtt: after PUBLISH {name}", case((ACCEPTED, answer), status, words)


def test_message(hub):
    """connect: messages are printed and acknowledged, as far as they fit"""
    topic = "devices/boiler/messages/devicebound/%24.mid=1"
    long = publish(topic, b"x" * 5000, 2)
    with StandIn(hub, ACCEPTED, b"\x90\x03\x00\x01\x01" + publish(topic, b"on\x1b[1m", 7) + long
                 + publish(topic, b"off", 8)) as hub_of_ours:
        device = Connected(hub, port=hub_of_ours.port)
        device.prints("off\n")
        text = device.ends()
        check("messages sent: 0, received: 2" in text and "longer than 4096 bytes" in text, text)
    same(device.text(device.out).splitlines()[1:], ["off"], "lines")
    check("\x1b" not in device.text(device.out), "an escape came through")


def test_token_lifetime(hub):
    """token --token-lifetime"""
    token = hub.token("--token-lifetime", "60")
    expiry = int(re.search(r"se=(\d+)", token).group(1))
    check(abs(expiry - time.time() - 60) < 50, f"se={expiry}")


def test_flood(hub):
    """connect: a signal ends it also while the hub never falls silent"""
    with Flood(hub, ACCEPTED, b"\x90\x03\x00\x01\x01") as hub_of_ours:
        device = Connected(hub, port=hub_of_ours.port)
        device.prints("flood\nflood\n")
        device.ends(0, SIGNALS[0])


def test_renewal_unreached(hub):
    """connect: a token is also renewed if the hub was never reached"""
    with StandIn(hub) as nobody:
        port = nobody.port
    device = Connected(hub, "--token-lifetime", "2", port=port)
    device.says("connecting again in ", 4)
    device.ends(0, SIGNALS[0])
