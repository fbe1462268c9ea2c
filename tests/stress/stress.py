# SPDX-License-Identifier: MIT
"""Runs prove a number of times while 8 processes keep the machine busy, and says what has failed in which run.

    python3 tests/stress/stress.py RUNS PROVE..."""
import os
import re
import signal
import subprocess
import sys
import time

BUSY = 8


def run(command):
    """One run, whose lines are shown as they come. Returns: the names of the tests that failed; None if all passed."""
    failed = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace") as prove:
        for line in prove.stdout:
            print(line, end="", flush=True)
            failed += re.findall(r"^(\S+) +\(Wstat: ", line)  # of prove's report at the end
    return None if prove.returncode == 0 else failed


def main():
    runs, command = int(sys.argv[1]), sys.argv[2:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    busy = subprocess.Popen(["stress", "--cpu", str(BUSY)], stdout=subprocess.DEVNULL, start_new_session=True)
    results = []
    try:
        for number in range(1, runs + 1):
            begin = time.monotonic()
            failed = run(command)
            if busy.poll() is not None:
                sys.exit("stress has ended: nothing kept the machine busy")
            result = "passed" if failed is None else "FAILED " + " ".join(failed)
            results.append(f"run {number} of {runs}, {(time.monotonic() - begin) / 60:.0f} minutes: {result}")
            print(results[-1], flush=True)
    finally:
        os.killpg(busy.pid, signal.SIGKILL)
        busy.wait()
    print(f"Beside {BUSY} busy processes:", *results, sep="\n")
    return any("FAILED" in result for result in results)


sys.exit(main())
