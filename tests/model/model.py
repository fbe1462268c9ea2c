# SPDX-License-Identifier: MIT
"""Asks the model, and prints the answers, an attack step by step: the walk-through's last chapter is made of it. The
tests of the model are model_test.py.

Usage: model.py attacks | larger      the queries in which one is to be found; those with larger bounds, minutes.
Exit 1 if an attack appears or disappears."""

import concurrent.futures
import os
import re
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # this directory is a source tree
from queries import DPS, LARGER, QUERIES

HERE = os.path.dirname(os.path.abspath(__file__))
WORKERS = os.cpu_count() or 1


def path_of(model):
    return os.path.join(HERE, model)


def maude(commands, model=path_of(DPS)):
    """What Maude says to these commands. A warning is an error: it means that an equation was skipped."""
    made = subprocess.run(["maude", "-no-banner", "-no-advise", "-no-wrap"], text=True, capture_output=True,
                          input=f"load {model}\n{commands}\nquit\n", check=False, timeout=1800)
    if "Warning" in made.stdout + made.stderr or made.returncode != 0:
        raise SystemExit(f"Maude does not understand the model:\n{made.stderr}{made.stdout}"[:3000])
    return made.stdout


def steps_of(query, search, said, model):
    """Those of an attack: dps.maude has them in the state, in words; in sessions.maude they are the rules' names."""
    if query.model == DPS:
        return re.findall(r'"([^"]*)"', said[said.index("\nZ --> "):].split("\n\n")[0].split("\n")[1])
    state = re.search(r"Solution 1 \(state (\d+)\)", said).group(1)
    path = maude(f"{search}\nshow path labels {state} .", model).rsplit("Bye.", 1)[0].split("rewrites/second)")[-1]
    return [label.replace("-", " ") for label in re.findall(r"^[A-Za-z][\w-]+$", path, re.M)]


def ask(query, model=None):
    """model: another file than the query's. Returns: is there an attack, the states searched, the steps, seconds."""
    began = time.monotonic()
    model = model or path_of(query.model)
    copies = f", {query.copies}" if query.model == DPS else ""
    search = f"search [1] init({query.flags}{copies}) =>* {query.goal} ."
    said = maude(search, model)
    found = "Solution 1 " in said
    if not found and "No solution." not in said:
        raise SystemExit(f"{query.name}: Maude gives no answer:\n{said[:3000]}")
    states = int(re.search(r"states: (\d+)", said).group(1))
    steps = steps_of(query, search, said, model) if found else []
    return found, states, steps, time.monotonic() - began


def verdict(good):
    return "ok    " if good else "NOT OK"


def ask_all(queries, pool):
    """Each query with its answer. Attacks are written down as steps."""
    wrong = 0
    for query, (found, states, steps, seconds) in zip(queries, pool.map(ask, queries)):
        good = found == query.found
        wrong += not good
        answer = "attack" if found else "none"
        print(f"{verdict(good)} {query.name:40} {answer:6} {states:4} states {seconds:5.2f} s")
        if not good:
            print(f"       expected: {'an attack' if query.found else 'none'}")
        for number, step in enumerate(steps, 1):
            print(f"       {number}. {step}")
    return wrong


def main():
    chosen = {"attacks": [q for q in QUERIES if q.found], "larger": LARGER}
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        return ask_all(chosen[sys.argv[1]], pool) != 0


if __name__ == "__main__":
    sys.exit(main())
