# SPDX-License-Identifier: MIT
"""The files of the tree as pages, for links to them: text as it is, with an anchor at each function; folders
as lists."""
import collections
import os
import posixpath
import subprocess
from html import escape

import links
from documents import document
from frame import page

TOP = ("Makefile", "LICENSE", "VERSION")
FOLDERS = (".github", "crypto", "debian", "dps", "packaging", "port", "tests", "tpm")
FOOT = "Made by <code>make site</code> from this file."


def files():
    """Those of the project: what git says; in an archive of make dist, what is where it has files. Nothing else that
    lies about is published."""
    if (links.ROOT / ".git").exists():
        named = subprocess.run(["git", "ls-files", "-z"], cwd=links.ROOT, capture_output=True, check=False, text=True)
        if named.returncode == 0:
            return [name for name in named.stdout.split("\0") if name and (links.ROOT / name).is_file()]
    found = [path.name for path in links.ROOT.iterdir() if path.suffix == ".md" or path.name in TOP]
    for top in FOLDERS:
        for folder, folders, names in os.walk(links.ROOT / top):
            folders[:] = [name for name in folders if name != "__pycache__"]
            found += [os.path.relpath(os.path.join(folder, name), links.ROOT) for name in names]
    return sorted(found)


def folders(names):
    """Folder → what is in it; folders end with a slash."""
    found = collections.defaultdict(set)
    for name in names:
        while name not in ("", "."):
            above = posixpath.dirname(name.rstrip("/")) or "."
            found[above].add(posixpath.basename(name.rstrip("/")) + ("/" if name.endswith("/") else ""))
            name = "" if above == "." else above + "/"
    return found


def way_up(path, up):
    """Each folder above, as a link."""
    parts = path.split("/") if path != "." else []
    crumbs = [f'<a href="{up}source/index.html">all files</a>']
    crumbs += [f'<a href="{up}source/{"/".join(parts[:n])}/index.html">{escape(parts[n - 1])}</a>'
               for n in range(1, len(parts))]
    return " / ".join(crumbs)


def listing(path, names, up):
    def item(name):
        file = posixpath.normpath(posixpath.join(path, name))
        return f'<li><a href="{up}{links.address(file)}">{escape(name)}</a></li>'
    both = sorted(names, key=lambda name: (not name.endswith("/"), name))
    return f'<ul class="tree">{"".join(item(name) for name in both)}</ul>'


def source(path, anchors):
    """The text; lines where a function begins have an anchor."""
    try:
        text = (links.ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return f"<p>{(links.ROOT / path).stat().st_size} bytes, which are no text.</p>"
    lines = escape(text, quote=False).split("\n")
    for number in anchors:
        lines[number - 1] = f'<span id="L{number}">{lines[number - 1]}</span>'
    return f'<pre class="source" tabindex="0"><code>{chr(10).join(lines)}</code></pre>'


def write(out, file, text):
    target = out / file
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def write_tree(out):
    names = files()
    anchors = collections.defaultdict(list)
    for name, line in links.line_of().items():
        anchors[name.split(":")[0]].append(line)
    for name in names:
        if name in links.PAGES:
            continue
        up = "../" * (name.count("/") + 1)
        contents, main = "", None
        if name.endswith(".md"):
            _, contents, main = document(name, up)
        write(out, links.address(name), page("", name, way_up(name, up), main or source(name, anchors[name]), FOOT,
                                             contents, up=up, alone=False))
    for folder, inside in folders(names).items():
        up = "../" * (1 if folder == "." else folder.count("/") + 2)
        file = "source/index.html" if folder == "." else links.address(folder)
        title = "All files" if folder == "." else folder + "/"
        write(out, file, page("", title, way_up(folder, up), listing(folder, inside, up), FOOT, up=up, alone=False))
