# SPDX-License-Identifier: MIT
"""Worst-case stack of every public function of the device side on a Cortex-M3, from the compiler's call graph.

Usage: tests/size/stack.py BUILD [--update]     from the root of the tree

gcc writes each function's frame and calls into a .ci file. calls.txt says what gcc cannot know: where function
pointers lead, and what functions need that are not compiled here. A recursion is an error; so is an indirect call
that is not listed, a listed one that does not exist, and a function in a constant table that nothing listed calls.
"""
import pathlib
import re
import sys

import measure

CALLS = pathlib.Path("tests/size/calls.txt")
INDIRECT = "__indirect_call"

TARGET = 1536
TARGET_SMALL = 1228  # 1.2 KiB, for the small profile
# The device side without TLS: what firmware calls, and what that calls.
SOURCES = [p for p in measure.core_sources() if p.parent.name != "port" and not re.search("tls|explain", p.name)]
HEADERS = ["tpm/command.h", "tpm/public.h", "tpm/auth.h", "crypto/bytes/bytes.h", "tpm/rc.h"]


class Graph:
    def __init__(self):
        self.frame = {}     # function -> bytes
        self.calls = {}     # function -> set of functions
        self.indirect = {}  # function -> set of (source, line)
        self.unbounded = []

    def read(self, path):
        for line in path.read_text(encoding="utf-8").splitlines():
            node = re.match(r'node: \{ title: "([^"]*)" label: "([^"]*)"', line)
            edge = re.match(r'edge: \{ sourcename: "([^"]*)" targetname: "([^"]*)"(?: label: "([^"]*)")?', line)
            if node:
                size = re.search(r"\\n(\d+) bytes \((\w[\w,]*)\)", node.group(2))
                if size:
                    self.frame[node.group(1)] = int(size.group(1))
                    if size.group(2) != "static":
                        self.unbounded.append(node.group(1))
            elif edge and edge.group(2) == INDIRECT:
                source, number, _ = edge.group(3).split(":")
                self.indirect.setdefault(edge.group(1), set()).add((source, int(number)))
            elif edge:
                self.calls.setdefault(edge.group(1), set()).add(edge.group(2))


def graph_of(objects):
    graph = Graph()
    for target in objects.values():
        graph.read(target.with_suffix(".ci"))
    return graph


def functions_of_rows(what, files):
    """The functions in the rows STEP or REDO (step, asks, "what", build, read), in their order."""
    names = []
    for source in files.split(" and "):
        text = pathlib.Path(source).read_text(encoding="utf-8")
        for build, read in re.findall(r'^    (?:STEP|REDO)\(.*,\s*(\w+),\s*(\w+)\)', text, re.M):
            names.append(build if what.strip() == "built" else read)
    return [name for name in names if name != "NULL"]


class Listed:
    """calls.txt: "call FILE: TEXT OF THE LINE" and, indented, where it may lead; "outside FUNCTION BYTES [of which
    FUNCTION BYTES]"."""

    def __init__(self):
        self.targets = {}  # (file, text) -> [functions]
        self.outside = {}  # function -> bytes, its callees included
        self.largest = {}  # of those, one frame: function -> (function, bytes)
        last = None
        for line in CALLS.read_text(encoding="utf-8").splitlines():
            if not line.strip() or line.startswith("#"):
                continue
            if line.startswith("call "):
                source, text = line[len("call "):].split(": ", 1)
                last = self.targets.setdefault((source, text.strip()), [])
            elif line.startswith("outside "):
                _, name, size, *frame = line.split()
                self.outside[name] = int(size)
                if frame:
                    self.largest[name] = frame[2], int(frame[3])
            elif " by the rows of " in line:
                last.extend(functions_of_rows(*line.split(" by the rows of ")))
            else:
                last.extend(line.split())


def line_of(source, number):
    return pathlib.Path(source).read_text(encoding="utf-8").splitlines()[number - 1].strip()


def full_name(graph, source, name):
    """A static function is "FILE:NAME" to gcc; calls.txt writes it so only where that is needed."""
    if name in graph.frame or f":{name}" not in "".join(graph.frame):
        return name
    candidates = [f for f in graph.frame if re.sub(r"(\.(isra|constprop|part)\.\d+)+$", "", f).endswith(f":{name}")]
    return f"{source}:{name}" if f"{source}:{name}" in candidates or len(candidates) != 1 else candidates[0]


def connect(graph, listed, roots):
    """Resolve the reachable indirect calls. Returns what is wrong with the list."""
    used = set()
    todo, done = list(roots), set()
    while todo:
        caller = todo.pop()
        if caller in done:
            continue
        done.add(caller)
        sites = graph.indirect.get(caller, ())
        for source, number in sites:
            key = next((k for k in listed.targets if k[0] == source and k[1] in line_of(source, number)), None)
            if key is None:
                yield f"{source}:{number}: an indirect call that {CALLS} does not list: {line_of(source, number)}"
                continue
            used.add(key)
            graph.calls.setdefault(caller, set()).update(full_name(graph, source, t) for t in listed.targets[key])
        todo.extend(graph.calls.get(caller, ()))
    for source, text in set(listed.targets) - used:
        yield f"{CALLS}: {source} has no indirect call: {text}"


