# SPDX-License-Identifier: MIT
"""Two PostgreSQL servers on machines of their own (network namespaces), each commit on both: the primary is killed, or
cut off from the network, under load, again and again; the other one takes over, by the lines of OPERATIONS.md, and the
lost one comes back as its standby. No registration that was answered may be lost.

ROUNDS, in the environment: how often (20 for the figures). Needs root, iproute2, PostgreSQL, openssl,
python3-tpm2-pytss and python3-cryptography."""
import json
import os
import signal
import subprocess
import sys
import time

if "DPS_OWN_NETWORK" not in os.environ:  # all of this test in a network that nobody else has
    os.environ["DPS_OWN_NETWORK"] = "yes"
    os.execvp("unshare", ["unshare", "--net", *sys.orig_argv])

from durability_test import check_pairs
from fleet import FREE, Keys, Ledger, Load, Registrar
from operations_test import block
from server_harness import Service
from stores import Postgres
from tap import Programs, check, same
from waiting import wait_until

ROUNDS = int(os.environ.get("ROUNDS", "4"))
REGISTRARS = 4
# What a machine's owner would write once; noticing a dead peer in two seconds instead of a minute.
SETTINGS = ("wal_sender_timeout=2s", "wal_receiver_timeout=2s", "synchronous_commit=on")


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


