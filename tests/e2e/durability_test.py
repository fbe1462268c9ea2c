# SPDX-License-Identifier: MIT
"""dps-service is killed with SIGKILL at random moments, while devices register and an administrator enrolls. What was
answered before must be there after each restart, and nothing may be half there.

SEED chooses the moments and the load, KILLS how many there are (both in the environment). Needs the standard library,
openssl and swtpm."""

import concurrent.futures
import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import threading
import time

from harness import Bench, Device
from server_harness import API, owner_token
from tap import Failed, Programs, check, same, seed
from waiting import Threads, wait_until

KILLS = 40
DEVICES = ("libtpms", "libtpms", "libtpms", "swtpm-unix")
TABLES = ("enrollments", "registrations", "devices")
OLD_ONES = 3  # after each restart, so many older registrations of each device are looked at, besides the new ones


class Facts:
    """What the service has answered, and how much it left unanswered. Shared by all that put load on it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.enrolled = {}      # ID → key, as base64
        self.registered = {}    # ID → hub
        self.answers = 0
        self.unanswered = 0
        self.surprises = []

    def note(self, table, name, value):
        with self.lock:
            table[name] = value
            self.answers += 1

    def answered(self):
        with self.lock:
            return self.answers

    def broken_off(self):
        with self.lock:
            self.unanswered += 1

    def surprise(self, what):
        with self.lock:
            self.surprises.append(what)


class Enroller:
    """Enrolls over HTTPS, as fast as the service answers on one connection."""

    def __init__(self, bench, facts, name, key):
        self.bench, self.facts, self.name, self.key = bench, facts, name, key
        self.count = 0

    def connect(self):
        return self.bench.service.tls()

    def enroll(self, client):
        """Returns: the new ID, or None if there was no answer."""
        self.count += 1
        name = f"{self.name}-{self.count}"
        attestation = {"type": "tpm", "tpm": {"endorsementKey": self.key}}
        body = json.dumps({"registrationId": name, "attestation": attestation})
        headers = f"Authorization: {owner_token(self.bench.service)}\r\nContent-Type: application/json\r\n"
        try:
            status, _, answer = client.get(f"/enrollments/{name}?{API}", "PUT", body, headers)
        except (OSError, Failed):
            self.facts.broken_off()
            return None
        if status != 200:
            self.facts.surprise(f"enrolling {name}: {status} {answer!r}")
            return None
        self.facts.note(self.facts.enrolled, name, self.key)
        return name

    def work(self, stop):
        try:
            client = self.connect()
        except OSError:
            return
        while not stop.is_set() and self.enroll(client):
            pass
        client.close()


class Registrar:
    """A device with its keys at hand. It has many registration IDs, each with a state file."""

    def __init__(self, bench, facts, number, kind, seed):
        self.bench, self.facts, self.random = bench, facts, random.Random(f"{seed} device {number}")
        self.device = Device(kind)
        self.device.run("own", "--persist")
        key = self.device.run("ek", "--format", "base64").out.strip()
        self.enroller = Enroller(bench, facts, f"device-{number}", key)
        self.fresh = []    # reported as registered since the last restart
        self.good = []     # reported as registered: the state file is what the hub knows
        self.unsure = []   # registered, but a later registration got no answer: the hub may have another key by now

    def state(self, name):
        return self.device.path(name + ".state")

    def choose(self):
        """A new ID, or one that is registered again. None: the service is gone."""
        known = self.good + self.unsure
        if known and self.random.random() < 0.4:
            return self.random.choice(known)
        try:
            client = self.enroller.connect()
        except OSError:
            return None
        name = self.enroller.enroll(client)
        client.close()
        return name

    def register(self, name):
        """Returns: whether dps-device reported success. Before it does, an earlier success no longer counts."""
        for names in (self.fresh, self.good, self.unsure):
            if name in names:
                names.remove(name)
        known = name in self.facts.registered
        try:
            done = self.bench.register(self.device, name, "--state", self.state(name))
        except Failed as error:
            if "exit code 4" in str(error):
                self.facts.broken_off()
            else:
                self.facts.surprise(f"registering {name}: {error}")
            if known:
                self.unsure.append(name)
            return False
        self.facts.note(self.facts.registered, name, done.field("Hub"))
        self.fresh.append(name)
        self.good.append(name)
        return True

    def work(self, stop):
        while not stop.is_set():
            name = self.choose()
            if name is None or not self.register(name):
                return

    def prove(self):
        """What was reported as registered can be used: what is new, and some of the rest."""
        older = [name for name in self.good if name not in self.fresh]
        for name in self.fresh + self.random.sample(older, min(OLD_ONES, len(older))):
            shown = json.loads(self.bench.admin("registration", "get", name, "--format", "json").out)
            same((shown["status"], shown["assignedHub"]), ("assigned", self.facts.registered[name]), name)
            sent = self.bench.send(self.device, "--state", self.state(name))
            check("answered 204" in sent.out, sent.out)
        self.fresh = []

    def heal(self):
        """Where the answer was lost, registering again helps."""
        for name in list(self.unsure):
            check(self.register(name), f"{name} cannot be registered again: {self.facts.surprises}")


# ---- What is on the disk ---------------------------------------------------------------------------------------------

def rows(db, table):
    """Without the list of the service's runs, which is kept among the devices (dps/service/run.c)."""
    records = db.execute(f"SELECT key, value FROM {table} WHERE key != '/runs'")
    return {key: json.loads(value) for key, value in records}


