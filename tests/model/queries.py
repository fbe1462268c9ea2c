# SPDX-License-Identifier: MIT
"""The questions to the model and their answers: an attack that must be found, or that there is none.

A query has a name, the flags that hold (dps.maude: "Who may do what"; sessions.maude: "What a query is about"), what
the attacker wants, and whether he gets it. copies: how many blobs he may have of each key; not in sessions.maude."""

from collections import namedtuple

DPS, SESSIONS = "dps.maude", "sessions.maude"
Query = namedtuple("Query", "name flags goal found copies model", defaults=(1, DPS))


def state(*facts, condition="true"):
    """A state in which all these facts hold. Z becomes the steps that led to them, one fact after the other."""
    return (f"< P:Service, C, {{F | {' ; '.join(facts)} ; S | W}} > such that {condition} "
            f"/\\ Z := explain(({', '.join(facts)}), W, done)")


def hub_token(expiry, *facts, condition="true", leaves_first=False):
    """He gets a token that the hub takes now, when these facts hold. leaves_first: he made it before them."""
    told = ["L", *facts] if leaves_first else [*facts, "L"]
    return (f"< service(s G, N, U, E'), C, {{F | {' ; '.join([*facts, 'S'])} | W}} > such that {condition} "
            f"/\\ L := token(hubKeyOf(F, service(s G, N, U, E')), telemetry(hubA, {expiry}), S) /\\ L =/= nil "
            f"/\\ Z := explain(({', '.join(told)}), W, done)")


NONCE = state("nonce(I, N, U, A)")
HUB_KEY = state("hubKey(I, N)")
INNER_KEY = state("inner(nonce(I, N, U, A), B, J)")
TWICE = state("accepted(G, X, A)", "twice")
RESTORED_TWICE = state("accepted(G, X, A)", "restored", "twice")
FOREIGN_SRK = state("accepted(G, X, A)", condition="new(in(tpmD, A), S)")
OWN_KEY = state("mac(chosen, telemetry(rogueHub, soon))")


def accepted(generation):
    return state(f"accepted({generation}, X, A)")


NETWORK = "otherTpm serviceLeg hubLeg busHears clockless"
EVERYTHING = "root " + NETWORK
REGISTERED_SINCE = hub_token("far", "cleared", "accepted(G, X, A)", condition="A == srk(1)")
LEAVES = "root otherTpm standard registrations(2)"
RESOLD = f"{LEAVES} clearTo(honest otherTpm standard registrations(2))"
RESELLER = "serviceLeg busHears standard registrations(1) clearTo(root otherTpm standard registrations(1))"
RESTORED = "root standard registrations(2) restoreTo(honest standard registrations(2))"
CLEANED = "root rewrap standard registrations(2) cleanTo(honest standard registrations(2))"
REPLAYED = "serviceLeg standard registrations(2) restoreTo(standard registrations(2))"


def bare(flags):
    """The same before the repair, when nothing random entered the keys."""
    return flags.replace("standard", "standard bare")


BUS = "busHears busTalks otherTpm rewrap registrations(1)"

