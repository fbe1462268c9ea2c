# SPDX-License-Identifier: MIT
"""The vectors for others: they are what their generator gives, and what the schema says; our code, other people's code
and two TPMs (libtpms, and the tiny one) judge them; and each judge notices when one is changed.

Needs swtpm, python3-tpm2-pytss, python3-cryptography and python3-jsonschema."""
import copy
import functools
import json
import os
import subprocess

import judge_others
import judge_ours
import jsonschema
from generate import FILES, everything
from judge_ours import VECTORS
from judge_tpm import TpmJudge
from oracle_support import Swtpm
from raw_tpm import ENDORSEMENT, OWNER, raw
from tap import Programs, check, note, same
from vector_sessions import FORMS, MISTAKES
from waiting import wait_until

ABOUT = {"tcId", "reason", "section", "flags", "result", "type", "about"}
# Who judges which file: all that it has, or what it can see of it.
JUDGES = {
    "kdfa.json": {"ours", "others"},
    "names.json": {"ours", "others", "libtpms", "tiny TPM"},
    "templates.json": {"ours", "others", "libtpms", "tiny TPM"},
    "policies.json": {"libtpms", "tiny TPM"},
    "make-credential.json": {"ours", "others", "libtpms", "tiny TPM"},
    "duplicate.json": {"ours", "others", "libtpms", "tiny TPM"},
    "blobs.json": {"ours", "others", "libtpms", "tiny TPM"},
    "sessions.json": {"ours", "others"},
    "sas.json": {"ours", "others", "libtpms", "tiny TPM"},
    "registration-ids.json": {"ours", "others"},
}


@functools.cache
def document(name):
    return json.loads((VECTORS / name).read_text(encoding="ascii"))


@functools.cache
def schema():
    return json.loads((VECTORS / "schema.json").read_text(encoding="ascii"))


def cases_of(name):
    """Pairs of type and case: a test, with what its group says for all."""
    for group in document(name)["testGroups"]:
        for test in group["tests"]:
            yield group["type"], {**{k: v for k, v in group.items() if k != "tests"}, **test}


@functools.cache
def all_cases():
    return [(name, kind, case) for name in FILES for kind, case in cases_of(name)]


@functools.cache
def libtpms():
    tpm = Swtpm(Programs.root)
    Programs.cleanup.callback(tpm.stop)
    judge = TpmJudge(("127.0.0.1", tpm.port))
    Programs.cleanup.callback(judge.close)
    return judge


@functools.cache
def tiny_tpm():
    path = os.path.join(Programs.root, "tiny-tpm")
    process = subprocess.Popen([Programs.path("tests/tiny-tpm"), path, "vectors"])
    Programs.cleanup.callback(process.wait)
    Programs.cleanup.callback(process.terminate)
    wait_until(lambda: os.path.exists(path) or process.poll() is not None, "the tiny TPM listens")
    judge = TpmJudge(path)
    judge.tpm.startup()
    Programs.cleanup.callback(judge.close)
    return judge


def verdicts(judge, cases):
    """cases: pairs of type and case."""
    if judge == "ours":
        return judge_ours.verdicts(cases)
    if judge == "others":
        return judge_others.verdicts(cases)
    return (libtpms() if judge == "libtpms" else tiny_tpm()).verdicts(cases)


# ---- The files -------------------------------------------------------------------------------------------------------

def test_generated():
    """the files, and the page's table, are what the generator gives"""
    for name, text in everything().items():
        if (VECTORS / name).read_text(encoding="utf-8") != text:
            yield f"{name}: make vectors gives another"


def test_schema():
    """the files, and each case, follow the schema"""
    jsonschema.Draft202012Validator.check_schema(schema())
    whole = jsonschema.Draft202012Validator(schema())
    one = jsonschema.Draft202012Validator({"$defs": schema()["$defs"], "$ref": "#/$defs/case"})
    for name in FILES:
        for error in whole.iter_errors(document(name)):
            yield f"{name}: {error.json_path}: {error.message[:200]}"
        for _, case in cases_of(name):
            for error in one.iter_errors(case):
                yield f"{name} {case['tcId']}: {error.message[:200]}"


