# SPDX-License-Identifier: MIT
"""Every documented command line is run: those of the pages, of the files in deploy/, and of the examples in --help.

A line of ours is run as it is, in a directory that has the files it names. There is no TPM in /dev here, nor do the
hosts of the examples exist; so a line may end with an error that names what is missing, but never with 2 (usage), and a
server has to start. Our commands and options in running text must be known to --help. Other programs' lines are run
too, or listed below with the reason why not.

Needs openssl, make and swtpm."""

import os
import re
import shlex
import signal
import socket
import subprocess
import time

from harness import run, write_file
from tap import Programs, check, same

DEPLOY = "port/posix/deploy"
OPERATIONS = DEPLOY + "/OPERATIONS.md"
PEERS = [f"tests/peers/{name}/README.md" for name in ("node", "c", "java", "csharp")]
PAGES = ("README.md", "port/PORTING.md", OPERATIONS, "spec-notes.md", *PEERS)
PROGRAMS = ("dps-device", "dps-admin", "dps-service", "dps-conformance")
HOSTS = "DNS:localhost,DNS:hub-a.example,DNS:dps.example"
PORTS = ("8443", "2321", "2322", "9090", "443", "5671", "8883")  # of the examples: exchanged for free ones

LINE_PATIENCE = 1500  # seconds for a line; one of them runs a part of the suite

# Lines that are not run here: how they begin, and why not. An entry that no page needs any more is an error.
NOT_RUN = {
    "swtpm socket": "the block of README.md is run whole by readme_test.sh; all it needs is swtpm's own options",
    "service=$!": "it belongs to blocks that are run whole, by readme_test.sh and make check-peers",
    "kill": "it belongs to blocks that are run whole, by readme_test.sh and make check-peers",
    "npm ci": "it loads packages: make check-peers runs the page whole",
    "node enroll.js": "it needs these packages: make check-peers runs the page whole",
    "node device.js": "it needs these packages: make check-peers runs the page whole",
    "cp \"$TPM_DPS": "it is about these packages: make check-peers runs the page whole",
    "tpm=$!": "it belongs to a block that is run whole, by make check-c-sdk",
    "ip link": "it is for a network of its own: make check-c-sdk runs the page in one",
    "mount": "it is for a network of its own: make check-c-sdk runs the page in one",
    ': "${C_SDK': "it needs Microsoft's SDK: make check-c-sdk runs the page with one",
    "cmake": "it needs Microsoft's SDK: make check-c-sdk runs the page with one",
    "sdk-build/": "it needs Microsoft's SDK: make check-c-sdk runs the page with one",
    "keytool": "it needs Java, and Microsoft's packages: the page says when it was run",
    "java": "it needs Java, and Microsoft's packages: the page says when it was run",
    "python3 tests/firmware/relay.py": "it waits for an emulated board: make check-firmware runs it",
    "qemu-system-arm": "it needs the image of a board: make check-firmware runs it",
}
# Other programs, whose lines do no harm in a directory of their own.
HARMLESS = ("openssl", "mkdir", "cd", "sleep", "export", "chmod", "printf", "truncate", ":")


# ---- What the pages contain ------------------------------------------------------------------------------------------

def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def lines_of(text):
    """Command lines, continued ones joined, quotes that go on too."""
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        line = line.strip()
        if line and not line.startswith("#"):
            yield line


def blocks(page):
    return [line for block in re.findall(r"^```sh\n(.*?)^```", read(page), re.M | re.S) for line in lines_of(block)]


def words(page):
    """Words between backquotes in running text that begin with a program of ours."""
    prose = re.sub(r"^```.*?^```", "", read(page), flags=re.M | re.S)
    return [text for text in re.findall(r"`([^`\n]+)`", prose)
            if re.match(r"(?:%s|make) " % "|".join(PROGRAMS), text)]


