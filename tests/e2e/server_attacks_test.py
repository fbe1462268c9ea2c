# SPDX-License-Identifier: MIT
"""What dps-service does with clients that want to keep it from serving others."""

import contextlib
import itertools
import json
import os
import re
import signal
import socket
import ssl

from server_harness import Client, Service, enroll, make_certificate, owner_token, register, request, trusting
from server_records import ALERT, CLIENT_HELLO, DATA, HANDSHAKE, WARNING, Records, plain
from tap import Failed, Programs, check, same
from waiting import Threads, wait_until

BARREN = "too many TLS records without content"
KEEP_OPEN = 1000  # rounds of a flood, in case the service never ends it


def ends(sock, piece):
    """Send it again and again, until the service closes the connection."""
    try:
        for _ in range(KEEP_OPEN):
            sock.sendall(piece)
        while sock.recv(65536):
            pass
    except socket.timeout:
        raise Failed("it was never ended") from None
    except ConnectionError:
        pass


class Flood(Threads):
    """Connections that send without a pause, each in a thread, and are made again when they are closed:
    with Flood(connect, piece)."""

    def __init__(self, connect, piece, count=2):
        self.connect, self.piece = connect, piece
        super().__init__(*[self.run] * count)

    def run(self):
        while not self.stop.is_set():
            with contextlib.suppress(OSError), self.connect() as sock:
                sock.settimeout(0.2)
                while not self.stop.is_set():
                    try:
                        sock.send(self.piece)
                    except socket.timeout:
                        pass


# ---- One connection ----

def test_alerts():
    """warning alerts before the handshake: a few are harmless, many end the connection"""
    with Service() as s:
        if not Programs.openssl():  # libssl takes none
            few = s.raw()
            few.sendall(plain(ALERT, WARNING, 0x0301) * 3)  # the version of a ClientHello's record
            client = Records(few)
            client.send((DATA, request("/nowhere").encode()))
            check(client.read().startswith(b"HTTP/1.1 404"), "the answer after three alerts")
        ends(s.raw(), plain(ALERT, WARNING) * 1000)
        s.wait_log("TLS failed" if Programs.openssl() else BARREN)


def test_barren_records():
    """after the handshake: a few alerts, empty records and new handshakes are harmless, many end the connection"""
    for barren in ((ALERT, WARNING), (DATA, b""), (HANDSHAKE, CLIENT_HELLO)):
        with Service() as s:
            client = Records(s.raw())
            text = request("/nowhere").encode()
            for _ in range(5):  # again for each request
                client.send((DATA, text[:10]), barren, barren, (DATA, text[10:]))
                check(client.read().startswith(b"HTTP/1.1 404"), "the answer between such records")
            sock = client.sock
            with contextlib.suppress(ConnectionError):
                for _ in range(KEEP_OPEN):
                    client.send(barren)
            wait_until(lambda: Client(sock).reset(), f"many of {barren} did not end the connection")
            s.wait_log("TLS failed" if Programs.openssl() and barren[0] == ALERT else BARREN)  # libssl counts, too


def test_handshake_fragments():
    """a ClientHello in very many records, or one that announces 16 MB, ends the connection"""
    with Service() as s:
        bytewise = b"".join(plain(HANDSHAKE, CLIENT_HELLO[i:i + 1]) for i in range(40))
        ends(s.raw(), bytewise + plain(HANDSHAKE, b"x" * 40))
        huge = plain(HANDSHAKE, b"\x01\xff\xff\xff\x03\x03" + bytes(16000))
        ends(s.raw(), huge + plain(HANDSHAKE, bytes(16000)) * 40)
        same(s.tls().get("/nowhere")[0], 404, "the next client")


def floods(s):
    """What can be sent endlessly, and where."""
    def closing():
        sock = s.raw(s.plain_port)
        sock.sendall(request("/nowhere", headers="Connection: close\r\n").encode())
        return sock
    chunked = request(register(), "PUT", headers="Transfer-Encoding: chunked\r\n").encode()
    expecting = request("/x", "PUT", headers="Expect: 100-continue\r\nContent-Length: 1\r\n").encode()

    def to_proxy():
        return s.raw(s.plain_port)
    return {"alerts": (s.raw, plain(ALERT, WARNING) * 5000),
            "no TLS": (s.raw, b"GET / HTTP/1.1\r\n" * 5000),
            "handshake fragments": (s.raw, plain(HANDSHAKE, b"\x01\xff\xff\xff\x03\x03" + bytes(16000))),
            "after the last answer": (closing, b"x" * 65536),
            "small requests": (to_proxy, request("/nowhere").encode() * 500),
            "chunks": (to_proxy, chunked + b"1\r\nx\r\n" * 8000),
            "100-continue": (to_proxy, expecting * 500)}


