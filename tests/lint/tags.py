# SPDX-License-Identifier: MIT
"""Spec tags: each tag in the code has one line in the table of tests/lint/SECTIONS.md, each line there has a tag,
code and a test that exist. TAP; on failure one line per offence, as file:line.

A tag is a comment's bracket that begins with a document:
    [P3 r1.59 12.5]   [P2 r1.59 6.5.2, Table 12]   [RFC 9112 2.2, 11.2]   [P1 r1.59 24.3 and 23.3.2.3]
    [RFC 3629]   [FIPS 180-4]   [TCG EK Credential Profile v2.5 B.3.3, Template L-1]   [DPS "Register device"]
It may name several sections; what follows a further comma is a remark. Several documents are separated by semicolons.
Its lines in the table are one for each document and section. TCG documents carry their revision, the same one
everywhere (REVISIONS), also in documents and in the sources of dps-conformance's requirements.

Usage: tests/lint/tags.py [BUILD]     from the root of the tree
       tests/lint/tags.py --list      the tags and where they are, to help in writing the table
"""
import pathlib
import re
import sys

DIRECTORIES = ("crypto/**", "tpm/**", "dps/**", "port", "port/none", "port/posix/**", "port/tis")
PAGE = pathlib.Path("spec-notes.md")
TESTS = (".c", ".py", ".sh")
# tests/port/test_flow.c, test_flow.c:s05_software_srk, `s06 strangers do not lock ...`
NAMES_A_TEST = re.compile(r"tests/\S+$|\w*test\w*\.(?:c|py|sh)(?::\w+)?$|test_\w+$|s(?:0\d|10)[ _]\w")
NOTES = pathlib.Path("tests/lint/SECTIONS.md")

# The one revision of each document that facts were checked against. The chapter on I2C of the PC Client profile was
# read in 1.04 and not compared with 1.05.
REVISIONS = {
    "TPM 2.0 Library": ("1.59", r"\b(?:P[123]|Part [123]|Library(?: Specification)?),? (?:r|revision )(\d+\.\d+)"),
    "EK Credential Profile": ("2.5", r"EK (?:Credential )?Profile(?: for TPM Family 2\.0, version)? v?(\d+\.\d+)"),
    "Provisioning Guidance": ("1.0", r"Provisioning Guidance v?(\d+\.\d+)"),
    "PC Client Platform TPM Profile": ("1.05", r"PC Client Platform TPM Profile v(\d+\.\d+)\b(?! 8\.1)"),
}
REVISED = ("*.md", "crypto/**/*.[ch]", "tpm/**/*.[ch]", "dps/**/*.[ch]", "port/**/*.[ch]", "port/**/*.md",
           "tests/**/*.[ch]", "tests/**/*.md", "tests/**/*.py")

LOOKS_LIKE_A_TAG = re.compile(r'P\d\b|RFC|FIPS|SP ?800|NIST|X\.\d|ISO|SEC |PKCS|TCG |TPM 2|EK |DPS ["A-Za-z]|IoT Hub')
DOCUMENT = re.compile(r'P[123] r1\.59|RFC \d+|FIPS \d+-\d+|SP 800-\d+\w?|X\.\d+|'
                      r'TCG [A-Z][A-Za-z ]+?(?: v\d+\.\d+)?(?: r\d+\.\d+)?(?= [A-Z]?\.?\d+\.|[,\]]|$)|'
                      r'TPM 2\.0 reference implementation|(?:DPS|IoT Hub) "[^"]+"')
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