def deployed():
    """ExecStart of units, and command lines in comments of the other files."""
    for name in sorted(os.listdir(DEPLOY)):
        if name.endswith(".service"):
            for line in lines_of(read(os.path.join(DEPLOY, name))):
                if line.startswith("ExecStart="):
                    # The environment file of the unit holds this, as its own comment says.
                    yield line.split("=", 1)[1].replace("$HUBS", "--hub hub-a.example")
        elif not name.endswith(".md"):
            yield from (m.group(1) for m in re.finditer(r"^\s*#\s+((?:\./)?dps-\w+ --?\w.*)$",
                                                        read(os.path.join(DEPLOY, name)), re.M)
                        if m.group(1).split()[0] in PROGRAMS and ", " not in m.group(1))


def helps(program):
    """The --help of a program and of its commands."""
    text = run(Programs.path(program), "--help").out
    yield text
    listed = re.search(r"Commands, each with its own --help:\n((?:  .*\n)+)", text)
    for command in re.findall(r"^  ([a-z][a-z-]*) ", listed.group(1) if listed else "", re.M):
        yield run(Programs.path(program), command, "--help").out


def examples(program):
    for text in helps(program):
        found = re.findall(r"^Examples?(?:: (.*)|.*\n((?:  .*\n)+))", text, re.M)
        check(found or "Example" not in text, f"an example that is not understood:\n{text}")
        for short, block in found:
            yield from lines_of(short or block)


def is_ours(line):
    return re.search(r"(?:^|[|(;]\s*|\s)(?:/usr/local/bin/)?(?:%s)\s" % "|".join(PROGRAMS), line) is not None


# ---- Running one -----------------------------------------------------------------------------------------------------

def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return str(s.getsockname()[1])


class Place:
    """A directory with every file that the lines name, and free ports instead of theirs."""

    def __init__(self):
        self.dir = Programs.directory()
        self.ports = {port: free_port() for port in PORTS}
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=" + HOSTS, "-keyout",
                        "key.pem", "-out", "cert.pem"], cwd=self.dir, check=True, capture_output=True)
        write_file(self.path("ca.pem"), read(self.path("cert.pem")), 0o644)
        connection = "HostName=localhost:1;SharedAccessKeyName=owner;SharedAccessKey=" + "A" * 43 + "=\n"
        for name in ("connection.txt", "dps.conn"):
            write_file(self.path(name), connection)
        for name in ("owner.txt", "owner.auth", "lockout.auth", "secret.txt"):
            write_file(self.path(name), "word")
        write_file(self.path("policies.json"), '{"policies":[{"name":"owner","primaryKey":"' + "A" * 43 + '="}]}')
        ek = run(Programs.path("dps-device"), "--tpm", "libtpms:" + self.path("tpm"), "--quiet", "ek", "--format",
                 "base64").out
        for name in ("ek.txt", "ek.pub"):
            write_file(self.path(name), ek)
        write_file(self.path("devices.csv"), f"registrationId,endorsementKey\nboiler-8,{ek.strip()}\n")
        self.env = dict(os.environ, PATH=Programs.build + ":" + os.environ["PATH"], HOME=self.dir,
                        DPS_TPM="libtpms:" + self.path("tpm"), CREDENTIALS_DIRECTORY=self.dir)

    def path(self, name):
        return os.path.join(self.dir, name)

    def here(self, line):
        """The line, with places of a system and ports exchanged."""
        line = re.sub(r"/usr/local/bin/", "", line)
        line = re.sub(r"(?:/etc|/var/lib)/dps-service", self.dir, line)
        line = re.sub(r"/tmp/tpm\b", self.path("tpm"), line)
        line = line.removesuffix("&").strip()
        return re.sub(r"(?<=:)(%s)\b" % "|".join(PORTS), lambda m: self.ports[m.group(1)], line)

    def run(self, line):
        """Exit code and output. A server that listens is ended."""
        with open(self.path("out"), "w+", encoding="utf-8", errors="replace") as out:
            process = subprocess.Popen(["sh", "-c", "exec " + line if is_simple(line) else line], cwd=self.dir,
                                       env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                       start_new_session=True)
            try:
                deadline = time.monotonic() + LINE_PATIENCE
                while process.poll() is None and not self.listens():
                    check(time.monotonic() < deadline, f"{line}\nneither ends nor listens:\n{read(self.path('out'))}")
                    time.sleep(0.02)
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGTERM)
                return process.wait(LINE_PATIENCE), read(self.path("out"))
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()

    def listens(self):
        return re.search(r"^dps-service: listening on|\blistening\b|^TPM at ", read(self.path("out")), re.M)


