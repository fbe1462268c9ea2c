# SPDX-License-Identifier: MIT
"""Registrations through the real dps-service, nginx beside it and in front of it, and the cost of each part."""
import os
import statistics
import subprocess

from bench_nginx import Nginx
from bench_tools import (SERVICE_CORE, Bench, Load, check, figure, limit_note, note, on_core, quiet_and_noisy, say,
                         service_with_fleet, target)

CRYPTOS = ("bearssl", "openssl")
PLENTY = 1e6  # microseconds in a core-second


# ---- Parts: dps-micro of both builds ---------------------------------------------------------------------------------

class Micro:
    """Best and median of each part, over several short runs between the other measurements."""

    def __init__(self):
        self.found = {crypto: {} for crypto in CRYPTOS}

    def run(self, rounds):
        for crypto in CRYPTOS:
            run = subprocess.run([os.path.join(Bench.builds[crypto], "dps-micro"), str(rounds)], text=True, check=False,
                                 cwd=Bench.directory(), capture_output=True, preexec_fn=on_core(SERVICE_CORE))
            check(run.returncode == 0, f"dps-micro of {crypto}: {run.stderr}")
            for name, best, median in map(str.split, run.stdout.splitlines()):
                self.found[crypto].setdefault(name, []).append((float(best), float(median)))

    def part(self, crypto, name):
        """(quiet, noisy) microseconds."""
        values = self.found[crypto][name]
        return min(v[0] for v in values), statistics.median(v[1] for v in values)

    def store(self, crypto, batch):
        """A registration's share of SQLite's time, when so many are committed together: a + b / batch."""
        one, many = self.part(crypto, "store_1"), self.part(crypto, "store_16")
        shared = [(x - y) / (1 - 1 / 16) for x, y in zip(one, many)]
        return tuple(x - s + s / batch for x, s in zip(one, shared))


def report_micro(m):
    for crypto in CRYPTOS:
        for name in ("blob", "blob_crypto_h", "sas", "text", "registration", "store_1", "store_16", "tls_full",
                     "tls_resumed", "tls_request"):
            quiet, noisy = m.part(crypto, name)
            figure(f"{name}_{crypto}_quiet", quiet, "us")
            figure(f"{name}_{crypto}_noisy", noisy, "us")
        blob = m.part(crypto, "blob")
        bare = m.part(crypto, "blob_bearssl" if crypto == "bearssl" else "blob_crypto_h")
        figure(f"challenge_blobs_{crypto}", PLENTY / blob[1], "per_core_second")
        figure(f"sas_verifications_{crypto}", PLENTY / m.part(crypto, "sas")[1], "per_core_second")
        overhead = 100 * (blob[0] / bare[0] - 1)
        target(f"blob_overhead_{crypto}", overhead, "percent", "at most 5 over the bare sum of its primitives, "
               + ("by BearSSL's own functions" if crypto == "bearssl" else "through crypto.h on libcrypto"),
               overhead <= 5)
    fastest = m.part("openssl", "blob_libcrypto")
    figure("blob_libcrypto_fastest_quiet", fastest[0], "us")
    figure("blob_libcrypto_fastest_noisy", fastest[1], "us")
    share = 100 * fastest[0] / m.part("openssl", "blob")[0]
    target("blob_share_of_libcrypto_openssl", share, "percent", "at least 80 of OpenSSL's fastest path", share >= 80)
    figure("blob_share_of_libcrypto_bearssl", 100 * m.part("bearssl", "blob_libcrypto")[0] /
           m.part("bearssl", "blob")[0], "percent")
    work = {crypto: m.part(crypto, "registration")[0] + m.part(crypto, "store_16")[0] for crypto in CRYPTOS}
    text = 100 * m.part("bearssl", "text")[0] / (work["bearssl"] + m.part("bearssl", "tls_full")[0])
    target("http_and_json_bearssl", text, "percent_of_a_registration", "at most 5 of registration + store + TLS",
           text <= 5)
    figure("http_and_json_openssl_without_tls", 100 * m.part("openssl", "text")[0] / work["openssl"],
           "percent_of_a_registration")


def part_micro():
    m = Micro()
    for i in range(Bench.rounds):
        say(f"  parts in memory, round {i + 1} of {Bench.rounds}")
        m.run(15)
    report_micro(m)


# ---- Load ------------------------------------------------------------------------------------------------------------

