# SPDX-License-Identifier: MIT
"""What the makers of vectors have in common: fixed bytes, the keys, and the form of a file. Only Python's standard
library, and the primitives of the walk-through, which share no code with the project either."""
import base64
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
VECTORS = HERE.parent
sys.path.insert(0, str(VECTORS.parent / "walkthrough"))

from tpmcrypto import sha256, two

SHA256_ID = bytes.fromhex("000b")


def fixed(what, size):
    """Bytes that are always the same, and different for each use."""
    return b"".join(sha256(b"tpm-dps vectors: ", what.encode(), bytes([i])) for i in range(size // 32 + 1))[:size]


def changed(data, at=-1, bit=0):
    """The same with one bit flipped."""
    out = bytearray(data)
    out[at] ^= 1 << bit
    return bytes(out)


def content(whole):
    """Of a TPM2B."""
    return whole[2:]


def name_of(public_2b):
    return SHA256_ID + sha256(content(public_2b))


BLOB = json.loads((VECTORS / "activation-blob.json").read_text(encoding="ascii"))


class Keys:
    """EK and SRK of activation-blob.json."""
    ek_private, ek = base64.b64decode(BLOB["ekPrivPkcs8Der"]), base64.b64decode(BLOB["ekPub2B"])
    srk_private, srk = base64.b64decode(BLOB["srkPrivPkcs8Der"]), base64.b64decode(BLOB["srkPub2B"])


# ---- A file ----------------------------------------------------------------------------------------------------------

def written(value):
    """Bytes as hexadecimal; names of members as JSON has them."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name: written(v) for name, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [written(v) for v in value]
    return value


class Group:
    """Vectors of one type. `shared` is what all tests have that do not say otherwise."""

    def __init__(self, kind, about, **shared):
        self.head, self.shared, self.tests = {"type": kind, "about": about}, written(shared), []

    def add(self, result, reason, section, *flags, **values):
        """Members with the value that the group has are left out."""
        own = {name: v for name, v in written(values).items() if self.shared.get(name) != v}
        self.tests.append({"reason": reason, "section": section, "flags": list(flags), "result": result, **own})

    def valid(self, reason, section, *flags, **values):
        self.add("valid", reason, section, *flags, **values)

    def invalid(self, reason, section, *flags, **values):
        self.add("invalid", reason, section, *flags, **values)

    def acceptable(self, reason, section, *flags, **values):
        self.add("acceptable", reason, section, *flags, **values)


def lines_of(value, margin):
    """JSON: what fits into a line in one line, else a member a line."""
    text = json.dumps(value)
    if len(margin) + len(text) <= 118 or not isinstance(value, (dict, list)):
        return text
    inner = margin + " "
    if isinstance(value, list):
        return "[\n" + ",\n".join(inner + lines_of(v, inner) for v in value) + "\n" + margin + "]"
    about = {name: v for name, v in value.items() if name in ABOUT}  # of a test, together
    members = [json.dumps(about)[1:-1]] if about else []
    members += [f"{json.dumps(name)}: {lines_of(v, inner)}" for name, v in value.items() if name not in ABOUT]
    return "{\n" + ",\n".join(inner + member for member in members) + "\n" + margin + "}"


ABOUT = ("tcId", "reason", "section", "flags", "result")


def document(algorithm, source, notes, groups):
    """The text of a file: tests numbered through, every flag explained, none explained that is not used."""
    number = 0
    out = []
    for group in groups:
        tests = []
        for test in group.tests:
            number += 1
            tests.append({"tcId": number, **test})
        out.append({**group.head, **group.shared, "tests": tests})
    used = {flag for group in groups for test in group.tests for flag in test["flags"]}
    assert used == set(notes), (algorithm, used ^ set(notes))
    whole = {"algorithm": algorithm, "schema": "schema.json", "source": source, "numberOfTests": number,
             "notes": notes, "testGroups": out}
    return lines_of(whole, "") + "\n"


__all__ = ["BLOB", "Group", "Keys", "changed", "content", "document", "fixed", "name_of", "sha256", "two"]
