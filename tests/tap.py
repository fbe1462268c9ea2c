# SPDX-License-Identifier: MIT
"""Runs the tests of a Python script and prints TAP: the only harness of our Python tests.

    python3 tests/tap.py SCRIPT BUILD [WORD...]     from the root; with words only tests whose line or name has one

A script imports what it needs from here, from its own folder and from e2e/, and ends without a main. Its tests are
    tests()        where there is one for each of several things: it yields pairs of a line and a function
    test_...()     in their order; the docstring is the line that is printed, or else the name
A test fails by raising, as check and same do, or by yielding lines that say what is wrong. A script may also have
    shared()       what tests with a parameter get: made once, when the first of them runs; if it can be left (with),
                   it is left at the end
    JOBS           so many tests at a time, each in another process; what such a test begins it ends itself
Of other tests Programs.cleanup is told what has to be ended."""

import concurrent.futures
import contextlib
import functools
import importlib
import inspect
import io
import multiprocessing
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import traceback
import types

HERE = os.path.dirname(os.path.abspath(__file__))


class Failed(Exception):
    """What a test has found, in words that need no trace."""


def check(condition, what):
    if not condition:
        raise Failed(what)


def same(got, wanted, what):
    check(got == wanted, f"{what}: got {got!r}, wanted {wanted!r}")


def seed():
    """What a script's random choices begin with: new each time, and printed so that the same can be made again."""
    chosen_seed = os.environ.get("SEED") or secrets.token_hex(4)
    note(f"SEED={chosen_seed} makes the same choices again")
    return chosen_seed


class Ended(BaseException):
    """SIGTERM, which tests/watch.py sends to what hangs. Nothing may be left then, either."""


def end(*_):
    raise Ended


class Programs:
    """Where the programs under test are, a directory for everything that the tests make, and what has to be ended."""

    build = None
    root = None
    cleanup = None

    @classmethod
    @contextlib.contextmanager
    def use(cls, build, prefix):
        signal.signal(signal.SIGTERM, end)
        with tempfile.TemporaryDirectory(prefix=prefix) as root, contextlib.ExitStack() as cleanup:
            cls.build, cls.root, cls.cleanup = os.path.abspath(build), root, cleanup
            yield

    @classmethod
    def path(cls, name):
        return os.path.join(cls.build, name)

    @classmethod
    def openssl(cls):
        """Whether TLS is OpenSSL's here. (The library of PostgreSQL needs libssl in any case.)"""
        needed = subprocess.run(["readelf", "--dynamic", cls.path("dps-service")], capture_output=True, text=True,
                                check=True).stdout
        return "[libssl.so" in needed

    @classmethod
    def directory(cls):
        return tempfile.mkdtemp(dir=cls.root)


# ---- Which tests there are -------------------------------------------------------------------------------------------

def line_of(function):
    return function.__doc__ or function.__name__.removeprefix("test_").replace("_", " ")


def with_shared(script):
    """A function that makes a test without a parameter of one that has one."""
    @functools.cache
    def made():
        value = script.shared()
        return Programs.cleanup.enter_context(value) if hasattr(value, "__exit__") else value

    def wants(parameter):
        return parameter.kind is parameter.POSITIONAL_OR_KEYWORD and parameter.default is parameter.empty

    def complete(test):
        alone = not any(map(wants, inspect.signature(test).parameters.values()))
        return test if alone else lambda: test(made())
    return complete


def tests_of(script):
    """Triples of a line, a name and a function."""
    complete = with_shared(script)
    for line, test in getattr(script, "tests", tuple)():
        yield line, "", complete(test)
    for name, test in list(vars(script).items()):
        if name.startswith("test_"):
            yield line_of(test), name, complete(test)


def chosen(path, words):
    """The tests of a script that have one of the words, pairs of a line and a function; how many run at a time."""
    sys.path[:0] = [os.path.dirname(os.path.abspath(path)), os.path.join(HERE, "e2e")]
    script = importlib.import_module(os.path.basename(path).removesuffix(".py"))
    found = [(line, test) for line, name, test in tests_of(script)
             if not words or any(word in line or word in name for word in words)]
    check(found, f"none of its tests has one of the words {words}" if words else "it has no tests")
    return found, getattr(script, "JOBS", 1)


# ---- TAP -------------------------------------------------------------------------------------------------------------

def note(text):
    for line in text.strip().splitlines():
        print("#", line, flush=True)


def why(error):
    return str(error) if isinstance(error, Failed) else "".join(traceback.format_exception(error))


def passes(test):
    try:
        found = test()
        wrong = list(found) if isinstance(found, (list, types.GeneratorType)) else []
        check(not wrong, "\n".join(wrong))
    except (Exception, SystemExit) as error:  # any surprise is a failure of this test, and the others go on
        note(why(error))
        return False
    return True


running = []  # the tests, for processes that are made meanwhile


def passes_apart(number):
    """In a process of its own: whether test `number` passes, and what it says."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        good = passes(running[number])
    return good, said.getvalue()


def results(jobs):
    if jobs == 1:
        yield from map(passes, running)
        return
    with concurrent.futures.ProcessPoolExecutor(jobs, multiprocessing.get_context("fork")) as pool:
        for good, said in pool.map(passes_apart, range(len(running))):
            print(said, end="")
            yield good


def run(tests, jobs=1):
    """Run pairs of a line and a function. Returns the exit status."""
    running[:] = [test for _, test in tests]
    print(f"1..{len(tests)}", flush=True)
    failures = 0
    for number, ((line, _), good) in enumerate(zip(tests, results(jobs)), 1):
        failures += not good
        print(f"{'ok' if good else 'not ok'} {number} - {' '.join(line.split())}", flush=True)
    return 1 if failures else 0


def main(path, build, *words):
    try:
        with Programs.use(build, os.path.basename(path).removesuffix(".py") + "-"):
            return run(*chosen(path, words))
    except (Exception, SystemExit, Ended) as error:  # before the tests, after them, or in the middle of all
        note(f"{path} has not come to a good end:\n{why(error)}")
        return 1


if __name__ == "__main__":
    sys.dont_write_bytecode = True  # this is a source tree
    # Under its own name, so that scripts which import it get this module and no second one.
    sys.exit(importlib.import_module("tap").main(*sys.argv[1:]))
