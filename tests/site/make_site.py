# SPDX-License-Identifier: MIT
"""All that there is to read, as one folder of static pages (make site). The walk-through and the lab are there already.

Usage: tests/site/make_site.py BUILD     writes BUILD/site; REPOSITORY and SITE as in tests/walkthrough/links.py
"""
import pathlib
import re
import shutil
import sys

sys.dont_write_bytecode = True  # this is a source tree
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "walkthrough"))
import documents  # noqa: E402
import figures  # noqa: E402
import links  # noqa: E402
import tree  # noqa: E402
from frame import SISTERS, body_of, page, style_sheet  # noqa: E402

VERSION = (links.ROOT / "VERSION").read_text(encoding="utf-8").strip()
# What the index says of each page.
SAYS = {
    "walkthrough.html": "a whole run, in which every byte is named and explained, and what goes wrong",
    "walkthrough-short.html": "the same in ten minutes: ten steps, and the one number that carries the proof",
    "lab.html": "device, TPM, service and hub in your browser: change a byte, and see who notices (needs scripts)",
    "notes.html": "the words, the decisions with their reasons, what an attacker can and cannot do",
    "porting.html": "to a board, an operating system, a TPM, a database: what to supply, and in which order",
    "operations.html": "for those who run the service",
    "requirements.html": "what dps-conformance asks of a TPM, a device client and a service, one by one",
    "coverage.html": "which lines and branches the tests reach",
    "sizes.html": "flash, RAM and stack on a Cortex-M3",
    "bench.html": "what a registration costs, measured",
}
DOCUMENTS = {file: path for path, file in links.PAGES.items() if file != "walkthrough.html"}

# The id of a requirement can be linked to: requirements.html#TPM-S07-101.
REQUIREMENT = r"<td>((?:TPM|SVC|DEV)-S\d\d-\d{3})</td>"


def put(out, name, title, subtitle, main, made_from, contents=""):
    foot = f"tpm-dps {VERSION}. Made by <code>make site</code> from {made_from}."
    (out / name).write_text(page(name, title, subtitle, main, foot, contents, alone=False), encoding="utf-8")


# The beginning of README.md, block by block, with a heading for some of them.
BEGINNING = [("paragraph_open", None), ("paragraph_open", "What it is"), ("fence", None), ("paragraph_open", None),
             ("fence", "In 60 seconds"), ("paragraph_open", None), ("table_open", "For whom")]


def index(out):
    text = (links.ROOT / "README.md").read_text(encoding="utf-8").split("\n## ", 1)[0]
    tokens, _ = documents.parse(text, "", "")
    starts = [i for i, token in enumerate(tokens) if token.level == 0 and token.nesting >= 0][1:]
    if [tokens[i].type for i in starts] != [kind for kind, _ in BEGINNING]:
        raise SystemExit("site: README.md does not begin as tests/site/make_site.py expects")
    blocks = [documents.html_of(tokens[a:b]) for a, b in zip(starts, [*starts[1:], len(tokens)])]
    parts = [(f'<h2 id="{title.lower().replace(" ", "-")}">{title}</h2>' if title else "") + block
             for block, (_, title) in zip(blocks[1:], BEGINNING[1:])]
    # Links to what follows in README.md.
    parts = [part.replace('href="#', 'href="readme.html#') for part in parts]
    pages = "".join(f'<li><a href="{name}">{title}</a>: {SAYS[name]}</li>' for name, title in SISTERS)
    sources = links.REPOSITORY or "source/index.html"
    parts.append(f'<h2 id="pages">What is here</h2><ul class="pages">{pages}<li><a href="readme.html">README</a>: how '
                 f'to build, try and use it</li><li><a href="{sources}">All files</a></li></ul>')
    subtitle = blocks[0].strip().removeprefix("<p>").removesuffix("</p>")
    put(out, "index.html", "tpm-dps", subtitle, f'<div class="prose">{"".join(parts)}</div>',
        links.file_link("README.md"))


def sizes(out):
    path = "port/PORTING.md"
    text = (links.ROOT / path).read_text(encoding="utf-8")
    begin, end = text.index("\n## Size\n"), text.index("\n## ", text.index("\n## Stack\n") + 5)
    tokens, _ = documents.parse(text[begin:end], "port", "")
    put(out, "sizes.html", "Sizes", "What the device side needs. <code>make size</code> and <code>make stack</code> "
        f"measure it, <code>make check-size</code> compares; the figures stand in {links.file_link(path)}.",
        f'<div class="prose">{documents.html_of(tokens)}</div>', links.file_link(path))


def main():
    build = pathlib.Path(sys.argv[1])
    out = build / "site"
    (out / "style.css").write_text(style_sheet() + body_of(HERE / "site.css"), encoding="utf-8")
    index(out)
    for name, path in DOCUMENTS.items():
        title, contents, html = documents.document(path)
        title = "README" if path == "README.md" else title  # the index has its title
        html = re.sub(REQUIREMENT, r'<td class="id" id="\1">\1</td>', html)
        put(out, name, title, "", html, f"<code>{path}</code>", contents)
    sizes(out)
    for name, title, read in (("coverage", "Coverage", figures.coverage), ("bench", "Figures", figures.bench)):
        said, html = read(build)
        put(out, f"{name}.html", title, said, f'<div class="prose">{html}</div>',
            f"what <code>make {name}</code> has recorded")
    downloads = out / "walkthrough"
    downloads.mkdir(exist_ok=True)
    for name in ("run.pcapng", "run.jsonl", "keys.json"):
        shutil.copy(build / "walkthrough" / name, downloads)
    shutil.rmtree(out / "source", ignore_errors=True)
    if not links.REPOSITORY:
        tree.write_tree(out)


main()