def is_simple(line):
    return not re.search(r"[|;()]|^\w+=", line)


def missing(line):
    """The devices, hosts and files that a line names and that are not here."""
    hosts = re.findall(r"https://([\w.-]+)|\b(127\.0\.0\.1|localhost)\b", line)
    return {"localhost", *(name for pair in hosts for name in pair if name),
            *re.findall(r"/dev/\w+|[\w-]+\.(?:conn|state|sealed|pem|txt)\b", line)}


def try_line(place, line):
    here = place.here(line)
    code, out = place.run(here)
    check(code in (0, 1, 3, 4, 5), f"{line}\nended with {code}:\n{out}")
    check(code in (0, 1) or any(name in out for name in missing(here)),
          f"{line}\nended with {code}, and names none of {sorted(missing(here))}:\n{out}")


# ---- The tests -------------------------------------------------------------------------------------------------------

def all_lines():
    """All but those of OPERATIONS.md, which need systemd and PostgreSQL: tests/faults/operations_test.py runs them."""
    for page in (page for page in PAGES if page != OPERATIONS):
        yield from ((page, line) for line in blocks(page))
    yield from ((DEPLOY, line) for line in deployed())
    for program in PROGRAMS:
        yield from ((program + " --help", line) for line in examples(program))


def test_ours_run():
    """every line of ours in pages, deploy files and --help can be run as it stands"""
    place, tried = Place(), set()
    for where, line in all_lines():
        if is_ours(line) and line not in tried and "./register.sh" not in line:
            tried.add(line)
            try:
                try_line(place, line)
            except Exception as error:
                raise type(error)(f"{where}: {error}") from error
    check(len(tried) > 2 * len(PROGRAMS), f"only {len(tried)} lines were found")
    print(f"# {len(tried)} lines")


def verify(place, line):
    """What is wrong with the certificate that a line makes, to clients that are strict, as Python's are since 3.13."""
    made = re.match(r"openssl (?:req -x509|x509 -req) .*-out (\S+)", line)
    ca = re.search(r" -CA (\S+)", line) or made
    return made and subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", ca.group(1), made.group(1)],
                                   cwd=place.dir, capture_output=True, text=True, check=False).stderr


def test_others_run_or_have_a_reason():
    """every line of another program is run, or listed with the reason why not; strict clients take its certificates"""
    place, reasons = Place(), set()
    for where, line in dict.fromkeys(all_lines()):
        if is_ours(line) or line.startswith("make "):
            continue
        reason = next((begin for begin in NOT_RUN if line.startswith(begin)), None)
        reasons.add(reason)
        if reason is None:
            check(line.split()[0] in HARMLESS, f"{where}: this line is run by no test, and no reason is listed: {line}")
            done = subprocess.run(["sh", "-c", line], cwd=place.dir, capture_output=True, text=True,
                                  timeout=LINE_PATIENCE, check=False,
                                  env=dict(place.env, TPM_DPS=os.getcwd(), TMPDIR=place.dir))
            same(done.returncode, 0, f"{where}: {line}\n{done.stderr}")
            check(not verify(place, line), f"{where}: {line}\n{verify(place, line)}")
    same(set(NOT_RUN) - reasons, set(), "reasons for lines that no page has")


def test_make_targets():
    """every make target that is named exists"""
    database = subprocess.run(["make", "-pRrq", "DEPS=no", ":"], capture_output=True, text=True,
                              timeout=LINE_PATIENCE, check=False).stdout
    targets = set(re.findall(r"^([\w-]+):(?!=)", database, re.M))
    for page in PAGES:
        for line in [*blocks(page), *words(page)]:
            if line.startswith("make "):
                named = [w for w in line.split("#")[0].split()[1:] if "=" not in w and not w.startswith("-")]
                same(set(named) - targets, set(), f"{page}: {line}")


