# SPDX-License-Identifier: MIT
"""Hundreds of devices that register without a TPM, and a record of the service's answers to them. They hold the
private halves of one EK and one SRK in software, which only a test may do; the blobs are opened by oracle_wrap.py,
which shares no code with the service."""

import base64
import collections
import hmac
import json
import random
import threading
import time

from oracle_support import EK_ATTRIBUTES, EK_POLICY, SRK_ATTRIBUTES
from oracle_wrap import open_blob, sas_text, sas_token, sas_with_key, software_key
from server_harness import API, SCOPE, owner_token, register
from tap import Failed, check, same
from waiting import Threads

JSON = "Content-Type: application/json\r\n"
UNAVAILABLE = 503
FREE = ("--challenge-rate", "0", "--client-rate", "0", "--total-rate", "0")  # no limits, for those that make the load


class Keys:
    """An EK and an SRK that all devices of a test share: the service tells them apart by registration ID."""

    def __init__(self):
        self.ek, self.ek_2b, _ = software_key(EK_ATTRIBUTES, EK_POLICY)
        self.srk, self.srk_2b, _ = software_key(SRK_ATTRIBUTES)
        self.ek_text, self.srk_text = (base64.b64encode(k).decode() for k in (self.ek_2b, self.srk_2b))

    def open(self, text):
        """Step 7 or 9: the key in a blob."""
        return open_blob(base64.b64decode(text), self.ek, self.srk, self.srk_2b)["key"]


# ---- One step each ---------------------------------------------------------------------------------------------------

def enroll(service, client, keys, name):
    attestation = {"type": "tpm", "tpm": {"endorsementKey": keys.ek_text}}
    body = json.dumps({"registrationId": name, "attestation": attestation})
    return client.get(f"/enrollments/{name}?{API}", "PUT", body, f"Authorization: {owner_token(service)}\r\n{JSON}")


def put_registration(client, keys, name, token=None):
    body = {"registrationId": name, "tpm": {"endorsementKey": keys.ek_text, "storageRootKey": keys.srk_text}}
    headers = JSON if token is None else f"{JSON}Authorization: {token}\r\n"
    return client.get(register(name), "PUT", json.dumps(body), headers)


def is_challenge(answer):
    return answer[0] == 401 and "authenticationKey" in json.loads(answer[2])


def token_for(keys, name, answer, expiry=None):
    """Step 8: the token for the challenge in this answer. expiry: of a device with another clock."""
    check(is_challenge(answer), f"no challenge: {answer}")
    nonce, audience = keys.open(json.loads(answer[2])["authenticationKey"]), f"{SCOPE}/registrations/{name}"
    expiry = int(time.time()) + 600 if expiry is None else expiry
    mac = hmac.digest(nonce, sas_text(audience, expiry), "sha256")
    return sas_token(audience, mac, expiry, "registration")


def operation_of(answer):
    same(answer[0], 202, f"registration: {answer}")
    return json.loads(answer[2])["operationId"]


def generation_of(operation):
    return int(operation.split(".")[0])


def get_operation(client, name, operation, token):
    return client.get(f"/{SCOPE}/registrations/{name}/operations/{operation}?{API}",
                      headers=f"Authorization: {token}\r\n")


class Assignment:
    """What a device has in the end: its hub and its key there."""

    def __init__(self, keys, name, answer):
        same(answer[0], 200, f"operation: {answer}")
        state = json.loads(answer[2])["registrationState"]
        self.name, self.hub, self.device_id = name, state["assignedHub"], state["deviceId"]
        self.key = keys.open(state["tpm"]["authenticationKey"])

    def token(self):
        return sas_with_key(f"{self.hub}/devices/{self.device_id}", self.key)

    def send(self, client, token=None):
        """Step 10. Returns: the status."""
        client.send(f"POST /devices/{self.device_id}/messages/events?{API} HTTP/1.1\r\nHost: {self.hub}\r\n"
                    f"Authorization: {token or self.token()}\r\nContent-Length: 2\r\n\r\n{{}}")
        return client.answer()[0]


def register_device(client, keys, name):
    """All of it. Returns: the assignment, and the generation of the registration."""
    token = token_for(keys, name, put_registration(client, keys, name))
    operation = operation_of(put_registration(client, keys, name, token))
    return Assignment(keys, name, get_operation(client, name, operation, token)), generation_of(operation)


# ---- What was answered -----------------------------------------------------------------------------------------------