def test_floods():
    """whatever is sent endlessly, others are served meanwhile, also by the metrics listener"""
    with Service("--metrics", "127.0.0.1:0") as s:
        for name, (connect, piece) in floods(s).items():
            with Flood(connect, piece):
                for client in [s.tls() for _ in range(5)] + [s.plain() for _ in range(5)]:
                    same(client.get("/nowhere")[0], 404, name)
                    client.close()
                same(s.metrics("/healthz")[0], 200, name)


def test_signals_in_floods():
    """SIGHUP and SIGTERM are noticed meanwhile"""
    for name in ("alerts", "small requests"):
        s = Service(timeouts="drain=1000")
        try:
            with Flood(*floods(s)[name]):
                s.tls().get("/nowhere")
                s.hang_up("event=reloaded")
                same(s.stop(), 0, f"exit code: {name}")
        finally:
            s.stop(signal.SIGKILL)


# ---- Many connections ----

SLOTS = 40


def crowd(connect, texts, count=4 * SLOTS):
    """Connections that wait, each having sent one of texts."""
    clients = []
    for i in range(count):
        client = connect()
        with contextlib.suppress(ConnectionError):
            client.send(texts[i % len(texts)])
        clients.append(client)
    return clients


def all_came(s, count):
    """Each listener has a queue of its own: whoever comes at one may be looked at before those who wait at the other,
    and has to bring his request before they have all come."""
    asked = itertools.count(1)  # by connections that are counted as well
    wait_until(lambda: s.sample("dps_connections_total") - next(asked) >= count, "not all have come to their turn")


def crowds(s):
    """How to connect and what to send, so that the service waits."""
    half = request(register(), "PUT", headers="Content-Length: 500\r\n") + "x"
    return {"silent": (lambda: Client(s.raw()), [b""]),
            "half a ClientHello": (lambda: Client(s.raw()), [b"\x16\x03\x01", plain(HANDSHAKE, CLIENT_HELLO)[:20]]),
            "handshake begun": (lambda: Client(s.raw()), [plain(HANDSHAKE, CLIENT_HELLO)]),
            "handshake and no more": (s.tls, [b""]),
            "half a head, TLS": (s.tls, ["GET / HT"]),
            "half a head": (s.plain, ["GET / HT", ""]),
            "half a body": (s.plain, [half]),
            "half a body, TLS": (s.tls, [half]),
            "never closed": (s.plain, [request("/nowhere", headers="Connection: close\r\n")])}


def test_crowds():
    """whatever many connections wait for, new clients are served, and those with a request stay"""
    for name in crowds(Service(start=False)):
        with Service("--connections", str(SLOTS), "--client-connections", "0", "--metrics", "127.0.0.1:0",
                     timeouts="linger=600000") as s:
            served = s.tls(), s.plain()
            for client in served:
                same(client.get("/nowhere")[0], 404, name)
            kept = crowd(*crowds(s)[name])
            all_came(s, len(kept) + len(served))
            stay = served if name in ("silent", "half a ClientHello", "half a head", "half a body") else ()
            for client in (s.tls(), s.plain(), *stay):
                same(client.get("/nowhere")[0], 404, name)
            for client in (*kept, *served):
                client.close()


def test_slots():
    """the oldest one without a request is closed first, then the one that has been idle longest"""
    with Service("--connections", "4") as s:
        idle = s.plain()
        idle.get("/nowhere")
        silent = [s.plain() for _ in range(3)]
        silent[1].send("GET /nowhere HTTP/1.1\r\n")
        new = s.plain()
        same(new.get("/nowhere")[0], 404, "a new client")
        wait_until(silent[0].reset, "the oldest silent connection has to go")
        check(not silent[1].reset() and not silent[2].reset() and not idle.reset(), "another one had to go")
        for client in silent[1:]:
            client.send(("" if client is silent[1] else "GET /nowhere HTTP/1.1\r\n") + "Host: x\r\n\r\n")
            same(client.answer()[0], 404, "one that has come to its request")
        idle.get("/nowhere")
        same(s.tls().get("/nowhere")[0], 404, "a client when all are idle")
        new.closed()
        same(idle.get("/nowhere")[0], 404, "one that was not idle for longest")


