# SPDX-License-Identifier: MIT
"""Proves that the parsers have no run-time error, with Frama-C (WP, RTE and EVA), and prints what was proved. Every
goal must be proved, every smoke test pass, and every mutant lose a goal."""
import dataclasses
import pathlib
import re
import resource
import subprocess
from functools import partial

from tap import Programs, check, note, same

HERE = pathlib.Path("tests/prove")
BUILD = pathlib.Path(Programs.path("prove"))
SECONDS = 10  # for one prover and one goal


@dataclasses.dataclass(frozen=True)
class Source:
    path: str
    contracts: str
    # Functions about which nothing is claimed. Their callees' contracts say what they rely on.
    left_out: tuple = ()
    # Claimed are these only.
    only: tuple = ()


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One mistake in one function: `before` occurs once in the source; with `after` some goal must fail."""
    path: str
    function: str
    before: str
    after: str


SOURCES = (
    Source("crypto/bytes/bytes.c", "bytes.acsl"),
    Source("tpm/rc.c", "tpm.acsl"),
    Source("tpm/auth.c", "tpm.acsl"),
    Source("tpm/frame.c", "tpm.acsl"),
    Source("dps/protocol/text.c", "dps_text.acsl"),
    Source("dps/protocol/registration_id.c", "dps_names.acsl"),
    Source("dps/protocol/date.c", "dps_names.acsl"),
    Source("dps/protocol/sas.c", "dps_names.acsl"),
    Source("dps/device/record.c", "dps_record.acsl"),
)

MUTANTS = (
    Mutant("crypto/bytes/bytes.c", "take", "len > r->left)", "len > r->left + 1)"),
    Mutant("crypto/bytes/bytes.c", "bytes_write_room", "len > w->capacity - w->len",
           "len > w->capacity - w->len + 1"),
    Mutant("crypto/bytes/bytes.c", "bytes_write_size_end", "w->len - begin > UINT16_MAX",
           "w->len - begin > 2 * UINT16_MAX"),
    Mutant("crypto/bytes/bytes.c", "bytes_read_bytes", ".len = p != NULL ? len : 0", ".len = len"),
    Mutant("crypto/bytes/bytes.c", "bytes_equal_secret", "difference | (a[i] ^ b[i])", "a[i] ^ b[i]"),
    Mutant("tpm/rc.c", "tpm2_rc_decode", "if (rc == TPM2_RC_SUCCESS) {", "if ((rc & RC_VERSION_2) == 0) {"),
    Mutant("tpm/auth.c", "tpm2_auth_area_read", "    bytes_reader_fail(r, bytes_reader_end(r));\n", ""),
    Mutant("tpm/frame.c", "tpm2_response_size", "size > limit", "size > limit + 1"),
    Mutant("dps/protocol/text.c", "dps_write_decimal", "uint8_t digits[20]", "uint8_t digits[19]"),
    Mutant("dps/protocol/text.c", "dps_base64_decode", "text.len / 4 * 3 - padding > capacity",
           "text.len / 4 * 3 - padding > capacity + 1"),
    Mutant("dps/protocol/text.c", "dps_base64_decode", "padding < 2 && padding < text.len", "padding < 2"),
    Mutant("dps/protocol/text.c", "dps_percent_decode", "text.len - i < 3", "text.len - i < 2"),
    Mutant("dps/protocol/text.c", "dps_percent_decode", "total == capacity", "total > capacity"),
    Mutant("dps/protocol/text.c", "dps_hex_decode", "text.len / 2 > capacity", "text.len / 2 > capacity + 1"),
    Mutant("dps/protocol/text.c", "utf8_sequence", "len > text.len - at", "len > text.len - at + 1"),
    Mutant("dps/protocol/text.c", "dps_trim", "to > from", "to >= from"),
    Mutant("dps/protocol/registration_id.c", "all_allowed", "id.len == 0 || id.len > max", "id.len > max"),
    Mutant("dps/protocol/registration_id.c", "all_allowed", "id.len > max", "id.len > max + 1"),
    Mutant("dps/protocol/registration_id.c", "dps_host_valid", "i + 1 == host.len || ", ""),
    Mutant("dps/protocol/date.c", "has_date_form", "text.len != sizeof form - 1", "text.len > sizeof form - 1"),
    Mutant("dps/protocol/date.c", "dps_http_date_parse", "year < 1970 || ", ""),
    Mutant("dps/protocol/date.c", "dps_http_date_parse", " || day == 0", ""),
    Mutant("dps/protocol/sas.c", "write_signature", "uint8_t base64[44]", "uint8_t base64[43]"),
    Mutant("dps/protocol/sas.c", "dps_sas_parse", "header.len < prefix || ", ""),
    Mutant("dps/device/record.c", "begin", "record.len < MARK_SIZE + sizeof digest", "record.len < MARK_SIZE"),
    Mutant("dps/device/record.c", "dps_keep_text", "text.len >= size", "text.len > size"),
    Mutant("dps/device/record.c", "keep_bytes", "bytes.len > size", "bytes.len > size + 1"),
    Mutant("dps/device/record.c", "dps_record_ek_name", " || field.len != TPM2_NAME_SIZE", ""),
)

# Frama-C with every check of run-time errors that WP can follow: memory accesses, signed and unsigned overflow,
# narrowing, shifts, division. Smoke tests prove that no precondition is a contradiction.
WP = ["frama-c", "-c11", "-machdep", "x86_64", "-kernel-warn-key", "annot-error=abort", "-warn-unsigned-overflow",
      "-warn-unsigned-downcast", "-warn-signed-downcast", "-wp", "-wp-rte", "-wp-smoke-tests",
      "-wp-smoke-timeout", "1", "-wp-model", "Typed+Cast", "-wp-no-filter", "-wp-literals", "-wp-no-volatile",
      "-wp-prover", "cvc4", "-wp-timeout", str(SECONDS), "-wp-par", "6", "-wp-cache", "update"]


def run(command, log):
    with open(log, "w", encoding="utf-8") as out:
        status = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=False,
                                timeout=1800).returncode
    return status, pathlib.Path(log).read_text(encoding="utf-8", errors="replace")


def cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def prove(source, path, functions=()):
    """Run WP over the file at path. Returns its log."""
    name = pathlib.Path(source.path).stem
    cache = BUILD / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    command = WP + ["-wp-cache-dir", str(cache),
                    f"-cpp-extra-args=-I. -DPROVE_{name} -include {HERE}/{source.contracts}", str(path)]
    if functions or source.only:
        command += ["-wp-fct", ",".join(functions or source.only)]
    if source.left_out:
        command += ["-wp-skip-fct", ",".join(source.left_out)]
    log = BUILD / (str(path).replace("/", "_") + ("." + functions[0] if functions else "") + ".log")
    status, text = run(command, log)
    check(status == 0 and "Proved goals" in text, f"Frama-C failed: read {log}")
    return text


def seconds_in(line):
    units = {"s": 1.0, "ms": 0.001}
    return sum(float(n) * units[u] for n, u in re.findall(r"(\d+(?:\.\d+)?)(ms|s)\b", line))


def goals_of(text):
    """Function → [goals, proved, seconds]; the goals that are not proved."""
    names = sorted(set(re.findall(r"\[rte:annot\] annotating function (\w+)", text)), key=len, reverse=True)
    table, lost = {}, []
    for line in re.findall(r"^\[wp\] \[.*?\] (?:Goal|Smoke-test) typed_cast_.*$", text, re.M):
        goal = re.search(r"typed_cast_(\w+)", line).group(1)
        name = next((n for n in names if goal.startswith(n + "_")), goal)
        row = table.setdefault(name, [0, 0, 0.0])
        proved = ": Valid" in line or "[Passed]" in line
        row[0] += 1
        row[1] += proved
        row[2] += seconds_in(line)
        if not proved:
            lost.append(goal)
    return table, lost


def has_no_error(source):
    before = cpu_seconds()
    text = prove(source, pathlib.Path(source.path))
    table, lost = goals_of(text)
    total = re.search(r"Proved goals:\s+(\d+)\s*/\s*(\d+)", text)
    note(f"{total.group(1)} of {total.group(2)} goals, {cpu_seconds() - before:.0f} s of processor\n")
    note("| function | goals | proved | prover's time |\n|---|---|---|---|")
    for name, (goals, proved, seconds) in sorted(table.items()):
        note(f"| {name} | {goals} | {proved} | {seconds:.1f} s |")
    for name in source.left_out:
        note(f"| {name} | not claimed | | |")
    check(not lost, "not proved: " + ", ".join(lost))
    same(total.group(1), total.group(2), "proved goals")


def decode_every_response_code():
    """EVA over all 2^32 values: tpm2_rc_decode is total, and its results are within their ranges."""
    _, text = run(["frama-c", "-c11", "-machdep", "x86_64", "-cpp-extra-args=-I.", "-eva", "-eva-precision", "2",
                   "-warn-unsigned-overflow", "-warn-unsigned-downcast", f"{HERE}/every_rc.c", "tpm/rc.c"],
                  BUILD / "every_rc.log")
    for line in ("  0 alarms generated by the analysis", "  100% of the logical properties"):
        check(line in text, f"it does not say '{line.strip()}': read {BUILD / 'every_rc.log'}")


def loses(mutant):
    source = next(s for s in SOURCES if s.path == mutant.path)
    text = pathlib.Path(mutant.path).read_text(encoding="utf-8")
    same(text.count(mutant.before), 1, f"times that '{mutant.before}' stands in {mutant.path}")
    target = BUILD / "mutant" / mutant.path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text.replace(mutant.before, mutant.after), encoding="utf-8")
    _, lost = goals_of(prove(source, target, (mutant.function,)))
    check(lost, "no goal is lost")
    note(f"{len(lost)} goals are lost")


def tests():
    BUILD.mkdir(parents=True, exist_ok=True)
    for source in SOURCES:
        yield f"{source.path} has no run-time error", partial(has_no_error, source)
    yield "tpm2_rc_decode of all 2^32 response codes (EVA): no alarm (tpm/rc.c)", decode_every_response_code
    for mutant in MUTANTS:
        yield (f"{mutant.path}, {mutant.function}: '{mutant.after.strip() or 'nothing'}' for '{mutant.before.strip()}' "
               "loses a goal", partial(loses, mutant))
