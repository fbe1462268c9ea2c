# SPDX-License-Identifier: MIT
"""What dps-service does with clients that are slow, broken, hostile or many, and with signals and files.

Needs nothing but the standard library and the openssl program."""

import contextlib
import json
import os
import socket
import ssl
import subprocess
import threading
import time

from server_harness import API, SCOPE, Client, Service, error_code, register, request
from tap import Failed, check, same
from waiting import PATIENCE


# ---- Requests ----

def test_ready(s):
    """the ready line names the real ports, and --help has an example"""
    line = s.read("out").splitlines()[-1]
    check(f"127.0.0.1:{s.tls_port} (TLS)" in line and f"127.0.0.1:{s.plain_port} (plain HTTP)" in line, line)
    check(f"scope {SCOPE}" in line and "2 hubs" in line, line)
    text = subprocess.run([s.program, "--help"], capture_output=True, text=True, check=True).stdout
    check("Example" in text and "--secret-file" in text and "timeouts-ms" not in text, text)


def test_keep_alive(s):
    """many requests on one connection, with TLS and without"""
    for client in (s.tls(), s.plain()):
        for _ in range(5):
            status, headers, body = client.get("/nowhere")
            same((status, headers["connection"]), (404, "keep-alive"), "answer")
            same(json.loads(body)["errorCode"], 404001, "error code")
        client.close()


def test_connection_close(s):
    """'Connection: close' is answered and obeyed, with a proper end"""
    for client in (s.tls(), s.plain()):
        status, headers, _ = client.get(headers="Connection: close\r\n")
        same((status, headers["connection"]), (404, "close"), "answer")
        client.closed()


def test_pipelining(s):
    """pipelined requests are answered one by one, in their order"""
    paths = ["/nowhere", register("dev-1"), f"/enrollments/x?{API}", f"/{SCOPE}/registrations/a%00b?{API}"]
    methods = ["GET", "PUT", "GET", "POST"]
    alone = s.tls()
    wanted = [error_code(alone.get(p, m)) for p, m in zip(paths, methods)]
    check(len(set(wanted)) >= 3, f"these answers do not differ enough: {wanted}")
    for client in (s.tls(), s.plain()):
        for repeat in (1, 20):
            client.send("".join(request(p, m) for p, m in zip(paths, methods)) * repeat)
            same([error_code(client.answer()) for _ in paths * repeat], wanted * repeat, "error codes")
        client.close()


def test_split(s):
    """a request in single bytes is the same request"""
    for client in (s.tls(), s.plain()):
        for byte in request(register(), "PUT", '{"registrationId":"dev-1"}').encode():
            client.send(bytes([byte]))
        same(error_code(client.answer()), 400004, "error code")


def test_chunked(s):
    """a chunked body is the same body"""
    client = s.tls()
    whole = client.get(register(), "PUT", '{"registrationId":"other"}')
    client.send(request(register(), "PUT", headers="Transfer-Encoding: chunked\r\n")
                + '5\r\n{"reg\r\n15\r\nistrationId":"other"}\r\n0\r\n\r\n')
    same(error_code(client.answer()), error_code(whole), "error code")
    same(client.get("/nowhere")[0], 404, "the next request")


def test_smuggling(s):
    """Content-Length beside Transfer-Encoding: 400, and nothing after it is read"""
    for client in (s.tls(), s.plain()):
        client.send(request(register(), "PUT", headers="Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")
                    + "0\r\n\r\n" + request("/nowhere"))
        status, headers, _ = client.answer()
        same((status, headers["connection"]), (400, "close"), "answer")
        client.closed()


def test_too_large(s):
    """a head or body that is too large: 413, which arrives although the client is still sending"""
    for connect in (s.tls, s.plain):
        client = connect()
        client.send(request(register(), "PUT", headers="Content-Length: 1000000\r\n"))
        same(client.answer()[0], 413, "announced body")
        client.closed()
        client = connect()
        client.send(request(register(), "PUT", headers="Transfer-Encoding: chunked\r\n"))
        client.send("1000\r\n" + "x" * 4096 + "\r\n")
        try:
            for _ in range(50):
                client.send("1000\r\n" + "x" * 4096 + "\r\n")
        except (ConnectionError, ssl.SSLError):
            pass  # it no longer listens to us, which it may do
        same(client.answer()[0], 413, "chunks")
        client = connect()
        client.send("GET / HTTP/1.1\r\nHost: x\r\nX: " + "a" * 5000)
        same(client.answer()[0], 413, "head")
        client.closed()


def test_head_request(s):
    """an answer to HEAD has no body"""
    client = s.plain()
    client.send(request("/nowhere", "HEAD"))
    check(int(client.answer(head=True)[1]["content-length"]) > 0, "Content-Length")
    same(client.get("/nowhere")[0], 404, "the next request")


def test_expect(s):
    """'Expect: 100-continue' is answered before the body comes, but not for a body that is refused"""
    for client in (s.tls(), s.plain()):
        client.send(request(register(), "PUT", headers="Expect: 100-continue\r\nContent-Length: 2\r\n"))
        same(client.answer()[0], 100, "interim answer")
        client.send("{}")
        same(client.answer()[0], 400, "answer")
        client.send(request(register(), "PUT", headers="Expect: 100-continue\r\nContent-Length: 999999\r\n"))
        same(client.answer()[0], 413, "refusal")


def test_half_closed(s):
    """a client that closes its side after its request still gets the answer"""
    client = s.plain()
    client.send(request("/nowhere"))
    client.sock.shutdown(socket.SHUT_WR)
    same(client.answer()[0], 404, "answer")
    client.closed()


