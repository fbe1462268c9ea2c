# SPDX-License-Identifier: MIT
"""From a chapter of the walk-through to the same in the lab, and back."""
import re

from sources import ROOT

# Scene of the lab: the chapter that shows the same, or what is nearest to it.
CHAPTER_OF = {
    "ordinary": "thread", "wrong-template": "wrong-template", "software-srk": "software-srk",
    "lying-srk": "software-srk", "rewrap": "rewrap", "rewrap-hardened": "rewrap-hardened", "replay": "replay",
    "cleared": "cleared", "resale": "cleared", "listens": "sniffer", "listens-sessions": "sessions",
    "acts": "sessions", "acts-sessions": "sessions", "own-ek": "sessions", "rogue": "attacks", "slow-clock": "step-8",
    "wrong-date": "attacks", "restored": "attacks",
}


def titles():
    """Scene → its title, from the lab's own list."""
    text = (ROOT / "tests/lab/scenes.c").read_text(encoding="utf-8")
    found = dict(re.findall(r'^    \{"([\w-]+)", "([^"]+)",', text, re.M))
    if set(found) != set(CHAPTER_OF):
        raise SystemExit(f"walkthrough: scenes of the lab without a chapter: {sorted(set(found) ^ set(CHAPTER_OF))}")
    return found


def lab_of(anchor):
    """A line for the end of a chapter's lead, or nothing. A step is a stage of the first scene."""
    step = re.fullmatch(r"step-(\d+)", anchor)
    links = [(f"ordinary-{step.group(1)}", "this step")] if step else []
    links += [("ordinary-6", "change any bit of the challenge yourself")] if anchor == "one-bit" else []
    links += [(scene, title) for scene, title in titles().items() if CHAPTER_OF[scene] == anchor]
    text = "; ".join(f'<a href="lab.html#{scene}">{title}</a>' for scene, title in links)
    return f'<p class="try">In the lab: {text}.</p>' if links else ""
