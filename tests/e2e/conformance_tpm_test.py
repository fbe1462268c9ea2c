# SPDX-License-Identifier: MIT
"""dps-conformance on TPMs: it passes on good ones (libtpms, swtpm; with an owner and without), its reports are valid,
its exit codes are right, and it fails on bad ones: each mutant is a swtpm behind a proxy that breaks one rule, and must
fail the case about that rule.

Needs the standard library, openssl, swtpm and tpm2-tools."""

import contextlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time
import xml.etree.ElementTree

from tap import Programs, check
from waiting import end_listening

PATIENCE = 1500
READ_PUBLIC, FLUSH, ACTIVATE, IMPORT, LOAD, HMAC = 0x173, 0x165, 0x147, 0x156, 0x157, 0x155
CREATE_PRIMARY, LOAD_EXTERNAL, GET_CAPABILITY, CLEAR, START_SESSION = 0x131, 0x167, 0x17A, 0x126, 0x176
REWRAP = 0x152


# ---- The program -----------------------------------------------------------------------------------------------------

def program(name="dps-conformance", sanitized=False):
    path = Programs.path("asan/" + name)
    return path if sanitized and os.access(path, os.X_OK) else Programs.path(name)


def file_with(content, mode=0o600):
    path = os.path.join(Programs.directory(), "file")
    with open(path, "w", encoding="utf-8") as f:
        f.write(content)
    os.chmod(path, mode)
    return path


TAP_LINE = re.compile(r"(not )?ok (\d+) - ((?:TPM|SVC|DEV)-S\d\d-\d\d\d): (.*?)(?: # (SKIP|TO" r"DO) (.*))?")


class Run:
    """One run that has ended. results: id → passed, failed, not met, skipped."""

    def __init__(self, *arguments, sanitized=False, status=0, says=None):
        done = subprocess.run([program(sanitized=sanitized), *arguments], capture_output=True, text=True,
                              timeout=PATIENCE, check=False)
        self.out, self.err, self.code = done.stdout, done.stderr, done.returncode
        what = " ".join(arguments)
        check(self.code == status, f"{what}: exit code {self.code}, wanted {status}\n{self.out}{self.err}")
        check(says is None or says in self.err, f"{what}: it does not say {says!r} but\n{self.err}")
        self.results = results_in(self.out) if self.out.startswith("TAP") else {}

    def ids(self, result):
        return [i for i, r in self.results.items() if r == result]


def results_in(text):
    """The results of a TAP stream, which must be whole: a plan, and numbers without gaps unless it bailed out."""
    lines = text.splitlines()
    check(lines[0] == "TAP version 13" and re.fullmatch(r"1\.\.\d+", lines[1]), f"no TAP: {lines[:2]}")
    results, block = {}, False
    for line in lines[2:]:
        if line in ("  ---", "  ..."):
            block = line == "  ---"
        elif not block and not line.startswith(("#", "Bail out!")):
            match = TAP_LINE.fullmatch(line)
            check(match, f"no TAP: {line}")
            failed, number, name, _, directive, _ = match.groups()
            check(int(number) == len(results) + 1, f"number {number} is not the next")
            check(name not in results, f"{name} twice")
            results[name] = ("skipped" if directive == "SKIP" else "not met" if directive else
                             "failed" if failed else "passed")
    check(len(results) == int(lines[1][3:]) or "\nBail out!" in text, f"{len(results)} results, plan {lines[1]}")
    return results


def validate(run, junit, report):
    """Both reports say what TAP says."""
    with open(report, encoding="utf-8") as f:
        told = json.load(f)
    cases = {c["id"]: c["result"] for c in told["cases"]}
    check({i: r for i, r in cases.items() if r != "not run"} == run.results, "the JSON report differs from TAP")
    for result, count in told["counts"].items():
        check(count == list(cases.values()).count(result), f"count of {result}")
    for case in told["cases"]:
        check(case["requirement"] and case["source"] and case["level"] in ("MUST", "SHOULD"), f"{case}")
        check((case["result"] in ("passed", "not run")) != bool(case.get("message")), f"message of {case}")
    tree = xml.etree.ElementTree.parse(junit).getroot()
    suites = tree.findall("testsuite")
    check(tree.tag == "testsuites" and suites, "no JUnit report")
    tests = [t for s in suites for t in s.findall("testcase")]
    check([t.get("name").split(":")[0] for t in tests] == list(cases), "the JUnit report has other cases")
    for tag, results in (("failure", ("failed",)), ("skipped", ("skipped", "not met")), ("error", ("not run",))):
        found = sum(t.find(tag) is not None for t in tests)
        named = sum(int(s.get({"failure": "failures", "error": "errors"}.get(tag, tag))) for s in suites)
        check(found == named == sum(r in results for r in cases.values()), f"JUnit: {found} times {tag}")
    return told


