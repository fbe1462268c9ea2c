# SPDX-License-Identifier: MIT
"""A store that answers but takes no writes: a right that is missing, a standby, a table that was dropped, a full disk,
a file that was moved, a lock that somebody holds. /readyz and dps_store_up say so, whether or not there are requests;
the log has the database's own words once; and when the store is repaired everything goes on by itself.

Needs openssl, python3-cryptography, PostgreSQL, and root or user namespaces for the full disk."""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess

from fleet import FREE, Keys, enroll
from server_harness import Client, Service
from store_full_test import FullDisk
from stores import Postgres
from tap import Failed, Programs, check, same
from waiting import wait_until

ROLE = ("CREATE ROLE service LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON enrollments, registrations, devices TO "
        "service; GRANT USAGE ON SEQUENCE record_version TO service; GRANT SELECT ON schema_version TO service")
OPTIONS = ("--workers", "2", "--metrics", "127.0.0.1:0", "--log", "json", *FREE)


def ask(service, path):
    client = Client(socket.create_connection(("127.0.0.1", service.metrics_port), 60))
    status, _, body = client.get(path)
    client.close()
    return status, body.decode()


def metric(service, name):
    return int(re.search(rf"^{name} (\d+)$", ask(service, "/metrics")[1], re.M).group(1))


def changes(service, since=0):
    """What the log says of the store: its events, and their details."""
    lines = [json.loads(line) for line in service.read("log")[since:].splitlines()]
    return [(line["event"], line.get("detail", "")) for line in lines if line["event"].startswith("the store")]


class Case:
    """A service, and how its store is broken and repaired."""

    count = 0

    def __init__(self, service, words):
        self.service, self.words, self.keys = service, words, Case.keys

    def enroll(self):
        Case.count += 1
        client = self.service.plain()
        status = enroll(self.service, client, self.keys, f"device-{Case.count}")[0]
        client.close()
        return status

    def is_ready(self):
        return ask(self.service, "/readyz")[0] == 200

    @contextlib.contextmanager
    def broken(self, what):
        wait_until(lambda: self.is_ready() and metric(self.service, "dps_store_up") == 1, f"ready before {what}")
        same(self.enroll(), 200, f"enrolled before {what}")
        since = len(self.service.read("log"))
        yield since
        wait_until(self.is_ready, f"ready after {what}")
        wait_until(lambda: metric(self.service, "dps_store_up") == 1, f"up after {what}")
        wait_until(lambda: self.enroll() == 200, f"enrolled after {what}")
        # The process that found it out may still be writing its line when another one answers.
        wait_until(lambda: changes(self.service, since)[-1][0] == "the store works again", f"logged after {what}")

    def unnoticed(self, what, since):
        """Without any request: readiness notices it, and keeps saying so."""
        wait_until(lambda: not self.is_ready(), f"{what} is noticed")
        same((ask(self.service, "/readyz")[0], metric(self.service, "dps_store_up")), (503, 0), "and stays so")
        self.one_line(since)

    def used(self, since):
        """Requests are refused for now, are counted, and add no line."""
        before = metric(self.service, "dps_store_failures_total")
        same([self.enroll() for _ in range(3)], [503] * 3, "enrolling")
        check(metric(self.service, "dps_store_failures_total") >= before + 3, "failures are not counted")
        same(ask(self.service, "/readyz")[0], 503, "/readyz")
        self.one_line(since)

    def one_line(self, since):
        # As above: the process that found it out may still be writing its line.
        wait_until(lambda: changes(self.service, since), "the failure is logged")
        told = changes(self.service, since)
        same([event for event, _ in told], ["the store fails"], "changes of state in the log")
        check(self.words in told[0][1], f"{told[0][1]!r} does not have the words {self.words!r}")

    def run(self, what, breaking, mending):
        """Once noticed by readiness alone, once by a request."""
        for first in (self.unnoticed, lambda _, since: self.used(since)):
            with self.broken(what) as since:
                breaking()
                try:
                    first(what, since)
                    self.used(since)
                finally:
                    mending()


# ---- PostgreSQL ------------------------------------------------------------------------------------------------------

class Database:
    """One database for all cases: the owner makes the schema, the service has the rights of OPERATIONS.md."""

    def __init__(self):
        self.postgres = Postgres()
        Service("--workers", "1", store=self.postgres.name).stop()
        self.sql(ROLE)
        self.service = Service(*OPTIONS, store=self.postgres.name.replace("user=dps", "user=service"))
        Programs.cleanup.callback(self.service.stop, signal.SIGKILL)

    def sql(self, text):
        return self.postgres.sql(text)

    def case(self, words):
        return Case(self.service, words)


