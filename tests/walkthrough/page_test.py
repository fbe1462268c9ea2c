# SPDX-License-Identifier: MIT
"""The walk-through's page and the run behind it: every byte explained, every link and function there, every shell line
right, the same page each time."""
import base64
import html.parser
import json
import os
import pathlib
import re
import subprocess
import sys

from tap import Failed, Programs, note

BUILD = pathlib.Path(Programs.build)
PAGE = BUILD / "walkthrough.html"
RUN = BUILD / "walkthrough" / "run.jsonl"
ATTACKS = BUILD / "walkthrough" / "attacks.txt"
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LARGEST = 2_500_000
LONGEST = 600  # seconds for one shell line; they take milliseconds

DOWNLOADS = ("walkthrough/run.pcapng", "walkthrough/keys.json", "walkthrough/run.jsonl")

TEN_STEPS = ("vendor", "enrollment", "owner", "register", "send")


def read_messages():
    """The messages of the run, each with its scene."""
    messages, scene = [], None
    for line in map(json.loads, RUN.read_text(encoding="utf-8").splitlines()):
        if line["kind"] == "scene":
            scene = line["name"]
        elif "fields" in line:
            messages.append(dict(line, scene=scene))
    return messages


MESSAGES = read_messages()


class Reader(html.parser.HTMLParser):
    """What the tests ask of the page: ids, links, the bytes of each message, shell lines with the value beside them."""

    def __init__(self):
        super().__init__()
        self.ids, self.links, self.sources, self.hexes, self.values = [], [], [], {}, []
        self.tags, self.outside = [], []
        self.message = self.leaf = self.value = None
        self.text = ""

    def handle_starttag(self, tag, pairs):
        attributes = dict(pairs)
        classes = (attributes.get("class") or "").split()
        self.tags.append(tag)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "a":
            self.links.append(attributes["href"])
        for name in ("src", "action", "srcset", "poster", "data"):
            if attributes.get(name):
                self.outside.append(attributes[name])
        if "hex" in classes:
            self.message = attributes["data-message"]
            self.hexes[self.message] = []
        elif self.message and "b" in classes:
            self.leaf = attributes["href"]
        if tag == "section" and "value" in classes:
            self.value = {"id": attributes["id"]}
            self.values.append(self.value)
        if tag in ("a", "code"):
            self.text = ""

    def handle_data(self, data):
        self.text += data

    def handle_endtag(self, tag):
        if tag == "a" and self.leaf:
            self.hexes[self.message].append((self.leaf, bytes.fromhex(self.text)))
            self.leaf = None
        elif tag == "a" and ".c#L" in self.links[-1]:
            self.sources.append((self.links[-1], self.text))
        elif tag == "div":
            self.message = None
        if tag == "code" and self.value is not None:
            self.value.setdefault("codes", []).append(self.text)
        if tag == "section":
            self.value = None


READER = Reader()
TEXT = PAGE.read_text(encoding="utf-8")
READER.feed(TEXT)


def differ(what, problems):
    if problems:
        raise Failed(what + ": " + "; ".join(str(p) for p in problems[:5]))


def test_every_byte_has_one_leaf():
    """every byte of every message is covered by exactly one leaf field, as the transcript says"""
    assert len(MESSAGES) > 80, len(MESSAGES)
    for m in MESSAGES:
        at = 0
        for field in (f for f in m["fields"] if f["leaf"]):
            assert field["offset"] == at, (m["name"], m["what"], field)
            at += field["len"]
        assert at == m["len"] == len(m["hex"]) // 2, (m["name"], at, m["len"])
        assert m["error"] == 0, m["name"]


def test_page_has_every_byte():
    """and on the page: its leaves, one after the other, are the message, and each leads to its explanation"""
    sent = {bytes.fromhex(m["hex"]) for m in MESSAGES}
    for message, leaves in READER.hexes.items():
        whole = b"".join(data for _, data in leaves)
        assert whole in sent, message
        differ(message, [href for n, (href, data) in enumerate(leaves, 1) if href != f"#{message}-{n}" or not data])
    # The ten steps are there whole and in order. Among what goes wrong, the device's housekeeping is left out.
    shown = [b"".join(data for _, data in leaves) for name,
             leaves in READER.hexes.items() if name.startswith(TEN_STEPS)]
    assert shown == [bytes.fromhex(m["hex"]) for m in MESSAGES if m["scene"] in TEN_STEPS]


