# SPDX-License-Identifier: MIT
"""Messages, fields and values as HTML. The page is complete without its script and its style."""
import re
from html import escape

from chapters import COMMANDS, IN_SESSIONS, THREAD
from lab_links import lab_of
from links import source_link
from transcript import KINDS

DIRECTIONS = {"tpm-command": "to the TPM", "tpm-response": "from the TPM", "http-request": "to the {}",
              "http-response": "from the {}", "sas-token": "inside the request",
              "activation-blob": "inside the answer"}
# The first messages show at once what an explanation looks like.
KEPT_OPEN = ("vendor-readpublic-1-command", "vendor-readpublic-1-response")
LONG = 128
SHORT = 8  # bytes that the table shows of a field


def spaced(data):
    return data.hex(" ")


def printable(data):
    return len(data) > 3 and all(32 <= b < 127 or b in (9, 10, 13) for b in data)


def shown_text(data):
    """Line ends made visible."""
    return escape(data.decode("utf-8", "replace")).replace("\r\n", "⏎\n")


def part_shown(data):
    """One input of a value; a long one is whole only in the shell line."""
    if len(data) > LONG:
        return f"<code>{spaced(data[:LONG // 4])} …</code> {len(data)} bytes, whole in the line below"
    text = data[2:] if data[:2] == len(data[2:]).to_bytes(2, "big") else data
    return f"<code>{spaced(data)}</code>" + (f" <q>{shown_text(text)}</q>" if printable(text) else "")


