# SPDX-License-Identifier: MIT
"""The corpora in the tree: corpus/NAME.txt, one input per line, so that they can be read, reviewed and compared.

    # a comment: why the next one is there
    t GET / HTTP/1.1\\r\\n      text, with \\r \\n \\t \\\\ \\xNN
    x 8001000000             hexadecimal

The lines above MARK are written by hand; below it `make fuzz-merge` writes what fuzzing has found.

    python3 tests/fuzz/corpus.py NAME DIRECTORY     writes the inputs of one as files, from the root of the tree
"""
import hashlib
import pathlib
import re
import sys

DIRECTORY = pathlib.Path("tests/fuzz/corpus")
MARK = "# ---- found by fuzzing, written by make fuzz-merge ----"
ESCAPES = {0x0d: "\\r", 0x0a: "\\n", 0x09: "\\t", 0x5c: "\\\\"}
UNESCAPES = {value[1]: key for key, value in ESCAPES.items()}


def decode(line):
    kind, text = line[:2], line[2:]
    if kind == "x ":
        return bytes.fromhex(text)
    if kind != "t ":
        raise ValueError(f"neither 't ', 'x ' nor '#': {line[:40]}")

    def one(match):
        escape = match.group(1)
        return chr(int(escape[1:], 16)) if escape[0] == "x" and len(escape) == 3 else chr(UNESCAPES[escape])
    return re.sub(r"\\(x[0-9a-f]{2}|.)", one, text).encode("latin-1")


def encode(data):
    printable = sum(32 <= byte < 127 or byte in ESCAPES for byte in data)
    if printable * 4 < len(data) * 3:
        return "x " + data.hex()
    text = "".join(ESCAPES.get(b) or (chr(b) if 32 <= b < 127 else f"\\x{b:02x}") for b in data)
    return "t " + (text[:-1] + "\\x20" if text.endswith(" ") else text)


def path_of(name):
    return DIRECTORY / f"{name}.txt"


def lines_of(name):
    return path_of(name).read_text(encoding="ascii").splitlines() if path_of(name).is_file() else []


def read(name):
    """The inputs of a harness."""
    return [decode(line) for line in lines_of(name) if line and not line.startswith("#")]


def unpack(name, directory):
    """Write them as files, as libFuzzer wants them."""
    directory.mkdir(parents=True, exist_ok=True)
    for data in read(name):
        (directory / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def replace_found(name, inputs):
    """Everything below the mark becomes these inputs."""
    lines = lines_of(name)
    kept = lines[:lines.index(MARK)] if MARK in lines else lines
    found = [encode(data) for data in sorted(inputs, key=lambda data: (len(data), data))]
    path_of(name).write_text("\n".join(kept + [MARK] * bool(found) + found) + "\n", encoding="ascii")


if __name__ == "__main__":
    unpack(sys.argv[1], pathlib.Path(sys.argv[2]))
