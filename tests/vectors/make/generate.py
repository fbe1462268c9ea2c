#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write the vectors, from fixed bytes, with Python's standard library alone: the same bytes each time.

Usage: tests/vectors/make/generate.py [--check]
With --check nothing is written; the exit status is 1 if a file differs from what generate.py would write."""
import json
import sys

sys.dont_write_bytecode = True

import vector_areas
import vector_sessions
import vector_texts
import vector_wraps
from vector_form import VECTORS

FILES = {
    "kdfa.json": vector_areas.kdfa_file,
    "names.json": vector_areas.names_file,
    "templates.json": vector_areas.templates_file,
    "policies.json": vector_areas.policies_file,
    "make-credential.json": vector_wraps.credential_file,
    "duplicate.json": vector_wraps.duplicate_file,
    "blobs.json": vector_wraps.blobs_file,
    "sessions.json": vector_sessions.sessions_file,
    "sas.json": vector_texts.sas_file,
    "registration-ids.json": vector_texts.ids_file,
}


def flag_list(text):
    """For the page: a file's counts, and its flags as its notes explain them."""
    whole = json.loads(text)
    results = [test["result"] for group in whole["testGroups"] for test in group["tests"]]
    counts = ", ".join(f"{results.count(result)} {result}" for result in dict.fromkeys(results))
    return f"{counts}. Flags:\n\n" + "".join(f"- **{flag}**: {note}\n" for flag, note in whole["notes"].items())


def with_flags(page, documents):
    for name, text in documents.items():
        begin, end = f"<!-- {name}: written by make vectors -->\n", "<!-- end -->\n"
        before, rest = page.split(begin)
        page = before + begin + flag_list(text) + end + rest.split(end, 1)[1]
    return page


def everything():
    """All files that are written, with their texts."""
    documents = {name: make() for name, make in FILES.items()}
    page = (VECTORS / "README.md").read_text(encoding="utf-8")
    return {**documents, "README.md": with_flags(page, documents)}


def main(*arguments):
    wrong = 0
    for name, text in everything().items():
        path = VECTORS / name
        if list(arguments) != ["--check"]:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            print(f"{path} is not what generate.py writes", file=sys.stderr)
            wrong = 1
    return wrong


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
