# SPDX-License-Identifier: MIT
"""What goes wrong: the chapters after the ten steps. Every answer is the one that this run got."""
from html import escape

from answers import link, rc_value, refusal, response_name
from chapters import Chapter, part, plain_table, whole
from derive import sniffed
from rewrap import hardened_srk, one_command_too_many
from sessions import in_sessions

WHY = {
    "integrityHMAC": "The HMAC no longer agrees with the ciphertext and the SRK's Name.",
    "encIdentity": "The HMAC is checked before anything is decrypted.",
    "secret": "The EK decrypts, but the OAEP padding is wrong: there is no seed. (This code is libtpms's; another TPM "
              "may use another.)",
    "integrityOuter": "The outer HMAC no longer agrees.",
    "dupSensitive": "The outer HMAC is checked before anything is decrypted.",
    "inSymSeed": "The SRK decrypts, but the OAEP padding is wrong.",
    "unique": "The key then has another Name, and both wraps contain the Name.",
    "encryptionKey": "The outer wrap opens; decrypted with the wrong inner key, the rest has no sensible size.",
    "inPrivate": "The TPM also protects with an HMAC what it gives out.",
    "sig": "The service computes another HMAC. It refuses, and does not offer a new challenge: clients would "
           "answer for ever.",
}


def wrong_template(run):
    made, refused = run.scenes["wrong-template"]
    first = run.by_anchor("vendor-createprimary-1-response").get("unique.buffer")
    other = made.response.get("unique.buffer")
    assert first != other
    code, text = refusal(refused.response)
    return Chapter(
        "wrong-template", None, "The wrong EK template", "",
        "The standard template L-1 has 256 zero bytes in <code>unique</code>. Several SDKs leave <code>unique</code> "
        "empty. "
        "Everything else is the same, the seed too, and yet it is another key: the template is part of what the key "
        "is derived "
        f"from. The modulus begins with {first[:8].hex()}… in the one and with {other[:8].hex()}… in the other. A "
        f"device that was "
        f"enrolled with the one and shows the other is refused with {code}: {escape(text)}. The cure is to use one "
        f"template "
        "on both sides: <code>--ek-template azure-sdk</code>.", whole([made, refused]))


def one_bit(run):
    exchanges = run.scenes["one-bit"]
    rows = []
    for e in exchanges:
        answer = e.response
        if answer.kind == "tpm-response":
            who = e.request.name.replace("TPM2_", "")
            says = f'<a href="#value-rc-{answer.code:x}">0x{answer.code:03x} {response_name(answer)}</a>'
        else:
            who, says = "the service", escape(" ".join(refusal(answer)))
        rows.append((link(e.request, escape(e.flip["what"])), who, says, WHY[e.flip["field"]]))
    table = plain_table("One bit, at each layer", ("Wrong bit in", "Who notices", "Answer", "Why"), rows)
    codes = sorted({e.response.code for e in exchanges if e.response.code is not None})
    return Chapter(
        "one-bit", None, "One wrong bit", "",
        "A fresh challenge, in which one bit is changed at a time. Wherever the bit is, somebody notices, and "
        "nothing is "
        "decrypted into a wrong key.",
        [("html", table),
         ("values", "The TPM's answers, decoded", "", [rc_value(c) for c in codes])] + whole(exchanges))


def software_srk(run):
    refused, loaded = run.scenes["software-srk"]
    code, text = refusal(refused.response)
    return Chapter(
        "software-srk", None, "A key made by software", "",
        "Malware beside the TPM makes an RSA key of its own and names it as SRK. A TPM that loads it would give out "
        "the inner "
        "key, the malware would open the outer wrap itself, and the nonce, later the hub's key, would be in clear "
        "outside "
        "the TPM: a device identity that can be copied. "
        f"The service refuses with {code}: {escape(text)} If the key claims to be fixed to a TPM, the service "
        f"believes it, but no "
        f"TPM does: {response_name(loaded.response)}. So either the service or the TPM says no.",
        whole([refused, loaded]) + [("values", "The TPM's answer, decoded", "", [rc_value(loaded.response.code)])])


