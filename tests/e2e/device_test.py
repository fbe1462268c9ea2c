# SPDX-License-Identifier: MIT
"""dps-device: what it says about a TPM, and what it says when something goes wrong: one sentence, in time, with what to
do, and the exit code that --help names.

Needs the standard library, openssl, swtpm and tpm2-tools."""

import contextlib
import json
import os
import re
import socket
import ssl
import subprocess
import threading

from harness import Bench, Device, Swtpm, SwtpmForTools, run, write_file
from server_harness import SCOPE
from tap import Programs, check, same
from waiting import PATIENCE, end_listening, wait_until
from tpm_front import Front

USAGE, TPM, NETWORK = 2, 3, 4
SESSION_HMAC, SESSION_POLICY = "00", "01"


# ---- A TPM and what is in it -----------------------------------------------------------------------------------------

class Controlled(SwtpmForTools):
    """What tpm2-tools say to it, whatever comes of it."""

    def tools(self, *command):
        tcti = "swtpm:host=127.0.0.1,port=%d" % self.address[1]
        return run(*command, env={**os.environ, "TPM2TOOLS_TCTI": tcti, "TSS2_LOG": "all+none"}, cwd=self.dir)


def device_program(name, *arguments, **expected):
    return run(Programs.path("dps-device"), "--quiet", "--tpm", name, *arguments, **expected)


def start_session(tpm, kind):
    return tpm.ask("8001 00000000 00000176 40000007 40000007 0010" + "11" * 16 + "0000" + kind + "0010 000b")[10:14]


def save(tpm, handle):
    tpm.ask("8001 00000000 00000162" + handle.hex())


def test_sessions():
    """flush and info: sessions of both kinds, loaded and saved, however few of them the TPM lists at a time"""
    tpm = Swtpm("swtpm-unix")
    for page in (None, 1, 7):
        handles = [start_session(tpm, kind) for kind in (SESSION_HMAC, SESSION_POLICY)]
        for i in range(60):
            save(tpm, start_session(tpm, SESSION_HMAC if i % 2 else SESSION_POLICY))
        same(len(tpm.loaded()), 62, "sessions made")
        with Front(tpm, page=page) as front:
            loaded = device_program(front.name, "info").field("Loaded")
            check(loaded.startswith("0 objects, 2 sessions; 60 sessions saved outside"), loaded)
            told = device_program(front.name, "flush").out
        check("0 objects and 62 sessions flushed" in told, told)
        same(tpm.loaded(), [], "left")
        check(all(f"0x{h.hex().upper()} flushed" in told for h in handles), told)


def define(tpm, index):
    """TPM2_NV_DefineSpace: 8 bytes that the owner may write and everybody read."""
    public = index.to_bytes(4, "big").hex() + "000b 02060006 0000 0008".replace(" ", "")
    tpm.ask("8002 00000000 0000012a 40000001 00000009 40000009 0000 00 0000 0000" + f"{len(public) // 2:04x}" + public)


