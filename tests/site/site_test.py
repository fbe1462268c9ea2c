# SPDX-License-Identifier: MIT
"""The site: every link and anchor, nothing from other machines, nothing invented. Needs what make site has built."""
import json
import os
import pathlib
import re
import subprocess
import sys

from tap import Failed, Programs, note

BUILD = pathlib.Path(Programs.build).resolve()
SITE = BUILD / "site"
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "walkthrough"))
from frame import SISTERS  # noqa: E402

COVERAGE = {"date": "2026-01-02", "files": {"tpm/rc.c": [1, 2, 7, 9]}, "branches": {"tpm/": [7, 9]}}
BENCH = "# 2026-01-03: micro\nblob 123 us of CPU\n# a remark\n"
VIEW = "https://view.example/owner/tpm-dps/blob/main"


def read(site):
    return {path.relative_to(site).as_posix(): path.read_text(encoding="utf-8")
            for path in sorted(site.rglob("*.html"))}


PAGES = read(SITE)


def differ(what, problems):
    if problems:
        raise Failed(f"{len(problems)}: {what}: " + "; ".join(str(p) for p in problems[:5]))


def without_module(text):
    """The lab has the links of its sources in its script."""
    return re.sub(r'<script type="text/plain".*?</script>', "", text, flags=re.S)


def ids_of(text):
    return re.findall(r'<\w[^<>]*?\bid="([^"]+)"', without_module(text))


def links_of(name, text):
    found = re.findall(r'<a\b[^>]*?\bhref="([^"]*)"', without_module(text))
    facts = re.search(r"^const facts = (\{.*\});$", text, re.M) if name == "lab.html" else None
    if facts:
        facts = json.loads(facts.group(1))
        found += list(facts["links"].values()) + [f"walkthrough.html#{a}" for a in facts["chapters"].values()]
    return found


def dead(site, pages):
    ids = {name: set(ids_of(text)) for name, text in pages.items()}
    scenes = set(re.findall(r'^    \{"([\w-]+)", "', (ROOT / "tests/lab/scenes.c").read_text(encoding="utf-8"), re.M))
    ids["lab.html"] |= scenes | {f"ordinary-{n}" for n in range(1, 12)}
    count = 0
    for name, text in pages.items():
        for link in links_of(name, text):
            count += 1
            if "://" in link:
                continue
            file, _, anchor = link.partition("#")
            target = os.path.normpath(os.path.join(os.path.dirname(name), file)) if file else name
            if not (site / target).is_file() or anchor and anchor not in ids.get(target, ()):
                yield f"{name}: {link}"
    note(f"{len(pages)} pages, {count} links")


def test_every_link_and_anchor():
    """every link leads to a page of the site, and to an anchor that it has"""
    assert len(PAGES) > 500, len(PAGES)
    differ("leads nowhere", list(dead(SITE, PAGES)))


def test_all_is_there():
    """the main pages lead to each other; each has a title, a language and one h1; no id is there twice"""
    for name, text in PAGES.items():
        assert '<html lang="en">' in text and re.search("<title>tpm-dps(: [^<]+)?</title>", text), name
        assert text.count("<h1>") == 1, name
        found = ids_of(text)
        differ(name, [i for i in set(found) if found.count(i) > 1])
    for name, _ in SISTERS:
        assert name in PAGES, name
        assert name in links_of("index.html", PAGES["index.html"]), name
        assert {other for other, _ in SISTERS} <= set(links_of(name, PAGES[name])), name


def test_nothing_from_outside():
    """no page loads anything from another machine, and only the lab and the walk-through have scripts"""
    for name, text in PAGES.items():
        text = without_module(text)
        code = re.sub(r"<(code|pre|script)\b.*?</\1>", "", text, flags=re.S)
        differ(name, re.findall(r'\b(?:src|srcset|poster|action)="[^"]*"|<(?:img|iframe|object|embed)\b|@import', code))
        differ(name, [link for link in re.findall(r'<link [^>]*href="([^"]*)"', code)
                      if not re.fullmatch(r"data:,|(\.\./)*style\.css", link)])
        assert ("<script" in code or "<script" in text) == (name in ("lab.html", "walkthrough.html")), name
    sheet = (SITE / "style.css").read_text(encoding="utf-8")
    differ("style.css", re.findall(r"url\(|@import", sheet))


