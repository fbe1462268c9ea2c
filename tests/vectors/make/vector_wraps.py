# SPDX-License-Identifier: MIT
"""What is wrapped to a key of a TPM: credentials, duplicates, and the activation blob that is made of both. Right, and
wrong at each layer, from the outside to the inside."""
import tpmcrypto
from tpmcrypto import cfb_encrypt, hmac, kdfa, oaep, xor
from vector_areas import EK_POLICY, MADE, keyed_hash, number, public_2b, rsa_area
from vector_form import BLOB, Group, Keys, changed, content, document, fixed, name_of, sha256, two

IDENTITY, DUPLICATE = b"IDENTITY\0", b"DUPLICATE\0"
EK_NAME, SRK_NAME = name_of(Keys.ek), name_of(Keys.srk)


def modulus_of(public):
    return public[-256:]


def secret_of(public, label, seed, what):
    """TPM2B_ENCRYPTED_SECRET; what: names OAEP's own random bytes."""
    return two(oaep(modulus_of(public), label, seed, fixed(what + ", OAEP", 32)))


def pkcs1(public, seed):
    """The same with the padding of RSAES."""
    block = b"\0\2" + fixed("padding", 221).replace(b"\0", b"\1") + b"\0" + seed
    modulus = modulus_of(public)
    return two(pow(int.from_bytes(block, "big"), 65537, int.from_bytes(modulus, "big")).to_bytes(256, "big"))


