# SPDX-License-Identifier: MIT
"""What tests/size/calls.txt says of BearSSL's stack, against a call graph of its source, which `make check-stack` has
fetched into BUILD/bearssl/src."""
import os
import pathlib
import re
import subprocess

from stack import Graph, Listed, Worst
from tap import Programs, same

# Hash, OAEP with RSA, and AES, with all that they call.
SOURCES = ("src/hash/sha2small.c", "src/hash/mgf1.c", "src/codec/*32be.c", "src/codec/ccopy.c",
           "src/rsa/rsa_i31_oaep_encrypt.c", "src/rsa/rsa_i31_pub.c", "src/rsa/rsa_oaep_pad.c",
           "src/rsa/rsa_default_oaep_encrypt.c", "src/int/i31_*.c", "src/int/i32_div32.c", "src/symcipher/aes_ct*.c",
           "src/symcipher/aes_common.c", "src/symcipher/aes_x86ni_cbcenc.c")


def graph_of(sources):
    graph, out = Graph(), pathlib.Path(Programs.directory())
    root = pathlib.Path(Programs.path("bearssl/src"))
    for source in sorted(path.relative_to(root) for pattern in sources for path in root.glob(pattern)):
        target = out / pathlib.Path(source).with_suffix(".o").name
        subprocess.run(["arm-none-eabi-gcc", "-Os", "-mcpu=cortex-m3", "-mthumb", "-ffunction-sections",
                        "-fdata-sections", "-ffreestanding", "-fbuiltin", "-DBR_USE_UNIX_TIME=0", "-isystem",
                        os.path.abspath("port/bare/libc"), "-Iinc", "-Isrc", "-fcallgraph-info=su", "-c", source,
                        "-o", target], cwd=Programs.path("bearssl/src"), check=True)
        graph.read(target.with_suffix(".ci"))
    # OAEP calls its hash through a table: here always SHA-256. The random bytes are ours, and at hand.
    for caller in graph.indirect:
        if re.search(r"oaep|mgf1|hash_data", caller):
            graph.calls.setdefault(caller, set()).update(
                ("br_sha256_init", "br_sha224_update", "br_sha256_out", "br_sha256_state", "br_sha256_set_state"))
    return graph


def compare(worst, name, listed):
    size, path = worst.of(name) if name in worst.graph.frame else (-1, ())
    same(size, listed.outside[name], f"bytes, by way of {' > '.join(path)}")
    if name in listed.largest:
        function = max(path, key=worst.graph.frame.get)
        same((function, worst.graph.frame[function]), listed.largest[name], "the largest frame")


def tests():
    listed = Listed()
    worst = Worst(graph_of(SOURCES), listed)
    for name, size in listed.outside.items():
        if name.startswith("br_"):
            yield f"{name} needs {size} bytes", lambda name=name, size=size: compare(worst, name, listed)
