# SPDX-License-Identifier: MIT
"""The rules of the tree that a compiler does not check: who includes whom, who calls whom, no heap, no globals,
sizes, names and comments. CC chooses the compiler (gcc)."""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

from tap import Programs

OBJ = pathlib.Path(Programs.path("lint/structure"))
CC = os.environ.get("CC") or "gcc"

# ---- What is allowed ----

FREESTANDING = {"stddef.h", "stdint.h", "stdbool.h", "string.h"}
# Folder → folders whose headers it may include, and whose functions it may call, besides its own. Arrows go one way:
# device and service never meet, and no layer knows those above it.
GROUND = ("crypto/bytes",)
TPM = ("tpm", "crypto") + GROUND
DEVICE = ("dps/device", "dps/protocol") + TPM
SERVICE = ("dps/service", "dps/protocol") + TPM
POSIX = ("port", "port/posix")
PEOPLE = ("port/posix/pki", "port/posix/paste")  # the files and texts that people have
BOARDS = [str(p.parent) for p in pathlib.Path("port").glob("*/*.mk") if "FIRMWARE_BOARDS +=" in p.read_text()]
MAY_USE = {
    "crypto/bytes": (),
    "crypto": GROUND,
    "tpm": ("crypto",) + GROUND,
    "tpm/tools": TPM,
    "dps/protocol": TPM,
    "dps/device": DEVICE,
    "dps/service": SERVICE,
    "dps/manage": SERVICE,
    "port": DEVICE,
    "port/none": ("port",) + DEVICE + SERVICE,
    "port/openssl": ("crypto",) + GROUND,
    "port/tis": ("port",) + TPM,
    "port/bare": ("port",) + DEVICE,
    "port/bare/libc": (),
    "port/example": ("port",) + DEVICE,
    **{board: ("port", "port/bare", "port/tis") + DEVICE for board in BOARDS},
    "port/u-boot": ("port", "port/bare", "port/tis", "port/virt-a15", "dps/protocol") + TPM,
    "port/posix": POSIX + SERVICE,
    "port/posix/pki": POSIX + ("dps/protocol",) + TPM,
    "port/posix/paste": POSIX + ("port/posix/pki", "tpm/tools") + SERVICE,
    "port/posix/explain": POSIX + ("port/posix/paste", "port/posix/pki", "tpm/tools") + SERVICE + DEVICE,
    "port/posix/device": POSIX + PEOPLE + ("port/posix/explain", "tpm/tools") + DEVICE,
    "port/posix/service": POSIX + ("port/posix/pki", "dps/manage") + SERVICE,
    "port/posix/admin": POSIX + PEOPLE + ("dps/manage",) + SERVICE,
}
LOWER = {folder: (folder,) + others for folder, others in MAY_USE.items()}
CORE = ("crypto/bytes", "crypto", "tpm", "tpm/tools", "dps/protocol", "dps/device", "dps/service", "dps/manage")
PORTABLE = CORE + ("port", "port/none", "port/tis", "port/bare", "port/bare/libc")
# All that the portable part takes from a C library.
LIBC = {"memchr", "memcmp", "memcpy", "memmove", "memset", "strchr", "strcmp", "strlen"}
HEAP = {"malloc", "calloc", "realloc", "reallocarray", "free", "aligned_alloc", "posix_memalign", "strdup",
        "strndup", "alloca", "sbrk", "mmap"}
# What only tools and tests need: texts and private keys. Firmware must link without it.
TOOLS_ONLY = "tpm/tools"
PREFIX = {
    "crypto/bytes": ("bytes_",),
    "crypto": ("crypto_",),
    "tpm": ("tpm2_",),
    "tpm/tools": ("tpm2_",),
    "dps/protocol": ("dps_",),
    "dps/device": ("dps_",),
    "dps/service": ("dps_",),
    "dps/manage": ("dps_",),
    "port": ("port_",),
    "port/none": ("port_none",),
    "port/openssl": ("crypto_",),
    "port/bare": ("port_bare_",),
    "port/bare/libc": ("mem", "str"),
    "port/example": ("example_",),
    "port/posix": ("posix_",),
    "port/tis": ("port_tis_", "port_crb_"),
    **{board: (re.sub(r"\W", "_", pathlib.Path(board).name) + "_",) for board in BOARDS},
    "port/lm3s6965evb": ("lm3s_",),
    "port/u-boot": ("uboot_",),
}
# What the parts of a program share is named after its folder; what several folders use, after its own header.
ROOM_PREFIX = {"port/posix/pki": ("pki_", "pem_"), "port/posix/paste": ("paste_", "capture_", "ek_"),
               "port/posix/explain": ("trace_", "explain_"), "port/posix/device": ("device_",),
               "port/posix/service": ("server_",), "port/posix/admin": ("admin_", "csv_")}
