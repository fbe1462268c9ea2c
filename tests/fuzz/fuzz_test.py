# SPDX-License-Identifier: MIT
"""Every fuzz harness replays its corpus under the sanitizers, and then fuzzes for a moment: 2 seconds each, two at
a time. TAP, one test per harness.

Usage: tests/fuzz/fuzz_test.py BUILD     from the root of the tree, after make fuzz-programs
"""
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import run  # noqa: E402

SECONDS = 2
SIZE_MAX = 300 * 1024


def main():
    build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build") / "fuzz"
    names = sorted(path.stem[len("fuzz_"):] for path in pathlib.Path("tests/fuzz").glob("fuzz_*.c"))
    print(f"1..{len(names) + 1}", flush=True)
    size = sum(path.stat().st_size for path in run.corpus.DIRECTORY.iterdir())
    failed = size > SIZE_MAX
    print(f"{'not ok' if failed else 'ok'} 1 - the corpora in the tree are small: {size} bytes")
    # What earlier runs have found does not count: the test starts from the tree.
    shutil.rmtree(build / "found-by-test", ignore_errors=True)
    for number, result in enumerate(run.fuzz_all(build, names, SECONDS, 2, build / "found-by-test"), 2):
        failed |= result.failed
        print(f"{'not ok' if result.failed else 'ok'} {number} - {result.name}: {result.summary()}", flush=True)
        for line in run.tell(result) if result.failed else ():
            print(f"# {line}")
    return 1 if failed else 0


sys.exit(main())
