# SPDX-License-Identifier: MIT
"""What strangers, and devices that have proved themselves, can do to --amqp: they lose their connection, and nobody
else does. Needs python3-qpid-proton, tpm2-pytss and python3-cryptography."""

import contextlib
import os
import signal
import ssl
import struct

import proton

from amqp_harness import (BEGIN, CHALLENGE, DETACH, FLOW, HEADER, MECHANISMS, NULL, OPEN, OUTCOME, REGISTER,
                          SASL_HEADER, STATUS, Door, Peer, attach, binary, described, frame, response, sasl_init,
                          string, symbol, uint)
from certificates import make_leaf
from harness import HUBS
from tap import Failed, check, same
from waiting import wait_until


def shared():
    return Door("--metrics", "127.0.0.1:0")


# ---- Strangers ----

def test_silence(door):
    """who never comes to the end of a frame is closed: before the header, in it, in a size, in a body"""
    slow = Door(timeouts="idle=300,head=300,body=300,stall=300,linger=600000")
    init = sasl_init("boiler", slow.ek_2b)
    for begin in (b"", SASL_HEADER[:1], SASL_HEADER[:7]):
        raw = slow.raw()
        raw.send(begin)
        raw.ends()
    for begin in (b"", init[:1], init[:7], init[:8], init[:-1]):
        raw = begun(slow)
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            raw.send(begin)
        raw.ends()
    # Bytes that trickle do not move the deadline.
    raw = slow.raw()
    raw.sock.settimeout(0.05)
    for byte in SASL_HEADER[:-1] * 20:
        raw.send(bytes([byte]))
        with contextlib.suppress(TimeoutError):
            same(raw.sock.recv(1), b"", "before the end")
            break
    else:
        raise Failed("it trickles for ever")


def begun(door):
    """SASL has begun, although this machine may be too slow for such time-outs."""
    while True:
        raw = door.raw()
        with contextlib.suppress(ConnectionError, ssl.SSLError, Failed):
            raw.begin()
            return raw


def test_lengths(door):
    """a size beyond the limit ends the connection before anything of the frame is read, in SASL from 513 bytes on"""
    for size in (513, 65536, 0x7FFFFFFF, 0xFFFFFFFF):
        raw = door.raw()
        raw.begin()
        raw.send(struct.pack(">IBBH", size, 2, 1, 0))
        raw.refused()
    for size in (65537, 0xFFFFFFFF):
        raw = door.proven()
        raw.session()
        raw.send(struct.pack(">IBBH", size, 2, 0, 0))
        same(raw.closed("amqp:not-allowed")["errorCode"], 413001, "error")
    for begin in (b"\0\0\0\7\2\1\0\0", b"\0\0\0\x08\1\1\0\0", b"\0\0\0\x08\xff\1\0\0", b"\0\0\0\x08\2\2\0\0",
                  b"\0\0\0\x08\2\1\0\0", b"\0\0\0\x0c\2\1\0\0\0S\x43\x45", b"\0\0\0\x0c\2\0\0\0\0S\x18\x45"):
        raw = door.raw()
        raw.begin()
        raw.send(begin)
        raw.refused()


def test_other_protocols(door):
    """who begins with something else is told the header that would have been right, and closed"""
    for begin in (HEADER, b"AMQP\2\1\0\0", b"AMQP\0\0\x09\1", b"GET / HTTP/1.1\r\n\r\n", b"\x10\x0c\0\4MQTT\4\2\0\0",
                  sasl_init("boiler", door.ek_2b)):
        raw = door.raw()
        raw.send(begin)
        same(raw.take(8), SASL_HEADER, "header")
        raw.ends()


def test_sasl_by_hand(door):
    """another mechanism, a response before the init, more than one segment, no token: refused"""
    raw = door.raw()
    raw.begin()
    raw.send(sasl_init("boiler", door.ek_2b, mechanism="PLAIN"))
    raw.refused()
    for first in (response(b"\0"), sasl_init("boiler" * 30, door.ek_2b), sasl_init("boiler", door.ek_2b + b"\0" * 5),
                  frame(described(0x41, symbol("TPM")), 1), frame(described(0x41, symbol("TPM"), binary(b"")), 1),
                  frame(described(0x41, symbol("TPM"), binary(b"\x80a\0b\0")), 1)):
        raw = door.raw()
        raw.begin()
        raw.send(first)
        raw.refused()
    for srk in (b"", b"\0", b"\0" + door.srk_2b[:-1], b"\0" + door.srk_2b + b"\0", b"\x80" + door.srk_2b,
                b"\0" + door.ek_2b, b"\0" * 400):
        raw = door.raw()
        raw.begin()
        raw.send(sasl_init("boiler", door.ek_2b))
        raw.gets(CHALLENGE, b"\0")
        raw.send(response(srk))
        raw.refused()
    for token in (b"", b"\0", b"\0a", b"\xc0" + door.token("boiler", _blob(door)).encode(), b"\0" * 480):
        raw = door.raw()
        raw.name()
        raw.blob()
        raw.send(response(token))
        raw.refused()


