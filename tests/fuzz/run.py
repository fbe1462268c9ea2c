# SPDX-License-Identifier: MIT
"""Runs the fuzz harnesses: each for some seconds, several at a time.

Usage: tests/fuzz/run.py --build DIR [--seconds N] [--jobs N] [--merge] [NAME ...]     from the root of the tree

DIR/seeds/NAME    the inputs to start from: the corpus of the tree and the test vectors, made again each time
DIR/found/NAME    what libFuzzer has added; it stays, so that the next run goes on from there
DIR/crashes       inputs that broke a harness, and its report beside each
Exit: 0 nothing found; 1 something was found; 2 usage.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys

import corpus

# What one harness may keep in the tree.
FOUND_MAX = 100
FOUND_BYTES = 20000
LIMITS = ["-timeout=25", "-rss_limit_mb=2048", "-close_fd_mask=0"]
# Longer inputs find nothing new, and cost time.
MAX_LEN = {"service": 16384, "device": 16384, "http": 8192, "pem": 8192, "tls": 8192, "chain": 4096, "ek": 8192,
           "json": 4096, "enrollment": 8192}


def seed(build, names):
    """The inputs to start from."""
    seeds = build / "seeds"
    shutil.rmtree(seeds, ignore_errors=True)
    seeds.mkdir(parents=True)
    subprocess.run([build / "fuzz-tools" / "seeds", seeds], check=True, stdout=subprocess.DEVNULL)
    for name in names:
        corpus.unpack(name, seeds / name)


def options(name):
    dictionary = pathlib.Path("tests/fuzz/dictionaries") / f"{name}.dict"
    found = [f"-dict={dictionary}"] if dictionary.is_file() else []
    return found + LIMITS + [f"-max_len={MAX_LEN.get(name, 2048)}"]


class Result:
    def __init__(self, name, process, crash_directory):
        self.name = name
        self.output = process.stderr + process.stdout
        self.failed = process.returncode != 0
        match = re.search(r"Test unit written to (\S+)", self.output)
        self.reproducer = match.group(1) if match else None
        if self.failed:
            report = pathlib.Path(self.reproducer or crash_directory / name).with_suffix(".report")
            report.write_text(self.output, encoding="utf-8", errors="replace")
            self.report = report

    def summary(self):
        runs = re.findall(r"^#(\d+)\s", self.output, re.M)
        cov = re.findall(r"cov: (\d+)", self.output)
        return f"{runs[-1] if runs else 0} runs, {cov[-1] if cov else 0} edges"

    def reason(self):
        lines = re.findall(r"^.*(?:does not hold:|runtime error:|ERROR: \w+Sanitizer|ERROR: libFuzzer).*$",
                           self.output, re.M)
        return lines[0] if lines else self.output.strip().splitlines()[-1] if self.output.strip() else "no output"


def start(build, name, arguments, directories):
    crashes = build / "crashes"
    crashes.mkdir(parents=True, exist_ok=True)
    command = [build / "fuzzers" / name, f"-artifact_prefix={crashes}/{name}-"] + options(name) + arguments
    environment = dict(os.environ, ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=1")
    process = subprocess.run(command + directories, capture_output=True, text=True, errors="replace",
                             env=environment, check=False)
    return Result(name, process, crashes)


def fuzz(build, name, seconds, found):
    found.mkdir(parents=True, exist_ok=True)
    return start(build, name, [f"-max_total_time={seconds}"], [found, build / "seeds" / name])


def fuzz_all(build, names, seconds, jobs, found):
    """The results as they come. Inputs that add something are kept in the folder found."""
    seed(build, names)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        pending = [pool.submit(fuzz, build, name, seconds, found / name) for name in names]
        for future in concurrent.futures.as_completed(pending):
            yield future.result()


def tell(result):
    """Lines for the user about a failed run."""
    yield result.reason()
    yield f"report: {result.report}"
    if result.reproducer:
        program = pathlib.Path(result.reproducer).parent.parent / "fuzzers" / result.name
        yield f"again: {program} {result.reproducer}"


def merge(build, name):
    """Inputs that reach more than the seeds written by hand and the vectors go into the tree."""
    work = build / "merge" / name
    seeds = build / "seeds" / name
    shutil.rmtree(work, ignore_errors=True)
    shutil.rmtree(seeds, ignore_errors=True)
    subprocess.run([build / "fuzz-tools" / "seeds", build / "seeds"], check=True, stdout=subprocess.DEVNULL)
    seeds.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True)
    lines = corpus.lines_of(name)
    above = lines[:lines.index(corpus.MARK)] if corpus.MARK in lines else lines
    known = [corpus.decode(line) for line in above if line and not line.startswith("#")]
    for number, data in enumerate(known):
        (seeds / f"hand-{number:03}").write_bytes(data)
    for file in seeds.iterdir():
        shutil.copy(file, work)
    corpus.unpack(name, build / "found" / name)
    # Only the code that is reached counts, not how often.
    result = start(build, name, ["-merge=1", "-use_counters=0"], [work, build / "found" / name])
    if result.failed:
        return result, 0
    before = {file.name for file in seeds.iterdir()}
    # The shortest first, so that a long one that adds little is not kept.
    added = sorted((f.read_bytes() for f in work.iterdir() if f.name not in before), key=len)
    kept, total = [], 0
    for data in added[:FOUND_MAX]:
        total += len(data)
        if total <= FOUND_BYTES:
            kept.append(data)
    corpus.replace_found(name, kept)
    return result, len(kept)


def main():
    parser = argparse.ArgumentParser(description="Runs the fuzz harnesses.")
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--merge", action="store_true")
    parser.add_argument("names", nargs="+")
    arguments = parser.parse_args()
    known = sorted(path.stem[len("fuzz_"):] for path in pathlib.Path("tests/fuzz").glob("fuzz_*.c"))
    for name in arguments.names:
        if name not in known:
            parser.error(f"there is no harness {name}; there are {' '.join(known)}")
    failed = 0
    if arguments.merge:
        for name in arguments.names:
            result, count = merge(arguments.build, name)
            failed += result.failed
            print(f"  {name}: {count} inputs" + (": " + result.reason() if result.failed else ""), flush=True)
    else:
        for result in fuzz_all(arguments.build, arguments.names, arguments.seconds, arguments.jobs,
                               arguments.build / "found"):
            failed += result.failed
            print(f"  {'FOUND' if result.failed else 'ok   '} {result.name}: {result.summary()}", flush=True)
            if result.failed:
                print("".join(f"        {line}\n" for line in tell(result)), end="", flush=True)
    if failed:
        print(f"{failed} of {len(arguments.names)} harnesses failed", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
