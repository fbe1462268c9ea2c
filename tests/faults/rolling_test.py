# SPDX-License-Identifier: MIT
"""Two nodes behind nginx and HAProxy, as port/posix/deploy offers them, while devices register and send: a node is
killed and stays away, hangs, comes back, and all are restarted one after the other. No request fails.

Needs nginx, haproxy, PostgreSQL, openssl and python3-cryptography."""
import os
import shutil
import signal
import socket
import threading
import time

from fleet import (FREE, Assignment, Keys, enroll, get_operation, is_challenge, operation_of,
                   put_registration, token_for)
from front import PROXIES, Node, need_programs
from server_harness import Client, make_certificate, trusting
from stores import Postgres
from tap import Failed, Programs, check, same
from waiting import Threads, wait_until

WORKERS = 6
WHILE_AWAY = 120  # requests
PAUSE = 0.02      # of a device between two requests: what a test machine can carry; the time itself does not matter


class Nodes:
    """Two services that share a database, a secret and policies, and always have the same ports."""

    def __init__(self):
        self.keys, postgres = Keys(), Postgres()
        self.dir = Programs.directory()
        make_certificate(self.dir, "localhost")
        self.certificate, self.key = (os.path.join(self.dir, name) for name in ("cert.pem", "key.pem"))
        self.both = [Node(*FREE, start=False, store=postgres.name) for _ in range(2)]
        for node in self.both:
            if node is not self.both[0]:
                for name in ("secret", "policies.json"):
                    shutil.copy(self.both[0].path(name), node.dir)
            Programs.cleanup.callback(node.stop, signal.SIGKILL)
            node.start()

    def ready(self, node):
        try:
            client = Client(socket.create_connection(("127.0.0.1", node.metrics_port), 60))
            status = client.get("/readyz")[0]
            client.close()
        except (OSError, Failed):
            return False
        return status == 200


class Noted(Failed):
    """For the list of what failed."""


class Load(Threads):
    """Devices that register and send, and what became of each request."""

    def __init__(self, nodes, front, prefix):
        self.nodes, self.front, self.prefix = nodes, front, prefix
        self.lock = threading.Lock()
        self.done, self.failed = 0, []
        self.context = trusting(cafile=nodes.certificate)
        super().__init__(*(lambda i=i: self.work(i) for i in range(WORKERS)))

    def connect(self):
        raw = socket.create_connection(("127.0.0.1", self.front.port), 60)
        return Client(self.context.wrap_socket(raw, server_hostname="localhost"))

    def ask(self, client, what, wanted, function, *arguments):
        begin = time.monotonic()
        try:
            answer = function(client, *arguments)
            said = None if wanted(answer) else repr(answer)
        except Exception as error:  # pylint: disable=broad-exception-caught
            answer, said = None, repr(error)
        with self.lock:
            self.done += 1
            if said is not None:
                self.failed.append((begin, time.monotonic(), what, said))
        if said is not None:
            raise Noted(said)
        time.sleep(PAUSE)
        return answer

    def register(self, client, name):
        keys = self.nodes.keys
        answer = self.ask(client, "challenge", is_challenge, put_registration, keys, name)
        token = token_for(keys, name, answer)
        answer = self.ask(client, "proof", lambda a: a[0] == 202, put_registration, keys, name, token)
        operation = operation_of(answer)
        answer = self.ask(client, "operation", lambda a: a[0] == 200, get_operation, name, operation, token)
        assignment = Assignment(keys, name, answer)
        self.ask(client, "message", lambda status: status == 204, lambda c: assignment.send(c))

    def work(self, number):
        count = 0
        while not self.stop.is_set():
            count += 1
            begin = time.monotonic()
            name, client = f"{self.prefix}-{number}-{count}", None
            try:
                client = self.connect()
                self.ask(client, "enrollment", lambda a: a[0] == 200,
                         lambda c: enroll(self.nodes.both[0], c, self.nodes.keys, name))
                for _ in range(3):
                    self.register(client, name)
            except Noted:
                pass
            except Exception as error:  # pylint: disable=broad-exception-caught
                with self.lock:
                    self.failed.append((begin, time.monotonic(), "connection", repr(error)))
            finally:
                if client:
                    client.close()

    def after(self, requests):
        wanted, deadline = self.done + requests, time.monotonic() + 300
        while self.done < wanted:
            check(time.monotonic() < deadline, f"fewer than {requests} requests in 300 s")
            check(self.any_runs(), "nobody is at work any more")
            time.sleep(0.01)

    def none_failed(self):
        check(not self.failed, f"{len(self.failed)} of {self.done} requests failed: {self.failed[:5]}")
        print(f"# {type(self.front).__name__}: {self.done} requests, none failed")


def killed(n, front):
    """one node after the other is killed, stays away, and comes back"""
    with Load(n, front, f"killed-{type(front).__name__}".lower()) as load:
        for node in n.both:
            load.after(WHILE_AWAY)
            # A request that the node was just answering is lost: such requests are told apart, all others count.
            begin = time.monotonic()
            node.stop(signal.SIGKILL)
            end = time.monotonic()
            load.after(WHILE_AWAY)
            with load.lock:
                cut = [f for f in load.failed if f[0] <= end and f[1] >= begin]
                load.failed = [f for f in load.failed if f not in cut]
            same([f for f in cut if f[2] not in ("proof", "message", "enrollment")], [], "cut and not sent again")
            check(len(cut) <= WORKERS, cut)
            print(f"# cut while the node was killed: {[f[2] for f in cut]}")
            node.start()
            wait_until(lambda node=node: n.ready(node), "the node is ready")
        load.after(WHILE_AWAY)
    load.none_failed()


def rolled(n, front):
    """both are restarted, one after the other, twice"""
    with Load(n, front, f"rolled-{type(front).__name__}".lower()) as load:
        for node in [*n.both, *n.both]:
            load.after(WHILE_AWAY)
            same(node.stop(), 0, "exit code")
            node.start()
            wait_until(lambda node=node: n.ready(node), "the node is ready")
        load.after(WHILE_AWAY)
    load.none_failed()


def shared():
    return Nodes()


def tests():
    need_programs()
    for kind in PROXIES:
        for part in killed, rolled:
            yield (f"{kind.__name__}: {part.__doc__}",
                   lambda n, part=part, kind=kind: part(n, kind(n.certificate, n.key, *n.both)))
