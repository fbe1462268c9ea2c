# SPDX-License-Identifier: MIT
"""Debian's U-Boot in QEMU, with swtpm as its TPM: what the application of port/u-boot reads and unseals at its prompt.

Needs qemu-system-arm, u-boot-qemu, swtpm, tpm2-tools."""
import contextlib
import hashlib
import mmap
import os
import random
import re
import subprocess
import threading

from harness import Device, SwtpmForTools, read_file, write_file
from tap import Failed, Programs, check, same, seed
from tpm_emulator import TpmEmulator
from waiting import listens, wait_until

U_BOOT = "/usr/lib/u-boot/qemu_arm/u-boot.bin"
PROMPT, AUTOBOOT = "=> ", "stop autoboot"

# The board's memory: where it begins, its size, and what is put where.
RAM, RAM_SIZE = 0x40000000, 128 << 20
APPLICATION, BLOB, SEED, TO, IMAGE = 0x41000000, 0x42000000, 0x42100000, 0x42200000, 0x42800000
BLANK = SEED + 0x1000
STATUS = APPLICATION + 4
SEALED_MAX = 128

USAGE, TPM, STORAGE = 2, 3, 5  # enum port_bare_status
UNSEAL = 0x15e                 # TPM_CC
CHANGED = "Error: the blob was changed, or was sealed in another TPM or for another owner (command 0x00000157, " \
          "response code 0x000001df)."


# ---- The board -------------------------------------------------------------------------------------------------------

class Bus:
    """The socket to the swtpm, with somebody on the bus: he hears all, and may change a command or its answer."""

    def __init__(self, sock, board):
        self.sock, self.board, self.code, self.answered = sock, board, None, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def sendall(self, data):
        self.board.heard.append(data)
        self.code, self.answered = int.from_bytes(data[6:10], "big"), 0
        at = self.board.changed_commands.get(self.code)
        self.sock.sendall(data if at is None else data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])

    def recv(self, size):
        data = bytearray(self.sock.recv(size))
        begin, self.answered = self.answered, self.answered + len(data)
        code, at = self.board.changes or (None, 0)
        if code == self.code and begin <= at < self.answered:
            data[at - begin] ^= 1
        self.board.heard.append(bytes(data))
        return bytes(data)


