# SPDX-License-Identifier: MIT
"""The lab as one HTML file: the module in base64, and what the page takes from the sources.

Usage: tests/lab/lab_page.py LAB.wasm OUT.html
"""
import base64
import json
import pathlib
import re
import sys

sys.dont_write_bytecode = True  # this is a source tree
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "tests/walkthrough"), str(ROOT / "tests/site")]
import documents
import transcript
from chapters import COMMANDS
from frame import body_of, sisters
from lab_links import CHAPTER_OF
from links import function_address, line_of
from sources import rows

SCRIPTS = ["lab.js", "dom.js", "message.js", "things.js", "stages.js", "map.js", "exercises.js", "main.js"]
FUNCTION = re.compile(r"^[a-z][\w *]*?\b(\w+)\([^;{]*\)\n\{(.*?)^\}", re.M | re.S)


def functions(folder):
    """Each function that is defined: (path, name, body)."""
    for path in sorted((ROOT / folder).rglob("*.c")):
        for name, body in FUNCTION.findall(path.read_text(encoding="utf-8")):
            yield str(path.relative_to(ROOT)), name, body


def refusals():
    """What enum dps_refusal has, in its order, with the functions that say so."""
    listed = re.search(r"enum dps_refusal \{(.*?)\}", (ROOT / "dps/service/refusal.h").read_text(), re.S).group(1)
    names = re.findall(r"^\s*(DPS_\w+)", listed, re.M)
    found = {name: [] for name in names}
    for folder in ("dps/service", "dps/manage"):
        for path, function, body in functions(folder):
            for name in set(re.findall(r"\bDPS_REFUSED_\w+", body)) & set(found):
                found[name].append(f"{path}:{function}")
    return [{"name": name, "functions": found[name]} for name in names]


def errors():
    text = (ROOT / "crypto/bytes/error.h").read_text()
    return {number: {"name": name, "text": comment.strip()}
            for name, number, comment in re.findall(r"(BYTES_E_\w+) = -(\d+),?\s*/\* (.*?) \*/", text)}


def commands():
    """Each command of the tiny TPM, with its function."""
    where = {name: path for path, name, _ in functions("tests/tiny_tpm")}
    table = (ROOT / "tests/tiny_tpm/execute.c").read_text()
    found = {}
    for code, function in re.findall(r"\{TPM2_CC_(\w+),.*?\b(tiny_\w+),", table):
        spoken = "TPM2_" + "".join(word.capitalize() for word in code.split("_"))
        found[spoken.replace("Hmac", "HMAC").replace("PolicyOr", "PolicyOR")] = f"{where[function]}:{function}"
    return found


# Who answers a command before its own function does: enum tiny_reached of tests/tiny_tpm/tiny_tpm.h.
REACHED = ["tests/tiny_tpm/execute.c:read_header", "tests/tiny_tpm/execute.c:read_handles",
           "tests/tiny_tpm/sessions.c:tiny_sessions_begin"]


def facts():
    lists = {"frame": transcript.FRAME_NAMES, "digest": transcript.DIGEST_TYPES, "cipher": transcript.CIPHER_NAMES,
             "secret": transcript.SECRET_NAMES}
    said = {"refusals": refusals(), "commands": commands(), "rows": rows()}
    named = {*said["commands"].values(), *(name for names in said["rows"].values() for name in names if name),
             *(name for one in said["refusals"] for name in one["functions"]), *REACHED}
    if named - set(line_of()):
        raise SystemExit(f"lab: no such functions: {sorted(named - set(line_of()))}")
    return {**said, "errors": errors(), "notes": COMMANDS, "chapters": CHAPTER_OF, "reached": REACHED,
            "links": {name: function_address(name) for name in sorted(named)},
            "httpMeanings": transcript.HTTP_MEANINGS, "tpmMeanings": transcript.TPM_MEANINGS,
            **{name: sorted(values) for name, values in lists.items()}}


def words():
    """The section of spec-notes.md that explains them."""
    text = (ROOT / "spec-notes.md").read_text(encoding="utf-8").split("\n## The words\n", 1)[1].split("\n## ", 1)[0]
    return documents.html_of(documents.parse(text, "", "")[0])


def build(wasm):
    legend = "".join(f'<li><span class="b k-{kind}"><i data-n="{n}">00</i> 0{n}</span> {text}</li>'
                     for n, (kind, text) in enumerate(transcript.KINDS.items(), 1))
    parts = {"style": body_of(ROOT / "tests/walkthrough/style.css") + body_of(HERE / "page/lab.css"),
             "script": "".join(body_of(HERE / "page" / name) for name in SCRIPTS),
             "facts": json.dumps(facts()).replace("<", "\\u003c"), "legend": legend,
             "sisters": sisters("lab.html"), "words": words(), "module": base64.b64encode(wasm).decode()}
    page = (HERE / "page/lab.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda m: parts[m.group(1)], page)


if __name__ == "__main__":
    pathlib.Path(sys.argv[2]).write_text(build(pathlib.Path(sys.argv[1]).read_bytes()), encoding="utf-8")
