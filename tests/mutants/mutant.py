# SPDX-License-Identifier: MIT
"""A mutant: one of our programs with a mistake in it, and the conformance cases that must find the mistake."""

import os
from typing import NamedTuple


class Stale(Exception):
    """The source has changed: the mutant has to be adapted."""


class Mutant(NamedTuple):
    id: str
    breaks: str           # what it does wrong, in words
    file: str
    edits: tuple          # pairs: text that occurs exactly once in the file, and its replacement
    caught_by: tuple      # cases, each of which must fail
    still_right: str = ""  # a case that must pass all the same; empty: the suite's usual one

    def source(self):
        """The file with the mistake."""
        with open(self.file, encoding="utf-8") as f:
            text = f.read()
        for old, new in self.edits:
            if text.count(old) != 1:
                raise Stale(f"{self.file} has this text {text.count(old)} times instead of once; "
                            f"the mutant {self.id} must follow the source:\n{old}")
            text = text.replace(old, new)
        return text

    def write(self, directory):
        place = os.path.join(directory, self.file)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "w", encoding="utf-8") as f:
            f.write(self.source())
