# SPDX-License-Identifier: MIT
"""Runs the unit tests, the port tests and the fuzz corpora of a build with clang's coverage counters, and prints the
lines and branches of each file of the core that they reach.

Usage: tests/coverage/report.py BUILD [--missed FILE]     from the root of the tree; see make coverage
       --missed FILE    also list the branches of this file that were never taken one way
Exit: 1 if a test failed, or if what BRANCHES names is below its limit.
"""
import collections
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

sys.path.insert(0, "tests/fuzz")
import corpus  # noqa: E402

# Percent of branches, of all these files together: those that read strangers' bytes.
BRANCHES = {
    "all of tpm/": (95, lambda path: path.startswith("tpm/")),
    "all of crypto/bytes/ and dps/protocol/": (95, lambda path: path.startswith(("crypto/bytes/", "dps/protocol/"))),
}
DIRECTORIES = ("crypto/", "tpm/", "dps/")


def tool(name):
    for candidate in (f"{name}-14", name):
        if shutil.which(candidate):
            return candidate
    sys.exit(f"{name} is not installed: tests/setup.sh coverage")


def run_one(job):
    command, profile, limit = job
    environment = dict(os.environ, LLVM_PROFILE_FILE=str(profile))
    run = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", timeout=limit,
                         check=False)
    return command[0], run


def run_all(build):
    """Every test once. Returns the programs and how many failed."""
    profiles = build / "profiles"
    shutil.rmtree(profiles, ignore_errors=True)
    profiles.mkdir(parents=True)
    tests = sorted(build.glob("unit/test_*")) + sorted(build.glob("port-tests/test_*"))
    seeds = build / "seeds"
    shutil.rmtree(seeds, ignore_errors=True)
    seeds.mkdir()
    subprocess.run([build / "fuzz-tools" / "seeds", seeds], check=True, stdout=subprocess.DEVNULL,
                   env=dict(os.environ, LLVM_PROFILE_FILE=os.devnull))
    jobs = [([str(test)], profiles / f"{test.name}.profraw", 1800) for test in tests]
    for fuzzer in sorted(build.glob("fuzzers/*")):
        corpus.unpack(fuzzer.name, seeds / fuzzer.name)
        jobs.append(([str(fuzzer), str(seeds / fuzzer.name)], profiles / f"fuzz-{fuzzer.name}.profraw", 1800))
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, run in pool.map(run_one, jobs):
            if run.returncode != 0:
                failed += 1
                lines = (run.stdout + run.stderr).splitlines()
                wrong = [line for line in lines if line.startswith("not ok")]
                print(f"{name} failed:", *(wrong or lines[-5:]), sep="\n    ")
    return [job[0][0] for job in jobs], failed


def measure(build, programs):
    """{file: functions with their branches} and {file: summary}, over all programs."""
    merged = build / "coverage.profdata"
    subprocess.run([tool("llvm-profdata"), "merge", "-sparse", "-o", merged, *(build / "profiles").glob("*.profraw")],
                   check=True)
    objects = [argument for program in programs[1:] for argument in ("-object", program)]
    exported = subprocess.run([tool("llvm-cov"), "export", f"-instr-profile={merged}", programs[0], *objects,
                               *(str(path) for d in DIRECTORIES for path in pathlib.Path(d).rglob("*.c"))],
                              check=True, capture_output=True, text=True).stdout
    return {os.path.relpath(entry["filename"]): entry for entry in json.loads(exported)["data"][0]["files"]}


def branches_of(entry):
    """{place: [times true, times false]}; a place in an inline function or macro counts once."""
    places = collections.defaultdict(lambda: [0, 0])
    for line, column, end_line, end_column, true, false, *_ in entry["branches"]:
        counts = places[line, column, end_line, end_column]
        counts[0] += true
        counts[1] += false
    return places


def percent(part, whole):
    return 100.0 if whole == 0 else 100.0 * part / whole


def count_of(entry):
    """Lines reached, lines, branches taken, branches."""
    branches = branches_of(entry)
    lines = entry["summary"]["lines"]
    return [lines["covered"], lines["count"], sum(bool(count) for counts in branches.values() for count in counts),
            2 * len(branches)]


def show_missed(path, entry):
    for (line, column, *_), counts in sorted(branches_of(entry).items()):
        if not all(counts):
            print(f"    {path}:{line}:{column}: never {'true' if counts[0] == 0 else 'false'}")


def main():
    build = pathlib.Path(sys.argv[1])
    missed = sys.argv[3:] if sys.argv[2:3] == ["--missed"] else []
    programs, failed = run_all(build)
    files = {path: entry for path, entry in sorted(measure(build, programs).items()) if path.startswith(DIRECTORIES)}
    counts = {path: count_of(entry) for path, entry in files.items()}
    totals = {name: [0, 0] for name in (*BRANCHES, *DIRECTORIES)}
    print(f"{'file':32} {'lines':>14} {'branches':>16}")
    for path, (reached, lines, taken, branches) in counts.items():
        print(f"{path:32} {reached:5}/{lines:<5}{percent(reached, lines):5.1f}% "
              f"{taken:5}/{branches:<5}{percent(taken, branches):5.1f}%")
        for name in totals:
            if path.startswith(name) if name in DIRECTORIES else BRANCHES[name][1](path):
                totals[name][0] += taken
                totals[name][1] += branches
        if path in missed:
            show_missed(path, files[path])
    # The same for make site.
    record = {"date": time.strftime("%Y-%m-%d"), "files": counts, "branches": totals}
    (build / "report.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for name, (taken, count) in totals.items():
        limit = BRANCHES[name][0] if name in BRANCHES else 0
        low = count == 0 or percent(taken, count) < limit
        failed += low
        print(f"{name:32} branches {taken:5}/{count:<5} {percent(taken, count):5.1f}%"
              + (f"  {'BELOW' if low else 'limit'} {limit} %" if limit else ""))
    return 1 if failed else 0


sys.exit(main())
