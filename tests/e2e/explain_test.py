#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""dps-device explain: what people paste is recognised in each of its forms and shown field by field; everything else
is refused with a sentence. The TPM bytes come from tpm2-tss and swtpm (tests/vectors), not from our own code.

Usage: tests/e2e/explain_test.py BUILD
"""
import base64
import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

from certificates import Certificate

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
    """objectAttributes follow size, type and nameAlg [P2 r1.59 12.2.4]."""
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


def check_response_codes():
    """A code in every form in which it is printed, alone and in the lines of kernels, libraries and tools."""
    wanted = "TPM_RC_AUTH_FAIL (0x98e), session 1"
    for text in ("0x98e", "0X0000098E", "98e", "0000098E", "2446", "rc 0x98e", "rc=0x98e", "RC: 2446", '"0x98e"',
                 "(0x98e)",
                 "error code 0x98e.", "tpm tpm0: A TPM error (2446) occurred attempting get random",
                 "[    3.141592] tpm tpm0: A TPM error (2446) occurred attempting get random\n[    4.0] usb 1-1: new\n",
                 "ERROR:esys:src/tss2-esys/api/Esys_Load.c:112:Esys_Load() Esys Finish ErrorCode (0x0000098e) \n"
                 "ERROR: Eys_Load(0x98E) - tpm:session(1):the authorization HMAC check failed\n",
                 "wolfTPM2_Load failed 0x98e: TPM_RC_AUTH_FAIL", "load: failed, rc 0000098e"):
        code, out, err = explain(text.encode())
        test(f"response code: {text[:40]}", code == 0 and out.count(wanted) == 1 and err == "", (code, out, err))
    for text, says in (("256", "TPM_RC_INITIALIZE (0x100)"), ("TPM_RC_LOCKOUT", "TPM_RC_LOCKOUT (0x921)"),
                       ("TPM2_RC_LOCKOUT", "TPM_RC_LOCKOUT (0x921)"), ("rc 0x000b0143",
                           "TSS2_RESMGR_TPM_RC_COMMAND_CODE"),
                       ("0x000c01df", "TPM_RC_INTEGRITY (0xc01df), parameter 1, said by the resource manager"),
                       ("0x000a000a", "TSS2_BASE_RC_IO_ERROR (0xa000a), said by TCTI"), ("0x7000d", "said by ESAPI"),
                       ("0x80280400", "TPM_E_COMMAND_BLOCKED"), ("-2144861184", "TPM_E_COMMAND_BLOCKED"),
                       ("0x8028018b", "TPM_RC_HANDLE (0x8028018b), handle 1, said by Windows"), ("0x8028400F",
                           "TBS_E_TPM_NOT_FOUND"),
                       ("tpm tpm0: A TPM error (7) occurred", "TPM_DISABLED")):
        code, out, err = explain(text.encode())
        test(f"response code: {text}", code == 0 and says in out, (code, out, err))
    message = json.loads(explain(b"2446", "--format", "json")[1])
    test("response code: JSON", (message["kind"], message["hex"], message["fields"][0]["valueName"])
         == ("response-code", "0000098e", "TPM_RC_AUTH_FAIL"), message)


def check_logs():
    """Messages among other lines: a simulator's log tells a command from a response of the same form."""
    log = (" Ctrl Cmd: length 4\n 00 00 00 10 \n Ctrl Rsp: length 4\n 00 00 00 00 \n"
           " SWTPM_IO_Read: length 10\n 80 01 00 00 00 0A 00 00 01 81 \n SWTPM_IO_Write: length 10\n"
           " 80 01 00 00 00 0A 00 00 01 01 \n SWTPM_IO_Read: length 12\n 80 01 00 00 00 0C 00 00 01 7B 00 08 \n"
           " SWTPM_IO_Write: length 20\n 80 01 00 00 00 14 00 00 00 00 00 08 11 22 33 44 \n 55 66 77 88 \n")
    for name, text in (("swtpm", log), ("swtpm by way of journald", re.sub("(?m)^", "Mar 24 10:00:00 host swtpm[42]: ",
        log))):
        code, out, err = explain(text.encode())
        test(f"log: {name}", code == 0 and err == "" and re.findall(r"^TPM.*(?:→|←) TPM", out, re.M) == [
            "TPM_CC_ReadClock → TPM", "TPM_CC_ReadClock ← TPM", "TPM2_GetRandom → TPM", "TPM2_GetRandom ← TPM"], (code,
                out, err))
    code, out, err = explain(b"Command size: 12\n\t80 01 00 00 00 0c 00 00 01 7b 00 20 | .........{. \n")
    test("log: wolfTPM", code == 0 and "TPM2_GetRandom → TPM" in out, (code, out, err))
    code, out, err = explain(b"tcti_device_transmit() sending command:\n0000: 80010000000c0000017b0020\n")
    test("log: tpm2-tss", code == 0 and "TPM2_GetRandom → TPM" in out, (code, out, err))
    code, _, err = explain(b"00000000  80 01 00 00 00 0c 00 00  01 7b 00 20 00 00 00 00\n00000020  80 01\n")
    test("log: a dump with a line missing", code == 1 and "missing or cut off" in err, err)


