# SPDX-License-Identifier: MIT
"""Where links to files of the tree lead, from the walk-through, the lab and the site.

Environment: REPOSITORY   an address under which a web view has the files, as https://host/owner/tpm-dps/blob/main
             SITE=yes     the page belongs to the site, which has pages of its own for some files
"""
import functools
import os

from sources import ROOT, lines

REPOSITORY = os.environ.get("REPOSITORY", "").rstrip("/")
SITE = os.environ.get("SITE") == "yes"
# Files that are pages of the site.
PAGES = {"README.md": "readme.html", "spec-notes.md": "notes.html", "port/PORTING.md": "porting.html",
         "port/posix/deploy/OPERATIONS.md": "operations.html",
         "tests/conformance/REQUIREMENTS.md": "requirements.html", "tests/walkthrough/README.md": "walkthrough.html"}


def home():
    return "index.html" if SITE else address("README.md")


def address(path, line=None):
    if SITE and path in PAGES:
        return PAGES[path]
    inside = f"source/{path}/index.html" if (ROOT / path).is_dir() else f"source/{path}.html"
    file = f"{REPOSITORY}/{path}" if REPOSITORY else inside if SITE else f"../{path}"
    return file + (f"#L{line}" if line else "")


def file_link(path, text=None):
    return f'<a href="{address(path)}">{text or path}</a>'


@functools.lru_cache
def line_of():
    return lines()


def function_address(name):
    """Of "dps/device/device.c:build_load"."""
    return address(name.split(":")[0], line_of().get(name))


def source_link(name):
    return f'<a class="src" href="{function_address(name)}">{name.replace(":", ":<wbr>")}</a>'
