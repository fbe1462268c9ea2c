# SPDX-License-Identifier: MIT
"""The blocks of packaging/PACKAGING.md, shells that run them, and what the page installs."""
import os
import pathlib
import re
import subprocess

from harness import write_file
from tap import Programs, check

PAGE = "packaging/PACKAGING.md"
ROOT = os.getcwd()


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def block(kind, name):
    """What follows <!-- run: NAME --> or <!-- file: NAME --> on the page."""
    found = re.findall(rf"<!-- {kind}: {re.escape(name)} -->\n```\w+\n(.*?)^```", read(PAGE), re.M | re.S)
    check(len(found) == 1, f"{PAGE} has {len(found)} blocks {kind}: {name}")
    return found[0]


def write_files(directory, *names):
    for name in names:
        write_file(os.path.join(directory, name), block("file", name), 0o644)


def shell(lines, directory, **variables):
    """Run lines. Returns: what they print."""
    # What prove or make has set for itself is not for a make of these lines.
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "BUILD")}
    done = subprocess.run(["sh", "-ec", lines], cwd=directory, env={**environment, **variables}, timeout=1500,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    check(done.returncode == 0, f"{lines}\n{done.stdout[-4000:]}")
    return done.stdout


def files_below(directory):
    return sorted(str(p.relative_to(directory)) for p in pathlib.Path(directory).rglob("*") if not p.is_dir())


class Installed:
    """The page's installation."""

    def __init__(self):
        self.home = Programs.directory()
        self.prefix = os.path.join(self.home, "tpm-dps")
        self.make(block("run", "install"))

    def make(self, lines):
        return shell(lines, ROOT, BUILD=Programs.build, HOME=self.home)

    def path(self, *names):
        return os.path.join(self.prefix, *names)

    def place(self):
        """A directory with the page's files."""
        directory = Programs.directory()
        write_files(directory, "ek.c", "CMakeLists.txt")
        return directory
