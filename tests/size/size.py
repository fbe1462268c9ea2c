# SPDX-License-Identifier: MIT
"""Code and memory on a Cortex-M3, measured: per module, per use, per structure.

Usage: tests/size/size.py BUILD [--update]     from the root of the tree
Prints the tables; --update writes them into port/PORTING.md; --check compares them with it (TAP).

"Reachable" is what the linker keeps of all objects when a firmware calls the named functions: their own code and data
and that of everything below them. BearSSL, the C library and the compiler's own library are not counted.
"""
import collections
import pathlib
import re
import sys

import measure


# ---- What is linked ----

# The commands of a device's life, start-up to change of owner.
COMMANDS = ("startup", "get_capability", "get_random", "read_public", "create_primary", "evict_control",
            "start_auth_session", "policy_secret", "activate_credential", "import", "load", "hmac", "flush_context",
            "hierarchy_change_auth", "clear")
TPM = [f"tpm2_{command}_{half}" for command in COMMANDS for half in ("build", "parse")]
TPM += ["tpm2_template_ek_l1", "tpm2_template_srk", "tpm2_template_hmac_key", "tpm2_auth_password", "tpm2_auth_policy",
        "tpm2_public_parse_2b", "tpm2_public_matches", "tpm2_name_of", "tpm2_rc_decode", "tpm2_response_size"]

DEVICE_H = measure.device_functions()
# The beginnings of a run that registering and talking to the hub do not need.
BESIDES = ["dps_device_read_ek", "dps_device_read_keys", "dps_device_own", "dps_device_clear", "dps_device_seal",
           "dps_device_unseal"]
LINK = [name for name in DEVICE_H if name.startswith("dps_link_")]
DEVICE = [name for name in DEVICE_H if name not in BESIDES + LINK]

NO_SESSIONS = ["-DDPS_WITH_SESSIONS=0"]

KIB = 1024
# The parts of a use: the grammars of the protocol, the TPM part, and the flow itself with the crypto glue.
PARTS_OF_USE = [("HTTP, JSON, base64 and other text", re.compile(r"dps/protocol/(http\w*|json|text|date)\.c")),
                ("TPM", re.compile(r"tpm/")),
                ("the flow, SAS tokens, saved state, crypto glue",
                 re.compile(r"dps/(?!protocol/(http\w*|json|text|date)\.c)|crypto/"))]
# What is reachable: title, functions, build options, target in bytes.
USES = [
    (f"TPM commands: {len(COMMANDS)} of a device's life", TPM, [], 6.5 * KIB),
    ("device: register, token, send; small profile", DEVICE, measure.SMALL, 16 * KIB),
    ("device: register, token, send; without sessions", DEVICE, NO_SESSIONS, None),
    ("device: register, token, send", DEVICE, [], None),
    ("device: register, token, and a link over MQTT instead of send",
     [name for name in DEVICE if name != "dps_device_send"] + LINK, [], None),
    ("device: everything of dps/device/", DEVICE_H, [], None),
]
WHY = pathlib.Path("tests/size/why.txt")
# The uses whose parts are shown, and what their TPM part may need.
SPLIT = {1: None, 3: 7.5 * KIB}

# ---- Memory ----

STRUCTURES = [
    ("dps/device/state.h", "struct dps_device", "the engine: one run, all its messages and keys"),
    ("dps/device/state.h", "struct dps_device_config", "what the owner decides"),
    ("dps/device/link_state.h", "struct dps_link", "a link over MQTT, beside the engine"),
    ("dps/protocol/http.h", "struct dps_http", "one HTTP message being received (in the engine)"),
    ("crypto/bytes/bytes.h", "struct bytes_reader", "reader"),
    ("crypto/bytes/bytes.h", "struct bytes_writer", "writer"),
    ("tpm/public.h", "struct tpm2_public", "a public area"),
    ("crypto/crypto.h", "struct crypto_drbg", "random numbers"),
    ("crypto/tls.h", "struct crypto_trust", "whom to trust: a view of a text"),
    ("crypto/tls.h", "struct crypto_tls_client", "one TLS connection"),
    ("port/port.h", "struct port", "the platform's functions"),
    ("port/drive.h", "struct port_drive", "the blocking loop, with TLS connection and record buffer"),
]
# Parts of larger structures: (header, expression, purpose, where).
RAM_TARGET = 8 * KIB
PARTS = [
    ("dps/device/state.h", "sizeof(struct dps_device)", "a registration without TLS", None),
    ("dps/device/state.h", "DPS_TPM_BUFFER", "one TPM command or response", "in the engine"),
    ("dps/device/state.h", "DPS_NET_BUFFER", "one HTTP request or response", "in the engine"),
    ("dps/device/state.h", "sizeof(struct dps_device) - DPS_TPM_BUFFER - DPS_NET_BUFFER",
     "keys, names, token, state of the run", "in the engine"),
    ("port/drive.h", "sizeof(struct crypto_tls_client)", "TLS connection and certificate check", "in port_drive"),
    ("port/drive.h", "PORT_TLS_BUFFER", "TLS records", "in port_drive"),
    ("crypto/tls.h", "sizeof(struct crypto_anchors)", "trust anchors of the chain at hand", "in the TLS connection"),
]


def sizes_of(out, expressions, options=()):
    """Values of constant expressions, by the compiler alone: each becomes the size of an array."""
    source = out / "sizes.c"
    lines = [f'#include "{h}"' for h in dict.fromkeys(header for header, _ in expressions)]
    lines += [f"char size_{i}[{expression}];" for i, (_, expression) in enumerate(expressions)]
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    target = source.with_suffix(".o")
    measure.run(measure.CC, *measure.CFLAGS, "-fno-common", *options, "-c", source, "-o", target)
    sizes = re.findall(r"^\w+ (\w+) \w size_(\d+)$", measure.run("arm-none-eabi-nm", "-S", target), flags=re.M)
    by_index = {int(i): int(size, 16) for size, i in sizes}
    return [by_index[i] for i in range(len(expressions))]


