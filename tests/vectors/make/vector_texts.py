# SPDX-License-Identifier: MIT
"""SAS tokens and registration IDs."""
import base64
import hashlib
import hmac
import urllib.parse

from vector_areas import EK_AREA, MADE, number, public_2b
from vector_form import Group, changed, document, fixed, name_of, two

# ---- Tokens ----------------------------------------------------------------------------------------------------------

SAS = "DPS \"Security tokens\""
AUDIENCE, KEY, NOW = "0ne00000A0A/registrations/boiler-7", fixed("SAS key", 32), 1_800_000_000
EXPIRY = NOW + 3600


def percent(text):
    return urllib.parse.quote(text, safe="")


def signature(signed, key=KEY):
    return hmac.digest(key, signed.encode(), "sha256")


def token_of(sr, mac, se, skn=None, sig=percent):
    whole = f"SharedAccessSignature sr={sr}&sig={sig(base64.b64encode(mac).decode())}&se={se}"
    return whole if skn is None else f"{whole}&skn={percent(skn)}"


def signed(audience=AUDIENCE, expiry=EXPIRY, key=KEY, skn=None):
    """Audience, expiry, and all that follows from them."""
    sr = percent(audience)
    text = f"{sr}\n{expiry}"
    mac = signature(text, key)
    return {"audience": audience, "expiry": expiry, "key": key, "keyName": skn or "", "stringToSign": text,
            "signature": mac, "token": token_of(sr, mac, expiry, skn)}


def sign_group():
    base = signed()
    group = Group("SasSign", "What a device signs, and the token that it sends. signature is an HMAC-SHA-256.", **base)
    group.valid("the token of a registration", SAS)
    group.valid("with a key's name, as the device provisioning service wants it", SAS, **signed(skn="registration"))
    group.valid("the token of a hub", SAS, **signed("hub-a.example/devices/boiler-7"))
    group.valid("a deviceId with characters that are encoded", SAS, **signed("hub-a.example/devices/a+b%c#d(e)!"))
    group.valid("another expiry, another signature", SAS, **signed(expiry=2_147_483_648))
    group.valid("a key of 64 bytes", SAS, **signed(key=fixed("long SAS key", 64)))

    def wrong(reason, flag, text):
        mac = signature(text)
        group.invalid(reason, SAS, flag, stringToSign=text, signature=mac,
                      token=token_of(percent(AUDIENCE), mac, EXPIRY))
    sr = percent(AUDIENCE)
    wrong("expiry first", "SignedOrder", f"{EXPIRY}\n{sr}")
    wrong("a line end after the expiry too", "SignedOrder", f"{sr}\n{EXPIRY}\n")
    wrong("carriage return and line feed", "SignedOrder", f"{sr}\r\n{EXPIRY}")
    wrong("without the line feed", "SignedOrder", f"{sr}{EXPIRY}")
    wrong("a space instead of the line feed", "SignedOrder", f"{sr} {EXPIRY}")
    wrong("with the names of the pairs", "SignedOrder", f"sr={sr}\nse={EXPIRY}")
    wrong("the audience not encoded, though sr is", "Encoding", f"{AUDIENCE}\n{EXPIRY}")
    wrong("encoded in lower case, though sr is not", "Encoding", f"{sr.replace('%2F', '%2f')}\n{EXPIRY}")
    wrong("encoded twice, though sr is not", "Encoding", f"{percent(sr)}\n{EXPIRY}")
    wrong("only the first slash encoded", "Encoding", f"{AUDIENCE.replace('/', '%2F', 1)}\n{EXPIRY}")
    wrong("in lower case, though sr is not", "Encoding", f"{sr.lower()}\n{EXPIRY}")
    wrong("another expiry than se", "Expiry", f"{sr}\n{EXPIRY + 1}")
    wrong("the expiry in milliseconds, though se is not", "Expiry", f"{sr}\n{EXPIRY}000")
    return group