# ---- TPMs ------------------------------------------------------------------------------------------------------------

class Swtpm:
    def __init__(self):
        self.dir = Programs.directory()
        self.socket = os.path.join(self.dir, "socket")
        self.name = "swtpm:" + self.socket
        with open(os.path.join(self.dir, "log"), "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                ["swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + self.dir, "--server",
                 "type=unixio,path=" + self.socket, "--ctrl", "type=unixio,path=" + self.socket + ".ctrl",
                 "--flags", "not-need-init,startup-clear"], stdout=log, stderr=log)
        Programs.cleanup.callback(self.stop)
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError):
                self.connect().close()
                return
            check(self.process.poll() is None and time.monotonic() < deadline, "swtpm does not start")
            time.sleep(0.01)

    def connect(self):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        try:
            sock.connect(self.socket)
        except OSError:
            sock.close()
            raise
        return sock

    def loaded(self):
        """Transient objects and sessions, asked without any code of ours."""
        handles = []
        with self.connect() as sock:
            for first in (0x80000000, 0x02000000, 0x03000000):
                sock.sendall(struct.pack(">HIIIII", 0x8001, 22, GET_CAPABILITY, 1, first, 64))
                response = receive(sock)
                count = struct.unpack(">I", response[15:19])[0]
                handles += [response[19 + 4 * i:23 + 4 * i].hex() for i in range(count)]
        return handles

    def stop(self):
        self.process.kill()
        self.process.wait()


def receive(sock):
    """One response."""
    message = b""
    while len(message) < 6 or len(message) < struct.unpack(">I", message[2:6])[0]:
        got = sock.recv(4096)
        if not got:
            raise ConnectionResetError
        message += got
    return message


class Proxy:
    """A TPM in front of another one: change(command, ask) gives the response, ask(command) the real one's."""

    def __init__(self, swtpm, change):
        self.path = os.path.join(Programs.directory(), "socket")
        self.name, self.swtpm, self.change = "swtpm:" + self.path, swtpm, change
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(4)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        """Serves until the TPM is gone, or until close."""
        with self.listener, contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                with sock, self.swtpm.connect() as tpm:
                    while command := sock.recv(4096):
                        sock.sendall(self.change(command, lambda c, t=tpm: (t.sendall(c), receive(t))[1]))

    def close(self):
        end_listening(self.listener)


def code(message):
    """Command or response code."""
    return struct.unpack(">I", message[6:10])[0]


# ---- Good TPMs -------------------------------------------------------------------------------------------------------

def reports():
    directory = Programs.directory()
    return os.path.join(directory, "junit.xml"), os.path.join(directory, "report.json")


def test_good_libtpms():
    """libtpms passes everything, TPM2_Clear as well"""
    junit, report = reports()
    name = "libtpms:" + os.path.join(Programs.directory(), "tpm")
    run = Run("--tpm", name, "--destructive", "--quick", "--seed", "one", "--junit", junit, "--json", report)
    told = validate(run, junit, report)
    check(told["seed"] == "one" and told["ended_early"] is None, "what the report says about the run")
    check(len(run.ids("passed")) >= 100 and not run.ids("failed"), f"{run.results}")
    check(run.results["TPM-S03-022"] == "passed", "TPM2_Clear has not been tried")
    check(run.results["TPM-S09-003"] == "skipped" and "--quick" in run.out, "--quick")