def test_certificates():
    """info: every index of the EK Credential Profile has its name; other keys' certificates are no fault"""
    tpm = Swtpm("swtpm-unix")
    check("no EK certificate: nothing in it proves who made it" in device_program(tpm.name, "info").out, "none")
    named = {0x01C0001C: "EK certificate, RSA-3072, high range", 0x01C0001D: "EK template, RSA-3072, high range",
             0x01C00016: "EK certificate, ECC P-384, high range", 0x01C00017: "EK template, ECC P-384, high range"}
    for index in named:
        define(tpm, index)
    told = device_program(tpm.name, "info").out
    check("EK certificates only for ECC P-384, RSA-3072: they say who made this TPM" in told, told)
    check("proves who made" not in told, told)
    more = {0x01C00002: "EK certificate, RSA-2048", 0x01C00003: "EK nonce, RSA-2048",
            0x01C00004: "EK template, RSA-2048", 0x01C0000A: "EK certificate, ECC P-256",
            0x01C0000B: "EK nonce, ECC P-256", 0x01C0000C: "EK template, ECC P-256",
            0x01C00012: "EK certificate, RSA-2048, high range", 0x01C00013: "EK template, RSA-2048, high range",
            0x01C00014: "EK certificate, ECC P-256, high range", 0x01C00018: "EK certificate, ECC P-521, high range",
            0x01C0001A: "EK certificate, ECC SM2 P-256, high range", 0x01C0001E: "EK certificate, RSA-4096, high range",
            0x01C00100: "certificates of those who issued the EK certificates"}
    for index in (*more, 0x01800001):
        define(tpm, index)
    with Front(tpm, page=3) as front:
        told = device_program(front.name, "info").out
    for index, name in {**named, **more}.items():
        check(re.search(rf"0x{index:08X} {name}$", told, re.M), f"{index:08X}, {name}: {told}")
    check(f"{len(named) + len(more) + 1} indexes in all" in told and "0x01800001" not in told, told)
    check("EK certificates only" not in told and "no EK certificate" not in told, told)


def test_untold():
    """info: a value that a TPM does not report is '?', not 0; TPM_ALG_NULL has a name"""
    tpm = Swtpm("swtpm-unix")
    whole = device_program(tpm.name, "info").out
    check("?" not in whole, whole)
    with Front(tpm, untold=(*range(0x100, 0x12F), *range(0x200, 0x220)), renamed={0x000D: 0x0010}) as front:
        told = device_program(front.name, "info")
    same(told.field("Vendor"), '? "????"', "vendor")
    same(told.field("Firmware"), "?.?", "firmware")
    same(told.field("Specification"), "TPM ? revision ?, day ? of ?", "specification")
    same(told.field("Buffers"), "command ?, response ?, data ?, NV ? bytes", "buffers")
    same(told.field("Room"), "? objects at least, ? free now; ? sessions free; ? persistent keys, ? more fit", "room")
    same(told.field("Sessions"), "? active of all programs, loaded or saved outside; ? more can be", "sessions")
    same(told.field("Hierarchies"), "owner ?, endorsement ?, platform ?", "hierarchies")
    same(told.field("Authorization"), "owner ?, endorsement ?, lockout ?", "authorizations")
    check(told.field("Lockout").startswith("?; ? of ? wrong tries, one forgiven every ? s"), told.out)
    check("a ? means that this TPM does not report it" in told.out, told.out)
    check(" NULL " in told.out and "0x0010" not in told.out, told.out)


def test_hierarchies():
    """info: a hierarchy that is disabled; register says the same"""
    tpm = Swtpm("swtpm-unix")
    for handle, name, word in (("40000001", "owner", "no SRK"), ("4000000b", "endorsement", "no EK")):
        tpm.ask("8002 00000000 00000121 4000000c 00000009 40000009 0000 00 0000" + handle + "00")
        told = device_program(tpm.name, "info")
        check(f"{name} DISABLED" in told.out and f"the {name} hierarchy is disabled: {word}" in told.out, told.out)
    same(told.field("Hierarchies"), "owner DISABLED, endorsement DISABLED, platform enabled", "hierarchies")
    device_program(tpm.name, "ek", status=TPM, says=("disabled this hierarchy", "What to do"))


# ---- A TPM that is not there, or speaks otherwise --------------------------------------------------------------------

def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def test_mistaken():
    """swtpm: and mssim: mistaken for each other: the message says which to use"""
    tpm, controlled = Swtpm("swtpm-tcp"), Controlled()
    for swtpm in (tpm, controlled):
        device_program(swtpm.name.replace("swtpm:", "mssim:"), "info", status=TPM,
                       says=("speaks swtpm's protocol", "What to do: call it " + swtpm.name))
        device_program(swtpm.name, "info")
    with Front(tpm, "mssim") as front:
        right = f"mssim:127.0.0.1:{front.port}"
        device_program(right, "info")
        device_program(f"swtpm:127.0.0.1:{front.port}", "info", status=TPM,
                       says=("speaks the TPM simulator's protocol", "What to do: call it " + right))


