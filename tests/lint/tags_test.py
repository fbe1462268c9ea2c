# SPDX-License-Identifier: MIT
"""Spec tags (tags.py): every one in the code has one line in the table of tests/lint/SECTIONS.md, every line there has
a tag, code and a test that exist."""
import pathlib
import re

from tags import REVISIONS, read_code
from tap import note

NOTES = pathlib.Path("tests/lint/SECTIONS.md")
PAGE = pathlib.Path("spec-notes.md")
PAGES = (PAGE, pathlib.Path("tests/peers/CLIENTS.md"))
TESTS = (".c", ".py", ".sh")
# tests/port/test_flow.c, test_flow.c:s05_software_srk, `s06 strangers do not lock ...`
NAMES_A_TEST = re.compile(r"tests/\S+$|\w*test\w*\.(?:c|py|sh)(?::\w+)?$|test_\w+$|s(?:0\d|10)[ _]\w")
REVISED = ("*.md", "crypto/**/*.[ch]", "tpm/**/*.[ch]", "dps/**/*.[ch]", "port/**/*.[ch]", "port/**/*.md",
           "tests/**/*.[ch]", "tests/**/*.md", "tests/**/*.py")


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


def exists(name):
    """tests/e2e/some_test.py, or test_command.c:test_requests."""
    if "/" in name:
        return pathlib.Path(name).is_file()
    file, _, function = name.partition(":")
    return any(re.search(rf"^(?:static )?(?:int|void) {function}\(|^def {function}\(|^{function}\(\)", path.read_text(),
                         re.M) for path in pathlib.Path("tests").rglob(file) if function)


def tests_of(page):
    """What a page calls a test but is not one: a file, a file and its function, the title of a case; and all
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
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        quoted = set(filter(NAMES_A_TEST.match, re.findall(r"`([^`]+)`", line)))
        last = line.rstrip(" |").rpartition("|")[2].strip()
        if last.lower() == "test" or not line.startswith("|"):
            test_column = last.lower() == "test"
        elif test_column:
            quoted.update(re.findall(r"`([^`]+)`", last))
        yield from (f"{page}:{number}: there is no test {name}" for name in sorted(quoted) if not known(name))


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


TAGS, SOURCES, WRONG_TAGS = read_code()
ROWS, WRONG_ROWS = read_table()
KNOWN = [tag for _, tag, *_ in ROWS]


def test_form():
    """spec tags have their form, and a revision where there are several"""
    note(f"{len(TAGS)} tags at {sum(map(len, TAGS.values()))} places")
    yield from WRONG_TAGS


def test_revisions():
    """each document is meant in one revision"""
    yield from other_revisions()


def test_lines():
    """every tag has a line in tests/lint/SECTIONS.md"""
    for tag, places in sorted(TAGS.items()):
        if tag not in KNOWN:
            yield f"{places[0][0]}:{places[0][1]}: [{tag}] has no line in {NOTES}"
    yield from WRONG_ROWS


def test_tags():
    """every line has a tag in the code, and only one line has it"""
    for at, (number, tag, *_) in enumerate(ROWS):
        if tag not in TAGS:
            yield f"{NOTES}:{number}: no comment has the tag [{tag}]"
        if tag in KNOWN[:at]:
            yield f"{NOTES}:{number}: [{tag}] has a line already"


def test_code():
    """every line names code that exists and carries the tag"""
    for number, tag, _, code, _ in ROWS:
        found = {name: files_of(name, SOURCES) for name in re.findall(r"`([^`]+)`", code)}
        yield from (f"{NOTES}:{number}: {name} is nowhere in the code" for name, files in found.items() if not files)
        places = {path for path, _ in TAGS.get(tag, [])}
        if not found or (tag in TAGS and not places.intersection(*[set().union(*found.values())])):
            yield f"{NOTES}:{number}: [{tag}] stands in {', '.join(sorted(places))}, not in what the line names"


def test_named_tests():
    """every line names a test that exists"""
    for number, tag, _, _, test in ROWS:
        names = re.findall(r"`([^`]+)`", test)
        yield from (f"{NOTES}:{number}: there is no test {name}" for name in names if not exists(name))
        if not names:
            yield f"{NOTES}:{number}: [{tag}] names no test"


def test_mqtt():
    """every rule of MQTT that the code follows is named in its tests"""
    tests = ("tests/unit/test_mqtt.c", "tests/port/test_hub_mqtt.c")
    tested = set(re.findall(r"\b\d[-.]\d[-.\d]*\d", "".join(pathlib.Path(t).read_text() for t in tests)))
    for path, text in SOURCES.items():
        for bracket in re.findall(r"\[MQTT-([^\]]+)\]", text):
            for number in re.split(r", | to ", bracket):
                if number not in tested:
                    yield f"{path}: [MQTT-{number}] is in none of {tests}"


def test_notes():
    """spec-notes.md and the page about clients name tests that exist"""
    for page in PAGES:
        yield from tests_of(page)


def test_length():
    """spec-notes.md has a length that a person reads"""
    yield from too_long()
