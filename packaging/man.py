# SPDX-License-Identifier: MIT
"""Prints the manual page of a program, in mdoc, made from its --help.

    python3 packaging/man.py PROGRAM SECTION EPOCH      EPOCH: the page's date, in seconds since 1970"""
import datetime
import re
import sys
import textwrap

import help_text

PROGRAMS = {"dps-admin": 1, "dps-conformance": 1, "dps-device": 1, "dps-service": 8}
WIDTH = 78


def escaped(text):
    """Nothing in it is a request, and '-' stays what one types."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text[:1] in (".", "'") else text


def prose(text):
    """Filled lines, one sentence after the other; options keep their dashes."""
    text = re.sub(r"(?<!\S)(\W?)--(?=[a-z])", r"\1\\-\\-", text.replace("\\", "\\e"))
    for sentence in re.split(r"(?<=[.?!])\s+(?=\W?[A-Z])", text):
        for line in textwrap.wrap(sentence, WIDTH, break_long_words=False, break_on_hyphens=False):
            print("\\&" + line if line[0] in ".'" else line)


def macro(name, *words):
    """A request. Quoted, a word is no further macro."""
    print(" ".join([f".{name}", *(f'"{escaped(w)}"' if " " in w or len(w) <= 2 else escaped(w) for w in words)]))


def synopsis(usage):
    """Words of a usage line: options, and what is to be replaced."""
    at = re.findall(r"\[[^]]*\]\.*|\S+", usage)
    for word in at:
        inner = re.fullmatch(r"\[(.*)\](\.*)", word)
        if inner:
            macro("Op Ar", " ".join(filter(None, inner.groups())))
        elif word.startswith("--"):
            macro("Fl", "-" + word[2:])
        elif word.isupper() or word == "...":
            macro("Ar", word)
        else:
            macro("Cm", word)


def list_options(options):
    print(".Bl -tag -width Ds")
    for option in options:
        item = f".It Fl {escaped(option.name[1:])}"
        if option.argument:
            item += (" Ns Oo Ns = Ns Ar {} Oc" if option.optional else " Ar {}").format(escaped(option.argument))
        print(item)
        prose(option.text)
    print(".El")


def literal(lines):
    print(".Bd -literal")
    for line in lines:
        print(escaped(line))
    print(".Ed")


def paragraphs(texts):
    for number, text in enumerate(texts):
        if number:
            print(".Pp")
        prose(text)


def list_command(help_):
    macro("Ss", help_.command)
    print(".Bd -ragged -compact")
    macro("Nm", help_.program)
    synopsis(help_.usage[0])
    print(".Ed\n.Pp")
    paragraphs(help_.paragraphs)
    own = dict(help_.groups).get("Options")
    if own:
        list_options(own)
    print(".Pp\nExample:")
    literal(help_.example)


def head(name, section, epoch, purpose):
    day = datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc)
    print(f""".\\" SPDX-License-Identifier: MIT
.\\" Made by packaging/man.py from what {name} --help prints.
.Dd {day.strftime('%B')} {day.day}, {day.year}
.Dt {name.upper()} {section}
.Os
.Sh NAME
.Nm {name}
.Nd {purpose}""")


def purpose_of(help_):
    """The first sentence, as a clause."""
    first = re.split(r"[:.](?:\s|$)", help_.paragraphs[0])[0]
    return first[0].lower() + first[1:]


def page(program, section, epoch):
    whole, commands = help_text.read(program)
    endings = {text.split(":")[0]: text for text in whole.ending}
    exits = [text for title, text in endings.items() if title.startswith(("Exit code", "Standard output"))]
    name = whole.program
    head(name, section, epoch, purpose_of(whole))
    macro("Sh", "SYNOPSIS")
    macro("Nm")
    synopsis(whole.usage[0])
    macro("Sh", "DESCRIPTION")
    paragraphs(whole.paragraphs)
    for title, text in endings.items():
        if text not in exits:
            print(".Pp")
            prose(text)
    if commands:
        macro("Sh", "COMMANDS")
        for help_ in commands:
            list_command(help_)
    macro("Sh", "OPTIONS")
    for title, options in whole.groups:
        if title != "Options":
            macro("Ss", title)
        list_options(options)
    macro("Sh", "EXIT STATUS")
    paragraphs([re.sub(r"^Exit codes?: ", "", text) for text in exits])
    macro("Sh", "EXAMPLES")
    literal(whole.example)
    macro("Sh", "SEE ALSO")
    others = sorted((s, n) for n, s in PROGRAMS.items() if n != name)
    for number, (other_section, other) in enumerate(others):
        print(f".Xr {other} {other_section}" + (" ," if number < len(others) - 1 else ""))


if __name__ == "__main__":
    page(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
