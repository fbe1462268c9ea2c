# SPDX-License-Identifier: MIT
"""A board that is not here, made of what port/PORTING.md shows: its files in a tree that is otherwise this one, and the
page's lines of the service side. In QEMU it registers and sends, and passes a case of what the page calls the finish
line.

Needs gcc-arm-none-eabi, qemu-system-arm, swtpm, openssl."""

import os
import re
import shlex
import subprocess
import sys

from board_test import ACCEPTED, NAMES, PORT, REGISTRATION, Board
from documented_test import blocks, free_port
from harness import write_file
from tap import Programs, check, same
from waiting import wait_until

sys.path.append("tests/lint")
from porting import DOCUMENT, FILE  # noqa: E402  pylint: disable=wrong-import-position

TEXT = DOCUMENT.read_text(encoding="utf-8")
NAME = "mps2-an385"
IMAGE = os.path.join("..", "new-board", "firmware", NAME)
PATIENCE = 900  # seconds to compile BearSSL and the rest


class NewBoard(Board):
    kind = NAME

    def hardware(self):
        return ["-M", NAME, "-semihosting-config", "enable=on,target=native", "-serial", "chardev:console",
                "-serial", "chardev:tpm", "-serial", "chardev:modem"]


def tree(root):
    """Links to all that is here, and the new directory: what another board has is not touched."""
    here = os.getcwd()
    os.mkdir(os.path.join(root, "port"))
    for name in (*(set(os.listdir(".")) - {"port"}), *(os.path.join("port", name) for name in os.listdir("port"))):
        os.symlink(os.path.join(here, name), os.path.join(root, name))
    for path, content in FILE.findall(TEXT):
        os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
        write_file(os.path.join(root, path), content, 0o644)
        as_old_as_the_page(os.path.join(root, path))


def as_old_as_the_page(path):
    """What was made of it before stays good."""
    when = os.stat(DOCUMENT)
    os.utime(path, ns=(when.st_atime_ns, when.st_mtime_ns))


def service(board, port):
    """The page's lines, in the board's directory, with another port. Returns when the device is enrolled."""
    lines, = re.findall(r"^<!-- service -->\n```sh\n(.*?)^```", TEXT, re.M | re.S)
    script = lines.replace(":8443", f":{port}") + "wait\n"
    environment = dict(os.environ, PATH=Programs.build + ":" + os.environ["PATH"],
                       DPS_TPM="swtpm:%s:%d" % board.swtpm.address)
    with open(board.path("service.log"), "wb") as log:
        running = subprocess.Popen(["sh", "-ec", script], cwd=board.dir, env=environment, stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=log, start_new_session=True)
    Programs.cleanup.callback(lambda: (os.killpg(running.pid, 15), running.wait()))


def test_wrong():
    """a board that is half described, or a copy with the old name, is an error that says so"""
    root = Programs.directory()
    tree(root)
    path = os.path.join(root, "port", NAME, NAME + ".mk")
    right = read(path)
    cases = [("", "", None), ("FIRMWARE_BOARDS += " + NAME, "FIRMWARE_BOARDS += virt-a15", "two boards have this name"),
             (f"BOARDS += {NAME}", "BOARDS += other", "there is no port/other/other.mk"),
             *((f"FIRMWARE_{which}_{NAME} =", "FIRMWARE_OTHER =", f"FIRMWARE_{which}_{NAME} is empty")
               for which in ("TOOLS", "SRC", "LD"))]
    for old, new, words in cases:
        check(old in right, old)
        write_file(path, right.replace(old, new), 0o644)
        done = subprocess.run(["make", "help"], cwd=root, capture_output=True, text=True, check=False)
        check(words in done.stderr if words else done.returncode == 0, f"{new}: {done.stderr}")


# The page's clock, with a variable for the register.
CLOCK = """#include <stdint.h>
#include <stdio.h>
#include <stddef.h>
static uint32_t counter;
%s
int main(void)
{
    uint64_t before = monotonic_ms(NULL);
    for (uint64_t i = 1; i <= 100; i++) {
        counter += 0x10000000;
        if (monotonic_ms(NULL) - before != i * 0x10000000 * 10) return 1;
    }
    return 0;
}
"""


