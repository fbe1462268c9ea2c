#!/bin/sh
# SPDX-License-Identifier: MIT
# The parsers of this project and those of tpm2-tss read the same bytes the same way: mu.c, with the fuzz corpus.
# Usage: tests/differential/differential_test.sh BUILD     from the root of the tree
set -eu
inputs=${1:-build}/differential/inputs
python3 -B tests/fuzz/corpus.py response "$inputs"
version=$(pkg-config --modversion tss2-mu)
# The library logs each structure that it refuses.
TSS2_LOG=all+NONE exec "${1:-build}/differential/mu" "$version" "$inputs"
