# SPDX-License-Identifier: MIT
"""One registration over HTTPS and over AMQP, side by side: the run did both from the same store, in the same second and
with the same random bytes, and what they carry is compared here, byte by byte."""
import base64
import json
import re

from chapters import Chapter, plain_table
from links import source_link

# Which frames carry what, by the code of their descriptor [AMQP 1.0, 2.7 and 5.3.3].
FRAMES = {0x10: "open", 0x11: "begin", 0x12: "attach", 0x13: "flow", 0x14: "transfer", 0x15: "disposition",
          0x16: "detach", 0x17: "end", 0x18: "close", 0x40: "sasl-mechanisms", 0x41: "sasl-init",
          0x42: "sasl-challenge", 0x43: "sasl-response", 0x44: "sasl-outcome"}
WHO = {"device": "The device", "service": "The service"}


def writes(run, road):
    """What was written, in order: who, and the bytes."""
    found = sorted((name, data) for name, data in run.values.items() if re.fullmatch(road + r"\d\d[a-z]+", name))
    return [(name[len(road) + 2:], data) for name, data in found]


def names(data):
    """The frames in what was written at once."""
    found = []
    while data:
        if data.startswith(b"AMQP"):
            found.append("header of SASL" if data[4] == 3 else "header")
            data = data[8:]
        else:
            found.append(FRAMES[data[10]])  # after size, offset, type and channel: 00 53 and the descriptor's code
            data = data[int.from_bytes(data[:4], "big"):]
    return found


class Https:
    """What the three requests and their answers carry."""

    def __init__(self, run):
        self.writes = writes(run, "https")
        (_, first), (_, refused), (_, second), (_, accepted), (_, asked), (_, assigned) = self.writes
        tpm = json.loads(first.split(b"\r\n\r\n", 1)[1])["tpm"]
        self.ek, self.srk = (base64.b64decode(tpm[name]) for name in ("endorsementKey", "storageRootKey"))
        self.blob = base64.b64decode(json.loads(refused.split(b"\r\n\r\n", 1)[1])["authenticationKey"])
        self.token = re.search(rb"\r\nAuthorization: ([^\r]+)", second).group(1)
        self.accepted, self.assigned = (data.split(b"\r\n\r\n", 1)[1] for data in (accepted, assigned))
        self.operation = re.search(rb"/operations/([^?]+)", asked).group(1)


class Amqp:
    def __init__(self, run, https):
        self.writes = writes(run, "amqp")
        half = 486
        # Of each write with a content that HTTPS carries too: where it stands, its kind, and what it is.
        self.contents = [
            (https.ek, "public", "EK_pub, which HTTPS sends in base64 as <code>endorsementKey</code>"),
            (https.srk, "public", "SRK_pub, there <code>storageRootKey</code>"),
            (https.blob[:half], "cipher",
             "the first part of the activation blob, there <code>authenticationKey</code>"),
            (https.blob[half:], "cipher", "the rest of the blob"),
            (https.token, "digest", "the SAS token, there <code>Authorization</code>"),
            (https.accepted, "choice", "the JSON of the answer 202"),
            (https.operation, "digest", "the operationId, there a part of the path"),
            (https.assigned, "choice", "the JSON of the answer 200: the hub, and its key")]
        left = list(self.contents)
        self.marked = []
        for who, data in self.writes:
            here = left.pop(0) if left and left[0][0] in data else None
            self.marked.append((who, data, here))
        if left:
            raise SystemExit(f"walkthrough: AMQP does not carry {left[0][2]}")

    def turns(self):
        return sum(who == "device" for who, _ in self.writes)


def hexes(data, here):
    """The bytes, with what HTTPS carries too marked."""
    if here is None:
        return f"<code>{data.hex(' ')}</code>"
    part, kind, _ = here
    at = data.index(part)
    before, after = data[:at].hex(" "), data[at + len(part):].hex(" ")
    return f'<code>{before} <span class="b k-{kind}">{part.hex(" ")}</span> {after}</code>'


