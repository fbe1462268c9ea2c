# SPDX-License-Identifier: MIT
"""dps-conformance --service with --amqp and --mqtt: green against dps-service, red if somebody between the two changes
what the service says, or keeps a connection that it has closed."""

import contextlib
import re
import select
import socket
import ssl
import threading

from conformance_service_test import ROADS, Result, administrator, command, roads, start
from server_harness import trusting
from tap import check, same
from waiting import PATIENCE

MQTT = {f"SVC-S10-{n}" for n in range(101, 110)}
AMQP = {f"SVC-S06-{n}" for n in range(101, 107)} | {f"SVC-S09-{n}" for n in range(101, 106)}


class Shared:
    def __init__(self, *limits):
        self.service = start("memory:", *ROADS, *limits)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        same(self.service.stop(), 0, "exit code of the service")

    def run(self, *arguments):
        return Result(command(self.service.dir, self.service.tls_port, *arguments, *administrator(self.service)))


def shared():
    return Shared("--challenge-rate", "0", "--client-rate", "0")


class Between(threading.Thread):
    """TLS at both ends: what the service says goes through change(piece), and its end is not told if it stays."""

    def __init__(self, service, port, change, stays=False):
        super().__init__(daemon=True)
        self.port_behind, self.change, self.stays = port, change, stays
        self.inside = trusting(cafile=service.path("cert.pem"))
        self.outside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.outside.load_cert_chain(service.path("cert.pem"), service.path("key.pem"))
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            plain, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(plain,), daemon=True).start()

    def serve(self, plain):
        """In one thread: OpenSSL does not let two of them use a connection at once."""
        with contextlib.suppress(OSError):
            plain.settimeout(PATIENCE)
            behind = socket.create_connection(("127.0.0.1", self.port_behind), PATIENCE)
            with (self.outside.wrap_socket(plain, server_side=True) as client,
                  self.inside.wrap_socket(behind, server_hostname="localhost") as server):
                open_ends = [client, server]
                while client in open_ends and (self.stays or server in open_ends):
                    waiting = [end for end in open_ends if end.pending()]
                    for end in waiting or select.select(open_ends, [], [], PATIENCE)[0]:
                        self.move(end, client, server, open_ends)

    def move(self, end, client, server, open_ends):
        data = end.recv(65536)
        if not data:
            open_ends.remove(end)
        elif end is server:
            client.sendall(self.change(data))
        elif server in open_ends:
            server.sendall(data)


def meddled(all_of, road, ids, change, stays=False):
    """Run these cases, with somebody on one of the roads."""
    mqtt, amqp = (int(option.rpartition(":")[2]) for option in roads(all_of.service))
    between = Between(all_of.service, {"mqtt": mqtt, "amqp": amqp}[road], change, stays)
    return all_of.run("--timeout", "15", *sorted(ids), f"--{road}=127.0.0.1:{between.port}")


def amqp_fails(all_of, change, *failed):
    result = meddled(all_of, "amqp", AMQP, change)
    same(result.failed, set(failed), "failed")
    same(result.code, 1, "exit code")
    return result


def mqtt_fails(all_of, change, *failed, stays=False):
    result = meddled(all_of, "mqtt", MQTT, change, stays)
    same(result.failed, set(failed), "failed")
    same(result.code, 1, "exit code")
    return result


def unchanged(data):
    return data


def test_green(all_of):
    """our service passes, also as each SDK does it; without their options nothing is run, and the reason is told"""
    result = all_of.run("--strict", *sorted(MQTT | AMQP), *roads(all_of.service))
    result.green(len(MQTT | AMQP))
    same(result.passed, MQTT | AMQP, "passed")
    result = all_of.run(*sorted(MQTT | AMQP))
    same((result.code, result.skipped), (1, MQTT | AMQP), "exit code, and what was skipped")
    check("--amqp=HOST:PORT" in result.out and "--mqtt=HOST:PORT" in result.out, result.out)
    # Whoever is between them and changes nothing is not noticed.
    result = meddled(all_of, "amqp", AMQP, unchanged)
    same(result.passed, AMQP, "passed")


