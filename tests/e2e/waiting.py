# SPDX-License-Identifier: MIT
"""Waiting for what must happen; threads and processes of which a test wants to know whether they still run."""
import contextlib
import socket
import threading
import time

from tap import check

PATIENCE = 120  # seconds after which something that must happen has not happened


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        check(time.monotonic() < deadline, f"{what}: not within {PATIENCE} s")
        time.sleep(0.01)


class Threads:
    """At work while it is open (with Threads(...)); each looks at self.stop. A test that is ended does not wait."""

    def __init__(self, *works):
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=work, daemon=True) for work in works]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(300)
        check(not self.any_runs(), "somebody still waits for an answer")

    def any_runs(self):
        return any(t.is_alive() for t in self.threads)


def end_listening(listener):
    """A thread that waits in accept() ends. When the socket is only closed, it may go on with the next one that gets
    the same descriptor, and answer there."""
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def children_of(pid):
    """Of a process that has one thread; none if it has ended."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as f:
            return [int(child) for child in f.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def is_running(pid):
    """A process that has ended may still be listed until its parent asks how it ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def listens(path):
    """Whether somebody takes connections there: a socket exists a moment before it does."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
        return True