def check_group():
    group = Group("SasCheck", "A token as a service receives it at the time now: is it for this audience, signed with "
                  "key, and not expired?", audience=AUDIENCE, key=KEY, now=NOW, token=signed()["token"])
    sr = percent(AUDIENCE)

    def made(sr=sr, se=EXPIRY, **other):
        return token_of(sr, signature(f"{sr}\n{se}"), se, **other)

    def wrong(reason, flag, token=None, **more):
        group.invalid(reason, SAS, flag, **({"token": token} if token is not None else {}), **more)

    def either(reason, flag, token):
        group.acceptable(reason, SAS, flag, token=token)
    mac, good = signature(f"{sr}\n{EXPIRY}"), made()
    b64 = percent(base64.b64encode(mac).decode())
    group.valid("for this audience", SAS)
    group.valid("with a key's name", SAS, token=made(skn="registration"))
    group.valid("a second before it expires", SAS, now=EXPIRY - 1)
    either("the pairs in another order", "Clients", f"SharedAccessSignature se={EXPIRY}&sr={sr}&sig={b64}")
    either("a pair that nobody knows", "Clients", good + "&other=1")
    either("sr encoded in lower case, and signed so", "Clients", made(sr.replace("%2F", "%2f")))
    either("sr not encoded, and signed so", "Clients", made(AUDIENCE))
    either("sr encoded twice, and signed so", "Clients", made(percent(sr)))
    either("the audience in another case, and signed so", "Clients", made(sr.upper()))
    either("the signature encoded in lower case", "Clients", made(
        sig=lambda t: t.replace("+", "%2b").replace("/", "%2f").replace("=", "%3d")))
    wrong("pairs exchanged in what was signed", "Signature", token_of(sr, signature(f"{EXPIRY}\n{sr}"), EXPIRY))
    wrong("one bit of the signature flipped", "Signature", token_of(sr, changed(mac), EXPIRY))
    text = f"{sr}\n{EXPIRY}"
    wrong("signed with another key", "Signature", token_of(sr, signature(text, fixed("other", 32)), EXPIRY))
    wrong("signed before it was encoded", "Signature", token_of(sr, signature(f"{AUDIENCE}\n{EXPIRY}"), EXPIRY))
    wrong("encoded differently after it was signed", "Signature", token_of(sr.replace("%2F", "%2f"), mac, EXPIRY))
    wrong("expiry put off after it was signed", "Signature", token_of(sr, mac, EXPIRY + 1))
    wrong("a zero before the expiry, after it was signed", "Signature", token_of(sr, mac, f"0{EXPIRY}"))
    wrong("a signature of SHA-1", "Signature", token_of(sr, hmac.digest(KEY, text.encode(), "sha1"), EXPIRY))
    wrong("a signature without its last byte", "Signature", token_of(sr, mac[:-1], EXPIRY))
    wrong("the signature not in base64", "Signature", f"SharedAccessSignature sr={sr}&sig={mac.hex()}&se={EXPIRY}")
    wrong("expired a day ago", "Expiry", now=EXPIRY + 86400)
    wrong("expired in 1970", "Expiry", made(se=0))
    wrong("no expiry at all", "Expiry", f"SharedAccessSignature sr={sr}&sig={b64}")
    wrong("an empty expiry", "Expiry", f"SharedAccessSignature sr={sr}&sig={b64}&se=")
    wrong("an expiry that is not a number", "Expiry", made(se="tomorrow"))
    wrong("a negative expiry", "Expiry", made(se=-1))
    wrong("an expiry that no 64 bits hold", "Expiry", made(se="9" * 30))
    wrong("for another device", "Audience", made(percent(AUDIENCE + "8")))
    wrong("for a part of the audience", "Audience", made(percent(AUDIENCE[:-1])))
    wrong("for the scope alone", "Audience", made("0ne00000A0A"))
    wrong("no audience", "Audience", f"SharedAccessSignature sig={b64}&se={EXPIRY}")
    wrong("an empty audience", "Audience", made(""))
    wrong("another scheme", "Form", good.replace("SharedAccessSignature", "Bearer"))
    wrong("no scheme", "Form", good.split(" ")[1])
    wrong("no signature", "Form", f"SharedAccessSignature sr={sr}&se={EXPIRY}")
    wrong("two signatures", "Form", good + f"&sig={b64}")
    wrong("two audiences, the second one right", "Form", good.replace("sr=", "sr=x&sr=", 1))
    wrong("two expiries, the last one later", "Form", good + f"&se={EXPIRY + 1}")
    wrong("a broken percent code in the signature", "Form", good.replace("%3D", "%3"))
    wrong("empty", "Form", "")
    return group


def sas_file():
    return document("SAS tokens", MADE, {
        "SignedOrder": "What is signed: sr as it stands in the token, a line feed, se; nothing else.",
        "Encoding": "sr is signed as it stands in the token.",
        "Clients": "Not the usual form, but one that clients send; the signature is over what stands there.",
        "Signature": "The signature is not the HMAC-SHA-256 of what stands in the token.",
        "Expiry": "se is a number of seconds since 1970 in decimal, not yet past; a service may give a few minutes.",
        "Audience": "The token is for something else.",
        "Form": "The scheme, then pairs with '='; sr, sig and se once each."}, [sign_group(), check_group()])


# ---- Registration IDs ------------------------------------------------------------------------------------------------

