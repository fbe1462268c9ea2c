# SPDX-License-Identifier: MIT
"""The story in the order of the ten steps: which messages and values each chapter shows, and what it says."""
from html import escape

from links import source_link
from odd import exponent, two_keys, unique, zero_bytes

# The bits of TPMA_OBJECT that an SRK has, all of them and no other: the rule of step 5.
SRK_BITS = ("fixedTPM", "fixedParent", "sensitiveDataOrigin", "userWithAuth", "noDA", "restricted", "decrypt")

# One sentence on what a command does, where it is sent for the first time and wherever else it helps.
COMMANDS = {
    "TPM2_ReadPublic": "Asks for the public area of a key that the TPM has, loaded or persistent.",
    "TPM2_CreatePrimary": "Makes a key from the hierarchy's seed and a template. The same seed and template give the "
                          "same "
                          "key every time, so nothing needs to be stored.",
    "TPM2_FlushContext": "Frees what was loaded. The program is a guest in the TPM and leaves nothing behind.",
    "TPM2_HierarchyChangeAuth": "Sets the password of a hierarchy. Without an encrypting session it goes over the bus "
                                "in clear, once.",
    "TPM2_EvictControl": "Makes a loaded key persistent, so that it need not be derived at every boot.",
    "TPM2_StartAuthSession": "Opens a policy session: a conversation in which conditions are proved before a key may "
                             "be used.",
    "TPM2_PolicySecret": "Proves authority over the endorsement hierarchy to the session. That is the EK's whole "
                         "policy.",
    "TPM2_ActivateCredential": "The EK decrypts the seed that protects the credential. The TPM then computes the HMAC "
                               "with the Name of the SRK that is really loaded, and gives out the inner key only "
                               "if it agrees.",
    "TPM2_Import": "The SRK opens the outer wrap, the inner key the inner one, all inside the TPM. What comes back "
                   "is the "
                   "same key, wrapped again for this SRK by the TPM itself.",
    "TPM2_Load": "The wrapped key goes in, a handle comes out. From here on the TPM can use the key, and nobody can "
                 "read it.",
    "TPM2_HMAC": "The TPM signs a text with the loaded key.",
    "TPM2_Clear": "The owner leaves: passwords and the storage seed are replaced. The endorsement seed stays.",
    "TPM2_LoadExternal": "Loads a key from outside the TPM, private half included.",
    "TPM2_GetCapability": "Asks what the TPM is and has: here for the first command from this number on.",
    "TPM2_Rewrap": "Removes the outer wrap of a travelling key with the private half of the parent for which it was "
                   "made, and adds one for another parent. It was designed for moving keys between machines. The "
                   "other parent may be nobody.",
    "TPM2_PolicyCommandCode": "Tells the session: I am going to ask for this command and no other.",
    "TPM2_PolicyOR": "Tells the session: what has been proved is one branch of this list. The digest becomes that "
                     "of the whole list.",
}

# What is different where the device's sessions have a key.
IN_SESSIONS = {
    "TPM2_StartAuthSession": "Opens a session with a key. The salt from which the key is derived is encrypted to the "
                             "EK: only this TPM reads it.",
    "TPM2_HierarchyChangeAuth": "Sets the password of a hierarchy. It crosses the bus encrypted, and the answer is "
                                "signed with it: the TPM has understood.",
    "TPM2_ActivateCredential": "As in step 7, but the answer is encrypted.",
    "TPM2_Import": "As in step 7, but the inner key is encrypted on its way into the TPM.",
}

# The values in fields 1 and 2, and 3 and 4, of an activation blob.
CREDENTIAL = ["credential-key", "credential", "credential-hmac-key", "credential-hmac", "credential-secret"]
DUPLICATE = ["inner-digest", "inner-wrap", "outer-key", "outer-wrap", "outer-hmac-key", "outer-hmac",
             "duplicate-secret"]


