# SPDX-License-Identifier: MIT
"""Processes of dps-service are killed with SIGKILL at random moments, one worker or all of them, while devices enroll
and register; with an SQLite and with a PostgreSQL store. What was answered must be there afterwards, nothing may be
half there, and the next request must work.

SEED chooses the moments and whom to kill, KILLS how often (both in the environment). Needs openssl,
python3-tpm2-pytss, python3-cryptography and PostgreSQL."""
import contextlib
import os
import random
import signal
import time

from durability_test import check_pairs
from fleet import FREE, Keys, Ledger, Load, Registrar, register_device
from server_harness import Service
from stores import Postgres, Sqlite
from tap import Programs, check, same, seed
from waiting import children_of, is_running, wait_until

KILLS = 60
WORKERS = 2
DEVICES = 4
ONCE_MORE = 3  # of the devices that have registered before, so many send with their keys after each kill


class Run:
    """One kind of store, and everything that happens to its service."""

    def __init__(self, make_store, keys, seed, kills):
        self.make_store, self.keys, self.kills, self.seed = make_store, keys, kills, f"{seed}-{make_store.__name__}"
        self.random, self.ledger, self.hits = random.Random(self.seed), Ledger(), 0
        self.kinds = {"worker": 0, "all": 0}
        self.names = 0

    def begin(self):
        """the service starts, and devices register"""
        self.store = self.make_store()
        self.service = Service("--workers", str(WORKERS), *FREE, store=self.store.name)
        Programs.cleanup.callback(self.service.stop, signal.SIGKILL)
        self.registrars = [
            Registrar(self.service, self.keys, self.ledger, (self.service.plain, self.service.tls)[n % 2],
                      f"{self.make_store.__name__}-{n}") for n in range(DEVICES)]
        with Load(self.registrars) as load:
            load.after(10)

    def kill_worker(self, pids, load):
        """One worker: its clients lose their connections and come back; nobody else notices."""
        self.kinds["worker"] += 1
        os.kill(self.random.choice(pids), signal.SIGKILL)
        load.after(5)

    def kill_all(self, pids):
        """In any order; the workers also end by themselves when the process that watches them does."""
        self.kinds["all"] += 1
        everybody = [self.service.process.pid, *pids]
        self.random.shuffle(everybody)
        for pid in everybody:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.service.process.wait()
        wait_until(lambda: not any(is_running(pid) for pid in pids), "all have ended")

    def round(self):
        """what was answered is there, nothing is half there, and the next request works"""
        lost = self.ledger.lost
        with Load(self.registrars) as load:
            load.after(self.random.randint(1, 40))
            time.sleep(self.random.uniform(0, 0.02))
            pids = children_of(self.service.process.pid)
            everything = len(pids) < WORKERS or self.random.random() < 0.4
            if everything:
                self.kill_all(pids)
            else:
                self.kill_worker(pids, load)
        self.hits += self.ledger.lost > lost
        if everything:
            self.look(self.store.crashed(self.service))
            self.service.start()
        self.next_request()
        self.look(self.store.tables(self.service))
        same(self.ledger.surprises, [], "answers that nobody expected")
        same(self.ledger.statuses[503], 0, "requests that were put off, although nothing was wrong with the store")

    def look(self, tables):
        enrollments, registrations, devices = tables
        self.ledger.check(registrations, enrollments)
        check_pairs(registrations, devices)

    def next_request(self):
        """A new device registers, and those that have registered before can use their keys."""
        client = self.service.plain()
        self.registrars[0].client = client
        name = self.registrars[0].new()
        self.registrars[0].client = None
        assignment, _ = register_device(client, self.keys, name)
        known = sorted(self.ledger.assigned.items())
        others = [a for _, a in self.random.sample(known, min(ONCE_MORE, len(known)))]
        for one in (assignment, *others):
            same(one.send(client), 204, f"{one.name} sends")
        client.close()

    def end(self):
        """the kills came in the middle of work"""
        with Load(self.registrars) as load:
            load.after(20)
        same(self.service.stop(), 0, "exit code in the end")
        self.look(self.store.tables(self.service))
        ledger = self.ledger
        print(f"# {self.make_store.__name__}: {self.kinds['worker']} times one worker, {self.kinds['all']} times all; "
              f"{len(ledger.generation)} devices, {ledger.answers} answers, {ledger.lost} requests lost their "
              f"connection; {self.hits} of {self.kills} kills met work in flight")
        check(self.hits > self.kills / 2, "too few kills met any work")

    def tests(self):
        what = self.make_store.__name__
        rounds = [(f"{what}, kill {n + 1}: {self.round.__doc__}", self.round) for n in range(self.kills)]
        return [(f"{what}: {self.begin.__doc__}", self.begin), *rounds, (f"{what}: {self.end.__doc__}", self.end)]


def tests():
    drawn, keys, kills = seed(), Keys(), int(os.environ.get("KILLS", KILLS))
    for run in Run(Sqlite, keys, drawn, kills - kills // 2), Run(Postgres, keys, drawn, kills // 2):
        yield from run.tests()
