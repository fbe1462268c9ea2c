# SPDX-License-Identifier: MIT
"""Linux's own drivers between our programs and a TPM, by both of its devices: /dev/tpm0, which one program may have,
and /dev/tpmrm0, behind the kernel's resource manager, with other programs at work.

Needs qemu-system-x86, swtpm and what fetch.sh brings."""

import os
import re

from guest import HOST, Guest
from harness import Bench, write_file
from server_harness import SCOPE
from tap import check, note, same

TPM = 3  # exit code
DEVICES = ("/dev/tpm0", "/dev/tpmrm0")
INTERFACES = {"tis": ("tpm-tis", "tpm_tis"), "crb": ("tpm-crb", "tpm_crb")}  # QEMU's name, the driver's
NOTHING = "0 objects, 0 sessions; 0 sessions saved outside"
PASSWORDS = ("--owner-auth-file", "owner", "--endorsement-auth-file", "endorsement")

# TPM2_StartAuthSession, a policy session without a key.
START_SESSION = bytes.fromhex("8001 0000002b 00000176 40000007 40000007 0010" + "11" * 16 + "0000 01 0010 000b")
SAVE_CONTEXT = bytes.fromhex("8001 0000000e 00000162")  # and the handle
# TPM2_HashSequenceStart: an object that needs no key.
START_SEQUENCE = bytes.fromhex("8001 0000000e 00000186 0000 000b")
# A program that is not ours: it begins as many sessions as it is told, saves the last one's context if it has a third
# argument, and stays until its standard input ends. It prints the response codes.
HOLDER = """
exec 4<>$1
ask() { cat $1 >&4; dd bs=4096 count=1 <&4 >response.$$ 2>/dev/null; }
for i in $(seq $2); do
    ask start-session
    echo $(tail -c +7 response.$$ | head -c 4 | hexdump -v -e '1/1 "%02x"')
done
[ -z "$3" ] || { (cat save-context; tail -c +11 response.$$ | head -c 4) >command; ask command; }
read -r _
true
"""


