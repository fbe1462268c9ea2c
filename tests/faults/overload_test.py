# SPDX-License-Identifier: MIT
"""dps-service with more load than it can take: thousands of slow clients and idle connections, no descriptors left,
certificates that are replaced all the time, and SIGTERM in the middle of work. Meanwhile devices register.

SEED, in the environment, repeats the random choices of a run. Needs openssl, python3-tpm2-pytss,
python3-cryptography, and 6500 file descriptors."""
import contextlib
import os
import random
import re
import resource
import signal
import socket
import ssl
import time

from cryptography import x509

from certificates import make_ca, make_leaf
from durability_test import check_pairs
from fleet import FREE, Keys, Ledger, Load, Registrar
from harness import HUBS, write_file
from server_harness import Client, Service, request, trusting
from stores import Sqlite
from tap import Failed, Programs, check, same, seed
from waiting import Threads, children_of, wait_until

SLOW = 1000
IDLE = 5000
DESCRIPTORS = IDLE + SLOW + 500
# Each of two workers has half of the places, and on a busy machine one of them may take nearly all connections.
PLACES = 2 * (IDLE + SLOW)
RELOADS = 60
ENDINGS = 8
QUEUE = 40            # connections
TIMEOUTS = "idle=3600000,linger=5000,drain=600000"


def raise_descriptor_limit():
    """For this process; the service inherits it as its limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    check(hard >= DESCRIPTORS, f"{DESCRIPTORS} file descriptors are needed; the hard limit is {hard} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, hard))


class Timed(Registrar):
    """Also records how long each answer took, and what became of requests that had none."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.times, self.losses, self.sent_at, self.answered = [], [], 0.0, 0
        plainly = self.connect

        def connect():
            client = plainly()
            send = client.send

            def timed_send(text):
                send(text)
                self.sent_at = time.monotonic()
            client.send = timed_send
            self.sent_at = 0.0
            return client
        self.connect = connect

    def ask(self, *arguments):
        begin, lost = time.monotonic(), self.ledger.lost
        self.sent_at = 0.0
        try:
            answer = super().ask(*arguments)
            self.answered += 1
            return answer
        except Exception as error:
            if self.ledger.lost > lost:
                self.losses.append((self.sent_at, error.__cause__))
            raise
        finally:
            self.times.append(time.monotonic() - begin)