def _blob(door):
    raw = door.raw()
    raw.name()
    return raw.blob()


def test_pipelined(door):
    """all of SASL in one write: frames are answered one after the other, and the token is one of before"""
    raw = door.raw()
    raw.send(SASL_HEADER + sasl_init("boiler", door.ek_2b) + response(b"\0" + door.srk_2b) + response(b"\0")
             + response(b"\0" + b"SharedAccessSignature sr=a&sig=b&se=1"))
    same(raw.take(8), SASL_HEADER, "header")
    raw.gets(MECHANISMS)
    for _ in range(3):
        raw.gets(CHALLENGE)
    raw.refused()


# ---- Devices that have proved themselves ----

def test_order(door):
    """frames out of order, a second session, other channels and addresses, a message in pieces: a close"""
    begin = frame(described(BEGIN, NULL, uint(0), uint(1), uint(1)))
    for wrong in (begin, attach("boiler", True, 0), attach("boiler", True, 5), attach("boiler", False, 5),
                  frame(described(OPEN, string("again"))), HEADER, frame(described(0x16, uint(9))),
                  frame(described(FLOW, uint(0), uint(1), uint(0), uint(1), uint(9))),
                  frame(described(0x14, uint(1), uint(0), binary(b"t"), uint(0), NULL, b"\x41") + b"\0Su\xa0\0"),
                  frame(described(0x14, uint(0), uint(0), binary(b"t")) + b"\0Su\xa0\0"),
                  frame(described(0x14, uint(1), uint(0), binary(b"t")) + b"\0Sz\xa0\0"),
                  struct.pack(">IBBH", 12, 2, 0, 1) + b"\0S\x17\x45"):
        raw = door.proven()
        raw.session()
        raw.send(wrong)
        same(raw.closed("amqp:not-allowed")["errorCode"], 400001, "error")
    raw = door.proven()
    raw.send(HEADER + frame(described(OPEN, string("a"), NULL, uint(512))))
    same(raw.take(8), HEADER, "header")
    raw.gets(OPEN)
    raw.closed("amqp:not-allowed")
    raw = door.proven()
    raw.send(HEADER + frame(described(OPEN, string("a"))) + begin + attach("pump", True, 0))
    same(raw.take(8), HEADER, "header")
    raw.gets(OPEN)
    raw.gets(BEGIN)
    raw.closed("amqp:not-found")


def test_settle_mode(door):
    """a link's settle mode, which is sent back, is one byte: a long one is the client's mistake, and not ours"""
    for wrong in (binary(b"x" * 30000), binary(b"\1"), b"\x50\3", uint(1)):
        raw = door.proven()
        raw.session()
        raw.send(frame(described(DETACH, uint(0))))
        raw.gets(DETACH)
        raw.send(attach("boiler", True, 0, settles=wrong))
        same(raw.closed("amqp:not-allowed")["errorCode"], 400001, "error")


def test_flood(door):
    """thousands of frames, nothing read: the connection gives way, and others are served meanwhile"""
    raw = door.proven()
    raw.session()
    raw.sock.settimeout(10)
    flow = frame(described(FLOW, uint(0), uint(1), uint(0), uint(1), NULL, NULL, NULL, NULL, NULL, b"\x41"))
    with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
        for _ in range(200):
            raw.send(flow * 100)
    same(door.service.tls().get("/nowhere")[0], 404, "somebody else meanwhile")
    door.peer().register()


def test_rate(door):
    """polls without end are refused beyond the limit, as over HTTPS"""
    few = Door("--challenge-rate", "3")
    peer = few.peer()
    _, first = peer.ask(REGISTER)
    outcomes = []
    while outcomes.count(proton.Delivery.REJECTED) < 5 and len(outcomes) < 100:
        delivery = peer.send(STATUS, first["operationId"])
        outcomes.append(delivery.remote_state)
        if outcomes[-1] == proton.Delivery.ACCEPTED:
            peer.answer()
    same((outcomes[:3], outcomes.count(proton.Delivery.REJECTED)), ([proton.Delivery.ACCEPTED] * 3, 5), "outcomes")