def test_schema_notices():
    """the schema refuses what is missing, odd or no hexadecimal"""
    whole = jsonschema.Draft202012Validator(schema())
    for change in (lambda d: d.pop("source"), lambda d: d.update(more=1), lambda d: d["testGroups"][0].pop("type"),
                   lambda d: d["testGroups"][0]["tests"][0].pop("reason"),
                   lambda d: d["testGroups"][0]["tests"][0].update(result="right"),
                   lambda d: d["testGroups"][0]["tests"][-1].update(flags=[])):
        changed = copy.deepcopy(document("kdfa.json"))
        change(changed)
        check(not whole.is_valid(changed), "a change was not noticed")
    one = jsonschema.Draft202012Validator({"$defs": schema()["$defs"], "$ref": "#/$defs/case"})
    for name in FILES:
        kind, case = next(cases_of(name))
        for member in set(case) - ABOUT - {"made"}:
            check(not one.is_valid({k: v for k, v in case.items() if k != member}), f"{kind} without {member}")
            check(not one.is_valid({**case, member: None}), f"{kind}: {member} is null")


def test_form():
    """tests are counted, numbered, and different; each flag is explained; each file has valid and invalid ones"""
    same({p.name for p in VECTORS.glob("*.json")} - {"schema.json", "activation-blob.json"}, set(FILES), "files")
    for name in FILES:
        cases = [case for _, case in cases_of(name)]
        same([c["tcId"] for c in cases], list(range(1, document(name)["numberOfTests"] + 1)), f"{name}: tcId")
        same({flag for c in cases for flag in c["flags"]}, set(document(name)["notes"]), f"{name}: flags")
        check({"valid", "invalid"} <= {c["result"] for c in cases}, f"{name}: results")
        contents = [json.dumps({k: v for k, v in c.items() if k == "type" or k not in ABOUT}) for c in cases]
        for case, content in zip(cases, contents):
            if contents.count(content) > 1:
                yield f"{name} {case['tcId']}: the same as another one"


def test_sections():
    """a section is one of those of tests/lint/SECTIONS.md, or in our own notes"""
    known = (VECTORS.parent / "lint" / "SECTIONS.md").read_text(encoding="utf-8")
    for name, _, case in all_cases():
        if not case["section"].startswith("spec-notes.md") and f"| {case['section']} |" not in known:
            yield f"{name} {case['tcId']}: {case['section']}"


# ---- The verdicts ----------------------------------------------------------------------------------------------------

def judged(judge):
    """Each vector: is it what it says? Those that are acceptable may be either."""
    cases = [(name, kind, case) for name, kind, case in all_cases() if judge in JUDGES[name]]
    said = verdicts(judge, [(kind, case) for _, kind, case in cases])
    seen = {}
    for (name, _, case), right in zip(cases, said):
        seen[name] = seen.get(name, 0) + (right is not None)
        if right is not None and case["result"] != "acceptable" and right != (case["result"] == "valid"):
            yield f"{name} {case['tcId']}, {case['reason']}: {case['result']}, and {judge} says {right}"
    note(f"{judge}: " + ", ".join(f"{name} {count}" for name, count in seen.items()))
    for name in JUDGES:
        if judge in JUDGES[name] and not seen.get(name):
            yield f"{judge} judges nothing of {name}"


def test_ours():
    """our code finds each vector to be what it says"""
    return judged("ours")


def test_others():
    """tpm2-pytss and python3-cryptography do"""
    return judged("others")


def test_libtpms():
    """libtpms does: it loads, activates, imports, signs, computes policies"""
    return judged("libtpms")


def test_tiny_tpm():
    """the tiny TPM does"""
    return judged("tiny TPM")