def test_reserved():
    """the metrics listener has places of its own: clients cannot take them, and it cannot take theirs"""
    with Service("--connections", str(SLOTS), "--metrics", "127.0.0.1:0") as s:
        kept = crowd(s.plain, ["GET / HT", ""])
        for path in ("/healthz", "/readyz", "/metrics"):
            same(s.metrics(path)[0], 200, path)
        check(s.sample("dps_connections_evicted_total") > 0, "nobody had to go")
        client = s.tls()
        client.get("/nowhere")
        kept += crowd(lambda: Client(s.raw(s.metrics_port)), [b"", b"GET /metrics HT"])
        same(s.metrics("/healthz")[0], 200, "a probe among many")
        same(client.get("/nowhere")[0], 404, "a client meanwhile")
        for other in kept:
            other.close()


def test_client_share():
    """one address may have its share; a second one, and the proxy, have theirs"""
    with Service("--client-connections", "3", "--metrics", "127.0.0.1:0") as s:
        proxied = [s.plain() for _ in range(10)]
        other = s.tls(source="127.0.0.2")
        mine = []
        for client in (*proxied, other):
            client.get("/nowhere")
        for _ in range(5):
            mine.append(s.tls())
            mine[-1].get("/nowhere")
        for client in mine[:2]:
            client.closed()
        for client in (*mine[2:], other, *proxied):
            same(client.get("/nowhere")[0], 404, "a connection within its share")
        same(s.sample("dps_connections_evicted_total"), 2, "connections that had to go")
        # Nobody in the middle of something is closed at once: then it is the new one.
        for client in mine[2:]:
            client.send("GET /nowhere HTTP/1.1\r\n")
        wait_until(lambda: busy_turns_away(s, mine[2:]), "a client beyond its share was never turned away")
        for client in mine[2:]:
            client.close()


def busy_turns_away(s, busy):
    for client in busy:
        client.send("X: y\r\n")
    with contextlib.suppress(ConnectionError, OSError), s.raw() as sock:
        sock.recv(1)
    return s.sample("dps_connections_turned_away_total") > 0


def test_descriptors():
    """with fewer descriptors than connections new clients are served, and the log says so once"""
    with Service("--connections", "100", "--metrics", "127.0.0.1:0", limit=26) as s:
        kept = crowd(s.plain, [""], 60)
        all_came(s, len(kept))
        for connect in (s.plain, s.tls):
            same(connect().get("/nowhere")[0], 404, "a new client")
        same(s.metrics("/healthz")[0], 200, "healthz")
        same(s.read("log").count("fewer descriptors than --connections"), 1, "log lines")
        for client in kept:
            client.close()


# ---- The log ----

# A second of the log is not one of the clock, so a clock's second may have parts of two; and of one more, which a turn
# that was held up belongs to.
PARTS = 3


def lines_of(s):
    return [json.loads(line) for line in s.read("log").splitlines()]