class Case:
    def __init__(self, name, url, ca, mode, watched, *options):
        self.name, self.url, self.ca, self.mode, self.watched, self.options = name, url, ca, mode, watched, options
        self.loads = []

    def run(self):
        self.loads.append(Load(self.url, self.ca, self.mode, self.watched, *self.options))

    def cost(self, whose=None):
        """(quiet, noisy) microseconds of CPU time, of one process or of all."""
        return quiet_and_noisy([sum(us for name, us in load.cost.items() if whose in (None, name))
                                for load in self.loads])

    def report(self):
        for i, word in enumerate(("quiet", "noisy")):
            figure(f"{self.name}_{word}", PLENTY / self.cost()[i], "per_core_second")
        if len(self.watched) > 1:
            for whose in self.watched:
                figure(f"{self.name}_{whose}_cpu", self.cost(whose)[1], "us")
        limit_note(self.name, self.loads, self.watched)


def service_cases(services):
    cases = []
    for crypto, s in services.items():
        ca = s.path("cert.pem")
        for mode in ("full", "resume", "keep-alive"):
            word = mode.replace("-", "_")
            cases.append(Case(f"registrations_tls_{word}_{crypto}", s.tls_url, ca, mode, {"service": s.pid}))
        cases.append(Case(f"registrations_plain_{crypto}", s.plain_url, ca, "full", {"service": s.pid}))
        cases.append(Case(f"registrations_plain_keep_alive_{crypto}", s.plain_url, ca, "keep-alive",
                          {"service": s.pid}))
    return cases


def nginx_cases(services, pages, front):
    ca = services["openssl"].path("cert.pem")
    both = {"nginx": front.pid, "service": services["openssl"].pid}
    cases = [Case(f"registrations_nginx_{mode}_openssl", front.tls_url, ca, mode, both) for mode in ("full", "resume")]
    for mode in ("full", "resume", "keep-alive"):
        cases.append(Case(f"nginx_tls_{mode.replace('-', '_')}", pages.tls_url, ca, mode, {"nginx": pages.pid}, "--get",
                          "/"))
    for mode in ("full", "keep-alive"):
        cases.append(Case(f"nginx_plain_{mode.replace('-', '_')}", pages.plain_url, ca, mode, {"nginx": pages.pid},
                          "--get", "/"))
    return cases


class Turns:
    """How many registrations were committed together?"""

    def __init__(self, service):
        self.service = service
        self.before = self.read()

    def read(self):
        return (self.service.metric("dps_assignments_total"), self.service.metric("dps_store_commit_seconds_count"))

    def batch(self):
        made, commits = (now - then for now, then in zip(self.read(), self.before))
        return made / commits if commits else 1


def plus(*parts):
    return tuple(sum(values) for values in zip(*parts))


def times(number, part):
    return tuple(number * value for value in part)


def sums_of_parts(cases, m, batch):
    """name → (quiet, noisy) microseconds, and the case that it is to be compared with."""
    page = {name: cases[name].cost() for name in cases if name.startswith("nginx_")}
    network = plus(page["nginx_plain_full"], times(2, page["nginx_plain_keep_alive"]))  # TCP and HTTP of three requests
    sums = {}
    for crypto in CRYPTOS:
        later = times(2, m.part(crypto, "tls_request"))
        work = plus(times(2, m.part(crypto, "blob")), m.part(crypto, "sas"), m.store(crypto, batch[crypto]))
        sums[f"registrations_tls_full_{crypto}"] = plus(m.part(crypto, "tls_full"), later, network, work)
        sums[f"registrations_tls_resume_{crypto}"] = plus(m.part(crypto, "tls_resumed"), later, network, work)
        sums[f"registrations_plain_{crypto}"] = plus(network, work)
    fastest = plus(times(2, m.part("openssl", "blob_libcrypto")), m.part("openssl", "sas"),
                   m.store("openssl", batch["openssl"]), times(2, page["nginx_tls_keep_alive"]))
    sums["registrations_nginx_full_openssl"] = plus(page["nginx_tls_full"], fastest)
    sums["registrations_nginx_resume_openssl"] = plus(page["nginx_tls_resume"], fastest)
    return sums


