# SPDX-License-Identifier: MIT
"""dps-device explain: what people paste is recognised in each of its forms and shown field by field; everything else
is refused with a sentence. The TPM bytes come from tpm2-tss and swtpm (tests/vectors), not from our own code."""
import base64
import json
import pathlib
import re
import struct
import subprocess
from functools import partial

from certificates import Certificate
from tap import Programs, check, same

VECTORS = json.loads(pathlib.Path("tests/vectors/activation-blob.json").read_text(encoding="utf-8"))
CAPTURED = pathlib.Path("tests/vectors/commands.c").read_text(encoding="utf-8")


def explain(data, *options):
    done = subprocess.run([Programs.path("dps-device"), "explain", *options], input=data, capture_output=True,
                          check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def shows(data, *words, code=0, silent=False, options=()):
    """What it shows: it ends with this code, shows all these words, and is silent on standard error if it has to be."""
    got, out, err = explain(data.encode() if isinstance(data, str) else data, *options)
    check(got == code and all(word in out for word in words) and not (silent and err),
          f"exit code {got}, wanted {code} and {words}:\n{out}{err}")
    return out


def refuses(data, words, *options, code=1):
    """What it shows all the same, of something of which it says these words."""
    got, out, err = explain(data, *options)
    check(got == code and words in err, f"exit code {got}, wanted {code} and {words!r}:\n{out}{err}")
    return out


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


BLOB = base64.b64decode(VECTORS["blobB64"])
# The keys of the vectors are software, and say so in their attributes; here they pose as keys that a TPM has made.
SOFTWARE = base64.b64decode(VECTORS["ekPub2B"])
EK = with_attributes(SOFTWARE, 0x000300B2)
SRK = with_attributes(base64.b64decode(VECTORS["srkPub2B"]), 0x00030472)
COMMAND, RESPONSE = captured("load_request"), captured("load_response")


# ---- One thing in all its forms --------------------------------------------------------------------------------------

def forms_of(binary):
    """The same bytes raw, in hex (plain, with colons, as 0x in lines) and in base64, plain and folded."""
    text = binary.hex()
    return {
        "raw": binary,
        "hex": text.encode(),
        "hex with colons": ":".join(text[i:i + 2] for i in range(0, len(text), 2)).upper().encode(),
        "hex in lines": b"\n".join(f"0x{text[i:i + 2]},".encode() for i in range(0, len(text), 2)),
        "base64": base64.b64encode(binary) + b"\n",
        "base64 in lines": base64.encodebytes(binary),
        "base64 in quotes": b'"' + base64.b64encode(binary) + b'"',
    }


def all_alike(binary):
    same(len({explain(data)[1] for data in forms_of(binary).values()}), 1, "different texts")


def leaves_cover_json(binary):
    out = shows(binary, options=("--format", "json"))
    check(out and all(leaves_cover(json.loads(m)) for m in out.splitlines()), out)


def tests_of_forms():
    for name, binary, expected in (("activation blob", BLOB, "Activation blob, "),
                                   ("software EK", SOFTWARE, "neither an EK (template L-1) nor"),
                                   ("EK", EK, "endorsement key (EK Credential Profile, template L-1)"),
                                   ("SRK", SRK, "storage root key that a service may trust"),
                                   ("command", COMMAND, "TPM2_Load → TPM")):
        for form, data in forms_of(binary).items():
            yield f"{name}: {form}", partial(shows, data, expected)
        yield f"{name}: all forms give the same text", partial(all_alike, binary)
        yield f"{name}: JSON covers every byte by one leaf", partial(leaves_cover_json, binary)


def tests_of_ca():
    ca = Certificate("Explained CA", ca=True)
    for form, data in (("PEM", ca.pem), ("DER", ca.der), ("base64", base64.b64encode(ca.der))):
        yield (f"a CA's certificate is one, and no EK's: {form}",
               partial(refuses, data, "that of a CA, CN=Explained CA"))


def once(data, words):
    same(shows(data, silent=True).count(words), 1, f"times {words!r}")


def tests_of_response_codes():
    """A code in every form in which it is printed, alone and in the lines of kernels, libraries and tools."""
    wanted = "TPM_RC_AUTH_FAIL (0x98e), session 1"
    for text in ("0x98e", "0X0000098E", "98e", "0000098E", "2446", "rc 0x98e", "rc=0x98e", "RC: 2446", '"0x98e"',
                 "(0x98e)",
                 "error code 0x98e.", "tpm tpm0: A TPM error (2446) occurred attempting get random",
                 "[    3.141592] tpm tpm0: A TPM error (2446) occurred attempting get random\n[    4.0] usb 1-1: new\n",
                 "ERROR:esys:src/tss2-esys/api/Esys_Load.c:112:Esys_Load() Esys Finish ErrorCode (0x0000098e) \n"
                 "ERROR: Eys_Load(0x98E) - tpm:session(1):the authorization HMAC check failed\n",
                 "wolfTPM2_Load failed 0x98e: TPM_RC_AUTH_FAIL", "load: failed, rc 0000098e"):
        yield f"response code: {text[:40]}", partial(once, text, wanted)
    for text, says in (("256", "TPM_RC_INITIALIZE (0x100)"), ("TPM_RC_LOCKOUT", "TPM_RC_LOCKOUT (0x921)"),
                       ("TPM2_RC_LOCKOUT", "TPM_RC_LOCKOUT (0x921)"), ("rc 0x000b0143",
                           "TSS2_RESMGR_TPM_RC_COMMAND_CODE"),
                       ("0x000c01df", "TPM_RC_INTEGRITY (0xc01df), parameter 1, said by the resource manager"),
                       ("0x000a000a", "TSS2_BASE_RC_IO_ERROR (0xa000a), said by TCTI"), ("0x7000d", "said by ESAPI"),
                       ("0x80280400", "TPM_E_COMMAND_BLOCKED"), ("-2144861184", "TPM_E_COMMAND_BLOCKED"),
                       ("0x8028018b", "TPM_RC_HANDLE (0x8028018b), handle 1, said by Windows"), ("0x8028400F",
                           "TBS_E_TPM_NOT_FOUND"),
                       ("tpm tpm0: A TPM error (7) occurred", "TPM_DISABLED")):
        yield f"response code: {text}", partial(shows, text, says)


def test_response_code_as_json():
    """response code: JSON"""
    message = json.loads(shows("2446", options=("--format", "json")))
    same((message["kind"], message["hex"], message["fields"][0]["valueName"]),
         ("response-code", "0000098e", "TPM_RC_AUTH_FAIL"), "what it is")


def tests_of_logs():
    """Messages among other lines: a simulator's log tells a command from a response of the same form."""
    log = (" Ctrl Cmd: length 4\n 00 00 00 10 \n Ctrl Rsp: length 4\n 00 00 00 00 \n"
           " SWTPM_IO_Read: length 10\n 80 01 00 00 00 0A 00 00 01 81 \n SWTPM_IO_Write: length 10\n"
           " 80 01 00 00 00 0A 00 00 01 01 \n SWTPM_IO_Read: length 12\n 80 01 00 00 00 0C 00 00 01 7B 00 08 \n"
           " SWTPM_IO_Write: length 20\n 80 01 00 00 00 14 00 00 00 00 00 08 11 22 33 44 \n 55 66 77 88 \n")
    for name, text in (("swtpm", log), ("swtpm by way of journald", re.sub("(?m)^", "Mar 24 10:00:00 host swtpm[42]: ",
        log))):
        yield f"log: {name}", partial(holds_four_messages, text)


def holds_four_messages(log):
    messages = re.findall(r"^TPM.*(?:→|←) TPM", shows(log, silent=True), re.M)
    same(messages, ["TPM_CC_ReadClock → TPM", "TPM_CC_ReadClock ← TPM", "TPM2_GetRandom → TPM",
                    "TPM2_GetRandom ← TPM"], "messages")


def test_log_of_wolftpm():
    """log: wolfTPM"""
    shows("Command size: 12\n\t80 01 00 00 00 0c 00 00 01 7b 00 20 | .........{. \n", "TPM2_GetRandom → TPM")


def test_log_of_tss():
    """log: tpm2-tss"""
    shows("tcti_device_transmit() sending command:\n0000: 80010000000c0000017b0020\n", "TPM2_GetRandom → TPM")


def test_log_with_a_gap():
    """log: a dump with a line missing"""
    refuses(b"00000000  80 01 00 00 00 0c 00 00  01 7b 00 20 00 00 00 00\n00000020  80 01\n", "missing or cut off")


def tests_of_tokens():
    token = "SharedAccessSignature sr=hub%2Fdevices%2Fd&sig=" + base64.b64encode(bytes(32)).decode().replace("=", "%3D")
    for se, date in (("1795970579", "Sun, 29 Nov 2026 16:42:59 GMT"), ("4102444800", "Fri, 01 Jan 2100 00:00:00 GMT")):
        whole = f"{token}&se={se}"
        for text in (whole, f'"{whole}"', f"'{whole}'", f"HostName=h;DeviceId=d;SharedAccessSignature={whole}",
                     f"curl -H 'Authorization: {whole}' https://hub/", whole.split(" ", 1)[1],
                     f"{whole}&skn=registration"):
            yield f"token: {text[:12]}...{text[-12:]}", partial(shows, text, date, "The audience")


REFUSAL = json.dumps({"errorCode": 401002, "trackingId": "x", "message": "Unauthorized"})


def shows_exchange(text, head):
    out = shows(text, head)
    check('"errorCode":401002' in re.sub(r"\s", "", out) and "Connection #" not in out, out)


def tests_of_http():
    body = REFUSAL
    head = "PUT /0ne00000A0A/registrations/d/register?api-version=2019-03-31 HTTP/1.1"
    curl = (f"*   Trying 127.0.0.1:8443...\n> {head}\n> Host: localhost\n> Content-Length: 900\n> \n"
            f"}} [900 bytes data]\n* upload completely sent off: 900 bytes\n"
            "< HTTP/1.1 401 Unauthorized\n< Content-Type: application/json\n"
            f"< Content-Length: {len(body)}\n< \n{{ [{len(body)} bytes data]\n{body}* Connection #0 to host x left\n")
    for name, text in (("curl -v", curl), ("curl -v with CRLF", curl.replace("\n", "\r\n")),
                       ("curl -v of HTTP/2", curl.replace("HTTP/1.1 401 Unauthorized", "HTTP/2 401")),
                       ("curl -v, no remarks", f"> {head}\n> Host: x\n>\n< HTTP/1.1 401 Unauthorized\n<\n{body}\n")):
        yield f"HTTP: {name}", partial(shows_exchange, text, head)


def test_http_with_other_line_ends():
    """HTTP: an answer with other line ends, and another length"""
    shows(f"HTTP/1.1 401 Unauthorized\nContent-Length: 7\n\n{REFUSAL}", "Why the service refused")


def ip_packet(payload, from_port=40000, to_port=2321):
    tcp = struct.pack(">HHIIBBHHH", from_port, to_port, 1, 1, 0x50, 0x18, 1000, 0, 0)
    return struct.pack(">BBHIBBHII", 0x45, 0, 40 + len(payload), 0, 64, 6, 0, 0x7f000001, 0x7f000001) + tcp + payload


def pcap(link, before, packets, order="<"):
    """As tcpdump writes it."""
    packets = [before + p for p in packets]
    return struct.pack(order + "IHHIIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, link) + b"".join(
        struct.pack(order + "IIII", 0, 0, len(p), len(p)) + p for p in packets)


def tcti(packets):
    """As the pcap TCTI of tpm2-tss writes it."""
    data = struct.pack("<IIIHHqI", 0x0a0d0d0a, 28, 0x1a2b3c4d, 1, 0, -1, 28) + struct.pack("<IIHHII", 1, 20, 228, 0,
        0, 20)
    for p in packets:
        size = 32 + (len(p) + 3 & ~3)
        data += struct.pack("<IIIIIII", 6, size, 0, 0, 0, len(p),
                            len(p)) + p + bytes(size - 32 - len(p)) + struct.pack("<I", size)
    return data


PACKETS = [ip_packet(b""), ip_packet(COMMAND), ip_packet(RESPONSE, 2321, 40000)]
OF_SIMULATOR = [ip_packet(struct.pack(">IBI", 8, 0, len(COMMAND)) + COMMAND),
                ip_packet(struct.pack(">I", len(RESPONSE)) + RESPONSE + bytes(4), 2321, 40000)]


def commented(packets, order="<"):
    """pcapng with a comment for each packet, before it another option (epb_flags) and after it another comment."""
    def option(code, value):
        return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)

    def block(kind, body):
        return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)

    data = block(0x0a0d0d0a, struct.pack(order + "IHHq", 0x1a2b3c4d, 1, 0, -1)) + block(1, struct.pack(order + "HHI",
        101, 0, 0))
    for p, comment in packets:
        options = option(2, bytes(4)) + option(1, comment.encode()) + option(1, b"another") + option(0, b"")
        data += block(6, struct.pack(order + "IIIII", 0, 0, 0, len(p), len(p)) + p + bytes(-len(p) % 4) + options)
    return data