def replay(run):
    again, = run.scenes["replay"]
    code, text = refusal(again.response)
    assert again.request.bytes == run.by_anchor("register-put-2-request").bytes
    return Chapter(
        "replay", None, "A token used twice", "",
        "The signed request of step 8, byte for byte, once more. Meanwhile the registration is in generation 1, "
        "in which "
        f"every nonce is another one. The service answers {code}: {escape(text)} It says so only for a token that "
        f"was valid "
        "once.", [part(again, "http-request", "http-response")])


def cleared(run):
    scene = run.scenes["cleared"]
    clear, = [e for e in scene if e.request.name == "TPM2_Clear"]
    new, = [e for e in scene if e.request.name == "TPM2_CreatePrimary" and e.request.step == 3]
    ek, = [e for e in scene if e.request.name == "TPM2_CreatePrimary" and e.request.step == 1]
    tried, = [e for e in scene if e.request.name == "TPM2_ActivateCredential"]
    same_ek = ek.response.get("outPublic") == run.by_anchor("vendor-createprimary-1-response").get("outPublic")
    same_srk = new.response.get("outPublic") == run.by_anchor("owner-createprimary-2-response").get("outPublic")
    assert same_ek and not same_srk
    status = run.values["substatus"].decode()
    return Chapter(
        "cleared", None, "Cleared between challenge and answer", "",
        "The device has its challenge, and the TPM is cleared before it can answer. "
        f"{link(ek.response, 'The EK')} is the same as ever. {link(new.response, 'The SRK')} is another: the storage "
        f"seed is "
        "gone. The challenge names the old SRK, and with the new one loaded ActivateCredential says "
        f"{response_name(tried.response)}. The device asks once more with the new SRK and is recognised by its EK: "
        f"<code>{escape(status)}</code>. What the old owner's keys protected stays closed.",
        whole([clear, new, ek, tried]))


def sniffer(run):
    seen = [
        ("register-activatecredential-1-response", "certInfo", "the inner key, in clear",
         "opens field 6 and nothing else: field 3 has the outer wrap around it"),
        ("owner-hierarchychangeauth-1-command", "newAuth", "the owner's password, in clear (hidden on this page)",
         "lets him use the owner's hierarchy as long as he can reach this TPM"),
        ("register-import-1-command", "duplicate", "the nonce, wrapped twice",
         "stays closed without the SRK's private key"),
        ("register-import-1-response", "outPrivate", "the nonce, wrapped by the TPM",
         "opens in this TPM only, under this SRK"),
        ("register-hmac-1-response", "outHMAC", "a signature",
         "is valid for this audience, until the nonce has done its work: the service accepts it once"),
    ]
    rows = [(link(run.by_anchor(anchor), run.by_anchor(anchor).name.replace("TPM2_", "")) + f", <code>{field}</code>",
             what, use) for anchor, field, what, use in seen]
    table = plain_table("What passes over the bus", ("Where", "What he sees", "What he can do with it"), rows)
    return Chapter(
        "sniffer", None, "A listener on the bus", "",
        "Between the processor and a TPM chip there are often a few open wires. All TPM messages of this page pass "
        "over them. "
        "A listener sees much, but not what he wants: neither the nonce nor the hub's key is ever there in clear. "
        "If he can also send commands, he can do what the device's own software can: use the TPM while he is "
        "connected, and, with the standard SRK on a TPM that has TPM2_Rewrap, "
        '<a href="#rewrap">carry its keys away</a>. In the next chapter the device hides what it says.',
        [("html", table), ("values", "What the inner key opens, and what it does not", "", sniffed(run))])


def what_goes_wrong(run):
    return [make(run) for make in (wrong_template, one_bit, software_srk, one_command_too_many, hardened_srk, replay,
                                   cleared, sniffer, in_sessions)]
