# SPDX-License-Identifier: MIT
"""What the parts of the benchmark share: figures, CPU time, a service with a fleet enrolled, and load on it."""
import contextlib
import json
import os
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path[:0] = ["tests", "tests/e2e"]
from server_harness import SCOPE, Service  # noqa: E402
from tap import Failed, Programs, check  # noqa: E402

HUB = "hub-a.example"
CORES = sorted(os.sched_getaffinity(0))
SERVICE_CORE, GENERATOR_CORE = CORES[0], CORES[-1]
UNLIMITED = ("--challenge-rate", "0", "--client-rate", "0", "--total-rate", "0")


class Bench:
    """The settings of this run, and its directory."""

    builds = {}      # name of the crypto → its directory
    seconds = 2
    rounds = 3
    full = False
    root = None
    cleanup = None
    record = []      # all lines of this run

    @classmethod
    def directory(cls):
        path = tempfile.mkdtemp(dir=cls.root)
        os.chmod(path, 0o711)
        return path


def say(text):
    print(text, file=sys.stderr, flush=True)


def put(text):
    print(text, flush=True)
    Bench.record.append(text)


def figure(name, value, unit):
    text = f"{value:.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"
    put(f"{name} {text} {unit}")


def note(text):
    put(f"# {text}")


def target(name, value, unit, wanted, met):
    figure(name, value, unit)
    note(f"{name}: {'met' if met else 'MISSED'}, the target is {wanted}")


def quiet_and_noisy(values):
    """The best, and the median, as perf people say it: without and with neighbours."""
    return min(values), statistics.median(values)


# ---- CPU time and memory of processes --------------------------------------------------------------------------------

def tree(pid):
    """A process and its children, and theirs."""
    found = [pid]
    for p in found:
        with contextlib.suppress(OSError), open(f"/proc/{p}/task/{p}/children", encoding="ascii") as f:
            found += map(int, f.read().split())
    return found


def cpu_us(pid):
    """Of all threads of all processes of a tree, since they began; /proc/PID/schedstat is in nanoseconds."""
    total = 0
    for p in tree(pid):
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{p}/task"):
                with open(f"/proc/{p}/task/{task}/schedstat", encoding="ascii") as f:
                    total += int(f.read().split()[0])
    return total / 1000


