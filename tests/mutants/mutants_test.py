# SPDX-License-Identifier: MIT
"""dps-conformance finds some mistakes of each kind; make check-mutants tries them all.

    python3 tests/mutants/mutants_test.py BUILD_DIR     from the root of the tree

TAP on standard output; needs what run.py needs."""

import sys

import run

SOME = ("service-srk-attributes", "service-ek-prefix", "service-nonce-same", "service-hub-key-shared",
        "device-status-ignored", "device-host-name", "device-saves-early", "device-leak")

if __name__ == "__main__":
    sys.exit(run.main(["--build", sys.argv[1] if len(sys.argv) > 1 else "build"], only=SOME))
