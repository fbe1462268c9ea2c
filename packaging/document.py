# SPDX-License-Identifier: MIT
"""Copies pages into one folder, as make install has them. A link to a page or an example leads to its copy; a link to a
source, which is not there, becomes its text.

    python3 packaging/document.py DIRECTORY PAGE... -- EXAMPLE..."""
import os
import pathlib
import re
import sys

LINK = re.compile(r"\[([^]]*)\]\(([^)#]*)(#[^)]*)?\)")


def main(directory, pages, examples):
    places = {page: os.path.basename(page) for page in pages}
    places |= {example: "examples/" + os.path.basename(example) for example in examples}

    def link(page, match):
        text, target, part = match.group(1), match.group(2), match.group(3) or ""
        if not target or "://" in target:
            return match.group(0)
        place = places.get(os.path.normpath(os.path.join(os.path.dirname(page), target)))
        return f"[{text}]({place}{part})" if place else text
    for page in pages:
        text = pathlib.Path(page).read_text(encoding="utf-8")
        text = LINK.sub(lambda match, page=page: link(page, match), text)
        pathlib.Path(directory, places[page]).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    at = sys.argv.index("--")
    main(sys.argv[1], sys.argv[2:at], sys.argv[at + 1:])
