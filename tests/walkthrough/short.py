# SPDX-License-Identifier: MIT
"""The short path: the ten steps and the nonce on one page, without the bytes of everything else."""
from chapters import THREAD
from frame import page

WHOLE = "walkthrough.html"
SHOWN = 24  # bytes of a stop

# One sentence for each chapter of what goes wrong.
FAILURES = {
    "wrong-template": "The same chip with another template has another EK, and the service does not know it.",
    "one-bit": "Wherever a bit of the challenge is wrong, one of its layers notices.",
    "software-srk": "Software that names a key of its own as SRK is refused, by the service or by the TPM.",
    "rewrap": "With the standard SRK, software on the device can take nonce and hub key out of a TPM that has "
              "TPM2_Rewrap.",
    "rewrap-hardened": "With the hardened SRK it cannot.",
    "replay": "A nonce succeeds once. The same request again is refused.",
    "cleared": "After TPM2_Clear the EK is the same and the SRK another: the device is recognised, and old keys are "
               "dead.",
    "sniffer": "A listener on the bus sees the inner key, which opens one wrap of two.",
    "sessions": "In sessions he does not see even that; who can send commands needs a password as well.",
    "attacks": "What a program finds that tries everything.",
}


def away(text):
    """Links within the whole, from here."""
    return text.replace('href="#', f'href="{WHOLE}#')


def places(chapter):
    """The anchors of messages and values that a chapter shows."""
    found = []
    for block in chapter.blocks:
        if block[0] == "messages":
            found += [m.anchor for m in block[2]]
        elif block[0] == "html":
            found += ["verify"] if 'data-stop="verify"' in block[1] else []
        else:
            found += [f"value-{n if isinstance(n, str) else n.name}" for n in block[3]]
    return found


def bytes_of(run, values, where, field):
    if where == "verify":
        return ""
    data = values[where[6:]].data if where.startswith("value-") else run.by_anchor(where).get(field)
    data = data.split(b'":"')[-1]  # without the name of a JSON member
    more = f" … {len(data)} bytes" if len(data) > SHOWN else ""
    if field in ("authenticationKey", "sig"):
        return f"<q>{data[:SHOWN].decode()}{more}</q>"
    return f"<code>{data[:SHOWN].hex(' ')}{more}</code>"


def commands(chapter):
    """The questions of a chapter, each a link."""
    asked = [e.request for b in chapter.blocks if b[0] == "messages" for e in [b[1]] if e.request in b[2]]
    links = [f'<a href="{WHOLE}#{m.anchor}">{m.name.split("?")[0].split(" HTTP")[0].replace("TPM2_", "")}</a>'
             for m in asked]
    return f'<p class="by">Sent: {", ".join(links)}</p>' if links else ""


def step(run, values, chapter, stops):
    lines = "".join(f'<li value="{n}"><a href="{WHOLE}#nonce-{n}">{text}</a><br>'
                    f"{bytes_of(run, values, where, field)}</li>" for n, (where, field, text) in stops)
    return (f'<section class="chapter brief" id="{chapter.anchor}"><p class="who">{chapter.who}</p>'
            f'<h2><span class="number">{chapter.number}</span> '
            f'<a href="{WHOLE}#{chapter.anchor}">{chapter.title}</a></h2><p>{away(chapter.lead)}</p>'
            + (f'<ol class="stops" aria-label="The nonce">{lines}</ol>' if lines else "")
            + commands(chapter) + "</section>")


def short_path(run, values, steps, failures):
    left = list(enumerate(THREAD, 1))
    parts = []
    for chapter in steps:
        here = [stop for stop in left if stop[1][0] in places(chapter)]
        left = [stop for stop in left if stop not in here]
        parts.append(step(run, values, chapter, here))
    if left or {c.anchor for c in failures} != set(FAILURES):
        raise SystemExit(f"walkthrough: not on the short path: {left}; or FAILURES has other chapters")
    wrong = "".join(f'<li><a href="{WHOLE}#{c.anchor}">{c.title}</a>. {FAILURES[c.anchor]}</li>' for c in failures)
    parts.append('<section class="chapter brief" id="wrong"><h2>What goes wrong</h2><p>Each breaks one thing, and the '
                 f"answers are those that this run got.</p><ul>{wrong}</ul></section>")
    return page("walkthrough-short.html", "The walk-through in one page",
                f'Ten steps, and the one number that carries the proof. All bytes, and what each of them means, are in '
                f'<a href="{WHOLE}">the whole</a>; every title leads there.', "".join(parts),
                "Made by <code>make walkthrough</code> from the same run as the whole.")