def read_table():
    """(line number, tag, words, code, test) of each line of the table, and what is wrong with its form."""
    rows, wrong = [], []
    if not NOTES.is_file():
        return rows, [f"{NOTES} does not exist"]
    inside = False
    for number, line in enumerate(NOTES.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip() in ("<!-- sections -->", "<!-- /sections -->"):
            inside = "/" not in line
        elif inside and line.startswith("|") and not re.match(r"\|[ -]*tag|\|[-| ]+$", line):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if len(cells) != 4 or not all(cells):
                wrong.append(f"{NOTES}:{number}: a line has four cells: tag, what it says, code, test")
            else:
                rows.append((number, cells[0].strip("`"), *cells[1:]))
    if not rows:
        wrong.append(f'{NOTES}: no table between "<!-- sections -->" and "<!-- /sections -->"')
    return rows, wrong


def files_of(name, sources):
    """The files that define or declare a function, a macro or a type; the file itself for a path."""
    if "/" in name:
        return {name} if name in sources else set()
    word = re.compile(rf"^(?:[A-Za-z_][^\n;={{}}()]*?\b{name}\(|#define {name}\b|(?:struct|enum) {name}\b)", re.M)
    return {path for path, text in sources.items() if word.search(text)}


def test_exists(name):
    """tests/e2e/some_test.py, or test_command.c:test_requests."""
    if "/" in name:
        return pathlib.Path(name).is_file()
    file, _, function = name.partition(":")
    return any(re.search(rf"^(?:static )?(?:int|void) {function}\(|^def {function}\(|^{function}\(\)", path.read_text(),
                         re.M) for path in pathlib.Path("tests").rglob(file) if function)


def tests_of_the_notes():
    """What spec-notes.md calls a test but is not one: a file, a file and its function, the title of a case; and all
    is in the last column of a table that is called test."""
    tests = {path: path.read_text(encoding="utf-8") for path in pathlib.Path("tests").rglob("*")
             if path.suffix in TESTS}

    def known(name):
        file, _, function = name.rpartition("/")[2].partition(":")
        if file.endswith(TESTS):
            return any(path.name == file and re.search(rf"\b{function}\(|^{function}$", text if function else "")
                       for path, text in tests.items())
        return pathlib.Path(name).exists() or any(name in text for text in tests.values())

    test_column = False
    for number, line in enumerate(PAGE.read_text(encoding="utf-8").splitlines(), 1):
        quoted = set(filter(NAMES_A_TEST.match, re.findall(r"`([^`]+)`", line)))
        last = line.rstrip(" |").rpartition("|")[2].strip()
        if last.lower() == "test" or not line.startswith("|"):
            test_column = last.lower() == "test"
        elif test_column:
            quoted.update(re.findall(r"`([^`]+)`", last))
        yield from (f"{PAGE}:{number}: there is no test {name}" for name in sorted(quoted) if not known(name))


def too_long():
    size = PAGE.stat().st_size
    if size > 45 * 1024:
        yield f"{PAGE} has {size} bytes: a person reads it, so it has 45 KB at most"


def other_revisions():
    """Places that name another revision of a document than REVISIONS does."""
    for path in sorted({path for pattern in REVISED for path in pathlib.Path(".").glob(pattern)}):
        text = re.sub(r"\s+\*?\s*", " ", path.read_text(encoding="utf-8"))
        for document, (revision, form) in REVISIONS.items():
            for named in set(re.findall(form, text)) - {revision}:
                yield f"{path}: {document} is {named} here, {revision} elsewhere"


def main():
    tags, sources, wrong_tags = read_code()
    if "--list" in sys.argv:
        for tag, places in sorted(tags.items()):
            print(tag, *(f"{path}:{line}" for path, line in places))
        return 0
    rows, wrong_rows = read_table()
    known = [tag for _, tag, *_ in rows]
    lacking = [f"{places[0][0]}:{places[0][1]}: [{tag}] has no line in {NOTES}"
               for tag, places in sorted(tags.items()) if tag not in known]
    idle = [f"{NOTES}:{number}: no comment has the tag [{tag}]" for number, tag, *_ in rows if tag not in tags]
    idle += [f"{NOTES}:{number}: [{tag}] has a line already" for at, (number, tag, *_) in enumerate(rows)
             if tag in known[:at]]
    no_code, no_test = [], []
    for number, tag, _, code, test in rows:
        names = re.findall(r"`([^`]+)`", code)
        places = {path for path, _ in tags.get(tag, [])}
        found = {name: files_of(name, sources) for name in names}
        no_code += [f"{NOTES}:{number}: {name} is nowhere in the code" for name in names if not found[name]]
        if not names or (tag in tags and not places.intersection(*[set().union(*found.values())])):
            stands = ", ".join(sorted(places))
            no_code.append(f"{NOTES}:{number}: [{tag}] is in {stands}, not in what the line names")
        names = re.findall(r"`([^`]+)`", test)
        no_test += [f"{NOTES}:{number}: there is no test {name}" for name in names if not test_exists(name)]
        if not names:
            no_test.append(f"{NOTES}:{number}: [{tag}] names no test")
    checks = (("spec tags have their form, and a revision where there are several", wrong_tags),
              ("each document is meant in one revision", list(other_revisions())),
              (f"every tag has a line in {NOTES}", lacking + wrong_rows),
              ("every line has a tag in the code, and only one line has it", idle),
              ("every line names code that exists and carries the tag", no_code),
              ("every line names a test that exists", no_test),
              (f"{PAGE} names tests that exist", list(tests_of_the_notes())),
              (f"{PAGE} has a length that a person reads", list(too_long())))
    print(f"1..{len(checks)}")
    print(f"# {len(tags)} tags at {sum(map(len, tags.values()))} places")
    for number, (name, offences) in enumerate(checks, 1):
        print(f"{'not ok' if offences else 'ok'} {number} - {name}")
        for offence in offences:
            print(f"# {offence}")
    return 1 if any(offences for _, offences in checks) else 0


sys.exit(main())
