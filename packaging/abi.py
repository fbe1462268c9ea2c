# SPDX-License-Identifier: MIT
"""Prints what the libraries offer: functions and objects with the libraries that have them, headers, and the sizes of
public structures on x86-64. packaging/abi.txt is this, with the default settings; tests/lint/abi_test.py compares them.

    python3 packaging/abi.py LIBRARY OBJECT... -- LIBRARY OBJECT... -- ... -- HEADER... -- COMPILER OPTION..."""
import pathlib
import re
import subprocess
import sys
import tempfile

HEAD = """# What the libraries of make install offer, under its name in the source. For the linker all begins with dps_.
# Made by make abi. A line that changes or goes is a change for those who use a library, and belongs into CHANGELOG.md.
# +SETTINGS: it takes a structure whose size depends on settings, which are part of its name (names.h.in).
"""
# These structures, and what packaging/names.h.in calls their settings. The first of a function's counts.
SETTINGS = {"port_drive": "DRIVE", "dps_device": "DEVICE", "crypto_tls_client": "TLS", "crypto_tls_chain": "TLS",
            "crypto_anchors": "TLS", "dps_service": "SERVICE", "posix_memory_record": "RECORD"}


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def offered(objects):
    """Pairs of kind and name."""
    for kind, name in re.findall(r"^[0-9a-f]+ ([A-Z]) (\w+)$", run("nm", "--extern-only", *objects), re.M):
        yield "function" if kind == "T" else "object", name


def texts(headers):
    """Pairs of a header and what it says, without comments."""
    for header in headers:
        yield header, re.sub(r"/\*.*?\*/", "", pathlib.Path(header).read_text(encoding="utf-8"), flags=re.S)


def structures(headers):
    for header, text in texts(headers):
        for name in re.findall(r"^struct (\w+) \{$", text, re.M):
            yield header, name


def taken(headers):
    """function → the structures that its declaration names."""
    return {name: re.findall(r"struct (\w+)", rest) for _, text in texts(headers)
            for name, rest in re.findall(r"^[a-z][\w *]*?\b(\w+)(\([^;{]*\);)", text, re.M)}


def sizes(headers, compiler):
    """Structures, their bytes and their headers. By the compiler alone: each size is that of an array."""
    every = list(structures(headers))
    lines = [f'#include "{header}"' for header in headers]
    lines += [f"char size_of_{name}[sizeof(struct {name})];" for _, name in every]
    with tempfile.TemporaryDirectory() as place:
        source, target = pathlib.Path(place, "sizes.c"), pathlib.Path(place, "sizes.o")
        source.write_text("\n".join(lines) + "\n", encoding="utf-8")
        run(*compiler, "-fno-common", "-c", "-o", str(target), str(source))
        listed = re.findall(r"^\w+ (\w+) \w size_of_(\w+)$", run("nm", "--print-size", str(target)), re.M)
    found = {name: int(size, 16) for size, name in listed}
    return sorted((name, found[name], header) for header, name in every)


def main(words):
    groups = " ".join(words).split(" -- ")
    *libraries, headers, compiler = [group.split() for group in groups]
    surface = {}
    for name, *objects in libraries:
        for symbol in offered(objects):
            surface.setdefault(symbol, []).append(name)
    print(HEAD)
    takes = taken(headers)
    for (kind, name), where in sorted(surface.items()):
        marks = [f"+{mark}" for structure, mark in SETTINGS.items() if structure in takes.get(name, ())]
        print(kind, name, *where, *marks[:1])
    print()
    for header in sorted(headers):
        print("header", header)
    print()
    for name, size, header in sizes(headers, compiler):
        print("structure", name, size, header)


if __name__ == "__main__":
    main(sys.argv[1:])