def answers_of_two(order):
    """Between a command and its answer somebody else asks, over a connection of his own."""
    random, number = bytes.fromhex("80010000000c0000017b0004"), bytes.fromhex("8001000000100000000000041a2b3c4d")
    data = commented([(ip_packet(COMMAND), "one asks"), (ip_packet(random, 40001), "the other asks"),
                      (ip_packet(number, 2321, 40001), "the other hears\nand more"),
                      (ip_packet(RESPONSE, 2321, 40000), "one \x1b[31m hears")], order)
    messages = [json.loads(line) for line in shows(data, options=("--format", "json")).splitlines()]
    same([(m["name"], m["kind"], m["what"], m["error"]) for m in messages],
         [("TPM2_Load", "tpm-command", "one asks", 0), ("TPM2_GetRandom", "tpm-command", "the other asks", 0),
          ("TPM2_GetRandom", "tpm-response", "the other hears", 0),
          ("TPM2_Load", "tpm-response", "one ?[31m hears", 0)], "what it shows")
    shows(data, f"TPM2_Load → TPM, {len(COMMAND)} bytes: one asks\n", "TPM_RC_SUCCESS (0x000); one ?[31m hears\n",
          silent=True)


def policy_secret(session, secret):
    """TPM2_PolicySecret for the endorsement hierarchy, whose authorization is this secret."""
    auth = struct.pack(">IHBH", session, 0, 1, len(secret)) + secret
    body = struct.pack(">III", 0x4000000b, 0x03000000, len(auth)) + auth + bytes(10)
    return struct.pack(">HII", 0x8002, len(body) + 10, 0x151) + body