HEADER_PREFIX = {"port/posix/options.h": ("options_",), "port/posix/https_client.h": ("https_",)}

FUNCTION_LINES = 60
FILE_LINES = 500
LINE_CHARS = 120
LONG_FILES = {
    "dps/device/device.c": "the device's flow reads top to bottom in one file",
    "dps/service/service.c": "the service's flow reads top to bottom in one file",
}

# The least that a newcomer reads and an auditor audits: the flow without management, tools and platform. Printed;
# no limit is enforced.
MINIMAL = ("crypto/bytes", "crypto", "tpm", "dps/protocol", "dps/device", "dps/service")


# ---- The tree ----


def files(*patterns):
    return sorted(p for pattern in patterns for p in pathlib.Path(".").glob(pattern))


PRODUCT = [p for d in LOWER for p in files(f"{d}/*.c", f"{d}/*.h")]
TESTS = files("tests/**/*.c", "tests/**/*.h")
SCRIPTS = files("tests/**/*.sh", "tests/**/*.py", *(f"packaging/*.{s}" for s in ("awk", "in", "mk", "py", "sh")))
TEXT = {p: p.read_text(encoding="utf-8") for p in PRODUCT + TESTS + SCRIPTS}


def without_comments_and_strings(text):
    """C code with comments and literals blanked out; every line keeps its number."""
    def blank(match):
        token = match.group(0)
        if token[0] in "\"'":
            return token[0] * 2
        return re.sub(r"[^\n]", " ", token)
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


CODE = {p: without_comments_and_strings(t) for p, t in TEXT.items() if p.suffix in (".c", ".h")}


def directory(path):
    return str(path.parent)


# ---- What is checked: each function yields one line per offence, as file:line where there is a line ----

checks = []


def check(name):
    def register(function):
        checks.append((name, function))
        return function
    return register


def tests():
    compile_all()
    return checks


# ---- Objects ----

objects = {}   # source → object
undefined = {}  # source → symbols it needs
defined = {}   # source → symbols it offers
variables = {}  # source → writable symbols
compile_errors = []


def compile_one(source):
    target = OBJ / source.with_suffix(".o")
    target.parent.mkdir(parents=True, exist_ok=True)
    # Position-dependent code, so that constant tables of pointers stay constant.
    command = [CC, "-std=c11", "-O2", "-fno-pic", "-fno-stack-protector", "-Werror=vla", "-I.", "-c", "-o", target]
    run = subprocess.run(command + [source], capture_output=True, text=True)
    return source, target, run


def compile_all():
    sources = [p for p in PRODUCT if p.suffix == ".c" and directory(p) in PORTABLE]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for source, target, run in pool.map(compile_one, sources):
            if run.returncode != 0:
                compile_errors.extend(run.stderr.splitlines() or [f"{source}: {CC} failed"])
                continue
            objects[source] = target
            undefined[source], defined[source], variables[source] = set(), set(), set()
            lines = subprocess.run(["nm", target], capture_output=True, text=True, check=True).stdout.splitlines()
            for kind, name in (line.split()[-2:] for line in lines):
                if kind in "Uwv":
                    undefined[source].add(name)
                elif kind.isupper():
                    defined[source].add(name)
                if kind in "dDbBsSgGC":
                    variables[source].add(name)


# ---- The checks ----

@check("the portable sources compile without variable-length arrays")
def _():
    yield from compile_errors


