# SPDX-License-Identifier: MIT
"""Values that no message shows, each computed here and with a shell line that computes it from the bytes on the page.

While the page is made they are compared with what the service and the TPM did: a difference stops the build."""
import base64
import struct
import urllib.parse

from tpmcrypto import cfb_encrypt, hmac, kdfa, oaep, sha256, two, xor

SCOPE, ID, HUB = "0ne00000A0A", "boiler-7", "hub-a.example"
NOW = 1800000000
ENDORSEMENT = bytes.fromhex("4000000b")


class Value:
    """name: its anchor; title; data: bytes or text; shell: the line that prints it; why: one plain sentence;
    source: our function that computes it; spec; parts: the inputs, as (label, bytes or text)."""

    def __init__(self, name, title, data, shell, why, source, spec="", parts=(), nonce=False):
        self.name, self.title, self.shell, self.why = name, title, shell, why
        self.shown = data.hex() if isinstance(data, bytes) else data
        self.data, self.source, self.spec, self.parts, self.nonce = data, source, spec, list(parts), nonce


def same(a, b, what):
    if a != b:
        raise SystemExit(f"walkthrough: {what}: computed {a.hex()}, sent {b.hex()}")


# ---- Shell lines ----

def unhex(data):
    return f"printf %s {data.hex()} | xxd -r -p"


def sh_sha256(data):
    return f"{unhex(data)} |\n  openssl dgst -sha256 -r | cut -c 1-64"


def sh_hmac(key, data, digits=64):
    return f"{unhex(data)} |\n  openssl dgst -sha256 -mac HMAC -macopt hexkey:{key.hex()} -r | cut -c 1-{digits}"


def sh_kdfa(key, label, context, size):
    info = f" -kdfopt hexinfo:{context.hex()}" if context else ""
    return (f"openssl kdf -keylen {size} -kdfopt mac:HMAC -kdfopt digest:SHA256 -kdfopt mode:counter \\\n"
            f"  -kdfopt hexkey:{key.hex()} \\\n  -kdfopt salt:{label}{info} KBKDF | tr -d : | tr A-F a-f")


def sh_cfb(key, data, decrypt=False):
    return (f"{unhex(data)} |\n  openssl enc -aes-128-cfb{' -d' if decrypt else ''} -K {key.hex()} -iv {'0' * 32} |"
            f"\n  xxd -p -c 0")


def sh_oaep(modulus, label, message, seed):
    return f"""python3 - <<'END'
from hashlib import sha256 as h
n = bytes.fromhex('{modulus.hex()}')
seed, oaep = bytes.fromhex('{message.hex()}'), bytes.fromhex('{seed.hex()}')
mask = lambda s, size: b''.join(h(s + i.to_bytes(4, 'big')).digest() for i in range(8))[:size]
xor = lambda a, b: bytes(x ^ y for x, y in zip(a, b))
block = h({label!r}).digest() + bytes(256 - 32 - 66) + b'\\1' + seed
block = xor(block, mask(oaep, 223))
m = xor(oaep, mask(block, 32)) + block
print(pow(int.from_bytes(m, 'big'), 65537, int.from_bytes(n, 'big')).to_bytes(256, 'big').hex())
END"""


# ---- What is derived ----