PASSWORD, MAC = b"what nobody may read", bytes(range(0x80, 0xa0))
IS_HMAC = "An HMAC over the command"
# The session and what it gives; what is shown of it in a capture; pasted; in the list of what was heard in clear.
GIVEN = [
    ("a password", 0x40000009, PASSWORD, "Its text: what nobody may read", "hidden: 20 bytes",
     "password of TPM_RH_ENDORSEMENT (TPM2_PolicySecret)"),
    ("zeros of --trace in its place", 0x40000009, bytes(20), "hidden: 20 bytes", "hidden: 20 bytes",
     "password of TPM_RH_ENDORSEMENT (TPM2_PolicySecret)"),
    ("a policy session's password", 0x03000001, PASSWORD, "Its text: what nobody may read", "hidden: 20 bytes",
     "password of TPM_RH_ENDORSEMENT (TPM2_PolicySecret)"),
    ("a policy session's HMAC", 0x03000001, MAC, IS_HMAC, "hidden: 32 bytes", "nothing"),
    ("an HMAC session's HMAC", 0x02000001, MAC, IS_HMAC, IS_HMAC, "nothing"),
]


def shows_given(session, secret, in_capture, pasted, heard):
    command = policy_secret(session, secret)
    out = shows(tcti([ip_packet(command)]), in_capture, "In clear: " + heard)
    same("hidden" in out, "hidden" in in_capture, "something is hidden")
    check("What a listener" not in shows(command, pasted), "a paste is no bus")
    message = json.loads(shows(tcti([ip_packet(command)]), options=("--format", "json")))
    same((message["hex"], message["masked"]), (command.hex(), "hidden" in in_capture), "JSON")


