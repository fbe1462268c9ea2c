# SPDX-License-Identifier: MIT
"""Two nodes of dps-service on one PostgreSQL: what one begins the other can finish, and what becomes of both when the
database is stopped, hangs, is slow or cuts connections while devices register.

SEED, in the environment, repeats the random choices of a run. Needs openssl, python3-tpm2-pytss, python3-cryptography
and PostgreSQL."""
import collections
import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import threading
import time

from durability_test import check_pairs
from fleet import (FREE, Assignment, Keys, Ledger, Load, Registrar, enroll, generation_of,
                   get_operation, is_challenge, operation_of, put_registration, register_device, token_for)
from harness import PROGRAM_PATIENCE, Bench, Device
from server_harness import Client, Service
from stores import Postgres
from tap import Programs, check, same, seed
from waiting import PATIENCE, wait_until

ROUNDS = 50            # of one token at two nodes
CUTS = 12
WORKERS = 2            # of each node
PROCESSES = 2 * WORKERS
PUT_OFF = 20           # requests, while the database is away
REFUSED = {401007, 409203, 503001}  # replayed, at the same moment, later


def metrics(service, path):
    client = Client(socket.create_connection(("127.0.0.1", service.metrics_port), 60))
    status, _, body = client.get(path)
    client.close()
    return status, body.decode()


class Nodes:
    """Two services that share a database, a secret and policies."""

    def __init__(self, seed):
        self.keys, self.random = Keys(), random.Random(seed)
        self.postgres = Postgres()
        options = (*FREE, "--workers", str(WORKERS), "--metrics", "127.0.0.1:0")
        self.bench = Bench(*options, store=self.postgres.name)
        self.a = self.bench.service
        self.b = Service(*options, store=self.postgres.name, start=False)
        for name in ("secret", "policies.json", "cert.pem", "key.pem", "ca.pem"):
            shutil.copy(self.a.path(name), self.b.dir)
        Programs.cleanup.callback(self.b.stop, signal.SIGKILL)
        self.b.start()
        self.b.contexts = self.a.contexts
        self.both = self.a, self.b
        self.count = 0

    def new_load(self):
        self.count += 1
        ledger = Ledger()
        return [Registrar(node, self.keys, ledger, connect, f"load-{self.count}-{n}-{m}")
                for n, node in enumerate(self.both) for m, connect in enumerate((node.plain, node.tls))]

    def check(self, ledger):
        enrollments, registrations, devices = self.postgres.tables()
        ledger.check(registrations, enrollments)
        check_pairs(registrations, devices)
        same(ledger.surprises, [], "answers that nobody expected")

    def ready(self):
        return [metrics(node, "/readyz")[0] for node in self.both]


# ---- One service on two machines -------------------------------------------------------------------------------------

def test_shared(n):
    """a device that is enrolled at one node registers at the other; each step may go to either of them"""
    at_a, at_b = n.a.plain(), n.b.tls()
    same(enroll(n.a, at_a, n.keys, "shared")[0], 200, "enrolled at A")
    token = token_for(n.keys, "shared", put_registration(at_b, n.keys, "shared"))
    operation = operation_of(put_registration(at_a, n.keys, "shared", token))
    assignment = Assignment(n.keys, "shared", get_operation(at_b, "shared", operation, token))
    same(assignment.send(at_a), 204, "its message to A")
    same(assignment.send(at_b), 204, "its message to B")
    again, generation = register_device(at_b, n.keys, "shared")
    same((generation, again.hub), (2, assignment.hub), "registered again, at B")
    same(assignment.send(at_a), 401, "the key of before, at A")
    same(again.send(at_a), 204, "the new key, at A")
    at_a.close()
    at_b.close()


