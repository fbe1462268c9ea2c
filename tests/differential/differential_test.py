# SPDX-License-Identifier: MIT
"""The parsers of this project and those of tpm2-tss read the same bytes the same way: mu.c, with the fuzz corpus.

Usage: tests/differential/differential_test.py BUILD     from the root of the tree
"""
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, "tests/fuzz")
import corpus  # noqa: E402


def main():
    build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build") / "differential"
    inputs = build / "inputs"
    corpus.unpack("response", inputs)
    # The library logs each structure that it refuses.
    environment = dict(os.environ, TSS2_LOG="all+NONE")
    return subprocess.run([build / "mu", inputs], env=environment, check=False).returncode


sys.exit(main())
