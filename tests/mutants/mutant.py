# SPDX-License-Identifier: MIT
"""A mutant: one of our programs with a mistake in it, as a patch whose head says what it does wrong and which cases of
dps-conformance must find it. device/host-name.patch is the mutant device-host-name."""

import os
import pathlib
import re
import shutil
import subprocess
from typing import NamedTuple

from tap import check

HERE = pathlib.Path(__file__).resolve().parent


class Mutant(NamedTuple):
    id: str
    patch: pathlib.Path
    breaks: str       # what it does wrong, in words
    file: str         # the one that is changed
    found_by: list    # cases, each of which must fail
    still_right: str  # a case that must pass all the same; empty: the suite's usual one

    def write(self, directory):
        """The file with the mistake, in this directory."""
        place = os.path.join(directory, self.file)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        shutil.copy(self.file, place)
        done = subprocess.run(["patch", "--strip=1", "--force", "--no-backup-if-mismatch", "--reject-file=-",
                               f"--directory={directory}", f"--input={self.patch}"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        check(done.returncode == 0, f"{self.id} must follow the source: its patch does not apply\n{done.stdout}")


def read(path):
    text = path.read_text(encoding="utf-8")
    head, files = text.split("\n--- ")[0], re.findall(r"^\+\+\+ b/(\S+)", text, re.M)
    found_by, still_right = (re.search(rf"^{name}: (.+)$", head, re.M) for name in ("Found by", "Still right"))
    check(found_by and len(files) == 1, f"{path}: its head names no case, or it changes not one file but {files}")
    return Mutant(f"{path.parent.name}-{path.stem}", path, head.splitlines()[0], files[0], found_by.group(1).split(),
                  still_right.group(1) if still_right else "")


def read_all(kind):
    return [read(path) for path in sorted((HERE / kind).glob("*.patch"))]
