# SPDX-License-Identifier: MIT
"""The disk is full under the SQLite store: requests that write get 503, those that only read work, nothing that was
answered is lost, and when there is room again everything goes on by itself. Once as a full file system, once as a limit
on the size of files, which cuts a write in the middle.

Needs openssl, python3-tpm2-pytss, python3-cryptography, and unshare from util-linux."""
import errno
import json
import os
import resource
import shutil
import signal
import subprocess

from durability_test import check_pairs
from fleet import (FREE, Keys, Ledger, Load, Registrar, enroll, is_challenge,
                   put_registration, register_device, token_for)
from server_harness import API, Service, owner_token
from stores import Sqlite
from tap import Failed, Programs, check, same
from waiting import wait_until

DISK = 2 << 20  # bytes
ENOUGH = 4000   # enrollments: more than fit


class FullDisk(Service):
    """With a small file system of its own. Only its processes see it; without user namespaces (in a chroot)
    everybody does, and only root can mount it."""

    what = "a full file system"

    def __init__(self):
        super().__init__("--workers", "2", *FREE, store="sqlite:disk/dps.db", start=False)
        os.mkdir(self.path("disk"))
        probe = subprocess.run(["unshare", "--map-root-user", "--mount", "true"], capture_output=True, check=False)
        self.alone = probe.returncode == 0
        if not self.alone:
            check(os.getuid() == 0, "a file system of its own needs root or user namespaces: " + probe.stderr.decode())
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", self.path("disk")], check=True)
            Programs.cleanup.callback(subprocess.run, ["umount", "--lazy", self.path("disk")], check=True)

    def command(self):
        if not self.alone:
            return super().command()
        return ["unshare", "--map-root-user", "--mount", "sh", "-c",
                f'mount -t tmpfs -o size={DISK} tmpfs disk && exec "$@"', "sh", *super().command()]

    def seen(self, name):
        return f"/proc/{self.process.pid}/root{self.dir}/disk/{name}" if self.alone else self.path(f"disk/{name}")

    def fill(self):
        with open(self.seen("ballast"), "wb", buffering=0) as f:
            try:
                while True:
                    f.write(bytes(4096))
            except OSError as error:
                same(error.errno, errno.ENOSPC, "why no more fits")

    def make_room(self):
        os.unlink(self.seen("ballast"))

    def tables(self):
        """Of a copy: SQLite parses the path, and there is no other way in. Nobody writes meanwhile."""
        directory = Programs.directory()
        for name in ("dps.db", "dps.db-wal"):
            shutil.copy(self.seen(name), directory)
        return Sqlite.read(os.path.join(directory, "dps.db"))


class LimitedFiles(Service):
    """No file may grow any more, as with a limit or a quota."""

    what = "a limit on the size of files"

    def __init__(self):
        super().__init__("--workers", "2", *FREE, start=False)

    def fill(self):
        size = max(os.path.getsize(self.path(name)) for name in ("dps.db", "dps.db-wal", "log")) + 10000
        self.limit_to(size)

    def make_room(self):
        self.limit_to(resource.RLIM_INFINITY)

    def limit_to(self, size):
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="utf-8") as f:
            for pid in [self.process.pid, *map(int, f.read().split())]:
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def tables(self):
        return Sqlite().tables(self)


class Story:
    def __init__(self, kind, keys):
        self.kind, self.keys, self.ledger, self.count = kind, keys, Ledger(), 0

    def enroll(self, client):
        """Returns: the answer, which is recorded."""
        self.count += 1
        name = f"device-{self.count}"
        answer = enroll(self.service, client, self.keys, name)
        check(answer[0] in (200, 503), answer)
        if answer[0] == 200:
            self.ledger.enrolled.add(name)
        else:
            check(int(answer[1]["retry-after"]) > 0, f"503 without Retry-After: {answer}")
        return answer[0]

    def check_store(self):
        enrollments, registrations, devices = self.service.tables()
        self.ledger.check(registrations, enrollments)
        check_pairs(registrations, devices)
        same(self.ledger.surprises, [], "answers that nobody expected")


def part_begin(s):
    """devices register while there is room"""
    s.service = s.kind()
    Programs.cleanup.callback(s.service.stop, signal.SIGKILL)
    s.service.start()
    client = s.service.plain()
    for _ in range(20):
        same(s.enroll(client), 200, "enrolled")
    s.assignment, generation = register_device(client, s.keys, "device-1")
    s.ledger.registered("device-1", generation)
    client.close()


def part_full(s):
    """then no room is left: enrolling fails with 503 and Retry-After"""
    client = s.service.tls()
    s.service.fill()
    for _ in range(ENOUGH):
        if s.enroll(client) == 503:
            break
    else:
        raise Failed("it went on for ever")
    same([s.enroll(client) for _ in range(5)], [503] * 5, "and again")
    client.close()


def part_served(s):
    """meanwhile requests that only read are served: enrollments, challenges, the hub"""
    client = s.service.tls()
    headers = f"Authorization: {owner_token(s.service)}\r\n"
    for name in sorted(s.ledger.enrolled):
        status, _, body = client.get(f"/enrollments/{name}?{API}", headers=headers)
        same((status, json.loads(body).get("registrationId")), (200, name), "enrollment")
    challenge = put_registration(client, s.keys, "device-2")
    check(is_challenge(challenge), challenge)
    token = token_for(s.keys, "device-2", challenge)
    same(put_registration(client, s.keys, "device-2", token)[0], 503, "registration")
    same(s.assignment.send(client), 204, "a message of the device that is registered")
    s.token = token
    client.close()


def part_room(s):
    """there is room again: everything goes on, with the earlier token"""
    s.service.make_room()
    client = s.service.tls()
    wait_until(lambda: s.enroll(client) == 200, "enrolling works again")
    same(put_registration(client, s.keys, "device-2", s.token)[0], 202, "registration")
    s.ledger.registered("device-2", 1)
    s.check_store()
    client.close()


def part_load(s):
    """room comes and goes under load: nothing that was answered is lost, nothing is half there"""
    connects = (s.service.plain, s.service.tls, s.service.plain)
    registrars = [Registrar(s.service, s.keys, s.ledger, c, f"load-{n}") for n, c in enumerate(connects)]
    with Load(registrars) as load:
        for _ in range(4):
            refused = s.ledger.statuses[503]
            s.service.fill()
            wait_until(lambda: s.ledger.statuses[503] > refused + 3, "somebody is put off")
            s.service.make_room()
            registered = len(s.ledger.generation)
            wait_until(lambda: len(s.ledger.generation) > registered + 1, "devices register again")
            load.after(20)
    s.check_store()
    print(f"# {s.kind.what}: {s.ledger.answers} answers, {s.ledger.statuses[503]} of them 503; "
          f"{len(s.ledger.enrolled)} enrollments")


def part_end(s):
    """no process had to be restarted, and in the end all stop cleanly"""
    check("restarted" not in s.service.read("log"), s.service.read("log")[-500:])
    same(s.service.stop(), 0, "exit code")


def tests():
    keys = Keys()
    for kind in FullDisk, LimitedFiles:
        story = Story(kind, keys)
        for name, part in globals().items():
            if name.startswith("part_"):
                yield f"{kind.what}: {part.__doc__}", lambda part=part, story=story: part(story)
