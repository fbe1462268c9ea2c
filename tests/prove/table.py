# SPDX-License-Identifier: MIT
"""The table of spec-notes.md, "Checked by machine": what was proved of each source.

    python3 tests/prove/table.py BUILD     write it, from what make prove has left in BUILD/prove"""
import dataclasses
import json
import pathlib
import sys

DOCUMENT = pathlib.Path("spec-notes.md")
BEGIN, END = "<!-- table: made by make prove-update -->\n", "<!-- end of table -->\n"
HEAD = "| source | functions | goals | without a proof | prover's seconds |\n|---|--:|--:|--:|--:|\n"


@dataclasses.dataclass(frozen=True)
class Row:
    path: str
    functions: int
    goals: int
    without_proof: int
    seconds: float

    def save(self, build):
        (build / "rows").mkdir(exist_ok=True)
        (build / "rows" / self.path.replace("/", "_")).write_text(json.dumps(dataclasses.astuple(self)))

    def figures(self):
        return f"| `{self.path}` | {self.functions} | {self.goals} | {self.without_proof} |"

    def is_in_document(self):
        """Times vary, and are not compared."""
        return self.figures() in DOCUMENT.read_text(encoding="utf-8")


def main(build):
    rows = [Row(*json.loads(p.read_text())) for p in sorted((pathlib.Path(build) / "prove" / "rows").iterdir())]
    total = [sum(column) for column in list(zip(*map(dataclasses.astuple, rows)))[1:]]
    lines = [f"{row.figures()} {row.seconds:.0f} |\n" for row in rows]
    lines.append(f"| all | {total[0]} | {total[1]} | {total[2]} | {total[3]:.0f} |\n")
    text = DOCUMENT.read_text(encoding="utf-8")
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    DOCUMENT.write_text(text[:begin] + HEAD + "".join(lines) + text[end:], encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