# ---- TLS ----

def test_resumption(s):
    """a TLS session is resumed"""
    first = s.tls()
    first.get()
    session = first.sock.session
    first.close()
    second = s.tls(session)
    check(second.sock.session_reused, "the session was not reused")
    same(second.get("/nowhere")[0], 404, "answer")


def test_close_notify(s):
    """the end of a TLS connection is announced; the client's announcement is answered"""
    client = s.tls()
    client.get()
    client.sock.settimeout(PATIENCE)
    client.sock.unwrap()


def test_bad_tls(s):
    """bytes that are not TLS are refused and disturb nobody else"""
    for garbage in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x00\x05hello", bytes(3000),
                    b"\x16\x03\x03\xff\xff" + bytes(70000)):
        raw = socket.create_connection(("127.0.0.1", s.tls_port), PATIENCE)
        try:
            raw.sendall(garbage)
            while raw.recv(4096):
                pass
        except ConnectionError:
            pass
        raw.close()
    # A good handshake, and then a record that is not from the peer.
    client = s.tls()
    client.get()
    raw = socket.socket(fileno=os.dup(client.sock.fileno()))
    raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
    client.closed(orderly=False)
    s.wait_log("TLS failed")
    same(s.tls().get("/nowhere")[0], 404, "the next client")


# ---- Slow and vanishing clients ----

def test_half_open_handshake():
    """a TLS handshake that does not go on is ended"""
    with Service(timeouts="handshake=700") as s:
        for sent in (b"", b"\x16\x03\x01"):
            with no_sooner_than(0.7):
                client = Client(s.raw())
                client.send(sent)
                client.closed(orderly=False)


@contextlib.contextmanager
def no_sooner_than(seconds):
    """The body takes so long, counted from before the connection is made: no pause of ours can shorten it."""
    begin = time.monotonic()
    yield
    took = time.monotonic() - begin
    check(took >= seconds - 0.05, f"it took {took:.2f} s, wanted {seconds} s")  # the clock of a turn is a little older


def trickle(client, text):
    """Send a byte every 50 ms, until the service closes."""
    client.sock.settimeout(0.05)
    for byte in text:
        try:
            client.send(bytes([byte]))
            if client.sock.recv(1) == b"":
                break
        except (socket.timeout, ssl.SSLWantReadError):
            pass
        except (ConnectionError, ssl.SSLError, OSError):
            break
    else:
        raise Failed("it was never ended")


def test_slow_head():
    """a head that trickles is cut off after its time"""
    with Service(timeouts="head=700") as s:
        for connect in (s.tls, s.plain):
            with no_sooner_than(0.7):
                trickle(connect(), request("/" + "a" * 4000).encode())


def test_slow_body():
    """a body that trickles is cut off after its time, and one that stops, earlier"""
    text = request(register(), "PUT", headers="Content-Length: 5000\r\n")
    for timeouts, seconds, end in (("body=1500", 1.5, lambda client: trickle(client, b"x" * 4000)),
                                   ("stall=700", 0.7, Client.closed)):
        with Service(timeouts=timeouts) as s:
            for connect in (s.tls, s.plain):
                with no_sooner_than(seconds):
                    client = connect()
                    client.send(text)
                    end(client)


def test_idle():
    """an idle connection is closed properly"""
    with Service(timeouts="idle=2000") as s:
        for connect in (s.tls, s.plain):
            with no_sooner_than(2):
                answered(connect).closed()


def answered(connect):
    """A connection that has had an answer. On a busy machine it may be idle too long before it asks."""
    deadline = time.monotonic() + PATIENCE
    while True:
        client = connect()
        try:
            client.get()
            return client
        except (OSError, Failed):
            check(time.monotonic() < deadline, "no connection was answered before it was closed")


def test_close_mid_request(s):
    """clients that vanish in the middle of a request leave nothing behind"""
    before = len(s.read("log"))
    for connect in (s.tls, s.plain):
        for text in ("GET / HT", request(register(), "PUT", headers="Content-Length: 100\r\n") + "{"):
            client = connect()
            client.send(text)
            client.close()
    s.wait_log("in the middle of its request", before)
    same(s.plain().get("/nowhere")[0], 404, "the next client")


def test_slow_reader():
    """a client that keeps sending and never reads is cut off, and costs one buffer"""
    with Service(timeouts="write=1500") as s:
        never_read(s)
        s.wait_log("read too slowly")


def never_read(s):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", s.plain_port))
    sock.settimeout(0.2)
    text = request("/nowhere").encode() * 200
    begin = time.monotonic()
    try:
        while time.monotonic() - begin < PATIENCE:
            try:
                sock.send(text)
            except socket.timeout:
                pass
    except ConnectionError:
        return
    raise Failed("it was never ended")


# ---- Many clients ----

def test_parallel(s):
    """200 connections at once, TLS and plain, each with its own answers"""
    failures = []

    def run(i):
        try:
            client = s.tls() if i % 2 else s.plain()
            for k in range(5):
                body = json.dumps({"registrationId": f"other-{i}-{k}"})
                same(client.get(register(f"dev-{i}"), "PUT", body)[0], 400, "answer")
            client.close()
        except Exception as error:  # noqa: whatever it is, the test has failed
            failures.append(error)
    threads = [threading.Thread(target=run, args=(i,)) for i in range(200)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    same(failures, [], "failures")


@contextlib.contextmanager
def shared():
    with Service() as service:
        yield service
        check(service.process.poll() is None, "the service has died")