def check_tokens():
    token = "SharedAccessSignature sr=hub%2Fdevices%2Fd&sig=" + base64.b64encode(bytes(32)).decode().replace("=", "%3D")
    for se, date in (("1795970579", "Sun, 29 Nov 2026 16:42:59 GMT"), ("4102444800", "Fri, 01 Jan 2100 00:00:00 GMT")):
        whole = f"{token}&se={se}"
        for text in (whole, f'"{whole}"', f"'{whole}'", f"HostName=h;DeviceId=d;SharedAccessSignature={whole}",
                     f"curl -H 'Authorization: {whole}' https://hub/", whole.split(" ", 1)[1],
                     f"{whole}&skn=registration"):
            code, out, err = explain(text.encode())
            test(f"token: {text[:12]}...{text[-12:]}", code == 0 and date in out and "The audience" in out, (code, out,
                err))


def check_http():
    body = json.dumps({"errorCode": 401002, "trackingId": "x", "message": "Unauthorized"})
    head = "PUT /0ne00000A0A/registrations/d/register?api-version=2019-03-31 HTTP/1.1"
    curl = (f"*   Trying 127.0.0.1:8443...\n> {head}\n> Host: localhost\n> Content-Length: 900\n> \n"
            f"}} [900 bytes data]\n* upload completely sent off: 900 bytes\n"
            "< HTTP/1.1 401 Unauthorized\n< Content-Type: application/json\n"
            f"< Content-Length: {len(body)}\n< \n{{ [{len(body)} bytes data]\n{body}* Connection #0 to host x left\n")
    for name, text in (("curl -v", curl), ("curl -v with CRLF", curl.replace("\n", "\r\n")),
                       ("curl -v of HTTP/2", curl.replace("HTTP/1.1 401 Unauthorized", "HTTP/2 401")),
                       ("curl -v, no remarks", f"> {head}\n> Host: x\n>\n< HTTP/1.1 401 Unauthorized\n<\n{body}\n")):
        code, out, err = explain(text.encode())
        test(f"HTTP: {name}", code == 0 and head in out and '"errorCode":401002' in re.sub(r"\s", "", out)
             and "Connection #" not in out,
             (code, out, err))
    code, out, err = explain(f"HTTP/1.1 401 Unauthorized\nContent-Length: 7\n\n{body}".encode())
    test("HTTP: an answer with other line ends, and another length", code == 0 and "Why the service refused" in out,
         (code, out, err))


def ip_packet(payload, from_port=40000, to_port=2321):
    tcp = struct.pack(">HHIIBBHHH", from_port, to_port, 1, 1, 0x50, 0x18, 1000, 0, 0)
    return struct.pack(">BBHIBBHII", 0x45, 0, 40 + len(payload), 0, 64, 6, 0, 0x7f000001, 0x7f000001) + tcp + payload