RULE, DEFAULT = "DPS \"Individual enrollment\"", "spec-notes.md"


def ids_file():
    group = Group("RegistrationId", "A registration ID, and how it is compared and stored: in lower case.", id="",
                  lower="")
    for reason, text in (("a device's name", "boiler-7"), ("one letter", "a"), ("one digit", "7"),
                         ("a hyphen alone", "-"), ("128 characters", "a" * 128),
                         ("capitals, which do not count", "Boiler-7"),
                         ("all marks that may stand inside", "a-b.c_d:e"), ("a mark at the beginning", ":a"),
                         ("a hyphen at the end", "a-"), ("only digits", "0123456789"), ("two marks together", "a..b"),
                         ("a GUID", "3F2504E0-4F89-11D3-9A0C-0305E82C3301"), ("the name of a host", "a.b.example")):
        group.valid(reason, RULE, id=text, lower=text.lower())

    def wrong(flag, **texts):
        for reason, text in texts.items():
            group.invalid(reason.replace("_", " "), RULE, flag, id=text, lower=text.lower())
    wrong("Length", empty="", characters_129="a" * 129)
    wrong("LastCharacter", a_full_stop_at_the_end="a.", an_underscore_at_the_end="a_", a_colon_at_the_end="a:",
          a_full_stop_alone=".", an_underscore_alone="_", a_colon_alone=":")
    for c in " !\"#$%&'()*+,/;<=>?@[\\]^`{|}~":
        reason = f"the character {c}" if c != " " else "a space"
        group.invalid(reason, RULE, "Character", id=f"a{c}b", lower=f"a{c}b".lower())
    for reason, text in (("a space at the beginning", " a"), ("a space at the end", "a "),
                         ("a line feed at the end", "a\n"), ("a tab", "a\tb"), ("a zero byte", "a\0b"),
                         ("a zero byte at the end", "a\0"), ("DEL", "a\x7fb"), ("a way up", "../a"),
                         ("a percent code of a letter that is allowed", "a%62"), ("a path", "devices/a")):
        group.invalid(reason, RULE, "Character", id=text, lower=text.lower())
    for reason, text in (("a letter with an umlaut", "k\u00e4se"),
                         ("a letter of another alphabet that looks like a", "\u0430"),
                         ("the Kelvin sign, whose lower case is k", "\u212a"), ("a dotless i", "\u0131"),
                         ("a digit of another script", "\u0665"), ("a digit in full width", "\uff11"),
                         ("a non-breaking hyphen", "a\u2011b"), ("a byte order mark", "\ufeffa"),
                         ("a smiling face", "\U0001f600")):
        group.invalid(reason, RULE, "NotAscii", id=text, lower=text.lower())

    named = Group("DefaultRegistrationId", "The registration ID that Microsoft's SDKs give a device without a name: "
                  "base32 of SHA-256 of EK_pub, in lower case, without padding.", ekPublic=public_2b(EK_AREA), id="")
    ek = public_2b(EK_AREA)

    def base32(data):
        return base64.b32encode(data).decode()

    def of(data):
        return base32(hashlib.sha256(data).digest()).rstrip("=").lower()
    other = public_2b({**EK_AREA, "unique": two(fixed("another EK", 256))})
    named.valid("an EK", DEFAULT, id=of(ek))
    named.valid("another EK", DEFAULT, ekPublic=other, id=of(other))
    for reason, text in (
            ("hashed without the size field", of(ek[2:])), ("only the modulus hashed", of(ek[-256:])),
            ("the EK's Name instead of the hash of EK_pub", base32(name_of(ek)).rstrip("=").lower()),
            ("hashed as hexadecimal text", of(ek.hex().encode())), ("hashed as base64", of(base64.b64encode(ek))),
            ("exponent 65537 spelled out", of(public_2b({**EK_AREA, "exponent": number(65537)}))),
            ("SHA-1", base32(hashlib.sha1(ek).digest()).lower()), ("in capitals", of(ek).upper()),
            ("with padding", base32(hashlib.sha256(ek).digest()).lower()),
            ("in hexadecimal", hashlib.sha256(ek).hexdigest()),
            ("in base32hex", base64.b32hexencode(hashlib.sha256(ek).digest()).decode().rstrip("=").lower())):
        named.invalid(reason, DEFAULT, "DefaultId", id=text)
    return document("Registration IDs", MADE, {
        "Length": "1 to 128 characters.",
        "LastCharacter": "The last one is a letter, a digit or '-'.",
        "Character": "Letters, digits, '-', '.', '_' and ':'.",
        "NotAscii": "Letters and digits of ASCII only.",
        "DefaultId": "Another input, hash or alphabet."}, [group, named])