def test_clock():
    """the clock of that board goes on when its counter begins anew"""
    main, = (content for path, content in FILE.findall(TEXT) if path.endswith("main.c"))
    clock, = re.findall(r"^static uint64_t monotonic_ms\(.*?^}", main, re.M | re.S)
    register = "*(volatile uint32_t *)0x40028014"
    check(register in clock, clock)
    source = write_file(os.path.join(Programs.directory(), "clock.c"), CLOCK % clock.replace(register, "counter"))
    same(subprocess.run(["cc", "-o", source + ".out", source], check=False).returncode, 0, "cc")
    same(subprocess.run([source + ".out"], check=False).returncode, 0, "whether it went back")


def test_space():
    """a tree whose path has a space is an error that says so"""
    root = os.path.join(Programs.directory(), "with space")
    os.mkdir(root)
    tree(root)
    done = subprocess.run(["make", "help"], cwd=root, capture_output=True, text=True, check=False)
    check("the name of this directory has a space" in done.stderr, done.stderr)


def test_new_board():
    """the board of port/PORTING.md: compiled as it stands there, it registers, sends, and passes a case"""
    board, port, root = NewBoard(), free_port(), Programs.directory()
    tree(root)
    service(board, port)
    out = Programs.path("new-board")
    image = os.path.join(out, "firmware", NAME + ".elf")
    wait_until(lambda: os.path.exists(board.path("ca.pem")), "the page's lines have made the CA")
    make = ["make", "--no-print-directory", "BUILD=" + out, "BEARSSL=" + Programs.path("bearssl"),
            "FIRMWARE_ID=boiler-7", "FIRMWARE_CA=" + board.path("ca.pem"), image]
    done = subprocess.run(make, cwd=root, capture_output=True, text=True, timeout=10 * PATIENCE, check=False)
    same(done.returncode, 0, shlex.join(make) + "\n" + done.stdout[-2000:] + done.stderr)
    # The processor is another one if this file says so.
    for after, compiled in ([], 0), (["-W", f"port/{NAME}/{NAME}.mk"], 1):
        of = os.path.join(out, "firmware", NAME, "tpm", "rc.o")
        asked = subprocess.run([*make[:-1], "--question", *after, of], cwd=root, stdout=subprocess.DEVNULL, check=False)
        same(asked.returncode, compiled, f"whether make would compile {of} {after}")
    wait_until(lambda: "boiler-7" in read(board.path("service.log")), "the page's lines have enrolled the device")
    board.modem.redirect = {(name, PORT): ("127.0.0.1", port) for name in NAMES}
    board.switch_on(IMAGE)
    status = board.wait_end()
    same(status, 0, board.console() + read(board.path("service.log")))
    board.says(board.console(), "No record: this device registers.", *REGISTRATION, "Registered boiler-7", ACCEPTED)
    print("# " + board.console()[board.console().index("Done:"):].strip())
    finish_line(board)


# What the page says of register.sh: the board registers without a record, which this one never has at first.
REGISTER = """#!/bin/sh
rm -f '{console}'
{qemu} </dev/null >/dev/null 2>&1 & board=$!
while kill -0 $board 2>/dev/null && ! grep -qs '^Registered' '{console}'; do sleep 0.1; done
kill $board 2>/dev/null
wait $board
grep -qs '^Registered' '{console}'
"""
CASE = "DEV-S04-001"


def finish_line(board):
    """The page's line, for one case: all of them take a boot each."""
    line, = (line for line in blocks(str(DOCUMENT)) if "./register.sh" in line)
    port = free_port()
    board.modem.redirect = {(name, PORT): ("127.0.0.1", port) for name in NAMES}
    board.console_file = board.path("console-finish")
    command = board.command(IMAGE, board.path("tpm.sock"))
    write_file(board.path("register.sh"), REGISTER.format(console=board.console_file, qemu=shlex.join(command)), 0o755)
    done = subprocess.run(["sh", "-c", line.replace(":8443", ":" + port) + " " + CASE], cwd=board.dir,
                          env=dict(os.environ, PATH=Programs.build + ":" + os.environ["PATH"]), capture_output=True,
                          text=True, timeout=10 * PATIENCE, check=False)
    check(done.returncode == 0 and re.search(f"^ok .*{CASE}", done.stdout, re.M),
          f"{line}\n{done.stdout}{done.stderr}{board.console()}")


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()
