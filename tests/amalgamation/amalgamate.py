# SPDX-License-Identifier: MIT
"""Writes the device side as two files: tpm-dps.h (every public header, in the order of their includes) and tpm-dps.c.

    python3 tests/amalgamation/amalgamate.py DIRECTORY NAMES SOURCE...      from the root of the tree

NAMES is what packaging/names.awk makes: how the linker knows what the files offer. The header begins with example.c.in.
Names that are one file's own (static functions and tables, macros, tags, enumerators) may occur in two files. In one
translation unit they may not: the later file's name gets the file's name as a prefix, and macros end with their file.
What cannot be told apart this way is an error, not a guess."""

import os
import pathlib
import re
import sys

# Headers that sources share and users do not need.
PRIVATE = {"dps/device/step.h", "dps/device/authorization.h"}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<([^>]+)>)[^\n]*\n', re.M)
TOKEN = re.compile(r"""(?P<blank>\s+|/\*.*?\*/|//[^\n]*)|(?P<directive>^[ \t]*\#(?:\\\n|/\*.*?\*/|[^\n])*)
    |(?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|(?P<number>\.?[0-9](?:[eEpP][+-]|[\w.])*)|(?P<name>[A-Za-z_]\w*)
    |(?P<mark>->|\.\.\.|.)""", re.M | re.S | re.X)
KEYWORDS = set("""auto break case char const continue default do double else enum extern float for goto if inline int
long     register return short signed sizeof static struct switch typedef union unsigned void volatile while""".split())


def stop(message):
    sys.exit(f"amalgamate.py: {message}")


def tokens(text):
    """Pairs of kind and text, which joined give the text again. Directives begin at the start of a line."""
    at = 0
    while at < len(text):
        match = TOKEN.match(text, at)
        # A directive that does not begin its line is a mark.
        yield match.lastgroup, match.group(0)
        at = match.end()


def directive_names(directive):
    """The name that a #define gives, or none."""
    match = re.match(r"\s*#\s*define\s+(\w+)", directive)
    return {match.group(1)} if match else set()


def statements(text):
    """The declarations and definitions at file scope, each as a list of names and marks."""
    depth, statement, body = 0, [], False
    for kind, token in tokens(text):
        if kind not in ("name", "mark"):
            continue
        if token == "{" and depth == 0:
            body = bool(statement) and statement[-1] == ")"
        statement.append(token)
        depth += (token in "{([") - (token in "})]") if kind == "mark" else 0
        if depth == 0 and (token == ";" or (token == "}" and body)):
            yield statement
            statement, body = [], False


def enumerators(statement):
    """Of every enum in a declaration, at any depth."""
    for at, token in enumerate(statement):
        if token != "enum":
            continue
        begin = at + 1 if statement[at + 1] == "{" else at + 2
        if begin >= len(statement) or statement[begin] != "{":
            continue
        depth = 0
        for previous, token in zip(statement[begin:], statement[begin + 1:]):
            depth += (previous in "{([") - (previous in "})]") if len(previous) == 1 else 0
            if depth == 0:
                break
            if depth == 1 and previous in "{," and re.match(r"[A-Za-z_]", token):
                yield token


def declared(statement):
    """The identifier that a declaration is about: before its first parenthesis, bracket, = or ; outside of braces."""
    depth, last = 0, None
    for at, token in enumerate(statement):
        if token == "{":
            depth += 1
        elif token == "}":
            depth -= 1
        elif depth == 0 and token in ("(", "[", "=", ";"):
            if token == "(" and statement[at + 1] == "*":
                return next(t for t in statement[at + 1:] if t not in KEYWORDS and re.match(r"[A-Za-z_]", t))
            return last
        elif depth == 0 and token not in KEYWORDS and re.match(r"[A-Za-z_]", token):
            last = token
    return last


class Source:
    def __init__(self, path):
        self.path = path
        text = pathlib.Path(path).read_text(encoding="utf-8")
        self.includes = [m.group(1) for m in INCLUDE.finditer(text) if m.group(1)]
        self.system = [m.group(2) for m in INCLUDE.finditer(text) if m.group(2)]
        text = INCLUDE.sub("", text)
        text = re.sub(r"\A/\* SPDX[^\n]*\n", "", text)
        guard = re.sub(r"\W", "_", path).upper()
        text = re.sub(rf"^#ifndef {guard}\n#define {guard}\n(.*)^#endif\n\Z", r"\1", text, flags=re.M | re.S)
        if path.endswith(".h") and re.search(rf"\b{guard}\b", text):
            stop(f"{path}: the guard {guard} is not at its two ends")
        self.text = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
        self.macros, self.local, self.exported, self.names = set(), set(), set(), set()
        for kind, token in tokens(self.text):
            if kind == "directive":
                self.macros |= directive_names(token)
            self.names |= set(re.findall(r"[A-Za-z_]\w*", token)) if kind in ("directive", "name") else set()
        for statement in statements(self.text):
            self.scan(statement)

    def scan(self, statement):
        """What a declaration at file scope introduces."""
        name = declared(statement)
        for at, token in enumerate(statement[:-2]):
            if token in ("struct", "union", "enum") and statement[at + 2] == "{":
                self.local.add(statement[at + 1])
        self.local |= set(enumerators(statement))
        if statement[0] in ("static", "typedef"):
            self.local.add(name)
        elif name and statement[0] not in ("struct", "union", "enum") or "(" in statement and "{" not in statement[:3]:
            self.exported.add(name)

    def rename(self, old, new):
        def in_directive(match):
            return new if match.group(0) == old else match.group(0)
        out, previous = [], ""
        for kind, token in tokens(self.text):
            if kind == "directive":
                token = re.sub(r"(?<![\w.])[A-Za-z_]\w*", in_directive, token)
            elif kind == "name" and token == old and previous not in (".", "->"):
                token = new
            out.append(token)
            previous = previous if kind == "blank" else token
        self.text = "".join(out)
        for names in (self.local, self.names, self.macros):
            if old in names:
                names.remove(old)
                names.add(new)