def test_links_are_relative():
    """links lead to other machines only where a document of the project has such a link"""
    documents = "".join(path.read_text(encoding="utf-8") for path in ROOT.rglob("*.md") if BUILD not in path.parents)
    for name, text in PAGES.items():
        differ(name, [link for link in links_of(name, text) if re.match(r"\w+:|/", link)
                      and link.replace("&amp;", "&") not in documents])


def test_figures():
    """figures are those that were recorded, with their date; what was not measured is said to be so"""
    for name, record in (("coverage.html", BUILD / "coverage/report.json"), ("bench.html", BUILD / "bench.txt")):
        text = PAGES[name]
        assert ("<strong>Not measured.</strong>" in text) != record.exists(), name
        assert not record.exists() or re.search(r"Measured on \d{4}-\d\d-\d\d", text), name
        assert record.exists() or "<td>" not in text, name
    porting = (ROOT / "port/PORTING.md").read_text(encoding="utf-8")
    sizes = re.findall(r"^\| `?([\w /.:;,–-]+)`? \| (\d+) \|", porting.split("<!-- size -->")[1], re.M)
    assert len(sizes) > 70, len(sizes)
    differ("sizes.html", [(n, v) for n, v in sizes if f">{v}</td>" not in PAGES["sizes.html"]])


def test_requirements():
    """each requirement has an anchor"""
    text = (ROOT / "tests/conformance/REQUIREMENTS.md").read_text(encoding="utf-8")
    wanted = set(re.findall(r"^\| ((?:TPM|SVC|DEV)-S\d\d-\d{3}) \|", text, re.M))
    assert len(wanted) > 200, len(wanted)
    differ("no anchor", sorted(wanted - set(ids_of(PAGES["requirements.html"]))))


def test_repository():
    """with REPOSITORY links to files lead to that web view, to files that exist, and the site has no copies of them;
    and figures that were recorded are shown"""
    other = pathlib.Path(Programs.directory())
    (other / "site").mkdir()
    (other / "coverage").mkdir()
    (other / "coverage/report.json").write_text(json.dumps(COVERAGE), encoding="utf-8")
    (other / "bench.txt").write_text(BENCH, encoding="utf-8")
    (other / "walkthrough").symlink_to(BUILD / "walkthrough")
    environment = dict(os.environ, SITE="yes", REPOSITORY=VIEW, PYTHONDONTWRITEBYTECODE="1")
    walk = BUILD / "walkthrough"
    for command in (["tests/walkthrough/walkthrough.py", walk / "run.jsonl", walk / "attacks.txt",
                     other / "site/walkthrough.html"],
                    ["tests/lab/lab_page.py", BUILD / "lab/lab.wasm", other / "site/lab.html"],
                    ["tests/site/make_site.py", other]):
        subprocess.run([sys.executable, *command], cwd=ROOT, check=True, env=environment)
    pages = read(other / "site")
    assert not (other / "site/source").exists() and len(pages) < 20
    differ("leads nowhere", list(dead(other / "site", pages)))
    assert "2026-01-02" in pages["coverage.html"] and ">7 of 9<" in pages["coverage.html"]
    assert "2026-01-03" in pages["bench.html"] and ">123</td><td>us of CPU" in pages["bench.html"]
    files = {link for name, text in pages.items() for link in links_of(name, text) if link.startswith(VIEW)}
    assert len(files) > 300, len(files)
    for link in files:
        path, _, place = link[len(VIEW):].strip("/").partition("#")
        assert (ROOT / path).exists(), link
        if re.fullmatch(r"L\d+", place):
            text = (ROOT / path).read_text(encoding="utf-8").splitlines()[int(place[1:]) - 1]
            assert re.match(r"[a-z].*\(", text), (link, text)
