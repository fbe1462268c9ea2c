# SPDX-License-Identifier: MIT
"""Debian's kernel in QEMU, with swtpm as the chip that its own driver finds, and shell lines that run in it.

The machine has no disk: what it runs is in an archive that is made here of busybox, of our programs and the libraries
that they need, and of the kernel's modules for a network card."""

import base64
import glob
import lzma
import os
import re
import shlex
import socket
import stat
import subprocess

from harness import PROGRAM_PATIENCE, Result, write_file
from tap import Failed, Programs, check
from waiting import listens, wait_until

PROGRAMS = ("dps-device", "dps-conformance")
# In the order in which they need each other.
MODULES = ("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "failover",
           "net_failover", "virtio_net")
HOST = "10.0.2.2"  # where a machine of QEMU's user network finds this one

# Each line of the second serial port is a script in base64; its answer is its exit code, and how long its output is.
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /tmp /root /dev/pts
for module in %s; do insmod /modules/$module.ko; done
ip link set lo up
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
ip route add default via %s
stty -F /dev/ttyS1 raw -echo
exec 3<>/dev/ttyS1
cd /root
echo ready 0 0 >&3
while read -r line <&3; do
    echo "$line" | base64 -d >/tmp/script
    sh /tmp/script </dev/null >/tmp/out 2>/tmp/err
    echo $? $(wc -c </tmp/out) $(wc -c </tmp/err) >&3
    cat /tmp/out /tmp/err >&3
