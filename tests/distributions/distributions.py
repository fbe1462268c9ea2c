# SPDX-License-Identifier: MIT
"""Runs a command on the source of make dist in a new system of each distribution, as a user without rights.

    python3 tests/distributions/distributions.py BUILD MIRROR COMMAND MINUTES NAME...    from the root of the tree

A system is made by mmdebstrap, with the packages that tests/setup.sh names; it is kept as an archive, which is unpacked
for each run. All this is in namespaces of its own, whose mounts and processes end with their first process."""
import glob
import hashlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import urllib.request

BUILD, MIRROR, COMMAND, MINUTES = sys.argv[1:5]
HERE = os.path.join(BUILD, "distributions")
SOURCE = os.path.join(BUILD, f"tpm-dps-{pathlib.Path('VERSION').read_text(encoding='ascii').strip()}.tar.gz")
MAKING_MINUTES = 60
DAYS = 7  # Debian moves on: what is older is made anew
SHOWN = 60  # seconds between two lines that say how far it is

# What runs in them ends with this process, however that ends.
NAMESPACES = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child"]
if os.geteuid() != 0:
    NAMESPACES += ["--map-root-user", "--map-auto"]
USER = "tester"
# What README.md asks for; what every installed system has; a user; and the packages of make check. A mirror that stands
# still will do, such as snapshot.debian.org: signatures must be right, but may be of long ago.
SYSTEM = ["mmdebstrap", "--mode=root", "--variant=minbase", "--include=gcc,git,make",
          "--aptopt=Acquire::Languages \"none\"", "--aptopt=Acquire::Check-Valid-Until \"false\"",
          "--customize-hook=echo '127.0.0.1 localhost' >\"$1/etc/hosts\"",
          f"--customize-hook=chroot \"$1\" useradd --create-home {USER}",
          "--customize-hook=upload tests/setup.sh /root/setup.sh",
          "--customize-hook=chroot \"$1\" env DEPS=yes sh /root/setup.sh build check"]
UNPACK = """
tar -xf "$2" -C "$1" --exclude='./dev/*'
tar -xf "$3" -C "$1/home/$4" --strip-components=1
chroot "$1" chown -R "$4:" "/home/$4"
"""
ENTER = """
mount --rbind /dev "$1/dev"
mount -t tmpfs tmpfs "$1/dev/shm"
mount -t proc proc "$1/proc"
chroot "$1" runuser --login "$2" --command "$3"
"""
# chroot is where a user's PATH may not lead.
os.environ["PATH"] += ":/usr/sbin:/sbin"
VERSIONS = {"gcc": "gcc", "clang": "clang", "OpenSSL": "openssl", "libtpms": "libtpms-dev", "swtpm": "swtpm",
            "tpm2-tss": "libtss2-dev", "Python": "python3"}


class Failed(Exception):
    """Why there is no result of a distribution."""


def end(process):
    """Kill the namespaces' first process. The one that waits for it ends when nothing is left in them."""
    with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as f:
        first = f.read().split()
    for pid in first or [process.pid]:
        os.kill(int(pid), signal.SIGKILL)
    process.wait()