def p99(registrars):
    times = sorted(t for r in registrars for t in r.times)
    check(len(times) > 50, f"only {len(times)} answers")
    return times[len(times) * 99 // 100]


class Place:
    def __init__(self, seed):
        self.keys, self.random, self.count = Keys(), random.Random(seed), 0

    def serve(self, *options, **more):
        more.setdefault("timeouts", TIMEOUTS)
        s = Service(*FREE, *options, **more)
        Programs.cleanup.callback(s.stop, signal.SIGKILL)
        return s

    def registrars(self, service, *connects):
        ledger = Ledger()
        self.count += 1
        return [Timed(service, self.keys, ledger, c, f"load-{self.count}-{n}") for n, c in enumerate(connects)]

    @staticmethod
    def check(service, ledger, lost=0):
        enrollments, registrations, devices = Sqlite().tables(service)
        ledger.check(registrations, enrollments)
        check_pairs(registrations, devices)
        same(ledger.surprises, [], "answers that nobody expected")
        same(ledger.statuses[503], 0, "requests that were put off")
        check(ledger.lost <= lost, f"{ledger.lost} requests were not answered")


# ---- Slow and idle ones ----------------------------------------------------------------------------------------------

def end_quietly(clients):
    for client in clients:
        client.sock.close()


def test_slow(p):
    """1000 clients that send a byte now and then: others are served, and in the end the slow ones are cut off"""
    s = p.serve("--workers", "2", "--connections", str(PLACES), "--client-connections", "0", "--metrics", "127.0.0.1:0",
                timeouts=f"{TIMEOUTS},head=6000,stall=6000")
    registrars = p.registrars(s, s.plain, s.tls)
    text = request("/nowhere").encode()
    session = first_session(s)
    slow = [s.tls(session) if n % 2 else s.plain() for n in range(SLOW)]
    with Load(registrars) as load:
        for at in range(4):
            for client in slow:
                with contextlib.suppress(ConnectionError):  # on a busy machine it may have been cut off already
                    client.send(text[at:at + 1])
            load.after(40)
        served = len(registrars[0].ledger.assigned)
        took = p99(registrars)
    p.check(s, registrars[0].ledger)
    for client in slow:
        client.closed(orderly=False)
    end_quietly(slow)
    s.wait_log("the request came too slowly")
    print(f"# {SLOW} slow clients: {served} devices served, p99 {1000 * took:.0f} ms")
    same(s.stop(), 0, "exit code")


@contextlib.contextmanager
def events_told(s):
    """A test that fails tells what the service says of connections, its store and its own end."""
    try:
        yield
    except Exception:
        lines = [line for line in s.read("log").splitlines() if not re.search("event=(answered|refused)", line)]
        print("".join(f"# log: {line}\n" for line in lines[-20:]), end="")
        print(f"# it ended: {s.process.returncode}" if s.process.poll() is not None else
              f"# {s.sample('dps_connections_evicted_total'):.0f} connections had to go")
        raise


def first_session(s):
    client = s.tls()
    client.get("/nowhere")
    session = client.sock.session
    client.close()
    return session


def resident(s):
    """MiB of all processes."""
    total = 0
    for pid in [s.process.pid, *children_of(s.process.pid)]:
        with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as f:
            total += next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    return total // 1024


def test_idle(p):
    """5000 idle TLS connections: others are served meanwhile, and the idle ones can continue at any time"""
    s = p.serve("--workers", "2", "--connections", str(PLACES), "--client-connections", "0", "--metrics", "127.0.0.1:0")
    with events_told(s):
        registrars = p.registrars(s, s.plain, s.tls)
        before = resident(s)
        session = first_session(s)
        begin = time.monotonic()
        with Load(registrars) as load:
            idle = [s.tls(session) for _ in range(IDLE)]
            opened = time.monotonic() - begin
            load.after(100)
            served = len(registrars[0].ledger.assigned)
            took = p99(registrars)
        p.check(s, registrars[0].ledger)
        print(f"# {IDLE} idle connections, opened in {opened:.1f} s: {resident(s) - before} MiB; {served} devices "
              f"served, p99 {1000 * took:.0f} ms")
        for client in p.random.sample(idle, 200):
            same(client.get("/nowhere")[0], 404, "a connection that was idle")
        same(s.sample("dps_connections_evicted_total"), 0, "connections that had to go")
    end_quietly(idle)
    same(s.stop(), 0, "exit code")


def each_answered(registrars):
    before = [r.answered for r in registrars]
    wait_until(lambda: all(r.answered > n for r, n in zip(registrars, before)), "each device is answered")


def test_descriptors(p):
    """no descriptors left, in both processes: silent clients make room, and new ones are served"""
    s = p.serve("--workers", "2", "--connections", "500", limit=48)
    registrars = p.registrars(s, s.plain, s.tls, s.plain, s.tls)
    with Load(registrars) as load:
        load.after(20)
        others = [s.plain() for _ in range(200)]
        s.wait_log("fewer descriptors than --connections")
        for _ in range(20):  # so many that each process has reached the end of its queue
            client = s.plain()
            same(client.get("/nowhere")[0], 404, "a new client")
            client.close()
        each_answered(registrars)
        # Nobody else comes, so nobody has to go: all silent ones that are left would go first.
        lost = registrars[0].ledger.lost
        load.after(200)
        same(registrars[0].ledger.lost, lost, "requests that were lost, also after the crowd had come")
    end_quietly(others)
    p.check(s, registrars[0].ledger, lost=lost)
    same(s.stop(), 0, "exit code")


# ---- Certificates ----------------------------------------------------------------------------------------------------

class Handshaker:
    """Full handshakes, one after the other, each with a request after it."""

    def __init__(self, s, ca):
        self.s, self.done, self.failures, self.serials = s, 0, [], set()
        self.context = trusting(cafile=ca)
        self.context.maximum_version = ssl.TLSVersion.TLSv1_2

    def work(self, stop):
        while not stop.is_set():
            try:
                raw = socket.create_connection(("127.0.0.1", self.s.tls_port), 60)
                client = Client(self.context.wrap_socket(raw, server_hostname="localhost", suppress_ragged_eofs=False))
                self.serials.add(int(client.sock.getpeercert()["serialNumber"], 16))
                same(client.get("/nowhere")[0], 404, "status")
                client.close()
                self.done += 1
            except (OSError, Failed) as error:
                self.failures.append(repr(error))


def certificates(s, count):
    """Of one CA. Returns: pairs of certificate and key."""
    make_ca(s.dir)
    pairs = []
    for _ in range(count):
        make_leaf(s.dir, ("localhost", *HUBS))
        pairs.append((s.read("cert.pem"), s.read("key.pem")))
    return pairs


def replace(s, pair):
    for name, text in zip(("cert.pem", "key.pem"), pair):
        write_file(s.path(name + ".new"), text)
        os.rename(s.path(name + ".new"), s.path(name))


def reloads_of(s):
    return s.read("log").count("event=reloaded")


def reloads(p, workers):
    s = p.serve("--workers", str(workers), start=False)
    *pairs, _first = certificates(s, RELOADS + 1)
    s.start()
    shakers = [Handshaker(s, s.path("ca.pem")) for _ in range(4)]
    threads = Threads(*(lambda h=h: h.work(threads.stop) for h in shakers))
    with threads:
        for n, pair in enumerate(pairs):
            replace(s, pair)
            s.process.send_signal(signal.SIGHUP)
            # Only when it is served have both files been read, so that the next pair cannot get between.
            serial = x509.load_pem_x509_certificate(pair[0].encode()).serial_number
            wait_until(lambda serial=serial: any(serial in h.serials for h in shakers), f"reload {n} and a handshake")
    failures = [f for h in shakers for f in h.failures]
    done = sum(h.done for h in shakers)
    same(failures, [], f"failed, of {done} handshakes")
    check("not reloaded" not in s.read("log"), "a reload failed")
    print(f"# {workers} processes: {done} full handshakes, {reloads_of(s)} reloads")
    same(s.stop(), 0, "exit code")


def test_reload(p):
    """the certificate is replaced again and again under load: no handshake fails"""
    reloads(p, 1)


def test_reload_workers(p):
    """nor with two processes"""
    reloads(p, 2)


# ---- The end ---------------------------------------------------------------------------------------------------------

def once(connect):
    """A client that opens a connection for each request."""
    def asked():
        client = connect()
        send = client.send
        client.send = lambda text: send(text.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
        return client
    return asked


def test_drain(p):
    """SIGTERM in the middle of work: earlier requests are answered, and nothing answered is lost"""
    late = answered = 0
    s = p.serve("--workers", "2", start=False)
    for n in range(ENDINGS):
        s.start()
        registrars = p.registrars(s, s.plain, s.tls, once(s.plain), once(s.tls), s.plain, once(s.plain))
        with Load(registrars) as load:
            load.after(p.random.randint(10, 60))
            ended = time.monotonic()
            same(s.stop(), 0, "exit code")
        ledger = registrars[0].ledger
        early = [(sent - ended, cause) for r in registrars for sent, cause in r.losses if 0 < sent < ended]
        same(early, [], "asked before SIGTERM, and not answered")
        late += ledger.lost
        answered += ledger.answers
        p.check(s, ledger, lost=ledger.lost)
    print(f"# {ENDINGS} times ended: {answered} answers, {late} requests came too late")


def test_drain_queue(p):
    """SIGTERM while requests wait that nobody has read yet: they are answered, and no connection is reset"""
    for workers in (1, 2):
        s = p.serve("--workers", str(workers))
        pids = [s.process.pid, *children_of(s.process.pid)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            waiting = [s.plain() for _ in range(QUEUE)]
            for client in waiting:
                client.send(request("/nowhere"))
            s.process.send_signal(signal.SIGTERM)
        finally:
            for pid in reversed(pids):  # the process that watches the others ends last
                os.kill(pid, signal.SIGCONT)
        for client in waiting:
            same(client.answer()[0], 404, "answer")
            client.closed()
        end_quietly(waiting)
        same(s.stop(), 0, "exit code")


def shared():
    raise_descriptor_limit()
    return Place(seed())
