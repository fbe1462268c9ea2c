# SPDX-License-Identifier: MIT
"""Every option of every program, as its --help lists it: given once it is taken, given twice it is refused by name,
whether or not it has a default. A list may be given repeatedly.

Needs the standard library."""

import os
import re
import subprocess

from harness import run
from tap import Programs, check

USAGE, STORE = 2, 5
LISTS = {("dps-service", "--proxy-protocol"), ("dps-service", "--hub"), ("dps-admin enroll", "--hub"),
         ("dps-admin message", "--property")}
VALUES = {"--trace": "json", "--format": "json", "--hub": "hub-a.example"}
OTHERS = ("dps-example", "dps-bench", "dps-micro")  # an example, and what `make bench` leaves: not for users
HIDDEN = {"dps-service": ["--timeouts-ms"]}


def listed(*command):
    """The options of a help text: name → whether it takes a value."""
    text = run(Programs.path(command[0]), *command[1:], "--help").out
    return dict(re.findall(r"^  (--[a-z0-9-]+)(\[=| (?=\S)|)", text, re.M))


def commands(program):
    """The commands that a help text lists, or none."""
    text = run(Programs.path(program), "--help").out
    found = re.search(r"Commands, each with its own --help:\n((?:  .*\n)+)", text)
    return re.findall(r"^  ([a-z-]+)", found.group(1), re.M) if found else []


def forms(option, kind):
    """The ways to write an option on a command line."""
    value = VALUES.get(option, "1")
    if kind == "":
        return [[option]]
    return [[f"{option}={value}"], [option] if kind == "[=" else [option, value]]


def check_option(command, option, kind):
    program, rest = Programs.path(command[0]), command[1:]
    name = " ".join(command)
    for first in forms(option, kind):
        if option != "--help":
            run(program, *rest, *first, "--help")
        for second in forms(option, kind):
            if (name, option) in LISTS:
                run(program, *rest, *first, *second, "--help")
                continue
            run(program, *rest, *first, *second, "--help", status=USAGE, says=f"{option} is given twice")
            if rest and option in listed(command[0]):  # before the command and after it
                run(program, *first, *rest, *second, status=USAGE, says=f"{option} is given twice")


def options_of(*command):
    options = listed(*command)
    check("--help" in options, f"{command}: no options in its help")
    for option, kind in options.items():
        check_option(command, option, kind)
    for option in HIDDEN.get(" ".join(command), ()):
        check_option(command, option, " ")
    return len(options)


def test_value_is_no_option():
    """what follows a lone -- is no option, and does not count as one"""
    run(Programs.path("dps-admin"), "get", "--", "--ca", "--ca", "x", "--help")
    run(Programs.path("dps-admin"), "get", "--ca=--ca", "--ca", "x", status=USAGE, says="--ca is given twice")
    run(Programs.path("dps-admin"), "enroll", "--ek=--ca", "--ca", "x", "--help")


def test_arguments():
    """options may stand between and after the arguments of a command; one argument too many is named"""
    device, admin = Programs.path("dps-device"), Programs.path("dps-admin")
    run(device, "explain", "-", "--format", "xml", stdin=subprocess.DEVNULL, status=USAGE, says="xml")
    run(device, "explain", "-", "more", status=USAGE, says='what is "more"?')
    run(admin, "registration", "--if-match", "\n", "get", "x", "--ca", "y", status=USAGE, says="--if-match takes")
    run(admin, "registration", "get", "x", "more", status=USAGE, says='what is "more"?')
    run(admin, "registration", "get", status=USAGE, says="it needs get|delete ID")


def test_summaries():
    """dps-device --help: the line of each command is whole"""
    text = run(Programs.path("dps-device"), "--help").out
    for line in re.search(r"Commands, each with its own --help:\n((?:  .*\n)+)", text).group(1).splitlines():
        check(line[-1].isalnum() or line[-1] == ")", line)


def test_own_help():
    """own --help says what a password should be like, and what --persist and no lockout password mean"""
    text = " ".join(run(Programs.path("dps-device"), "own", "--help").out.split())
    for words in ("long and random", "head -c 32 /dev/urandom", "then needs no owner password",
                  "without one anybody at the TPM may clear it", "so do ek and every command that protects a password"):
        check(words in text, f"{words!r} is not in {text}")


def full_output(program):
    """5, and a sentence, if the help cannot be written."""
    with open("/dev/full", "wb") as full:
        run(Programs.path(program), "--help", stdout=full, status=STORE, says="could not be written to standard output")


def test_finish_line():
    """dps-conformance takes --device-host, --device-id and --device-scope, which have defaults"""
    result = run(Programs.path("dps-conformance"), "--device-listen", "127.0.0.1:0", "--device-host", "dps.example",
                 "--device-id", "x", "--device-scope", "0ne00000B0B", "--device-cert", "/nowhere", "--device-key",
                 "/nowhere", "--device-command", "false", "DEV-S00-001", status=None)
    check("twice" not in result.err, result.err)
    check("/nowhere" in result.err, result.err)


def tests():
    programs = sorted(n for n in os.listdir(Programs.build)
                      if n.startswith("dps-") and os.access(Programs.path(n), os.X_OK) and n not in OTHERS)
    check({"dps-admin", "dps-conformance", "dps-device", "dps-service"} <= set(programs), programs)
    for program in programs:
        for command in ((program,), *((program, name) for name in commands(program))):
            yield " ".join(command) + ": each option once and twice", lambda command=command: options_of(*command)
    for program in programs:
        yield f"{program} --help: what cannot be written is no success", lambda program=program: full_output(program)