def check_database(path, facts):
    """The database is whole, holds what was answered, and no half registration."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        same(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)], "integrity_check")
        enrollments, registrations, devices = (rows(db, t) for t in TABLES)
        versions = [v for t in TABLES for v, in db.execute(f"SELECT version FROM {t}")]
        last, = db.execute("SELECT last FROM version").fetchone()
    check(last >= max(versions, default=0) and len(set(versions)) == len(versions), "a version was given out twice")
    lost = [name for name, key in facts.enrolled.items()
            if enrollments.get(name, {}).get("attestation", {}).get("tpm", {}).get("endorsementKey") != key]
    check(not lost, f"{len(lost)} enrollments were answered and are lost: {lost[:5]}")
    lost = [name for name, hub in facts.registered.items() if registrations.get(name, {}).get("assignedHub") != hub]
    check(not lost, f"{len(lost)} registrations were reported and are lost: {lost[:5]}")
    check_pairs(registrations, devices)


def check_pairs(registrations, devices):
    """A registration and its device at the hub are written together."""
    def pair(name, record):
        return name, record["deviceId"], record["generation"], record["secretEpoch"]
    there = {f"{r['assignedHub']}/{r['deviceId']}": pair(name, r) for name, r in registrations.items()}
    at_hub = {key: pair(d["registrationId"], d) for key, d in devices.items()}
    halves = set(there.items()) ^ set(at_hub.items())
    same(halves, set(), "registrations without their device, or the reverse")


def check_crashed(bench, facts):
    """A copy of what the killed service has left, so that the service itself has to recover the original."""
    directory = Programs.directory()
    for name in ("dps.db", "dps.db-wal"):
        if os.path.exists(bench.path(name)):
            shutil.copy(bench.path(name), directory)
    check_database(os.path.join(directory, "dps.db"), facts)
    shutil.rmtree(directory)


# ---- Load, kill, look ------------------------------------------------------------------------------------------------

class Run:
    """The service, those who work with it, and the kills."""

    def __init__(self, seed, kills):
        self.seed, self.kills, self.random, self.facts = seed, kills, random.Random(seed), Facts()
        self.hits = 0
        self.proved = set()

    def prepare(self):
        """the service runs, and each device has its keys at hand"""
        self.bench = Bench()
        self.devices = [Registrar(self.bench, self.facts, n, kind, self.seed) for n, kind in enumerate(DEVICES)]
        self.enroller = Enroller(self.bench, self.facts, "other", self.devices[0].enroller.key)

    def each_device(self, what):
        with concurrent.futures.ThreadPoolExecutor(len(self.devices)) as pool:
            for done in [pool.submit(what, device) for device in self.devices]:
                done.result()

    def choose_load(self):
        """Who works in this round, and after how many answers the moment comes. Without the enroller, which is faster
        than all devices, most of what is written is registrations."""
        if self.random.random() < 0.3:
            return [self.enroller, *self.devices], self.random.randint(1, 150)
        return self.devices, self.random.randint(1, 8)

    def await_moment(self):
        """Any time, or in the middle of a commit: when the write-ahead log is just being written."""
        if self.random.random() < 0.5:
            time.sleep(self.random.uniform(0, 0.1))
            return
        log, deadline = self.bench.path("dps.db-wal"), time.monotonic() + 1
        before = os.stat(log).st_mtime_ns
        while os.stat(log).st_mtime_ns == before and time.monotonic() < deadline:
            pass

    def load_and_kill(self):
        """Returns when nobody waits for an answer any more."""
        unanswered = self.facts.unanswered
        who, answers = self.choose_load()
        wanted = self.facts.answered() + answers
        threads = Threads(*(lambda w=w: w.work(threads.stop) for w in who))
        with threads:
            try:
                wait_until(lambda: self.facts.answered() >= wanted or not threads.any_runs(), "answers")
                self.await_moment()
            finally:
                self.bench.service.stop(signal.SIGKILL)
        self.hits += self.facts.unanswered > unanswered

    def ask_for_enrollments(self):
        """Through the service as well, for what is new."""
        client = self.bench.service.tls()
        headers = f"Authorization: {owner_token(self.bench.service)}\r\n"
        for name in sorted(set(self.facts.enrolled) - self.proved):
            status, _, body = client.get(f"/enrollments/{name}?{API}", headers=headers)
            same((status, json.loads(body).get("registrationId")), (200, name), "enrollment")
            self.proved.add(name)
        client.close()

    def round(self):
        """what was answered is there, and nothing is half there"""
        if self.bench.service.process.poll() is not None:
            self.bench.start()  # an earlier round has failed in between
        self.load_and_kill()
        check_crashed(self.bench, self.facts)
        self.bench.start()
        self.ask_for_enrollments()
        self.each_device(Registrar.prove)
        check_database(self.bench.path("dps.db"), self.facts)
        same(self.facts.surprises, [], "answers that nobody expected")

    def heal(self):
        """a device that got no answer registers again, and its new hub key works"""
        self.each_device(Registrar.heal)
        self.each_device(Registrar.prove)
        check_database(self.bench.path("dps.db"), self.facts)

    def worth(self):
        """the kills came in the middle of work"""
        print(f"# {len(self.facts.enrolled)} enrollments and {len(self.facts.registered)} registrations were answered, "
              f"{self.facts.unanswered} requests were not; {self.hits} of {self.kills} kills met work in flight")
        check(self.hits > self.kills / 2, "too few kills met any work")
        check(len(self.facts.registered) > self.kills, "too few registrations")
        same(self.bench.service.stop(), 0, "exit code of the service in the end")

    def tests(self):
        rounds = [(f"kill {n + 1}: {self.round.__doc__}", self.round) for n in range(self.kills)]
        return [(self.prepare.__doc__, self.prepare), *rounds, (self.heal.__doc__, self.heal),
                (self.worth.__doc__, self.worth)]


def tests():
    return Run(seed(), int(os.environ.get("KILLS", KILLS))).tests()