def test_disabled_meanwhile(door):
    """disabled between SASL and the request: rejected, and nothing is assigned"""
    door.enroll("meanwhile")
    peer = door.peer("meanwhile")
    door.bench.admin("disable", "meanwhile")
    name, error, _ = peer.rejected(REGISTER)
    same((name, error["errorCode"]), ("amqp:unauthorized-access", 403201), "rejection")
    check("meanwhile" not in door.bench.table("registrations"), "it was registered")


def test_proof_writes_nothing(door):
    """SASL with a right token, again and again: the store is as it was"""
    door.enroll("shy")
    raw = door.raw()
    token = raw.prove("shy")
    before = records(door)
    for _ in range(3):
        again = door.raw()
        again.prove("shy", token)
    same(records(door), before, "the store")


def records(door):
    """All but the list of runs, which a challenge may change."""
    return [{key: value for key, value in door.bench.table(name).items() if key != "/runs"}
            for name in ("enrollments", "registrations", "devices")]


def test_store_fails():
    """a store that does not keep a registration: rejected, to be tried again, and then it succeeds"""
    door = Door()
    peer = door.peer()
    os.rename(door.bench.path("dps.db"), door.bench.path("away.db"))
    name, error, info = peer.rejected(REGISTER)
    same((name, error["errorCode"]), ("amqp:internal-error", 503001), "rejection")
    same(int(info[proton.symbol("retry-after")]), 5, "retry-after")
    os.rename(door.bench.path("away.db"), door.bench.path("dps.db"))
    peer.register()


# ---- Places ----

def test_places():
    """who is silent, in SASL or after it, loses his place to those who come"""
    door = Door("--connections", "8", "--client-connections", "0", "--metrics", "127.0.0.1:0")
    kept = []
    for i in range(40):
        raw = door.raw(f"127.0.0.{2 + i % 30}")
        raw.send(SASL_HEADER)
        kept.append(raw)
    for _ in range(10):
        kept.append(door.proven())
    door.peer().register()
    same(door.service.tls().get("/nowhere")[0], 404, "somebody else")
    check(door.service.sample("dps_connections_evicted_total") > 20, "nobody had to go")


def test_share():
    """one address has no more than its share, over HTTPS and AMQP together"""
    door = Door("--connections", "20", "--client-connections", "4", "--metrics", "127.0.0.1:0")
    kept = []
    for _ in range(12):
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            kept.append(door.raw())
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            kept.append(door.service.tls())
    wait_until(lambda: door.service.sample("dps_connections") <= 5, "the share is kept")


# ---- Signals ----

def test_stop():
    """SIGTERM: a device that is midway goes on to its end; those that have finished or not begun are closed"""
    door = Door(timeouts="drain=600000")
    door.enroll("two")
    midway, done = door.raw(), door.peer("two")
    midway.name()
    done.register()
    silent = door.raw()
    door.service.process.send_signal(signal.SIGTERM)
    done.raw.ends()
    silent.ends()
    token = door.token("boiler", midway.blob())
    midway.send(response(b"\0" + token.encode()))
    midway.gets(OUTCOME, 0)
    peer = Peer(midway)
    peer.attach()
    peer.register()
    midway.ends()
    same(door.service.process.wait(60), 0, "exit code")


def test_stop_delay():
    """while SIGTERM waits for load balancers, devices still come and are assigned"""
    door = Door("--metrics", "127.0.0.1:0", timeouts="stop=600000,drain=600000")
    door.service.process.send_signal(signal.SIGTERM)
    door.says("event=stopping")
    door.peer().register()
    door.service.process.send_signal(signal.SIGTERM)
    same(door.service.process.wait(60), 0, "exit code")


def test_certificates():
    """SIGHUP: a device that is midway keeps its connection, with the certificate that it began with"""
    door = Door()
    peer = door.peer()
    make_leaf(door.service.dir, ("localhost", *HUBS))
    door.service.hang_up("detail=certificate")
    peer.register()
    peer.raw.ends()
    door.peer()


def test_restarted():
    """the answer to a challenge of before a restart is taken after it, in another connection"""
    door = Door()
    token = door.token("boiler", _blob(door))
    door.service.stop()
    door.bench.start()
    raw = door.raw()
    raw.prove("boiler", token)
    peer = Peer(raw)
    peer.attach()
    peer.register()
