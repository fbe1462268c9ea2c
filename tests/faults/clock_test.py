# SPDX-License-Identifier: MIT
"""The clock of the machine under dps-service steps back and forward by an hour, by libfaketime; the monotonic clock
goes on as ever, as on a real machine. What was begun before a step may be refused, but whoever begins again is served
at once.

SEED, in the environment, repeats the random choices of a run. Needs openssl, python3-tpm2-pytss, python3-cryptography
and faketime."""
import email.utils
import glob
import hmac
import json
import os
import random
import signal
import threading
import time

from durability_test import check_pairs
from fleet import (FREE, Assignment, Keys, Ledger, Load, Registrar, enroll, generation_of,
                   get_operation, is_challenge, operation_of, put_registration, token_for)
from harness import Bench, Device, run
from server_harness import SCOPE, Service
from oracle_wrap import sas_text, sas_token
from stores import Sqlite
from tap import Programs, check, same, seed

HOUR = 3600
STEPS = 12             # under load
EXPIRED, SIGNATURE, REPLAYED = 401006, 401002, 401007


def faketime_library():
    found = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    check(found, "libfaketime is missing (Debian: apt-get install faketime)")
    return found[0]


def with_clock(file):
    """The start of a command line whose program keeps reading the offset of its clock from this file."""
    return ["env", f"LD_PRELOAD={faketime_library()}", f"FAKETIME_TIMESTAMP_FILE={file}", "FAKETIME_NO_CACHE=1",
            "FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1"]


class SteppedService(Service):
    def __init__(self, *options, **more):
        super().__init__(*options, **more, start=False)
        self.step(0)

    def command(self):
        return [*with_clock(self.path("clock")), *super().command()]

    def step(self, seconds):
        """From now on the clock is this much ahead of ours."""
        self.offset = seconds
        self.write("clock.new", f"{seconds:+d}\n")
        os.rename(self.path("clock.new"), self.path("clock"))

    def now(self):
        return int(time.time()) + self.offset


def date_of(answer):
    return email.utils.parsedate_to_datetime(answer[1]["date"]).timestamp()


def code_of(answer):
    return json.loads(answer[2]).get("errorCode")


class Place:
    """The service, and one device after the other."""

    def __init__(self, seed):
        self.keys, self.random, self.count = Keys(), random.Random(seed), 0
        self.service = SteppedService("--workers", "2", *FREE)
        Programs.cleanup.callback(self.service.stop, signal.SIGKILL)
        self.service.start()

    def new(self, client):
        self.count += 1
        name = f"device-{self.count}"
        same(enroll_at(self.service, client, self.keys, name)[0], 200, "enrolled")
        return name

    def token(self, client, name, lifetime=600):
        """A token as dps-device makes it on a machine whose clock has stepped as well."""
        challenged = put_registration(client, self.keys, name)
        return token_for(self.keys, name, challenged, self.service.now() + lifetime)

    def register(self, client, name):
        token = self.token(client, name)
        operation = operation_of(put_registration(client, self.keys, name, token))
        return Assignment(self.keys, name, get_operation(client, name, operation, token)), operation, token


def enroll_at(service, client, keys, name):
    """The administrator's clock is right; its tokens are valid for ten minutes: an hour off is much more."""
    offset = service.offset
    try:
        service.step(0)
        return enroll(service, client, keys, name)
    finally:
        service.step(offset)


def hub_token(assignment, expiry):
    audience = f"{assignment.hub}/devices/{assignment.device_id}"
    return sas_token(audience, hmac.digest(assignment.key, sas_text(audience, expiry), "sha256"), expiry)


def test_steps(p):
    """the times that the service reports step with the clock, and connections do not mind"""
    client = p.service.tls()
    for step in (0, HOUR, -HOUR, 0):
        p.service.step(step)
        told = date_of(client.get("/nowhere"))
        check(abs(told - time.time() - step) < 600, f"stepped by {step}: Date is {told - time.time():.0f} s ahead")
    client.close()


def challenge_dies(p, step, code):
    client = p.service.plain()
    name = p.new(client)
    short, long = (p.token(client, name, lifetime) for lifetime in (600, 100000))
    p.service.step(step)
    same(code_of(put_registration(client, p.keys, name, short)), code, "the token of before")
    same(code_of(put_registration(client, p.keys, name, long)), SIGNATURE, "the same, with an expiry far away")
    assignment, _, _ = p.register(client, name)
    same(assignment.send(client, hub_token(assignment, p.service.now() + 600)), 204, "its message")
    p.service.step(0)
    client.close()


def test_challenge_forward(p):
    """forward: a challenge from before the step is worthless, and a new one works at once"""
    challenge_dies(p, HOUR, EXPIRED)


def test_challenge_back(p):
    """back: a challenge from before the step is worthless, and a new one works at once"""
    challenge_dies(p, -HOUR, SIGNATURE)


def test_back_to_old_time(p):
    """a token that was used cannot be used again, although by the clock it is valid again"""
    client = p.service.plain()
    name = p.new(client)
    token = p.token(client, name, 100000)
    same(put_registration(client, p.keys, name, token)[0], 202, "registered")
    for step in (HOUR, -HOUR, 0):
        p.service.step(step)
        check(code_of(put_registration(client, p.keys, name, token)) in (SIGNATURE, REPLAYED), f"replayed at {step}")
    client.close()


