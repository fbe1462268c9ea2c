# SPDX-License-Identifier: MIT
"""The lab colours fields by the same rules as the walk-through, which the page has in JavaScript. Needs node."""
import json
import pathlib
import subprocess
import sys

from tap import Programs, note, same

HERE = pathlib.Path(__file__).resolve().parent
RUN = pathlib.Path(Programs.build) / "walkthrough" / "run.jsonl"
sys.path[:0] = [str(HERE), str(HERE.parent / "walkthrough")]
from lab_page import facts  # noqa: E402
from transcript import Message  # noqa: E402

SCRIPT = """
const [facts, source, messages] = JSON.parse(require("fs").readFileSync(0));
const withPaths = new Function("facts", source + "; return withPaths")(facts);
console.log(JSON.stringify(messages.map((message) => withPaths(message).map((field) => field.kind))));
"""


def test_kinds():
    """each field of each message of the walk-through's run has one kind, in Python and in JavaScript"""
    lines = [json.loads(line) for line in RUN.read_text(encoding="utf-8").splitlines()]
    messages = [line for line in lines if "fields" in line]
    read = [Message(dict(m), "lab") for m in messages]
    source = (HERE / "page/message.js").read_text(encoding="utf-8")
    ran = subprocess.run(["node", "-e", SCRIPT], input=json.dumps([facts(), source, messages]), text=True,
                         capture_output=True, check=True)
    seen, count = set(), 0
    for message, kinds in zip(read, json.loads(ran.stdout)):
        same(len(kinds), len(message.fields), "fields")
        for field, kind in zip(message.fields, kinds):
            if not field.masked:  # a password is hidden in the walk-through, and not in the lab
                same(kind, field.kind(message.text), f"{message.name}: {field.path}")
                seen.add(kind)
                count += 1
    same(sorted(seen), ["choice", "cipher", "digest", "frame", "handle", "public", "secret", "size"], "kinds seen")
    note(f"{count} fields of {len(read)} messages")