def write_shown(who, data, here):
    what = f"<p>{here[2][:1].upper()}{here[2][1:]}.</p>" if here else ""
    return (f'<details open class="fold" data-fold><summary>{WHO[who]}, {len(data)} bytes: '
            f'{", ".join(names(data))}</summary><p class="text">{hexes(data, here)}</p></details>{what}')


def groups(amqp):
    """SASL, the links, the requests: as the frames are grouped on the page."""
    second = [number for number, (_, data) in enumerate(amqp.writes) if data.startswith(b"AMQP\0")]
    first_request = next(n for n, (_, data) in enumerate(amqp.writes) if names(data) == ["transfer"])
    return [("SASL: steps 4 to 9, up to the proof", amqp.marked[:second[0]],
             "The mechanism is called TPM. The service asks for EK_pub, then for SRK_pub, and only then makes a "
             "challenge; a challenge has at most 512 bytes a frame, so the blob comes in two. The token proves the "
             "device for this connection, and changes nothing: the store is as before. "
             + source_link("dps/service/amqp_sasl.c:take_token")),
            ("A session and two links", amqp.marked[second[0]:first_request],
             "Nothing of this is about provisioning: AMQP wants a session, and a link in each direction, before "
             "anybody may send a message."),
            ("The two requests: step 9", amqp.marked[first_request:],
             "Each is a message, and so is its answer: the JSON of HTTPS, without a byte of difference. "
             + source_link("dps/service/amqp_api.c:dps_amqp_ask"))]


def rows(https, amqp):
    sizes = {road: sum(len(data) for _, data in writes_) for road, writes_ in
             (("https", https.writes), ("amqp", amqp.writes))}
    return [
        ("4 the device asks", "<code>PUT …/register</code> with registration ID, EK_pub and SRK_pub as JSON",
         "<code>sasl-init</code> with ID scope, registration ID and EK_pub; SRK_pub when it is asked for"),
        ("5 the service looks at EK and SRK", "before it answers", "the same function, after SRK_pub"),
        ("6 the challenge", "401 and the blob in base64", "two <code>sasl-challenge</code>, the blob as bytes"),
        ("8 the proof", "the same PUT again, with the token as Authorization",
         "<code>sasl-response</code> with the same token"),
        ("9 the service verifies", "and assigns at once: 202",
         "outcome 0; it assigns when the <code>iotdps-register</code> message comes"),
        ("9 the hub and its key", "<code>GET …/operations/…</code>: 200",
         "<code>iotdps-get-operationstatus</code>: the same JSON"),
        ("a refusal", "a status, and JSON with the reason",
         "after SASL a rejection with that JSON; within SASL a number without a reason"),
        ("written by the device", f"{len(https.writes) // 2} times", f"{amqp.turns()} times"),
        ("bytes in both directions", str(sizes["https"]), str(sizes["amqp"]))]


def over_amqp(run):
    https = Https(run)
    amqp = Amqp(run, https)
    blocks = [("html", plain_table("One registration", ("Step", "HTTPS", "AMQP"), rows(https, amqp)))]
    for title, marked, text in groups(amqp):
        shown = "".join(write_shown(*write) for write in marked)
        blocks.append(("html", f"<section class=values><h3>{title}</h3><p>{text}</p>{shown}</section>"))
    return Chapter(
        "amqp", None, "The same over AMQP", "device → service",
        "Microsoft's clients can also speak AMQP 1.0. Here the same device registers once over HTTPS and once over "
        "AMQP. Both times the service begins with the same store, the same second and the same random bytes, and "
        "what was to be expected is checked: the same keys, the same nonce and so the same blob, the same token, the "
        "same answers. Only the envelope differs. What the device and its TPM do with the bytes is what "
        '<a href="#step-7">step 7</a> and <a href="#step-8">step 8</a> show, so it is left out.', blocks)
