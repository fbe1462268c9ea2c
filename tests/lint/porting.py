# SPDX-License-Identifier: MIT
"""What port/PORTING.md names exists: files, functions, macros, make's targets, options of programs; and the code that
it shows is the tree's. TAP; on failure one line per offence, as file:line.

    <!-- diff OLD NEW -->            ... <!-- /diff -->    diff -u of the two files
    <!-- code FILE FUNCTION -->      ... <!-- /code -->    a function as it is in FILE

Usage: tests/lint/porting.py [BUILD]              from the root of the tree
       tests/lint/porting.py BUILD --update       write the code again (make porting-update)
"""
import pathlib
import re
import subprocess
import sys

DOCUMENT = pathlib.Path("port/PORTING.md")
SOURCES = sorted(p for d in ("crypto", "tpm", "dps", "port", "tests")
                 for s in ("*.[chS]", "*.ld", "*.mk", "*.py", "*.sh")
                 for p in pathlib.Path(d).rglob(s) if p != pathlib.Path("tests/lint/porting.py"))
MAKEFILES = [pathlib.Path("Makefile")] + [p for p in SOURCES if p.suffix == ".mk"]
# Names of this form are the tree's; other words in code quotes are other people's.
OURS = re.compile(r"\b(?:(?:dps|port|tpm2|crypto|posix|example|store|lm3s|virt_a15)_[a-z0-9_]+|"
                  r"(?:DPS|PORT|TPM2|CRYPTO|EXAMPLE|FIRMWARE)_[A-Z0-9_]+)\b")
PATH = re.compile(r"(?:(?:crypto|tpm|dps|port|tests)/[\w./*-]*|\b[\w-]+\.(?:c|h|S|py|sh|mk|md|ld)\b)")
# Libraries that have names like ours.
FOREIGN = {"TPM2_GetRandom", "TPM2_Startup", "TPM2_Clear"}
THE_READERS = {"register.sh", "send.sh"}
PORTABLE = {"stddef.h", "stdint.h", "stdbool.h", "string.h"}


def shown(first, second, kind):
    """The lines of a block."""
    if kind == "diff":
        done = subprocess.run(["diff", "-u", "--label", first, "--label", second, first, second],
                              capture_output=True, text=True, check=False)
        return "```diff\n" + done.stdout + "```\n"
    text = pathlib.Path(first).read_text(encoding="utf-8")
    match = re.search(rf"^[\w ]*?[ *]{second}\([^;{{]*\)\n{{\n.*?^}}\n", text, re.M | re.S)
    return "```c\n" + (match.group(0) if match else f"{first} has no {second}\n") + "```\n"


BLOCK = re.compile(r"(<!-- (diff|code) (\S+) (\S+) -->\n)(.*?)(<!-- /\2 -->)", re.S)


def update(text):
    return BLOCK.sub(lambda m: m.group(1) + shown(m.group(3), m.group(4), m.group(2)) + m.group(6), text)


def quoted(text):
    """(line number, words) of inline code and of shell blocks, but not of the blocks above."""
    text = BLOCK.sub(lambda m: "\n" * m.group(0).count("\n"), text)
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


def names(text):
    words = set().union(*(re.findall(r"\w+", p.read_text(encoding="utf-8")) for p in SOURCES))
    words |= set(re.findall(r"\w+", pathlib.Path("Makefile").read_text(encoding="utf-8")))
    for number, quote in quoted(text):
        for path in PATH.findall(re.sub(r"\S*build/\S*", "", quote)):
            if not exists(path):
                yield f"{DOCUMENT}:{number}: there is no file {path}"
        for name in OURS.findall(PATH.sub("", quote)):
            if name not in words and name not in FOREIGN:
                yield f"{DOCUMENT}:{number}: nothing is called {name}"


def targets(text):
    rules = "\n".join(p.read_text(encoding="utf-8") for p in MAKEFILES)
    for number, quote in quoted(text):
        for target in re.findall(r"\bmake ([a-z][\w-]*)", quote):
            if not re.search(rf"^(?:[\w$() -]* )?{target}(?: [\w$() -]*)?:", rules, re.M):
                yield f"{DOCUMENT}:{number}: make has no target {target}"


def options(text):
    """Options of our programs: each is in a table of theirs."""
    known = set()
    for path in SOURCES:
        if path.suffix == ".c":
            known |= set(re.findall(r'\.name = "([\w-]+)"', path.read_text(encoding="utf-8")))
        if path.name == "relay.py":
            known |= set(re.findall(r'"--([\w-]+)"', path.read_text(encoding="utf-8")))
    known |= {"loop"}  # dps-example
    known |= {"tpm2", "tpmstate", "server", "flags", "daemon", "gc-sections"}  # swtpm's, the linker's
    for number, quote in quoted(text):
        for option in re.findall(r"(?<![\w-])--([a-z][\w-]+)", quote):
            if option not in known:
                yield f"{DOCUMENT}:{number}: no program has --{option}"


def links(text):
    for number, line in enumerate(text.splitlines(), 1):
        for link in re.findall(r"\]\(([^)#:]+)\)", line):
            if not (DOCUMENT.parent / link).exists():
                yield f"{DOCUMENT}:{number}: the link {link} leads nowhere"


def blocks(text):
    for match in BLOCK.finditer(text):
        if match.group(5) != shown(match.group(3), match.group(4), match.group(2)):
            number = text.count("\n", 0, match.start()) + 1
            yield f"{DOCUMENT}:{number}: {match.group(3)} {match.group(4)} is otherwise: make porting-update"
    if len(BLOCK.findall(text)) < 2:
        yield f"{DOCUMENT}: it shows no code"


def turn(_):
    """PORTING.md says that turn.c runs anywhere."""
    for path in ("port/example/turn.c", "port/example/turn.h"):
        for header in re.findall(r"#include <(\S+)>", pathlib.Path(path).read_text(encoding="utf-8")):
            if header not in PORTABLE:
                yield f"{path}: <{header}> is not portable"


def main():
    text = DOCUMENT.read_text(encoding="utf-8")
    if "--update" in sys.argv:
        DOCUMENT.write_text(update(text), encoding="utf-8")
        return 0
    checks = (("names of files, functions and macros exist", names), ("make has the targets", targets),
              ("programs have the options", options), ("links lead somewhere", links),
              ("the code that is shown is the tree's", blocks), ("the event loop's turn is portable", turn))
    print(f"1..{len(checks)}")
    failed = False
    for number, (name, check) in enumerate(checks, 1):
        offences = list(check(text))
        failed = failed or bool(offences)
        print(f"{'not ok' if offences else 'ok'} {number} - {DOCUMENT}: {name}")
        for offence in offences:
            print(f"# {offence}")
    return 1 if failed else 0


sys.exit(main())
