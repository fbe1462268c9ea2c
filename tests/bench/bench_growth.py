# SPDX-License-Identifier: MIT
"""What a registration costs when many devices are enrolled, and how long a start then takes."""
import os
import subprocess
import time

from bench_tools import (Bench, BenchService, Load, check, endorsement_key, figure, fill_sqlite, quiet_and_noisy,
                         registered_rows, say, target)


def sizes():
    return (10 ** 3, 10 ** 5, 10 ** 6) if Bench.full else (10 ** 3, 10 ** 5)


def word(size):
    return f"1e{len(str(size)) - 1}"


def one_registered(service):
    """Rows of one device that has registered, from which all others are made."""
    ek = endorsement_key()
    service.stop()
    fill_sqlite(service.path("dps.db"), 1, ek)
    service.start()
    Load(service.plain_url, service.path("cert.pem"), "full", {}, "--ids", "1", "--clients", "1", seconds=1)
    service.stop()
    return registered_rows(service.path("dps.db"))


def start_timed(service):
    begin = time.monotonic()
    service.start()
    return (time.monotonic() - begin) * 1000


# ---- PostgreSQL ------------------------------------------------------------------------------------------------------

class Postgres:
    def __init__(self):
        self.dir = os.path.join(Bench.directory(), "postgres")
        self.conninfo = self.command("start", "fsync=on", "shared_buffers=256MB").stdout.strip()
        Bench.cleanup.callback(lambda: self.command("stop", "immediate"))
        with open(os.path.join(self.dir, "data", "postmaster.pid"), encoding="ascii") as f:
            self.pid = int(f.readline())

    def command(self, what, *arguments):
        run = subprocess.run(["sh", "tests/faults/postgres.sh", what, self.dir, *arguments], text=True,
                             capture_output=True, check=False)
        check(run.returncode == 0, run.stderr)
        return run

    def database(self, name):
        self.command("psql", "-c", f"CREATE DATABASE {name}")
        return self.conninfo.replace("dbname=postgres", f"dbname={name}")

    def fill(self, name, count, rows):
        """By COPY, the fastest way in."""
        psql = subprocess.Popen(["sh", "tests/faults/postgres.sh", "psql", self.dir], stdin=subprocess.PIPE, text=True,
                                stdout=subprocess.DEVNULL)
        version = 0
        psql.stdin.write(f"\\connect {name}\n")
        for table, (key, value) in rows.items():
            psql.stdin.write(f"COPY {table} FROM STDIN;\n")
            for i in range(count):
                version += 1
                hexed = key.replace("bench-0", f"bench-{i}").encode().hex()
                text = value.replace('"bench-0"', f'"bench-{i}"').replace("\\", "\\\\")
                psql.stdin.write(f"\\\\x{hexed}\t{text}\t{version}\n")
            psql.stdin.write(f"\\.\nANALYZE {table};\n")
        psql.stdin.write(f"SELECT setval('record_version', {version});\n")
        psql.stdin.close()
        check(psql.wait() == 0, "PostgreSQL did not take the fleet")


# ---- Both ------------------------------------------------------------------------------------------------------------

def compare(store, services, watched):
    """Load on the stores in turn; cost by size."""
    loads = {size: [] for size in services}
    for size, s in services.items():
        Load(s.plain_url, s.path("cert.pem"), "full", {}, "--ids", str(size), seconds=1)
    for i in range(Bench.rounds + 2):
        say(f"  growth in {store}, round {i + 1} of {Bench.rounds + 2}")
        for size, s in services.items():
            loads[size].append(Load(s.plain_url, s.path("cert.pem"), "full", {"service": s.pid, **watched}, "--ids",
                                    str(size)))
    cost = {}
    for size in services:
        for whose in ("service", *watched):
            quiet, noisy = quiet_and_noisy([load.cost[whose] for load in loads[size]])
            figure(f"growth_{store}_{word(size)}_{whose}_quiet", quiet, "us_per_registration")
            figure(f"growth_{store}_{word(size)}_{whose}_noisy", noisy, "us_per_registration")
            cost[size, whose] = quiet
    for size in list(services)[1:]:
        whole = [sum(us for (n, _), us in cost.items() if n == which) for which in (size, list(services)[0])]
        change = 100 * (whole[0] / whole[1] - 1)
        target(f"growth_{store}_{word(size)}_over_1e3", change, "percent", "within 20", abs(change) <= 20)


def sqlite_services(rows):
    services = {}
    for size in sizes():
        say(f"  filling SQLite with {size} devices")
        s = BenchService("openssl")
        s.stop()
        fill_sqlite(s.path("dps.db"), size, "", rows)
        figure(f"start_up_sqlite_{word(size)}", min(start_timed(s), *(again(s) for _ in range(2))), "ms")
        services[size] = s
    return services


def again(service):
    service.stop()
    return start_timed(service)


def part_growth():
    rows = one_registered(BenchService("openssl"))
    services = sqlite_services(rows)
    compare("sqlite", services, {})
    for s in services.values():
        s.stop()
    postgres = Postgres()
    services = {}
    for size in sizes():
        say(f"  filling PostgreSQL with {size} devices")
        name = f"fleet{size}"
        s = BenchService("openssl", store="postgres:" + postgres.database(name))
        s.stop()
        postgres.fill(name, size, rows)
        figure(f"start_up_postgres_{word(size)}", min(start_timed(s), *(again(s) for _ in range(2))), "ms")
        services[size] = s
    compare("postgres", services, {"postgres": postgres.pid})
