# SPDX-License-Identifier: MIT
"""dps-service from its start to its end: files, options, signals, the log."""

import base64
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import time

from server_harness import API, SCOPE, Service, enroll, make_certificate, owner_token, register, request
from tap import Failed, check, same
from waiting import PATIENCE, wait_until


# ---- Signals ----

def test_drain():
    """SIGTERM: requests in flight are answered, idle connections end, nobody new is accepted"""
    s = Service(timeouts="drain=600000")
    try:
        half, idle, fresh = s.tls(), s.tls(), s.plain()
        text = request(register(), "PUT", '{"registrationId":"other"}')
        half.send(text[:-10])
        idle.get()
        s.process.send_signal(signal.SIGTERM)
        idle.closed()
        fresh.closed()
        try:
            s.plain()
            raise Failed("a new connection was accepted")
        except ConnectionRefusedError:
            pass
        half.send(text[-10:])
        status, headers, _ = half.answer()
        same((status, headers["connection"]), (400, "close"), "the answer to the request in flight")
        half.closed()
        half.close()
        same(s.process.wait(PATIENCE), 0, "exit code")
    finally:
        s.stop()


def test_drain_ends():
    """SIGTERM and SIGINT: a request that never ends does not keep the service from ending"""
    for number in (signal.SIGTERM, signal.SIGINT):
        s = Service(timeouts="drain=600")
        try:
            client, other = s.plain(), s.plain()
            client.send("GET / HT")
            other.get()  # so that this has been read before the signal comes
            begin = time.monotonic()
            same(s.stop(number), 0, "exit code")
            check(time.monotonic() - begin > 0.4, "it did not wait for the request")
        finally:
            s.stop()