done
"""


# ---- Its files -------------------------------------------------------------------------------------------------------

def libraries(program):
    """What the program loads, the loader included."""
    text = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return re.findall(r"(/\S+) \(0x", text)


def module(name):
    """The bytes of a module, under the name with either mark of an end that Debian has used."""
    found = glob.glob(Programs.path(f"kernel/root/**/{name}.ko*"), recursive=True)
    check(len(found) == 1, f"the kernel's module {name}: {found}")
    opened = lzma.open if found[0].endswith(".xz") else open
    with opened(found[0], "rb") as f:
        return f.read()


def archive(files):
    """A cpio archive of the form that the kernel unpacks [Documentation/driver-api/early-userspace/buffer-format.rst]:
    path → mode and bytes. Folders are made as they are needed."""
    out = bytearray()

    def add(path, mode, content):
        head = (len(files), mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path) + 1, 0)
        for part in (b"070701" + "".join(f"{x:08x}" for x in head).encode() + path.encode() + b"\0", content):
            out.extend(part + bytes(-len(part) % 4))

    folders = {parent for path in files for parent in parents(path)}
    for path in sorted(folders | {"proc", "sys", "dev", "bin"}):
        add(path, stat.S_IFDIR | 0o755, b"")
    for path, (mode, content) in files.items():
        add(path, stat.S_IFREG | mode, content)
    add("TRAILER!!!", 0, b"")
    return bytes(out)


def parents(path):
    while path := os.path.dirname(path):
        yield path


def files_of_guest():
    files = {"init": (0o755, (INIT % (" ".join(MODULES), HOST)).encode())}
    for name in MODULES:
        files[f"modules/{name}.ko"] = (0o644, module(name))
    programs = [Programs.path(name) for name in PROGRAMS]
    for path in programs:
        files["bin/" + os.path.basename(path)] = path
    files["bin/busybox"] = Programs.path("kernel/root/bin/busybox")
    for path in {library for program in programs for library in libraries(program)}:
        files[path.lstrip("/")] = path
    for name, path in files.items():
        if isinstance(path, str):
            with open(path, "rb") as f:
                files[name] = (0o755, f.read())
    files["etc/passwd"] = (0o644, b"root:x:0:0::/root:/bin/sh\nsomebody:x:1000:1000::/tmp:/bin/sh\n")
    files["etc/group"] = (0o644, b"root:x:0:\nsomebody:x:1000:\ntss:x:900:\n")
    return files


# ---- The machine -----------------------------------------------------------------------------------------------------

class Guest:
    """A machine that runs while this lives. interface: tpm-tis or tpm-crb."""

    def __init__(self, interface):
        self.dir, self.line, self.swtpm, self.qemu, self.data = Programs.directory(), None, None, None, b""
        Programs.cleanup.callback(self.stop)
        initrd = write_file(self.path("initrd"), archive(files_of_guest()))
        kernel, = glob.glob(Programs.path("kernel/root/boot/vmlinuz-*"))
        os.mkdir(self.path("tpm"))
        self.swtpm = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + self.path("tpm"),
             "--ctrl", "type=unixio,path=" + self.path("tpm.sock"), "--flags", "startup-clear"],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: listens(self.path("tpm.sock")) or self.swtpm.poll() is not None, "swtpm listens")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path("line"))
        listener.listen()
        # A busy machine gives QEMU no time while the kernel tries its timer, and that would be the end: no_timer_check.
        with open(self.path("qemu.log"), "wb") as log:
            self.qemu = subprocess.Popen(
                ["qemu-system-x86_64", "-M", "q35", "-cpu", "max", "-accel", "tcg", "-m", "512", "-display", "none",
                 "-no-reboot", "-nodefaults", "-monitor", "none", "-kernel", kernel, "-initrd", initrd,
                 "-append", "console=ttyS0 panic=-1 quiet no_timer_check", "-serial", "file:" + self.path("console"),
                 "-chardev", "socket,id=line,path=" + self.path("line"), "-serial", "chardev:line",
                 "-chardev", "socket,id=tpm,path=" + self.path("tpm.sock"), "-tpmdev", "emulator,id=tpm0,chardev=tpm",
                 "-device", interface + ",tpmdev=tpm0", "-netdev", "user,id=net",
                 "-device", "virtio-net-pci,romfile=,netdev=net"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        listener.settimeout(PROGRAM_PATIENCE)
        self.line = listener.accept()[0]
        listener.close()
        self.line.settimeout(PROGRAM_PATIENCE)
        self.answer()

    def path(self, name):
        return os.path.join(self.dir, name)

    def fails(self, why):
        log = b""
        for name in ("console", "qemu.log"):
            with open(self.path(name), "rb") as f:
                log += f.read()
        raise Failed(f"the machine {why}:\n{log.decode(errors='replace')}")

    def more(self):
        try:
            got = self.line.recv(65536)
        except socket.timeout:
            self.fails(f"does not answer within {PROGRAM_PATIENCE} s")
        if not got:
            self.fails("has ended")
        self.data += got

    def answer(self):
        while b"\n" not in self.data:
            self.more()
        head, self.data = self.data.split(b"\n", 1)
        code, *lengths = head.split()
        parts = []
        for length in map(int, lengths):
            while len(self.data) < length:
                self.more()
            parts.append(self.data[:length])
            self.data = self.data[length:]
        return code, parts

    def sh(self, script, status=0, says=()):
        """A result as harness.run gives it."""
        self.line.sendall(base64.b64encode(script.encode()) + b"\n")
        code, (out, err) = self.answer()
        result = Result(subprocess.CompletedProcess(script, int(code), out, err))
        check(status is None or result.code == status,
              f"{script}: exit code {result.code}, wanted {status}\n{result.out}{result.err}")
        for words in (says,) if isinstance(says, str) else says:
            check(words in result.err, f"{script}: it does not say {words!r} but\n{result.err}")
        return result

    def run(self, *command, **expected):
        return self.sh(shlex.join(command), **expected)

    def write(self, path, content):
        """A small file, mode 0600."""
        content = content if isinstance(content, bytes) else content.encode()
        self.sh(f"umask 077; echo {base64.b64encode(content).decode()} | base64 -d >{shlex.quote(path)}")

    def stop(self):
        if self.line is not None:
            self.line.close()
        for process in (self.qemu, self.swtpm):
            if process is not None:
                process.kill()
                process.wait()
