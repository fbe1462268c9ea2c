# SPDX-License-Identifier: MIT
"""port/PORTING.md speaks of what exists: files, functions, macros, make's targets, options of programs; and the code
that it shows (porting.py) is the tree's."""
import pathlib
import re

from porting import BLOCK, DOCUMENT, FILE, shown

SOURCES = sorted(p for d in ("crypto", "tpm", "dps", "port", "tests")
                 for s in ("*.[chS]", "*.ld", "*.mk", "*.py", "*.sh")
                 for p in pathlib.Path(d).rglob(s) if p != pathlib.Path("tests/lint/porting_test.py"))
MAKEFILES = [pathlib.Path("Makefile")] + [p for p in SOURCES if p.suffix == ".mk"]
# Names of this form are the tree's; other words in code quotes are other people's.
OURS = re.compile(r"\b(?:(?:dps|port|tpm2|crypto|posix|example|store|lm3s|virt_a15)_[a-z0-9_]+|"
                  r"(?:DPS|PORT|TPM2|CRYPTO|EXAMPLE|FIRMWARE)_[A-Z0-9_]+)\b")
PATH = re.compile(r"(?:(?:crypto|tpm|dps|port|tests)/[\w./*-]*|\b[\w-]+\.(?:c|h|S|py|sh|mk|md|ld)\b)")
# Libraries that have names like ours.
FOREIGN = {"TPM2_GetRandom", "TPM2_Startup", "TPM2_Clear"}
THE_READERS = {"register.sh", "send.sh"}
PORTABLE = {"stddef.h", "stdint.h", "stdbool.h", "string.h"}
TEXT = DOCUMENT.read_text(encoding="utf-8")


def quoted(text):
    """(line number, words) of inline code and of shell blocks, but not of the blocks above."""
    for shown_whole in (BLOCK, FILE):
        text = shown_whole.sub(lambda m: "\n" * m.group(0).count("\n"), text)
    for block in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S):
        if block.group(1) in ("sh", "c"):
            first = text.count("\n", 0, block.start(2)) + 1
            yield from enumerate(block.group(2).splitlines(), first)
    text = re.sub(r"^```\w*\n.*?^```$", lambda m: "\n" * m.group(0).count("\n"), text, flags=re.M | re.S)
    for number, line in enumerate(text.splitlines(), 1):
        for words in re.findall(r"`([^`]+)`", line):
            yield number, words


def exists(path):
    path = path.rstrip("/.")
    if "/" not in path:
        return path in {p.name for p in SOURCES} | THE_READERS | {"PORTING.md", "README.md", "spec-notes.md"}
    return bool(list(pathlib.Path(".").glob(path)))


def test_names():
    """port/PORTING.md: names of files, functions and macros exist"""
    words = set().union(*(re.findall(r"\w+", p.read_text(encoding="utf-8")) for p in SOURCES))
    words |= set(re.findall(r"\w+", pathlib.Path("Makefile").read_text(encoding="utf-8")))
    for number, quote in quoted(TEXT):
        for path in PATH.findall(re.sub(r"\S*build/\S*", "", quote)):
            if not exists(path):
                yield f"{DOCUMENT}:{number}: there is no file {path}"
        for name in OURS.findall(PATH.sub("", quote)):
            if name not in words and name not in FOREIGN:
                yield f"{DOCUMENT}:{number}: nothing is called {name}"


def test_targets():
    """port/PORTING.md: make has the targets"""
    rules = "\n".join(p.read_text(encoding="utf-8") for p in MAKEFILES)
    for number, quote in quoted(TEXT):
        for target in re.findall(r"\bmake ([a-z][\w-]*)", quote):
            if not re.search(rf"^(?:[\w$() -]* )?{target}(?: [\w$() -]*)?:", rules, re.M):
                yield f"{DOCUMENT}:{number}: make has no target {target}"


def test_options():
    """port/PORTING.md: programs have the options"""
    known = set()
    for path in SOURCES:
        if path.suffix == ".c":
            known |= set(re.findall(r'\.name = "([\w-]+)"', path.read_text(encoding="utf-8")))
        if path.name == "relay.py":
            known |= set(re.findall(r'"--([\w-]+)"', path.read_text(encoding="utf-8")))
    known |= {"loop"}  # dps-example
    known |= {"tpm2", "tpmstate", "server", "flags", "daemon", "gc-sections"}  # swtpm's, the linker's
    for number, quote in quoted(TEXT):
        for option in re.findall(r"(?<![\w-])--([a-z][\w-]+)", quote):
            if option not in known:
                yield f"{DOCUMENT}:{number}: no program has --{option}"


def test_links():
    """port/PORTING.md: links lead somewhere"""
    for number, line in enumerate(TEXT.splitlines(), 1):
        for link in re.findall(r"\]\(([^)#:]+)\)", line):
            if not (DOCUMENT.parent / link).exists():
                yield f"{DOCUMENT}:{number}: the link {link} leads nowhere"


def test_blocks():
    """port/PORTING.md: the code that is shown is the tree's"""
    for match in BLOCK.finditer(TEXT):
        if match.group(5) != shown(match.group(3), match.group(4), match.group(2)):
            number = TEXT.count("\n", 0, match.start()) + 1
            yield f"{DOCUMENT}:{number}: {match.group(3)} {match.group(4)} is otherwise: make porting-update"
    if len(BLOCK.findall(TEXT)) < 2:
        yield f"{DOCUMENT}: it shows no code"
    files = FILE.findall(TEXT)
    said = re.findall(r"<!-- lines -->(\d+)<!-- /lines -->", TEXT)
    lines = sum(content.count("\n") for _, content in files)
    if said != [str(lines)]:
        yield f"{DOCUMENT}: the files that it shows have {lines} lines, and it says {said}"


def test_turn():
    """port/PORTING.md: the event loop's turn is portable"""
    for path in ("port/example/turn.c", "port/example/turn.h"):
        for header in re.findall(r"#include <(\S+)>", pathlib.Path(path).read_text(encoding="utf-8")):
            if header not in PORTABLE:
                yield f"{path}: <{header}> is not portable"
