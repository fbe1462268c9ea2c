# SPDX-License-Identifier: MIT
"""Prints a shell's completion of a program, made from its --help.

    python3 packaging/completion.py bash|fish|zsh PROGRAM"""
import re
import sys

import help_text

# What --help calls a value that is a path: shells complete it by themselves, as they do the program's other arguments.
PATHS = ("FILE", "PEM", "TPM")


def choices(option):
    """The words that a value may be; what follows a colon is for the user."""
    return [re.sub(":.*", ":", word) for word in option.choices]


def short(text):
    """The first clause."""
    return re.split(r"[;.](?:\s|$)", text)[0]


# ---- bash ------------------------------------------------------------------------------------------------------------

BASH = r"""# SPDX-License-Identifier: MIT
# Made by packaging/completion.py from what {program} --help prints.
_{function}()
{{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} command= words= at
    # bash makes a word of the '=' in --name=VALUE.
    if [ "$word" = "=" ]; then
        word=
        before+==
    elif [ "$before" = "=" ]; then
        before=${{COMP_WORDS[COMP_CWORD - 2]}}=
    fi
    for ((at = 1; at < COMP_CWORD; at++)); do
        case ${{COMP_WORDS[at]}} in
        {valued})
            ((at++))
            [ "${{COMP_WORDS[at]}}" != "=" ] || ((at++))
            ;;
        {commands})
            command=${{COMP_WORDS[at]}}
            break
            ;;
        esac
    done
    COMPREPLY=()
    case $command:$before:$word in
{rows}
    *) return ;;
    esac
    while read -r at; do
        COMPREPLY+=("$at")
    done < <(compgen -W "$words" -- "$word")
    case ${{COMPREPLY[0]}} in *:) compopt -o nospace 2>/dev/null ;; esac
}}
complete -o bashdefault -o default -F _{function} {program}
"""


def bash_rows(command, options):
    """Of a case, in which the first that fits counts: values of options, then options."""
    pattern = {}
    for option in options:
        if option.choices:
            what = f"words='{' '.join(choices(option))}'"
        elif option.argument:
            what = "return" if option.argument in PATHS else "compopt +o default 2>/dev/null && return"
        else:
            continue
        forms = [f"{command}:{option.name}=:*"] + ([] if option.optional else [f"{command}:{option.name}:*"])
        pattern.setdefault(what, []).extend(forms)
    names = " ".join(option.name for option in options)
    return [f"    {' | '.join(forms)}) {what} ;;" for what, forms in pattern.items()] + \
        [f"    {command}:*:-*) words='{names}' ;;"]


def bash(whole, commands):
    options = {help_.command: help_.options for help_ in [whole] + commands}
    valued = sorted({o.name for group in options.values() for o in group if o.argument and not o.optional})
    lines = [line for command, group in options.items() for line in bash_rows(command, group)]
    if commands:
        lines.append(f"    :*:*) words='{' '.join(whole.commands)}' ;;")
    return BASH.format(program=whole.program, function=whole.program.replace("-", "_"), valued=" | ".join(valued),
                       commands=" | ".join(whole.commands) or "''", rows="\n".join(lines))


# ---- fish ------------------------------------------------------------------------------------------------------------

def fish_quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def fish_option(program, condition, option):
    words = ["complete", "-c", program, *condition, "-l", option.name[2:]]
    if option.choices:
        words += ["-f" if option.optional else "-x", "-a", fish_quoted(" ".join(choices(option)))]
    elif option.argument and not option.optional:
        words += ["-r", "-F"] if option.argument in PATHS else ["-x"]
    return " ".join(words + ["-d", fish_quoted(short(option.text))])


def fish(whole, commands):
    lines = ["# SPDX-License-Identifier: MIT",
             f"# Made by packaging/completion.py from what {whole.program} --help prints."]
    names = " ".join(whole.commands)
    for name, summary in whole.commands.items():
        lines.append(f"complete -c {whole.program} -n 'not __fish_seen_subcommand_from {names}' -f -a {name} "
                     f"-d {fish_quoted(summary)}")
    for help_ in [whole] + commands:
        if help_.command:
            condition = ["-n", f"'__fish_seen_subcommand_from {help_.command}'"]
        else:
            condition = ["-n", f"'not __fish_seen_subcommand_from {names}'"] if names else []
        lines += [fish_option(whole.program, condition, option) for option in help_.options]
    return "\n".join(lines) + "\n"


# ---- zsh -------------------------------------------------------------------------------------------------------------

ZSH = """#compdef {program}
# SPDX-License-Identifier: MIT
# Made by packaging/completion.py from what {program} --help prints.
local state line
_arguments -C {options} {rest}
"""
ZSH_COMMANDS = """[[ $state == command ]] || return
case $line[1] in
{commands}
esac
"""


def zsh_quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


def zsh_plain(text):
    """Without what _arguments would take for its own."""
    return re.sub(r"[][\"\\]", "", text)


def zsh_option(option):
    about = f"{'=' if option.argument else ''}{'-' if option.optional else ''}[{zsh_plain(short(option.text))}]"
    if option.choices:
        action = "(" + " ".join(choices(option)).replace(":", r"\:") + ")"
    else:
        action = "_files" if option.argument in PATHS else " "
    value = f":{':' * option.optional}{zsh_plain(option.argument).replace(':', ' ')}:{action}"
    return zsh_quoted(option.name + about + (value if option.argument else ""))


def zsh(whole, commands):
    def options(help_):
        return " ".join(map(zsh_option, help_.options))
    rest = "'*:file:_files'"
    if commands:
        listed = " ".join(rf'{name}\:"{zsh_plain(summary)}"'.replace(": ", r"\: ")
                          for name, summary in whole.commands.items())
        rest = f"{zsh_quoted(f'1:command:(({listed}))')} '*::argument:->command'"
    text = ZSH.format(program=whole.program, options=options(whole), rest=rest)
    lines = [f"{help_.command}) _arguments {options(help_)} '*:file:_files' ;;" for help_ in commands]
    return text + (ZSH_COMMANDS.format(commands="\n".join(lines)) if commands else "")


if __name__ == "__main__":
    print({"bash": bash, "fish": fish, "zsh": zsh}[sys.argv[1]](*help_text.read(sys.argv[2])), end="")