def test_every_field_is_explained():
    """every leaf has a row with a sentence, and of a TPM message the section of the specification"""
    rows = re.findall(r'<tr id="([^"]+)" class="[^"]*">(.*?)</tr>', TEXT)
    assert len(rows) == sum(len(leaves) for leaves in READER.hexes.values())
    for name, row in rows:
        cells = re.findall(r"<td[^>]*>(.*?)</td>", row)
        meaning = re.sub(r"<b>.*?</b>|<[^>]+>|\d+ bytes\.|·", "", cells[2]).strip()
        assert len(meaning) >= 5, (name, cells)
        tpm = not name.endswith("-token") and ("-command-" in name or "-blob-" in name)
        assert not tpm or 'class="spec"' in cells[3], name
        assert 'class="src"' in cells[3], name


def test_every_anchor_resolves():
    """every link leads to a place on the page or to a file of the tree; no id is there twice"""
    ids = set(READER.ids)
    differ("twice", [i for i in ids if READER.ids.count(i) > 1])
    differ("leads nowhere", [h for h in READER.links if h.startswith("#") and h[1:] not in ids])
    files = {h.split("#")[0] for h in READER.links if h.startswith("../")}
    differ("no such file", sorted(h for h in files if not (BUILD / h).exists()))
    sisters = {"walkthrough-short.html", "walkthrough.html", "lab.html", *DOWNLOADS}
    differ("leads away", [h for h in READER.links if not h.startswith(("#", "../")) and h.split("#")[0] not in sisters])


def test_the_lab_has_the_scenes():
    """every link to the lab names a scene of it, and each scene is named by a chapter"""
    text = (ROOT / "tests/lab/scenes.c").read_text(encoding="utf-8")
    scenes = set(re.findall(r'^    \{"([\w-]+)", "', text, re.M))
    linked = {re.sub(r"-\d+$", "", h.split("#")[1]) for h in READER.links if h.startswith("lab.html#")}
    assert len(scenes) >= 18 and linked == scenes, sorted(linked ^ scenes)
    differ("no link", [f"step-{n}" for n in range(1, 11) if f"lab.html#ordinary-{n}" not in READER.links])


def test_downloads():
    """the capture has the messages of the run as tshark reads them, and the keys are those of the page"""
    fields = subprocess.run(["tshark", "-r", BUILD / DOWNLOADS[0], "-T", "fields", "-e", "tcp.len"], text=True,
                            capture_output=True, check=True, env=dict(os.environ, LC_ALL="C")).stdout.split()
    whole = [m["len"] for m in MESSAGES if m["kind"].startswith(("tpm-", "http-"))]
    got = sum(map(int, fields))
    assert got == sum(whole), (got, sum(whole))
    keys = {(k["name"], k["hex"]) for k in json.loads((BUILD / DOWNLOADS[1]).read_text(encoding="utf-8"))}
    value = {v["id"]: v["codes"][-2] for v in READER.values}
    assert ("nonce", value["value-nonce"]) in keys and ("hub-key", value["value-hub-key"]) in keys
    assert {name for name, _ in keys} >= {"serviceSecret", "innerKey", "credentialSeed", "sessionKey", "clear", "salt"}


def test_odd_boxes():
    """what looks odd is explained, with the section that says so"""
    boxes = dict(re.findall(r'<section class="odd" id="odd-([\w-]+)"(.*?)</section>', TEXT))
    assert set(boxes) == {"exponent", "unique", "labels", "two-keys"}, sorted(boxes)
    for name, box in boxes.items():
        assert re.search(r'<span class="spec">(P[12] r1\.59 [\d.B]+|TCG [^<]+)</span>', box), name


def test_links_of_the_notes_resolve():
    """README.md has a heading for each chapter; spec-notes.md links to these, and to each of the ten steps"""
    notes = (ROOT / "spec-notes.md").read_text(encoding="utf-8")
    anchors = re.findall(r"\]\(tests/walkthrough/README\.md#([^)]+)\)", notes)
    readme = (HERE / "README.md").read_text(encoding="utf-8")
    headings = [h.lower().replace(" ", "-") for h in re.findall(r"^## (.*)$", readme, re.M)]
    chapters = re.findall(r'<section class="chapter" id="([^"]+)"', TEXT)
    assert headings == [c for c in chapters if c not in ("how", "thread", "picture", "wrong")], headings
    differ("leads nowhere", [a for a in anchors if a not in headings])
    differ("no link", [f"step-{n}" for n in range(1, 11) if f"step-{n}" not in anchors])


