# SPDX-License-Identifier: MIT
"""dps-device --trace=pcapng:FILE, read by tshark: Wireshark's own dissectors know each message, and no password
is in it."""
import json
import os
import subprocess

from server_harness import SCOPE, Service
from tap import Programs, check, same

OWNER = "correct-horse-battery"
# What a registration with transient primary keys asks of a TPM (spec-notes.md): the command codes of Part 2.
# Two sessions: one for the owner's password, and the policy session.
COMMANDS = {"0x00000131": 2, "0x00000176": 2, "0x00000151": 2, "0x00000147": 2, "0x00000156": 2, "0x00000157": 2,
            "0x00000155": 2}


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    same(done.returncode, 0, f"{' '.join(command)}\n{done.stderr}")
    return done.stdout


def tshark(path, *options):
    """tshark's own notes go to standard error."""
    return run("tshark", "-n", "-r", path, *options)


def fields(path, selection, *names, which="f"):
    """Of each packet the first value (f) of each field, or the last (l)."""
    options = [o for name in names for o in ("-e", name)]
    lines = tshark(path, "-Y", selection, "-T", "fields", "-E", f"occurrence={which}", *options).splitlines()
    return [line.split("\t") for line in lines]


class Registration:
    """One registration of an owned libtpms TPM, traced."""

    def __init__(self):
        self.service = Service()
        Programs.cleanup.callback(self.service.stop)
        self.service.write("owner.auth", OWNER)
        device = [Programs.path("dps-device"), "--quiet", "--tpm", "libtpms:" + self.service.path("tpm")]
        run(*device, "own", "--new-owner-auth-file", self.service.path("owner.auth"))
        ek = run(*device, "ek", "--format", "base64")
        self.service.write("ek", ek)
        admin = Programs.path("dps-admin")
        self.service.write("connection", run(admin, "connection-string", "--policy-file",
                                             self.service.path("policies.json"), "--host",
                                             f"localhost:{self.service.tls_port}"))
        run(admin, "--connection-string-file", self.service.path("connection"), "--ca", self.service.path("cert.pem"),
            "enroll", "device-1", "--ek", self.service.path("ek"))
        self.trace = self.service.path("trace.pcapng")
        self.device = [*device, "--owner-auth-file", self.service.path("owner.auth")]
        self.register = ["register", "--service", f"https://localhost:{self.service.tls_port}", "--ca",
                         self.service.path("cert.pem"), "--scope", SCOPE, "--id", "device-1", "--state",
                         self.service.path("state")]
        run(*self.device, f"--trace=pcapng:{self.trace}", *self.register)


def test_every_packet_is_understood(r):
    same(fields(r.trace, "_ws.expert.severity >= 6291456", "frame.number"), [], "packets with an error or a warning")
    same(fields(r.trace, "_ws.malformed", "frame.number"), [], "malformed packets")
    protocols = {p for (p,) in fields(r.trace, "frame", "_ws.col.Protocol")}
    same(protocols, {"TPM", "HTTP/JSON", "HTTP"}, "protocols")


def test_the_tpm_commands_are_those_of_the_flow(r):
    codes = [code for (code,) in fields(r.trace, "tpm.req.cc", "tpm.req.cc")]
    for code, count in COMMANDS.items():
        same(codes.count(code), count, f"commands {code} in {codes}")
    same(codes.count("0x00000165"), len(codes) - sum(COMMANDS.values()) - codes.count("0x00000173"), "FlushContext")
    answers = {code for (code,) in fields(r.trace, "tpm.resp.rc", "tpm.resp.rc")}
    check("0x00000000" in answers, f"response codes {answers}")


def test_http_has_an_interface_of_its_own(r):
    names = {(i, n) for i, n in fields(r.trace, "tpm", "frame.interface_id", "frame.interface_name")}
    same(names, {("0", "tpm")}, "interface of TPM packets")
    names = {(i, n) for i, n in fields(r.trace, "http", "frame.interface_id", "frame.interface_name")}
    same(names, {("1", "http")}, "interface of HTTP packets")
    same([code for (code,) in fields(r.trace, "http.response", "http.response.code")], ["401", "202", "200"], "answers")
    bodies = [b for (b,) in fields(r.trace, "http.request.method == PUT", "http.file_data")]
    registration_id = json.loads(bodies[0] if bodies[0].startswith("{") else bytes.fromhex(bodies[0]))["registrationId"]
    same(registration_id, "device-1", "registrationId in the first request")


def test_each_packet_says_its_step(r):
    """and its sessions, and what they hide"""
    # Newer versions of tshark give each line of a comment, and the whole last.
    comments = [c for (c,) in fields(r.trace, "frame", "frame.comment", which="l")]
    check(all(c.startswith("Step ") for c in comments), f"comments {comments}")
    steps = {int(c.split(":")[0].split()[1]) for c in comments}
    check({1, 3, 4, 7, 8, 9} <= steps, f"steps {steps}")
    for words in ("New: policy session 0x03000001.", "Sessions: HMAC session 0x02000000, policy session 0x03000001. "
                  "Encrypted: certInfo.", "Encrypted: encryptionKey."):
        check(any(words in c for c in comments), f"no comment says {words}")


def test_no_password_is_in_it(r):
    with open(r.trace, "rb") as file:
        content = file.read()
    check(OWNER.encode() not in content, "the owner's password stands in the file")
    same(os.stat(r.trace).st_mode & 0o777, 0o600, "mode of the file")


def test_a_file_that_cannot_be_written(r):
    done = subprocess.run([*r.device, "--trace=pcapng:/nonexistent/trace", *r.register], capture_output=True, text=True,
                          check=False)
    same(done.returncode, 5, "exit code")
    check("cannot be written" in done.stderr, done.stderr)
    if os.path.exists("/dev/full"):
        done = subprocess.run([*r.device, "--trace=pcapng:/dev/full", *r.register], capture_output=True, text=True,
                              check=False)
        same(done.returncode, 5, "exit code with a full disk")
        check("not complete" in done.stderr, done.stderr)


def test_a_fixed_time_is_the_time_of_each_packet(r):
    run(*r.device, f"--trace=pcapng:{r.trace}", "--now", "1800000000", "token", "--state", r.service.path("state"))
    times = [t.split(".") for (t,) in fields(r.trace, "frame", "frame.time_epoch")]
    same({t[0] for t in times}, {"1800000000"}, "seconds")
    same([int(t[1]) // 1000 for t in times], list(range(len(times))), "microseconds")


def shared():
    return Registration()