def test_log_flood():
    """refusals are limited for each second and client; those left out are counted; another kind still has its line"""
    with Service("--log", "json") as s:
        client, count = s.plain(), 3000
        for _ in range(count // 100):
            client.send(request("/nowhere") * 100)
            for _ in range(100):
                same(client.answer()[0], 404, "status")
        same(client.get(register(), "DELETE")[0], 405, "status")
        client.send("BREW\r\n\r\n")
        same(client.answer()[0], 400, "status")
        wait_until(lambda: any(x.get("errorCode") == 400001 for x in lines_of(s)), "a line for another kind")
        lost = "lines were left out of the log"
        wait_until(lambda: sum(x["event"] == "refused" for x in lines_of(s)) +
                 sum(x["refusals"] for x in lines_of(s) if x["event"] == lost) == count + 2, "lines do not add up")
        seconds = {}
        for line in lines_of(s):
            if line["event"] == "refused":
                seconds[line["time"][:19]] = seconds.get(line["time"][:19], 0) + 1
        check(max(seconds.values()) <= PARTS * 21 + 2, f"lines a second: {seconds}")


def test_log_flood_of_many():
    """refusals of many clients are limited in total, and so are the events of connections"""
    with Service("--log", "json") as s:
        client = s.plain()
        for n in range(20):
            for i in range(1, 101):
                client.send(request("/nowhere", headers=f"X-Forwarded-For: 192.0.2.{i}\r\n"))
            for _ in range(100):
                same(client.answer()[0], 404, f"status in round {n}")
        for _ in range(200):
            with s.raw() as sock:
                sock.sendall(b"no TLS at all, not even nearly")
                with contextlib.suppress(ConnectionError):
                    sock.recv(1)
        wait_until(lambda: sum(x.get("events", 0) for x in lines_of(s)) > 0, "no event was left out")
        seconds = {}
        for line in lines_of(s):
            key = line["event"] == "refused", line["time"][:19]
            seconds[key] = seconds.get(key, 0) + 1
        for (refusal, second), lines in seconds.items():
            check(lines <= PARTS * (101 if refusal else 21) + 2, f"{second}: {lines} lines")


def test_log_unread():
    """a log that nobody reads costs lines, not the service"""
    read, write = os.pipe()
    s = Service("--log", "json", start=False)
    try:
        s.write("log", "")
        s.start(write)
        os.close(write)
        client = s.tls()
        same(enroll(s, client)[0], 200, "enrolling")
        auth = f"Authorization: {owner_token(s)}\r\n"
        for _ in range(40):  # more than a pipe and the service's own buffer can hold
            client.send(request("/enrollments/dev-1?api-version=2021-06-01", headers=auth) * 30)
            for _ in range(30):
                same(client.answer()[0], 200, "status")
        text = b""
        while b'"unread":' not in text:
            text += os.read(read, 65536)
            if b'"unread":' not in text:
                client.get("/nowhere")
        check(int(re.search(rb'"unread":(\d+)', text).group(1)) > 0, "lines that were left out")
        for line in text.splitlines()[:-1]:
            json.loads(line)
        same(s.stop(), 0, "exit code")
    finally:
        s.stop(signal.SIGKILL)
        os.close(read)


# ---- Keys that are taken away ----

def test_revoked_at_once():
    """a policy key that is taken away no longer counts, even while the new certificate waits or is broken"""
    with Service() as s:
        old = s.tls()
        old.send("GET / HT")
        make_certificate(s.dir, "second")
        s.hang_up("detail=certificate")
        taken = owner_token(s)
        policies = json.loads(s.read("policies.json"))
        for n in (1, 2):
            if n == 1:
                make_certificate(s.dir, "third")
            else:
                s.write("cert.pem", "no PEM")
            policies["policies"][0]["primaryKey"] = "QUJD" * 10 + "QUI" + str(n)
            s.write("policies.json", json.dumps(policies))
            s.hang_up("detail=policies")
            auth = f"Authorization: {taken}\r\n"
            path = "/enrollments/dev-1?api-version=2021-06-01"
            same(s.plain().get(path, headers=auth)[0], 401, "a request with the key that was taken away")
            taken = owner_token(s)
            same(s.plain().get(path, headers=f"Authorization: {taken}\r\n")[0], 404, "and with the new one")
        check(not old.reset(), "the connection with the first certificate has gone")
        old.send("TP/1.1\r\nHost: x\r\n\r\n")
        same(old.answer()[1]["connection"], "close", "Connection with the first certificate")
        subject = dict(pair[0] for pair in third(s).getpeercert()["subject"])
        same(subject["commonName"], "third", "the certificate that had waited")
        old.close()


def third(s):
    """A connection that sees the certificate that had to wait; by now the file has a broken one."""
    with contextlib.suppress(Failed):
        s.wait_log("event=reloaded detail=certificate", s.read("log").rindex("policies"))
    check("event=reloaded detail=certificate" in s.read("log")[s.read("log").rindex("policies"):], "it still waits")
    pem = ssl.get_server_certificate(("127.0.0.1", s.tls_port))
    context = trusting(cadata=pem)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context.wrap_socket(s.raw(), server_hostname="localhost")