def test_every_function_exists():
    """every function that the page names is defined in the file that it names"""
    assert len(READER.sources) > 1000
    for href, name in sorted(set(READER.sources)):
        path, function = name.split(":")
        file, line = href.split("#L")
        assert file == "../" + path, (href, name)
        text = "\n".join((ROOT / path).read_text(encoding="utf-8").split("\n")[int(line) - 1:])
        assert re.match(rf"[a-z][\w *]*?\b{function}\([^;{{]*\)\n\{{", text), (name, line)


def test_sections_are_in_the_table():
    """every section of Part 1 that a value cites is in tests/lint/SECTIONS.md"""
    notes = (ROOT / "tests/lint/SECTIONS.md").read_text(encoding="utf-8")
    named = set(re.findall(r'<span class="spec">(P1 r[^<]+)</span>', TEXT.split('id="how"')[1]))
    differ("not in tests/lint/SECTIONS.md", sorted(n for n in named if f"| {n} |" not in notes))


def test_shell_lines():
    """every shell line, executed, gives the value that is shown"""
    assert len(READER.values) >= 45, len(READER.values)
    environment = dict(os.environ, LC_ALL="C", HOME="/nonexistent")
    for value in READER.values:
        shown, shell = value["codes"][-2:]
        run = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, timeout=LONGEST, env=environment,
                             stdin=subprocess.DEVNULL, check=False)
        assert run.stdout.strip() == shown and shown, (value["id"], run.stdout, run.stderr, shown)


def test_attacks_of_the_model():
    """every attack that the model finds is on the page, step by step, in its words"""
    told = {}
    for name, cells in re.findall(r'<tr><th scope=row><span id="attack-([^"]+)">(.*?)</tr>', TEXT):
        told[name] = [re.sub("<[^>]+>", "", step) for step in re.findall("<li>(.*?)</li>", cells)]
    found = re.split(r"^ok +([\w-]+) +attack .*\n", ATTACKS.read_text(encoding="utf-8"), flags=re.M)
    assert len(told) >= 18 and "nonce-standard-rewrap" in told, sorted(told)
    for name, text in zip(found[1::2], found[2::2]):
        alive = re.match("works-|restored-registers$|.*-registered$", name)
        steps = re.findall(r"^ +\d+\. (.*)$", text, re.M)
        assert steps and (alive or told.get(name) == steps), (name, told.get(name), steps)
    differ("not found by the model", sorted(set(told) - set(found)))


def test_rewrap_gives_the_key():
    """the key that TPM2_Rewrap gives is the nonce, signs what the service takes, and the hardened SRK gives none"""
    value = {v["id"]: v["codes"][-2] for v in READER.values}
    assert value["value-rewrap-key"] == value["value-rewrap-derived"] != value["value-nonce"]
    codes = {scene: [int(m["hex"][12:20], 16) for m in MESSAGES if m["scene"] == scene and m["kind"] == "tpm-response"
                     and m["name"] == "TPM2_Rewrap"] for scene in ("rewrap", "rewrap-hardened")}
    assert codes == {"rewrap": [0, 0], "rewrap-hardened": [0x12f, 0x9a4, 0x99d]}, codes
    answers = [m["name"] for m in MESSAGES if m["scene"].startswith("rewrap") and m["kind"] == "http-response"]
    assert [a.split(" ")[1] for a in answers] == ["202", "200", "204", "400", "401"], answers
    for code in (0x12f, 0x9a4, 0x99d, 0x1c4, 0x143):
        assert f"value-rc-{code:x}" in READER.ids, hex(code)