def load(sources):
    """Every source, and every header in an order in which each comes after what it includes."""
    headers, files = {}, [Source(path) for path in sources]

    def visit(path):
        if path not in headers:
            header = Source(path)
            for name in header.includes:
                visit(name)
            headers[path] = header
    for file in files:
        for name in file.includes:
            visit(name)
    return list(headers.values()), files


def separate(headers, files):
    """Give each name to one file. Returns what was renamed."""
    taken = set().union(*(h.local | h.exported | h.macros for h in headers))
    exported = [name for file in files for name in file.exported]
    everywhere = set().union(*(f.names for f in headers + files))
    renamed = []
    for file in files:
        for old in sorted((file.local | file.macros) & (taken | set(exported))):
            new = f"{pathlib.Path(file.path).stem}_{old}"
            if new in everywhere:
                stop(f"{file.path}: {old} cannot become {new}, which exists")
            file.rename(old, new)
            renamed.append((file.path, old, new))
        taken |= file.local
    return renamed


def check_macros(headers, files):
    """A macro of a header that a source does not include may not change what the source says."""
    every = {h.path: h for h in headers}

    def closure(path, seen):
        for name in every[path].includes if path in every else next(f for f in files if f.path == path).includes:
            if name not in seen:
                seen.add(name)
                closure(name, seen)
        return seen
    for file in files:
        seen = closure(file.path, set())
        for header in headers:
            for name in sorted(header.macros & file.names) if header.path not in seen else ():
                if not any(name in every[h].macros for h in seen):
                    stop(f"{file.path}: {name} is a macro of {header.path}, which it does not include")


def head(what):
    version = pathlib.Path("VERSION").read_text(encoding="utf-8").strip()
    licence = pathlib.Path("LICENSE").read_text(encoding="utf-8").strip()
    return (f"/* SPDX-License-Identifier: MIT */\n/* tpm-dps {version}: {what}\n *\n"
            " * Made of the project's sources by make amalgamation; change those instead. Compile tpm-dps.c as C11\n"
            " * with BearSSL's headers; every setting of the limits.h below can be given with -D, to all that\n"
            " * includes this: the linker refuses a file with another size of a structure.\n"
            " *\n" + "".join(f" * {line}".rstrip() + "\n" for line in licence.splitlines()) + " */\n")


def title(path):
    return f"\n/* {'=' * (112 - len(path))} {path} */\n\n"


def write_header(headers, system, names):
    example = pathlib.Path(__file__).with_name("example.c.in").read_text(encoding="utf-8")
    out = [head("the device side's interface."), f"\n#if 0\n{example}#endif\n"]
    out += ["\n#ifndef TPM_DPS_H\n#define TPM_DPS_H\n\n"]
    out += [f"#include <{name}>\n" for name in sorted(system)]
    out += [title("crypto/bytes/names.h") + names]
    out.append('\n#ifdef __cplusplus\nextern "C" {\n#endif\n')
    out += [title(h.path) + h.text for h in headers if h.path not in PRIVATE]
    out.append("\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n")
    return "".join(out)


def write_source(headers, files):
    out, pending = [head("the device side."), '#include "tpm-dps.h"\n'], [h for h in headers if h.path in PRIVATE]
    for file in files:
        needed = [h for h in pending if h.path in file.includes]
        out += [title(h.path) + h.text for h in needed]
        pending = [h for h in pending if h not in needed]
        out.append(title(file.path) + file.text)
        if file.macros:
            out.append("\n" + "".join(f"#undef {name}\n" for name in sorted(file.macros)))
    return "".join(out)


def names_of(path, files):
    """The file of names, with the prefix for what these files offer."""
    offered = set().union(*(file.exported for file in files))
    text = Source(path).text
    return re.sub(r"^#define ([a-z]\w*)\b.*\n", lambda m: m.group(0) if m.group(1) in offered else "", text, flags=re.M)


def main():
    directory, names, sources = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    headers, files = load(sources)
    system = {name for f in headers + files for name in f.system}
    check_macros(headers, files)
    renamed = separate(headers, files)
    directory.mkdir(parents=True, exist_ok=True)
    header = write_header(headers, system, names_of(names, files))
    for name, text in (("tpm-dps.h", header), ("tpm-dps.c", write_source(headers, files))):
        (directory / (name + ".new")).write_text(text, encoding="utf-8")
        os.replace(directory / (name + ".new"), directory / name)
        print(f"{directory / name}: {len(text.splitlines())} lines")
    names = ", ".join(f"{old} of {path}" for path, old, _ in renamed)
    print(f"{len(sources)} sources; renamed: {names or 'nothing'}")


main()