def plain_table(caption, headings, rows):
    """Cells are HTML. On narrow screens each cell names its column."""
    head = "".join(f"<th scope=col>{heading}</th>" for heading in headings)
    body = "".join(
        f"<tr><th scope=row>{row[0]}</th>"
        + "".join(f'<td data-th="{heading}">{cell}</td>' for heading, cell in zip(headings[1:], row[1:])) + "</tr>"
        for row in rows)
    return (f'<div class="plain"><table><caption>{caption}</caption><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>")


class Chapter:
    """blocks: ("messages", exchange, messages), ("values" or "folded", heading, text, names), ("html", text)."""

    def __init__(self, anchor, number, title, who, lead, blocks):
        self.anchor, self.number, self.title, self.who = anchor, number, title, who
        self.lead, self.blocks = lead, blocks


def whole(exchanges):
    return [("messages", e, e.messages) for e in exchanges]


def part(exchange, *kinds):
    return ("messages", exchange, [m for m in exchange.messages if m.kind in kinds])


def ten_steps(run, values):
    register = run.scenes["register"]
    put1, put2 = [e for e in register if e.request.name.startswith("PUT")]
    get = next(e for e in register if e.request.name.startswith("GET"))
    at = register.index
    return [
        before_the_challenge(run)[0], before_the_challenge(run)[1], before_the_challenge(run)[2],
        Chapter("step-4", 4, "The device asks", "device → service",
                "The device boots, finds both keys in its TPM and asks to be provisioned. It says who it claims to "
                "be and shows "
                "two public keys. None of this is secret, and none of it is proof yet.",
                whole(register[:at(put1)]) + [part(put1, "http-request")]),
        Chapter("step-5", 5, "The service looks at the two keys", "service",
                "Nothing is sent. The service compares EK_pub with the enrolled one, byte for byte, and examines "
                "SRK_pub: it may "
                "be anybody's, but it must be a key that cannot leave a TPM. What would happen otherwise is "
                "shown in "
                '<a href="#software-srk">A key made by software</a>.',
                [("html", keys_examined(run, put1))]),
        challenge(run, put1),
        Chapter("step-7", 7, "The TPM opens it", "device ↔ TPM",
                "The device cannot open the challenge, it can only carry it to the TPM. The EK gives out the inner "
                "key; the SRK "
                "takes the rest in. At the end the nonce is a key inside the TPM, usable and unreadable. What "
                "software on the device could do with the same bytes instead is shown in "
                '<a href="#rewrap">One command too many</a>.',
                whole(register[at(put1) + 1:at(put1) + 6])),
        Chapter("step-8", 8, "The device proves itself", "device → service",
                "The TPM signs a text with the nonce. The signature goes into a token, and the token into the same "
                "request as "
                "before. The nonce has then served its purpose and is flushed.",
                whole(register[at(put1) + 6:at(put2)]) + [part(put2, "http-request", "sas-token"),
                ("values", "The signature, computed without the TPM", "", ["string-to-sign", "proof", "token-sig"])]),
        assignment(register, put2, get),
        Chapter("step-10", 10, "The hub", "device → hub",
                "The hub's device key works as the nonce did, but stays: wrapped under the SRK it is kept in the "
                "device's own "
                "storage. At the next boot it is loaded again, and the TPM signs tokens for the hub with it.",
                whole([e for e in register[at(get) + 1:] if e.request.step == 10]) + whole(run.scenes["send"])
                + [("values", "The hub's token", "", ["hub-token"])]),
    ]


def before_the_challenge(run):
    return [
        Chapter("step-1", 1, "The vendor reads the EK", "vendor ↔ TPM",
                "Every TPM has a seed from its factory. From it comes the endorsement key, EK: an RSA key that the "
                "chip has for "
                "life. Its public half says which TPM this is. The vendor reads it once, when the device is made.",
                whole(run.scenes["vendor"])
                + [exponent(run), unique(run), ("values", "Computed from these bytes", "", ["ek-name", "policy-a"])]),
        Chapter("step-2", 2, "The vendor enrolls it", "vendor → service",
                "The vendor tells the service: this EK may register, under this name. No secret of the device is "
                "involved, so a "
                "stolen list of enrollments is not a key to anything.",
                whole(run.scenes["enrollment"])
                + [("values", "Computed from these bytes", "", ["registration-id", "vendor-token"])]),
        Chapter("step-3", 3, "An owner takes the TPM", "device ↔ TPM",
                "The owner sets a password and gets a storage root key, SRK, from a second seed that belongs to the "
                "owner. "
                "Whoever owns the TPM next gets another seed and so another SRK. The EK is derived again on the way "
                "and both keys "
                "are made persistent.",
                whole(run.scenes["owner"]) + [("values", "Computed from these bytes", "", ["srk-name"])]),
    ]


def challenge(run, put1):
    return Chapter(
        "step-6", 6, "The challenge", "service → device",
        "The service answers 401, which here means: prove it. It makes a nonce and wraps it twice, so that only a TPM "
        "with both private keys can use it. No TPM is needed to wrap; the service has public keys and random bytes.",
        [("values", "The nonce", "", ["window", "challenge", "nonce"]),
         ("values", "Field 5: what the key is",
          "The nonce travels as an HMAC key, so it needs a public area of its own.", ["unique", "key-name"]),
         two_keys(),
         ("values", "Fields 1 and 2: the inner key, for the EK", "", CREDENTIAL),
         zero_bytes(run),
         ("values", "Fields 3 and 4: the nonce, for the SRK", "", DUPLICATE),
         ("values", "Field 6: a label", "", ["uri"]),
         part(put1, "http-response", "activation-blob")])


def assignment(register, put2, get):
    tpm = [e for e in register[register.index(get) + 1:] if e.request.step == 9]
    names = ["unique", "key-name"] + CREDENTIAL + DUPLICATE + ["uri"]
    return Chapter(
        "step-9", 9, "The service verifies and assigns", "service → device",
        "The service derives the nonce again and computes the same HMAC. It agrees: this EK and this SRK are in one "
        "TPM, and "
        "that TPM is at the other end. So the device gets a hub and, wrapped as the nonce was, a device key for it. "
        "The "
        "registration's generation becomes 1, which ends the life of the nonce.",
        [("html", verified()), part(put2, "http-response")] + whole([get])
        + [("values", "Values in the answer", "", ["operation-id", "hub-key"]),
           ("folded", "How the hub's device key is wrapped", "As in step 6, with fresh random bytes.",
            ["hub-" + n for n in names])] + whole(tpm))


def verified():
    return ('<p class="stop" data-stop="verify">The service has the audience and the expiry from the token, and the '
            'nonce from '
            'its own secret. It computes <a href="#value-proof">this HMAC</a> and compares it with <code>sig</code>, '
            'in '
            f'constant time: {source_link("dps/service/service.c:check_token")}, '
            f'{source_link("dps/service/service.c:signed_with_nonce")}, '
            f'{source_link("dps/protocol/sas.c:dps_sas_signed_with")}.</p>')


def keys_examined(run, put1):
    """The two checks of step 5 on the bytes of this run."""
    ek = run.by_anchor("vendor-createprimary-1-response").get("outPublic")
    srk = run.by_anchor("owner-createprimary-2-response")
    attributes = srk.find("outPublic.publicArea.objectAttributes")
    have = {b["name"]: b["meaning"] for b in attributes.bits}
    assert set(have) == set(SRK_BITS), have
    rows = [(f"<code>{name}</code>", escape(have[name])) for name in SRK_BITS]
    return (f'<p>EK_pub of <a href="#{put1.request.anchor}">the request</a> and EK_pub of '
            f'<a href="#enrollment-put-1-request">the enrollment</a> are the same {len(ek)} bytes: '
            f'{source_link("dps/service/service.c:check_ek")}.</p>'
            '<p>SRK_pub is of type RSA with SHA-256, 2048 bits, AES-128-CFB for its children, no signing scheme, an '
            'empty '
            f'policy, and has exactly these attributes (0x{attributes.value:08x}): '
            f'{source_link("dps/service/service.c:check_srk")}, '
            f'{source_link("dps/service/enrollment.c:dps_srk_check")}.</p>'
            + plain_table("Attributes of the SRK", ("Bit", "What it says"), rows) +
            '<p>A TPM enforces what these bits claim. That is why the service may trust them without ever having '
            'seen this '
            'SRK before.</p>')


# Where the nonce is, in order: (a message's anchor or a value or "verify", field, what happens there).
THREAD = [
    ("value-nonce", None, "The service derives it"),
    ("value-inner-wrap", None, "The inner wrap: encrypted with the inner key"),
    ("value-outer-wrap", None, "The outer wrap: encrypted for the SRK"),
    ("register-put-1-response", "authenticationKey", "It travels to the device, in base64"),
    ("register-put-1-blob", "dupSensitive", "The same bytes, decoded"),
    ("register-import-1-command", "dupSensitive", "It enters the TPM, still wrapped twice"),
    ("register-import-1-response", "outPrivate.buffer", "The TPM has opened it and wraps it under its own SRK"),
    ("register-load-1-command", "inPrivate.buffer", "It is loaded"),
    ("register-load-1-response", "objectHandle", "Inside the TPM it has a handle now"),
    ("register-hmac-1-command", "handle", "The TPM signs with it"),
    ("register-hmac-1-response", "outHMAC.buffer", "What leaves the TPM is a signature, not the nonce"),
    ("register-put-2-token", "sig", "The signature travels to the service"),
    ("verify", None, "The service derives the nonce again and compares"),
]