class Kernel:
    """One machine and a service that it reaches: the tests tell their story, one after the other."""

    def __init__(self, kind):
        self.interface, self.driver = INTERFACES[kind]
        self.bench, self.guest, self.enrolled = None, None, set()

    def start(self):
        if self.guest is None:
            self.bench, self.guest = Bench(), Guest(self.interface)
            self.guest.write("ca.pem", open(self.bench.path("ca.pem"), "rb").read())
            self.guest.write("start-session", START_SESSION)
            self.guest.write("save-context", SAVE_CONTEXT)
            self.guest.write("start-sequence", START_SEQUENCE)
            self.guest.write("holder", HOLDER)
            for name in ("owner", "endorsement", "secret"):
                self.guest.write(name, "the " + name + "'s")
        return self.guest

    def device(self, tpm, *arguments, **expected):
        return self.start().run("dps-device", "--quiet", "--tpm", tpm, *arguments, **expected)

    def sh(self, script, **expected):
        return self.start().sh(script, **expected)

    def empty(self, what):
        """Nothing is loaded, and no session is active, even saved outside."""
        told = self.device("/dev/tpm0", "info")
        same(told.field("Loaded"), NOTHING, what)
        check(told.field("Sessions").startswith("0 active"), told.out)

    def enroll(self, tpm, name):
        if name not in self.enrolled:
            self.enrolled.add(name)
            ek = write_file(os.path.join(self.guest.dir, "ek.txt"), self.device(tpm, "ek", "--format", "base64").bytes)
            self.bench.admin("enroll", name, "--ek", ek)

    def reach(self):
        return ("--ca", "ca.pem", "--connect-to", f"{HOST}:{self.bench.service.tls_port}")

    def register(self, tpm, name, *options, state="state"):
        """The command line of a registration."""
        return ("dps-device", "--quiet", "--tpm", tpm, "register", "--service", self.bench.at(), *self.reach(),
                "--scope", SCOPE, "--id", name, "--state", state, *options)

    # ---- Alone ----

    def boots(self):
        """The kernel's driver has found the TPM, both devices are there, and nothing is loaded."""
        self.start()
        driver = self.sh("basename $(readlink /sys/class/tpm/tpm0/device/driver)").out.strip()
        same(driver, self.driver, "driver")
        note(f"{self.sh('uname -r').out.strip()}, {driver}")
        for tpm in DEVICES:
            same(self.device(tpm, "info").field("TPM"), tpm, "name of the TPM")
        self.empty("after the boot")

    def flow(self, tpm):
        """Every command of dps-device: without passwords, with them (two sessions at once), with the hardened SRK."""
        name = os.path.basename(tpm)
        self.start()
        self.enroll(tpm, name)
        for options in ((), ("--srk", "hardened"), (*PASSWORDS, "--srk", "hardened"), PASSWORDS):
            if "owner" in options and self.device(tpm, "info").field("Authorization").startswith("owner empty"):
                self.device(tpm, "own", "--new-owner-auth-file", "owner", "--new-endorsement-auth-file", "endorsement")
            self.guest.run(*self.register(tpm, name, *options))
            passwords = [x for x in options if x not in ("--srk", "hardened")]
            self.device(tpm, "send", "--state", "state", *self.reach(), "--message", "{}", *passwords)
            token = self.device(tpm, "token", "--state", "state", *passwords)
            check(token.out.startswith("SharedAccessSignature "), token.out)
            self.empty(f"after a registration with {options}")
        self.device(tpm, "seal", "--in", "secret", "--out", "sealed", *PASSWORDS)
        same(self.device(tpm, "unseal", "--in", "sealed", *PASSWORDS).out, "the secret's", "what was sealed")
        self.device(tpm, "own", "--persist", *PASSWORDS)
        self.guest.run(*self.register(tpm, name, *PASSWORDS))
        self.device(tpm, "flush")
        self.device(tpm, "clear", "--yes")
        self.device(tpm, "token", "--state", "state", status=TPM, says="register again")
        self.empty("after all commands")

    def suite(self, tpm):
        """No case fails, and none is skipped for what another one would have had to show."""
        done = self.start().run("dps-conformance", "--tpm", tpm, "--destructive", status=None)
        summary = done.err.strip().splitlines()[-1]
        note(summary)
        same(done.code, 0, f"exit code: {summary}\n{done.out}")
        by_manager = re.findall(r"said by the resource manager|refused by the kernel's resource manager", done.out)
        check(bool(by_manager) == ("rm" in tpm), f"answers of the resource manager: {by_manager}")
        self.empty("after the suite")

    # ---- What does not open ----

    def busy(self):
        """The message names the other device, which works meanwhile."""
        self.start()
        self.sh("exec 4<>/dev/tpm0; dps-device --tpm /dev/tpm0 info", status=TPM,
                says=("/dev/tpm0: another program has it open", "What to do: use /dev/tpmrm0"))
        self.sh("exec 4<>/dev/tpm0; dps-device --tpm /dev/tpmrm0 info")
        self.sh("mv /dev/tpmrm0 /dev/away; exec 4<>/dev/tpm0; dps-device --tpm /dev/tpm0 info; code=$?; "
                "mv /dev/away /dev/tpmrm0; exit $code", status=TPM, says="What to do: end the program that has it open")

    def permission(self):
        """The message says what this user can do about this device."""
        self.start()
        for tpm, before, says in (
                ("/dev/tpm0", "chmod 666 /dev/tpmrm0", "use /dev/tpmrm0, which this user may open"),
                ("/dev/tpmrm0", "chmod 660 /dev/tpmrm0; chown :tss /dev/tpmrm0", "`usermod -aG tss USER`"),
                ("/dev/tpmrm0", "chmod 600 /dev/tpmrm0; chown :root /dev/tpmrm0", "run this as root, or let a group")):
            self.sh(f"{before}; su somebody -c 'dps-device --tpm {tpm} info'", status=TPM,
                    says=(f"cannot reach the TPM {tpm}: Permission denied", "What to do: ", says))

    # ---- Others at work ----

    def hold(self, tpm, sessions, holders, script, **expected):
        """The script, while so many programs hold so many sessions each."""
        return self.sh(f"""
rm -f pipe; mkfifo pipe; : >holder.codes
for i in $(seq {holders}); do sh holder {tpm} {sessions} <pipe >>holder.codes & done
exec 5>pipe
while [ $(wc -l <holder.codes) -lt {sessions * holders} ]; do usleep 10000; done
({script}) 5>&-
code=$?
exec 5>&-
wait
exit $code
""", **expected)

    def leak(self, *arguments):
        """A program leaves sessions in the TPM, by the device that nobody cleans up after."""
        told = self.guest.run("sh", "holder", "/dev/tpm0", *arguments)
        same(told.out, "00000000\n" * int(arguments[0]), "response codes")

    def others(self):
        """A registration with two sessions of its own, while three programs hold two each, another one is left in a
        slot and a further one is left saved: for each command the kernel loads all that its program has, so there is
        room for two."""
        self.start()
        self.enroll("/dev/tpmrm0", "others")
        self.leak("1")
        self.leak("1", "save")
        run = " ".join(map(repr, self.register("/dev/tpmrm0", "others")))
        told = self.hold("/dev/tpmrm0", 2, 3, f"""
dps-device --tpm /dev/tpmrm0 info && dps-device --tpm /dev/tpmrm0 own --new-endorsement-auth-file endorsement &&
{run} --endorsement-auth-file endorsement""")
        same(told.field("Sessions"), "8 active of all programs, loaded or saved outside; 56 more can be", "counted")
        self.device("/dev/tpmrm0", "clear", "--yes")
        same(self.device("/dev/tpm0", "info").field("Loaded"),
             "0 objects, 1 sessions; 1 sessions saved outside: of other programs, or left by one that was killed "
             "(flush removes them)", "left by the other programs")
        self.device("/dev/tpm0", "flush")
        self.empty("after the flush")

    def full(self):
        """Other programs' sessions are in every slot: the message names the device by which they came, and its flush
        helps."""
        self.start()
        self.enroll("/dev/tpmrm0", "full")
        self.leak("3")
        self.guest.run(*self.register("/dev/tpmrm0", "full"), status=TPM,
                       says=("TPM_RC_SESSION_MEMORY", "`dps-device --tpm /dev/tpm0 flush`"))
        self.device("/dev/tpm0", "flush")
        self.guest.run(*self.register("/dev/tpmrm0", "full"))
        self.empty("after the flush and a registration")

    def displaced(self):
        """While a registration waits for the service, another program fills the slots for keys by the other device: the
        kernel cannot load the registration's any more. The message names that device, and its flush helps."""
        self.start()
        self.enroll("/dev/tpmrm0", "displaced")
        port = self.bench.service.tls_port
        run = " ".join(map(repr, self.register("/dev/tpmrm0", "displaced"))).replace(f"{HOST}:{port}", "127.0.0.1:9443")
        self.sh(f"""
rm -f gate waiting; mkfifo gate
echo 'touch waiting; read -r _ <gate; exec nc {HOST} {port}' >relay
nc -l -p 9443 -e sh relay &
while ! cat /proc/net/tcp* | grep -q ':24E3 0*:0000 0A'; do usleep 10000; done
{run} & device=$!
while [ ! -e waiting ]; do usleep 10000; done
exec 4<>/dev/tpm0
for i in 1 2 3; do cat start-sequence >&4; dd bs=4096 count=1 <&4 >/dev/null 2>&1; done
exec 4<&-
echo >gate
wait $device""", status=TPM, says=("the kernel refused TPM2_", "on /dev/tpmrm0 (Bad address): the TPM has no room",
                                   "end the program that uses /dev/tpm0", "`dps-device --tpm /dev/tpm0 flush`"))
        self.device("/dev/tpm0", "flush")
        self.guest.run(*self.register("/dev/tpmrm0", "displaced"))
        self.empty("after the flush and a registration")

    def numbers(self):
        """Sixty-four active sessions: the message does not advise what is done already; info counts them."""
        self.start()
        self.enroll("/dev/tpmrm0", "numbers")
        run = " ".join(map(repr, self.register("/dev/tpmrm0", "numbers")))
        told = self.hold("/dev/tpmrm0", 3, 22, f"dps-device --tpm /dev/tpmrm0 info; {run}", status=TPM,
                         says=("TPM_RC_SESSION_HANDLES (0x905)", "end programs that hold sessions",
                               "`fuser -v /dev/tpmrm0 /dev/tpm0`"))
        check("use the kernel's resource manager" not in told.err, told.err)
        check("64 active of all programs, loaded or saved outside; 0 more" in told.out, told.out)
        check("all the sessions that this TPM can have are active" in told.out, told.out)
        self.guest.run(*self.register("/dev/tpmrm0", "numbers"))
        self.empty("after all others have ended")

    def eight(self):
        """Eight programs at once each get a token."""
        self.start()
        self.enroll("/dev/tpmrm0", "eight")
        self.guest.run(*self.register("/dev/tpmrm0", "eight"))
        told = self.sh("""
for i in 1 2 3 4 5 6 7 8; do (dps-device --quiet --tpm /dev/tpmrm0 token --state state; echo "exit $?") & done; wait""")
        same(told.out.count("SharedAccessSignature "), 8, f"tokens\n{told.out}{told.err}")
        same(told.out.count("exit 0\n"), 8, f"that end well\n{told.out}{told.err}")
        self.empty("after eight tokens")

    def killed(self):
        """What a killed program had loaded is gone, wherever it was."""
        self.start()
        self.enroll("/dev/tpmrm0", "killed")
        run = " ".join(map(repr, self.register("/dev/tpmrm0", "killed")))
        for command in ("ReadPublic", "CreatePrimary", "StartAuthSession", "PolicySecret", "ActivateCredential",
                        "Load"):
            # It is killed once it has had an answer to this command; if it has ended before that, all is as well.
            self.sh(f"""
rm -f said; {run} --verbose 2>said & device=$!
while kill -0 $device 2>/dev/null && ! grep -q TPM2_{command} said; do usleep 1000; done
kill -9 $device; wait $device; true""")
            self.empty(f"after a kill at TPM2_{command}")
        self.guest.run(*self.register("/dev/tpmrm0", "killed"))

    def two(self):
        """Two registrations of one ID at once, with a state file each: both end well."""
        self.start()
        self.enroll("/dev/tpmrm0", "two")
        lines = [" ".join(map(repr, self.register("/dev/tpmrm0", "two", state=state))) for state in ("first", "second")]
        told = self.sh("".join(f"({line}; echo \"exit $?\") & " for line in lines) + "wait")
        same(told.out.count("exit 0\n"), 2, f"that end well\n{told.out}{told.err}")
        self.empty("after both")


def tests_of(kind):
    kernel = Kernel(kind)
    yield "both devices are there", kernel.boots
    for tpm in DEVICES:
        yield f"{tpm}: every command of dps-device", lambda tpm=tpm: kernel.flow(tpm)
        yield f"{tpm}: dps-conformance", lambda tpm=tpm: kernel.suite(tpm)
    if kind == "crb":
        yield "a device that another program has", kernel.busy
        yield "a device that this user may not open", kernel.permission
        yield "sessions of other programs", kernel.others
        yield "no slot for a session", kernel.full
        yield "keys that the kernel cannot load again", kernel.displaced
        yield "no number for a session", kernel.numbers
        yield "eight programs at once", kernel.eight
        yield "killed programs", kernel.killed
        yield "two registrations of one ID at once", kernel.two


def tests():
    for kind in INTERFACES:
        for line, test in tests_of(kind):
            yield f"{kind}: {line}", test
