# SPDX-License-Identifier: MIT
"""Figures of tpm-dps, one per line: name value unit. Lines with # are remarks; progress goes to standard error.

How it measures:
  * CPU time, not wall time: of processes by /proc/PID/task/*/schedstat, of parts in memory by
    CLOCK_PROCESS_CPUTIME_ID. So "per_core_second" is what a core achieves that does nothing else. A load's wall time
    matters only for latencies and workers.
  * Things to compare take turns in one run, for several rounds. "quiet" is the best round, "noisy" the median: on
    a machine with neighbours the truth lies between them, and ratios are better than either.
  * dps-service, nginx and dps-micro run on the first core, the generator on the last one. The generator (dps-bench)
    simulates devices: it holds the private halves of an EK and an SRK, and its TLS is OpenSSL's, version 1.2. Each load
    says how idle its core was, and how busy the servers were.
  * Parts: dps-micro runs each part of a registration by itself, in memory, in rounds of 5 ms. Both libraries are in
    both builds; "blob_crypto_h" is the primitives of a blob called through crypto.h, on as many bytes.
  * Sum of parts: TLS in memory (handshake and three requests) + nginx's cost of a plain connection and three requests
    with pages of three bytes (TCP, HTTP) + 2 blobs + token + store (with as many registrations in a commit as there
    were). For nginx: its own TLS and HTTP instead, and OpenSSL's fastest blobs. What dps-service does besides (reading
    and writing JSON, checks, log, event loop) is in no sum: it is what a share needs to reach 100.
  * Growth: the stores are filled by SQL with devices that have registered once; the load takes them in a scattered
    order. PostgreSQL's own CPU time counts as well.

Parts: micro load memory workers tpm chips growth (all of them if none is named)
"""
import argparse
import contextlib
import os
import signal
import sys
import tempfile
import time

sys.dont_write_bytecode = True
from bench_chips import part_chips  # noqa: E402
from bench_growth import part_growth  # noqa: E402
from bench_load import part_load, part_micro  # noqa: E402
from bench_memory import part_memory, part_tpm, part_workers  # noqa: E402
from bench_tools import CORES, Bench, Failed, note, say  # noqa: E402

PARTS = {"micro": part_micro, "load": part_load, "memory": part_memory, "workers": part_workers, "tpm": part_tpm,
         "chips": part_chips, "growth": part_growth}


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, metavar="DIR",
                        help="of `make bench-programs`; DIR/openssl of the other crypto")
    parser.add_argument("--seconds", type=int, default=2, metavar="N", help="of each load (2)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of each comparison (3)")
    parser.add_argument("--full", action="store_true", help="growth also with a million enrollments")
    parser.add_argument("parts", nargs="*", metavar="PART", help=" ".join(PARTS))
    given = parser.parse_args()
    for part in given.parts:
        if part not in PARTS:
            parser.error(f"there is no part {part}: {' '.join(PARTS)}")
    if given.seconds < 1 or given.rounds < 1:
        parser.error("--seconds and --rounds are at least 1")
    return given


def run(given):
    begin = time.monotonic()
    note(f"{len(CORES)} cores; load of the last minute: {os.getloadavg()[0]:.1f}"
         + (" (something else runs here: prefer ratios and quiet figures)" if os.getloadavg()[0] > 1 else ""))
    if len(CORES) < 2:
        note("one core only: the generator takes part of the service's time; latencies and wall rates mean little")
    for name in given.parts or PARTS:
        with contextlib.ExitStack() as cleanup:
            Bench.cleanup = cleanup
            say(f"{name} ({time.monotonic() - begin:.0f} s)")
            PARTS[name]()
    say(f"done ({time.monotonic() - begin:.0f} s)")


def main():
    given = read_arguments()
    build = os.path.abspath(given.build)
    Bench.builds = {"bearssl": build, "openssl": os.path.join(build, "openssl")}
    Bench.seconds, Bench.rounds, Bench.full = given.seconds, given.rounds, given.full
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="dps-bench-") as root:
        os.chmod(root, 0o711)
        Bench.root = root
        try:
            run(given)
        except Failed as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    with open(os.path.join(build, "bench.txt"), "w", encoding="utf-8") as record:  # for make site
        record.write("\n".join([f"# {time.strftime('%Y-%m-%d')}: {' '.join(given.parts or PARTS)}", *Bench.record, ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
