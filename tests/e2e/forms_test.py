# SPDX-License-Identifier: MIT
"""One key and one command in every form in which tools print bytes: all are read the same. Where the tool is on
every machine (od, hexdump, openssl) it prints the form itself; the others are written here as their documentation shows
them."""
import base64
import json
import pathlib
import re
import struct
import subprocess
from functools import partial

from tap import Programs, check

COMMAND = bytes.fromhex("80010000000c0000017b0020")  # TPM2_GetRandom, 32 bytes
POLICY = bytes.fromhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")


def explain(data, *options):
    data = data.encode() if isinstance(data, str) else data
    done = subprocess.run([Programs.path("dps-device"), "explain", *options], input=data, capture_output=True,
                          check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def shows(data, words):
    """A test: it shows these words."""
    code, out, err = explain(data)
    check(code == 0 and words in out, f"exit code {code}, wanted 0 and {words!r} of {data!r}:\n{out}{err}")


def calls(data, called, key):
    """A test: it calls the thing by a name that matches, and does not take it for that key."""
    _, out, err = explain(data)
    check(re.search(called, out + err) and key not in out, f"wanted {called!r}, not {key!r}, of {data!r}:\n{out}{err}")


def printed(data, *command):
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


# ---- The key ----

def make_key():
    """A public key of openssl's in the EK template L-1."""
    private = printed(b"", "openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
    spki = printed(private, "openssl", "pkey", "-pubout", "-outform", "DER")
    pkcs1 = spki[24:]
    modulus = pkcs1[9:265]
    area = (bytes.fromhex("0001000b000300b20020") + POLICY + bytes.fromhex("00060080004300100800000000000100")
            + modulus)
    return private, spki, pkcs1, modulus, len(area).to_bytes(2, "big") + area


# ---- Bytes in text ----

def dump(data, offset, between, middle, characters):
    """A hexdump with 16 bytes a line, and the characters beside them."""
    lines = []
    for at in range(0, len(data), 16):
        row = data[at:at + 16]
        left, right = (" ".join(f"{b:02x}" for b in half) for half in (row[:8], row[8:]))
        text = "".join(chr(b) if 32 <= b < 127 else "." for b in row)
        lines.append(offset.format(at) + between + (left + middle + right).ljust(46 + len(middle)) + characters + text)
    return "\n".join(lines) + "\n"


def xxd(data):
    lines = []
    for at in range(0, len(data), 16):
        row = data[at:at + 16]
        groups = " ".join(row[i:i + 2].hex() for i in range(0, len(row), 2))
        lines.append(f"{at:08x}: {groups:<39}  " + "".join(chr(b) if 32 <= b < 127 else "." for b in row))
    return "\n".join(lines) + "\n"


def format_hex(data, columns, offset, gap):
    """PowerShell's Format-Hex; columns is what it prints above."""
    return columns + "".join(
        offset.format(at) + " ".join(f"{b:02X}" for b in data[at:at + 16]).ljust(47) + gap
        + "".join(chr(b) if 32 <= b < 127 else "?" for b in data[at:at + 16]) + "\r\n" for at in range(0, len(data),
            16))


def forms(data):
    """Every form that is not specific to a kind of data."""
    text, encoded = data.hex(), base64.b64encode(data).decode()
    pairs = [f"{b:02x}" for b in data]
    ruler = "00 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F"
    return {
        "hex": text, "hex in capitals": text.upper() + "\r\n", "0x": "0x" + text, "blanks": " ".join(pairs),
        "colons": ":".join(pairs), "BitConverter": "-".join(pairs).upper(),
        "0x each": ", ".join(f"0x{p}" for p in pairs), "hex folded in the middle of a byte": re.sub("(.{79})", "\\1\n",
            text),
        "C": "static const uint8_t bytes[] = {\n/* all of them */\n" + ",\n".join(
            ", ".join(f"0x{p}" for p in pairs[i:i + 8]) for i in range(0, len(pairs), 8)) + "\n};\n",
        "Go": "[]byte{" + ", ".join(f"{b:#x}" for b in data) + "}", "Go, printed": "[" + " ".join(map(str, data)) + "]",
        "Java": "byte[] b = new byte[] { " + ", ".join(f"(byte)0x{p}" for p in pairs) + " };",
        "Java, printed": str([b - 256 if b > 127 else b for b in data]), "JSON array": json.dumps(list(data)),
        "PowerShell, a byte a line": "\r\n".join(map(str, data)),
        "Python": repr(data), "Python, fromhex": f'bytes.fromhex("{text}")',
        "escapes": "".join(f"\\x{p}" for p in pairs), "Wireshark's escaped string": '"' + "".join(f"\\x{p}"
            for p in pairs) + '"',
        "shell": "printf '" + "".join(f"\\x{p}" for p in pairs) + "' > /dev/tpm0",
        "Windows registry": 'Windows Registry Editor Version 5.00\r\n\r\n"EKPub"=hex:' + ",\\\r\n  ".join(
            ",".join(pairs[i:i + 24]) for i in range(0, len(pairs), 24)),
        "base64": encoded, "base64 without padding": encoded.rstrip("="), "base64 in lines": base64.encodebytes(data),
        "base64url": base64.urlsafe_b64encode(data).rstrip(b"="), "base64 in quotes": f'"{encoded}",',
        "base64 in a URL": encoded.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D"),
        "UTF-8 with a mark": b"\xef\xbb\xbf" + encoded.encode(), "UTF-16LE": (encoded + "\r\n").encode("utf-16"),
        "UTF-16BE": b"\xfe\xff" + encoded.encode("utf-16-be"), "UTF-16 without a mark": (text
            + "\r\n").encode("utf-16-le"),
        "xxd": xxd(data), "certutil": dump(data, "    {:04x}", "  ", "  ", "   "),
        "Wireshark": dump(data, "{:04x}", "   ", " ", "   "), "Wireshark before 4": dump(data, "{:04x}", "  ", "  ",
            "   "),
        "Format-Hex 5": format_hex(data, f"\r\n\r\n           Path: C:\\x.bin\r\n\r\n           {ruler}\r\n\r\n",
                                   "{:08X}   ", "  "),
        "Format-Hex 7": format_hex(data,
                                   f"\n          Offset Bytes      Ascii\n{' ' * 17}{ruler}\n          ------ -----\n",
                                   "{:016X} ", " "),
        "hexdump -C": printed(data, "hexdump", "-C"), "hexdump": printed(data, "hexdump"),
        "od": printed(data, "od"), "od -tx1": printed(data, "od", "-tx1"), "od -x": printed(data, "od", "-x"),
        "od -b": printed(data, "od", "-b"), "od -tx4": printed(data, "od", "-tx4"),
        "od -An -tx1": printed(data, "od", "-An", "-tx1", "-v"), "od -Ax -tx1z": printed(data, "od", "-Ax", "-tx1z"),
        "a log's line": "Mar 24 10:00:00 host tool[123]: " + " ".join(pairs),
    }


def tpm2_readpublic(values):
    """Its output: numbers have a name, which is not looked at, on the line above them."""
    values = {**values, "authorization policy": POLICY.hex()}
    return "".join(f"{name}: {value}\n" if isinstance(value, str) else f"{name}:\n  value: x\n  raw: {value:#x}\n"
                   for name, value in values.items())


def wrapped_keys(private, spki, pkcs1, modulus, public_2b):
    """What tools put around a key."""
    encoded = base64.b64encode(public_2b).decode()
    pem = printed(spki, "openssl", "pkey", "-pubin", "-inform", "DER").decode()
    n = base64.urlsafe_b64encode(modulus).decode().rstrip("=")
    yaml = "name: 000b" + "00" * 32 + "\n" + tpm2_readpublic(
        {"name-alg": 0xb, "attributes": 0x300b2, "type": 1, "exponent": "65537", "bits": "2048", "scheme": 0x10,
         "scheme-halg": 0, "sym-alg": 6, "sym-mode": 0x43, "sym-keybits": "128", "rsa": modulus.hex()})
    return {
        "SubjectPublicKeyInfo": spki, "PKCS#1": pkcs1, "TPMT_PUBLIC": public_2b[2:], "modulus": modulus,
        "TPM2B_PUBLIC_KEY_RSA": b"\x01\x00" + modulus, "modulus in hex": modulus.hex(),
        "Windows' key blob": struct.pack("<4sIIIII", b"RSA1", 2048, 3, 256, 0, 0) + b"\x01\x00\x01" + modulus,
        "PEM": pem, "PEM with CRLF": pem.replace("\n", "\r\n"), "PEM with \\n": pem.replace("\n", "\\n"),
        "PEM with \\r\\n in quotes": '"' + pem.replace("\n", "\\r\\n") + '"', "PEM in one line": pem.replace("\n", " "),
        "PEM in base64": base64.b64encode(pem.encode()), "PEM in UTF-16": pem.encode("utf-16"),
        "PKCS#1 in PEM": printed(spki, "openssl", "rsa", "-pubin", "-inform", "DER", "-RSAPublicKey_out"),
        "openssl -modulus": printed(private, "openssl", "rsa", "-modulus", "-noout"),
        "openssl -text": printed(spki, "openssl", "pkey", "-pubin", "-inform", "DER", "-text", "-noout"),
        ".NET": f"<RSAKeyValue><Modulus>{base64.b64encode(modulus).decode()}</Modulus></RSAKeyValue>",
        "JSON web key": json.dumps({"kty": "RSA", "n": n, "e": "AQAB"}),
        "JSON web key set": json.dumps({"keys": [{"kty": "RSA", "n": n, "e": "AQAB"}]}),
        "enrollment": json.dumps({"registrationId": "a", "attestation": {"type": "tpm",
            "tpm": {"endorsementKey": encoded}}}),
        "list of enrollments": json.dumps([{"attestation": {"tpm": {"endorsementKey": encoded}}}], indent=2),
        "JSON with a name of its own": json.dumps({"device": [{"publicKeyHex": "0x" + public_2b.hex()}]}),
        "JSON around PEM": json.dumps({"pub": pem}), "Node's Buffer": json.dumps({"type": "Buffer",
            "data": list(public_2b)}),
        "tpm2_readpublic": yaml, "tpm2_readpublic with CRLF": yaml.replace("\n", "\r\n"),
        "tpm2_readpublic, indented, UTF-16": re.sub("(?m)^", "    ", yaml).encode("utf-16"),
        "Microsoft's C tool": f"Registration Id:\n------------------------\nabc\n\n"
                              f"Endorsement Key:\n------------------\n{encoded}\n",
        "a file of environment variables": f"ID=a\nEK={encoded}\n",
        "Microsoft's C# sample": f"ID = a\nEndorsement Key = {encoded}\nStorage Root Key = {encoded[:40]}\n",
        "folded in a mail": f"this is it:\n{base64.encodebytes(public_2b).decode()}\nregards",
        "Python's dict": f"{{'registrationId': 'a', 'endorsementKey': '{encoded}'}}",
    }


# ---- Certificates ----

def certificates(private, spki):
    """An EK certificate as a TPM and as tools keep it. The EK cannot sign: a CA does."""
    extensions = "basicConstraints=critical,CA:FALSE\nkeyUsage=keyEncipherment\nextendedKeyUsage=2.23.133.8.1\n"
    directory = pathlib.Path(Programs.directory())
    (directory / "ek.pem").write_bytes(printed(spki, "openssl", "pkey", "-pubin", "-inform", "DER"))
    (directory / "ext").write_text(extensions, encoding="ascii")
    subprocess.run("openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 9 -subj /CN=ca && "
                   "openssl x509 -new -force_pubkey ek.pem -CA ca.pem -CAkey ca.key -subj / -days 9 -extfile ext "
                   "-outform DER -out ek.der", shell=True, check=True, capture_output=True, cwd=directory)
    der = (directory / "ek.der").read_bytes()
    size = len(der)
    return {
        "DER": der, "padded with ones": der + b"\xff" * 300, "padded with zeros": der + bytes(300),
        "TCG header": b"\x10\x01\x00" + size.to_bytes(2, "big") + der,
        "TCG header and padding": b"\x10\x01\x00" + (size + 300).to_bytes(2, "big") + der + b"\xff" * 300,
        "TCG_FULL_CERT": b"\x10\x01\x00" + (size + 2).to_bytes(2, "big") + b"\x10\x02" + der,
        "TCG header in base64": base64.b64encode(b"\x10\x01\x00" + size.to_bytes(2, "big") + der),
        "PEM": printed(der, "openssl", "x509", "-inform", "DER"),
        "PEM with its text": printed(der, "openssl", "x509", "-inform", "DER", "-text"),
        "Intel's answer": json.dumps({"pubhash": "x%3D",
                                      "certificate": base64.urlsafe_b64encode(der).decode().replace("=", "%3D")}),
    }


# ---- Keys of other kinds ----

def other_keys():
    """Name: (form, what it must be called)."""
    found = {}
    private = printed(b"", "openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072")
    spki = printed(private, "openssl", "pkey", "-pubout", "-outform", "DER")
    modulus = spki[-389:-5]
    area = (bytes.fromhex("0001000c000300f20030") + bytes(48) + bytes.fromhex("00060100004300100c00000000000180")
            + modulus)
    for name, data in {"SubjectPublicKeyInfo": spki, "PEM": printed(private, "openssl", "pkey", "-pubout"),
                       "PKCS#1": printed(private, "openssl", "rsa", "-RSAPublicKey_out", "-outform", "DER"),
                       "-modulus": printed(private, "openssl", "rsa", "-modulus", "-noout"), "modulus": modulus,
                       "TPM2B_PUBLIC": len(area).to_bytes(2, "big") + area, "TPMT_PUBLIC": area,
                       "base64": base64.b64encode(len(area).to_bytes(2, "big") + area),
                       "JSON web key": json.dumps({"kty": "RSA",
                                                   "n": base64.urlsafe_b64encode(modulus).decode()})}.items():
        found[f"RSA-3072, {name}"] = data, "RSA-3072"
    for curve, called, size, number in (("P-256", "P-?256", 32, 3), ("P-384", "P-?384", 48, 4)):
        private = printed(b"", "openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}")
        spki = printed(private, "openssl", "pkey", "-pubout", "-outform", "DER")
        x, y = spki[-2 * size:-size], spki[-size:]
        area = (bytes.fromhex("0023000b000300b20020") + POLICY + bytes.fromhex("0006008000430010") + struct.pack(">HH",
            number, 0x10)
                + struct.pack(">H", size) + x + struct.pack(">H", size) + y)
        yaml = tpm2_readpublic(
            {"name-alg": 0xb, "attributes": 0x300b2, "type": 0x23, "curve-id": number, "kdfa-alg": 0x10, "scheme": 0x10,
             "sym-alg": 6, "sym-mode": 0x43, "sym-keybits": "128", "x": x.hex(), "y": y.hex()})
        for name, data in {"SubjectPublicKeyInfo": spki, "PEM": printed(private, "openssl", "pkey", "-pubout"),
                           "TPM2B_PUBLIC": len(area).to_bytes(2, "big") + area, "TPMT_PUBLIC": area, "hex": area.hex(),
                           "tpm2_readpublic": yaml, "point": "04" + x.hex() + y.hex(),
                           "JSON web key": json.dumps({"kty": "EC", "crv": curve, "x": "AA", "y": "AA"})}.items():
            found[f"{curve}, {name}"] = data, called
    return found


def tests():
    for name, data in forms(COMMAND).items():
        yield f"command: {name}", partial(shows, data, "TPM2_GetRandom → TPM, 12 bytes")
    key = make_key()
    public_2b = key[4]
    digest = re.search(r"^  ([a-z2-7]{52})$", explain(public_2b)[1], re.M).group(1)
    shown = {f"{kind}, {name}": data
             for kind, binary in (("TPM2B_PUBLIC", public_2b), ("PKCS#1", key[2]), ("SPKI", key[1]))
             for name, data in forms(binary).items()}
    shown.update({f"key: {name}": data for name, data in wrapped_keys(*key).items()})
    shown.update({f"certificate: {name}": data for name, data in certificates(key[0], key[1]).items()})
    for name, data in shown.items():
        yield name, partial(shows, data, digest)
    for name, (data, called) in other_keys().items():
        yield f"other key: {name}", partial(calls, data, called, digest)
    windows = "PublicKey     : System.Security.Cryptography.AsnEncodedData\r\nPublicKeyHash : 00"
    two = json.dumps([base64.b64encode(public_2b[:-1] + last).decode() for last in (b"\x01", b"\x03")])
    for name, data in (("Windows' hash", windows), ("two keys", two)):
        yield f"no key: {name}", partial(calls, data, "", digest)
