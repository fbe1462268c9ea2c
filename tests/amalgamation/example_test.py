# SPDX-License-Identifier: MIT
"""The example at the head of tpm-dps.h, as it stands there, with port/example against a real service and a swtpm. Needs
make all amalgamation, openssl and swtpm."""
import os
import re
import subprocess

from harness import HUBS, Bench, Device, read_file, run, write_file
from server_harness import SCOPE
from tap import Programs, check, same

WARN = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")
MAIN = ("tests/amalgamation/board.c", "port/example/example.c")


class Built:
    """A directory with the two files, the example, and headers that lead to tpm-dps.h."""

    def __init__(self):
        self.place = Programs.directory()
        for name in ("tpm-dps.c", "tpm-dps.h"):
            run("cp", Programs.path(name), self.place)
        header = read_file(Programs.path("tpm-dps.h")).decode()
        example = re.search(r"\A/\*.*?\*/\n\n#if 0\n(.*?)^#endif\n", header, re.M | re.S)
        check(example, "tpm-dps.h does not begin with an example")
        write_file(self.path("example.c"), example.group(1))
        for name in re.findall(r"^/\* =+ ([a-z0-9_/]+\.h) \*/$", header, re.M):
            os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
            write_file(self.path(name), '#include "tpm-dps.h"\n')
        self.cc("-std=c11", "-O1", *WARN, "-c", "-o", "tpm-dps.o", "tpm-dps.c")

    def path(self, name):
        return os.path.join(self.place, name)

    def cc(self, *words, status=0):
        return run(os.environ.get("CC") or "cc", *words, cwd=self.place, status=status)

    def link(self, *options, example=None, status=0):
        """The example with its board. The board's own header, port/example/example.h, is the source's."""
        for source in MAIN:
            self.cc("-std=c11", "-D_GNU_SOURCE", *WARN, *options, "-I.", f"-I{os.getcwd()}", "-c", "-o",
                    os.path.basename(source) + ".o", os.path.abspath(source))
        self.cc("-std=c99", *WARN, *(options if example is None else example), "-c", "-o", "boot.o", "example.c")
        return self.cc("-o", "boot", "boot.o", "board.c.o", "example.c.o", "tpm-dps.o", "-lbearssl", status=status)


def shared():
    return Built()


def test_boots(built):
    """it registers a device, and has a token for it after a reboot"""
    built.link()
    bench, device = Bench(), Device("swtpm-tcp")
    bench.enroll(device, "boiler-7")
    command = [built.path("boot"), "localhost", str(bench.service.tls_port), bench.path("ca.pem"), SCOPE, "boiler-7",
               str(device.tpm.address[1]), device.path("record")]
    error, hub, name = run(*command).out.split()
    check((error, name) == ("0", "boiler-7") and hub in HUBS, f"{error} {hub} {name}")
    record = read_file(device.path("record"))
    same(run(*command).out, f"0 {hub} boiler-7\n", "after a reboot")
    same(read_file(device.path("record")), record, "the record after a reboot")
    same(device.tpm.loaded(), [], "loaded in the TPM")


def test_other_settings(built):
    """compiled with other settings than tpm-dps.c it does not link, and the linker names them"""
    for setting, says in (("-DDPS_NET_BUFFER=8192", "net8192"), ("-DDPS_TPM_BUFFER=2048", "tpm2048"),
                          ("-DPORT_TLS_BUFFER=20000", "tls20000"), ("-DCRYPTO_TRUST_ANCHORS_MAX=8", "anchors8")):
        said = built.link(setting, status=1).err
        check(re.search(rf"undefined reference to `dps_port_drive_\w*{says}", said), f"{setting}: {said}")
    said = built.link(example=("-DDPS_NET_BUFFER=8192",), status=1).err
    for name in ("dps_port_drive", "dps_device_register", "dps_device_token"):
        check(re.search(rf"undefined reference to `{name}_\w*net8192", said), f"{name} of one file: {said}")


def test_prefix(built):
    """every name that tpm-dps.o offers begins with dps_"""
    names = re.findall(r"^[0-9a-f]+ [A-Z] (\w+)$", run("nm", "--extern-only", built.path("tpm-dps.o")).out, re.M)
    check(len(names) > 200, f"{len(names)} names")
    same([name for name in names if not name.startswith("dps_")], [], "without")


# What programs and the headers of others define, some of it for all files (-DVERSION=...).
MACROS = """
#define VERSION "1.2"
#define PACKAGE "app"
#define DEBUG 1
#define OK 0
#define ERROR 1
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#define BIT(n) (1u << (n))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
"""
SOCKETS = """
#define connect(s, name, len) lwip_connect(s, name, len)
#define read(s, p, len) lwip_read(s, p, len)
#define write(s, p, len) lwip_write(s, p, len)
#define close(s) lwip_close(s)
"""


def test_macros_of_others(built):
    """tpm-dps.c compiles with macros that a program has for all its files, the header also after those of sockets"""
    write_file(built.path("macros.h"), MACROS)
    write_file(built.path("user.c"), f'#include "macros.h"\n{SOCKETS}#include "tpm-dps.h"\n')
    built.cc("-std=gnu11", *WARN, "-include", "macros.h", "-fsyntax-only", "tpm-dps.c")
    for standard in ("c99", "gnu11"):
        built.cc(f"-std={standard}", *WARN, "-fsyntax-only", "user.c")


def test_version(built):
    """both files say the version, whether git is there or not"""
    for name in ("tpm-dps.c", "tpm-dps.h"):
        said = read_file(built.path(name)).decode().splitlines()[1]
        check(said.startswith(f"/* tpm-dps {read_file('VERSION').decode().strip()}: "), said)


def test_strict(built):
    """no warning of those that look for null pointers and for what was not set"""
    for command in (("gcc", "-O3", "-Wnull-dereference"), ("clang", "-O2", "-Wconditional-uninitialized")):
        done = subprocess.run([*command, "-std=c11", *WARN, "-c", "-o", "strict.o", "tpm-dps.c"], cwd=built.place,
                              capture_output=True, text=True, check=False)
        same((done.returncode, done.stderr), (0, ""), " ".join(command))