def test_good_swtpm_with_owner():
    """an owned swtpm with persistent keys passes everything but TPM2_Clear (sanitizers), and is left as it was"""
    tpm = Swtpm()
    auth = {name: file_with(name + " password\n") for name in ("owner", "endorsement", "lockout")}
    subprocess.run([program("dps-device"), "--quiet", "--tpm", tpm.name, "own", "--persist",
                    *(x for name, path in auth.items() for x in (f"--new-{name}-auth-file", path))],
                   check=True, capture_output=True)
    options = [x for name, path in auth.items() for x in (f"--{name}-auth-file", path)]
    junit, report = reports()
    run = Run("--tpm", tpm.name, *options, "--junit", junit, "--json", report, sanitized=True)
    validate(run, junit, report)
    check(len(run.ids("passed")) >= 100 and not run.ids("failed"), f"{run.results}")
    check(run.results["TPM-S01-008"] == run.results["TPM-S03-005"] == "passed", "the persistent keys")
    destructive = {c["id"] for c in json.loads(Run("--list=json", "TPM").out) if c["destructive"]}
    check(destructive and destructive <= set(run.ids("skipped")) and "only with --destructive" in run.out,
          f"without --destructive: {run.results}")
    check(tpm.loaded() == [], f"left in the TPM: {tpm.loaded()}")
    # The same TPM, without the owner's authorization: the cases that need it say so.
    run = Run("--tpm", tpm.name, "TPM-S03-001", "TPM-S01-001", status=2, says="give --owner-auth-file FILE")
    check(not run.results, f"{run.results}")
    run = Run("--tpm", tpm.name, *options, "--destructive", "TPM-S03")
    check(run.results["TPM-S03-023"] == "passed", f"{run.results}")


def test_ek_certificate():
    """the EK certificate in NV is read and compared with the EK: one that is right, one about another key"""
    tpm, directory = Swtpm(), Programs.directory()

    def run(*command):
        subprocess.run(command, cwd=directory, check=True, capture_output=True)

    with open(os.path.join(directory, "ek.pem"), "wb") as f:
        f.write(subprocess.run([program("dps-device"), "--quiet", "--tpm", tpm.name, "ek", "--format", "pem"],
                               check=True, capture_output=True).stdout)
    run("openssl", "genrsa", "-out", "ca.key", "2048")
    ids = ("TPM-S01-009", "TPM-S01-010")
    tcti = ("-T", "swtpm:path=" + tpm.socket)
    for key, results in (("ek.pem", ["passed", "passed"]), (None, ["passed", "not met"])):
        force = ("-force_pubkey", key) if key else ()
        run("openssl", "x509", "-new", *force, "-signkey", "ca.key", "-subj", "/CN=EK", "-outform", "DER",
            "-out", "cert.der")
        size = os.path.getsize(os.path.join(directory, "cert.der"))
        run("tpm2_nvdefine", *tcti, "-C", "o", "-s", str(size), "-a", "ownerread|ownerwrite|authread", "0x01c00002")
        run("tpm2_nvwrite", *tcti, "-C", "o", "-i", "cert.der", "0x01c00002")
        found = Run("--tpm", tpm.name, *ids).results
        check(list(found.values()) == results, f"certificate of {key}: {found}")
        run("tpm2_nvundefine", *tcti, "-C", "o", "0x01c00002")


# ---- What the program does -------------------------------------------------------------------------------------------

def test_usage():
    """wrong command lines are refused with 2, and the message says what is meant"""
    name = "libtpms:" + os.path.join(Programs.directory(), "tpm")
    for arguments, says in (
            ((), "say what to check"),
            (("--tpm",), "needs a value"),
            (("--tmp", name), "did you mean --tpm"),
            (("--tpm", name, "TPM-S99"), "there is no case TPM-S99"),
            (("--tpm", name, "TPM-S0"), "there is no case TPM-S0"),
            (("--tpm", name, "TPM-S07-01"), "did you mean TPM-S07-0"),
            (("--tpm", name, "SVC"), "give --service as well"),
            (("--tpm", "nonsense"), "nonsense"),
            (("--list=html",), "--list is text, json or markdown")):
        run = Run(*arguments, status=2, says=says)
        check(not run.ids("passed"), f"{arguments}: {run.out}")