def start_session(salt, handle):
    """TPM2_StartAuthSession of an HMAC session, and its answer."""
    key, encrypted = (0x80000000, bytes(256)) if salt else (0x40000007, b"")
    body = struct.pack(">IIH", key, 0x40000007, 32) + bytes(32) + struct.pack(">H", len(encrypted)) + encrypted
    body += bytes.fromhex("000010000b")  # HMAC, no symmetric algorithm, SHA-256
    answer = struct.pack(">IH", handle, 32) + bytes(32)
    return [struct.pack(">HII", 0x8001, len(body) + 10, 0x176) + body,
            struct.pack(">HII", 0x8001, len(answer) + 10, 0) + answer]


def guesses(salts, guessable):
    handle = 0x02000001
    messages = [m for salt in salts for m in start_session(salt, handle)] + [policy_secret(handle, MAC)]
    shows(tcti([ip_packet(m) for m in messages]), f"guessed at home, since the session has no salt: {guessable}")


def tests_of_what_is_heard():
    for name, *rest in GIVEN:
        yield f"capture: {name} is shown, pasted it is hidden", partial(shows_given, *rest)
    guessed = "password of\n    TPM_RH_ENDORSEMENT (TPM2_PolicySecret)"
    for name, salts, guessable in (("without a salt", [False], guessed),
                                   ("with a salt", [True], "nothing"),
                                   ("with a salt, whose handle was another's", [False, True], "nothing")):
        yield f"capture: the key of an HMAC session {name}", partial(guesses, salts, guessable)
    for order, name in (("<", "little-endian"), (">", "big-endian")):
        yield f"capture: comments, and each answer with its own command, {name}", partial(answers_of_two, order)