def check_captures(command, response):
    """pcap as tcpdump writes it, pcapng as the pcap TCTI of tpm2-tss and our own --trace write it."""
    def pcap(link, before, packets, order="<"):
        packets = [before + p for p in packets]
        return struct.pack(order + "IHHIIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, link) + b"".join(
            struct.pack(order + "IIII", 0, 0, len(p), len(p)) + p for p in packets)

    def tcti(packets):
        data = struct.pack("<IIIHHqI", 0x0a0d0d0a, 28, 0x1a2b3c4d, 1, 0, -1, 28) + struct.pack("<IIHHII", 1, 20, 228, 0,
            0, 20)
        for p in packets:
            size = 32 + (len(p) + 3 & ~3)
            data += struct.pack("<IIIIIII", 6, size, 0, 0, 0, len(p),
                                len(p)) + p + bytes(size - 32 - len(p)) + struct.pack("<I", size)
        return data
    packets = [ip_packet(b""), ip_packet(command), ip_packet(response, 2321, 40000)]
    simulator = [ip_packet(struct.pack(">IBI", 8, 0, len(command)) + command),
                 ip_packet(struct.pack(">I", len(response)) + response + bytes(4), 2321, 40000)]
    with tempfile.TemporaryDirectory() as directory:
        own = pathlib.Path(directory, "own.pcapng")
        subprocess.run([BUILD / "dps-device", "--tpm", f"libtpms:{directory}/tpm", f"--trace=pcapng:{own}", "ek"],
                       check=True, capture_output=True)
        code, out, err = explain(own.read_bytes())
        test("capture: our own", code == 0 and "TPM2_CreatePrimary → TPM" in out and "TPM2_CreatePrimary ← TPM" in out,
             (code, out, err))
    for name, data in (("tcpdump on Ethernet", pcap(1, bytes(12) + b"\x08\x00", packets)), ("tcpdump -i any", pcap(113,
        bytes(16), packets)),
                       ("big-endian", pcap(101, b"", packets, ">")), ("pcap TCTI", tcti(packets)),
                       ("simulator's protocol", tcti(simulator))):
        code, out, err = explain(data)
        test(f"capture: {name}", code == 0 and "TPM2_Load → TPM" in out and "TPM2_Load ← TPM" in out and err == "",
             (code, out, err))
    code, out, err = explain(tcti(packets)[:-7])
    test("capture: cut off", code == 1 and "TPM2_Load → TPM" in out and "cut off" in err, (code, out, err))
    code, out, err = explain(tcti([ip_packet(b"GET")]))
    test("capture: nothing for us", code == 1 and "no TPM message" in err, (code, out, err))


def main():
    blob = base64.b64decode(VECTORS["blobB64"])
    # The keys of the vectors are software, and say so in their attributes; here they pose as keys that a TPM has made.
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
    ca = Certificate("Explained CA", ca=True)
    for form, data in (("PEM", ca.pem), ("DER", ca.der), ("base64", base64.b64encode(ca.der))):
        code, out, err = explain(data)
        test(f"a CA's certificate is one, and no EK's: {form}",
             code == 1 and "that of a CA, CN=Explained CA" in err, err)
    code, out, err = explain(command.hex().encode() + b"\n" + response.hex().encode())
    test("a response after its command is read as that command's",
         code == 0 and "TPM2_Load ← TPM" in out and "TPM_RC_SUCCESS" in out and err == "", (out, err))
    code, out, err = explain(response)
    test("a response alone: what it may answer is said", code == 0 and "--response-to" in err, err)
    code, out, err = explain(response, "--response-to", "TPM2_Load")
    test("a response with its command named", code == 0 and "TPM2_Load ← TPM" in out and err == "", (out, err))
    code, out, _ = explain(bytes.fromhex("80010000000a000001df"))
    test("a refusal is decoded", code == 0 and "TPM_RC_INTEGRITY" in out and "parameter 1" in out, out)
    code, out, err = explain(command + command[:20])
    test("what is cut off after a message is said", code == 1 and "20 bytes after" in err, err)

    check_response_codes()
    check_logs()
    check_tokens()
    check_http()
    check_captures(command, response)

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
