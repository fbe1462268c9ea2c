# SPDX-License-Identifier: MIT
"""What our code says of vectors: answer.c is asked about all of them at once."""
import hmac
import os
import pathlib
import subprocess
import sys

from tap import Programs, check

# Who makes the vectors: for the other judges and for the tests, which import this file first.
VECTORS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(VECTORS / "make"))

PIECES = ("keyType", "nameAlg", "attributes", "authPolicy", "symmetric", "scheme", "keyBits", "exponent", "unique")
FIELDS = ("idObject", "encryptedSecret", "duplicate", "duplicateSecret", "keyPublic", "encUri", "rest")


def area_of(case):
    """A template's area as TPM2B_PUBLIC."""
    area = "".join(case[piece] for piece in PIECES)
    return f"{len(area) // 2:04x}{area}"


def text(value):
    return value.encode().hex()


def session_question(case):
    out = [case["commandCode"], case["handles"][0], case["names"][0], case["parameters"], case["response"],
           f"{len(case['sessions']):02x}"]
    for s in case["sessions"]:
        out += [s[m] for m in ("handle", "salt", "nonceTpmStart", "nonceCallerStart", "nonceTpm", "nonceCaller",
                               "authValue", "authValueThen", "attributes")]
    return ("session", *out)


def session_answer(case, said):
    """The command; the parameters of the response, after its header and their size; the sessions' keys."""
    if said is None:
        return False
    command, answer, *keys = said
    wanted = [s["sessionKey"] for s in case["sessions"]]
    size = 2 * int(answer[20:28] or "0", 16)
    return (command, answer[28:28 + size], keys) == (case["command"], case["answer"], wanted) and answer != "" and (
        command.endswith(case["sent"]))


def questions_of(kind, c):
    """Pairs of a question and what judges its answer; None if our code does not deal with this."""
    made = c.get("made")
    if kind == "Kdfa":
        size = f"{c['bits'] // 8:02x}"
        return [(("kdfa", c["key"], text(c["label"]), c["contextU"], c["contextV"], size), [c["out"]])]
    if kind == "Name":
        return [(("name", c["public"]), [c["name"]])]
    if kind == "Template":
        return [(("role", area_of(c)), [text(c["role"])])]
    if kind == "MakeCredential":
        wrapped = (c["idObject"], c["encryptedSecret"])
        out = [(("credential-open", c["keyPrivate"], c["name"], *wrapped), [c["credential"]])]
        return out + ([(("credential-make", c["keyPublic"], c["name"], c["credential"], made["seed"], made["oaep"]),
                        [c["idObject"] + c["encryptedSecret"]])] if made else [])
    if kind == "Duplicate":
        return duplicate_questions(c, made)
    if kind == "ActivationBlob":
        signature = hmac.digest(bytes.fromhex(c["key"]), bytes.fromhex(c["message"]), "sha256").hex()
        right = [c["key"], c["innerKey"], text(c["uri"])] if signature == c["signature"] else "another signature"
        return [(("blob", "".join(c[f] for f in FIELDS), c["ekPrivate"], c["srkPrivate"], c["srkPublic"]), right)]
    if kind == "Session":
        return [(session_question(c), lambda said: session_answer(c, said))]
    if kind == "SasSign":
        return [(("sas-sign", text(c["audience"]), text(str(c["expiry"])), c["key"], text(c["keyName"])),
                 [text(c["stringToSign"]), c["signature"], text(c["token"])])]
    if kind == "SasCheck":
        return [(("sas-check", text(c["token"]), text(c["audience"]), c["key"], text(str(c["now"]))), [])]
    if kind == "RegistrationId":
        return [(("id", text(c["id"])), [text(c["lower"])])]
    if kind == "DefaultRegistrationId":
        return [(("default-id", c["ekPublic"]), [text(c["id"])])]
    return None


def duplicate_questions(c, made):
    """We always make both wraps, without an authValue, and leave what the public area claims to the TPM."""
    if c["innerAlgorithm"] == "NULL" or "Attributes" in c["flags"]:
        return None
    which = text("both" if c["secret"] != "0000" else "inner")
    out = [(("duplicate-open", c["parentPrivate"], c["innerKey"], c["keyPublic"], c["duplicate"], c["secret"], which),
            [c["key"], c["seedValue"], c["keyPublic"][-64:]])]
    if made and made["seed"] and not c["authValue"]:
        out.append((("duplicate-make", c["parentPublic"], c["innerKey"], c["keyPublic"], c["key"], c["seedValue"],
                     made["seed"], made["oaep"]), [c["duplicate"] + c["secret"]]))
    return out


def program():
    """With the sanitizers, where that was built."""
    path = Programs.path("asan/tests/vectors-answer")
    return path if os.access(path, os.X_OK) else Programs.path("tests/vectors-answer")


def right(answer, wanted):
    words = answer.split()
    said = None if words[:1] == ["no"] else ["" if w == "-" else w for w in words]
    return wanted(said) if callable(wanted) else said == wanted


def verdicts(cases):
    """For each pair of type and case: is it right, by our code? None: not ours."""
    asked = [questions_of(kind, case) for kind, case in cases]
    flat = [q for questions in asked for q in questions or []]
    lines = "".join(" ".join(word or "-" for word in question) + "\n" for question, _ in flat)
    done = subprocess.run([program()], input=lines, capture_output=True, text=True, check=False)
    check(done.returncode == 0, f"{program()}: status {done.returncode}\n{done.stderr}")
    answers = done.stdout.splitlines()
    check(len(answers) == len(flat), f"{len(answers)} answers to {len(flat)} questions")
    judged = iter(right(answer, wanted) for answer, (_, wanted) in zip(answers, flat))
    return [None if questions is None else all([next(judged) for _ in questions]) for questions in asked]
