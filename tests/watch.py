# SPDX-License-Identifier: MIT
"""Runs one test. A test that hangs is ended, and has failed; so has one that leaves a process behind.

    python3 tests/watch.py SECONDS COMMAND..."""
import ctypes
import os
import signal
import subprocess
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
ENDING = 60  # seconds for processes that the test has told to end, and has not waited for


def children():
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as f:
        return [int(pid) for pid in f.read().split()]


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def reap():
    """Collect those that have ended. Returns: those that have not."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        return []
    return children()


def wait_for_end(seconds):
    deadline = time.monotonic() + seconds
    while reap() and time.monotonic() < deadline:
        time.sleep(0.01)
    return reap()


def end_all(pids):
    """Also their own children, which then become ours."""
    while pids:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        pids = wait_for_end(ENDING)


def run(seconds, command):
    """Returns: the exit status of the test, None if it hung."""
    test = subprocess.Popen(command)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: test.send_signal(number))
    try:
        return test.wait(seconds)
    except subprocess.TimeoutExpired:
        print(f"# no end after {seconds} s", file=sys.stderr)
        test.terminate()
    try:
        test.wait(ENDING)
    except subprocess.TimeoutExpired:
        test.kill()
        test.wait()
    return None


def main():
    # A process that loses its parent, such as a daemon, becomes a child of this process.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    status = run(float(sys.argv[1]), sys.argv[2:])
    left = wait_for_end(ENDING)
    for pid in left:
        print(f"# left behind: process {pid}, {command_of(pid)}", file=sys.stderr)
    end_all(left)
    return 1 if left or status is None else status if status >= 0 else 128 - status


sys.exit(main())
