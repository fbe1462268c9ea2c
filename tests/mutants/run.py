# SPDX-License-Identifier: MIT
"""Proves that the conformance suite can fail: builds services and devices with one mistake each, and lets
dps-conformance judge them. A mutant is caught if each case that is named for it fails and a case that has nothing to do
with the mistake still passes. The same cases must all pass with the unchanged programs.

    python3 tests/mutants/run.py [--build DIR] [--jobs N] [ID ...]     from the root; ID: the beginning of mutants' ids

TAP on standard output, a line for each mutant; needs make, a compiler, openssl and swtpm."""

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "e2e")]

import conformance_device_test  # noqa: E402
import conformance_service_test  # noqa: E402
import device_mutants  # noqa: E402
import service_mutants  # noqa: E402
from harness import Device, Programs  # noqa: E402
from mutant import Stale  # noqa: E402
from server_harness import Service  # noqa: E402

CAUGHT = ("failed", "not met")
MUTANTS_MIN = 120  # of all tables: a mutant that disappears is noticed
IDS_MAX = 30  # that dps-conformance takes at a time, minus those that are not its own
BUILD_PATIENCE, RUN_PATIENCE = 600, 1500
# Not a case of the suite but a look into the TPM after it: what did the device leave there?
NOTHING_LOADED = "TPM-EMPTY"


class Failed(Exception):
    pass


def read_report(path):
    """id → result of a run; "not run" is not a result."""
    with open(path, encoding="utf-8") as f:
        return {case["id"]: case["result"] for case in json.load(f)["cases"]}


class ServiceSuite:
    """dps-conformance --service, with an administrator, a reader and hubs."""

    program, mutants, still_right = "dps-service", service_mutants.MUTANTS, "SVC-S09-001"

    def judge(self, programs, ids):
        Service.program = os.path.join(programs, self.program)
        conformance_service_test.program = Programs.path("dps-conformance")
        service = conformance_service_test.start("memory:")
        try:
            command = conformance_service_test.command(
                service.dir, service.tls_port, "--strict", "--timeout", "20", "--json", service.path("report.json"),
                *ids, *conformance_service_test.everything(service))
            done = subprocess.run(command, capture_output=True, timeout=RUN_PATIENCE, check=False)
            if not os.path.exists(service.path("report.json")):
                raise Failed("dps-conformance has written no report: " + done.stderr.decode(errors="replace"))
            return done.returncode, read_report(service.path("report.json"))
        finally:
            service.stop(signal.SIGKILL)


class DeviceSuite:
    """dps-conformance --device-listen, with a TPM that keeps what is left in it."""

    program, mutants, still_right = "dps-device", device_mutants.MUTANTS, "DEV-S09-002"

    def __init__(self):
        self.lab = conformance_device_test.Lab()

    def judge(self, programs, ids):
        lab = conformance_device_test.Lab.__new__(conformance_device_test.Lab)
        lab.program, lab.dir = Programs.path("dps-conformance"), Programs.directory()
        shutil.copytree(self.lab.dir, lab.dir, dirs_exist_ok=True)
        device = Device("swtpm-unix")
        try:
            device.run("own", "--persist")
            Programs.build, right = programs, Programs.build
            try:
                code, cases, _ = lab.ours(device, "--device-timeout", "30", *(i for i in ids if i != NOTHING_LOADED))
            finally:
                Programs.build = right
            results = {i: case["result"] for i, case in cases.items()}
            if NOTHING_LOADED in ids:
                results[NOTHING_LOADED] = "failed" if device.tpm.loaded() else "passed"
            return code, results
        finally:
            device.tpm.stop()


def build_mutant(mutant, program):
    """The directory with the program that has the mistake."""
    directory = os.path.join(Programs.root, "mutants", mutant.id)
    mutant.write(directory)
    done = subprocess.run(
        ["make", "-s", "--no-print-directory", "BUILD=" + Programs.build, "mutant", "MUTANT=" + directory,
         "MUTANT_SOURCE=" + mutant.file, "MUTANT_PROGRAM=" + program],
        capture_output=True, text=True, timeout=BUILD_PATIENCE, check=False)
    if done.returncode != 0:
        raise Failed("it cannot be built:\n" + done.stdout + done.stderr)
    return directory


