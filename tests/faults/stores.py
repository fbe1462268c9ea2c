# SPDX-License-Identifier: MIT
"""The stores behind dps-service as these tests see them: what is in them, and how they are disturbed."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess

from tap import Programs, check, same
from waiting import PATIENCE

TABLES = ("enrollments", "registrations", "devices")


def without_runs(table):
    """The list of the service's runs is kept among the devices (dps/service/run.c)."""
    return {key: record for key, record in table.items() if key != "/runs"}


class Sqlite:
    """The file of a service, looked at from outside."""

    name = "sqlite:dps.db"

    def tables(self, service):
        """The records of each table, all at one moment. Also: is the file whole?"""
        return self.read(service.path("dps.db"))

    def crashed(self, service):
        """The same of a copy of what a killed service has left: the service itself has to recover the original."""
        directory = Programs.directory()
        for name in ("dps.db", "dps.db-wal"):
            if os.path.exists(service.path(name)):
                shutil.copy(service.path(name), directory)
        try:
            return self.read(os.path.join(directory, "dps.db"))
        finally:
            shutil.rmtree(directory)

    @staticmethod
    def read(path):
        with contextlib.closing(sqlite3.connect(path, timeout=120, isolation_level=None)) as db:
            db.execute("BEGIN")
            same(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)], "integrity_check")
            versions = [v for t in TABLES for v, in db.execute(f"SELECT version FROM {t}")]
            last, = db.execute("SELECT last FROM version").fetchone()
            check(last >= max(versions, default=0) and len(set(versions)) == len(versions),
                  "a version was given out twice")
            return [without_runs({key: json.loads(value) for key, value in db.execute(f"SELECT key, value FROM {t}")})
                    for t in TABLES]


class Postgres:
    """A PostgreSQL server of this test's own."""

    def __init__(self, *settings):
        self.dir, self.settings = os.path.join(Programs.directory(), "pg"), settings
        os.chmod(os.path.dirname(os.path.dirname(self.dir)), 0o711)  # the server's user has to pass, see postgres.sh
        Programs.cleanup.callback(self.end)
        self.start()

    def command(self, what):
        return ["tests/faults/postgres.sh", what, self.dir]

    def script(self, what, *arguments, text=None, check_status=True):
        # Into a file and not a pipe: the server would keep the pipe open.
        with open(os.path.join(os.path.dirname(self.dir), "said"), "w+b") as out:
            done = subprocess.run([*self.command(what), *arguments], stdout=out, stderr=out,
                                  input=text and text.encode(), timeout=300, check=False)
            out.seek(0)
            said = out.read().decode()
        check(done.returncode == 0 or not check_status, f"postgres.sh {what}: {said}")
        return said

    def start(self):
        self.name = "postgres:" + self.script("start", *self.settings).strip()

    def stop(self, mode="fast"):
        self.script("stop", mode)

    def end(self):
        self.go_on()
        self.script("stop", "immediate", check_status=False)

    def sql(self, text):
        return self.script("psql", "-c", text)

    def cut(self):
        """End every connection of the services. Returns: how many there were."""
        return len(self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                            "WHERE application_name = 'dps-service'").split())

    def connections(self):
        """How many the services have."""
        return int(self.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dps-service'"))

    def processes(self):
        try:
            with open(os.path.join(self.dir, "data/postmaster.pid"), encoding="utf-8") as f:
                first = int(f.readline())
            with open(f"/proc/{first}/task/{first}/children", encoding="utf-8") as f:
                return [first, *map(int, f.read().split())]
        except (OSError, ValueError):
            return []

    def hang(self):
        """The server accepts connections but no longer answers."""
        for pid in self.processes():
            os.kill(pid, signal.SIGSTOP)

    def go_on(self):
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    @contextlib.contextmanager
    def locked(self, table):
        """Somebody else holds a lock for which everybody has to wait."""
        with subprocess.Popen(self.command("psql"), stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as other:
            try:
                other.stdin.write(f"BEGIN; LOCK TABLE {table}; SELECT 'held';\n")
                other.stdin.flush()
                same(other.stdout.readline().strip(), "held", "lock")
                yield
            finally:
                other.stdin.close()
                other.wait(PATIENCE)

    def tables(self, _service=None):
        parts = ", ".join(f"(SELECT coalesce(json_object_agg(convert_from(key, 'UTF8'), value::json), '{{}}') FROM {t})"
                          for t in TABLES)
        return [without_runs(t) for t in json.loads(self.sql(f"SELECT json_build_array({parts})"))]

    crashed = tables
