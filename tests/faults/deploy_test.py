# SPDX-License-Identifier: MIT
"""What port/posix/deploy offers fits the program: every metric that the dashboard and the alarms name exists, and the
unit's options are real."""
import json
import os
import re
import socket
import subprocess

from harness import write_file
from server_harness import Client, Service
from tap import Programs, check, same

DEPLOY = "port/posix/deploy"
SUFFIXES = ("_bucket", "_sum", "_count")


def read(name):
    with open(os.path.join(DEPLOY, name), encoding="utf-8") as f:
        return f.read()


def offered(service):
    client = Client(socket.create_connection(("127.0.0.1", service.metrics_port), 60))
    text = client.get("/metrics")[2].decode()
    client.close()
    return {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}


def named(text):
    names = set(re.findall(r"\bdps_[a-z_]+", text))
    return {name[:-len(s)] if name.endswith(s) else name for name in names for s in SUFFIXES
            if name.endswith(s) or not name.endswith(SUFFIXES)}


def test_metrics():
    """every metric of the dashboard and of the operations page exists, and the dashboard shows all of them"""
    service = Service("--metrics", "127.0.0.1:0")
    try:
        exists = offered(service)
        for panel in json.loads(read("grafana.json"))["panels"]:
            for target in panel["targets"]:
                same(named(target["expr"]) - exists, set(), panel["title"])
        same(named(read("OPERATIONS.md")) - exists, set(), "OPERATIONS.md")
        unseen = exists - named(read("grafana.json"))
        check(unseen <= {"dps_connections_total", "dps_build_info"}, f"the dashboard does not show {unseen}")
    finally:
        service.stop()


# Options of pg_restore, pg_basebackup, psql, useradd and systemctl.
OF_OTHERS = {"--if-exists", "--system", "--full", "--checkpoint", "--pgdata", "--write-recovery-conf", "--command"}


def test_options():
    """every option that the unit and the page name is one of dps-service or dps-admin"""
    known = set()
    for call in (("dps-service",), ("dps-admin",), ("dps-admin", "enroll"), ("dps-admin", "message")):
        text = subprocess.run([Programs.path(call[0]), *call[1:], "--help"], capture_output=True, text=True,
                              check=True).stdout
        known |= set(re.findall(r"--[a-z][a-z-]+", text))
    for name in ("dps-service.service", "OPERATIONS.md"):
        options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", read(name))) - OF_OTHERS
        same(options - known, set(), name)


def test_unit():
    """systemd would take the unit"""
    unit = read("dps-service.service")
    sections = re.findall(r"^\[(\w+)\]$", unit, re.M)
    same(sections, ["Unit", "Service", "Install"], "sections")
    for line in unit.splitlines():
        check(re.match(r"^($|#|\[|\s|[A-Z][A-Za-z]+=)", line), f"not a line of a unit: {line}")
    path = os.path.join(Programs.directory(), "dps-service.service")
    write_file(path, unit.replace("/usr/local/bin/dps-service", "/bin/true"))  # it looks for the program
    said = subprocess.run(["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True, check=False)
    same((said.returncode, said.stderr), (0, ""), "systemd-analyze verify")


def test_roles():
    """the rights on the page are those that the store is tested with"""
    with open("tests/faults/test_store_postgres.c", encoding="utf-8") as f:
        tested = re.sub(r'"\s*"', "", f.read())
    grants = re.findall(r"^(GRANT .*);$", read("OPERATIONS.md"), re.M)
    same(len(grants), 3, "grants")
    for grant in grants:
        check(grant in tested, f"not what is tested: {grant}")