class Machine(Postgres):
    """A machine with a server: its network is a namespace, at the other end of a cable."""

    def __init__(self, number):
        self.number, self.address = number, f"10.77.{number}.2"
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        Programs.cleanup.callback(self.holder.kill)
        here = os.stat("/proc/self/ns/net").st_ino
        wait_until(lambda: os.stat(f"/proc/{self.holder.pid}/ns/net").st_ino != here, "a network of its own")
        ip("link", "add", f"cable{number}", "type", "veth", "peer", "name", "eth0", "netns", str(self.holder.pid))
        ip("address", "add", f"10.77.{number}.1/24", "dev", f"cable{number}")
        ip("link", "set", f"cable{number}", "up")
        self.inside("ip", "link", "set", "lo", "up")
        self.inside("ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        self.plug_in()
        # Neighbours are known: nobody is told that it does not answer.
        card, = json.loads(self.inside("ip", "-json", "link", "show", "eth0", capture_output=True).stdout)
        mac = card["address"]
        ip("neighbour", "replace", self.address, "lladdr", mac, "nud", "permanent", "dev", f"cable{number}")
        super().__init__(f"listen_addresses={self.address}", *SETTINGS)

    def inside(self, *command, **options):
        return subprocess.run(["nsenter", "--net", "--target", str(self.holder.pid), *command], check=True, **options)

    def plug_in(self):
        self.inside("ip", "link", "set", "eth0", "up")
        self.inside("ip", "route", "replace", "default", "via", f"10.77.{self.number}.1")

    def unplug(self):
        """Whatever is sent to it vanishes; nobody is told."""
        self.inside("ip", "link", "set", "eth0", "down")

    def command(self, what):
        return ["nsenter", "--net", "--target", str(self.holder.pid), *super().command(what)]

    def follow(self, name, primary, standby):
        """A block of OPERATIONS.md, on this machine."""
        begin = f"export PRIMARY={primary.address} STANDBY={standby.address} PGUSER=dps PGDATABASE=postgres\n"
        return self.script("sh", text=begin + block(name))


class Site:
    def __init__(self):
        check(os.geteuid() == 0, "needs root, who may make networks and run PostgreSQL as its own user")
        ip("link", "set", "lo", "up")
        with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as f:
            f.write("1")
        self.first, self.second = Machine(1), Machine(2)
        self.primary, self.standby = self.first, self.second
        for what in ("all", "replication"):
            self.first.script("sh", text=f'echo "host {what} all 10.77.0.0/16 trust" >> "$DATA/pg_hba.conf"\n')
        self.first.sql("SELECT pg_reload_conf()")
        self.make_standby()
        hosts = f"{self.first.address},{self.second.address}"
        self.service = Service("--workers", "2", "--metrics", "127.0.0.1:0", *FREE, start=False,
                               store=f"postgres:host={hosts} user=dps dbname=postgres target_session_attrs=read-write")
        Programs.cleanup.callback(self.service.stop, signal.SIGKILL)
        self.service.start()
        self.keys, self.ledger, self.loads = Keys(), Ledger(), 0

    def make_standby(self):
        """The one that is not the primary begins with a copy of it; from then on each commit waits for it."""
        self.standby.script("stop", "immediate", check_status=False)  # it may be down
        self.standby.follow("standby", self.primary, self.standby)
        self.standby.start()
        wait_until(lambda: "streaming" in self.primary.sql("SELECT state FROM pg_stat_replication"), "it follows")
        self.standby.follow("synchronous", self.primary, self.standby)
        wait_until(lambda: "sync" in self.primary.sql("SELECT sync_state FROM pg_stat_replication").split(),
                   "commits wait for it")

    def load(self):
        self.loads += 1
        return Load([Registrar(self.service, self.keys, self.ledger, connect, f"load-{self.loads}-{number}-{tls}")
                     for number in range(REGISTRARS // 2)
                     for tls, connect in enumerate((self.service.plain, self.service.tls))])

    def take_over(self):
        self.standby.follow("promote", self.primary, self.standby)
        self.primary, self.standby = self.standby, self.primary

    def lose(self, cut):
        """The primary goes while devices register. Returns: seconds until it was replaced, and without service."""
        with self.load() as load:
            load.after(60)
            begin = time.monotonic()
            if cut:
                self.primary.unplug()
            else:
                self.primary.stop("immediate")
            self.take_over()
            replaced = time.monotonic() - begin
            known = set(self.ledger.assigned)
            wait_until(lambda: self.ledger.assigned.keys() - known, "devices register again")
            took = time.monotonic() - begin
            load.after(60)
            self.come_back(cut, load)
            load.after(60)
        return replaced, took

    def come_back(self, cut, load):
        """As standby. One that was cut off still believes that it is the primary, and for a moment others may, too."""
        if cut:
            self.standby.plug_in()
            load.after(20)
        self.make_standby()

    def check(self):
        enrollments, registrations, devices = self.primary.tables()
        self.ledger.check(registrations, enrollments)
        check_pairs(registrations, devices)
        same(self.ledger.surprises, [], "answers that nobody expected")
        same(self.ledger.lost, 0, "requests that were not answered at all")


def test_lost(s):
    """the primary is killed or cut off, under load: the other one takes over, and nothing that was answered is lost"""
    took = {True: [], False: []}
    for number in range(ROUNDS):
        cut = number % 2 == 1
        took[cut].append(s.lose(cut))
        s.check()
    for cut, times in took.items():
        print(f"# {'cut off' if cut else 'killed'} {len(times)} times: replaced after "
              f"{max(t for t, _ in times):.1f} s at most, without service for {min(t for _, t in times):.1f} to "
              f"{max(t for _, t in times):.1f} s")
    print(f"# {len(s.ledger.generation)} devices, {s.ledger.answers} answers, {s.ledger.statuses[503]} of them 503, "
          f"the slowest after {s.ledger.slowest:.1f} s")


def test_cut_off_first(s):
    """a service that is started while the first of its hosts is cut off finds the other one"""
    while s.primary is s.first:
        s.lose(False)
    s.first.unplug()
    # Alone, the primary would wait for its standby.
    s.primary.sql("ALTER SYSTEM SET synchronous_standby_names = ''")
    s.primary.sql("SELECT pg_reload_conf()")
    same(s.service.stop(), 0, "exit code")
    s.service.start()
    with s.load() as load:
        load.after(60)
    s.check()


def shared():
    return Site()