def sections(objects):
    """object -> (text, data, bss) of whole objects."""
    for line in measure.run("arm-none-eabi-size", *objects).splitlines()[1:]:
        fields = line.split()
        yield pathlib.Path(fields[5]), tuple(int(n) for n in fields[:3])


def reachable(out, objects, functions, name):
    """source -> (text, data, bss) of what the linker keeps."""
    linked = out / f"{name}.map"
    roots = [word for function in functions for word in ("-u", function)]
    measure.run("arm-none-eabi-ld", "--gc-sections", "--unresolved-symbols=ignore-all", "-e", functions[0], *roots,
                f"-Map={linked}", "-o", linked.with_suffix(".elf"), *objects.values())
    text = linked.read_text(encoding="utf-8").split("Linker script and memory map")[1]
    source_of = {str(target): source for source, target in objects.items()}
    kept = collections.defaultdict(lambda: [0, 0, 0])
    # " .text.f  0x... 0x... object"; a long name has the rest on the next line. Mergeable strings are counted once.
    for section, size, target in re.findall(
            r"^ \.(text|rodata|data|bss|ARM\.exidx)\S*\s+0x[0-9a-f]+\s+0x([0-9a-f]+) (\S+)$", text, flags=re.M):
        kept[source_of[target]][{"data": 1, "bss": 2}.get(section, 0)] += int(size, 16)
    return kept


def total(kept):
    return [sum(row[i] for row in kept.values()) for i in range(3)]


def target_text(text, target):
    if target is None:
        return ""
    spare = int(target) - text
    return f"{int(target)}: met, {spare} to spare" if spare >= 0 else f"{int(target)}: missed by {-spare}"


def table(header, rows):
    align = ["---" if i == 0 else "---:" if h in ("text", "data", "bss", "bytes") or h.startswith("text ") else "---"
             for i, h in enumerate(header)]
    return ["| " + " | ".join(header) + " |", "|" + "|".join(align) + "|"] + \
        ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows] + [""]


def use_rows(title, kept, target, index):
    yield title, *total(kept), target_text(total(kept)[0], target)
    for name, sources in PARTS_OF_USE if index in SPLIT else ():
        part = {s: row for s, row in kept.items() if sources.match(str(s))}
        if not part:
            sys.exit(f"size.py: no file is in the part {name!r}")
        yield f"– of it {name}", *total(part), target_text(total(part)[0], SPLIT[index] if name == "TPM" else None)


def images(firmware):
    """What `make firmware` has built. The rows of other boards stay as they are (measure.py)."""
    for path in sorted(p for p in firmware.glob("*.elf") if not p.stem.endswith("-faults")):
        (_, (text, data, bss)), = sections([path])
        yield f"image {path.stem}", text, data, bss


def measured(out, firmware):
    """The tables, and what is wrong with a module. out: for what is compiled; firmware: where the images are."""
    measure.require_compiler()
    out.mkdir(parents=True, exist_ok=True)
    sources = measure.core_sources()
    built = [(options, measure.compile_objects(out / name, sources, options))
             for name, options in (("default", []), ("small", measure.SMALL), ("no_sessions", NO_SESSIONS))]
    objects = built[0][1]
    uses = [(title, reachable(out, next(b for o, b in built if o == options), functions, f"use{i}"), target)
            for i, (title, functions, options, target) in enumerate(USES)]
    lines = ["Bytes on a Cortex-M3: Thumb, `-Os -ffunction-sections -fdata-sections`, Debian 12's gcc 12.2.1. Text",
             "includes constants. Reachable: what the linker keeps for these calls, without BearSSL and the libraries",
             "of C and the compiler. `make check-size` allows a difference of 1 % or 16 bytes.", ""]
    lines += table(("reachable", "text", "data", "bss", "target"),
                   [row for i, (title, kept, target) in enumerate(uses) for row in use_rows(title, kept, target, i)])
    lines += WHY.read_text(encoding="utf-8").splitlines() + [""]
    lines += table(("board", "text", "data", "bss"), images(firmware))
    whole = dict(sections(objects.values()))
    columns = [uses[i][1] for i in (0, 1, 5)]
    lines += table(("module", "text", "data", "bss", "text of TPM use", "text of small device", "text of device"),
                   [(source, *whole[target], *(kept[source][0] if source in kept else 0 for kept in columns))
                    for source, target in objects.items()])
    lines += table(("structure", "bytes", "what"),
                   [(f"`{name}`", size, what) for (_, name, what), size in
                    zip(STRUCTURES, sizes_of(out, [(header, f"sizeof({name})") for header, name, _ in STRUCTURES]))])
    lines += table(("RAM of a device", "bytes", "where"),
                   [(what, size, where or f"the engine; target {target_text(size, RAM_TARGET)}")
                    for (_, _, what, where), size in
                    zip(PARTS, sizes_of(out, [(header, expression) for header, expression, _, _ in PARTS]))])
    variables = [f"{target}: data {data}, bss {bss}" for target, (_, data, bss) in whole.items() if data or bss]
    return "\n".join(lines[:-1]) + "\n", variables


def main():
    build = pathlib.Path(sys.argv[1])
    text, variables = measured(build / "size", build / "firmware")
    measure.finish("size", text, "--update" in sys.argv)
    sys.exit("\n".join(variables) or 0)


if __name__ == "__main__":
    main()