def test_exit_codes():
    """a TPM that is not there: 3; a file that is not: 5; nothing that has run: 1"""
    Run("--tpm", "swtpm:" + os.path.join(Programs.directory(), "nobody"), status=3, says="not run")
    name = "libtpms:" + os.path.join(Programs.directory(), "tpm")
    Run("--tpm", name, "--owner-auth-file", os.path.join(Programs.directory(), "none"), status=5)
    Run("--tpm", name, "--owner-auth-file", file_with("x", 0o644), status=5)
    Run("--tpm", name, "--json", os.path.join(Programs.directory(), "none", "report"), "TPM-S00-001", status=5)
    run = Run("--tpm", name, "TPM-S03-020", status=1, says="no case has run")
    check(run.results == {"TPM-S03-020": "skipped"}, f"{run.results}")


def test_strict():
    """a SHOULD that is not met fails the run only with --strict"""
    name = "libtpms:" + os.path.join(Programs.directory(), "tpm")
    run = Run("--tpm", name, "TPM-S01-009", says="1 SHOULD not met")
    check(run.results == {"TPM-S01-009": "not met"}, f"{run.results}")
    run = Run("--tpm", name, "--strict", "TPM-S01-009", status=1)
    check(run.results == {"TPM-S01-009": "failed"}, f"{run.results}")


def test_lists():
    """--list gives the same cases as text, JSON and Markdown; ids choose"""
    cases = json.loads(Run("--list=json").out)
    ids = [c["id"] for c in cases]
    check(len(ids) == len(set(ids)) > 100, "ids")
    check(re.findall(r"^((?:TPM|SVC|DEV)-\S+)", Run("--list").out, re.M) == ids, "as text")
    check(re.findall(r"^\| (\S+-S\d\d-\d\d\d) ", Run("--list=markdown").out, re.M) == ids, "as Markdown")
    chosen = [c["id"] for c in json.loads(Run("--list=json", "TPM-S08", "TPM-S01-002").out)]
    check(chosen == [i for i in ids if i.startswith("TPM-S08-") or i == "TPM-S01-002"], f"{chosen}")


def test_reproducible():
    """with the same seed a case sends the same bytes, alone and among others"""
    swtpm, sent = Swtpm(), []

    def record(command, ask):
        if code(command) == IMPORT:
            sent.append(command[:10] + command[14:])
        return ask(command)

    proxy = Proxy(swtpm, record)
    for arguments in (("TPM-S08-001",), ("TPM-S07-040", "TPM-S08-001"), ("--seed", "other", "TPM-S08-001")):
        seed = [] if "--seed" in arguments else ["--seed", "same"]
        Run("--tpm", proxy.name, *seed, *arguments)
    proxy.close()
    check(len(sent) == 4, f"TPM2_Import was sent {len(sent)} times")
    check(sent[0] == sent[2] and sent[0] not in (sent[1], sent[3]), "the bytes of TPM2_Import")


