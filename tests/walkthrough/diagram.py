# SPDX-License-Identifier: MIT
"""The sequence diagram: one arrow a message, drawn from the run, each leading to its message."""
from html import escape

LINES = {"vendor": 40, "device": 134, "TPM": 262, "service": 386, "hub": 460}
WIDTH, BAND, ASK, ANSWER = 500, 30, 24, 17
TITLES = {1: "The vendor reads the EK", 2: "and enrolls it", 3: "An owner takes the TPM", 4: "The device asks",
          5: "The service looks at the keys", 6: "The challenge", 7: "The TPM opens it", 8: "The device proves itself",
          9: "The service verifies and assigns", 10: "The hub"}


def chapter_of(message, scene):
    """The step under which the page shows a message: what the device reads at boot belongs to step 4."""
    if scene == "owner":
        return 3
    if scene == "send":
        return 10
    if message.kind == "http-response" and message.step == 4:
        return 6
    if message.kind == "http-response" and message.step == 8:
        return 9
    return 4 if scene == "register" and message.step < 4 else message.step


def ends(message, scene):
    """From whom to whom the question goes."""
    asks = "vendor" if scene in ("vendor", "enrollment") else "device"
    if message.kind.startswith("tpm"):
        return asks, "TPM"
    return asks, "hub" if message.step == 10 else "service"


def label(message):
    if message.kind == "tpm-command":
        return message.name.replace("TPM2_", "")
    if message.kind == "tpm-response":
        return "done" if message.code == 0 else message.find("responseCode").value_name.replace("TPM_RC_", "")
    if message.kind == "http-request":
        method, target = message.name.split(" ")[:2]
        last = target.split("?")[0].split("/")
        return f"{method} …/{last[-1] if last[-2] != 'operations' else 'operations'}"
    return message.name.split(" ", 1)[1]


class Diagram:
    def __init__(self, run, nonce):
        self.y, self.parts, self.step = 34, [], 0
        for scene in ("vendor", "enrollment", "owner", "register", "send"):
            for exchange in run.scenes[scene]:
                for message in (exchange.request, exchange.response):
                    self.bands(chapter_of(message, scene))
                    asks = message is exchange.request
                    inside = exchange.token if asks else exchange.blob
                    marked = message.anchor in nonce or inside is not None and inside.anchor in nonce
                    self.arrow(message, scene, asks, marked)
        self.y += 14

    def bands(self, step):
        """Where a step begins; step 5 has no message."""
        while self.step < step:
            self.step += 1
            self.y += BAND
            self.parts.append(
                f'<a href="#step-{self.step}"><rect class="band" x="0" y="{self.y - 21}" width="{WIDTH}" height="22" '
                f'rx="4"/>'
                f'<text class="step" x="8" y="{self.y - 6}">{self.step}  {TITLES[self.step]}</text></a>')
            self.y += 3

    def arrow(self, message, scene, asks, nonce):
        """A question is a solid line, an answer a dashed one."""
        left, right = (LINES[end] for end in ends(message, scene))
        self.y += ASK if asks else ANSWER
        tip, back = (right - 2, -7) if asks else (left + 2, 7)
        name = ("◆ " if nonce else "") + label(message)
        side, at = ("start", left + 8) if asks else ("end", right - 8)
        bad = message.kind == "tpm-response" and message.code != 0 or (message.status or 0) >= 400
        classes = f"arrow{'' if asks else ' answer'}{' nonce' if nonce else ''}{' no' if bad else ''}"
        self.parts.append(
            f'<a href="#{message.anchor}" class="{classes}"><title>{escape(message.name)}, {len(message.bytes)} bytes'
            f'{", " + escape(message.what) if asks else ""}</title>'
            f'<rect class="hit" x="{left}" y="{self.y - 12}" width="{right - left}" height="15"/>'
            f'<path class="shaft" d="M{left + 2 if asks else right - 2} {self.y}H{tip}"/>'
            f'<path d="M{tip + back} {self.y - 3.5}L{tip} {self.y}l{back} 3.5"/>'
            f'<text x="{at}" y="{self.y - 3}" text-anchor="{side}">{escape(name)}</text></a>')

    def __str__(self):
        lines = "".join(f'<path class="life" d="M{x} 24V{self.y}"/><text class="who" x="{x}" y="15" '
                        f'text-anchor="middle">{name}</text>' for name, x in LINES.items())
        return (f'<svg class="sequence" viewBox="0 0 {WIDTH} {self.y}" role="group" aria-labelledby="seq-title '
                f'seq-desc">'
                '<title id="seq-title">Who sends what to whom</title><desc id="seq-desc">A sequence diagram of five '
                'parties: '
                'vendor, device, TPM, service and hub. Each arrow is a link to its message. Messages that carry the '
                'nonce are '
                f'marked with a diamond.</desc>{lines}{"".join(self.parts)}</svg>')
