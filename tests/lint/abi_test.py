# SPDX-License-Identifier: MIT
"""What the libraries offer is packaging/abi.txt, under one prefix; and what was compiled with other settings than a
library cannot be linked with it. Needs gcc; sizes are compared on x86-64 only."""
import difflib
import functools
import importlib.util
import pathlib
import re
import subprocess

from harness import run
from tap import Programs, check, same

LIST = pathlib.Path("packaging/abi.txt").read_text(encoding="utf-8").splitlines()
NAMES = [line.split()[1] for line in LIST if line.startswith(("function ", "object "))]
HEADERS = [line.split()[1] for line in LIST if line.startswith("header ")]
TOPS = {header.split("/")[0] for header in HEADERS}
LIMITS = sorted(str(path) for path in pathlib.Path(".").glob("**/limits.h") if path.parts[0] in TOPS)
CC = ["gcc", "-std=c11", "-I."]
X86_64 = subprocess.run(["gcc", "-dumpmachine"], capture_output=True, text=True, check=True).stdout[:6] == "x86_64"
# Part of another one, which functions take.
PARTS = {"dps_memory": "dps_service"}
# Settings whose default is not a number, or cannot be 8 more.
OTHERWISE = {"CRYPTO_TLS_COMPACT": 1, "CRYPTO_TRUST_STORAGE": 5000, "CRYPTO_TLS_TIME_FLOOR": 1790000000,
             "CRYPTO_TLS_BUFFER_MIN": 837, "DPS_WITH_AMQP": 0, "DPS_WITH_MQTT": 0}


@functools.lru_cache(maxsize=1)
def abi():
    """packaging/abi.py as a module."""
    spec = importlib.util.spec_from_file_location("abi", "packaging/abi.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.lru_cache(maxsize=1)
def names_h():
    path = pathlib.Path(Programs.directory(), "names.h")
    made = run("awk", "-f", "packaging/names.awk", "packaging/abi.txt", "packaging/names.h.in").out
    path.write_text(made, encoding="utf-8")
    return path


def linker_names(*options):
    """name in the source → name for the linker"""
    asked = "".join(f'#include "{header}"\n' for header in HEADERS) + "names begin\n"
    asked += "".join(f"{name}()\n" for name in NAMES)
    done = subprocess.run([*CC, *options, "-include", names_h(), "-E", "-P", "-x", "c", "-"], input=asked, check=True,
                          capture_output=True, text=True)
    given = re.findall(r"\w+", done.stdout.split("names begin\n")[1])
    same(len(given), len(NAMES), "names")
    return dict(zip(NAMES, given))


def settings():
    """Every setting of a public header, with another value than its default."""
    for header in HEADERS + LIMITS:
        text = pathlib.Path(header).read_text(encoding="utf-8")
        for name, default in re.findall(r"^#ifndef (\w+)\n#define \1 (\S.*)$", text, re.M):
            if name in OTHERWISE:
                yield name, OTHERWISE[name]
            elif default.startswith("(!"):
                yield name, 0
            else:
                yield name, int(default) + 8 if int(default) > 1 else 1 - int(default)


def test_list():
    """packaging/abi.txt is what the libraries offer; after a change that is meant: make abi, and CHANGELOG.md"""
    made = pathlib.Path(Programs.directory(), "abi.txt")
    run("env", "-u", "MAKEFLAGS", "-u", "MAKELEVEL", "make", "-s", "abi", f"BUILD={Programs.build}", f"ABI={made}")
    now = made.read_text(encoding="utf-8").splitlines()
    kept = [line for line in now if X86_64 or not line.startswith("structure ")]
    was = [line for line in LIST if X86_64 or not line.startswith("structure ")]
    yield from list(difflib.unified_diff(was, kept, "packaging/abi.txt", "these libraries", lineterm="", n=0))[2:]


def test_prefix():
    """each name has the prefix dps_ for the linker, and no two have the same"""
    given = linker_names()
    same([name for name in given.values() if not name.startswith("dps_")], [], "without")
    same(len(set(given.values())), len(given), "different names")


def test_settings():
    """a setting that changes the size of a structure changes the name of every function that takes it"""
    plain, sizes = linker_names(), {name: size for name, size, _ in abi().sizes(HEADERS, CC)}
    takes = {name: structures for name, structures in abi().taken(HEADERS).items() if name in NAMES}
    seen = set()
    for setting, value in settings():
        option = f"-D{setting}={value}"
        changed = {name for name, size, _ in abi().sizes(HEADERS, [*CC, option]) if size != sizes[name]}
        given = linker_names(option) if changed else plain
        seen |= changed
        for name in sorted(changed):
            functions = [function for function in takes if PARTS.get(name, name) in takes[function]]
            check(functions, f"{option} changes struct {name}, which no function takes")
            for function in functions:
                if given[function] == plain[function]:
                    yield f"{option} changes struct {name}, and {function} is called the same (packaging/abi.py)"
    same(seen - set(PARTS), set(abi().SETTINGS), "structures that depend on settings")


def test_declarations():
    """of each function that is offered by a header, packaging/abi.py finds the declaration"""
    text = "".join(pathlib.Path(header).read_text(encoding="utf-8") for header in HEADERS)
    offered = [line.split()[1] for line in LIST if line.startswith("function ")]
    declared = {name for name in offered if re.search(rf"^[a-z][^\n=;(]*\b{name}\(", text, re.M)}
    check(len(declared) > 200, f"{len(declared)} functions")
    same(declared - set(abi().taken(HEADERS)), set(), "not found")
