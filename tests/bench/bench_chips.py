# SPDX-License-Identifier: MIT
"""What a registration costs in the TPM: on libtpms, measured; in a chip, computed from what others have published."""
from bench_tools import Bench, figure, note, target
from tap import Programs

# Milliseconds of one RSA-2048 operation with the private key (OAEP), and of making an RSA-2048 key: wolfTPM's README,
# "TPM2 Benchmarks" (github.com/wolfSSL/wolfTPM at 68deab3, August 2026). Nobody has published times of the other
# commands for these chips, so those are left out: a registration takes at least this long.
CHIPS = {"Infineon SLB9670, SPI 43 MHz": (167, 2196), "Infineon SLB9672, SPI 43 MHz": (88, 1568),
         "Infineon SLB9673, I2C 400 kHz": (161, 1911), "ST33KTPM2X, SPI 33 MHz": (93, 1944),
         "ST33TPHF2X, SPI 33 MHz": (252, 7455), "Nuvoton NPCT750, SPI 43 MHz": (71, 3409),
         "Microchip ATTPM20": (118, 5276)}
# Of the SDKs' commands with persistent keys: their sources, as of the counts in part_tpm.
SDKS = {"azure_c_sdk": (32, 4, 0), "azure_node_sdk": (27, 4, 0)}
WITH_PRIVATE_KEY = ("TPM2_ActivateCredential", "TPM2_Import")


class Form:
    """A way to register: how many commands, how many of them with a private RSA key, and how many that make one."""

    def __init__(self, commands):
        self.count = len(commands)
        # A session's salt is encrypted to the EK; one without salt names no key (TPM_RH_NULL).
        salted = sum(m["name"] == "TPM2_StartAuthSession" and m["hex"][20:28] != "40000007" for m in commands)
        self.private = salted + sum(m["name"] in WITH_PRIVATE_KEY for m in commands)
        self.made = sum(m["name"] == "TPM2_CreatePrimary" for m in commands)

    def at_least(self, chip):
        private, make = CHIPS[chip]
        return self.private * private + self.made * make


def forms():
    """Of dps-device, on swtpm (libtpms)."""
    import flow_test as flow
    found = {}
    for name, persist, options in (("keys_persistent", True, ()), ("no_sessions", True, ("--no-sessions",)),
                                   ("keys_derived", False, ())):
        bench, device = flow.Bench(), flow.Device("swtpm-unix")
        bench.enroll(device, "device-1")
        if persist:
            device.run("own", "--persist")
        trace = flow.trace_of(bench.register(device, "device-1", "--trace=json", *options))
        found[name] = Form([m for m in trace if m["kind"] == "tpm-command"])
    return found


def part_chips():
    """Seconds that a registration takes in real chips, at least; beside Microsoft's SDKs."""
    with Programs.use(Bench.builds["bearssl"], "bench-"):
        found = forms()
    for name, (count, private, made) in SDKS.items():
        sdk = Form([])
        sdk.count, sdk.private, sdk.made = count, private, made
        found[name] = sdk
    for name, form in found.items():
        if name != "keys_persistent":
            figure(f"chips_{name}_commands", form.count, "count")
        figure(f"chips_{name}_private_key_operations", form.private, "count")
        figure(f"chips_{name}_keys_made", form.made, "count")
        for chip in CHIPS:
            figure(f"chips_{name}_at_least [{chip}]", form.at_least(chip), "ms")
    count = found["keys_persistent"].count
    target("chips_keys_persistent_commands", count, "count", "15", count == 15)
    note("chips: operations with private keys and making keys only, by wolfTPM's published times of each chip; the "
         "other commands take some milliseconds each, which nobody has published. A salted session costs one operation "
         "more than the SDKs' and hides what crosses the bus")