def test_reload():
    """SIGHUP: a broken certificate changes nothing; new connections see a good one"""
    s = Service()
    try:
        old = s.tls()
        old.get()
        good = s.read("cert.pem")
        s.write("cert.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        s.hang_up("not reloaded")
        s.write("cert.pem", good)
        s.tls().close()
        same(old.get("/nowhere")[1]["connection"], "keep-alive", "Connection before the reload")
        make_certificate(s.dir, "the-new-one")
        s.hang_up("event=reloaded")
        new = s.tls()
        subject = dict(pair[0] for pair in new.sock.getpeercert()["subject"])
        same(subject["commonName"], "the-new-one", "certificate")
        same(new.get("/nowhere")[1]["connection"], "keep-alive", "Connection with the new certificate")
        check("event=reloaded detail=certificate\n" in s.read("log"), "the log does not say what is new")
        make_certificate(s.dir, "a-newer-one")
        before = len(s.read("log"))
        s.process.send_signal(signal.SIGHUP)
        s.wait_log("certificate waits", before)
        same(old.get("/nowhere")[1]["connection"], "close", "Connection with the old certificate")
        old.closed()
        old.close()
        s.wait_log("event=reloaded", before)
        same(s.stop(), 0, "exit code")
    finally:
        s.stop()


def test_reload_policies():
    """SIGHUP: new policies and secrets apply, broken ones do not"""
    s = Service()
    try:
        client = s.plain()
        same(enroll(s, client)[0], 200, "enrolling")
        policies = s.read("policies.json")
        key = base64.b64encode(bytes(range(40))).decode()
        s.write("policies.json", policies.replace(json.loads(policies)["policies"][0]["primaryKey"], key))
        same(enroll(s, client, "dev-2")[0], 401, "a key that is not known yet")
        s.hang_up("event=reloaded")
        same(enroll(s, client, "dev-2")[0], 200, "the new key")
        secret = s.read("secret")
        for line, complaint in (("1 " + "0" * 64, "greater than"), ("2 12", "64 hex digits")):
            broken = secret + line + "\n"
            s.write("secret", broken)
            s.hang_up(complaint)
        s.write("secret", secret + "2 " + "ab" * 32 + "\n")
        s.hang_up("event=reloaded")
        os.unlink(s.path("secret"))
        s.hang_up("not reloaded")
        check(not os.path.exists(s.path("secret")), "a reload made a secret")
    finally:
        s.stop()


# ---- Files and start ----

def test_restart():
    """what was answered is there after kill -9, and the files are made only once"""
    s = Service()
    try:
        same(enroll(s, s.tls())[0], 200, "enrolling")
        files = s.read("secret"), s.read("policies.json")
        for name in ("secret", "policies.json"):
            same(os.stat(s.path(name)).st_mode & 0o777, 0o600, f"mode of {name}")
        check("made secret" in s.read("out") and "made policies.json" in s.read("out"), "it was not said")
        s.stop(signal.SIGKILL)
        s.start()
        same((s.read("secret"), s.read("policies.json")), files, "files")
        check("made" not in s.read("out"), "it says that it made files again")
        auth = f"Authorization: {owner_token(s)}\r\n"
        status, _, body = s.plain().get(f"/enrollments/dev-1?{API}", headers=auth)
        same((status, json.loads(body)["registrationId"]), (200, "dev-1"), "the enrollment")
    finally:
        s.stop()


def test_store_busy():
    """a store that cannot write: 503, nothing is stored, and the service works again when the store does"""
    s = Service()
    try:
        other = sqlite3.connect(s.path("dps.db"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        client = s.tls()
        same(enroll(s, client)[0], 503, "while another process writes")
        other.execute("ROLLBACK")
        auth = f"Authorization: {owner_token(s)}\r\n"
        same(client.get(f"/enrollments/dev-1?{API}", headers=auth)[0], 404, "the enrollment that was not kept")
        same(enroll(s, client)[0], 200, "afterwards")
        same(s.stop(), 0, "exit code")
    finally:
        s.stop()


def test_secret_refused():
    """a secret file that others may read, or whose content is wrong, is refused with the reason"""
    key = "5a" * 32
    s = Service(start=False)
    for text, mode, complaint in ((f"1 {key}\n", 0o644, "chmod 600"), (f"1 {key}\n", 0o640, "chmod 600"),
                                  ("", 0o600, "no secret"), (f"0 {key}\n", 0o600, "line 1"),
                                  (f"1 {key[:-1]}\n", 0o600, "64 hex"), (f"1 {key}\n1 {key}\n", 0o600, "line 2"),
                                  (f"2 {key}\n1 {key}\n", 0o600, "greater"), (f"1  {key}\n", 0o600, "64 hex"),
                                  ("".join(f"{i} {key}\n" for i in range(1, 6)), 0o600, "too many")):
        s.write("secret", text, mode)
        code, log = s.fail_to_start()
        check(code == 5 and complaint in log and key not in log, f"{text!r} {mode:o}: {code} {log!r}")
    s.write("secret", f"# old\n1 {key}\n\n# new\n7 {key}")
    for text, mode in (("{}", 0o600), ("", 0o600), ('{"policies":[]}', 0o644)):
        s.write("policies.json", text, mode)
        same(s.fail_to_start()[0], 5, f"policies {text!r}")
    os.unlink(s.path("policies.json"))
    s.start()
    same(s.stop(), 0, "exit code")


def test_start_refused():
    """usage, network and store errors have their exit codes and say what is wrong"""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    port = taken.getsockname()[1]
    for options, code, complaint in ((["--frobnicate"], 2, "frobnicate"), (["extra"], 2, "extra"),
                                     (["--log", "xml"], 2, "json"), (["--hub", "hub-a.example"], 2, "twice"),
                                     (["--hub", "hub-c.example=0"], 2, "weight"),
                                     (["--connections", "0"], 2, "connections"),
                                     (["--hub", "a..b"], 2, "host name")):
        got, log = Service(*options, start=False).fail_to_start()
        check(got == code and complaint in log, f"{options}: {got} {log!r}")

    def changed(changes, code, complaint, missing=()):
        s = Service(start=False)
        command = s.command()
        s.write("secret-cert.pem", s.read("cert.pem"))
        before = sorted(os.listdir(s.dir))
        for name, value in changes.items():
            command[command.index(name) + 1] = value
        for name in missing:
            at = command.index(name)
            del command[at:at + 2]
        run = subprocess.run(command, cwd=s.dir, capture_output=True, text=True, timeout=PATIENCE)
        check(run.returncode == code and complaint in run.stderr,
              f"{changes} {missing}: {run.returncode} {run.stderr!r}")
        same(sorted(os.listdir(s.dir)), before, f"files after a start that failed: {changes} {missing}")
    changed({"--listen": f"127.0.0.1:{port}"}, 4, "ddress already in use")
    changed({"--listen": "127.0.0.1"}, 2, "ADDR:PORT")
    changed({"--listen": "192.0.2.1:0"}, 4, "cannot listen")
    changed({"--cert": "missing.pem"}, 4, "missing.pem")
    changed({"--key": "cert.pem"}, 4, "others may access it (mode 0644): chmod 600 cert.pem")
    changed({"--key": "secret-cert.pem"}, 4, "secret-cert.pem holds no private key; it is a certificate")
    changed({"--store": "sqlite:/nowhere/dps.db"}, 5, "nowhere")
    changed({"--store": "redis:"}, 2, "sqlite:FILE")
    changed({"--scope": "x" * 33}, 2, "--scope")
    changed({"--secret-file": "/nowhere/secret"}, 5, "/nowhere/secret")
    changed({"--secret-file": "/dev/null"}, 5, "/dev/null: it is not a regular file")
    changed({"--policy-file": "/"}, 5, "/: Is a directory")
    changed({"--port-file": "/nowhere/port"}, 5, "/nowhere/port")
    changed({}, 2, "--scope is missing", ["--scope"])
    changed({}, 2, "nothing to listen on", ["--listen", "--proxy-listen"])
    changed({}, 2, "belong together", ["--cert"])


def test_core_dumps_off():
    """no program that holds secrets leaves them in a core dump"""
    s = Service(start=False)
    os.mkfifo(s.path("fifo"), 0o600)
    programs = os.path.dirname(s.program)
    waiting = {"dps-admin": ["--connection-string-file", "fifo", "list"],
               "dps-device": ["--owner-auth-file", "fifo", "--tpm", "/dev/null", "info"],
               "dps-conformance": ["--service", "https://localhost", "--connection-string-file", "fifo", "--ca",
                                   "cert.pem", "--scope", SCOPE]}
    s.start()
    processes = [s.process] + [subprocess.Popen([os.path.join(programs, name), *arguments], cwd=s.dir,
                                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                               for name, arguments in waiting.items()]
    try:
        for process in processes:
            limits = f"/proc/{process.pid}/limits"
            wait_until(lambda: process.poll() is None and re.search(r"Max core file size +0 +0 ", open(limits).read()),
                     f"{process.args[0]} may dump core")
    finally:
        for process in processes[1:]:
            process.kill()
            process.wait()
        s.stop()


def test_json_log():
    """with --log json every line is one object, and no token is in it"""
    s = Service("--log", "json", store="memory:")
    try:
        token = owner_token(s)
        client = s.tls()
        same(enroll(s, client)[0], 200, "enrolling")
        client.get('/"\\{x}=1', headers="Connection: close\r\nAuthorization: SharedAccessSignature sr=hush\r\n")
        s.plain().get(register("evil%22%0aid"), "PUT", "{}")
        s.wait_log('"route":"register"')
        same(s.stop(), 0, "exit code")
        lines = [json.loads(line) for line in s.read("log").splitlines()]
        first = lines[0]
        same([(x["route"], x["status"]) for x in lines if "route" in x][:2], [("enrollments", 200), ("other", 404)],
             "log")
        check(first["id"] == "dev-1" and first["us"] >= 0 and len(first["tracking"]) == 36, first)
        check("hush" not in s.read("log") and token[-20:] not in s.read("log"), "a token is in the log")
    finally:
        s.stop()