@contextlib.contextmanager
def talker(words):
    """A server that answers with these words, whatever it is asked."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            with contextlib.suppress(OSError):
                while True:
                    with listener.accept()[0] as client:
                        client.recv(100)
                        client.sendall(words)
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            end_listening(listener)


def test_unreachable():
    """a TPM that cannot be reached: which place, why, and what to do; never the reason of something else"""
    port = free_port()
    for name, says in ((f"swtpm:127.0.0.1:{port}", ("Connection refused", "start it")),
                       (f"mssim:127.0.0.1:{port}", (f"its platform port {port + 1} (PORT + 1): Connection refused",)),
                       ("swtpm:/nowhere/socket", ("No such file or directory", "start it")),
                       ("/dev/tpm-nowhere", ("No such file or directory", "ls /dev/tpm*", "BIOS")),
                       (os.path.abspath(__file__), ("this is not a TPM device", "/dev/tpmrm0"))):
        told = device_program(name, "info", status=TPM, says=(f"cannot reach the TPM {name}: ", "What to do: ", *says))
        check("host name" not in told.err, told.err)
    told = device_program("swtpm:no-such-host.invalid:2321", "info", status=TPM, says="What to do: ").err
    check("the host name is not known" in told or "the name server does not answer" in told, told)
    for name in ("/dev/null", "/dev/zero", "/dev/full"):
        for command in (("info",), ("flush",), ("ek",)):
            device_program(name, *command, status=TPM,
                           says=f"{name} does not answer as a TPM does. What to do: name a TPM")
    for words in (b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00" * 64):
        with talker(words) as port:
            for kind in ("swtpm", "mssim"):
                told = device_program(f"{kind}:127.0.0.1:{port}", "info", status=TPM, says="What to do: ").err
                check("host name" not in told and "Success" not in told, told)


def test_no_permission():
    """a TPM that this user may not use"""
    if os.getuid() != 0:
        return
    closed = Programs.directory()  # mode 0700
    told = run(Programs.path("dps-device"), "--tpm", closed + "/tpmrm0", "info", status=TPM, says="What to do: ",
               preexec_fn=lambda: os.setuid(65534)).err
    check("Permission denied" in told and "usermod -aG tss" in told, told)


def test_srk_with_password():
    """an SRK at 0x81000001 that has a password of its own is passed over: the same key serves without one"""
    device, bench = Device("libtpms"), Bench()
    device.tpm = tpm = Controlled()
    tpm.tools("tpm2_createprimary", "-Q", "-C", "o", "-G", "rsa2048", "-p", "secret", "-c", "primary", "-a",
              "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt")
    tpm.tools("tpm2_evictcontrol", "-Q", "-C", "o", "-c", "primary", "0x81000001")
    tpm.tools("tpm2_flushcontext", "-t")
    bench.enroll(device, "with-password")
    bench.register(device, "with-password")
    secret = write_file(device.path("secret"), "x")
    device.run("seal", "--in", secret, "--out", device.path("sealed"))
    name = device.run("own").field("SRK Name").split()[0]
    tpm.tools("tpm2_evictcontrol", "-Q", "-C", "o", "-c", "0x81000001")
    same(device.run("own").field("SRK Name"), name, "the key that is derived")
    same(device.run("unseal", "--in", device.path("sealed")).out, "x", "what was sealed before")
    bench.register(device, "with-password")


# ---- Limits, clocks and waiting --------------------------------------------------------------------------------------

def test_limits():
    """what is too long is refused before the TPM is asked, and --help says how long it may be"""
    text = run(Programs.path("dps-device"), "register", "--help").out
    limit = int(re.search(r"--payload JSON .*?at most (\d+) bytes", text).group(1))
    device, bench = Device("libtpms"), Bench()
    name = "a" + ":" * 126 + "b"  # the longest when it is percent-encoded
    bench.enroll(device, name)
    payload = json.dumps("x" * (limit - 2))
    same(len(payload), limit, "payload")
    bench.register(device, name, "--payload", payload)
    for option, value, longest in (("--payload", payload[:-1] + 'x"', limit), ("--scope", "S" * 33, 32),
                                   ("--id", "i" * 129, 128)):
        bench.register(device, name, "--tpm", "/nowhere", option, value, status=USAGE,
                       says=f"{option} has {longest + 1} bytes; it may have {longest} at most")
    bench.register(device, name, "--tpm", "/nowhere", "--payload", "[" * 20 + "]" * 20, status=USAGE, says="16 levels")
    text = run(Programs.path("dps-device"), "send", "--help").out
    limit = int(re.search(r"--message TEXT .*?at most (\d+) bytes", text).group(1))
    bench.send(device, "--message", "x" * limit)
    bench.send(device, "--message", "x" * (limit + 1), status=USAGE, says=f"it may have {limit} at most")


def test_no_clock():
    """a clock that was never set: no token, but register and send use the service's time"""
    device, bench = Device("libtpms"), Bench()
    bench.enroll(device, "timeless")
    bench.register(device, "timeless", "--now", "60")
    for now in ("1", "3600", "1700000000"):
        told = device.run("token", "--state", device.path("state"), "--now", now, status=NETWORK,
                          says=("clock", "already", "What to do: set the clock"))
        same(told.out, "", "output")
    bench.send(device, "--now", "60")
    check("se=" in device.run("token", "--state", device.path("state")).out, "no token with a clock")


