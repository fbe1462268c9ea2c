# SPDX-License-Identifier: MIT
"""The shells complete as make install leaves it to them. Needs bash, fish and zsh."""
import os
import pty
import re
import select

from harness import run, write_file
from installed import Installed
from tap import Programs, check, same
from waiting import PATIENCE

PROGRAMS = ("dps-admin", "dps-conformance", "dps-device", "dps-service")


def shared():
    return Installed()


def options(program):
    return set(re.findall(r"^  (--[a-z0-9-]+)", run(Programs.path(program), "--help").out, re.M))


def bash(installed, program, *typed):
    """What bash offers for the last word."""
    script = (f". {installed.path('share/bash-completion/completions', program)}; COMP_WORDS=(\"$@\"); "
              f"COMP_CWORD=$(($# - 1)); _{program.replace('-', '_')}; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
    return run("bash", "-c", script, "bash", program, *typed).out.split()


def test_bash(installed):
    """bash completes commands, options of the command, and values that are one of several"""
    for program in PROGRAMS:
        same(set(bash(installed, program, "-")), options(program), program)
    for typed, wanted in {("re",): ["register"], ("--tpm", "register", "un"): ["unseal"],
                          ("--tpm", "=", "register", "un"): ["unseal"],
                          ("ek", "--form"): ["--format"], ("register", "--srk", ""): ["standard", "hardened"],
                          ("explain", "--format", "=", "j"): ["json"], ("--trace", "="): ["json", "pcapng:"],
                          ("seal", "--in", ""): [], ("explain", "x"): []}.items():
        same(bash(installed, "dps-device", *typed), wanted, typed)


def fish(installed, line, directory="/"):
    """What fish offers at the end of a line."""
    program = line.split()[0]
    script = f"source {installed.path('share/fish/vendor_completions.d', program + '.fish')}; complete -C $argv[1]"
    out = run("fish", "--no-config", "-c", script, line, cwd=directory, env={**os.environ, "HOME": directory}).out
    return sorted(offered.split("\t")[0] for offered in out.splitlines())


def test_fish(installed):
    """fish does, and files where a file is wanted"""
    place = Programs.directory()
    write_file(os.path.join(place, "a.txt"), "")
    for program in PROGRAMS:
        same({name for name in fish(installed, f"{program} --", place) if "=" not in name}, options(program), program)
    for line, wanted in {"re": ["register"], "--tpm x un": ["unseal"], "ek --form": ["--format"],
                         "register --srk ": ["hardened", "standard"], "register --srk=h": ["--srk=hardened"],
                         "seal --in a": ["a.txt"], "ek --id a": []}.items():
        same(fish(installed, f"dps-device {line}", place), wanted, line)


class Zsh:
    """An interactive zsh: its completion cannot be asked otherwise."""

    def __init__(self, installed, directory):
        pid, self.terminal = pty.fork()
        if pid == 0:
            os.chdir(directory)
            os.execvpe("zsh", ["zsh", "-f", "-i"], {**os.environ, "TERM": "dumb"})
        Programs.cleanup.callback(lambda: (os.close(self.terminal), os.waitpid(pid, 0)))
        functions = installed.path("share/zsh/site-functions")
        self.type(f"fpath=({functions} $fpath); autoload -U compinit; compinit -u -D; "
                  'tell() { print -r -- "<<$BUFFER>>"; BUFFER=; }; '
                  "zle -N tell; bindkey '^P' tell; print -r '<<'ready'>>'\n", "<<ready>>")

    def type(self, keys, until):
        os.write(self.terminal, keys.encode())
        said = b""
        while not re.search(until.encode(), said):
            check(select.select([self.terminal], [], [], PATIENCE)[0], f"zsh is silent after {keys!r}: {said!r}")
            said += os.read(self.terminal, 4096)
        return said.decode()

    def complete(self, line):
        """The line after a tab."""
        return re.search(r"<<(.*)>>", self.type(line + "\t\x10", "<<.*>>")).group(1)


def test_zsh(installed):
    """zsh does"""
    place = Programs.directory()
    write_file(os.path.join(place, "a.txt"), "")
    zsh = Zsh(installed, place)
    for line, wanted in {"regi": "register ", "--tpm x un": "--tpm x unseal ", "ek --form": "ek --format=",
                         "register --srk h": "register --srk hardened ", "register --srk=s": "register --srk=standard ",
                         "--trace=j": "--trace=json ", "seal --in a": "seal --in a.txt ",
                         "ek --id a": "ek --id a"}.items():
        same(zsh.complete(f"dps-device {line}"), f"dps-device {wanted}", line)
    for program in PROGRAMS:
        for option in sorted(options(program) - {"--help"})[:3]:
            same(zsh.complete(f"{program} {option}").rstrip("= "), f"{program} {option}", program)
