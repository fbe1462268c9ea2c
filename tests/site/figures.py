# SPDX-License-Identifier: MIT
"""What was measured where this site was built, with its date. What was not measured is named as such."""
import json
from html import escape

from links import file_link


def table(caption, headings, rows):
    """The first column names a row. Cells are HTML."""
    head = "".join(f'<th scope="col">{escape(heading)}</th>' if heading else "<td></td>" for heading in headings)
    body = "".join(f'<tr><th scope="row">{name}</th>' + "".join(f"<td>{cell}</td>" for cell in cells)
                   + "</tr>" for name, *cells in rows)
    return (f'<div class="wide" tabindex="0" role="group" aria-label="{escape(caption)}"><table class="numbers">'
            f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>")


def not_measured(target, what):
    return (f'<p class="missing"><strong>Not measured.</strong> {what} <code>make {target}</code> does it; '
            "<code>make site</code> then shows it here.</p>")


def share(part, whole):
    return f"{part} of {whole}", f"{100.0 if whole == 0 else 100.0 * part / whole:.1f} %"


def coverage(build):
    """Of make coverage: (what is said, HTML)."""
    said = ("Which lines and branches of the core the unit tests, the port tests and the corpora of the fuzzers reach. "
            "<code>make coverage</code> fails below 95 % of branches in what reads strangers' bytes.")
    record = build / "coverage" / "report.json"
    if not record.exists():
        return said, not_measured("coverage", "Nobody has run the tests with counters where this site was built.")
    found = json.loads(record.read_text(encoding="utf-8"))
    totals = table("Branches", ("Files", "Taken", ""), [(name, *share(*counts))
                                                        for name, counts in found["branches"].items()])
    files = table("Each file", ("File", "Lines", "", "Branches", ""), [
        (file_link(path), *share(*counts[:2]), *share(*counts[2:])) for path, counts in found["files"].items()])
    return said, f"<p>Measured on {found['date']}.</p>{totals}{files}"


def bench(build):
    """Of make bench, likewise."""
    said = ("What the service and the parts of a registration cost. <code>tests/bench/bench.py --help</code> says how "
            "it is measured; figures of other machines are other figures.")
    record = build / "bench.txt"
    if not record.exists():
        return said, not_measured("bench", "A figure belongs to a machine, and nobody has measured on the one that "
                                  "built this site.")
    first, *lines = record.read_text(encoding="utf-8").splitlines()
    date, parts = first[2:].split(": ", 1)
    figures = [line.split(" ", 2) for line in lines if not line.startswith("#")]
    remarks = "".join(f"<li>{escape(line[2:])}</li>" for line in lines if line.startswith("#"))
    rows = [(escape(name), value, escape(unit)) for name, value, unit in figures]
    return said, (f"<p>Measured on {escape(date)}; parts: {escape(parts)}.</p>"
                  + table("Figures", ("Name", "Value", "Unit"), rows)
                  + (f"<h2>Remarks of that run</h2><ul>{remarks}</ul>" if remarks else ""))