class Busy:
    """A service that says that it is busy, and then refuses with 403."""

    def __init__(self, bench, answers):
        self.answers = list(answers)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(bench.path("cert.pem"), bench.path("key.pem"))
        self.listener = context.wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True)
        self.listener.settimeout(PATIENCE)
        self.url = "https://localhost:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with self.listener:
            while self.answers:
                with self.listener.accept()[0] as client:
                    client.recv(10000)
                    client.sendall(b"HTTP/1.1 " + self.answers.pop(0) + b"\r\nContent-Length: 0\r\n"
                                   b"Connection: close\r\n\r\n")
                    with contextlib.suppress(OSError):
                        client.recv(1)


def test_waiting():
    """a service that is busy: before it waits, the device says for what and how long"""
    device, bench = Device("libtpms"), Bench()
    busy = Busy(bench, [b"502 Bad Gateway\r\nRetry-After: 0", b"429 Slow\r\nRetry-After: 1", b"403 No"])
    told = bench.register(device, "waiting", "--service", busy.url, status=1, says="answered 403").err
    lines = [line for line in told.splitlines() if "asking again" in line]
    same([re.sub(r"again in [12] s", "again in N s", line) for line in lines],
         [f"dps-device: localhost answered {status}; asking again in N s"
          for status in ("502 Bad Gateway", "429 Too Many Requests")], "lines")


def test_silence():
    """a service that does not answer: after some seconds the device says what it waits for and how long"""
    device, bench = Device("libtpms"), Bench()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = subprocess.Popen(
            [Programs.path("dps-device"), "--tpm", device.tpm.name, "--quiet", "register", "--service",
             "https://localhost:%d" % silent.getsockname()[1], "--ca", bench.path("ca.pem"), "--scope", SCOPE,
             "--state", device.path("state")], stderr=subprocess.PIPE, text=True)
        try:
            line = process.stderr.readline()  # prove's time limit bounds it
        finally:
            process.kill()
            process.wait()
    check(re.fullmatch(r"dps-device: no answer from localhost yet; waiting for it, \d+ s at most\n", line), line)