def test_sessions_in_libtpms():
    """libtpms takes commands of each form, and none with one of the mistakes, with nonces of its own"""
    return sessions_in(libtpms())


def test_sessions_in_tiny_tpm():
    """the tiny TPM does so too"""
    return sessions_in(tiny_tpm())


def sessions_in(judge):
    for form in FORMS:
        if not judge.accepts(form):
            yield f"refused: {form}"
    for odd, _, _, form in MISTAKES:
        if judge.accepts(form, {odd}):
            yield f"accepted with a mistake: {odd}"


def test_templates_in_libtpms():
    """libtpms makes an EK and both SRKs of their templates, with exactly these areas"""
    for group in document("templates.json")["testGroups"]:
        is_ek = group["role"] == "EK"
        template = judge_ours.area_of({**group, "unique": "0100" + "00" * 256 if is_ek else "0000"})
        public = libtpms().makes(raw(template), ENDORSEMENT if is_ek else OWNER)
        same(public[:-256].hex(), judge_ours.area_of(group)[:-512], group["role"])


# ---- Changes are noticed ---------------------------------------------------------------------------------------------

def altered(value):
    """Something else of the same kind."""
    if isinstance(value, int):
        return value + (8 if value < 10000 else 100000)  # bits; seconds
    if not value:
        return "00"
    if all(c in "0123456789abcdef" for c in value):
        return value[:-1] + ("1" if value[-1] == "0" else "0")
    return value[:-1] + ("A" if value[-1] != "A" else "B")


def leaves(value, path=()):
    """Paths to all texts and numbers inside."""
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, path + (key,))
    else:
        yield path


def planted(case):
    """Copies of a case, each with one value changed."""
    for path in leaves({k: v for k, v in case.items() if k not in ABOUT}):
        changed = copy.deepcopy(case)
        place = functools.reduce(lambda at, key: at[key], path[:-1], changed)
        place[path[-1]] = altered(place[path[-1]])
        yield ".".join(map(str, path)), changed


def test_planted():
    """a change of any value of a valid vector is noticed, in each file by each of its judges"""
    names = [(name, kind, path, changed) for name in FILES for kind, case in first_valid(name)
             for path, changed in planted(case)]
    noticed = {}
    for judge in ("ours", "others", "libtpms", "tiny TPM"):
        mine = [n for n in names if judge in JUDGES[n[0]]]
        said = verdicts(judge, [(kind, changed) for _, kind, _, changed in mine])
        for (name, kind, path, _), right in zip(mine, said):
            noticed.setdefault((name, kind, path), set())
            if right is False:
                noticed[name, kind, path].add(judge)
    for name, judges in JUDGES.items():
        seen = set().union(*(who for (file, _, _), who in noticed.items() if file == name))
        if judges - seen:
            yield f"{name}: {', '.join(judges - seen)} noticed no change"
    for (name, kind, path), who in noticed.items():
        if not who:
            yield f"{name}: nobody noticed a change of {path} ({kind})"


def first_valid(name):
    """Of each group the first vector that is valid."""
    groups = set()
    for kind, case in cases_of(name):
        if case["result"] == "valid" and case["about"] not in groups:
            groups.add(case["about"])
            yield kind, case


def test_planted_results():
    """an invalid vector that says it is valid is noticed by one of the judges"""
    unnoticed = {(name, case["tcId"]) for name, _, case in all_cases() if case["result"] == "invalid"}
    for judge in ("ours", "others", "libtpms"):
        cases = [(name, kind, {**case, "result": "valid"}) for name, kind, case in all_cases() if judge in JUDGES[name]]
        for (name, _, case), right in zip(cases, verdicts(judge, [(kind, case) for _, kind, case in cases])):
            if right is False:
                unnoticed.discard((name, case["tcId"]))
    return [f"{name} {number}" for name, number in sorted(unnoticed)]
