#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Asks the model every query, and compares the code with what the model says about it (README.md).

Usage: model.py BUILD [QUERY... | attacks | larger]. BUILD has the program tests/model-areas; attacks: the queries in
which one is to be found; larger: with larger bounds, minutes.
Exit 1 if an attack appears or disappears, if a broken model goes unnoticed, if a test that an equation names does not
exist, or if the code takes other SRKs than the model."""

import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # this directory is a source tree
from broken import BROKEN
from queries import LARGER, QUERIES

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
MODEL = os.path.join(HERE, "dps.maude")
WORKERS = os.cpu_count() or 1


def maude(commands, model=MODEL):
    """What Maude says to these commands. A warning is an error: it means that an equation was skipped."""
    made = subprocess.run(["maude", "-no-banner", "-no-advise", "-no-wrap"], text=True, capture_output=True,
                          input=f"load {model}\n{commands}\nquit\n", check=False, timeout=1800)
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


def notices(broken):
    """Does a query that ought to fail fail? Each is the other way round in the broken model."""
    name, old, new, suspects = broken
    with open(MODEL, encoding="ascii") as f:
        text = f.read()
    anywhere = r"\s+".join(re.escape(word) for word in old.split())
    text, count = re.subn(anywhere, lambda _: new, text)
    if count != 1:
        raise SystemExit(f"broken.py, '{name}': its text occurs {count} times in dps.maude")
    with tempfile.NamedTemporaryFile("w", suffix=".maude", encoding="ascii") as f:
        f.write(text)
        f.flush()
        by_name = {query.name: query for query in QUERIES}
        return [s for s in suspects if ask(by_name[s], f.name)[0] != by_name[s].found]


def break_all(pool):
    """Each defence taken away, one at a time."""
    wrong = 0
    for broken, noticed in zip(BROKEN, pool.map(notices, BROKEN)):
        wrong += not noticed
        print(f"{verdict(noticed)} broken: {broken[0]}: {', '.join(noticed) or 'not noticed'}")
    return wrong


def look_for_tests():
    """Each equation and rule about a TPM command names tests, and the tests exist."""
    wrong = 0
    named = []
    with open(MODEL, encoding="ascii") as f:
        lines = f.read().splitlines()
    for line in lines:
        test = re.match(r"  \*\*\* Test: (\S+)((?: \"[^\"]+\")+)$", line)
        command = re.match(r"  c?(?:eq|rl) \[([A-Z]\w+)\]", line)
        if test:
            names = re.findall(r'"([^"]+)"', test.group(2))
            wrong += sum(not test_exists(test.group(1), name) for name in names)
            named += names
        elif "Test:" in line and line.startswith("  "):
            print(f"NOT OK dps.maude: not understood: {line}")
            wrong += 1
        if command and not named:
            print(f"NOT OK dps.maude: {command.group(1)} names no test")
            wrong += 1
        if re.match(r"  c?(?:eq|rl) ", line):
            named = []
    print(f"{verdict(not wrong)} each TPM command of the model names tests that exist")
    return wrong


def test_exists(path, name):
    try:
        with open(os.path.join(ROOT, path), encoding="utf-8") as f:
            there = f'"{name}' in f.read()  # the start of a string
    except FileNotFoundError:
        there = False
    if not there:
        print(f"NOT OK dps.maude: {path} has no test \"{name}\"")
    return there


# TPMA_OBJECT's bits that the model knows; the rest of a storage key's attributes grant nothing in it.
BITS = {"fixedTPM": 0x2, "fixedParent": 0x10, "userWithAuth": 0x40, "restricted": 0x10000, "decrypt": 0x20000,
        "sign": 0x40000}
POLICIES = ("noPolicy", "ekPolicy", "importOrLoad")
TEMPLATES = {"srk": "srk(0)", "hardened": "key(tpmD, owner(0), hardA, importOrLoad)", "ek": "ek(tpmD)",
             "hmac": "hmacKey(soft)"}


def known(word):
    """The attributes of a hexadecimal TPMA_OBJECT, as the model has them."""
    return tuple(a for a, bit in BITS.items() if int(word, 16) & bit)


def areas_of_the_model():
    """(kind, attributes, policy): the templates, and all areas that `takes` says yes to where both SRKs are taken, as
    dps_srk_check does; an enrollment's demand is checked after it (check_demand)."""
    subsets = [tuple(a for i, a in enumerate(BITS) if n >> i & 1) for n in range(1 << len(BITS))]
    areas = [(attributes, policy) for attributes in subsets for policy in POLICIES]
    queries = [f"red takes(standard hardened, area({' '.join(a) or 'none'}, {p}, unq(soft))) ." for a, p in areas]
    said = maude("\n".join(queries))
    answers = re.findall(r"result Bool: (\w+)", said)
    if len(answers) != len(areas):
        raise SystemExit(f"Maude says too little about SRKs:\n{said[:3000]}")
    taken = {("takes", *area) for area, answer in zip(areas, answers) if answer == "true"}
    said = maude("\n".join(f"red {area} ." for area in TEMPLATES.values()))
    made = re.findall(r"result Area: area\(([^,]*), (\w+),", said)
    return taken | {(kind, tuple(a for a in BITS if a in words.split()), policy)
                    for kind, (words, policy) in zip(TEMPLATES, made, strict=True)}


def compare_with_code(build):
    """What dps_srk_check takes and what tpm/public.c makes, against `takes` and the areas of the model."""
    program = os.path.join(build, "tests", "model-areas")
    said = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    code = {(kind, known(word), policy) for kind, word, policy in map(str.split, said.splitlines())}
    model = areas_of_the_model()
    good = code == model
    print(f"{verdict(good)} dps_srk_check takes the SRKs that the model takes; the templates are the model's")
    for who, more in (("the model", model - code), ("the code", code - model)) if not good else ():
        print(f"       only {who}: {sorted(more)}")
    return not good


def main():
    build, names = sys.argv[1], sys.argv[2:]
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        asked = LARGER if names == ["larger"] else [q for q in QUERIES if not names or q.name in names
                                                    or names == ["attacks"] and q.found]
        wrong = ask_all(asked, pool)
        if not names:
            wrong += break_all(pool) + look_for_tests() + compare_with_code(build)
    print(f"{wrong} wrong, {time.monotonic() - began:.0f} s")
    return wrong != 0


if __name__ == "__main__":
    sys.exit(main())