def try_mutant(suite, mutant):
    """Whether it was caught, and a sentence about it."""
    begin = time.monotonic()
    right = mutant.still_right or suite.still_right
    try:
        directory = build_mutant(mutant, suite.program)
        built = time.monotonic()
        code, results = suite.judge(directory, [*mutant.caught_by, right])
        shutil.rmtree(directory)
    except (Stale, Failed, subprocess.TimeoutExpired) as error:
        return False, str(error)
    survived = [f"{i} {results.get(i, 'is not a case')}" for i in mutant.caught_by if results.get(i) not in CAUGHT]
    if survived:
        return False, "it survives: " + ", ".join(survived)
    if results.get(right) != "passed":
        return False, f"{right} has nothing to do with it, and {results.get(right, 'is not a case')}"
    if code == 0 and NOTHING_LOADED not in mutant.caught_by:
        return False, "dps-conformance ends with 0 although a case failed"
    return True, f"built in {built - begin:.1f} s, found in {time.monotonic() - built:.1f} s"


def try_right(suite, mutants):
    """The cases of all these mutants, with the unchanged program."""
    ids = sorted({i for m in mutants for i in (*m.caught_by, m.still_right or suite.still_right)})
    bad = []
    for at in range(0, len(ids), IDS_MAX):
        some = ids[at:at + IDS_MAX]
        code, results = suite.judge(Programs.build, some)
        bad += [f"{i} {results.get(i, 'is not a case')}" for i in some if results.get(i) != "passed"]
        bad += [f"exit code {code}"] if code != 0 else []
    return not bad, ", ".join(bad) or f"{len(ids)} cases pass"


def run_all(chosen, jobs):
    """chosen: suite → its mutants. Yields (line, good, sentence), in the order of the tables."""
    tasks = []
    for suite, mutants in chosen.items():
        tasks.append((f"{suite.program} as it is passes the cases of its mutants", try_right, suite, mutants))
        tasks += [(f"{m.id}: {m.breaks} ({', '.join(m.caught_by)})", try_mutant, suite, m) for m in mutants]
    # Processes, because the helpers keep the programs' paths in their classes.
    with concurrent.futures.ProcessPoolExecutor(jobs, multiprocessing.get_context("fork")) as pool:
        started = [(line, pool.submit(function, suite, what)) for line, function, suite, what in tasks]
        for line, future in started:
            try:
                yield (line, *future.result())
            except Exception as error:  # any surprise is a failure of this mutant, and the others go on
                yield line, False, f"{type(error).__name__}: {error}"


def unfit():
    """What is wrong with the tables: all of them, whatever is chosen, so that whoever changes the source
    notices, not whoever runs them all."""
    mutants = [m for suite in (ServiceSuite, DeviceSuite) for m in suite.mutants]
    if len(mutants) < MUTANTS_MIN or len({m.id for m in mutants}) != len(mutants):
        yield f"{len(mutants)} mutants with {len({m.id for m in mutants})} ids; there were at least {MUTANTS_MIN}"
    for mutant in mutants:
        try:
            mutant.source()
        except (Stale, OSError) as error:
            yield str(error)


def tell(number, good, line, sentences):
    for sentence in sentences:
        print("# " + sentence.strip().replace("\n", "\n# "))
    print(f"{'ok' if good else 'not ok'} {number} - {line}", flush=True)


def main(arguments=None, only=None):
    """only: the ids to run, exactly; arguments name the beginning of ids."""
    parser = argparse.ArgumentParser(description="See dps-conformance find what is wrong.")
    parser.add_argument("--build", default="build")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("id", nargs="*")
    options = parser.parse_args(arguments)
    with Programs.use(options.build, "mutants-"):
        chosen = {}
        for kind in (ServiceSuite, DeviceSuite):
            mutants = [m for m in kind.mutants
                       if (only is None or m.id in only) and (not options.id or m.id.startswith(tuple(options.id)))]
            if mutants:
                chosen[kind()] = mutants
        print(f"1..{1 + sum(len(mutants) + 1 for mutants in chosen.values())}", flush=True)
        offences = list(unfit())
        tell(1, not offences, "every mutant fits the source", offences)
        failed = not chosen or bool(offences)
        for number, (line, good, sentence) in enumerate(run_all(chosen, options.jobs), 2):
            failed |= not good
            tell(number, good, line, [sentence])
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
