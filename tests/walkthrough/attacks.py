# SPDX-License-Identifier: MIT
"""What the machine found: the attacks of the model (tests/model), each with its steps in the model's own words, as
model.py printed them, and with what takes it away."""
import pathlib
import re
import sys

from chapters import Chapter, plain_table
from links import file_link

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "model"))

from queries import QUERIES  # noqa: E402

# Queries whose "attack" only shows that the model works: a device registers.
ALIVE = re.compile("works-|restored-registers$|.*-registered$")

HARDENED = 'demand the <a href="#rewrap-hardened">hardened SRK</a>'
SALTED = '<a href="#sessions">salted sessions</a>'
NO_REWRAP = "a TPM without TPM2_Rewrap"
REGISTER = "the next registration: each makes another hub key"
STANDARD = 'Software as root, <a href="#rewrap">standard SRK, TPM with TPM2_Rewrap</a>'
BESIDE = "The same; the hardened SRK is allowed but not demanded"
ANY = 'Software as root, and a service that takes <a href="#software-srk">any key as SRK</a>'

# Query: (who and where, what he gets, what ends it, the queries in which Maude then finds nothing).
TOLD = {
    "nonce-any-srk": (ANY, "the nonce", "the rule of step 5", ["nonce-standard"]),
    "hub-key-any-srk": (ANY, "the hub's key", "the rule of step 5", ["hub-key-standard"]),
    "nonce-standard-rewrap": (STANDARD, "the nonce", f"{HARDENED}; {NO_REWRAP}", ["nonce-hardened", "nonce-standard"]),
    "hub-key-standard-rewrap": (STANDARD, "the hub's key", f"{HARDENED}; {NO_REWRAP}",
                                ["hub-key-hardened", "hub-key-standard"]),
    "signed-root-rewrap": (STANDARD, "a registration that the TPM has not signed", f"{HARDENED}; {NO_REWRAP}",
                           ["signed-root-hardened", "signed-root"]),
    "nonce-hardened-beside-standard": (BESIDE, "the nonce", HARDENED, ["nonce-hardened"]),
    "hub-key-hardened-beside-standard": (BESIDE, "the hub's key", HARDENED, ["hub-key-hardened"]),
    "cleaned-before-registration": ("The same, after the host was cleaned", "tokens, as before", REGISTER,
                                    ["cleaned-after-registration"]),
    "bus-hears-inner-key": ('A <a href="#sniffer">listener on the bus</a>', "the inner key, but not the nonce",
                            SALTED, ["bus-hears-inner-key-salted", "bus-hears-nonce"]),
    "bus-talks-no-passwords": ("A sender on the bus, TPM with TPM2_Rewrap, no passwords", "the nonce",
                               f"{HARDENED}; or passwords that he never hears",
                               ["bus-talks-hardened", "bus-talks-passwords-salted"]),
    "bus-talks-passwords": ("The same; passwords, in clear on the bus", "the nonce",
                            f"{HARDENED}; or {SALTED}", ["bus-talks-hardened", "bus-talks-passwords-salted"]),
    "rogue-service-own-key": ("A false service (TLS is broken)", "a device that works for a hub of his",
                              "TLS; and even so no key of the device, and nothing at the real hub",
                              ["tls-holds-own-key", "rogue-service-hub-key", "rogue-service-real-hub"]),
    "hub-leg-for-an-hour": ("A listener at the hub (TLS is broken there)", "a token, valid until it expires",
                            "TLS; the token's expiry", ["tls-holds", "both-legs-with-clock"]),
    "both-legs-without-clock": ("The same, and he gives a device without a clock the time",
                                "a token that is valid for years, if the hub accepts one", "a clock",
                                ["both-legs-with-clock"]),
    "sold-tokens-before-registration": ("The old owner, after TPM2_Clear", "tokens that he had signed in advance",
                                        REGISTER, ["sold-tokens-after-registration", "sold-keys-after-registration"]),
    "bought-old-blobs-endorsement-srk": (
        "The next owner, of a TPM whose SRK was made in the endorsement hierarchy, which the service cannot see",
        "the old owner's hub key, in use", "an SRK of the owner hierarchy, as the device makes it",
        ["bought-old-blobs"]),
    "restored-hub-key-before-repair": (
        "An earlier version: a hub key from after a back-up that is restored", "use of that key again",
        "random bytes in each registration", ["restored-hub-key", "restored-hub-key-stolen"]),
    "restored-nonce-before-repair": ("The same with a nonce", "one nonce, accepted twice",
                                     "random bytes, and a name for each run of the service", ["restored-nonce"]),
}


def read(path):
    """The attacks as model.py printed them: name → steps."""
    found, steps = {}, None
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        head, step = re.match(r"ok +([\w-]+) +attack ", line), re.match(r" +\d+\. (.*)", line)
        if head:
            steps = found[head.group(1)] = []
        elif step:
            steps.append(step.group(1))
    return {name: steps for name, steps in found.items() if not ALIVE.match(name)}


def must_be_told(found):
    """Each attack has its words, and the model confirms each defence."""
    nothing = {q.name for q in QUERIES if not q.found}
    wanted = {q.name for q in QUERIES if q.found and not ALIVE.match(q.name)}
    unknown = {name for *_, names in TOLD.values() for name in names} - nothing
    if wanted != set(TOLD) or wanted != set(found) or unknown:
        raise SystemExit(f"walkthrough: attacks of the model that differ from those here: "
                         f"{sorted(wanted ^ set(TOLD) | wanted ^ set(found) | unknown)}")


def what_the_machine_found(run, path):
    found = read(path)
    must_be_told(found)
    in_part = ("one-bit", "cleared", "sessions")
    shown = [e for scene, exchanges in run.scenes.items() for e in exchanges if scene not in in_part]
    shown += [e for e in run.scenes["cleared"] if e.request.name == "TPM2_Clear"]
    first = {e.request.name: e.request.anchor for e in reversed(shown)}

    def step(text):
        return re.sub(r"TPM2_\w+", lambda m: f'<a href="#{first[m.group()]}">{m.group()}</a>', text)
    rows = []
    for name, (who, what, end, nothing) in TOLD.items():
        steps = "".join(f"<li>{step(text)}</li>" for text in found[name])
        rows.append((f'<span id="attack-{name}">{who}</span>', what, f"<ol>{steps}</ol>",
                     f"{end} ({', '.join(f'<code>{n}</code>' for n in nothing)})"))
    return Chapter(
        "attacks", None, "What the machine found", "",
        "The chapters above show attacks that somebody thought of. A program can look for the others: "
        f'{file_link("tests/model/README.md", "tests/model")} holds the protocol as a set of rules, also for what each '
        "TPM command gives to whom, and Maude tries everything that an attacker can do with them. These are the "
        "attacks that it finds, step by step in the model's words. The last column says what prevents an attack, "
        "with the queries for which Maude then finds none.",
        [("html", plain_table("Attacks, found by <code>make model</code>",
                              ("Who", "What he gets", "How", "What ends it"), rows))])