QUERIES = [
    # Agreement: what registers was signed in tpmD, under the SRK named, for this generation, once.
    Query("signed-network", f"{NETWORK} standard rewrap silent(0) registrations(1)", accepted(0), False, 2),
    Query("signed-root", f"{EVERYTHING} standard silent(0) registrations(1)", accepted(0), False, 2),
    Query("signed-root-rewrap", f"{EVERYTHING} standard rewrap silent(0) registrations(1)", accepted(0), True),
    Query("signed-root-hardened", f"{EVERYTHING} hardened rewrap silent(0) registrations(1)", accepted(0), False),
    Query("signed-again-root", f"{EVERYTHING} standard silent(1) registrations(2)", accepted(1), False),
    Query("srk-in-the-tpm", f"{NETWORK} standard rewrap registrations(2)", FOREIGN_SRK, False),
    Query("once", f"{EVERYTHING} standard registrations(2)", TWICE, False),
    # Secrecy of nonce and hub key, by the rule for SRKs and the TPM.
    Query("nonce-any-srk", "root registrations(1)", NONCE, True),
    Query("hub-key-any-srk", "root registrations(1)", HUB_KEY, True),
    Query("nonce-standard-rewrap", "root standard rewrap registrations(1)", NONCE, True),
    Query("hub-key-standard-rewrap", "root standard rewrap registrations(1)", HUB_KEY, True),
    Query("nonce-standard", f"{EVERYTHING} standard registrations(2)", NONCE, False),
    Query("hub-key-standard", f"{EVERYTHING} standard registrations(2)", HUB_KEY, False),
    Query("nonce-hardened", f"{EVERYTHING} hardened rewrap registrations(2)", NONCE, False),
    Query("hub-key-hardened", f"{EVERYTHING} hardened rewrap registrations(2)", HUB_KEY, False),
    Query("nonce-hardened-beside-standard", "root standard hardened rewrap registrations(1)", NONCE, True),
    Query("hub-key-hardened-beside-standard", "root standard hardened rewrap registrations(1)", HUB_KEY, True),
    Query("nonce-other-tpm", f"{NETWORK} standard rewrap registrations(2)", NONCE, False),
    # After TPM2_Clear: the old owner's tokens, the new owner with the old blobs.
    Query("sold-tokens-before-registration", "root standard registrations(1) clearTo(standard registrations(1))",
          hub_token("far", "cleared", leaves_first=True), True),
    Query("sold-tokens-after-registration", RESOLD, REGISTERED_SINCE, False),
    Query("sold-keys-after-registration", RESOLD.replace("root otherTpm", "root rewrap"), REGISTERED_SINCE, False),
    Query("sold-is-registered", RESOLD, state("cleared", "accepted(G, X, A)", condition="A == srk(1)"), True),
    Query("bought-old-blobs", RESELLER,
          hub_token("far", "accepted(I, X, A)", "cleared", condition="A == srk(0)"), False),
    Query("bought-was-registered", RESELLER, state("accepted(I, X, A)", "cleared", condition="A == srk(0)"), True),
    Query("bought-old-blobs-endorsement-srk", RESELLER,
          hub_token("far", "accepted(I, X, A)", "cleared",
                    condition="A == key(tpmD, endorsement, srkA, noPolicy)"), True),
    # The host is cleaned of the attacker, and the TPM not cleared.
    Query("cleaned-before-registration", CLEANED,
          hub_token("far", "cleaned(J)", condition="J == E'", leaves_first=True), True),
    Query("cleaned-after-registration", CLEANED, hub_token("far", "cleaned(J)", condition="J < E'"), False),
    Query("cleaned-is-registered", CLEANED, state("cleaned(1)", "accepted(1, X, A)"), True),
    # Broken TLS, and a service that is not ours.
    Query("rogue-service-nonce", "serviceLeg clockless otherTpm standard rewrap registrations(2)", NONCE, False, 2),
    Query("rogue-service-hub-key", "serviceLeg clockless otherTpm standard rewrap registrations(2)", HUB_KEY,
          False),
    Query("rogue-service-own-key", "serviceLeg standard registrations(1)", OWN_KEY, True),
    Query("rogue-service-real-hub", "serviceLeg clockless otherTpm standard registrations(2)", hub_token("soon"),
          False),
    Query("tls-holds", "otherTpm honest standard registrations(2)", hub_token("soon"), False),
    Query("tls-holds-own-key", "otherTpm honest standard registrations(2)", OWN_KEY, False),
    Query("hub-leg-for-an-hour", "hubLeg honest standard registrations(1)", hub_token("soon"), True),
    Query("both-legs-with-clock", "serviceLeg hubLeg otherTpm standard registrations(2)", hub_token("far"), False),
    Query("both-legs-without-clock", "serviceLeg hubLeg clockless standard registrations(1)", hub_token("far"), True),
    # A back-up that was restored.
    Query("restored-hub-key-before-repair", bare(RESTORED), hub_token("far", "restored", leaves_first=True), True),
    Query("restored-hub-key", RESTORED, hub_token("far", "restored"), False),
    Query("restored-hub-key-stolen", RESTORED.replace("root", "root rewrap"), hub_token("far", "restored"), False),
    Query("restored-nonce-before-repair", bare(REPLAYED), RESTORED_TWICE, True),
    Query("restored-nonce", REPLAYED, RESTORED_TWICE, False),
    Query("restored-registers", RESTORED, state("restored", "accepted(G, nonce(0, 0, 1, A), A)"), True),
    # The bus: an attacker who listens, or talks; sessions in clear and salted.
    Query("bus-hears-inner-key", "busHears standard registrations(1)", INNER_KEY, True),
    Query("bus-hears-inner-key-salted", "busHears salted standard registrations(1)", INNER_KEY, False),
    Query("bus-hears-nonce", "busHears otherTpm standard rewrap registrations(2)", NONCE, False),
    Query("bus-talks-no-passwords", f"{BUS} standard salted", NONCE, True),
    Query("bus-talks-passwords", f"{BUS} standard passwords", NONCE, True),
    Query("bus-talks-passwords-salted", f"{BUS} standard passwords salted", NONCE, False),
    Query("bus-talks-hardened", f"{BUS} hardened", NONCE, False),
    # The model is alive: what should work does.
    Query("works-standard", f"{EVERYTHING} standard registrations(2)", accepted(1), True),
    Query("works-hardened", f"{EVERYTHING} hardened rewrap registrations(2)", accepted(1), True),
    Query("works-relayed", "serviceLeg standard registrations(2)", accepted(1), True),
]



def session(name, flags, wanted, found):
    """wanted: what he is to know, or a whole state."""
    goal = wanted if wanted.startswith("<") else f"< F | D | I | T | {wanted} ; S >"
    return Query(f"session-{name}", f"{flags} sessions(4)", goal, found, 0, SESSIONS)


# Handles, nonces and keys of sessions.
SESSION_QUERIES = [
    session("inner-key-heard", "registers", "inner", False),
    session("inner-key-heard-passwords", "registers passwords", "inner", False),
    session("inner-key-no-passwords", "registers talks", "inner", True),
    session("inner-key", "registers passwords talks weak", "inner", False),
    session("password", "registers passwords talks weak", "password", False),
    session("others-policy-session", "registers passwords talks",
            "< F | D | I | T session(H, policy, nokey, U, true) | S >", False),
    # Before the service has seen EK_pub.
    session("password-derived-ek", "registers passwords derived weak", "password", True),
    session("password-derived-ek-strong", "registers passwords derived talks", "password", False),
    session("own-any-ek", "owns talks", "newPassword", True),
    session("own-any-ek-old-password", "owns passwords talks weak", "password", True),
    session("own-known-ek", "owns talks named", "newPassword", False),
    session("own-known-ek-old-password", "owns passwords talks named weak", "password", False),
    # What should work does.
    session("works", "registers", "< F | done | I | T | S >", True),
    session("works-passwords", "registers passwords", "< F | done | I | T | S >", True),
    session("works-own", "owns passwords named", "< F | own | I | T | S >", True),
]

# The same with larger bounds, where there is to be no attack: model.py larger.
LARGER = [q._replace(name=f"{q.name}-larger", flags=q.flags.replace("registrations(2)", "registrations(3)"), copies=2)
          for q in QUERIES if not q.found and "registrations(2)" in q.flags]