class Ledger:
    """Everything that the service has promised, and what it left open. Shared by all that put load on it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.enrolled = set()
        self.generation = {}                     # ID → of the last registration that was answered
        self.open = collections.Counter()        # ID → registrations since then with an unknown answer
        self.assigned = {}                       # ID → its assignment, if nothing is open
        self.statuses = collections.Counter()
        self.answers = self.lost = 0             # lost: the connection ended instead
        self.surprises = []
        self.slowest = 0.0

    def count(self, status, took):
        with self.lock:
            self.answers += 1
            self.statuses[status] += 1
            self.slowest = max(self.slowest, took)

    def note(self, method, *arguments):
        with self.lock:
            method(*arguments)

    def registered(self, name, generation):
        with self.lock:
            self.generation[name] = generation
            self.open[name] = 0
            self.assigned.pop(name, None)

    def unsure(self, name):
        with self.lock:
            self.open[name] += 1
            self.assigned.pop(name, None)

    def surprise(self, what):
        with self.lock:
            self.surprises.append(what)

    def check(self, registrations, enrollments):
        """Compares with what is in the store."""
        lost = [name for name in self.enrolled if name not in enrollments]
        check(not lost, f"{len(lost)} enrollments were answered and are lost: {lost[:5]}")
        wrong = [(name, generation, registrations.get(name, {}).get("generation"))
                 for name, generation in self.generation.items()
                 if not generation <= registrations.get(name, {}).get("generation", 0) <= generation + self.open[name]]
        check(not wrong, f"{len(wrong)} registrations were answered and are not what is there: {wrong[:5]}")
        wrong = [name for name, a in self.assigned.items() if registrations[name]["assignedHub"] != a.hub]
        check(not wrong, f"devices at another hub than they heard: {wrong[:5]}")


# ---- Load ------------------------------------------------------------------------------------------------------------

class Gone(Exception):
    """The connection has ended instead of an answer."""


class Busy(Exception):
    """503: later."""


class Registrar:
    """Enrolls a device, registers it, sometimes again, and so on, as fast as it is answered."""

    def __init__(self, service, keys, ledger, connect, seed):
        self.service, self.keys, self.ledger, self.connect, self.prefix = service, keys, ledger, connect, seed
        self.random = random.Random(seed)
        self.known, self.count, self.client = [], 0, None

    def ask(self, wanted, function, *arguments):
        """The answer that was wanted. Everything else ends this device's work for now."""
        begin = time.monotonic()
        try:
            self.client = self.client or self.connect()
        except (OSError, Failed) as error:
            raise Gone from error
        try:
            answer = function(self.client, *arguments)
        except (OSError, Failed) as error:
            self.hang_up()
            self.ledger.note(self.count_lost)
            took = time.monotonic() - begin
            if isinstance(error, TimeoutError):
                self.ledger.surprise(f"no answer after {took:.1f} s")
            raise Gone from error
        self.ledger.count(answer[0], time.monotonic() - begin)
        if answer[1].get("connection") == "close":
            self.hang_up()
        if answer[0] == UNAVAILABLE:
            if "retry-after" not in answer[1]:
                self.ledger.surprise(f"503 without Retry-After: {answer}")
            raise Busy
        if not wanted(answer):
            self.ledger.surprise(f"{function.__name__} {arguments}: {answer}")
            raise Gone
        return answer

    def count_lost(self):
        self.ledger.lost += 1

    def hang_up(self):
        if self.client:
            self.client.close()
        self.client = None

    def new(self):
        self.count += 1
        name = f"{self.prefix}-{self.count}".lower()
        self.ask(lambda a: a[0] == 200, lambda client: enroll(self.service, client, self.keys, name))
        self.ledger.note(self.ledger.enrolled.add, name)
        return name

    def register(self, name):
        token = token_for(self.keys, name, self.ask(is_challenge, put_registration, self.keys, name))
        self.ledger.unsure(name)  # until it is answered
        operation = operation_of(self.ask(lambda a: a[0] == 202, put_registration, self.keys, name, token))
        self.ledger.registered(name, generation_of(operation))
        if name not in self.known:
            self.known.append(name)
        answer = self.ask(lambda a: a[0] == 200, get_operation, name, operation, token)
        self.ledger.note(self.ledger.assigned.__setitem__, name, Assignment(self.keys, name, answer))

    def turn(self):
        again = self.known and self.random.random() < 0.3
        self.register(self.random.choice(self.known) if again else self.new())

    def work(self, stop):
        while not stop.is_set():
            try:
                self.turn()
            except (Gone, Busy):
                stop.wait(0.02)
            except Exception as error:  # noqa: whatever it is, the test has to know
                self.ledger.surprise(repr(error))
        self.hang_up()


class Load(Threads):
    """Registrars at work, in threads: with Load(...) as load."""

    def __init__(self, registrars):
        self.registrars, self.ledger = registrars, registrars[0].ledger
        super().__init__(*(lambda r=r: r.work(self.stop) for r in registrars))

    def after(self, answers, seconds=300):
        """Wait for so many more answers."""
        wanted, deadline = self.ledger.answers + answers, time.monotonic() + seconds
        while self.ledger.answers < wanted:
            check(time.monotonic() < deadline, f"fewer than {answers} answers in {seconds} s")
            time.sleep(0.001)
