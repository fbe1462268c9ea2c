#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""dps-device explain: what people paste is recognised in each of its forms and shown field by field; what is none of
it is refused with a sentence. The TPM bytes come from tpm2-tss and swtpm (tests/vectors), not from our own code.

Usage: tests/e2e/explain_test.py BUILD
"""
import base64
import json
import pathlib
import re
import subprocess
import sys
import tempfile

BUILD = pathlib.Path(sys.argv[1])
VECTORS = json.loads(pathlib.Path("tests/vectors/activation-blob.json").read_text(encoding="utf-8"))
CAPTURED = pathlib.Path("tests/vectors/commands.c").read_text(encoding="utf-8")
results = []


def explain(data, *options):
    done = subprocess.run([BUILD / "dps-device", "explain", *options], input=data, capture_output=True, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test(name, holds, seen=""):
    results.append(holds)
    print(f"{'ok' if holds else 'not ok'} {len(results)} - {name}")
    if not holds:
        print("".join(f"# {line}\n" for line in str(seen).splitlines()), end="")


def captured(name):
    """The bytes of a C array in the captured vectors."""
    found = re.search(rf"\b{name}\[\] = \{{(.*?)\}};", CAPTURED, re.S)
    return bytes(int(b, 16) for b in re.findall(r"0x([0-9a-fA-F]{2})", found.group(1)))


def with_attributes(public_2b, attributes):
    """objectAttributes stand behind size, type and nameAlg [P2 r1.59 12.2.4]."""
    return public_2b[:6] + attributes.to_bytes(4, "big") + public_2b[10:]


def leaves_cover(message):
    at = 0
    for field in message["fields"]:
        if field["leaf"]:
            if field["offset"] != at:
                return False
            at += field["len"]
    return at == message["len"]


def check_forms(name, binary, expected):
    """The same bytes raw, in hex (plain, with colons, as 0x in lines) and in base64, plain and folded."""
    text = binary.hex()
    folded = base64.encodebytes(binary)
    forms = {
        "raw": binary,
        "hex": text.encode(),
        "hex with colons": ":".join(text[i:i + 2] for i in range(0, len(text), 2)).upper().encode(),
        "hex in lines": b"\n".join(f"0x{text[i:i + 2]},".encode() for i in range(0, len(text), 2)),
        "base64": base64.b64encode(binary) + b"\n",
        "base64 in lines": folded,
        "base64 in quotes": b'"' + base64.b64encode(binary) + b'"',
    }
    shown = set()
    for form, data in forms.items():
        code, out, err = explain(data)
        test(f"{name}: {form}", code == 0 and expected in out, (code, out, err))
        shown.add(out)
    test(f"{name}: all forms give the same text", len(shown) == 1)
    code, out, _ = explain(binary, "--format", "json")
    test(f"{name}: JSON covers every byte by one leaf", all(leaves_cover(json.loads(m)) for m in out.splitlines()), out)


def main():
    blob = base64.b64decode(VECTORS["blobB64"])
    # The keys of the vectors are software, and say so in their attributes; here they pose as what a TPM makes.
    software = base64.b64decode(VECTORS["ekPub2B"])
    ek = with_attributes(software, 0x000300B2)
    srk = with_attributes(base64.b64decode(VECTORS["srkPub2B"]), 0x00030472)
    check_forms("activation blob", blob, "Activation blob, ")
    check_forms("software EK", software, "neither an EK (template L-1) nor")
    check_forms("EK", ek, "endorsement key (EK Credential Profile, template L-1)")
    check_forms("SRK", srk, "storage root key that a service may trust")
    code, out, _ = explain(ek[2:])
    test("a TPMT_PUBLIC is shown as the TPM2B_PUBLIC around it", code == 0 and "template L-1" in out, out)

    command = captured("load_request")
    response = captured("load_response")
    check_forms("command", command, "TPM2_Load → TPM")
    code, out, err = explain(command.hex().encode() + b"\n" + response.hex().encode())
    test("a response behind its command is read as that command's",
         code == 0 and "TPM2_Load ← TPM" in out and "TPM_RC_SUCCESS" in out and err == "", (out, err))
    code, out, err = explain(response)
    test("a response alone: what it may answer is said", code == 0 and "--response-to" in err, err)
    code, out, err = explain(response, "--response-to", "TPM2_Load")
    test("a response with its command named", code == 0 and "TPM2_Load ← TPM" in out and err == "", (out, err))
    code, out, _ = explain(bytes.fromhex("80010000000a000001df"))
    test("a refusal is decoded", code == 0 and "TPM_RC_INTEGRITY" in out and "parameter 1" in out, out)
    code, out, err = explain(command + command[:20])
    test("what is cut off behind a message is said", code == 1 and "20 bytes behind" in err, err)

    signature = base64.b64encode(bytes(32)).decode().replace("=", "%3D")
    token = f"SharedAccessSignature sr=hub%2Fdevices%2Fd&sig={signature}&se=1800000000"
    code, out, _ = explain(token.encode())
    test("SAS token: its expiry as a date, and what was signed",
         code == 0 and "Fri, 15 Jan 2027 08:00:00 GMT" in out and "'hub%2Fdevices%2Fd' 1800000000" in out, out)
    code, out, _ = explain(b"Authorization: " + token.encode())
    test("SAS token as a header line", code == 0 and "The audience" in out, out)
    code, _, _ = explain(token.replace("se=", "xe=").encode())
    test("a token without expiry is malformed", code == 1)

    enrollment = {"registrationId": "d", "attestation": {"type": "tpm", "tpm": {
        "endorsementKey": base64.b64encode(ek).decode()}}}
    code, out, _ = explain(json.dumps(enrollment).encode())
    test("enrollment: JSON and the EK in it", code == 0 and "template L-1" in out and "registrationId" in out, out)
    body = json.dumps({"authenticationKey": base64.b64encode(blob).decode(), "keyName": "registration"})
    answer = f"HTTP/1.1 401 Unauthorized\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    code, out, _ = explain(answer.encode())
    test("HTTP answer: the blob in it", code == 0 and "Activation blob, " in out, out)
    pem = subprocess.run(["openssl", "pkey", "-inform", "DER", "-pubout"], check=True, capture_output=True,
                         input=base64.b64decode(VECTORS["ekPrivPkcs8Der"])).stdout
    code, out, _ = explain(pem)
    test("PEM public key, as the EK that it stands for",
         code == 0 and "if it was made from the template L-1" in out, out)

    code, out, err = explain(b"hello world, what are you?")
    test("what is nothing of this is refused with a sentence", code == 1 and "what is this?" in err and out == "", err)
    code, out, err = explain(b"")
    test("nothing at all", code == 1 and out == "", (code, out, err))
    code, out, _ = explain(blob[:100], "--as", "blob")
    test("--as shows how far a broken thing can be read", code == 1 and "how far it can be explained" in out, out)
    code, _, err = explain(blob, "--as", "cheese")
    test("--as knows its kinds", code == 2 and "command, response" in err, err)
    with tempfile.NamedTemporaryFile() as file:
        file.write(blob)
        file.flush()
        code, out, _ = explain(b"", file.name)
        test("from a file", code == 0 and "Activation blob, " in out, out)
    code, _, err = explain(b"", "/nonexistent/file")
    test("a file that is not there", code == 5 and "No such file" in err, err)
    print(f"1..{len(results)}")
    return 0 if results and all(results) else 1


sys.exit(main())