def ctr_encrypt(key, data):
    stream = b"".join(tpmcrypto.aes_block(key, i.to_bytes(16, "big")) for i in range(len(data) // 16 + 1))
    return xor(data, stream)


def with_iv(key, data):
    return cfb_encrypt(key, data, b"\1" * 16)


def outer(plain, seed, name, storage=b"STORAGE", integrity=b"INTEGRITY", encrypt=cfb_encrypt, context=None, mac=None):
    """The outer wrap [P1 23.3.2.3, 24.4, 24.5]: HMAC with its size, ciphertext. mac: another one, of both."""
    encrypted = encrypt(kdfa(seed, storage, name if context is None else context, 16), plain)
    mac_key = kdfa(seed, integrity, b"", 32)
    return two(mac(mac_key, encrypted) if mac else hmac(mac_key, encrypted, name)) + encrypted


# ---- Credentials -----------------------------------------------------------------------------------------------------

CREDENTIAL = "P1 r1.59 24"


def credential_of(credential, what="credential", name=SRK_NAME, public=Keys.ek, seed_size=32, **odd):
    seed = fixed(what, seed_size)
    return {"credential": credential, "name": name, "made": {"seed": seed, "oaep": fixed(what + ", OAEP", 32)},
            "idObject": two(outer(two(credential), seed, name, **odd)),
            "encryptedSecret": secret_of(public, IDENTITY, seed, what)}


def credential_file():
    secret = fixed("inner key", 16)
    base = credential_of(secret)
    made = base.pop("made")
    seed, plain = made["seed"], two(secret)
    group = Group("MakeCredential", "TPM2_MakeCredential to a key, and what TPM2_ActivateCredential says of it. name "
                  "is that of the object that is activated; made: the random bytes, of the seed and of its OAEP.",
                  keyPublic=Keys.ek, keyPrivate=Keys.ek_private, **base)

    group.valid("an AES-128 key, bound to a storage root key", CREDENTIAL, made=made)
    group.valid("one byte", CREDENTIAL, **credential_of(b"\x5a", "one byte"))
    group.valid("as long as the digest of nameAlg", CREDENTIAL, **credential_of(fixed("long", 32), "long credential"))
    group.valid("empty", CREDENTIAL, **credential_of(b"", "empty credential"))

    def wrong(reason, section, flag, **values):
        group.invalid(reason, section, flag, **values)

    wraps(wrong, Keys.ek, IDENTITY, seed, "encryptedSecret", "24.3")
    seeds = {size: credential_of(secret, f"{size} bytes", seed_size=size) for size in (16, 33)}
    for values in seeds.values():
        del values["made"]
    wrong("a seed of 33 bytes, and all keys from it", "P1 r1.59 24.3", "Seed", **seeds[33])
    group.acceptable("a seed of 16 bytes, and all keys from it: too short, but TPMs take it", "P1 r1.59 24.3", "Seed",
                     **seeds[16])
    mark = "P1 r1.59 24.4"

    def other(reason, flag, plain=plain, section=mark, name=SRK_NAME, **odd):
        wrong(reason, section, flag, idObject=two(outer(plain, seed, name, **odd)))
    outer_wrongs(other, seed, plain, SRK_NAME)
    other("bound to another Name", "Name", name=EK_NAME)
    other("bound to the Name with a size field", "Name", name=two(SRK_NAME))
    other("bound to a handle", "Name", name=bytes.fromhex("81000001"))
    other("an initial value that is not zero", "OuterCipher", encrypt=with_iv)
    other("counter mode, which gives the same first block", "OuterCipher", encrypt=ctr_encrypt)
    other("not encrypted", "OuterCipher", encrypt=lambda key, data: data)
    whole = content(base["idObject"])
    cut_wrongs(lambda reason, flag, value, flipped=False: wrong(
        reason, "P1 r1.59 24.5", flag, idObject=value, credential=changed(secret) if flipped else secret), whole)
    other("a byte after the credential", "Content", plain + b"\0", "P1 r1.59 24.5")
    other("a credential cut off", "Content", two(secret)[:-1], "P1 r1.59 24.5")
    other("a credential without its size", "Content", secret, "P1 r1.59 24.5")
    group.acceptable("longer than the digest of nameAlg: TPM2_MakeCredential refuses it, some TPMs give it out",
                     "P3 r1.59 12.6", "Content", credential=bytes(33),
                     idObject=two(outer(two(bytes(33)), seed, SRK_NAME)))
    inside = {"Content": "All layers are right; what is inside is not one TPM2B_DIGEST."}
    return document("MakeCredential", MADE, {**SECRET_NOTES, **OUTER_NOTES, **inside}, [group])


SECRET_NOTES = {
    "Label": "The label of OAEP is another. It ends with a zero byte, which is part of it.",
    "Padding": "The secret is not RSA-OAEP with SHA-256 for both hashes, or not to this key.",
    "Seed": "What OAEP gives is not a seed of 32 bytes.",
    "SecretForm": "The TPM2B_ENCRYPTED_SECRET has another size."}
OUTER_NOTES = {
    "OuterKeys": "The keys from the seed: KDFa with STORAGE and the Name for AES-128, with INTEGRITY and no context "
                 "for HMAC.",
    "OuterCipher": "AES-128 in CFB mode, of 128 bits, with an initial value of zeros.",
    "OuterIntegrity": "HMAC over ciphertext and Name.",
    "OuterForm": "Sizes: of the whole, and of the HMAC.",
    "Name": "It is bound to something else than the Name."}


def wraps(wrong, public, label, seed, member, section):
    """The secret: padding, label, size."""
    section = "P1 r1.59 " + section
    other_label = DUPLICATE if label == IDENTITY else IDENTITY
    short = label[:-1].decode()

    def labelled(reason, bad):
        wrong(reason, section, "Label", **{member: secret_of(public, bad, seed, "label")})
    labelled(f"label {short} without its zero byte", label[:-1])
    labelled(f"label {short} with two zero bytes", label + b"\0")
    labelled("no label", b"")
    labelled(f"label {other_label[:-1].decode()}", other_label)
    labelled("label SECRET, of a salt", b"SECRET\0")
    labelled("label in lower case", label.lower())
    right = secret_of(public, label, seed, "credential")
    wrong("the padding of PKCS #1 v1.5", "P1 r1.59 B.4", "Padding", **{member: pkcs1(public, seed)})
    wrong("one bit of the encrypted seed flipped", "P1 r1.59 B.4", "Padding", **{member: changed(right)})
    wrong("the encrypted seed is the modulus", "P1 r1.59 B.4", "Padding",
          **{member: two(modulus_of(public))})
    other = Keys.srk if public == Keys.ek else Keys.ek
    wrong("encrypted to another key", "P1 r1.59 B.4", "Padding",
          **{member: secret_of(other, label, seed, "other key")})
    wrong("another seed", section, "Seed", **{member: secret_of(public, label, fixed("other seed", 32), "other")})
    wrong("a seed of 33 bytes, whose first 32 are right", section, "Seed",
          **{member: secret_of(public, label, seed + b"\1", "33")})
    wrong("a seed of 31 bytes", section, "Seed", **{member: secret_of(public, label, seed[:-1], "31")})
    wrong("a size field one too small", "P1 r1.59 B.4", "SecretForm", **{member: two(content(right)[:-1])})
    wrong("a byte more than the modulus", "P1 r1.59 B.4", "SecretForm",
          **{member: two(content(right) + b"\0")})
    wrong("no secret", "P1 r1.59 B.4", "SecretForm", **{member: two(b"")})


def outer_wrongs(other, seed, plain, name):
    """The outer wrap: keys and HMAC."""
    other("both keys from each other's label", "OuterKeys", storage=b"INTEGRITY", integrity=b"STORAGE")
    other("the symmetric key without the Name", "OuterKeys", context=b"")
    other("the seed itself as HMAC key", "OuterKeys", mac=lambda _, c: hmac(seed, c, name))
    other("the symmetric key as HMAC key", "OuterKeys",
          mac=lambda _, c: hmac(kdfa(seed, b"STORAGE", name, 16), c, name))
    other("the HMAC key cut to 16 bytes", "OuterKeys", mac=lambda k, c: hmac(k[:16], c, name))
    other("the HMAC without the Name", "OuterIntegrity", mac=lambda k, c: hmac(k, c))
    other("the Name first in the HMAC", "OuterIntegrity", mac=lambda k, c: hmac(k, name, c))
    other("the HMAC over what is inside, before encryption", "OuterIntegrity", mac=lambda k, c: hmac(k, plain, name))
    other("a hash instead of an HMAC", "OuterIntegrity", mac=lambda k, c: sha256(c, name))
    other("one bit of the HMAC flipped", "OuterIntegrity", mac=lambda k, c: changed(hmac(k, c, name)))
    other("an HMAC of zeros", "OuterIntegrity", mac=lambda k, c: bytes(32))
    other("no HMAC", "OuterForm", mac=lambda k, c: b"")
    other("an HMAC cut to 16 bytes", "OuterForm", mac=lambda k, c: hmac(k, c, name)[:16])


def cut_wrongs(wrong, whole):
    """whole: an HMAC with its size, and the ciphertext, without the size of both."""
    wrong("one bit of the ciphertext flipped", "OuterIntegrity", value=two(changed(whole)), flipped=True)
    wrong("cut off in the ciphertext, sizes right", "OuterIntegrity", value=two(whole[:-1]))
    wrong("a byte after the ciphertext, sizes right", "OuterIntegrity", value=two(whole + b"\0"))
    wrong("no ciphertext", "OuterIntegrity", value=two(whole[:34]))
    wrong("the HMAC without its size", "OuterForm", value=two(whole[2:]))
    wrong("the size of the HMAC larger than the rest", "OuterForm", value=two(b"\xff\xff" + whole[2:]))
    wrong("cut off in the HMAC", "OuterForm", value=two(whole[:20]))
    wrong("empty", "OuterForm", value=two(b""))


# ---- Duplicates ------------------------------------------------------------------------------------------------------

IMPORT, INNER = "P1 r1.59 23.3", "P1 r1.59 23.3.2.2"
SENSITIVE = "P2 r1.59 12.3.2.4"


def sensitive_2b(key, seed_value, auth=b"", kind=b"\0\x08"):
    return two(kind + two(auth) + two(seed_value) + two(key))


def inner(sensitive, name, key, integrity=None, encrypt=cfb_encrypt):
    """The inner wrap: hash with its size, sensitive area, both encrypted."""
    return encrypt(key, two(sha256(sensitive, name) if integrity is None else integrity) + sensitive)


def duplicate_of(key, what="duplicate", seed_value=None, auth=b"", public=None, seed_size=32):
    """All values of one duplicate with both wraps."""
    seed_value = fixed(what + ", seedValue", 32) if seed_value is None else seed_value
    public = public or keyed_hash(sha256(seed_value, key))
    inner_key, seed, name = fixed(what + ", inner key", 16), fixed(what, seed_size), name_of(public)
    sensitive = sensitive_2b(key, seed_value, auth)
    encrypted = inner(sensitive, name, inner_key)
    return {"key": key, "seedValue": seed_value, "authValue": auth, "keyPublic": public, "innerKey": inner_key,
            "made": {"sensitive": sensitive, "inner": encrypted, "seed": seed, "oaep": fixed(what + ", OAEP", 32)},
            "duplicate": two(outer(encrypted, seed, name)), "secret": secret_of(Keys.srk, DUPLICATE, seed, what)}


def duplicate_file():
    base = duplicate_of(fixed("HMAC key", 32))
    made = base.pop("made")
    keys = {"parentPublic": Keys.srk, "parentPrivate": Keys.srk_private}
    about = ("An HMAC key, as TPM2_Duplicate gives it out to a new parent, and what TPM2_Import of that parent says of "
             "it. made: the TPM2B_SENSITIVE, ")
    both = Group("Duplicate", about + "the same in its inner wrap, and the random bytes of the outer one.",
                 innerAlgorithm="AES-128-CFB", **keys, **base)
    both.valid("a key of 32 bytes", IMPORT, made=made)
    both.valid("a key of one byte", IMPORT, **duplicate_of(b"\x5a", "short key"))
    both.valid("a key as long as the block of SHA-256", IMPORT, **duplicate_of(fixed("64", 64), "long key"))
    both.valid("an authValue filled up with zeros, as TPMs do when they duplicate: it is still empty", IMPORT,
               **duplicate_of(fixed("zeros", 32), "zeros", auth=bytes(32)))
    both.valid("a key that may be used by its policy as well", IMPORT, **duplicate_of(
        fixed("with policy", 32), "policy", fixed("sv", 32),
        public=keyed_hash(sha256(fixed("sv", 32), fixed("with policy", 32)), policy=EK_POLICY)))
    seeds = {size: duplicate_of(base["key"], f"{size} bytes", seed_size=size) for size in (16, 33)}
    for values in seeds.values():
        del values["made"]
    both.invalid("a seed of 33 bytes, and all keys from it", "P1 r1.59 23.3.2.3", "Seed", **seeds[33])
    both.acceptable("a seed of 16 bytes, and all keys from it: too short, but TPMs take it", "P1 r1.59 23.3.2.3",
                    "Seed", **seeds[16])
    inner_wrongs(both, base, made)
    outer_of_duplicate(both, base, made)

    seed, name, sensitive, inner_wrapped = made["seed"], name_of(base["keyPublic"]), made["sensitive"], made["inner"]
    alone = Group("Duplicate", about + "and the random bytes of the outer wrap. There is no inner one, so innerKey is "
                  "empty.", innerAlgorithm="NULL", **keys, **{**base, "innerKey": b"",
                                               "duplicate": two(outer(sensitive, seed, name))})
    alone.valid("the outer wrap alone", "P1 r1.59 23.3.2.3", made={**made, "inner": sensitive})
    alone.invalid("with an inner wrap nevertheless", INNER, "InnerForm", duplicate=base["duplicate"])
    alone.invalid("bound to another Name", "P1 r1.59 23.3.2.3", "Name",
                  duplicate=two(outer(sensitive, seed, SRK_NAME)))
    alone.invalid("one bit of the HMAC flipped", "P1 r1.59 23.3.2.3", "OuterIntegrity",
                  duplicate=two(outer(sensitive, seed, name, mac=lambda k, c: changed(hmac(k, c, name)))))

    bare = Group("Duplicate", about + "the same in its inner wrap. There is no outer one, as TPM2_Rewrap to "
                 "TPM_RH_NULL leaves it, so secret is empty: whoever has innerKey reads the key.",
                 innerAlgorithm="AES-128-CFB", **keys, **{**base, "duplicate": two(inner_wrapped), "secret": two(b"")})
    bare.valid("the inner wrap alone", INNER, made={**made, "seed": b"", "oaep": b""})
    bare.invalid("one bit of it flipped", INNER, "InnerIntegrity", duplicate=two(changed(inner_wrapped)))
    bare.invalid("another inner key", INNER, "InnerKey", innerKey=changed(base["innerKey"]))
    bare.invalid("a byte after it", INNER, "InnerIntegrity", duplicate=two(inner_wrapped + b"\0"))
    return document("Duplicate and Import", MADE, {**SECRET_NOTES, **OUTER_NOTES, **INNER_NOTES}, [both, alone, bare])


INNER_NOTES = {
    "InnerKey": "The inner key is another, or of another size.",
    "InnerCipher": "AES-128 in CFB mode, of 128 bits, with an initial value of zeros.",
    "InnerIntegrity": "A hash (not an HMAC) over TPM2B_SENSITIVE, with its size, and Name.",
    "InnerForm": "Sizes, and the order of both wraps.",
    "Sensitive": "All wraps are right; the sensitive area inside is malformed, or is not that of this public area.",
    "Attributes": "The public area claims what a key that comes from outside cannot have."}


def inner_wrongs(group, base, made):
    key, seed, public = base["innerKey"], made["seed"], base["keyPublic"]
    name, sensitive = name_of(public), made["sensitive"]

    def wrong(reason, flag, section=INNER, encrypted=None, public=public, **values):
        if encrypted is not None:
            values["duplicate"] = two(outer(encrypted, seed, name_of(public)))
        group.invalid(reason, section, flag, keyPublic=public, **values)
    wrong("one bit of the inner key flipped", "InnerKey", innerKey=changed(key))
    wrong("an inner key of 32 bytes", "InnerKey", innerKey=key + bytes(16))
    wrong("no inner key", "InnerKey", innerKey=b"")
    wrong("an initial value that is not zero", "InnerCipher", encrypted=inner(sensitive, name, key, encrypt=with_iv))
    wrong("counter mode", "InnerCipher", encrypted=inner(sensitive, name, key, encrypt=ctr_encrypt))
    wrong("not encrypted", "InnerCipher", encrypted=inner(sensitive, name, key, encrypt=lambda k, data: data))
    wrong("the hash without the Name", "InnerIntegrity", encrypted=inner(sensitive, name, key, sha256(sensitive)))
    wrong("the Name first in the hash", "InnerIntegrity",
          encrypted=inner(sensitive, name, key, sha256(name, sensitive)))
    wrong("the hash over the area without its size", "InnerIntegrity",
          encrypted=inner(sensitive, name, key, sha256(content(sensitive), name)))
    wrong("the hash with the parent's Name", "InnerIntegrity",
          encrypted=inner(sensitive, name, key, sha256(sensitive, SRK_NAME)))
    wrong("an HMAC with the inner key instead of a hash", "InnerIntegrity",
          encrypted=inner(sensitive, name, key, hmac(key, sensitive, name)))
    wrong("one bit of the hash flipped", "InnerIntegrity",
          encrypted=inner(sensitive, name, key, changed(sha256(sensitive, name))))
    wrong("one bit of the encrypted key flipped, outer wrap right", "InnerIntegrity", encrypted=changed(made["inner"]),
          key=changed(base["key"]))
    wrong("a byte after the sensitive area, not hashed", "InnerIntegrity", encrypted=inner(
        sensitive + b"\0", name, key, sha256(sensitive, name)))
    wrong("no hash", "InnerForm", encrypted=inner(sensitive, name, key, b""))
    wrong("the hash cut to 16 bytes", "InnerForm", encrypted=inner(sensitive, name, key, sha256(sensitive, name)[:16]))
    wrong("the hash without its size", "InnerForm", encrypted=cfb_encrypt(key, sha256(sensitive, name) + sensitive))
    wrong("cut off in the sensitive area", "InnerForm", encrypted=made["inner"][:-1])
    wrong("empty", "InnerForm", encrypted=b"")
    wrong("the two wraps exchanged", "InnerForm",
          duplicate=two(cfb_encrypt(key, outer(two(sha256(sensitive, name)) + sensitive, seed, name))))

    def inside(reason, area, **values):
        """values: what is found there by code that does not look at this."""
        wrong(reason, "Sensitive", SENSITIVE, encrypted=inner(area, name, key), **values)
    secret, value = base["key"], base["seedValue"]
    inside("a byte after the sensitive area, hashed with it", sensitive + b"\0")
    inside("a byte after the key, within the sensitive area", two(content(sensitive) + b"\0"))
    inside("the size of the sensitive area one too large", number(len(sensitive) - 1, 2) + content(sensitive))
    inside("the size of the sensitive area one too small", number(len(sensitive) - 3, 2) + content(sensitive))
    inside("the sensitive area of an RSA key", sensitive_2b(secret, value, kind=b"\0\1"))
    inside("the sensitive area of an unknown type", sensitive_2b(secret, value, kind=b"\x77\x77"))
    inside("another key than unique says", sensitive_2b(changed(secret), value), key=changed(secret))
    inside("another seedValue than unique says", sensitive_2b(secret, changed(value)), seedValue=changed(value))
    inside("no seedValue", sensitive_2b(secret, b""), seedValue=b"")
    inside("the key one byte longer than the area",
           two(b"\0\x08" + two(b"") + two(value) + number(33, 2) + secret))
    inside("key and seedValue exchanged", sensitive_2b(value, secret), key=value, seedValue=secret)

    def claims(reason, attributes):
        area = keyed_hash(public[-32:], attributes=attributes)
        wrong(reason, "Attributes", "P3 r1.59 13.3", public=area,
              encrypted=inner(sensitive, name_of(area), key))
    claims("the key claims fixedTPM", "00040442")
    claims("the key claims fixedParent", "00040450")
    claims("the key claims both", "00040452")


def outer_of_duplicate(group, base, made):
    seed, name, encrypted = made["seed"], name_of(base["keyPublic"]), made["inner"]
    section = "P1 r1.59 23.3.2.3"

    def wrong(reason, where, flag, **values):
        group.invalid(reason, where, flag, **values)

    def other(reason, flag, name=name, **odd):
        wrong(reason, section, flag, duplicate=two(outer(encrypted, seed, name, **odd)))
    wraps(wrong, Keys.srk, DUPLICATE, seed, "secret", "23.3.2.3")
    outer_wrongs(other, seed, encrypted, name)
    other("an initial value that is not zero", "OuterCipher", encrypt=with_iv)
    other("counter mode", "OuterCipher", encrypt=ctr_encrypt)
    other("not encrypted: the inner wrap stands open", "OuterCipher", encrypt=lambda key, data: data)
    other("bound to the parent's Name", "Name", name=SRK_NAME)
    other("bound to the Name with a size field", "Name", name=two(name))
    cut_wrongs(lambda reason, flag, value, flipped=False: wrong(
        reason, section, flag, duplicate=value, key=changed(base["key"]) if flipped else base["key"]),
        content(base["duplicate"]))


# ---- The activation blob ---------------------------------------------------------------------------------------------

FIELDS = ("idObject", "encryptedSecret", "duplicate", "duplicateSecret", "keyPublic", "encUri")
BLOB_AT, STEP_7 = "spec-notes.md, The activation blob", "spec-notes.md, The ten steps"


def blob_of(what, key, text, ek=Keys.ek, srk=Keys.srk, integrity=None, **public):
    """All six fields, and what comes out."""
    inner_key = fixed(what + ", inner key", 16)
    seed_value = fixed(what + ", seedValue", 32)
    public = keyed_hash(sha256(seed_value, key), **public)
    credential = credential_of(inner_key, what + ", credential", name_of(srk), ek)
    seed = fixed(what + ", duplicate", 32)
    inside = inner(sensitive_2b(key, seed_value), name_of(public), inner_key, integrity)
    wrapped = outer(inside, seed, name_of(public))
    return {"idObject": credential["idObject"], "encryptedSecret": credential["encryptedSecret"],
            "duplicate": two(wrapped), "duplicateSecret": secret_of(srk, DUPLICATE, seed, what), "keyPublic": public,
            "encUri": two(cfb_encrypt(inner_key, text.encode("utf-16-le"))), "innerKey": inner_key, "key": key,
            "uri": text}


def blobs_file():
    known = {field: bytes.fromhex(BLOB["parts"][part]) for field, part in zip(
        FIELDS, ("idObject", "encSecret", "private", "dupSecret", "public", "data"))}
    group = Group("ActivationBlob", "A blob is its seven members from idObject to rest, one after the other. EK and "
                  "SRK open it: out comes key, whose HMAC over message is signature.", ekPublic=Keys.ek,
                  ekPrivate=Keys.ek_private, srkPublic=Keys.srk, srkPrivate=Keys.srk_private, **known, rest=b"",
                  innerKey=bytes.fromhex(BLOB["dbg"]["innerKey"]), key=bytes.fromhex(BLOB["dbg"]["hmacKey"]), uri="",
                  message=BLOB["msg"].encode(), signature=bytes.fromhex(BLOB["sig"]))
    group.valid("activation-blob.json, which Node's crypto has made and Microsoft's client has activated", BLOB_AT)

    def right(reason, what, text, **other):
        blob = blob_of(what, fixed(what, 32), text, **other)
        group.valid(reason, BLOB_AT, **blob, signature=hmac(blob["key"], BLOB["msg"].encode()))
        return blob
    right("with the text of a hub and a deviceId", "with text", "hub-a.example/boiler-7")
    right("a key with a policy besides its authValue", "with policy", "h/d", policy=EK_POLICY)
    group.acceptable("bytes after the sixth field: Microsoft's clients take no notice", BLOB_AT, "Form", rest=b"\0\0")

    def wrong(reason, flag, section=BLOB_AT, **values):
        group.invalid(reason, section, flag, **values)
    for field, what in zip(FIELDS, ("the credential", "its secret", "the duplicate", "its secret", "the public area")):
        wrong(f"{field} cut off by a byte, its size unchanged", "Form", **{field: known[field][:-1]})
        wrong(f"one bit of {field} flipped: {what}", "Bit", **{field: changed(known[field])})
    for field, what in (("idObject", "credential"), ("duplicate", "duplicate")):
        wrong(f"one bit of the HMAC of the {what} flipped", "Bit", **{field: changed(known[field], 10)})
    wrong("ends after the fifth field", "Form", encUri=b"")
    wrong("ends after the fourth field", "Form", encUri=b"", keyPublic=b"")
    wrong("empty", "Form", **{field: b"" for field in FIELDS})
    wrong("begins with the head of a file of tpm2-tools", "Form",
          idObject=bytes.fromhex("badcc0de00000001") + known["idObject"])
    wrong("the size of the sixth field larger than the rest", "Form", encUri=b"\0\1")
    wrong("the two secrets exchanged", "Order", encryptedSecret=known["duplicateSecret"],
          duplicateSecret=known["encryptedSecret"])
    wrong("credential and duplicate exchanged", "Order", idObject=known["duplicate"], duplicate=known["idObject"])
    mixed = blob_of("mixed", fixed("mixed", 32), "")
    wrong("credential and its secret of another blob", "Mixed", STEP_7,
          **{f: mixed[f] for f in FIELDS[:2]})
    wrong("duplicate and its secret of another blob", "Mixed", STEP_7, **{f: mixed[f] for f in FIELDS[2:4]})
    wrong("the public area of another blob", "Mixed", STEP_7, keyPublic=mixed["keyPublic"])
    swapped = blob_of("swapped", fixed("swapped", 32), "", Keys.srk, Keys.ek)
    wrong("wrapped to EK and SRK the wrong way round", "Keys", STEP_7, **{f: swapped[f] for f in FIELDS})
    for attributes, what in (("00060440", "may also decrypt"),
                             ("00050440", "is restricted, so it signs only what the TPM made"),
                             ("00020440", "decrypts instead of signing"), ("00000440", "is data, not a key"),
                             ("00040442", "claims fixedTPM")):
        odd = blob_of(what, fixed(what, 32), "", attributes=attributes)
        wrong(f"a key that {what}", "KeyKind", **odd, signature=hmac(odd["key"], BLOB["msg"].encode()))
    odd = blob_of("no scheme", fixed("no scheme", 32), "", scheme="0010")
    wrong("a key that does not say HMAC and SHA-256", "KeyKind", **odd,
          signature=hmac(odd["key"], BLOB["msg"].encode()))
    odd = blob_of("inner hash", fixed("inner hash", 32), "", integrity=bytes(32))
    wrong("an inner hash of zeros, all else right", "Inner", **odd, signature=hmac(odd["key"], BLOB["msg"].encode()))
    wrong("an RSA key instead of an HMAC key", "KeyKind",
          keyPublic=public_2b(rsa_area(0x40440, b"", modulus_of(Keys.srk), symmetric=number(0x10, 2))))
    odd = blob_of("no authValue", fixed("no authValue", 32), "", attributes="00040400")
    wrong("a key without userWithAuth: its authValue does not open it", "KeyKind", **odd,
          signature=hmac(odd["key"], BLOB["msg"].encode()))
    return document("Activation blob", MADE + "; the first group's blob by Node's crypto (README.md)", {
        "Form": "The six fields are not whole TPM2Bs.",
        "Bit": "One bit of a field flipped.",
        "Inner": "The hash of the inner wrap.",
        "Order": "Whole fields in each other's place.",
        "Mixed": "Each half is right, of another challenge.",
        "Keys": "Right for keys in other roles.",
        "KeyKind": "Field 5 must be an HMAC-SHA-256 key that signs, by its authValue, and is not restricted."}, [group])