TARGETS = {"registrations_tls_full_bearssl": (90, "the sum of its parts"),
           "registrations_tls_full_openssl": (85, "the sum of its parts"),
           "registrations_nginx_full_openssl": (80, "nginx's own TLS and HTTP + OpenSSL's fastest blobs + the store")}


def report_sums(cases, m, batch):
    for name, parts in sums_of_parts(cases, m, batch).items():
        figure(f"{name}_sum_of_parts", PLENTY / parts[1], "per_core_second")
        share = 100 * parts[1] / cases[name].cost()[1]
        wanted, of_what = TARGETS.get(name, (None, None))
        if wanted:
            target(f"{name}_share", share, "percent", f"at least {wanted} of {of_what}", share >= wanted)
        else:
            figure(f"{name}_share", share, "percent")
    whole = cases["registrations_nginx_full_openssl"].cost()[0]
    text = 100 * m.part("openssl", "text")[0] / whole
    target("http_and_json_openssl", text, "percent_of_a_registration", "at most 5, nginx included", text <= 5)
    handshake = cases["nginx_tls_full"].cost()[1]
    figure("nginx_tls_share_of_a_full_registration",
           100 * handshake / cases["registrations_nginx_full_openssl"].cost()[1], "percent")
    for crypto in CRYPTOS:
        own = m.part(crypto, "tls_full")[1] + cases["nginx_plain_full"].cost()[1]
        figure(f"tls_handshake_cost_{crypto}_over_nginx", own / handshake, "times")
    report_rates(cases)


def report_rates(cases):
    """The figures that CRYPTO=openssl is for, by the quiet rounds."""
    rate = {mode: PLENTY / cases[f"registrations_tls_{mode}_openssl"].cost()[0] for mode in ("full", "resume")}
    target("registrations_tls_full_openssl", rate["full"], "per_core_second", "at least 1300", rate["full"] >= 1300)
    target("registrations_tls_resume_openssl", rate["resume"], "per_core_second", "at least 2000",
           rate["resume"] >= 2000)
    both = cases["registrations_nginx_full_openssl"].cost()[0] / cases["registrations_tls_full_openssl"].cost()[0]
    target("registrations_tls_full_openssl_over_nginx", both, "times", "at least 1.3 of nginx and service together",
           both >= 1.3)


def part_load():
    services = {crypto: service_with_fleet(crypto) for crypto in CRYPTOS}
    pages, front = Nginx(services["openssl"], False), Nginx(services["openssl"], True)
    cases = service_cases(services) + nginx_cases(services, pages, front)
    for case in cases[::5]:  # caches, first registrations
        Load(case.url, case.ca, case.mode, case.watched, *case.options, seconds=1)
    m, turns = Micro(), {crypto: Turns(s) for crypto, s in services.items()}
    for i in range(Bench.rounds):
        say(f"  load, round {i + 1} of {Bench.rounds}: {len(cases)} cases of {Bench.seconds} s")
        m.run(7)
        for case in cases:
            case.run()
    batch = {crypto: t.batch() for crypto, t in turns.items()}
    for case in cases:
        case.report()
    for crypto in CRYPTOS:
        figure(f"registrations_per_commit_{crypto}", batch[crypto], "count")
    by_name = {case.name: case for case in cases}
    report_sums(by_name, m, batch)
    for crypto in CRYPTOS:
        latency(services[crypto], crypto, by_name[f"registrations_tls_full_{crypto}"])


def latency(service, crypto, case):
    """At half the rate that the core can do."""
    rate = int(PLENTY / case.cost()[1] / 2)
    say(f"  latency of {crypto} at {rate} registrations/s")
    load = Load(service.tls_url, service.path("cert.pem"), "full", {"service": service.pid}, "--rate", str(rate),
                "--clients", "64", seconds=2 * Bench.seconds)
    figure(f"latency_half_load_{crypto}_rate", load.rate, "per_second")
    figure(f"latency_half_load_{crypto}_p50", load.p50, "ms")
    figure(f"latency_half_load_{crypto}_p99", load.p99, "ms")
    limit_note(f"latency_half_load_{crypto}", [load], ["service"], whole_speed=False)
    if load.rate < 0.9 * rate:
        note(f"latency_half_load_{crypto}: the wanted rate was {rate}; this machine is too busy with others for "
             "it, so these latencies are its scheduler's")
    note(f"latency_half_load_{crypto}: three requests with connection and full handshake, both RSA operations of the "
         "simulated device included")