class Derivations:
    def __init__(self, run):
        self.run, self.values = run, {}
        self.keys()
        self.vendor()
        self.nonce()
        first = next(e for e in run.scenes["register"] if e.blob)
        self.wrapped("", first.blob, first.values, self["nonce"].data, "the nonce")
        self.uri("", first.blob, first.values, f"dps.example/{ID}")
        self.answer()
        self.hub()

    def __getitem__(self, name):
        return self.values[name]

    def add(self, name, *rest, **more):
        self.values[name] = Value(name, *rest, **more)

    def message(self, anchor):
        return self.run.by_anchor(anchor)

    def keys(self):
        """Steps 1 to 3: Names, the EK's policy, the default registration ID."""
        ek = self.message("vendor-createprimary-1-response")
        srk = self.message("owner-createprimary-2-response")
        self.ek, self.srk = ek.get("outPublic"), srk.get("outPublic")
        for name, area, message in (("ek-name", self.ek, ek), ("srk-name", self.srk, srk)):
            key = name[:3].strip("-").upper()
            data = b"\0\x0b" + sha256(area[2:])
            same(data, message.get("name")[2:], f"Name of the {key}")
            self.add(name, f"Name of the {key}", data, f"printf 000b; {sh_sha256(area[2:])}",
                     "A Name is the hash of the public area, after the number of the hash (000b: SHA-256). Change "
                     "one bit of "
                     "what the key is or may do, and its Name is another.",
                     "tpm/public.c:tpm2_name_of", "P1 r1.59 16", [("public area, without its size field", area[2:])])
        policy = sha256(sha256(bytes(32), bytes.fromhex("00000151"), ENDORSEMENT))
        same(policy, ek.get("outPublic.publicArea.authPolicy.buffer"), "PolicyA")
        self.add("policy-a", "The EK's policy, PolicyA", policy,
                 "python3 -c \"from hashlib import sha256 as h; "
                 "print(h(h(bytes(32) + bytes.fromhex('00000151' '4000000b')).digest()).hexdigest())\"",
                 "A policy is a hash over what was proved, in order: starting from zeros, TPM2_PolicySecret "
                 "(00000151) of the "
                 "endorsement hierarchy (4000000b), and then an empty policyRef.",
                 "dps/device/device.c:build_policy_secret", "P3 r1.59 23.4",
                 [("zeros", bytes(32)), ("TPM_CC_PolicySecret", bytes.fromhex("00000151")), ("Name", ENDORSEMENT)])
        text = base64.b32encode(sha256(self.ek)).decode().lower().rstrip("=")
        same(text.encode(), self.run.values["defaultRegistrationId"], "registration ID")
        self.add("registration-id", "A registration ID, if nobody chooses one", text,
                 f"{unhex(self.ek)} |\n  openssl dgst -sha256 -binary | base32 | tr A-Z a-z | tr -d =\\\\n",
                 "Microsoft's SDKs call a device without a name after its EK: the hash of EK_pub, in base32. This "
                 "device is "
                 "called boiler-7 instead.",
                 "dps/protocol/registration_id.c:dps_registration_id_default", "",
                 [("EK_pub, with its size field", self.ek)])

    def vendor(self):
        token = self.message("enrollment-put-1-token")
        text, key = b"dps.example\n1800003600", self.run.values["policyKey"]
        self.add("vendor-token", "The vendor's token: sig", self.signature(token, hmac(key, text)),
                 self.sh_sig(key, text),
                 "The vendor proves with a policy's key that it may write enrollments; the device never has this key.",
                 "dps/protocol/sas.c:dps_sas_signed_with", "", [("string to sign", text), ("key of the policy", key)])

    @staticmethod
    def signature(token, mac):
        sent = [p[4:] for p in token.bytes.decode().split("&") if p.startswith("sig=")][0]
        text = urllib.parse.quote(base64.b64encode(mac).decode(), safe="")
        same(sent.encode(), text.encode(), token.anchor)
        return text

    @staticmethod
    def sh_sig(key, text):
        return (f"{unhex(text)} |\n  openssl dgst -sha256 -mac HMAC -macopt hexkey:{key.hex()} -binary |\n"
                "  base64 -w 0 | sed 's,+,%2B,g; s,/,%2F,g; s,=,%3D,g'")

    def nonce(self):
        self.secret = self.run.values["serviceSecret"]
        self.add("window", "The time window", str(NOW // 300), f"echo $(( {NOW} / 300 ))",
                 "The run's clock says 2027-01-15 08:00:00 UTC. The service counts time in steps of 300 "
                 "seconds; a nonce "
                 "is valid in its own step and in the next.", "dps/service/service.c:signed_in_run")
        challenge = [("generation: registrations so far", struct.pack(">Q", 0)),
                     ("random bytes of the last registration: none", two(b"")),
                     ("run: the service's since its start, random", two(self.run.values["run"])),
                     ("time window", struct.pack(">Q", NOW // 300))]
        text = b"".join(data for _, data in challenge)
        self.add("challenge", "The challenge", sha256(text), sh_sha256(text),
                 "It makes this nonce different from all earlier ones. A restored back-up brings "
                 "the generation back, but neither the random bytes of a registration nor the run.",
                 "dps/service/service.c:derive_challenge", "", challenge)
        fields = [("label", b"tpm-dps registration nonce"), ("ID scope", SCOPE.encode()),
                  ("registration ID", ID.encode()),
                  ("Name of the EK", self["ek-name"].data), ("Name of the SRK", self["srk-name"].data)]
        parts = [(label, two(data)) for label, data in fields]
        parts += [("challenge", two(self["challenge"].data))]
        text = b"".join(data for _, data in parts)
        self.add("nonce", "The nonce", hmac(self.secret, text), sh_hmac(self.secret, text),
                 "It is not stored anywhere: the service derives it from its secret and from what it knows about this "
                 "device, and "
                 "derives it again to check the answer. Each text follows its length, so that no two lists "
                 "collide.",
                 "dps/service/service.c:derive_nonce", "", parts + [("key: the service secret", self.secret)],
                 nonce=True)

    def wrapped(self, prefix, blob, values, key, what):
        """Fields 1 to 5 of an activation blob, from the random bytes that the service drew for it."""
        mark = prefix == ""
        unique = sha256(values["seedValue"], key)
        public = bytes.fromhex("0008000b000404400000" "0005000b") + two(unique)
        same(public, blob.get("objectPublic")[2:], "field 5")
        name = b"\0\x0b" + sha256(public)
        self.add(prefix + "unique", "unique, of field 5", unique, sh_sha256(values["seedValue"] + key),
                 f"It ties the public area to {what} without giving it away: a random seedValue blinds it.",
                 "tpm/protect.c:tpm2_keyedhash_unique", "P1 r1.59 27.5.3",
                 [("seedValue, random", values["seedValue"]), (what, key)], nonce=mark)
        self.add(prefix + "key-name", "Name of the key that travels", name, f"printf 000b; {sh_sha256(public)}",
                 "The two wraps of field 3 bind it to this Name.", "tpm/public.c:tpm2_name_of", "P1 r1.59 16",
                 [("public area, field 5", public)])
        self.credential(prefix, blob, values)
        self.duplicate(prefix, blob, values, key, name, what)

    def credential(self, prefix, blob, values):
        seed, name = values["credentialSeed"], self["srk-name"].data
        storage, integrity = kdfa(seed, b"STORAGE", name, 16), kdfa(seed, b"INTEGRITY", b"", 32)
        plain = two(values["innerKey"])
        cipher = cfb_encrypt(storage, plain)
        same(cipher, blob.get("credentialBlob.encIdentity"), "encIdentity")
        mac = hmac(integrity, cipher, name)
        same(mac, blob.get("integrityHMAC.buffer"), "integrityHMAC")
        modulus = self.ek[-256:]
        sent = oaep(modulus, b"IDENTITY\0", seed, values["credentialOaep"])
        same(sent, blob.get("secret.secret"), "field 2")
        protect = "tpm/protect.c:"
        self.add(prefix + "credential-key", "Field 1: the symmetric key", storage, sh_kdfa(seed, "STORAGE", name, 16),
                 "KDFa of a random seed; the SRK's Name in it makes the credential valid for this SRK only.",
                 "tpm/seed.c:tpm2_seed_symmetric_key", "P1 r1.59 24.4",
                 [("seed, random", seed), ("Name of the SRK", name)])
        self.add(prefix + "credential", "Field 1: encIdentity", cipher, sh_cfb(storage, plain),
                 "The inner key after its size, encrypted.", protect + "outer_end", "P1 r1.59 24.4",
                 [("size and inner key, random", plain), ("symmetric key", storage)])
        self.add(prefix + "credential-hmac-key", "Field 1: the HMAC key", integrity,
                 sh_kdfa(seed, "INTEGRITY", b"", 32),
                 "The other key of the same seed.", "tpm/seed.c:tpm2_seed_hmac", "P1 r1.59 24.5", [("seed", seed)])
        self.add(prefix + "credential-hmac", "Field 1: integrityHMAC", mac, sh_hmac(integrity, cipher + name),
                 "Over the ciphertext and the SRK's Name: the TPM computes it with the Name of the key that is "
                 "loaded, so "
                 "another SRK does not pass.", "tpm/seed.c:tpm2_seed_hmac", "P1 r1.59 24.5",
                 [("encIdentity", cipher), ("Name of the SRK", name), ("HMAC key", integrity)])
        self.add(prefix + "credential-secret", "Field 2: the seed, encrypted to the EK", sent,
                 sh_oaep(modulus, b"IDENTITY\0", seed, values["credentialOaep"]),
                 "RSA-OAEP. Its label is the word IDENTITY and a zero byte: leave the zero out, and no TPM opens it.",
                 "crypto/crypto_bearssl.c:crypto_rsa_oaep_encrypt", "P1 r1.59 B.4",
                 [("label", b"IDENTITY\0"), ("seed", seed), ("OAEP's own random bytes", values["credentialOaep"]),
                  ("modulus of the EK", modulus)])

    def duplicate(self, prefix, blob, values, key, name, what):
        mark, protect, inner = prefix == "", "tpm/protect.c:", values["innerKey"]
        sensitive = two(bytes.fromhex("00080000") + two(values["seedValue"]) + two(key))
        digest = sha256(sensitive, name)
        plain = two(digest) + sensitive
        enc_inner = cfb_encrypt(inner, plain)
        seed, modulus = values["duplicateSeed"], self.srk[-256:]
        storage, integrity = kdfa(seed, b"STORAGE", name, 16), kdfa(seed, b"INTEGRITY", b"", 32)
        cipher = cfb_encrypt(storage, enc_inner)
        same(cipher, blob.get("dupSensitive"), "dupSensitive")
        mac = hmac(integrity, cipher, name)
        same(mac, blob.get("integrityOuter.buffer"), "integrityOuter")
        sent = oaep(modulus, b"DUPLICATE\0", seed, values["duplicateOaep"])
        same(sent, blob.get("inSymSeed.secret"), "field 4")
        self.add(prefix + "inner-digest", "Field 3: the inner integrity", digest, sh_sha256(sensitive + name),
                 "A hash over the sensitive area and the Name: whoever has the wrong inner key is noticed here.",
                 protect + "tpm2_duplicate_make", "P1 r1.59 23.3.2.2",
                 [("size, type KEYEDHASH, empty authValue", sensitive[:6]), ("seedValue", two(values["seedValue"])),
                  (what, two(key)), ("Name", name)], nonce=mark)
        self.add(prefix + "inner-wrap", "Field 3: after the inner wrap", enc_inner, sh_cfb(inner, plain),
                 "First encryption, with the inner key, which only the EK gives out.", protect + "tpm2_duplicate_make",
                 "P1 r1.59 23.3.2.2", [("inner integrity", two(digest)), (f"sensitive area with {what}", sensitive),
                                       ("inner key", inner)], nonce=mark)
        self.add(prefix + "outer-key", "Field 3: the symmetric key of the outer wrap", storage,
                 sh_kdfa(seed, "STORAGE", name, 16), "KDFa of a second random seed, which only the SRK opens.",
                 "tpm/seed.c:tpm2_seed_symmetric_key", "P1 r1.59 23.3.2.3", [("seed, random", seed), ("Name", name)])
        self.add(prefix + "outer-wrap", "Field 3: dupSensitive, after the outer wrap", cipher,
                 sh_cfb(storage, enc_inner),
                 f"Second encryption. This is how {what} travels.", protect + "outer_end", "P1 r1.59 23.3.2.3",
                 [("after the inner wrap", enc_inner), ("symmetric key", storage)], nonce=mark)
        self.add(prefix + "outer-hmac-key", "Field 3: the HMAC key of the outer wrap", integrity,
                 sh_kdfa(seed, "INTEGRITY", b"", 32), "The other key of the second seed.", "tpm/seed.c:tpm2_seed_hmac",
                 "P1 r1.59 23.3.2.3", [("seed", seed)])
        self.add(prefix + "outer-hmac", "Field 3: integrityOuter", mac, sh_hmac(integrity, cipher + name),
                 "Over the ciphertext and the Name.", "tpm/seed.c:tpm2_seed_hmac", "P1 r1.59 23.3.2.3",
                 [("dupSensitive", cipher), ("Name", name), ("HMAC key", integrity)])
        self.add(prefix + "duplicate-secret", "Field 4: the second seed, encrypted to the SRK", sent,
                 sh_oaep(modulus, b"DUPLICATE\0", seed, values["duplicateOaep"]),
                 "RSA-OAEP once more, now to the SRK; the label is DUPLICATE and a zero byte.",
                 "crypto/crypto_bearssl.c:crypto_rsa_oaep_encrypt", "P1 r1.59 B.4",
                 [("label", b"DUPLICATE\0"), ("seed", seed), ("OAEP's own random bytes", values["duplicateOaep"]),
                  ("modulus of the SRK", modulus)])

    def uri(self, prefix, blob, values, text):
        plain = text.encode("utf-16-le")
        cipher = cfb_encrypt(values["innerKey"], plain)
        same(cipher, blob.get("encUriData.buffer"), "field 6")
        self.add(prefix + "uri", "Field 6: encUriData", cipher, sh_cfb(values["innerKey"], plain),
                 f"Whose key this is: {text} in UTF-16, under the inner key.",
                     "dps/service/activation_make.c:write_uri", "spec-notes.md",
                     [("text", plain), ("inner key", values["innerKey"])])

    def answer(self):
        """Step 8: what the TPM signs with the nonce, and what the service compares."""
        hash_command = self.message("register-hmac-1-command")
        response = self.message("register-hmac-1-response")
        text = f"{SCOPE}%2Fregistrations%2F{ID}\n{NOW + 3600}".encode()
        same(text, hash_command.get("buffer.buffer"), "string to sign")
        nonce = self["nonce"].data
        mac = hmac(nonce, text)
        same(mac, response.get("outHMAC.buffer"), "outHMAC")
        self.add("string-to-sign", "The string to sign", text,
                 f"printf '%s\\n%s' {SCOPE}%2Fregistrations%2F{ID} {NOW + 3600} | xxd -p -c 0",
                 "The audience as it is in the token, a line feed, the expiry.",
                 "dps/protocol/sas.c:dps_sas_write_string_to_sign",
                 "DPS “Security tokens”", [("audience", text.split(b"\n")[0]), ("expiry", text.split(b"\n")[1])])
        self.add("proof", "outHMAC, computed outside the TPM", mac, sh_hmac(nonce, text),
                 "The TPM has never been told the nonce in clear and gives the same value: it has opened both wraps.",
                 "dps/protocol/sas.c:dps_sas_signed_with", "RFC 2104",
                 [("string to sign", text), ("key: the nonce", nonce)],
                 nonce=True)
        self.add("token-sig", "sig, in the token", self.signature(self.message("register-put-2-token"), mac),
                 self.sh_sig(nonce, text), "The same bytes in base64, percent-encoded.",
                 "dps/protocol/sas.c:dps_sas_write_token", "",
                 [("outHMAC", mac)], nonce=True)

    def hub(self):
        """Steps 9 and 10: the operation's name, the hub's device key, its token."""
        exchange = next(e for e in self.run.scenes["register"] if e.request.name.startswith("GET"))
        drawn = next(e.values["registrationRandom"] for e in self.run.scenes["register"]
                     if "registrationRandom" in e.values)
        text = two(b"tpm-dps operation") + two(ID.encode()) + struct.pack(">Q", 1) + two(drawn)
        operation = "1." + hmac(self.secret, text)[:16].hex()
        same(operation.encode(), exchange.request.bytes.split(b"operations/")[1].split(b"?")[0], "operationId")
        self.add("operation-id", "operationId", operation, f"printf 1.; {sh_hmac(self.secret, text, 32)}",
                 "The operation is named after what it made, so there is nothing to store and nothing to guess.",
                 "dps/service/service.c:write_operation_id", "",
                 [("label", two(b"tpm-dps operation")), ("registration ID", two(ID.encode())),
                  ("generation", struct.pack(">Q", 1)), ("random bytes of this registration", two(drawn))])
        parts = [("label", two(b"tpm-dps hub device key")), ("registration ID", two(ID.encode())),
                 ("hub", two(HUB.encode())),
                 ("device ID", two(ID.encode())), ("generation", struct.pack(">Q", 1)),
                 ("random bytes of this registration", two(drawn))]
        text = b"".join(data for _, data in parts)
        key = hmac(self.secret, text)
        self.add("hub-key", "The hub's device key", key, sh_hmac(self.secret, text),
                 "Also derived, under another label: the store holds no secret. The hub derives it again when it "
                 "checks a token.",
                 "dps/service/service.c:dps_hub_key", "", parts + [("key: the service secret", self.secret)])
        self.wrapped("hub-", exchange.blob, exchange.values, key, "the hub's device key")
        self.uri("hub-", exchange.blob, exchange.values, f"{HUB}/{ID}")
        text = f"{HUB}%2Fdevices%2F{ID}\n{NOW + 3600}".encode()
        same(hmac(key, text), self.message("register-hmac-2-response").get("outHMAC.buffer"), "hub token")
        self.add("hub-token", "sig, in the hub's token",
                 self.signature(self.message("send-post-1-token"), hmac(key, text)),
                 self.sh_sig(key, text), "The TPM signs with the hub's device key; the hub computes the same.",
                 "dps/service/hub.c:authenticate", "", [("string to sign", text), ("key: the hub's device key", key)])


def sniffed(run):
    """What the inner key, seen on the bus, opens and what it does not."""
    inner = run.by_anchor("register-activatecredential-1-response").get("certInfo.buffer")
    blob = run.by_anchor("register-put-1-blob")
    uri, duplicate = blob.get("encUriData.buffer"), blob.get("dupSensitive")
    stream = cfb_encrypt(inner, bytes(16))  # the first block of the key stream
    text = xor(uri[:16], stream).decode("utf-16-le")
    opened = Value("sniff-opened", "Field 6, with the inner key from the bus", f"dps.example/{ID}",
                   f"{unhex(uri)} |\n  openssl enc -d -aes-128-cfb -K {inner.hex()} -iv {'0' * 32} | tr -d '\\0'",
                   "It opens: a name, and no secret.", "dps/protocol/activation.c:dps_activation_uri",
                   parts=[("encUriData", uri), ("certInfo: the inner key", inner)])
    assert opened.shown.startswith(text)
    garbage = xor(duplicate[:2], stream)
    closed = Value("sniff-closed", "Field 3, with the inner key alone", garbage.hex(),
                   f"{unhex(duplicate)} |\n  openssl enc -d -aes-128-cfb -K {inner.hex()} -iv {'0' * 32} |\n  head "
                   f"-c 2 | xxd -p",
                   "It should begin with 0020, the size of the inner integrity. It does not: the outer wrap is still "
                   "on, and its "
                   "seed is only ever in clear inside the TPM.", "tpm/tools/open.c:read_inner",
                   parts=[("dupSensitive", duplicate), ("certInfo: the inner key", inner)])
    assert garbage != b"\0\x20"
    return [opened, closed]
