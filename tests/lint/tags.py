# SPDX-License-Identifier: MIT
"""Prints every spec tag of the code and where it stands, to help in writing the table of tests/lint/SECTIONS.md:
python3 tests/lint/tags.py. The rules about tags and table are in tags_test.py.

A tag is a comment's bracket that begins with a document:
    [P3 r1.59 12.5]   [P2 r1.59 6.5.2, Table 12]   [RFC 9112 2.2, 11.2]   [P1 r1.59 24.3 and 23.3.2.3]
    [RFC 3629]   [FIPS 180-4]   [TCG EK Credential Profile v2.5 B.3.3, Template L-1]   [DPS "Register device"]
It may name several sections; what follows a further comma is a remark. Several documents are separated by semicolons.
Its lines in the table are one for each document and section. TCG documents carry their revision, the same one
everywhere (REVISIONS), also in documents and in the sources of dps-conformance's requirements."""
import pathlib
import re

DIRECTORIES = ("crypto/**", "tpm/**", "dps/**", "port", "port/none", "port/posix/**", "port/tis")

# The one revision of each document that facts were checked against. The chapter on I2C of the PC Client profile was
# read in 1.04 and not compared with 1.05.
REVISIONS = {
    "TPM 2.0 Library": ("1.59", r"\b(?:P[123]|Part [123]|Library(?: Specification)?),? (?:r|revision )(\d+\.\d+)"),
    "EK Credential Profile": ("2.5", r"EK (?:Credential )?Profile(?: for TPM Family 2\.0, version)? v?(\d+\.\d+)"),
    "Provisioning Guidance": ("1.0", r"Provisioning Guidance v?(\d+\.\d+)"),
    "PC Client Platform TPM Profile": ("1.05", r"PC Client Platform TPM Profile v(\d+\.\d+)\b(?! 8\.1)"),
}

LOOKS_LIKE_A_TAG = re.compile(r'P\d\b|RFC|FIPS|SP ?800|NIST|X\.\d|ISO|SEC |PKCS|TCG |TPM 2|EK |MQTT \d|'
                              r'AMQP \d|DPS ["A-Za-z]|IoT Hub')
DOCUMENT = re.compile(r'P[123] r1\.59|RFC \d+|FIPS \d+-\d+|SP 800-\d+\w?|X\.\d+|'
                      r'TCG [A-Z][A-Za-z ]+?(?: v\d+\.\d+)?(?: r\d+\.\d+)?(?= [A-Z]?\.?\d+\.|[,\]]|$)|'
                      r'TPM 2\.0 reference implementation|MQTT 3\.1\.1|AMQP 1\.0|(?:DPS|IoT Hub) "[^"]+"')
SECTION = re.compile(r"(?:[A-Z]\.)?\d+(?:\.\d+)*|[A-Z](?:\.\d+)+")
SEPARATOR = re.compile(r", (?=(?:[A-Z]\.)?\d)| and ")
TPM_DOCUMENT = re.compile(r"P\d\b|TCG ")
REVISION = re.compile(r"\b[rv]\d+\.\d+")


def sections_of(text):
    """The (document and section) keys of one bracket; raises ValueError with what is wrong."""
    keys = []
    for part in text.split("; "):
        match = DOCUMENT.match(part)
        if not match:
            raise ValueError("is not in the form of a tag")
        document, rest = match.group(0), part[match.end():]
        if TPM_DOCUMENT.match(document) and not REVISION.search(document):
            raise ValueError("lacks its revision")
        if rest and not rest.startswith((" ", ", ")):
            raise ValueError("is not in the form of a tag")
        if rest.startswith(","):
            rest = ""
        names = []
        rest = rest.strip()
        while rest:
            section = SECTION.match(rest)
            if not section:
                raise ValueError("is not in the form of a tag")
            names.append(section.group(0))
            rest = rest[section.end():]
            separator = SEPARATOR.match(rest)
            if separator:
                rest = rest[separator.end():]
            elif rest.startswith(", "):
                break
            elif rest:
                raise ValueError("is not in the form of a tag")
        if document.startswith("P") and not names:
            raise ValueError("lacks its section")
        keys += [f"{document} {name}" for name in names] or [document]
    return keys


def comments(text):
    """(line number, text in one line) of each comment; string literals do not count."""
    for match in re.finditer(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|//[^\n]*', text, re.S):
        if match.group(0)[0] == "/":
            first = text.count("\n", 0, match.start()) + 1
            yield first, re.sub(r"\n\s*\* ?", " ", match.group(0))


def read_code():
    """Tags and their places; texts of all sources; what is wrong with tags."""
    tags, sources, wrong = {}, {}, []
    for path in sorted(p for d in DIRECTORIES for s in ("*.c", "*.h") for p in pathlib.Path(".").glob(f"{d}/{s}")):
        text = path.read_text(encoding="utf-8")
        sources[str(path)] = text
        for line, comment in comments(text):
            for bracket in re.findall(r"\[([^\[\]]+)\]", comment):
                if not LOOKS_LIKE_A_TAG.match(bracket):
                    continue
                try:
                    for key in sections_of(bracket):
                        tags.setdefault(key, []).append((str(path), line))
                except ValueError as error:
                    wrong.append(f"{path}:{line}: [{bracket}] {error}")
        for number, line in enumerate(text.splitlines(), 1):
            for spec in re.findall(r'"(P\d[^"]*)"', line):
                if not re.fullmatch(r"P[123] r1\.59 \d+(\.\d+)*", spec):
                    wrong.append(f'{path}:{number}: "{spec}" is not in the form of a tag')
    return tags, sources, wrong


if __name__ == "__main__":
    for tag, places in sorted(read_code()[0].items()):
        print(tag, *(f"{path}:{line}" for path, line in places))