def test_interrupted():
    """SIGINT: the case that runs is ended properly, the reports are written, the TPM is left as it was"""
    tpm = Swtpm()
    junit, report = reports()
    process = subprocess.Popen([program(), "--tpm", tpm.name, "--junit", junit, "--json", report],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    Programs.cleanup.callback(process.kill)
    out = "".join(process.stdout.readline() for _ in range(24))
    process.send_signal(signal.SIGINT)
    rest, err = process.stdout.read(), process.stderr.read()  # communicate would leave out what readline has read ahead
    process.wait(PATIENCE)
    run = Run.__new__(Run)
    run.out, run.err, run.results = out + rest, err, results_in(out + rest)
    check(process.returncode == 1 and "interrupted" in err, f"exit code {process.returncode}: {err}")
    told = validate(run, junit, report)
    check(told["counts"]["not run"] > 0 and told["counts"]["failed"] == 0, f"{told['counts']}")
    check(tpm.loaded() == [], f"left in the TPM: {tpm.loaded()}")


def test_tpm_goes_away():
    """a TPM that disappears in the middle: 3, and the reports say what has not run"""
    swtpm, commands = Swtpm(), []

    def break_off(command, ask):
        commands.append(command)
        if len(commands) == 40:
            swtpm.stop()
        return ask(command)

    proxy = Proxy(swtpm, break_off)
    junit, report = reports()
    run = Run("--tpm", proxy.name, "--junit", junit, "--json", report, status=3, says="the TPM did not answer")
    told = validate(run, junit, report)
    check(told["counts"]["not run"] > 50 and told["ended_early"], f"{told['counts']}")


# ---- Mutants: a TPM that breaks one rule -----------------------------------------------------------------------------

def flipped(message, at):
    return message[:at] + bytes([message[at] ^ 1]) + message[at + 1:]


def refusal_forgiven(command_code, *codes):
    """Repeats the last success of this command where the TPM refuses with one of these codes."""
    last = {}

    def change(command, ask):
        response = ask(command)
        if code(command) != command_code:
            return response
        if code(response) == 0:
            last["good"] = response
        refused = code(response) & (0x0BF if code(response) & 0x080 else 0xFFF)
        return last.get("good", response) if refused in codes else response
    return change


def changed_response(command_code, change):
    return lambda command, ask: change(ask(command)) if code(command) == command_code else ask(command)


def other_key_each_time():
    calls = []

    def change(response):
        calls.append(1)
        return response if len(calls) == 1 else flipped(response, 200)
    return changed_response(CREATE_PRIMARY, change)


def property_is(number, value):
    def change(command, ask):
        response = ask(command)
        if code(command) == GET_CAPABILITY and command[10:18] == struct.pack(">II", 6, number):
            response = response[:-4] + struct.pack(">I", value)
        return response
    return change


def command_missing(number):
    def change(command, ask):
        if code(command) == GET_CAPABILITY and command[10:18] == struct.pack(">II", 2, number):
            command = command[:14] + struct.pack(">I", number + 1) + command[18:]
        return ask(command)
    return change


def unlisted(number):
    """The TPM has this command, and does not say so in any list."""
    def change(command, ask):
        if code(command) != GET_CAPABILITY or command[10:14] != struct.pack(">I", 2):
            return ask(command)
        count = struct.unpack(">I", command[18:22])[0]
        answer = ask(command[:18] + struct.pack(">I", count + 1))
        commands = [answer[at:at + 4] for at in range(19, len(answer), 4)]
        kept = [c for c in commands if c[2:] != struct.pack(">H", number)]
        more = bytes([answer[10] or len(kept) > count])
        kept = kept[:count]
        return (answer[:2] + struct.pack(">I", 19 + 4 * len(kept)) + answer[6:10] + more + answer[11:15]
                + struct.pack(">I", len(kept)) + b"".join(kept))
    return change


def without_rewrap(command, ask):
    """One of the TPMs that do not have the command, as Intel's."""
    no_such_command = bytes.fromhex("80010000000a00000143")
    return no_such_command if code(command) == REWRAP else unlisted(REWRAP)(command, ask)


def sessions_stay(command, ask):
    """Sets continueSession in the last authorization, whatever the caller wants."""
    if code(command) == ACTIVATE:
        command = command[:37] + b"\1" + command[38:]
    return ask(command)


def cut_off(response):
    return response[:2] + struct.pack(">I", len(response) - 1) + response[6:-1]


def external_taken(command, ask):
    """A key that claims fixedTPM is loaded all the same: without the claim, and said to have the Name with it."""
    response = ask(command)
    if code(command) == LOAD_EXTERNAL and code(response) == 0x2C2:
        private = struct.unpack(">H", command[10:12])[0]
        at = 12 + private + 6  # after its size field, type and nameAlg: the attributes
        attributes = struct.unpack(">I", command[at:at + 4])[0] & ~0x32
        response = ask(command[:at] + struct.pack(">I", attributes) + command[at + 4:])
    return response


def flush_forgotten(command, ask):
    """A flushed object stays loaded."""
    return bytes.fromhex("80010000000a00000000") if code(command) == FLUSH else ask(command)


def refused(command_code):
    return lambda command, ask: (bytes.fromhex("80010000000a00000101") if code(command) == command_code
                                 else ask(command))


def echo_of_wrong_code(old, new):
    def change(command, ask):
        response = ask(command)
        return response[:6] + struct.pack(">I", new) if code(response) == old else response
    return change


INTEGRITY, BAD_AUTH, POLICY_FAIL, BINDING, AUTH_UNAVAILABLE, SIZE = 0x09F, 0x0A2, 0x09D, 0x0A5, 0x12F, 0x095
CHANGE_EPS = "8002 0000001b 00000124 4000000c 00000009 40000009 0000 01 0000"


def clear_changes_ek(command, ask):
    """TPM2_Clear is followed by TPM2_ChangeEPS."""
    response = ask(command)
    if code(command) == CLEAR and code(response) == 0:
        ask(bytes.fromhex(CHANGE_EPS))
    return response


def ek_refused_after_clear():
    """After TPM2_Clear there is no EK any more."""
    cleared = []

    def change(command, ask):
        if code(command) == CLEAR:
            cleared.append(1)
        gone = cleared and code(command) == CREATE_PRIMARY and command[10:14] == bytes.fromhex("4000000b")
        return bytes.fromhex("80010000000a00000185") if gone else ask(command)
    return change


def two_slots(command, ask):
    """Only two objects at a time."""
    if code(command) in (LOAD, CREATE_PRIMARY, LOAD_EXTERNAL):
        listed = ask(bytes.fromhex("8001000000160000017a 00000001 80000000 00000040"))
        if struct.unpack(">I", listed[15:19])[0] >= 2:
            return bytes.fromhex("80010000000a00000902")
    return ask(command)


MUTANTS = (
    ("TPM2_Clear replaces the EK", clear_changes_ek, "TPM-S03-020"),
    ("after TPM2_Clear there is no EK", ek_refused_after_clear(), "TPM-S03-020"),
    ("two objects at a time, whatever its property says", two_slots, "TPM-S00-008"),
    ("a wrong HMAC", changed_response(HMAC, lambda r: flipped(r, len(r) - 9) if code(r) == 0 else r), "TPM-S08-001"),
    ("a response that is one byte short", changed_response(HMAC, cut_off), "TPM-S08-001"),
    ("another EK each time", other_key_each_time(), "TPM-S01-002"),
    ("a wrong Name", changed_response(CREATE_PRIMARY, lambda r: flipped(r, len(r) - 9)), "TPM-S01-004"),
    ("a wrong qualified name", changed_response(READ_PUBLIC, lambda r: flipped(r, len(r) - 1)), "TPM-S01-005"),
    ("a wrong password for the EK's hierarchy is taken", refusal_forgiven(CREATE_PRIMARY, BAD_AUTH), "TPM-S01-007",
     "TPM-S01-001"),
    ("no integrity of credentials", refusal_forgiven(ACTIVATE, INTEGRITY), "TPM-S07-013", "TPM-S07-010"),
    ("a policy session may be used twice", refusal_forgiven(ACTIVATE, POLICY_FAIL), "TPM-S07-022"),
    ("the EK may be used by a password", refusal_forgiven(ACTIVATE, AUTH_UNAVAILABLE), "TPM-S07-020", "TPM-S07-010"),
    ("sessions do not end", sessions_stay, "TPM-S07-024"),
    ("no outer integrity of duplicates", refusal_forgiven(IMPORT, INTEGRITY), "TPM-S07-070", "TPM-S07-040"),
    ("unique is not checked", refusal_forgiven(IMPORT, BINDING), "TPM-S07-065", "TPM-S07-040"),
    ("a changed private area is loaded", refusal_forgiven(LOAD, INTEGRITY, SIZE), "TPM-S07-080", "TPM-S07-040"),
    ("a software key may claim fixedTPM", external_taken, "TPM-S05-003"),
    ("the hardened SRK admits TPM2_Rewrap", refusal_forgiven(REWRAP, AUTH_UNAVAILABLE), "TPM-S07-102", "TPM-S07-101"),
    ("TPM2_Import is missing", command_missing(IMPORT), "TPM-S00-002"),
    ("TPM_PT_INPUT_BUFFER is 512", property_is(0x10D, 512), "TPM-S00-007"),
    ("the owner hierarchy is disabled", property_is(0x201, 0x80000009), "TPM-S00-010"),
    ("a flushed handle is refused by a vendor's code", echo_of_wrong_code(0x1CB, 0x500), "TPM-S08-008"),
    ("objects are never flushed", flush_forgotten, "TPM-S09-002"),
    ("sessions are never flushed", flush_forgotten, "TPM-S07-005"),
)


def test_mutants_fail():
    """each of the mutants fails the case that is about it, and only by what it breaks"""
    swtpm = None
    for name, change, wanted, *before in MUTANTS:
        swtpm = Swtpm() if swtpm is None or swtpm.loaded() else swtpm  # the next mutant begins afresh
        Run("--tpm", swtpm.name, "--destructive", *before, wanted)  # without the mutation it passes
        proxy = Proxy(swtpm, change)
        run = Run("--tpm", proxy.name, "--destructive", *before, wanted, status=1)
        proxy.close()
        check(run.ids("failed") == [wanted], f"{name}: {run.results}\n{run.err}")
        print(f"# {name}: {run.err.splitlines()[0]}")


def test_rewrap():
    """TPM2_Rewrap, listed or not: the suite tries it and tells what came of it, `info` says which TPM this is"""
    swtpm, ids = Swtpm(), [f"TPM-S07-10{i}" for i in range(4)]
    for name, change, results, notes, info in (
            ("as it is", lambda c, ask: ask(c), ("not met", "passed", "passed", "passed"),
             ("32 bytes of key in clear", "by the empty password: refused (0x12f)", "by the policy of Import: refused",
              "by the policy of Load: refused", "by a policy of its own: refused (0x99d)"), "listed: "),
            ("without it", without_rewrap, ("passed", "passed", "skipped", "skipped"),
             ("from the standard SRK: refused (0x143)",), "not listed: "),
            ("not listed, but there", unlisted(REWRAP), ("passed", "failed", "skipped", "skipped"), (), "not listed: "),
            ("listed, but refused", refused(REWRAP), ("not met", "failed", "failed", "failed"), (), "listed: ")):
        proxy = Proxy(swtpm, change)
        run = Run("--tpm", proxy.name, *ids, status=1 if "failed" in results else 0)
        shown = subprocess.run([program("dps-device"), "--tpm", proxy.name, "info"], text=True, check=True,
                               capture_output=True).stdout
        proxy.close()
        check(run.results == dict(zip(ids, results)), f"{name}: {run.results}")
        check(all(note in run.out for note in notes), f"{name}: {run.out}")
        check(f"\nTPM2_Rewrap   {info}" in shown, f"{name}: {shown}")


# Cases about keys and credentials, each with one odd thing in them.
CASES_OF_ORDINARY_FORM = ("TPM-S00-008", "TPM-S03",
                          *(f"TPM-S07-0{i}" for i in (10, 13, 14, 22, 40, 43, 44, 45, 46, 80, 81)),
                          *(f"TPM-S08-00{i}" for i in (1, 2, 5, 8)), "TPM-S07-001", "TPM-S09-001", "TPM-S09-002")


def test_others_are_not_blamed():
    """one fault fails the cases about it; those that only depend on it are skipped, with the reason"""
    swtpm = Swtpm()
    for name, change, failed, words in (
            ("no key can be imported", refused(IMPORT), ["TPM-S07-040"], "TPM2_Import: the TPM answered"),
            ("no session begins", refused(START_SESSION), ["TPM-S07-001"], "TPM2_StartAuthSession"),
            ("no credential is opened", refused(ACTIVATE), ["TPM-S07-010"], "TPM2_ActivateCredential"),
            ("two objects at a time", two_slots, ["TPM-S00-008"], "TPM_RC_OBJECT_MEMORY")):
        proxy = Proxy(swtpm, change)
        run = Run("--tpm", proxy.name, "--quick", *CASES_OF_ORDINARY_FORM, status=1, says=words)
        proxy.close()
        check(run.ids("failed") == failed, f"{name}: {run.results}\n{run.err}")
        check(len(run.ids("skipped")) > 5 and "it depends on " in run.out, f"{name}: {run.results}")
        told = [line for line in run.err.splitlines() if "skipped because of" in line]
        check(told and len(told) <= 4, f"{name}: {run.err}")