def test_operation(p):
    """a registration that was begun before a step can be finished after it, unless its token has expired meanwhile"""
    client = p.service.plain()
    for step, status in ((HOUR, 401), (-HOUR, 200)):
        name = p.new(client)
        token = p.token(client, name)
        operation = operation_of(put_registration(client, p.keys, name, token))
        p.service.step(step)
        answer = get_operation(client, name, operation, token)
        same(answer[0], status, f"stepped by {step}: {answer}")
        p.register(client, name)
        p.service.step(0)
    client.close()


def test_hub(p):
    """a hub token has expired an hour later, is valid again when the clock is right, and a new one always works"""
    client = p.service.plain()
    assignment, _, _ = p.register(client, p.new(client))
    token = hub_token(assignment, int(time.time()) + 600)
    for step, status in ((0, 204), (HOUR, 401), (-HOUR, 204), (0, 204)):
        p.service.step(step)
        same(assignment.send(client, token), status, f"the old token, stepped by {step}")
        same(assignment.send(client, hub_token(assignment, p.service.now() + 600)), 204, f"a new one, at {step}")
    client.close()


def test_limits(p):
    """a step in either direction locks nobody out: a device that had used up its challenges has some again"""
    s = SteppedService("--challenge-rate", "6", "--client-rate", "10", "--total-rate", "1")
    try:
        s.start()
        client = s.plain()
        same(enroll(s, client, p.keys, "limited")[0], 200, "enrolled")
        for step in (0, -HOUR, HOUR, 0, -HOUR):
            s.step(step)
            answers = []
            while not answers or is_challenge(answers[-1]):  # a slow machine admits some more meanwhile
                answers.append(put_registration(client, p.keys, "limited"))
            check(len(answers) > 6, f"stepped by {step}: refused after {answers}")
            same(answers[-1][0], 429, f"stepped by {step}: in the end")
            check(0 < int(answers[-1][1]["retry-after"]) <= 10, answers[-1])
        client.close()
        same(s.stop(), 0, "exit code")
    finally:
        s.stop()


class Stepping(Registrar):
    """A device on a machine with the same clock. Its challenge may become worthless; the next one must not."""

    def __init__(self, place, ledger, connect, seed):
        super().__init__(place.service, place.keys, ledger, connect, seed)
        self.place, self.died = place, 0

    def steps(self):
        with self.place.stepping:
            return self.place.steps

    def turn(self):
        """Without enrolling: that is for the administrator, before the clock begins to step."""
        self.register(self.random.choice(self.known))

    def register(self, name):
        for _ in range(2):
            steps = self.steps()
            challenged = self.ask(is_challenge, put_registration, self.keys, name)
            token = token_for(self.keys, name, challenged, self.service.now() + 600)
            self.ledger.unsure(name)
            answer = self.ask(lambda a: a[0] == 202 or code_of(a) in (EXPIRED, SIGNATURE), put_registration,
                              self.keys, name, token)
            if answer[0] == 202:
                self.ledger.registered(name, generation_of(operation_of(answer)))
                return
            if self.steps() == steps:
                self.ledger.surprise(f"refused, and no step meanwhile: {answer}")
            self.died += 1


def test_load(p):
    """devices register all the time while the clock steps: nothing that was answered is lost"""
    ledger, p.stepping, p.steps = Ledger(), threading.Lock(), 0
    registrars = [Stepping(p, ledger, c, f"load-{n}") for n, c in enumerate((p.service.plain, p.service.tls))]
    for registrar in registrars:
        registrar.known = [registrar.new() for _ in range(10)]
    with Load(registrars) as load:
        for _ in range(STEPS):
            load.after(p.random.randint(5, 15))
            with p.stepping:
                p.steps += 1
                p.service.step(p.random.choice([s for s in (-HOUR, 0, HOUR) if s != p.service.offset]))
            load.after(10)
    p.service.step(0)
    same(ledger.surprises, [], "answers that nobody expected")
    same((ledger.statuses[503], ledger.lost), (0, 0), "put off, and lost")
    enrollments, registrations, devices = Sqlite().tables(p.service)
    ledger.check(registrations, enrollments)
    check_pairs(registrations, devices)
    print(f"# {STEPS} steps, {ledger.statuses[202]} registrations, {sum(r.died for r in registrars)} challenges died")
    same(p.service.stop(), 0, "exit code")


def test_device(p):
    """dps-device an hour ahead registers and sends; an hour behind, it says what is wrong with the certificate"""
    bench = Bench(days=(0, 2))
    device = Device("libtpms")
    bench.enroll(device, "ahead")
    clock = device.path("clock")

    def tell(offset, what, *options, **expected):
        with open(clock, "w", encoding="utf-8") as f:
            f.write(f"{offset:+d}\n")
        return run(*with_clock(clock), Programs.path("dps-device"), "--quiet", what, "--tpm", device.tpm.name, "--ca",
                   bench.path("ca.pem"), "--state", device.path("state"), *options, **expected)

    registering = "--service", bench.at(), "--scope", SCOPE, "--id", "ahead"
    same(tell(HOUR, "register", *registering).field("Registered"), "ahead", "registered")
    tell(HOUR, "send", "--connect-to", f"localhost:{bench.service.tls_port}", "--message", "{}")
    before = tell(-HOUR, "register", *registering, status=4)
    check("not yet valid" in before.err or "clock" in before.err, before.err)
    same(bench.service.stop(), 0, "exit code")


def shared():
    return Place(seed())
