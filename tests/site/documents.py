# SPDX-License-Identifier: MIT
"""The project's documents, which are Markdown, as HTML. Links between them lead to pages of the site."""
import posixpath
import re
from html import escape

import links
from markdown_it import MarkdownIt

PARSER = MarkdownIt("commonmark").enable("table")


def slug(text, taken):
    """As web views of repositories name a heading."""
    name = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
    number = next(n for n in range(1000) if (f"{name}-{n}" if n else name) not in taken)
    taken.append(f"{name}-{number}" if number else name)
    return taken[-1]


def leads_to(target, folder, up):
    """A link of a document in this folder, as the page needs it."""
    path, _, fragment = target.partition("#")
    if re.match(r"\w+:", target) or not path:
        return target
    file = posixpath.normpath(posixpath.join(folder, path))
    if not (links.ROOT / file).exists():
        raise SystemExit(f"site: {folder or '.'}: a link leads nowhere: {target}")
    address = links.address(file) + (f"#{fragment}" if fragment else "")
    return address if "://" in address else up + address


def plain(token):
    return "".join(child.content for child in token.children if child.type in ("text", "code_inline"))


def scrolls(html):
    """What is wider than the page scrolls by itself, also with the keyboard."""
    html = re.sub(r"<table>(.*?)</table>", r'<div class="wide" tabindex="0" role="group" aria-label="Table"><table>\1'
                  "</table></div>", html, flags=re.S)
    html = re.sub(r"<th( [^>]*)?></th>", "<td></td>", html)
    return re.sub(r"<th(?=[ >])", '<th scope="col"', html).replace("<pre>", '<pre tabindex="0">')


def parse(text, folder, up):
    """The tokens, links and anchors done; and the headings: (level, text, anchor)."""
    tokens, headings, taken = PARSER.parse(text), [], []
    for i, token in enumerate(tokens):
        if token.type == "heading_open":
            headings.append((int(token.tag[1]), plain(tokens[i + 1]), slug(plain(tokens[i + 1]), taken)))
            token.attrSet("id", headings[-1][2])
        for child in token.children or ():
            if child.type == "link_open":
                child.attrSet("href", leads_to(child.attrGet("href"), folder, up))
    return tokens, headings


def html_of(tokens):
    return scrolls(PARSER.renderer.render(tokens, PARSER.options, {}))


def document(path, up=""):
    """A file as (title, what is on the page, HTML)."""
    text = (links.ROOT / path).read_text(encoding="utf-8")
    tokens, headings = parse(text, posixpath.dirname(path), up)
    title = headings[0][1] if headings and headings[0][0] == 1 else path
    if headings and headings[0][0] == 1:
        at = next(i for i, token in enumerate(tokens) if token.type == "heading_close")
        tokens = tokens[at + 1:]
    items = "".join(f'<li><a href="#{anchor}">{escape(name)}</a></li>' for level, name, anchor in headings
                    if level == 2)
    return title, f"<ul>{items}</ul>" if items else "", f'<div class="prose">{html_of(tokens)}</div>'
