# SPDX-License-Identifier: MIT
"""What all pages have in common: head, style, the way to the other pages."""
import pathlib

from links import SITE, home

HERE = pathlib.Path(__file__).parent
# The pages of the site, in the order in which one reads them; the first three also stand alone.
SISTERS = [("walkthrough.html", "Walk-through"), ("walkthrough-short.html", "In one page"), ("lab.html", "Lab"),
           ("notes.html", "Notes"), ("porting.html", "Porting"), ("operations.html", "Operations"),
           ("requirements.html", "Requirements"), ("coverage.html", "Coverage"), ("sizes.html", "Sizes"),
           ("bench.html", "Figures")]

TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{head}</title>
<link rel="icon" href="data:,">
{style}
</head>
<body>
<a class="skip" href="#main">Skip to the text</a>
<header class="top">
{sisters}
<h1>{title}</h1>
{subtitle}
</header>
<div class="frame{sided}">
{contents}<main id="main" tabindex="-1">
{main}
</main>
</div>
<footer><p>{foot}</p></footer>
{script}</body>
</html>
"""

CONTENTS = """<nav class="contents" aria-label="On this page"><details open class="toc"><summary>On this page</summary>
{}</details></nav>
"""


def body_of(path):
    """A style or a script without its first comment."""
    return path.read_text(encoding="utf-8").split("*/\n", 1)[1]


def style_sheet():
    return body_of(HERE / "style.css")


def sisters(here, up=""):
    """Links to the other pages, from the page of this name. up: "../" for each folder above it."""
    links = "".join(f'<a href="{up}{name}"{" aria-current=page" if name == here else ""}>{title}</a>'
                    for name, title in (SISTERS if SITE else SISTERS[:3]))
    return f'<nav class="kicker" aria-label="Pages"><a href="{up}{home()}">tpm-dps</a>{links}</nav>'


def page(here, title, subtitle, main, foot, contents="", script="", up="", alone=True):
    """contents: a list of what is on the page, in HTML. alone: the page needs no other file."""
    parts = {
        "title": title, "head": "tpm-dps" if title == "tpm-dps" else f"tpm-dps: {title}", "main": main, "foot": foot,
        "subtitle": f'<p class="subtitle">{subtitle}</p>' if subtitle else "", "sisters": sisters(here, up),
        "contents": CONTENTS.format(contents) if contents else "", "sided": " sided" if contents else "",
        "script": f"<script>\n{script}</script>\n" if script else "",
        "style": f"<style>\n{style_sheet()}</style>" if alone else f'<link rel="stylesheet" href="{up}style.css">'}
    return TEMPLATE.format(**parts)