class Page:
    def __init__(self, sources, values):
        self.sources, self.values = sources, values
        self.stops = {(where, field): number for number, (where, field, _) in enumerate(THREAD, 1)}
        self.stops_placed = set()

    # ---- The thread of the nonce ----

    def stop(self, where, path=None):
        """The mark of a stop, with links to its neighbours; empty where there is none."""
        number = self.stops.get((where, path))
        if not number:
            return ""
        self.stops_placed.add(number)
        back = (f'<a href="#nonce-{number - 1}" aria-label="the nonce: back to stop {number - 1}">◂</a> '
                if number > 1 else "")
        on = (f' <a href="#nonce-{number + 1}" aria-label="the nonce: on to stop {number + 1}">▸</a>'
              if number < len(THREAD) else "")
        return f'<span class="thread" id="nonce-{number}">{back}<b>◆ nonce {number}/{len(THREAD)}</b>{on}</span>'

    def stop_of(self, message, field):
        for where, path in self.stops:
            if where == message.anchor and path and (field.path == path or field.path.endswith("." + path)):
                return self.stop(where, path)
        return ""

    # ---- A message ----

    def leaf(self, message, field, number, text, hot, flipped):
        kind = field.kind(message.text)
        classes = f"b k-{kind}{' k-nonce' if hot else ''}{' k-flip' if flipped else ''}"
        data = message.bytes[field.offset:field.offset + field.length]
        return (f'<a class="{classes}" href="#{message.anchor}-{number}" data-n="{number}" tabindex="-1">'
                f"{self.first_kept(shown_text(data) if text else spaced(data), number, text)}</a>")

    @staticmethod
    def first_kept(shown, number, text):
        """The number stays with the first byte, wherever the line breaks."""
        head = re.match("&\\w+;|.", shown).end() if text else 2
        return f'<i data-n="{number}">{shown[:head]}</i>{shown[head:]}'

    def fill_with_pattern(self, message, flip):
        """The bytes, each in exactly one leaf; of text also as text."""
        hot = {f.number for f in message.leaves if self.is_hot(message, f)}
        wrong = self.flipped(message, flip)

        def view(text):
            return (" " if not text else "").join(
                self.leaf(message, f, n, text, f.number in hot, f is wrong) for n, f in enumerate(message.leaves, 1))
        hexes = f'<div class="hex" data-message="{message.anchor}">{view(False)}</div>'
        if not message.text:
            return hexes
        return (f'<div class="text">{view(True)}</div><details open class="fold" data-fold><summary>The same '
                f"{len(message.bytes)} bytes in hex</summary>{hexes}</details>")

    def is_hot(self, message, field):
        return any(where == message.anchor and path and ("." + field.path).endswith("." + path)
                   for where, path in self.stops)

    @staticmethod
    def flipped(message, flip):
        if not flip:
            return None
        found = [f for f in message.leaves if flip["field"] in f.path.split(".") and f.name != "size"]
        return found[-1] if found and message.kind != "tpm-response" else None

    @staticmethod
    def short_bytes(message, field):
        data = message.bytes[field.offset:field.offset + field.length]
        if message.text:
            text = data.decode("utf-8", "replace").strip()
            return f"<q>{escape(text[:36])}{'…' if len(text) > 36 else ''}</q>"
        return f"<code>{spaced(data[:SHORT])}{' …' if len(data) > SHORT else ''}</code>"

    @staticmethod
    def value_of(field):
        if field.masked:
            return "<b>hidden</b> "
        if field.value is None:
            return f"{field.length} bytes. " if field.length > SHORT else ""
        if field.value_name:
            return f"<b>{escape(field.value_name)}</b> · "
        return f"<b>{'0x%08x' % field.value if field.type.startswith('TPMA_OBJECT') else field.value}</b> · "

    def row(self, message, exchange, field, number, flip):
        bits = "".join(f'<li><code>{b["name"]}</code> {escape(b["meaning"])}</li>' for b in field.bits)
        meaning = self.value_of(field) + escape(field.meaning or "") + (f'<ul class="bits">{bits}</ul>' if bits else "")
        if field is self.flipped(message, flip):
            meaning += ' <strong class="flip">One bit of these bytes is wrong.</strong>'
        indent = f' style="--d:{field.depth}"' if field.depth else ""
        name = f'<span class="name"{indent}>{escape(field.name)}</span> <span class="type">{escape(field.type)}</span>'
        if not (field.leaf and field.length):
            return ('<tr class="group"><td></td>'
                    f'<th colspan="2" scope="rowgroup">{name}</th><td>{meaning}</td><td></td></tr>')
        where = "".join(source_link(s) for s in self.sources.field(message, exchange, field))
        spec = f'<span class="spec">{escape(field.spec)}</span> ' if field.spec else ""
        return (f'<tr id="{message.anchor}-{number}" class="k-{field.kind(message.text)}"><td '
                f'class="n"><i>{number}</i></td>'
                f'<th scope="row">{name}</th><td class="v">{self.short_bytes(message, field)}</td>'
                f"<td>{meaning}{self.stop_of(message, field)}</td><td>{spec}{where}</td></tr>")

    def table(self, message, exchange, flip):
        rows, number = "", 0
        for field in message.fields:
            number += bool(field.leaf and field.length)
            rows += self.row(message, exchange, field, number, flip)
        return ('<table class="fields"><colgroup><col class="c1"><col class="c2"><col class="c3"><col><col '
                'class="c5"></colgroup><thead><tr><th scope="col">№</th><th scope="col">Field</th><th '
                'scope="col">Bytes</th>'
                f'<th scope="col">Value and meaning</th><th '
                f'scope="col">Where</th></tr></thead><tbody>{rows}</tbody></table>')

    def message(self, message, exchange):
        hub = "hub" if message.step == 10 else "service"
        direction = DIRECTIONS[message.kind].format(hub)
        title = {"tpm-command": "Command", "tpm-response": "Response", "http-request": "Request",
                 "http-response": "Answer",
                 "sas-token": "The SAS token", "activation-blob": "The activation blob"}[message.kind]
        outcome = ""
        if message.code is not None:
            outcome = f' · {message.find("responseCode").value_name}'
        elif message.status:
            outcome = " · " + escape(message.name.split(" ", 1)[1])
        flip = exchange.flip
        by = self.by(message, exchange)
        keep = " data-keep" if message.anchor in KEPT_OPEN else ""
        return (f'<article class="message {message.kind}" id="{message.anchor}" aria-labelledby="{message.anchor}-h">'
                f'<h4 id="{message.anchor}-h">{title} <span class="dir">{direction}, {len(message.bytes)} '
                f'bytes{outcome}</span></h4>'
                f'{f"<p class=by>{escape(message.sessions)}</p>" if message.sessions else ""}'
                f'{self.fill_with_pattern(message, flip)}'
                f'<details open class="fold" data-fold{keep}><summary>{len(message.leaves)} fields, one by '
                f'one</summary>{self.table(message, exchange, flip)}</details><p class="by">{by}</p></article>')

    def by(self, message, exchange):
        names = self.sources.message(message, exchange)
        if message.kind in ("tpm-command", "activation-blob"):
            groups = [("Written by", names)]
        elif message.kind == "tpm-response":
            groups = [("Read by", names)]
        else:
            groups = [("Written by", names[:1]), ("Read by", names[1:])]
        return " · ".join(f"{verb} " + ", ".join(source_link(n) for n in some) for verb, some in groups if some)

    def messages(self, exchange, messages):
        request = exchange.request
        name = request.name if request.kind == "tpm-command" else request.name.split("?")[0].replace(" HTTP/1.1", "")
        what = escape(request.what)
        if exchange.flip:
            what = f"One bit is wrong: {escape(exchange.flip['what'])}"
        notes = dict(COMMANDS, **IN_SESSIONS) if request.scene == "sessions" else COMMANDS
        note = notes.get(request.name, "")
        return (f'<section class="exchange"><h3>{escape(name)}<small>{what}</small></h3>'
                + (f"<p>{note}</p>" if note else "")
                + "".join(self.message(m, exchange) for m in messages) + "</section>")

    # ---- A value ----

    def value(self, value):
        parts = "".join(f"<div><dt>{escape(label)}</dt><dd>{part_shown(data)}</dd></div>" for label,
                        data in value.parts)
        stop = self.stop(f"value-{value.name}")
        source = "".join(source_link(s) for s in self.sources.note(value.source))
        spec = f'<span class="spec">{value.spec}</span> ' if value.spec else ""
        text = f" <q>{shown_text(value.data)}</q>" if isinstance(value.data, bytes) and printable(value.data) else ""
        return (f'<section class="value{" hot" if value.nonce else ""}" '
                f'id="value-{value.name}"><h4>{escape(value.title)}</h4>'
                f"<p>{value.why} {stop}</p>{f'<dl>{parts}</dl>' if parts else ''}"
                f'<p class="result"><span class="eq">=</span> <code>{value.shown}</code>{text}</p>'
                f'<details open class="fold" data-fold><summary>Compute it yourself</summary>'
                f'<pre class="shell"><code>{escape(value.shell)}</code></pre></details>'
                f'<p class="by">{spec}{source}</p></section>')

    def block(self, block):
        if block[0] == "messages":
            return self.messages(*block[1:])
        if block[0] == "html":
            return block[1].replace('<p class="stop" data-stop="verify">',
                                    '<p class="stop">' + self.stop("verify") + " ")
        kind, heading, text, names = block
        shown = "".join(self.value(self.values[n] if isinstance(n, str) else n) for n in names)
        if kind == "folded":
            shown = f'<details open class="fold" data-fold><summary>{len(names)} values</summary>{shown}</details>'
        return f'<section class="values"><h3>{heading}</h3>{f"<p>{text}</p>" if text else ""}{shown}</section>'

    def chapter(self, chapter):
        number = f'<span class="number">{chapter.number}</span> ' if chapter.number else ""
        who = f'<p class="who">{chapter.who}</p>' if chapter.who else ""
        return (f'<section class="chapter" id="{chapter.anchor}" aria-labelledby="{chapter.anchor}-h">{who}'
                f'<h2 id="{chapter.anchor}-h">{number}{chapter.title}</h2><p class="lead">{chapter.lead}</p>'
                + lab_of(chapter.anchor) + "".join(self.block(b) for b in chapter.blocks) + "</section>")


def legend():
    return "".join(f"<li><span class=\"b k-{kind}\"><i data-n=\"{n}\">00</i> 0{n}</span> {text}</li>"
                   for n, (kind, text) in enumerate(KINDS.items(), 1))


def thread_list():
    return "".join(f'<li><a href="#nonce-{n}">{text}</a></li>' for n, (_, _, text) in enumerate(THREAD, 1))