def includes(path):
    for number, line in enumerate(TEXT[path].splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            yield number, match.group(1) == "<", match.group(2)


@check("core and portable port include only stddef, stdint, stdbool, string")
def _():
    for path in PRODUCT:
        allowed = FREESTANDING | ({"bearssl.h"} if directory(path) == "crypto" else set())
        for number, system, name in includes(path):
            if system and directory(path) in PORTABLE and name not in allowed:
                yield f"{path}:{number}: <{name}> in a portable directory"


@check("includes go one way, and the two sides never meet")
def _():
    for path in PRODUCT:
        for number, system, name in includes(path):
            if not system and os.path.dirname(name) not in LOWER[directory(path)]:
                yield f'{path}:{number}: "{name}" may not be included from {directory(path)}/'


@check("every project include exists and is written from the root")
def _():
    for path in PRODUCT + TESTS:
        for number, system, name in includes(path):
            if not system and not pathlib.Path(name).is_file():
                yield f'{path}:{number}: "{name}" does not exist'


# A benchmark compares our code with the library's own functions; a TPM of the tests makes RSA keys.
BARE_LIBRARY = ("tests/bench/micro_bearssl.c", "tests/tiny_tpm/rsa.c")


@check("bearssl.h appears only in crypto/")
def _():
    for path in PRODUCT + TESTS:
        for number, _, name in includes(path):
            if name.startswith("bearssl") and directory(path) != "crypto" and str(path) not in BARE_LIBRARY:
                yield f"{path}:{number}: {name}"


@check(f"objects refer only to lower layers and {len(LIBC)} functions of string.h")
def _():
    offered = {d: {s for p in defined if directory(p) == d for s in defined[p]} for d in LOWER}
    for path, names in undefined.items():
        allowed = LIBC.union(*(offered[d] for d in LOWER[directory(path)]))
        for name in sorted(names - allowed):
            if not (directory(path) == "crypto" and name.startswith("br_")):
                yield f"{path}: undefined symbol {name}"


@check("the list of functions taken from string.h is minimal")
def _():
    for name in sorted(LIBC - set().union(*undefined.values())):
        if not any(re.search(rf"\b{name}\s*\(", CODE[p]) for p in undefined):
            yield f"tests/lint/structure_test.py: {name} is allowed but not used"


@check("no heap and no alloca")
def _():
    for path, names in undefined.items():
        for name in sorted(names & HEAP):
            yield f"{path}: calls {name}"
    for path in PRODUCT:
        if directory(path) in PORTABLE:
            for number, line in enumerate(CODE[path].splitlines(), 1):
                if re.search(r"\b(alloca|malloc|calloc|realloc|strdup)\s*\(", line):
                    yield f"{path}:{number}: {line.strip()}"


@check("no variables outside of functions' frames: .data = .bss = 0")
def _():
    for path, target in objects.items():
        size = subprocess.run(["size", target], capture_output=True, text=True, check=True).stdout.splitlines()[1]
        _, data, bss = (int(n) for n in size.split()[:3])
        if data or bss:
            yield f"{path}: .data {data}, .bss {bss}: {' '.join(sorted(variables[path]))}"


@check("no static locals that are not const")
def _():
    for path in PRODUCT:
        if directory(path) in PORTABLE:
            for number, line in enumerate(CODE[path].splitlines(), 1):
                if re.match(r"\s+static\b(?!.*\bconst\b)(?!\s+inline)", line):
                    yield f"{path}:{number}: {line.strip()}"


@check("nothing of the core needs tpm/tools")
def _():
    tools = set().union(*(names for p, names in defined.items() if directory(p) == TOOLS_ONLY))
    for path, names in undefined.items():
        if directory(path) != TOOLS_ONLY:
            for name in sorted(names & tools):
                yield f"{path}: refers to {name}"


def circles(arrows):
    """Sets of nodes that all lead to each other (Tarjan's strongly connected components)."""
    number, low, stack, found = {}, {}, [], []

    def visit(node):
        number[node] = low[node] = len(number)
        stack.append(node)
        for other in arrows.get(node, ()):
            if other not in number:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == number[node]:
            at = stack.index(node)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for node in list(arrows):
        if node not in number:
            visit(node)
    return found


# The event loop of dps-service is one module in several files: server.h says what they share; they call each other.
ONE_THING = "port/posix/service"


@check("no circles: no file with its header includes, by whatever way, itself")
def _():
    arrows = {}
    for path in PRODUCT:
        here = arrows.setdefault(str(path.with_suffix("")), set())
        here.update(n[:-2] for _, system, n in includes(path) if not system and n[:-2] != str(path.with_suffix("")))
    for circle in circles(arrows):
        if {os.path.dirname(name) for name in circle} != {ONE_THING}:
            yield " ".join(circle)


@check("no circles: no file of the core calls, by whatever way, who calls it")
def _():
    home = {name: str(path) for path in defined for name in defined[path]}
    arrows = {str(path): {home[n] for n in undefined[path] if n in home} for path in undefined}
    for circle in circles(arrows):
        yield " ".join(circle)


@check("each header's functions stand in the file of its name, and no others are offered without a header")
def _():
    for path in PRODUCT:
        if path.suffix == ".h" and directory(path) in CORE and path.with_suffix(".c") in defined:
            missing = {n for _, n in prototypes(path)} - defined[path.with_suffix(".c")]
            for name in sorted(missing):
                yield f"{path}: {name} is elsewhere"


PROTOTYPE = re.compile(r"^(?!typedef|static|#|extern\b)(?:[A-Za-z_][\w ]*?[\s*]+)(\w+)\(", re.M)


def prototypes(path):
    """(line number, name) of each function that a header declares with external linkage."""
    depth = 0
    for number, line in enumerate(CODE[path].splitlines(), 1):
        if depth == 0:
            match = PROTOTYPE.match(line)
            if match:
                yield number, match.group(1)
        depth += line.count("{") - line.count("}")


@check("every function that a header offers has a comment")
def _():
    for path in PRODUCT:
        if path.suffix != ".h":
            continue
        lines = TEXT[path].splitlines()
        head = TEXT[path].split("#ifndef", 1)[0]
        offered = list(prototypes(path))
        silent = set()
        for number, name in offered:
            # Above it in its paragraph, in a heading over that, or by name in the head of the file, which is enough for
            # a file with one function.
            start = number - 1
            while start > 0 and lines[start - 1].strip():
                start -= 1
            heading = start > 1 and lines[start - 2].startswith("/* ----")
            if not (heading or "*/" in "\n".join(lines[start:number - 1]) or name in head or len(offered) == 1) \
                    and start not in silent:
                silent.add(start)
                yield f"{path}:{number}: {name} has no comment"


@check("every function that a header offers is used by another file than its own")
def _():
    words = {p: set(re.findall(r"\w+", c)) for p, c in CODE.items() if p.suffix == ".c"}
    words |= {p: set(re.findall(r"\w+", p.read_text(encoding="utf-8"))) for p in files("port/**/*.S")}
    for path in PRODUCT + TESTS:
        if path.suffix == ".h":
            for number, name in prototypes(path):
                by_macro = len(re.findall(rf"\b{name}\b", CODE[path])) > 1
                if not by_macro and sum(name in w for w in words.values()) < 2:
                    yield f"{path}:{number}: {name}"


@check("every global function carries its directory's prefix")
def _():
    for path, names in defined.items():
        for name in sorted(names):
            if not name.startswith(PREFIX[directory(path)]):
                yield f"{path}: {name}"
    for path in PRODUCT:
        if path.suffix == ".h":
            folder = directory(path)
            allowed = HEADER_PREFIX.get(str(path)) or ROOM_PREFIX.get(folder) or PREFIX[folder]
            for number, name in prototypes(path):
                if not name.startswith(allowed):
                    yield f"{path}:{number}: {name}"


def definitions(path):
    """(first line, name, lines) of each function definition. House style: both braces are in column 0."""
    lines = CODE[path].splitlines()
    for number, line in enumerate(lines):
        if line != "{" or number == 0:
            continue
        start = number - 1
        while start > 0 and lines[start - 1].strip() and lines[start - 1][0] not in "}#" \
                and not lines[start - 1].rstrip().endswith((";", "}")):
            start -= 1
        signature = " ".join(lines[start:number])
        match = re.search(r"(\w+)\s*\(", signature)
        if not match:
            continue  # a struct or an initializer
        end = number
        while end < len(lines) and lines[end] != "}":
            end += 1
        yield start + 1, match.group(1), end - start + 1


@check(f"functions of core and port have at most {FUNCTION_LINES} lines")
def _():
    for path in PRODUCT:
        for number, name, length in definitions(path):
            if length > FUNCTION_LINES:
                yield f"{path}:{number}: {name} has {length} lines"


@check(f"files of core and port have at most {FILE_LINES} lines, but for {len(LONG_FILES)}")
def _():
    for path in PRODUCT:
        length = len(TEXT[path].splitlines())
        if length > FILE_LINES and str(path) not in LONG_FILES:
            yield f"{path}: {length} lines"
        if length <= FILE_LINES and str(path) in LONG_FILES:
            yield f"tests/lint/structure_test.py: {path} has only {length} lines and needs no exception"


@check(f"lines have at most {LINE_CHARS} characters, no tabs in C, no trailing blanks")
def _():
    for path, text in TEXT.items():
        if directory(path) == "tests/vectors" and path.suffix == ".c":
            continue  # generated and captured data
        for number, line in enumerate(text.splitlines(), 1):
            if len(line) > LINE_CHARS:
                yield f"{path}:{number}: {len(line)} characters"
            if line != line.rstrip() or (path.suffix in (".c", ".h") and "\t" in line):
                yield f"{path}:{number}: tab or trailing blank"


def bodies_without_braces(code):
    """Line numbers of the keywords whose body has no braces. A loop may have none at all: `while (step());`."""
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), code, flags=re.M)
    for match in re.finditer(r"\b(if|for|while|else|do)\b", code):
        at = match.end()
        if match.group(1) in ("if", "for", "while"):
            depth = 0
            at = code.index("(", at)
            while True:
                depth += (code[at] == "(") - (code[at] == ")")
                at += 1
                if depth == 0:
                    break
        rest = code[at:].lstrip()
        allowed = {"else": ("{", "if"), "for": ("{", ";"), "while": ("{", ";")}.get(match.group(1), ("{",))
        if not rest.startswith(allowed):
            yield code.count("\n", 0, match.start()) + 1