class Board:
    """QEMU's board virt, at U-Boot's prompt once it is entered. Its RAM is a file: self.ram is what is in it."""

    def __init__(self, device):
        self.device, self.said, self.read, self.heard, self.changes = device, "", 0, [], None
        self.changed_commands = {}
        self.dir = Programs.directory()

    def path(self, name):
        return os.path.join(self.dir, name)

    def __enter__(self):
        self.power_tpm()
        with open(self.path("ram"), "wb") as f:
            f.truncate(RAM_SIZE)
        self.qemu = subprocess.Popen(
            ["qemu-system-arm", "-M", "virt,memory-backend=ram", "-cpu", "cortex-a15", "-m", "128M", "-nic", "none",
             "-object", f"memory-backend-file,id=ram,size=128M,share=on,mem-path={self.path('ram')}",
             "-display", "none", "-monitor", "none", "-serial", "stdio", "-bios", U_BOOT,
             "-chardev", f"socket,id=tpm,path={self.path('tpm')}", "-tpmdev", "emulator,id=tpm0,chardev=tpm",
             "-device", "tpm-tis-device,tpmdev=tpm0", "-device",
             f"loader,file={Programs.path('firmware/dpstpm.img')},addr={IMAGE:#x},force-raw=on"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        Programs.cleanup.callback(self.off)
        threading.Thread(target=self.listen, daemon=True).start()
        self.wait_for(AUTOBOOT)
        self.type("")
        self.wait_for(PROMPT)
        self.type("echo rea''dy")  # whatever came before, this is the last prompt
        self.wait_for("\nready\n" + PROMPT)
        self.command("setenv autostart yes")  # or else bootm starts no application
        with open(self.path("ram"), "r+b") as f:
            self.ram = mmap.mmap(f.fileno(), RAM_SIZE)
        return self

    def power_tpm(self):
        """The TPM has the board's power, and somebody has sent TPM2_Startup."""
        power_cycle(self.device.tpm)
        emulator = TpmEmulator(self.path("tpm"), lambda: Bus(self.device.tpm.connect(), self)).start()
        Programs.cleanup.callback(emulator.close)

    def __exit__(self, *_):
        self.off()

    def off(self):
        if self.qemu.poll() is None:
            self.qemu.kill()
        self.qemu.wait()

    def listen(self):
        """What U-Boot says, in a thread of its own."""
        for data in iter(lambda: self.qemu.stdout.read1(4096), b""):
            self.said += data.decode("ascii", "replace").replace("\r", "")

    def wait_for(self, words):
        """Returns: what was said up to these words, since the last time."""
        try:
            wait_until(lambda: words in self.said[self.read:] or self.qemu.poll() is not None, f"{words!r}")
            check(words in self.said[self.read:], f"QEMU has ended with {self.qemu.poll()}")
        except Failed as error:
            raise Failed(f"U-Boot does not say {words!r} ({error}). It said:\n{self.said}") from None
        end = self.said.index(words, self.read) + len(words)
        text, self.read = self.said[self.read:end], end
        return text

    def type(self, line):
        self.qemu.stdin.write(line.encode() + b"\n")
        self.qemu.stdin.flush()

    def command(self, line):
        """What U-Boot says to a command."""
        self.type(line)
        return self.wait_for("\n" + PROMPT)

    def go(self, *words, status=0):
        """The application; it must return this status, or another than 0 if that is None."""
        text = self.command(f"bootm start {IMAGE:x}; bootm loados; bootm go - {' '.join(words)}")
        got = int.from_bytes(self.memory(STATUS, 4), "little")
        wanted = (TPM, STORAGE) if status is None else (status,)
        check(got in wanted, f"status {got}, wanted {wanted}:\n{text}")
        check(("Error: " in text) == (status != 0), text)
        return text

    def write(self, address, data):
        self.ram[address - RAM:address - RAM + len(data)] = data

    def memory(self, address, size):
        return self.ram[address - RAM:address - RAM + size]

    def unseal(self, blob, *more, status=0, length=None):
        """Unseal this blob. Returns: what the application says, and what it has written."""
        self.write(BLOB, blob)
        self.write(TO, b"\xee" * SEALED_MAX)
        text = self.go("unseal", f"{BLOB:x}", f"{len(blob) if length is None else length:x}", f"{TO:x}", *more,
                       status=status)
        same(self.memory(BLOB, len(blob)), blob, "the blob afterwards")
        return text, self.memory(TO, SEALED_MAX)


class ColdBoard(Board):
    """Its TPM is a swtpm alone, to which nobody has sent TPM2_Startup."""

    def power_tpm(self):
        self.device.tpm.stop()
        self.swtpm = subprocess.Popen(["swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + self.device.tpm.path("tpm"),
                                       "--ctrl", "type=unixio,path=" + self.path("tpm")], stderr=subprocess.DEVNULL)
        wait_until(lambda: listens(self.path("tpm")) or self.swtpm.poll() is not None, "swtpm listens")
        check(self.swtpm.poll() is None, "swtpm has ended")
        Programs.cleanup.callback(self.stop_tpm)

    def stop_tpm(self):
        self.swtpm.kill()
        self.swtpm.wait()

    def off(self):
        super().off()
        self.stop_tpm()


def power_cycle(tpm):
    """Without power it forgets what is loaded. The next port may be taken; then another one is tried."""
    tpm.stop()
    check(any(tpm.start() for _ in range(5)), "swtpm does not start again")


# ---- What is sealed --------------------------------------------------------------------------------------------------

class Field:
    """One TPM; what it has sealed for whom."""

    def __init__(self):
        check(os.path.isfile(U_BOOT), f"{U_BOOT} is missing (package u-boot-qemu)")
        self.device = Device("swtpm-tcp", SwtpmForTools())

    def tools(self, script):
        """tpm2-tools, in the device's directory; without what they leave in the TPM."""
        self.device.tpm.tool("sh", "-ec", script)
        power_cycle(self.device.tpm)

    def reference(self):
        """What others say of its EK."""
        self.tools("tpm2_createek -Q -G rsa -c ek.ctx -u ek.pub; tpm2_readpublic -Q -c ek.ctx -n ek.name")
        self.id = self.device.run("ek").field("Registration ID")

    def seal(self, secret):
        blob = self.device.path("blob")
        self.device.run("seal", "--in", write_file(self.device.path("secret"), secret), "--out", blob)
        return read_file(blob)

    def seal_with_tools(self, secret, options=""):
        """Under the persistent SRK."""
        write_file(self.device.path("secret"), secret)
        self.tools(f"tpm2_create -Q -C 0x81000001 -i secret -u pub -r priv {options}")
        return read_file(self.device.path("priv")) + read_file(self.device.path("pub"))

    def persist(self):
        self.device.run("own", "--persist")

    @contextlib.contextmanager
    def board(self):
        with Board(self.device) as board:
            yield board
        same(self.device.tpm.loaded(), [], "what is left in the TPM")


def private_size(blob):
    """Of TPM2B_PRIVATE, with its size field; TPM2B_PUBLIC follows."""
    return 2 + int.from_bytes(blob[:2], "big")


def public_of(blob):
    return blob[private_size(blob):]


def hex_after(label, text):
    """The lines of hex digits after a label, as bytes."""
    found = re.search(label + r"\s*((?:[0-9a-f]+\n)+)", text)
    check(found, f"no {label} in\n{text}")
    return bytes.fromhex(found.group(1))


def stack_suffices(text):
    """A quarter of it has never been used."""
    done = re.search(r"^Done: .*$", text, re.M).group()
    print("# " + done)
    used, size = map(int, re.search(r"stack (\d+) of (\d+) bytes", done).groups())
    check(0 < used <= size * 3 // 4, f"{used} of {size} bytes of stack were used")


# ---- The tests -------------------------------------------------------------------------------------------------------

def same_ek(field, board, where):
    text = board.go("ek")
    check(f"EK: {where}\n" in text, text)
    public = hex_after("TPM2B_PUBLIC:", text)
    same(public, read_file(field.device.path("ek.pub")), "EK_pub, as tpm2_createek has it")
    same(hex_after("Name:", text), read_file(field.device.path("ek.name")), "Name, as tpm2_readpublic has it")
    same(hex_after("Name:", text), b"\0\x0b" + hashlib.sha256(public[2:]).digest(), "Name")
    check(f"Registration ID: {field.id}\n" in text, f"{field.id} is not in\n{text}")
    stack_suffices(text)


def test_ek_derived():
    """ek: the EK of tpm2_createek, its Name and the registration ID, derived as no EK is persistent"""
    field = Field()
    field.reference()
    with field.board() as board:
        same_ek(field, board, "derived from the TPM's seed")


def test_unseal():
    """unseal: what dps-device has sealed, with the derived SRK; it stands nowhere else in memory, nor on the bus"""
    field = Field()
    secret = random.randbytes(SEALED_MAX)
    blob = field.seal(secret)
    with field.board() as board:
        board.write(SEED, b"known to nobody on the bus......")
        text, got = board.unseal(blob, f"{SEED:x}", "20")
        same(got, secret, "what was unsealed")
        check("SRK: derived from the TPM's seed\n" in text and f"Unsealed {SEALED_MAX} bytes to 0x{TO:08x}\n" in text,
              text)
        check("Without a SEED" not in text, text)
        stack_suffices(text)
        ram = board.ram[:]
        for at in (0, 32, 64, 96):
            same(ram.count(secret[at:at + 32]), 1, f"copies in memory of the secret from {at}")
            check(secret[at:at + 32] not in b"".join(board.heard), "the secret crossed the bus")
        check(blob[2:34] in b"".join(board.heard), "the bus was not heard")


def test_short():
    """unseal: a shorter secret, without a SEED: the rest is zero, and it says what that means; a script can go on"""
    field = Field()
    blob = field.seal(b"disk key")
    with field.board() as board:
        text, got = board.unseal(blob)
        same(got, b"disk key".ljust(SEALED_MAX, b"\0"), "what was unsealed")
        check("Without a SEED who listens on the TPM's bus can" in text, text)
        line = f"bootm start {IMAGE:x}; bootm loados; bootm go - unseal {BLOB:x} %x {TO:x}; " \
               f"if itest.l *{STATUS:x} == 0; then echo BO''OT; else echo ST''OP; fi"
        check("\nBOOT\n" in board.command(line % len(blob)), board.said)
        check("\nSTOP\n" in board.command(line % (len(blob) - 1)), board.said)


def test_page():
    """the lines of port/PORTING.md; without the application they do not say that it has unsealed"""
    with open("port/PORTING.md", encoding="utf-8") as page:
        lines = re.findall("^=> (.*)$", page.read(), re.M)
    field = Field()
    secret = random.randbytes(78)
    blob = field.seal(secret)
    same(f"{len(blob):x}", "fe", "the length of the page's blob")
    with field.board() as board:
        board.write(BLOB, blob)
        for at in (IMAGE + 0x100000, IMAGE):  # nothing is there; and then the application
            said = "".join(board.command(line.replace(f"{IMAGE:x}", f"{at:x}")) for line in lines)
            same("\nunsealed\n" in said, at == IMAGE, said)
        same(board.memory(TO, len(secret)), secret, "what was unsealed")
        board.write(IMAGE, b"broken on its way")
        said = "".join(board.command(line) for line in lines)
        check("\nunsealed\n" not in said, said)


def test_cold():
    """a TPM that nobody has started is started"""
    field = Field()
    blob = field.seal(b"disk key")
    with ColdBoard(field.device) as board:
        same(board.unseal(blob)[1][:8], b"disk key", "what was unsealed")


def test_beside_u_boot():
    """U-Boot's own tpm2 commands work before and after it"""
    field = Field()
    with field.board() as board:
        check("Error" not in board.command("tpm2 init"), board.said)
        check("Error" not in board.command("tpm2 startup TPM2_SU_CLEAR"), board.said)
        board.go("ek")
        check("open" in board.command("tpm2 info"), board.said)
        check("Property 0x0000010d" in board.command(f"tpm2 get_capability 0x6 0x10d {TO:#x} 1"), board.said)
        board.go("ek")


def test_answer_changed():
    """a command or an answer that was changed on the bus is refused, and nothing is written"""
    field = Field()
    blob = field.seal(b"secret of the device")
    with field.board() as board:
        for at in (20, 40, 70, 80):  # the encrypted data, the TPM's nonce, the attributes, the HMAC
            board.changes = UNSEAL, at
            text, got = board.unseal(blob, status=TPM)
            check("Error: the TPM's answer was changed on its way" in text, text)
            same(got, bytes(SEALED_MAX), "what was written")
        board.changes = None
        # Handle, nonce and HMAC of the session, and the object.
        for at in (10, 20, 30, -1):
            board.changed_commands = {UNSEAL: at % 91}
            text, got = board.unseal(blob, status=TPM)
            check("or the command was changed on its way" in text or at in (10, 20), text)
            same(got, bytes(SEALED_MAX), "what was written")
        board.changed_commands = {}
        same(board.unseal(blob)[1][:20], b"secret of the device", "what was unsealed")


def test_blob_changed():
    """a blob with one bit changed is refused, wherever it is"""
    field = Field()
    dice = random.Random(seed())
    blob = field.seal(b"secret of the device")
    field.persist()
    private_end = private_size(blob)
    with field.board() as board:
        for at in [2, 4, private_end - 1, *(dice.randrange(len(blob)) for _ in range(24))]:
            changed = bytearray(blob)
            changed[at] ^= 1 << dice.randrange(8)
            text, got = board.unseal(bytes(changed), status=None)
            same(got, bytes(SEALED_MAX), f"what was written, byte {at} changed")
            # After the size fields of the private half: its HMAC, and what that is over.
            if 4 <= at < private_end:
                check(CHANGED in text, f"byte {at} changed:\n{text}")
        same(board.unseal(blob)[1][:20], b"secret of the device", "what was unsealed")


def test_persistent():
    """persistent keys are used: the same EK, and what tpm2-tools have sealed"""
    field = Field()
    field.reference()
    field.persist()
    blob = field.seal_with_tools(b"sealed by tpm2-tools")
    with field.board() as board:
        same_ek(field, board, "persistent, at 0x81010001")
        text, got = board.unseal(blob)
        check("SRK: persistent, at 0x81000001\n" in text, text)
        same(got.rstrip(b"\0"), b"sealed by tpm2-tools", "what was unsealed")


def test_refused():
    """what cannot be unsealed is refused with a sentence"""
    field = Field()
    field.persist()
    blob = field.seal_with_tools(b"good")
    password = field.seal_with_tools(b"with a password", "-p password")
    field.tools("tpm2_startauthsession -S s.ctx; tpm2_policypcr -Q -S s.ctx -l sha256:7 -L policy")
    policy = field.seal_with_tools(b"with a policy", "-L policy -a 'fixedtpm|fixedparent'")
    cases = (
        ("what is sealed has a password", TPM, password, None),
        ("what is sealed opens under a policy only", STORAGE, policy, None),
        ("there is no sealed blob of this length", STORAGE, blob, len(blob) - 1),
        ("there is no sealed blob of this length", STORAGE, blob, len(blob) + 1),
        ("there is no sealed blob of this length", STORAGE, blob, 0),
        ("there is no sealed blob of this length", STORAGE, public_of(blob), None),
        ("the blob is longer than any", STORAGE, b"\x02\x58" + bytes(600) + public_of(blob), None),
    )
    with field.board() as board:
        for words, status, given, length in cases:
            text, got = board.unseal(given, status=status, length=length)
            check(f"Error: {words}" in text, f"{words!r} is not in\n{text}")
            same(got, bytes(SEALED_MAX), "what was written")
        board.write(BLOB, blob)
        board.write(BLANK, b"\xff" * 32)
        # Of arguments, nothing is touched.
        for words in ("", "help", "ek 1", f"unseal {BLOB:x}", f"unseal {BLOB:x} 10", f"unseal {BLOB:x} ten {TO:x}",
                      f"unseal {APPLICATION:x} 10 {TO:x}", f"unseal {BLOB:x} 10 {APPLICATION + 0x100:x}",
                      f"unseal {BLOB:x} 10 {APPLICATION - 1:x}", f"unseal {BLOB:x} ffffffff {TO:x}",
                      f"unseal {BLOB:x} 10 142200000", f"unseal {BLOB:x} 10 {TO:x} {SEED:x}",
                      f"unseal {BLOB:x} 10 {TO:x} {SEED:x} f", f"unseal {BLOB:x} {len(blob):x} {BLOB:x}",
                      f"unseal {BLOB:x} {len(blob):x} {BLOB + len(blob) - 1:x}",
                      f"unseal {BLOB:x} {len(blob):x} {BLOB - SEALED_MAX + 1:x}",
                      f"unseal {BLOB:x} {len(blob):x} {TO:x} {BLANK:x} 20"):
            check("Error: usage: ek | unseal BLOB" in board.go(words, status=USAGE), words)
        same(board.memory(BLOB, len(blob)), blob, "the blob after all this")
        same(board.unseal(blob)[1][:4], b"good", "what was unsealed after all this")
        # Right before the blob, and right after.
        for to in (BLOB - SEALED_MAX, BLOB + len(blob)):
            board.go(f"unseal {BLOB:x} {len(blob):x} {to:x}")
            same(board.memory(to, 4), b"good", "what was unsealed beside the blob")


def test_another_owner():
    """after TPM2_Clear: the same EK, and what the old owner sealed is lost"""
    field = Field()
    field.reference()
    blob = field.seal(b"of the old owner")
    field.device.run("clear", "--yes")
    with field.board() as board:
        same_ek(field, board, "derived from the TPM's seed")
        text, got = board.unseal(blob, status=TPM)
        check(CHANGED in text, text)
        same(got, bytes(SEALED_MAX), "what was written")


def test_owner_password():
    """with an owner password and no persistent SRK it says what to do"""
    field = Field()
    blob = field.seal(b"secret")
    field.device.run("own", "--new-owner-auth-file", field.device.secret("owner", "owner's password"))
    with field.board() as board:
        text, _ = board.unseal(blob, status=TPM)
        check("Error: deriving this key needs a password: make the key persistent (dps-device own --persist) (command "
              "0x00000131, response code 0x000009a2)." in text, text)
