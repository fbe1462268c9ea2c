# SPDX-License-Identifier: MIT
"""dps-conformance --serve-tpm: other people's clients on a TPM that we serve, honest or hostile.

Needs tpm2-tools, their TCTIs swtpm and mssim, and tpm2-pytss."""

import contextlib
import os
import re
import signal
import socket
import struct
import tempfile

from served import Served, hostile_device, run
from tap import Programs, check, same

NO_SESSIONS = 0x8001
GET_RANDOM = struct.pack(">HIIH", NO_SESSIONS, 12, 0x17B, 8)
TOOLS = (("tpm2_getrandom", "--hex", "8"), ("tpm2_createprimary", "-Q", "-C", "e", "-G", "ecc", "-c", "{dir}/primary"),
         ("tpm2_flushcontext", "-t"), ("tpm2_getcap", "handles-transient"))


def receive(s, size):
    data = b""
    while len(data) < size:
        part = s.recv(size - len(data))
        if not part:
            break
        data += part
    return data


def raw(s, command):
    """One command in swtpm's framing. Returns what came: short if the server closed."""
    s.sendall(command)
    head = receive(s, 10)
    size = struct.unpack(">I", head[2:6])[0] if len(head) == 10 else 0
    return head + receive(s, max(min(size, 4096) - 10, 0))


def mssim_frame(command):
    return struct.pack(">IBI", 8, 0, len(command)) + command


def is_random(response):
    return len(response) == 20 and response[6:12] == b"\0\0\0\0\0\x08"


# ---- An honest TPM ----

def test_other_peoples_tools():
    """tpm2-tools over both of their TCTIs, one after another"""
    with Served() as served:
        for tcti in ("swtpm", "mssim"):
            for command in TOOLS:
                result = served.tool(tcti, *command)
                same((result.returncode, result.stderr), (0, ""), f"{tcti}: {command}")
                if command[0] == "tpm2_getrandom":
                    check(re.fullmatch(r"[0-9a-f]{16}\s*", result.stdout), f"{tcti}: {result.stdout!r}")
            same(result.stdout, "", f"{tcti}: objects are left")
        same(served.log(), "", "the log")


def test_other_peoples_library():
    """tpm2-pytss over both of its TCTIs, with a command, a key and a session"""
    script = ("import sys\nfrom tpm2_pytss import ESAPI, ESYS_TR, TCTILdr, TPM2B_PUBLIC, TPM2B_SENSITIVE_CREATE\n"
              "with TCTILdr(sys.argv[1], f'host=127.0.0.1,port={sys.argv[2]}') as tcti, ESAPI(tcti) as esys:\n"
              "    area = TPM2B_PUBLIC.parse('ecc', objectAttributes='restricted|decrypt|fixedtpm|fixedparent|'\n"
              "                              'sensitivedataorigin|userwithauth')\n"
              "    key = esys.create_primary(TPM2B_SENSITIVE_CREATE(), area, ESYS_TR.OWNER)[0]\n"
              "    esys.flush_context(key)\n"
              "    print(len(bytes(esys.get_random(8))))\n")
    with Served() as served:
        for tcti in ("swtpm", "mssim"):
            result = run(["/usr/bin/python3", "-c", script, tcti, str(served.port)])
            same((result.returncode, result.stdout), (0, "8\n"), f"{tcti}: {result.stderr}")
        same(served.log(), "", "the log")


def test_simulator():
    """the platform port answers as a simulator's: four bytes for each signal, and nothing else"""
    with Served() as served, served.connect(control=True) as s:
        for name, number in (("power on", 1), ("NV on", 11), ("power off", 2), ("power on", 1),
                             ("presence on", 3), ("presence off", 4), ("cancel on", 9), ("cancel off", 10)):
            # Power off is swtpm's INIT as well, whose flags may follow: the next signal shows which it was.
            s.sendall(struct.pack(">I", number))
            same(receive(s, 4).hex(), "00000000", name)
        s.sendall(struct.pack(">I", 20))
        same(receive(s, 100), b"", "more than was asked for")


def test_our_device():
    """dps-device over both protocols sees the same EK"""
    with Served() as served:
        keys = set()
        for kind in ("swtpm", "mssim"):
            result = served.device(kind, "ek", "--format", "base64")
            same(result.returncode, 0, f"{kind}: {result.stderr}")
            keys.add(result.stdout)
        same(len(keys), 1, "different EKs")
        check(len(keys.pop()) > 400, "the EK is short")