@check("every body has braces")
def _():
    for path, code in CODE.items():
        if path.parts[:2] != ("tests", "vectors"):
            for number in bodies_without_braces(code):
                yield f"{path}:{number}"


@check("no unfinished business")
def _():
    words = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b")
    for path, text in list(TEXT.items()) + [(p, p.read_text(encoding="utf-8")) for p in files("Makefile", "*.md")]:
        for number, line in enumerate(text.splitlines(), 1):
            if words.search(line):
                yield f"{path}:{number}: {line.strip()}"


@check("nothing refers to places outside of the tree")
def _():
    places = re.compile(r"\.\./" + "shared|/wo" + r"rk/(main|shared)|/ho" + r"me/\w")
    for path, text in list(TEXT.items()) + [(p, p.read_text(encoding="utf-8")) for p in files("Makefile", "*.md")]:
        for number, line in enumerate(text.splitlines(), 1):
            if places.search(line):
                yield f"{path}:{number}: {line.strip()}"


@check("every source says its licence in the first two lines")
def _():
    for path, text in TEXT.items():
        if "SPDX-License-" + "Identifier: MIT" not in "\n".join(text.splitlines()[:2]):
            yield f"{path}:1: no SPDX line"


@check("headers are guarded by their own name")
def _():
    for path in PRODUCT:
        if path.suffix == ".h":
            guard = re.sub(r"\W", "_", str(path)).upper()
            if not re.search(rf"^#ifndef {guard}\n#define {guard}\n", TEXT[path], re.M):
                yield f"{path}: expected {guard}"


@check("the size of the minimal core is known")
def _():
    total, code = {}, 0
    for path in PRODUCT:
        if directory(path) in MINIMAL:
            total[directory(path)] = total.get(directory(path), 0) + len(TEXT[path].splitlines())
            code += sum(1 for line in CODE[path].splitlines() if line.strip())
    lines = sum(total.values())
    print(f"# core: {lines} lines, {code} of them code ({', '.join(f'{d}/ {n}' for d, n in sorted(total.items()))})")
    if set(total) != set(MINIMAL):
        yield "no core was found"


@check("tests/vectors/activation_blob.[ch] are what their JSON gives")
def _():
    command = [sys.executable, "-B", "tests/vectors/make_header.py", "--check"]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        yield from (run.stdout + run.stderr).splitlines()
