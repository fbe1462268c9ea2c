# SPDX-License-Identifier: MIT
"""Writes the code that port/PORTING.md shows anew: python3 tests/lint/porting.py (make porting-update).

    <!-- diff OLD NEW -->            ... <!-- /diff -->    diff -u of the two files
    <!-- code FILE FUNCTION -->      ... <!-- /code -->    a function as it is in FILE

What the page shows and the tree does not have stays as it is: a board's files, each after <!-- file PATH -->."""
import pathlib
import re
import subprocess

DOCUMENT = pathlib.Path("port/PORTING.md")


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

# Path and content.
FILE = re.compile(r"<!-- file (\S+) -->\n```\w+\n(.*?)^```\n", re.S | re.M)


def update(text):
    return BLOCK.sub(lambda m: m.group(1) + shown(m.group(3), m.group(4), m.group(2)) + m.group(6), text)


if __name__ == "__main__":
    DOCUMENT.write_text(update(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