def tests_of_captures():
    for name, data in (("tcpdump on Ethernet", pcap(1, bytes(12) + b"\x08\x00", PACKETS)),
                       ("tcpdump -i any", pcap(113, bytes(16), PACKETS)),
                       ("big-endian", pcap(101, b"", PACKETS, ">")), ("pcap TCTI", tcti(PACKETS)),
                       ("simulator's protocol", tcti(OF_SIMULATOR))):
        yield f"capture: {name}", partial(shows, data, "TPM2_Load → TPM", "TPM2_Load ← TPM", silent=True)


def test_our_own_capture():
    """capture: our own"""
    directory = Programs.directory()
    own = pathlib.Path(directory, "own.pcapng")
    subprocess.run([Programs.path("dps-device"), "--tpm", f"libtpms:{directory}/tpm", f"--trace=pcapng:{own}", "ek"],
                   check=True, capture_output=True)
    shows(own.read_bytes(), "TPM2_CreatePrimary → TPM", "TPM2_CreatePrimary ← TPM")


def test_capture_cut_off():
    """capture: cut off"""
    check("TPM2_Load → TPM" in refuses(tcti(PACKETS)[:-7], "cut off"), "the command before the cut is not shown")


def test_capture_of_something_else():
    """capture: nothing for us"""
    refuses(tcti([ip_packet(b"GET")]), "no TPM message")


