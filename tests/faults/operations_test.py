# SPDX-License-Identifier: MIT
"""What OPERATIONS.md tells operators to do, run as it is written there, on two nodes with the unit's own lines and one
PostgreSQL: start, renew the key, restart all, add a hub, remove it, back up, restore.

Needs PostgreSQL, openssl, curl and python3-cryptography."""
import json
import os
import re
import shutil
import ssl
import subprocess

from fleet import Keys, enroll, register_device
from server_harness import API, make_certificate, owner_token
from stores import Postgres
from tap import Programs, check, same
from waiting import wait_until
from unit import Unit

PAGE = "port/posix/deploy/OPERATIONS.md"
DEVICES = 24  # so many that each of two hubs gets some of them


def block(name):
    with open(PAGE, encoding="utf-8") as f:
        found = re.findall(rf"<!-- run: {name} -->\n```sh\n(.*?)```", f.read(), re.S)
    same(len(found), 1, f"blocks {name} of the page")
    return found[0]


class Site:
    def __init__(self):
        self.postgres, self.keys = Postgres(), Keys()
        self.database = self.postgres.name.split(":", 1)[1]
        self.nodes = [Unit(self.postgres.name) for _ in range(2)]
        self.first = self.nodes[0]
        self.backup = Programs.directory()
        self.count = 0

    def shell(self, name, *nodes):
        lines = block(name).replace("/backup/", self.backup + "/")
        return [node.shell(lines, DATABASE=self.database) for node in nodes]

    def share_secrets(self):
        for name in ("secret", "policies.json"):
            shutil.copy(self.first.path(f"lib/{name}"), self.nodes[1].path("lib"))
        shutil.copy(self.first.path("lib/policies.json"), self.first.path("policies.json"))  # where owner_token looks
        text = subprocess.run([Programs.path("dps-admin"), "connection-string", "--policy-file", "policies.json",
                               "--host", f"localhost:{self.first.tls_port}"], cwd=self.first.dir, check=True,
                              capture_output=True, text=True).stdout
        self.first.write("owner.txt", text)

    def enroll(self, more=None):
        self.count += 1
        name = f"device-{self.count}"
        client = self.first.plain()
        if more is None:
            same(enroll(self.first, client, self.keys, name)[0], 200, "enrolled")
        else:
            attestation = {"type": "tpm", "tpm": {"endorsementKey": self.keys.ek_text}}
            answer = client.get(f"/enrollments/{name}?{API}", "PUT",
                                json.dumps({"registrationId": name, "attestation": attestation, **more}),
                                f"Authorization: {owner_token(self.first)}\r\nContent-Type: application/json\r\n")
            same(answer[0], 200, answer)
        client.close()
        return name

    def register(self, name, node=None):
        client = (node or self.first).plain()
        assignment, _ = register_device(client, self.keys, name)
        same(assignment.send(client), 204, "its message")
        client.close()
        return assignment.hub


def test_begin(s):
    """the first start, on a machine that has nothing but the unit"""
    shutil.move(s.first.path("etc"), s.first.path("elsewhere"))
    s.shell("prepare", s.first)
    for name in ("cert.pem", "key.pem"):
        shutil.move(s.first.path(f"elsewhere/{name}"), s.first.path("etc"))
    s.shell("begin", s.first)
    s.share_secrets()
    s.nodes[1].start()
    name = s.enroll()
    same([s.register(name, node) for node in s.nodes], ["hub-a.example"] * 2, "hub")


def test_key(s):
    """a reload takes a new key and certificate; the service reads a copy of the key, not the operator's file"""
    def shown():
        return ssl.get_server_certificate(("127.0.0.1", s.first.tls_port))
    before, key = shown(), s.first.read("run/key.pem")
    make_certificate(s.first.path("etc"), "localhost")
    log = len(s.first.read("log"))
    s.first.shell("systemctl reload dps-service")
    s.first.wait_log("reloaded", log)
    wait_until(lambda: shown() == s.first.read("etc/cert.pem"), "the new certificate is shown")
    check(before != shown() and key != s.first.read("run/key.pem"), "the key is the old one")
    same(oct(os.stat(s.first.path("run/key.pem")).st_mode & 0o777), "0o600", "mode of the copy")


def test_key_missing(s):
    """a reload while the key is missing still reaches the service, which says what it took"""
    log = len(s.first.read("log"))
    os.rename(s.first.path("etc/key.pem"), s.first.path("etc/away.pem"))
    s.first.shell("systemctl reload dps-service")
    s.first.wait_log("reloaded", log)
    os.rename(s.first.path("etc/away.pem"), s.first.path("etc/key.pem"))


def test_roll(s):
    """all nodes are restarted, one after the other"""
    name = s.enroll()
    for node in s.nodes:
        before = node.process.pid
        s.shell("roll", node)
        check(node.process.pid != before, "it is the old process")
    same([s.register(name, node) for node in s.nodes], ["hub-a.example"] * 2, "hub")


def test_hub_added(s):
    """a hub is added: devices go there, each to the same hub whichever node it asks"""
    s.shell("hub-add", *s.nodes)
    s.shell("roll", *s.nodes)
    s.at = {name: s.register(name) for name in [s.enroll() for _ in range(DEVICES)]}
    same(set(s.at.values()), {"hub-a.example", "hub-b.example"}, "hubs")
    same({name: s.register(name, s.nodes[1]) for name in s.at}, s.at, "at the other node")
    s.named = s.enroll({"iotHubs": ["hub-b.example"]})
    same(s.register(s.named), "hub-b.example", "the device whose enrollment names it")


def test_hub_removed(s):
    """it is removed: the list names the enrollments that name it, and its devices go elsewhere"""
    lines = block("hub-remove").replace("--connection-string-file owner.txt",
                                        f"--connection-string-file owner.txt --ca {s.first.path('etc/cert.pem')}")
    listed = [json.loads(line)["registrationId"] for line in s.first.shell(lines).splitlines() if '"iotHubs"' in line]
    same(listed, [s.named], "enrollments that name it")
    s.nodes[1].write_hubs("--hub hub-a.example")
    s.shell("roll", *s.nodes)
    same({s.register(name) for name in s.at}, {"hub-a.example"}, "hubs")


def test_backup(s):
    """the back-up is restored: what was there then is there again, and what came later is gone"""
    kept = s.enroll()
    s.register(kept)
    s.shell("backup", s.first)
    enrollments, _, _ = s.postgres.tables()
    lost = s.enroll()
    for node in s.nodes:
        node.shell("systemctl stop dps-service")
    s.shell("restore", s.first)
    same(s.postgres.tables()[0], enrollments, "enrollments")
    check(kept in enrollments and lost not in enrollments, sorted(enrollments))
    for node in s.nodes:
        node.shell("systemctl start dps-service")
    same([s.register(kept, node) for node in s.nodes], ["hub-a.example"] * 2, "hub")
    s.count -= 1
    s.register(s.enroll())


def test_end(s):
    """both stop cleanly"""
    same([node.stop() for node in s.nodes], [0, 0], "exit codes")


def shared():
    return Site()
