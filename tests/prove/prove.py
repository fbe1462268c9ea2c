# SPDX-License-Identifier: MIT
"""Proves that the parsers have no run-time error, with Frama-C (WP, RTE and EVA), and prints what was proved.

Usage: tests/prove/prove.py BUILD [FILE...]     from the root of the tree; FILE: only these sources
Exit status: 0 if every goal is proved, every smoke test passed, and every mutant lost a goal.
"""
import argparse
import dataclasses
import pathlib
import re
import resource
import subprocess
import sys

HERE = pathlib.Path("tests/prove")
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
)

# Frama-C with every check of run-time errors that WP can follow: memory accesses, signed and unsigned overflow,
# narrowing, shifts, division. Smoke tests prove that no precondition is a contradiction.
WP = ["frama-c", "-c11", "-machdep", "x86_64", "-kernel-warn-key", "annot-error=abort", "-warn-unsigned-overflow",
      "-warn-unsigned-downcast", "-warn-signed-downcast", "-wp", "-wp-rte", "-wp-smoke-tests",
      "-wp-smoke-timeout", "1", "-wp-model",
      "Typed+Cast", "-wp-no-filter", "-wp-no-volatile", "-wp-prover", "cvc4", "-wp-timeout", str(SECONDS), "-wp-par",
      "6", "-wp-cache", "update"]


def run(command, log):
    with open(log, "w", encoding="utf-8") as out:
        status = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=False,
                                timeout=1800).returncode
    return status, pathlib.Path(log).read_text(encoding="utf-8", errors="replace")


def cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def prove(source, path, build, functions=()):
    """Run WP over the file at path. Returns its log, '' if Frama-C failed."""
    name = pathlib.Path(source.path).stem
    cache = build / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    command = WP + ["-wp-cache-dir", str(cache),
                    f"-cpp-extra-args=-I. -DPROVE_{name} -include {HERE}/{source.contracts}", str(path)]
    if functions or source.only:
        command += ["-wp-fct", ",".join(functions or source.only)]
    if source.left_out:
        command += ["-wp-skip-fct", ",".join(source.left_out)]
    log = build / (str(path).replace("/", "_") + ("." + functions[0] if functions else "") + ".log")
    status, text = run(command, log)
    if status != 0 or "Proved goals" not in text:
        print(f"Frama-C failed: read {log}")
        return ""
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


def prove_source(source, build):
    before = cpu_seconds()
    text = prove(source, pathlib.Path(source.path), build)
    if not text:
        return False
    table, lost = goals_of(text)
    total = re.search(r"Proved goals:\s+(\d+)\s*/\s*(\d+)", text)
    print(f"\n{source.path}: {total.group(1)} of {total.group(2)} goals, {cpu_seconds() - before:.0f} s of processor\n")
    print("| function | goals | proved | prover's time |\n|---|---|---|---|")
    for name, (goals, proved, seconds) in sorted(table.items()):
        print(f"| {name} | {goals} | {proved} | {seconds:.1f} s |")
    for name in source.left_out:
        print(f"| {name} | not claimed | | |")
    for goal in lost:
        print(f"not proved: {goal}")
    return not lost and total.group(1) == total.group(2)


def decode_every_response_code(build):
    """EVA over all 2^32 values: tpm2_rc_decode is total, and its results are within their ranges."""
    _, text = run(["frama-c", "-c11", "-machdep", "x86_64", "-cpp-extra-args=-I.", "-eva", "-eva-precision", "2",
                   "-warn-unsigned-overflow", "-warn-unsigned-downcast", f"{HERE}/every_rc.c", "tpm/rc.c"],
                  build / "every_rc.log")
    good = all(line in text for line in ("  0 alarms generated by the analysis", "  100% of the logical properties"))
    print(f"\ntpm2_rc_decode of all 2^32 response codes (EVA): {'no alarm' if good else 'read ' + str(build)}")
    return good


def lose(mutant, build):
    source = next(s for s in SOURCES if s.path == mutant.path)
    text = pathlib.Path(mutant.path).read_text(encoding="utf-8")
    if text.count(mutant.before) != 1:
        print(f"not ok {mutant.path}: '{mutant.before}' does not stand there once")
        return False
    target = build / "mutant" / mutant.path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text.replace(mutant.before, mutant.after), encoding="utf-8")
    _, lost = goals_of(prove(source, target, build, (mutant.function,)))
    print(f"{'ok' if lost else 'not ok'} {mutant.function}: '{mutant.after or 'nothing'}' for "
          f"'{mutant.before.strip()}' loses {len(lost)}")
    return bool(lost)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    build = args.build / "prove"
    build.mkdir(parents=True, exist_ok=True)
    chosen = [s for s in SOURCES if not args.files or s.path in args.files]
    good = [prove_source(s, build) for s in chosen]
    if not args.files or "tpm/rc.c" in args.files:
        good.append(decode_every_response_code(build))
    print("\nMutants: each must lose a goal")
    good += [lose(m, build) for m in MUTANTS if m.path in {s.path for s in chosen}]
    print(f"\n{cpu_seconds():.0f} s of processor")
    sys.exit(0 if chosen and all(good) else 1)


if __name__ == "__main__":
    main()