def test_sessions_hide():
    """what sessions hide crosses no TPM message of their chapter, comes back in clear by the shell lines, and what an
    interposer takes depends on a password"""
    lines = [json.loads(line) for line in RUN.read_text(encoding="utf-8").splitlines()]
    at = lines.index({"kind": "scene", "name": "sessions"})
    crossed = "".join(m["hex"] for m in lines[at:] if m["kind"].startswith("tpm-"))
    hidden = [v["hex"] for m in lines[at:] if m["kind"] == "secrets" for v in m["values"]
              if v["name"] in ("salt", "sessionKey", "clear")]
    assert len(hidden) >= 13, hidden
    differ("crosses the bus", [value for value in hidden if value in crossed])
    differ("elsewhere", [m["name"] for m in lines[:at] if m["kind"] == "secrets"])
    value = {v["id"]: v["codes"][-2] for v in READER.values}
    inner = {value["value-policy-inner"], value["value-policy-again"]}
    assert len(inner) == 1 and inner < set(hidden), inner
    assert bytes.fromhex(hidden[hidden.index(value["value-own-newauth"].encode().hex())]) == b"the next owner's"
    for name in ("own-key", "own-command-hash", "own-command-hmac", "own-answer-hmac", "policy-key", "policy-inner-cfb",
                 "policy-inner-stream", "policy-activate-hash", "policy-activate-hmac"):
        assert "value-" + name in value, name
    assert {"kind": "value", "name": "keysTaken", "hex": "02020200"} in lines


def test_two_roads():
    """over AMQP the same keys, blob, token and answers are sent as over HTTPS, and the page has all of it"""
    sent = {v["name"]: bytes.fromhex(v["hex"]) for v in map(json.loads, RUN.read_text(encoding="utf-8").splitlines())
            if v["kind"] == "value" and re.match("(https|amqp)[0-9]", v["name"])}
    first, refused, second, accepted, _, assigned = (sent[n] for n in sorted(sent) if n.startswith("https"))
    tpm = json.loads(first.split(b"\r\n\r\n")[1])["tpm"]
    blob = base64.b64decode(json.loads(refused.split(b"\r\n\r\n")[1])["authenticationKey"])
    amqp = [sent[n] for n in sorted(sent) if n.startswith("amqp")]
    crossed = b"|".join(amqp)
    parts = [b"\0" + base64.b64decode(tpm["endorsementKey"]), b"\0" + base64.b64decode(tpm["storageRootKey"]),
             b"\x80" + blob[:486], b"\xc1" + blob[486:],
             b"\0" + re.search(rb"Authorization: ([^\r]+)", second).group(1),
             accepted.split(b"\r\n\r\n")[1], assigned.split(b"\r\n\r\n")[1]]
    differ("not over AMQP", [part[:20] for part in parts if crossed.count(part) != 1])
    shown = [bytes.fromhex(re.sub("<[^>]+>", "", text)) for text in re.findall(
        '<p class="text">(<code>.*?</code>)</p>', TEXT[TEXT.index('id="amqp"'):TEXT.index('id="wrong"')])]
    assert shown == amqp and len(amqp) > 20, len(shown)


def test_nothing_from_outside():
    """one file: it loads nothing, has no address of another machine, and is not too large"""
    differ("loaded", READER.outside)
    assert not {"img", "iframe", "object", "embed", "video", "audio"} & set(READER.tags)
    differ("address", re.findall(r"https?://[^\s\"<]+|url\([^)]*\)|@import", TEXT))
    assert PAGE.stat().st_size < LARGEST, PAGE.stat().st_size
    note(f"{PAGE.stat().st_size} bytes, {len(READER.hexes)} messages, "
         f"{sum(len(v) for v in READER.hexes.values())} fields, {len(READER.values)} values")


def test_same_page_again():
    """another run and another page are the same, byte for byte"""
    again = BUILD / "walkthrough" / "again"
    run = subprocess.run([BUILD / "walkthrough" / "run"], capture_output=True, check=True)
    again.with_suffix(".jsonl").write_bytes(run.stdout)
    assert run.stdout == RUN.read_bytes(), "the run differs"
    for seed in ("1", "2"):
        subprocess.run([sys.executable, HERE / "walkthrough.py", again.with_suffix(".jsonl"), ATTACKS,
                        again.with_suffix(".html")],
                       check=True, env=dict(os.environ, PYTHONHASHSEED=seed, TZ="Asia/Tokyo"))
        assert again.with_suffix(".html").read_bytes() == PAGE.read_bytes(), "the page differs"


def test_headings_in_order():
    """headings go down one level at a time, and there is one h1"""
    levels = [int(tag[1]) for tag in READER.tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1 and levels[0] == 1
    differ("skipped", [(a, b) for a, b in zip(levels, levels[1:]) if b > a + 1])