class Distribution:
    def __init__(self, name):
        self.name = name
        self.root, self.log = os.path.join(HERE, name), os.path.join(HERE, name + ".log")
        self.begin, self.result = None, {}
        with open("tests/setup.sh", "rb") as f:
            made_from = hashlib.sha256(repr((SYSTEM, MIRROR)).encode() + f.read()).hexdigest()[:12]
        self.archive = os.path.join(HERE, f"{name}-{made_from}.tar.zst")
        self.new = os.path.join(HERE, name + ".tar.zst")

    def say(self, text):
        print(f"{self.name}: {text}", flush=True)

    def minutes(self):
        return (time.monotonic() - self.begin) / 60

    def last_line(self):
        with open(self.log, "rb") as f:
            f.seek(max(0, os.path.getsize(self.log) - 4096))
            return f.read().strip().split(b"\n")[-1].decode(errors="replace")[:100]

    def run(self, command, limit, **variables):
        """In namespaces, its output into the log. Returns: its exit status; None: none after limit minutes."""
        with open(self.log, "ab") as log:
            process = subprocess.Popen(NAMESPACES + command, stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=subprocess.STDOUT, env={**os.environ, **variables})
        begin = time.monotonic()
        try:
            while time.monotonic() - begin < 60 * limit:
                try:
                    return process.wait(SHOWN)
                except subprocess.TimeoutExpired:
                    self.say(f"{self.minutes():.0f} minutes: {self.last_line()}")
            return None
        finally:
            if process.poll() is None:
                end(process)

    def shell(self, lines, limit, *words):
        return self.run(["sh", "-ec", lines, "sh", self.root, *words], limit)

    def anew(self):
        """Begin with an empty directory."""
        self.remove()
        os.mkdir(self.root)

    def remove(self):
        """Its directory, where others than this user own files; and what is not yet an archive."""
        subprocess.run(NAMESPACES + ["rm", "-rf", "--one-file-system", self.root, self.new], check=True)

    # ---- The system --------------------------------------------------------------------------------------------------

    def archives(self):
        return glob.glob(os.path.join(glob.escape(HERE), f"{self.name}-*.tar.zst"))

    def why_none(self):
        """Returns: why no archive can be used; None if one can."""
        if not os.path.exists(self.archive):
            return "the one that is kept was made otherwise" if self.archives() else "none is kept"
        days = (time.time() - os.path.getmtime(self.archive)) / 86400
        if days > DAYS:
            return f"the one that is kept is {days:.0f} days old"
        if subprocess.run(["zstd", "-qq", "--test", self.archive], check=False).returncode != 0:
            return "the one that is kept is damaged"
        return None

    def make(self):
        release = f"{MIRROR}/dists/{self.name}/InRelease"
        try:
            urllib.request.urlopen(release, timeout=60).close()
        except (OSError, ValueError) as error:
            raise Failed(f"{release} cannot be read ({error}); MIRROR=http://... names another mirror") from error
        for archive in self.archives():
            os.unlink(archive)
        self.anew()
        if self.run(SYSTEM + [self.name, self.new, MIRROR], MAKING_MINUTES, TMPDIR=os.path.abspath(self.root)) != 0:
            raise Failed(f"no system could be made; see {self.log}")
        os.rename(self.new, self.archive)  # now that it is whole

    # ---- The run -----------------------------------------------------------------------------------------------------

    def try_it(self):
        self.begin = time.monotonic()
        open(self.log, "w", encoding="utf-8").close()
        reason = self.why_none()
        self.say(f"makes a system, for {reason}" if reason else f"uses the system that is kept, {self.archive}")
        if reason:
            self.make()
        self.anew()
        if self.shell(UNPACK, MAKING_MINUTES, self.archive, SOURCE, USER) != 0:
            raise Failed(f"the system could not be unpacked; see {self.log}")
        self.result["Debian"] = self.read("etc/debian_version")
        for column, package in VERSIONS.items():
            self.result[column] = self.version(package)
        self.say(f"runs {COMMAND}")
        self.begin = time.monotonic()
        status = self.shell(ENTER, float(MINUTES), USER, COMMAND)
        self.count()
        self.result["minutes"] = f"{self.minutes():.0f}"
        if status != 0:
            how = f"had no end after {MINUTES} minutes" if status is None else f"ended with {status}"
            raise Failed(f"{COMMAND} {how}; see {self.log}")

    def read(self, path):
        with open(os.path.join(self.root, path), encoding="utf-8") as f:
            return f.read().strip()

    def version(self, package):
        """Of what its authors have released: without Debian's epoch and revision."""
        said = subprocess.run(["dpkg-query", f"--admindir={self.root}/var/lib/dpkg", "-W", "-f", "${Version}", package],
                              check=True, stdout=subprocess.PIPE, text=True).stdout
        return re.match(r"(?:\d+:)?([0-9.]*[0-9])", said).group(1)

    def count(self):
        """What prove has said of the test programs."""
        with open(self.log, encoding="utf-8", errors="replace") as f:
            said = f.read()
        skipped = re.findall(r"(\S+) \.+ (skipped: .*)", said)
        failed = re.findall(r"^(\S+) +\(Wstat: .*", said, re.M)
        total = sum(int(files) for files in re.findall(r"^Files=(\d+),", said, re.M))
        self.result.update(passed=str(total - len(failed) - len(skipped)) if total else "none was run",
                           failed=str(len(failed)), skipped=str(len(skipped)))
        for test, why in skipped:
            self.say(f"{test} {why}")
        for test in failed:
            self.say(f"{test} FAILED")


def table(distributions):
    columns = ["Debian", *VERSIONS, "passed", "failed", "skipped", "minutes"]
    yield "| | " + " | ".join(columns) + " |"
    yield "|---" * (len(columns) + 1) + "|"
    for d in distributions:
        yield f"| {d.name} | " + " | ".join(d.result.get(column, "") for column in columns) + " |"


def ended(number, _):
    """By a signal: everything is put in order, once."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    sys.exit(128 + number)


def main(names):
    if subprocess.run(NAMESPACES + ["true"], check=False).returncode != 0:
        sys.exit("make check-distributions needs root, or namespaces for users: a kernel that allows them, and a line\n"
                 "for this user in each of /etc/subuid and /etc/subgid.")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ended)
    os.makedirs(HERE, exist_ok=True)
    distributions = [Distribution(name) for name in names]
    failed = False
    for d in distributions:
        try:
            d.try_it()
            d.say("passed")
        except Failed as error:
            failed = True
            d.say(f"FAILED: {error}")
        finally:
            d.remove()
    print(time.strftime("%Y-%m-%d, test programs:"), *table(distributions), sep="\n")
    return failed


sys.exit(main(sys.argv[5:]))
