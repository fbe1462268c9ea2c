# SPDX-License-Identifier: MIT
"""The examples of tests/vectors/README.md, run as they stand there: "yours" is our C code, where it does all that an
example asks for, and else Python. And an example whose code is wrong says so. Needs python3-jsonschema too."""
import functools
import hashlib
import json
import os
import re
import subprocess
import types

import jsonschema
from judge_ours import VECTORS, program, text
from judge_others import private_key
from oracle_wrap import decrypt, oaep, open_outer, take_2b, whole_2b
from tap import Failed, Programs, check, same
from vector_areas import policy_command_code, policy_or, policy_secret
from vector_form import name_of

PAGE = VECTORS / "README.md"
raw = bytes.fromhex


@functools.cache
def answering():
    """answer.c, a line at a time."""
    process = subprocess.Popen([program()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    Programs.cleanup.callback(process.communicate)
    return process


def ask(*question):
    """Its results; None if it refuses."""
    words = ((word.hex() if isinstance(word, bytes) else word) or "-" for word in question)
    answering().stdin.write(" ".join(words) + "\n")
    answering().stdin.flush()
    out = answering().stdout.readline().split()
    return None if out[:1] == ["no"] else [raw("" if word == "-" else word) for word in out]


def one(answer):
    return answer[0] if answer else None


def as_text(value):
    return value if value is None else value.decode()


def policy(digest, step):
    if step["command"] == "PolicySecret":
        return policy_secret(raw(step["name"]), raw(step["policyRef"]), digest)
    if step["command"] == "PolicyCommandCode":
        return policy_command_code(int(step["code"], 16), digest)
    return policy_or(*map(raw, step["digests"]))


def make_credential(public, credential, name, *seeds):
    made = one(ask("credential-make", public, name, credential, *seeds))
    return made[:-258], made[-258:]


def open_duplicate(parent, symmetric, inner_key, public, duplicate, secret):
    try:
        content, name = whole_2b(duplicate), name_of(public)
        if secret != bytes(2) or symmetric == "NULL":
            key, label = private_key(parent.hex()), b"DUPLICATE\0"
            check(len(key.decrypt(whole_2b(secret), oaep(label))) <= 32, "seed")
            content = open_outer(key, label, name, content, whole_2b(secret))
        if symmetric != "NULL":
            check(len(inner_key) == 16, "inner key")
            integrity, content = take_2b(decrypt(inner_key, content))
            same(integrity, hashlib.sha256(content + name).digest(), "inner integrity")
        sensitive = whole_2b(content)
        auth, rest = take_2b(sensitive[2:])
        seed_value, rest = take_2b(rest)
        key = whole_2b(rest)
        same((sensitive[:2], public[9] & 0x12), (b"\0\x08", 0), "type, fixedTPM and fixedParent")
        same(public[-32:], hashlib.sha256(seed_value + key).digest(), "unique")
        return auth, seed_value, key
    except (Failed, ValueError):
        return None


def open_blob(ek, srk, srk_public, blob):
    opened = ask("blob", blob, ek, srk, srk_public)
    return opened and (opened[1], opened[0], opened[2].decode())


def session(code, handles, names, parameters, response, sessions):
    order = ("handle", "salt", "nonceTpmStart", "nonceCallerStart", "nonceTpm", "nonceCaller", "authValue",
             "authValueThen", "attributes")
    values = [s[member] for s in sessions for member in order]
    return ask("session", code, handles[0], names[0], parameters, response, f"{len(sessions):02x}", *values)


def unprotect(response, code, sessions):
    """The command does not matter, so it is any."""
    answer = session(code, ["80000000"], ["00"], "0000", response, sessions)[1]
    return answer[14:14 + int.from_bytes(answer[10:14], "big")].hex() if answer else None


def sas_token(audience, expiry, key, key_name):
    signed, signature, token = ask("sas-sign", text(audience), text(str(expiry)), key, text(key_name))
    return signed.decode(), signature, token.decode()


YOURS = types.SimpleNamespace(
    kdfa=lambda key, label, u, v, bits: one(ask("kdfa", key, text(label), u, v, bytes([bits // 8]))),
    name=lambda public: one(ask("name", public)),
    role=lambda public: as_text(one(ask("role", public))),
    policy=policy,
    open_credential=lambda *arguments: one(ask("credential-open", *arguments)),
    make_credential=make_credential,
    open_duplicate=open_duplicate,
    open_blob=open_blob,
    protect=lambda code, handles, names, parameters, sessions: session(
        code, handles, names, parameters, "00", sessions)[0].hex(),
    unprotect=unprotect,
    sas_token=sas_token,
    sas_is_good=lambda token, audience, key, now: ask("sas-check", text(token), text(audience), key,
                                                      text(str(now))) is not None,
    registration_id=lambda name: as_text(one(ask("id", text(name)))),
    default_id=lambda ek: as_text(one(ask("default-id", ek))))


def examples():
    return re.findall(r"^### (\S+)$.*?```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.M | re.S)


def beginning():
    """What the page has all examples begin with."""
    return re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S).group(1)


def run(example, yours):
    """In the vectors' directory."""
    os.chdir(PAGE.parent)
    exec(beginning() + example, {"yours": yours})


def cases_follow_the_schema():
    """What a reader has from cases() is what the schema calls a case."""
    schema = json.loads((VECTORS / "schema.json").read_text(encoding="ascii"))
    one = jsonschema.Draft202012Validator({"$defs": schema["$defs"], "$ref": "#/$defs/case"})
    page = {}
    exec(beginning(), page)
    for name, _ in examples():
        cases = list(page["cases"](VECTORS / name))
        check(cases, f"{name}: no case")
        for case in cases:
            for error in one.iter_errors(case):
                yield f"{name} {case['tcId']}: {error.message[-200:]}"


def tests():
    here = os.getcwd()

    def test_of(name, example):
        def right():
            same([name in example, len(example.splitlines()) <= 10], [True, True], "the file, and at most ten lines")
            run(example, YOURS)
            os.chdir(here)

        def wrong():
            """Every function of yours answers None."""
            try:
                run(example, types.SimpleNamespace(**{word: lambda *_: None for word in vars(YOURS)}))
            except (AssertionError, TypeError):
                return
            finally:
                os.chdir(here)
            raise Failed("nobody noticed")
        return (f"{name}: the example runs", right), (f"{name}: and notices code that finds nothing", wrong)
    yield "what cases() gives is a case of the schema", cases_follow_the_schema
    for name, example in examples():
        yield from test_of(name, example)