def resident_kib(pid):
    total = 0
    for p in tree(pid):
        with contextlib.suppress(OSError), open(f"/proc/{p}/status", encoding="ascii") as f:
            total += sum(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
    return total


def on_core(*cores):
    def pin():
        os.sched_setaffinity(0, cores)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return pin


# ---- The service -----------------------------------------------------------------------------------------------------

class BenchService(Service):
    """dps-service of one build, on one core, with one hub and without limits."""

    def __init__(self, build, *options, store="sqlite:dps.db", cores=(SERVICE_CORE,), start=True):
        self.program, self.cores = os.path.join(Bench.builds[build], "dps-service"), cores
        os.makedirs(Bench.root, exist_ok=True)
        Programs.root = Bench.root
        super().__init__(*UNLIMITED, "--metrics", "127.0.0.1:0", *options, start=start, store=store,
                         timeouts="idle=600000,handshake=60000,head=60000,write=60000")
        Bench.cleanup.callback(self.stop)

    def command(self):
        words = super().command()
        at = words.index("hub-b.example=3")
        return words[:at - 1] + words[at + 1:]

    def spawn(self):
        return subprocess.Popen(self.command(), cwd=self.dir, stdout=subprocess.DEVNULL,
                                stderr=open(self.path("log"), "w"), preexec_fn=on_core(*self.cores))

    @property
    def pid(self):
        return self.process.pid

    @property
    def tls_url(self):
        return f"https://localhost:{self.tls_port}"

    @property
    def plain_url(self):
        return f"http://localhost:{self.plain_port}"

    def metric(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith((name + " ", name + "{} ")):
                    return float(line.split()[-1])
        raise Failed(f"no metric {name}")


# ---- Load ------------------------------------------------------------------------------------------------------------

def generator(*arguments):
    return [os.path.join(Bench.builds["openssl"], "dps-bench"), "--quiet", "--scope", SCOPE, "--keys",
            os.path.join(Bench.root, "keys"), *arguments]


def endorsement_key():
    return subprocess.run(generator("--print-ek"), capture_output=True, text=True, check=True).stdout.strip()


class Load:
    """What one run of the generator reported."""

    def __init__(self, url, ca, mode, watched, *options, seconds=None, cores=(GENERATOR_CORE,)):
        before = {name: cpu_us(pid) for name, pid in watched.items()}
        begin = time.monotonic()
        run = subprocess.run(
            generator("--service", url, "--ca", ca, "--mode", mode, "--seconds", str(seconds or Bench.seconds),
                      *options), capture_output=True, text=True, check=False, preexec_fn=on_core(*cores))
        wall_us = (time.monotonic() - begin) * 1e6
        spent = {name: cpu_us(pid) - before[name] for name, pid in watched.items()}
        told = {words[0]: float(words[1]) for words in map(str.split, run.stdout.splitlines())}
        check(run.returncode == 0 and told.get("registrations"), f"dps-bench {mode} {url}: {run.stdout}{run.stderr}")
        self.count, self.rate = told["registrations"], told["registration_rate"]
        self.p50, self.p99 = told["registration_p50"], told["registration_p99"]
        self.generator_idle = told["generator_idle"]
        self.cost = {name: us / self.count for name, us in spent.items()}
        self.busy = {name: 100 * us / wall_us for name, us in spent.items()}


def limit_note(name, loads, whose, whole_speed=True):
    """Who was the bottleneck?"""
    idle = statistics.median(load.generator_idle for load in loads)
    busy = statistics.median(sum(load.busy[w] for w in whose) for load in loads)
    figure(f"{name}_generator_idle", idle, "percent")
    figure(f"{name}_server_busy", busy, "percent")
    if idle < 10 and busy < 80:
        note(f"{name}: the generator was the bottleneck; rates by CPU time hold, wall rates would not")
    elif busy < 50 and whole_speed:
        note(f"{name}: neither was busy, so something else had the cores, and caches were colder than they need be")


# ---- A fleet in a store ----------------------------------------------------------------------------------------------

def enrollment(name, ek):
    return json.dumps({"registrationId": name, "attestation": {"type": "tpm", "tpm": {"endorsementKey": ek}},
                       "provisioningStatus": "enabled"})


def fill_sqlite(path, count, ek, rows=None):
    """Enroll bench-0, bench-1, ...; rows: all three tables as for bench-0, for devices that have registered."""
    tables = {"enrollments": ("bench-0", enrollment("bench-0", ek)), **(rows or {})}
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA synchronous = OFF")
        version = db.execute("SELECT last FROM version").fetchone()[0]
        for table, (key, value) in tables.items():
            db.execute(f"DELETE FROM {table}")
            # In the order of keys: a store that was filled over time is not, but here it takes the least time.
            db.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)",
                           ((key.replace("bench-0", f"bench-{i}"), value.replace('"bench-0"', f'"bench-{i}"'),
                             version + i + 1) for i in range(count)))
            version += count
        db.execute("UPDATE version SET last = ?", (version,))
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def registered_rows(path):
    """key and value of bench-0 in each table."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        return {table: db.execute(f"SELECT key, value FROM {table} WHERE key LIKE '%bench-0'").fetchone()
                for table in ("enrollments", "registrations", "devices")}


def service_with_fleet(build, *options, count=1000, **more):
    service = BenchService(build, *options, **more)
    service.stop()
    fill_sqlite(service.path("dps.db"), count, endorsement_key())
    service.start()
    return service


def program(name):
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
    check(path, f"{name} is not installed")
    return path


__all__ = [name for name in dir() if not name.startswith("_")]