def test_split_and_joined():
    """commands split at every byte, and several in one segment, in either framing and mixed"""
    with Served() as served, served.connect() as s:
        for message in (GET_RANDOM, mssim_frame(GET_RANDOM)):
            framed = message is not GET_RANDOM
            for at in range(1, len(message)):
                s.sendall(message[:at])
                s.sendall(message[at:])
                answer = receive(s, 28 if framed else 20)
                check(is_random(answer[4:24] if framed else answer), f"split at {at}: {answer.hex()}")
        s.sendall(GET_RANDOM + mssim_frame(GET_RANDOM) + GET_RANDOM)
        same(len(receive(s, 20 + 28 + 20)), 68, "three commands at once")


def test_several_clients():
    """clients connected at the same time share the TPM; one that sends nonsense loses only its own connection"""
    with Served() as served, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(served.connect()) for _ in range(5)]
        for nonsense in (b"\0\0\0\x63", struct.pack(">HII", NO_SESSIONS, 9, 0x17B),
                         struct.pack(">HII", NO_SESSIONS, 4097, 0x17B), struct.pack(">IBI", 8, 0, 4097)):
            with served.connect() as s:
                s.sendall(nonsense)
                same(s.recv(1), b"", f"{nonsense.hex()} was answered")
        for client in clients:
            check(is_random(raw(client, GET_RANDOM)), "a client was lost")


def test_platform():
    """the platform port and the control channel answer, and a reset forgets what was loaded"""
    with Served() as served:
        same(served.tool("swtpm", "tpm2_createprimary", "-Q", "-G", "ecc", "-c", f"{served.dir}/p").returncode, 0,
             "tpm2_createprimary")
        check("0x8" in served.tool("swtpm", "tpm2_getcap", "handles-transient").stdout, "nothing is loaded")
        with served.connect(control=True) as s:
            # swtpm: INIT with flags; SET_LOCALITY 0 and 3; CANCEL. Simulator: NV on; end of session.
            for message, answer in ((struct.pack(">II", 2, 0), 0), (b"\0\0\0\x05\0", 0), (b"\0\0\0\x05\x03", 61),
                                    (struct.pack(">I", 9), 0), (struct.pack(">I", 11), 0)):
                s.sendall(message)
                same(receive(s, 4), struct.pack(">I", answer), message.hex())
            s.sendall(struct.pack(">I", 20))
            same(s.recv(1), b"", "the session goes on")
        same(served.tool("mssim", "tpm2_getcap", "handles-transient").stdout, "", "after the reset")
        # The reset has started the TPM. The first TPM2_Startup after it is answered as by one that it has not.
        with served.connect() as s:
            for code in (0, 0x100):
                s.sendall(bytes.fromhex("80010000000c000001440000"))
                same(s.recv(100), bytes.fromhex("80010000000a") + code.to_bytes(4, "big"), "TPM2_Startup")


def test_ends():
    """SIGTERM and SIGINT end it with exit code 0, also while clients are connected"""
    for number in (signal.SIGTERM, signal.SIGINT):
        with Served() as served, served.connect() as s:
            check(is_random(raw(s, GET_RANDOM)), "no answer")
            same(served.stop(number), 0, f"signal {number}")
            same(s.recv(1), b"", "the connection is still open")
            same(served.log(), "", "the log")


def test_wrong_options():
    """no TPM, no address, an address that is taken: an exit code and a sentence"""
    program = os.path.join(Programs.build, "dps-conformance")
    state = "libtpms:" + tempfile.mkdtemp(dir=Programs.root)
    with Served() as served:
        for code, words, says in ((2, ("--serve-tpm", "127.0.0.1:0"), "needs --tpm"),
                                  (2, ("--serve-tpm", "nowhere", "--tpm", state), "ADDR:PORT"),
                                  (2, ("--serve-tpm", "127.0.0.1:0", "--tpm", "hostile:1,x/" + state), "retry"),
                                  (3, ("--serve-tpm", "127.0.0.1:0", "--tpm", "/dev/no-such-tpm"), "no-such-tpm"),
                                  (4, ("--serve-tpm", f"127.0.0.1:{served.port}", "--tpm", state), "in use")):
            result = run([program, *words])
            same(result.returncode, code, f"{words}: {result.stderr}")
            check(says in result.stderr, f"{words}: {result.stderr}")


