# SPDX-License-Identifier: MIT
"""Runs a command a number of times while 8 processes keep the machine busy. Ends at the first run that fails.

    python3 tests/stress.py RUNS COMMAND..."""
import os
import signal
import subprocess
import sys


def main():
    runs, command = int(sys.argv[1]), sys.argv[2:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    busy = subprocess.Popen(["stress", "--cpu", "8"], stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        for run in range(1, runs + 1):
            print(f"Run {run} of {runs}, on a busy machine", flush=True)
            status = subprocess.call(command)
            if status != 0:
                return status
    finally:
        os.killpg(busy.pid, signal.SIGKILL)
        busy.wait()
    return 0


sys.exit(main())