def test_rights(d):
    """a right that is missing, on any table and of any kind"""
    for right, table in (("INSERT", "registrations"), ("UPDATE", "devices"), ("DELETE", "enrollments")):
        # Only one kind of request would notice that its right is missing; readiness notices all.
        case = d.case(f"permission denied for table {table}")
        with case.broken(right) as since:
            d.sql(f"REVOKE {right} ON {table} FROM service")
            case.unnoticed(right, since)
            d.sql(f"GRANT {right} ON {table} TO service")
    d.case("permission denied for sequence record_version").run(
        "a sequence", lambda: d.sql("REVOKE USAGE ON SEQUENCE record_version FROM service"),
        lambda: d.sql("GRANT USAGE ON SEQUENCE record_version TO service"))


def test_read_only(d):
    """a read-only database, such as a standby after a failover"""
    def switch(value):
        for line in (f"ALTER SYSTEM SET default_transaction_read_only = {value}", "SELECT pg_reload_conf()"):
            d.sql(line)
    d.case("read-only transaction").run("read-only", lambda: switch("on"), lambda: switch("off"))


def test_failover(d):
    """a read-only connection is given up: only a new one can lead to the new primary after a failover"""
    case = d.case("")
    with case.broken("failover"):
        d.sql("ALTER ROLE service SET default_transaction_read_only = on")  # for connections that start from now on
        d.postgres.cut()
        wait_until(lambda: "read-only transaction" in ask(d.service, "/readyz")[1], "readiness says why")
        d.sql("ALTER ROLE service RESET default_transaction_read_only")


def test_table(d):
    """a table that was dropped"""
    case = d.case("registrations")
    with case.broken("a table") as since:
        d.sql("ALTER TABLE registrations RENAME TO elsewhere")
        case.unnoticed("a table", since)
        d.sql("ALTER TABLE elsewhere RENAME TO registrations")


def test_disk(d):
    """a full disk under its tables"""
    disk = os.path.join(d.postgres.dir, "small")
    os.mkdir(disk)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", disk], capture_output=True,
                      check=False).returncode != 0:
        raise Failed("needs root, who may mount a file system for the database")
    Programs.cleanup.callback(subprocess.run, ["umount", "--lazy", disk], check=True)
    shutil.chown(disk, "postgres")
    d.sql(f"CREATE TABLESPACE small LOCATION '{disk}'")
    d.sql("ALTER TABLE enrollments SET TABLESPACE small")
    ballast = os.path.join(disk, "ballast")

    def fill():
        with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as f:
            while f.write(bytes(4096)) == 4096:
                pass
    case = d.case("could not extend file")
    with case.broken("a full disk") as since:
        fill()
        # What is left of the last page is used up first.
        wait_until(lambda: case.enroll() == 503, "an enrollment is put off")
        wait_until(lambda: not case.is_ready(), "it is noticed")
        same(case.is_ready(), False, "and stays so")
        case.one_line(since)
        os.unlink(ballast)


# ---- SQLite ----------------------------------------------------------------------------------------------------------

def started(service):
    Programs.cleanup.callback(service.stop, signal.SIGKILL)
    service.start()
    return service


def test_sqlite_disk(_):
    """SQLite: a full disk"""
    disk = FullDisk()
    disk.options = OPTIONS
    case = Case(started(disk), "database or disk is full")
    with case.broken("a full disk") as since:
        disk.fill()
        wait_until(lambda: case.enroll() == 503, "an enrollment is put off")
        wait_until(lambda: not case.is_ready(), "it is noticed")
        same(case.is_ready(), False, "and stays so")
        case.one_line(since)
        disk.make_room()


def test_sqlite_moved(_):
    """SQLite: the file was moved away; no write goes to a file that nobody would find"""
    service = started(Service(*OPTIONS, start=False))
    here, there = service.path("dps.db"), service.path("moved.db")
    Case(service, "was moved, deleted or replaced").run("a moved file", lambda: os.rename(here, there),
                                                        lambda: os.rename(there, here))


def test_sqlite_locked(_):
    """SQLite: somebody else holds the lock"""
    service = started(Service(*OPTIONS, start=False))
    case = Case(service, "database is locked")
    with contextlib.closing(sqlite3.connect(service.path("dps.db"), isolation_level=None)) as other:
        with case.broken("a lock") as since:
            other.execute("BEGIN IMMEDIATE")
            case.unnoticed("a lock", since)
            other.execute("ROLLBACK")


def test_nothing_stays(d):
    """what readiness writes is never visible"""
    tables = d.postgres.tables()
    check(all("/readyz" not in key for table in tables for key in table), tables)


def shared():
    Case.keys = Keys()
    return Database()