def both_at_once(n, clients, name, token):
    """The answers of both nodes to the same request at the same moment."""
    barrier, answers = threading.Barrier(2), [None, None]

    def ask(i):
        barrier.wait()
        answers[i] = put_registration(clients[i], n.keys, name, token)
    threads = [threading.Thread(target=ask, args=(i,), daemon=True) for i in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(PATIENCE)
    check(all(answers), "a node did not answer")
    return answers


def test_one_wins(n):
    """both nodes get the same token at the same moment: exactly one of them accepts it, each time"""
    clients = n.a.plain(), n.b.plain()
    same(enroll(n.a, clients[0], n.keys, "twice")[0], 200, "enrolled")
    outcomes = collections.Counter()
    for i in range(ROUNDS):
        challenged = put_registration(clients[i % 2], n.keys, "twice")
        token = token_for(n.keys, "twice", challenged)
        answers = both_at_once(n, clients, "twice", token)
        won = [a for a in answers if a[0] == 202]
        same(len(won), 1, f"accepted, of {answers}")
        same(generation_of(operation_of(won[0])), i + 1, "generation")
        other, = (json.loads(a[2])["errorCode"] for a in answers if a[0] != 202)
        check(other in REFUSED, f"the other one: {answers}")
        outcomes[other] += 1
        operation = operation_of(won[0])
        for client in clients:
            Assignment(n.keys, "twice", get_operation(client, "twice", operation, token))
    print(f"# the other one was refused with {dict(outcomes)}")
    for client in clients:
        client.close()
    _, registrations, devices = n.postgres.tables()
    same(registrations["twice"]["generation"], ROUNDS, "generation in the end")
    check_pairs(registrations, devices)


# ---- The database goes, and comes back -------------------------------------------------------------------------------

def watch(n, load):
    """While the database is away: both nodes say so, and devices are told to try later."""
    def put_off():
        same(n.ready(), [503, 503], "/readyz of both nodes")
        return load.ledger.statuses[503] >= PUT_OFF
    wait_until(put_off, f"{PUT_OFF} requests are put off")


def recover(n, load):
    """It works again, without anybody's help. Returns: seconds until a device has registered at each node."""
    begin, ledger = time.monotonic(), load.ledger
    waiting = [True, True]

    def done(i):
        registered = any(name.startswith(f"load-{n.count}-{i}-") for name in ledger.assigned.keys() - before)
        waiting[i] = waiting[i] and not registered
        return not waiting[i]
    before = set(ledger.assigned)
    wait_until(lambda: all([done(0), done(1)]), "devices register again")
    took = time.monotonic() - begin
    wait_until(lambda: n.ready() == [200, 200], "/readyz of both nodes")
    return took


def outage(n, what, away):
    """away: a context in which the database is."""
    with Load(n.new_load()) as load:
        load.after(40)
        with away():
            # A request that is under way may still wait.
            wait_until(lambda: n.ready() == [503, 503], "both nodes notice")
            watch(n, load)
        took = recover(n, load)
        # A process that was refused by the database waits a little before it tries again, and puts off meanwhile.
        wait_until(lambda: n.ready() == [200, 200] and n.postgres.connections() == PROCESSES,
                   "all processes are connected again")
        put_off = load.ledger.statuses[503]
        load.after(100)
        same(load.ledger.statuses[503], put_off, "put off, also when all were connected")
    ledger = load.ledger
    n.check(ledger)
    same(ledger.lost, 0, "requests that were not answered at all")
    print(f"# {what}: {ledger.answers} answers, {ledger.statuses[503]} of them 503, the slowest after "
          f"{ledger.slowest:.2f} s; back {took:.2f} s after the database")


def stopped(n, mode):
    @contextlib.contextmanager
    def away():
        n.postgres.stop(mode)
        yield
        n.postgres.start()
    return away


def test_unnoticed(n):
    """PostgreSQL is started again while nobody asks for anything: nobody who asks afterwards is put off"""
    for mode in "fast", "immediate":
        n.postgres.stop(mode)
        n.postgres.start()
        for node in n.both:
            for i in range(10):  # on connections of their own, so that each process is asked
                client = node.plain()
                name = f"unnoticed-{mode}-{n.both.index(node)}-{i}"
                same(enroll(node, client, n.keys, name)[0], 200, f"enrolled after {mode}")
                client.close()
        same(n.ready(), [200, 200], "/readyz of both nodes")


def test_stopped(n):
    """PostgreSQL is stopped and started: 503 with Retry-After meanwhile, then all goes on; nothing answered is lost"""
    outage(n, "stopped", stopped(n, "fast"))


def test_crashed(n):
    """the same when it ends as in a crash"""
    outage(n, "crashed", stopped(n, "immediate"))


def test_hanging(n):
    """PostgreSQL hangs: nobody waits longer than the store does, and everything goes on by itself"""
    @contextlib.contextmanager
    def away():
        n.postgres.hang()
        try:
            yield
        finally:
            n.postgres.go_on()
    outage(n, "hanging", away)


def test_slow(n):
    """a table that somebody else has locked: requests that write to it are refused in time"""
    with Load(n.new_load()) as load:
        load.after(40)
        with n.postgres.locked("registrations IN EXCLUSIVE MODE"):
            wait_until(lambda: load.ledger.statuses[503] > 0, "somebody is put off")
        refused = load.ledger.statuses[503]
        took = recover(n, load)
    n.check(load.ledger)
    print(f"# locked: {refused} answers 503, the slowest of all after {load.ledger.slowest:.2f} s; "
          f"back after {took:.2f} s")


def test_cut(n):
    """connections are cut again and again: requests under way are refused for now, and the next ones work"""
    cut = 0
    with Load(n.new_load()) as load:
        for _ in range(CUTS):
            load.after(n.random.randint(5, 40))
            served = len(load.ledger.assigned)
            wait_until(lambda served=served: len(load.ledger.assigned) > served, "devices register between two cuts")
            cut += n.postgres.cut()
        took = recover(n, load)
    n.check(load.ledger)
    same(load.ledger.lost, 0, "requests that were not answered at all")
    print(f"# {cut} connections cut: {load.ledger.answers} answers, {load.ledger.statuses[503]} of them 503; "
          f"back after {took:.2f} s")
    check(cut >= CUTS, f"{cut} connections were cut, wanted {CUTS} and more")


def test_device(n):
    """dps-device tries again by itself while the database is away, and registers when it is back"""
    device = Device("libtpms")
    device.run("own", "--persist")
    n.bench.enroll(device, "patient")
    done = []
    thread = threading.Thread(target=lambda: done.append(n.bench.register(device, "patient")), daemon=True)
    n.postgres.stop("fast")
    try:
        begin = time.monotonic()
        thread.start()
        wait_until(lambda: re.search("id=patient .*status=503", n.a.read("log")), "the device is put off")
    finally:
        n.postgres.start()
    thread.join(PROGRAM_PATIENCE)
    check(done, "the device has given up")
    same(done[0].field("Registered"), "patient", "registered")
    check("answered 204" in n.bench.send(device).out, "its message")
    print(f"# it registered after {time.monotonic() - begin:.1f} s")


def test_started_without(n):
    """a node started without its database says so and ends; a worker that is restarted meanwhile comes back"""
    n.postgres.stop("fast")
    try:
        s = Service("--workers", "2", start=False, store=n.postgres.name)
        code, log = s.fail_to_start()
        check(code == 5 and "cannot use the PostgreSQL store" in log, f"{code} {log!r}")
        with open(f"/proc/{n.b.process.pid}/task/{n.b.process.pid}/children", encoding="utf-8") as f:
            for pid in f.read().split():
                os.kill(int(pid), signal.SIGKILL)
        n.b.wait_log("cannot use the PostgreSQL store")
    finally:
        n.postgres.start()
    wait_until(lambda: n.ready() == [200, 200], "node B is back")
    client = n.b.plain()
    same(enroll(n.b, client, n.keys, "later")[0], 200, "enrolled at B")
    check(is_challenge(put_registration(client, n.keys, "later")), "no challenge from B")
    client.close()


def test_end(n):
    """in the end both stop cleanly"""
    for node in n.both:
        same(node.stop(), 0, "exit code")


def shared():
    return Nodes(seed())
