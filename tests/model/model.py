#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Asks the model every query, and compares with the code what the model says about it (README.md).

Usage: model.py BUILD [QUERY...]. BUILD has the program tests/model-areas. Exit 1 if an attack appears or disappears, if a broken
model goes unnoticed, if a test that an equation names does not exist, or if the code takes other SRKs than the model."""

import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # this directory is a source tree
from broken import BROKEN
from queries import QUERIES

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
MODEL = os.path.join(HERE, "dps.maude")
WORKERS = os.cpu_count() or 1


def maude(commands, model=MODEL):
    """What Maude says to these commands. A warning is an error: it means that an equation was skipped."""
    made = subprocess.run(["maude", "-no-banner", "-no-advise", "-no-wrap"], text=True, capture_output=True, check=False,
                          input=f"load {model}\n{commands}\nquit\n")
    if "Warning" in made.stdout + made.stderr or made.returncode != 0:
        raise SystemExit(f"Maude does not understand the model:\n{made.stderr}{made.stdout}"[:3000])
    return made.stdout


def ask(query, model=MODEL):
    """Returns: is there an attack, the states searched, the steps, seconds."""
    began = time.monotonic()
    said = maude(f"search [1] init({query.flags}, {query.copies}) =>* {query.goal} .", model)
    found = "Solution 1 " in said
    if not found and "No solution." not in said:
        raise SystemExit(f"{query.name}: Maude gives no answer:\n{said[:3000]}")
    states = int(re.search(r"states: (\d+)", said).group(1))
    steps = re.findall(r'"([^"]*)"', said[said.index("\nZ --> "):].split("\n\n")[0].split("\n")[1]) if found else []
    return found, states, steps, time.monotonic() - began


def ask_all(queries, pool):
    """Each query with its answer. Attacks are written down as steps."""
    wrong = 0
    for query, (found, states, steps, seconds) in zip(queries, pool.map(ask, queries)):
        good = found == query.found
        wrong += not good
        print(f"{'ok' if good else 'NOT OK':6} {query.name:34} {'attack' if found else 'none':6} {states:4} states {seconds:5.2f} s")
        if not good:
            print(f"       expected: {'an attack' if query.found else 'none'}")
        for number, step in enumerate(steps, 1):
            print(f"       {number}. {step}")
    return wrong


def notices(broken):
    """Does a query that ought to fail fail? Each is the other way round in the broken model."""
    name, old, new, suspects = broken
    with open(MODEL, encoding="ascii") as f:
        text = f.read()
    if text.count(old) != 1:
        raise SystemExit(f"broken.py, '{name}': its text stands {text.count(old)} times in dps.maude")
    with tempfile.NamedTemporaryFile("w", suffix=".maude", encoding="ascii") as f:
        f.write(text.replace(old, new))
        f.flush()
        by_name = {query.name: query for query in QUERIES}
        return [s for s in suspects if ask(by_name[s], f.name)[0] != by_name[s].found]


def break_all(pool):
    """Each defence taken away, one at a time."""
    wrong = 0
    for broken, noticed in zip(BROKEN, pool.map(notices, BROKEN)):
        wrong += not noticed
        print(f"{'ok' if noticed else 'NOT OK':6} broken: {broken[0]}: {', '.join(noticed) or 'not noticed'}")
    return wrong


def look_for_tests():
    """Each equation and rule about a TPM command names a test, and the test exists."""
    wrong = 0
    named = []
    with open(MODEL, encoding="ascii") as f:
        lines = f.read().splitlines()
    for line in lines:
        test = re.match(r"  \*\*\* Test: (\S+)((?: \"[^\"]+\")+)$", line)
        label = re.match(r"  c?(?:eq|rl) \[([A-Z]\w+)\]", line)
        if test:
            named.append(test)
        elif label and not named:
            print(f"NOT OK dps.maude: {label.group(1)} names no test")
            wrong += 1
        for _ in named if label else []:
            found = named.pop()
            for name in re.findall(r'"([^"]+)"', found.group(2)):
                wrong += not test_exists(found.group(1), name)
    print(f"{'ok' if not wrong else 'NOT OK':6} each TPM command of the model names tests that exist")
    return wrong


def test_exists(path, name):
    try:
        with open(os.path.join(ROOT, path), encoding="utf-8") as f:
            there = f'"{name}' in f.read()  # the beginning of a string
    except FileNotFoundError:
        there = False
    if not there:
        print(f"NOT OK dps.maude: {path} has no test \"{name}\"")
    return there


# TPMA_OBJECT's bits that the model knows; the rest of the storage key's attributes grant nothing in it.
BITS = {"fixedTPM": 0x2, "fixedParent": 0x10, "userWithAuth": 0x40, "restricted": 0x10000, "decrypt": 0x20000, "sign": 0x40000}


def attributes_of(word):
    return " ".join(sorted(a for a, bit in BITS.items() if int(word, 16) & bit))


def compare_with_code(build):
    """What dps_srk_check takes and what tpm/public.c makes, against `takes` and the areas of the model."""
    said = subprocess.run([os.path.join(build, "tests", "model-areas")], capture_output=True, text=True, check=True).stdout
    code = sorted({(kind, attributes_of(word), policy) for kind, word, policy in map(str.split, said.splitlines())})
    sets = [[a for a, bit in zip(BITS, f"{n:06b}") if bit == "1"] for n in range(1 << len(BITS))]
    areas = [(" ".join(sorted(s)), p) for s in sets for p in ("noPolicy", "ekPolicy", "importOrLoad")]
    asked = "\n".join(f"red takes(standard, area({a or 'none'}, {p}, unq(soft))) ." for a, p in areas)
    answers = re.findall(r"result Bool: (\w+)", maude(asked))
    model = [("takes", a, p) for (a, p), answer in zip(areas, answers) if answer == "true"]
    made = "\n".join(f"red {area} ." for area in ("srk(0)", "key(tpmD, owner(0), hardA, importOrLoad)", "ek(tpmD)", "hmacKey(soft)"))
    for kind, text in zip(("srk", "hardened", "ek", "hmac"), re.findall(r"result Area: area\(([^,]*), (\w+),", maude(made))):
        model.append((kind, " ".join(sorted(text[0].split())), text[1]))
    if len(answers) != len(areas) or sorted(model) != code:
        print(f"NOT OK the model and the code differ in\n       model: {sorted(set(model) - set(code))}\n       code:  {sorted(set(code) - set(model))}")
        return 1
    print(f"ok     {len(areas)} public areas: dps_srk_check takes those that the model takes; the templates are the model's")
    return 0


def main():
    build, names = sys.argv[1], sys.argv[2:]
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        wrong = ask_all([q for q in QUERIES if not names or q.name in names], pool)
        if not names:
            wrong += break_all(pool) + look_for_tests() + compare_with_code(build)
    print(f"{wrong} wrong, {time.monotonic() - began:.0f} s")
    return wrong != 0


if __name__ == "__main__":
    sys.exit(main())
