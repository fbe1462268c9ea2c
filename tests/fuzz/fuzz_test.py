# SPDX-License-Identifier: MIT
"""Every fuzz harness replays its corpus under the sanitizers, and then looks a moment further."""
import pathlib
import shutil
from functools import partial

import run
from tap import Programs, check, note

JOBS = 2
SECONDS = 2
SIZE_MAX = 300 * 1024
BUILD = pathlib.Path(Programs.path("fuzz"))
FOUND = BUILD / "found-by-test"


def fuzz(name):
    result = run.fuzz(BUILD, name, SECONDS, FOUND / name)
    note(result.summary())
    if result.failed:
        yield from run.tell(result)


def tests():
    names = sorted(path.stem[len("fuzz_"):] for path in pathlib.Path("tests/fuzz").glob("fuzz_*.c"))
    # What earlier runs have found does not count: the test starts from the tree.
    shutil.rmtree(FOUND, ignore_errors=True)
    run.seed(BUILD, names)
    for name in names:
        yield name, partial(fuzz, name)


def test_corpora():
    """the corpora in the tree are small"""
    size = sum(path.stat().st_size for path in run.corpus.DIRECTORY.iterdir())
    note(f"{size} bytes")
    check(size <= SIZE_MAX, f"{size} bytes, wanted {SIZE_MAX} at most")
