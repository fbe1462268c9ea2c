# SPDX-License-Identifier: MIT
"""Reads the --help of a program and of its commands, which port/posix/options.c prints from the tables that the
programs parse with: so a manual page or a completion cannot forget an option, nor keep one that is gone."""
import pathlib
import re
import subprocess
import sys
import typing

HELP_COLUMN = 30  # of port/posix/options.c


class Option(typing.NamedTuple):
    name: str       # with its dashes
    argument: str   # as --help calls its value; empty: a flag
    optional: bool  # the value may be left out, and needs a '='
    text: str

    @property
    def choices(self):
        """The words that the value may be, or begin with; none if it is anything else."""
        words = self.argument.split("|")
        return words if len(words) > 1 and all(re.match(r"[a-z0-9-]+(:|$)", word) for word in words) else []


class Help(typing.NamedTuple):
    program: str
    command: str      # empty: of the program
    usage: list       # its synopsis, one for each line
    paragraphs: list  # what stands between usage and options: text
    commands: dict    # name → summary
    groups: list      # pairs of a title and its options
    example: list     # lines
    ending: list      # what follows the options: paragraphs

    @property
    def options(self):
        return [option for _, group in self.groups for option in group]


def usage_of(block):
    """The synopsis without the program's name, continued lines joined."""
    text = re.sub(r"\s+", " ", " ".join(block))
    return re.sub(r"^[Uu]sage: \S+ ?", "", text)


def options_of(lines):
    options = []
    for line in lines:
        if line.startswith("  --"):
            split = line[HELP_COLUMN - 2:HELP_COLUMN] == "  "
            head, text = (line[:HELP_COLUMN], line[HELP_COLUMN:]) if split else (line, "")
            name, mark, argument = re.fullmatch(r"(--[a-z0-9-]+)(\[=| |)(.*)", head.strip()).groups()
            optional = mark == "[="
            options.append(Option(name, argument.removesuffix("]") if optional else argument, optional, text))
        elif line.startswith(" " * HELP_COLUMN) and options:
            options[-1] = options[-1]._replace(text=f"{options[-1].text} {line.strip()}".strip())
        else:
            sys.exit(f"not a line of an option: {line!r}")
    return options


def sentences(block):
    """The paragraphs of a block: one begins with each word and colon at the beginning of a line (Signals:)."""
    found = []
    for line in block:
        if not found or re.match(r"[A-Z][a-z]+( [a-z]+)?: ", line):
            found.append(line)
        else:
            found[-1] += " " + line.strip()
    return found


def parse(program, command, text):
    blocks = [block.splitlines() for block in text.strip("\n").split("\n\n")]
    help_ = Help(program, command, [usage_of(blocks[0])], [], {}, [], [], [])
    for block in blocks[1:]:
        first, rest = block[0], block[1:]
        if rest and rest[0].startswith("  --"):
            help_.groups.append((first.rstrip(":"), options_of(rest)))
        elif first.endswith("Commands, each with its own --help:"):
            help_.paragraphs.append(first.removesuffix(" Commands, each with its own --help:"))
            help_.commands.update(re.fullmatch(r"  (\S+) +(.*)", line).groups() for line in rest)
        elif first.startswith("Example"):
            short = re.match(r"Example: (.*)", first)
            help_.example.extend([short.group(1)] if short else [line[2:] for line in rest])
        else:
            (help_.ending if help_.groups else help_.paragraphs).extend(sentences(block))
    if not help_.groups:
        sys.exit(f"{program} {command}: --help is not understood")
    return help_


def read(program):
    """path → the Help of the program and those of its commands."""
    def ask(*words):
        return subprocess.run([program, *words, "--help"], capture_output=True, text=True, check=True).stdout
    name = pathlib.Path(program).name
    whole = parse(name, "", ask())
    return whole, [parse(name, command, ask(command)) for command in whole.commands]
