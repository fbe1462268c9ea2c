# SPDX-License-Identifier: MIT
"""What size.py and stack.py share: the objects for a Cortex-M3, and the tables in port/PORTING.md."""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

CC = "arm-none-eabi-gcc"
# The figures hold for this compiler only: Debian 12's.
COMPILER = "12.2.1"
CFLAGS = ["-std=c11", "-Os", "-mcpu=cortex-m3", "-mthumb", "-ffunction-sections", "-fdata-sections"]
# No C library's headers are needed; -fbuiltin, since every firmware has memcpy and its like anyway.
CFLAGS += ["-ffreestanding", "-fbuiltin", "-fstack-usage", "-fcallgraph-info=su"]
CFLAGS += ["-I.", "-isystem", "port/bare/libc", "-isystem", "/usr/include/bearssl"]
# The smallest build: no sessions, no ownership, no texts for people, no server in the same image.
SMALL = ["-DDPS_PROFILE_SMALL_DEVICE=1"]
PORTING = pathlib.Path("port/PORTING.md")

# A figure may differ by this much before its table counts as wrong: a tiny edit must not force an update.
TOLERANCE_BYTES = 16
TOLERANCE_PART = 0.01
# A watermark is what one run has met: which interrupt, which length of a signature.
TOLERANCE_WATERMARK = 0.03


def run(*command):
    """Standard output of a command that must succeed."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(str(word) for word in command[:1])} failed:\n{done.stderr}")
    return done.stdout


def require_compiler():
    try:
        version = run(CC, "-dumpfullversion").strip()
    except FileNotFoundError:
        sys.exit(f"{CC} is missing: tests/setup.sh check installs it (Debian's gcc-arm-none-eabi)")
    if version != COMPILER:
        sys.exit(f"{CC} is version {version}; the tables are those of Debian 12's {COMPILER}")


def core_sources():
    """Everything that a board could link: the core, and the blocking loop."""
    paths = [p for d in ("crypto", "tpm", "dps") for p in pathlib.Path(d).rglob("*.c")]
    return sorted(paths) + [pathlib.Path("port/drive.c"), pathlib.Path("port/link.c")]


def compile_objects(directory, sources, options=()):
    """Objects, with their .ci call graphs, in a directory of their own: source -> object."""
    objects = {source: directory / source.with_suffix(".o") for source in sources}

    def compile_one(source):
        objects[source].parent.mkdir(parents=True, exist_ok=True)
        run(CC, *CFLAGS, *options, "-c", source, "-o", objects[source])

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compile_one, sources))
    return objects


def prototypes(header):
    """The functions that a header offers, in its order; static inline ones are part of their callers."""
    text = re.sub(r"/\*.*?\*/", "", pathlib.Path(header).read_text(encoding="utf-8"), flags=re.S)
    return re.findall(r"^(?!typedef|static|#)[A-Za-z_][\w ]*?[\s*]+(\w+)\(", text, flags=re.M)


DEVICE_HEADERS = ["dps/device/engine.h", "dps/device/device.h", "dps/device/ownership.h", "dps/device/link.h"]


def device_functions():
    """What a driver calls. The rest of these headers is for those who write flows."""
    return [name for header in DEVICE_HEADERS for name in prototypes(header)
            if name.startswith(("dps_device_", "dps_link_"))]


# ---- The tables in port/PORTING.md ----


def section(name):
    """The text between <!-- name --> and <!-- /name -->."""
    text = PORTING.read_text(encoding="utf-8")
    match = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", text, flags=re.S)
    if not match:
        sys.exit(f"{PORTING}: there is no <!-- {name} --> ... <!-- /{name} -->")
    return match.group(1)


def replace_section(name, content):
    text = PORTING.read_text(encoding="utf-8")
    old = section(name)
    PORTING.write_text(text.replace(f"<!-- {name} -->\n{old}<!-- /{name} -->",
                                    f"<!-- {name} -->\n{content}<!-- /{name} -->"), encoding="utf-8")


NUMBER = re.compile(r"\d+")


def with_boards_not_built(name, content):
    """A board's needs are known after `make firmware` and its test; where these were not run, its row stays."""
    def board(line):
        return line.split("|")[1].strip()

    lines = content.splitlines()
    known = {board(line) for line in lines if line.startswith("| image ")}
    kept = [line for line in section(name).splitlines() if line.startswith("| image ") and board(line) not in known]
    for i, line in enumerate(lines):
        if line.startswith("| board "):
            rows = [row for row in lines[i + 2:] if row.startswith("| image ")] + kept
            lines[i + 2:i + 2 + len(rows) - len(kept)] = sorted(rows)
            break
    return "\n".join(lines) + "\n"


def differences(name, content):
    """The lines of a section that are no longer true: they differ, apart from numbers within the tolerance."""
    stands, true = section(name).splitlines(), with_boards_not_built(name, content).splitlines()
    for i in range(max(len(stands), len(true))):
        old = stands[i] if i < len(stands) else ""
        new = true[i] if i < len(true) else ""
        same_text = NUMBER.sub("#", old) == NUMBER.sub("#", new)
        part = TOLERANCE_WATERMARK if name == "stack" and new.startswith("| image ") else TOLERANCE_PART
        if not same_text or any(abs(a - b) > max(TOLERANCE_BYTES, part * b)
                                for a, b in zip(map(int, NUMBER.findall(old)), map(int, NUMBER.findall(new)))):
            yield f"{PORTING} says: {old}"
            yield f"measured:        {new} (if that is meant: make size-update)"


def finish(name, content, update):
    """Print a section, or write it into the document."""
    content = with_boards_not_built(name, content)
    if update:
        replace_section(name, content)
    else:
        print(content, end="")