def tests():
    for some in (tests_of_forms, tests_of_ca, tests_of_response_codes, tests_of_logs, tests_of_tokens, tests_of_http,
                 tests_of_captures, tests_of_what_is_heard):
        yield from some()


# ---- Keys and TPM messages -------------------------------------------------------------------------------------------

def test_area_without_size():
    """a TPMT_PUBLIC is shown as the TPM2B_PUBLIC around it"""
    shows(EK[2:], "template L-1")


def test_response_after_its_command():
    """a response after its command is read as that command's"""
    shows(COMMAND.hex() + "\n" + RESPONSE.hex(), "TPM2_Load ← TPM", "TPM_RC_SUCCESS", silent=True)


def test_response_alone():
    """a response alone: what it may answer is said"""
    refuses(RESPONSE, "--response-to", code=0)


def test_response_with_its_command_named():
    """a response with its command named"""
    shows(RESPONSE, "TPM2_Load ← TPM", silent=True, options=("--response-to", "TPM2_Load"))


def test_refusal():
    """a refusal is decoded"""
    shows(bytes.fromhex("80010000000a000001df"), "TPM_RC_INTEGRITY", "parameter 1")


def test_cut_off_after_a_message():
    """what is cut off after a message is said"""
    refuses(COMMAND + COMMAND[:20], "20 bytes after")


def test_public_key():
    """PEM public key, as the EK that it stands for"""
    shows(subprocess.run(["openssl", "pkey", "-inform", "DER", "-pubout"], check=True, capture_output=True,
                         input=base64.b64decode(VECTORS["ekPrivPkcs8Der"])).stdout,
          "if it was made from the template L-1")


# ---- What goes over HTTP ---------------------------------------------------------------------------------------------

SIGNATURE = base64.b64encode(bytes(32)).decode().replace("=", "%3D")
TOKEN = f"SharedAccessSignature sr=hub%2Fdevices%2Fd&sig={SIGNATURE}&se=1800000000"


def test_token():
    """SAS token: its expiry as a date, and what was signed"""
    shows(TOKEN, "Fri, 15 Jan 2027 08:00:00 GMT", "'hub%2Fdevices%2Fd' 1800000000")


def test_token_in_a_header():
    """SAS token as a header line"""
    shows("Authorization: " + TOKEN, "The audience")


def test_token_without_expiry():
    """a token without expiry is malformed"""
    refuses(TOKEN.replace("se=", "xe=").encode(), "")


def test_enrollment():
    """enrollment: JSON and the EK in it"""
    enrollment = {"registrationId": "d", "attestation": {"type": "tpm", "tpm": {
        "endorsementKey": base64.b64encode(EK).decode()}}}
    shows(json.dumps(enrollment), "template L-1", "registrationId")


def test_answer():
    """HTTP answer: the blob in it"""
    body = json.dumps({"authenticationKey": base64.b64encode(BLOB).decode(), "keyName": "registration"})
    shows(f"HTTP/1.1 401 Unauthorized\r\nContent-Length: {len(body)}\r\n\r\n{body}", "Activation blob, ")


# ---- What is none of it ----------------------------------------------------------------------------------------------

def test_nothing_of_this():
    """what is nothing of this is refused with a sentence"""
    same(refuses(b"hello world, what are you?", "what is this?"), "", "standard output")


def test_nothing_at_all():
    """nothing at all"""
    same(refuses(b"", ""), "", "standard output")


def test_broken():
    """--as shows how far a broken thing can be read"""
    check("how far it can be explained" in refuses(BLOB[:100], "", "--as", "blob"), "it does not say so")


def test_kinds():
    """--as knows its kinds"""
    refuses(BLOB, "command, response", "--as", "cheese", code=2)


def test_file():
    """from a file"""
    path = pathlib.Path(Programs.directory(), "blob")
    path.write_bytes(BLOB)
    shows(b"", "Activation blob, ", options=(path,))


def test_no_such_file():
    """a file that is not there"""
    refuses(b"", "No such file", "/nonexistent/file", code=5)