def test_words_known():
    """commands and options that the pages name in running text are known to --help"""
    known = {program: "\n".join(helps(program)) for program in PROGRAMS}
    for page in PAGES:
        for text in words(page):
            program, *rest = shlex.split(text.replace("…", "X"))
            if program == "make":
                continue
            for word in rest:
                option = word.split("=")[0]
                if option.startswith("--"):
                    check(re.search(rf"{option}\b", known[program]), f"{page}: {text}: no option {option}")
            command = rest[0] if rest and re.fullmatch(r"[a-z][a-z-]+", rest[0]) else None
            check(command is None or re.search(rf"^  {command} ", known[program], re.M),
                  f"{page}: {text}: no command {command}")


REGISTER = """#!/bin/sh
exec dps-device --quiet --tpm "libtpms:$PLACE/board" register --service "$CONFORMANCE_URL" --ca "$CONFORMANCE_CA" \\
    --connect-to "127.0.0.1:$CONFORMANCE_PORT" --scope "$CONFORMANCE_SCOPE" --id "$CONFORMANCE_ID" \\
    --state "$CONFORMANCE_STATE/state"
"""
SEND = """#!/bin/sh
exec dps-device --quiet --tpm "libtpms:$PLACE/board" send --connect-to "127.0.0.1:$CONFORMANCE_PORT" \\
    --ca "$CONFORMANCE_CA" --message 21 --state "$CONFORMANCE_STATE/state"
"""


def test_finish_line():
    """PORTING.md's finish line, as it is: our device passes its first cases, and sends"""
    line, = (line for line in blocks("port/PORTING.md") if "./register.sh" in line)
    place = Place()
    place.env["PLACE"] = place.dir
    for name, script in (("register.sh", REGISTER), ("send.sh", SEND)):
        write_file(place.path(name), script, 0o755)
    run(Programs.path("dps-device"), "--quiet", "--tpm", "libtpms:" + place.path("board"), "own", "--persist")
    # All of it takes a minute, and conformance_device_test.py does that: here it is interrupted after some cases.
    process = subprocess.Popen(["sh", "-c", "exec " + place.here(line)], cwd=place.dir, env=place.env, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    begun = [process.stdout.readline() for _ in range(12)]
    process.send_signal(signal.SIGINT)
    rest, err = process.communicate(timeout=LINE_PATIENCE)
    check(len(re.findall(r"^ok ", "".join(begun), re.M)) >= 4, f"{begun}\n{err}")
    same(re.findall(r"^not ok.*", "".join(begun) + rest, re.M)[:-1], [], "cases that failed")
    sent = subprocess.run(["sh", "-c", place.here(line) + " DEV-S10-001"], cwd=place.dir, env=place.env, text=True,
                          capture_output=True, timeout=LINE_PATIENCE, check=False)
    same(sent.returncode, 0, f"telemetry: {sent.stdout}{sent.stderr}")


MAIN = """
#include "port/none/none.h"
int main(void)
{
    struct port port = port_none();
    return -register_device(&port, NULL);
}
"""
NOT_PROVIDED = 19  # what port/none answers to everything


def test_lines_of_c():
    """README's lines of C compile without a warning, link, and run as far as they can on port/none"""
    place = Place()
    source, = re.findall(r"^<!-- compiled -->\n```c\n(.*?)^```", read("README.md"), re.M | re.S)
    write_file(place.path("firmware.c"), source.replace("int register_device(", "static int register_device(") + MAIN)
    subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror", "-I.",
                    "-o", place.path("firmware"), place.path("firmware.c"), "port/none/none.c", "port/drive.c",
                    os.path.join(Programs.build, "libtpmdps.a"), "-lbearssl"], check=True)
    run(place.path("firmware"), status=NOT_PROVIDED)