# ---- A hostile one ----

def faults_of(seed, commands):
    """The log of so many TPM2_GetRandom commands, and what came back."""
    with Served(hostile=f"hostile:{seed},rate=3,log/") as served:
        lengths = []
        for _ in range(commands):
            with served.connect() as s:
                lengths.append(len(raw(s, GET_RANDOM)))
        same(served.stop(), 0, "the exit code")
        return served.log(), lengths


def test_reproducible():
    """the same seed and the same commands give the same faults and the same answers, another seed others"""
    first = faults_of("one", 60)
    same(faults_of("one", 60), first, "the second time")
    check(len(first[0].splitlines()) >= 10, f"few faults: {first[0]}")
    check(faults_of("two", 60)[0] != first[0].replace("hostile:one", "hostile:two"), "both seeds are alike")


def test_on_the_wire():
    """what a client sees of a fault: a connection that ends, an answer that lies about its size"""
    def answer(fault, command=GET_RANDOM):
        with Served(hostile=f"hostile:1,rate=1,faults={fault}/") as served, served.connect() as s:
            s.sendall(command)
            s.shutdown(socket.SHUT_WR)
            return receive(s, 5000)
    for fault in ("lost", "broken"):
        same(answer(fault), b"", fault)
    check(len(answer("truncate")) < 20, "truncate")
    for fault, fits in (("longer", lambda n: n > 20), ("shorter", lambda n: n < 20)):
        got = answer(fault)
        check(len(got) == 20 and fits(struct.unpack(">I", got[2:6])[0]), f"{fault}: {got.hex()}")
    got = answer("trailing")
    check(len(got) > 20 and struct.unpack(">I", got[2:6])[0] == len(got), f"trailing: {got.hex()}")
    check(answer("tag")[:2] != b"\x80\x01", "tag")
    same(answer("retry"), struct.pack(">HII", NO_SESSIONS, 10, 0x922), "retry")
    same(struct.unpack(">I", answer("longer", mssim_frame(GET_RANDOM))[:4])[0], 20, "the simulator's own length")


def test_our_device_survives():
    """dps-device on hostile TPMs: an exit code of its own and a sentence, never a signal, never a wrong EK"""
    state = tempfile.mkdtemp(dir=Programs.root)
    device = [hostile_device(), "--tpm"]
    honest = f"libtpms:{state}"
    same(run([*device, honest, "own", "--persist"]).returncode, 0, "own --persist")
    ek = run([*device, honest, "ek", "--format", "base64"]).stdout
    quick = "lost+broken+reset+delay+truncate+longer+shorter+size+tag+trailing+layer+vendor+previous"
    codes = set()
    for seed in range(12):
        result = run([*device, f"hostile:{seed},rate=4,log,faults={quick}/{honest}", "ek", "--format", "base64"])
        said = result.stderr.replace("note: this TPM is software", "")
        codes.add(result.returncode)
        check(result.returncode in (0, 1, 3), f"seed {seed}: exit code {result.returncode}: {said}")
        if result.returncode == 0:
            same(result.stdout, ek, f"seed {seed}: the EK")
        else:
            check("dps-device: " in said, f"seed {seed}: it says nothing: {said}")
    check(0 in codes and len(codes) > 1, f"all seeds ended alike: {codes}")


def test_over_tcp():
    """a hostile TPM around one over TCP: a broken connection is made again, a reset flushes everything"""
    with Served() as served:
        same(served.device("swtpm", "own", "--persist").returncode, 0, "own --persist")
        for kind in ("swtpm", "mssim"):
            for fault, code in (("reset", 0), ("delay", 0), ("lost", 3), ("broken", 3), ("layer", 3)):
                result = served.device(f"hostile:1,at=1,log,faults={fault}/{kind}", "ek")
                same(result.returncode, code, f"{kind}, {fault}: {result.stderr}")
                check(f"{fault}: " in result.stderr, f"{kind}, {fault}: {result.stderr}")
                same(served.device(kind, "ek").returncode, 0, f"{kind}, after {fault}")
        same(served.tool("swtpm", "tpm2_getcap", "handles-transient").stdout, "", "objects are left")
