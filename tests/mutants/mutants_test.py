# SPDX-License-Identifier: MIT
"""Proves that the conformance suite can fail: builds services and devices with one mistake each, and lets
dps-conformance judge them. A mutant is found if each case that is named for it fails and a case that has nothing to do
with the mistake still passes. The same cases must all pass with the unchanged programs.

make check tries some of each kind. MUTANTS, in the environment, chooses others: the beginnings of their ids, or all.

A new one, or one whose source has changed: make the mistake in the tree, write `git diff FILE` into
tests/mutants/KIND/NAME.patch, a head above it as the others have, and take the mistake back.

Needs make, a compiler, patch, openssl and swtpm."""

import functools
import json
import os
import shutil
import signal
import subprocess
import time
from functools import partial

import conformance_device_test
import conformance_service_test
from harness import Device
from mutant import read_all
from server_harness import Service
from tap import Failed, Programs, check, note, same

JOBS = 2  # in processes of their own, because the programs' paths are kept in classes
SOME = ("service-srk-attributes", "service-ek-prefix", "service-nonce-same", "service-hub-key-shared",
        "device-status-ignored", "device-host-name", "device-saves-early", "device-leak")
FOUND = ("failed", "not met")
MUTANTS_MIN = 129  # of both kinds: a mutant that disappears is noticed
IDS_MAX = 30  # that dps-conformance takes at a time, minus those that are not its own
BUILD_PATIENCE, RUN_PATIENCE = 600, 1500
# Not a case of the suite but a look into the TPM after it: what did the device leave there?
NOTHING_LOADED = "TPM-EMPTY"


def read_report(path):
    """id → result of a run; "not run" is not a result."""
    with open(path, encoding="utf-8") as f:
        return {case["id"]: case["result"] for case in json.load(f)["cases"]}


class ServiceSuite:
    """dps-conformance --service, with an administrator, a reader and hubs."""

    kind, program, still_right = "service", "dps-service", "SVC-S09-001"

    def judge(self, programs, ids):
        Service.program = os.path.join(programs, self.program)
        service = conformance_service_test.start("memory:")
        try:
            command = conformance_service_test.command(
                service.dir, service.tls_port, "--strict", "--timeout", "20", "--json", service.path("report.json"),
                *ids, *conformance_service_test.everything(service))
            done = subprocess.run(command, capture_output=True, timeout=RUN_PATIENCE, check=False)
            check(os.path.exists(service.path("report.json")),
                  "dps-conformance has written no report: " + done.stderr.decode(errors="replace"))
            return done.returncode, read_report(service.path("report.json"))
        finally:
            service.stop(signal.SIGKILL)


class DeviceSuite:
    """dps-conformance --device-listen, with a TPM that keeps what is left in it."""

    kind, program, still_right = "device", "dps-device", "DEV-S09-002"

    @functools.cached_property
    def lab(self):
        return conformance_device_test.Lab()

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
    check(done.returncode == 0, "it cannot be built:\n" + done.stdout + done.stderr)
    return directory


def find(suite, mutant):
    begin = time.monotonic()
    right = mutant.still_right or suite.still_right
    directory = build_mutant(mutant, suite.program)
    built = time.monotonic()
    code, results = suite.judge(directory, [*mutant.found_by, right])
    shutil.rmtree(directory)
    survived = [f"{i} {results.get(i, 'is no case')}" for i in mutant.found_by if results.get(i) not in FOUND]
    check(not survived, "it survives: " + ", ".join(survived))
    same(results.get(right), "passed", f"{right}, which has nothing to do with it")
    check(code != 0 or NOTHING_LOADED in mutant.found_by, "dps-conformance ends with 0 although a case failed")
    note(f"built in {built - begin:.1f} s, found in {time.monotonic() - built:.1f} s")


def pass_right(suite, mutants):
    ids = sorted({i for m in mutants for i in (*m.found_by, m.still_right or suite.still_right)})
    for at in range(0, len(ids), IDS_MAX):
        some = ids[at:at + IDS_MAX]
        code, results = suite.judge(Programs.build, some)
        same({i: results.get(i, "is no case") for i in some}, dict.fromkeys(some, "passed"), "results")
        same(code, 0, "exit code")
    note(f"{len(ids)} cases pass")


def fit():
    """All of them, whatever is chosen, so that a change of the source is noticed by who makes it and not by who runs
    them all."""
    mutants = [mutant for suite in (ServiceSuite, DeviceSuite) for mutant in read_all(suite.kind)]
    if len(mutants) < MUTANTS_MIN:
        yield f"{len(mutants)} mutants; there were at least {MUTANTS_MIN}"
    for mutant in mutants:
        try:
            mutant.write(Programs.directory())
        except (Failed, OSError) as error:
            yield str(error)


def is_chosen(mutant):
    words = os.environ.get("MUTANTS", "").split()
    return mutant.id in SOME if not words else words == ["all"] or mutant.id.startswith(tuple(words))


def tests():
    yield "every mutant fits the source", fit
    chosen = {suite: list(filter(is_chosen, read_all(suite.kind))) for suite in (ServiceSuite(), DeviceSuite())}
    check(any(chosen.values()), f"no mutant's id begins with {os.environ.get('MUTANTS')}")
    for suite, mutants in chosen.items():
        if mutants:
            yield f"{suite.program} as it is passes the cases of its mutants", partial(pass_right, suite, mutants)
        for mutant in mutants:
            yield f"{mutant.id}: {mutant.breaks} ({', '.join(mutant.found_by)})", partial(find, suite, mutant)
