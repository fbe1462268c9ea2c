# SPDX-License-Identifier: MIT
"""KDFa, public areas with their Names, the templates of EK and SRK, and policies."""
import hashlib
import hmac
import struct

from vector_form import Group, Keys, changed, content, document, fixed, name_of, sha256, two

# ---- KDFa ------------------------------------------------------------------------------------------------------------

KDFA = "P1 r1.59 11.4.10.2"


def kdfa_odd(key, text, size, first=1, order=">I"):
    """KDFa over a text that the caller has put together, perhaps wrongly."""
    blocks = (hmac.digest(key, struct.pack(order, first + i) + text, "sha256") for i in range((size + 31) // 32))
    return b"".join(blocks)[:size]


def kdfa_text(label, u, v, bits, zero=b"\0"):
    return label.encode() + zero + u + v + struct.pack(">I", bits)


def kdfa_file():
    u, v, key = fixed("context U", 34), fixed("context V", 32), fixed("KDFa key", 32)
    base = {"key": key, "label": "STORAGE", "contextU": u, "contextV": v, "bits": 128}
    group = Group("Kdfa", "KDFa with SHA-256. label is text, without the zero byte that ends it.", **base)

    def right(reason, *flags, **change):
        c = {**base, **change}
        out = kdfa_odd(c["key"], kdfa_text(c["label"], c["contextU"], c["contextV"], c["bits"]), c["bits"] // 8)
        group.valid(reason, KDFA, *flags, **change, out=out)
    right("the symmetric key of an outer wrap: a Name as first context, none as second", contextV=b"")
    right("the HMAC key of an outer wrap: no contexts at all", label="INTEGRITY", contextU=b"", contextV=b"", bits=256)
    right("a session's key: nonceTPM, then nonceCaller", label="ATH", contextU=fixed("nonceTPM", 32), bits=256)
    right("key and initial value of a parameter, one block", label="CFB", contextU=fixed("nonceNewer", 32), bits=256)
    right("both contexts, half of one block")
    right("eight bits", bits=8)
    right("one byte more than one block", "TwoBlocks", bits=264)
    right("one and a half blocks", "TwoBlocks", bits=384)
    right("two whole blocks", "TwoBlocks", bits=512)
    right("four blocks", "TwoBlocks", bits=1024)
    right("a key longer than the block of SHA-256, which HMAC hashes first", key=fixed("long key", 100))
    right("a key of one byte", key=b"\x01")
    right("an empty key, as of a session that is neither salted nor bound to a password", key=b"")
    right("a label of one letter", label="K")

    def wrong(reason, flag, text, size=16, **odd):
        group.invalid(reason, KDFA, flag, out=kdfa_odd(key, text, size, **odd), bits=8 * size)
    wrong("the label without its zero byte", "NoZeroByte", kdfa_text("STORAGE", u, v, 128, b""))
    wrong("the label with two zero bytes: its own, and one as a separator", "NoZeroByte",
          kdfa_text("STORAGE", u, v, 128, b"\0\0"))
    wrong("the contexts exchanged", "ContextOrder", kdfa_text("STORAGE", v, u, 128))
    wrong("the second context left out", "ContextOrder", kdfa_text("STORAGE", u, b"", 128))
    wrong("the contexts with size fields", "ContextOrder", kdfa_text("STORAGE", two(u), two(v), 128))
    wrong("the length in bytes", "Length", kdfa_text("STORAGE", u, v, 16))
    wrong("the length of a whole block, though less is taken", "Length", kdfa_text("STORAGE", u, v, 256))
    wrong("the length in two bytes", "Length", kdfa_text("STORAGE", u, v, 128)[:-4] + b"\0\x80")
    wrong("the length left out", "Length", kdfa_text("STORAGE", u, v, 128)[:-4])
    wrong("another label", "Label", kdfa_text("INTEGRITY", u, v, 128))
    wrong("the label in lower case", "Label", kdfa_text("storage", u, v, 128))
    wrong("a counter that begins with 0", "Counter", kdfa_text("STORAGE", u, v, 128), first=0)
    wrong("a little-endian counter", "Counter", kdfa_text("STORAGE", u, v, 128), order="<I")
    one = kdfa_odd(key, kdfa_text("STORAGE", u, v, 512), 32)
    group.invalid("the first block twice: the counter does not move", KDFA, "Counter", "TwoBlocks", bits=512,
                  out=one * 2)
    each = [kdfa_odd(key, kdfa_text("STORAGE", u, v, 256), 32, first=i) for i in (1, 2)]
    group.invalid("each block with its own length instead of the whole one", KDFA, "Length", "TwoBlocks", bits=512,
                  out=b"".join(each))
    return document("KDFa", MADE, {
        "TwoBlocks": "More than 256 bits, so the counter moves.",
        "NoZeroByte": "The label ends with exactly one zero byte.",
        "ContextOrder": "contextU, then contextV, as they are, without size fields.",
        "Length": "After the contexts: the length of all that is wanted, in bits, in four bytes.",
        "Counter": "Before the label: 1, 2, ... in four bytes, most significant first.",
        "Label": "The label is the one that is asked for, in its case."}, [group])


MADE = ("tests/vectors/make/generate.py, with Python's standard library alone, from fixed bytes")

# ---- Public areas ----------------------------------------------------------------------------------------------------

PIECES = ("keyType", "nameAlg", "attributes", "authPolicy", "symmetric", "scheme", "keyBits", "exponent", "unique")
EK_POLICY = bytes.fromhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")
IMPORT, LOAD = 0x156, 0x157


def policy_command_code(code, before=bytes(32)):
    return sha256(before, struct.pack(">II", 0x16C, code))


def policy_or(*digests):
    return sha256(bytes(32), struct.pack(">I", 0x171), *digests)


IMPORT_OR_LOAD = policy_or(policy_command_code(IMPORT), policy_command_code(LOAD))


def number(value, size=4):
    return value.to_bytes(size, "big")


def rsa_area(attributes, policy, modulus, **other):
    pieces = {"keyType": number(1, 2), "nameAlg": number(0xB, 2), "attributes": number(attributes),
              "authPolicy": two(policy), "symmetric": bytes.fromhex("000600800043"), "scheme": number(0x10, 2),
              "keyBits": number(2048, 2), "exponent": number(0), "unique": two(modulus), **other}
    return pieces


def public_2b(pieces):
    return two(b"".join(pieces[piece] for piece in PIECES))


EK_MODULUS, SRK_MODULUS = Keys.ek[-256:], Keys.srk[-256:]
EK_AREA = rsa_area(0x300B2, EK_POLICY, EK_MODULUS)
SRK_AREA = rsa_area(0x30472, b"", SRK_MODULUS)
HARDENED_AREA = rsa_area(0x30432, IMPORT_OR_LOAD, SRK_MODULUS)


def keyed_hash(unique, scheme="0005000b", attributes="00040440", policy=b""):
    return two(bytes.fromhex("0008000b" + attributes) + two(policy) + bytes.fromhex(scheme) + two(unique))


NAME, AREA = "P1 r1.59 16", "P2 r1.59 12.2.4"


def names_file():
    srk, digest = public_2b(SRK_AREA), fixed("unique", 32)
    group = Group("Name", "A TPM2B_PUBLIC and the Name of what it describes: nameAlg, then the hash of the area.",
                  public=srk, name=name_of(srk))

    def right(reason, public):
        group.valid(reason, NAME, public=public, name=name_of(public))
    right("a storage root key", srk)
    right("an endorsement key", public_2b(EK_AREA))
    right("a hardened storage root key", public_2b(HARDENED_AREA))
    right("a software key for decryption, which is neither fixed nor restricted, so without an algorithm for children",
          public_2b(rsa_area(0x20440, b"", SRK_MODULUS, symmetric=number(0x10, 2))))
    right("the HMAC key of an activation blob", keyed_hash(digest))
    right("the same with a policy", keyed_hash(digest, policy=EK_POLICY))
    right("sealed data: no scheme", keyed_hash(digest, "0010", "00000452"))
    right("exponent 65537 spelled out: the same RSA key as with 0, and another Name",
          public_2b({**SRK_AREA, "exponent": number(65537)}))

    def wrong(reason, flag, name):
        group.invalid(reason, NAME, flag, name=name)
    area, right_name = content(srk), name_of(srk)
    wrong("hashed with the size field of the TPM2B", "NameInput", b"\0\x0b" + sha256(srk))
    wrong("the digest without nameAlg before it", "NameForm", right_name[2:])
    wrong("nameAlg with its bytes exchanged", "NameForm", b"\x0b\0" + right_name[2:])
    wrong("a size field before it", "NameForm", two(right_name))
    wrong("nameAlg of SHA-1 before a SHA-256 digest", "NameForm", b"\0\4" + right_name[2:])
    wrong("made with SHA-1", "NameInput", b"\0\4" + hashlib.sha1(area).digest())
    wrong("made with SHA-384", "NameInput", b"\0\x0c" + hashlib.sha384(area).digest())
    wrong("the Name of the template, with an empty unique", "NameInput",
          name_of(public_2b({**SRK_AREA, "unique": two(b"")})))
    wrong("only the modulus hashed", "NameInput", b"\0\x0b" + sha256(SRK_MODULUS))
    wrong("one bit of the digest flipped", "NameInput", changed(right_name))
    wrong("the digest one byte short", "NameForm", right_name[:-1])

    def broken(reason, public):
        group.invalid(reason, AREA, "AreaForm", public=public, name=name_of(public))
    broken("a size field one larger than what follows", number(len(area) + 1, 2) + area)
    broken("a size field one smaller than the area", number(len(area) - 1, 2) + area)
    broken("a byte after the area, inside the size", two(area + b"\0"))
    broken("a size field of 0", bytes(2))
    broken("cut off in the attributes", two(area[:6]))
    broken("cut off before unique", two(area[:-258]))
    broken("the policy one byte longer than there are", two(area[:8] + number(0x200, 2) + area[10:]))
    broken("unique one byte longer than the area", public_2b({**SRK_AREA, "unique": number(257, 2) + SRK_MODULUS}))
    broken("no hash for the Name, as only a sequence has", public_2b({**SRK_AREA, "nameAlg": number(0x7777, 2)}))
    broken("an unknown type", public_2b({**SRK_AREA, "keyType": number(0x7777, 2)}))
    broken("an RSA key with the scheme of an HMAC key", public_2b({**SRK_AREA, "scheme": number(5, 2) + b"\0\x0b"}))
    broken("a keyed hash with the scheme of an RSA key", keyed_hash(digest, "0014000b"))
    return document("Name", MADE, {
        "NameInput": "What is hashed: TPMT_PUBLIC, by nameAlg; no size field, nothing left out.",
        "NameForm": "The form: nameAlg in two bytes, most significant first, then the digest; no size field.",
        "AreaForm": "The TPM2B_PUBLIC is not well formed, so it has no Name. A TPM does not load it."}, [group])


# ---- Templates -------------------------------------------------------------------------------------------------------

BITS = {1: "fixedTPM", 2: "stClear", 4: "fixedParent", 5: "sensitiveDataOrigin", 6: "userWithAuth",
        7: "adminWithPolicy", 10: "noDA", 11: "encryptedDuplication", 16: "restricted", 17: "decrypt",
        18: "sign or encrypt", 19: "x509sign"}

def flip(group, area, roles, free=()):
    """Every bit of the attributes, one after the other."""
    section = "P2 r1.59 8.3.2"
    value = int.from_bytes(area["attributes"], "big")
    for bit in range(32):
        attributes = number(value ^ 1 << bit)
        what = f"bit {bit}, {BITS[bit]}, {'cleared' if value >> bit & 1 else 'set'}" if bit in BITS else \
            f"reserved bit {bit} set"
        if BITS.get(bit) in free:
            group.acceptable(f"{what}: both forms of {roles} are in use", section, "AttributeBit",
                             attributes=attributes)
        else:
            group.invalid(what, section, "AttributeBit", attributes=attributes)


def parameters(group, area, section):
    def wrong(reason, *flags, **change):
        group.invalid(reason, section, *flags, **change)
    wrong("AES-256 for children", "Parameters", symmetric=bytes.fromhex("000601000043"))
    wrong("AES-128 in counter mode for children", "Parameters", symmetric=bytes.fromhex("000600800040"))
    wrong("no algorithm for children", "Parameters", symmetric=number(0x10, 2))
    wrong("a scheme: OAEP", "Parameters", scheme=bytes.fromhex("0017000b"))
    wrong("a scheme: RSAES", "Parameters", scheme=number(0x15, 2))
    wrong("a size of 1024 bits, with 2048 of them", "Parameters", keyBits=number(1024, 2))
    wrong("a size of 3072 bits, with 2048 of them", "Parameters", keyBits=number(3072, 2))
    wrong("exponent 3", "Parameters", exponent=number(3))
    wrong("the Name made with SHA-1", "Parameters", nameAlg=number(4, 2))
    wrong("the Name made with SHA-384", "Parameters", nameAlg=number(0xC, 2))
    wrong("the type of a keyed hash", "Parameters", keyType=number(8, 2))
    wrong("the type of an elliptic curve key", "Parameters", keyType=number(0x23, 2))
    modulus = area["unique"][2:]
    wrong("the template itself: unique is zeros", "Modulus", unique=two(bytes(256)))
    wrong("the template itself: unique is empty", "Modulus", unique=two(b""))
    wrong("a modulus of 255 bytes, its first and last bits set", "Modulus", unique=two(modulus[:-2] + modulus[-1:]))
    wrong("a modulus of 257 bytes, its first and last bits set", "Modulus", unique=two(b"\x80" + modulus))
    wrong("a modulus with a zero byte before it", "Modulus", unique=two(b"\0" + modulus))
    wrong("a modulus whose highest bit is clear", "Modulus", unique=two(changed(modulus, 0, 7)))
    wrong("an even modulus", "Modulus", unique=two(changed(modulus)))
    group.acceptable("exponent 65537 spelled out: the same key under another Name; a service has to choose one form",
                     "P2 r1.59 12.2.3.5", "Exponent", exponent=number(65537))


def templates_file():
    ek_section = "TCG EK Credential Profile v2.5 B.3.3"
    srk_section = "TCG Provisioning Guidance v1.0 r1.0 7.5.1"
    form = "The area is the nine members from keyType to unique, one after the other; its size is before it."
    ek = Group("Template", "An EK of template L-1. " + form, role="EK", **EK_AREA)
    ek.valid("an EK: 0x000300b2, policy A, AES-128-CFB, no scheme, RSA-2048", ek_section)
    flip(ek, EK_AREA, "an EK")
    ek.invalid("no policy", ek_section, "Policy", authPolicy=two(b""))
    ek.invalid("policy A with one bit flipped", ek_section, "Policy", authPolicy=two(changed(EK_POLICY)))
    ek.invalid("policy B, of the templates H", ek_section, "Policy", authPolicy=two(
        bytes.fromhex("ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0")))
    ek.invalid("a storage root key", ek_section, "OtherRole", **SRK_AREA)
    parameters(ek, EK_AREA, ek_section)

    srk = Group("Template", "A standard SRK. " + form, role="SRK", **SRK_AREA)
    srk.valid("an SRK: 0x00030472, no policy, AES-128-CFB, no scheme, RSA-2048", srk_section)
    flip(srk, SRK_AREA, "an SRK", free=("noDA",))
    srk.invalid("with a policy, which may admit anything", srk_section, "Policy", authPolicy=two(EK_POLICY))
    srk.invalid("an endorsement key", srk_section, "OtherRole", **EK_AREA)
    parameters(srk, SRK_AREA, srk_section)

    hardened = Group("Template", "An SRK that TPM2_Rewrap cannot use: spec-notes.md, \"Which SRK may be trusted\". "
                     + form, role="hardened SRK", **HARDENED_AREA)
    ours = "spec-notes.md"
    hardened.valid("a hardened SRK: 0x00030432, policy \"TPM2_Import or TPM2_Load\"", ours)
    flip(hardened, HARDENED_AREA, "an SRK")
    hardened.invalid("no policy: a key that nobody can use", ours, "Policy", authPolicy=two(b""))
    hardened.invalid("a policy for TPM2_Import alone", ours, "Policy", authPolicy=two(policy_command_code(IMPORT)))
    hardened.invalid("the policy that admits TPM2_Rewrap too", ours, "Policy", authPolicy=two(policy_or(
        policy_command_code(IMPORT), policy_command_code(LOAD), policy_command_code(0x152))))
    hardened.invalid("the standard SRK", ours, "OtherRole", **SRK_AREA)
    return document("EK and SRK templates", MADE, {
        "AttributeBit": "One bit of objectAttributes flipped. noDA alone is free, in a standard SRK.",
        "Policy": "authPolicy is not that of the template.",
        "Parameters": "The type, nameAlg, the algorithm for children, the scheme, the size or the exponent is another.",
        "Modulus": "unique cannot be the modulus of an RSA-2048 key: 256 bytes, highest and lowest bit set.",
        "Exponent": "0 and 65537 are the same exponent, in two spellings.",
        "OtherRole": "The area is right, for another role."}, [ek, srk, hardened])


# ---- Policies --------------------------------------------------------------------------------------------------------

ENDORSEMENT, OWNER = number(0x4000000B), number(0x40000001)


def policy_secret(name, ref=b"", before=bytes(32)):
    """PolicyUpdate: the command and the Name, and then policyRef, even if it is empty [P3 23.2.3]."""
    return sha256(sha256(before, number(0x151), name), ref)


def policies_file():
    secret_at, code_at, or_at = "P3 r1.59 23.4", "P3 r1.59 23.11", "P3 r1.59 23.6"
    secret = {"command": "PolicySecret", "name": ENDORSEMENT, "policyRef": b""}
    group = Group("Policy", "policyDigest of a session after these commands. It begins with 32 zero bytes.",
                  steps=[secret])
    code = {c: {"command": "PolicyCommandCode", "code": number(c)} for c in (IMPORT, LOAD, 0x147, 0x152)}
    both = [policy_command_code(IMPORT), policy_command_code(LOAD)]
    group.valid("no command at all", "P1 r1.59 19.7", steps=[], digest=bytes(32))
    group.valid("policy A of an EK: the endorsement hierarchy's authValue", secret_at, digest=EK_POLICY)
    group.valid("the owner's", secret_at, steps=[{**secret, "name": OWNER}], digest=policy_secret(OWNER))
    group.valid("with a policyRef", secret_at, steps=[{**secret, "policyRef": b"ref"}],
                digest=policy_secret(ENDORSEMENT, b"ref"))
    for c, what in ((IMPORT, "TPM2_Import"), (LOAD, "TPM2_Load"), (0x147, "TPM2_ActivateCredential"),
                    (0x152, "TPM2_Rewrap")):
        group.valid(f"only {what}", code_at, steps=[code[c]], digest=policy_command_code(c))
    branches = {"command": "PolicyOR", "digests": both}
    group.valid("the hardened SRK, by its first branch: TPM2_Import or TPM2_Load", or_at,
                steps=[code[IMPORT], branches], digest=IMPORT_OR_LOAD)
    group.valid("the same by its second branch", or_at, steps=[code[LOAD], branches], digest=IMPORT_OR_LOAD)
    group.valid("two conditions", secret_at, steps=[secret, code[0x147]], digest=policy_command_code(0x147, EK_POLICY))
    group.valid("the same two in the other order: another policy", secret_at, steps=[code[0x147], secret],
                digest=policy_secret(ENDORSEMENT, before=policy_command_code(0x147)))

    def wrong(reason, flag, section, digest, **more):
        group.invalid(reason, section, flag, digest=digest, **more)
    cc = number(0x151)
    wrong("policyRef, which is empty, not hashed: one hash instead of two", "PolicyUpdate", secret_at,
          sha256(bytes(32), cc, ENDORSEMENT))
    wrong("policyRef hashed together with the rest", "PolicyUpdate", secret_at,
          sha256(bytes(32), cc, ENDORSEMENT, b"ref"), steps=[{**secret, "policyRef": b"ref"}])
    wrong("without the zero digest that it begins with", "PolicyUpdate", secret_at, sha256(sha256(cc, ENDORSEMENT)))
    wrong("the Name with a size field", "PolicyUpdate", secret_at, sha256(sha256(bytes(32), cc, two(ENDORSEMENT))))
    wrong("the owner's handle instead of the endorsement hierarchy's", "PolicyUpdate", secret_at, policy_secret(OWNER))
    wrong("the code of PolicyCommandCode instead of PolicySecret", "PolicyUpdate", secret_at,
          sha256(sha256(bytes(32), number(0x16C), ENDORSEMENT)))
    wrong("policy A with one bit flipped", "PolicyUpdate", secret_at, changed(EK_POLICY))
    wrong("the command's code in two bytes", "CommandCode", code_at,
          sha256(bytes(32), number(0x16C), number(IMPORT, 2)), steps=[code[IMPORT]])
    wrong("a second hash, as PolicySecret has it", "CommandCode", code_at, sha256(policy_command_code(IMPORT)),
          steps=[code[IMPORT]])
    wrong("TPM2_Load instead of TPM2_Import", "CommandCode", code_at, policy_command_code(LOAD), steps=[code[IMPORT]])
    steps = [code[IMPORT], branches]
    wrong("the branch taken kept, instead of beginning with zeros again", "Or", or_at,
          sha256(both[0], number(0x171), *both), steps=steps)
    wrong("the branches in the other order", "Or", or_at, policy_or(*reversed(both)), steps=steps)
    wrong("the branches with size fields", "Or", or_at, policy_or(*map(two, both)), steps=steps)
    wrong("only the branch that was taken", "Or", or_at, policy_or(both[0]), steps=steps)
    wrong("the list's count before the branches", "Or", or_at, policy_or(number(2), *both), steps=steps)
    return document("Policy digests", MADE, {
        "PolicyUpdate": "PolicySecret hashes twice: old digest, code, Name of the entity (of a hierarchy: its handle); "
                        "then policyRef, even if it is empty.",
        "CommandCode": "PolicyCommandCode hashes once: old digest, its own code, the admitted command's code.",
        "Or": "PolicyOR begins with zeros again: its code, then all branches in their order, without sizes."}, [group])