def test_limits():
    """a service that allows few requests is asked again when it allows them"""
    with Shared("--client-rate", "6") as few:
        result = few.run(*sorted(AMQP), *roads(few.service))
        same(result.passed, AMQP, "passed")
        check("status=429" in few.service.read("log"), "the limit was not reached")


def test_no_mechanism(all_of):
    """AMQP: another mechanism than TPM"""
    result = amqp_fails(all_of, lambda data: data.replace(b"TPM", b"EXT"), "SVC-S06-101")
    check("SVC-S09-102" in result.skipped, f"skipped: {result.skipped}")


def challenge(data, control):
    """Is it a challenge of SASL that begins with this byte? Then where that stands."""
    found = re.search(rb"\0S\x42.{9}\xb0.{4}" + re.escape(bytes([control])), data, re.S)
    return found and found.end() - 1


def with_control(old, new):
    def change(data):
        place = challenge(data, old)
        return data if place is None else data[:place] + bytes([new]) + data[place + 1:]
    return change


def test_first_challenge(all_of):
    """AMQP: a first challenge that is 5, which Node's SDK takes, and Java's does not"""
    amqp_fails(all_of, with_control(0, 5), "SVC-S06-102")


def test_segments(all_of):
    """AMQP: a last segment that is not numbered, which Node's SDK takes, and Java's does not"""
    amqp_fails(all_of, with_control(0xC1, 0xC0), "SVC-S06-103")


def test_always_yes(all_of):
    """AMQP: SASL succeeds for everybody"""
    outcome = re.compile(rb"(\0S\x44.{9}\x50)[\x01\x04]", re.S)
    amqp_fails(all_of, lambda data: outcome.sub(lambda m: m[1] + b"\0", data), "SVC-S06-104", "SVC-S06-105",
               "SVC-S09-101")


def test_correlation(all_of):
    """AMQP: answers to something else, for which Node's SDK waits for ever"""
    amqp_fails(all_of, lambda data: data.replace(b"7c1e5d0a-0c43", b"7c1e5d0a-0c44"), "SVC-S09-102", "SVC-S09-103")


def test_no_data_section(all_of):
    """AMQP: answers in a section that Node's SDK does not read"""
    amqp_fails(all_of, lambda data: data.replace(b"\0S\x75\xb0", b"\0S\x77\xb1"), "SVC-S09-102", "SVC-S09-103",
               "SVC-S09-104", "SVC-S09-105")


def test_address(all_of):
    """AMQP: a link whose address is written in another way than it was asked for"""
    amqp_fails(all_of, lambda data: data.replace(b"amqps://localhost/", b"amqps://LOCALHOST/"), "SVC-S09-105")


def test_everybody_connects(all_of):
    """MQTT: a hub that accepts everybody"""
    mqtt_fails(all_of, lambda data: data.replace(b"\x20\x02\0\x05", b"\x20\x02\0\0"), "SVC-S10-102")


def test_nobody_connects(all_of):
    """MQTT: a hub that accepts nobody: one case fails, and the others say that they depend on it"""
    result = mqtt_fails(all_of, lambda data: data.replace(b"\x20\x02\0\0", b"\x20\x02\0\x05"), "SVC-S10-101")
    same(result.skipped, MQTT - {"SVC-S10-101"}, "skipped")


def test_acknowledgements(all_of):
    """MQTT: PUBACK of another packet"""
    puback = re.compile(rb"^\x40\x02(.)(.)", re.S)
    mqtt_fails(all_of, lambda data: puback.sub(lambda m: b"\x40\x02" + m[2] + m[1], data), "SVC-S10-103",
               "SVC-S10-106")


def test_subscriptions(all_of):
    """MQTT: everything is granted"""
    head = b"\x90\x05\0\x09\x01\0"
    mqtt_fails(all_of, lambda data: data.replace(head + b"\x80", head + b"\x01"), "SVC-S10-105")


def test_pings(all_of):
    """MQTT: pings are answered by something else"""
    mqtt_fails(all_of, lambda data: data.replace(b"\xd0\0", b"\x40\x02\0\x07"), "SVC-S10-104")


def test_stays(all_of):
    """MQTT: what breaks a rule is ignored"""
    result = mqtt_fails(all_of, unchanged, "SVC-S10-108", "SVC-S10-109", stays=True)
    check("still open after 15 seconds" in result.out, result.out)


