# SPDX-License-Identifier: MIT
"""Asks the model every query, and compares the code with what the model says about it (README.md).

It fails if an attack appears or disappears, if a broken model goes unnoticed, if a test that an equation names does not
exist, or if the code takes other SRKs than the model."""

import re
import subprocess
import tempfile
from functools import partial

from broken import BROKEN
from model import WORKERS, ask, maude, path_of
from queries import DPS, QUERIES, SESSION_QUERIES, SESSIONS
from tap import Programs, check, note, same

JOBS = WORKERS
ALL = QUERIES + SESSION_QUERIES
ANSWER = {True: "attack", False: "none"}


def answer(query):
    """An attack is written down as steps."""
    found, states, steps, seconds = ask(query)
    note(f"{states} states, {seconds:.2f} s")
    for number, step in enumerate(steps, 1):
        note(f"{number}. {step}")
    same(ANSWER[found], ANSWER[query.found], "the answer")


def is_noticed(name, old, new, suspects):
    """One of the queries that ought to fail fails: it is answered the other way round in the broken model."""
    by_name = {query.name: query for query in ALL}
    model = by_name[suspects[0]].model
    with open(path_of(model), encoding="ascii") as f:
        text = f.read()
    anywhere = r"\s+".join(re.escape(word) for word in old.split())
    text, count = re.subn(anywhere, lambda _: new, text)
    same(count, 1, f"times that the text of '{name}' stands in {model}")
    with tempfile.NamedTemporaryFile("w", suffix=".maude", encoding="ascii") as f:
        f.write(text)
        f.flush()
        noticed = [s for s in suspects if ask(by_name[s], f.name)[0] != by_name[s].found]
    check(noticed, f"none of {suspects} has noticed")
    note(", ".join(noticed))


def tests():
    for query in ALL:
        yield f"{query.name}: {ANSWER[query.found]}", partial(answer, query)
    for broken in BROKEN:
        yield f"broken: {broken[0]}", partial(is_noticed, *broken)


def test_named_tests():
    """each TPM command of the models names tests that exist"""
    for model in DPS, SESSIONS:
        with open(path_of(model), encoding="ascii") as f:
            yield from (f"{model}: {wrong}" for wrong in wrongly_named(f.read().splitlines()))


def wrongly_named(lines):
    named = []
    for line in lines:
        test = re.match(r"  \*\*\* Test: (\S+)((?: \"[^\"]+\")+)$", line)
        command = re.match(r"  c?(?:eq|rl) \[([A-Z][\w-]+)\]", line)
        if test:
            names = re.findall(r'"([^"]+)"', test.group(2))
            yield from (f"{test.group(1)} has no test \"{name}\"" for name in names if not exists(test.group(1), name))
            named += names
        elif "Test:" in line and line.startswith("  "):
            yield f"not understood: {line}"
        if command and not named:
            yield f"{command.group(1)} names no test"
        if re.match(r"  c?(?:eq|rl) ", line):
            named = []


def exists(path, name):
    try:
        with open(path, encoding="utf-8") as f:
            return f'"{name}' in f.read()  # the start of a string
    except FileNotFoundError:
        return False


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
    check(len(answers) == len(areas), f"Maude says too little about SRKs:\n{said[:3000]}")
    taken = {("takes", *area) for area, answer in zip(areas, answers) if answer == "true"}
    said = maude("\n".join(f"red {area} ." for area in TEMPLATES.values()))
    made = re.findall(r"result Area: area\(([^,]*), (\w+),", said)
    return taken | {(kind, tuple(a for a in BITS if a in words.split()), policy)
                    for kind, (words, policy) in zip(TEMPLATES, made, strict=True)}


def test_areas():
    """dps_srk_check takes the SRKs that the model takes; the templates are the model's"""
    said = subprocess.run([Programs.path("tests/model-areas")], capture_output=True, text=True, check=True).stdout
    code = {(kind, known(word), policy) for kind, word, policy in map(str.split, said.splitlines())}
    model = areas_of_the_model()
    check(code == model, f"only the model: {sorted(model - code)}\nonly the code: {sorted(code - model)}")
