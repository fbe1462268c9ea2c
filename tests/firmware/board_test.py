# SPDX-License-Identifier: MIT
"""An image in QEMU, with swtpm as its TPM and a real dps-service: what a device in the field goes through.

Needs qemu-system-arm, qemu-system-misc, swtpm, python3-cryptography."""

import json
import os
import random
import re
import struct
import subprocess
import time
import zlib

from certificates import make_ca, make_leaf
from harness import Bench, Device, write_file
from relay import Modem, TpmLine
from server_harness import Service
from tap import Failed, Programs, check, same
from waiting import listens, wait_until
from tpm_emulator import TpmEmulator

SERVICE, PORT, MQTT_PORT = "dps.example", 443, 8883
NAMES = (SERVICE, "hub-a.example", "hub-b.example")
BOOT_PATIENCE = 600  # seconds
OFF = None          # exit status of a board whose power was cut

SLOTS, SLOT_SIZE = 2, 1024


# ---- Certificates ----------------------------------------------------------------------------------------------------

class FieldBench(Bench):
    """A service that the images trust, and that they know by other names than its administrator does."""

    def __init__(self, **leaf):  # pylint: disable=super-init-not-called
        self.service = Service("--hub-mqtt", "127.0.0.1:0", start=False)
        Programs.cleanup.callback(self.service.stop)
        self.leaf(**leaf)
        self.start()

    def leaf(self, ca=None, **leaf):
        ca = ca or Programs.path("firmware")
        names = (*leaf.pop("names", NAMES), "localhost")
        make_leaf(self.service.dir, names, ca, **leaf)
        with open(os.path.join(ca, "ca.pem"), "rb") as f:
            write_file(self.path("ca.pem"), f.read())

    def answers(self, route, status):
        """How often it has answered so, as its log says."""
        return len(re.findall(rf"route={route} .*status={status} ", self.service.read("log")))

    def packets(self, method):
        return len(re.findall(rf"method={method} route=hub .*status=204 ", self.service.read("log")))

    def requests(self):
        return self.service.read("log").count(" route=")


# ---- The board -------------------------------------------------------------------------------------------------------

