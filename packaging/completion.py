# SPDX-License-Identifier: MIT
"""Prints bash's completion of a program, made from its --help.

    python3 packaging/completion.py PROGRAM"""
import sys

import help_text

# What --help calls a value that is a path: bash completes it by itself, as it does the program's other arguments.
PATHS = ("FILE", "PEM", "TPM")

SCRIPT = r"""# SPDX-License-Identifier: MIT
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
        {valued}) ((at++)) ;;
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
}}
complete -o bashdefault -o default -F _{function} {program}
"""


def rows(command, options):
    """Of a case, in which the first that fits counts: values of options, then options."""
    pattern = {}
    for option in options:
        if option.choices:
            what = f"words='{' '.join(option.choices)}'"
        elif option.argument:
            what = "return" if option.argument in PATHS else "compopt +o default 2>/dev/null && return"
        else:
            continue
        forms = [f"{command}:{option.name}=:*"] + ([] if option.optional else [f"{command}:{option.name}:*"])
        pattern.setdefault(what, []).extend(forms)
    names = " ".join(option.name for option in options)
    return [f"    {' | '.join(forms)}) {what} ;;" for what, forms in pattern.items()] + \
        [f"    {command}:*:-*) words='{names}' ;;"]


def script(program):
    whole, commands = help_text.read(program)
    options = {help_.command: [o for _, group in help_.groups for o in group] for help_ in [whole] + commands}
    valued = sorted({o.name for group in options.values() for o in group if o.argument and not o.optional})
    lines = [line for command, group in options.items() for line in rows(command, group)]
    if commands:
        lines.append(f"    :*:*) words='{' '.join(whole.commands)}' ;;")
    return SCRIPT.format(program=whole.program, function=whole.program.replace("-", "_"), valued=" | ".join(valued),
                         commands=" | ".join(whole.commands) or "''", rows="\n".join(lines))


if __name__ == "__main__":
    print(script(sys.argv[1]), end="")