def unlisted_in_tables(graph, listed, objects):
    """Functions in a constant table are called through it: some listed call must lead to them."""
    reached = {full_name(graph, s, t) for (s, _), targets in listed.targets.items() for t in targets}
    missing = set()
    for source, target in objects.items():
        if not re.search(r"tpm/(command|public|wire|session|rc)|dps/(device|engine|ownership)", str(source)):
            continue
        text = measure.run("arm-none-eabi-objdump", "-r", target)
        symbols = dict(re.findall(r"^RELOCATION RECORDS FOR \[(\.[^\]]*)\]:\n.*\n((?:[0-9a-f]{8}.*\n)*)", text,
                                  flags=re.M))
        for section, records in symbols.items():
            if not section.startswith(".rodata"):
                continue
            for name in re.findall(r"R_ARM_ABS32\s+(?:\.text\.)?(\w+)", records):
                full = name if name in graph.frame else f"{source}:{name}"
                if full in graph.frame and full not in reached:
                    missing.add(f"{source}: {name} stands in a constant, and no call in {CALLS} leads to it")
    return sorted(missing)


class Worst:
    def __init__(self, graph, listed):
        self.graph, self.listed = graph, listed
        self.known = {}
        self.wrong = []

    def of(self, function, path=()):
        """(bytes, the path that needs them)"""
        if function in path:
            self.wrong.append(f"recursion: {' > '.join(path)} > {function}")
            return 0, ()
        if function not in self.known:
            if function in self.graph.frame:
                below = [self.of(callee, path + (function,)) for callee in sorted(self.graph.calls.get(function, ()))]
                deepest = max(below, default=(0, ()))
                self.known[function] = self.graph.frame[function] + deepest[0], (function,) + deepest[1]
            elif function in self.listed.outside:
                self.known[function] = self.listed.outside[function], (function,)
            else:
                self.wrong.append(f"{function} is neither compiled here nor listed in {CALLS} (outside)")
                self.known[function] = 0, (function,)
        return self.known[function]


def short(function):
    return re.sub(r"(\.(isra|constprop|part)\.\d+)+$", "", function.split(":")[-1])


def rows(worst):
    # Every function of the engine; of what is below it, the three that need most.
    for name in measure.device_functions():
        yield f"| `{name}` | {worst.of(name)[0]} |"
    for header in HEADERS:
        offered = [(worst.of(name)[0], name) for name in measure.prototypes(header)]
        for size, name in sorted(offered, reverse=True)[:3]:
            yield f"| `{name}` | {size} |"


def boards(firmware):
    """The watermark that a board's test has read from its console: BUILD/firmware/BOARD.stack holds the number."""
    for path in sorted(firmware.glob("*.stack")):
        yield f"| image {path.stem} | {int(path.read_text(encoding='utf-8'))} |"


def other_build(out, listed, options):
    """The worst case of a build with options. What its calls may lead to, the default build has shown: what they name
    that this build does not have counts nothing."""
    graph = graph_of(measure.compile_objects(out, SOURCES, options))
    list(connect(graph, listed, [name for name in measure.device_functions() if name in graph.frame]))
    return Worst(graph, listed)


def deepest(worst):
    return max((worst.of(name) for name in measure.device_functions() if name in worst.graph.frame),
               key=lambda item: item[0])


def way_down(worst, path):
    frames = {**worst.listed.outside, **worst.graph.frame}

    def step(function):
        frame = worst.listed.largest.get(function)
        return f"`{short(function)}` {frames[function]}" + (f" (`{frame[0]}`: {frame[1]})" if frame else "")

    return f"The call chain: {', '.join(map(step, path))}."


def content(compact, bearssl, small, firmware):
    size, path = deepest(compact)
    bearssl_size, bearssl_path = deepest(bearssl)
    lines = ["Worst case on a Cortex-M3 without TLS, by the compiler's call graph; BearSSL's functions and the C",
             "library's are counted, interrupts are not. Any function that advances the engine may reach any step,",
             "so they need much the same. Of tpm/ the three functions of each header that need most.", "",
             f"With CRYPTO_RSA_COMPACT=1: {size} bytes; {TARGET} are allowed. The table below is that build's.", "",
             way_down(compact, path), "",
             f"With BearSSL's RSA, the default: {bearssl_size} bytes. It encrypts the salt of a session, and BearSSL",
             "gives each RSA operation room for four numbers of 4096 bits, whatever the key has. TLS, which verifies",
             "signatures so, too, needs more (the boards below): whoever has TLS saves nothing by the other.", "",
             way_down(bearssl, bearssl_path), "",
             f"In the small profile, which has no sessions: {deepest(small)[0]} bytes; {TARGET_SMALL} are allowed.",
             "", "| board | deepest stack of a whole registration, TLS included |", "|---|---:|"]
    lines += [*boards(firmware), "", "| function | bytes |", "|---|---:|", *rows(compact)]
    return "\n".join(lines) + "\n"


def measured(out, firmware):
    """The tables, and what is wrong with the calls. out: for what is compiled; firmware: the boards' marks."""
    measure.require_compiler()
    listed = Listed()
    objects = measure.compile_objects(out, SOURCES)
    graph = graph_of(objects)
    roots = [*measure.device_functions(), *(name for header in HEADERS for name in measure.prototypes(header))]
    wrong = list(connect(graph, listed, roots)) + unlisted_in_tables(graph, listed, objects)
    wrong += [f"{function}: a frame that depends on its input" for function in graph.unbounded]
    bearssl = Worst(graph, listed)
    compact = other_build(out / "compact", listed, ["-DCRYPTO_RSA_COMPACT=1"])
    small = other_build(out / "small", listed, measure.SMALL)
    text = content(compact, bearssl, small, firmware)
    for worst, target, build in ((compact, TARGET, "with CRYPTO_RSA_COMPACT"),
                                 (small, TARGET_SMALL, "in the small profile")):
        size = deepest(worst)[0]
        wrong += [f"{size} bytes of stack {build}: {target} are allowed"] if size > target else []
    return text, wrong + sorted(set(bearssl.wrong + compact.wrong))


def main():
    build = pathlib.Path(sys.argv[1])
    text, wrong = measured(build / "size" / "stack", build / "firmware")
    measure.finish("stack", text, "--update" in sys.argv)
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()
