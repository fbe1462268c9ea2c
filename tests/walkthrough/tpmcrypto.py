# SPDX-License-Identifier: MIT
"""The few primitives of TPM 2.0 Part 1 that the page recomputes, with Python's standard library only. It shares no code
with the project: what the page shows was computed twice."""
import hashlib
import hmac as hmac_module
import struct


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def hmac(key, *parts):
    return hmac_module.new(key, b"".join(parts), hashlib.sha256).digest()


def kdfa(key, label, context, size):
    """SP 800-108 in counter mode; the zero byte that ends the label is the separator."""
    text = label + b"\0" + context + struct.pack(">I", 8 * size)
    return b"".join(hmac(key, struct.pack(">I", i + 1), text) for i in range((size + 31) // 32))[:size]


def two(data):
    """A TPM2B: size and bytes."""
    return struct.pack(">H", len(data)) + data


def mask(seed, size):
    """MGF1 with SHA-256."""
    return b"".join(sha256(seed, struct.pack(">I", i)) for i in range(size // 32 + 1))[:size]


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def oaep(modulus, label, message, seed):
    """RSAES-OAEP with these random bytes, and exponent 65537."""
    size = len(modulus)
    block = sha256(label) + bytes(size - len(message) - 66) + b"\1" + message
    block = xor(block, mask(seed, size - 33))
    seed = xor(seed, mask(block, 32))
    number = pow(int.from_bytes(seed + block, "big"), 65537, int.from_bytes(modulus, "big"))
    return number.to_bytes(size, "big")


# ---- AES-128 in CFB mode ----

def multiply(a, b):
    product = 0
    while b:
        product ^= a * (b & 1)
        a = a << 1 ^ (0x11b if a & 0x80 else 0)
        b >>= 1
    return product


def make_sbox():
    box = []
    for x in range(256):
        inverse = next((y for y in range(256) if multiply(x, y) == 1), 0)
        spread = inverse | inverse << 8
        box.append((inverse ^ spread >> 4 ^ spread >> 5 ^ spread >> 6 ^ spread >> 7) & 0xff ^ 0x63)
    return box


SBOX = make_sbox()


def round_keys(key):
    words = [key[i:i + 4] for i in range(0, 16, 4)]
    constant = 1
    for i in range(4, 44):
        word = words[-1]
        if i % 4 == 0:
            word = bytes(SBOX[b] for b in word[1:] + word[:1])
            word = bytes([word[0] ^ constant]) + word[1:]
            constant = multiply(constant, 2)
        words.append(xor(words[i - 4], word))
    return [b"".join(words[i:i + 4]) for i in range(0, 44, 4)]


def aes_block(key, block):
    keys = round_keys(key)
    state = xor(block, keys[0])
    for number in range(1, 11):
        state = bytes(SBOX[b] for b in state)
        state = bytes(state[(i + 4 * (i % 4)) % 16] for i in range(16))
        if number < 10:
            state = b"".join(mix(state[i:i + 4]) for i in range(0, 16, 4))
        state = xor(state, keys[number])
    return state


def mix(c):
    return bytes(multiply(c[i], 2) ^ multiply(c[(i + 1) % 4], 3) ^ c[(i + 2) % 4] ^ c[(i + 3) % 4] for i in range(4))


def cfb_encrypt(key, data, iv=bytes(16)):
    out, previous = b"", iv
    for at in range(0, len(data), 16):
        previous = xor(data[at:at + 16], aes_block(key, previous))
        out += previous
    return out


def cfb_decrypt(key, data, iv=bytes(16)):
    out, previous = b"", iv
    for at in range(0, len(data), 16):
        out += xor(data[at:at + 16], aes_block(key, previous))
        previous = data[at:at + 16]
    return out
