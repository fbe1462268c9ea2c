# SPDX-License-Identifier: MIT
"""The walk-through as one HTML file, from a run; beside it the short one, and beside the run its keys.

Usage: tests/walkthrough/walkthrough.py RUN.jsonl ATTACKS.txt OUT.html
"""
import json
import pathlib
import re
import sys

sys.dont_write_bytecode = True  # this is a source tree
from attacks import what_the_machine_found
from chapters import THREAD, ten_steps
from derive import Derivations
from diagram import Diagram
from failures import what_goes_wrong
from frame import body_of, page
from lab_links import lab_of
from links import file_link, line_of
from page import Page, legend, thread_list
from roads import over_amqp
from short import short_path
from sources import Sources
from transcript import Run

HERE = pathlib.Path(__file__).parent
FOOT = """Made by <code>make walkthrough</code> from a real run of device, service and hub, with libtpms as the TPM;
random numbers
and clock are fixed, so the same sources give the same page. Every value was computed twice: by the programs, and by
the shell
lines, which the tests run. Nothing here is secret: no such device exists."""

FRONT = """<section class="chapter" id="how" aria-labelledby="how-h">
<h2 id="how-h">How to read this</h2>
<p class="lead">A device comes out of the factory with a TPM: a chip that keeps keys and uses them, but does not give
them out.
Somewhere a service waits for it. The device has no password and no certificate, and yet the service can be sure which
device it is. This page shows how, in ten steps, with everything that was sent.</p>
<p>Three words are enough to begin. The <dfn>EK</dfn> is the key that the chip has for life. The <dfn>SRK</dfn> is
the key of
its present owner. The <dfn>nonce</dfn> is a number that the service makes, valid once: it is wrapped so that only
a TPM with
both keys can use it. {notes} has the other words, and the reasons.</p>
<p>Each message is shown as it was sent, in hex. Its fields are coloured and underlined by what they are, and
numbered; the
table below has the same numbers, each field's name in the specification, its value, what it means, and the function
in our
source that wrote or read it.</p>
<ul class="legend" aria-label="Colours and underlines">{legend}</ul>
<p>P1, P2 and P3 are the parts of the TPM 2.0 Library Specification, revision 1.59. Shell lines need openssl, python3
and xxd;
copy one and compare.</p>
<p id="downloads">To look at it with tools of your own: <a href="walkthrough/run.pcapng" download>run.pcapng</a>
for Wireshark, <a href="walkthrough/run.jsonl" download>run.jsonl</a> with all messages, fields and explanations as
JSON, and <a href="walkthrough/keys.json" download>keys.json</a> with what no message shows: the service's
secrets, the random bytes, what sessions hide.</p>
</section>
<section class="chapter" id="thread" aria-labelledby="thread-h">
<h2 id="thread-h">Follow the nonce</h2>
<p class="lead">If you have ten minutes, follow this one number. It is made in the service, goes through the device
into the TPM, and does not come out again, unless software on the device sends <a href="#rewrap">one command too
many</a>. These are its {count} stops; at each, ◂ and ▸ lead to the next.</p>
{lab}<ol class="stops">{thread}</ol>
</section>
<section class="chapter" id="picture" aria-labelledby="picture-h">
<h2 id="picture-h">Who sends what to whom</h2>
<p class="lead">Every arrow is a message of this run and leads to it. ◆ marks where the nonce is. An answer in
italics is a
refusal; the first ones are only “there is no such key yet”.</p>
<figure>{diagram}</figure>
</section>
"""


SUBTITLE = """How a device with a TPM proves who it is, and gets a key that works inside the TPM. One run, every
byte explained; and what goes wrong. In a hurry: <a href="walkthrough-short.html">in one page</a>."""

WRONG = """<section class="chapter" id="wrong" aria-labelledby="wrong-h"><h2 id="wrong-h">What goes wrong</h2>
<p class="lead">The same TPM and the same service, after the run above. Each chapter breaks one thing and shows who
notices, by the answers they really gave.</p></section>"""

# Values of the run that its messages show, too.
DERIVED = re.compile(r"defaultRegistrationId|substatus|keysTaken|(https|amqp)\d\d[a-z]+")


def contents(steps, road, failures):
    front = [("how", "How to read this"), ("thread", "Follow the nonce"), ("picture", "Who sends what to whom")]
    lines = "".join(f'<li><a href="#{anchor}">{title}</a></li>' for anchor, title in front)
    steps = "".join(f'<li><a href="#{c.anchor}"><b>{c.number}</b> {c.title}</a></li>' for c in steps)
    wrong = "".join(f'<li><a href="#{c.anchor}">{c.title}</a></li>' for c in failures)
    return (f"<ul>{lines}</ul><p>The ten steps</p><ul class=numbered>{steps}</ul>"
            f'<p>Another road</p><ul><li><a href="#{road.anchor}">{road.title}</a></li></ul>'
            f'<p><a href="#wrong">What goes wrong</a></p><ul>{wrong}</ul>')


def keys(run, values):
    """What no message shows: the service's secrets, what was drawn, what was derived, what sessions hide."""
    found = [{"name": name, "hex": data.hex()} for name, data in run.values.items() if not DERIVED.fullmatch(name)]
    for exchange in run.exchanges:
        at = exchange.request.anchor
        found += [{"name": name, "before": at, "hex": data.hex()} for name, data in exchange.values.items()]
        for message in exchange.messages:
            found += [{"name": name, "in": message.anchor, "hex": data.hex()}
                      for name, data in message.secrets.items()]
    found += [{"name": name, "at": f"value-{name}", "hex": values[name].data.hex()} for name in ("nonce", "hub-key")]
    return json.dumps(found, indent=1) + "\n"


def build(run_path, attacks_path, out):
    run = Run(run_path)
    values, sources = Derivations(run), Sources()
    whole = Page(sources, values.values)
    steps, failures = ten_steps(run, values), what_goes_wrong(run)
    failures.append(what_the_machine_found(run, attacks_path))
    road = over_amqp(run)
    nonce = {where for where, _, _ in THREAD}
    front = FRONT.format(legend=legend(), thread=thread_list(), count=len(THREAD), diagram=Diagram(run, nonce),
                         notes=file_link("spec-notes.md"), lab=lab_of("thread"))
    main = "".join([front, *map(whole.chapter, [*steps, road]), WRONG, *map(whole.chapter, failures)])
    missing = set(range(1, len(THREAD) + 1)) - whole.stops_placed
    unknown = sources.used - set(line_of())
    if missing or unknown:
        raise SystemExit(f"walkthrough: stops without a place: {sorted(missing)}; no such functions: {sorted(unknown)}")
    out.write_text(page("walkthrough.html", "The walk-through", SUBTITLE, main, FOOT, contents(steps, road, failures),
                        body_of(HERE / "script.js")), encoding="utf-8")
    out.with_name("walkthrough-short.html").write_text(short_path(run, values.values, steps, failures),
                                                       encoding="utf-8")
    pathlib.Path(run_path).with_name("keys.json").write_text(keys(run, values.values), encoding="utf-8")


if __name__ == "__main__":
    build(sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]))