class Board:
    """A machine in QEMU with its TPM, its modem and the storage for its record. It is off at first."""

    # What differs from board to board: here the TPM is behind a serial line, and the record on an SD card.
    kind, card_size, slots_at, slot_distance, tpm_side = "lm3s6965evb", 1 << 20, 1024 * 512, SLOT_SIZE, TpmLine
    qemu_program, load = "qemu-system-arm", "-kernel"

    def __init__(self):
        self.device = Device("swtpm-tcp")
        self.dir, self.swtpm, self.qemu, self.boots = self.device.dir, self.device.tpm, None, 0
        self.tpm_line = self.tpm_side(self.path("tpm.sock"), self.swtpm.connect).start()
        self.modem = Modem(self.path("modem.sock"), {}).start()
        self.card = self.path("card")
        with open(self.card, "wb") as f:
            f.truncate(self.card_size)
        for close in (self.tpm_line.close, self.modem.close, self.cut):
            Programs.cleanup.callback(close)

    def path(self, name):
        return os.path.join(self.dir, name)

    def reach(self, bench):
        """The names that it dials lead to this service, or to nothing."""
        port = bench and bench.service.tls_port
        self.modem.redirect = {(name, PORT): ("127.0.0.1", port) for name in NAMES} if bench else {}
        if bench:
            mqtt = int(bench.service.read("port").split()[-1])
            self.modem.redirect.update({(name, MQTT_PORT): ("127.0.0.1", mqtt) for name in NAMES})

    def command(self, image, tpm_socket):
        return [self.qemu_program, "-nic", "none", "-display", "none", "-monitor", "none",
                self.load, Programs.path(os.path.join("firmware", image + ".elf")),
                "-chardev", f"file,id=console,path={self.console_file}",
                "-chardev", f"socket,id=tpm,path={tpm_socket}",
                "-chardev", f"socket,id=modem,path={self.path('modem.sock')}", *self.hardware()]

    def hardware(self):
        return ["-M", "lm3s6965evb", "-semihosting-config", "enable=on,target=native", "-serial", "chardev:console",
                "-drive", f"if=sd,format=raw,file={self.card}",
                "-serial", "chardev:tpm", "-serial", "chardev:modem"]

    def switch_on(self, image=None, tpm_socket=None):
        # The TPM has the board's power: what was loaded in it is gone. (What a boot leaves is looked at before that.)
        if tpm_socket is None:
            self.swtpm.stop()
            check(self.swtpm.start(), "swtpm does not start again")
        self.boots += 1
        self.console_file = self.path(f"console-{self.boots}")
        with open(self.path("qemu.log"), "ab") as log:
            self.qemu = subprocess.Popen(self.command(image or self.kind, tpm_socket or self.path("tpm.sock")),
                                         stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def console(self):
        try:
            with open(self.console_file, encoding="ascii") as f:
                return f.read().replace("\r", "")
        except FileNotFoundError:
            return ""

    def wait_for(self, words):
        wait_until(lambda: words in self.console() or self.qemu.poll() is not None, f"the console says {words!r}")
        check(words in self.console(), f"the board never said {words!r}:\n{self.console()}")

    def wait_end(self):
        """Its exit status."""
        try:
            return self.qemu.wait(BOOT_PATIENCE)
        except subprocess.TimeoutExpired:
            self.cut()
            raise Failed("the board did not come to an end:\n" + self.console()) from None

    def cut(self):
        """The power fails."""
        if self.qemu and self.qemu.poll() is None:
            self.qemu.kill()
            self.qemu.wait()

    def boot(self, status=0, image=None):
        """From power on to the end of the program, with this exit status. Returns what the console says."""
        self.switch_on(image)
        got = self.wait_end()
        check(got == status, f"exit status {got}, wanted {status}:\n{self.console()}")
        return self.console()

    def says(self, text, *wanted, never=()):
        for words in wanted:
            check(words in text, f"the console lacks {words!r}:\n{text}")
        for words in never:
            check(words not in text, f"the console says {words!r}:\n{text}")

    # What is on the card, read without any code of ours: magic, sequence, length, record, CRC.

    def slot(self, number):
        with open(self.card, "rb") as f:
            f.seek(self.slots_at + number * self.slot_distance)
            return f.read(SLOT_SIZE)

    def write_slot(self, number, data):
        with open(self.card, "r+b") as f:
            f.seek(self.slots_at + number * self.slot_distance)
            f.write(data)

    def records(self):
        """Sequence number → (slot, record) of the valid slots."""
        valid = {}
        for number in range(SLOTS):
            data = self.slot(number)
            magic, sequence, length = struct.unpack(">4sII", data[:12])
            end = 12 + length
            if magic == b"DPS1" and end + 4 <= SLOT_SIZE and zlib.crc32(data[:end]) == int.from_bytes(
                    data[end:end + 4], "big"):
                valid[sequence] = (number, data[12:end])
        return valid


class VirtA15(Board):
    """The TPM is one with registers, and the record is in NOR flash."""

    kind, card_size, slots_at, slot_distance, tpm_side = "virt-a15", 64 << 20, 0, 256 << 10, TpmEmulator
    machine = ("-M", "virt,secure=on", "-cpu", "cortex-a15", "-semihosting-config", "enable=on,target=native",
               "-serial", "chardev:console")

    def hardware(self):
        return [*self.machine, "-m", "128M", "-serial", "chardev:modem",
                "-drive", f"if=pflash,index=1,format=raw,file={self.card}",
                "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-tis-device,tpmdev=tpm0"]


class VirtRiscv32(VirtA15):
    """There is one serial line, for the modem; the console is the debugger's."""

    kind, card_size, qemu_program = "virt-riscv32", 32 << 20, "qemu-system-riscv32"
    load = "-bios"  # a -kernel would not be put into memory, since there is a flash that could hold firmware
    machine = ("-M", "virt", "-semihosting-config", "enable=on,target=native,chardev=console")


BOARDS = {board.kind: board for board in (Board, VirtA15, VirtRiscv32)}


REGISTRATION = tuple(f"Step {step:2}  " for step in (1, 3, 4, 7, 8, 9, 10))
ACCEPTED = "accepted the message"


# ---- The tests -------------------------------------------------------------------------------------------------------

class Field:
    """One board and its service: the tests tell their story, one after the other."""

    def __init__(self, kind):
        self.bench, self.board, self.id, self.deepest = FieldBench(), BOARDS[kind](), None, {}

    def enrolled(self):
        if self.id is None:
            self.id = json.loads(self.board.device.run("ek", "--format", "json").out)["registrationId"]
            self.bench.enroll(self.board.device, self.id)
        self.board.reach(self.bench)
        return self.board

    def registered(self):
        board = self.enrolled()
        if not board.records():
            board.boot()
        return board

    def state(self):
        return json.loads(self.bench.admin("registration", "get", self.id, "--format", "json").out)

    def stack_suffices(self, text, image=None):
        """A quarter of it has never been used. The most that was used goes into the table of stacks."""
        last = text[text.index("Done:"):].strip()
        print("# " + last)
        used, size = map(int, re.search(r"stack (\d+) of (\d+) bytes", last).groups())
        check(0 < used <= size * 3 // 4, f"{used} of {size} bytes of stack were used")
        image = image or self.board.kind
        self.deepest[image] = max(self.deepest.get(image, 0), used)
        write_file(Programs.path(os.path.join("firmware", image + ".stack")), f"{self.deepest[image]}\n", 0o644)

    # (1)
    def register(self):
        board = self.enrolled()
        text = board.boot()
        state = self.state()
        board.says(text, "No record: this device registers.", *REGISTRATION, f"Registered {self.id}: assigned to "
                   f"{state['assignedHub']} as {state['deviceId']}", f"{state['assignedHub']} {ACCEPTED}")
        same(state["status"], "assigned", "status of the registration")
        same((self.bench.answers("register", 401), self.bench.answers("hub", 204)), (1, 1), "challenges, messages")
        same(list(board.records()), [1], "records on the card")
        same(board.swtpm.loaded(), [], "what the board left in the TPM")
        self.stack_suffices(text)

    # (2)
    def reboot(self):
        board = self.registered()
        before, state, messages = board.records(), self.state(), self.bench.answers("hub", 204)
        challenges = self.bench.answers("register", "...")
        text = board.boot()
        board.says(text, "Step  3  ", "Step 10  ", ACCEPTED, never=("No record", "Step  4", "Registered"))
        same(self.bench.answers("hub", 204), messages + 1, "messages at the hub")
        same(self.bench.answers("register", "..."), challenges, "registration requests")
        same((board.records(), self.state()), (before, state), "record and registration")
        same(board.swtpm.loaded(), [], "what the board left in the TPM")

    def rsa_certificate(self):
        board = self.registered()
        self.bench.service.stop()
        self.bench.leaf(key=2048)
        self.bench.start()
        board.reach(self.bench)
        text = board.boot()
        board.says(text, ACCEPTED, never=("Registered",))
        self.stack_suffices(text)

    # (3)
    def wrong_certificates(self):
        board = self.registered()
        other = Programs.directory()
        make_ca(other, "firmware test CA")
        rogue = FieldBench()
        for leaf, words in (
                # The same name as the CA that it trusts, and another key.
                ({"ca": other}, "does not end at a trusted CA"),
                ({"names": ("other.example",)}, "the certificate is for another host name"),
                # Expired before this code was released: that much is known without a clock.
                ({"days": (-4000, -2000)}, "clock")):
            rogue.service.stop()
            rogue.leaf(**leaf)
            rogue.start()
            board.reach(rogue)
            text = board.boot(status=4)
            error = re.search("^Error at step .*", text, re.M)
            print(f"# {error.group()}" if error else "# no error was reported")
            check(error and words in error.group(), f"the console lacks {words!r}:\n{text}")
            board.says(text, "Nothing was sent.", never=(ACCEPTED,))
            same(rogue.requests(), 0, "requests at the rogue service")
        board.reach(self.bench)
        board.says(board.boot(), ACCEPTED)

    # (4)
    def service_down(self):
        board = self.registered()
        self.bench.service.stop()
        board.switch_on()
        board.wait_for("Again in ")
        self.bench.start()
        board.reach(self.bench)
        same(board.wait_end(), 0, "exit status\n" + board.console())
        board.says(board.console(), "no connection", ACCEPTED, never=("Registered",))
        # The same while it has no record yet.
        for number in range(SLOTS):
            board.write_slot(number, b"\xff" * SLOT_SIZE)
        board.reach(None)
        board.switch_on()
        board.wait_for("Again in ")
        board.reach(self.bench)
        same(board.wait_end(), 0, "exit status\n" + board.console())
        board.says(board.console(), "no connection", "Registered", ACCEPTED)
        waits = [int(ms) for ms in re.findall(r"Again in (\d+) ms", board.console())]
        check(all(1000 << i <= ms <= 1500 << i for i, ms in enumerate(waits)), f"waits of {waits} ms")

    # (5)
    def cleared(self):
        board = self.registered()
        before, messages = board.records(), self.bench.answers("hub", 204)
        board.device.run("clear", "--yes")
        text = board.boot()
        board.says(text, "The TPM does not load the kept hub key (0x000001df)", *REGISTRATION, "Registered", ACCEPTED)
        same(max(board.records()), max(before) + 1, "sequence number of the record")
        same(self.bench.answers("hub", 204), messages + 1, "messages at the hub")
        board.says(board.boot(), ACCEPTED, never=("Registered",))

    # (6)
    def damaged_slots(self):
        board = self.registered()
        while len(board.records()) < SLOTS:
            board.device.run("clear", "--yes")
            board.boot()
        # A broken older record does not matter.
        slot, _ = board.records()[min(board.records())]
        whole, newest = board.slot(slot), max(board.records())
        board.write_slot(slot, whole[:64] + b"\xff" * (SLOT_SIZE - 64))
        same(list(board.records()), [newest], "valid records")
        board.says(board.boot(), ACCEPTED, never=("Registered",))
        # Half of the newer one: the older one counts, whose key the TPM has forgotten.
        board.write_slot(slot, whole)
        slot, _ = board.records()[newest]
        board.write_slot(slot, board.slot(slot)[:64] + bytes(SLOT_SIZE - 64))
        same(list(board.records()), [newest - 1], "valid records")
        board.says(board.boot(), "(0x000001df)", "Registered", ACCEPTED)
        # Now the older record is useless too, and both are lost.
        for number in range(SLOTS):
            board.write_slot(number, random.randbytes(SLOT_SIZE))
        board.says(board.boot(), "No record", "Registered", ACCEPTED)

    def power_cuts(self, times=6):
        """The power fails at any moment, also while the record is being written. Afterwards the old record is there
        or the new one, and the device comes up with it."""
        board = self.registered()
        seed = random.randrange(1 << 32)
        dice = random.Random(seed)
        begin = time.monotonic()
        board.boot()
        usual = 2 * (time.monotonic() - begin)
        cut_in_time = 0
        for turn in range(10 * times):  # on a busy machine a boot can be over before it is looked at
            if turn >= times and cut_in_time >= times // 2:
                break
            before = board.records()
            slots = [board.slot(i) for i in range(SLOTS)]
            board.device.run("clear", "--yes")  # so that it registers, and saves
            board.switch_on()
            deadline = time.monotonic() + (dice.uniform(0.1, usual) if turn % 2 else BOOT_PATIENCE)
            while time.monotonic() < deadline and board.qemu.poll() is None:
                if [board.slot(i) for i in range(SLOTS)] != slots:
                    break
            cut_in_time += board.qemu.poll() is None
            board.cut()
            after = board.records()
            newest = max(before)
            check(after.get(newest) == before[newest] or max(after) > newest,
                  f"seed {seed}, turn {turn}: neither the old nor a new record is there: {list(before)}, {list(after)}")
            board.says(board.boot(), ACCEPTED)
        check(cut_in_time >= times // 2, f"{cut_in_time} boots of {turn} were cut off, wanted {times // 2}")
        print(f"# seed {seed}: {cut_in_time} boots of {turn} were cut off")

    def over_mqtt(self):
        """The image that names port_bare_send_mqtt."""
        board = self.registered()
        image, messages = board.kind + "-mqtt", self.bench.packets("PUBLISH")
        text = board.boot(image=image)
        board.says(text, "Step 10  network: to admit this device", "Step 10  network: to accept a message", ACCEPTED,
                   never=("Registered",))
        same(self.bench.packets("PUBLISH"), messages + 1, "messages at the hub")
        self.stack_suffices(text, image)
        # A hub that does not know its key: it registers, and the message arrives.
        self.bench.admin("registration", "delete", self.id)
        text = board.boot(image=image)
        board.says(text, "The hub does not accept the kept key (CONNACK 5)", "Registered", ACCEPTED)
        same(self.bench.packets("PUBLISH"), messages + 2, "messages at the hub")
        same(board.swtpm.loaded(), [], "what the board left in the TPM")

    # (7)
    def straight_from_swtpm(self):
        """With nothing of ours between QEMU and swtpm: the TPM comes out of reset, and the board starts it."""
        board = self.registered()
        board.swtpm.stop()
        control = board.path("control.sock")
        swtpm = subprocess.Popen(["swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + board.path("tpm"),
                                  "--ctrl", "type=unixio,path=" + control], stderr=subprocess.DEVNULL)
        Programs.cleanup.callback(swtpm.kill)
        wait_until(lambda: listens(control) or swtpm.poll() is not None, "swtpm listens")
        board.switch_on(tpm_socket=control)
        status = board.wait_end()
        swtpm.kill()
        swtpm.wait()
        check(board.swtpm.start(), "swtpm does not start again")
        same(status, 0, "exit status\n" + board.console())
        board.says(board.console(), ACCEPTED, never=("Registered",))


def tests_of(kind):
    field = Field(kind)
    tests = [
        ("(1) registers, and sends its first message", field.register),
        ("(2) after a reboot: a hub token and a message, nothing is registered again", field.reboot),
        ("(2) the same over an RSA certificate", field.rsa_certificate),
        ("(3) wrong certificates are refused before anything is sent", field.wrong_certificates),
        ("(4) the service is down, then up", field.service_down),
        ("(5) the TPM was cleared: it registers again", field.cleared),
        ("(6) damaged slots of the record", field.damaged_slots),
        ("(6) power cuts while it registers and saves", field.power_cuts),
        ("(8) the message over MQTT", field.over_mqtt),
    ]
    if kind != "lm3s6965evb":
        tests.append(("(7) straight from swtpm, which the board starts", field.straight_from_swtpm))
    return tests


def tests():
    for kind in BOARDS:
        for name, test in tests_of(kind):
            yield f"{kind} {name}", test
